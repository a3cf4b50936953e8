//! `/Users`: create, read, replace, modify and delete users (RFC 7644 §3.3–§3.6).

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{ResourceKind, body::Replacement, patch::Patch, resource::Document, schema::USER_TYPE};

use super::{
    parameters::Parameters,
    request::{BaseUrl, Conditions, Json, PathSegment, ReadCaller, WriteCaller},
    response::{no_content, not_modified, resource, written},
    route::Route,
    search,
    update::noted,
};
use crate::{
    App, Error,
    limits::USER_BODY,
    store::{Memberships, representation},
    telemetry::Notes,
};

const COLLECTION: &str = "/Users";
const SEARCH: &str = "/Users/.search";
const ITEM: &str = "/Users/{id}";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = search::routes(ResourceKind::User, COLLECTION, SEARCH);
    routes.extend([
        Route::new(Method::POST, COLLECTION, routing::post(create)),
        Route::new(Method::GET, ITEM, routing::get(read)),
        Route::new(Method::PUT, ITEM, routing::put(replace)),
        Route::new(Method::PATCH, ITEM, routing::patch(patch)),
        Route::new(Method::DELETE, ITEM, routing::delete(delete)),
    ]);
    routes
}

async fn create(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    parameters: Parameters,
    notes: Notes,
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    notes.sent(&body);
    let projection = parameters.projection_of_write(&USER_TYPE, &caller)?;
    let document = Document::from_request(&USER_TYPE, &body)?.active_by_default();
    drop(body);
    let stored = app.store.directory(&caller).create_user(document).await?;
    notes.resource(&stored.id, &stored.document);
    written(StatusCode::CREATED, ResourceKind::User, &stored, &Memberships::None, &base, &projection)
}

async fn read(
    State(app): State<App>,
    ReadCaller(caller): ReadCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(id): PathSegment,
    parameters: Parameters,
    conditions: Conditions,
    notes: Notes,
) -> Result<Response, Error> {
    let projection = parameters.projection(&USER_TYPE)?;
    let (stored, groups) = app.store.directory(&caller).user(&id, projection.includes("groups")).await?;
    notes.resource(&stored.id, &stored.document);
    let version = representation::version(&stored, &groups);
    if conditions.has(&version) {
        return Ok(not_modified(&version));
    }
    resource(StatusCode::OK, ResourceKind::User, &stored, &groups, &base, &projection)
}

async fn replace(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(id): PathSegment,
    parameters: Parameters,
    (conditions, notes): (Conditions, Notes),
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection_of_write(&USER_TYPE, &caller)?;
    let replacement = Replacement::parse(&USER_TYPE, &body)?;
    drop(body);
    let directory = app.store.directory(&caller);
    let change = noted(&notes, |current| replacement.apply(current));
    let (stored, groups) = directory
        .update_user(&id, conditions.if_match.as_ref(), change, projection.includes("groups"))
        .await?;
    notes.resource(&stored.id, &stored.document);
    written(StatusCode::OK, ResourceKind::User, &stored, &groups, &base, &projection)
}

async fn patch(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(id): PathSegment,
    parameters: Parameters,
    (conditions, notes): (Conditions, Notes),
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection_of_write(&USER_TYPE, &caller)?;
    let patch = Patch::parse(&USER_TYPE, &body)?;
    drop(body);
    let directory = app.store.directory(&caller);
    let change = noted(&notes, |document| patch.apply(document));
    let (stored, groups) = directory
        .update_user(&id, conditions.if_match.as_ref(), change, projection.includes("groups"))
        .await?;
    notes.resource(&stored.id, &stored.document);
    written(StatusCode::OK, ResourceKind::User, &stored, &groups, &base, &projection)
}

async fn delete(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    PathSegment(id): PathSegment,
    conditions: Conditions,
    notes: Notes,
) -> Result<Response, Error> {
    let directory = app.store.directory(&caller);
    let deleted = directory.delete(ResourceKind::User, &id, conditions.if_match.as_ref()).await?;
    notes.resource(&deleted.id, &deleted.document);
    Ok(no_content())
}
