//! The state of the connection, the switch of SCIM, and the choice of the identity provider.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing,
};
use serde::Deserialize;
use service::{Error, request_log::Filter, store::OrgChange};
use texts::fill;

use crate::{
    Console,
    access::{Change, Viewer, is_page},
    clock::Moment,
    page::{Frame, Refusal, refusal, show_as},
    review::Review,
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/connection", routing::get(connection))
        .route("/console/connection/scim", routing::get(review).post(switch))
}

/// The class and the text of a notice.
type Notice = Option<(&'static str, &'static str)>;

#[derive(Template)]
#[template(path = "connection.html")]
struct ConnectionPage<'a> {
    frame: &'a Frame,
    notice: Notice,
    is_enabled: bool,
    /// The client and the time of the last request.
    last: Option<(&'static str, Moment)>,
    credentials: String,
}

async fn page(
    console: &Console,
    frame: &Frame,
    viewer: &Viewer,
    notice: Notice,
    status: StatusCode,
) -> Result<Response, Refusal> {
    let (store, org, filter) = (&console.app.store, &viewer.org, Filter::default());
    let (log, keys, clients) = tokio::try_join!(
        store.request_log(&viewer.organisation, &filter, 1, None),
        store.keys(org),
        store.clients(org)
    )?;
    let now = store.clock().timestamp()?;
    let live = keys.iter().filter(|key| key.is_live(&now)).count().to_string();
    let counts = [("keys", live.as_str()), ("clients", &clients.len().to_string())];
    let page = ConnectionPage {
        frame,
        notice,
        is_enabled: viewer.organisation.enabled,
        last: log.items.first().map(|entry| (frame.client(&entry.client), frame.moment(&entry.at))),
        credentials: fill(frame.t.connection.credentials_count, &counts),
    };
    Ok(show_as(status, &page))
}

#[derive(Default, Deserialize)]
struct Done {
    #[serde(default)]
    done: String,
}

async fn connection(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Done>, QueryRejection>,
) -> Response {
    let frame = frame.of(viewer.clone(), "connection");
    let texts = &frame.t.connection;
    let notice = match query.map(|Query(query)| query.done).unwrap_or_default().as_str() {
        "on" if viewer.organisation.enabled => Some(("ok", texts.done_on)),
        "off" if !viewer.organisation.enabled => Some(("warn", texts.done_off)),
        _ => None,
    };
    let page = page(&console, &frame, &viewer, notice, StatusCode::OK).await;
    page.unwrap_or_else(|why| refusal(&frame, why))
}

/// Says what happens if SCIM is turned off.
async fn review(State(console): State<Console>, viewer: Viewer, frame: Frame) -> Response {
    let frame = frame.of(viewer.clone(), "connection");
    let texts = &frame.t.connection;
    if !viewer.organisation.enabled {
        let notice = Some(("warn", texts.already_off));
        let page = page(&console, &frame, &viewer, notice, StatusCode::OK).await;
        return page.unwrap_or_else(|why| refusal(&frame, why));
    }
    let lines = [texts.off_review_requests, texts.off_review_data, texts.off_review_entra];
    let review = Review {
        title: texts.off_title.to_owned(),
        lines: lines.map(str::to_owned).into(),
        action: "connection/scim".to_owned(),
        hidden: vec![("enabled", "false".to_owned())],
        class: "danger",
        button: texts.turn_off,
        back: "connection",
        ..Review::default()
    };
    review.respond(&frame, StatusCode::OK)
}

#[derive(Deserialize)]
struct Switch {
    enabled: bool,
    /// The path of the page that the form was on.
    #[serde(default)]
    page: String,
}

async fn switch(State(console): State<Console>, frame: Frame, change: Change<Switch>) -> Response {
    let Change { viewer, form: Switch { enabled, page: of_form } } = change;
    let frame = frame.of(viewer.clone(), "connection");
    let change = OrgChange { enabled: Some(enabled), ..OrgChange::default() };
    match console.app.store.change_org(&viewer.org, change, &viewer.actor()).await {
        Ok(Some(_)) if is_page(&frame.base, &of_form) => Redirect::to(&of_form).into_response(),
        Ok(Some(_)) => {
            let done = if enabled { "on" } else { "off" };
            Redirect::to(&format!("{}/connection?done={done}", frame.base)).into_response()
        }
        Ok(None) => refusal(&frame, Refusal::Session),
        Err(Error::Conflict(_)) => {
            let notice = Some(("bad", frame.t.connection.busy));
            let page = page(&console, &frame, &viewer, notice, StatusCode::CONFLICT).await;
            page.unwrap_or_else(|why| refusal(&frame, why))
        }
        Err(error) => refusal(&frame, error.into()),
    }
}
