//! The partition keys that a role allows, and those of the calls of its function.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use serde_json::Value;
use service::config::Tables;
use tests::{
    counting::table,
    observed::{self, Call},
};
use tokio::time::Duration;

use super::Grant;

/// The grants that a function needed, each with the partition keys of the items that it named.
#[derive(Clone, Default)]
pub(super) struct Needed(Arc<Mutex<BTreeMap<Grant, BTreeSet<String>>>>);

impl Needed {
    /// Returns a client whose calls are recorded.
    pub(super) fn client(&self, database: Database) -> Client {
        let needed = self.clone();
        observed::client(database, Duration::ZERO, move |call| needed.record(call))
    }

    fn record(&self, Call { operation, request, .. }: &Call) {
        let tables = Tables::default();
        let add = |action: &str, table: &str, of: &Value| {
            let resource = match table {
                table if table == tables.resources => "ResourcesTable",
                table if table == tables.keys => "KeysTable",
                table if table == tables.requests => "RequestsTable",
                other => panic!("{action} on {other}"),
            };
            let grant = Grant { action: format!("dynamodb:{action}"), resource: resource.to_owned() };
            let mut needed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            collect(of, needed.entry(grant).or_default());
        };
        if operation != "TransactWriteItems" {
            return add(operation, &table(request), request);
        }
        // TransactWriteItems has no action of its own: IAM checks the action of each of its parts.
        for part in request["TransactItems"].as_array().unwrap() {
            let (part, of) = part.as_object().unwrap().iter().next().unwrap();
            let action = match part.as_str() {
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                part => format!("{part}Item"),
            };
            add(&action, of["TableName"].as_str().unwrap(), of);
        }
    }

    /// Returns the grants, each with the partition keys that the function named.
    pub(super) fn partitions(&self) -> BTreeMap<Grant, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns every grant that the function needed.
    ///
    /// A function that looks up an API key needs the pepper for the key's digest. The pepper is a file in this test and
    /// the secret on AWS, so the grant is added here.
    pub(super) fn all(&self) -> BTreeSet<Grant> {
        let mut needed: BTreeSet<Grant> = self.partitions().into_keys().collect();
        let looks_up_keys =
            Grant { action: "dynamodb:BatchGetItem".to_owned(), resource: "KeysTable".to_owned() };
        if needed.contains(&looks_up_keys) {
            let action = "secretsmanager:GetSecretValue".to_owned();
            needed.insert(Grant { action, resource: "Pepper".to_owned() });
        }
        needed
    }
}

/// Returns the differences between the partitions that the role allows and those that the function named. A grant without a
/// condition allows `*`.
pub(super) fn differing(
    name: &str,
    needed: &BTreeMap<Grant, BTreeSet<String>>,
    allowed: &BTreeMap<Grant, BTreeSet<String>>,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (grant, partitions) in needed {
        let patterns = allowed.get(grant).cloned().unwrap_or_default();
        if patterns.contains("*") {
            continue;
        }
        let refused = partitions.iter().filter(|key| !patterns.iter().any(|pattern| matches(pattern, key)));
        differences.extend(refused.map(|key| format!("{name} needs {grant:?} for {key}")));
        let unused = patterns.iter().filter(|pattern| !partitions.iter().any(|key| matches(pattern, key)));
        differences.extend(unused.map(|pattern| format!("{name} never uses {grant:?} for {pattern}")));
    }
    differences
}

/// Collects the partition keys of the items and keys of a call.
fn collect(of: &Value, found: &mut BTreeSet<String>) {
    match of {
        Value::Object(members) => {
            found.extend(of["pk"]["S"].as_str().map(str::to_owned));
            // A query has its partition key in an expression.
            if members.contains_key("KeyConditionExpression") {
                found.extend(of["ExpressionAttributeValues"][":pk"]["S"].as_str().map(str::to_owned));
            }
            members.values().for_each(|value| collect(value, found));
        }
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// Returns whether a text matches a pattern with `*` for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            text.char_indices()
                .map(|(index, _)| index)
                .chain([text.len()])
                .any(|end| matches(rest, &text[end..]))
        }),
    }
}
