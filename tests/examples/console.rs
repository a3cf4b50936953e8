//! The time in which the owner console answers at 100,000 people. Prints the table of BENCHMARKS.md, "Owner console".
//!
//! `cargo run --release --package tests --example console [PEOPLE]`. The time is that of the server: from the request at the
//! router to the whole page, with the embedded DynamoDB in this process and on one thread.

#![allow(clippy::expect_used, reason = "the program fails by panicking")]
#![allow(clippy::print_stdout, reason = "the program prints a table")]

use std::{env, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use dynoxide::{AttributeValue, Database};
use http_body_util::BodyExt;
use local::embedded;
use serde_json::json;
use service::{
    portal::{Intent, Portal, Role},
    store::NewLink,
};
use tests::{
    ORG, Service,
    load::{Item, fill, import, item, member_id},
    operator,
};
use tokio::runtime::Builder;
use tower::ServiceExt;

/// The number of requests of each row.
const REQUESTS: usize = 200;
const TIME: &str = "2026-11-23T09:00:00.123Z";
const TEAM: &str = "01938000-0000-7000-9000-000000000001";

fn main() {
    let people = env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(100_000);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(people));
}

async fn measure(people: usize) {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    import(&database, (0..people).flat_map(person));
    let mut count = item([("pk", format!("ORG#{ORG}#COUNT")), ("sk", "USER#00".to_owned())]);
    count.insert("n".to_owned(), AttributeValue::N(people.to_string()));
    import(&database, [count]);
    let team = json!({ "displayName": "Everyone" });
    import(&database, [resource("GROUP", TEAM, &team.to_string())]);
    import(&database, [entry("GROUP#displayName", "everyone".to_owned(), TEAM)]);
    fill(&database, TEAM, 0..people);

    let mut app = service.app.clone();
    let url = Some("http://localhost:8080/console".to_owned());
    app.portal = Arc::new(Portal { url, ..Portal::default() });
    let new = NewLink { role: Role::Viewer, intent: Intent::People, return_url: None };
    let link = app.store.create_link(&ORG.parse().expect("a name"), new, &app.pepper, &operator()).await;
    let (link, _) = link.expect("an answer").expect("a link");
    let browser = Browser { console: console::router(app), cookie: String::new() }.enter(link.reveal()).await;

    println!("| page at {people} people | p50 | p99 |\n|---|---|---|");
    browser.row("people, first page", |_| "/people".to_owned()).await;
    browser.walk("people, next pages by cursor", "/people").await;
    browser.row("search, 1 character", |_| "/people?q=p".to_owned()).await;
    browser.walk("search, next pages by cursor", "/people?q=person").await;
    let of_name = move |number: usize| format!("/people?q=person{:06}", number * 491 % people);
    browser.row("search, a whole user name", of_name).await;
    browser.row("search by e-mail address alone", |number| format!("/people?q=mail{:03}", number * 5)).await;
    browser.row("search without a match", |number| format!("/people?q=zzz{number}")).await;
    browser.row("person", move |number| format!("/people/{}", member_id(number * 491 % people))).await;
    browser.row("teams", |_| "/teams?q=every".to_owned()).await;
    browser.row("team of all, first page of members", |_| format!("/teams/{TEAM}")).await;
    let from_middle =
        move |number: usize| format!("/teams/{TEAM}?cursor={}", member_id(people / 2 + number % 1_000));
    browser.row("team of all, a page in the middle", from_middle).await;
}

/// A browser with a session.
struct Browser {
    console: Router,
    cookie: String,
}

impl Browser {
    async fn enter(self, link: &str) -> Self {
        let request = Request::get(format!("/console/enter?link={link}")).body(Body::empty());
        let response = self.console.clone().oneshot(request.expect("a request")).await.expect("a response");
        let cookie = response.headers()[header::SET_COOKIE].to_str().expect("a cookie");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { cookie, ..self }
    }

    /// Reads a page. Returns it and its time in milliseconds.
    async fn get(&self, path: &str) -> (String, f64) {
        let request = Request::get(format!("/console{path}")).header(header::COOKIE, &self.cookie);
        let request = request.body(Body::empty()).expect("a request");
        let start = Instant::now();
        let response = self.console.clone().oneshot(request).await.expect("a response");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let millis = start.elapsed().as_secs_f64() * 1_000.0;
        assert_eq!(status, 200, "{path}");
        (String::from_utf8(body.to_vec()).expect("UTF-8"), millis)
    }

    async fn row(&self, name: &str, path: impl Fn(usize) -> String) {
        let mut times = Vec::with_capacity(REQUESTS);
        for number in 0..REQUESTS {
            times.push(self.get(&path(number)).await.1);
        }
        print(name, times);
    }

    /// Follows the links to the next page.
    async fn walk(&self, name: &str, path: &str) {
        let (mut times, mut path) = (Vec::with_capacity(REQUESTS), path.to_owned());
        while times.len() < REQUESTS {
            let (page, millis) = self.get(&path).await;
            times.push(millis);
            let before = page.split("\" rel=\"next\"").next().filter(|before| before.len() < page.len());
            let Some(next) = before.and_then(|before| before.rsplit("href=\"/console").next()) else { break };
            path = next.replace("&#38;", "&");
        }
        print(name, times);
    }
}

fn print(name: &str, mut times: Vec<f64>) {
    times.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
    println!("| {name} | {:.1} ms | {:.1} ms |", at(50).unwrap_or_default(), at(99).unwrap_or_default());
}

/// Returns the items of a person. Every third person has an address that is no user name.
fn person(number: usize) -> Vec<Item> {
    let (id, name) = (member_id(number), format!("person{number:06}@example.com"));
    let mail = if number.is_multiple_of(3) { format!("mail{number:06}@example.com") } else { name.clone() };
    let document = json!({
        "userName": name,
        "externalId": format!("00u{number}"),
        "active": true,
        "displayName": format!("Person {number}"),
        "name": { "givenName": "Person", "familyName": number.to_string() },
        "title": "Engineer",
        "emails": [{ "value": mail, "type": "work", "primary": true }],
    });
    vec![
        resource("USER", &id, &document.to_string()),
        entry("USER#userName", name, &id),
        entry("USER#emails.value", format!("{mail}\u{1}{id}"), &id),
    ]
}

fn resource(kind: &str, id: &str, document: &str) -> Item {
    let mut item = item([
        ("pk", format!("ORG#{ORG}#{kind}")),
        ("sk", id.to_owned()),
        ("document", document.to_owned()),
        ("version", "0123456789abcdef".to_owned()),
        ("created", TIME.to_owned()),
        ("modified", TIME.to_owned()),
    ]);
    item.insert("format".to_owned(), AttributeValue::N("1".to_owned()));
    item
}

fn entry(index: &str, sk: String, id: &str) -> Item {
    item([("pk", format!("ORG#{ORG}#{index}")), ("sk", sk), ("id", id.to_owned())])
}
