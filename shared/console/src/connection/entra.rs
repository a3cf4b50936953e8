//! The steps for Microsoft Entra ID, which proves itself by federation, with a client secret or with a key.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use service::{
    Error,
    auth::Scope,
    store::{ClientAuthentication, ClientRecord, MAX_CLIENTS, NewClient},
};
use texts::fill;

use crate::{
    once::repeatable,
    page::{Frame, Refusal, show_as},
};

use super::{
    credential::WizardKey,
    steps::Steps,
    trust::{Federation, is_of_entra},
    verify::Verify,
};

/// The flag with which Entra follows the RFC.
const FLAG: &str = "?aadOptscim062020";

/// How Entra proves itself.
enum Way {
    /// The person has not chosen yet. A full organisation can create no client.
    Choice { federation: Federation, key: WizardKey, form: String, is_full: bool },
    /// With assertions. The client exists.
    Federation { client: String, note: String },
    /// With a client secret, which is shown once.
    Secret { client: String, secret: Option<String>, note: &'static str, hint: &'static str },
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
    tenant_url: String,
    way: Way,
    verify: Verify,
}

async fn show(steps: &Steps<'_>, way: Way, status: StatusCode) -> Result<Response, Refusal> {
    let page = EntraPage {
        frame: steps.frame,
        is_enabled: steps.is_enabled(),
        has_secret: matches!(way, Way::Secret { secret: Some(_), .. } | Way::Key { .. }),
        tenant_url: format!("{}{FLAG}", steps.frame.scim_url),
        way,
        verify: steps.verify().await?,
    };
    Ok(show_as(status, &page))
}

/// Returns the page of the steps. If a client of Entra exists, they go on from there, unless the person wants another way.
pub(super) async fn page(steps: &Steps<'_>, is_other: bool) -> Result<Response, Refusal> {
    let clients = clients(steps).await?;
    let is_candidate = |client: &&ClientRecord| {
        client.scopes.contains(&Scope::Scim)
            && (client.trust.as_ref().is_some_and(is_of_entra)
                || client.label.as_deref() == Some(steps.label()))
    };
    let newest = clients.iter().filter(is_candidate).max_by_key(|client| client.created.as_str());
    match newest.filter(|_| !is_other) {
        Some(client) => show(steps, existing(steps.frame, client), StatusCode::OK).await,
        None => choice(steps, Federation::default(), clients.len() >= MAX_CLIENTS, StatusCode::OK).await,
    }
}

async fn clients(steps: &Steps<'_>) -> Result<Vec<ClientRecord>, Error> {
    steps.console.app.store.clients(&steps.viewer.org).await
}

fn existing(frame: &Frame, client: &ClientRecord) -> Way {
    let (texts, id) = (&frame.t.connection, client.id.clone());
    if let Some(trust) = &client.trust {
        let values = [("issuer", trust.issuer.as_str()), ("subject", &trust.subject)];
        return Way::Federation { client: id, note: fill(texts.client_exists, &values) };
    }
    Way::Secret { client: id, secret: None, note: texts.secret_exists, hint: texts.secret_exists_hint }
}

/// Returns the page with the choice of the way.
async fn choice(
    steps: &Steps<'_>,
    federation: Federation,
    is_full: bool,
    status: StatusCode,
) -> Result<Response, Refusal> {
    let key = WizardKey::read(steps).await?;
    let form = key.form.clone();
    show(steps, Way::Choice { federation, key, form, is_full }, status).await
}

/// Creates a key, and returns the page that shows it.
pub(super) async fn create_key(steps: &Steps<'_>, form: &str) -> Result<Response, Refusal> {
    match WizardKey::create(steps, form).await?.shown {
        Some(key) => show(steps, Way::Key { key }, StatusCode::OK).await,
        None => page(steps, true).await,
    }
}

/// Creates a client with a secret, and returns the page that shows it.
pub(super) async fn create_secret(steps: &Steps<'_>, form: &str) -> Result<Response, Refusal> {
    match create_client(steps, ClientAuthentication::Secret(None), form).await {
        Ok((client, secret)) => {
            let note = steps.frame.t.keys.repeated;
            show(steps, Way::Secret { client, secret, note, hint: "" }, StatusCode::OK).await
        }
        Err(error) => failed(steps, Federation::default(), error).await,
    }
}

/// Creates a client that trusts a tenant, and returns the page with its values.
pub(super) async fn create_federation(steps: &Steps<'_>, entered: Federation) -> Result<Response, Refusal> {
    let trust = match entered.clone().trust() {
        Ok(trust) => trust,
        Err(refused) => return choice(steps, refused, false, StatusCode::UNPROCESSABLE_ENTITY).await,
    };
    match create_client(steps, ClientAuthentication::Federation(trust), &entered.form).await {
        Ok((client, _)) => {
            let note = steps.frame.t.connection.federation_done.to_owned();
            show(steps, Way::Federation { client, note }, StatusCode::OK).await
        }
        Err(error) => failed(steps, entered, error).await,
    }
}

/// Creates a client. A repeat of the form returns the client that it has created, without a secret.
async fn create_client(
    steps: &Steps<'_>,
    authentication: ClientAuthentication,
    form: &str,
) -> Result<(String, Option<String>), Error> {
    let (app, org) = (&steps.console.app, &steps.viewer.org);
    let before = clients(steps).await?;
    let repeatable = repeatable(app, steps.viewer, form).await?;
    let label = Some(steps.label().to_owned());
    let new = NewClient { scopes: [Scope::Scim].into(), label, authentication, repeatable };
    let (client, secret) = app.store.create_client(org, &new, &app.pepper, &steps.viewer.actor()).await?;
    let is_new = before.iter().all(|known| known.id != client.id);
    Ok((client.id, secret.filter(|_| is_new).map(|secret| secret.reveal().to_owned())))
}

/// Returns the page after a client was not created, with the values that the person has entered.
async fn failed(steps: &Steps<'_>, entered: Federation, error: Error) -> Result<Response, Refusal> {
    match error {
        Error::Conflict(_) => choice(steps, entered, true, StatusCode::CONFLICT).await,
        error => Err(error.into()),
    }
}
