//! The request log of an organisation: `/admin/v1/orgs/{org}/log`.

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use scim::id::Id;
use serde::Serialize;
use texts::{Event, Language, Named};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::json,
    problem::{Fault, Problem, Problems},
    request::{By, InOrg, List, no_such_org, query},
};
use crate::{
    App,
    auth::Org,
    causes,
    clock::timestamp,
    request_log::{Action, Entry, Filter, Members, Outcome, Subject},
    store::Organisation,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// An entry of the request log. It names users, groups and attributes, and has no other values.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    /// The id. Ids sort by time.
    id: String,
    /// When the request was answered.
    #[schema(format = DateTime)]
    at: String,
    /// The kind of the client: `okta`, `entra` or `other`.
    client: String,
    /// The id of the key or of the OAuth client.
    credential: String,
    /// The action. For a request that failed, the action that it tried.
    #[schema(value_type = String, example = "user-created")]
    action: Action,
    /// One English sentence about the request. Users and groups whose names the request has not sent or read have their ids.
    #[schema(example = "Entra removed ada@example.com from Sales")]
    summary: String,
    /// The HTTP status of the response.
    status: u16,
    /// The `scimType` of an error.
    scim_type: Option<String>,
    /// The detail of an error.
    detail: Option<String>,
    /// The word for the cause of an error.
    #[schema(value_type = Option<String>, example = "name-taken")]
    cause: Option<causes::Cause>,
    /// The change to make at the identity provider after an error, in English.
    remedy: Option<String>,
    /// The user or group, if it is known.
    subject: Option<LogSubject>,
    /// The method and the first segment of the path, if no route serves the request. Other segments are not named.
    #[schema(example = "GET unknown path")]
    endpoint: Option<String>,
    /// The names of the changed attributes, at most 20.
    changed: Vec<String>,
    added: LogMembers,
    removed: LogMembers,
    /// The duration of the request in milliseconds.
    millis: u64,
    /// The id of the request in the log of the function.
    request: Option<String>,
}

/// The user or group of a request.
#[derive(Serialize, ToSchema)]
struct LogSubject {
    /// `User` or `Group`.
    kind: &'static str,
    id: Option<String>,
    /// The `userName` or `displayName` at the time of the request, if the request has read or sent it.
    name: Option<String>,
}

/// Members that a request added to a group or removed from it.
#[derive(Serialize, ToSchema)]
struct LogMembers {
    /// The ids of the first 20.
    ids: Vec<String>,
    /// The number of all.
    count: usize,
}

impl From<Members> for LogMembers {
    fn from(Members { ids, count }: Members) -> Self {
        Self { ids, count }
    }
}

impl From<Entry> for LogEntry {
    fn from(entry: Entry) -> Self {
        let detail = entry.detail.as_deref().unwrap_or_default();
        let has_failed = Outcome::of(entry.status) == Outcome::Failed;
        let cause = has_failed.then(|| causes::cause(entry.status, entry.scim_type.as_deref(), detail));
        let cause_word = cause.as_ref().map(word);
        let summary = summary(&entry, cause_word.as_deref());
        let remedy = cause_word.map(|cause| Language::En.texts().cause(&cause).1.to_owned());
        let subject =
            entry.subject.map(|Subject { kind, id, name }| LogSubject { kind: kind.as_str(), id, name });
        Self {
            id: entry.id,
            at: entry.at,
            client: entry.client,
            credential: entry.credential,
            action: entry.action,
            summary,
            cause,
            remedy,
            status: entry.status,
            scim_type: entry.scim_type,
            detail: entry.detail,
            subject,
            endpoint: entry.endpoint,
            changed: entry.changed,
            added: entry.added.into(),
            removed: entry.removed.into(),
            millis: entry.millis,
            request: entry.request,
        }
    }
}

/// Returns what happened in one sentence. No name is looked up, because the management API does not read resources.
fn summary(entry: &Entry, cause: Option<&str>) -> String {
    let (id, name) = match &entry.subject {
        Some(Subject { id, name, .. }) => (id.as_deref(), name.as_deref()),
        None => (None, None),
    };
    Language::En.texts().sentence(&Event {
        client: &entry.client,
        action: &word(&entry.action),
        cause,
        name: name.or(id),
        has_id: id.is_some(),
        changed: &entry.changed,
        added: Named { names: &entry.added.ids, count: entry.added.count },
        removed: Named { names: &entry.removed.ids, count: entry.removed.count },
    })
}

/// Returns the word that stands for a value in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A page of the request log, the newest entry first.
#[derive(Serialize, ToSchema)]
struct RequestLog {
    items: Vec<LogEntry>,
    /// The cursor of the next page, or null at the end.
    next: Option<String>,
}

/// The entries that a request asks for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the description of the parameters")]
struct LogParameters {
    /// Entries from this time on.
    #[param(format = DateTime, required = false)]
    from: Option<String>,
    /// Entries before this time.
    #[param(format = DateTime, required = false)]
    until: Option<String>,
    /// Entries about the user of this id, also as one of the first 20 members of a change.
    #[param(format = "uuid", required = false)]
    person: Option<String>,
    /// Entries about the group of this id.
    #[param(format = "uuid", required = false)]
    group: Option<String>,
    /// `succeeded` for a status below 400, `failed` for any other.
    #[param(pattern = "^(succeeded|failed)$", required = false)]
    outcome: Option<String>,
    /// Entries with this status.
    #[param(minimum = 100, maximum = 599, required = false)]
    status: Option<u16>,
    /// Entries of clients of this kind.
    #[param(pattern = "^(okta|entra|other)$", required = false)]
    client: Option<String>,
}

/// The page and the filter of a request.
struct LogQuery {
    list: List,
    filter: Filter,
}

impl FromRequestParts<App> for LogQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let [limit, cursor, from, until, person, group, outcome, status, client] = query(
            parts,
            ["limit", "cursor", "from", "until", "person", "group", "outcome", "status", "client"],
        )?;
        let id = |name: &'static str, text: Option<String>| match text {
            Some(text) if Id::parse(&text).is_none() => {
                let detail = "The value is not the id of a resource. Send a lower-case UUID with hyphens.";
                Err(Fault::parameter(name, detail))
            }
            text => Ok(text),
        };
        let filter = Filter {
            from: from.map(|text| time("from", &text)).transpose()?,
            until: until.map(|text| time("until", &text)).transpose()?,
            person: id("person", person)?,
            group: id("group", group)?,
            outcome: outcome.map(|text| one_of("outcome", &text, &OUTCOMES)).transpose()?,
            status: status.map(|text| self::status(&text)).transpose()?,
            class: None,
            client: client.map(|text| one_of("client", &text, &CLIENTS)).transpose()?.map(str::to_owned),
        };
        Ok(Self { list: List::read(limit, cursor)?, filter })
    }
}

const OUTCOMES: [(&str, Outcome); 2] = [("succeeded", Outcome::Succeeded), ("failed", Outcome::Failed)];
const CLIENTS: [(&str, &str); 3] = [("okta", "okta"), ("entra", "entra"), ("other", "other")];

fn one_of<T: Copy>(name: &'static str, text: &str, words: &[(&str, T)]) -> Result<T, Fault> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Fault::parameter(name, format!("The value is not one of {}. Send one of them.", words.join(", ")))
    })
}

fn status(text: &str) -> Result<u16, Fault> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok()).filter(|number| (100..=599).contains(number));
    number.ok_or_else(|| {
        Fault::parameter("status", "The status is not a whole number from 100 to 599. Send such a number.")
    })
}

/// Reads a time of RFC 3339. A fraction of a millisecond is cut off.
fn time(name: &'static str, text: &str) -> Result<String, Fault> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let time = time.and_then(|time| timestamp(time.checked_to_offset(UtcOffset::UTC)?).ok());
    time.ok_or_else(|| {
        let detail = "The value is not a time of RFC 3339. Send a time such as 2027-01-31T09:00:00Z.";
        Fault::parameter(name, detail)
    })
}

/// Lists the request log of an organisation
///
/// The log has each request of an identity provider with a known key or OAuth client, for 30 days. Entries are written after
/// the response, and a few may be missing. A page with filters may have fewer entries than the limit before the end.
#[utoipa::path(
    get,
    path = "/admin/v1/orgs/{org}/log",
    operation_id = "listRequests",
    tag = "log",
    params(("org" = String, Path, description = "The name of the organisation."), List, LogParameters),
    responses((status = 200, description = "A page of the request log.", body = RequestLog), Problems),
)]
async fn list(
    State(app): State<App>,
    _: By,
    InOrg(org): InOrg,
    LogQuery { list, filter }: LogQuery,
) -> Result<Response, Problem> {
    let after = list.cursor.map(|cursor| Id::parse(&cursor).ok_or_else(List::unknown_cursor)).transpose()?;
    let organisation = organisation(&app, &org).await?;
    let page =
        app.store.request_log(&organisation, &filter, list.limit, after.as_ref().map(Id::as_str)).await?;
    let items = page.items.into_iter().map(LogEntry::from).collect();
    Ok(json(StatusCode::OK, &RequestLog { items, next: page.next })?)
}

/// Returns the organisation.
pub(super) async fn organisation(app: &App, org: &Org) -> Result<Organisation, Problem> {
    app.store.org(org).await?.ok_or_else(no_such_org)
}
