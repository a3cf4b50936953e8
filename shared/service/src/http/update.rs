//! The change of a document by a request, noted for the request log.

use scim::{Invalid, resource::Document};

use crate::telemetry::Notes;

/// Returns the change, which also notes the document before and after it.
pub(super) fn noted(
    notes: &Notes,
    change: impl Fn(&Document) -> Result<Document, Invalid>,
) -> impl Fn(&Document) -> Result<Document, Invalid> {
    move |before| {
        let after = change(before);
        notes.changes(before, after.as_ref().ok());
        after
    }
}
