//! `/Users` (RFC 7644 §3.3–§3.6).

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{patch::Patch, resource::Document, schema::USER_TYPE};

use super::{
    Route,
    request::{Base, Conditions, Json, Parameters, Reader, Segment, USER_BODY, Writer},
    response::{no_content, not_modified, resource, version},
    search,
};
use crate::{
    App, Error,
    store::{Extra, Kind},
};

const COLLECTION: &str = "/Users";
const SEARCH: &str = "/Users/.search";
const ITEM: &str = "/Users/{id}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, COLLECTION, routing::get(list)),
        Route::new(Method::POST, COLLECTION, routing::post(create)),
        Route::new(Method::POST, SEARCH, routing::post(search)),
        Route::new(Method::GET, ITEM, routing::get(read)),
        Route::new(Method::PUT, ITEM, routing::put(replace)),
        Route::new(Method::PATCH, ITEM, routing::patch(patch)),
        Route::new(Method::DELETE, ITEM, routing::delete(delete)),
    ]
}

async fn list(
    app: State<App>,
    caller: Reader,
    base: Base,
    parameters: Parameters,
) -> Result<Response, Error> {
    search::list(Kind::User, app, caller, base, parameters).await
}

async fn search(
    app: State<App>,
    caller: Reader,
    base: Base,
    body: Json<USER_BODY>,
) -> Result<Response, Error> {
    search::search(Kind::User, app, caller, base, body).await
}

async fn create(
    State(app): State<App>,
    Writer(caller): Writer,
    Base(base): Base,
    parameters: Parameters,
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection(&USER_TYPE)?;
    let document = Document::from_request(&USER_TYPE, &body)?;
    let stored = app.store.directory(&caller).create_user(document).await?;
    Ok(resource(StatusCode::CREATED, Kind::User, &stored, &Extra::Groups(Vec::new()), &base, &projection))
}

async fn read(
    State(app): State<App>,
    Reader(caller): Reader,
    Base(base): Base,
    Segment(id): Segment,
    parameters: Parameters,
    conditions: Conditions,
) -> Result<Response, Error> {
    let projection = parameters.projection(&USER_TYPE)?;
    let (stored, groups) = app.store.directory(&caller).user(&id, projection.includes("groups")).await?;
    let groups = Extra::Groups(groups);
    let version = version(&stored, &groups);
    if conditions.has(&version) {
        return Ok(not_modified(&version));
    }
    Ok(resource(StatusCode::OK, Kind::User, &stored, &groups, &base, &projection))
}

async fn replace(
    State(app): State<App>,
    Writer(caller): Writer,
    Base(base): Base,
    Segment(id): Segment,
    parameters: Parameters,
    conditions: Conditions,
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection(&USER_TYPE)?;
    let document = Document::from_request(&USER_TYPE, &body)?;
    let directory = app.store.directory(&caller);
    let change = |_: &Document| Ok(document.clone());
    let (stored, groups) = directory
        .update_user(&id, conditions.if_match.as_ref(), change, projection.includes("groups"))
        .await?;
    Ok(resource(StatusCode::OK, Kind::User, &stored, &Extra::Groups(groups), &base, &projection))
}

async fn patch(
    State(app): State<App>,
    Writer(caller): Writer,
    Base(base): Base,
    Segment(id): Segment,
    parameters: Parameters,
    conditions: Conditions,
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection(&USER_TYPE)?;
    let patch = Patch::parse(&USER_TYPE, &body)?;
    let directory = app.store.directory(&caller);
    let change = |document: &Document| patch.apply(document);
    let (stored, groups) = directory
        .update_user(&id, conditions.if_match.as_ref(), change, projection.includes("groups"))
        .await?;
    Ok(resource(StatusCode::OK, Kind::User, &stored, &Extra::Groups(groups), &base, &projection))
}

async fn delete(
    State(app): State<App>,
    Writer(caller): Writer,
    Segment(id): Segment,
    conditions: Conditions,
) -> Result<Response, Error> {
    app.store.directory(&caller).delete(Kind::User, &id, conditions.if_match.as_ref()).await?;
    Ok(no_content())
}
