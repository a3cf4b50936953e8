//! Events in recorded calls: which transactions tell events, with which id, and how events come into the feed.
//!
//! | item | partition key | sort key | attributes that matter here |
//! |---|---|---|---|
//! | events of a transaction, in the outbox | `OUTBOX#<shard>` | organisation `#` id | `events`: a JSON array |
//! | event in the feed | `ORG#o#FEED` | sequence, zero-padded | `event`: JSON, the same with its `sequence` |
//! | head of the feed | `ORG#o#FEED` | `HEAD` | `seq`, `released` |
//! | resource | as ever | as ever | `stamp`, `intentEvent` |
//!
//! Ids are compared as texts, as DynamoDB compares them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Outcome,
    expression::{Assignment, Term, condition, scalar, update},
    request::{COMMIT, STAMP, is_about_stamp},
    table::{Items, Members},
};
use crate::{
    action::{Action, Condition, Effect, Table},
    call::{Apply, Call},
    events::Head,
    item::{Change, Difference, Key, Kind},
};

const SEQUENCE: &str = "seq";
const RELEASED: &str = "released";

/// Counts of the events of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Transactions with events.
    pub committed: usize,
    /// Transactions whose events were moved into a feed.
    pub sequenced: usize,
    /// Sort keys of the items that are still in the outbox: the organisation and the id.
    pub waiting: Vec<String>,
}

/// The effect of a transaction on the stamp of an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stamp {
    key: Key,
    /// The id that must be greater, and whether the condition also holds without a stamp.
    compared: Option<(String, bool)>,
    set: Option<String>,
    /// The id of the change that the item names as its intent.
    commit: Option<String>,
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
    let pk = text(&item["pk"]);
    pk.starts_with("OUTBOX#") || pk.starts_with("ORG#") && pk.ends_with("#FEED")
}

/// Returns the organisation and the id of an item of the outbox.
fn outbox_key(item: &Value) -> Option<(&str, &str)> {
    text(&item["pk"]).starts_with("OUTBOX#").then(|| text(&item["sk"]).split_once('#'))?
}

fn is_head(item: &Value) -> bool {
    is_of_events(item) && text(&item["sk"]) == "HEAD"
}

/// Returns the organisation of a feed.
fn org(item: &Value) -> &str {
    text(&item["pk"]).split('#').nth(1).unwrap_or_default()
}

/// Returns the JSON that an attribute contains.
fn json(item: &Value, attribute: &str) -> Result<Value, String> {
    serde_json::from_str(text(&item[attribute]))
        .map_err(|_| format!("an item with {attribute} that is no JSON"))
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
        let compared = terms(recorded)?.into_iter().find(is_about_stamp).and_then(|term| match term {
            Term::Below(_, id) => Some((id, false)),
            Term::MissingOrBelow(_, id) => Some((id, true)),
            _ => None,
        });
        let value = |name| match &action.effect {
            Effect::Put(_) => Ok(scalar(&recorded["Item"][name])),
            Effect::Update(_) => assigned(recorded, name),
            Effect::Check | Effect::Delete => Ok(None),
        };
        let (set, commit) = (value(STAMP)?, value(COMMIT)?);
        let changes = match &action.effect {
            Effect::Update(update) => update.version.is_some(),
            Effect::Put(_) | Effect::Delete => true,
            Effect::Check => false,
        };
        let deleted = action.effect == Effect::Delete;
        let Action { key, condition, .. } = *action;
        Ok(Some(Self { key, compared, set, commit, deleted, condition, changes }))
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
        if let Some((org, id)) = outbox_key(item) {
            self.feed(org).outbox.insert(id.to_owned(), item.clone());
        } else if is_head(item) {
            let number = |name| scalar(&item[name]).and_then(|text| text.parse().ok()).unwrap_or(0);
            self.feed(org(item)).head =
                Head { sequence: number(SEQUENCE), released: number(RELEASED), review: false };
        }
    }

    fn feed(&mut self, org: &str) -> &mut Feed {
        self.feeds.entry(org.to_owned()).or_default()
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
        let commit = stamps.iter().find_map(|it| it.commit.as_deref());
        let put = match (told, tells(call, before)) {
            ([], Tells::Always) => return Err("a change contains its event".to_owned()),
            ([], _) => None,
            ([_], Tells::Never) => return Err("what changes nothing tells no event".to_owned()),
            ([put], _) => {
                let item = &put["Put"]["Item"];
                Some((item, outbox_key(item).ok_or("an event is put into the outbox")?))
            }
            _ => return Err("a transaction contains one event".to_owned()),
        };
        // A commit may leave its events to the parts.
        let Some(id) = put.map(|(_, (_, id))| id).or(commit) else {
            let sets = stamps.iter().any(|it| it.set.is_some());
            return if sets { Err("a stamp changes with an event only".to_owned()) } else { Ok(()) };
        };
        if self.saw.contains_key(id) {
            return Err("an id is used once".to_owned());
        }
        if commit.is_some_and(|commit| commit != id) {
            return Err("the group names the id of the commit".to_owned());
        }
        if let Call::Apply(apply) = call {
            self.check_part(apply, stamps, id)?;
        } else {
            self.check_stamps(call, stamps, id)?;
        }
        self.note(call, stamps, id);
        if let Some((item, _)) = put {
            self.put(item);
        }
        Ok(())
    }

    /// Adds events to the outbox.
    fn put(&mut self, item: &Value) {
        if let Some((org, id)) = outbox_key(item) {
            self.feed(org).outbox.insert(id.to_owned(), item.clone());
            self.committed += 1;
        }
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

    /// Checks the event of a part: its place is between the commit and the stamp that the commit has given to the group, and
    /// after the creations of its members.
    fn check_part(&self, apply: &Apply<Members>, stamps: &[Stamp], id: &str) -> Result<(), String> {
        if self.commits.get(&apply.change).is_some_and(|commit| commit.as_str() >= id) {
            return Err("the id of a part is greater than that of the commit".to_owned());
        }
        let group = self.stamps.get(&Key::Resource(Kind::Group, apply.group));
        if group.is_some_and(|stamp| stamp.as_str() < id) {
            return Err("the stamp of the group is past the parts".to_owned());
        }
        let created = |it: &Stamp| self.about.get(&it.key).and_then(|events| events.first());
        let members = stamps.iter().filter(|it| it.key != Key::Resource(Kind::Group, apply.group));
        if members.filter_map(created).any(|created| created.as_str() >= id) {
            return Err("a part is later than the creation of each member".to_owned());
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

    /// Checks a transaction of a sequencer and carries it out. A transaction without a feed tells of another table.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn sequence(&mut self, actions: &[Value], outcome: Outcome) -> Result<(), String> {
        let may_fail = outcome != Outcome::CarriedOut;
        if let [put] = actions
            && outbox_key(&put["Put"]["Item"]).is_some()
        {
            if !may_fail {
                self.put(&put["Put"]["Item"]);
            }
            return Ok(());
        }
        let head = actions.iter().find(|action| is_head(super::key_of(action)));
        let head = head.ok_or("events are moved with the head of the feed")?;
        let feed = self.feeds.entry(org(super::key_of(head)).to_owned()).or_default();
        let (old, new) = (feed.head, head_after(head, feed.head)?);
        let mut puts: Vec<&Value> = actions.iter().map(|it| &it["Put"]["Item"]).collect();
        puts.retain(|item| is_of_events(item) && !is_head(item));
        puts.sort_by_key(|item| text(&item["sk"]));
        let deletes = actions.iter().filter(|it| outbox_key(&it["Delete"]["Key"]).is_some());
        let mut deletes: Vec<&Value> = deletes.map(|it| &it["Delete"]).collect();
        deletes.sort_by_key(|delete| text(&delete["Key"]["sk"]));
        if deletes.is_empty() || deletes.len() + puts.len() + 1 != actions.len() {
            return Err("a move puts into the feed what it deletes from the outbox".to_owned());
        }
        let is_gated = old.is_holding() || new.released != new.sequence;
        check_move_condition(head, old, is_gated, may_fail)?;
        let is_unchecked = |delete: &&Value| !terms(delete).is_ok_and(|it| it.iter().any(requires_existence));
        if deletes.iter().any(is_unchecked) {
            return Err("a move is on condition that the outbox has its events".to_owned());
        }
        if may_fail {
            return Ok(());
        }
        check_head(old, new, puts.len() as u64)?;
        let mut places = (old.sequence + 1..).zip(puts);
        for delete in deletes {
            let (_, id) = outbox_key(&delete["Key"]).unwrap_or_default();
            let item = feed.outbox.remove(id).ok_or_else(|| format!("the event {id} is in the outbox"))?;
            for event in json(&item, "events")?.as_array().into_iter().flatten() {
                let (sequence, put) =
                    places.next().ok_or_else(|| format!("the event {id} is in the feed"))?;
                let mut expected = event.clone();
                expected["sequence"] = sequence.into();
                if text(&put["sk"]).parse() != Ok(sequence) || json(put, "event")? != expected {
                    return Err(format!(
                        "the event {id} is the same in the feed, at the sequence {sequence}"
                    ));
                }
            }
            let is_left = |cause: &&String| feed.outbox.contains_key(*cause);
            if let Some(cause) = self.saw.get(id).and_then(|saw| saw.iter().find(is_left)) {
                return Err(format!("the event {id} follows its cause {cause}"));
            }
            feed.moved.insert(id.to_owned());
        }
        if places.next().is_some() {
            return Err("a move puts into the feed what it deletes from the outbox".to_owned());
        }
        feed.head = new;
        Ok(())
    }

    /// Checks a write of the head outside of a move: a release, or an acknowledgement.
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
        let key = super::key_of(&action);
        if !is_head(key) {
            return Err("events are written in transactions".to_owned());
        }
        let feed = self.feed(org(key));
        let new = head_after(&action, feed.head)?;
        if new == feed.head {
            return Ok(());
        }
        if request["ConditionExpression"].is_null() {
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
        let waiting = self.feeds.iter().flat_map(|(org, feed)| feed.outbox.keys().map(move |id| (org, id)));
        Told {
            committed: self.committed,
            sequenced: self.feeds.values().map(|feed| feed.moved.len()).sum(),
            waiting: waiting.map(|(org, id)| format!("{org}#{id}")).collect(),
        }
    }
}

/// Returns whether a call tells an event.
fn tells(call: &Call<Members>, before: &Items) -> Tells {
    match call {
        Call::Write(write) if write.resource.intent.is_some() => Tells::Perhaps,
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

/// Checks that a move depends on what its sequencer has read of the head.
fn check_move_condition(head: &Value, old: Head, is_gated: bool, may_fail: bool) -> Result<(), String> {
    let content = head.as_object().and_then(|it| it.values().next()).unwrap_or(&Value::Null);
    let terms = terms(content)?;
    for (name, number) in [(SEQUENCE, old.sequence), (RELEASED, old.released)] {
        let requires_it = |term: &Term| match term {
            Term::Equals(other, value) => other == name && (may_fail || *value == number.to_string()),
            Term::Missing(other) => (may_fail || number == 0) && (other == name || other == "pk"),
            _ => false,
        };
        if (name == SEQUENCE || is_gated) && !terms.iter().any(requires_it) {
            return Err(format!("a move is on condition that {name} is as it was read"));
        }
    }
    Ok(())
}

fn requires_existence(term: &Term) -> bool {
    matches!(term, Term::Exists(_))
}

/// Returns the terms of the condition of an action.
fn terms(content: &Value) -> Result<Vec<Term>, String> {
    match content["ConditionExpression"].as_str() {
        Some(expression) => condition(expression, &content["ExpressionAttributeValues"]),
        None => Ok(Vec::new()),
    }
}

/// Returns the head after a write.
fn head_after(action: &Value, old: Head) -> Result<Head, String> {
    let (kind, action) =
        action.as_object().and_then(|it| it.iter().next()).ok_or("an action without content")?;
    let number = |name: &str, old: u64| {
        let text = match kind.as_str() {
            "Put" => scalar(&action["Item"][name]),
            _ => assigned(action, name)?,
        };
        text.map_or(Ok(old), |text| text.parse().map_err(|_| format!("the {name} {text}")))
    };
    Ok(Head { sequence: number(SEQUENCE, old.sequence)?, released: number(RELEASED, old.released)?, ..old })
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
