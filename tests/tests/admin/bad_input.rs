//! Bad input for every operation: a clear problem, and nothing written.
//!
//! The operations come from the OpenAPI document, and the bodies are derived from one valid body for each operation. A new
//! operation with a body fails here until it has one.

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, header::CONTENT_TYPE},
};
use serde_json::{Map, Value, json};
use tests::ORG;

use super::{Management, document::operations, request, text};

/// Values of every JSON type.
const VALUES: [&str; 9] =
    ["null", "true", "-1", "1.5", "1e400", "\"\"", "\"x\\u0000\"", "[[]]", "{\"a\":{}}"];

/// Returns a valid body of an operation with all of its members.
fn valid(operation: &str) -> Value {
    match operation {
        "createOrganisation" => json!({ "org": "new" }),
        "changeOrganisation" => json!({
            "enabled": true,
            "settings": { "tokenMinutes": 30, "rate": 10, "burst": 20, "atOnce": 2 }
        }),
        "createKey" | "changeKey" => {
            json!({ "scopes": ["read"], "label": "Okta", "ends": "2027-11-23T09:00:00Z" })
        }
        "rotateKey" => json!({ "overlapHours": 24 }),
        "createClient" => json!({
            "scopes": ["scim"],
            "label": "Entra",
            "trust": {
                "issuer": "https://login.microsoftonline.com/t/v2.0",
                "audience": "api://scim",
                "subject": "s",
                "tid": "t",
                "azp": "a",
                "jwksUri": "https://login.microsoftonline.com/t/discovery/v2.0/keys"
            }
        }),
        "addSecret" => json!({ "ends": "2027-11-23T09:00:00Z" }),
        "createLink" => json!({
            "role": "owner",
            "intent": "keys",
            "returnUrl": "https://app.example.com/settings"
        }),
        other => panic!("a valid body of the new operation {other} is missing here"),
    }
}

/// Returns bodies with one fault each, derived from a valid one.
fn faulty(body: &Value) -> Vec<String> {
    let text = body.to_string();
    let mut bodies: Vec<String> =
        ["", " ", "null", "[]", "\"x\"", "1", "{", "}", "{}{}", "{'a':1}", "\u{feff}\u{feff}{}"]
            .map(str::to_owned)
            .into();
    bodies.push(text[..text.len() - 1].to_owned());
    bodies.push(format!("{text}x"));
    bodies.push(format!("[{text}]"));
    bodies.push(format!("{}{}{}", "{\"a\":".repeat(40), "1", "}".repeat(40)));
    objects(body, &mut |object, put| {
        bodies.push(put(with(object, "unknown", json!(1))).to_string());
        bodies.push(put(with(object, "__proto__", json!({}))).to_string());
        for (name, value) in object {
            // A duplicate cannot be a `Value`, so a marker is replaced in the text.
            let marked = put(with(object, "marker", json!(0))).to_string();
            bodies.push(marked.replace("\"marker\":0", &format!("{}:{value}", json!(name))));
            bodies.push(put(with(object, &name.to_uppercase(), value.clone())).to_string());
            for other in VALUES {
                bodies
                    .push(put(with(object, name, json!("marker"))).to_string().replace("\"marker\"", other));
            }
        }
    });
    bodies
}

/// Calls `visit` for each object in a body, with a function that puts another object in its place.
fn objects(body: &Value, visit: &mut impl FnMut(&Map<String, Value>, &dyn Fn(Value) -> Value)) {
    let members = body.as_object().expect("an object");
    visit(members, &|object| object);
    for (name, inner) in members {
        if let Value::Object(inner) = inner {
            visit(inner, &|object| with(members, name, object));
        }
    }
}

fn with(object: &Map<String, Value>, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object.insert(name.to_owned(), value);
    Value::Object(object)
}

/// Returns whether null is valid: it means that a member is left out, or removed.
fn may_be_null(operation: &str, body: &str) -> bool {
    let nullable = ["label", "ends", "tid", "azp", "jwksUri", "intent", "returnUrl"]
        .map(|name| format!("\"{name}\":null"));
    matches!(operation, "createKey" | "changeKey" | "createClient" | "addSecret" | "createLink")
        && nullable.iter().any(|member| body.contains(member))
}

fn json_request(method: &Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = request(method.clone(), path, &json!({}));
    *request.body_mut() = body.into();
    request
}

#[tokio::test]
async fn faulty_body_is_refused_and_writes_nothing() {
    let management = Management::new().await;
    let mut sent = 0;
    for operation in operations().into_iter().filter(|operation| operation.has_body) {
        let path = management.existing(&operation.path).await;
        let items = management.items().await;
        let valid_body = valid(&operation.id).to_string();
        for body in faulty(&valid(&operation.id)) {
            if body == valid_body || may_be_null(&operation.id, &body) {
                continue;
            }
            let answer = management.send(json_request(&operation.method, &path, body.clone())).await;
            assert!([400, 422].contains(&answer.status), "{} {body}: {}", operation.id, answer.status);
            sent += 1;
        }
        let mut not_utf8 = valid(&operation.id).to_string().into_bytes();
        not_utf8.insert(2, 0xff);
        assert_eq!(management.send(json_request(&operation.method, &path, not_utf8)).await.status, 400);
        let large = format!("{{\"label\":\"{}\"}}", "x".repeat(64 * 1024));
        assert_eq!(management.send(json_request(&operation.method, &path, large)).await.status, 413);
        for media_type in
            ["", "text/plain", "application/x-www-form-urlencoded", "application/scim+json", "json"]
        {
            let mut request = json_request(&operation.method, &path, valid(&operation.id).to_string());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            assert_eq!(management.send(request).await.status, 415, "{media_type}");
        }
        for encoding in ["gzip", "br", "identity, gzip"] {
            let mut request = json_request(&operation.method, &path, valid(&operation.id).to_string());
            request.headers_mut().insert("content-encoding", HeaderValue::from_static(encoding));
            assert_eq!(management.send(request).await.status, 415, "{encoding}");
        }
        assert_eq!(management.items().await, items, "{} wrote", operation.id);
    }
    assert!(sent >= 200, "{sent}");
}

/// The bodies that the faulty ones are derived from are valid.
#[tokio::test]
async fn valid_body_is_accepted() {
    let management = Management::new().await;
    for operation in operations().into_iter().filter(|operation| operation.has_body) {
        let path = management.existing(&operation.path).await;
        let body = valid(&operation.id).to_string();
        let answer = management.send(json_request(&operation.method, &path, body)).await;
        assert!(answer.status < 300, "{}: {:#}", operation.id, answer.body);
    }
}

#[tokio::test]
async fn faulty_value_is_named() {
    let management = Management::new().await;
    let (id, _) = management.key(ORG).await;
    let keys = format!("/orgs/{ORG}/keys");
    let key = format!("{keys}/{id}");
    let clients = format!("/orgs/{ORG}/clients");
    let trust = |issuer: &str| json!({ "issuer": issuer, "audience": "a", "subject": "s" });
    let items = management.items().await;
    let long = "é".repeat(201);
    for (method, path, body, status, pointers) in [
        ("POST", keys.as_str(), json!({}), 400, vec!["#/scopes"]),
        ("POST", &keys, json!({ "scopes": [] }), 400, vec!["#/scopes"]),
        ("POST", &keys, json!({ "scopes": ["admin"] }), 400, vec!["#/scopes/0"]),
        ("POST", &keys, json!({ "scopes": ["read", "SCIM"] }), 400, vec!["#/scopes/1"]),
        ("POST", &keys, json!({ "scopes": ["read", "read"] }), 400, vec!["#/scopes/1"]),
        ("POST", &keys, json!({ "scopes": "read" }), 400, vec!["#/scopes"]),
        ("POST", &keys, json!({ "scopes": ["read"], "label": long }), 400, vec!["#/label"]),
        ("POST", &keys, json!({ "scopes": ["read"], "label": "a\u{1b}[2J" }), 400, vec!["#/label"]),
        ("POST", &keys, json!({ "scopes": ["read"], "label": " " }), 400, vec!["#/label"]),
        ("POST", &keys, json!({ "scopes": ["read"], "ends": "2026-11-23T09:00:00Z" }), 422, vec!["#/ends"]),
        ("POST", &keys, json!({ "scopes": ["read"], "ends": "2036-11-24T09:00:00Z" }), 422, vec!["#/ends"]),
        ("POST", &keys, json!({ "scopes": ["read"], "ends": "90d" }), 400, vec!["#/ends"]),
        (
            "POST",
            &keys,
            json!({ "label": 1, "ends": 1, "x": 1 }),
            400,
            vec!["#/scopes", "#/label", "#/ends", "#/x"],
        ),
        ("PATCH", &key, json!({ "scopes": null }), 400, vec!["#/scopes"]),
        ("PATCH", &key, json!({ "ends": "2020-01-01T00:00:00Z" }), 422, vec!["#/ends"]),
        (
            "PATCH",
            "/orgs/acme",
            json!({ "settings": { "tokenMinutes": 4 } }),
            400,
            vec!["#/settings/tokenMinutes"],
        ),
        (
            "PATCH",
            "/orgs/acme",
            json!({ "settings": { "tokenMinutes": 361 } }),
            400,
            vec!["#/settings/tokenMinutes"],
        ),
        (
            "PATCH",
            "/orgs/acme",
            json!({ "settings": { "rate": 0, "burst": 0 } }),
            400,
            vec!["#/settings/rate", "#/settings/burst"],
        ),
        ("PATCH", "/orgs/acme", json!({ "enabled": "no" }), 400, vec!["#/enabled"]),
        ("POST", &clients, json!({ "scopes": [] }), 400, vec!["#/scopes"]),
        (
            "POST",
            &clients,
            json!({ "scopes": ["scim"], "ends": "2029-11-25T09:00:00Z" }),
            422,
            vec!["#/ends"],
        ),
        (
            "POST",
            &clients,
            json!({ "scopes": ["scim"], "trust": {} }),
            400,
            vec!["#/trust/issuer", "#/trust/audience", "#/trust/subject"],
        ),
        (
            "POST",
            &clients,
            json!({ "scopes": ["scim"], "trust": trust("http://issuer.example") }),
            422,
            vec!["#/trust"],
        ),
        ("POST", &clients, json!({ "scopes": ["scim"], "trust": trust("a b") }), 400, vec!["#/trust/issuer"]),
        (
            "POST",
            &clients,
            json!({ "scopes": ["scim"], "trust": trust("https://i.example"), "ends": "2027-11-23T09:00:00Z" }),
            422,
            vec!["#/ends"],
        ),
        ("POST", "/orgs", json!({ "org": "ACME" }), 400, vec!["#/org"]),
        ("POST", "/orgs", json!({ "org": "a#b" }), 400, vec!["#/org"]),
        ("POST", "/orgs", json!({ "org": "a".repeat(41) }), 400, vec!["#/org"]),
    ] {
        let answer = management.send(json_request(&method.parse().unwrap(), path, body.to_string())).await;
        let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = errors.iter().filter_map(|fault| fault["pointer"].as_str()).collect();
        assert_eq!((answer.status, found), (status, pointers), "{method} {path} {body}");
    }
    assert_eq!(management.items().await, items);
}

/// The ids of another organisation, ids of nothing, and names that no organisation can have.
#[tokio::test]
async fn unknown_id_is_not_found_and_writes_nothing() {
    let management = Management::new().await;
    management.org("globex").await;
    let (of_globex, _) = management.key("globex").await;
    let (client, _) = management.client("globex").await;
    assert_eq!(management.get(&format!("/orgs/globex/clients/{client}")).await.status, 200);
    let items = management.items().await;
    let encoded = ["%00", "%2F", "%ff", "..%2F..", "a%23b"];
    for operation in operations() {
        let body = if operation.has_body { valid(&operation.id) } else { Value::Null };
        let mut paths: Vec<String> = Vec::new();
        if operation.path.contains("0000000000000000") {
            let ids = encoded.into_iter().chain([of_globex.as_str(), "0000000000000000", "x"]);
            paths.extend(ids.map(|id| operation.path.replacen("0000000000000000", id, 1)));
            paths.push(operation.path.replace("acme.0000000000000000", &client));
        }
        // The log of an organisation outlives the organisation.
        if operation.path.contains(ORG) && operation.id != "listAudit" {
            let names = encoded.into_iter().chain(["nobody", "ACME", "acme-"]);
            paths.extend(names.map(|name| operation.path.replacen(ORG, name, 1)));
        }
        for path in paths {
            let answer = management.send(request(operation.method.clone(), &path, &body)).await;
            assert_eq!(answer.status, 404, "{} {path}: {:#}", operation.method, answer.body);
        }
    }
    assert_eq!(management.items().await, items);
}

#[tokio::test]
async fn unknown_parameter_is_refused_and_writes_nothing() {
    let management = Management::new().await;
    let (key, _) = management.key(ORG).await;
    let items = management.items().await;
    for operation in operations() {
        let body = if operation.has_body { valid(&operation.id) } else { Value::Null };
        let path = operation.path.replace("0000000000000000", &key);
        for query in ["unknown=1", "force", "%ff=1"] {
            let path = format!("{path}?{query}");
            let answer = management.send(request(operation.method.clone(), &path, &body)).await;
            assert_eq!(answer.status, 400, "{} {path}: {:#}", operation.method, answer.body);
        }
    }
    assert_eq!(management.items().await, items);
}

#[tokio::test]
async fn unknown_path_and_method_are_problems() {
    let management = Management::new().await;
    for path in ["", "/", "/nothing", "/orgs/acme/nothing", "/orgs/acme/keys/1/2/3", "/orgs/"] {
        assert_eq!(management.get(path).await.status, 404, "{path}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "QUERY"] {
        let answer = management.send(request(method.parse().unwrap(), "/orgs", &Value::Null)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST,GET,HEAD"), "{method}");
    }
}

#[tokio::test]
async fn conflict_is_refused_and_writes_nothing() {
    let management = Management::new().await;
    let (id, _) = management.key(ORG).await;
    let path = format!("/orgs/{ORG}/keys/{id}");
    let revoked = management.post(&format!("{path}/revoke"), Value::Null).await;
    assert_eq!((revoked.status, text(&revoked, "id")), (200, id));
    let items = management.items().await;
    assert_eq!(management.post("/orgs", json!({ "org": ORG })).await.status, 409);
    assert_eq!(management.patch(&path, json!({ "label": "x" })).await.status, 409);
    assert_eq!(management.post(&format!("{path}/rotate"), json!({})).await.status, 409);
    assert_eq!(management.items().await, items);
}
