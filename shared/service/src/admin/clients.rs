//! The OAuth clients of an organisation: `/admin/v1/orgs/{org}/clients`.

use std::collections::BTreeSet;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{created, json, no_content},
    fields::{Fields, Refused, end, label, scopes, text},
    idempotency::{check_age, repeatable},
    problem::{Kind, Problem, Problems},
    request::{Body, By, Fill, IdempotencyKey, InOrg, List, NoQuery, OfClient, OfOrg, no_such_org},
    schema::{ScopeName, moment},
};
use crate::{
    App,
    auth::Scope,
    store::{ClientAuthentication, ClientRecord, MAX_SECRET_LIFETIME, NewClient, SecretRecord},
    trust::Trust,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(show, delete))
        .routes(routes!(add_secret))
        .routes(routes!(end_secret))
}

/// An OAuth client without the texts of its secrets.
#[derive(Serialize, ToSchema)]
struct Client {
    /// The id, which is the `client_id` of OAuth.
    #[schema(example = "acme.5a1f0c9e77d2b410")]
    id: String,
    /// The text by which people recognise the client.
    label: Option<String>,
    #[schema(value_type = BTreeSet<ScopeName>)]
    scopes: BTreeSet<Scope>,
    /// When the client was created.
    #[schema(format = DateTime)]
    created: String,
    /// The trust in an identity provider, if the client has no secrets.
    trust: Option<TrustBody>,
    /// The secrets, the oldest first.
    secrets: Vec<ClientSecret>,
}

/// A secret of a client, without its text.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ClientSecret {
    /// The id.
    id: String,
    /// When the secret was created.
    #[schema(format = DateTime)]
    created: String,
    /// When the secret ends.
    #[schema(format = DateTime)]
    ends: String,
    /// The last four characters of the secret's text.
    last_four: String,
}

/// The trust of a client in an identity provider: the claims that an assertion must have, and the source of its keys.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = Trust)]
struct TrustBody {
    /// `iss`: the URL of the identity provider, with https.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    issuer: String,
    /// `aud`.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    audience: String,
    /// `sub`.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    subject: String,
    /// `tid`: the tenant, if it is checked.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    tid: Option<String>,
    /// `azp`: the application that requested the assertion, if it is checked.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    azp: Option<String>,
    /// The URL of the keys, on the host of the issuer. Without it, the discovery document of the issuer names the URL.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    jwks_uri: Option<String>,
}

impl From<Trust> for TrustBody {
    fn from(trust: Trust) -> Self {
        let Trust { issuer, audience, subject, tid, azp, jwks_uri } = trust;
        Self { issuer, audience, subject, tid, azp, jwks_uri }
    }
}

impl From<ClientRecord> for Client {
    fn from(record: ClientRecord) -> Self {
        Self {
            id: record.id,
            label: record.label,
            scopes: record.scopes,
            created: record.created,
            trust: record.trust.map(TrustBody::from),
            secrets: record.secrets.into_iter().map(ClientSecret::from).collect(),
        }
    }
}

impl From<SecretRecord> for ClientSecret {
    fn from(record: SecretRecord) -> Self {
        let SecretRecord { id, created, ends, last_four, .. } = record;
        Self { id, created, ends, last_four }
    }
}

/// A new client with its first secret, which no later response has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ClientWithSecret {
    #[serde(flatten)]
    record: Client,
    /// The `client_secret` of OAuth, or null if the client has a trust.
    client_secret: Option<String>,
}

/// A new secret with its text, which no later response has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SecretWithText {
    #[serde(flatten)]
    record: ClientSecret,
    /// The `client_secret` of OAuth.
    client_secret: String,
}

/// A page of OAuth clients, the oldest first.
#[derive(Serialize, ToSchema)]
struct Clients {
    items: Vec<Client>,
    /// The cursor of the next page, or null at the end.
    next: Option<String>,
}

/// A client to be created: with a trust, or else with a secret.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewClient)]
struct NewClientBody {
    /// The operations that the access tokens of the client may permit.
    #[schema(value_type = BTreeSet<ScopeName>, min_items = 1)]
    scopes: BTreeSet<Scope>,
    /// The text by which people recognise the client. It has no control characters.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$"
    )]
    label: Option<String>,
    /// When the secret ends: a time in the next three years. The default is a year from now. A client with a trust has no
    /// secret.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "moment")]
    ends: Option<OffsetDateTime>,
    #[schema(nullable = false)]
    trust: Option<TrustBody>,
}

/// A secret to be added to a client.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    /// When the secret ends: a time in the next three years. The default is a year from now.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "moment")]
    ends: Option<OffsetDateTime>,
}

/// Reads an identifier of a trust.
fn identifier(value: serde_json::Value) -> Result<String, Refused> {
    let text = text(value)?;
    if (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(Refused::form(
            "The value does not have 1 to 512 visible ASCII characters. Copy it from the identity provider.",
        ))
    }
}

impl Fill for NewClientBody {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        let now = app.store.clock().now();
        let scopes = fields.required("scopes", scopes);
        let label = fields.optional("label", label);
        let ends = fields.optional("ends", end(now, MAX_SECRET_LIFETIME));
        let trust = fields.object("trust", |trust| {
            let issuer = trust.required("issuer", identifier);
            let audience = trust.required("audience", identifier);
            let subject = trust.required("subject", identifier);
            let tid = trust.optional("tid", identifier);
            let azp = trust.optional("azp", identifier);
            let jwks_uri = trust.optional("jwksUri", identifier);
            Some(Trust { issuer: issuer?, audience: audience?, subject: subject?, tid, azp, jwks_uri })
        });
        let checked = trust.and_then(|trust| match trust.checked() {
            Ok(trust) => Some(trust),
            Err(invalid) => {
                fields.refuse("trust", Refused::meaning(invalid.detail));
                None
            }
        });
        if ends.is_some() && checked.is_some() {
            let detail =
                "A client with a trust has no secret, so no secret ends. Leave out 'ends' or 'trust'.";
            fields.refuse("ends", Refused::meaning(detail));
        }
        Some(Self { scopes: scopes?, label, ends, trust: checked.map(TrustBody::from) })
    }
}

impl Fill for NewSecret {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        Some(Self { ends: fields.optional("ends", end(app.store.clock().now(), MAX_SECRET_LIFETIME)) })
    }
}

impl NewClientBody {
    fn authentication(&self) -> ClientAuthentication {
        match &self.trust {
            None => ClientAuthentication::Secret(self.ends),
            Some(TrustBody { issuer, audience, subject, tid, azp, jwks_uri }) => {
                ClientAuthentication::Federation(Trust {
                    issuer: issuer.clone(),
                    audience: audience.clone(),
                    subject: subject.clone(),
                    tid: tid.clone(),
                    azp: azp.clone(),
                    jwks_uri: jwks_uri.clone(),
                })
            }
        }
    }
}

fn no_such_client() -> Problem {
    Problem::new(
        Kind::NotFound,
        "The organisation has no client with this id, or the client has no secret with this id. GET \
         /admin/v1/orgs/{org}/clients lists the clients and their secrets.",
    )
}

/// Creates an OAuth client
///
/// With `trust`, the client authenticates with assertions of an identity provider. Otherwise the response contains its first
/// secret. The service stores a digest of it, so no later response contains it.
#[utoipa::path(
    post,
    path = "/admin/v1/orgs/{org}/clients",
    operation_id = "createClient",
    tag = "clients",
    params(("org" = String, Path, description = "The name of the organisation."), IdempotencyKey),
    request_body = NewClientBody,
    responses(
        (
            status = 201,
            description = "The client.",
            body = ClientWithSecret,
            headers(("location" = String, description = "Its path."))
        ),
        Problems,
    ),
)]
async fn create(
    State(app): State<App>,
    By(actor): By,
    InOrg(org): InOrg,
    _: NoQuery,
    key: IdempotencyKey,
    Body(body): Body<NewClientBody>,
) -> Result<Response, Problem> {
    let repeatable = repeatable(&app, key.key.as_deref(), &org, "client", &body).await?;
    let authentication = body.authentication();
    let new = NewClient { scopes: body.scopes, label: body.label, authentication, repeatable };
    let (record, secret) = app.store.create_client(&org, &new, &app.pepper, &actor).await?;
    check_age(&app, &record.created)?;
    let path = format!("/admin/v1/orgs/{org}/clients/{}", record.id);
    let client_secret = secret.map(|secret| secret.reveal().to_owned());
    Ok(created(&path, &ClientWithSecret { record: record.into(), client_secret })?)
}

/// Lists the OAuth clients of an organisation
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/clients",
    operation_id = "listClients",
    tag = "clients",
    params(("org" = String, Path, description = "The name of the organisation."), List),
    responses((status = 200, description = "A page of clients.", body = Clients), Problems),
)]
async fn list(State(app): State<App>, _: By, InOrg(org): InOrg, list: List) -> Result<Response, Problem> {
    app.store.org(&org).await?.ok_or_else(no_such_org)?;
    let (records, next) = list.page(app.store.clients(&org).await?, |record| &record.id)?;
    let items = records.into_iter().map(Client::from).collect();
    Ok(json(StatusCode::OK, &Clients { items, next })?)
}

/// Shows an OAuth client
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/clients/{client}",
    operation_id = "showClient",
    tag = "clients",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("client" = String, Path, description = "The id of the client."),
    ),
    responses((status = 200, description = "The client.", body = Client), Problems),
)]
async fn show(State(app): State<App>, _: By, OfOrg(org, id): OfOrg, _: NoQuery) -> Result<Response, Problem> {
    let record = app.store.client(&org, &id).await?.ok_or_else(no_such_client)?;
    Ok(json(StatusCode::OK, &Client::from(record))?)
}

/// Deletes an OAuth client with its secrets and its access tokens
#[utoipa::path(
    delete,
    path = "/admin/v1/orgs/{org}/clients/{client}",
    operation_id = "deleteClient",
    tag = "clients",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("client" = String, Path, description = "The id of the client."),
    ),
    responses((status = 204, description = "The client and its tokens are deleted."), Problems),
)]
async fn delete(
    State(app): State<App>,
    By(actor): By,
    OfOrg(org, id): OfOrg,
    _: NoQuery,
) -> Result<Response, Problem> {
    if app.store.delete_client(&org, &id, &actor).await? { Ok(no_content()) } else { Err(no_such_client()) }
}

/// Adds a secret to an OAuth client
///
/// A client has at most 5 live secrets. The response contains the secret. No later response contains it.
#[utoipa::path(
    post,
    path = "/admin/v1/orgs/{org}/clients/{client}/secrets",
    operation_id = "addSecret",
    tag = "clients",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("client" = String, Path, description = "The id of the client."),
        IdempotencyKey,
    ),
    request_body = NewSecret,
    responses((status = 201, description = "The secret.", body = SecretWithText), Problems),
)]
async fn add_secret(
    State(app): State<App>,
    By(actor): By,
    OfOrg(org, id): OfOrg,
    _: NoQuery,
    key: IdempotencyKey,
    Body(body): Body<NewSecret>,
) -> Result<Response, Problem> {
    let repeatable = repeatable(&app, key.key.as_deref(), &org, "secret", &(&id, &body)).await?;
    let added = app.store.add_secret(&org, &id, body.ends, repeatable.as_ref(), &app.pepper, &actor);
    let (secret, record) = added.await?.ok_or_else(no_such_client)?;
    check_age(&app, &record.created)?;
    let client_secret = secret.reveal().to_owned();
    Ok(json(StatusCode::CREATED, &SecretWithText { record: record.into(), client_secret })?)
}

/// Ends a secret of an OAuth client, and the access tokens that were requested with it
#[utoipa::path(
    delete,
    path = "/admin/v1/orgs/{org}/clients/{client}/secrets/{secret}",
    operation_id = "endSecret",
    tag = "clients",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("client" = String, Path, description = "The id of the client."),
        ("secret" = String, Path, description = "The id of the secret."),
    ),
    responses((status = 204, description = "The secret and its tokens have ended."), Problems),
)]
async fn end_secret(
    State(app): State<App>,
    By(actor): By,
    OfClient(org, id, secret): OfClient,
    _: NoQuery,
) -> Result<Response, Problem> {
    if app.store.end_secret(&org, &id, &secret, &actor).await? {
        Ok(no_content())
    } else {
        Err(no_such_client())
    }
}
