//! People and teams: search, pages, bad input, hostile values, and the cost of large lists.

use std::collections::{BTreeMap, BTreeSet};

use dynoxide::Database;
use serde_json::{Value, json};
use service::portal::Role;
use tests::{counting::Counter, encode};

use super::{Browser, World};

/// Reads all pages from a path on. Returns the ids of the links to `kind` of each page.
async fn walk(browser: &Browser, path: &str, kind: &str) -> Vec<Vec<String>> {
    let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        pages.push(page.ids(kind));
        next = page.next();
        assert!(pages.len() < 100, "the pages end");
    }
    pages
}

async fn create(world: &World, user: Value) -> String {
    let answer = world.service.post("/Users", user).await;
    assert_eq!(answer.status, 201, "{:#}", answer.body);
    answer.id()
}

#[tokio::test]
async fn people_pages_have_everyone_exactly_once() {
    let world = World::new().await;
    let mut all = BTreeSet::new();
    for number in 0..120 {
        all.insert(world.service.user(&format!("user{number:03}@example.com")).await);
    }
    let browser = world.enter(Role::Viewer).await;
    let pages = walk(&browser, "/people", "people").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>(), all);
    browser.get("/people").await.has("Shown: 50 of 120");
}

#[tokio::test]
async fn search_finds_names_and_addresses_once() {
    let world = World::new().await;
    let emails = |addresses: &[&str]| addresses.iter().map(|it| json!({ "value": it })).collect::<Vec<_>>();
    let mut expected = BTreeSet::new();
    for (name, addresses, is_found) in [
        ("ada", vec!["ada@example.com", "ada.l@example.com"], true),
        ("Adam", vec![], true),
        ("zoe", vec!["ad-hoc@example.com", "ada-second@example.com"], true),
        ("ben", vec!["ben@ada.example.com"], false),
        ("bad", vec![], false),
    ] {
        let id = create(&world, json!({ "userName": name, "emails": emails(&addresses) })).await;
        if is_found {
            expected.insert(id);
        }
    }
    let browser = world.enter(Role::Owner).await;
    for q in ["ad", "AD", " ad "] {
        let found = browser.fragment(&format!("/people?q={}", encode(q))).await.ids("people");
        assert_eq!(found.len(), 3, "{q}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{q}");
    }
    let page = browser.fragment("/people?q=nobody").await;
    page.has("Nothing begins with this text");
    page.has("Shown: 0");
    page.has_not("<html");
}

#[tokio::test]
async fn search_pages_have_each_match_exactly_once() {
    let world = World::new().await;
    let mut all = BTreeSet::new();
    for number in 0..130 {
        // Some are found by the name, some by one or two addresses, and most by both.
        let (name, emails) = match number % 4 {
            0 => (format!("x{number:03}"), vec![format!("a{number:03}@example.com")]),
            1 => (format!("a{number:03}"), vec![]),
            2 => (
                format!("y{number:03}"),
                vec![format!("a{number:03}@b.example"), format!("a9{number}@b.example")],
            ),
            _ => (format!("a{number:03}@example.com"), vec![format!("a{number:03}@example.com")]),
        };
        let emails: Vec<Value> = emails.into_iter().map(|value| json!({ "value": value })).collect();
        all.insert(create(&world, json!({ "userName": name, "emails": emails })).await);
        world.service.user(&format!("z{number}")).await;
    }
    let browser = world.enter(Role::Viewer).await;
    let pages = walk(&browser, "/people?q=a", "people").await;
    assert_eq!(pages.concat().len(), 130);
    assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>(), all);
}

#[tokio::test]
async fn member_pages_have_each_member_exactly_once() {
    let world = World::new().await;
    let mut people = Vec::new();
    for number in 0..100 {
        people.push(world.service.user(&format!("user{number}")).await);
    }
    let inner = world.service.group("Inner", &[]).await;
    let mut members: Vec<&str> = people.iter().map(String::as_str).collect();
    let exact = world.service.group("Exact", &members).await;
    members.push(&inner);
    let team = world.service.group("Everyone", &members).await;
    let browser = world.enter(Role::Viewer).await;
    let pages = walk(&browser, &format!("/teams/{team}"), "people").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 0]);
    let expected: BTreeSet<String> = people.iter().cloned().collect();
    assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>(), expected);
    let last = browser.get(&format!("/teams/{team}?cursor={}", people[99])).await;
    assert!(last.ids("teams").contains(&inner), "a team can be a member");
    // A number of members that fills its pages leads to no empty page.
    assert_eq!(walk(&browser, &format!("/teams/{exact}"), "people").await.len(), 2);
    let person = browser.get(&format!("/people/{}", people[0])).await;
    person.has("Everyone");
    person.has("Exact");
}

#[tokio::test]
async fn person_in_many_teams_is_paged() {
    let world = World::new().await;
    let person = world.service.user("ada").await;
    let mut teams = BTreeSet::new();
    for number in 0..75 {
        teams.insert(world.service.group(&format!("Team {number}"), &[&person]).await);
    }
    let browser = world.enter(Role::Viewer).await;
    let pages = walk(&browser, &format!("/people/{person}"), "teams").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 25]);
    assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>(), teams);
    assert_eq!(walk(&browser, "/teams?q=team%20", "teams").await.concat().len(), 75);
}

#[tokio::test]
async fn cost_does_not_depend_on_the_number_of_members() {
    let counter = Counter::default();
    let database = Database::memory().expect("a database in memory");
    let world = World::on(counter.client(database)).await;
    let mut people = Vec::new();
    for number in 0..600 {
        let name = format!("user{number:03}@example.com");
        people.push(create(&world, json!({ "userName": name, "emails": [{ "value": name }] })).await);
    }
    let first: Vec<&str> = people[..60].iter().map(String::as_str).collect();
    let all: Vec<&str> = people.iter().map(String::as_str).collect();
    let (small, large) =
        (world.service.group("Small", &first).await, world.service.group("Large", &all).await);
    let browser = world.enter(Role::Viewer).await;
    let cost = async |path: &str| {
        let _ = counter.take();
        let page = browser.get(path).await;
        assert_eq!((page.status, page.ids("people").len()), (200, 50), "{path}");
        counter.take()
    };
    let of_small = cost(&format!("/teams/{small}")).await;
    assert_eq!(cost(&format!("/teams/{large}")).await, of_small);
    let calls = |costs: BTreeMap<String, tests::counting::Cost>| {
        let costs = costs.into_iter().find(|(table, _)| table.contains("resources")).expect("the table");
        costs
            .1
            .calls
            .into_iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(calls(of_small), "BatchGetItem 1, GetItem 1, Query 2");
    // A search reads its entries and at most a hundred people. The cursor is the put.
    assert_eq!(calls(cost("/people?q=user").await), "BatchGetItem 1, PutItem 1, Query 2");
}

#[tokio::test]
async fn hostile_values_are_text() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let world = World::new().await;
    let id = create(
        &world,
        json!({
            "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            ],
            "userName": HOSTILE,
            "displayName": HOSTILE,
            "externalId": HOSTILE,
            "name": { "givenName": HOSTILE, "familyName": "ن".repeat(300) },
            "title": HOSTILE,
            "profileUrl": "javascript:alert(1)",
            "emails": [
                { "value": "ada@example.com", "primary": true, "type": HOSTILE },
                { "value": "javascript:alert(1)@example.com" },
            ],
            "addresses": [{ "formatted": HOSTILE, "type": "work" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "department": HOSTILE,
                "manager": { "value": HOSTILE, "displayName": HOSTILE },
            },
        }),
    )
    .await;
    let team = world.service.group(HOSTILE, &[&id]).await;
    world.service.app.store.flush_request_log().await;
    let browser = world.enter(Role::Owner).await;
    let search = format!("/people?q={}", encode(HOSTILE));
    let teams = format!("/teams?q={}", encode(HOSTILE));
    for path in [
        "/people",
        &search,
        &format!("/people/{id}"),
        &teams,
        &format!("/teams/{team}"),
        "/activity",
        &format!("/activity?person={id}"),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for markup in ["<script>alert", "<img src=x", "href=\"javascript:", "mailto:javascript"] {
            assert!(!page.body.contains(markup), "{markup} is in {path}");
        }
        assert!(page.body.contains("&#60;script&#62;"), "the value is in {path}");
    }
    let page = browser.get(&format!("/people/{id}")).await;
    page.has("href=\"mailto:ada@example.com\"");
    page.has("<details><summary>");
}

#[tokio::test]
async fn bad_input_has_a_page_that_says_so() {
    let world = World::new().await;
    for number in 0..60 {
        world.service.user(&format!("ada{number}")).await;
        world.service.user(&format!("ben{number}")).await;
    }
    let browser = world.enter(Role::Owner).await;
    let other = browser.get("/people?q=ben").await.next().expect("a next page");
    let other = other.replace("q=ben", "q=ada");
    let unknown = "00000000-0000-7000-8000-000000000000";
    for (path, status) in [
        (format!("/people?q={}", "a".repeat(257)), 400),
        (format!("/teams?q={}", "a".repeat(257)), 400),
        (format!("/people?q={}", "a".repeat(256)), 200),
        (format!("/people?q={}", encode(&"\u{10ffff}".repeat(256))), 200),
        ("/people?q=%00%0a%ff".to_owned(), 200),
        ("/people?q=a&q=b".to_owned(), 400),
        (other, 400),
        ("/people?cursor=x".to_owned(), 400),
        (format!("/people?cursor={unknown}"), 400),
        ("/people/x".to_owned(), 404),
        (format!("/people/{unknown}"), 404),
        (format!("/teams/{unknown}"), 404),
        ("/teams/..%2f..%2fkeys".to_owned(), 404),
        ("/people/x/y".to_owned(), 404),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.body.contains("<h1>"), "{path}");
    }
    let id = world.service.user("carl").await;
    assert_eq!(browser.get(&format!("/people/{id}?cursor=x")).await.status, 400);
    assert_eq!(browser.get(&format!("/teams/{id}")).await.status, 404, "a person is no team");
}

#[tokio::test]
async fn empty_lists_say_what_comes_next() {
    let world = World::new().await;
    let mut browser = world.enter(Role::Owner).await;
    for (path, english, german) in [
        ("/people", "No people yet", "Noch keine Personen"),
        ("/teams", "No teams yet", "Noch keine Teams"),
        ("/activity", "No requests yet", "Noch keine Anfragen"),
    ] {
        browser.language = "en";
        let page = browser.get(path).await;
        page.has(english);
        page.has("href=\"/console/connection\"");
        browser.language = "de";
        browser.get(path).await.has(german);
    }
}

#[tokio::test]
async fn other_organisation_sees_nothing() {
    let world = World::new().await;
    let key = world.service.organisation("other", &[service::auth::Scope::Scim]).await;
    let request = tests::Request::post("/Users", json!({ "userName": "eve" })).bearer(&key);
    let id = request.send(&world.service).await.id();
    let browser = world.enter(Role::Owner).await;
    browser.get("/people").await.has_not("eve");
    assert_eq!(browser.get(&format!("/people/{id}")).await.status, 404);
}
