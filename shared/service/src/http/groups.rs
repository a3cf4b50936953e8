//! `/Groups`: create, read, replace, modify and delete groups (RFC 7644 §3.3–§3.6). Members are stored apart from their
//! group, and are read only for responses that show them.

use axum::{
    extract::State,
    http::{Method, StatusCode, header::ETAG},
    response::Response,
    routing,
};
use scim::{
    ResourceKind,
    body::Replacement,
    members::{self, MemberOperation},
    patch::Patch,
    resource::{Document, etag},
    schema::GROUP_TYPE,
};

use super::{
    parameters::Parameters,
    request::{BaseUrl, Conditions, Json, PathSegment, ReadCaller, WriteCaller},
    response::{no_content, not_modified, resource, set, written},
    route::Route,
    search,
    update::noted,
};
use crate::{
    App, Error,
    limits::GROUP_BODY,
    limits::MEMBERS_SHOWN,
    request_log::Members,
    store::{Memberships, WrittenGroup},
    telemetry::Notes,
};

const COLLECTION: &str = "/Groups";
const SEARCH: &str = "/Groups/.search";
const ITEM: &str = "/Groups/{id}";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = search::routes(ResourceKind::Group, COLLECTION, SEARCH);
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
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    notes.sent(&body);
    let projection = parameters.projection_of_write(&GROUP_TYPE, &caller)?;
    let document = Document::from_request(&GROUP_TYPE, &body)?;
    let members = members::from_body(&body)?;
    drop(body);
    notes.members(&Members::of(members.iter().map(|member| member.value.as_str())), &Members::default());
    let (stored, members) = app.store.directory(&caller).create_group(document, &members).await?;
    notes.resource(&stored.id, &stored.document);
    let members =
        if members.len() > MEMBERS_SHOWN { Memberships::None } else { Memberships::Members(members) };
    written(StatusCode::CREATED, ResourceKind::Group, &stored, &members, &base, &projection)
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
    let projection = parameters.projection(&GROUP_TYPE)?;
    let (stored, members) = app.store.directory(&caller).group(&id, projection.includes("members")).await?;
    notes.resource(&stored.id, &stored.document);
    if conditions.has(&stored.version) {
        return Ok(not_modified(&stored.version));
    }
    resource(StatusCode::OK, ResourceKind::Group, &stored, &members, &base, &projection)
}

async fn replace(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(id): PathSegment,
    parameters: Parameters,
    (conditions, notes): (Conditions, Notes),
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let projection = parameters.projection_of_write(&GROUP_TYPE, &caller)?;
    let replacement = Replacement::parse(&GROUP_TYPE, &body)?;
    let members = [MemberOperation::Replace(members::from_body(&body)?)];
    drop(body);
    let directory = app.store.directory(&caller);
    let change = noted(&notes, |current| replacement.apply(current));
    let group = directory.update_group(&id, conditions.if_match.as_ref(), change, &members).await?;
    note(&notes, &group);
    let (stored, members) = group.shown(projection.includes("members"));
    written(StatusCode::OK, ResourceKind::Group, &stored, &members, &base, &projection)
}

/// Answers 204, which Entra expects for groups with many members. Answers 200 with the group if the client requests
/// attributes (RFC 7644 §3.5.2).
async fn patch(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    PathSegment(id): PathSegment,
    parameters: Parameters,
    (conditions, notes): (Conditions, Notes),
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let shows_group = !parameters.projection(&GROUP_TYPE)?.is_default();
    let projection = parameters.projection_of_write(&GROUP_TYPE, &caller)?;
    let patch = Patch::parse(&GROUP_TYPE, &body)?;
    drop(body);
    notes.names_members(patch.members());
    let directory = app.store.directory(&caller);
    let change = noted(&notes, |document| patch.apply(document));
    let (version, group) = directory.patch_group(&id, conditions.if_match.as_ref(), change, &patch).await?;
    if let Some(group) = &group {
        note(&notes, group);
    }
    if shows_group
        && let Some((stored, members)) =
            directory.patched_group(&id, group, projection.includes("members")).await
    {
        return written(StatusCode::OK, ResourceKind::Group, &stored, &members, &base, &projection);
    }
    let mut response = no_content();
    if let Some(version) = version {
        set(&mut response, ETAG, &etag(&version));
    }
    Ok(response)
}

async fn delete(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    PathSegment(id): PathSegment,
    conditions: Conditions,
    notes: Notes,
) -> Result<Response, Error> {
    let directory = app.store.directory(&caller);
    let deleted = directory.delete(ResourceKind::Group, &id, conditions.if_match.as_ref()).await?;
    notes.resource(&deleted.id, &deleted.document);
    Ok(no_content())
}

/// Notes a group that was read and written.
fn note(notes: &Notes, group: &WrittenGroup) {
    let stored = group.stored();
    notes.resource(&stored.id, &stored.document);
    let (added, removed) = group.changed_members();
    notes.members(added, removed);
}
