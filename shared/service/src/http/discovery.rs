//! `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7644 §4): rendered from the schema table.

use axum::{
    http::{Method, StatusCode},
    response::Response,
    routing::{self, MethodFilter, MethodRouter},
};
use scim::{
    discovery::{self, Limits},
    message,
    schema::{RESOURCE_TYPES, SCHEMAS},
};
use serde_json::Value;

use super::{
    Route, bulk,
    parameters::Parameters,
    request::{Base, DEFAULT_COUNT, MAX_COUNT, Reader, Segment},
    response::answer,
};
use crate::{App, Error, store::BOOKMARK_SECONDS};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/ServiceProviderConfig", routing::get(service_provider_config)),
        Route::new(Method::GET, "/ResourceTypes", routing::get(resource_types)),
        Route::new(Method::GET, "/ResourceTypes/{name}", routing::get(resource_type)),
        Route::new(Method::GET, "/Schemas", routing::get(schemas)),
        Route::new(Method::GET, "/Schemas/{urn}", routing::get(schema)),
    ]
    .into_iter()
    .chain(
        [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
            .map(|method| Route::new(method.clone(), "/Me", me_by(method))),
    )
    .collect()
}

fn me_by(method: Method) -> MethodRouter<App> {
    MethodFilter::try_from(method).map_or_else(|_| MethodRouter::new(), |filter| routing::on(filter, me))
}

/// A key stands for an organisation, not for a user (RFC 7644 §3.11).
async fn me(_: Reader) -> Error {
    Error::NotImplemented("a key stands for no user, so there is no /Me; users are at /Users".to_owned())
}

async fn service_provider_config(
    _: Reader,
    Base(base): Base,
    parameters: Parameters,
) -> Result<Response, Error> {
    refuse_filter(&parameters)?;
    let limits = Limits {
        max_results: MAX_COUNT as u64,
        default_results: DEFAULT_COUNT as u64,
        cursor_seconds: BOOKMARK_SECONDS,
        bulk: Some(bulk::LIMITS),
    };
    Ok(answer(StatusCode::OK, &discovery::service_provider_config(&base, &limits)))
}

async fn resource_types(_: Reader, Base(base): Base, parameters: Parameters) -> Result<Response, Error> {
    let all = RESOURCE_TYPES.iter().map(|resource_type| discovery::resource_type(&base, resource_type));
    all_of(&parameters, all.collect())
}

async fn resource_type(_: Reader, Base(base): Base, Segment(name): Segment) -> Result<Response, Error> {
    let resource_type =
        RESOURCE_TYPES.into_iter().find(|resource_type| resource_type.name == name).ok_or_else(|| {
            Error::NotFound("there is no such resource type; there are User and Group".to_owned())
        })?;
    Ok(answer(StatusCode::OK, &discovery::resource_type(&base, resource_type)))
}

async fn schemas(_: Reader, Base(base): Base, parameters: Parameters) -> Result<Response, Error> {
    all_of(&parameters, SCHEMAS.iter().map(|schema| discovery::schema(&base, schema)).collect())
}

async fn schema(_: Reader, Base(base): Base, Segment(urn): Segment) -> Result<Response, Error> {
    let schema = SCHEMAS
        .into_iter()
        .find(|schema| schema.id.eq_ignore_ascii_case(&urn))
        .ok_or_else(|| Error::NotFound("there is no such schema; /Schemas lists them all".to_owned()))?;
    Ok(answer(StatusCode::OK, &discovery::schema(&base, schema)))
}

/// What a client learns from these endpoints is not to depend on a filter (RFC 7644 §4).
fn refuse_filter(parameters: &Parameters) -> Result<(), Error> {
    match parameters.one("filter")? {
        None => Ok(()),
        Some(_) => {
            Err(Error::Forbidden("a filter is not possible on this endpoint; it shows everything".to_owned()))
        }
    }
}

/// Everything on one page: paging is ignored here.
fn all_of(parameters: &Parameters, documents: Vec<Value>) -> Result<Response, Error> {
    refuse_filter(parameters)?;
    let documents: Vec<_> = documents
        .into_iter()
        .filter_map(|document| match document {
            Value::Object(document) => Some(document),
            _ => None,
        })
        .collect();
    Ok(answer(StatusCode::OK, &message::list_response(documents.len() as u64, 1, documents)))
}
