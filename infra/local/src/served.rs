//! The connector of the gateway: calls of the embedded DynamoDB take turns, and their writes are recorded for the flush.

use std::fmt;

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::HttpRequest,
};

use crate::{
    embedded::{Connector, TARGET, response},
    log::Log,
    turns::turn,
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

    /// Calls the operation, and returns the status and the body of the response.
    pub(crate) fn respond(&self, target: Option<&str>, body: &[u8]) -> (u16, String) {
        self.log.record(|| {
            let (status, body) = self.engine.respond(target, body);
            // A call that fails may have written: the engine writes the items of a batch one by one.
            ((status, body), !target.is_some_and(reads))
        })
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
            turn().await;
            let body = request.body().bytes().unwrap_or_default();
            let (status, body) = served.respond(request.headers().get(TARGET), body);
            response(status, body)
        })
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}
