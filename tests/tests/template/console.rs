//! The console function: pages, files and forms as events of API Gateway.

use aws_smithy_types::base64;
use axum::http::{Method, Request};
use lambda_http::{Context, LambdaEvent};
use serde_json::Value;
use service::{
    App, lambda,
    portal::{Intent, Role},
    store::NewLink,
};
use tests::{ORG, Service, gateway::Api, operator};
use tower::ServiceExt;

/// A response of the function.
#[derive(Debug)]
struct Output(Value);

impl Output {
    fn status(&self) -> u64 {
        self.0["statusCode"].as_u64().expect("a status")
    }

    /// Returns all values of a header.
    fn all(&self, name: &str) -> Vec<&str> {
        let values = self.0["multiValueHeaders"][name].as_array().into_iter().flatten();
        values.filter_map(Value::as_str).collect()
    }

    fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// Returns the body, which is text: without binary media types, the gateway does not decode base64.
    fn text(&self) -> &str {
        assert_eq!(self.0["isBase64Encoded"], false, "{}", self.0);
        self.0["body"].as_str().unwrap_or_default()
    }
}

/// Returns the event of a request. A body is a form.
fn event(method: Method, path: &str, cookies: &[&str], body: &str) -> Value {
    let mut request = Request::builder().method(method).uri(format!("/scim/console{path}"));
    for cookie in cookies {
        request = request.header("cookie", *cookie);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    Api::Rest.event(&parts, body.as_bytes())
}

async fn invoke(app: &App, event: Value) -> Output {
    // A reference to the API would be a circle in the template, so the function does not have its URL.
    assert_eq!(app.portal.url, None);
    let function = lambda::router_function(console::router(app.clone()));
    let event = serde_json::from_value(event).expect("an event");
    let Ok(given) = function.oneshot(LambdaEvent::new(event, Context::default())).await;
    Output(serde_json::to_value(given).expect("JSON"))
}

/// Uses a set-up link, and returns the cookie of the session.
async fn enter(app: &App) -> String {
    let new = NewLink { role: Role::Owner, intent: Intent::Overview, return_url: None };
    let org = ORG.parse().expect("a name");
    let link = app.store.create_link(&org, new, &app.pepper, &operator()).await.expect("an answer");
    let (link, _) = link.expect("the organisation");
    let path = format!("/enter?link={}", link.reveal());
    let output = invoke(app, event(Method::GET, &path, &[], "")).await;
    assert_eq!((output.status(), output.header("location")), (303, "/scim/console/overview"));
    assert_eq!(output.header("cache-control"), "no-store");
    let cookie = output.header("set-cookie");
    assert!(cookie.starts_with("__Host-scim_session=scim"), "{cookie}");
    assert!(
        cookie.contains("; Path=/; HttpOnly; ") && cookie.ends_with("; Secure; SameSite=Lax"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a cookie").to_owned()
}

#[tokio::test]
async fn page_and_its_files_are_text_below_the_stage() {
    let service = Service::embedded().await;
    let session = enter(&service.app).await;
    // The cookies are in two headers. The gateway's `headers` has the last one alone.
    let cookies = [session.as_str(), "scim_language=de"];
    let page = invoke(&service.app, event(Method::GET, "/overview", &cookies, "")).await;
    assert_eq!((page.status(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.text().contains("<html lang=\"de\">"), "{}", page.text());
    let files: Vec<&str> =
        page.text().split('"').filter_map(|text| text.strip_prefix("/scim/console/assets/")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let asset = invoke(&service.app, event(Method::GET, &format!("/assets/{file}"), &[], "")).await;
        assert_eq!(asset.status(), 200, "{file}");
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable", "{file}");
        asset.text();
    }
}

#[tokio::test]
async fn form_is_read_from_a_plain_and_an_encoded_body() {
    let service = Service::embedded().await;
    let session = enter(&service.app).await;
    let page = invoke(&service.app, event(Method::GET, "/overview", &[&session], "")).await;
    let (_, rest) = page.text().split_once("name=\"csrf\" value=\"").expect("a form");
    let csrf = rest.split('"').next().expect("a token");
    let plain = event(Method::POST, "/language", &[&session], &format!("csrf={csrf}&language=de"));
    let mut encoded = plain.clone();
    encoded["body"] = base64::encode(plain["body"].as_str().expect("a body")).into();
    encoded["isBase64Encoded"] = true.into();
    for event in [plain, encoded] {
        let output = invoke(&service.app, event).await;
        assert_eq!((output.status(), output.header("location")), (303, "/scim/console/overview"));
        let cookies = output.all("set-cookie");
        assert!(cookies.len() == 1 && cookies[0].starts_with("scim_language=de; "), "{cookies:?}");
    }
    let forged = event(Method::POST, "/language", &[&session], "csrf=x&language=de");
    assert_eq!(invoke(&service.app, forged).await.status(), 403);
}
