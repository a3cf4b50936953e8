//! Replay of recorded calls: each must be a call of the protocol that is allowed at that time.
//!
//! The replay carries the calls out on a table of its own. It fails on a call that no call of the protocol equals, on one
//! that breaks a rule, and on one that DynamoDB has carried out although a condition of the protocol fails, or the other
//! way round. [`allows`] passes over the events in the calls. [`allows_events`] also checks them against the rules of
//! [`events`](crate::events).

mod expression;
mod names;
mod recognise;
mod request;
mod table;
#[cfg(test)]
mod tests;
mod told;
#[cfg(test)]
mod told_tests;

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
pub use told::Told;
use told::{Events, Stamp, is_of_events};

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
    /// The actions on the outbox, as recorded.
    told: Vec<Value>,
    /// Whether DynamoDB has carried these actions out and drops every copy.
    carried_out: bool,
}

/// A table, and the calls that it has seen.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    items: Items,
    texts: Texts,
    tokens: BTreeMap<String, Token>,
    events: Events,
    /// Whether events are checked.
    checks_events: bool,
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
    Replay::default().run(items, calls)
}

/// Checks the same as [`allows`], and that these calls tell each change once, in order, and release nothing too early.
///
/// The calls are those of writers and sequencers in the order in which DynamoDB answered them, on one table. The rules:
///
/// - A transaction that changes a resource or memberships puts one item into the outbox, and no other transaction does. The
///   commit of a large change may leave its events to the parts.
/// - The id of the events is greater than the stamp of each resource in the transaction. A condition compares each stamp,
///   unless the version is required that was read. The stamp of each changed resource becomes the id. The commit of a large
///   change sets a greater stamp, and the ids of its parts are between the two.
/// - A move changes the head by the number of its events, on condition that `seq` is as read, and `released` too if an event
///   is held. It puts into the feed what it deletes from the outbox, on condition that it is there, in the order of ids, and
///   no event before one that it has seen.
/// - `released` never exceeds `seq`, never goes back, and passes over no held event.
///
/// Returns the counts. At the end of a run `waiting` is empty if the sequencers have moved everything.
///
/// # Errors
/// The first call that breaks a rule, and which.
pub fn allows_events<'a>(
    items: impl IntoIterator<Item = &'a Value>,
    calls: impl IntoIterator<Item = Recorded<'a>>,
) -> Result<Told, String> {
    let mut replay = Replay::with_events();
    replay.run(items, calls)?;
    Ok(replay.told())
}

impl Replay {
    /// Returns an empty table whose replay checks events.
    #[must_use]
    pub fn with_events() -> Self {
        Self { checks_events: true, ..Self::default() }
    }

    /// Returns the counts of events.
    #[must_use]
    pub fn told(&self) -> Told {
        self.events.told()
    }

    fn run<'a>(
        &mut self,
        items: impl IntoIterator<Item = &'a Value>,
        calls: impl IntoIterator<Item = Recorded<'a>>,
    ) -> Result<(), String> {
        for item in items {
            self.load(item)?;
        }
        for (number, call) in calls.into_iter().enumerate() {
            let outcome = self.call(call);
            outcome
                .map_err(|why| format!("call {number}, {} of {:#}: {why}", call.operation, call.request))?;
        }
        Ok(())
    }

    /// Adds an item that exists.
    ///
    /// # Errors
    /// Why it is no item of the protocol.
    pub fn load(&mut self, item: &Value) -> Result<(), String> {
        if is_of_events(item) {
            self.events.load(item);
            return Ok(());
        }
        if is_foreign(item) {
            return Ok(());
        }
        let key = self.texts.key(item, false)?;
        self.events.load_stamp(key, item);
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
                if is_of_events(key) && self.checks_events {
                    self.events.release(call.operation, call.request, call.outcome)
                } else if is_of_events(key) || is_foreign(key) {
                    Ok(())
                } else {
                    Err("a write outside of a transaction".to_owned())
                }
            }
            _ => Err("an unknown operation".to_owned()),
        }
    }

    fn transaction(&mut self, request: &Value, outcome: Outcome) -> Result<(), String> {
        let requests = request["TransactItems"].as_array().ok_or("no actions")?;
        let (told, own): (Vec<&Value>, Vec<&Value>) =
            requests.iter().partition(|action| is_of_events(key_of(action)));
        let told: Vec<Value> = told.into_iter().cloned().collect();
        if own.iter().all(|action| is_foreign(key_of(action))) {
            let has_events = !told.is_empty() && self.checks_events;
            return if has_events { self.sequence(request, told, outcome) } else { Ok(()) };
        }
        let actions = own.iter().map(|action| self.texts.action(action)).collect::<Result<Vec<_>, _>>()?;
        let token = request["ClientRequestToken"].as_str().ok_or("a transaction without a token")?;
        let is_same = |known: &Token| known.actions == actions && known.told == told;
        if let Some(known) = self.tokens.get(token)
            && known.carried_out
        {
            return match (is_same(known), outcome) {
                // The copy does nothing, and a token that is used up has no further effect.
                (true, _) | (false, Outcome::Failed) => Ok(()),
                (false, _) => Err("two transactions have the same token".to_owned()),
            };
        }
        let call = recognise(&actions, &self.items)?;
        if self.tokens.get(token).is_some_and(|known| !is_same(known)) && call != Call::Burn {
            return Err("two transactions have the same token".to_owned());
        }
        let stamps = own.iter().zip(&actions).map(|(recorded, action)| Stamp::of(recorded, action));
        let stamps = stamps.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        self.carry_out(&call, &actions, &stamps, &told, outcome)?;
        let carried_out = outcome == Outcome::CarriedOut;
        self.tokens.insert(token.to_owned(), Token { actions, told, carried_out });
        Ok(())
    }

    /// Checks a transaction of a sequencer, or one that tells of another table.
    fn sequence(&mut self, request: &Value, told: Vec<Value>, outcome: Outcome) -> Result<(), String> {
        let token = request["ClientRequestToken"].as_str();
        let known = token.and_then(|token| self.tokens.get(token));
        if known.is_some_and(|known| known.carried_out && known.told == told) {
            return Ok(());
        }
        self.events.sequence(&told, outcome)?;
        if let Some(token) = token {
            let carried_out = outcome == Outcome::CarriedOut;
            self.tokens.insert(token.to_owned(), Token { actions: Vec::new(), told, carried_out });
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        call: &Call<Members>,
        actions: &[Action<Members>],
        stamps: &[Stamp],
        told: &[Value],
        outcome: Outcome,
    ) -> Result<(), String> {
        match outcome {
            Outcome::Failed => Ok(()),
            Outcome::ConditionFailed => match transact(&mut self.items.clone(), actions) {
                Ok(()) if self.events.conditions_hold(stamps) => {
                    Err(format!("no condition of {call:?} fails"))
                }
                _ => Ok(()),
            },
            Outcome::CarriedOut => {
                let before = self.items.clone();
                transact(&mut self.items, actions).map_err(|failed| {
                    let failed: Vec<_> = failed.iter().map(|index| &actions[*index]).collect();
                    format!("DynamoDB has carried it out, and these conditions fail: {failed:#?}")
                })?;
                if !self.events.conditions_hold(stamps) {
                    return Err(format!("DynamoDB has carried it out, and a stamp is not less: {stamps:#?}"));
                }
                rules::check(&before, call).map_err(|rule| format!("{call:?} breaks the rule: {rule}"))?;
                if self.checks_events {
                    let told = self.events.tell(call, &before, stamps, told);
                    told.map_err(|rule| format!("{call:?} breaks the rule: {rule}"))?;
                }
                self.events.set_stamps(stamps);
                Ok(())
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
                self.carry_out(&call, &call.actions(), &[], &[], outcome)?;
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

/// Returns whether an item is none of the protocol: a bookmark, a proof, an organisation, or one of another table.
fn is_foreign(key: &Value) -> bool {
    let pk = key["pk"]["S"].as_str().unwrap_or_default();
    let Some(rest) = pk.strip_prefix("ORG#") else {
        return !pk.is_empty() && !pk.starts_with("UNFINISHED#");
    };
    rest.split_once('#').is_none_or(|(_, partition)| ["PAGE", "PROOF", "LIMITS"].contains(&partition))
}
