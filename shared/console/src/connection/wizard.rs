//! The pages of the steps, and the forms on them that create a key or a client.

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Redirect, Response},
    routing,
};
use serde::Deserialize;

use crate::{
    Console,
    access::{Change, Viewer},
    page::{Frame, Refusal, refusal},
};

use super::{
    credential::WizardKey,
    entra, okta,
    steps::Steps,
    trust::Federation,
    verify::{Provider, Since},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/connection/{provider}", routing::get(steps))
        .route("/console/connection/{provider}/{way}", routing::get(to_steps).post(create))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// When the page was opened.
    since: String,
    /// `other` for the choice between the ways, also if a client exists.
    way: String,
}

async fn steps(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path(provider): Path<String>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let frame = frame.of(viewer.clone(), "connection");
    let Some(provider) = Provider::parse(&provider) else { return refusal(&frame, Refusal::NotFound) };
    let Asked { since, way } = query.map(|Query(asked)| asked).unwrap_or_default();
    let steps =
        Steps { console: &console, frame: &frame, viewer: &viewer, provider, since: Since::new(since) };
    let shown = async {
        match provider {
            Provider::Okta => okta::page(&steps, WizardKey::read(&steps).await?).await,
            Provider::Entra => entra::page(&steps, way == "other").await,
        }
    };
    shown.await.unwrap_or_else(|why| refusal(&frame, why))
}

/// Leads to the page of the steps, which has the forms.
async fn to_steps(viewer: Viewer, frame: Frame, Path((provider, _)): Path<(String, String)>) -> Response {
    match Provider::parse(&provider) {
        Some(provider) => Redirect::to(&format!("{}/{}", frame.base, provider.path())).into_response(),
        None => refusal(&frame.of(viewer, "connection"), Refusal::NotFound),
    }
}

/// Creates a key or a client.
async fn create(
    State(console): State<Console>,
    frame: Frame,
    Path((provider, way)): Path<(String, String)>,
    Change { viewer, form }: Change<Federation>,
) -> Response {
    let frame = frame.of(viewer.clone(), "connection");
    let Some(provider) = Provider::parse(&provider) else { return refusal(&frame, Refusal::NotFound) };
    let frame = frame.at(provider.path());
    let steps =
        Steps { console: &console, frame: &frame, viewer: &viewer, provider, since: Since::default() };
    let shown = async {
        match (provider, way.as_str()) {
            (Provider::Okta, "key") => okta::page(&steps, WizardKey::create(&steps, &form.form).await?).await,
            (Provider::Entra, "key") => entra::create_key(&steps, &form.form).await,
            (Provider::Entra, "secret") => entra::create_secret(&steps, &form.form).await,
            (Provider::Entra, "federation") => entra::create_federation(&steps, form).await,
            _ => Err(Refusal::NotFound),
        }
    };
    shown.await.unwrap_or_else(|why| refusal(&frame, why))
}
