//! What requests cost: the calls of DynamoDB counted, and the capacity added up that they consume.
//!
//! The store asks for `ReturnConsumedCapacity` on every call, so what is counted is what the engine charges: for reads by
//! 4 KB and twice if strongly consistent, for transactions twice.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use serde_json::Value;
use tokio::time::Duration;

use crate::observed::{self, Call};

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
        self.slow_client(database, Duration::ZERO)
    }

    /// The same, each of whose calls takes that time.
    #[must_use]
    pub fn slow_client(&self, database: Database, takes: Duration) -> Client {
        let counter = self.clone();
        observed::client(database, takes, move |call| counter.count(call))
    }

    /// What was counted by table since it was last asked, and begins again.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, Cost> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, Call { operation, request, answer }: &Call) {
        let mut costs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = costs.entry(table(request)).or_default();
        *cost.calls.entry(operation.clone()).or_default() += 1;
        let reads = matches!(operation.as_str(), "BatchGetItem" | "GetItem" | "Query" | "Scan");
        *(if reads { &mut cost.read } else { &mut cost.write }) += units(&answer["ConsumedCapacity"]);
    }
}

/// The table a request is about. Those of the service are about one each.
#[must_use]
pub fn table(request: &Value) -> String {
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
