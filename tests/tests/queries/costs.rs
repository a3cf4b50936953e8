//! What each request costs, counted at DynamoDB in calls and capacity units, in a directory of a hundred users and in
//! one of ten thousand. What must not grow with the directory is asserted to be the same in both.
//!
//! The tables leave out the look-up of the key, which every request begins with and which is asserted to be one call.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::atomic::{AtomicI64, Ordering},
};

use dynoxide::Database;
use expect_test::{Expect, expect};
use scim::{resource::Document, schema::USER_TYPE};
use serde_json::{Value, json};
use service::{
    ambient::{Clock, Entropy},
    auth::Caller,
    config::Tables,
    store::Store,
};
use tests::{
    Answer, NOW, ORG, Request, Service,
    counting::{Cost, Counter},
};
use time::Duration;
use tokio::sync::{Mutex, MutexGuard};

use super::{GROUPS, USERS, Way, all_of, each, resources, walk};

const SMALL: usize = 100;
const LARGE: usize = 10_000;
/// Every so many users there is one with this title.
const MANAGERS: usize = 10;
/// Every so many users there is a team.
const TEAMS: usize = 50;
/// Users are made by so many at a time: the engine does one thing at a time, the SDK beside it another.
const MAKERS: usize = 2;

/// A directory of users, all but three named `user-…`, and of groups: one of ten members, one of a fifth of all, and
/// teams of one.
struct Bench {
    service: Service,
    counter: Counter,
    size: usize,
    /// Ids in the order of creation.
    users: Vec<String>,
    managers: Vec<String>,
    small_group: String,
    large_group: String,
    rows: Vec<Row>,
}

/// What one request cost.
struct Row {
    request: String,
    grows: Grows,
    cost: Cost,
}

/// Whether a cost may depend on the size of the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grows {
    Never,
    WithSize,
}

/// The large directory, for one test at a time.
static LARGE_BENCH: Mutex<Option<Bench>> = Mutex::const_new(None);

/// Makes it for the test that comes first.
async fn large() -> MutexGuard<'static, Option<Bench>> {
    let mut bench = LARGE_BENCH.lock().await;
    if bench.is_none() {
        *bench = Some(Bench::new(LARGE).await);
    }
    bench
}

fn user(number: usize) -> Value {
    let name = match number {
        1..=3 => format!("special-{number}@example.com"),
        _ => format!("user-{number:05}@example.com"),
    };
    json!({
        "userName": name, "externalId": format!("external-{number:05}"), "active": true,
        "name": { "givenName": "Given", "familyName": "Family" }, "displayName": "Given Family",
        "title": if number.is_multiple_of(MANAGERS) { "Manager" } else { "Worker" },
        "emails": [{ "value": format!("mail-{number:05}@example.com"), "type": "work", "primary": true }],
    })
}

impl Bench {
    async fn new(size: usize) -> Self {
        let counter = Counter::default();
        let client = counter.client(Database::memory().expect("a database in memory"));
        // What is counted depends on where each user is in the indexes, so no maker decides that by being faster.
        let made_at = |number: usize| NOW + Duration::milliseconds(i64::try_from(number).expect("a number"));
        // A millisecond passes whenever somebody looks, so that groups are made at different times, after all users.
        let ticks = AtomicI64::new(0);
        let clock =
            Clock::new(move || made_at(size) + Duration::milliseconds(ticks.fetch_add(1, Ordering::Relaxed)));
        let service = Service::on_at(client.clone(), clock).await;
        let caller = Caller::operator(ORG.parse().expect("an organisation"));
        let makers: Vec<_> = (0..MAKERS)
            .zip(2..)
            .map(|(maker, seed)| {
                let (client, caller, entropy) = (client.clone(), caller.clone(), Entropy::seeded(seed));
                tokio::spawn(async move {
                    let mut made = Vec::new();
                    for number in (maker..size).step_by(MAKERS) {
                        let clock = Clock::fixed(made_at(number));
                        let store = Store::new(&client, Tables::default(), clock, entropy.clone());
                        let document = Document::from_request(&USER_TYPE, &user(number)).expect("a user");
                        let stored = store.directory(&caller).create_user(document).await.expect("created");
                        made.push((stored.id.to_string(), number));
                    }
                    made
                })
            })
            .collect();
        let mut made = Vec::new();
        for maker in makers {
            made.extend(maker.await.expect("a maker of users"));
        }
        made.sort_unstable();
        let is_manager = |number: &usize| number.is_multiple_of(MANAGERS);
        let managers =
            made.iter().filter(|(_, number)| is_manager(number)).map(|(id, _)| id.clone()).collect();
        let users: Vec<String> = made.into_iter().map(|(id, _)| id).collect();
        let members = |from: usize, to: usize| users[from..to].iter().map(String::as_str).collect::<Vec<_>>();
        let small_group = service.group("small", &members(0, 10)).await;
        let large_group = service.group("large", &members(10, 10 + size / 5)).await;
        for (number, member) in users.iter().enumerate().take(size / TEAMS) {
            let team = json!({
                "displayName": format!("team-{number:05}"), "externalId": format!("team-{number:05}"),
                "members": [{ "value": member }],
            });
            assert_eq!(service.post(GROUPS, team).await.status, 201);
        }
        let _ = counter.take();
        Self { service, counter, size, users, managers, small_group, large_group, rows: Vec::new() }
    }

    /// What a request costs, beside the look-up of the key.
    async fn cost(&self, ask: impl AsyncFnOnce(&Service) -> Answer) -> (Answer, Cost) {
        let _ = self.counter.take();
        let answer = ask(&self.service).await;
        let mut costs = self.counter.take();
        let tables = Tables::default();
        let key = Cost { calls: BTreeMap::from([("BatchGetItem".to_owned(), 1)]), read: 2.0, write: 0.0 };
        assert_eq!(costs.remove(&tables.keys), Some(key));
        (answer, costs.remove(&tables.resources).unwrap_or_default())
    }

    /// Adds a row to the table.
    async fn row(
        &mut self,
        grows: Grows,
        request: &str,
        shown: usize,
        ask: impl AsyncFnOnce(&Service) -> Answer,
    ) -> Answer {
        let (answer, cost) = self.cost(ask).await;
        assert!(answer.status < 300, "{request}: {:#}", answer.body);
        if let Some(list) = answer.body.get("Resources") {
            assert_eq!(list.as_array().map(Vec::len), Some(shown), "{request}: {:#}", answer.body);
        }
        self.rows.push(Row { request: request.to_owned(), grows, cost });
        answer
    }

    async fn list(&mut self, grows: Grows, request: &str, shown: usize, query: Request) -> Answer {
        self.row(grows, request, shown, async |service| query.send(service).await).await
    }

    /// Where a walk in pages of a tenth of all comes to its middle: the index or the cursor of the page there.
    async fn middle(&self, query: &Request, way: Way) -> String {
        let mut pages = 0;
        let mut next = String::new();
        while pages < 5 {
            let query = query.clone().query("count", self.size / 10).query("attributes", "id");
            let query = match way {
                Way::Index => query.query("startIndex", 1 + pages * self.size / 10),
                Way::Cursor => query.query("cursor", &next),
            };
            let page = query.send(&self.service).await.body;
            page["nextCursor"].as_str().unwrap_or_default().clone_into(&mut next);
            pages += 1;
        }
        if way == Way::Index { (1 + self.size / 2).to_string() } else { next }
    }

    /// Asks for everything there is to ask.
    async fn measure(&mut self) {
        self.look_ups().await;
        self.ranges().await;
        self.pages().await;
        self.groups().await;
        self.scans().await;
        self.writes().await;
    }

    async fn look_ups(&mut self) {
        let id = self.users[self.size / 2].clone();
        let never = Grows::Never;
        self.row(never, "GET /Users/{id}", 1, async |service| service.get(&format!("/Users/{id}")).await)
            .await;
        let bare = format!("/Users/{id}?excludedAttributes=groups");
        self.row(never, "  without groups", 1, async |service| service.get(&bare).await).await;
        for (request, shown, filter) in [
            ("userName eq, found", 1, "userName eq \"USER-00050@example.com\"".to_owned()),
            ("userName eq, nobody", 0, "userName eq \"nobody@example.com\"".to_owned()),
            ("externalId eq", 1, "externalId eq \"external-00050\"".to_owned()),
            ("emails.value eq", 1, "emails.value eq \"mail-00050@example.com\"".to_owned()),
            (
                "emails[type eq \"work\"].value eq",
                1,
                "emails[type eq \"work\"].value eq \"mail-00050@example.com\"".to_owned(),
            ),
            (
                "emails[type eq \"work\" and value eq …]",
                1,
                "emails[type eq \"work\" and value eq \"mail-00050@example.com\"]".to_owned(),
            ),
            (
                "userName eq or externalId eq",
                2,
                "userName eq \"user-00050@example.com\" or externalId eq \"external-00051\"".to_owned(),
            ),
            ("id eq and active eq true", 1, format!("id eq \"{id}\" and active eq true")),
            ("userName sw, three found", 3, "userName sw \"special-\"".to_owned()),
        ] {
            self.list(never, request, shown, Request::get(USERS).filter(filter)).await;
        }
    }

    /// Ranges of an index in which there are few, whichever end of it they are at.
    async fn ranges(&mut self) {
        let never = Grows::Never;
        let last = |number: usize| format!("{:05}", self.size - number);
        let (third, second) = (last(3), last(2));
        let mut created = Vec::new();
        for index in [50, 53] {
            let user = self.service.get(&format!("/Users/{}", self.users[index])).await.body;
            created.push(user["meta"]["created"].as_str().expect("a time").to_owned());
        }
        let between = format!("meta.created ge \"{}\" and meta.created lt \"{}\"", created[0], created[1]);
        for (request, shown, filter) in [
            ("userName gt", 2, format!("userName gt \"user-{third}@example.com\"")),
            ("userName ge", 2, format!("userName ge \"user-{second}@example.com\"")),
            ("userName lt", 2, "userName lt \"special-3@example.com\"".to_owned()),
            ("userName le", 3, "userName le \"special-3@example.com\"".to_owned()),
            ("userName ge and lt", 3, "userName ge \"user-00050\" and userName lt \"user-00053\"".to_owned()),
            ("externalId sw", 10, "externalId sw \"external-0005\"".to_owned()),
            ("externalId gt", 2, format!("externalId gt \"external-{third}\"")),
            ("externalId le", 3, "externalId le \"external-00002\"".to_owned()),
            (
                "externalId ge and lt",
                3,
                "externalId ge \"external-00050\" and externalId lt \"external-00053\"".to_owned(),
            ),
            ("emails.value sw", 10, "emails.value sw \"mail-0005\"".to_owned()),
            ("emails.value ge", 2, format!("emails.value ge \"mail-{second}@example.com\"")),
            ("emails.value lt", 2, "emails.value lt \"mail-00002@example.com\"".to_owned()),
            ("meta.created ge and lt", 3, between),
            ("userName lt and userName gt, nothing", 0, "userName lt \"b\" and userName gt \"c\"".to_owned()),
        ] {
            self.list(never, request, shown, Request::get(USERS).filter(filter)).await;
        }
        let team = format!("team-{:05}", self.size / TEAMS - 1);
        for (request, shown, filter) in [
            ("displayName sw, without members", 1, "displayName sw \"team-00000\"".to_owned()),
            ("displayName ge, without members", 1, format!("displayName ge \"{team}\"")),
            ("displayName lt, without members", 1, "displayName lt \"m\"".to_owned()),
            ("externalId of a group sw, without members", 1, "externalId sw \"team-00000\"".to_owned()),
            ("externalId of a group ge, without members", 1, format!("externalId ge \"{team}\"")),
            ("externalId of a group le, without members", 1, "externalId le \"team-00000\"".to_owned()),
        ] {
            let query = Request::get(GROUPS).filter(filter).query("excludedAttributes", "members");
            self.list(never, request, shown, query).await;
        }
        let by_name = Request::get(USERS).filter("userName sw \"user-\"").query("sortBy", "userName");
        let ten = by_name.query("count", 10).query("cursor", "");
        self.list(never, "userName sw by userName, ten by cursor", 10, ten).await;
    }

    async fn pages(&mut self) {
        let never = Grows::Never;
        let ten = |query: &Request| query.clone().query("count", 10);
        self.list(never, "count=0", 0, Request::get(USERS).query("count", 0)).await;
        let past = Request::get(USERS).query("startIndex", self.size + 1_000);
        for request in ["an index past the end", "  again"] {
            self.list(never, request, 0, past.clone()).await;
        }
        for (order, query) in [
            ("a page of ten users", Request::get(USERS)),
            ("a page of ten users by userName", Request::get(USERS).query("sortBy", "userName")),
        ] {
            let last = |query: Request, size: usize| query.query("startIndex", size - 9);
            self.list(never, &format!("{order}, the first"), 10, ten(&query)).await;
            let index = self.middle(&query, Way::Index).await;
            let middle = ten(&query).query("startIndex", index);
            self.list(never, &format!("{order}, in the middle"), 10, middle).await;
            let before = query.clone().query("count", 10).query("startIndex", self.size - 19);
            before.send(&self.service).await;
            self.list(never, &format!("{order}, the last"), 10, last(ten(&query), self.size)).await;
            self.list(never, &format!("{order}, the first by cursor"), 10, ten(&query).query("cursor", ""))
                .await;
            let cursor = self.middle(&query, Way::Cursor).await;
            let middle = ten(&query).query("cursor", cursor);
            self.list(never, &format!("{order}, in the middle by cursor"), 10, middle).await;
        }
    }

    async fn groups(&mut self) {
        let never = Grows::Never;
        let (small, large) = (self.small_group.clone(), self.large_group.clone());
        let members = Request::get(USERS).filter(format!("groups.value eq \"{large}\""));
        self.list(
            never,
            "members of a fifth of all, ten by cursor",
            10,
            members.query("cursor", "").query("count", 10),
        )
        .await;
        let team = format!("groups.value eq \"{}\"", self.team().await);
        let either = Request::get(USERS).filter(format!("groups.value eq \"{small}\" or {team}"));
        self.list(never, "members of ten or of a team", 10, either).await;
        let user = "userName eq \"user-00050@example.com\"";
        let either = Request::get(USERS).filter(format!("groups.value eq \"{small}\" or {user}"));
        self.list(never, "members of ten or userName eq", 11, either).await;
        for (request, id) in [
            ("GET /Groups/{id} of ten, without members", &small),
            ("  of a fifth of all, without members", &large),
        ] {
            let path = format!("/Groups/{id}?excludedAttributes=members");
            self.row(never, request, 1, async |service| service.get(&path).await).await;
        }
        let path = format!("/Groups/{small}");
        self.row(never, "GET /Groups/{id} of ten", 1, async |service| service.get(&path).await).await;
        let bare = || Request::get(GROUPS).query("excludedAttributes", "members");
        self.list(never, "displayName eq, without members", 1, bare().filter("displayName eq \"LARGE\""))
            .await;
        let of_member = format!("members[value eq \"{}\"]", self.users[self.size / 5]);
        self.list(never, "members[value eq …], without members", 1, bare().filter(&of_member)).await;
        let both = format!("id eq \"{large}\" and {of_member}");
        self.list(never, "id eq and members[value eq …], without members", 1, bare().filter(both)).await;
    }

    /// The team of the first user.
    async fn team(&self) -> String {
        let team =
            Request::get(GROUPS).filter("displayName eq \"team-00000\"").send(&self.service).await.body;
        resources(&team)[0]["id"].as_str().expect("an id").to_owned()
    }

    async fn scans(&mut self) {
        let grows = Grows::WithSize;
        let large = self.large_group.clone();
        self.row(grows, "GET /Groups/{id} of a fifth of all", 1, async |service| {
            service.get(&format!("/Groups/{large}")).await
        })
        .await;
        let members = Request::get(USERS).filter(format!("groups.value eq \"{large}\"")).query("count", 5);
        self.list(grows, "members of a fifth of all, five by index", 5, members.clone()).await;
        let next = members.query("startIndex", 6);
        self.list(Grows::Never, "members of a fifth of all, the next five", 5, next).await;
        let managers = Request::get(USERS).filter("title eq \"Manager\"").query("count", 5);
        self.list(grows, "title eq, five of a tenth of all", 5, managers.clone()).await;
        self.list(grows, "title eq, the next five", 5, managers.clone().query("startIndex", 6)).await;
        self.list(grows, "title eq, five by cursor", 5, managers.query("cursor", "")).await;
        let members = Request::get(USERS).filter("groups pr").query("count", 5).query("attributes", "id");
        self.list(grows, "groups pr, five", 5, members).await;
        let unwalked = Request::get(USERS).query("count", 7).query("startIndex", self.size / 2 + 3);
        self.list(grows, "a page of seven in the middle, without a walk", 7, unwalked).await;
    }

    async fn writes(&mut self) {
        let never = Grows::Never;
        let item = format!("/Users/{}", self.users[self.size / 2]);
        let disable = json!([{ "op": "replace", "path": "active", "value": false }]);
        for request in ["PATCH active", "  again, which changes nothing"] {
            self.row(never, request, 1, async |service| service.patch(&item, disable.clone()).await).await;
        }
        let member = self.users[self.size - 1].clone();
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": member }] }]);
        let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{member}\"]") }]);
        for (of, id) in [("ten", self.small_group.clone()), ("a fifth of all", self.large_group.clone())] {
            let group = format!("/Groups/{id}");
            for (request, operations) in
                [("add a member to a group of", &add), ("remove a member of a group of", &remove)]
            {
                let request = format!("{request} {of}");
                self.row(never, &request, 1, async |service| service.patch(&group, operations.clone()).await)
                    .await;
            }
        }
        let new = json!({ "userName": "new@example.com" });
        let made = self
            .row(never, "POST /Users with a userName", 1, async |service| service.post(USERS, new).await)
            .await;
        let path = format!("/Users/{}", made.id());
        self.row(never, "DELETE /Users/{id}", 1, async |service| service.delete(&path).await).await;
        let full = user(99_999);
        let made = self
            .row(never, "POST /Users with externalId and an e-mail", 1, async |service| {
                service.post(USERS, full).await
            })
            .await;
        let path = format!("/Users/{}", made.id());
        let put = json!({ "userName": "user-99998@example.com" });
        self.row(never, "PUT /Users/{id} without them", 1, async |service| service.put(&path, put).await)
            .await;
        self.row(never, "DELETE /Users/{id}", 1, async |service| service.delete(&path).await).await;
    }

    /// The table: calls, read units, write units.
    fn table(&self) -> String {
        self.rows.iter().fold(String::new(), |mut table, Row { request, cost, grows }| {
            let calls: Vec<String> =
                cost.calls.iter().map(|(call, times)| format!("{call} {times}")).collect();
            // Where the ranges of a scan begin is a matter of chance, and each of their pages is rounded up.
            let is_scan = *grows == Grows::WithSize && cost.read > 100.0;
            let read = if is_scan { (cost.read / 100.0).round() * 100.0 } else { cost.read };
            let _ = writeln!(table, "{request:<58} {read:>5} {:>5}  {}", cost.write, calls.join(", "));
            table
        })
    }

    fn of(&self, request: &str) -> &Cost {
        let row = self.rows.iter().find(|row| row.request == request);
        &row.unwrap_or_else(|| panic!("no row {request}")).cost
    }

    /// One read, of one unit.
    fn is_one_read(&self, request: &str) {
        let cost = self.of(request);
        assert_eq!((cost.calls.values().sum::<usize>(), cost.read, cost.write), (1, 1.0, 0.0), "{request}");
    }

    fn cost_the_same(&self, requests: &[&str]) {
        for pair in requests.windows(2) {
            assert_eq!(self.of(pair[0]), self.of(pair[1]), "{} and {}", pair[0], pair[1]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_do_not_grow_with_the_directory() {
    let mut small = Bench::new(SMALL).await;
    small.measure().await;
    let mut guard = large().await;
    let large = guard.as_mut().expect("it was made");
    large.measure().await;
    let a_hundred: Expect = expect![[r#"
        GET /Users/{id}                                                3     0  GetItem 1, Query 2
          without groups                                               1     0  GetItem 1
        userName eq, found                                             4     0  GetItem 2, Query 2
        userName eq, nobody                                            1     0  GetItem 1
        externalId eq                                                  4     0  GetItem 1, Query 3
        emails.value eq                                                4     0  GetItem 1, Query 3
        emails[type eq "work"].value eq                                4     0  GetItem 1, Query 3
        emails[type eq "work" and value eq …]                          4     0  GetItem 1, Query 3
        userName eq or externalId eq                                   7     0  BatchGetItem 1, GetItem 1, Query 4
        id eq and active eq true                                       3     0  GetItem 1, Query 2
        userName sw, three found                                       8     0  BatchGetItem 1, Query 5
        userName gt                                                    7     0  BatchGetItem 1, Query 4
        userName ge                                                    6     0  BatchGetItem 1, Query 4
        userName lt                                                    7     0  BatchGetItem 1, Query 4
        userName le                                                    8     0  BatchGetItem 1, Query 5
        userName ge and lt                                             8     0  BatchGetItem 1, Query 5
        externalId sw                                                 22     0  BatchGetItem 1, Query 12
        externalId gt                                                  7     0  BatchGetItem 1, Query 4
        externalId le                                                  8     0  BatchGetItem 1, Query 5
        externalId ge and lt                                           9     0  BatchGetItem 1, Query 5
        emails.value sw                                               22     0  BatchGetItem 1, Query 12
        emails.value ge                                                6     0  BatchGetItem 1, Query 4
        emails.value lt                                                7     0  BatchGetItem 1, Query 4
        meta.created ge and lt                                         9     0  BatchGetItem 1, Query 6
        userName lt and userName gt, nothing                           0     0  
        displayName sw, without members                                2     0  GetItem 1, Query 1
        displayName ge, without members                                2     0  GetItem 1, Query 1
        displayName lt, without members                                2     0  GetItem 1, Query 1
        externalId of a group sw, without members                      2     0  GetItem 1, Query 1
        externalId of a group ge, without members                      2     0  GetItem 1, Query 1
        externalId of a group le, without members                      2     0  GetItem 1, Query 1
        userName sw by userName, ten by cursor                        23     1  BatchGetItem 1, PutItem 1, Query 12
        count=0                                                        1     0  Query 1
        an index past the end                                          3     0  GetItem 2, Query 1
          again                                                        3     0  GetItem 2, Query 1
        a page of ten users, the first                                 6     1  BatchWriteItem 1, GetItem 1, Query 4
        a page of ten users, in the middle                             7     1  BatchWriteItem 1, GetItem 2, Query 4
        a page of ten users, the last                                  6     1  BatchWriteItem 1, GetItem 2, Query 4
        a page of ten users, the first by cursor                       5     1  PutItem 1, Query 4
        a page of ten users, in the middle by cursor                   6     1  GetItem 1, PutItem 1, Query 4
        a page of ten users by userName, the first                    25     1  BatchGetItem 1, BatchWriteItem 1, GetItem 1, Query 13
        a page of ten users by userName, in the middle                26     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 13
        a page of ten users by userName, the last                     25     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 13
        a page of ten users by userName, the first by cursor          24     1  BatchGetItem 1, PutItem 1, Query 13
        a page of ten users by userName, in the middle by cursor      25     1  BatchGetItem 1, GetItem 1, PutItem 1, Query 13
        members of a fifth of all, ten by cursor                      24     1  BatchGetItem 1, PutItem 1, Query 13
        members of ten or of a team                                   25     0  BatchGetItem 1, Query 15
        members of ten or userName eq                                 38     0  BatchGetItem 1, GetItem 12, Query 15
        GET /Groups/{id} of ten, without members                       1     0  GetItem 1
          of a fifth of all, without members                           1     0  GetItem 1
        GET /Groups/{id} of ten                                        4     0  GetItem 2, Query 2
        displayName eq, without members                                2     0  GetItem 2
        members[value eq …], without members                           5     0  GetItem 2, Query 3
        id eq and members[value eq …], without members                 3     0  GetItem 2, Query 1
        GET /Groups/{id} of a fifth of all                             4     0  GetItem 2, Query 2
        members of a fifth of all, five by index                      16     1  BatchGetItem 1, BatchWriteItem 1, Query 10
        members of a fifth of all, the next five                      16     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 8
        title eq, five of a tenth of all                              22     1  BatchGetItem 1, BatchWriteItem 1, Query 8
        title eq, the next five                                       14     1  BatchWriteItem 1, GetItem 2, Query 7
        title eq, five by cursor                                      16     1  PutItem 1, Query 7
        groups pr, five                                               18     1  BatchGetItem 1, BatchWriteItem 1, Query 4
        a page of seven in the middle, without a walk                 12     2  BatchWriteItem 1, GetItem 2, Query 5
        PATCH active                                                   3     2  GetItem 1, Query 2, TransactWriteItems 1
          again, which changes nothing                                 3     0  GetItem 1, Query 2
        add a member to a group of ten                                 0     8  TransactWriteItems 1
        remove a member of a group of ten                              0     6  TransactWriteItems 1
        add a member to a group of a fifth of all                      0     8  TransactWriteItems 1
        remove a member of a group of a fifth of all                   0     6  TransactWriteItems 1
        POST /Users with a userName                                    0     6  TransactWriteItems 1
        DELETE /Users/{id}                                             2     9  BatchWriteItem 1, GetItem 1, Query 1, TransactWriteItems 1
        POST /Users with externalId and an e-mail                      0    10  TransactWriteItems 1
        PUT /Users/{id} without them                                   3    10  GetItem 1, Query 2, TransactWriteItems 1
        DELETE /Users/{id}                                             2     9  BatchWriteItem 1, GetItem 1, Query 1, TransactWriteItems 1
    "#]];
    a_hundred.assert_eq(&small.table());
    let ten_thousand: Expect = expect![[r#"
        GET /Users/{id}                                                3     0  GetItem 1, Query 2
          without groups                                               1     0  GetItem 1
        userName eq, found                                             4     0  GetItem 2, Query 2
        userName eq, nobody                                            1     0  GetItem 1
        externalId eq                                                  4     0  GetItem 1, Query 3
        emails.value eq                                                4     0  GetItem 1, Query 3
        emails[type eq "work"].value eq                                4     0  GetItem 1, Query 3
        emails[type eq "work" and value eq …]                          4     0  GetItem 1, Query 3
        userName eq or externalId eq                                   7     0  BatchGetItem 1, GetItem 1, Query 4
        id eq and active eq true                                       3     0  GetItem 1, Query 2
        userName sw, three found                                       8     0  BatchGetItem 1, Query 5
        userName gt                                                    7     0  BatchGetItem 1, Query 4
        userName ge                                                    6     0  BatchGetItem 1, Query 4
        userName lt                                                    7     0  BatchGetItem 1, Query 4
        userName le                                                    8     0  BatchGetItem 1, Query 5
        userName ge and lt                                             8     0  BatchGetItem 1, Query 5
        externalId sw                                                 22     0  BatchGetItem 1, Query 12
        externalId gt                                                  7     0  BatchGetItem 1, Query 4
        externalId le                                                  8     0  BatchGetItem 1, Query 5
        externalId ge and lt                                           9     0  BatchGetItem 1, Query 5
        emails.value sw                                               22     0  BatchGetItem 1, Query 12
        emails.value ge                                                6     0  BatchGetItem 1, Query 4
        emails.value lt                                                7     0  BatchGetItem 1, Query 4
        meta.created ge and lt                                         9     0  BatchGetItem 1, Query 6
        userName lt and userName gt, nothing                           0     0  
        displayName sw, without members                                2     0  GetItem 1, Query 1
        displayName ge, without members                                2     0  GetItem 1, Query 1
        displayName lt, without members                                2     0  GetItem 1, Query 1
        externalId of a group sw, without members                      2     0  GetItem 1, Query 1
        externalId of a group ge, without members                      2     0  GetItem 1, Query 1
        externalId of a group le, without members                      2     0  GetItem 1, Query 1
        userName sw by userName, ten by cursor                        23     1  BatchGetItem 1, PutItem 1, Query 12
        count=0                                                        1     0  Query 1
        an index past the end                                          3     0  GetItem 2, Query 1
          again                                                        3     0  GetItem 2, Query 1
        a page of ten users, the first                                 6     1  BatchWriteItem 1, GetItem 1, Query 4
        a page of ten users, in the middle                             7     1  BatchWriteItem 1, GetItem 2, Query 4
        a page of ten users, the last                                  6     1  BatchWriteItem 1, GetItem 2, Query 4
        a page of ten users, the first by cursor                       5     1  PutItem 1, Query 4
        a page of ten users, in the middle by cursor                   6     1  GetItem 1, PutItem 1, Query 4
        a page of ten users by userName, the first                    25     1  BatchGetItem 1, BatchWriteItem 1, GetItem 1, Query 13
        a page of ten users by userName, in the middle                26     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 13
        a page of ten users by userName, the last                     25     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 13
        a page of ten users by userName, the first by cursor          24     1  BatchGetItem 1, PutItem 1, Query 13
        a page of ten users by userName, in the middle by cursor      25     1  BatchGetItem 1, GetItem 1, PutItem 1, Query 13
        members of a fifth of all, ten by cursor                      24     1  BatchGetItem 1, PutItem 1, Query 13
        members of ten or of a team                                   25     0  BatchGetItem 1, Query 15
        members of ten or userName eq                                 38     0  BatchGetItem 1, GetItem 12, Query 15
        GET /Groups/{id} of ten, without members                       1     0  GetItem 1
          of a fifth of all, without members                           1     0  GetItem 1
        GET /Groups/{id} of ten                                        4     0  GetItem 2, Query 2
        displayName eq, without members                                2     0  GetItem 2
        members[value eq …], without members                           5     0  GetItem 2, Query 3
        id eq and members[value eq …], without members                 3     0  GetItem 2, Query 1
        GET /Groups/{id} of a fifth of all                            54     0  GetItem 2, Query 4
        members of a fifth of all, five by index                      66     1  BatchGetItem 1, BatchWriteItem 1, Query 12
        members of a fifth of all, the next five                      16     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 8
        title eq, five of a tenth of all                            1000     1  BatchGetItem 1, BatchWriteItem 1, Query 25
        title eq, the next five                                      100     1  BatchWriteItem 1, GetItem 2, Query 7
        title eq, five by cursor                                     100     1  PutItem 1, Query 7
        groups pr, five                                             1100     1  BatchGetItem 1, BatchWriteItem 1, Query 52
        a page of seven in the middle, without a walk                500     2  BatchWriteItem 1, GetItem 2, Query 10
        PATCH active                                                   3     2  GetItem 1, Query 2, TransactWriteItems 1
          again, which changes nothing                                 3     0  GetItem 1, Query 2
        add a member to a group of ten                                 0     8  TransactWriteItems 1
        remove a member of a group of ten                              0     6  TransactWriteItems 1
        add a member to a group of a fifth of all                      0     8  TransactWriteItems 1
        remove a member of a group of a fifth of all                   0     6  TransactWriteItems 1
        POST /Users with a userName                                    0     6  TransactWriteItems 1
        DELETE /Users/{id}                                             2     9  BatchWriteItem 1, GetItem 1, Query 1, TransactWriteItems 1
        POST /Users with externalId and an e-mail                      0    10  TransactWriteItems 1
        PUT /Users/{id} without them                                   3    10  GetItem 1, Query 2, TransactWriteItems 1
        DELETE /Users/{id}                                             2     9  BatchWriteItem 1, GetItem 1, Query 1, TransactWriteItems 1
    "#]];
    ten_thousand.assert_eq(&large.table());
    for (a, b) in small.rows.iter().zip(&large.rows) {
        assert_eq!(a.request, b.request);
        assert!(a.grows == Grows::WithSize || a.cost == b.cost, "{}: {} and {}", a.request, a.cost, b.cost);
    }
    for bench in [&small, large] {
        for request in [
            "  without groups",
            "count=0",
            "GET /Groups/{id} of ten, without members",
            "  of a fifth of all, without members",
            "userName eq, nobody",
        ] {
            bench.is_one_read(request);
        }
        bench.cost_the_same(&["add a member to a group of ten", "add a member to a group of a fifth of all"]);
        bench.cost_the_same(&[
            "remove a member of a group of ten",
            "remove a member of a group of a fifth of all",
        ]);
        for order in ["a page of ten users", "a page of ten users by userName"] {
            let by_cursor =
                [format!("{order}, the first by cursor"), format!("{order}, in the middle by cursor")];
            let (first, middle) = (bench.of(&by_cursor[0]), bench.of(&by_cursor[1]));
            // The cursor itself is read.
            assert!(middle.read - first.read <= 1.0, "{first}, then {middle}");
            let by_index = ["the first", "in the middle", "the last"].map(|page| format!("{order}, {page}"));
            let [first, middle, last] = by_index.each_ref().map(|request| bench.of(request));
            // The bookmark is read.
            for page in [middle, last] {
                assert!(page.read - first.read <= 1.0, "{first}, then {page}");
            }
        }
    }
}

/// Every page of a walk costs the same, but for the bookmark, which the first page does not read and the last one does
/// not leave.
async fn pages_cost_the_same(way: Way) {
    let guard = large().await;
    let bench = guard.as_ref().expect("it was made");
    // As no other test asks, whose bookmarks would be there already.
    let query =
        Request::get(USERS).query("count", 1_000).query("attributes", "id").query("sortOrder", "ascending");
    let (mut costs, mut seen) = (Vec::new(), Vec::new());
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let query = match way {
            Way::Index => query.clone().query("startIndex", seen.len() + 1),
            Way::Cursor => query.clone().query("cursor", cursor),
        };
        let (answer, cost) = bench.cost(async |service| query.send(service).await).await;
        seen.extend(each(resources(&answer.body), "id"));
        costs.push(cost);
        next = match way {
            Way::Index => (seen.len() < LARGE).then(String::new),
            Way::Cursor => answer.body["nextCursor"].as_str().map(str::to_owned),
        };
    }
    assert_eq!(seen, bench.users);
    assert_eq!(costs.len(), 10);
    assert!(costs[1..9].windows(2).all(|pair| pair[0] == pair[1]), "{costs:#?}");
    assert!(costs[1].read - costs[0].read <= 1.0, "{costs:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_a_walk_by_cursor_through_ten_thousand_costs_the_same() {
    pages_cost_the_same(Way::Cursor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_a_walk_by_index_through_ten_thousand_costs_the_same() {
    pages_cost_the_same(Way::Index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_ten_thousand_finds_each_match_once_and_in_order() {
    let guard = large().await;
    let bench = guard.as_ref().expect("it was made");
    let managers = || Request::get(USERS).filter("title eq \"manager\"").query("attributes", "id");
    let whole = managers().query("count", 1_000).send(&bench.service).await.body;
    assert_eq!(whole["totalResults"], bench.managers.len());
    assert_eq!(each(resources(&whole), "id"), bench.managers);
    let backward = managers().query("sortBy", "id").query("sortOrder", "descending").query("count", 1_000);
    let mut backward = each(resources(&backward.send(&bench.service).await.body), "id");
    backward.reverse();
    assert_eq!(backward, bench.managers);
    let pages = walk(&bench.service, &managers(), Way::Cursor, 300, async || ()).await;
    assert_eq!(each(&all_of(&pages), "id"), bench.managers);
    // A page that looked at ten thousand in vain is empty, and says where to go on.
    let nobody = Request::get(USERS).filter("title eq \"nobody's\"");
    let pages = walk(&bench.service, &nobody, Way::Cursor, 10, async || ()).await;
    assert_eq!(all_of(&pages), Vec::<Value>::new());
}

/// A filter that no index helps with may look at a hundred thousand resources. How many there are is taken from the
/// count, so that is what is made to say more.
#[tokio::test]
async fn a_scan_past_its_budget_is_refused_with_what_to_do_instead() {
    let database = Database::memory().expect("a database in memory");
    let client = local::embedded::client(database);
    let service = Service::on(client.clone()).await;
    service.user("ann").await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let number = aws_sdk_dynamodb::types::AttributeValue::N("100001".to_owned());
    let item = [("pk", text("ORG#acme#COUNT")), ("sk", text("USER#99")), ("n", number)];
    let item = item.map(|(name, value)| (name.to_owned(), value));
    let put = client.put_item().table_name(Tables::default().resources).set_item(Some(item.into()));
    put.send().await.expect("an answer");
    let refused = Request::get(USERS).filter("title eq \"x\"").send(&service).await;
    expect![[r#"
        400
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "400",
          "scimType": "tooMany",
          "detail": "this query would have to look at more resources than a request may: 100000, or what 20 s are enough for; name one of the indexed attributes in the filter (id, meta.created, userName, externalId, emails.value), or page with a cursor and without sortBy"
        }
    "#]].assert_eq(&refused.snapshot());
    for (query, expected) in [
        (Request::get(USERS).filter("not (title pr)").query("cursor", ""), "200"),
        (Request::get(USERS).filter("not (title pr)").query("cursor", "").query("sortBy", "userName"), "200"),
        (
            Request::get(USERS).filter("not (title pr)").query("cursor", "").query("sortBy", "title"),
            "400 tooMany",
        ),
        (Request::get(USERS).query("sortBy", "title"), "400 tooMany"),
        (Request::get(USERS).query("sortBy", "userName"), "200"),
        (Request::get(USERS).filter("userName sw \"a\" and not (title pr)"), "200"),
        (Request::get(USERS).filter("meta.created ge \"2026-11-23T09:00:00Z\" and not (title pr)"), "200"),
        (Request::get(USERS), "200"),
        (Request::get(GROUPS).filter("externalId co \"x\""), "200"),
    ] {
        assert_eq!(query.send(&service).await.verdict(), expected, "{query:?}");
    }
    let search = service.post("/.search", json!({ "filter": "meta.version co \"x\"" })).await;
    assert_eq!(search.verdict(), "400 tooMany");
}
