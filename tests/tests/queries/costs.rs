//! The costs of each request in calls and capacity units of DynamoDB, with 100 users and with 10,000.
//!
//! The costs that must not grow with the directory are equal in both. The tables omit the look-up of the key: every request
//! starts with it, and it is one call.

use std::collections::BTreeMap;

use dynoxide::Database;
use expect_test::expect;
use serde_json::{Value, json};
use service::{clock::Clock, config::Tables, entropy::Entropy};
use tests::{
    Answer, NOW, Request, Service,
    counting::{Cost, Counter},
};
use time::Duration;

use super::{
    GROUPS, Paging, USERS, all_of,
    directory::{Directory, user},
    each, resources, walk,
};

const SMALL: usize = 100;
const LARGE: usize = 10_000;

/// A service on a directory, with the costs of its requests.
struct Costs {
    service: Service,
    counter: Counter,
    size: usize,
    directory: Directory,
    rows: Vec<Row>,
}

/// The costs of one request.
struct Row {
    request: String,
    grows: Grows,
    cost: Cost,
}

impl Row {
    /// Returns the request, its read units, write units and calls.
    fn line(&self) -> String {
        let Self { request, cost, grows } = self;
        let calls: Vec<String> = cost.calls.iter().map(|(call, times)| format!("{call} {times}")).collect();
        // Random ids divide a scan into ranges, and the units of each page are rounded up.
        let is_scan = *grows == Grows::WithSize && cost.read > 100.0;
        let read = if is_scan { (cost.read / 100.0).round() * 100.0 } else { cost.read };
        format!("{request:<58} {read:>5} {:>5}  {}\n", cost.write, calls.join(", "))
    }
}

/// Whether a cost may depend on the size of the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grows {
    Never,
    WithSize,
}

impl Costs {
    async fn new(size: usize) -> Self {
        let (database, directory) = Directory::restored(size).await;
        let counter = Counter::default();
        let clock = Clock::fixed(NOW + Duration::hours(1));
        let service = Service::with(counter.client(database), clock, Entropy::seeded(9)).await;
        Self { service, counter, size, directory, rows: Vec::new() }
    }

    /// Sends a request and returns its costs without the look-up of the key.
    async fn cost(&self, send: impl AsyncFnOnce(&Service) -> Answer) -> (Answer, Cost) {
        let _ = self.counter.take();
        let answer = send(&self.service).await;
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
        send: impl AsyncFnOnce(&Service) -> Answer,
    ) -> Answer {
        let (answer, cost) = self.cost(send).await;
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

    /// Walks to the middle in pages of a tenth of all users. Returns the index or the cursor of the page there.
    async fn middle(&self, query: &Request, paging: Paging) -> String {
        let mut pages = 0;
        let mut next = String::new();
        while pages < 5 {
            let query = query.clone().query("count", self.size / 10).query("attributes", "id");
            let query = match paging {
                Paging::Index => query.query("startIndex", 1 + pages * self.size / 10),
                Paging::Cursor => query.query("cursor", &next),
            };
            let page = query.send(&self.service).await.body;
            page["nextCursor"].as_str().unwrap_or_default().clone_into(&mut next);
            pages += 1;
        }
        if paging == Paging::Index { (1 + self.size / 2).to_string() } else { next }
    }

    /// Sends all requests of the table.
    async fn measure(&mut self) {
        self.look_ups().await;
        self.ranges().await;
        self.pages().await;
        self.groups().await;
        self.scans().await;
        self.writes().await;
    }

    async fn look_ups(&mut self) {
        let id = self.directory.users[self.size / 2].clone();
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

    /// Measures filters that match a few entries of an index, at both ends of the index.
    async fn ranges(&mut self) {
        let never = Grows::Never;
        let last = |number: usize| format!("{:05}", self.size - number);
        let (third, second) = (last(3), last(2));
        let mut created = Vec::new();
        for index in [50, 53] {
            let user = self.service.get(&format!("/Users/{}", self.directory.users[index])).await.body;
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
        let team = format!("team-{:05}", self.directory.teams() - 1);
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
            let index = self.middle(&query, Paging::Index).await;
            let middle = ten(&query).query("startIndex", index);
            self.list(never, &format!("{order}, in the middle"), 10, middle).await;
            let before = query.clone().query("count", 10).query("startIndex", self.size - 19);
            before.send(&self.service).await;
            self.list(never, &format!("{order}, the last"), 10, last(ten(&query), self.size)).await;
            self.list(never, &format!("{order}, the first by cursor"), 10, ten(&query).query("cursor", ""))
                .await;
            let cursor = self.middle(&query, Paging::Cursor).await;
            let middle = ten(&query).query("cursor", cursor);
            self.list(never, &format!("{order}, in the middle by cursor"), 10, middle).await;
        }
    }

    async fn groups(&mut self) {
        let never = Grows::Never;
        let (small, large) = (self.directory.small_group.clone(), self.directory.large_group.clone());
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
        let of_member = format!("members[value eq \"{}\"]", self.directory.users[self.size / 5]);
        self.list(never, "members[value eq …], without members", 1, bare().filter(&of_member)).await;
        let both = format!("id eq \"{large}\" and {of_member}");
        self.list(never, "id eq and members[value eq …], without members", 1, bare().filter(both)).await;
    }

    /// Returns the team of the first user.
    async fn team(&self) -> String {
        let team =
            Request::get(GROUPS).filter("displayName eq \"team-00000\"").send(&self.service).await.body;
        resources(&team)[0]["id"].as_str().expect("an id").to_owned()
    }

    async fn scans(&mut self) {
        let grows = Grows::WithSize;
        let large = self.directory.large_group.clone();
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
        let item = format!("/Users/{}", self.directory.users[self.size / 2]);
        let disable = json!([{ "op": "replace", "path": "active", "value": false }]);
        for request in ["PATCH active", "  again, which changes nothing"] {
            self.row(never, request, 1, async |service| service.patch(&item, disable.clone()).await).await;
        }
        let member = self.directory.users[self.size - 1].clone();
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": member }] }]);
        let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{member}\"]") }]);
        for (of, id) in [
            ("ten", self.directory.small_group.clone()),
            ("a fifth of all", self.directory.large_group.clone()),
        ] {
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

    fn cost_of(&self, request: &str) -> &Cost {
        let row = self.rows.iter().find(|row| row.request == request);
        &row.unwrap_or_else(|| panic!("no row {request}")).cost
    }

    /// Fails unless the request costs one read of one unit.
    fn assert_one_read(&self, request: &str) {
        let cost = self.cost_of(request);
        assert_eq!((cost.calls.values().sum::<usize>(), cost.read, cost.write), (1, 1.0, 0.0), "{request}");
    }

    fn assert_same_cost(&self, requests: &[&str]) {
        for pair in requests.windows(2) {
            assert_eq!(self.cost_of(pair[0]), self.cost_of(pair[1]), "{} and {}", pair[0], pair[1]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_are_independent_of_directory_size() {
    let (mut small, mut large) = (Costs::new(SMALL).await, Costs::new(LARGE).await);
    small.measure().await;
    large.measure().await;
    expect![[r#"
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
        a page of ten users, the last                                  7     1  BatchWriteItem 1, GetItem 2, Query 4
        a page of ten users, the first by cursor                       5     1  PutItem 1, Query 4
        a page of ten users, in the middle by cursor                   6     1  GetItem 1, PutItem 1, Query 4
        a page of ten users by userName, the first                    25     1  BatchGetItem 1, BatchWriteItem 1, GetItem 1, Query 13
        a page of ten users by userName, in the middle                26     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 13
        a page of ten users by userName, the last                     25     1  BatchGetItem 1, BatchWriteItem 1, GetItem 2, Query 13
        a page of ten users by userName, the first by cursor          24     1  BatchGetItem 1, PutItem 1, Query 13
        a page of ten users by userName, in the middle by cursor      25     1  BatchGetItem 1, GetItem 1, PutItem 1, Query 13
        members of a fifth of all, ten by cursor                      24     1  BatchGetItem 1, PutItem 1, Query 13
        members of ten or of a team                                   24     0  BatchGetItem 1, Query 14
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
        title eq, five of a tenth of all                              24     1  BatchGetItem 1, BatchWriteItem 1, Query 8
        title eq, the next five                                       15     1  BatchWriteItem 1, GetItem 2, Query 7
        title eq, five by cursor                                      18     1  PutItem 1, Query 7
        groups pr, five                                               20     1  BatchGetItem 1, BatchWriteItem 1, Query 4
        a page of seven in the middle, without a walk                 12     2  BatchWriteItem 1, GetItem 2, Query 5
        PATCH active                                                   3     6  GetItem 1, Query 2, TransactWriteItems 1
          again, which changes nothing                                 3     0  GetItem 1, Query 2
        add a member to a group of ten                                 0    10  TransactWriteItems 1
        remove a member of a group of ten                              0     8  TransactWriteItems 2
        add a member to a group of a fifth of all                      0    10  TransactWriteItems 1
        remove a member of a group of a fifth of all                   0     8  TransactWriteItems 2
        POST /Users with a userName                                    0     8  TransactWriteItems 1
        DELETE /Users/{id}                                             2     8  GetItem 1, Query 1, TransactWriteItems 1
        POST /Users with externalId and an e-mail                      0    12  TransactWriteItems 1
        PUT /Users/{id} without them                                   3    12  GetItem 1, Query 2, TransactWriteItems 1
        DELETE /Users/{id}                                             2     8  GetItem 1, Query 1, TransactWriteItems 1
    "#]]
    .assert_eq(&small.rows.iter().map(Row::line).collect::<String>());
    // Every other line is the same with ten thousand users.
    let pairs = || small.rows.iter().zip(&large.rows);
    let growing = pairs().filter(|(small, large)| small.line() != large.line());
    expect![[r#"
        GET /Groups/{id} of a fifth of all                            52     0  GetItem 2, Query 2
        members of a fifth of all, five by index                      64     1  BatchGetItem 1, BatchWriteItem 1, Query 10
        title eq, five of a tenth of all                            1100     1  BatchGetItem 1, BatchWriteItem 1, Query 25
        title eq, the next five                                      100     1  BatchWriteItem 1, GetItem 2, Query 7
        title eq, five by cursor                                     100     1  PutItem 1, Query 7
        groups pr, five                                             1200     1  BatchGetItem 1, BatchWriteItem 1, Query 51
        a page of seven in the middle, without a walk                600     2  BatchWriteItem 1, GetItem 2, Query 10
    "#]]
    .assert_eq(&growing.map(|(_, large)| large.line()).collect::<String>());
    for (a, b) in pairs() {
        assert_eq!(a.request, b.request);
        assert!(a.grows == Grows::WithSize || a.cost == b.cost, "{}: {} and {}", a.request, a.cost, b.cost);
    }
    for measured in [&small, &large] {
        for request in [
            "  without groups",
            "count=0",
            "GET /Groups/{id} of ten, without members",
            "  of a fifth of all, without members",
            "userName eq, nobody",
        ] {
            measured.assert_one_read(request);
        }
        measured.assert_same_cost(&[
            "add a member to a group of ten",
            "add a member to a group of a fifth of all",
        ]);
        measured.assert_same_cost(&[
            "remove a member of a group of ten",
            "remove a member of a group of a fifth of all",
        ]);
        for order in ["a page of ten users", "a page of ten users by userName"] {
            let by_cursor =
                [format!("{order}, the first by cursor"), format!("{order}, in the middle by cursor")];
            let (first, middle) = (measured.cost_of(&by_cursor[0]), measured.cost_of(&by_cursor[1]));
            // A later page reads the cursor.
            assert!(middle.read - first.read <= 1.0, "{first}, then {middle}");
            let by_index = ["the first", "in the middle", "the last"].map(|page| format!("{order}, {page}"));
            let [first, middle, last] = by_index.each_ref().map(|request| measured.cost_of(request));
            // A later page reads the bookmark.
            for page in [middle, last] {
                assert!(page.read - first.read <= 1.0, "{first}, then {page}");
            }
        }
    }
}

/// Fails unless all pages of a walk cost the same. The first page does not read a bookmark and the last page does not write
/// one.
async fn pages_cost_the_same(paging: Paging) {
    let measured = Costs::new(LARGE).await;
    let query =
        Request::get(USERS).query("count", 1_000).query("attributes", "id").query("sortOrder", "ascending");
    let (mut costs, mut seen) = (Vec::new(), Vec::new());
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let query = match paging {
            Paging::Index => query.clone().query("startIndex", seen.len() + 1),
            Paging::Cursor => query.clone().query("cursor", cursor),
        };
        let (answer, cost) = measured.cost(async |service| query.send(service).await).await;
        seen.extend(each(resources(&answer.body), "id"));
        costs.push(cost);
        next = match paging {
            Paging::Index => (seen.len() < LARGE).then(String::new),
            Paging::Cursor => answer.body["nextCursor"].as_str().map(str::to_owned),
        };
    }
    assert_eq!(seen, measured.directory.users);
    assert_eq!(costs.len(), 10);
    assert!(costs[1..9].windows(2).all(|pair| pair[0].calls == pair[1].calls), "{costs:#?}");
    // The items of users that were added to a group are larger by a number.
    assert!(costs[..9].windows(2).all(|pair| (pair[1].read - pair[0].read).abs() <= 2.0), "{costs:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursor_pages_of_10000_users_cost_the_same() {
    pages_cost_the_same(Paging::Cursor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_pages_of_10000_users_cost_the_same() {
    pages_cost_the_same(Paging::Index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scan_of_10000_users_finds_each_match_once() {
    let measured = Costs::new(LARGE).await;
    let managers = || Request::get(USERS).filter("title eq \"manager\"").query("attributes", "id");
    let whole = managers().query("count", 1_000).send(&measured.service).await.body;
    assert_eq!(whole["totalResults"], measured.directory.managers.len());
    assert_eq!(each(resources(&whole), "id"), measured.directory.managers);
    let backward = managers().query("sortBy", "id").query("sortOrder", "descending").query("count", 1_000);
    let mut backward = each(resources(&backward.send(&measured.service).await.body), "id");
    backward.reverse();
    assert_eq!(backward, measured.directory.managers);
    let pages = walk(&measured.service, &managers(), Paging::Cursor, 300, async || ()).await;
    assert_eq!(each(&all_of(&pages), "id"), measured.directory.managers);
    // A page that found no match among 10,000 users is empty and has a next cursor.
    let nobody = Request::get(USERS).filter("title eq \"nobody's\"");
    let pages = walk(&measured.service, &nobody, Paging::Cursor, 10, async || ()).await;
    assert_eq!(all_of(&pages), Vec::<Value>::new());
}

/// A filter without an index may evaluate 100,000 resources. The service takes their number from the count, so the test
/// writes a larger count.
#[tokio::test]
async fn scan_over_budget_is_rejected_with_advice() {
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
          "detail": "This query would read more than 100000 resources, or for longer than 20 seconds. Filter by an indexed attribute (id, meta.created, userName, externalId, emails.value), or page with a cursor and without sortBy."
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
