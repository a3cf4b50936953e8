//! The stored data of earlier releases. Each file in `fixtures/stored/` holds all items of a store that a release
//! wrote, and the release's responses.
//!
//! This release must return the same responses and be able to change the data: during a canary deployment and after a
//! rollback, two consecutive releases work on one store.

use std::{collections::BTreeSet, fs, path::PathBuf};

use axum::http::Method;
use dynoxide::Database;
use local::embedded::{self, dispatch};
use serde_json::{Value, json};
use service::{
    auth::{Caller, Scope},
    clock::Clock,
    config::Tables,
    entropy::Entropy,
};
use tests::{
    NOW, ORG, Request, Service, enable_org,
    faults::{Fault, Faults, Plan},
};

use super::full_user;

/// A disabled organisation.
const DISABLED_ORG: &str = "closed";
/// The number of members that, with the group itself, exceed a transaction by one item.
const LARGE_GROUP: usize = 100;
/// The time since the release. Until then unfinished changes belong to its processes.
const LATER: time::Duration = time::Duration::minutes(1);
/// The lists whose responses are recorded.
const LISTS: [&str; 2] = ["/Users?count=1000", "/Groups?count=1000"];

fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures", "stored"].iter().collect()
}

fn tables() -> [String; 2] {
    let Tables { resources, keys, .. } = Tables::default();
    [resources, keys]
}

/// Returns all items of a table in the order of their keys.
fn items(database: &Database, table: &str) -> Vec<Value> {
    let scan = json!({ "TableName": table, "ConsistentRead": true, "Limit": 100_000 });
    let answer = dispatch(database, "Scan", scan.to_string().as_bytes()).expect("a scan");
    let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["LastEvaluatedKey"], Value::Null, "more than a page");
    let mut items: Vec<Value> = std::mem::take(answer["Items"].as_array_mut().expect("items"));
    items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
    for item in &mut items {
        item.as_object_mut().expect("an item").sort_keys();
    }
    items
}

fn ids(list: &Value) -> BTreeSet<String> {
    let resources = list["Resources"].as_array().expect("resources");
    resources.iter().map(|resource| resource["id"].as_str().expect("an id").to_owned()).collect()
}

/// Writes the file of this release. Run this test when the stored format changes, after you increase the version of the
/// workspace: `cargo test -p tests --test http -- --ignored stored_format_of_this_release_is_recorded`.
#[tokio::test]
#[ignore = "it writes the fixture that the other tests read"]
async fn stored_format_of_this_release_is_recorded() {
    let (database, faults) = (Database::memory().expect("a database in memory"), Faults::default());
    let service = Service::on(faults.client(database.clone())).await;
    let reader = service.organisation(ORG, &[Scope::Read]).await;

    let ada = service.post("/Users", full_user()).await.id();
    let strasse = json!({ "userName": "Straße@Example.com", "emails": [{ "value": "ｆｕｌｌ@example.com" }], "active": false });
    let strasse = service.post("/Users", strasse).await.id();
    let mut many = Vec::new();
    for number in 0..LARGE_GROUP {
        many.push(service.user(&format!("user-{number:03}")).await);
    }
    let engineers = service.group("Engineers", &[&ada, &strasse]).await;
    service.group("Company", &[&engineers, &ada]).await;
    service.patch(&format!("/Groups/{engineers}"), json!([{ "op": "remove", "path": "members" }])).await;
    service
        .patch(
            &format!("/Groups/{engineers}"),
            json!([{ "op": "add", "path": "members", "value": [{ "value": many[0] }] }]),
        )
        .await;
    let gone = service.user("gone@example.com").await;
    service.delete(&format!("/Users/{gone}")).await;
    let page = Request::get("/Users?cursor=&count=2").send(&service).await.body;

    let disabled = service.organisation(DISABLED_ORG, &[Scope::Scim]).await;
    let answer = Request::post("/Users", json!({ "userName": "ada" })).bearer(&disabled).send(&service).await;
    assert_eq!(answer.status, 201);
    enable_org(&service.app.store, &DISABLED_ORG.parse().expect("a name"), false).await.expect("an answer");

    // One process dies after it has committed the creation of a large group. Another dies after it has committed the
    // deletion of a large group.
    let members: Value = many.iter().map(|id| json!({ "value": id })).collect();
    let large = json!({ "displayName": "Everybody", "members": members });
    let deleted = json!({ "displayName": "Deleted", "members": members });
    let deleted = service.post("/Groups", deleted).await.id();
    for request in [Request::post("/Groups", &large), Request::delete(format!("/Groups/{deleted}"))] {
        send_and_crash(&service, &database, &faults, request).await;
    }

    let [resources, keys] = tables().map(|table| items(&database, &table));
    let mut shown = json!({});
    for list in LISTS {
        shown[list] = service.get(list).await.body;
    }
    let head = json!({
        "release": env!("CARGO_PKG_VERSION"),
        "keys": { "scim": service.key, "read": reader, "closed": disabled },
        "cursor": page["nextCursor"],
        "shown": shown,
    });
    // One item per line, for readable diffs.
    let lines = |items: &[Value]| items.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
    let [resources_table, keys_table] = tables();
    let head = format!("{head:#}");
    let text = format!(
        "{},\n  \"items\": {{\n\"{resources_table}\": [\n{}\n],\n\"{keys_table}\": [\n{}\n]\n}}\n}}\n",
        head.trim_end_matches('}').trim_end(),
        lines(&resources),
        lines(&keys),
    );
    let release = format!("v{}.{}.json", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    fs::write(directory().join(release), text).expect("the file is written");
}

/// Sends the request to a process that dies as soon as it has committed a pending change.
async fn send_and_crash(service: &Service, database: &Database, faults: &Faults, request: Request) {
    let pending = || {
        let items = items(database, &tables()[0]);
        items
            .iter()
            .filter(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.ends_with("#PENDING")))
            .count()
    };
    let before = pending();
    // The process crashes at each call in turn until a crash leaves a committed pending change. After each earlier
    // crash, the data is restored.
    for call in 0.. {
        let saved = tables().map(|table| items(database, &table));
        faults.plan(Some(Plan { call, fault: Fault::CrashAfter, lasting: true }));
        tokio::select! {
            answer = request.send(service) => panic!("the request succeeded: {}", answer.status),
            () = faults.crashed() => {}
        }
        faults.plan(None);
        let committed = items(database, &tables()[0]).iter().any(|item| item.get("intent").is_some())
            || request.method == Method::DELETE;
        if pending() > before && committed {
            return;
        }
        restore(database, &saved);
    }
}

/// Restores the saved items.
fn restore(database: &Database, saved: &[Vec<Value>; 2]) {
    for (table, saved) in tables().iter().zip(saved) {
        for item in items(database, table) {
            let key = json!({ "TableName": table, "Key": { "pk": item["pk"], "sk": item["sk"] } });
            dispatch(database, "DeleteItem", key.to_string().as_bytes()).expect("deleted");
        }
        put(database, table, saved);
    }
}

fn put(database: &Database, table: &str, items: &[Value]) {
    for item in items {
        let put = json!({ "TableName": table, "Item": item });
        dispatch(database, "PutItem", put.to_string().as_bytes()).expect("an item");
    }
}

/// A store with the data of a release.
struct Release {
    service: Service,
    database: Database,
    recorded: Value,
}

impl Release {
    async fn all() -> Vec<Self> {
        let mut releases = Vec::new();
        for entry in fs::read_dir(directory()).expect("the directory") {
            let text = fs::read_to_string(entry.expect("a file").path()).expect("a text");
            let recorded: Value = serde_json::from_str(&text).expect("JSON");
            let database = Database::memory().expect("a database in memory");
            let client = embedded::client(database.clone());
            // Changes that the release has left may be finished by other processes. Another seed than that of the recording
            // process makes other ids.
            let service = Service::with(client, Clock::fixed(NOW + LATER), Entropy::seeded(99)).await;
            for (table, items) in recorded["items"].as_object().expect("tables") {
                put(&database, table, items.as_array().expect("items"));
            }
            releases.push(Self { service, database, recorded });
        }
        assert!(!releases.is_empty(), "no release is recorded");
        releases
    }

    fn key(&self, name: &str) -> &str {
        self.recorded["keys"][name].as_str().expect("a key")
    }

    async fn send(&self, request: Request) -> tests::Answer {
        request.bearer(self.key("scim")).send(&self.service).await
    }

    /// Returns the ids of a recorded list.
    fn ids(&self, list: &str) -> BTreeSet<String> {
        ids(&self.recorded["shown"][list])
    }
}

#[tokio::test]
async fn earlier_release_data_is_returned_unchanged() {
    for release in Release::all().await {
        for list in LISTS {
            assert_eq!(
                release.send(Request::get(list)).await.body,
                release.recorded["shown"][list],
                "{list}"
            );
        }
        for list in LISTS {
            for shown in release.recorded["shown"][list]["Resources"].as_array().expect("resources") {
                let location = shown["meta"]["location"].as_str().expect("a location");
                let read = release.send(Request::get(location.trim_start_matches(tests::BASE))).await;
                assert_eq!(&read.body, shown);
            }
        }
        let cursor = release.recorded["cursor"].as_str().expect("a cursor");
        let page = release.send(Request::get(format!("/Users?cursor={cursor}&count=2"))).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(page.body["itemsPerPage"], 2);
    }
}

#[tokio::test]
async fn earlier_release_keys_keep_their_scopes() {
    for release in Release::all().await {
        let create = Request::post("/Users", json!({ "userName": "new" }));
        for (key, read, write) in [("scim", 200, 201), ("read", 200, 403), ("closed", 403, 403)] {
            let key = release.key(key);
            assert_eq!(Request::get("/Users").bearer(key).send(&release.service).await.status, read);
            assert_eq!(create.clone().bearer(key).send(&release.service).await.status, write);
        }
    }
}

#[tokio::test]
async fn earlier_release_names_are_found_and_stay_unique() {
    for release in Release::all().await {
        for (collection, name, list) in
            [("/Users", "userName", LISTS[0]), ("/Groups", "displayName", LISTS[1])]
        {
            for shown in release.recorded["shown"][list]["Resources"].as_array().expect("resources") {
                let value = shown[name].as_str().expect("a name");
                let filter = format!("{name} eq {}", json!(value.to_uppercase()));
                let found = release.send(Request::get(collection).filter(&filter)).await.body;
                assert_eq!(ids(&found), [shown["id"].as_str().expect("an id").to_owned()].into(), "{filter}");
            }
        }
        for (filter, total) in [
            ("userName eq \"STRASSE@example.com\"", 1),
            ("emails.value eq \"full@example.com\"", 1),
            ("externalId eq \"00ujl29u0le5T6Aj10h7\"", 1),
            ("userName eq \"gone@example.com\"", 0),
        ] {
            let found = release.send(Request::get("/Users").filter(filter)).await.body;
            assert_eq!(found["totalResults"], total, "{filter}");
        }
        let taken = release.send(Request::post("/Users", json!({ "userName": "ADA@example.com" }))).await;
        assert_eq!(taken.verdict(), "409 uniqueness");
    }
}

#[tokio::test]
async fn earlier_release_data_can_be_changed_and_deleted() {
    for release in Release::all().await {
        let (users, groups) = (release.ids(LISTS[0]), release.ids(LISTS[1]));
        let title = json!([{ "op": "replace", "path": "title", "value": "Changed" }]);
        for user in &users {
            let changed = release.send(Request::patch(format!("/Users/{user}"), &title)).await;
            assert_eq!((changed.status, &changed.body["title"]), (200, &json!("Changed")));
        }
        let user = users.first().expect("a user");
        for group in &groups {
            let path = format!("/Groups/{group}");
            let members = json!([{ "op": "replace", "path": "members", "value": [{ "value": user }] }]);
            assert_eq!(release.send(Request::patch(&path, &members)).await.status, 204);
            let group = release.send(Request::get(&path)).await.body;
            assert_eq!(group["members"].as_array().map(Vec::len), Some(1));
            assert_eq!(release.send(Request::put(&path, &group)).await.status, 200);
        }
        let caller = Caller::operator(ORG.parse().expect("a name"));
        let directory = release.service.app.store.directory(&caller);
        directory.finish_pending().await.expect("every change can be finished");
        // Earlier releases have not counted inactive users.
        directory.repair().await.expect("a repair");
        let report = release.service.examine(ORG).await;
        assert!(report.is_healthy(), "{:#?}", report.findings);
        assert_eq!(
            (report.users, report.groups, report.memberships),
            (users.len(), groups.len(), groups.len())
        );

        for path in groups
            .iter()
            .map(|id| format!("/Groups/{id}"))
            .chain(users.iter().map(|id| format!("/Users/{id}")))
        {
            assert_eq!(release.send(Request::delete(&path)).await.status, 204);
        }
        directory.finish_pending().await.expect("every change can be finished");
        let report = release.service.examine(ORG).await;
        assert!(report.is_healthy(), "{:#?}", report.findings);
        // Only counts, bookmarks of pages and events remain.
        for item in items(&release.database, &tables()[0]) {
            let place = item["pk"]["S"].as_str().expect("a key");
            let is_left = ["#COUNT", "#PAGE"].iter().any(|end| place.ends_with(end));
            let is_left = is_left || place.starts_with("OUTBOX#");
            assert!(is_left || place.starts_with("ORG#closed#"), "{item}");
        }
    }
}

/// Rewrites the items of a service as release 0.2 would have written them: with names in place of others, and their index
/// entries in the fold of that release.
fn as_release_0_2(database: &Database, names: &[(&str, &str)]) {
    let [resources, _] = tables();
    for item in items(database, &resources) {
        let old = item.to_string();
        let new = names.iter().fold(old.clone(), |text, (name, of_release)| {
            let quoted = |name: &str| format!("\\\"{name}\\\"");
            let entry = |name: &str| format!("\"sk\":{{\"S\":\"{}", scim::fold::fold_of_0_2(name));
            text.replace(&quoted(name), &quoted(of_release)).replace(&entry(name), &entry(of_release))
        });
        if new != old {
            let key = json!({ "TableName": resources, "Key": { "pk": item["pk"], "sk": item["sk"] } });
            dispatch(database, "DeleteItem", key.to_string().as_bytes()).expect("deleted");
            put(database, &resources, &[serde_json::from_str(&new).expect("JSON")]);
        }
    }
}

/// The names of a team and of a user that both folds fold differently.
const HEART: &str = "\u{2764}\u{fe0f} Team";

#[tokio::test]
async fn index_entries_of_release_0_2_are_replaced_by_the_doctor() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    let [heart, bob, team, padded] = [
        service.group("one", &[]).await,
        service.user("two").await,
        service.group("Team", &[]).await,
        service.group("three", &[]).await,
    ];
    let emails = json!([{ "op": "add", "path": "emails", "value": [{ "value": "four" }] }]);
    assert_eq!(service.patch(&format!("/Users/{bob}"), emails).await.status, 200);
    service.assert_healthy().await;
    as_release_0_2(
        &database,
        &[("one", HEART), ("two", "bob "), ("three", "Team "), ("four", " bob@example.com")],
    );
    let directory = service.app.store.directory(&Caller::operator(service.org.parse().expect("a name")));
    let mut findings = directory.examine().await.expect("an answer").findings;
    findings.sort();
    let old = |kind: &str, id: &str| format!("{kind} {id} has index entries of release 0.2");
    let mut expected = vec![old("GROUP", &heart), old("GROUP", &padded), old("USER", &bob)];
    expected.sort();
    assert_eq!(findings, expected);

    // Until then writes keep the entries, also of a group whose name now equals another's.
    for group in [&heart, &padded] {
        let external_id = json!([{ "op": "add", "path": "externalId", "value": "x" }]);
        assert_eq!(service.patch(&format!("/Groups/{group}"), external_id).await.status, 204);
    }
    assert_eq!(
        service
            .patch(&format!("/Users/{bob}"), json!([{ "op": "add", "path": "active", "value": false }]))
            .await
            .status,
        200
    );
    let mut findings = directory.examine().await.expect("an answer").findings;
    findings.sort();
    assert_eq!(findings, expected);

    let left = directory.refold().await.expect("an answer");
    assert_eq!(left, [format!("GROUP {padded} has the same name as another GROUP; rename one of the two")]);
    let total = async |path: &str, filter: &str| {
        Request::get(path).filter(filter).send(&service).await.body["totalResults"].clone()
    };
    assert_eq!(total("/Groups", &format!("displayName eq {}", json!(HEART))).await, 1);
    assert_eq!(total("/Groups", "displayName eq \"\u{2764} team\"").await, 1);
    assert_eq!(total("/Users", "userName eq \"bob\"").await, 1);
    assert_eq!(total("/Users", "emails.value eq \"bob@example.com\"").await, 1);
    assert_eq!(service.post("/Groups", json!({ "displayName": HEART })).await.verdict(), "409 uniqueness");
    assert_eq!(directory.examine().await.expect("an answer").findings, [old("GROUP", &padded)]);

    // Each write of a name makes entries of this release.
    let rename = |name: &str| json!([{ "op": "replace", "path": "displayName", "value": name }]);
    assert_eq!(
        service.patch(&format!("/Groups/{padded}"), rename("TEAM  ")).await.verdict(),
        "409 uniqueness"
    );
    assert_eq!(service.patch(&format!("/Groups/{padded}"), rename("Team  2")).await.status, 204);
    service.assert_healthy().await;
    assert_eq!(directory.refold().await.expect("an answer"), Vec::<String>::new());
    for path in [
        format!("/Groups/{heart}"),
        format!("/Groups/{padded}"),
        format!("/Groups/{team}"),
        format!("/Users/{bob}"),
    ] {
        assert_eq!(service.delete(&path).await.status, 204);
    }
    service.assert_healthy().await;
}

#[tokio::test]
async fn resources_of_release_0_2_are_deleted_with_their_index_entries() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    let [heart, padded] = [service.group("one", &[]).await, service.group("two", &[]).await];
    service.group("Team", &[]).await;
    as_release_0_2(&database, &[("one", HEART), ("two", "Team ")]);
    for group in [heart, padded] {
        assert_eq!(service.delete(&format!("/Groups/{group}")).await.status, 204);
    }
    service.assert_healthy().await;
    assert_eq!(service.post("/Groups", json!({ "displayName": "team" })).await.verdict(), "409 uniqueness");
}

#[tokio::test]
async fn extension_of_release_0_2_with_any_name_is_kept() {
    const SENT: &str = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";
    const STORED: &str = "urn:ietf:params:scim:schemas:extension:My App [EU] (\u{a0}1.0):2.0:User";
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    let body = json!({ "userName": "ada", SENT: { "tag": "t" } });
    let user = format!("/Users/{}", service.post("/Users", body).await.id());
    as_release_0_2(&database, &[(SENT, STORED)]);
    let shown = service.get(&user).await.body;
    assert_eq!(shown[STORED], json!({ "tag": "t" }));
    let deactivate = json!([{ "op": "replace", "path": "active", "value": false }]);
    let patched = service.patch(&user, deactivate).await;
    assert_eq!((patched.status, &patched.body[STORED]), (200, &shown[STORED]));
    let put = Request::put(&user, &shown).send(&service).await;
    assert_eq!((put.status, &put.body[STORED]), (200, &shown[STORED]));
}

#[tokio::test]
async fn user_with_a_name_of_release_0_2_is_deactivated() {
    for name in ["bob\u{378}", "\u{3164}"] {
        let database = Database::memory().expect("a database in memory");
        let service = Service::on(embedded::client(database.clone())).await;
        let user = format!("/Users/{}", service.user("one").await);
        as_release_0_2(&database, &[("one", name)]);
        let deactivate = json!([{ "op": "replace", "path": "active", "value": false }]);
        let patched = service.patch(&user, deactivate).await;
        assert_eq!((patched.status, &patched.body["active"]), (200, &json!(false)));
        let mut body = patched.body;
        assert_eq!(body["userName"], name);
        body["title"] = "t".into();
        let put = Request::put(&user, &body).send(&service).await;
        assert_eq!(
            (put.status, &put.body["userName"], &put.body["active"]),
            (200, &json!(name), &json!(false))
        );
        body["userName"] = format!("{name}{name}").into();
        assert_eq!(Request::put(&user, &body).send(&service).await.verdict(), "400 invalidValue");
        assert_eq!(service.delete(&user).await.status, 204);
        service.assert_healthy().await;
    }
}
