//! The audit log of an organisation: `/admin/v1/orgs/{org}/audit`.

use axum::{extract::State, http::StatusCode, response::Response};
use scim::id::Id;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::json,
    problem::{Problem, Problems},
    request::{By, InOrg, List},
};
use crate::{App, store::AuditEntry};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// An entry of the audit log. It has no secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry {
    /// The id. Ids sort by time.
    id: String,
    /// When the action was carried out.
    #[schema(format = DateTime)]
    at: String,
    /// The person or program that carried it out.
    #[schema(example = "iam:arn:aws:iam::123456789012:user/ada")]
    actor: String,
    /// The action.
    #[schema(example = "key.create")]
    action: String,
    /// The id of the changed credential, or the name of the organisation.
    target: String,
    /// The state before the action, or null if the action created the target.
    #[schema(nullable)]
    before: Value,
    /// The state after the action, or null if the action deleted the target.
    #[schema(nullable)]
    after: Value,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, action, target, before, after } = entry;
        Self { id, at, actor, action, target, before, after }
    }
}

/// A page of the audit log, the newest entry first.
#[derive(Serialize, ToSchema)]
struct AuditLog {
    items: Vec<Entry>,
    /// The cursor of the next page, or null at the end.
    next: Option<String>,
}

/// Lists the audit log of an organisation
///
/// Entries are kept for 400 days, also after the organisation is deleted. An organisation without entries has an empty log.
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/audit",
    operation_id = "listAudit",
    tag = "audit",
    params(("org" = String, Path, description = "The name of the organisation."), List),
    responses((status = 200, description = "A page of the audit log.", body = AuditLog), Problems),
)]
async fn list(State(app): State<App>, _: By, InOrg(org): InOrg, list: List) -> Result<Response, Problem> {
    let after = list.cursor.map(|cursor| Id::parse(&cursor).ok_or_else(List::unknown_cursor)).transpose()?;
    let page = app.store.audit(&org, list.limit, after.as_ref().map(Id::as_str)).await?;
    let items = page.items.into_iter().map(Entry::from).collect();
    Ok(json(StatusCode::OK, &AuditLog { items, next: page.next })?)
}
