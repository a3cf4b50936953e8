//! Calls of DynamoDB as they pass: a connector that shows each with its answer, and can make each take its time.

use std::{fmt, sync::Arc};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use dynoxide::Database;
use local::embedded::{Connector, client_over};
use serde_json::Value;
use tokio::time::{Duration, sleep};

/// A call: the operation, what was sent, and what came back.
pub struct Call {
    /// Its name, such as `GetItem`.
    pub operation: String,
    /// What was sent.
    pub request: Value,
    /// What came back.
    pub answer: Value,
}

type Observer = dyn Fn(&Call) + Send + Sync;

/// A client of the database whose calls are shown to the observer. An answer arrives after that time; where time is
/// paused, it is the virtual one, and calls sent at the same time take it at the same time.
pub fn client(
    database: Database,
    takes: Duration,
    observer: impl Fn(&Call) + Send + Sync + 'static,
) -> Client {
    let connector = Observed { connector: Connector::new(database), takes, observer: Arc::new(observer) };
    client_over(SharedHttpConnector::new(connector))
}

struct Observed {
    connector: Connector,
    takes: Duration,
    observer: Arc<Observer>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}

impl HttpConnector for Observed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let json =
            |bytes: Option<&[u8]>| serde_json::from_slice(bytes.unwrap_or_default()).unwrap_or_default();
        let sent = json(request.body().bytes());
        let answer = self.connector.call(request);
        let (takes, observer) = (self.takes, self.observer.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            observer(&Call { operation, request: sent, answer: json(answer.body().bytes()) });
            if !takes.is_zero() {
                sleep(takes).await;
            }
            Ok(answer)
        })
    }
}
