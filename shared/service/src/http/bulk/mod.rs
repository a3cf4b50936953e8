//! `POST /Bulk` (RFC 7644 §3.7): many operations in one request, each through the handler of the single request.
//!
//! Operations run in the given order. Several run at once if no client can tell the difference. An operation waits for
//! the operations whose `bulkId` it refers to, also for later ones. Groups that are members of one another are created
//! without these members, which are added afterwards. Any other circle of references fails with 409. Each operation
//! succeeds or fails as a whole, but the request does not: its answer has the outcome of each operation. An operation
//! that cannot be parsed fails alone.

mod job;
mod operation;
mod outcome;
mod queue;

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use scim::{Invalid, message};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

use self::{
    job::Job,
    operation::{Operation, member, take_member},
};
use super::{
    groups,
    request::{BaseUrl, BulkJson, WriteCaller},
    response::BoundedText,
    route::{Route, panicked, plain_router},
    users,
};
use crate::{App, Error, limits::MAX_BULK_OPERATIONS, pace::Pace, telemetry::Notes};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/Bulk", routing::post(bulk))]
}

async fn bulk(
    State(app): State<App>,
    WriteCaller(caller): WriteCaller,
    BaseUrl(base): BaseUrl,
    notes: Notes,
    BulkJson(body): BulkJson,
) -> Result<Response, Error> {
    let BulkRequest { fail_on_errors, operations } = BulkRequest::parse(body).await?;
    app.store.begin_bulk(&caller).await?;
    // A search is not an operation of a bulk request.
    let all = [users::routes(), groups::routes()].concat();
    let all = all.into_iter().filter(|route| !route.path.ends_with("/.search")).collect();
    let router = plain_router(app, all).layer(CatchPanicLayer::custom(panicked));
    let outcomes = Job::new(router, (caller, notes), base, fail_on_errors, operations).run().await;
    let body = json!({ "schemas": [message::BULK_RESPONSE_URN], "Operations": outcomes });
    let mut text = BoundedText::default();
    // The texts in an outcome are so short that the outcomes of all operations fit.
    text.write(&body)
        .ok_or_else(|| Error::Internal("the answer to a bulk request is too large".to_owned()))?;
    Ok(text.into_response(StatusCode::OK))
}

/// A parsed bulk request.
struct BulkRequest {
    fail_on_errors: usize,
    operations: Vec<Operation>,
}

impl BulkRequest {
    async fn parse(mut body: Value) -> Result<Self, Error> {
        if let Value::Object(request) = &body {
            message::check_schemas(request, &[message::BULK_REQUEST_URN])?;
        }
        let Some(Value::Array(operations)) = take_member(&mut body, "Operations")? else {
            let detail = "The body must be a BulkRequest: an object with a list 'Operations'.";
            return Err(Invalid::syntax(detail).into());
        };
        if operations.len() > MAX_BULK_OPERATIONS {
            return Err(Error::TooManyOperations(MAX_BULK_OPERATIONS));
        }
        let fail_on_errors = match member(&body, "failOnErrors")? {
            None => usize::MAX,
            Some(number) => number
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| {
                    Invalid::value("The value of 'failOnErrors' must be a whole number above 0.")
                })?,
        };
        let mut parsed = Vec::with_capacity(operations.len());
        let mut pace = Pace::new();
        for operation in operations {
            parsed.push(Operation::parse(operation));
            pace.step().await;
        }
        refuse_duplicate_bulk_ids(&mut parsed);
        Ok(Self { fail_on_errors, operations: parsed })
    }
}

/// Marks operations that have the same `bulkId` as faulty, because a reference to them is ambiguous.
fn refuse_duplicate_bulk_ids(operations: &mut [Operation]) {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for id in operations.iter().filter_map(|operation| operation.bulk_id.clone()) {
        *uses.entry(id).or_default() += 1;
    }
    let is_duplicate = |id: &String| uses.get(id).is_some_and(|uses| *uses > 1);
    for operation in
        operations.iter_mut().filter(|operation| operation.bulk_id.as_ref().is_some_and(is_duplicate))
    {
        operation.references.clear();
        operation.fault = Some(Invalid::value(
            "Another operation has the same 'bulkId'. Use a different one for each operation.",
        ));
    }
}
