//! The transactions in progress: which items they close to other writes, and what is remembered of their tokens.
//!
//! Requests are DynamoDB's JSON.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant};

/// The time for which DynamoDB remembers the token of a successful transaction.
const TOKEN_LIFETIME: Duration = Duration::from_mins(10);
/// The key attributes of both tables.
const KEY: [&str; 2] = ["pk", "sk"];

/// The status and the body of an answer.
pub(crate) type Answer = (u16, String);

/// The transactions in progress, and the tokens of those that succeeded.
///
/// The engine has a memory of tokens too. It searches all of them in each transaction.
#[derive(Default)]
pub(crate) struct Transactions {
    closed: HashSet<String>,
    tokens: HashMap<String, Token>,
}

/// The record of a token at DynamoDB.
struct Token {
    actions: u64,
    /// The end of the transaction, unless the transaction is in progress.
    over: Option<Instant>,
}

/// A transaction in progress.
pub(crate) struct Transaction {
    items: Vec<String>,
    token: Option<String>,
}

/// Why a transaction has no effect.
pub(crate) enum Refusal {
    /// A successful transaction had the same token and actions.
    Repeated,
    /// A transaction with the same token is in progress.
    InProgress,
    /// Another transaction had the same token.
    Mismatch,
    /// Other transactions are in progress. Tells for each action whether they have its item.
    Conflict(Vec<bool>),
}

impl Refusal {
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Repeated => (200, "{}".to_owned()),
            Self::InProgress => error("TransactionInProgressException"),
            Self::Mismatch => error("IdempotentParameterMismatchException"),
            Self::Conflict(conflicts) => {
                let code = |conflict: &bool| if *conflict { "TransactionConflict" } else { "None" };
                let reasons: Vec<Value> =
                    conflicts.iter().map(|action| json!({ "Code": code(action) })).collect();
                let mut body = exception("TransactionCanceledException");
                body["CancellationReasons"] = reasons.into();
                (400, body.to_string())
            }
        }
    }
}

impl Transactions {
    /// Begins a transaction, unless its token or a conflict forbids it.
    pub(crate) fn begin(&mut self, request: &Value) -> Result<Transaction, Refusal> {
        let actions = request["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let token = request["ClientRequestToken"].as_str().map(str::to_owned);
        let hash = hash(actions);
        let known = token.as_ref().and_then(|token| self.tokens.get(token));
        match known.filter(|known| known.over.is_none_or(|over| over.elapsed() < TOKEN_LIFETIME)) {
            Some(known) if known.actions != hash => return Err(Refusal::Mismatch),
            Some(Token { over: None, .. }) => return Err(Refusal::InProgress),
            Some(_) => return Err(Refusal::Repeated),
            None => {}
        }
        let items: Vec<String> = actions.iter().map(content).map(|write| item(None, write)).collect();
        let conflicts: Vec<bool> = items.iter().map(|item| self.closed.contains(item)).collect();
        if conflicts.contains(&true) {
            return Err(Refusal::Conflict(conflicts));
        }
        self.closed.extend(items.iter().cloned());
        self.tokens.extend(token.clone().map(|token| (token, Token { actions: hash, over: None })));
        Ok(Transaction { items, token })
    }

    /// Ends a transaction. A transaction that fails leaves no token. Returns the number of its actions.
    pub(crate) fn end(&mut self, Transaction { items, token }: Transaction, succeeded: bool) -> usize {
        for item in &items {
            self.closed.remove(item);
        }
        if let Some(token) = token {
            match self.tokens.get_mut(&token) {
                Some(known) if succeeded => known.over = Some(Instant::now()),
                _ => drop(self.tokens.remove(&token)),
            }
        }
        items.len()
    }

    /// Returns the error for a write of one item if a transaction has the item.
    pub(crate) fn refuse_write(&self, request: &Value) -> Option<Answer> {
        self.closed.contains(&item(None, request)).then(|| error("TransactionConflictException"))
    }

    /// Divides the writes of a batch, by table, into those whose item no transaction has and the others.
    pub(crate) fn divide_batch(&self, request: &Value) -> (Map<String, Value>, Map<String, Value>) {
        let (mut open, mut closed) = (Map::new(), Map::new());
        for (table, writes) in request["RequestItems"].as_object().into_iter().flatten() {
            let is_closed = |write: &Value| self.closed.contains(&item(Some(table), content(write)));
            let writes = writes.as_array().cloned().unwrap_or_default().into_iter();
            let (refused, accepted): (Vec<_>, Vec<_>) = writes.partition(is_closed);
            for (writes, of_tables) in [(refused, &mut closed), (accepted, &mut open)] {
                if !writes.is_empty() {
                    of_tables.insert(table.clone(), writes.into());
                }
            }
        }
        (open, closed)
    }
}

/// Returns the content of an action or of a write in a batch, such as that of `{ "Put": {} }`.
fn content(action: &Value) -> &Value {
    action.as_object().and_then(|action| action.values().next()).unwrap_or(&Value::Null)
}

/// Returns the item that a write is about. A write in a batch does not name its table.
fn item(table: Option<&str>, write: &Value) -> String {
    let table = table.or(write["TableName"].as_str()).unwrap_or_default();
    let attributes = write.get("Key").unwrap_or(&write["Item"]);
    let [pk, sk] = KEY.map(|name| attributes[name]["S"].as_str().unwrap_or_default());
    format!("{table}\n{pk}\n{sk}")
}

/// Returns a hash that does not depend on the order of the attributes.
fn hash(actions: &[Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    actions.hash(&mut hasher);
    hasher.finish()
}

fn error(name: &str) -> Answer {
    (400, exception(name).to_string())
}

fn exception(name: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}") })
}
