//! The costs of each SCIM operation, with the look-up of its key. They are the content of COSTS.md, which
//! `UPDATE_EXPECT=1 cargo test -p tests --test queries operations` writes.
//!
//! Round trips are calls that wait for one another. Each answer of DynamoDB takes one unit of virtual time, and nothing else
//! takes time. The time of a request is therefore its longest chain of calls, on any machine.

use std::fmt::Write;

use dynoxide::Database;
use expect_test::expect_file;
use serde_json::{Value, json};
use tests::{
    Answer, Service,
    counting::{Cost, Counter},
};
use tokio::time::{Duration, Instant};

/// The time of each answer.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// The organisation that DEPLOY.md calculates with.
const USERS: usize = 500;
const GROUPS: usize = 50;
const GROUPS_OF_A_USER: usize = 5;

/// A directory whose calls are counted.
struct Measurements {
    service: Service,
    counter: Counter,
    users: Vec<String>,
    groups: Vec<String>,
    rows: Vec<Row>,
}

/// The costs of one operation.
struct Row {
    operation: &'static str,
    round_trips: u128,
    /// The smallest possible number of round trips after the look-up of the key.
    floor: u128,
    cost: Cost,
}

/// The largest number of round trips that the design allows.
const TARGETS: [(&str, u128); 5] = [(NOBODY, 2), (READ, 2), (DISABLE, 3), (ADD, 2), (REMOVE, 2)];

const NOBODY: &str = "match by `userName`, nobody";
const READ: &str = "GET a user";
const DISABLE: &str = "PATCH `active` of a user";
const ADD: &str = "add one member";
const REMOVE: &str = "remove one member";

/// COSTS.md up to the table.
const ABOVE: &str = "\
# What an operation costs

Written by `tests/tests/queries/operations.rs`, which fails when it is no longer so: `UPDATE_EXPECT=1 cargo test -p tests --test queries operations` writes it anew. What must not grow with the directory is asserted in `costs.rs` beside it; what all of it costs in dollars is in [DEPLOY.md](DEPLOY.md#what-it-costs).

Counted at DynamoDB, the look-up of the key included, in an organisation of 500 users and 50 groups, each user in 5 groups. Users are as Okta sends them, below 1 KB. *Round trips* are calls that wait for one another: calls sent at the same time are one. The *floor* is the fewest that the operation could do with after the key has been looked up, whatever the code. Units are DynamoDB's: a strongly consistent read of 4 KB is 1, a write of 1 KB is 1, in a transaction 2.

";

/// And from there.
const BELOW: &str = "
## The floor, and why we are above it

**The key, in every row: 1 round trip, 2 read units.** One BatchGetItem of the key and of the organisation, before anything else is read. It could be kept in memory for a minute, or read beside the first read of the operation, whose organisation is in the key's text. Then a revoked key would go on working, or the directory would be read for whoever makes up a key. Both would save one round trip of some milliseconds.

**A user is found by its `userName` in 4, not 3.** The entry leads to the user, and the user's groups could be read beside it. They are read after it, because the filter is evaluated on the user first; a general list has no other way, and this one is not a case of its own. `excludedAttributes=groups` is 3.

**The groups of a user are 2 read units, not 1.** Beside them the pending changes are read, a partition that is nearly always empty. It costs a unit and no round trip, and it is why nobody sees half of a change.

**A list of users takes 4 and 5, not 3 and 4.** The first page waits for the page (the count beside it), for the groups of all on it (one query), and for the bookmark that the next page begins at. That could be written beside the groups; it is written when the page is known to be answered. The next page reads the bookmark first: that is what lets every page cost a page.

**A list of groups takes 6, not 3.** The members of 50 groups are 50 queries, and 16 are under way at a time: what a function holds in memory is bounded. Who excludes `members`, as Entra does, does not pay for it.

**A deletion takes 6, not 3.** With the third, a transaction, the user is gone for every reader and the name is free. Then the memberships go (one transaction a group, all at the same time, because each gives its group a new version), and the tombstone. It is done before the answer, because Lambda stops a function that has answered; if there is no time, it is left to the next reader or the janitor.

**Writes cost double, and more items than one.** They are transactions: a resource, its index entries and its count change together or not at all. To add a member is four actions: the group's version, a check that the user exists, the edge and its reverse. One write of 1 unit could say the same, and be wrong whenever the user is deleted at that moment, or whenever somebody asks which groups a user is in.

**Nothing is read to add or remove a member**, and nothing is written that does not change: a PUT or a PATCH that says what is so costs a read.
";

fn user(number: usize) -> Value {
    let name = format!("user-{number:03}@example.com");
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "userName": name, "externalId": format!("00u{number:017}"), "active": true,
        "name": { "givenName": "Given", "familyName": "Family" }, "displayName": "Given Family",
        "title": "Engineer", "locale": "en-US", "preferredLanguage": "en", "timezone": "America/New_York",
        "emails": [{ "value": name, "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "+1 555 0100", "type": "work" }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": format!("{number}"), "department": "Engineering", "costCenter": "4130",
        },
    })
}

impl Measurements {
    async fn new() -> Self {
        let counter = Counter::default();
        let database = Database::memory().expect("a database in memory");
        let service = Service::on(counter.slow_client(database, ROUND_TRIP)).await;
        let mut users = Vec::new();
        for number in 0..USERS {
            let answer = service.post("/Users", user(number)).await;
            assert_eq!(answer.status, 201, "{:#}", answer.body);
            users.push(answer.id());
        }
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            let is_member = |user: &usize| {
                (0..GROUPS_OF_A_USER).any(|nth| (user + nth * GROUPS / GROUPS_OF_A_USER) % GROUPS == number)
            };
            let members: Vec<&str> = (0..USERS).filter(is_member).map(|user| users[user].as_str()).collect();
            groups.push(service.group(&format!("Group {number}"), &members).await);
        }
        Self { service, counter, users, groups, rows: Vec::new() }
    }

    /// Adds a row to the table.
    async fn row(
        &mut self,
        operation: &'static str,
        floor: u128,
        status: u16,
        ask: impl AsyncFnOnce(&Service) -> Answer,
    ) -> Answer {
        let _ = self.counter.take();
        let begin = Instant::now();
        let answer = ask(&self.service).await;
        // A timer of tokio is late by up to a millisecond.
        let round_trips = begin.elapsed().as_millis() / ROUND_TRIP.as_millis();
        assert_eq!(answer.status, status, "{operation}: {:#}", answer.body);
        let mut cost = Cost::default();
        for of_table in self.counter.take().into_values() {
            for (call, times) in of_table.calls {
                *cost.calls.entry(call).or_default() += times;
            }
            cost.read += of_table.read;
            cost.write += of_table.write;
        }
        self.rows.push(Row { operation, round_trips, floor, cost });
        answer
    }

    async fn get(&mut self, operation: &'static str, floor: u128, path: &str) -> Answer {
        self.row(operation, floor, 200, async |service| service.get(path).await).await
    }

    async fn measure(&mut self) {
        let id = self.users[77].clone();
        let path = format!("/Users/{id}");
        let new = user(USERS);
        self.row("create a user", 2, 201, async |service| service.post("/Users", new).await).await;
        let nobody = self.get(NOBODY, 2, "/Users?filter=userName%20eq%20%22nobody%22").await;
        assert_eq!(nobody.body["totalResults"], 0);
        let by_name = "/Users?filter=userName%20eq%20%22user-077@example.com%22";
        let found = self.get("match by `userName`, found", 3, by_name).await;
        assert_eq!(found.body["Resources"][0]["id"], id);
        let user = self.get(READ, 2, &path).await;
        assert_eq!(user.body["groups"].as_array().map(Vec::len), Some(GROUPS_OF_A_USER));
        self.row("PUT a user, unchanged", 2, 200, async |service| service.put(&path, user.body).await).await;
        let disable = json!([{ "op": "replace", "path": "active", "value": false }]);
        self.row(DISABLE, 3, 200, async |service| service.patch(&path, disable).await).await;

        let group = format!("/Groups/{}", self.groups[0]);
        let by_name = "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22Group%200%22";
        let found = self.get("match a group by `displayName`, without members", 3, by_name).await;
        assert_eq!(found.body["totalResults"], 1);
        let member = &self.users[77];
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": member }] }]);
        let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{member}\"]") }]);
        self.row(ADD, 2, 204, async |service| service.patch(&group, add).await).await;
        self.row(REMOVE, 2, 204, async |service| service.patch(&group, remove).await).await;

        for (operation, floor, path, shown) in [
            ("list 100 users, the first page", 3, "/Users?startIndex=1&count=100", 100),
            ("list 100 users, the next page", 4, "/Users?startIndex=101&count=100", 100),
            ("list 50 groups of 50 members each", 3, "/Groups?startIndex=1&count=100", GROUPS),
        ] {
            let list = self.get(operation, floor, path).await;
            assert_eq!(list.body["Resources"].as_array().map(Vec::len), Some(shown));
        }
        self.row("delete a user who is in 5 groups", 3, 204, async |service| service.delete(&path).await)
            .await;
    }

    fn of(&self, operation: &str) -> &Row {
        self.rows.iter().find(|row| row.operation == operation).expect("a row of that operation")
    }

    fn table(&self) -> String {
        let head = "| operation | round trips | floor | read units | write units | calls |\n|---|---|---|---|---|---|\n";
        self.rows.iter().fold(head.to_owned(), |mut table, Row { operation, round_trips, floor, cost }| {
            let times = |(call, times): (&String, &usize)| match times {
                1 => call.clone(),
                times => format!("{times} {call}"),
            };
            let calls: Vec<String> = cost.calls.iter().map(times).collect();
            let (read, write, calls) = (cost.read, cost.write, calls.join(", "));
            let _ = writeln!(table, "| {operation} | {round_trips} | {floor} | {read} | {write} | {calls} |");
            table
        })
    }
}

#[tokio::test(start_paused = true)]
async fn operation_costs_match_costs_md() {
    let mut measured = Measurements::new().await;
    measured.measure().await;
    for (operation, at_most) in TARGETS {
        let row = measured.of(operation);
        assert!(row.round_trips <= at_most, "{operation}: {} round trips, not {at_most}", row.round_trips);
    }
    for Row { operation, round_trips, floor, .. } in &measured.rows {
        assert!(
            round_trips >= floor,
            "{operation}: {round_trips} round trips are below the floor of {floor}"
        );
    }
    // One read, and the two units of the key.
    assert!(measured.of(NOBODY).cost.read <= 3.0);
    expect_file!["../../../COSTS.md"].assert_eq(&format!("{ABOVE}{}{BELOW}", measured.table()));
}
