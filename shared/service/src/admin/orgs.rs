//! Organisations: `/admin/v1/orgs`.

use axum::{
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::Response,
};
use serde::Serialize;
use tokio::time::{Duration, Instant};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{created, json, no_content, set},
    fields::{Fields, Refused, boolean, text, whole},
    idempotency,
    problem::{Kind, Problem, Problems},
    request::{Body, By, Fill, IdempotencyKey, InOrg, List, NoQuery, no_such_org},
};
use crate::{
    App,
    auth::Org,
    settings::Settings,
    store::{Deletion, OrgChange, Organisation},
};

/// The time that one request spends on a deletion.
const DELETION_TIME: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, change, delete))
}

/// An organisation.
#[derive(Serialize, ToSchema)]
#[schema(as = Organisation)]
struct OrgBody {
    /// The name.
    #[schema(example = "acme")]
    org: String,
    /// Whether SCIM is enabled. Requests to an organisation with SCIM disabled get 403.
    enabled: bool,
    /// When the organisation was created.
    #[schema(format = DateTime)]
    created: String,
    settings: SettingsBody,
}

/// The settings of an organisation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Settings)]
struct SettingsBody {
    /// The lifetime of an access token in minutes.
    #[schema(minimum = 5, maximum = 360)]
    token_minutes: u32,
    /// The requests per second that the organisation may send for any length of time.
    #[schema(minimum = 1, maximum = 100_000)]
    rate: u32,
    /// The requests that the organisation may send at once before `rate` applies.
    #[schema(minimum = 1, maximum = 1_000_000)]
    burst: u32,
    /// The expensive requests that the organisation may have in progress at the same time.
    #[schema(minimum = 1, maximum = 1_000)]
    at_once: u32,
}

impl From<Organisation> for OrgBody {
    fn from(organisation: Organisation) -> Self {
        let Organisation { org, enabled, created, settings, .. } = organisation;
        let Settings { token_minutes, rate, burst, at_once } = settings;
        let settings = SettingsBody { token_minutes, rate, burst, at_once };
        Self { org: org.to_string(), enabled, created, settings }
    }
}

/// A page of organisations, in no particular order.
#[derive(Serialize, ToSchema)]
struct Organisations {
    items: Vec<OrgBody>,
    /// The cursor of the next page, or null at the end.
    next: Option<String>,
}

/// An organisation to be created, with SCIM enabled and the default settings.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganisation {
    /// The name: 1 to 40 lower-case letters, digits and hyphens, and no hyphen at either end.
    #[schema(value_type = String, max_length = 40, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", example = "acme")]
    org: Org,
}

impl Fill for NewOrganisation {
    fn read(fields: &mut Fields, _: &App) -> Option<Self> {
        let org = fields.required("org", |value| {
            text(value)?.parse::<Org>().map_err(|_| {
                Refused::form(
                    "The name of an organisation has 1 to 40 lower-case letters, digits and hyphens, and no hyphen at \
                     either end. Send such a name.",
                )
            })
        });
        Some(Self { org: org? })
    }
}

/// A change of an organisation. A member that is left out stays as it is.
#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct OrganisationChange {
    /// Whether SCIM is enabled.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(nullable = false)]
    settings: Option<SettingsChange>,
}

/// A change of settings. A member that is left out stays as it is.
#[derive(ToSchema, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SettingsChange {
    /// The lifetime of an access token in minutes.
    #[schema(minimum = 5, maximum = 360, nullable = false)]
    token_minutes: Option<u32>,
    /// The requests per second that the organisation may send for any length of time.
    #[schema(minimum = 1, maximum = 100_000, nullable = false)]
    rate: Option<u32>,
    /// The requests that the organisation may send at once before `rate` applies.
    #[schema(minimum = 1, maximum = 1_000_000, nullable = false)]
    burst: Option<u32>,
    /// The expensive requests that the organisation may have in progress at the same time.
    #[schema(minimum = 1, maximum = 1_000, nullable = false)]
    at_once: Option<u32>,
}

impl Fill for OrganisationChange {
    fn read(fields: &mut Fields, _: &App) -> Option<Self> {
        let enabled = fields.change("enabled", boolean);
        let settings = fields.object("settings", |settings| {
            Some(SettingsChange {
                token_minutes: settings.change("tokenMinutes", whole(Settings::TOKEN_MINUTES)),
                rate: settings.change("rate", whole(Settings::RATE)),
                burst: settings.change("burst", whole(Settings::BURST)),
                at_once: settings.change("atOnce", whole(Settings::AT_ONCE)),
            })
        });
        Some(Self { enabled, settings })
    }
}

impl SettingsChange {
    fn apply(&self, settings: Settings) -> Settings {
        Settings {
            token_minutes: self.token_minutes.unwrap_or(settings.token_minutes),
            rate: self.rate.unwrap_or(settings.rate),
            burst: self.burst.unwrap_or(settings.burst),
            at_once: self.at_once.unwrap_or(settings.at_once),
        }
    }
}

/// Creates an organisation
#[utoipa::path(
    post,
    path = "/admin/v1/orgs",
    operation_id = "createOrganisation",
    tag = "organisations",
    params(IdempotencyKey),
    request_body = NewOrganisation,
    responses(
        (status = 201, description = "The organisation.", body = OrgBody, headers(("location" = String, description = "Its path."))),
        Problems,
    ),
)]
async fn create(
    State(app): State<App>,
    By(actor): By,
    _: NoQuery,
    key: IdempotencyKey,
    Body(NewOrganisation { org }): Body<NewOrganisation>,
) -> Result<Response, Problem> {
    let name = idempotency::name(&app, key.key.as_deref()).await?;
    let organisation = app.store.create_org_once(&org, name.as_deref(), &actor).await?.ok_or_else(|| {
        let detail = format!("The organisation {org} exists already. Choose another name.");
        Problem::new(Kind::Conflict, detail)
    })?;
    Ok(created(&format!("/admin/v1/orgs/{org}"), &OrgBody::from(organisation))?)
}

/// Lists the organisations
#[utoipa::path(
    get,
    path = "/admin/v1/orgs",
    operation_id = "listOrganisations",
    tag = "organisations",
    params(List),
    responses((status = 200, description = "A page of organisations.", body = Organisations), Problems),
)]
async fn list(State(app): State<App>, _: By, list: List) -> Result<Response, Problem> {
    let after = list.cursor.map(|cursor| cursor.parse().map_err(|_| List::unknown_cursor())).transpose()?;
    let page = app.store.orgs_page(list.limit, after.as_ref()).await?;
    let items = page.items.into_iter().map(OrgBody::from).collect();
    Ok(json(StatusCode::OK, &Organisations { items, next: page.next })?)
}

/// Shows an organisation
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}",
    operation_id = "showOrganisation",
    tag = "organisations",
    params(("org" = String, Path, description = "The name of the organisation.")),
    responses((status = 200, description = "The organisation.", body = OrgBody), Problems),
)]
async fn show(State(app): State<App>, _: By, InOrg(org): InOrg, _: NoQuery) -> Result<Response, Problem> {
    let organisation = app.store.org(&org).await?.ok_or_else(no_such_org)?;
    Ok(json(StatusCode::OK, &OrgBody::from(organisation))?)
}

/// Enables or disables SCIM for an organisation, and changes its settings
#[utoipa::path(
    patch,
    path = "/admin/v1/orgs/{org}",
    operation_id = "changeOrganisation",
    tag = "organisations",
    params(("org" = String, Path, description = "The name of the organisation.")),
    request_body = OrganisationChange,
    responses((status = 200, description = "The organisation after the change.", body = OrgBody), Problems),
)]
async fn change(
    State(app): State<App>,
    By(actor): By,
    InOrg(org): InOrg,
    _: NoQuery,
    Body(change): Body<OrganisationChange>,
) -> Result<Response, Problem> {
    let of = |organisation: &Organisation| OrgChange {
        enabled: change.enabled,
        settings: change.settings.as_ref().map(|settings| settings.apply(organisation.settings)),
    };
    let organisation = app.store.change_org_by(&org, of, &actor).await?.ok_or_else(no_such_org)?;
    Ok(json(StatusCode::OK, &OrgBody::from(organisation))?)
}

/// The state of a deletion.
#[derive(Serialize, ToSchema)]
struct UnfinishedDeletion {
    /// The name of the organisation.
    org: String,
    /// The state of the deletion, and the next step.
    detail: String,
}

/// Deletes an organisation with its users, groups, keys and clients
///
/// The first request disables SCIM and deletes what it finds. Requests that began before may still write for 35 seconds, so
/// the answer is 202. Repeat the request after the time in `Retry-After` until the answer is 204. A deletion cannot be
/// stopped. The audit log is kept.
#[utoipa::path(
    delete,
    path = "/admin/v1/orgs/{org}",
    operation_id = "deleteOrganisation",
    tag = "organisations",
    params(("org" = String, Path, description = "The name of the organisation.")),
    responses(
        (
            status = 202,
            description = "The deletion is not done. Repeat the request.",
            body = UnfinishedDeletion,
            headers(("retry-after" = u64, description = "The seconds after which to repeat the request."))
        ),
        (status = 204, description = "The organisation is deleted."),
        Problems,
    ),
)]
async fn delete(
    State(app): State<App>,
    By(actor): By,
    InOrg(org): InOrg,
    _: NoQuery,
) -> Result<Response, Problem> {
    let until = Instant::now() + DELETION_TIME;
    let left = match app.store.advance_deletion(&org, &actor, until).await? {
        Deletion::Done => return Ok(no_content()),
        Deletion::NoOrg => return Err(no_such_org()),
        Deletion::Waiting(left) => left,
    };
    let body = UnfinishedDeletion {
        org: org.to_string(),
        detail: "SCIM is disabled, and the deletion is not done. Repeat the request after the time in Retry-After."
            .to_owned(),
    };
    let mut response = json(StatusCode::ACCEPTED, &body)?;
    set(&mut response, RETRY_AFTER, &(left.as_secs() + 1).to_string());
    Ok(response)
}
