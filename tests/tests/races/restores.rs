//! Restores that bring back only some items of an unfinished change: the doctor reports whatever is left of the change, and
//! `--finish` heals it.
//!
//! A process dies after each call of each large write. Then each subset of the items of the change is lost.

use std::collections::{BTreeMap, BTreeSet};

use dynoxide::Database;
use local::embedded::{self, dispatch};
use serde_json::{Value, json};
use service::{clock::Clock, config::Tables, entropy::Entropy, janitor};
use tests::{
    NOW, ORG, Request, Service,
    faults::{Fault, Faults, Plan},
};
use time::Duration;

use super::{create_all, directory, members};

/// A number of members that takes two parts.
const MANY: usize = 40;
/// A number of groups whose member is not deleted in one transaction.
const GROUPS: usize = 35;

/// The items of a change that a restore may lose.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// The header, a part, or the entry in the list of unfinished changes.
    Item(Value),
    /// The intent of this group.
    Intent(Value),
}

/// The name of a group and the id of a member.
type Membership = (String, String);

impl Piece {
    /// Returns whether this is the header of a deletion.
    fn is_tombstone(&self) -> bool {
        matches!(self, Self::Item(item) if item["kind"]["S"].as_str().is_some_and(|kind| kind.ends_with("deleted")))
    }

    /// Returns whether this is a header, or an entry in the list of unfinished changes.
    fn is_redundant(&self) -> bool {
        let partition = |item: &Value| item["pk"]["S"].as_str().map(str::to_owned).unwrap_or_default();
        matches!(self, Self::Item(item) if !partition(item).contains("#PENDING#"))
    }
}

struct World {
    database: Database,
    key: String,
    users: Vec<String>,
    group: String,
}

impl World {
    async fn new() -> Self {
        let database = Database::memory().expect("a database");
        let service = Service::on(embedded::client(database.clone())).await;
        let user = |index: usize| json!({ "userName": format!("user-{index}") });
        let users = create_all(&service, &service.key, "/Users", (0..MANY).map(user)).await;
        let group = service.group("group", &[&users[0], &users[1]]).await;
        Self { database, key: service.key, users, group }
    }

    fn process(&self, seed: u64, after: Duration) -> Service {
        let client = embedded::client(self.database.clone());
        Service::restarted(client, Clock::fixed(NOW + after), Entropy::seeded(seed), &self.key)
    }

    fn call(&self, operation: &str, mut request: Value) -> Value {
        request["TableName"] = Tables::default().resources.into();
        let answer = dispatch(&self.database, operation, request.to_string().as_bytes()).expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    }

    fn items(&self) -> Vec<Value> {
        let answer = self.call("Scan", json!({ "Limit": 100_000 }));
        assert_eq!(answer["LastEvaluatedKey"], Value::Null, "more than a page");
        answer["Items"].as_array().expect("items").clone()
    }

    /// Makes the items of the table those of the snapshot.
    fn restore(&self, snapshot: &[Value]) {
        let by_key = |items: &[Value]| -> BTreeMap<String, Value> {
            items.iter().map(|item| (format!("{} {}", item["pk"], item["sk"]), item.clone())).collect()
        };
        let (before, after) = (by_key(&self.items()), by_key(snapshot));
        for (_, item) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
            self.delete(item);
        }
        for (_, item) in after.iter().filter(|(key, item)| before.get(*key) != Some(*item)) {
            self.call("PutItem", json!({ "Item": item }));
        }
    }

    fn delete(&self, item: &Value) {
        self.call("DeleteItem", json!({ "Key": { "pk": item["pk"], "sk": item["sk"] } }));
    }

    /// Returns the pieces of unfinished changes.
    fn pieces(&self) -> Vec<Piece> {
        let piece = |item: Value| {
            let pk = item["pk"]["S"].as_str().expect("a key");
            let of_change = pk.starts_with("UNFINISHED#") || pk.contains("#PENDING");
            let is_held = item.get("intent").is_some() || item.get("reservation").is_some();
            of_change.then(|| Piece::Item(item.clone())).or(is_held.then_some(Piece::Intent(item)))
        };
        self.items().into_iter().filter_map(piece).collect()
    }

    /// Returns the edges, with names in place of the ids of groups.
    fn memberships(&self) -> BTreeSet<Membership> {
        let items = self.items();
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let groups = items.iter().filter(|item| item["pk"]["S"] == format!("ORG#{ORG}#GROUP"));
        let groups: Vec<(String, String)> = groups
            .map(|group| {
                let document: Value = serde_json::from_str(&text(group, "document")).expect("a document");
                (text(group, "sk"), document["displayName"].to_string())
            })
            .collect();
        let membership = |item: &Value| {
            let partition = text(item, "pk");
            let of = partition.strip_prefix(&format!("ORG#{ORG}#GROUP#"))?;
            let (_, name) = groups.iter().find(|(id, _)| id == of)?;
            Some((name.clone(), text(item, "sk")))
        };
        items.iter().filter_map(membership).collect()
    }

    fn lose(&self, piece: &Piece) {
        match piece {
            Piece::Item(item) => self.delete(item),
            Piece::Intent(group) => {
                let mut group = group.clone();
                group.as_object_mut().expect("an item").remove("intent");
                self.call("PutItem", json!({ "Item": group }));
            }
        }
    }
}

/// An interrupted write.
struct Interrupted<'a> {
    world: &'a World,
    pieces: Vec<Piece>,
    items: Vec<Value>,
    /// The memberships before the write and after it.
    before: BTreeSet<Membership>,
    after: BTreeSet<Membership>,
}

impl Interrupted<'_> {
    /// Loses the pieces with these indices.
    async fn check(&self, lost: &BTreeSet<usize>, context: &str) {
        let world = self.world;
        world.restore(&self.items);
        for index in lost {
            world.lose(&self.pieces[*index]);
        }
        let later = world.process(5, Duration::minutes(10));
        let is_left = !world.pieces().is_empty();
        let report = later.examine(ORG).await;
        assert_eq!(report.is_healthy(), !is_left, "{context}: {:#?}", report.findings);
        let swept = janitor::sweep(&later.app.store).await;
        assert_eq!(swept.failed, 0, "{context}");
        if lost.is_empty() {
            // The janitor needs no help from the operator.
            assert_eq!(world.pieces(), [], "{context}");
        }
        assert_eq!(directory(&later, ORG).finish_pending().await, Ok(Vec::new()), "{context}");
        assert_eq!(world.pieces(), [], "{context}");
        later.assert_healthy().await;
        // Whether the change is committed is lost with the intent, and what it changes is lost with the parts.
        if lost.iter().all(|index| self.pieces[*index].is_redundant()) {
            let is_after = world.memberships() == self.after;
            assert!(is_after || world.memberships() == self.before, "{context}");
            assert!(self.pieces.is_empty() || is_after == self.is_committed(), "{context}");
        }
    }

    fn is_committed(&self) -> bool {
        // Nothing is discarded before its commit: no other writer is there.
        self.pieces.iter().any(|piece| match piece {
            Piece::Intent(_) => true,
            Piece::Item(item) => piece.is_tombstone() || item.get("discarded").is_some(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn every_remainder_of_a_large_change_of_members_is_healed() {
    let world = World::new().await;
    let (path, all) = (format!("/Groups/{}", world.group), members(&world.users));
    let add = json!([{ "op": "add", "path": "members", "value": all }]);
    let requests = [
        Request::post("/Groups", json!({ "displayName": "new", "members": all })),
        Request::put(&path, json!({ "displayName": "renamed", "members": members(&world.users[1..]) })),
        Request::patch(&path, add),
    ];
    assert_every_remainder_is_healed(&world, &requests).await;
}

#[tokio::test(start_paused = true)]
async fn every_remainder_of_a_large_deletion_is_healed() {
    let world = World::new().await;
    let service = world.process(2, Duration::ZERO);
    let user = &world.users[0];
    let body = |index: usize| json!({ "displayName": format!("group-{index}"), "members": members([user]) });
    create_all(&service, &world.key, "/Groups", (0..GROUPS).map(body)).await;
    assert_every_remainder_is_healed(&world, &[Request::delete(format!("/Users/{user}"))]).await;
}

/// Interrupts each request at each call, and loses each subset of what is left.
async fn assert_every_remainder_is_healed(world: &World, requests: &[Request]) {
    let (intact, before) = (world.items(), world.memberships());
    let (mut cases, mut seed) = (0, 100);
    for request in requests {
        let mut calls = 0;
        let mut interrupted = Vec::new();
        loop {
            world.restore(&intact);
            let faults = Faults::default();
            let client = faults.client(world.database.clone());
            // The engine remembers the tokens of transactions, so each process has its own random bytes.
            seed += 1;
            let dying = Service::restarted(client, Clock::fixed(NOW), Entropy::seeded(seed), &world.key);
            faults.plan(Some(Plan { call: calls, fault: Fault::CrashAfter, lasting: true }));
            let answered = tokio::select! {
                answer = request.send(&dying) => Some(answer.status),
                () = faults.crashed() => None,
            };
            if let Some(status) = answered {
                assert!((200..300).contains(&status), "{status}");
                break;
            }
            interrupted.push((world.pieces(), world.items()));
            calls += 1;
        }
        assert_eq!(world.pieces(), []);
        let after = world.memberships();
        let most = interrupted.iter().map(|(pieces, _)| pieces.len()).max();
        assert!(most >= Some(2), "{request:?} leaves no change");
        for (call, (pieces, items)) in interrupted.into_iter().enumerate() {
            // Nothing shows what a deletion has yet to remove if its tombstone is lost.
            let may_be_lost: Vec<usize> =
                (0..pieces.len()).filter(|index| !pieces[*index].is_tombstone()).collect();
            let interrupted =
                Interrupted { world, pieces, items, before: before.clone(), after: after.clone() };
            for subset in 0..1_usize << may_be_lost.len() {
                let in_subset = |(bit, _): &(usize, &usize)| subset & 1 << bit != 0;
                let lost =
                    may_be_lost.iter().enumerate().filter(in_subset).map(|(_, index)| *index).collect();
                let context =
                    format!("{} {} after call {call}, without {lost:?}", request.method, request.target);
                interrupted.check(&lost, &context).await;
                cases += 1;
            }
        }
    }
    println!("{cases} cases");
}
