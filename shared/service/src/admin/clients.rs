//! The OAuth clients of an organisation: `/admin/v1/orgs/{org}/clients`.

use axum::{extract::State, http::StatusCode, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{created, json, no_content},
    client_body::{Client, ClientWithSecret, Clients, NewClientBody, NewSecret, SecretWithText},
    idempotency::{check_age, repeatable},
    problem::{Kind, Problem, Problems},
    request::{Body, By, IdempotencyKey, InOrg, List, NoQuery, OfClient, OfOrg, no_such_org},
};
use crate::{App, store::NewClient};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(show, delete))
        .routes(routes!(add_secret))
        .routes(routes!(end_secret))
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
