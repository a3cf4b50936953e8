//! Events in recorded calls: which transactions tell an event, with which id, and how events come into the feed.
//!
//! | item | partition key | sort key | attributes that matter here |
//! |---|---|---|---|
//! | event in the outbox | `ORG#o#OUTBOX` | event id | all: the feed has the same |
//! | event in the feed | `ORG#o#FEED` | sequence, zero-padded | those of the outbox |
//! | head of the feed | `ORG#o` | `FEED` | `sequence`, `released` |
//! | resource | as ever | as ever | `stamp` |
//!
//! Ids are compared as texts, as DynamoDB compares them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Outcome,
    expression::{Assignment, Term, condition, scalar, update},
    request::{STAMP, is_about_stamp},
    table::{Items, Members},
};
use crate::{
    action::{Action, Condition, Effect, Table},
    call::{Apply, Call},
    events::Head,
    item::{Change, Difference, Key, Kind},
};

/// The most events that one transaction moves.
const MAX_MOVED: usize = 30;
const SEQUENCE: &str = "sequence";
const RELEASED: &str = "released";

/// Counts of the events of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Transactions with an event.
    pub committed: usize,
    /// Events that were moved into a feed.
    pub sequenced: usize,
    /// Ids of the events that are still in an outbox.
    pub waiting: Vec<String>,
}

/// What a transaction does with the stamp of an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stamp {
    key: Key,
    /// The id that must be greater, and whether the condition also holds without a stamp.
    compared: Option<(String, bool)>,
    set: Option<String>,
    /// Whether the item is deleted.
    deleted: bool,
    condition: Condition,
    /// Whether the event of the transaction is about the item.
    changes: bool,
}

/// The events of all organisations in a replay.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    stamps: BTreeMap<Key, String>,
    /// The events of each resource, and those that each event has seen.
    about: BTreeMap<Key, BTreeSet<String>>,
    saw: BTreeMap<String, BTreeSet<String>>,
    /// The event of the commit of each large change.
    commits: BTreeMap<Change, String>,
    feeds: BTreeMap<String, Feed>,
    committed: usize,
}

#[derive(Debug, Clone, Default)]
struct Feed {
    outbox: BTreeMap<String, Value>,
    head: Head,
    moved: BTreeSet<String>,
}

/// Whether a call tells an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    Always,
    Perhaps,
    Never,
}

/// Returns whether an item belongs to the outbox or the feed.
pub(super) fn is_of_events(item: &Value) -> bool {
    let (pk, sk) = (text(&item["pk"]), text(&item["sk"]));
    let is_head = pk.matches('#').count() == 1 && sk == "FEED";
    pk.starts_with("ORG#") && (pk.ends_with("#OUTBOX") || pk.ends_with("#FEED") || is_head)
}

/// Returns the organisation of an item.
fn org(item: &Value) -> &str {
    text(&item["pk"]).split('#').nth(1).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value["S"].as_str().unwrap_or_default()
}

impl Stamp {
    /// Reads what the recorded form of an action does with a stamp.
    ///
    /// # Errors
    /// The text that is not understood.
    pub(super) fn of(recorded: &Value, action: &Action<Members>) -> Result<Option<Self>, String> {
        let Key::Resource(..) = action.key else { return Ok(None) };
        let recorded =
            recorded.as_object().and_then(|it| it.values().next()).ok_or("an action without content")?;
        let values = &recorded["ExpressionAttributeValues"];
        let terms = match recorded["ConditionExpression"].as_str() {
            Some(expression) => condition(expression, values)?,
            None => Vec::new(),
        };
        let compared = terms.into_iter().find(is_about_stamp).and_then(|term| match term {
            Term::Below(_, id) => Some((id, false)),
            Term::MissingOrBelow(_, id) => Some((id, true)),
            _ => None,
        });
        let set = match &action.effect {
            Effect::Put(_) => scalar(&recorded["Item"][STAMP]),
            Effect::Update(_) => assigned(recorded, STAMP)?,
            Effect::Check | Effect::Delete => None,
        };
        let changes = match &action.effect {
            Effect::Update(update) => update.version.is_some(),
            Effect::Put(_) | Effect::Delete => true,
            Effect::Check => false,
        };
        let deleted = action.effect == Effect::Delete;
        Ok(Some(Self { key: action.key, compared, set, deleted, condition: action.condition, changes }))
    }

    /// Returns whether the condition fails if anything has happened to the resource since it was read, or if it exists.
    fn is_pinned(&self) -> bool {
        matches!(
            self.condition,
            Condition::Absent
                | Condition::Unchanged(_)
                | Condition::Untouched(..)
                | Condition::ReservedAt(..)
        )
    }
}

impl Events {
    /// Adds an item of the outbox or the feed that exists.
    pub(super) fn load(&mut self, item: &Value) {
        let feed = self.feeds.entry(org(item).to_owned()).or_default();
        if text(&item["pk"]).ends_with("#OUTBOX") {
            feed.outbox.insert(text(&item["sk"]).to_owned(), item.clone());
        } else if text(&item["sk"]) == "FEED" {
            let number = |name| scalar(&item[name]).and_then(|text| text.parse().ok()).unwrap_or(0);
            feed.head = Head { sequence: number(SEQUENCE), released: number(RELEASED), review: false };
        }
    }

    /// Adds the stamp of a resource that exists.
    pub(super) fn load_stamp(&mut self, key: Key, item: &Value) {
        if let Some(stamp) = scalar(&item[STAMP]) {
            self.stamps.insert(key, stamp);
        }
    }

    /// Returns whether every stamp is as the conditions require.
    pub(super) fn conditions_hold(&self, stamps: &[Stamp]) -> bool {
        stamps.iter().all(|it| match (&it.compared, self.stamps.get(&it.key)) {
            (Some((id, _)), Some(stamp)) => stamp < id,
            (Some((_, holds)), None) => *holds,
            (None, _) => true,
        })
    }

    /// Carries out what a transaction does with the stamps.
    pub(super) fn set_stamps(&mut self, stamps: &[Stamp]) {
        for Stamp { key, set, deleted, .. } in stamps {
            if let Some(stamp) = set {
                self.stamps.insert(*key, stamp.clone());
            }
            if *deleted {
                self.stamps.remove(key);
            }
        }
    }

    /// Checks the event of a call that was carried out. `told` are the actions on the outbox and the feed.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn tell(
        &mut self,
        call: &Call<Members>,
        before: &Items,
        stamps: &[Stamp],
        told: &[Value],
    ) -> Result<(), String> {
        let put = match (told, tells(call, before)) {
            ([], Tells::Always) => return Err("a change contains its event".to_owned()),
            ([], _) if stamps.iter().any(|it| it.set.is_some()) => {
                return Err("a stamp changes with an event only".to_owned());
            }
            ([], _) => return Ok(()),
            ([_], Tells::Never) => return Err("what changes nothing tells no event".to_owned()),
            ([put], _) => &put["Put"]["Item"],
            _ => return Err("a transaction contains one event".to_owned()),
        };
        if !text(&put["pk"]).ends_with("#OUTBOX") {
            return Err("an event is put into the outbox".to_owned());
        }
        let id = text(&put["sk"]).to_owned();
        if self.saw.contains_key(&id) {
            return Err("an id is used once".to_owned());
        }
        if let Call::Apply(apply) = call {
            self.check_part(apply, stamps, &id)?;
        } else {
            self.check_stamps(call, stamps, &id)?;
        }
        self.note(call, stamps, &id);
        let feed = self.feeds.entry(org(put).to_owned()).or_default();
        feed.outbox.insert(id, put.clone());
        self.committed += 1;
        Ok(())
    }

    fn check_stamps(&self, call: &Call<Members>, stamps: &[Stamp], id: &str) -> Result<(), String> {
        let commits = matches!(call, Call::Write(write) if write.resource.intent.is_some());
        for it in stamps {
            if self.stamps.get(&it.key).is_some_and(|stamp| stamp.as_str() >= id) {
                return Err(format!("the id of an event is greater than the stamp of {:?}", it.key));
            }
            if !it.is_pinned() && it.compared.as_ref().is_none_or(|(compared, _)| compared != id) {
                return Err(format!("the stamp of {:?} is compared with the id", it.key));
            }
            let is_right = match (&it.set, it.changes && !it.deleted) {
                (Some(set), true) if commits => set.as_str() > id,
                (Some(set), true) => set == id,
                (None, true) | (Some(_), false) => false,
                (None, false) => true,
            };
            if !is_right {
                return Err(format!("the stamp of {:?} is the id of its event", it.key));
            }
        }
        Ok(())
    }

    /// Checks the event of a part: its place is between the commit and the stamp that the commit has given to the group.
    fn check_part(&self, apply: &Apply<Members>, stamps: &[Stamp], id: &str) -> Result<(), String> {
        if self.commits.get(&apply.change).is_some_and(|commit| commit.as_str() >= id) {
            return Err("the id of a part is greater than that of the commit".to_owned());
        }
        let group = self.stamps.get(&Key::Resource(Kind::Group, apply.group));
        if group.is_some_and(|stamp| stamp.as_str() < id) {
            return Err("the stamp of the group is past the parts".to_owned());
        }
        let sets = stamps.iter().any(|it| it.set.is_some());
        if sets { Err("a part sets no stamp".to_owned()) } else { Ok(()) }
    }

    /// Notes what the event is about, and which events its transaction has seen.
    fn note(&mut self, call: &Call<Members>, stamps: &[Stamp], id: &str) {
        let mut saw = BTreeSet::new();
        let mut about: Vec<Key> = stamps.iter().filter(|it| it.changes).map(|it| it.key).collect();
        if let Call::Apply(apply) = call {
            about = vec![Key::Resource(Kind::Group, apply.group)];
            if let Some(commit) = self.commits.get(&apply.change) {
                saw.insert(commit.clone());
                saw.extend(self.saw.get(commit).into_iter().flatten().cloned());
            }
        } else {
            let met = stamps.iter().filter_map(|it| self.about.get(&it.key));
            saw.extend(met.flatten().cloned());
        }
        if let Call::Write(write) = call
            && let Some(change) = write.resource.intent
        {
            self.commits.insert(change, id.to_owned());
        }
        self.saw.insert(id.to_owned(), saw);
        for key in about {
            self.about.entry(key).or_default().insert(id.to_owned());
        }
    }

    /// Checks a transaction of a sequencer and carries it out.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn sequence(&mut self, actions: &[Value], outcome: Outcome) -> Result<(), String> {
        let is_head = |action: &&Value| text(&super::key_of(action)["sk"]) == "FEED";
        let head = actions.iter().find(is_head).ok_or("events are moved with the head of the feed")?;
        let feed = self.feeds.entry(org(super::key_of(head)).to_owned()).or_default();
        let mut puts: Vec<&Value> = actions.iter().map(|it| &it["Put"]["Item"]).collect();
        puts.retain(|item| text(&item["pk"]).ends_with("#FEED"));
        puts.sort_by_key(|item| text(&item["sk"]));
        let mut ids: Vec<&str> = actions.iter().map(|it| text(&it["Delete"]["Key"]["sk"])).collect();
        ids.retain(|id| !id.is_empty());
        ids.sort_unstable();
        if ids.is_empty() || ids.len() != puts.len() || 2 * ids.len() + 1 != actions.len() {
            return Err("a move puts into the feed what it deletes from the outbox".to_owned());
        }
        if ids.len() > MAX_MOVED {
            return Err(format!("a move has at most {MAX_MOVED} events"));
        }
        let old = feed.head;
        let current = [(SEQUENCE, old.sequence), (RELEASED, old.released)];
        let (new, requires) = head_write(head, old)?;
        let may_fail = outcome != Outcome::CarriedOut;
        for (name, number) in current {
            let requires_it = |term: &Term| match term {
                Term::Equals(other, value) => other == name && (may_fail || *value == number.to_string()),
                Term::Missing(other) => (may_fail || number == 0) && (other == name || other == "pk"),
                _ => false,
            };
            if !requires.iter().any(requires_it) {
                return Err(format!("a move is on condition that {name} is as it was read"));
            }
        }
        if may_fail {
            return Ok(());
        }
        check_head(old, new, ids.len() as u64)?;
        for (sequence, (id, item)) in (old.sequence + 1..).zip(ids.iter().zip(puts)) {
            let event = feed.outbox.remove(*id).ok_or_else(|| format!("the event {id} is in the outbox"))?;
            if text(&item["sk"]).parse() != Ok(sequence) {
                return Err(format!("the event {id} gets the sequence {sequence}"));
            }
            let is_key = |name: &str| name == "pk" || name == "sk";
            let differs = |(name, value): (&String, &Value)| !is_key(name) && item[name] != *value;
            if event.as_object().into_iter().flatten().any(differs) {
                return Err(format!("the event {id} is the same in the feed"));
            }
            if let Some(cause) =
                self.saw.get(*id).and_then(|saw| saw.iter().find(|id| feed.outbox.contains_key(*id)))
            {
                return Err(format!("the event {id} follows its cause {cause}"));
            }
            feed.moved.insert((*id).to_owned());
        }
        feed.head = new;
        Ok(())
    }

    /// Checks a write of the head outside of a move: a release.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn release(
        &mut self,
        operation: &str,
        request: &Value,
        outcome: Outcome,
    ) -> Result<(), String> {
        let kind = match operation {
            "PutItem" => "Put",
            "UpdateItem" => "Update",
            _ => return Err("the head of a feed is not deleted".to_owned()),
        };
        let action = serde_json::json!({ kind: request });
        if text(&super::key_of(&action)["sk"]) != "FEED" {
            return Err("events are written in transactions".to_owned());
        }
        let feed = self.feeds.entry(org(super::key_of(&action)).to_owned()).or_default();
        let (new, requires) = head_write(&action, feed.head)?;
        if requires.is_empty() {
            return Err("a release has a condition".to_owned());
        }
        if outcome == Outcome::CarriedOut {
            if new.sequence != feed.head.sequence || new.released > new.sequence {
                return Err("a release is of events that are in the feed".to_owned());
            }
            if new.released < feed.head.released {
                return Err("what is released stays so".to_owned());
            }
            feed.head = new;
        }
        Ok(())
    }

    /// Returns the counts.
    pub(super) fn told(&self) -> Told {
        Told {
            committed: self.committed,
            sequenced: self.feeds.values().map(|feed| feed.moved.len()).sum(),
            waiting: self.feeds.values().flat_map(|feed| feed.outbox.keys().cloned()).collect(),
        }
    }
}

/// Returns whether a call tells an event.
fn tells(call: &Call<Members>, before: &Items) -> Tells {
    match call {
        Call::Write(_) | Call::Delete(_) | Call::Leave { version: Some(_), .. } => Tells::Always,
        Call::Apply(apply) => {
            let is_member = |member| before.get(Key::Edge { group: apply.group, member }).is_some();
            let adds = apply.difference.adds().any(|added| !is_member(added.id));
            let changes = adds || apply.difference.removes().any(is_member);
            if changes { Tells::Always } else { Tells::Perhaps }
        }
        Call::Leave { version: None, .. } | Call::Empty { .. } => Tells::Perhaps,
        _ => Tells::Never,
    }
}

/// Checks what a move makes of the head.
fn check_head(old: Head, new: Head, moved: u64) -> Result<(), String> {
    if new.sequence != old.sequence + moved {
        return Err("the sequence grows by the number of events".to_owned());
    }
    if new.released < old.released || new.released > new.sequence {
        return Err("the release is between the last one and the sequence".to_owned());
    }
    if old.is_holding() && new.released != old.released {
        return Err("an event does not overtake a held one".to_owned());
    }
    Ok(())
}

/// Returns the head after a write, and the terms of its condition.
fn head_write(action: &Value, old: Head) -> Result<(Head, Vec<Term>), String> {
    let (kind, action) =
        action.as_object().and_then(|it| it.iter().next()).ok_or("an action without content")?;
    let number = |name: &str, old: u64| {
        let text = match kind.as_str() {
            "Put" => scalar(&action["Item"][name]),
            _ => assigned(action, name)?,
        };
        text.map_or(Ok(old), |text| text.parse().map_err(|_| format!("the {name} {text}")))
    };
    let new =
        Head { sequence: number(SEQUENCE, old.sequence)?, released: number(RELEASED, old.released)?, ..old };
    let terms = match action["ConditionExpression"].as_str() {
        Some(expression) => condition(expression, &action["ExpressionAttributeValues"])?,
        None => Vec::new(),
    };
    Ok((new, terms))
}

/// Returns the value that an update sets an attribute to.
fn assigned(action: &Value, attribute: &str) -> Result<Option<String>, String> {
    let expression = action["UpdateExpression"].as_str().unwrap_or_default();
    let assignments = update(expression, &action["ExpressionAttributeValues"])?;
    Ok(assignments.into_iter().find_map(|assignment| match assignment {
        Assignment::Set(name, value) if name == attribute => Some(value),
        _ => None,
    }))
}
