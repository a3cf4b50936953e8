//! Security headers of every response.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::Response,
};
use service::portal::Portal;

/// The headers.
#[derive(Clone)]
pub(crate) struct Headers(Arc<[(HeaderName, HeaderValue)]>);

impl Headers {
    pub(crate) fn new(portal: &Portal) -> Self {
        let logo =
            portal.logo.as_deref().and_then(origin).map(|origin| format!(" {origin}")).unwrap_or_default();
        let ancestors: Vec<&str> =
            portal.frame_ancestors.iter().map(String::as_str).filter(|origin| is_origin(origin)).collect();
        let ancestors = match ancestors.join(" ") {
            none if none.is_empty() => "'none'".to_owned(),
            origins => origins,
        };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; connect-src 'self'; \
             form-action 'self'; frame-ancestors {ancestors}; base-uri 'none'"
        );
        let mut headers = vec![
            // Pages contain personal data, and some contain a secret.
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (
                HeaderName::from_static("permissions-policy"),
                HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
            ),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
        ];
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.push((CONTENT_SECURITY_POLICY, policy));
        }
        if portal.frame_ancestors.is_empty() {
            headers.push((X_FRAME_OPTIONS, HeaderValue::from_static("DENY")));
        }
        if portal.is_https() {
            headers.push((
                HeaderName::from_static("strict-transport-security"),
                HeaderValue::from_static("max-age=31536000"),
            ));
        }
        Self(headers.into())
    }
}

/// Adds the headers to a response that does not have them.
pub(crate) async fn add(State(headers): State<Headers>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in headers.0.iter() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// Returns whether a setting is an origin. Another text could end or change the policy.
fn is_origin(text: &str) -> bool {
    origin(text) == Some(text)
}

/// Returns the origin of a URL, if it has no other characters than an origin may have.
fn origin(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let end = url.len() - host.len() + host.find(['/', '?', '#']).unwrap_or(host.len());
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'*');
    url.get(..end).filter(|origin| {
        origin.len() > url.len() - host.len() && origin.bytes().all(|byte| allowed(byte) || byte == b'/')
    })
}
