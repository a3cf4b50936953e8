//! The list of keys and clients, with the forms that create them.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
    routing,
};
use serde::Deserialize;
use service::store::{MAX_CLIENTS, NewKey};
use texts::fill;

use crate::{
    Console,
    access::{Change, Viewer},
    fields::{Entered, Faults, Longest},
    once::{new_form, repeatable},
    page::{Frame, Refusal, refusal, show_as},
    review::Shown,
};

use super::{
    rotation::rotations,
    view::{ClientView, KeyView, Now, PairView},
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/keys", routing::get(list).post(create))
}

/// The largest number of ended keys that the page shows.
const ENDED: usize = 100;

/// The parts that a page of keys shows besides keys and clients.
#[derive(Default)]
pub(super) struct Extra {
    /// The class and the text of a notice.
    pub(super) notice: Option<(&'static str, String)>,
    pub(super) status: StatusCode,
    /// A refused form for a key.
    pub(super) key: Option<(Entered, Faults)>,
    /// A refused form for a client.
    pub(super) client: Option<(Entered, Faults)>,
}

impl Extra {
    /// Says that something was not done.
    pub(super) fn refused(status: StatusCode, text: impl Into<String>) -> Self {
        Self { notice: Some(("bad", text.into())), status, ..Self::default() }
    }

    /// Says that a form was sent again.
    pub(super) fn repeated(frame: &Frame) -> Self {
        Self { notice: Some(("warn", frame.t.keys.repeated.to_owned())), ..Self::default() }
    }
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage<'a> {
    frame: &'a Frame,
    notice: Option<(&'static str, String)>,
    rotations: Vec<PairView>,
    keys: Vec<KeyView>,
    ended: Vec<KeyView>,
    ended_title: String,
    clients: Vec<ClientView>,
    new_key: Entered,
    key_faults: Faults,
    new_client: Entered,
    client_faults: Faults,
    /// Whether the organisation can have no more clients.
    is_full: bool,
    /// Whether the form for a client was refused, so that it shows what was entered.
    is_client_refused: bool,
}

/// Returns the page of keys and clients.
pub(super) async fn page(
    console: &Console,
    frame: &Frame,
    viewer: &Viewer,
    extra: Extra,
) -> Result<Response, Refusal> {
    let store = &console.app.store;
    let (records, clients) = tokio::try_join!(store.keys(&viewer.org), store.clients(&viewer.org))?;
    let text = store.clock().timestamp()?;
    let now = Now { time: store.clock().now(), text: &text };
    let pairs = rotations(&records, &text);
    let in_rotation = |id: &str| pairs.iter().any(|pair| pair.old.id == id || pair.new.id == id);
    let (keys, ended): (Vec<_>, Vec<_>) = records
        .iter()
        .rev()
        .filter(|key| !in_rotation(&key.id))
        .map(|key| KeyView::new(frame, key, now))
        .partition(|key| key.is_live);
    let (new_key, key_faults) = match extra.key {
        Some((entered, faults)) => (entered.again(new_form(&console.app)?), faults),
        None => (Entered::key(new_form(&console.app)?), Faults::default()),
    };
    let is_client_refused = extra.client.is_some();
    let (new_client, client_faults) = match extra.client {
        Some((entered, faults)) => (entered.again(new_form(&console.app)?), faults),
        None => (Entered::key(new_form(&console.app)?), Faults::default()),
    };
    let page = KeysPage {
        frame,
        notice: extra.notice,
        rotations: pairs.iter().map(|pair| PairView::new(frame, pair, now)).collect(),
        keys,
        ended_title: fill(frame.t.keys.old_keys, &[("count", &ended.len().to_string())]),
        ended: ended.into_iter().take(ENDED).collect(),
        clients: clients.iter().map(|client| ClientView::new(frame, client, now)).collect(),
        new_key,
        key_faults,
        new_client,
        client_faults,
        is_full: clients.len() >= MAX_CLIENTS,
        is_client_refused,
    };
    Ok(show_as(extra.status, &page))
}

#[derive(Default, Deserialize)]
struct Done {
    #[serde(default)]
    done: String,
}

async fn list(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Done>, QueryRejection>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let texts = &frame.t.keys;
    let notice = match query.map(|Query(query)| query.done).unwrap_or_default().as_str() {
        "revoked" => Some(texts.done_revoked),
        "completed" => Some(texts.done_completed),
        "cancelled" => Some(texts.done_cancelled),
        "deleted" => Some(texts.done_deleted),
        "ended" => Some(texts.done_ended),
        _ => None,
    };
    let extra = Extra { notice: notice.map(|text| ("ok", text.to_owned())), ..Extra::default() };
    page(&console, &frame, &viewer, extra).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn create(
    State(console): State<Console>,
    frame: Frame,
    Change { viewer, form }: Change<Entered>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    created(&console, &frame, &viewer, form).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn created(
    console: &Console,
    frame: &Frame,
    viewer: &Viewer,
    entered: Entered,
) -> Result<Response, Refusal> {
    let app = &console.app;
    let mut faults = entered.check(frame);
    let ends = entered.end(frame, app.store.clock().now(), Longest::Key, &mut faults);
    if faults.any() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let extra = Extra { key: Some((entered, faults)), status, ..Extra::default() };
        return page(console, frame, viewer, extra).await;
    }
    let repeatable = repeatable(app, viewer, &entered.form).await?;
    let before = app.store.keys(&viewer.org).await?;
    let new = NewKey { scopes: entered.scopes(), label: entered.label(), ends, repeatable };
    let (key, record) = app.store.create_key(&viewer.org, &new, &app.pepper, &viewer.actor()).await?;
    if before.iter().any(|known| known.id == record.id) {
        return page(console, frame, viewer, Extra::repeated(frame)).await;
    }
    let texts = &frame.t.keys;
    let values = vec![("secret", texts.key, key.reveal().to_owned())];
    Ok(Shown { frame, title: texts.shown_key, values, rotation: None }.respond())
}
