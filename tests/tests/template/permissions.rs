//! Checks that each function's role allows exactly the calls that the function makes.
//!
//! Each request goes to the function that serves its path in the template. Every function has its own routes, its own
//! DynamoDB client and a record of the calls it made. The requests are all recorded exchanges, changes of many members,
//! and requests that meet the changes which interrupted requests left unfinished.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::{Router, extract, http::Method};
use dynoxide::Database;
use http_body_util::BodyExt;
use local::embedded;
use serde_json::{Value, json};
use service::{
    App,
    admin::{self, Operator},
    announcements,
    auth::Scope,
    clock::Clock,
    config::Tables,
    entropy::Entropy,
    http::{self, Route},
    janitor,
    oauth::{Assertions, Reach},
    pepper::{Pepper, Peppers, Secret},
    portal::Portal,
    request_log::Filter,
    settings::Settings,
    store::{Actor, ClientAuthentication, NewClient, NewKey, OrgChange, Store},
};
use tests::{
    NOW, ORG, PEPPER, Request, Service, encode, exchange,
    faults::{Fault, Faults, Plan},
    operator,
};
use tower::ServiceExt;

use super::{
    Function, events, functions, pages,
    partitions::{Needed, differing},
};

/// The number of users in a scenario. Adding or removing all of them as members takes more than one transaction.
const MEMBERS: usize = 50;
/// The number of groups of a user whose deletion takes more than one transaction.
const GROUPS: usize = 35;
/// The calls after which a request is interrupted, one per request. Earlier calls write nothing.
const KILLED_AFTER: Range<usize> = 2..12;

/// The functions of the template, each with the grants that it needed, and the stores of functions that record requests.
#[derive(Clone)]
struct Deployment(Arc<Vec<(Function, Needed)>>, Arc<Mutex<Vec<Store>>>);

/// The deployment with a database of its own.
struct World {
    database: Database,
    service: Service,
    now: Arc<AtomicI64>,
    clock: Clock,
}

impl Deployment {
    fn of_the_template() -> Self {
        let functions = functions().into_iter().map(|function| (function, Needed::default())).collect();
        Self(Arc::new(functions), Arc::default())
    }

    /// Returns the function that the gateway selects for a path: an exact match, or the longest matching prefix.
    fn serving(&self, path: &str) -> usize {
        let path = path.strip_prefix("/scim").unwrap_or(path);
        let length = |pattern: &String| match pattern.strip_suffix("{proxy+}") {
            Some(beginning) => {
                (path.len() > beginning.len() && path.starts_with(beginning)).then_some(beginning.len())
            }
            None => (pattern == path).then_some(usize::MAX),
        };
        let functions = self.0.iter().enumerate();
        let matching = functions.filter_map(|(index, (function, _))| {
            Some((function.paths.iter().filter_map(length).max()?, index))
        });
        matching.max().expect("a function for every path").1
    }

    async fn world(&self) -> World {
        let database = Database::memory().unwrap();
        let now = Arc::<AtomicI64>::default();
        let offset = now.clone();
        let clock = Clock::new(move || NOW + time::Duration::milliseconds(offset.load(Ordering::Relaxed)));
        let service = Service::on_with_clock(embedded::client(database.clone()), clock.clone()).await;
        // Each function counts its second request, and no request is refused.
        let settings = Settings { rate: 1, burst: 1_000_000, ..Settings::default() };
        let change = OrgChange { settings: Some(settings), ..OrgChange::default() };
        let org = service.org.parse().expect("a name");
        service.app.store.change_org(&org, change, &operator()).await.expect("a change");
        let routers: Vec<Router> = (2..)
            .zip(self.0.iter())
            .map(|(seed, (function, needed))| {
                let client = needed.client(database.clone());
                let store = Store::new(&client, Tables::default(), clock.clone(), Entropy::seeded(seed))
                    .with_request_log(true);
                self.1.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
                let routes = routes(&function.name, &clock);
                http::router(App { store, ..service.app.clone() }, routes)
            })
            .collect();
        let deployment = self.clone();
        let gateway = move |request: extract::Request| {
            let router = routers[deployment.serving(request.uri().path())].clone();
            async move { router.oneshot(request).await }
        };
        World { database, service: service.with_router(Router::new().fallback(gateway)), now, clock }
    }

    fn needed(&self, name: &str) -> &Needed {
        &self.0.iter().find(|(function, _)| function.name == name).expect("a function of this name").1
    }

    /// Waits until the functions have written the request log.
    async fn record_requests(&self) {
        let stores = self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for store in stores {
            store.flush_request_log().await;
        }
    }

    /// Sends every request of the owner console as the console function, with and without unfinished changes.
    async fn show_pages(&self) {
        let world = self.world().await;
        let mut people = world.users().await;
        people.push(world.service.user("ada@example.com").await);
        let team = world.group("Sales", &people).await;
        for number in 0..GROUPS {
            world.group(&format!("Team {number}"), &people[..1]).await;
        }
        self.show_pages_of(&world, &people[0], &team).await;
        let world = self.world().await;
        let (user, group) = world.leave_unfinished().await;
        self.show_pages_of(&world, user.trim_start_matches("/Users/"), group.trim_start_matches("/Groups/"))
            .await;
    }

    async fn show_pages_of(&self, world: &World, person: &str, team: &str) {
        let (with_token, secret) = world.service.oauth_client(ORG, &[Scope::Scim]).await;
        let token = token_request(&with_token, secret.reveal()).send_as_is(&world.service).await;
        assert_eq!(token.status, 200, "{:#}", token.body);
        self.record_requests().await;
        let operator = &world.service.app;
        let organisation = world.service.own_organisation().await;
        let log =
            operator.store.request_log(&organisation, &Filter::default(), 1, None).await.expect("a page");
        let entry = &log.items.first().expect("an entry").id;
        let client = self.needed("Console").client(world.database.clone());
        let store = Store::new(&client, Tables::default(), world.clock.clone(), Entropy::seeded(96));
        let app = App { store, ..operator.clone() };
        pages::play(&app, operator, pages::Ids { person, team, entry, with_token: &with_token }).await;
    }

    /// Carries out every action of the management API as the admin function.
    async fn manage(&self, world: &World) {
        world.service.user("doomed@example.com").await;
        self.record_requests().await;
        let (with_token, secret) = world.service.oauth_client(ORG, &[Scope::Scim]).await;
        let token = token_request(&with_token, secret.reveal()).send_as_is(&world.service).await;
        assert_eq!(token.status, 200, "{:#}", token.body);
        let client = self.needed("Admin").client(world.database.clone());
        let store = Store::new(&client, Tables::default(), world.clock.clone(), Entropy::seeded(97));
        // After a rotation, a repeat looks for the digests of both generations.
        let peppers = Peppers::single(Secret::new(PEPPER)).with_generation(Secret::new("the next pepper"));
        let portal = Portal { url: Some("https://scim.test/console".to_owned()), ..Portal::default() };
        let router = admin::router(App {
            store,
            pepper: Pepper::Fixed(peppers),
            base_url: None,
            portal: portal.into(),
        });
        let send = async |method: Method, path: &str, body: Value| {
            let mut request = request(method.clone(), "", &body).build();
            // SCIM has a media type of its own.
            request.headers_mut().insert("content-type", "application/json".parse().expect("a header"));
            *request.uri_mut() = format!("/admin/v1{path}").parse().expect("a URI");
            // A repeat looks for the key that the first request created.
            request.headers_mut().insert("idempotency-key", path.parse().expect("a header"));
            request.extensions_mut().insert(Operator(Actor::new("test")));
            let (parts, body) = router.clone().oneshot(request).await.expect("an answer").into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            assert!(parts.status.is_success(), "{method} {path}: {body:#}");
            body
        };
        send(Method::POST, "/orgs", json!({ "org": "globex" })).await;
        send(Method::GET, "/orgs", Value::Null).await;
        let (keys, ends) = (format!("/orgs/{ORG}/keys"), "2027-01-01T00:00:00Z");
        let key = send(Method::POST, &keys, json!({ "scopes": ["read"], "ends": ends })).await;
        let key = format!("{keys}/{}", key["id"].as_str().expect("an id"));
        send(Method::GET, &keys, Value::Null).await;
        send(Method::GET, &key, Value::Null).await;
        send(Method::PATCH, &key, json!({ "ends": null })).await;
        send(Method::POST, &format!("{key}/rotate"), json!({})).await;
        send(Method::POST, &format!("{key}/revoke"), Value::Null).await;
        let clients = format!("/orgs/{ORG}/clients");
        let client = send(Method::POST, &clients, json!({ "scopes": ["scim"] })).await;
        let client = format!("{clients}/{}", client["id"].as_str().expect("an id"));
        send(Method::GET, &clients, Value::Null).await;
        send(Method::GET, &client, Value::Null).await;
        let secret = send(Method::POST, &format!("{client}/secrets"), json!({})).await;
        let secret = format!("{client}/secrets/{}", secret["id"].as_str().expect("an id"));
        send(Method::DELETE, &secret, Value::Null).await;
        send(Method::DELETE, &client, Value::Null).await;
        // The end of a client deletes its tokens.
        send(Method::DELETE, &format!("{clients}/{with_token}"), Value::Null).await;
        send(Method::PATCH, &format!("/orgs/{ORG}"), json!({ "settings": { "rate": 10 } })).await;
        send(Method::GET, &format!("/orgs/{ORG}"), Value::Null).await;
        send(Method::GET, &format!("/orgs/{ORG}/audit"), Value::Null).await;
        send(Method::GET, &format!("/orgs/{ORG}/log"), Value::Null).await;
        send(Method::GET, &format!("/orgs/{ORG}/health"), Value::Null).await;
        let link = send(Method::POST, &format!("/orgs/{ORG}/links"), json!({ "role": "owner" })).await;
        pages::enter(&world.service.app, link["url"].as_str().expect("a URL")).await;
        let sessions = format!("/orgs/{ORG}/sessions");
        send(Method::GET, &sessions, Value::Null).await;
        send(Method::DELETE, &format!("{sessions}/{}", link["id"].as_str().expect("an id")), Value::Null)
            .await;
        let organisation = format!("/orgs/{ORG}");
        send(Method::DELETE, &organisation, Value::Null).await;
        // Requests that began before the deletion have ended.
        world.now.fetch_add(60_000, Ordering::Relaxed);
        send(Method::DELETE, &organisation, Value::Null).await;
    }

    /// Moves events as the events function, and follows them as a product, with and without unfinished changes.
    async fn follow_events(&self) {
        for leaves_unfinished in [false, true] {
            let world = self.world().await;
            let client = self.needed("Events").client(world.database.clone());
            let store = Store::new(&client, Tables::default(), world.clock.clone(), Entropy::seeded(95));
            if leaves_unfinished {
                world.leave_unfinished().await;
            } else {
                events::change(&world.service).await;
            }
            events::sequence(&store, &world.service).await;
            events::follow(&store, &world.service).await;
        }
    }

    /// Runs a sweep as the janitor function.
    async fn sweep(&self, world: &World) {
        let client = self.needed("Janitor").client(world.database.clone());
        let store = Store::new(&client, Tables::default(), world.clock.clone(), Entropy::seeded(99));
        janitor::sweep(&store).await;
        announcements::announce(&store).await.expect("an answer");
    }

    /// Uses a key of its own for the first time with each function. The key ends soon, and the janitor announces it.
    async fn use_keys(&self, world: &World) {
        let store = &world.service.app.store;
        let org = ORG.parse().expect("a name");
        for (method, path) in [
            (Method::GET, "/Users"),
            (Method::GET, "/Groups"),
            (Method::POST, "/Bulk"),
            (Method::GET, "/ServiceProviderConfig"),
        ] {
            let new = NewKey {
                scopes: [Scope::Scim].into(),
                ends: Some(NOW + time::Duration::days(31)),
                ..NewKey::default()
            };
            let pepper = &world.service.app.pepper;
            let (key, record) = store.create_key(&org, &new, pepper, &operator()).await.expect("a key");
            let body = if path == "/Bulk" { json!({ "Operations": [] }) } else { Value::Null };
            let answer = request(method, path, &body).bearer(key.reveal()).send(&world.service).await;
            assert!(answer.status < 500, "{path}: {:#}", answer.body);
            // The answer does not wait for the record of the use.
            while store.key(&org, &record.id).await.expect("an answer").expect("a key").last_used.is_none() {
                tokio::task::yield_now().await;
            }
        }
        let authentication = ClientAuthentication::Secret(Some(NOW + time::Duration::days(31)));
        let (scopes, pepper) = ([Scope::Scim].into(), &world.service.app.pepper);
        let new = NewClient { scopes, label: None, authentication, repeatable: None };
        store.create_client(&org, &new, pepper, &operator()).await.expect("a client");
        world.now.fetch_add(2 * 86_400_000, Ordering::Relaxed);
        self.sweep(world).await;
        world.now.fetch_add(30 * 86_400_000, Ordering::Relaxed);
        self.sweep(world).await;
    }
}

/// Returns the routes of a function, as its `main` passes them to the router.
fn routes(function: &str, clock: &Clock) -> Vec<Route> {
    match function {
        "Users" => http::users(),
        "Groups" => http::groups(),
        "Bulk" => http::bulk(),
        "Discovery" => http::discovery(),
        "Token" => http::token(&Assertions::new(clock.clone(), Reach::Internet)),
        "Feed" => http::events(),
        "Janitor" | "Admin" | "Console" | "Events" => Vec::new(),
        other => panic!("the routes of the new function {other} are missing here"),
    }
}

fn members<'a>(ids: impl IntoIterator<Item = &'a String>) -> Value {
    ids.into_iter().map(|id| json!({ "value": id })).collect()
}

fn patch(operations: &Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

fn add(ids: &[String]) -> Value {
    json!([{ "op": "add", "path": "members", "value": members(ids) }])
}

fn remove(ids: &[String]) -> Value {
    json!([{ "op": "remove", "path": "members", "value": members(ids) }])
}

impl World {
    async fn users(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..MEMBERS {
            ids.push(self.service.user(&format!("user-{number}")).await);
        }
        ids
    }

    async fn group(&self, name: &str, ids: &[String]) -> String {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.service.group(name, &ids).await
    }

    async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = request(method.clone(), path, &body).send(&self.service).await;
        assert!(answer.status < 300, "{method} {path}: {:#}", answer.body);
        answer.body
    }

    /// Leaves every kind of unfinished change: uncommitted drafts, members that are not yet written, and deletions that
    /// stopped after each number of calls. Returns a user, and the group whose members are not yet written.
    async fn leave_unfinished(&self) -> (String, String) {
        let users = self.users().await;
        let (mut deletions, mut doomed_users) = (Vec::new(), Vec::new());
        for call in KILLED_AFTER {
            let group = self.group(&format!("doomed {call}"), &users).await;
            let user = self.service.user(&format!("doomed {call}")).await;
            deletions.extend([(call, format!("/Groups/{group}")), (call, format!("/Users/{user}"))]);
            doomed_users.push(user);
        }
        for number in 0..GROUPS {
            self.group(&format!("of doomed users {number}"), &doomed_users).await;
        }
        let faults = Faults::default();
        let client = faults.client(self.database.clone());
        let dying = Service::with(client, self.clock.clone(), Entropy::seeded(98)).await;
        let killed_after = async |call, method, path: &str, body| {
            faults.plan(Some(Plan { call, fault: Fault::CrashAfter, lasting: true }));
            let request = request(method, path, &body);
            tokio::select! {
                _ = request.send(&dying) => {}
                () = faults.crashed() => {}
            }
        };
        // Members come first: a request that changes members finishes the unfinished changes that it meets.
        let mut group = String::new();
        for call in KILLED_AFTER {
            group = format!("/Groups/{}", self.group(&format!("empty {call}"), &[]).await);
            killed_after(call, Method::PATCH, &group, patch(&add(&users))).await;
            if self.committed().await > 0 {
                break;
            }
        }
        for (call, path) in deletions {
            killed_after(call, Method::DELETE, &path, Value::Null).await;
        }
        assert_eq!(self.committed().await, 1);
        for (kind, at_least) in [("members", 2), ("user-deleted", 1), ("group-deleted", 1)] {
            let left = self.unfinished(kind).await;
            assert!(left >= at_least, "the interrupted requests left {left} changes of the kind {kind}");
        }
        self.now.fetch_add(600_000, Ordering::Relaxed);
        (format!("/Users/{}", users[0]), group)
    }

    /// Returns the number of unfinished changes of that kind.
    async fn unfinished(&self, kind: &str) -> i32 {
        let scan = embedded::client(self.database.clone()).scan().table_name(Tables::default().resources);
        let kind = AttributeValue::S(kind.to_owned());
        let scan = scan.filter_expression("kind = :kind").expression_attribute_values(":kind", kind);
        scan.send().await.expect("an answer").count()
    }

    /// Returns the number of groups whose members are not yet written.
    async fn committed(&self) -> i32 {
        let scan = embedded::client(self.database.clone()).scan().table_name(Tables::default().resources);
        scan.filter_expression("attribute_exists(intent)").send().await.expect("an answer").count()
    }
}

/// Returns a request with the body, or without one if the body is null.
fn request(method: Method, path: &str, body: &Value) -> Request {
    if body.is_null() { Request::new(method, path) } else { Request::json(method, path, body) }
}

/// Sends requests that meet unfinished changes to each function that may meet them.
async fn meet_unfinished_changes(deployment: &Deployment) {
    let title = || patch(&json!([{ "op": "replace", "path": "title", "value": "x" }]));
    let name = || patch(&json!([{ "op": "replace", "path": "displayName", "value": "x" }]));
    let bulk = |operations: Value| json!({ "Operations": operations });

    let world = deployment.world().await;
    let (user, group) = world.leave_unfinished().await;
    world.ok(Method::GET, &user, Value::Null).await;
    world.ok(Method::GET, &group, Value::Null).await;
    world.ok(Method::PATCH, &group, name()).await;
    world.ok(Method::GET, &group, Value::Null).await;
    deployment.sweep(&world).await;
    world.service.assert_healthy().await;

    let world = deployment.world().await;
    let (user, group) = world.leave_unfinished().await;
    let operations = json!([
        { "method": "PATCH", "path": group, "data": name() },
        { "method": "PATCH", "path": user, "data": title() },
    ]);
    world.ok(Method::POST, "/Bulk", bulk(operations)).await;
    deployment.sweep(&world).await;
    world.service.assert_healthy().await;

    let world = deployment.world().await;
    world.leave_unfinished().await;
    deployment.sweep(&world).await;
    world.service.assert_healthy().await;
}

/// Sends list requests of every kind.
async fn list(world: &World, group: &str) {
    for number in 0..10 {
        world.group(&format!("group-{number}"), &[]).await;
    }
    for (path, name) in [("/Users", "userName"), ("/Groups", "displayName")] {
        for query in ["count=0", "count=7", "count=7&startIndex=8", "count=7&startIndex=40", "count=7&cursor"]
        {
            world.ok(Method::GET, &format!("{path}?{query}"), Value::Null).await;
            for sort in ["id", "externalId", name] {
                world.ok(Method::GET, &format!("{path}?{query}&sortBy={sort}"), Value::Null).await;
            }
        }
        let page = world.ok(Method::GET, &format!("{path}?count=2&cursor"), Value::Null).await;
        let next = page["nextCursor"].as_str().expect("a second page");
        world.ok(Method::GET, &format!("{path}?count=2&cursor={next}"), Value::Null).await;
    }
    for (path, filter) in [
        ("/Users", format!("groups.value eq \"{group}\"")),
        ("/Users", "userName eq \"user-1\" or userName eq \"user-2\"".to_owned()),
        ("/Users", "userName sw \"user\" and not (title pr)".to_owned()),
        ("/Users", "meta.created gt \"2026-01-01T00:00:00Z\"".to_owned()),
        ("/Users", "title pr".to_owned()),
        ("/Groups", format!("id eq \"{group}\"")),
        ("/Groups", "displayName eq \"all\"".to_owned()),
        ("/Groups", "members pr".to_owned()),
        ("", "id pr".to_owned()),
    ] {
        for search in [json!({ "filter": filter }), json!({ "filter": filter, "cursor": "", "count": 3 })] {
            world.ok(Method::POST, &format!("{path}/.search"), search).await;
        }
    }
}

/// Changes the members of large groups in every way.
async fn change_members(world: &World) -> String {
    let users = world.users().await;
    let group = world.group("all", &users).await;
    let path = format!("/Groups/{group}");
    // The name is taken: the draft is written, and then abandoned.
    let taken = json!({ "displayName": "ALL", "members": members(&users) });
    assert_eq!(world.service.post("/Groups", taken).await.status, 409);
    let nested = world.group("nested", std::slice::from_ref(&group)).await;
    let few = json!({ "displayName": "all", "members": members(&users[..3]) });
    world.ok(Method::PUT, &path, few).await;
    for operations in [
        add(&users[2..4]),
        remove(&users[..1]),
        add(std::slice::from_ref(&nested)),
        remove(std::slice::from_ref(&nested)),
        add(&users),
        remove(&users),
        json!([{ "op": "replace", "path": "members", "value": members(&users) }]),
        json!([{ "op": "remove", "path": "members[type eq \"Group\"]" }]),
        json!([{ "op": "replace", "value": { "displayName": "all", "externalId": "e" } }]),
    ] {
        world.ok(Method::PATCH, &path, patch(&operations)).await;
    }
    world.ok(Method::GET, &path, Value::Null).await;
    world.ok(Method::GET, &format!("/Users/{}", users[0]), Value::Null).await;
    let nobody = json!([{ "op": "add", "path": "members", "value": [{ "value": world.service.app.store.entropy().id(NOW).unwrap().as_str() }] }]);
    assert_eq!(Request::json(Method::PATCH, &path, patch(&nobody)).send(&world.service).await.status, 400);
    world.ok(Method::DELETE, &format!("/Users/{}", users[0]), Value::Null).await;
    world.ok(Method::DELETE, &format!("/Groups/{nested}"), Value::Null).await;
    group
}

/// Changes users and large groups by bulk requests.
async fn bulk(world: &World) {
    let operations: Vec<Value> = (0..MEMBERS)
        .map(|number| {
            let user = json!({ "userName": format!("bulk-{number}"), "externalId": "e" });
            json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user })
        })
        .collect();
    let answer = world.ok(Method::POST, "/Bulk", json!({ "Operations": operations })).await;
    let id =
        |operation: &Value| operation["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let users: Vec<String> = answer["Operations"].as_array().unwrap().iter().map(id).collect();
    let group = world.group("of bulk", &users).await;
    let (path, user) = (format!("/Groups/{group}"), format!("/Users/{}", users[0]));
    let post = |data: Value| json!({ "method": "POST", "path": "/Groups", "bulkId": "g", "data": data });
    let put = |data: Value| json!({ "method": "PUT", "path": path, "data": data });
    let patched = |operations: Value| json!({ "method": "PATCH", "path": path, "data": patch(&operations) });
    for (operation, status) in [
        (post(json!({ "displayName": "bulk", "members": members(&users) })), "201"),
        (post(json!({ "displayName": "of bulk", "members": members(&users) })), "409"),
        (put(json!({ "displayName": "of bulk", "members": members(&users[..3]) })), "200"),
        (patched(add(&users[2..4])), "204"),
        (patched(remove(&users[..1])), "204"),
        (patched(add(&users)), "204"),
        (patched(remove(&users)), "204"),
        (json!({ "method": "PUT", "path": user, "data": { "userName": "bulk-0" } }), "200"),
        (json!({ "method": "DELETE", "path": user }), "204"),
        (json!({ "method": "DELETE", "path": path }), "204"),
    ] {
        let answer = world.ok(Method::POST, "/Bulk", json!({ "Operations": [operation] })).await;
        assert_eq!(answer["Operations"][0]["status"], status, "{answer:#}");
    }
}

/// Returns a token request of a client with this secret.
fn token_request(id: &str, secret: &str) -> Request {
    let (id, secret) = (encode(id), encode(secret));
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let request = Request::new(Method::POST, "").header("content-type", "application/x-www-form-urlencoded");
    Request { target: "/oauth2/token".to_owned(), body: body.into(), ..request }
}

/// Requests tokens, and the last one with a pepper that is newer than the credentials of the organisation.
async fn request_tokens(deployment: &Deployment, world: &World) {
    let (id, secret) = world.service.oauth_client("acme", &[service::auth::Scope::Scim]).await;
    for (id, secret, status) in
        [(&*id, secret.reveal(), 200), (&*id, "wrong", 401), ("acme.0000000000000000", secret.reveal(), 401)]
    {
        assert_eq!(token_request(id, secret).send_as_is(&world.service).await.status, status);
    }
    let client = deployment.needed("Token").client(world.database.clone());
    let store = Store::new(&client, Tables::default(), world.clock.clone(), Entropy::seeded(97));
    let peppers = Peppers::single(Secret::new(PEPPER)).with_generation(Secret::new("next"));
    let app = App { store, pepper: Pepper::Fixed(peppers), ..world.service.app.clone() };
    let router = http::router(app, routes("Token", &world.clock));
    assert_eq!(token_request(&id, secret.reveal()).send_to(router).await.status, 200);
}

#[tokio::test]
async fn roles_allow_exactly_the_calls_of_their_functions() {
    let deployment = Deployment::of_the_template();
    for file in exchange::files() {
        let world = deployment.world().await;
        exchange::replay(&file, &world.service).await.unwrap_or_else(|error| panic!("{error}"));
    }
    let world = deployment.world().await;
    let group = change_members(&world).await;
    list(&world, &group).await;
    bulk(&world).await;
    deployment.sweep(&world).await;
    deployment.use_keys(&world).await;
    world.service.assert_healthy().await;
    request_tokens(&deployment, &deployment.world().await).await;
    deployment.manage(&deployment.world().await).await;
    deployment.show_pages().await;
    meet_unfinished_changes(&deployment).await;
    deployment.follow_events().await;

    deployment.record_requests().await;
    let mut differences = Vec::new();
    for (Function { name, allowed, partitions, .. }, needed) in deployment.0.iter() {
        differences.extend(differing(name, &needed.partitions(), partitions));
        let needed = needed.all();
        assert!(!needed.is_empty(), "{name} made no call");
        let missing = needed.difference(allowed).map(|grant| format!("{name} needs {grant:?}"));
        let unused = allowed.difference(&needed).map(|grant| format!("{name} never uses {grant:?}"));
        differences.extend(missing.chain(unused));
    }
    assert!(differences.is_empty(), "\n{}\n", differences.join("\n"));
}
