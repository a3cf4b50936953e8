//! The costs of requests: the number of calls to DynamoDB and the capacity that they consume.
//!
//! The store sets `ReturnConsumedCapacity` on every call, so the counter adds up what the engine charges: a unit for each
//! 4 KB read with strong consistency, and twice the units in a transaction.

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

/// A counter of the calls of its clients.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Mutex<BTreeMap<String, Cost>>>);

/// The costs of calls to one table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// The number of calls of each operation.
    pub calls: BTreeMap<String, usize>,
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
}

impl Counter {
    /// Returns a client of the database whose calls are counted.
    #[must_use]
    pub fn client(&self, database: Database) -> Client {
        self.slow_client(database, Duration::ZERO)
    }

    /// Returns a client whose calls are counted and take the given time.
    #[must_use]
    pub fn slow_client(&self, database: Database, takes: Duration) -> Client {
        let counter = self.clone();
        observed::client(database, takes, move |call| counter.count(call))
    }

    /// Returns the costs of each table since the last call of this function.
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

/// Returns the table of a request. Each request of the service has one table.
#[must_use]
pub fn table(request: &Value) -> String {
    let of_batch = || request["RequestItems"].as_object()?.keys().next().map(String::as_str);
    let of_transaction = || request["TransactItems"][0].as_object()?.values().next()?["TableName"].as_str();
    request["TableName"].as_str().or_else(of_batch).or_else(of_transaction).unwrap_or_default().to_owned()
}

/// Returns the units of one table, or of all tables of a batch.
fn units(capacity: &Value) -> f64 {
    match capacity {
        Value::Array(tables) => tables.iter().map(units).sum(),
        capacity => capacity["CapacityUnits"].as_f64().unwrap_or_default(),
    }
}

impl fmt::Display for Cost {
    /// Writes `Query 2, GetItem 1: 3 read, 0 written`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (operation, calls)) in self.calls.iter().enumerate() {
            write!(f, "{}{operation} {calls}", if index == 0 { "" } else { ", " })?;
        }
        write!(f, ": {} read, {} written", self.read, self.write)
    }
}
