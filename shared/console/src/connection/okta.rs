//! The steps for Okta.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::{Redirect, Response},
    routing,
};
use serde::Deserialize;

use crate::{
    Console,
    access::{Change, Viewer},
    page::{Frame, Refusal, refusal, show},
};

use super::{
    credential::WizardKey,
    verify::{Provider, Since, Verify},
};

const PATH: &str = "connection/okta";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/connection/okta", routing::get(steps))
        .route("/console/connection/okta/key", routing::get(to_steps).post(create_key))
}

#[derive(Template)]
#[template(path = "okta.html")]
struct OktaPage<'a> {
    frame: &'a Frame,
    is_enabled: bool,
    /// Whether the page shows a key, which a change of the page would lose.
    has_secret: bool,
    fault: Option<&'static str>,
    key: WizardKey,
    verify: Verify,
}

async fn page(
    console: &Console,
    frame: &Frame,
    viewer: &Viewer,
    key: WizardKey,
    since: Since,
) -> Result<Response, Refusal> {
    let verify = Verify::read(console, frame, viewer, Provider::Okta, since).await?;
    let (is_enabled, has_secret) = (viewer.organisation.enabled, key.shown.is_some());
    let page = OktaPage { frame, is_enabled, has_secret, fault: None, key, verify };
    Ok(show(&page))
}

/// The form is on the page of the steps.
async fn to_steps(frame: Frame) -> Redirect {
    Redirect::to(&format!("{}/{PATH}", frame.base))
}

async fn steps(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Since>, QueryRejection>,
) -> Response {
    let frame = frame.of(viewer.clone(), "connection");
    let since = query.map(|Query(since)| since).unwrap_or_default();
    let shown = async {
        let key = WizardKey::read(&console, &frame, &viewer, frame.t.common.okta).await?;
        page(&console, &frame, &viewer, key, since).await
    };
    shown.await.unwrap_or_else(|why| refusal(&frame, why))
}

#[derive(Deserialize)]
struct NewKey {
    #[serde(default)]
    form: String,
}

async fn create_key(State(console): State<Console>, frame: Frame, change: Change<NewKey>) -> Response {
    let Change { viewer, form: NewKey { form } } = change;
    let frame = frame.of(viewer.clone(), "connection").at(PATH);
    let shown = async {
        let key = WizardKey::create(&console, &frame, &viewer, (frame.t.common.okta, &form)).await?;
        page(&console, &frame, &viewer, key, Since::default()).await
    };
    shown.await.unwrap_or_else(|why| refusal(&frame, why))
}
