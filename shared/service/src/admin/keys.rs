//! The API keys of an organisation: `/admin/v1/orgs/{org}/keys`.

use std::collections::BTreeSet;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{created, json},
    fields::{Fields, end, label, scopes, whole},
    idempotency::{check_age, repeatable},
    problem::{Kind, Problem, Problems},
    request::{Body, By, Fill, IdempotencyKey, InOrg, List, NoQuery, OfOrg, no_such_org},
    schema::{ScopeName, moment},
};
use crate::{
    App,
    auth::{Org, Scope},
    store::{KeyChange, KeyRecord, MAX_LIFETIME, NewKey},
};

/// The hours for which the old key is valid after a rotation, if the client does not choose.
const OVERLAP_HOURS: u32 = 7 * 24;
/// The longest overlap in hours.
const MAX_OVERLAP_HOURS: u32 = 90 * 24;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(show, change))
        .routes(routes!(rotate))
        .routes(routes!(revoke))
}

/// An API key without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Key {
    /// The id.
    #[schema(example = "5a1f0c9e77d2b410")]
    id: String,
    /// The text by which people recognise the key.
    label: Option<String>,
    #[schema(value_type = BTreeSet<ScopeName>)]
    scopes: BTreeSet<Scope>,
    /// When the key was created.
    #[schema(format = DateTime)]
    created: String,
    /// When the key ends.
    #[schema(format = DateTime)]
    ends: Option<String>,
    /// When the key was revoked.
    #[schema(format = DateTime)]
    revoked: Option<String>,
    /// The start of the key's text.
    #[schema(example = "scim_acme_")]
    prefix: String,
    /// The last four characters of the key's text. Keys of release 0.2 lack them.
    last_four: Option<String>,
    /// When the key was last used, to the hour.
    #[schema(format = DateTime)]
    last_used: Option<String>,
    /// The client that used the key last: `okta`, `entra` or `other`.
    last_used_by: Option<String>,
    /// The id of the key that this one replaces.
    replaces: Option<String>,
}

impl From<KeyRecord> for Key {
    fn from(record: KeyRecord) -> Self {
        Self {
            id: record.id,
            label: record.label,
            scopes: record.scopes,
            created: record.created,
            ends: record.ends,
            revoked: record.revoked,
            prefix: record.prefix,
            last_four: record.last_four,
            last_used: record.last_used,
            last_used_by: record.last_used_by,
            replaces: record.replaces,
        }
    }
}

/// A new API key with its secret, which no later response has.
#[derive(Serialize, ToSchema)]
struct KeyWithSecret {
    #[serde(flatten)]
    record: Key,
    /// The key as the identity provider sends it.
    key: String,
}

/// A page of API keys, the oldest first.
#[derive(Serialize, ToSchema)]
struct Keys {
    items: Vec<Key>,
    /// The cursor of the next page, or null at the end.
    next: Option<String>,
}

/// A key to be created.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct NewKeyBody {
    /// The operations that the key permits.
    #[schema(value_type = BTreeSet<ScopeName>, min_items = 1)]
    scopes: BTreeSet<Scope>,
    /// The text by which people recognise the key. It has no control characters.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$"
    )]
    label: Option<String>,
    /// When the key ends: a time in the future. Without it, the key has no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "moment")]
    ends: Option<OffsetDateTime>,
}

impl Fill for NewKeyBody {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        let now = app.store.clock().now();
        let scopes = fields.required("scopes", scopes);
        let label = fields.optional("label", label);
        let ends = fields.optional("ends", end(now, MAX_LIFETIME));
        Some(Self { scopes: scopes?, label, ends })
    }
}

/// A change of a key. A member that is left out stays as it is.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
struct KeyChangeBody {
    /// The operations that the key permits.
    #[schema(value_type = Option<BTreeSet<ScopeName>>, nullable = false, min_items = 1)]
    scopes: Option<BTreeSet<Scope>>,
    /// The text by which people recognise the key. Null removes it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$")]
    #[expect(clippy::option_option, reason = "left out, null, or a value")]
    label: Option<Option<String>>,
    /// When the key ends: a time in the future. Null removes the end.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip)]
    #[expect(clippy::option_option, reason = "left out, null, or a value")]
    ends: Option<Option<OffsetDateTime>>,
}

impl Fill for KeyChangeBody {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        let now = app.store.clock().now();
        let scopes = fields.change("scopes", scopes);
        let label = fields.nullable("label", label);
        let ends = fields.nullable("ends", end(now, MAX_LIFETIME));
        Some(Self { scopes, label, ends })
    }
}

/// The rotation of a key.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rotation {
    /// The hours for which the old key stays valid.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 2_160, default = 168, nullable = false)]
    overlap_hours: u32,
}

impl Fill for Rotation {
    fn read(fields: &mut Fields, _: &App) -> Option<Self> {
        let hours = fields.change("overlapHours", whole(0..=MAX_OVERLAP_HOURS));
        Some(Self { overlap_hours: hours.unwrap_or(OVERLAP_HOURS) })
    }
}

fn no_such_key() -> Problem {
    Problem::new(
        Kind::NotFound,
        "The organisation has no key with this id. GET /admin/v1/orgs/{org}/keys lists its keys.",
    )
}

/// Creates an API key
///
/// The response contains the key. The service stores a digest of it, so no later response contains it.
#[utoipa::path(
    post,
    path = "/admin/v1/orgs/{org}/keys",
    operation_id = "createKey",
    tag = "keys",
    params(("org" = String, Path, description = "The name of the organisation."), IdempotencyKey),
    request_body = NewKeyBody,
    responses(
        (status = 201, description = "The key.", body = KeyWithSecret, headers(("location" = String, description = "Its path."))),
        Problems,
    ),
)]
async fn create(
    State(app): State<App>,
    By(actor): By,
    InOrg(org): InOrg,
    _: NoQuery,
    key: IdempotencyKey,
    Body(body): Body<NewKeyBody>,
) -> Result<Response, Problem> {
    let repeatable = repeatable(&app, key.key.as_deref(), &org, "key", &body).await?;
    let NewKeyBody { scopes, label, ends } = body;
    let new = NewKey { scopes, label, ends, repeatable };
    let (credential, record) = app.store.create_key(&org, &new, &app.pepper, &actor).await?;
    shown_once(&app, &org, credential.reveal(), record)
}

/// Makes the response with a new key.
fn shown_once(app: &App, org: &Org, key: &str, record: KeyRecord) -> Result<Response, Problem> {
    check_age(app, &record.created)?;
    let path = format!("/admin/v1/orgs/{org}/keys/{}", record.id);
    Ok(created(&path, &KeyWithSecret { record: record.into(), key: key.to_owned() })?)
}

/// Lists the API keys of an organisation
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/keys",
    operation_id = "listKeys",
    tag = "keys",
    params(("org" = String, Path, description = "The name of the organisation."), List),
    responses((status = 200, description = "A page of keys.", body = Keys), Problems),
)]
async fn list(State(app): State<App>, _: By, InOrg(org): InOrg, list: List) -> Result<Response, Problem> {
    app.store.org(&org).await?.ok_or_else(no_such_org)?;
    let (records, next) = list.page(app.store.keys(&org).await?, |record| &record.id)?;
    let items = records.into_iter().map(Key::from).collect();
    Ok(json(StatusCode::OK, &Keys { items, next })?)
}

/// Shows an API key
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/keys/{key}",
    operation_id = "showKey",
    tag = "keys",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("key" = String, Path, description = "The id of the key."),
    ),
    responses((status = 200, description = "The key.", body = Key), Problems),
)]
async fn show(State(app): State<App>, _: By, OfOrg(org, id): OfOrg, _: NoQuery) -> Result<Response, Problem> {
    let record = app.store.key(&org, &id).await?.ok_or_else(no_such_key)?;
    Ok(json(StatusCode::OK, &Key::from(record))?)
}

/// Changes the scopes, the label or the end of an API key
#[utoipa::path(
    patch,
    path = "/admin/v1/orgs/{org}/keys/{key}",
    operation_id = "changeKey",
    tag = "keys",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("key" = String, Path, description = "The id of the key."),
    ),
    request_body = KeyChangeBody,
    responses((status = 200, description = "The key after the change.", body = Key), Problems),
)]
async fn change(
    State(app): State<App>,
    By(actor): By,
    OfOrg(org, id): OfOrg,
    _: NoQuery,
    Body(KeyChangeBody { scopes, label, ends }): Body<KeyChangeBody>,
) -> Result<Response, Problem> {
    let change = KeyChange { scopes, label, ends };
    let record = app.store.change_key(&org, &id, &change, &actor).await?.ok_or_else(no_such_key)?;
    Ok(json(StatusCode::OK, &Key::from(record))?)
}

/// Replaces an API key by a new one
///
/// The new key has the scopes and the label of the old one. The old key ends after the overlap.
#[utoipa::path(
    post,
    path = "/admin/v1/orgs/{org}/keys/{key}/rotate",
    operation_id = "rotateKey",
    tag = "keys",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("key" = String, Path, description = "The id of the old key."),
        IdempotencyKey,
    ),
    request_body = Rotation,
    responses(
        (status = 201, description = "The new key.", body = KeyWithSecret, headers(("location" = String, description = "Its path."))),
        Problems,
    ),
)]
async fn rotate(
    State(app): State<App>,
    By(actor): By,
    OfOrg(org, id): OfOrg,
    _: NoQuery,
    key: IdempotencyKey,
    Body(body): Body<Rotation>,
) -> Result<Response, Problem> {
    let repeatable = repeatable(&app, key.key.as_deref(), &org, "rotation", &(&id, &body)).await?;
    let overlap = Duration::from_hours(body.overlap_hours.into());
    let rotated = app.store.rotate_key_once(&org, &id, overlap, repeatable, &app.pepper, &actor);
    let (credential, record) = rotated.await?.ok_or_else(no_such_key)?;
    shown_once(&app, &org, credential.reveal(), record)
}

/// Revokes an API key
///
/// The next request with the key gets 401. The key stays in the list.
#[utoipa::path(
    post,
    path = "/admin/v1/orgs/{org}/keys/{key}/revoke",
    operation_id = "revokeKey",
    tag = "keys",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("key" = String, Path, description = "The id of the key."),
    ),
    responses((status = 200, description = "The revoked key.", body = Key), Problems),
)]
async fn revoke(
    State(app): State<App>,
    By(actor): By,
    OfOrg(org, id): OfOrg,
    _: NoQuery,
) -> Result<Response, Problem> {
    app.store.revoke_key(&org, &id, &actor).await?;
    let record = app.store.key(&org, &id).await?.ok_or_else(no_such_key)?;
    Ok(json(StatusCode::OK, &Key::from(record))?)
}
