//! `POST /Bulk` (RFC 7644 §3.7): many operations in one request, each through the handler of the single request.
//!
//! Operations are carried out in the order given, several at once where none can tell: an operation waits for those
//! whose `bulkId` it refers to, wherever they stand. Groups that are members of one another are created first and joined
//! then; any other circle is refused with 409. Each operation is all or nothing by itself, the request as a whole is
//! not: its answer says what became of each, and one that cannot even be read fails alone.

mod operation;

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{
        Method, Request, StatusCode,
        header::{CONTENT_LOCATION, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION},
        uri::PathAndQuery,
    },
    response::{IntoResponse, Response},
    routing,
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use scim::{Invalid, discovery::Bulk, json, message};
use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant, timeout_at};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use self::operation::{Ids, Operation, REFERENCE, member};
use super::{
    Route,
    request::{BaseUrl, GROUP_BODY, Json, PublicBase, WriteCaller},
    response::answer,
};
use crate::{App, Error, auth::Caller};

/// What `/ServiceProviderConfig` publishes.
pub(super) const LIMITS: Bulk = Bulk { max_operations: 1_000, max_payload_size: GROUP_BODY as u64 };
/// Operations under way at once.
const CONCURRENCY: usize = 8;
/// So long before the request has to be answered, no further operation is begun: 15 s after it came.
const BEGIN_BEFORE: Duration = Duration::from_secs(10);
/// Then those under way are given up, each by itself, so that there is an answer.
const END_BEFORE: Duration = Duration::from_secs(2);
/// Then nothing is undone any more.
const UNDO_BEFORE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/Bulk", routing::post(bulk))]
}

async fn bulk(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    Json(body): Json<GROUP_BODY>,
) -> Result<Response, Error> {
    let BulkRequest { fail_on_errors, operations } = BulkRequest::parse(&body)?;
    // A search is no operation.
    let routes = [super::users::routes(), super::groups::routes()].concat();
    let routes = routes.into_iter().filter(|route| !route.path.ends_with("/.search")).collect();
    let job = Job {
        router: super::plain_router(app, routes).layer(CatchPanicLayer::custom(super::panicked)),
        caller,
        base,
        fail_on_errors,
        left: (0..operations.len()).collect(),
        ids: operations
            .iter()
            .filter(|operation| operation.fault.is_none())
            .filter_map(Operation::to_come)
            .collect(),
        operations,
        joins: Vec::new(),
        outcomes: BTreeMap::new(),
        errors: 0,
    };
    let body = json!({ "schemas": [message::BULK_RESPONSE_URN], "Operations": job.run().await });
    Ok(answer(StatusCode::OK, &body))
}

/// The request as sent.
struct BulkRequest {
    fail_on_errors: usize,
    operations: Vec<Operation>,
}

impl BulkRequest {
    fn parse(body: &Value) -> Result<Self, Error> {
        let operations = member(body, "Operations")?.and_then(Value::as_array).ok_or_else(|| {
            Invalid::syntax("the body must be a BulkRequest: an object with a list 'Operations'")
        })?;
        if operations.len() as u64 > LIMITS.max_operations {
            return Err(Error::TooManyOperations(LIMITS.max_operations));
        }
        let fail_on_errors = match member(body, "failOnErrors")? {
            None => usize::MAX,
            Some(number) => number
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| Invalid::value("'failOnErrors' must be a whole number above 0"))?,
        };
        let mut operations: Vec<_> = operations.iter().map(Operation::read).collect();
        refuse_shared_ids(&mut operations);
        Ok(Self { fail_on_errors, operations })
    }
}

/// Of operations with the same `bulkId` nobody can say which one is referred to.
fn refuse_shared_ids(operations: &mut [Operation]) {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for id in operations.iter().filter_map(|operation| operation.bulk_id.clone()) {
        *uses.entry(id).or_default() += 1;
    }
    let is_shared = |id: &String| uses.get(id).is_some_and(|uses| *uses > 1);
    for operation in
        operations.iter_mut().filter(|operation| operation.bulk_id.as_ref().is_some_and(is_shared))
    {
        operation.references.clear();
        operation.fault = Some(Invalid::value("another operation has the same 'bulkId'"));
    }
}

/// The request under way.
struct Job {
    router: Router,
    caller: Caller,
    base: String,
    fail_on_errors: usize,
    operations: Vec<Operation>,
    /// The operations that are to come.
    left: BTreeSet<usize>,
    ids: Ids,
    /// Groups that were created without some members, and what adds those.
    joins: Vec<(usize, Operation)>,
    outcomes: BTreeMap<usize, Outcome>,
    errors: usize,
}

/// An operation whose turn it is.
struct Turn {
    index: usize,
    /// As it is carried out, or why it is not.
    operation: Result<Operation, Error>,
    /// The members that the new group is to have later.
    late: Vec<Value>,
}

impl Job {
    /// Carries the operations out; gives what the answer says of each, in their order. Those that were not reached,
    /// because too many failed, are not in it.
    async fn run(mut self) -> Vec<Value> {
        while self.errors < self.fail_on_errors {
            if let Some(ready) = self.joins.iter().position(|(_, join)| !join.waits(&self.ids)) {
                let (index, join) = self.joins.remove(ready);
                self.join(index, join).await;
            } else if !self.left.is_empty() {
                self.carry_out_wave().await;
            } else {
                break;
            }
        }
        // Members that were not reached do not come any more: their groups fail.
        for (index, join) in std::mem::take(&mut self.joins) {
            self.join(index, join).await;
        }
        let operations = self.operations;
        self.outcomes.into_iter().map(|(index, outcome)| outcome.describe(&operations[index])).collect()
    }

    async fn carry_out_wave(&mut self) {
        // As many as may fail: so none is carried out after the last error that is accepted.
        let at_once = CONCURRENCY.min(self.fail_on_errors - self.errors);
        let mut wave = self.next_wave(at_once);
        if wave.is_empty() {
            wave = self.out_of_circle();
        }
        let job = &*self;
        let done = wave.into_iter().map(|turn| job.take(turn));
        let done: Vec<_> = stream::iter(done).buffered(at_once).collect().await;
        for (index, outcome, late) in done {
            self.record(index, outcome, &late);
        }
    }

    async fn take(&self, Turn { index, operation, late }: Turn) -> (usize, Outcome, Vec<Value>) {
        let outcome = match operation {
            Ok(operation) => self.carry_out(operation, END_BEFORE).await,
            Err(error) => Outcome::of(error.into_response(), self.location(&self.operations[index])).await,
        };
        (index, outcome, late)
    }

    fn record(&mut self, index: usize, outcome: Outcome, late: &[Value]) {
        self.left.remove(&index);
        self.errors += usize::from(outcome.is_failure());
        if let Some(bulk_id) = &self.operations[index].bulk_id {
            match outcome.id() {
                Some(id) => {
                    if !late.is_empty() {
                        self.joins.push((index, Operation::join(&id, late)));
                    }
                    self.ids.insert(bulk_id.clone(), Some(id));
                }
                None => {
                    self.ids.remove(bulk_id);
                }
            }
        }
        self.outcomes.insert(index, outcome);
    }

    /// The operations that come next, at most so many: of one method, about different things, and the first that are
    /// left, but for those that have to wait.
    fn next_wave(&self, at_once: usize) -> Vec<Turn> {
        let mut wave: Vec<usize> = Vec::new();
        let mut under_way = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        let is_late = self.is_late();
        for index in &self.left {
            let operation = &self.operations[*index];
            if wave.len() == at_once {
                break;
            }
            if is_late {
                wave.push(*index);
                continue;
            }
            let waits_for = |other: &usize| {
                self.operations[*other].bulk_id.as_ref().is_some_and(|id| operation.references.contains(id))
            };
            // It comes next, and nothing that comes after it before.
            if wave.iter().any(waits_for) {
                break;
            }
            let subject = operation.subject(&self.ids);
            if operation.waits(&self.ids) || waiting.contains(&subject) {
                waiting.insert(subject);
                continue;
            }
            let fits = wave.first().map(|first| &self.operations[*first]).is_none_or(|first| {
                first.method == operation.method && !first.is_alone && !operation.is_alone
            });
            if !fits || !under_way.insert(subject) {
                break;
            }
            wave.push(*index);
        }
        let turn = |index| Turn { index, operation: self.ready(index), late: Vec::new() };
        wave.into_iter().map(turn).collect()
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.caller.deadline() - BEGIN_BEFORE
    }

    fn ready(&self, index: usize) -> Result<Operation, Error> {
        let operation = &self.operations[index];
        if let Some(fault) = &operation.fault {
            return Err(fault.clone().into());
        }
        if self.is_late() {
            return Err(Error::Unavailable);
        }
        self.resolve(operation.clone())
    }

    fn resolve(&self, operation: Operation) -> Result<Operation, Error> {
        if operation.references.iter().all(|reference| self.ids.get(reference).is_some_and(Option::is_some)) {
            return Ok(operation.resolved(&self.ids));
        }
        Err(Error::from(Invalid::value(
            "it refers to a bulkId that no operation of this request has, or whose operation failed",
        )))
    }

    /// The way on where every operation that is left waits for another: a group that is created without some of its
    /// members, or else that all are refused.
    fn out_of_circle(&self) -> Vec<Turn> {
        let waiting = || self.left.iter().filter(|index| self.operations[**index].waits(&self.ids));
        let broken = waiting().find_map(|index| {
            let (early, late) = self.operations[*index].without_members(&self.ids)?;
            Some(Turn { index: *index, operation: self.resolve(early), late })
        });
        match broken {
            Some(turn) => vec![turn],
            None => waiting()
                .take(self.fail_on_errors - self.errors)
                .map(|index| Turn { index: *index, operation: Err(circular()), late: Vec::new() })
                .collect(),
        }
    }

    /// Adds the members that a group was created without. If that fails, so has the operation that was to create the
    /// group with them, and the group is deleted again.
    async fn join(&mut self, index: usize, join: Operation) {
        let group = join.path.clone();
        let mut outcome = match self.resolve(join) {
            Ok(join) => self.carry_out(join, END_BEFORE).await,
            Err(error) => Outcome::of(error.into_response(), None).await,
        };
        let Some(created) = self.outcomes.remove(&index) else { return };
        if outcome.is_failure() {
            self.errors += 1;
            if let Some(bulk_id) = &self.operations[index].bulk_id {
                self.ids.remove(bulk_id);
            }
            let undone = self.carry_out(Operation::deletion(group), UNDO_BEFORE).await;
            outcome.location = None;
            if undone.is_failure() && undone.status != StatusCode::NOT_FOUND {
                outcome.location = created.location;
                outcome.add_detail(
                    "; the group was created without some of its members and could not be deleted again: delete it",
                );
            }
        } else {
            outcome = Outcome { version: outcome.version.or(created.version.clone()), ..created };
        }
        self.outcomes.insert(index, outcome);
    }

    /// Carries an operation out if there is time, and for as long as there is.
    async fn carry_out(&self, operation: Operation, before: Duration) -> Outcome {
        let place = self.location(&operation);
        let end = self.caller.deadline() - before;
        let response = match self.request(operation, end) {
            Ok(request) if Instant::now() < end => {
                let response = timeout_at(end, self.router.clone().oneshot(request)).await;
                response.map_or_else(|_| Error::Unavailable.into_response(), IntoResponse::into_response)
            }
            Ok(_) => Error::Unavailable.into_response(),
            Err(_) => {
                Error::from(Invalid::value("'path' or 'version' cannot be sent as it is")).into_response()
            }
        };
        Outcome::of(response, place).await
    }

    fn request(&self, operation: Operation, end: Instant) -> Result<Request<Body>, axum::http::Error> {
        let uri = format!("{}{}", operation.path, operation.query);
        let mut request = Request::builder().method(operation.method.as_str()).uri(uri);
        request = request.header(CONTENT_TYPE, "application/scim+json");
        request = request.extension(self.caller.clone().until(end)).extension(PublicBase(self.base.clone()));
        if let Some(version) = operation.version.filter(|version| !version.is_empty()) {
            request = request.header(IF_MATCH, version);
        }
        request.body(if operation.data.is_null() { Body::empty() } else { operation.data.to_string().into() })
    }

    /// Where the resource is that an operation is about (RFC 7644 §3.7.3): the answer says so of every one but a POST
    /// that failed.
    fn location(&self, operation: &Operation) -> Option<String> {
        let path = operation.path_with(&self.ids).parse::<PathAndQuery>().ok()?;
        let is_known = !operation.is_creation() && !path.path().contains(REFERENCE);
        is_known.then(|| format!("{}{}", self.base, path.path()))
    }
}

fn circular() -> Error {
    Error::Conflict("operations refer to each other in a circle that cannot be resolved".to_owned())
}

/// What became of an operation.
struct Outcome {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    /// The error, if it failed.
    response: Value,
}

impl Outcome {
    /// Of the answer to the single request, which is about the resource at `place` if it says no other.
    async fn of(response: Response, place: Option<String>) -> Self {
        let (parts, body) = response.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Self {
            status: parts.status,
            location: header(LOCATION).or_else(|| header(CONTENT_LOCATION)).or(place),
            version: header(ETAG),
            response: if parts.status.is_success() {
                Value::Null
            } else {
                json::parse(&bytes).unwrap_or_default()
            },
        }
    }

    fn is_failure(&self) -> bool {
        !self.status.is_success()
    }

    /// The id of the resource, if all went well.
    fn id(&self) -> Option<String> {
        let location = self.location.as_ref().filter(|_| !self.is_failure())?;
        location.rsplit('/').next().map(str::to_owned)
    }

    fn add_detail(&mut self, more: &str) {
        if let Some(Value::String(detail)) = self.response.get_mut("detail") {
            detail.push_str(more);
        }
    }

    /// What the answer says.
    fn describe(self, operation: &Operation) -> Value {
        let mut said = Map::new();
        let mut say =
            |name: &str, value: Option<Value>| value.map(|value| said.insert(name.to_owned(), value));
        say("method", Some(operation.method.as_str()).filter(|method| !method.is_empty()).map(Value::from));
        say("bulkId", operation.bulk_id.as_deref().map(Value::from));
        say("location", self.location.map(Value::from));
        say("version", self.version.map(Value::from));
        say("status", Some(self.status.as_u16().to_string().into()));
        say("response", Some(self.response).filter(|response| !response.is_null()));
        Value::Object(said)
    }
}
