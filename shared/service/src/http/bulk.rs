//! `POST /Bulk` (RFC 7644 §3.7): many operations in one request, each through the handler of the single request.
//!
//! Operations are carried out in the order given, several at once where nothing connects them: an operation waits for
//! those before it that name the same resource, and for those whose `bulkId` it refers to, wherever they stand. Groups
//! that are members of one another are created first and joined then; any other circle is refused with 409. Each
//! operation is all or nothing by itself, the request as a whole is not: its answer says what became of each.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{
        Method, Request, StatusCode,
        header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION},
    },
    response::{IntoResponse, Response},
    routing,
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use scim::{Invalid, discovery::Bulk, json, message};
use serde_json::{Map, Value};
use tokio::time::{Duration, Instant};
use tower::ServiceExt;

use super::{
    Route,
    request::{GROUP_BODY, Json, PublicBase, Writer},
    response::answer,
};
use crate::{App, Error, auth::Caller};

/// What `/ServiceProviderConfig` publishes.
pub(super) const LIMITS: Bulk = Bulk { max_operations: 1_000, max_payload_size: GROUP_BODY as u64 };
/// Operations under way at once.
const CONCURRENCY: usize = 8;
/// After this long no further operation is begun: those under way must end before the request's budget does.
const BEGIN_WITHIN: Duration = Duration::from_secs(15);
/// What a reference to an operation begins with.
const REFERENCE: &str = "bulkId:";

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/Bulk", routing::post(bulk))]
}

async fn bulk(
    State(app): State<App>,
    Writer(caller): Writer,
    base: Option<axum::Extension<PublicBase>>,
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let request = BulkRequest::parse(&body)?;
    let job = Job {
        router: super::plain_router(app, [super::users::routes(), super::groups::routes()].concat()),
        caller,
        base: base.map(|base| base.0),
    };
    let answers = job.run(request).await;
    let mut body = Map::new();
    body.insert("schemas".to_owned(), Value::from(vec![message::BULK_RESPONSE_URN]));
    body.insert("Operations".to_owned(), answers.into_iter().map(Value::Object).collect());
    Ok(answer(StatusCode::OK, &Value::Object(body)))
}

/// The request as sent.
struct BulkRequest {
    fail_on_errors: usize,
    operations: Vec<Operation>,
}

/// One operation.
#[derive(Clone)]
struct Operation {
    method: Method,
    bulk_id: Option<String>,
    version: Option<String>,
    path: String,
    data: Value,
}

impl BulkRequest {
    fn parse(body: &Value) -> Result<Self, Error> {
        let operations = body.get("Operations").and_then(Value::as_array).ok_or_else(|| {
            Invalid::syntax("the body must be a BulkRequest: an object with a list 'Operations'")
        })?;
        if operations.len() as u64 > LIMITS.max_operations {
            return Err(Error::TooManyOperations(LIMITS.max_operations));
        }
        let fail_on_errors = match body.get("failOnErrors") {
            None | Some(Value::Null) => usize::MAX,
            Some(number) => number
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| Invalid::value("'failOnErrors' must be a whole number above 0"))?,
        };
        let read = |(index, operation)| {
            Operation::parse(operation)
                .map_err(|invalid: Invalid| invalid.within(&format!("Operations[{index}]")))
        };
        let operations = operations.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut ids = BTreeSet::new();
        for id in operations.iter().filter_map(|operation| operation.bulk_id.as_ref()) {
            if !ids.insert(id) {
                return Err(Invalid::value("two operations have the same 'bulkId'").into());
            }
        }
        Ok(Self { fail_on_errors, operations })
    }
}

impl Operation {
    fn parse(operation: &Value) -> Result<Self, Invalid> {
        let text = |name: &str| match operation.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Invalid::value(format!("'{name}' must be a string"))),
        };
        let missing = |name: &str| Invalid::value(format!("'{name}' is required"));
        let method = match text("method")?.ok_or_else(|| missing("method"))?.to_ascii_uppercase().as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(Invalid::value("'method' must be POST, PUT, PATCH or DELETE")),
        };
        let bulk_id = text("bulkId")?;
        if method == Method::POST && bulk_id.is_none() {
            return Err(missing("bulkId"));
        }
        let path = text("path")?.filter(|path| path.starts_with('/')).ok_or_else(|| {
            Invalid::value(
                "'path' is required: the endpoint under the base URL, such as /Users or /Users/<id>",
            )
        })?;
        let data = operation.get("data").cloned().unwrap_or_default();
        if method != Method::DELETE && data.is_null() {
            return Err(missing("data"));
        }
        Ok(Self { method, bulk_id, version: text("version")?, path, data })
    }

    fn on_group(method: Method, group: &str, data: Value) -> Self {
        Self { method, bulk_id: None, version: None, path: format!("/Groups/{group}"), data }
    }

    /// The `bulkId`s it refers to.
    fn references(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect_references(&self.data, &mut found);
        found.extend(self.path.split('/').filter_map(|part| part.strip_prefix(REFERENCE)).map(str::to_owned));
        found
    }

    /// The operation with ids in the place of references.
    fn resolved(mut self, ids: &BTreeMap<String, String>) -> Self {
        let id_of =
            |text: &str| text.strip_prefix(REFERENCE).and_then(|reference| ids.get(reference)).cloned();
        self.path = self
            .path
            .split('/')
            .map(|part| id_of(part).unwrap_or_else(|| part.to_owned()))
            .collect::<Vec<_>>()
            .join("/");
        resolve(&mut self.data, &id_of);
        self
    }

    /// A new group whose members include groups that wait for it: the group without those, and the members that are
    /// to be added when they are there. `None` for anything else that is part of a circle.
    fn without_members(&self, waiting: &BTreeSet<String>) -> Option<(Self, Vec<Value>)> {
        if self.method != Method::POST || self.path.trim_end_matches('/') != "/Groups" {
            return None;
        }
        let mut early = self.clone();
        let members = early.data.get_mut("members")?.as_array_mut()?;
        let refers = |member: &Value| {
            let value = member.get("value").and_then(Value::as_str);
            value.and_then(|value| value.strip_prefix(REFERENCE)).is_some_and(|id| waiting.contains(id))
        };
        let (late, now) = std::mem::take(members).into_iter().partition(refers);
        *members = now;
        early.references().is_disjoint(waiting).then_some((early, late))
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(text.strip_prefix(REFERENCE).map(str::to_owned)),
        Value::Array(elements) => elements.iter().for_each(|element| collect_references(element, found)),
        Value::Object(members) => members.values().for_each(|member| collect_references(member, found)),
        _ => {}
    }
}

fn resolve(value: &mut Value, id_of: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = id_of(text) {
                *text = id;
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| resolve(element, id_of)),
        Value::Object(members) => members.values_mut().for_each(|member| resolve(member, id_of)),
        _ => {}
    }
}

/// The request under way.
struct Job {
    router: Router,
    caller: Caller,
    base: Option<PublicBase>,
}

/// What an operation is waiting for.
enum Next {
    /// Nothing: it can be carried out, and with what is to be added to the group then.
    Ready(Operation, Vec<Value>),
    /// An operation that is still to come.
    Wait,
    /// Nothing that could still come: it is refused.
    Refused(Error),
}

impl Job {
    /// Carries the operations out; gives the answers in their order. Those that were not reached, because too many
    /// failed, have none.
    async fn run(&self, request: BulkRequest) -> Vec<Map<String, Value>> {
        let began = Instant::now();
        let BulkRequest { fail_on_errors, operations } = request;
        let at_once = if fail_on_errors == usize::MAX { CONCURRENCY } else { 1 };
        let mut ids = BTreeMap::new();
        let mut answers: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
        let mut late: Vec<(usize, String, Vec<Value>)> = Vec::new();
        let mut left: Vec<usize> = (0..operations.len()).collect();
        let mut errors = 0;
        while !left.is_empty() && errors < fail_on_errors {
            let out_of_time = began.elapsed() > BEGIN_WITHIN;
            let mut wave = next_wave(&operations, &left, &ids, at_once, out_of_time);
            left.retain(|index| !wave.iter().any(|(in_wave, _)| in_wave == index));
            let carried_out = wave.drain(..).map(|(index, next)| async move {
                match next {
                    Next::Ready(operation, members) => (index, self.carry_out(operation).await, members),
                    Next::Refused(error) => (index, error.into_response(), Vec::new()),
                    Next::Wait => (index, Error::Unavailable.into_response(), Vec::new()),
                }
            });
            let done: Vec<_> = stream::iter(carried_out).buffered(at_once).collect().await;
            for (index, response, members) in done {
                let failed = !response.status().is_success();
                errors += usize::from(failed);
                let (answer, id) = describe(&operations[index], response).await;
                if let (false, Some(bulk_id), Some(id)) = (failed, &operations[index].bulk_id, id) {
                    ids.insert(bulk_id.clone(), id.clone());
                    if !members.is_empty() {
                        late.push((index, id, members));
                    }
                }
                answers.insert(index, answer);
            }
        }
        for (index, id, members) in late {
            let response = self.carry_out(join(&id, members).resolved(&ids)).await;
            if !response.status().is_success() {
                // The operation was to create a group with these members, and is undone as a whole.
                self.carry_out(Operation::on_group(Method::DELETE, &id, Value::Null)).await;
            }
            if let Some(answer) = answers.get_mut(&index) {
                amend(answer, response).await;
            }
        }
        answers.into_values().collect()
    }

    async fn carry_out(&self, operation: Operation) -> Response {
        let mut request = Request::builder().method(operation.method).uri(&operation.path);
        request = request.header(CONTENT_TYPE, "application/scim+json").extension(self.caller.clone());
        if let Some(version) = operation.version.filter(|version| !version.is_empty()) {
            request = request.header(IF_MATCH, version);
        }
        if let Some(base) = &self.base {
            request = request.extension(base.clone());
        }
        let body =
            if operation.data.is_null() { Body::empty() } else { Body::from(operation.data.to_string()) };
        match request.body(body) {
            Ok(request) => self.router.clone().oneshot(request).await.into_response(),
            Err(_) => {
                Error::from(Invalid::value("'path' or 'version' cannot be sent as it is")).into_response()
            }
        }
    }
}

/// The next operations to be carried out, at most so many, none of which has to wait for another of them.
fn next_wave(
    operations: &[Operation],
    left: &[usize],
    ids: &BTreeMap<String, String>,
    at_once: usize,
    out_of_time: bool,
) -> Vec<(usize, Next)> {
    let coming: BTreeSet<&str> =
        left.iter().filter_map(|index| operations[*index].bulk_id.as_deref()).collect();
    let mut wave = Vec::new();
    let mut named = BTreeSet::new();
    for index in left {
        let operation = &operations[*index];
        let next =
            if out_of_time { Next::Refused(Error::Unavailable) } else { next(operation, &coming, ids) };
        // An operation on a resource waits for those before it on the same one.
        let is_first = operation.method == Method::POST || named.insert(operation.path.as_str());
        if is_first && !matches!(next, Next::Wait) {
            wave.push((*index, next));
        }
        if wave.len() == at_once {
            break;
        }
    }
    if wave.is_empty() {
        // Every operation that is left waits for another: a circle.
        let broken = left.iter().find_map(|index| {
            let waiting: BTreeSet<String> = coming.iter().map(|id| (*id).to_owned()).collect();
            let (early, late) = operations[*index].without_members(&waiting)?;
            Some((*index, Next::Ready(early.resolved(ids), late)))
        });
        match broken {
            Some(ready) => wave.push(ready),
            None => wave.extend(left.iter().map(|index| (*index, Next::Refused(circular())))),
        }
    }
    wave
}

fn next(operation: &Operation, coming: &BTreeSet<&str>, ids: &BTreeMap<String, String>) -> Next {
    let open: Vec<String> = operation.references().into_iter().filter(|id| !ids.contains_key(id)).collect();
    if open.is_empty() {
        Next::Ready(operation.clone().resolved(ids), Vec::new())
    } else if open.iter().all(|id| coming.contains(id.as_str())) {
        Next::Wait
    } else {
        Next::Refused(Error::from(Invalid::value(
            "it refers to a bulkId that no operation of this request has, or whose operation failed",
        )))
    }
}

fn circular() -> Error {
    Error::Conflict("operations refer to each other in a circle that cannot be resolved".to_owned())
}

/// Adds members to a group that was created without them.
fn join(group: &str, members: Vec<Value>) -> Operation {
    let operation = Map::from_iter([
        ("op".to_owned(), Value::from("add")),
        ("path".to_owned(), Value::from("members")),
        ("value".to_owned(), Value::from(members)),
    ]);
    let data = Map::from_iter([("Operations".to_owned(), Value::from(vec![Value::Object(operation)]))]);
    Operation::on_group(Method::PATCH, group, Value::Object(data))
}

/// What the answer says of an operation, and the id of what it created.
async fn describe(operation: &Operation, response: Response) -> (Map<String, Value>, Option<String>) {
    let mut said = Map::new();
    let mut say = |name: &str, value: Value| said.insert(name.to_owned(), value);
    say("method", operation.method.as_str().into());
    if let Some(bulk_id) = &operation.bulk_id {
        say("bulkId", bulk_id.as_str().into());
    }
    let (parts, body) = response.into_parts();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let location = header(LOCATION).or_else(|| header(axum::http::header::CONTENT_LOCATION));
    if let Some(location) = &location {
        say("location", location.as_str().into());
    }
    if let Some(version) = header(ETAG) {
        say("version", version.into());
    }
    say("status", parts.status.as_u16().to_string().into());
    if !parts.status.is_success() {
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        say("response", json::parse(&bytes).unwrap_or_default());
    }
    let id = location.and_then(|location| location.rsplit('/').next().map(str::to_owned));
    (said, id)
}

/// A group that was created, after its late members were added or not.
async fn amend(answer: &mut Map<String, Value>, response: Response) {
    if response.status().is_success() {
        if let Some(version) = response.headers().get(ETAG).and_then(|version| version.to_str().ok()) {
            answer.insert("version".to_owned(), version.into());
        }
        return;
    }
    answer.insert("status".to_owned(), response.status().as_u16().to_string().into());
    let bytes =
        response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    answer.insert("response".to_owned(), json::parse(&bytes).unwrap_or_default());
}
