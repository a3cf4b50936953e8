//! The connector of the gateway: calls of the embedded DynamoDB take turns, and their writes are recorded for the flush.

use std::fmt;

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::HttpRequest,
    result::ConnectorError,
};

use crate::{
    embedded::{Connector, TARGET, response},
    log::Log,
    turns::in_turn,
};

/// A connector whose writes count in a log, and whose calls wait for their turn.
#[derive(Clone)]
pub struct Served {
    engine: Connector,
    log: Log,
}

impl Served {
    /// Returns a connector around that of the engine.
    #[must_use]
    pub fn new(engine: Connector, log: Log) -> Self {
        Self { engine, log }
    }

    /// Calls the operation, and returns the status and the body of the response. A call that fails counts as a write too:
    /// the engine writes the items of a batch one by one.
    pub(crate) fn respond(&self, target: Option<&str>, body: &[u8]) -> (u16, String) {
        if target.is_some_and(reads) {
            return self.engine.respond(target, body);
        }
        self.log.record(|| self.engine.respond(target, body))
    }

    /// Waits until all writes so far are on the disk.
    pub(crate) async fn flushed(&self) {
        self.log.flushed().await;
    }
}

/// Returns whether the operation that the header names only reads.
fn reads(target: &str) -> bool {
    let operation = target.rsplit('.').next().unwrap_or_default();
    ["BatchGet", "Describe", "Get", "List", "Query", "Scan", "TransactGet"]
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

impl HttpConnector for Served {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let served = self.clone();
        HttpConnectorFuture::new(async move {
            let call = move || {
                served.respond(request.headers().get(TARGET), request.body().bytes().unwrap_or_default())
            };
            let (status, body) =
                in_turn(call).await.map_err(|error| ConnectorError::other(error.into(), None))?;
            response(status, body)
        })
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}
