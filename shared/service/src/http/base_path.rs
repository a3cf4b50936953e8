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
        // The token endpoint and the feed of events are beside the base and not under it.
        ["scim", rest @ ..] if rest.first().is_some_and(|first| is_beside_base(first)) => rest,
        ["scim", "v2", rest @ ..] | ["v2", rest @ ..]
            if !rest.first().is_some_and(|first| is_beside_base(first)) =>
        {
            rest
        }
        rest => rest,
    };
    format!("/{}", rest.join("/"))
}

/// Returns whether paths of the token endpoint or of the feed of events begin with the segment.
pub(super) fn is_beside_base(segment: &str) -> bool {
    matches!(segment, "oauth2" | ".well-known" | "events")
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

/// The path of the token endpoint.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// Returns the public URL that the token endpoint and its metadata follow: the base URL of SCIM without `/v2`, and without
/// the name of the stage where no gateway adds it.
pub(super) fn root_url(base: &str, has_stage: bool) -> &str {
    let end = if has_stage { "/v2" } else { BASE_PATH };
    base.strip_suffix(end).unwrap_or(base)
}

/// Returns the public URL of the token endpoint. `has_stage` says whether a gateway adds the name of the stage.
#[must_use]
pub fn token_url(base: &str, has_stage: bool) -> String {
    format!("{}{TOKEN_PATH}", root_url(base, has_stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_the_public_url_has_the_stage() {
        assert_eq!(root_url("http://127.0.0.1:8080/scim/v2", false), "http://127.0.0.1:8080");
        assert_eq!(root_url("https://scim.example.com/scim/v2", true), "https://scim.example.com/scim");
        assert_eq!(root_url("https://scim.example.com/other", true), "https://scim.example.com/other");
    }
}
