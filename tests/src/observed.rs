//! Observation of calls to the embedded DynamoDB, with their answers.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use local::embedded::Connector;
use serde_json::Value;
use tokio::time::{Duration, sleep};

use crate::intercept;

/// A call that DynamoDB has answered.
pub struct Call {
    /// The operation, such as `GetItem`.
    pub operation: String,
    /// The request.
    pub request: Value,
    /// The answer.
    pub answer: Value,
}

/// Returns a client of the database that passes each call to the observer.
///
/// Each answer arrives after `takes`. Where time is paused, the wait is virtual, and concurrent calls wait at the same
/// time.
pub fn client(
    database: Database,
    takes: Duration,
    observer: impl Fn(&Call) + Send + Sync + 'static,
) -> Client {
    let observer = Arc::new(observer);
    intercept::client(Connector::new(database), move |call| {
        let observer = Arc::clone(&observer);
        async move {
            let (operation, request) = (call.operation.clone(), call.request());
            let answer = call.forward().await?;
            let body = answer.body().bytes().unwrap_or_default();
            let body = serde_json::from_slice(body).unwrap_or_default();
            observer(&Call { operation, request, answer: body });
            if !takes.is_zero() {
                sleep(takes).await;
            }
            Ok(answer)
        }
    })
}
