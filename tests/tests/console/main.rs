//! The owner console: its pages, through the router that the gateway and the function serve.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod activity;
mod connection;
mod forms;
mod keys;
mod lists;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, header},
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
use tests::{NOW, ORG, Service, encode, operator};
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
    headers: HeaderMap,
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
        Self::with(client, clock, Portal::default()).await
    }

    /// Returns a world with a clock of the test, and these settings of the vendor. The URL of the console is [`URL`] unless
    /// they have another one.
    async fn with(client: aws_sdk_dynamodb::Client, clock: Clock, portal: Portal) -> Self {
        let service = Service::on_with_clock(client, clock).await.recorded();
        let mut app = service.app.clone();
        app.portal = Arc::new(Portal { url: portal.url.or_else(|| Some(URL.to_owned())), ..portal });
        Self { service, console: console::router(app) }
    }

    /// Returns the path of a new set-up link.
    async fn link(&self, org: &Org, role: Role) -> String {
        let new = NewLink { role, intent: Intent::People, return_url: None };
        let app = &self.service.app;
        let created = app.store.create_link(org, new, &app.pepper, &operator()).await;
        let (link, _) = created.expect("an answer").expect("a link");
        format!("/enter?link={}", link.reveal())
    }

    /// Opens a set-up link.
    async fn enter(&self, role: Role) -> Browser {
        self.enter_org(&org(), role).await
    }

    async fn enter_org(&self, org: &Org, role: Role) -> Browser {
        let mut browser = self.browser();
        let page = browser.get(&self.link(org, role).await).await;
        assert_eq!(page.status, 303, "{}", page.body);
        let cookie = page.header("set-cookie");
        cookie.split(';').next().unwrap_or_default().clone_into(&mut browser.cookie);
        browser
    }

    /// Returns a browser without a session.
    fn browser(&self) -> Browser {
        Browser { console: self.console.clone(), cookie: String::new(), language: "en" }
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
        self.send_with(request, Body::empty()).await
    }

    async fn send_with(&self, request: axum::http::request::Builder, body: Body) -> Page {
        let request = request
            .header(header::COOKIE, format!("{}; scim_language={}", self.cookie, self.language))
            .body(body)
            .expect("a request");
        let response = self.console.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Page { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Returns the token of the forms of this session.
    async fn csrf(&self) -> String {
        let page = self.get("/overview").await;
        page.between("name=\"csrf\" value=\"", "\"").first().copied().unwrap_or_default().to_owned()
    }

    /// Sends a form with the token of the session.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf().await;
        self.post_form(path, &[&[("csrf", csrf.as_str())], fields].concat()).await
    }

    /// Sends a form as it is.
    async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = Request::post(format!("/console{path}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send_with(request, Body::from(body)).await
    }
}

impl Page {
    /// Returns a header, or an empty text.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the secret that the page shows, or an empty text.
    fn secret(&self) -> String {
        self.between("<code id=\"secret\" aria-labelledby=\"secret-label\">", "</code>").concat()
    }

    /// Returns the id of the form that creates something.
    fn form(&self) -> String {
        self.between("name=\"form\" value=\"", "\"").first().copied().unwrap_or_default().to_owned()
    }

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
