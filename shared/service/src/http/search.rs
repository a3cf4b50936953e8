//! Queries: `GET` on a collection and `POST …/.search` (RFC 7644 §3.4.2, §3.4.3), one engine for both.

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{
    Invalid, ResourceType,
    filter::{Filter, Predicate},
    message,
    projection::Projection,
    schema::RESOURCE_TYPES,
    sort::Sort,
};
use serde_json::{Map, Value};

use super::{
    Route,
    request::{Base, Json, Paging, Parameters, Reader, USER_BODY},
    response::{bounded_answer, represent},
};
use crate::{
    App, Error,
    auth::Caller,
    store::{Extra, Kind, ListRequest, Place, Represent, Stored},
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
    let name = parameters.query_name(&names.join(","))?;
    let filter = parameters.filter()?;
    let parts = kinds.iter().map(|kind| Part::of(*kind, kinds, filter.as_ref(), parameters));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let body = match paging {
        Paging::Index { start_index, count } => {
            let mut total = 0;
            let mut resources = Vec::new();
            for part in &parts {
                let represent = |stored: &Stored, extra: &Extra| represent(part.kind, stored, extra, base);
                let begin = start_index.saturating_sub(total).max(1);
                let request = part.request(&represent);
                let page = directory.list_by_index(&request, begin, count - resources.len()).await?;
                total += page.total;
                resources.extend(part.project(page.resources));
            }
            message::list_response(total, start_index, resources)
        }
        Paging::Cursor { cursor, count } => {
            let begin = match cursor {
                Some(cursor) => directory.follow_cursor(&name, &cursor).await?,
                None => Place { kind: kinds[0], after: None },
            };
            let mut after = begin.after;
            let mut resources = Vec::new();
            let mut next = None;
            for part in parts.iter().skip_while(|part| part.kind != begin.kind) {
                if resources.len() == count {
                    next = Some(Place { kind: part.kind, after: None });
                    break;
                }
                let represent = |stored: &Stored, extra: &Extra| represent(part.kind, stored, extra, base);
                let request = part.request(&represent);
                let page = directory.list_by_cursor(&request, after.take(), count - resources.len()).await?;
                resources.extend(part.project(page.resources));
                if let Some(after) = page.next {
                    next = Some(Place { kind: part.kind, after: Some(after) });
                    break;
                }
            }
            let next = match next {
                Some(place) => Some(directory.leave_cursor(&name, &place).await?),
                None => None,
            };
            message::cursor_response(next, resources)
        }
    };
    bounded_answer(StatusCode::OK, &body)
}

/// What a query asks of one kind of resource.
struct Part {
    kind: Kind,
    filter: Option<Predicate>,
    sort: Option<Sort>,
    projection: Projection,
}

impl Part {
    fn of(
        kind: Kind,
        kinds: &[Kind],
        filter: Option<&Filter>,
        parameters: &Parameters,
    ) -> Result<Self, Invalid> {
        let resource_type = kind.resource_type();
        let others: &'static [&'static ResourceType] = if kinds.len() == 1 { &[] } else { &RESOURCE_TYPES };
        Ok(Self {
            kind,
            filter: filter.map(|filter| filter.resolve_among(resource_type, others)).transpose()?,
            sort: parameters.sort(resource_type, others)?,
            projection: parameters.projection(resource_type)?,
        })
    }

    fn request<'a>(&'a self, represent: &'a Represent<'a>) -> ListRequest<'a> {
        ListRequest {
            kind: self.kind,
            filter: self.filter.as_ref(),
            sort: self.sort.as_ref(),
            with_extra: self.projection.wants(self.kind.extra()),
            represent,
        }
    }

    fn project(&self, resources: Vec<Map<String, Value>>) -> impl Iterator<Item = Map<String, Value>> {
        resources.into_iter().map(|resource| self.projection.apply(resource))
    }
}
