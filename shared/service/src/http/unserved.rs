//! Requests that no route serves: the path is unknown, or it does not support the method.
//!
//! A key in such a request is authenticated, so that the request log of its organisation has the request: an owner sees there
//! that the base URL is wrong. A client without a valid key gets the same answer.

use axum::{
    extract::{Request, State},
    http::{Method, request::Parts},
};

use super::{
    base_path::is_beside_base,
    request::{Deadline, authenticate, presented_key, record_use},
};
use crate::{
    App, Error,
    auth::Caller,
    store::{Authenticated, RefusedKey},
    telemetry::{Notes, PresentedKey, RequestRecord, client, known_method},
};

/// The first segments of paths that an entry of the request log may name. Any other text may be personal data.
const NAMED: [&str; 8] =
    ["Users", "Groups", "Bulk", "Me", "ServiceProviderConfig", "ResourceTypes", "Schemas", ".search"];

/// Answers a request for an unknown path.
pub(super) async fn no_such_path(State(app): State<App>, request: Request) -> Error {
    let (parts, _) = request.into_parts();
    let detail = if parts.uri.path() == "/" {
        "This is the base URL of a SCIM 2.0 service. The resources are at /Users and /Groups."
    } else {
        "This endpoint does not exist. The base URL ends in /scim/v2, and the endpoints are /Users, /Groups, \
         /ServiceProviderConfig, /ResourceTypes and /Schemas."
    };
    identify(&app, &parts).await.err().unwrap_or_else(|| Error::NotFound(detail.to_owned()))
}

/// Answers a request with a method that its path does not support.
pub(super) async fn no_such_method(State(app): State<App>, request: Request) -> Error {
    let (parts, _) = request.into_parts();
    identify(&app, &parts).await.err().unwrap_or_else(|| {
        Error::MethodNotAllowed(format!(
            "This endpoint does not support {}. The header Allow has the supported methods.",
            known_method(&parts.method).unwrap_or("this method")
        ))
    })
}

/// Notes the request, and authenticates its key for the request log. A refused key that exists
/// leaves an entry, as on the paths that are served. A key that is unknown, or cannot be checked, leaves none.
///
/// # Errors
/// The request has a valid key, and its organisation is over a limit.
async fn identify(app: &App, parts: &Parts) -> Result<(), Error> {
    let path = parts.uri.path();
    if let Some(notes) = parts.extensions.get::<Notes>() {
        notes.unserved(endpoint(&parts.method, path));
    }
    // An operation of a bulk request has a caller. The paths beside the base are not those of SCIM.
    let is_known =
        parts.extensions.get::<Caller>().is_some() || first_segment(path).is_some_and(is_beside_base);
    let (Some(record), Some(Deadline(deadline))) =
        (parts.extensions.get::<RequestRecord>(), parts.extensions.get().copied())
    else {
        return Ok(());
    };
    if is_known || !app.store.records_requests() {
        return Ok(());
    }
    let Ok(credential) = presented_key(&parts.headers) else { return Ok(()) };
    let Authenticated { caller, unrecorded } = match authenticate(app, &credential, deadline).await {
        Ok(Ok(authenticated)) => authenticated,
        Ok(Err(RefusedKey { id: Some(id), .. })) => {
            record.presents(PresentedKey::Refused(credential.org().clone(), id));
            return Ok(());
        }
        Ok(Err(_)) | Err(_) => return Ok(()),
    };
    record.presents(PresentedKey::Accepted(caller.org().clone(), caller.key_id().to_owned()));
    if let Some(unrecorded) = unrecorded {
        record_use(app, unrecorded, client(&parts.uri, &parts.headers), deadline);
    }
    app.store.admit(caller.org(), caller.settings()).await
}

fn first_segment(path: &str) -> Option<&str> {
    path.split('/').find(|segment| !segment.is_empty())
}

/// Returns the method, and the first segment of the path if it is one of SCIM: `GET /Users`, `POST unknown path`.
fn endpoint(method: &Method, path: &str) -> String {
    let method = known_method(method).unwrap_or("unknown method");
    match first_segment(path) {
        None => format!("{method} /"),
        Some(first) if NAMED.contains(&first) => format!("{method} /{first}"),
        Some(_) => format!("{method} unknown path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_has_no_text_of_the_client() {
        for (method, path, expected) in [
            ("GET", "/", "GET /"),
            ("DELETE", "/Users", "DELETE /Users"),
            ("GET", "/Users/ada@example.com/groups", "GET /Users"),
            ("POST", "/scim/v3/Users", "POST unknown path"),
            ("GET", "/ada@example.com", "GET unknown path"),
            ("ADA", "/users", "unknown method unknown path"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(endpoint(&method, path), expected);
        }
    }
}
