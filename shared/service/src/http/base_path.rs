//! The base path: the part of the path that does not belong to the protocol.

use axum::{
    body::Body,
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

/// The end of every public base URL.
pub const BASE_PATH: &str = "/scim/v2";

/// Returns the path without the base, without empty segments and without a slash at the end. Only `/` separates
/// segments. Nothing is decoded here, so no encoding of a path reaches another route than the plain path does.
pub(super) fn under_base(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let rest = match segments.as_slice() {
        // The token endpoint is beside the base and not under it.
        ["scim", rest @ ..] if rest.first().is_some_and(is_beside_base) => rest,
        ["scim", "v2", rest @ ..] | ["v2", rest @ ..] if !rest.first().is_some_and(is_beside_base) => rest,
        rest => rest,
    };
    format!("/{}", rest.join("/"))
}

/// Returns whether paths of the token endpoint begin with the segment.
fn is_beside_base(segment: &&str) -> bool {
    matches!(*segment, "oauth2" | ".well-known")
}

/// Removes the base from the path of the request.
#[expect(clippy::expect_used, reason = "the path is part of a valid URI")]
pub(super) fn strip_base(mut request: Request<Body>) -> Request<Body> {
    let mut path = under_base(request.uri().path());
    if let Some(query) = request.uri().query() {
        path = format!("{path}?{query}");
    }
    let path: PathAndQuery = path.parse().expect("a part of a valid path is a valid path");
    *request.uri_mut() = Uri::from(path);
    request
}
