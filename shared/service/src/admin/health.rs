//! The health of an organisation's connection, from its request log: `/admin/v1/orgs/{org}/health`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::json,
    log::organisation,
    problem::{Problem, Problems},
    request::{By, InOrg, NoQuery},
};
use crate::{
    App,
    health::{self, NEWEST, WINDOW},
    request_log::{Action, Filter},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The health of the connection with the identity provider.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Health {
    /// `ok`, `failing`, `silent` or `never`.
    #[schema(value_type = String, example = "ok")]
    state: health::State,
    /// Why the connection is in this state: `in-step`, `credential-refused`, `not-permitted`, `newest-failed`,
    /// `most-failed`, `cycles-missed` or `no-request`.
    #[schema(value_type = String, example = "in-step")]
    reason: health::Reason,
    /// The last request, or null if the log has none.
    last_request: Option<LastRequest>,
    /// The number of requests in the last 24 hours.
    requests: u64,
    /// The number of those that failed.
    errors: u64,
    /// The share of those that failed, from 0 to 1.
    error_share: f64,
    /// When the next request is due at the latest, if the last one came from Entra.
    #[schema(format = DateTime)]
    next_due: Option<String>,
    /// Whether Entra may put the connection in quarantine, or has done so.
    quarantine_near: bool,
}

/// The last request of an organisation.
#[derive(Serialize, ToSchema)]
struct LastRequest {
    /// When it was answered.
    #[schema(format = DateTime)]
    at: String,
    /// The kind of its client: `okta`, `entra` or `other`.
    client: String,
    /// The id of its key or OAuth client.
    credential: String,
    /// Its action.
    #[schema(value_type = String, example = "users-searched")]
    action: Action,
    /// Its HTTP status.
    status: u16,
}

/// Shows the health of an organisation's connection
///
/// The health follows from the request log. Entra sends requests every 40 minutes, so the next one is due then.
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/health",
    operation_id = "showHealth",
    tag = "log",
    params(("org" = String, Path, description = "The name of the organisation.")),
    responses((status = 200, description = "The health of the connection.", body = Health), Problems),
)]
async fn show(State(app): State<App>, _: By, InOrg(org): InOrg, _: NoQuery) -> Result<Response, Problem> {
    let organisation = organisation(&app, &org).await?;
    let now = app.store.clock().now();
    let filter = Filter::default();
    let from = health::hour(now - WINDOW);
    let (hours, newest) = tokio::try_join!(
        app.store.request_hours(&organisation, &from),
        app.store.request_log(&organisation, &filter, NEWEST, None)
    )?;
    let health::Health { state, reason, last, requests, errors, next_due, is_quarantine_near } =
        health::health(&hours, &newest.items, now);
    let last_request = last.map(|health::Last { at, client, credential, action, status }| LastRequest {
        at,
        client,
        credential,
        action,
        status,
    });
    let error_share = if requests == 0 { 0.0 } else { as_float(errors) / as_float(requests) };
    let quarantine_near = is_quarantine_near;
    let health =
        Health { state, reason, last_request, requests, errors, error_share, next_due, quarantine_near };
    Ok(json(StatusCode::OK, &health)?)
}

fn as_float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
