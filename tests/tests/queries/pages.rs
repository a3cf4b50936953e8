//! The costs of the management API and of the owner console: a part of COSTS.md.

use std::fmt::Write;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, header::SET_COOKIE},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use service::{
    App,
    admin::{self, Operator},
    portal::Portal,
    store::Actor,
};
use tests::{
    ORG, Service,
    counting::{Cost, Counter},
};
use tower::ServiceExt;

/// The section up to its table.
const ABOVE: &str = "
## Management and the owner console

A page of the console includes the look-up of the session, which is one call with 2 read units. The live part of a wizard requests every 2 seconds until the first person arrives, and that of Activity every 10 seconds. A wizard that is open for an hour costs about 0.01 dollars: 1,800 requests with 3 read units each. A change writes an entry of the audit log in the same transaction. The request log of the organisation is empty.

| request | read units | write units | calls |
|---|---|---|---|
";

/// Returns the section.
pub(crate) async fn section(service: &Service, counter: &Counter, person: &str, team: &str) -> String {
    let portal = Portal { url: Some("https://scim.test/console".to_owned()), ..Portal::default() };
    let app = App { portal: portal.into(), ..service.app.clone() };
    let mut table = Table { counter, text: ABOVE.to_owned() };
    let api = admin::router(app.clone());
    let keys = format!("/orgs/{ORG}/keys");
    let new = json!({ "scopes": ["scim"], "label": "Okta" });
    let key = table.manage(&api, "create a key", Method::POST, &keys, &new).await;
    let key = format!("{keys}/{}", key["id"].as_str().expect("an id"));
    table.manage(&api, "list the keys", Method::GET, &keys, &Value::Null).await;
    table.manage(&api, "rotate a key", Method::POST, &format!("{key}/rotate"), &json!({})).await;
    table.manage(&api, "revoke a key", Method::POST, &format!("{key}/revoke"), &Value::Null).await;
    table.manage(&api, "list the audit log", Method::GET, &format!("/orgs/{ORG}/audit"), &Value::Null).await;
    table.manage(&api, "list the request log", Method::GET, &format!("/orgs/{ORG}/log"), &Value::Null).await;
    let links = format!("/orgs/{ORG}/links");
    let link =
        table.manage(&api, "create a set-up link", Method::POST, &links, &json!({ "role": "owner" })).await;
    let link = link["url"].as_str().expect("a URL").trim_start_matches("https://scim.test");

    let console = console::router(app);
    let entered = table.show(&console, "use a set-up link", link, "").await;
    let cookie = entered.headers()[SET_COOKIE].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a cookie");
    for (page, path) in [
        ("Overview", "/console/overview".to_owned()),
        ("Connection", "/console/connection".to_owned()),
        ("the wizard for Okta", "/console/connection/okta".to_owned()),
        ("the wizard for Entra", "/console/connection/entra".to_owned()),
        (
            "the live part of a wizard",
            "/console/connection/verify?provider=okta&since=2026-11-23T09:00:00.000Z".to_owned(),
        ),
        ("Keys and clients", "/console/keys".to_owned()),
        ("People", "/console/people".to_owned()),
        ("People, found by `user-07`", "/console/people?q=user-07".to_owned()),
        ("a person", format!("/console/people/{person}")),
        ("Teams", "/console/teams".to_owned()),
        ("a team", format!("/console/teams/{team}")),
        ("Activity", "/console/activity".to_owned()),
        ("the names for `user-07` in a filter", "/console/activity/names?person=user-07".to_owned()),
        ("Activity, the name of a person in the filter", "/console/activity?person=user-078".to_owned()),
    ] {
        table.show(&console, page, &path, cookie).await;
    }
    table.text
}

struct Table<'a> {
    counter: &'a Counter,
    text: String,
}

impl Table<'_> {
    async fn manage(&mut self, api: &Router, row: &str, method: Method, path: &str, body: &Value) -> Value {
        let mut request = Request::builder().method(method).uri(format!("/admin/v1{path}"));
        let mut text = String::new();
        if !body.is_null() {
            request = request.header("content-type", "application/json");
            text = body.to_string();
        }
        let request =
            request.extension(Operator(Actor::new("ada"))).body(Body::from(text)).expect("a request");
        let response = self.row(&format!("management API: {row}"), api, request).await;
        serde_json::from_str(response.body()).unwrap_or_default()
    }

    async fn show(&mut self, console: &Router, row: &str, path: &str, cookie: &str) -> Response<String> {
        let request = Request::get(path).header("cookie", cookie).body(Body::empty()).expect("a request");
        self.row(&format!("console: {row}"), console, request).await
    }

    /// Sends the request, and adds its row.
    async fn row(&mut self, name: &str, router: &Router, request: Request<Body>) -> Response<String> {
        let _ = self.counter.take();
        let (parts, body) = router.clone().oneshot(request).await.expect("a response").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.into()).expect("text");
        assert!(parts.status.as_u16() < 400, "{name}: {} {body}", parts.status);
        let mut sum = Cost::default();
        for cost in self.counter.take().into_values() {
            for (call, times) in cost.calls {
                *sum.calls.entry(call).or_default() += times;
            }
            sum.read += cost.read;
            sum.write += cost.write;
        }
        let calls: Vec<String> = sum
            .calls
            .iter()
            .map(|(call, times)| if *times == 1 { call.clone() } else { format!("{times} {call}") })
            .collect();
        let calls = calls.join(", ");
        let _ = writeln!(self.text, "| {name} | {} | {} | {calls} |", sum.read, sum.write);
        Response::from_parts(parts, body)
    }
}
