//! Sends every request of the owner console to its router, with the permissions of the console function recorded.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use service::{
    App,
    portal::{Intent, Role},
    store::NewLink,
};
use tests::ORG;
use tower::ServiceExt;

/// A request: the method, the path below `/console`, and the form without its token.
type Step = (&'static str, &'static str, &'static str);

/// The requests of an owner, in this order. `{person}` and `{team}` are ids of a user and of a group, `{entry}` that of an
/// entry of the request log. `{key}` and `{client}` are the ids of the newest key and client, and `{old}` is that of the key
/// before. `{with_token}` is a client that has an access token. `{secret}` is the id of the newest secret, and `{form}` that of a new form.
const STEPS: &[Step] = &[
    ("GET", "", ""),
    ("GET", "/overview", ""),
    ("GET", "/connection", ""),
    ("GET", "/connection/scim", ""),
    ("POST", "/connection/scim", "enabled=false"),
    ("POST", "/connection/scim", "enabled=true"),
    ("GET", "/connection/okta", ""),
    ("POST", "/connection/okta/key", "form={form}"),
    ("GET", "/connection/verify?provider=okta&since=2026-11-23T09:00:00.000Z", ""),
    ("GET", "/connection/entra", ""),
    (
        "POST",
        "/connection/entra/federation",
        "tenant=0f1e2d3c-4b5a-4697-8877-665544332211&subject=s&audience=api%3A%2F%2Fx&form={form}",
    ),
    ("POST", "/connection/entra/secret", "form={form}"),
    ("POST", "/connection/entra/key", "form={form}"),
    ("GET", "/connection/verify?provider=entra&since=2026-11-23T09:00:00.000Z", ""),
    ("POST", "/keys", "label=Okta&scim=on&expiry=365&form={form}"),
    ("GET", "/keys", ""),
    ("GET", "/keys/{key}/rotate", ""),
    ("POST", "/keys/{key}/rotate", "days=7&form={form}"),
    ("GET", "/keys/{old}/complete", ""),
    ("POST", "/keys/{old}/complete", ""),
    ("POST", "/keys/{key}/rotate", "days=7&form={form}"),
    ("GET", "/keys/{old}/cancel", ""),
    ("POST", "/keys/{old}/cancel", ""),
    ("GET", "/keys/{old}/revoke", ""),
    ("POST", "/keys/{old}/revoke", ""),
    ("POST", "/clients", "label=Entra&scim=on&expiry=365&form={form}"),
    ("GET", "/clients/{client}/secret", ""),
    ("POST", "/clients/{client}/secret", "expiry=90&form={form}"),
    ("GET", "/clients/{client}/secrets/{secret}/end", ""),
    ("POST", "/clients/{client}/secrets/{secret}/end", ""),
    ("GET", "/clients/{client}/delete", ""),
    ("POST", "/clients/{client}/delete", ""),
    ("POST", "/clients/{with_token}/delete", ""),
    ("GET", "/people", ""),
    ("GET", "/people?q=user-1", ""),
    ("GET", "/people/{person}", ""),
    ("GET", "/teams", ""),
    ("GET", "/teams?q=sal", ""),
    ("GET", "/teams/{team}", ""),
    ("GET", "/activity", ""),
    ("GET", "/activity?person={person}&outcome=succeeded", ""),
    ("GET", "/activity?team={team}", ""),
    ("GET", "/activity/new?since={entry}", ""),
    ("GET", "/activity/{entry}", ""),
    ("POST", "/language", "language=de"),
    ("POST", "/leave", ""),
];

/// The ids that the paths name.
#[derive(Clone, Copy)]
pub(crate) struct Ids<'a> {
    pub(crate) person: &'a str,
    pub(crate) team: &'a str,
    pub(crate) entry: &'a str,
    pub(crate) with_token: &'a str,
}

/// A browser with the cookies of a session.
pub(crate) struct Browser {
    router: Router,
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn send(&mut self, method: &str, path: &str, form: &str) -> (StatusCode, HeaderMap, String) {
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().uri(format!("/console{path}")).header("cookie", &self.cookie);
        let mut body = String::new();
        if method == Method::POST {
            request = request.header("content-type", "application/x-www-form-urlencoded");
            body = format!("csrf={}&{form}", self.csrf);
        }
        let request = request.method(method).body(Body::from(body)).expect("a request");
        let (parts, body) = self.router.clone().oneshot(request).await.expect("a response").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.into()).expect("text");
        if let Some((_, rest)) = body.split_once("name=\"csrf\" value=\"") {
            rest.split('"').next().expect("a token").clone_into(&mut self.csrf);
        }
        (parts.status, parts.headers, body)
    }
}

/// Plays the story of an owner and of a viewer with the state of the console function. The operator creates links.
pub(crate) async fn play(app: &App, operator: &App, ids: Ids<'_>) {
    let mut ids = Known { ids, keys: Vec::new(), clients: Vec::new(), secrets: Vec::new(), forms: 0 };
    for role in Role::ALL {
        let new = NewLink { role, intent: Intent::Overview, return_url: None };
        let org = ORG.parse().expect("a name");
        let created = operator.store.create_link(&org, new, &app.pepper, &tests::operator()).await;
        let (link, _) = created.expect("an answer").expect("the organisation");
        let mut browser = enter(app, &format!("/console/enter?link={}", link.reveal())).await;
        let mut continued = 0;
        for (method, path, form) in STEPS {
            ids.update(operator).await;
            let path = ids.fill(path);
            let (status, _, body) = browser.send(method, &path, &ids.fill(form)).await;
            match *method {
                "POST" if path == "/leave" => assert_eq!(status, StatusCode::OK, "{}", content(&body)),
                "POST" if role == Role::Viewer && path != "/language" => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {}", content(&body));
                }
                // A viewer changes nothing, so there may be nothing to review.
                "GET" if role == Role::Viewer => assert!(status.as_u16() < 500, "{path}: {status}"),
                _ => assert!(status.as_u16() < 400, "{method} {path}: {status} {}", content(&body)),
            }
            if let Some(next) = next_page(&body) {
                let (status, _, body) = browser.send("GET", &next, "").await;
                assert_eq!(status, StatusCode::OK, "{next}: {body}");
                continued += 1;
            }
        }
        assert_eq!(browser.send("GET", "/overview", "").await.0, StatusCode::UNAUTHORIZED);
        assert!(continued >= 2, "{continued} lists have a second page");
    }
}

/// Uses a link.
pub(crate) async fn enter(app: &App, link: &str) -> Browser {
    let (_, path) = link.split_once("/console").expect("a link to the console");
    let mut browser =
        Browser { router: console::router(app.clone()), cookie: String::new(), csrf: String::new() };
    let (status, headers, body) = browser.send("GET", path, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
    let cookie = headers["set-cookie"].to_str().expect("text");
    cookie.split(';').next().expect("a cookie").clone_into(&mut browser.cookie);
    browser
}

/// Returns the beginning of the content of a page, for messages.
fn content(body: &str) -> String {
    body.rsplit("<main").next().unwrap_or_default().chars().take(400).collect()
}

/// Returns the path of the next page of a list, below `/console`.
fn next_page(body: &str) -> Option<String> {
    let link = body.split('"').find(|text| text.starts_with("/console/") && text.contains("cursor="))?;
    let link = link.replace("&amp;", "&").replace("&#38;", "&");
    link.strip_prefix("/console").map(str::to_owned)
}

/// The ids that the paths name, with those of keys and clients in the order of their creation.
struct Known<'a> {
    ids: Ids<'a>,
    keys: Vec<String>,
    clients: Vec<String>,
    secrets: Vec<String>,
    forms: u32,
}

impl Known<'_> {
    async fn update(&mut self, operator: &App) {
        let org = ORG.parse().expect("a name");
        for key in operator.store.keys(&org).await.expect("keys") {
            if !self.keys.contains(&key.id) {
                self.keys.push(key.id);
            }
        }
        self.forms += 1;
        for client in operator.store.clients(&org).await.expect("clients") {
            for secret in client.secrets {
                if !self.secrets.contains(&secret.id) {
                    self.secrets.push(secret.id);
                }
            }
            if !self.clients.contains(&client.id) {
                self.clients.push(client.id);
            }
        }
    }

    /// Replaces the names of ids in a path or a form.
    fn fill(&self, text: &str) -> String {
        let newest =
            |ids: &[String], from_end: usize| ids.iter().rev().nth(from_end).cloned().unwrap_or_default();
        text.replace("{person}", self.ids.person)
            .replace("{team}", self.ids.team)
            .replace("{entry}", self.ids.entry)
            .replace("{with_token}", self.ids.with_token)
            .replace("{key}", &newest(&self.keys, 0))
            .replace("{old}", &newest(&self.keys, 1))
            .replace("{client}", &newest(&self.clients, 0))
            .replace("{secret}", &newest(&self.secrets, 0))
            .replace("{form}", &format!("{:032x}", self.forms))
    }
}
