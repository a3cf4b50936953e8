//! List and search: `GET` on a collection and `POST …/.search` (RFC 7644 §3.4.2, §3.4.3).

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{ResourceKind, message};
use serde_json::Value;

use super::{
    list_query::{ListQuery, Paging},
    request::{BaseUrl, ReadCaller},
    response::{BoundedText, Form, too_large},
    route::Route,
};
use crate::{
    App, Error,
    pace::Pace,
    store::{Listed, Query, representation::Shown},
    telemetry::Notes,
};

/// Returns the list route and the search route of one kind of resource.
pub(super) fn routes(kind: ResourceKind, collection: &'static str, search: &'static str) -> Vec<Route> {
    let handler = move |app: State<App>,
                        caller: ReadCaller,
                        base: BaseUrl,
                        notes: Notes,
                        query: ListQuery| async move {
        list(&[kind], app, caller, base, (notes, query)).await
    };
    vec![
        Route::new(Method::GET, collection, routing::get(handler)),
        Route::new(Method::POST, search, routing::post(handler)),
    ]
}

/// Returns the route of the search over all kinds of resource.
pub(super) fn root_routes() -> Vec<Route> {
    let handler = |app: State<App>, caller: ReadCaller, base: BaseUrl, notes: Notes, query: ListQuery| async move {
        list(&ResourceKind::ALL, app, caller, base, (notes, query)).await
    };
    vec![Route::new(Method::POST, "/.search", routing::post(handler))]
}

/// Answers one page of the resources of these kinds, one kind after the other.
async fn list(
    kinds: &[ResourceKind],
    State(app): State<App>,
    ReadCaller(caller): ReadCaller,
    BaseUrl(base): BaseUrl,
    (notes, list_query): (Notes, ListQuery),
) -> Result<Response, Error> {
    if let ([kind], true) = (kinds, notes.is_kept()) {
        notes.searched(list_query.name_of(*kind).as_deref());
    }
    let query = list_query.resolve(kinds, &base)?;
    let directory = app.store.directory(&caller);
    let is_filtered = list_query.is_filtered();
    let (body, resources) = match list_query.paging {
        Paging::Index { start_index, count } => {
            let page = directory.page_by_index(&query, start_index, count).await?;
            (message::list_response(page.total, start_index, page.resources.len()), page.resources)
        }
        Paging::Cursor { cursor, count } => {
            let page = directory.page_by_cursor(&query, cursor.as_deref(), count).await?;
            (message::cursor_response(page.total, page.next, page.resources.len()), page.resources)
        }
    };
    if let ([_], [only], true) = (kinds, resources.as_slice(), is_filtered) {
        notes.found(&only.stored.id);
    }
    for form in [Form::Whole, Form::Values] {
        if let Some(body) = page(&query, &body, &resources, form).await? {
            return Ok(body.into_response(StatusCode::OK));
        }
    }
    Err(too_large())
}

/// Writes the body of a page. Returns `None` if it would be too large.
async fn page(
    query: &Query<'_>,
    body: &Value,
    resources: &[Listed],
    form: Form,
) -> Result<Option<BoundedText>, Error> {
    const END: &str = "]}";
    let head = body.to_string();
    let mut text = BoundedText::default();
    let mut is_full = text.write_text(head.trim_end_matches(END)).is_none();
    let mut pace = Pace::new();
    for (index, Listed { kind, stored, memberships }) in resources.iter().enumerate() {
        let Some(request) = query.requests.iter().find(|request| request.kind == *kind) else { continue };
        let stored = stored.unpack()?;
        let shown = Shown::new(*kind, &stored, memberships, request.base, &request.projection);
        let separator = if index == 0 { "" } else { "," };
        is_full |= text.write_text(separator).and_then(|()| form.write(&mut text, shown)).is_none();
        if is_full {
            return Ok(None);
        }
        pace.step().await;
    }
    Ok(text.write_text(END).map(|()| text))
}
