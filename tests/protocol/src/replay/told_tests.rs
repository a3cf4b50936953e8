//! Hand-written requests with events, in the form that `told.rs` describes.

#![allow(clippy::needless_pass_by_value, reason = "requests are written in place")]

use serde_json::{Value, json};

use super::{
    Outcome, Replay, allows_events,
    tests::{
        CHANGE, GROUP, OTHER, USER, World, delete, draft, edge, finish, group, key, mark, open, put, reverse,
        text, update,
    },
};

const FREE: &str = "attribute_exists(version) AND attribute_not_exists(intent) AND attribute_not_exists(reservation) \
                    AND (attribute_not_exists(stamp) OR stamp < :id)";

fn world() -> World {
    World::on(Replay::with_events())
}

/// Events in the outbox.
fn event(id: &str) -> Value {
    let mut item = key("OUTBOX#03", &format!("o#{id}"));
    item["events"] = text(&json!([told(id)]).to_string());
    item
}

fn told(id: &str) -> Value {
    json!({ "id": format!("{id}-00"), "type": "group.members_added" })
}

fn bump(id: &str, condition: &str) -> Value {
    let values = json!({ ":new": text(id), ":now": text("2026"), ":id": text(id) });
    update(group(), "SET version = :new, modified = :now, stamp = :id", Some(condition), values)
}

fn join(member: &str, id: &str, condition: &str) -> Value {
    let values = json!({ ":one": { "N": "1" }, ":id": text(id) });
    update(key("ORG#o#USER", member), "ADD joins :one", Some(condition), values)
}

fn group_item() -> Value {
    let mut item = group();
    item["version"] = text("v1");
    item["document"] = text("{}");
    item
}

const JOINED: &str = "attribute_exists(pk) AND (attribute_not_exists(stamp) OR stamp < :id)";

fn edges(member: &str) -> Vec<Value> {
    vec![put(edge(member), Some("attribute_not_exists(pk)")), put(reverse(member), None)]
}

/// Adds a member as a small edit does.
fn addition(id: &str) -> Vec<Value> {
    let own = vec![bump(id, FREE), join(OTHER, id, JOINED), put(event(id), None)];
    [own, edges(OTHER)].concat()
}

fn removal(id: &str) -> Vec<Value> {
    vec![
        bump(id, FREE),
        delete(&edge(OTHER), Some("attribute_exists(pk)")),
        delete(&reverse(OTHER), None),
        put(event(id), None),
    ]
}

/// Moves events after a sequence, of which some are released.
fn sequence_of(after: u64, released: [u64; 2], ids: &[&str]) -> Vec<Value> {
    let condition = if after == 0 { "attribute_not_exists(pk)" } else { "seq = :n AND released = :r" };
    let number = |number: u64| json!({ "N": number.to_string() });
    let values = json!({
        ":n": number(after), ":r": number(released[0]),
        ":seq": number(after + ids.len() as u64), ":released": number(released[1]),
    });
    let set = "SET seq = :seq, released = :released";
    let mut actions = vec![update(key("ORG#o#FEED", "HEAD"), set, Some(condition), values)];
    for (sequence, id) in (after + 1..).zip(ids) {
        let mut item = key("ORG#o#FEED", &format!("{sequence:020}"));
        let mut event = told(id);
        event["sequence"] = sequence.into();
        item["event"] = text(&event.to_string());
        item["expires"] = number(1);
        actions.push(put(item, Some("attribute_not_exists(pk)")));
        actions.push(delete(&key("OUTBOX#03", &format!("o#{id}")), Some("attribute_exists(pk)")));
    }
    actions
}

fn release(condition: Option<&str>, released: u64) -> Value {
    let mut request = json!({
        "TableName": "t", "Key": key("ORG#o#FEED", "HEAD"), "UpdateExpression": "SET released = :released",
        "ExpressionAttributeValues": { ":released": { "N": released.to_string() }, ":n": { "N": "2" } },
    });
    if let Some(condition) = condition {
        request["ConditionExpression"] = condition.into();
    }
    request
}

#[test]
fn events_are_told_once_and_in_order() {
    let mut world = world();
    world.succeeds(&addition("05"));
    world.succeeds(&removal("07"));
    world.succeeds(&sequence_of(0, [0, 2], &["05", "07"]));
    world.succeeds(&addition("08"));
    world.transact(&sequence_of(0, [0, 1], &["08"]), Outcome::ConditionFailed).expect("a lost race");
    world.succeeds(&sequence_of(2, [2, 3], &["08"]));
    let told = world.replay.told();
    assert_eq!((told.committed, told.sequenced, told.waiting.len()), (3, 3, 0));
}

#[test]
fn changes_without_their_event_are_refused() {
    let without = |mut actions: Vec<Value>, index: usize| {
        actions.remove(index);
        actions
    };
    world().fails(&without(addition("05"), 2), "a change contains its event");
    world().fails(&[addition("05"), vec![put(event("06"), None)]].concat(), "one event");
    world().fails(&[draft(), vec![put(event("05"), None)]].concat(), "changes nothing");
    let mut world = world();
    let item = json!({ "TableName": "t", "Item": event("05") });
    assert!(world.make("PutItem", &item, Outcome::CarriedOut).is_err());
}

#[test]
fn ids_and_stamps_are_checked() {
    let mut world = world();
    world.succeeds(&addition("05"));
    world.transact(&removal("04"), Outcome::ConditionFailed).expect("a refusal by the stamp");
    world.fails(&removal("04"), "a stamp is not less");
    let free = FREE.split(" AND (attribute_not_exists(stamp)").next().expect("a condition");
    let replaced = |bump: Value| [vec![bump], removal("06")[1..].to_vec()].concat();
    self::world().fails(&[vec![bump("05", free)], addition("05")[1..].to_vec()].concat(), "is compared");
    let mut unchecked = addition("05");
    unchecked[1] = join(OTHER, "05", "attribute_exists(pk)");
    self::world().fails(&unchecked, "is compared");
    let values = json!({ ":new": text("v"), ":now": text("2026"), ":id": text("06") });
    let unset = update(group(), "SET version = :new, modified = :now", Some(FREE), values);
    let mut other = World::on(Replay::with_events());
    other.succeeds(&addition("05"));
    other.fails(&replaced(unset), "is the id of its event");
}

#[test]
fn parts_are_between_the_commit_and_the_stamp() {
    let commit = |stamp: &str| {
        let values = json!({
            ":new": text("v2"), ":now": text("2026"), ":intent": text(CHANGE), ":id": text("10"),
            ":stamp": text(stamp),
        });
        let set = "SET version = :new, modified = :now, intent = :intent, stamp = :stamp, intentEvent = :id";
        vec![update(group(), set, Some(FREE), values), open(), put(event("10"), None)]
    };
    let parts = |ids: [&str; 2]| {
        let join = update(
            key("ORG#o#USER", OTHER),
            "ADD joins :one",
            Some("attribute_exists(pk)"),
            json!({ ":one": { "N": "1" } }),
        );
        [
            vec![
                mark("0"),
                delete(&edge(USER), None),
                delete(&reverse(USER), None),
                put(event(ids[0]), None),
            ],
            vec![
                mark(OTHER),
                join,
                put(edge(OTHER), None),
                put(reverse(OTHER), None),
                put(event(ids[1]), None),
            ],
        ]
    };
    let begun = |stamp: &str| {
        let mut world = world();
        world.succeeds(&draft());
        world.succeeds(&commit(stamp));
        world
    };
    let mut whole = begun("12");
    for part in parts(["11", "12"]) {
        whole.succeeds(&part);
    }
    whole.succeeds(&finish());
    whole.succeeds(&removal("13"));
    whole.succeeds(&sequence_of(0, [0, 4], &["10", "11", "12", "13"]));
    begun("12").fails(&parts(["09", "12"])[0], "greater than that of the commit");
    begun("11").fails(&parts(["11", "12"])[1], "is past the parts");
    let mut world = world();
    world.succeeds(&draft());
    world.fails(&commit("10"), "is the id of its event");
    // Another member is created by a writer whose clock is ahead of that of the commit.
    let mut resource = key("ORG#o#USER", OTHER);
    for (name, value) in [("version", "v1"), ("document", "{}"), ("stamp", "14")] {
        resource[name] = text(value);
    }
    let count = json!({ ":one": { "N": "1" } });
    let mut ahead = self::world();
    ahead.replay = Replay::with_events();
    for item in [group_item(), edge(USER), reverse(USER)] {
        ahead.replay.load(&item).expect("an item of the protocol");
    }
    ahead.succeeds(&[
        put(resource, Some("attribute_not_exists(pk)")),
        update(key("ORG#o#COUNT", "USER#03"), "ADD n :one", None, count),
        put(event("14"), None),
    ]);
    ahead.succeeds(&draft());
    ahead.succeeds(&commit("12"));
    ahead.fails(&parts(["11", "12"])[1], "later than the creation");
    // The first part alone does not come into the feed before the commit.
    let mut early = begun("12");
    early.succeeds(&parts(["11", "12"])[0]);
    early.fails(&sequence_of(0, [0, 1], &["11"]), "follows its cause 10");
}

#[test]
fn moves_that_lose_or_reorder_events_are_refused() {
    let written = || {
        let mut world = world();
        world.succeeds(&addition("05"));
        world.succeeds(&removal("07"));
        world
    };
    written().fails(&sequence_of(0, [0, 1], &["07"]), "follows its cause 05");
    written().fails(&sequence_of(0, [0, 2], &["07", "05"]), "is the same in the feed");
    written().fails(&sequence_of(0, [0, 1], &["06"]), "is in the outbox");
    written().fails(&sequence_of(0, [0, 3], &["05", "07"]), "between the last one and the sequence");
    let mut unchecked = sequence_of(0, [0, 2], &["05", "07"]);
    unchecked[2]["Delete"]["ConditionExpression"] = Value::Null;
    written().fails(&unchecked, "that the outbox has its events");
    let whole = sequence_of(0, [0, 2], &["05", "07"]);
    written().fails(&whole[..4], "what it deletes");
    written().fails(&whole[1..], "with the head");
    let mut unconditional = whole.clone();
    unconditional[0]["Update"]["ConditionExpression"] = Value::Null;
    written().fails(&unconditional, "on condition that seq ");
    let mut gap = whole;
    gap[3]["Put"]["Item"]["sk"] = text("00000000000000000003");
    written().fails(&gap, "at the sequence 2");
    let mut world = written();
    world.succeeds(&sequence_of(0, [0, 0], &["05"]));
    let mut stale = sequence_of(1, [0, 0], &["07"]);
    stale[0]["Update"]["ConditionExpression"] = "seq = :n".into();
    world.fails(&stale, "on condition that released");
}

#[test]
fn releases_are_checked() {
    let held = || {
        let mut world = world();
        world.succeeds(&addition("05"));
        world.succeeds(&removal("07"));
        world.succeeds(&sequence_of(0, [0, 1], &["05", "07"]));
        world
    };
    let condition = Some("seq = :n");
    let make = |world: &mut World, condition, released| {
        world.make("UpdateItem", &release(condition, released), Outcome::CarriedOut)
    };
    make(&mut held(), condition, 2).expect("a release");
    for (condition, released) in [(None, 2), (condition, 3), (condition, 0)] {
        assert!(make(&mut held(), condition, released).is_err(), "{condition:?} {released}");
    }
    let mut world = held();
    world.succeeds(&addition("08"));
    world.fails(&sequence_of(2, [1, 3], &["08"]), "does not overtake");
    world.succeeds(&sequence_of(2, [1, 1], &["08"]));
}

#[test]
fn calls_without_events_may_be_replayed_with_them() {
    let mut resource = key("ORG#o#GROUP", GROUP);
    resource["version"] = text("v1");
    resource["stamp"] = text("04");
    let mut head = key("ORG#o#FEED", "HEAD");
    head["seq"] = json!({ "N": "3" });
    let told = allows_events([&resource, &head, &event("04")], []).expect("items with events");
    assert_eq!((told.committed, told.waiting), (0, vec!["o#04".to_owned()]));
    // The replay of the write protocol alone passes over events.
    let mut world = World::on(Replay::default());
    world.succeeds(&addition("05"));
    world.succeeds(&sequence_of(0, [0, 1], &["05"]));
    world.transact(&removal("04"), Outcome::ConditionFailed).expect("a refusal by the stamp");
}
