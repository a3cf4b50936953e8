//! Replay of recorded calls: each must be a call of the protocol that is allowed at that time.
//!
//! The replay carries the calls out on a table of its own. It fails on a call that no call of the protocol equals, on one
//! that breaks a rule, and on one that DynamoDB has carried out although a condition of the protocol fails, or the other
//! way round.

mod expression;
mod names;
mod recognise;
mod request;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    action::{Action, Table, transact},
    call::Call,
    item::Key,
    rules,
};
use recognise::recognise;
use request::Texts;
use table::{Items, Members};

/// A call that a client has made, or a copy of one.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The operation, such as `TransactWriteItems`.
    pub operation: &'a str,
    /// The request.
    pub request: &'a Value,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of a call at DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It carried the call out, or an earlier call with the same token.
    CarriedOut,
    /// A condition failed.
    ConditionFailed,
    /// Something else failed, or the call did not arrive.
    Failed,
}

impl Outcome {
    /// Returns the outcome of a call from the status and the body of DynamoDB's answer, if there was one.
    #[must_use]
    pub fn of(answer: Option<(u16, &Value)>) -> Self {
        match answer {
            Some((200, _)) => Self::CarriedOut,
            Some((_, body)) => {
                let reasons = body["CancellationReasons"].as_array();
                let failed = |reason: &Value| reason["Code"] == "ConditionalCheckFailed";
                if reasons.is_some_and(|reasons| reasons.iter().any(failed)) {
                    Self::ConditionFailed
                } else {
                    Self::Failed
                }
            }
            None => Self::Failed,
        }
    }
}

/// The state of a token.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    actions: Vec<Action<Members>>,
    /// Whether DynamoDB has carried these actions out and drops every copy.
    carried_out: bool,
}

/// A table, and the calls that it has seen.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    items: Items,
    texts: Texts,
    tokens: BTreeMap<String, Token>,
}

/// Checks that the protocol allows these calls, in this order, on a table that has these items at first. Items are in the
/// form of DynamoDB's requests.
///
/// # Errors
/// The first call that it does not allow, and why.
pub fn allows<'a>(
    items: impl IntoIterator<Item = &'a Value>,
    calls: impl IntoIterator<Item = Recorded<'a>>,
) -> Result<(), String> {
    let mut replay = Replay::default();
    for item in items {
        replay.load(item)?;
    }
    for (number, call) in calls.into_iter().enumerate() {
        let outcome = replay.call(call);
        outcome.map_err(|why| format!("call {number}, {} of {:#}: {why}", call.operation, call.request))?;
    }
    Ok(())
}

impl Replay {
    /// Adds an item that exists.
    ///
    /// # Errors
    /// Why it is no item of the protocol.
    pub fn load(&mut self, item: &Value) -> Result<(), String> {
        if is_foreign(item) {
            return Ok(());
        }
        let key = self.texts.key(item, false)?;
        let item = self.texts.item(key, item)?;
        self.items.set(key, Some(item));
        Ok(())
    }

    /// Checks a call and carries it out.
    ///
    /// # Errors
    /// Why the protocol does not allow it.
    pub fn call(&mut self, call: Recorded<'_>) -> Result<(), String> {
        match call.operation {
            "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan" => Ok(()),
            "TransactWriteItems" => self.transaction(call.request, call.outcome),
            "BatchWriteItem" => self.batch(call.request, call.outcome),
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                let key =
                    if call.operation == "PutItem" { &call.request["Item"] } else { &call.request["Key"] };
                if is_foreign(key) { Ok(()) } else { Err("a write outside of a transaction".to_owned()) }
            }
            _ => Err("an unknown operation".to_owned()),
        }
    }

    fn transaction(&mut self, request: &Value, outcome: Outcome) -> Result<(), String> {
        let requests = request["TransactItems"].as_array().ok_or("no actions")?;
        if requests.iter().all(|action| is_foreign(key_of(action))) {
            return Ok(());
        }
        let actions =
            requests.iter().map(|action| self.texts.action(action)).collect::<Result<Vec<_>, _>>()?;
        let token = request["ClientRequestToken"].as_str().ok_or("a transaction without a token")?;
        if let Some(known) = self.tokens.get(token)
            && known.carried_out
        {
            let same = known.actions == actions;
            return match (same, outcome) {
                // The copy does nothing, and a token that is used up has no further effect.
                (true, _) | (false, Outcome::Failed) => Ok(()),
                (false, _) => Err("two transactions have the same token".to_owned()),
            };
        }
        let call = recognise(&actions, &self.items)?;
        let known = self.tokens.get(token);
        if known.is_some_and(|known| known.actions != actions) && call != Call::Burn {
            return Err("two transactions have the same token".to_owned());
        }
        self.carry_out(&call, &actions, outcome)?;
        let carried_out = outcome == Outcome::CarriedOut;
        self.tokens.insert(token.to_owned(), Token { actions, carried_out });
        Ok(())
    }

    fn carry_out(
        &mut self,
        call: &Call<Members>,
        actions: &[Action<Members>],
        outcome: Outcome,
    ) -> Result<(), String> {
        match outcome {
            Outcome::Failed => Ok(()),
            Outcome::ConditionFailed => match transact(&mut self.items.clone(), actions) {
                Err(_) => Ok(()),
                Ok(()) => Err(format!("no condition of {call:?} fails")),
            },
            Outcome::CarriedOut => {
                let before = self.items.clone();
                transact(&mut self.items, actions).map_err(|failed| {
                    let failed: Vec<_> = failed.iter().map(|index| &actions[*index]).collect();
                    format!("DynamoDB has carried it out, and these conditions fail: {failed:#?}")
                })?;
                rules::check(&before, call).map_err(|rule| format!("{call:?} breaks the rule: {rule}"))
            }
        }
    }

    /// Checks a batch: only parts of discarded changes are deleted by one.
    fn batch(&mut self, request: &Value, outcome: Outcome) -> Result<(), String> {
        for requests in request["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values()) {
            for request in requests.as_array().into_iter().flatten() {
                let key = &request["DeleteRequest"]["Key"];
                if is_foreign(key) || is_foreign(&request["PutRequest"]["Item"]) {
                    continue;
                }
                let Key::Part(change, part) = self.texts.key(key, false)? else {
                    return Err("a batch writes something else than deletions of parts".to_owned());
                };
                let call = Call::DeleteParts { change, parts: vec![part] };
                self.carry_out(&call, &call.actions(), outcome)?;
            }
        }
        Ok(())
    }
}

/// Returns the key or item of an action.
fn key_of(action: &Value) -> &Value {
    let action = action.as_object().and_then(|action| action.values().next()).unwrap_or(&Value::Null);
    if action["Item"].is_null() { &action["Key"] } else { &action["Item"] }
}

/// Returns whether an item is none of the protocol: a bookmark, an organisation or a key.
fn is_foreign(key: &Value) -> bool {
    let pk = key["pk"]["S"].as_str().unwrap_or_default();
    pk.ends_with("#PAGE") || (pk.starts_with("ORG#") && pk.matches('#').count() == 1)
}
