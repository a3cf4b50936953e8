//! `/Groups` (RFC 7644 §3.3–§3.6). Members are kept apart from the group, and are read only where they are shown.

use axum::{
    extract::State,
    http::{Method, StatusCode, header::ETAG},
    response::Response,
    routing,
};
use scim::{
    members::{self, MemberOperation},
    patch::Patch,
    resource::{Document, etag},
    schema::GROUP_TYPE,
};

use super::{
    Route,
    request::{Base, Conditions, GROUP_BODY, Json, Parameters, Reader, Segment, USER_BODY, Writer},
    response::{no_content, not_modified, resource, set},
    search,
};
use crate::{
    App, Error,
    store::{Edited, Extra, Kind, MEMBERS_SHOWN},
};

const COLLECTION: &str = "/Groups";
const SEARCH: &str = "/Groups/.search";
const ITEM: &str = "/Groups/{id}";

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
    search::list(Kind::Group, app, caller, base, parameters).await
}

async fn search(
    app: State<App>,
    caller: Reader,
    base: Base,
    body: Json<USER_BODY>,
) -> Result<Response, Error> {
    search::search(Kind::Group, app, caller, base, body).await
}

async fn create(
    State(app): State<App>,
    Writer(caller): Writer,
    Base(base): Base,
    parameters: Parameters,
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection(&GROUP_TYPE)?;
    let document = Document::from_request(&GROUP_TYPE, &body)?;
    let members = members::from_body(&body)?;
    let (stored, members) = app.store.directory(&caller).create_group(document, &members).await?;
    let members = if members.len() > MEMBERS_SHOWN { Extra::None } else { Extra::Members(members) };
    Ok(resource(StatusCode::CREATED, Kind::Group, &stored, &members, &base, &projection))
}

async fn read(
    State(app): State<App>,
    Reader(caller): Reader,
    Base(base): Base,
    Segment(id): Segment,
    parameters: Parameters,
    conditions: Conditions,
) -> Result<Response, Error> {
    let projection = parameters.projection(&GROUP_TYPE)?;
    let (stored, members) = app.store.directory(&caller).group(&id, projection.includes("members")).await?;
    if conditions.has(&stored.version) {
        return Ok(not_modified(&stored.version));
    }
    Ok(resource(StatusCode::OK, Kind::Group, &stored, &members, &base, &projection))
}

async fn replace(
    State(app): State<App>,
    Writer(caller): Writer,
    Base(base): Base,
    Segment(id): Segment,
    parameters: Parameters,
    conditions: Conditions,
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection(&GROUP_TYPE)?;
    let document = Document::from_request(&GROUP_TYPE, &body)?;
    let members = [MemberOperation::Replace(members::from_body(&body)?)];
    let directory = app.store.directory(&caller);
    let change = |_: &Document| Ok(document.clone());
    let stored = directory.update_group(&id, conditions.if_match.as_ref(), change, &members).await?;
    let shown = directory.written_group(&id, projection.includes("members")).await;
    let (stored, members) = shown.unwrap_or((stored, Extra::None));
    Ok(resource(StatusCode::OK, Kind::Group, &stored, &members, &base, &projection))
}

/// Answers 204, as Entra wants it of a group that may have very many members; with the group where the client asks for
/// attributes of it (RFC 7644 §3.5.2).
async fn patch(
    State(app): State<App>,
    Writer(caller): Writer,
    Base(base): Base,
    Segment(id): Segment,
    parameters: Parameters,
    conditions: Conditions,
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection(&GROUP_TYPE)?;
    let patch = Patch::parse(&GROUP_TYPE, &body)?;
    let directory = app.store.directory(&caller);
    let members_alone = !patch.changes_document() && conditions.if_match.is_none();
    let edited =
        if members_alone { directory.edit_members(&id, patch.members()).await? } else { Edited::SeesMembers };
    let version = match edited {
        Edited::Changed(version) => Some(version),
        Edited::Unchanged => None,
        Edited::SeesMembers => {
            let change = |document: &Document| patch.apply(document);
            let expected = conditions.if_match.as_ref();
            let stored = directory.update_group(&id, expected, change, patch.members()).await?;
            Some(stored.version)
        }
    };
    if !projection.is_default()
        && let Some((stored, members)) = directory.written_group(&id, projection.includes("members")).await
    {
        return Ok(resource(StatusCode::OK, Kind::Group, &stored, &members, &base, &projection));
    }
    let mut response = no_content();
    if let Some(version) = version {
        set(&mut response, ETAG, &etag(&version));
    }
    Ok(response)
}

async fn delete(
    State(app): State<App>,
    Writer(caller): Writer,
    Segment(id): Segment,
    conditions: Conditions,
) -> Result<Response, Error> {
    app.store.directory(&caller).delete(Kind::Group, &id, conditions.if_match.as_ref()).await?;
    Ok(no_content())
}
