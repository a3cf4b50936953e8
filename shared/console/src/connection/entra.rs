//! The steps for Microsoft Entra ID, which proves itself by federation, with a client secret or with a key.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{Redirect, Response},
    routing,
};
use serde::Deserialize;
use service::{
    Error,
    auth::Scope,
    store::{ClientAuthentication, NewClient},
};

use crate::{
    Console,
    access::{Change, Viewer},
    once::repeatable,
    page::{Frame, Refusal, refusal, show_as},
};

use super::{
    credential::WizardKey,
    trust::Federation,
    verify::{Provider, Since, Verify},
};

const PATH: &str = "connection/entra";
/// The flag with which Entra follows the RFC.
const FLAG: &str = "?aadOptscim062020";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/connection/entra", routing::get(steps))
        .route("/console/connection/entra/federation", routing::get(to_steps).post(create_federation))
        .route("/console/connection/entra/secret", routing::get(to_steps).post(create_secret))
        .route("/console/connection/entra/key", routing::get(to_steps).post(create_key))
}

/// How Entra proves itself.
enum Way {
    /// The person has not chosen yet.
    Choice { federation: Federation, key: WizardKey, form: String },
    /// With assertions. The client exists.
    Federation { client: String },
    /// With a client secret, which is shown once.
    Secret { client: String, secret: Option<String> },
    /// With a key, which is shown once.
    Key { key: String },
}

#[derive(Template)]
#[template(path = "entra.html")]
struct EntraPage<'a> {
    frame: &'a Frame,
    is_enabled: bool,
    /// Whether the page shows a secret, which a change of the page would lose.
    has_secret: bool,
    fault: Option<&'static str>,
    tenant_url: String,
    way: Way,
    verify: Verify,
}

/// A request for the page.
struct Request<'a> {
    console: &'a Console,
    frame: &'a Frame,
    viewer: &'a Viewer,
    since: Since,
}

impl Request<'_> {
    async fn page(
        self,
        way: Way,
        fault: Option<&'static str>,
        status: StatusCode,
    ) -> Result<Response, Refusal> {
        let Self { console, frame, viewer, since } = self;
        let verify = Verify::read(console, frame, viewer, Provider::Entra, since).await?;
        let page = EntraPage {
            frame,
            is_enabled: viewer.organisation.enabled,
            has_secret: matches!(way, Way::Secret { secret: Some(_), .. } | Way::Key { .. }),
            fault,
            tenant_url: format!("{}{FLAG}", frame.scim_url),
            way,
            verify,
        };
        Ok(show_as(status, &page))
    }

    /// Returns the page with the choice of the way.
    async fn choice(
        self,
        federation: Federation,
        fault: Option<&'static str>,
        status: StatusCode,
    ) -> Result<Response, Refusal> {
        let label = self.frame.t.common.entra;
        let key = WizardKey::read(self.console, self.frame, self.viewer, label).await?;
        let form = key.form.clone();
        self.page(Way::Choice { federation, key, form }, fault, status).await
    }

    async fn key(self, form: &str) -> Result<Response, Refusal> {
        let label = self.frame.t.common.entra;
        let key = WizardKey::create(self.console, self.frame, self.viewer, (label, form)).await?;
        let form = key.form.clone();
        let way = match key.shown {
            Some(key) => Way::Key { key },
            None => Way::Choice { federation: Federation::default(), key, form },
        };
        self.page(way, None, StatusCode::OK).await
    }

    /// Creates a client. A repeat of the form returns the client that it has created, without a secret.
    async fn client(
        &self,
        authentication: ClientAuthentication,
        form: &str,
    ) -> Result<(String, Option<String>), Error> {
        let (app, org) = (&self.console.app, &self.viewer.org);
        let before = app.store.clients(org).await?;
        let repeatable = repeatable(app, self.viewer, form).await?;
        let label = Some(self.frame.t.common.entra.to_owned());
        let new = NewClient { scopes: [Scope::Scim].into(), label, authentication, repeatable };
        let (client, secret) = app.store.create_client(org, &new, &app.pepper, &self.viewer.actor()).await?;
        let is_new = before.iter().all(|known| known.id != client.id);
        Ok((client.id, secret.filter(|_| is_new).map(|secret| secret.reveal().to_owned())))
    }

    async fn secret(self, form: &str) -> Result<Response, Refusal> {
        match self.client(ClientAuthentication::Secret(None), form).await {
            Ok((client, secret)) => self.page(Way::Secret { client, secret }, None, StatusCode::OK).await,
            Err(error) => self.failed(Federation::default(), error).await,
        }
    }

    async fn federation(self, entered: Federation) -> Result<Response, Refusal> {
        let trust = match entered.clone().trust() {
            Ok(trust) => trust,
            Err(refused) => return self.choice(refused, None, StatusCode::UNPROCESSABLE_ENTITY).await,
        };
        match self.client(ClientAuthentication::Federation(trust), &entered.form).await {
            Ok((client, _)) => self.page(Way::Federation { client }, None, StatusCode::OK).await,
            Err(error) => self.failed(entered, error).await,
        }
    }

    /// Returns the page after a client was not created.
    async fn failed(self, entered: Federation, error: Error) -> Result<Response, Refusal> {
        match error {
            Error::Conflict(_) => {
                let fault = Some(self.frame.t.connection.too_many_clients);
                self.choice(entered, fault, StatusCode::CONFLICT).await
            }
            error => Err(error.into()),
        }
    }
}

/// The forms are on the page of the steps.
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
    let request = Request { console: &console, frame: &frame, viewer: &viewer, since };
    let page = request.choice(Federation::default(), None, StatusCode::OK).await;
    page.unwrap_or_else(|why| refusal(&frame, why))
}

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    form: String,
}

async fn create_key(State(console): State<Console>, frame: Frame, change: Change<Form>) -> Response {
    let Change { viewer, form: Form { form } } = change;
    let frame = frame.of(viewer.clone(), "connection").at(PATH);
    let request = Request { console: &console, frame: &frame, viewer: &viewer, since: Since::default() };
    request.key(&form).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn create_secret(State(console): State<Console>, frame: Frame, change: Change<Form>) -> Response {
    let Change { viewer, form: Form { form } } = change;
    let frame = frame.of(viewer.clone(), "connection").at(PATH);
    let request = Request { console: &console, frame: &frame, viewer: &viewer, since: Since::default() };
    request.secret(&form).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn create_federation(
    State(console): State<Console>,
    frame: Frame,
    change: Change<Federation>,
) -> Response {
    let Change { viewer, form } = change;
    let frame = frame.of(viewer.clone(), "connection").at(PATH);
    let request = Request { console: &console, frame: &frame, viewer: &viewer, since: Since::default() };
    request.federation(form).await.unwrap_or_else(|why| refusal(&frame, why))
}
