//! Input: requests to a new service. Each has a line with method and target, lines with headers, an empty line, and a body.
//! A line `###` separates two requests. `${key}` stands for a key, `${2/id}` for the `id` of the third answer.

use axum::{
    body::Body,
    http::{Request as HttpRequest, header::AUTHORIZATION},
};
use scim::{ResourceType, resource::Document, schema::RESOURCE_TYPES};
use serde_json::Value;
use service::http::BASE_PATH;
use tokio::runtime::{Builder, Runtime};

use crate::{Answer, Service, form_violations};

/// The limit of requests in an input. Each takes some milliseconds.
const MAX_REQUESTS: usize = 12;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

pub(super) fn run(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let requests: Vec<&str> = input.split("\n###\n").take(MAX_REQUESTS).collect();
    RUNTIME.with(|runtime| runtime.block_on(send(&requests)));
}

async fn send(requests: &[&str]) {
    let service = Service::new().await;
    let mut answers: Vec<Answer> = Vec::new();
    for text in requests {
        let fill = |text: &str| fill(text, &service.key, &answers);
        if let Some(request) = request(text, fill) {
            let answer = service.send(request).await;
            let violations = form_violations(&answer);
            assert!(violations.is_empty(), "{text}\n{}\n{violations:?}", answer.body);
            assert_writable(&answer.body);
            answers.push(answer);
        }
    }
    service.assert_healthy().await;
}

/// Parses a request. Returns `None` if the text is not HTTP.
fn request(text: &str, fill: impl Fn(&str) -> String) -> Option<HttpRequest<Body>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = HttpRequest::builder().method(method).uri(format!("{BASE_PATH}{}", fill(target)));
    let mut is_authorized = false;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        is_authorized |= name.eq_ignore_ascii_case(AUTHORIZATION.as_str());
        request = request.header(name, fill(value));
    }
    if !is_authorized {
        request = request.header(AUTHORIZATION, fill("Bearer ${key}"));
    }
    request.body(Body::from(fill(body))).ok()
}

fn fill(text: &str, key: &str, answers: &[Answer]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = rest
        .split_once("${")
        .and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)))
    {
        filled.push_str(before);
        match name.split_once('/') {
            None if name == "key" => filled.push_str(key),
            None => {}
            Some((number, pointer)) => {
                let answer = number.parse().ok().and_then(|number: usize| answers.get(number));
                let value = answer.and_then(|answer| answer.body.pointer(&format!("/{pointer}")));
                match value {
                    Some(Value::String(text)) => filled.push_str(text),
                    Some(value) => filled.push_str(&value.to_string()),
                    None => {}
                }
            }
        }
        rest = after;
    }
    filled + rest
}

/// Fails unless each resource in the answer is valid as a request.
fn assert_writable(body: &Value) {
    if let Some(resources) = body["Resources"].as_array() {
        resources.iter().for_each(assert_writable);
    }
    let is_of = |kind: &&'static ResourceType| body["meta"]["resourceType"] == kind.name;
    // A projection may omit a required attribute.
    let is_whole = body.get("userName").or_else(|| body.get("displayName")).is_some();
    if let Some(resource_type) = RESOURCE_TYPES.into_iter().find(is_of)
        && is_whole
        && (resource_type.name != "User" || body.get("userName").is_some())
    {
        let read = Document::from_request(resource_type, body);
        assert!(read.is_ok(), "{body:#}\n{read:?}");
    }
}
