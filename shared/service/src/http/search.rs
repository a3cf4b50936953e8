//! Queries: `GET` on a collection and `POST …/.search` (RFC 7644 §3.4.2, §3.4.3), one engine for both.

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{message, schema::RESOURCE_TYPES};
use serde_json::{Map, Value};

use super::{
    Route,
    request::{Base, Json, Parameters, Reader, USER_BODY},
    response::{answer, represent},
};
use crate::{
    App, Error,
    auth::Caller,
    store::{Kind, ListRequest},
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
    let filter = parameters.filter()?;
    let start_index = parameters.start_index()?;
    let count = parameters.count()?;
    let mut total = 0;
    let mut resources: Vec<Map<String, Value>> = Vec::new();
    for kind in kinds {
        let resource_type = kind.resource_type();
        let projection = parameters.projection(resource_type)?;
        let filter = match (&filter, kinds) {
            (None, _) => None,
            (Some(filter), [_]) => Some(filter.resolve(resource_type)?),
            (Some(filter), _) => Some(filter.resolve_among(resource_type, &RESOURCE_TYPES)?),
        };
        let request = ListRequest {
            filter: filter.as_ref(),
            start_index: start_index.saturating_sub(total).max(1),
            count: count - resources.len(),
            with_extra: projection.wants(kind.extra()),
            represent: &|stored, extra| represent(*kind, stored, extra, base),
        };
        let page = directory.list(*kind, &request).await?;
        total += page.total;
        resources.extend(page.resources.into_iter().map(|resource| projection.apply(resource)));
    }
    Ok(answer(StatusCode::OK, &message::list_response(total, start_index, resources)))
}
