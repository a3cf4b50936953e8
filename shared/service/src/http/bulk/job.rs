//! The order in which the operations of a bulk request run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::{
    Router,
    body::Body,
    http::{
        Request, StatusCode,
        header::{CONTENT_TYPE, IF_MATCH},
        uri::PathAndQuery,
    },
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use scim::Invalid;
use serde_json::Value;
use tokio::time::{Duration, Instant, timeout_at};
use tower::ServiceExt;

use super::{
    operation::{Ids, Operation, REFERENCE},
    outcome::Outcome,
    queue::{Queue, Waiting},
};
use crate::{
    Error,
    auth::Caller,
    error::Reason,
    http::request::PublicBase,
    limits::{BULK_RUN_RESERVE, BULK_START_RESERVE, BULK_UNDO_RESERVE},
    telemetry::{Answered, Notes, Part},
};

/// The number of operations that run at once.
const CONCURRENCY: usize = 8;

/// A bulk request that is being carried out.
pub(super) struct Job {
    router: Router,
    caller: Caller,
    notes: Notes,
    base: String,
    fail_on_errors: usize,
    operations: Vec<Operation>,
    queue: Queue,
    ids: Ids,
    /// The groups that were created without some members, with the operations that add these members.
    joins: BTreeMap<usize, Operation>,
    /// The joins that wait.
    waiting_joins: Waiting,
    /// The joins that are ready.
    ready_joins: VecDeque<usize>,
    outcomes: BTreeMap<usize, Outcome>,
    errors: usize,
}

/// An operation that runs next.
struct Turn {
    index: usize,
    /// The operation to run, or the reason why it fails.
    operation: Result<Operation, Error>,
    /// The members that are added to the new group once they exist.
    deferred: Vec<Value>,
}

impl Job {
    pub(super) fn new(
        router: Router,
        (caller, notes): (Caller, Notes),
        base: String,
        fail_on_errors: usize,
        operations: Vec<Operation>,
    ) -> Self {
        let ids = operations.iter().filter(|operation| operation.fault.is_none());
        let ids: Ids = ids.filter_map(Operation::pending_id).collect();
        Self {
            router,
            caller,
            notes,
            base,
            fail_on_errors,
            queue: Queue::new(&operations, &ids),
            ids,
            operations,
            joins: BTreeMap::new(),
            waiting_joins: Waiting::default(),
            ready_joins: VecDeque::new(),
            outcomes: BTreeMap::new(),
            errors: 0,
        }
    }

    /// Runs the operations. Returns their outcomes for the answer, in the given order. Operations that did not run,
    /// because too many failed, are left out.
    pub(super) async fn run(mut self) -> Vec<Value> {
        while self.errors < self.fail_on_errors {
            if let Some(index) = self.ready_joins.pop_front() {
                if let Some(join) = self.joins.remove(&index) {
                    self.join(index, join).await;
                }
            } else if !self.queue.is_empty() {
                self.run_wave().await;
            } else {
                break;
            }
        }
        // Too many operations failed, so members that do not exist yet are never created. Their groups fail.
        for (index, join) in std::mem::take(&mut self.joins) {
            self.join(index, join).await;
        }
        let operations = self.operations;
        self.outcomes.into_iter().map(|(index, outcome)| outcome.describe(&operations[index])).collect()
    }

    async fn run_wave(&mut self) {
        // At most as many as may still fail, so that no operation runs after the last accepted error.
        let at_once = CONCURRENCY.min(self.fail_on_errors - self.errors);
        let mut wave = self.next_wave(at_once);
        if wave.is_empty() {
            wave = self.break_circle();
        }
        let job = &*self;
        let done = wave.into_iter().map(|turn| job.take(turn));
        let done: Vec<_> = stream::iter(done).buffered(at_once).collect().await;
        for (index, outcome, deferred) in done {
            self.record(index, outcome, &deferred);
        }
    }

    async fn take(&self, Turn { index, operation, deferred }: Turn) -> (usize, Outcome, Vec<Value>) {
        let outcome = match operation {
            Ok(operation) => self.run_operation(operation, BULK_RUN_RESERVE).await,
            Err(error) => {
                let operation = &self.operations[index];
                let response = error.into_response();
                self.note(&self.notes_of(operation), &response, Instant::now());
                Outcome::of(response, self.location(operation)).await
            }
        };
        (index, outcome, deferred)
    }

    fn record(&mut self, index: usize, outcome: Outcome, deferred: &[Value]) {
        self.queue.remove(index);
        self.errors += usize::from(outcome.is_failure());
        if let Some(bulk_id) = self.operations[index].bulk_id.clone() {
            let join = outcome.id().filter(|_| !deferred.is_empty()).map(|id| Operation::join(&id, deferred));
            self.settle(&bulk_id, outcome.id());
            if let Some(join) = join {
                if !self.waiting_joins.add(index, &join, &self.ids) {
                    self.ready_joins.push_back(index);
                }
                self.joins.insert(index, join);
            }
        }
        self.outcomes.insert(index, outcome);
    }

    /// Notes the id of the resource that an operation is about, or that it failed.
    fn settle(&mut self, bulk_id: &str, id: Option<String>) {
        match id {
            Some(id) => self.ids.insert(bulk_id.to_owned(), Some(id)),
            None => self.ids.remove(bulk_id),
        };
        self.queue.settle(bulk_id, &self.operations, &self.ids);
        let joins = self.waiting_joins.settle(bulk_id).into_iter();
        self.ready_joins.extend(joins.filter(|(_, still_waits)| !still_waits).map(|(index, _)| index));
    }

    /// Returns the next operations, at most `at_once`. Operations that wait for another one are skipped. The wave ends
    /// before an operation of another method, and before one on a subject that is in the wave.
    fn next_wave(&mut self, at_once: usize) -> Vec<Turn> {
        let mut wave: Vec<usize> = Vec::new();
        if self.is_late() {
            wave.extend(self.queue.left().take(at_once));
        } else {
            let mut under_way = BTreeSet::new();
            // An operation that waits for this wave is the next one. None after it may overtake it.
            let mut end = usize::MAX;
            for index in self.queue.ready() {
                let operation = &self.operations[index];
                let fits = wave.first().map(|first| &self.operations[*first]).is_none_or(|first| {
                    first.method == operation.method && !first.is_exclusive && !operation.is_exclusive
                });
                let is_last = wave.len() == at_once || index > end;
                if is_last || !fits || !under_way.insert(self.queue.subject(index)) {
                    break;
                }
                end = end.min(self.queue.first_waiting_for(operation).unwrap_or(usize::MAX));
                wave.push(index);
            }
        }
        let turn = |index| Turn { index, operation: self.ready(index), deferred: Vec::new() };
        wave.into_iter().map(turn).collect()
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.caller.deadline() - BULK_START_RESERVE
    }

    fn ready(&mut self, index: usize) -> Result<Operation, Error> {
        let operation = &self.operations[index];
        if let Some(fault) = &operation.fault {
            return Err(fault.clone().into());
        }
        if self.is_late() {
            return Err(Error::Unavailable(Reason::Budget));
        }
        let operation = self.operations[index].take();
        self.resolve(operation)
    }

    fn resolve(&self, operation: Operation) -> Result<Operation, Error> {
        if operation.references.iter().all(|reference| self.ids.get(reference).is_some_and(Option::is_some)) {
            return Ok(operation.resolved(&self.ids));
        }
        Err(Error::from(Invalid::value(
            "The operation refers to a 'bulkId' that no operation of this request has, or whose operation failed.",
        )))
    }

    /// Returns the next operations if every operation left waits for another: a group to create without some of its
    /// members if there is one, else the operations to refuse.
    fn break_circle(&mut self) -> Vec<Turn> {
        let waiting = self.queue.waiting.indexes();
        for index in &waiting {
            if let Some(deferred) = self.operations[*index].defer_members(&self.ids) {
                let early = self.operations[*index].take();
                return vec![Turn { index: *index, operation: self.resolve(early), deferred }];
            }
        }
        let turn = |index| Turn { index, operation: Err(circular()), deferred: Vec::new() };
        waiting.into_iter().take(self.fail_on_errors - self.errors).map(turn).collect()
    }

    /// Adds the members that a group was created without. If this fails, the operation that creates the group fails too,
    /// and the group is deleted.
    #[expect(clippy::expect_used, reason = "a group is joined after its creation")]
    async fn join(&mut self, index: usize, join: Operation) {
        let group = join.path.clone();
        let mut outcome = match self.resolve(join) {
            Ok(join) => self.run_operation(join, BULK_RUN_RESERVE).await,
            Err(error) => Outcome::of(error.into_response(), None).await,
        };
        let created = self.outcomes.remove(&index).expect("the creation of the group has an outcome");
        if outcome.is_failure() {
            self.errors += 1;
            if let Some(bulk_id) = self.operations[index].bulk_id.clone() {
                self.settle(&bulk_id, None);
            }
            let undone = self.run_operation(Operation::deletion(group), BULK_UNDO_RESERVE).await;
            outcome.location = None;
            if undone.is_failure() && undone.status != StatusCode::NOT_FOUND {
                outcome.location = created.location;
                outcome.add_detail(
                    " The group exists without some of its members and could not be deleted. Delete the group.",
                );
            }
        } else {
            outcome = Outcome { version: outcome.version.or(created.version.clone()), ..created };
        }
        self.outcomes.insert(index, outcome);
    }

    /// Runs an operation until the time `reserve` before the deadline.
    async fn run_operation(&self, operation: Operation, reserve: Duration) -> Outcome {
        let location = self.location(&operation);
        let end = self.caller.deadline() - reserve;
        let (start, notes) = (Instant::now(), self.notes_of(&operation));
        let response = match self.request(operation, end, notes.clone()) {
            Ok(request) if Instant::now() < end => {
                let response = timeout_at(end, self.router.clone().oneshot(request)).await;
                response.map_or_else(
                    |_| Error::Unavailable(Reason::Budget).into_response(),
                    IntoResponse::into_response,
                )
            }
            Ok(_) => Error::Unavailable(Reason::Budget).into_response(),
            Err(_) => Error::from(Invalid::value(
                "The value of 'path' or 'version' contains characters that HTTP does not allow.",
            ))
            .into_response(),
        };
        self.note(&notes, &response, start);
        Outcome::of(response, location).await
    }

    /// Returns the notes of an operation, if the request log records the request.
    fn notes_of(&self, operation: &Operation) -> Notes {
        if self.notes.is_kept() {
            Notes::of_request(&operation.method, &operation.path_with(&self.ids))
        } else {
            Notes::default()
        }
    }

    /// Notes the outcome of an operation for the request log.
    fn note(&self, notes: &Notes, response: &Response, start: Instant) {
        if let Some(noted) = notes.noted() {
            let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.notes.part(Part { noted, answered: Answered::of(response), millis });
        }
    }

    fn request(
        &self,
        operation: Operation,
        end: Instant,
        notes: Notes,
    ) -> Result<Request<Body>, axum::http::Error> {
        let uri = format!("{}{}", operation.path, operation.query);
        let mut request = Request::builder().method(operation.method.as_str()).uri(uri);
        request = request.header(CONTENT_TYPE, "application/scim+json");
        request = request.extension(self.caller.clone().until(end)).extension(PublicBase(self.base.clone()));
        request = request.extension(notes);
        if let Some(version) = operation.version.filter(|version| !version.is_empty()) {
            request = request.header(IF_MATCH, version);
        }
        request.body(if operation.data.is_null() { Body::empty() } else { operation.data.to_string().into() })
    }

    /// Returns the location of the resource that an operation is about (RFC 7644 §3.7.3). The answer has a location for
    /// every operation but a failed POST.
    fn location(&self, operation: &Operation) -> Option<String> {
        let path = operation.path_with(&self.ids).parse::<PathAndQuery>().ok()?;
        let is_known = !operation.is_creation() && !path.path().contains(REFERENCE);
        is_known.then(|| format!("{}{}", self.base, path.path()))
    }
}

fn circular() -> Error {
    let detail = "The operations refer to each other in a circle. Create the resources first and add the references \
                  in another request.";
    Error::Conflict(detail.to_owned())
}
