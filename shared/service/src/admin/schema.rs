//! Parts of the schemas of several resources.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A scope: `scim` for an identity provider, or `read` and `write` for the product.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "lowercase")]
#[expect(dead_code, reason = "the schema of a scope")]
pub(super) enum ScopeName {
    Scim,
    Read,
    Write,
}

/// Writes a time as nanoseconds, for the fingerprint of a request.
#[expect(clippy::ref_option, reason = "serde passes the member by reference")]
pub(super) fn moment<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(OffsetDateTime::unix_timestamp_nanos).serialize(serializer)
}
