//! The janitor: it finishes the changes of requests that have ended, in every organisation, and reads nothing else.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use local::embedded::{self, Connector, dispatch};
use serde_json::{Value, json};
use service::{
    auth::Scope,
    clock::Clock,
    config::Tables,
    entropy::Entropy,
    janitor::{self, Swept},
    store::Store,
};
use tests::{
    NOW, ORG, Service,
    counting::Counter,
    enable_org,
    intercept::{self, answer, exception},
    load::{Item, fill, import, item},
    observed, operator,
};
use tokio::time::{Duration, Instant, timeout};

/// The number of partitions of the list of unfinished changes.
const SHARDS: usize = 16;
/// A number of members whose removal exceeds a transaction.
const MEMBERS: usize = 60;
/// The time for which a change belongs to its request.
const LIFETIME: time::Duration = time::Duration::seconds(35);

/// A database with organisations whose requests were killed.
struct World {
    database: Database,
    service: Service,
}

impl World {
    async fn new() -> Self {
        let database = Database::memory().expect("a database in memory");
        let service = Service::on(embedded::client(database.clone())).await;
        Self { database, service }
    }

    async fn sweep(&self, after: time::Duration) -> Swept {
        janitor::sweep(&store(&embedded::client(self.database.clone()), after)).await
    }

    /// Creates a group of many members in an organisation. The process dies while it deletes the group.
    async fn leave_deletion(&self, org: &str) {
        let key = self.service.organisation(org, &[Scope::Scim]).await;
        let process = |seed, takes| {
            let client = observed::client(self.database.clone(), takes, |_| ());
            Service::restarted(client, Clock::fixed(NOW), Entropy::seeded(seed), &key)
        };
        let seed = org.bytes().map(u64::from).sum();
        let alive = process(seed, Duration::ZERO);
        let mut users = Vec::new();
        for number in 0..MEMBERS {
            users.push(alive.user(&format!("user-{number}")).await);
        }
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let group = alive.group("group", &users).await;
        let dying = process(seed + 1, Duration::from_secs(1));
        let path = format!("/Groups/{group}");
        let killed = timeout(Duration::from_millis(4_500), dying.delete(&path)).await;
        assert!(killed.is_err(), "{killed:?}");
        assert_eq!(self.count(&format!("ORG#{org}#GROUP#{group}")), MEMBERS);
    }

    fn items(&self) -> Vec<Value> {
        let scan = json!({ "TableName": Tables::default().resources, "Limit": 100_000 });
        let answer = dispatch(&self.database, "Scan", scan.to_string().as_bytes()).expect("a scan");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["LastEvaluatedKey"], Value::Null, "more than a page");
        answer["Items"].as_array_mut().map(std::mem::take).expect("items")
    }

    /// Counts the items whose partition key begins with the prefix.
    fn count(&self, prefix: &str) -> usize {
        self.items().iter().filter(|item| partition(item).starts_with(prefix)).count()
    }

    /// Fails unless an organisation has neither memberships nor changes.
    fn assert_finished(&self, org: &str) {
        for rest in ["MEMBER", "PENDING", "GROUP#0"] {
            assert_eq!(self.count(&format!("ORG#{org}#{rest}")), 0, "{rest} of {org}");
        }
        let listed = |item: &Value| {
            let of_org = item["sk"]["S"].as_str().is_some_and(|entry| entry.starts_with(&format!("{org}#")));
            partition(item).starts_with("UNFINISHED#") && of_org
        };
        assert!(!self.items().iter().any(listed), "{org} is listed");
    }
}

/// Returns a store like that of the janitor, that time after the requests.
fn store(client: &Client, after: time::Duration) -> Store {
    Store::new(client, Tables::default(), Clock::fixed(NOW + after), Entropy::seeded(7))
}

fn partition(item: &Value) -> &str {
    item["pk"]["S"].as_str().expect("a key")
}

fn entry(shard: usize, name: &str) -> Item {
    item([("pk", format!("UNFINISHED#{shard:02}")), ("sk", name.to_owned())])
}

#[tokio::test(start_paused = true)]
async fn janitor_finishes_changes_of_an_idle_organisation() {
    let world = World::new().await;
    world.leave_deletion(ORG).await;
    let swept = world.sweep(LIFETIME).await;
    assert_eq!(swept, Swept { listed: 1, finished: 1, failed: 0, oldest_millis: 35_000 });
    world.assert_finished(ORG);
    world.service.assert_healthy().await;
    assert_eq!(world.sweep(LIFETIME).await, Swept::default());
}

#[tokio::test(start_paused = true)]
async fn janitor_leaves_a_change_while_its_request_may_run() {
    let world = World::new().await;
    world.leave_deletion(ORG).await;
    let items = world.items();
    let swept = world.sweep(LIFETIME - time::Duration::milliseconds(1)).await;
    assert_eq!(swept, Swept { listed: 1, ..Swept::default() });
    assert_eq!(world.items(), items);
}

#[tokio::test(start_paused = true)]
async fn janitor_cleans_up_disabled_and_deleted_organisations() {
    let world = World::new().await;
    for org in ["disabled", "deleted"] {
        world.leave_deletion(org).await;
    }
    let disabled = "disabled".parse().expect("a name");
    assert_eq!(enable_org(&world.service.app.store, &disabled, false).await, Ok(true));
    let key = json!({ "pk": { "S": "ORG#deleted" }, "sk": { "S": "SETTINGS" } });
    let delete = json!({ "TableName": Tables::default().keys, "Key": key });
    dispatch(&world.database, "DeleteItem", delete.to_string().as_bytes()).expect("deleted");
    assert_eq!(world.service.app.store.org(&"deleted".parse().expect("a name")).await, Ok(None));
    let swept = world.sweep(LIFETIME).await;
    assert_eq!((swept.finished, swept.failed), (2, 0));
    world.assert_finished("disabled");
    world.assert_finished("deleted");
}

#[tokio::test(start_paused = true)]
async fn janitor_continues_after_a_damaged_organisation() {
    let world = World::new().await;
    for org in ["aardvark", "acme", "zebra"] {
        world.leave_deletion(org).await;
    }
    // A header and an edge cannot be read, two entries name no organisation, and one has no header.
    for mut item in world.items() {
        let damages = match partition(&item) {
            "ORG#aardvark#PENDING" => ("kind", json!({ "S": "strange" })),
            "ORG#zebra#MEMBER" => ("sk", json!({ "S": "junk" })),
            _ => continue,
        };
        item[damages.0] = damages.1;
        let put = json!({ "TableName": Tables::default().resources, "Item": item });
        dispatch(&world.database, "PutItem", put.to_string().as_bytes()).expect("an item");
    }
    import(&world.database, [entry(0, "junk"), entry(1, "No Name#change"), entry(2, "gone#change")]);
    let swept = world.sweep(LIFETIME * 10).await;
    assert_eq!(swept, Swept { listed: 4, finished: 2, failed: 3, oldest_millis: 350_000 });
    world.assert_finished("acme");
    world.assert_finished("gone");
    let again = world.sweep(LIFETIME * 20).await;
    assert_eq!(again, Swept { listed: 1, finished: 0, failed: 3, oldest_millis: 0 });
}

#[tokio::test(start_paused = true)]
async fn janitor_continues_after_an_unreadable_part_of_its_list() {
    let world = World::new().await;
    world.leave_deletion(ORG).await;
    let items = world.items();
    let listed =
        items.iter().map(partition).find(|pk| pk.starts_with("UNFINISHED#")).expect("an entry").to_owned();
    let client = intercept::client(Connector::new(world.database.clone()), move |call| {
        let of =
            call.request()["ExpressionAttributeValues"][":pk"]["S"].as_str().unwrap_or_default().to_owned();
        let fails = of.starts_with("UNFINISHED#") && of != listed;
        async move { if fails { answer(500, &exception("InternalServerError")) } else { call.forward().await } }
    });
    let swept = janitor::sweep(&store(&client, LIFETIME)).await;
    assert_eq!((swept.finished, swept.failed), (1, SHARDS - 1));
    world.assert_finished(ORG);
}

/// The janitor reads that an entry has no header. Then a header appears, which no request writes.
#[tokio::test(start_paused = true)]
async fn janitor_keeps_the_entry_of_a_change_that_exists() {
    let world = World::new().await;
    import(&world.database, [entry(2, "acme#change")]);
    let database = world.database.clone();
    let client = intercept::client(Connector::new(world.database.clone()), move |call| {
        if call.operation == "TransactWriteItems" {
            import(&database, [item([("pk", "ORG#acme#PENDING".to_owned()), ("sk", "change".to_owned())])]);
        }
        call.forward()
    });
    let swept = janitor::sweep(&store(&client, LIFETIME)).await;
    assert_eq!(swept, Swept { listed: 1, ..Swept::default() });
    assert_eq!(world.count("UNFINISHED#"), 1);
}

/// At this speed the deletion takes seven minutes, and Lambda stops the janitor after 290 seconds.
#[tokio::test(start_paused = true)]
async fn janitor_continues_a_long_change_in_its_next_run() {
    let world = World::new().await;
    world.leave_deletion(ORG).await;
    let group = world
        .items()
        .iter()
        .find_map(|item| Some(item["subject"]["S"].as_str()?.to_owned()))
        .expect("a header");
    fill(&world.database, &group, 100..5_100);
    let client = observed::client(world.database.clone(), Duration::from_secs(30), |_| ());
    let began = Instant::now();
    let swept = janitor::sweep(&store(&client, LIFETIME)).await;
    assert!(began.elapsed() < Duration::from_secs(290), "{:?}", began.elapsed());
    assert_eq!(swept, Swept { listed: 1, finished: 0, failed: 0, oldest_millis: 35_000 });
    let left = world.count(&format!("ORG#{ORG}#MEMBER"));
    assert!((1..5_000).contains(&left), "{left}");
    let swept = world.sweep(LIFETIME * 2).await;
    assert_eq!(swept, Swept { listed: 1, finished: 1, failed: 0, oldest_millis: 70_000 });
    world.assert_finished(ORG);
}

#[tokio::test]
async fn idle_sweep_takes_16_queries_for_any_number_of_organisations() {
    let world = World::new().await;
    let costs = async || {
        let counter = Counter::default();
        let client = counter.client(world.database.clone());
        assert_eq!(janitor::sweep(&store(&client, LIFETIME)).await, Swept::default());
        counter.take()
    };
    let one = costs().await;
    for number in 1..1_000 {
        let org = format!("org-{number}").parse().expect("a name");
        assert_eq!(world.service.app.store.create_org(&org, &operator()).await, Ok(true));
    }
    let thousand = costs().await;
    assert_eq!(one, thousand);
    let tables: Vec<&String> = one.keys().collect();
    assert_eq!(tables, [&Tables::default().resources]);
    let cost = &one[&Tables::default().resources];
    assert_eq!(cost.calls, BTreeMap::from([("Query".to_owned(), SHARDS)]));
    assert!(cost.read <= 16.0, "{cost}");
}

/// A page of the list has 1,000 entries.
#[tokio::test]
async fn long_list_is_read_page_by_page() {
    const ENTRIES: usize = 2_500;
    let world = World::new().await;
    import(&world.database, (0..ENTRIES).map(|number| entry(5, &format!("gone#{number:04}"))));
    let counter = Counter::default();
    let client = counter.client(world.database.clone());
    let swept = janitor::sweep(&store(&client, LIFETIME)).await;
    assert_eq!(swept, Swept { listed: ENTRIES, ..Swept::default() });
    world.assert_finished("gone");
    let costs = counter.take();
    let calls = &costs[&Tables::default().resources].calls;
    assert_eq!(calls["Query"], SHARDS + 2);
    assert_eq!((calls["GetItem"], calls["TransactWriteItems"]), (ENTRIES, ENTRIES));
}
