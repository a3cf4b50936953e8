//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7644 §4), rendered from the schema table.

use axum::{
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{
    discovery::{self, Bulk, Limits},
    discovery_schemas::DISCOVERY_SCHEMAS,
    message,
    schema::{RESOURCE_TYPES, SCHEMAS},
};
use serde_json::Value;

use super::{
    parameters::Parameters,
    request::{BaseUrl, PathSegment, ReadCaller},
    response::answer,
    route::Route,
};
use crate::{
    Error,
    limits::CURSOR_SECONDS,
    limits::{DEFAULT_COUNT, GROUP_BODY, MAX_BULK_OPERATIONS, MAX_COUNT},
};

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
        [
            (Method::GET, routing::get(me)),
            (Method::POST, routing::post(me)),
            (Method::PUT, routing::put(me)),
            (Method::PATCH, routing::patch(me)),
            (Method::DELETE, routing::delete(me)),
        ]
        .map(|(method, handler)| Route::new(method, "/Me", handler)),
    )
    .collect()
}

/// Refuses `/Me` (RFC 7644 §3.11).
async fn me(_: ReadCaller) -> Error {
    Error::NotImplemented(
        "/Me is not supported: API keys do not belong to a user. Users are at /Users.".to_owned(),
    )
}

async fn service_provider_config(
    _: ReadCaller,
    BaseUrl(base): BaseUrl,
    parameters: Parameters,
) -> Result<Response, Error> {
    refuse_filter(&parameters)?;
    let limits = Limits {
        max_results: MAX_COUNT as u64,
        default_results: DEFAULT_COUNT as u64,
        cursor_seconds: CURSOR_SECONDS,
        bulk: Some(Bulk { max_operations: MAX_BULK_OPERATIONS as u64, max_payload_size: GROUP_BODY as u64 }),
    };
    Ok(answer(StatusCode::OK, &discovery::service_provider_config(&base, &limits)))
}

async fn resource_types(
    _: ReadCaller,
    BaseUrl(base): BaseUrl,
    parameters: Parameters,
) -> Result<Response, Error> {
    let all = RESOURCE_TYPES.iter().map(|resource_type| discovery::resource_type(&base, resource_type));
    all_of(&parameters, all.collect())
}

async fn resource_type(
    _: ReadCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(name): PathSegment,
) -> Result<Response, Error> {
    let resource_type =
        RESOURCE_TYPES.into_iter().find(|resource_type| resource_type.name == name).ok_or_else(|| {
            Error::NotFound(
                "This resource type does not exist. The resource types are User and Group.".to_owned(),
            )
        })?;
    Ok(answer(StatusCode::OK, &discovery::resource_type(&base, resource_type)))
}

async fn schemas(_: ReadCaller, BaseUrl(base): BaseUrl, parameters: Parameters) -> Result<Response, Error> {
    all_of(&parameters, SCHEMAS.iter().map(|schema| discovery::schema(&base, schema)).collect())
}

async fn schema(
    _: ReadCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(urn): PathSegment,
) -> Result<Response, Error> {
    let mut schemas = SCHEMAS.into_iter().chain(DISCOVERY_SCHEMAS);
    let schema = schemas.find(|schema| schema.id.eq_ignore_ascii_case(&urn)).ok_or_else(|| {
        Error::NotFound("This schema does not exist. /Schemas lists the schemas of all resources.".to_owned())
    })?;
    Ok(answer(StatusCode::OK, &discovery::schema(&base, schema)))
}

/// Refuses a filter, as RFC 7644 §4 requires.
fn refuse_filter(parameters: &Parameters) -> Result<(), Error> {
    match parameters.one("filter")? {
        None => Ok(()),
        Some(_) => Err(Error::Forbidden(
            "This endpoint does not support a filter. It returns all entries.".to_owned(),
        )),
    }
}

/// Returns all documents on one page. Paging parameters are ignored.
fn all_of(parameters: &Parameters, documents: Vec<Value>) -> Result<Response, Error> {
    refuse_filter(parameters)?;
    let mut body = message::list_response(documents.len() as u64, 1, documents.len());
    body["Resources"] = documents.into();
    Ok(answer(StatusCode::OK, &body))
}
