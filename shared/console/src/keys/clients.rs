//! Changes of OAuth clients and their secrets.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing,
};
use serde::Deserialize;
use service::{
    Error,
    store::{ClientAuthentication, ClientRecord, NewClient},
};
use texts::fill;

use crate::{
    Console,
    access::{Change, Viewer},
    fields::{Entered, Faults, Longest},
    once::{new_form, repeatable},
    page::{Frame, Refusal, refusal},
    review::{Review, Shown},
};

use super::{
    list::{Extra, page},
    view::client_name,
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/clients", routing::get(to_list).post(create))
        .route("/console/clients/{id}/secret", routing::get(review_secret).post(add_secret))
        .route("/console/clients/{id}/delete", routing::get(review_deletion).post(delete))
        .route("/console/clients/{id}/secrets/{secret}/end", routing::get(review_end).post(end))
}

/// A request about a client.
struct Request<'a> {
    console: &'a Console,
    frame: &'a Frame,
    viewer: &'a Viewer,
}

#[derive(Deserialize)]
struct Confirmed {}

/// The form is on the list.
async fn to_list(frame: Frame) -> Redirect {
    Redirect::to(&format!("{}/keys", frame.base))
}

async fn create(
    State(console): State<Console>,
    frame: Frame,
    Change { viewer, form }: Change<Entered>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    request.create(form).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn review_secret(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path(id): Path<String>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    let entered = new_form(&console.app).map(Entered::key);
    let page = match entered {
        Ok(entered) => request.secret_page(&id, entered, Faults::default()).await,
        Err(error) => Err(error.into()),
    };
    page.unwrap_or_else(|why| refusal(&frame, why))
}

async fn add_secret(
    State(console): State<Console>,
    frame: Frame,
    Path(id): Path<String>,
    Change { viewer, form }: Change<Entered>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    request.add_secret(&id, form).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn review_deletion(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path(id): Path<String>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    request.deletion_page(&id).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn delete(
    State(console): State<Console>,
    frame: Frame,
    Path(id): Path<String>,
    Change { viewer, .. }: Change<Confirmed>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    let deleted = console.app.store.delete_client(&viewer.org, &id, &viewer.actor()).await;
    request.done(deleted, "deleted").await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn review_end(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path((id, secret)): Path<(String, String)>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    request.end_page(&id, &secret).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn end(
    State(console): State<Console>,
    frame: Frame,
    Path((id, secret)): Path<(String, String)>,
    Change { viewer, .. }: Change<Confirmed>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer };
    let ended = console.app.store.end_secret(&viewer.org, &id, &secret, &viewer.actor()).await;
    request.done(ended, "ended").await.unwrap_or_else(|why| refusal(&frame, why))
}

impl Request<'_> {
    async fn create(&self, entered: Entered) -> Result<Response, Refusal> {
        let (app, frame, texts, org) = (&self.console.app, self.frame, &self.frame.t.keys, &self.viewer.org);
        let mut faults = entered.check(frame);
        let ends = entered.end(frame, app.store.clock().now(), Longest::Secret, &mut faults);
        if faults.any() {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let extra = Extra { client: Some((entered, faults)), status, ..Extra::default() };
            return page(self.console, frame, self.viewer, extra).await;
        }
        let repeatable = repeatable(app, self.viewer, &entered.form).await?;
        let before = app.store.clients(org).await?;
        let authentication = ClientAuthentication::Secret(ends);
        let new = NewClient { scopes: entered.scopes(), label: entered.label(), authentication, repeatable };
        let (client, secret) =
            match app.store.create_client(org, &new, &app.pepper, &self.viewer.actor()).await {
                Ok(created) => created,
                Err(Error::Conflict(_)) => {
                    let extra = Extra {
                        client: Some((entered, Faults::default())),
                        ..Extra::refused(StatusCode::CONFLICT, texts.full_clients)
                    };
                    return page(self.console, frame, self.viewer, extra).await;
                }
                Err(error) => return Err(error.into()),
            };
        match secret {
            Some(secret) if before.iter().all(|known| known.id != client.id) => {
                Ok(self.shown(&client.id, secret.reveal()))
            }
            _ => page(self.console, frame, self.viewer, Extra::repeated(frame)).await,
        }
    }

    /// Returns the page that shows a secret once.
    fn shown(&self, client: &str, secret: &str) -> Response {
        let (frame, texts) = (self.frame, &self.frame.t.keys);
        let values = vec![
            ("client", texts.client_id, client.to_owned()),
            ("secret", texts.client_secret, secret.to_owned()),
            ("endpoint", texts.token_url, frame.token_url.clone()),
        ];
        Shown { frame, title: texts.shown_secret, values, rotation: None }.respond()
    }

    async fn client(&self, id: &str) -> Result<Option<ClientRecord>, Refusal> {
        Ok(self.console.app.store.client(&self.viewer.org, id).await?)
    }

    /// Returns the list with the notice that the client or the secret does not exist any more.
    async fn stale(&self) -> Result<Response, Refusal> {
        let extra = Extra::refused(StatusCode::NOT_FOUND, self.frame.t.keys.stale_client);
        page(self.console, self.frame, self.viewer, extra).await
    }

    /// Leads back to the list after a change, or says that there was nothing to change.
    async fn done(&self, found: Result<bool, Error>, done: &str) -> Result<Response, Refusal> {
        if found? {
            return Ok(Redirect::to(&format!("{}/keys?done={done}", self.frame.base)).into_response());
        }
        self.stale().await
    }

    async fn secret_page(&self, id: &str, entered: Entered, faults: Faults) -> Result<Response, Refusal> {
        let texts = &self.frame.t.keys;
        let Some(client) = self.client(id).await?.filter(|client| client.trust.is_none()) else {
            return self.stale().await;
        };
        let status = if faults.any() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let review = Review {
            title: fill(texts.add_title, &[("name", &client_name(&client))]),
            lines: vec![texts.add_review.to_owned()],
            action: format!("clients/{id}/secret"),
            expiry: Some((entered, faults)),
            class: "primary",
            button: texts.add_secret,
            back: "keys",
            ..Review::default()
        };
        Ok(review.respond(self.frame, status))
    }

    async fn add_secret(&self, id: &str, entered: Entered) -> Result<Response, Refusal> {
        let (app, org) = (&self.console.app, &self.viewer.org);
        let mut faults = Faults::default();
        let ends = entered.end(self.frame, app.store.clock().now(), Longest::Secret, &mut faults);
        if faults.any() {
            return self.secret_page(id, entered, faults).await;
        }
        let repeatable = repeatable(app, self.viewer, &entered.form).await?;
        let Some(before) = self.client(id).await? else { return self.stale().await };
        let actor = self.viewer.actor();
        let added = app.store.add_secret(org, id, ends, repeatable.as_ref(), &app.pepper, &actor).await;
        match added {
            Ok(Some((_, record))) if before.secrets.iter().any(|known| known.id == record.id) => {
                page(self.console, self.frame, self.viewer, Extra::repeated(self.frame)).await
            }
            Ok(Some((secret, _))) => Ok(self.shown(id, secret.reveal())),
            Ok(None) => self.stale().await,
            Err(Error::Conflict(_)) => {
                let extra = Extra::refused(StatusCode::CONFLICT, self.frame.t.keys.full_client);
                page(self.console, self.frame, self.viewer, extra).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn deletion_page(&self, id: &str) -> Result<Response, Refusal> {
        let texts = &self.frame.t.keys;
        let Some(client) = self.client(id).await? else { return self.stale().await };
        let review = Review {
            title: fill(texts.delete_title, &[("name", &client_name(&client))]),
            lines: vec![texts.delete_review.to_owned()],
            action: format!("clients/{id}/delete"),
            class: "danger",
            button: texts.delete,
            back: "keys",
            ..Review::default()
        };
        Ok(review.respond(self.frame, StatusCode::OK))
    }

    async fn end_page(&self, id: &str, secret: &str) -> Result<Response, Refusal> {
        let texts = &self.frame.t.keys;
        let client = self.client(id).await?;
        let found = client.as_ref().and_then(|client| {
            client.secrets.iter().find(|known| known.id == secret).map(|secret| (client, secret))
        });
        let Some((client, secret)) = found else { return self.stale().await };
        let review = Review {
            title: fill(texts.end_title, &[("four", &secret.last_four), ("name", &client_name(client))]),
            lines: vec![texts.end_review.to_owned()],
            action: format!("clients/{id}/secrets/{}/end", secret.id),
            class: "danger",
            button: texts.end_secret,
            back: "keys",
            ..Review::default()
        };
        Ok(review.respond(self.frame, StatusCode::OK))
    }
}
