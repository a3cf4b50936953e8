//! Responses of the management API.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS},
    },
    response::Response,
};
use serde::Serialize;

use crate::Error;

/// Makes a response with a body of that media type. Responses contain secrets, so caches must not store them.
pub(super) fn with_body(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Makes a response with a JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Error> {
    let text = serde_json::to_vec(body).map_err(|_| Error::Internal("an answer is not JSON".to_owned()))?;
    Ok(with_body(status, "application/json", Body::from(text)))
}

/// Makes the response to a creation, with the path of what was created.
pub(super) fn created(path: &str, body: &impl Serialize) -> Result<Response, Error> {
    let mut response = json(StatusCode::CREATED, body)?;
    set(&mut response, LOCATION, path);
    Ok(response)
}

/// Makes a response without a body (204).
pub(super) fn no_content() -> Response {
    let mut response = with_body(StatusCode::NO_CONTENT, "application/json", Body::empty());
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// Sets a header to a value that this service generated.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
