//! Queries: `GET` on a collection and `POST …/.search` (RFC 7644 §3.4.2, §3.4.3), one engine for both.

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{Invalid, ResourceType, filter::Filter, message, schema::RESOURCE_TYPES};

use super::{
    Route,
    request::{Base, Json, Paging, Parameters, Reader, USER_BODY},
    response::{bounded_answer, represent},
};
use crate::{
    App, Error,
    auth::Caller,
    store::{Kind, ListRequest, Memberships, Query, Represent, Stored},
};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/.search", routing::post(search_everything))]
}

/// `GET /Users`, `GET /Groups`.
pub(super) async fn list(
    kind: Kind,
    State(app): State<App>,
    Reader(caller): Reader,
    Base(base): Base,
    parameters: Parameters,
) -> Result<Response, Error> {
    query(&app, &caller, &base, &[kind], &parameters).await
}

/// `POST /Users/.search`, `POST /Groups/.search`.
pub(super) async fn search(
    kind: Kind,
    State(app): State<App>,
    Reader(caller): Reader,
    Base(base): Base,
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    query(&app, &caller, &base, &[kind], &Parameters::of_search(&body)?).await
}

async fn search_everything(
    State(app): State<App>,
    Reader(caller): Reader,
    Base(base): Base,
    Json(body): Json<USER_BODY>,
) -> Result<Response, Error> {
    query(&app, &caller, &base, &Kind::ALL, &Parameters::of_search(&body)?).await
}

/// One page of the resources of these kinds, one kind after the other.
async fn query(
    app: &App,
    caller: &Caller,
    base: &str,
    kinds: &[Kind],
    parameters: &Parameters,
) -> Result<Response, Error> {
    let directory = app.store.directory(caller);
    let paging = parameters.paging()?;
    let names: Vec<&str> = kinds.iter().map(|kind| kind.resource_type().name).collect();
    let filter = parameters.filter()?;
    let represent = |kind, stored: &Stored, extra: &Memberships| represent(kind, stored, extra, base);
    let parts = kinds.iter().map(|kind| part(*kind, kinds, filter.as_ref(), parameters, &represent));
    let query =
        Query { name: parameters.query_name(&names.join(","))?, parts: parts.collect::<Result<_, _>>()? };
    let body = match paging {
        Paging::Index { start_index, count } => {
            let page = directory.page_by_index(&query, start_index, count).await?;
            message::list_response(page.total, start_index, page.resources)
        }
        Paging::Cursor { cursor, count } => {
            let page = directory.page_by_cursor(&query, cursor.as_deref(), count).await?;
            message::cursor_response(page.total, page.next, page.resources)
        }
    };
    bounded_answer(StatusCode::OK, body)
}

/// What a query asks of one kind of resource.
fn part<'a>(
    kind: Kind,
    kinds: &[Kind],
    filter: Option<&Filter>,
    parameters: &Parameters,
    represent: &'a Represent<'a>,
) -> Result<ListRequest<'a>, Invalid> {
    let resource_type = kind.resource_type();
    let others: &'static [&'static ResourceType] = if kinds.len() == 1 { &[] } else { &RESOURCE_TYPES };
    Ok(ListRequest {
        kind,
        filter: filter.map(|filter| filter.resolve_among(resource_type, others)).transpose()?,
        sort: parameters.sort(resource_type, others)?,
        projection: parameters.projection(resource_type)?,
        represent,
    })
}
