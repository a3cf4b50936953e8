//! The owner console: its pages, through the router that the gateway and the function serve.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod activity;
mod lists;

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use dynoxide::Database;
use http_body_util::BodyExt;
use local::embedded;
use service::{
    auth::Org,
    clock::Clock,
    portal::{Intent, Portal, Role},
    store::NewLink,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tests::{NOW, ORG, Service, operator};
use time::Duration;
use tower::ServiceExt;

/// The URL of the console, to which links lead.
const URL: &str = "http://localhost:8080/console";

/// A service with one organisation, and its console.
struct World {
    service: Service,
    console: Router,
}

/// A page as a browser gets it.
#[derive(Debug)]
struct Page {
    status: u16,
    body: String,
}

/// A browser with a session.
struct Browser {
    console: Router,
    cookie: String,
    language: &'static str,
}

fn org() -> Org {
    ORG.parse().expect("an organisation's name")
}

impl World {
    async fn new() -> Self {
        Self::on(embedded::client(Database::memory().expect("a database in memory"))).await
    }

    async fn on(client: aws_sdk_dynamodb::Client) -> Self {
        // The order of ids is that of creation, because no two have the same time.
        let millis = AtomicI64::default();
        let clock = Clock::new(move || NOW + Duration::milliseconds(millis.fetch_add(1, Ordering::Relaxed)));
        let service = Service::on_with_clock(client, clock).await.recorded();
        let mut app = service.app.clone();
        app.portal = Arc::new(Portal { url: Some(URL.to_owned()), ..Portal::default() });
        Self { service, console: console::router(app) }
    }

    /// Opens a set-up link.
    async fn enter(&self, role: Role) -> Browser {
        let new = NewLink { role, intent: Intent::People, return_url: None };
        let app = &self.service.app;
        let created = app.store.create_link(&org(), new, &app.pepper, &operator()).await;
        let (link, _) = created.expect("an answer").expect("a link");
        let path = format!("/console/enter?link={}", link.reveal());
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = self.console.clone().oneshot(request).await.expect("a response");
        assert_eq!(response.status(), 303);
        let cookie = response.headers()[header::SET_COOKIE].to_str().expect("a cookie");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Browser { console: self.console.clone(), cookie, language: "en" }
    }
}

impl Browser {
    async fn get(&self, path: &str) -> Page {
        self.send(Request::get(format!("/console{path}"))).await
    }

    /// Sends a request as htmx does.
    async fn fragment(&self, path: &str) -> Page {
        self.send(Request::get(format!("/console{path}")).header("hx-request", "true")).await
    }

    async fn send(&self, request: axum::http::request::Builder) -> Page {
        let request = request
            .header(header::COOKIE, format!("{}; scim_language={}", self.cookie, self.language))
            .body(Body::empty())
            .expect("a request");
        let response = self.console.clone().oneshot(request).await.expect("a response");
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        Page { status, body: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }
}

impl Page {
    /// Returns the parts of the page between two texts.
    fn between<'a>(&'a self, before: &str, after: &str) -> Vec<&'a str> {
        self.body.split(before).skip(1).map(|rest| rest.split(after).next().unwrap_or_default()).collect()
    }

    /// Returns the ids in links to such pages, in their order.
    fn ids(&self, page: &str) -> Vec<String> {
        let ids = self.between(&format!("href=\"/console/{page}/"), "\"");
        ids.into_iter().map(str::to_owned).collect()
    }

    /// Returns the path of the next page, below the path of the console.
    fn next(&self) -> Option<String> {
        let link = self.between("<a class=\"button\" href=\"/console", "\" rel=\"next\">");
        let link = link.last().filter(|_| self.body.contains("rel=\"next\""))?;
        let link = link.replace("&#38;", "&");
        Some(link.split('#').next().unwrap_or_default().to_owned())
    }

    #[track_caller]
    fn has(&self, text: &str) {
        assert!(self.body.contains(text), "{text} is not in {}", self.body);
    }

    #[track_caller]
    fn has_not(&self, text: &str) {
        assert!(!self.body.contains(text), "{text} is in {}", self.body);
    }
}
