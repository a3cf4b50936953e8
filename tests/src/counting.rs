//! What requests cost: a connector that counts the calls of DynamoDB and adds up the capacity they consume.
//!
//! It asks for `ReturnConsumedCapacity` on every call and takes the number from the answer, so what is counted is what
//! the engine charges: for reads by 4 KB and twice if strongly consistent, for transactions twice.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use local::embedded::{Connector, client_over};
use serde_json::{Value, json};

/// Counts the calls of the client it makes.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Mutex<BTreeMap<String, Cost>>>);

/// What calls cost, of one table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// How many calls there were of each operation.
    pub calls: BTreeMap<String, usize>,
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
}

impl Counter {
    /// A client of the database whose calls are counted here.
    #[must_use]
    pub fn client(&self, database: Database) -> Client {
        let connector = Counting { connector: Connector::new(database), counter: self.clone() };
        client_over(SharedHttpConnector::new(connector))
    }

    /// What was counted by table since it was last asked, and begins again.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, Cost> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, operation: &str, request: &Value, answer: &Value) {
        let mut costs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = costs.entry(table(request)).or_default();
        *cost.calls.entry(operation.to_owned()).or_default() += 1;
        let reads = matches!(operation, "BatchGetItem" | "GetItem" | "Query" | "Scan");
        *(if reads { &mut cost.read } else { &mut cost.write }) += units(&answer["ConsumedCapacity"]);
    }
}

/// The table a request is about. Those of the service are about one each.
fn table(request: &Value) -> String {
    let of_batch = || request["RequestItems"].as_object()?.keys().next().map(String::as_str);
    let of_transaction = || request["TransactItems"][0].as_object()?.values().next()?["TableName"].as_str();
    request["TableName"].as_str().or_else(of_batch).or_else(of_transaction).unwrap_or_default().to_owned()
}

/// Of one table, or of each of a batch's.
fn units(capacity: &Value) -> f64 {
    match capacity {
        Value::Array(tables) => tables.iter().map(units).sum(),
        capacity => capacity["CapacityUnits"].as_f64().unwrap_or_default(),
    }
}

impl fmt::Display for Cost {
    /// `Query 2, GetItem 1: 3 read, 0 written`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (operation, calls)) in self.calls.iter().enumerate() {
            write!(f, "{}{operation} {calls}", if index == 0 { "" } else { ", " })?;
        }
        write!(f, ": {} read, {} written", self.read, self.write)
    }
}

#[derive(Debug)]
struct Counting {
    connector: Connector,
    counter: Counter,
}

impl HttpConnector for Counting {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let mut body: Value =
            serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        if !matches!(operation.as_str(), "CreateTable" | "UpdateTimeToLive") {
            body["ReturnConsumedCapacity"] = json!("TOTAL");
            *request.body_mut() = SdkBody::from(body.to_string());
        }
        let answer = self.connector.call(request);
        let counter = self.counter.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let bytes = answer.body().bytes().unwrap_or_default();
            counter.count(&operation, &body, &serde_json::from_slice(bytes).unwrap_or_default());
            Ok(answer)
        })
    }
}
