//! Set-up links and sessions of the owner console: `/admin/v1/orgs/{org}/links` and `/admin/v1/orgs/{org}/sessions`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{json, no_content},
    fields::{Fields, Refused, text},
    problem::{Kind, Problem, Problems},
    request::{Body, By, Fill, InOrg, List, NoQuery, OfOrg, no_such_org},
};
use crate::{
    App,
    portal::{Intent, Role},
    store::{NewLink, SessionRecord},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(list)).routes(routes!(end))
}

/// The rights of a session.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "lowercase")]
#[expect(dead_code, reason = "the schema of a role")]
enum RoleName {
    Owner,
    Viewer,
}

/// The page that a link opens.
#[derive(ToSchema)]
#[schema(as = Intent, rename_all = "lowercase")]
#[expect(dead_code, reason = "the schema of an intent")]
enum IntentName {
    Overview,
    Connection,
    Okta,
    Entra,
    Keys,
    People,
    Teams,
    Activity,
}

/// A set-up link to be created.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewLink)]
struct NewLinkBody {
    /// The rights of the session. `owner` changes, and `viewer` reads.
    #[schema(value_type = RoleName)]
    role: Role,
    /// The page that the link opens. The default is `overview`.
    #[schema(value_type = Option<IntentName>)]
    intent: Intent,
    /// The URL to which the console leads back. It is one of the allowed URLs of the stack, or below one.
    #[schema(format = "uri", max_length = 2048)]
    return_url: Option<String>,
}

impl Fill for NewLinkBody {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        let role = fields.required("role", |value| {
            let refused = || Refused::form("The value is not a role. Send owner or viewer.");
            text(value).and_then(|text| Role::parse(&text).ok_or_else(refused))
        });
        let intent = fields.optional("intent", |value| {
            let names = Intent::ALL.map(Intent::as_str).join(", ");
            let refused = || Refused::form(format!("The value is not an intent. Send one of {names}."));
            text(value).and_then(|text| Intent::parse(&text).ok_or_else(refused))
        });
        let return_url = fields.optional("returnUrl", |value| {
            let url = text(value)?;
            if url.chars().count() > 2048 {
                return Err(Refused::form("The URL has more than 2,048 characters. Send a shorter one."));
            }
            if !app.portal.may_return_to(&url) {
                return Err(Refused::meaning(
                    "The console may not lead back to this URL. Send an allowed URL, or add it to the setting \
                     SCIM_CONSOLE_RETURN_URLS.",
                ));
            }
            Ok(url)
        });
        Some(Self { role: role?, intent: intent.unwrap_or(Intent::Overview), return_url })
    }
}

/// A set-up link. No later response contains its URL.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Link {
    /// The id of the link. Its session has the same id.
    id: String,
    /// The URL to which the browser of the owner is redirected. It can be used once.
    #[schema(format = "uri")]
    url: String,
    /// When the link ends if it is not used.
    #[schema(format = DateTime)]
    ends: String,
}

/// A session of the console.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    /// The id.
    id: String,
    #[schema(value_type = RoleName)]
    role: Role,
    /// When the session began.
    #[schema(format = DateTime)]
    created: String,
    /// When the session ends.
    #[schema(format = DateTime)]
    ends: String,
    /// The operator that created the link.
    actor: String,
}

impl From<SessionRecord> for Session {
    fn from(record: SessionRecord) -> Self {
        let SessionRecord { id, role, created, ends, actor, .. } = record;
        Self { id, role, created, ends, actor }
    }
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
struct Sessions {
    items: Vec<Session>,
    /// The cursor of the next page, or null at the end.
    next: Option<String>,
}

/// Creates a set-up link of the owner console
///
/// Redirect the browser of the owner to the URL within 5 minutes. The first use starts a session of 8 hours.
#[utoipa::path(
    post,
    path = "/admin/v1/orgs/{org}/links",
    operation_id = "createLink",
    tag = "console",
    params(("org" = String, Path, description = "The name of the organisation.")),
    request_body = NewLinkBody,
    responses((status = 201, description = "The link.", body = Link), Problems),
)]
async fn create(
    State(app): State<App>,
    By(actor): By,
    InOrg(org): InOrg,
    _: NoQuery,
    Body(body): Body<NewLinkBody>,
) -> Result<Response, Problem> {
    let Some(console) = &app.portal.url else {
        return Err(Problem::new(
            Kind::Conflict,
            "This service has no owner console. Set SCIM_CONSOLE_URL to the URL of the console.",
        ));
    };
    let NewLinkBody { role, intent, return_url } = body;
    let new = NewLink { role, intent, return_url };
    let created = app.store.create_link(&org, new, &app.pepper, &actor).await?;
    let (link, record) = created.ok_or_else(no_such_org)?;
    let url = format!("{console}/enter?link={}", link.reveal());
    Ok(json(StatusCode::CREATED, &Link { id: record.id, url, ends: record.ends })?)
}

/// Lists the live sessions of the owner console
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/sessions",
    operation_id = "listSessions",
    tag = "console",
    params(("org" = String, Path, description = "The name of the organisation."), List),
    responses((status = 200, description = "A page of sessions.", body = Sessions), Problems),
)]
async fn list(State(app): State<App>, _: By, InOrg(org): InOrg, list: List) -> Result<Response, Problem> {
    app.store.org(&org).await?.ok_or_else(no_such_org)?;
    let (records, next) = list.page(app.store.sessions(&org).await?, |record| &record.id)?;
    let items = records.into_iter().map(Session::from).collect();
    Ok(json(StatusCode::OK, &Sessions { items, next })?)
}

/// Ends a session of the owner console, or a link that is not used yet
#[utoipa::path(
    delete,
    path = "/admin/v1/orgs/{org}/sessions/{session}",
    operation_id = "endSession",
    tag = "console",
    params(
        ("org" = String, Path, description = "The name of the organisation."),
        ("session" = String, Path, description = "The id of the session."),
    ),
    responses((status = 204, description = "The session has ended."), Problems),
)]
async fn end(
    State(app): State<App>,
    By(actor): By,
    OfOrg(org, id): OfOrg,
    _: NoQuery,
) -> Result<Response, Problem> {
    if app.store.end_session(&org, &id, &actor).await? {
        return Ok(no_content());
    }
    Err(Problem::new(
        Kind::NotFound,
        "The organisation has no session and no link with this id. GET /admin/v1/orgs/{org}/sessions lists the sessions.",
    ))
}
