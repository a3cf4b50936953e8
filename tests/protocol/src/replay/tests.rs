//! Hand-written requests in the form in which the service makes them.

#![allow(clippy::needless_pass_by_value, reason = "requests are written in place")]

use serde_json::{Value, json};

use super::{Outcome, Recorded, Replay};

pub(super) const GROUP: &str = "0197a5e2-8c00-7000-8000-00000000000a";
pub(super) const USER: &str = "0197a5e2-8c00-7000-8000-000000000001";
pub(super) const OTHER: &str = "0197a5e2-8c00-7000-8000-000000000002";
pub(super) const CHANGE: &str = "0197a5e2-8c00-7000-8000-0000000000c1";

/// A table with a group and two users, the first of them a member.
pub(super) struct World {
    pub(super) replay: Replay,
    transactions: usize,
}

impl World {
    fn new() -> Self {
        Self::on(Replay::default())
    }

    pub(super) fn on(mut replay: Replay) -> Self {
        let resource = |kind: &str, id: &str, joins: u8| {
            let mut item = key(&format!("ORG#o#{kind}"), id);
            item["version"] = text("v1");
            item["document"] = text("{}");
            if joins > 0 {
                item["joins"] = json!({ "N": joins.to_string() });
            }
            item
        };
        for item in [
            resource("GROUP", GROUP, 0),
            resource("USER", USER, 1),
            resource("USER", OTHER, 0),
            edge(USER),
            reverse(USER),
        ] {
            replay.load(&item).expect("an item of the protocol");
        }
        Self { replay, transactions: 0 }
    }

    pub(super) fn make(&mut self, operation: &str, request: &Value, outcome: Outcome) -> Result<(), String> {
        self.replay.call(Recorded { operation, request, outcome })
    }

    pub(super) fn transact(&mut self, actions: &[Value], outcome: Outcome) -> Result<(), String> {
        self.transactions += 1;
        let token = self.transactions.to_string();
        self.transact_with(&token, actions, outcome)
    }

    pub(super) fn transact_with(
        &mut self,
        token: &str,
        actions: &[Value],
        outcome: Outcome,
    ) -> Result<(), String> {
        let request = json!({ "ClientRequestToken": token, "TransactItems": actions });
        self.make("TransactWriteItems", &request, outcome)
    }

    pub(super) fn succeeds(&mut self, actions: &[Value]) {
        self.transact(actions, Outcome::CarriedOut).expect("a call of the protocol");
    }

    pub(super) fn fails(&mut self, actions: &[Value], why: &str) {
        let error = self.transact(actions, Outcome::CarriedOut).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
}

pub(super) fn text(text: &str) -> Value {
    json!({ "S": text })
}

pub(super) fn key(pk: &str, sk: &str) -> Value {
    json!({ "pk": text(pk), "sk": text(sk) })
}

pub(super) fn edge(member: &str) -> Value {
    let mut item = key(&format!("ORG#o#GROUP#{GROUP}"), member);
    item["kind"] = text("USER");
    item
}

pub(super) fn reverse(member: &str) -> Value {
    key("ORG#o#MEMBER", &format!("{member}#{GROUP}"))
}

pub(super) fn put(item: Value, condition: Option<&str>) -> Value {
    let mut put = json!({ "Put": { "TableName": "t", "Item": item } });
    if let Some(condition) = condition {
        put["Put"]["ConditionExpression"] = condition.into();
    }
    put
}

pub(super) fn delete(key: &Value, condition: Option<&str>) -> Value {
    let mut delete = json!({ "Delete": { "TableName": "t", "Key": { "pk": key["pk"], "sk": key["sk"] } } });
    if let Some(condition) = condition {
        delete["Delete"]["ConditionExpression"] = condition.into();
    }
    delete
}

pub(super) fn update(key: Value, expression: &str, condition: Option<&str>, values: Value) -> Value {
    let mut update = json!({ "Update": { "TableName": "t", "Key": key, "UpdateExpression": expression } });
    update["Update"]["ExpressionAttributeValues"] = values;
    if let Some(condition) = condition {
        update["Update"]["ConditionExpression"] = condition.into();
    }
    update
}

pub(super) fn check(key: Value, condition: &str, values: Value) -> Value {
    json!({ "ConditionCheck": {
        "TableName": "t", "Key": key, "ConditionExpression": condition, "ExpressionAttributeValues": values,
    } })
}

pub(super) fn group() -> Value {
    key("ORG#o#GROUP", GROUP)
}

pub(super) const FREE: &str =
    "attribute_exists(version) AND attribute_not_exists(intent) AND attribute_not_exists(reservation)";

/// Gives the group a version if no change holds it.
fn bump(version: &str) -> Value {
    let values = json!({ ":new": text(version), ":now": text("2026") });
    update(group(), "SET version = :new, modified = :now", Some(FREE), values)
}

fn join(member: &str) -> Value {
    let values = json!({ ":one": { "N": "1" } });
    update(key("ORG#o#USER", member), "ADD joins :one", Some("attribute_exists(pk)"), values)
}

/// Adds a member as a small edit does.
fn addition(member: &str) -> Vec<Value> {
    vec![
        bump("v2"),
        join(member),
        put(edge(member), Some("attribute_not_exists(pk)")),
        put(reverse(member), None),
    ]
}

pub(super) fn header() -> Value {
    let mut header = key("ORG#o#PENDING", CHANGE);
    header["kind"] = text("members");
    header["subject"] = text(GROUP);
    header["since"] = json!({ "N": "1" });
    header["lease"] = json!({ "N": "36" });
    header
}

fn listed() -> Value {
    key("UNFINISHED#03", &format!("o#{CHANGE}"))
}

pub(super) fn part_key(lower: &str) -> Value {
    key(&format!("ORG#o#PENDING#{CHANGE}"), lower)
}

/// Two parts: the first removes a user, the second adds another one.
fn parts() -> [Value; 2] {
    let mut first = part_key("0");
    first["upto"] = text(OTHER);
    first["removed"] = json!({ "B": "AZel4owAcACAAAAAAAAAAQ==" });
    let mut second = part_key(OTHER);
    second["users"] = json!({ "B": "AZel4owAcACAAAAAAAAAAg==" });
    [first, second]
}

pub(super) fn draft() -> Vec<Value> {
    let absent = Some("attribute_not_exists(pk)");
    let mut actions = vec![put(header(), absent), put(listed(), None)];
    actions.extend(parts().map(|part| put(part, absent)));
    actions
}

pub(super) fn open() -> Value {
    let condition = "attribute_exists(subject) AND attribute_not_exists(discarded)";
    check(key("ORG#o#PENDING", CHANGE), condition, Value::Null)
}

fn commit() -> Vec<Value> {
    let values = json!({ ":new": text("v2"), ":now": text("2026"), ":intent": text(CHANGE) });
    let set = "SET version = :new, modified = :now, intent = :intent";
    vec![update(group(), set, Some(FREE), values), open()]
}

pub(super) fn mark(lower: &str) -> Value {
    let condition = "attribute_exists(pk) AND attribute_not_exists(applied)";
    update(part_key(lower), "SET applied = :true", Some(condition), json!({ ":true": { "BOOL": true } }))
}

fn applications() -> [Vec<Value>; 2] {
    [
        vec![mark("0"), delete(&edge(USER), None), delete(&reverse(USER), None)],
        vec![mark(OTHER), join(OTHER), put(edge(OTHER), None), put(reverse(OTHER), None)],
    ]
}

fn discard() -> Value {
    let header = key("ORG#o#PENDING", CHANGE);
    let values = json!({ ":true": { "BOOL": true } });
    update(header, "SET discarded = :true", Some("attribute_exists(subject)"), values)
}

pub(super) fn finish() -> Vec<Value> {
    let set = "SET finished = :change REMOVE intent";
    let clear = update(group(), set, Some("intent = :change"), json!({ ":change": text(CHANGE) }));
    vec![clear, discard()]
}

fn clean() -> Vec<Value> {
    vec![delete(&header(), None), delete(&listed(), None)]
}

fn part_deletions() -> Value {
    let requests =
        parts().map(|part| json!({ "DeleteRequest": { "Key": delete(&part, None)["Delete"]["Key"] } }));
    json!({ "RequestItems": { "t": requests } })
}

#[test]
fn large_change_is_allowed_from_draft_to_end() {
    let mut world = World::new();
    world.succeeds(&draft());
    world.succeeds(&commit());
    for part in applications() {
        world.succeeds(&part);
    }
    world.succeeds(&finish());
    world.make("BatchWriteItem", &part_deletions(), Outcome::CarriedOut).expect("deletions of parts");
    world.succeeds(&clean());
    world.succeeds(&[
        bump("v3"),
        delete(&edge(OTHER), Some("attribute_exists(pk)")),
        delete(&reverse(OTHER), None),
    ]);
}

#[test]
fn steps_in_another_order_break_rules() {
    let mut world = World::new();
    world.succeeds(&draft());
    world.fails(&applications()[0], "while the group names its change");
    let error =
        world.make("BatchWriteItem", &part_deletions(), Outcome::CarriedOut).expect_err("an early deletion");
    assert!(error.contains("after their change is discarded"), "{error}");
    let mut world = World::new();
    world.succeeds(&draft());
    world.succeeds(&commit());
    world.fails(&finish(), "after all of its parts");
    let mut world = World::new();
    world.succeeds(&draft());
    world.fails(&clean(), "after it is discarded");
}

#[test]
fn calls_of_other_forms_are_refused() {
    let without_condition = |mut actions: Vec<Value>, index: usize| {
        let action =
            actions[index].as_object_mut().expect("an action").values_mut().next().expect("its content");
        action["ConditionExpression"] = Value::Null;
        actions
    };
    let mut world = World::new();
    // A header without a condition, as the protocol had it before.
    world.fails(&without_condition(draft(), 0), "unexpected actions");
    // An edge without its reverse, without a check of the member, without the version of the group.
    for missing in [0, 1, 3] {
        let mut actions = addition(OTHER);
        actions.remove(missing);
        assert!(World::new().transact(&actions, Outcome::CarriedOut).is_err(), "{missing}");
    }
    world.fails(&without_condition(addition(OTHER), 0), "no call of the protocol has");
    world.fails(&without_condition(addition(OTHER), 2), "unexpected actions");
    world.succeeds(&draft());
    world.fails(&commit()[..1], "lacks");
    world.succeeds(&commit());
    world.fails(&without_condition(applications()[0].clone(), 0), "unexpected actions");
    world.fails(&applications()[1][1..], "no call of the protocol");
    world.fails(&finish()[1..], "no call of the protocol");
    world.fails(&[update(group(), "SET color = :c", None, json!({ ":c": text("red") }))], "SET color");
}

#[test]
fn writes_outside_of_transactions_are_refused() {
    let mut world = World::new();
    let item = json!({ "TableName": "t", "Item": edge(OTHER) });
    assert!(world.make("PutItem", &item, Outcome::CarriedOut).is_err());
    let batch = json!({ "RequestItems": { "t": [{ "PutRequest": { "Item": header() } }] } });
    assert!(world.make("BatchWriteItem", &batch, Outcome::CarriedOut).is_err());
    let bookmark = json!({ "TableName": "t", "Item": key("ORG#o#PAGE", "cursor") });
    world.make("PutItem", &bookmark, Outcome::CarriedOut).expect("a bookmark");
    world.make("Query", &Value::Null, Outcome::CarriedOut).expect("a read");
}

#[test]
fn outcome_must_be_that_of_the_conditions() {
    let mut world = World::new();
    let error = world.transact(&addition(USER), Outcome::CarriedOut).expect_err("the user is a member");
    assert!(error.contains("these conditions fail"), "{error}");
    world.transact(&addition(USER), Outcome::ConditionFailed).expect("a refusal");
    let error =
        world.transact(&addition(OTHER), Outcome::ConditionFailed).expect_err("nothing is in its way");
    assert!(error.contains("no condition"), "{error}");
    world.transact(&addition(OTHER), Outcome::Failed).expect("a conflict");
}

#[test]
fn token_is_carried_out_once() {
    let mut world = World::new();
    world.transact_with("t", &addition(OTHER), Outcome::CarriedOut).expect("an addition");
    world.transact_with("t", &addition(OTHER), Outcome::CarriedOut).expect("its copy");
    assert!(world.transact_with("t", &draft(), Outcome::CarriedOut).is_err());
    // A refused edit uses its token up. The copy fails then.
    world.transact_with("u", &addition(OTHER), Outcome::ConditionFailed).expect("a refusal");
    let nothing = [delete(&key("ORG#o#GROUP", "u"), Some("attribute_not_exists(pk)"))];
    world.transact_with("u", &nothing, Outcome::CarriedOut).expect("the token is used up");
    world.transact_with("u", &addition(OTHER), Outcome::Failed).expect("the late copy");
}

#[test]
fn deletion_covers_all_memberships() {
    let user = key("ORG#o#USER", USER);
    let mut remove =
        delete(&user, Some("(version = :version AND attribute_not_exists(reservation)) AND joins = :joins"));
    remove["Delete"]["ExpressionAttributeValues"] = json!({ ":version": text("v1"), ":joins": { "N": "1" } });
    let minus = json!({ ":total": { "N": "-1" }, ":deleted": { "N": "1" } });
    let count = update(key("ORG#o#COUNT", "USER#03"), "ADD n :total, gone :deleted", None, minus);
    let values = json!({ ":new": text("v2"), ":now": text("2026") });
    let leave = vec![
        delete(&edge(USER), Some("attribute_exists(pk)")),
        delete(&reverse(USER), None),
        update(group(), "SET version = :new, modified = :now", Some("attribute_exists(pk)"), values),
    ];
    let mut tombstone = header();
    tombstone["kind"] = text("user-deleted");
    tombstone["subject"] = text(USER);
    let removal = vec![remove, count];
    World::new().succeeds(&[removal.clone(), leave.clone()].concat());
    World::new().fails(&removal, "removes the resource from all of its groups");
    // With a tombstone, the memberships are removed afterwards, and the tombstone last.
    let tombstone = vec![put(tombstone, Some("attribute_not_exists(pk)")), put(listed(), None)];
    let mut world = World::new();
    world.fails(&leave, "after it is deleted");
    let mut world = World::new();
    world.succeeds(&[removal, tombstone].concat());
    let mut early = world.replay.clone();
    let request = json!({ "ClientRequestToken": "early", "TransactItems": clean() });
    let outcome = Outcome::CarriedOut;
    assert!(early.call(Recorded { operation: "TransactWriteItems", request: &request, outcome }).is_err());
    world.succeeds(&leave);
    world.succeeds(&clean());
}

#[test]
fn reservation_lease_and_taking_back_are_allowed() {
    let holder = json!({ ":change": text(CHANGE) });
    let reserve = vec![
        update(group(), "SET reservation = :change", Some(FREE), holder.clone()),
        put(header(), Some("attribute_not_exists(pk)")),
        put(listed(), None),
    ];
    let unreserve = update(group(), "REMOVE reservation", Some("reservation = :change"), holder.clone());
    let lease = |old: &str, new: &str| {
        let values = json!({ ":old": { "N": old }, ":new": { "N": new } });
        update(key("ORG#o#PENDING", CHANGE), "SET lease = :new", Some("lease = :old"), values)
    };
    let mut world = World::new();
    world.succeeds(&reserve);
    world.succeeds(&[lease("36", "90")]);
    world.transact(&[lease("36", "91")], Outcome::ConditionFailed).expect("another process was faster");
    world.succeeds(&[unreserve.clone(), discard()]);
    world.succeeds(&clean());
    let mut world = World::new();
    world.succeeds(&reserve);
    world.succeeds(&[vec![unreserve], clean()].concat());
    // A draft is taken back under a check of the group.
    let not_held = "(attribute_not_exists(intent) OR intent <> :change) AND \
                    (attribute_not_exists(reservation) OR reservation <> :change)";
    let mut world = World::new();
    world.succeeds(&draft());
    world.fails(&[discard()], "no call of the protocol");
    world.succeeds(&[check(group(), not_held, holder.clone()), discard()]);
    // After the commit, the same is refused.
    let mut world = World::new();
    world.succeeds(&draft());
    world.succeeds(&commit());
    world
        .transact(&[check(group(), not_held, holder), discard()], Outcome::ConditionFailed)
        .expect("a refusal");
}
