//! Bad input: every class of HAZARDS.md §1 as a table of requests and verdicts.
//!
//! A line of a table is a name, a verdict (status and `scimType`) and a request. After each table the data of both
//! organisations must be unchanged and healthy.

use std::fmt::{Display, Write};

use axum::http::Method;
use expect_test::expect;
use serde_json::{Value, json};
use service::auth::Scope;
use tests::{BASE, Request, Service, form_violations};

use super::{UNKNOWN_ID, assert_no_failures, contents, raw_response, requests_with_body};

const OTHER: &str = "beta";

/// A service with two organisations, each with users and a group.
struct TwoOrgs {
    service: Service,
    /// The paths of a user and a group, `/Users/<id>` and `/Groups/<id>`.
    user: String,
    group: String,
    /// The key and the ids of the other organisation.
    other_key: String,
    other_user: String,
    other_group: String,
    before: [String; 2],
}

impl TwoOrgs {
    async fn new() -> Self {
        let service = Service::new().await;
        let ada = json!({
            "userName": "ada@example.com",
            "externalId": "ext-1",
            "emails": [{ "type": "work", "value": "ada@example.com", "primary": true }],
            "active": true,
        });
        let ada = service.post("/Users", ada).await.id();
        let bob = service.user("bob@example.com").await;
        let group = service.group("Staff", &[&ada, &bob]).await;
        let other_key = service.organisation(OTHER, &[Scope::Scim]).await;
        let create = async |path, body| {
            let answer = Request::post(path, &body).bearer(&other_key).send(&service).await;
            assert_eq!(answer.status, 201, "{:#}", answer.body);
            answer.id()
        };
        let other_user = create("/Users", json!({ "userName": "zoe@example.com" })).await;
        let members = json!([{ "value": other_user }]);
        let other_group = create("/Groups", json!({ "displayName": "Others", "members": members })).await;
        let (user, group) = (format!("/Users/{ada}"), format!("/Groups/{group}"));
        let before = [const { String::new() }; 2];
        let mut orgs = Self { service, user, group, other_key, other_user, other_group, before };
        orgs.before = orgs.contents().await;
        orgs
    }

    async fn contents(&self) -> [String; 2] {
        [
            contents(&self.service, &self.service.org, &self.service.key).await,
            contents(&self.service, OTHER, &self.other_key).await,
        ]
    }

    /// Sends each request of a table. Fails unless each response has its verdict and a valid form, and no data changes.
    async fn assert_verdicts<N: Display>(&self, table: impl IntoIterator<Item = (N, &str, Request)>) {
        let mut failures = Vec::new();
        for (name, verdict, request) in table {
            let line = format!(
                "{name} ({} {})",
                request.method,
                request.target.chars().take(60).collect::<String>()
            );
            let answer = request.send(&self.service).await;
            if answer.verdict() != verdict {
                failures.push(format!(
                    "{line}: {}, not {verdict}: {}",
                    answer.verdict(),
                    answer.body["detail"]
                ));
            }
            failures.extend(form_violations(&answer).into_iter().map(|fault| format!("{line}: {fault}")));
        }
        assert_no_failures(&failures);
        for (before, after) in self.before.iter().zip(self.contents().await) {
            let new: Vec<_> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
            assert!(*before == after, "the data changed. New lines:\n{}", new.join("\n"));
        }
    }

    /// Returns valid requests that change nothing.
    async fn no_op_requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        for path in [&self.user, &self.group] {
            let shown = self.service.get(path).await.body;
            requests.push(Request::put(path, &shown));
            requests.push(Request::patch(path, json!([{ "op": "add", "value": {} }])));
        }
        requests
    }
}

fn nested(depth: usize, open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

// Bodies

#[tokio::test]
async fn body_that_is_not_a_json_object_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    let deep = nested(100_000, "[", "]");
    let deep_objects =
        format!("{{\"userName\":\"x\",\"x\":{}1{}}}", "{\"x\":".repeat(100_000), "}".repeat(100_000));
    for (name, body) in [
        ("empty", &b""[..]),
        ("blank", b" \t\r\n "),
        ("truncated", b"{\"userName\":\"eve\""),
        ("truncated in a text", b"{\"userName\":\"ev"),
        ("two objects", b"{\"userName\":\"eve\"}{\"userName\":\"eve\"}"),
        ("trailing text", b"{\"userName\":\"eve\"} x"),
        ("trailing comma", b"{\"userName\":\"eve\",}"),
        ("comment", b"{\"userName\":\"eve\" /* */}"),
        ("single quotes", b"{'userName':'eve'}"),
        ("bare word", b"userName"),
        ("form", b"userName=eve"),
        ("XML", b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>"),
        ("array", b"[{\"userName\":\"eve\",\"displayName\":\"eve\"}]"),
        ("text", b"\"eve\""),
        ("number", b"1"),
        ("null", b"null"),
        ("true", b"true"),
        ("byte order mark", b"\xEF\xBB\xBF{\"userName\":\"eve\",\"displayName\":\"eve\"}"),
        ("UTF-16", b"\xFF\xFE{\0\"\0u\0\"\0:\0\"\0e\0\"\0}\0"),
        ("invalid UTF-8", b"{\"userName\":\"\xC3\x28\",\"displayName\":\"\xC3\x28\"}"),
        ("overlong UTF-8", b"{\"userName\":\"\xC0\xAF\",\"displayName\":\"\xC0\xAF\"}"),
        ("surrogate in UTF-8", b"{\"userName\":\"\xED\xA0\x80\",\"displayName\":\"\xED\xA0\x80\"}"),
        ("NUL", b"\0"),
        ("NUL behind", b"{\"userName\":\"eve\",\"displayName\":\"eve\"}\0"),
        ("NUL in a text", b"{\"userName\":\"e\0ve\",\"displayName\":\"e\0ve\"}"),
        ("line feed in a text", b"{\"userName\":\"e\nve\",\"displayName\":\"e\nve\"}"),
        ("lone high surrogate", b"{\"userName\":\"\\ud800\",\"displayName\":\"\\ud800\"}"),
        ("lone low surrogate", b"{\"userName\":\"\\udc00\",\"displayName\":\"\\udc00\"}"),
        ("reversed surrogates", b"{\"userName\":\"\\udc00\\ud800\",\"displayName\":\"\\udc00\\ud800\"}"),
        ("lone surrogate in a name", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"\\ud800\":1}"),
        ("bad escape", b"{\"userName\":\"\\x41\",\"displayName\":\"\\x41\"}"),
        ("1e400", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"x\":1e400}"),
        ("-1e400", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"x\":-1e400}"),
        ("NaN", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"x\":NaN}"),
        ("Infinity", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"x\":Infinity}"),
        ("leading zero", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"x\":01}"),
        ("duplicate name", b"{\"userName\":\"eve\",\"userName\":\"ada\",\"displayName\":\"eve\"}"),
        (
            "duplicate name by escape",
            b"{\"userName\":\"eve\",\"us\\u0065rName\":\"ada\",\"displayName\":\"eve\"}",
        ),
        ("duplicate below", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"name\":{\"a\":1,\"a\":2}}"),
        ("duplicate in a list", b"{\"userName\":\"eve\",\"displayName\":\"eve\",\"x\":[{\"a\":1,\"a\":2}]}"),
        (
            "duplicate far below",
            b"{\"userName\":\"eve\",\"displayName\":\"e\",\"x\":[[[{\"y\":[{\"a\":1,\"a\":1}]}]]]}",
        ),
        ("depth 100,000", deep.as_bytes()),
        ("depth 100,000 not closed", &deep.as_bytes()[..100_000]),
        ("depth 100,000 of objects", deep_objects.as_bytes()),
    ] {
        table.extend(
            requests_with_body(&orgs.user, &orgs.group, body)
                .into_iter()
                .map(|request| (name, "400 invalidSyntax", request)),
        );
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn json_deeper_than_32_levels_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let body = |depth: usize| {
        format!(
            "{{\"userName\":\"ada@example.com\",\"count\":1,\"displayName\":\"x\",\"Operations\":[{{\"op\":\"add\",\"value\":{{}}}}],\"x\":{}}}",
            nested(depth - 1, "[", "]")
        )
    };
    let too_deep = requests_with_body(&orgs.user, &orgs.group, body(33).as_bytes());
    orgs.assert_verdicts(too_deep.into_iter().map(|request| ("33", "400 invalidSyntax", request))).await;
    let patches = [&orgs.user, &orgs.group].map(|path| Request::bytes(Method::PATCH, path, body(32)));
    orgs.assert_verdicts(
        patches.into_iter().zip(["200", "204"]).map(|(request, verdict)| ("32", verdict, request)),
    )
    .await;
    let search = Request::bytes(Method::POST, "/Users/.search", body(32));
    orgs.assert_verdicts([("32", "200", search)]).await;
}

#[tokio::test]
async fn value_of_wrong_type_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let user = |attributes: Value| {
        let mut body = json!({ "userName": "eve@example.com" });
        body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        body
    };
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut table = Vec::new();
    for attributes in [
        // CVE-2025-41115: a number that is another user's id.
        json!({ "externalId": 1 }),
        json!({ "externalId": true }),
        json!({ "externalId": 1e30 }),
        json!({ "externalId": ["1"] }),
        json!({ "externalId": { "value": "1" } }),
        // CVE-2019-11279: a list in place of a string.
        json!({ "userName": ["eve@example.com"] }),
        json!({ "userName": 1 }),
        json!({ "userName": { "$ne": null } }),
        json!({ "userName": false }),
        json!({ "displayName": 5 }),
        json!({ "displayName": ["x"] }),
        json!({ "name": "Eve" }),
        json!({ "name": [{ "givenName": "Eve" }] }),
        json!({ "name": { "givenName": 1 } }),
        json!({ "active": "yes" }),
        json!({ "active": 1 }),
        json!({ "active": [true] }),
        json!({ "active": {"value": true} }),
        json!({ "emails": "eve@example.com" }),
        json!({ "emails": ["eve@example.com"] }),
        json!({ "emails": { "value": "eve@example.com" } }),
        json!({ "emails": [[{ "value": "eve@example.com" }]] }),
        json!({ "emails": [{ "value": 1 }] }),
        json!({ "emails": [{ "value": ["eve@example.com"] }] }),
        json!({ "emails": [{ "value": "e", "primary": "maybe" }] }),
        json!({ "emails": [{ "value": "e", "primary": 1 }] }),
        json!({ "emails": [{ "value": "e", "type": 7 }] }),
        json!({ "emails": [{ "value": "a", "primary": true }, { "value": "b", "primary": true }] }),
        json!({ "x509Certificates": [{ "value": "not base64!" }] }),
        json!({ "profileUrl": 1 }),
        json!({ (enterprise): "x" }),
        json!({ (enterprise): [{}, {}] }),
        json!({ (enterprise): { "employeeNumber": 1 } }),
        json!({ (enterprise): { "manager": 1 } }),
        json!({ (enterprise): { "manager": { "value": 1 } } }),
        json!({ (enterprise): { "manager": [{ "value": "a" }, { "value": "b" }] } }),
    ] {
        let body = user(attributes.clone());
        table.push((attributes.to_string(), "400 invalidValue", Request::post("/Users", &body)));
        table.push((attributes.to_string(), "400 invalidValue", Request::put(&orgs.user, &body)));
        // PATCH accepts one object where the RFC requires a list (CLIENTS.md).
        let lenient =
            ["{\"emails\":{\"value\":\"eve@example.com\"}}"].contains(&attributes.to_string().as_str());
        if !lenient {
            let operations = json!([{ "op": "replace", "value": attributes }]);
            table.push((attributes.to_string(), "400 invalidValue", Request::patch(&orgs.user, &operations)));
        }
    }
    for body in [
        json!({ "displayName": 1 }),
        json!({ "displayName": ["x"] }),
        json!({ "displayName": "x", "members": "y" }),
        json!({ "displayName": "x", "members": { "value": "y" } }),
        json!({ "displayName": "x", "members": ["y"] }),
        json!({ "displayName": "x", "members": [1] }),
        json!({ "displayName": "x", "members": [null] }),
        json!({ "displayName": "x", "members": [{}] }),
        json!({ "displayName": "x", "members": [{ "value": 1 }] }),
        json!({ "displayName": "x", "members": [{ "value": ["y"] }] }),
        json!({ "displayName": "x", "members": [{ "value": "" }] }),
        json!({ "displayName": "x", "members": [{ "value": "y", "type": "Robot" }] }),
        json!({ "displayName": "x", "members": [{ "value": "y", "type": 1 }] }),
        json!({ "displayName": "x", "externalId": 1 }),
    ] {
        table.push((body.to_string(), "400 invalidValue", Request::post("/Groups", &body)));
        table.push((body.to_string(), "400 invalidValue", Request::put(&orgs.group, &body)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn required_attribute_cannot_be_missing_or_blank() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for blank in
        [json!({}), json!(null), json!(""), json!(" "), json!("\t"), json!("\u{a0}\u{3000}"), json!([])]
    {
        for (collection, item, name) in
            [("/Users", &orgs.user, "userName"), ("/Groups", &orgs.group, "displayName")]
        {
            let body = json!({ (name): blank, "externalId": "x" });
            table.push((body.to_string(), "400 invalidValue", Request::post(collection, &body)));
            table.push((body.to_string(), "400 invalidValue", Request::put(item, &body)));
            let operations = json!([{ "op": "replace", "path": name, "value": blank }]);
            table.push((operations.to_string(), "400 invalidValue", Request::patch(item, &operations)));
        }
    }
    for (item, name) in [(&orgs.user, "userName"), (&orgs.group, "displayName")] {
        let without = json!({ "externalId": "x" });
        table.push((name.to_owned(), "400 invalidValue", Request::put(item, &without)));
        let removal = json!([{ "op": "remove", "path": name }]);
        table.push((format!("remove {name}"), "400 mutability", Request::patch(item, &removal)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn attribute_repeated_in_another_case_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for body in [
        r#"{"userName":"eve","USERNAME":"ada@example.com"}"#,
        r#"{"userName":"eve","name":{"givenName":"a","givenname":"b"}}"#,
        r#"{"userName":"eve","emails":[{"value":"a","Value":"b"}]}"#,
        r#"{"userName":"eve","active":true,"Active":false}"#,
        r#"{"userName":"eve","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"a"},"URN:IETF:params:scim:schemas:extension:enterprise:2.0:User":{"department":"b"}}"#,
        r#"{"userName":"eve","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"a","Department":"b"}}"#,
    ] {
        table.push((body, "400 invalidSyntax", Request::bytes(Method::POST, "/Users", body)));
        table.push((body, "400 invalidSyntax", Request::bytes(Method::PUT, &orgs.user, body)));
        let patch = format!(r#"{{"Operations":[{{"op":"add","value":{body}}}]}}"#);
        table.push((body, "400 invalidSyntax", Request::bytes(Method::PATCH, &orgs.user, patch)));
    }
    for body in [
        r#"{"displayName":"x","DisplayName":"y"}"#,
        r#"{"displayName":"x","members":[],"Members":[]}"#,
        r#"{"displayName":"x","members":[{"value":"a","VALUE":"b"}]}"#,
    ] {
        table.push((body, "400 invalidSyntax", Request::bytes(Method::POST, "/Groups", body)));
        table.push((body, "400 invalidSyntax", Request::bytes(Method::PUT, &orgs.group, body)));
    }
    for body in [
        r#"{"Operations":[],"operations":[{"op":"remove","path":"emails"}]}"#,
        r#"{"Operations":[{"op":"add","OP":"remove","path":"emails"}]}"#,
        r#"{"Operations":[{"op":"remove","path":"title","Path":"emails"}]}"#,
        r#"{"Operations":[{"op":"replace","path":"title","value":"a","VALUE":"b"}]}"#,
        r#"{"Operations":[{"op":"replace","value":"{\"title\":\"a\",\"title\":\"b\"}"}]}"#,
    ] {
        table.push((body, "400 invalidSyntax", Request::bytes(Method::PATCH, &orgs.user, body)));
    }
    for body in [r#"{"count":1,"Count":2}"#, r#"{"filter":"id pr","FILTER":"title pr"}"#] {
        table.push((body, "400 invalidValue", Request::bytes(Method::POST, "/Users/.search", body)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn list_is_limited_to_100_values_and_40_emails() {
    let orgs = TwoOrgs::new().await;
    let values =
        |count: usize| -> Value { (0..count).map(|n| json!({ "value": format!("v{n}") })).collect() };
    let mut table = Vec::new();
    for (name, most) in
        [("emails", 40), ("phoneNumbers", 100), ("roles", 100), ("entitlements", 100), ("ims", 100)]
    {
        let body = json!({ "userName": "eve", (name): values(most + 1) });
        table.push((name, "400 invalidValue", Request::post("/Users", &body)));
        table.push((name, "400 invalidValue", Request::put(&orgs.user, &body)));
        for op in ["add", "replace"] {
            let operations = json!([{ "op": op, "path": name, "value": values(most + 1) }]);
            table.push((name, "400 invalidValue", Request::patch(&orgs.user, &operations)));
        }
        let one_by_one: Value = (0..=most)
            .map(|n| json!({ "op": "add", "path": name, "value": [{ "value": format!("v{n}") }] }))
            .collect();
        table.push((name, "400 invalidValue", Request::patch(&orgs.user, &one_by_one)));
        let by_filter: Value = (0..=most)
            .map(|n| json!({ "op": "add", "path": format!("{name}[type eq \"t{n}\"].value"), "value": "v" }))
            .collect();
        table.push((name, "400 invalidValue", Request::patch(&orgs.user, &by_filter)));
    }
    orgs.assert_verdicts(table).await;

    for (name, most) in [("emails", 40), ("phoneNumbers", 100)] {
        let body = json!({ "userName": format!("{name}@example.com"), (name): values(most) });
        let created = orgs.service.post("/Users", body).await;
        assert_eq!(created.status, 201, "{:#}", created.body);
        // One transaction holds the index entries of all old and new values.
        let path = format!("/Users/{}", created.id());
        let others: Value = (0..most).map(|n| json!({ "value": format!("w{n}") })).collect();
        let operations = json!([{ "op": "replace", "path": name, "value": others }]);
        assert_eq!(orgs.service.patch(&path, operations).await.status, 200);
        orgs.service.assert_healthy().await;
    }
}

#[tokio::test]
async fn resource_is_limited_to_300_kilobytes() {
    let orgs = TwoOrgs::new().await;
    let big = "x".repeat(300 * 1024);
    let custom = "urn:ietf:params:scim:schemas:extension:Custom:2.0:User";
    orgs.assert_verdicts([
        ("text", "400 invalidValue", Request::post("/Users", json!({ "userName": "eve", "title": big }))),
        ("PUT", "400 invalidValue", Request::put(&orgs.user, json!({ "userName": "eve", "title": big }))),
        (
            "PATCH",
            "400 invalidValue",
            Request::patch(&orgs.user, json!([{ "op": "add", "path": "title", "value": big }])),
        ),
        (
            "custom",
            "400 invalidValue",
            Request::post("/Users", json!({ "userName": "eve", (custom): { "a": big } })),
        ),
    ])
    .await;
    let large = json!({ "userName": "large", "title": "x".repeat(299 * 1024) });
    assert_eq!(orgs.service.post("/Users", large).await.status, 201);
    assert_eq!(orgs.service.get("/Users?filter=title%20pr").await.body["totalResults"], 1);
}

#[tokio::test]
async fn body_one_byte_over_the_limit_is_413() {
    let orgs = TwoOrgs::new().await;
    let (user, group) = (1024 * 1024, 5 * 1024 * 1024 + 512 * 1024);
    let padded = |request: &Request, length: usize| {
        let mut body = request.body.to_vec();
        body.resize(length, b' ');
        Request { body: body.into(), ..request.clone() }
    };
    let mut table = Vec::new();
    for request in orgs.no_op_requests().await {
        let (limit, carried_out) = match (request.target.contains("/Users"), &request.method) {
            (true, _) => (user, "200"),
            (false, &Method::PATCH) => (group, "204"),
            (false, _) => (group, "200"),
        };
        table.push(("at the limit", carried_out, padded(&request, limit)));
        table.push(("over the limit", "413", padded(&request, limit + 1)));
    }
    // The content of the body does not matter.
    let zeros = Request::bytes(Method::POST, "/Users", vec![0; user + 1]);
    table.push(("zeros", "413", zeros));
    let group_create = Request::bytes(Method::POST, "/Groups", vec![b'['; group + 1]);
    table.push(("brackets", "413", group_create));
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn body_of_unsupported_media_type_is_415() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for request in orgs.no_op_requests().await {
        #[rustfmt::skip]
        let types = [
            "text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x", "application/json-patch+json",
            "application/merge-patch+json", "application/octet-stream", "application/scim+xml", "json",
            "*/*", "application/jsonx", "text/plain, application/json",
        ];
        for content_type in types {
            table.push((content_type, "415", request.clone().with_header("content-type", content_type)));
        }
        for encoding in
            ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, identity", "identity, gzip", "nonsense"]
        {
            table.push((encoding, "415", request.clone().header("content-encoding", encoding)));
        }
        let twice = request.clone().header("content-type", "application/json");
        table.push(("two content types", "400 invalidValue", twice));
    }
    // The header of a gzip bomb. The service does not decompress bodies.
    let mut bomb = Request::bytes(Method::POST, "/Users", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    table.push(("gzip without content-encoding", "400 invalidSyntax", bomb.clone()));
    bomb = bomb.header("content-encoding", "gzip");
    table.push(("gzip", "415", bomb));
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn every_json_media_type_is_accepted() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for request in orgs.no_op_requests().await {
        let carried_out =
            if request.target.contains("/Groups") && request.method == Method::PATCH { "204" } else { "200" };
        for content_type in [
            "application/scim+json",
            "application/json",
            "application/json; charset=utf-8",
            "APPLICATION/SCIM+JSON;charset=\"UTF-8\"",
            " application/json ",
            "text/json",
        ] {
            table.push((
                content_type,
                carried_out,
                request.clone().with_header("content-type", content_type),
            ));
        }
        table.push(("none", carried_out, request.clone().without_header("content-type")));
        table.push(("identity", carried_out, request.header("content-encoding", "identity")));
    }
    orgs.assert_verdicts(table).await;
}

// Filters

/// Returns requests with the filter as a query parameter and in search requests.
fn filter_requests(filter: &str) -> Vec<Request> {
    vec![
        Request::get("/Users").filter(filter),
        Request::post("/Users/.search", json!({ "filter": filter })),
        Request::post("/.search", json!({ "filter": filter })),
    ]
}

#[tokio::test]
async fn malformed_filter_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    #[rustfmt::skip]
    let filters = [
        "", " ", "userName", "userName eq", "eq", "userName eq eve", "externalId eq jyoung",
        "userName eq 'eve'", "userName = \"eve\"", "userName == \"eve\"", "userName like \"eve\"",
        "userName eq \"eve", "userName eq eve\"", "userName eq \"eve\" and", "and userName pr",
        "userName pr and or title pr", "userName pr title pr", "userName pr, title pr", "(userName pr",
        "userName pr)", "()", "not userName pr", "not", "not ()", "userName pr pr",
        "userName eq \"a\" \"b\"", "emails[type eq \"work\"", "emails[]", "emails]",
        "emails[type eq \"work\"]]", "emails[[type pr]]", "emails [type pr", "[type pr]",
        "emails[type pr].", "emails[type pr].value", "userName eq \"\\x\"", "userName eq \"\\ud800\"",
        "userName eq \"\\udc00\\ud800\"", "userName eq \"a\nb\"", "userName eq \"\\", "userName eq \"\\\"",
        "userName eq 01", "userName eq 1e400", "userName eq NaN", "userName eq undefined", "userName eq {}",
        "userName eq []", "userName eq (\"a\")", "userName. pr", ".value pr", "emails..value pr",
        "emails.value.x pr", "1userName pr", "user name pr", "user\u{e9} pr", "*", "userName eq *",
        "userName eq \"x\" or 1=1", "userName eq \"x\"; DROP TABLE users", "userName pr --",
        "userName eq \"x\" || true", "\u{feff}userName pr", "userName\u{200b} pr", "userName\u{a0}pr",
        "userName pr\0", "\"userName\" pr", "userName pr and (title pr or (nickName pr)", "true",
        "userName eq true eq true", ":userName pr", "urn: pr",
    ];
    for filter in filters {
        for request in filter_requests(filter) {
            table.push((format!("{filter:?}"), "400 invalidFilter", request));
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn filter_with_invalid_attribute_or_type_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    #[rustfmt::skip]
    let filters = [
        // Booleans have no order and no substrings.
        "active gt true", "active lt false", "active co true", "active sw \"t\"", "active eq \"yes\"",
        "active eq 1", "active eq \"\"", "emails[primary gt true]", "emails.primary co \"t\"",
        // Strings compare with strings only.
        "userName eq 1", "userName eq true", "userName gt 5", "userName co null", "userName gt null",
        "userName sw 1", "externalId eq 1", "id eq 5", "emails.value eq 1", "emails[value eq true]",
        "profileUrl eq 1",
        // Certificates compare by equality only.
        "x509Certificates.value co \"MII\"", "x509Certificates[value gt \"MII\"]",
        "x509Certificates sw \"MII\"",
        // Dates compare with dates only.
        "meta.created gt \"yesterday\"", "meta.created eq \"2026\"", "meta.created ge 2026",
        "meta.created co \"2026\"", "meta.lastModified sw \"2026\"", "meta.created gt \"2026-11-23\"",
        "meta.created gt \"2026-11-23T09:00:00\"", "meta.created lt \"2026-13-23T09:00:00Z\"",
        "meta.created eq true",
        // Complex attributes without a `value` do not compare.
        "name eq \"eve\"", "name co \"e\"", "meta eq \"x\"", "addresses eq \"x\"", "addresses gt \"x\"",
        // Brackets apply to multi-valued complex attributes only.
        "userName[value eq \"x\"]", "active[value eq true]", "schemas[value eq \"x\"]",
        "emails.value[type eq \"x\"]",
        // Unknown attributes.
        "nonsense eq \"x\"", "nonsense pr", "isAdmin eq true", "emails.nonsense pr",
        "emails[nonsense eq \"x\"]", "nonsense[type eq \"x\"]", "name.nonsense co \"x\"",
        "userName.value eq \"x\"", "emails[emails.value eq \"x\"]",
        "emails[type eq \"work\" and emails[type pr]]", "urn:x:y:z:userName eq \"x\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:nonsense pr",
        "urn:ietf:params:scim:schemas:core:2.0:Role:userName pr",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:nonsense pr", "__proto__ pr",
        "constructor pr", "__proto__.x eq \"y\"", "constructor.prototype pr", "toString pr",
        "hasOwnProperty pr", "org eq \"beta\"", "pk eq \"ORG#beta\"", "version eq \"x\"",
        "document co \"x\"",
        // The password cannot be queried.
        "password eq \"secret\"", "password pr", "PASSWORD sw \"s\"", "not (password pr)",
        "password eq null", "userName pr or password co \"a\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:password pr",
    ];
    for filter in filters {
        for request in filter_requests(filter) {
            table.push((format!("{filter:?}"), "400 invalidFilter", request));
        }
    }
    // Attributes of users are unknown in a filter on groups.
    for filter in
        ["userName eq \"x\"", "emails pr", "password pr", "members.value gt 5", "members eq 5", "groups pr"]
    {
        table.push((format!("{filter:?}"), "400 invalidFilter", Request::get("/Groups").filter(filter)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn filter_is_limited_in_length_depth_and_nodes() {
    let orgs = TwoOrgs::new().await;
    let deep = |depth: usize| format!("{}userName pr{}", "(".repeat(depth), ")".repeat(depth));
    let nots = |depth: usize| format!("{}userName pr{}", "not (".repeat(depth), ")".repeat(depth));
    let terms = |count: usize, word: &str| vec!["title pr"; count].join(word);
    let length = |length: usize| format!("title eq \"{}\"", "x".repeat(length - 11));
    let mut table = Vec::new();
    for (verdict, filter) in [
        ("400 invalidFilter", "(".repeat(4000)),
        ("400 invalidFilter", "[".repeat(4000)),
        ("400 invalidFilter", "not (".repeat(800)),
        ("400 invalidFilter", "emails[".repeat(580)),
        ("400 invalidFilter", deep(33)),
        ("400 invalidFilter", nots(33)),
        ("400 invalidFilter", deep(2000)),
        ("400 invalidFilter", terms(200, " or ")),
        ("400 invalidFilter", length(4097)),
        ("400 invalidFilter", "title eq \"\u{1f511}\" or ".repeat(200)),
        ("400 invalidFilter", format!("title eq \"{}", "\\".repeat(50_000))),
        ("400 invalidFilter", format!("title eq \"{}", "\\\"".repeat(2000))),
        ("400 invalidFilter", format!("title eq \"{}", "\\".repeat(4001))),
        ("400 invalidFilter", "a".repeat(4096)),
        ("400 invalidFilter", "title pr ".repeat(450)),
        ("200", deep(32)),
        ("200", nots(32)),
        ("200", length(4096)),
        ("200", format!("title eq \"{}\"", "\\\\".repeat(2000))),
        ("200", format!("title eq \"{}\"", "\u{1f511}".repeat(4000))),
        ("200", format!("title pr{}", " ".repeat(4000))),
    ] {
        let name: String = filter.chars().take(20).collect();
        let request = Request::post("/Users/.search", json!({ "filter": filter }));
        table.push((name.clone(), verdict, request));
        let in_query = Request::get("/Users").filter(&filter);
        if in_query.target.len() < 65_000 {
            table.push((name, verdict, in_query));
        }
    }
    let mut raw = Request::get("/Users").filter("title eq \"");
    raw.target.push_str(&"\\".repeat(50_000));
    table.push(("50,000 backslashes".to_owned(), "400 invalidFilter", raw));
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn filter_is_limited_to_200_nodes() {
    let orgs = TwoOrgs::new().await;
    // Each comparison is a node, and each `and` or `or` of any number of terms is one node.
    let filter = |comparisons: usize| vec!["title pr"; comparisons].join(" or ");
    orgs.assert_verdicts([
        ("200", "200", Request::get("/Users").filter(filter(199))),
        ("201", "400 invalidFilter", Request::get("/Users").filter(filter(200))),
    ])
    .await;
}

#[tokio::test]
async fn patch_path_filter_is_limited_in_length_and_depth() {
    let orgs = TwoOrgs::new().await;
    let deep = |depth: usize| format!("emails[{}type pr{}]", "(".repeat(depth), ")".repeat(depth));
    let mut table = Vec::new();
    for (verdict, path) in [
        ("400 invalidPath", deep(33)),
        ("400 invalidPath", deep(1900)),
        ("400 invalidPath", "emails[".repeat(500)),
        ("400 invalidPath", "(".repeat(4000)),
        ("400 invalidPath", "(".repeat(500_000)),
        ("400 invalidPath", format!("emails[type eq \"{}", "\\".repeat(50_000))),
        ("400 invalidPath", format!("emails[type eq \"{}\"]", "\\".repeat(4001))),
        ("400 invalidPath", format!("emails[{}]", vec!["type pr"; 200].join(" or "))),
        ("400 invalidPath", format!("emails[type eq \"{}\"]", "x".repeat(4096))),
        ("400 invalidPath", "a.".repeat(2000)),
        ("400 invalidPath", "urn:".repeat(1000)),
    ] {
        for op in ["add", "replace"] {
            let request = Request::patch(&orgs.user, json!([{ "op": op, "path": path, "value": {} }]));
            table.push((path.chars().take(30).collect::<String>(), verdict, request));
        }
    }
    // The bracket is one level and the 31 parentheses are the other levels.
    let deepest = Request::patch(&orgs.user, json!([{ "op": "add", "path": deep(31), "value": {} }]));
    table.push(("32 levels".to_owned(), "200", deepest));
    orgs.assert_verdicts(table).await;
}

// PATCH

#[tokio::test]
async fn malformed_patch_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let op = json!({ "op": "replace", "path": "title", "value": "x" });
    let mut table = Vec::new();
    for (verdict, body) in [
        ("400 invalidSyntax", json!({})),
        ("400 invalidSyntax", json!({ "userName": "eve" })),
        ("400 invalidSyntax", json!({ "Operations": [] })),
        ("400 invalidSyntax", json!({ "Operations": null })),
        ("400 invalidSyntax", json!({ "Operations": op })),
        ("400 invalidSyntax", json!({ "Operations": "replace" })),
        ("400 invalidSyntax", json!({ "Operations": [null] })),
        ("400 invalidSyntax", json!({ "Operations": ["replace"] })),
        ("400 invalidSyntax", json!({ "Operations": [[op]] })),
        ("400 invalidSyntax", json!({ "Operations": [{}] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "move", "path": "title" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "test", "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "", "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": 1, "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": ["add"], "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "add", "path": 1, "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "add", "path": ["title"], "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [op], "schemas": [] })),
        (
            "400 invalidSyntax",
            json!({ "Operations": [op], "schemas": "urn:ietf:params:scim:api:messages:2.0:PatchOp" }),
        ),
        (
            "400 invalidSyntax",
            json!({ "Operations": [op], "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"] }),
        ),
        ("400 invalidValue", json!({ "Operations": vec![op.clone(); 1001] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "add", "path": "title" }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace" }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace", "value": "title" }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace", "value": 1 }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace", "value": [{ "title": "x" }] }] })),
        ("400 noTarget", json!({ "Operations": [{ "op": "remove" }] })),
        ("400 noTarget", json!({ "Operations": [{ "op": "remove", "value": { "title": "x" } }] })),
        ("400 noTarget", json!({ "Operations": [{ "op": "remove", "path": "" }] })),
    ] {
        for path in [&orgs.user, &orgs.group] {
            // Groups have no `title`.
            if path == &orgs.user || verdict == "400 invalidSyntax" {
                let name: String = body.to_string().chars().take(100).collect();
                table.push((name, verdict, Request::json(Method::PATCH, path, &body)));
            }
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn patch_with_one_invalid_operation_changes_nothing() {
    let orgs = TwoOrgs::new().await;
    let good = json!({ "op": "replace", "path": "displayName", "value": "Changed" });
    let mut table = Vec::new();
    for (verdict, path, bad) in [
        ("400 invalidPath", &orgs.user, json!({ "op": "add", "path": "nonsense", "value": "x" })),
        ("400 mutability", &orgs.user, json!({ "op": "replace", "path": "id", "value": "x" })),
        ("400 invalidValue", &orgs.user, json!({ "op": "replace", "path": "userName", "value": 1 })),
        (
            "409 uniqueness",
            &orgs.user,
            json!({ "op": "replace", "path": "userName", "value": "BOB@example.com" }),
        ),
        (
            "400 noTarget",
            &orgs.user,
            json!({ "op": "replace", "path": "emails[type sw \"h\"].value", "value": "x" }),
        ),
        (
            "400 invalidValue",
            &orgs.group,
            json!({ "op": "add", "path": "members", "value": [{ "value": "nobody" }] }),
        ),
        (
            "400 mutability",
            &orgs.group,
            json!({ "op": "replace", "path": "members[value pr].type", "value": "x" }),
        ),
        ("400 invalidPath", &orgs.group, json!({ "op": "remove", "path": "members[value" })),
    ] {
        for operations in [json!([good, bad]), json!([bad, good]), json!([good, bad, good])] {
            let name = bad.to_string();
            table.push((name.clone(), verdict, Request::patch(path, &operations)));
            let with_members = json!([{ "op": "remove", "path": "members" }, good, bad]);
            if path == &orgs.group {
                table.push((name, verdict, Request::patch(path, &with_members)));
            }
        }
    }
    orgs.assert_verdicts(table).await;
}

/// Returns PATCH requests with this path in each kind of operation.
fn write_requests<'a>(verdict: &'a str, item: &str, path: &str) -> Vec<(String, &'a str, Request)> {
    [
        json!({ "op": "add", "path": path, "value": UNKNOWN_ID }),
        json!({ "op": "replace", "path": path, "value": { "isAdmin": true } }),
        json!({ "op": "remove", "path": path }),
    ]
    .into_iter()
    .map(|operation| (path.to_owned(), verdict, Request::patch(item, json!([operation]))))
    .collect()
}

#[tokio::test]
async fn patch_path_cannot_write_read_only_attributes() {
    let orgs = TwoOrgs::new().await;
    let user = "urn:ietf:params:scim:schemas:core:2.0:User";
    let group = "urn:ietf:params:scim:schemas:core:2.0:Group";
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut paths: Vec<(&str, String)> = Vec::new();
    #[rustfmt::skip]
    let names = [
        "id", "ID", "Id", "meta", "META", "meta.created", "meta.version", "Meta.Location",
        "meta.resourceType", "schemas", "SCHEMAS", "groups", "Groups", "groups.value",
        "groups[value eq \"x\"]", "groups[value eq \"x\"].value", "groups.$ref",
    ];
    for name in names {
        paths.push((&orgs.user, name.to_owned()));
        paths.push((&orgs.user, format!("{user}:{name}")));
        paths.push((&orgs.user, format!("{}:{name}", user.to_uppercase())));
    }
    for name in ["id", "iD", "meta", "meta.lastModified", "schemas"] {
        paths.push((&orgs.group, name.to_owned()));
        paths.push((&orgs.group, format!("{group}:{name}")));
    }
    for name in ["members.value", "members.type", "members[value pr].value", "members.$ref"] {
        paths.push((&orgs.group, name.to_owned()));
    }
    paths.push((&orgs.user, format!("{enterprise}:manager.displayName")));
    paths.push((&orgs.user, "manager.displayName".to_owned()));
    orgs.assert_verdicts(
        paths.into_iter().flat_map(|(item, path)| write_requests("400 mutability", item, &path)),
    )
    .await;
}

#[tokio::test]
async fn patch_path_of_unknown_attribute_is_rejected() {
    let orgs = TwoOrgs::new().await;
    #[rustfmt::skip]
    let names = [
        "__proto__", "__proto__.isAdmin", "__proto__[value eq \"x\"]", "constructor",
        "constructor.prototype", "constructor.prototype.isAdmin", "prototype", "toString", "valueOf",
        "hasOwnProperty", "name.__proto__", "name.constructor", "name.toString", "emails.__proto__",
        "emails[type eq \"work\"].__proto__", "emails[type eq \"work\"].constructor",
        "emails[__proto__ eq \"x\"].value", "urn:__proto__:x", "__proto__:x",
        "urn:ietf:params:scim:schemas:core:2.0:User:__proto__",
        "urn:ietf:params:scim:schemas:core:2.0:User:constructor",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName", "nonsense", "isAdmin", "admin", "role",
        "org", "organization.id", "tenant", "scopes", "pk", "sk", "version", "format", "intent", "document",
        "id.x", "id[x pr]", "userName[value eq \"x\"]", "name[givenName pr]", "userName.value",
        "emails.nonsense", "emails[type", "emails[type eq \"work\"]value", "emails[type eq \"work\"].",
        "emails[type eq \"work\"].value.x", "emails.", ".", "..", "/userName", "$.userName",
        "userName,title", "userName title", " ", "emails[]", "emails[0]", "emails[*]", "emails[0].value",
        "emails.0", "emails/0/value", "userName\0", "user\u{200b}Name", "urn:", ":", ":userName",
        "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:User:",
    ];
    orgs.assert_verdicts(
        names.into_iter().flat_map(|name| write_requests("400 invalidPath", &orgs.user, name)),
    )
    .await;
}

#[tokio::test]
async fn read_only_and_unknown_attributes_in_bodies_are_ignored() {
    let orgs = TwoOrgs::new().await;
    let mass = json!({
        "id": UNKNOWN_ID,
        "ID": null,
        "__proto__": { "isAdmin": true },
        "constructor": { "prototype": { "isAdmin": true } },
        "toString": "x",
        "__proto__.isAdmin": true,
        "constructor.prototype.isAdmin": true,
        "name.__proto__": "x",
        "meta": { "created": "2001-01-01T00:00:00Z", "version": "W/\"x\"", "resourceType": "Admin" },
        "meta.location": "https://evil.example",
        "schemas": ["urn:evil"],
        "groups": [{ "value": orgs.group.trim_start_matches("/Groups/") }],
        "groups.value": "x",
        "password": "secret",
        "isAdmin": true,
        "admin": true,
        "org": OTHER,
        "tenant": OTHER,
        "version": "x",
        "intent": "x",
        "urn:ietf:params:scim:schemas:core:2.0:User:id": UNKNOWN_ID,
        "urn:ietf:params:scim:schemas:core:2.0:User:groups": [],
        "URN:IETF:PARAMS:SCIM:SCHEMAS:CORE:2.0:USER:META": {},
    });
    let mut table = Vec::new();
    for op in ["add", "replace"] {
        let mut value = mass.clone();
        value.as_object_mut().unwrap().shift_remove("ID");
        table.push(("user", "200", Request::patch(&orgs.user, json!([{ "op": op, "value": value }]))));
        value.as_object_mut().unwrap().shift_remove("groups");
        table.push(("group", "204", Request::patch(&orgs.group, json!([{ "op": op, "value": value }]))));
    }
    table.push((
        "id twice",
        "400 invalidSyntax",
        Request::patch(&orgs.user, json!([{ "op": "add", "value": mass }])),
    ));
    orgs.assert_verdicts(table).await;

    // The same attributes in the bodies of a POST and a PUT.
    let mut body = mass;
    let object = body.as_object_mut().unwrap();
    object.shift_remove("ID");
    object.insert("userName".into(), "eve@example.com".into());
    for answer in [
        orgs.service.post("/Users", body.clone()).await,
        orgs.service
            .put(&orgs.user, json!({ "userName": "x", "schemas": [], "id": UNKNOWN_ID, "isAdmin": true }))
            .await,
    ] {
        assert!(answer.status < 300, "{:#}", answer.body);
        let mut names: Vec<_> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
        names.retain(|name| *name != "groups");
        assert_eq!(names, ["schemas", "id", "userName", "meta"]);
        assert_ne!(answer.id(), UNKNOWN_ID);
        assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
        assert_eq!(orgs.service.named(answer.body["meta"]["created"].as_str().unwrap_or_default()), "{now}");
        assert_eq!(answer.body["meta"]["resourceType"], "User");
        let location = format!("{BASE}/Users/{}", answer.id());
        assert_eq!(answer.body["meta"]["location"], location.as_str());
    }
    orgs.service.assert_healthy().await;
}

// Other organisations

#[tokio::test]
async fn ids_of_another_organisation_are_unknown() {
    let orgs = TwoOrgs::new().await;
    let (user, group) = (&orgs.other_user, &orgs.other_group);
    let mut table = Vec::new();
    for id in [user, group] {
        let member = json!([{ "value": id }]);
        let by_reference = json!([{ "value": id, "$ref": format!("{BASE}/Users/{id}"), "type": "User" }]);
        for members in [member, by_reference] {
            let body = json!({ "displayName": "Thieves", "members": members });
            table.push(("members", "400 invalidValue", Request::post("/Groups", &body)));
            table.push(("members", "400 invalidValue", Request::put(&orgs.group, &body)));
            for op in ["add", "replace"] {
                let operations = json!([{ "op": op, "path": "members", "value": members }]);
                table.push(("members", "400 invalidValue", Request::patch(&orgs.group, &operations)));
                let operations = json!([{ "op": op, "value": { "members": members } }]);
                table.push(("members", "400 invalidValue", Request::patch(&orgs.group, &operations)));
            }
            // The removal of a user that is not a member succeeds and changes nothing.
            let operations = json!([{ "op": "remove", "path": "members", "value": members }]);
            table.push(("members", "204", Request::patch(&orgs.group, &operations)));
        }
    }
    for path in [format!("/Users/{user}"), format!("/Groups/{group}")] {
        let body = json!({ "userName": "stolen", "displayName": "stolen" });
        let operations = json!([{ "op": "replace", "value": body }]);
        table.push(("GET", "404", Request::get(&path)));
        table.push(("PUT", "404", Request::put(&path, &body)));
        table.push(("PATCH", "404", Request::patch(&path, &operations)));
        table.push(("DELETE", "404", Request::delete(&path)));
        table.push(("DELETE", "404", Request::delete(&path).header("if-match", "*")));
    }
    for filter in [
        format!("id eq \"{user}\""),
        format!("groups.value eq \"{group}\""),
        format!("groups eq \"{group}\""),
    ] {
        table.push(("filter", "200", Request::get("/Users").filter(&filter)));
        let found = Request::get("/Users").filter(&filter).send(&orgs.service).await;
        assert_eq!(found.body["totalResults"], 0, "{filter}");
    }
    for filter in [
        format!("id eq \"{group}\""),
        format!("members.value eq \"{user}\""),
        format!("members[value eq \"{user}\"]"),
    ] {
        let found = Request::get("/Groups").filter(&filter).send(&orgs.service).await;
        assert_eq!(found.body["totalResults"], 0, "{filter}");
    }
    let everything = orgs.service.post("/.search", json!({})).await.body.to_string();
    assert!(!everything.contains(user) && !everything.contains(group) && !everything.contains("zoe@"));
    orgs.assert_verdicts(table).await;

    // A manager is a plain string. The service does not look it up in any organisation.
    let manager = json!({ "value": user });
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let operations = json!([{ "op": "add", "path": format!("{enterprise}:manager"), "value": manager }]);
    let answer = orgs.service.patch(&orgs.user, operations).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body[enterprise]["manager"], manager);
    assert_eq!(contents(&orgs.service, OTHER, &orgs.other_key).await, orgs.before[1]);
}

#[tokio::test]
async fn user_names_are_unique_per_organisation() {
    let orgs = TwoOrgs::new().await;
    let body = json!({ "userName": "zoe@example.com", "externalId": "1" });
    let created = orgs.service.post("/Users", body).await;
    assert_eq!(
        created.status, 201,
        "the user of the other organisation causes no conflict: {:#}",
        created.body
    );
    assert_ne!(created.id(), orgs.other_user);
    assert_eq!(contents(&orgs.service, OTHER, &orgs.other_key).await, orgs.before[1]);
}

#[tokio::test]
async fn external_id_is_never_used_as_an_id() {
    let orgs = TwoOrgs::new().await;
    // Grafana, CVE-2025-41115: the externalId "1" gave access to the administrator. An externalId is not an id here.
    let id = orgs.user.trim_start_matches("/Users/").to_owned();
    for external_id in ["1", "0", "-1", &id, "null", "true", UNKNOWN_ID] {
        let body = json!({ "userName": format!("x-{external_id}"), "externalId": external_id });
        let created = orgs.service.post("/Users", body).await;
        assert_eq!((created.status, &created.body["externalId"]), (201, &json!(external_id)));
        assert_ne!(created.id(), id);
        let found = Request::get("/Users")
            .filter(format!("externalId eq \"{external_id}\""))
            .send(&orgs.service)
            .await;
        assert_eq!(found.body["totalResults"], 1);
        assert_eq!(found.body["Resources"][0]["id"], created.id().as_str());
        if external_id != id {
            assert_eq!(orgs.service.get(&format!("/Users/{external_id}")).await.status, 404);
        }
    }
    orgs.service.assert_healthy().await;
}

#[tokio::test]
async fn bulk_operation_fails_like_the_single_request() {
    let orgs = TwoOrgs::new().await;
    let (user, group) = (format!("/Users/{}", orgs.other_user), format!("/Groups/{}", orgs.other_group));
    let name = json!({ "userName": "eve", "displayName": "eve" });
    let mut failures = Vec::new();
    for (status, operation) in [
        ("404", json!({ "method": "DELETE", "path": user })),
        ("404", json!({ "method": "DELETE", "path": group })),
        ("404", json!({ "method": "PUT", "path": user, "data": name })),
        (
            "404",
            json!({ "method": "PATCH", "path": group, "data": { "Operations": [{ "op": "remove", "path": "members" }] } }),
        ),
        (
            "400",
            json!({ "method": "PUT", "path": orgs.group, "data": { "displayName": "x", "members": [{ "value": orgs.other_user }] } }),
        ),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": { "userName": 1 } })),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": [] })),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": "x" })),
        (
            "409",
            json!({ "method": "POST", "path": "/Users", "bulkId": "x", "data": { "userName": "ADA@example.com" } }),
        ),
        ("412", json!({ "method": "DELETE", "path": orgs.user, "version": "W/\"x\"" })),
        ("400", json!({ "method": "DELETE", "path": orgs.user, "version": "x" })),
        ("400", json!({ "method": "DELETE", "path": orgs.user, "version": "x\r\nX-Injected: 1" })),
        ("400", json!({ "method": "DELETE", "path": orgs.user, "version": "\u{e9}" })),
        ("404", json!({ "method": "DELETE", "path": "/Users/%0d%0aX-Injected:%201" })),
        ("400", json!({ "method": "DELETE", "path": "/Users/\r\nX-Injected: 1" })),
        ("400", json!({ "method": "DELETE", "path": format!("/Users/{}", "x".repeat(70_000)) })),
        ("400", json!({ "method": "DELETE", "path": "/Users/\u{0}" })),
        ("400", json!({ "method": "DELETE", "path": "/Users/\u{202e} x" })),
        ("405", json!({ "method": "DELETE", "path": "/Users" })),
        ("400", json!({ "method": "DELETE", "path": "/Users/bulkId:nobody" })),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": { "userName": "bulkId:nobody" } })),
    ] {
        let answer = Request::post("/Bulk", json!({ "Operations": [operation] })).send(&orgs.service).await;
        let result = &answer.body["Operations"][0];
        let is_expected = result["status"] == status && result["response"]["status"] == status;
        // The location is the percent-encoded path of the operation.
        let location = result["location"].as_str().unwrap_or_default();
        let echoed =
            result["response"].to_string().contains("X-Injected") || location.contains("X-Injected: ");
        if answer.status != 200 || !is_expected || echoed {
            failures.push(format!("{operation:.90}: {status}: {}", answer.body));
        }
    }
    assert_no_failures(&failures);
    assert!(orgs.contents().await == orgs.before, "the data changed");
}

// Names

async fn found(service: &Service, collection: &str, filter: &str) -> Vec<String> {
    let answer = Request::get(collection).filter(filter).send(service).await;
    assert_eq!(answer.status, 200, "{filter}: {:#}", answer.body);
    let shown = answer.body["Resources"].as_array().unwrap();
    assert_eq!(answer.body["totalResults"], shown.len(), "{filter}");
    let name = if collection == "/Users" { "userName" } else { "displayName" };
    shown.iter().map(|resource| resource[name].as_str().unwrap().to_owned()).collect()
}

/// Returns the filter `attribute operator "text"`.
fn compare(attribute: &str, operator: &str, text: &str) -> String {
    format!("{attribute} {operator} {}", json!(text))
}

/// Pairs of spellings of one name. Creation, renaming and filters must treat them alike.
const EQUAL_NAMES: [(&str, &str); 16] = [
    ("ada@example.com", "ADA@Example.COM"),
    ("caf\u{e9}", "CAFE\u{301}"),
    ("caf\u{65}\u{301}", "caf\u{e9}"),
    ("\u{ff21}\u{ff24}\u{ff21}", "ada"),
    ("\u{ff41}\u{ff44}\u{ff41}@\u{ff45}", "ADA@E"),
    ("stra\u{df}e", "STRASSE"),
    ("stra\u{df}e", "STRA\u{1e9e}E"),
    ("\u{130}stanbul", "i\u{307}stanbul"),
    ("\u{212a}elvin", "kelvin"),
    ("\u{17f}am", "SAM"),
    ("o\u{fb03}ce", "OFFICE"),
    ("\u{3a3}\u{391}\u{3a3}", "\u{3c3}\u{3b1}\u{3c2}"),
    ("\u{212b}ngstr\u{f6}m", "a\u{30a}NGSTRO\u{308}M"),
    ("\u{390}", "\u{1fd3}"),
    ("\u{1e69}", "s\u{307}\u{323}"),
    ("\u{2460}\u{b2}", "12"),
];

/// Pairs of distinct names.
const DISTINCT_NAMES: [(&str, &str); 9] = [
    ("ada", "\u{430}da"),
    ("i", "\u{131}"),
    ("\u{130}", "i"),
    ("o", "\u{f8}"),
    ("e", "\u{e9}"),
    ("a.b", "ab"),
    ("a b", "ab"),
    ("a+b", "a b"),
    ("a", "aa"),
];

#[tokio::test]
async fn names_ignore_case_width_and_composition() {
    for (first, second) in EQUAL_NAMES {
        let service = Service::new().await;
        let id = service.user(first).await;
        let other = service.user("other").await;
        let place = format!("{first:?} {second:?}");
        let name = json!({ "userName": second });
        assert_eq!(service.post("/Users", name.clone()).await.verdict(), "409 uniqueness", "{place}");
        assert_eq!(service.put(&format!("/Users/{other}"), name.clone()).await.verdict(), "409 uniqueness");
        let rename = json!([{ "op": "replace", "value": name }]);
        assert_eq!(service.patch(&format!("/Users/{other}"), rename).await.verdict(), "409 uniqueness");
        for text in [first, second] {
            for operator in ["eq", "sw", "co", "ew", "ge", "le"] {
                let filter = format!("{} and userName ne \"other\"", compare("userName", operator, text));
                assert_eq!(found(&service, "/Users", &filter).await, [first], "{filter}");
            }
            let filter = format!("{} or id pr and userName eq \"x\"", compare("userName", "eq", text));
            assert_eq!(found(&service, "/Users", &filter).await, [first], "{filter}");
            assert_eq!(
                found(&service, "/Users", &compare("userName", "ne", text)).await,
                ["other"],
                "{place}"
            );
        }
        // The user can change the spelling of its own name. Responses show the last spelling.
        let answer = service.put(&format!("/Users/{id}"), name).await;
        assert_eq!((answer.status, &answer.body["userName"]), (200, &json!(second)), "{place}");
        assert_eq!(found(&service, "/Users", &compare("userName", "eq", first)).await, [second], "{place}");
        service.assert_healthy().await;

        service.group(first, &[]).await;
        let again = service.post("/Groups", json!({ "displayName": second })).await;
        assert_eq!(again.verdict(), "409 uniqueness", "{place}");
        assert_eq!(
            found(&service, "/Groups", &compare("displayName", "eq", second)).await,
            [first],
            "{place}"
        );

        let emails = json!([{ "value": first }]);
        service
            .patch(&format!("/Users/{other}"), json!([{ "op": "add", "value": { "emails": emails } }]))
            .await;
        for attribute in ["emails.value", "emails"] {
            let filter = compare(attribute, "eq", second);
            assert_eq!(found(&service, "/Users", &filter).await, ["other"], "{filter}");
        }
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn names_with_different_letters_are_distinct() {
    for (first, second) in DISTINCT_NAMES {
        let service = Service::new().await;
        service.user(first).await;
        service.user(second).await;
        service.group(first, &[]).await;
        service.group(second, &[]).await;
        for text in [first, second] {
            assert_eq!(found(&service, "/Users", &compare("userName", "eq", text)).await, [text]);
            assert_eq!(found(&service, "/Groups", &compare("displayName", "eq", text)).await, [text]);
        }
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn external_id_is_compared_exactly() {
    let service = Service::new().await;
    for (name, external_id) in [("a", "Ext"), ("b", "ext"), ("c", "e\u{301}"), ("d", "\u{e9}"), ("e", " ext")]
    {
        let body = json!({ "userName": name, "externalId": external_id });
        assert_eq!(service.post("/Users", body).await.status, 201);
    }
    for (name, external_id) in [("a", "Ext"), ("b", "ext"), ("c", "e\u{301}"), ("d", "\u{e9}"), ("e", " ext")]
    {
        assert_eq!(found(&service, "/Users", &compare("externalId", "eq", external_id)).await, [name]);
    }
    for unknown in ["EXT", "ext ", "", "e", "\u{c9}", "ext\u{0}", "ext\u{1}"] {
        assert!(
            found(&service, "/Users", &compare("externalId", "eq", unknown)).await.is_empty(),
            "{unknown:?}"
        );
    }
}

/// Invisible characters: control, format and bidirectional characters, and separators.
const INVISIBLE: [char; 18] = [
    '\u{0}',
    '\u{1}',
    '\t',
    '\n',
    '\r',
    '\u{7f}',
    '\u{85}',
    '\u{ad}',
    '\u{200b}',
    '\u{200d}',
    '\u{200e}',
    '\u{202e}',
    '\u{2028}',
    '\u{2029}',
    '\u{2066}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0041}',
];

#[tokio::test]
async fn name_with_invisible_character_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for character in INVISIBLE {
        for name in
            [format!("ada{character}x"), format!("{character}ada"), format!("ada@example.com{character}")]
        {
            let line = format!("{name:?}");
            let (user, group) = (json!({ "userName": name }), json!({ "displayName": name }));
            table.push((line.clone(), "400 invalidValue", Request::post("/Users", &user)));
            table.push((line.clone(), "400 invalidValue", Request::put(&orgs.user, &user)));
            let rename = json!([{ "op": "replace", "value": user }]);
            table.push((line.clone(), "400 invalidValue", Request::patch(&orgs.user, &rename)));
            if character.is_control() {
                table.push((line.clone(), "400 invalidValue", Request::post("/Groups", &group)));
                table.push((line.clone(), "400 invalidValue", Request::put(&orgs.group, &group)));
            }
            // A filter on such a name is valid and matches no user.
            table.push((line, "200", Request::get("/Users").filter(compare("userName", "eq", &name))));
            assert!(found(&orgs.service, "/Users", &compare("userName", "eq", &name)).await.is_empty());
        }
        if character.is_control() {
            let text = format!("a{character}b");
            for body in [
                json!({ "userName": "eve", "externalId": text }),
                json!({ "userName": "eve", "emails": [{ "value": text }] }),
            ] {
                table.push((body.to_string(), "400 invalidValue", Request::post("/Users", &body)));
            }
        }
    }
    orgs.assert_verdicts(table).await;
}

/// Variation selectors, the combining grapheme joiner and Hangul fillers belong to no category of invisible characters,
/// but are as invisible as a zero-width space.
#[tokio::test]
async fn ignorable_characters_cannot_duplicate_a_user_name() {
    let mut failures = Vec::new();
    for character in [
        '\u{fe0f}',
        '\u{fe00}',
        '\u{34f}',
        '\u{115f}',
        '\u{3164}',
        '\u{ffa0}',
        '\u{180b}',
        '\u{17b4}',
        '\u{e0100}',
    ] {
        let service = Service::new().await;
        service.user("ada").await;
        let answer = service.post("/Users", json!({ "userName": format!("ada{character}") })).await;
        if !matches!(answer.status, 400 | 409) {
            failures.push(format!("U+{:04X}: {}", u32::from(character), answer.status));
        }
    }
    assert_no_failures(&failures);
}

/// Two groups, and so two teams of the product, must not look alike.
#[tokio::test]
async fn invisible_characters_cannot_duplicate_a_group_name() {
    let mut failures = Vec::new();
    for character in
        INVISIBLE.into_iter().filter(|character| !character.is_control() && *character != '\u{200d}')
    {
        let service = Service::new().await;
        service.group("Admins", &[]).await;
        let answer = service.post("/Groups", json!({ "displayName": format!("Ad{character}mins") })).await;
        if !matches!(answer.status, 400 | 409) {
            failures.push(format!("U+{:04X}: {}", u32::from(character), answer.status));
        }
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn group_name_accepts_joined_emoji() {
    let service = Service::new().await;
    let name = "\u{1f469}\u{200d}\u{1f4bb} Engineers \u{2764}\u{fe0f}";
    service.group(name, &[]).await;
    assert_eq!(found(&service, "/Groups", &compare("displayName", "eq", name)).await, [name]);
    let again = service.post("/Groups", json!({ "displayName": name.to_uppercase() })).await;
    assert_eq!(again.verdict(), "409 uniqueness");
}

#[tokio::test]
async fn other_attributes_are_stored_unchanged() {
    let service = Service::new().await;
    #[rustfmt::skip]
    let texts = [
        "a\u{0}b", "\u{202e}abc", "zero\u{200b}width", "\u{1f469}\u{200d}\u{1f4bb}", "e\u{301}", "\u{fdfa}",
        " a ", "\\\"'/<>&", "${7*7}", "'; DROP TABLE users; --", "=cmd|' /C calc'!A0", "\u{10ffff}",
        "\u{fffe}", "\r\nX: y",
    ];
    for text in texts {
        let body = json!({ "userName": "u", "nickName": text, "name": { "givenName": text } });
        let created = service.post("/Users", body).await;
        assert_eq!(created.status, 201, "{text:?}: {:#}", created.body);
        let path = format!("/Users/{}", created.id());
        let shown = service.get(&path).await.body;
        assert_eq!((&shown["nickName"], &shown["name"]["givenName"]), (&json!(text), &json!(text)));
        assert_eq!(found(&service, "/Users", &compare("nickName", "eq", text)).await, ["u"], "{text:?}");
        assert_eq!(service.delete(&path).await.status, 204);
    }
}

#[tokio::test]
async fn user_name_is_limited_to_256_characters() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for (name, verdict) in [
        ("a".repeat(257), "400 invalidValue"),
        ("\u{e9}".repeat(257), "400 invalidValue"),
        ("\u{10400}".repeat(257), "400 invalidValue"),
        ("a".repeat(100_000), "400 invalidValue"),
        // One character whose folded form has eighteen characters, too many bytes for a key.
        ("\u{fdfa}".repeat(256), "400 invalidValue"),
        ("\u{fdfa}".repeat(32), "400 invalidValue"),
        ("\u{1f82}".repeat(256), "400 invalidValue"),
    ] {
        let body = json!({ "userName": name });
        table.push((name.clone(), verdict, Request::post("/Users", &body)));
        table.push((name.clone(), verdict, Request::put(&orgs.user, &body)));
        let rename = json!([{ "op": "replace", "value": body }]);
        table.push((name.clone(), verdict, Request::patch(&orgs.user, &rename)));
        let search = json!({ "filter": compare("userName", "eq", &name) });
        let verdict = if name.chars().count() > 4000 { "400 invalidFilter" } else { "200" };
        table.push((name, verdict, Request::post("/Users/.search", &search)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn longest_user_names_are_found() {
    for name in [
        "a".repeat(256),
        "\u{e9}".repeat(256),
        "\u{4e00}".repeat(256),
        "\u{1f511}".repeat(255),
        "\u{10400}".repeat(255),
        "\u{10400}".repeat(256),
        "\u{fdfa}".repeat(31),
        "\u{df}".repeat(256),
        "\u{130}".repeat(256),
    ] {
        let service = Service::new().await;
        let place = format!("{} x {}", name.chars().next().unwrap(), name.chars().count());
        let created = service.post("/Users", json!({ "userName": name })).await;
        assert_eq!(created.status, 201, "{place}: {:#}", created.body);
        assert_eq!(service.post("/Users", json!({ "userName": name })).await.verdict(), "409 uniqueness");
        assert_eq!(
            found(&service, "/Users", &compare("userName", "eq", &name)).await,
            [name.as_str()],
            "{place}"
        );
        assert_eq!(service.delete(&format!("/Users/{}", created.id())).await.status, 204);
        assert_eq!(service.post("/Users", json!({ "userName": name })).await.status, 201);
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn indexed_values_are_limited_to_the_key_length() {
    let orgs = TwoOrgs::new().await;
    let user = |name: &str, external_id: &str, email: &str| json!({ "userName": name, "externalId": external_id, "emails": [{ "value": email }] });
    let group = |name: &str, external_id: &str| json!({ "displayName": name, "externalId": external_id });
    let long = |bytes: usize| "x".repeat(bytes);
    let mut table = Vec::new();
    for body in [
        user("eve", &long(2000), "e"),
        user("eve", &long(981), "e"),
        user("eve", &"\u{1f511}".repeat(246), "e"),
        user("eve", "e", &long(2000)),
        user("eve", "e", &long(981)),
        user("eve", "e", &"\u{fdfa}".repeat(40)),
    ] {
        table.push(("user", "400 invalidValue", Request::post("/Users", &body)));
        table.push(("user", "400 invalidValue", Request::put(&orgs.user, &body)));
        let operations = json!([{ "op": "replace", "value": body }]);
        table.push(("user", "400 invalidValue", Request::patch(&orgs.user, &operations)));
    }
    for body in [
        group(&long(1025), "e"),
        group(&"\u{fdfa}".repeat(32), "e"),
        group("x", &long(981)),
        group("x", &long(2000)),
    ] {
        table.push(("group", "400 invalidValue", Request::post("/Groups", &body)));
        table.push(("group", "400 invalidValue", Request::put(&orgs.group, &body)));
    }
    // A filter on an impossible value is valid.
    for bytes in [979, 980, 981, 1023, 1024, 1025, 2000, 4000] {
        for (collection, attribute) in [
            ("/Users", "userName"),
            ("/Users", "externalId"),
            ("/Users", "emails.value"),
            ("/Users", "id"),
            ("/Users", "groups.value"),
            ("/Groups", "displayName"),
            ("/Groups", "externalId"),
            ("/Groups", "members.value"),
        ] {
            table.push((
                "filter",
                "200",
                Request::get(collection).filter(compare(attribute, "eq", &long(bytes))),
            ));
        }
    }
    orgs.assert_verdicts(table).await;

    let service = &orgs.service;
    assert_eq!(service.post("/Users", user("eve", &long(980), &long(980))).await.status, 201);
    assert_eq!(service.post("/Groups", group(&long(1024), &long(980))).await.status, 201);
    service.assert_healthy().await;
    assert_eq!(found(service, "/Users", &compare("externalId", "eq", &long(980))).await, ["eve"]);
    assert_eq!(found(service, "/Users", &compare("emails.value", "eq", &long(980))).await, ["eve"]);
    assert_eq!(found(service, "/Groups", &compare("externalId", "eq", &long(980))).await, [long(1024)]);
    assert_eq!(found(service, "/Groups", &compare("displayName", "eq", &long(1024))).await, [long(1024)]);
    assert_eq!(found(service, "/Groups", &compare("displayName", "eq", &long(1023))).await.len(), 0);
}

// Parameters

#[tokio::test]
async fn page_parameters_accept_extreme_numbers() {
    let orgs = TwoOrgs::new().await;
    let huge = format!("1{}", "0".repeat(30));
    let mut failures = Vec::new();
    for (query, expected) in [
        ("", "1: 2 of 2"),
        ("startIndex=1&count=1", "1: 1 of 2"),
        ("startIndex=2&count=1", "2: 1 of 2"),
        ("startIndex=3", "3: 0 of 2"),
        ("startIndex=0", "1: 2 of 2"),
        ("startIndex=-1", "1: 2 of 2"),
        ("startIndex=-0", "1: 2 of 2"),
        ("startIndex=-HUGE", "1: 2 of 2"),
        ("startIndex=9223372036854775807", "9223372036854775807: 0 of 2"),
        ("startIndex=HUGE", "9223372036854775807: 0 of 2"),
        ("startIndex=", "1: 2 of 2"),
        ("startIndex=007", "7: 0 of 2"),
        ("count=0", "1: 0 of 2"),
        ("count=-1", "1: 0 of 2"),
        ("count=-HUGE", "1: 0 of 2"),
        ("count=1000", "1: 2 of 2"),
        ("count=1001", "1: 2 of 2"),
        ("count=HUGE", "1: 2 of 2"),
        ("count=", "1: 2 of 2"),
        ("STARTINDEX=2&COUNT=5", "2: 1 of 2"),
        ("startIndex=2&count=0", "2: 0 of 2"),
        ("startIndex=HUGE&count=HUGE", "9223372036854775807: 0 of 2"),
        ("startIndex=abc", "400 invalidValue"),
        ("startIndex=1.5", "400 invalidValue"),
        ("startIndex=1e3", "400 invalidValue"),
        ("startIndex=0x10", "400 invalidValue"),
        ("startIndex=+1", "400 invalidValue"),
        ("startIndex=-", "400 invalidValue"),
        ("startIndex=%201", "400 invalidValue"),
        ("startIndex=\u{0661}", "400 invalidValue"),
        ("startIndex=1&startIndex=2", "400 invalidValue"),
        ("startIndex=1&StartIndex=1", "400 invalidValue"),
        ("startIndex=null", "400 invalidValue"),
        ("startIndex=NaN", "400 invalidValue"),
        ("startIndex[]=1&startIndex[$gt]=", "1: 2 of 2"),
        ("count=abc", "400 invalidValue"),
        ("count=1&count=2", "400 invalidValue"),
        ("count=%00", "400 invalidValue"),
        ("count=%ff", "400 invalidValue"),
        ("x=%ff", "400 invalidValue"),
        ("%ff=1", "400 invalidValue"),
        ("%", "1: 2 of 2"),
        ("&&=&=x&", "1: 2 of 2"),
    ] {
        for filter in ["", "&filter=id%20pr", "&filter=meta.created%20pr%20and%20userName%20pr"] {
            let query = query.replace("HUGE", &huge).replace('\u{661}', "%D9%A1");
            let answer = Request::get(format!("/Users?{query}{filter}")).send(&orgs.service).await;
            let body = &answer.body;
            let found = match answer.status {
                200 => {
                    let resources = body["Resources"].as_array().map_or(usize::MAX, Vec::len);
                    assert_eq!(body["itemsPerPage"], resources);
                    format!("{}: {resources} of {}", body["startIndex"], body["totalResults"])
                }
                _ => answer.verdict(),
            };
            if found != expected || !form_violations(&answer).is_empty() {
                failures
                    .push(format!("{query}{filter}: {found}, not {expected} {:?}", form_violations(&answer)));
            }
        }
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn contradictory_parameters_are_rejected() {
    let orgs = TwoOrgs::new().await;
    let many = "a,".repeat(201);
    let mut table = Vec::new();
    for path in ["/Users", "/Groups", &orgs.user, &orgs.group] {
        for (verdict, query) in [
            ("400 invalidValue", "attributes=id&excludedAttributes=meta"),
            ("400 invalidValue", "excludedAttributes=meta&attributes=id"),
            ("400 invalidValue", "Attributes=id&EXCLUDEDATTRIBUTES=meta"),
            ("400 invalidValue", "attributes=id&attributes=meta"),
            ("400 invalidValue", "excludedAttributes=id&excludedattributes=meta"),
            ("400 invalidValue", &format!("attributes={many}")),
            ("400 invalidValue", &format!("excludedAttributes={many}")),
            ("400 invalidValue", "attributes=%ff"),
            ("200", "attributes=&excludedAttributes="),
            ("200", "attributes=id&excludedAttributes="),
            ("200", "attributes=__proto__,constructor,nonsense,,,emails[type%20eq%20%22work%22],%00,(((("),
            ("200", "excludedAttributes=id,schemas,meta,password"),
            ("200", "unknown=1&unknown=2"),
        ] {
            table.push((query.to_owned(), verdict, Request::get(format!("{path}?{query}"))));
        }
    }
    for query in ["filter=id%20pr&filter=title%20pr", "filter=id%20pr&Filter=id%20pr"] {
        table.push((query.to_owned(), "400 invalidValue", Request::get(format!("/Users?{query}"))));
    }
    let both = json!({ "attributes": ["id"], "excludedAttributes": ["meta"] });
    table.push(("both".to_owned(), "400 invalidValue", Request::post("/Users/.search", &both)));
    let patch = format!("{}?attributes=id&excludedAttributes=meta", orgs.user);
    let operations = json!([{ "op": "replace", "path": "title", "value": "x" }]);
    table.push(("PATCH".to_owned(), "400 invalidValue", Request::patch(&patch, &operations)));
    let create = Request::post("/Users?attributes=id&excludedAttributes=meta", json!({ "userName": "eve" }));
    table.push(("POST".to_owned(), "400 invalidValue", create));
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn invalid_sort_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for (verdict, query) in [
        ("400 invalidValue", "sortBy=nonsense"),
        ("400 invalidValue", "sortBy=password"),
        ("400 invalidValue", "sortBy=name"),
        ("400 invalidValue", "sortBy=x509Certificates"),
        ("400 invalidValue", "sortBy=__proto__"),
        ("400 invalidValue", "sortBy=emails.nonsense"),
        ("400 invalidValue", "sortBy=emails%5Btype%20eq%20%22work%22%5D"),
        ("400 invalidValue", "sortBy=userName,title"),
        ("400 invalidValue", "sortBy=%00"),
        ("400 invalidValue", "sortBy=((((((("),
        ("400 invalidValue", "sortBy=userName&sortOrder=sideways"),
        ("400 invalidValue", "sortOrder=1"),
        ("400 invalidValue", "sortBy=userName&sortBy=title"),
        ("400 invalidValue", "sortBy=userName&sortOrder=ascending&SORTORDER=descending"),
        ("200", "sortBy=&sortOrder="),
        ("200", "sortBy=USERNAME&sortOrder=DESCENDING"),
    ] {
        table.push((query, verdict, Request::get(format!("/Users?{query}"))));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn cursor_of_another_query_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let service = &orgs.service;
    let first = service.get("/Users?cursor=&count=1").await.body;
    let cursor = first["nextCursor"].as_str().expect("a cursor").to_owned();
    let third = async |key: &str| {
        let body = json!({ "userName": "third@example.com" });
        assert_eq!(Request::post("/Users", &body).bearer(key).send(service).await.status, 201);
        let list = Request::get("/Users?cursor=&count=1").bearer(key).send(service).await.body;
        list["nextCursor"].as_str().expect("a cursor").to_owned()
    };
    let others = third(&orgs.other_key).await;
    let mut failures = Vec::new();
    for (query, expected) in [
        (format!("/Users?cursor={cursor}&count=1"), "200"),
        (format!("/Users?cursor={cursor}&count=1"), "200"),
        (format!("/Groups?cursor={cursor}&count=1"), "400 invalidCursor"),
        (format!("/Users?cursor={cursor}&count=1&filter=userName%20pr"), "400 invalidCursor"),
        (format!("/Users?cursor={cursor}&count=1&sortBy=userName"), "400 invalidCursor"),
        (format!("/Users?cursor={others}&count=1"), "400 invalidCursor"),
        (format!("/Users?cursor={}&count=1", cursor.to_uppercase()), "400 invalidCursor"),
        (format!("/Users?cursor={UNKNOWN_ID}&count=1"), "400 expiredCursor"),
        (format!("/Users?cursor={}&count=1", orgs.other_user), "400 invalidCursor"),
        ("/Users?cursor=x".to_owned(), "400 invalidCursor"),
        ("/Users?cursor=1".to_owned(), "400 invalidCursor"),
        ("/Users?cursor=%00".to_owned(), "400 invalidCursor"),
        ("/Users?cursor=*".to_owned(), "400 invalidCursor"),
        ("/Users?cursor=%0d%0aX:%20y".to_owned(), "400 invalidCursor"),
        (format!("/Users?cursor={}", "x".repeat(10_000)), "400 invalidCursor"),
        (format!("/Users?cursor={cursor}&startIndex=1"), "400 invalidValue"),
        ("/Users?cursor=&startIndex=2".to_owned(), "400 invalidValue"),
        ("/Users?cursor=&cursor=".to_owned(), "400 invalidValue"),
        ("/Users?cursor=&count=0".to_owned(), "400 invalidCount"),
        ("/Users?cursor=&count=-1".to_owned(), "400 invalidCount"),
        ("/Users?cursor=&count=abc".to_owned(), "400 invalidCount"),
        (format!("/Users?cursor={cursor}&count=1{}", "0".repeat(30)), "200"),
    ] {
        let answer = Request::get(&query).send(service).await;
        if answer.verdict() != expected || !form_violations(&answer).is_empty() {
            failures.push(format!(
                "{query}: {}, not {expected} {:?}",
                answer.verdict(),
                form_violations(&answer)
            ));
        }
        if answer.body.to_string().contains("zoe@") {
            failures.push(format!("{query}: shows another organisation's user"));
        }
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn search_request_with_wrong_type_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for path in ["/.search", "/Users/.search", "/Groups/.search"] {
        for (verdict, body) in [
            ("400 invalidValue", json!({ "filter": { "$ne": "" } })),
            ("400 invalidValue", json!({ "filter": true })),
            ("400 invalidValue", json!({ "filter": [1] })),
            ("400 invalidValue", json!({ "attributes": [1] })),
            ("400 invalidValue", json!({ "attributes": { "id": true } })),
            ("400 invalidValue", json!({ "excludedAttributes": [["id"]] })),
            ("400 invalidValue", json!({ "count": "abc" })),
            ("400 invalidValue", json!({ "count": 1.5 })),
            ("400 invalidValue", json!({ "count": true })),
            ("400 invalidValue", json!({ "count": [1, 2] })),
            ("400 invalidValue", json!({ "startIndex": {} })),
            ("400 invalidValue", json!({ "startIndex": "1e3" })),
            ("200", json!({ "count": -1, "startIndex": -1 })),
            ("200", json!({ "count": null, "filter": null, "attributes": null })),
            ("200", json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "x": {} })),
        ] {
            table.push((body.to_string(), verdict, Request::post(path, &body)));
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn malformed_id_is_404() {
    let orgs = TwoOrgs::new().await;
    let id = orgs.user.trim_start_matches("/Users/").to_owned();
    let mut table = Vec::new();
    for id in [
        "x",
        "1",
        "0",
        "-1",
        "null",
        "undefined",
        "true",
        "*",
        "..",
        "...",
        "%2e%2e",
        ".",
        "%2e",
        "%20",
        "%00",
        "%0a",
        "..%2f..%2fGroups",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cx",
        "%0d%0aX-Injected:%201",
        "%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a%3Chtml%3E",
        "%E5%98%8A%E5%98%8DX-Injected:1",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "%27%20or%20%271%27=%271",
        "%7B%22$ne%22:null%7D",
        "ORG%23beta",
        "ada@example.com",
        "ext-1",
        "%F0%9F%94%91",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "$%7Bjndi:ldap://x%7D",
        "%25s%25n",
        "%ZZ",
        "%",
        "__proto__",
        "constructor",
        ".search%00",
        "Me",
        &id.to_uppercase(),
        &id.replace('-', ""),
        &format!("%7B{id}%7D"),
        &format!("urn:uuid:{id}"),
        &format!("{id}%20"),
        &format!("%20{id}"),
        &format!("{id}%00"),
        &format!("{id}."),
        &format!("{id};x"),
        &format!("0{id}"),
        &id[..35],
        &"x".repeat(10 * 1024),
        &"%00".repeat(3000),
    ] {
        for path in [format!("/Users/{id}"), format!("/Groups/{id}")] {
            let body = json!({ "userName": "eve", "displayName": "Eve" });
            table.push((path.clone(), "404", Request::get(&path)));
            table.push((path.clone(), "404", Request::put(&path, &body)));
            let operations = json!([{ "op": "replace", "path": "displayName", "value": "x" }]);
            table.push((path.clone(), "404", Request::patch(&path, &operations)));
            let operations = json!([{ "op": "add", "path": "externalId", "value": "x" }, { "op": "remove", "path": "externalId" }]);
            table.push((path.clone(), "404", Request::patch(&path, &operations)));
            let remove = Request::delete(&path);
            table.push((path.clone(), "404", remove.clone()));
            table.push((path, "404", remove.header("if-match", "*")));
        }
    }
    let user_as_group = orgs.user.replace("Users", "Groups");
    let group_as_user = orgs.group.replace("Groups", "Users");
    for path in [user_as_group, group_as_user] {
        table.push((path.clone(), "404", Request::get(&path)));
        table.push((path.clone(), "404", Request::delete(&path)));
    }
    for id in ["x", "%0d%0aX-Injected:%201", "User%00", "users"] {
        table.push((id.to_owned(), "404", Request::get(format!("/Schemas/{id}"))));
        table.push((id.to_owned(), "404", Request::get(format!("/ResourceTypes/{id}"))));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn responses_do_not_echo_the_path() {
    let orgs = TwoOrgs::new().await;
    for path in [
        "/Users/%0d%0aX-Injected:%201",
        "/Users/%3Cscript%3Eevil",
        "/Groups/%0aevil",
        "/%0d%0aevil",
        "/Schemas/evil%0a",
    ] {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
            let request = Request::json(
                method,
                path,
                json!({ "userName": "eve", "Operations": [{ "op": "add", "value": {} }] }),
            );
            let router = orgs.service.router(orgs.service.app.clone());
            let answer = raw_response(router, &request.bearer(&orgs.service.key)).await.to_lowercase();
            assert!(
                !answer.contains("x-injected") && !answer.contains("evil") && !answer.contains("script"),
                "{answer}"
            );
        }
    }
}

/// Axum's own rejection of such a path parameter is text/plain.
#[tokio::test]
async fn id_that_is_not_utf8_gets_a_scim_error() {
    let orgs = TwoOrgs::new().await;
    let mut failures = Vec::new();
    for path in ["/Users/%ff", "/Groups/%C3%28", "/Schemas/%ff", "/ResourceTypes/%ff", "/Users/%ED%A0%80"] {
        let methods: &[Method] = match path {
            path if path.starts_with("/Schemas") || path.starts_with("/ResourceTypes") => &[Method::GET],
            _ => &[Method::GET, Method::PUT, Method::PATCH, Method::DELETE],
        };
        for method in methods {
            let request = Request::json(
                method.clone(),
                path,
                json!({ "userName": "eve", "displayName": "eve", "Operations": [{ "op": "add", "value": {} }] }),
            );
            let router = orgs.service.router(orgs.service.app.clone());
            let answer = raw_response(router, &request.bearer(&orgs.service.key)).await;
            if !(answer.starts_with('4')
                && answer.contains("application/scim+json")
                && answer.contains("2.0:Error"))
            {
                failures.push(format!("{method} {path}: {answer}"));
            }
        }
    }
    assert_no_failures(&failures);
}

// Conditions

#[tokio::test]
async fn malformed_etag_condition_is_400_and_stale_one_is_412() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for path in [&orgs.user, &orgs.group] {
        let current = orgs.service.get(path).await.header("etag").to_owned();
        let strong = current.trim_start_matches("W/").to_owned();
        let token = strong.trim_matches('"').to_owned();
        let carried_out = if path == &orgs.user { "200" } else { "204" };
        let over = "x".repeat(8000);
        for (value, verdict) in [
            ("", "400 invalidValue"),
            ("x", "400 invalidValue"),
            (token.as_str(), "400 invalidValue"),
            ("\"", "400 invalidValue"),
            ("W/", "400 invalidValue"),
            ("W/\"", "400 invalidValue"),
            ("W/x", "400 invalidValue"),
            ("\"x\",", "400 invalidValue"),
            (",", "400 invalidValue"),
            ("*, \"x\"", "400 invalidValue"),
            ("**", "400 invalidValue"),
            ("'x'", "400 invalidValue"),
            ("w/\"x\"", "400 invalidValue"),
            ("\u{e9}", "400 invalidValue"),
            ("\"\"", "412"),
            ("W/\"\"", "412"),
            ("W/\"x\"", "412"),
            ("\"x\"", "412"),
            ("W/\"x\", \"y\", W/\"z\"", "412"),
            ("\"*\"", "412"),
            ("W/\"1\"", "412"),
            (&format!("\"{over}\""), "412"),
            (&format!("W/\"{}\"", token.to_uppercase()), "412"),
            ("*", carried_out),
            (" * ", carried_out),
            (current.as_str(), carried_out),
            (strong.as_str(), carried_out),
            (&format!("\"x\", {current}"), carried_out),
            (&format!("{strong},W/\"y\""), carried_out),
        ] {
            let name: String = value.chars().take(40).collect();
            let nothing = json!([{ "op": "add", "value": {} }]);
            table.push((name.clone(), verdict, Request::patch(path, &nothing).header("if-match", value)));
            if verdict.starts_with('4') {
                let change = json!([{ "op": "replace", "path": "displayName", "value": "x" }]);
                table.push((name.clone(), verdict, Request::patch(path, &change).header("if-match", value)));
                let remove = json!([{ "op": "remove", "path": "members" }]);
                if path == &orgs.group {
                    table.push((
                        name.clone(),
                        verdict,
                        Request::patch(path, &remove).header("if-match", value),
                    ));
                }
                let body = json!({ "userName": "x", "displayName": "x" });
                table.push((name.clone(), verdict, Request::put(path, &body).header("if-match", value)));
                table.push((name, verdict, Request::delete(path).header("if-match", value)));
            }
        }
        let twice = Request::delete(path).header("if-match", "\"x\"").header("if-match", &current);
        table.push(("twice".to_owned(), "400 invalidValue", twice));
        let missing = format!("{}/{UNKNOWN_ID}", &path[..path.rfind('/').unwrap()]);
        table.push(("unknown id".to_owned(), "404", Request::delete(&missing).header("if-match", "*")));
        for (value, verdict) in [
            ("x", "400 invalidValue"),
            ("\"x\"", "200"),
            ("*", "304"),
            (current.as_str(), "304"),
            (strong.as_str(), "304"),
        ] {
            table.push((value.to_owned(), verdict, Request::get(path).header("if-none-match", value)));
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn etags_without_commas_are_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for value in ["\"x\" \"y\"", "\"x\"y\"", "\"\"\"", "W/\"x\" W/\"y\""] {
        let change = json!([{ "op": "replace", "path": "displayName", "value": "x" }]);
        table.push((
            value,
            "400 invalidValue",
            Request::patch(&orgs.user, &change).header("if-match", value),
        ));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn search_request_accepts_lists_only_for_attributes() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for body in [
        json!({ "filter": ["userName pr"] }),
        json!({ "count": ["1"] }),
        json!({ "startIndex": ["1"] }),
        json!({ "attributes": 5 }),
        json!({ "filter": [] }),
    ] {
        table.push((body.to_string(), "400 invalidValue", Request::post("/Users/.search", &body)));
    }
    orgs.assert_verdicts(table).await;
}

// Error details

#[tokio::test]
async fn error_details_name_the_cause_and_position() {
    let orgs = TwoOrgs::new().await;
    let mut text = String::new();
    for request in [
        Request::bytes(Method::POST, "/Users", "{\"userName\":\n \"eve\",,}"),
        Request::bytes(
            Method::POST,
            "/Users",
            "{\"userName\":\"eve\",\"name\":{\"givenName\":\"a\",\"givenName\":\"b\"}}",
        ),
        Request::post("/Users", json!({ "externalId": "x" })),
        Request::post("/Users", json!({ "userName": "eve", "externalId": 1 })),
        Request::post("/Users", json!({ "userName": "eve", "emails": [{ "value": ["a"] }] })),
        Request::post("/Users", json!({ "userName": "e\u{200b}ve" })),
        Request::post("/Users", json!({ "userName": "BOB@example.com" })),
        Request::patch(&orgs.user, json!([{ "op": "add", "path": "title", "value": "x" }, { "op": "move" }])),
        Request::patch(
            &orgs.user,
            json!([{ "op": "add", "path": "emails[type eq work].value", "value": "x" }]),
        ),
        Request::patch(&orgs.user, json!([{ "op": "add", "path": "name.nonsense", "value": "x" }])),
        Request::patch(&orgs.user, json!([{ "op": "replace", "path": "id", "value": "x" }])),
        Request::patch(&orgs.user, json!([{ "op": "replace", "path": "active", "value": "maybe" }])),
        Request::post(
            "/Groups",
            json!({ "displayName": "x", "members": [{ "value": orgs.other_user }, { "value": 1 }] }),
        ),
        Request::get("/Users").filter("userName eq eve"),
        Request::get("/Users").filter("userName pr and (active gt true)"),
        Request::get("/Users").filter("emails[nonsense pr]"),
        Request::get("/Users").filter("userName eq \"eve"),
        Request::get("/Users?count=many"),
        Request::get("/Users/x"),
        Request::delete(&orgs.user).header("if-match", "x"),
        Request::delete(&orgs.user).header("if-match", "\"x\""),
    ] {
        let answer = request.send(&orgs.service).await;
        let _ =
            writeln!(text, "{}: {}", answer.verdict(), answer.body["detail"].as_str().unwrap_or_default());
    }
    expect![[r#"
        400 invalidSyntax: The request body cannot be read as JSON: key must be a string at line 2 column 8.
        400 invalidSyntax: The request body cannot be read as JSON: the member 'givenName' occurs twice in one object at line 1 column 53.
        400 invalidValue: Attribute 'userName' is required: send it, and not blank
        400 invalidValue: Attribute 'externalId' must be a string, not a number
        400 invalidValue: Attribute 'emails.value' must be a string, not a list
        400 invalidValue: Attribute 'userName' contains the invisible character U+200B (character 2 of it): remove it
        409 uniqueness: another User already has this userName
        400 invalidSyntax: Operations[1]: "op" must be "add", "replace" or "remove"
        400 invalidPath: Operations[0]: The path cannot be read: at position 16 a value (a number, true, false, null, or text, which needs double quotes: "…") was expected.
        400 invalidPath: Operations[0]: User has no attribute 'name.nonsense', which the path names.
        400 mutability: Operations[0]: 'id' is readOnly: it is not the client's to change
        400 invalidValue: Operations[0]: Attribute 'active' must be true or false, not a string
        400 invalidValue: members[1]: Attribute 'members.value' must be a string, not a number
        400 invalidFilter: The filter cannot be read: at position 13 a value (a number, true, false, null, or text, which needs double quotes: "…") was expected.
        400 invalidFilter: 'active' can be compared by eq, ne and pr only (at position 28).
        400 invalidFilter: 'emails' has no sub-attribute 'nonsense', which the filter names at position 8.
        400 invalidFilter: The filter has a text at position 13 without a closing '"'.
        400 invalidValue: the query parameter 'count' must be a whole number
        404: there is no User with this id; look it up again by filter, or create it
        400 invalidValue: the header if-match must be * or a list of ETags such as W/"5a1f"
        412: The resource has changed since the version in If-Match. Read the resource again and repeat the request.
    "#]].assert_eq(&text);
}

#[tokio::test]
async fn error_details_are_bounded_in_length() {
    let orgs = TwoOrgs::new().await;
    let long = "x".repeat(100_000);
    let mut failures = Vec::new();
    for request in [
        Request::post("/Users/.search", json!({ "sortBy": long })),
        Request::post("/Users/.search", json!({ "sortBy": "userName", "sortOrder": long })),
        Request::post("/Users/.search", json!({ "filter": long })),
        Request::post("/Users/.search", json!({ "filter": format!("{} pr", &long[..4000]) })),
        Request::post("/Users/.search", json!({ "attributes": long, "count": long })),
        Request::post("/Users/.search", json!({ "cursor": long })),
        Request::patch(&orgs.user, json!([{ "op": long }])),
        Request::patch(&orgs.user, json!([{ "op": "add", "path": long, "value": "x" }])),
        Request::patch(&orgs.user, json!([{ "op": "add", "path": &long[..4000], "value": "x" }])),
        Request::post("/Users", json!({ "userName": "x", (&long): 1, (long.to_uppercase()): 2 })),
        Request::bytes(Method::POST, "/Users", format!("{{\"{long}\":1,\"{long}\":2}}")),
        Request::post("/Groups", json!({ "displayName": "x", "members": [{ "value": long }] })),
        Request::post("/Bulk", json!({ "Operations": [{ "method": long, "path": long }] })),
    ] {
        let line: String =
            format!("{} {} {:?}", request.method, request.target, request.body).chars().take(90).collect();
        let answer = request.send(&orgs.service).await;
        // An operation of a bulk request has its own detail.
        let of_operation = answer.body.pointer("/Operations/0/response/detail");
        let detail = of_operation.unwrap_or(&answer.body["detail"]);
        let length = detail.as_str().map_or(usize::MAX, str::len);
        if length > 4_500 {
            failures.push(format!("{line}: {length}"));
        }
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn error_details_do_not_echo_values() {
    let orgs = TwoOrgs::new().await;
    let secret = "hunter2-secret";
    for request in [
        Request::post("/Users", json!({ "userName": [secret] })),
        Request::post("/Users", json!({ "userName": "eve", "active": secret })),
        Request::post("/Users", json!({ "userName": "eve", "emails": [secret] })),
        Request::post(
            "/Users",
            json!({ "userName": "eve", "password": { "value": secret }, "name": secret }),
        ),
        Request::post("/Users", json!({ "userName": format!("{secret}\u{200b}") })),
        Request::post("/Users", json!({ "userName": secret.repeat(100) })),
        Request::bytes(Method::POST, "/Users", format!("{{\"userName\":\"{secret}\" \"{secret}\"}}")),
        Request::bytes(Method::POST, "/Users", format!("{{\"userName\":{secret}}}")),
        Request::patch(&orgs.user, json!([{ "op": "replace", "path": "active", "value": secret }])),
        Request::patch(&orgs.user, json!([{ "op": "replace", "value": secret }])),
        Request::patch(
            &orgs.user,
            json!([{ "op": "replace", "path": format!("emails[type eq {secret}]"), "value": "x" }]),
        ),
        Request::patch(
            &orgs.user,
            json!([{ "op": "replace", "path": format!("emails[type eq \"{secret}"), "value": "x" }]),
        ),
        Request::patch(
            &orgs.user,
            json!([{ "op": "replace", "path": format!("emails[type sw \"{secret}\"].value"), "value": "x" }]),
        ),
        Request::patch(
            &orgs.group,
            json!([{ "op": "add", "path": "members", "value": [{ "value": secret }] }]),
        ),
        Request::post("/Groups", json!({ "displayName": "x", "members": [{ "value": secret }] })),
        Request::post(
            "/Groups",
            json!({ "displayName": "x", "members": [{ "value": "x", "type": secret }] }),
        ),
        Request::get("/Users").filter(format!("userName eq {secret}")),
        Request::get("/Users").filter(format!("userName eq \"{secret}")),
        Request::get("/Users").filter(format!("active eq \"{secret}\"")),
        Request::get("/Users").filter(format!("meta.created gt \"{secret}\"")),
        Request::get(format!("/Users?count={secret}")),
        Request::get(format!("/Users/{secret}")),
        Request::delete(&orgs.user).header("if-match", secret),
    ] {
        let line = format!("{} {}", request.method, request.target);
        let answer = request.send(&orgs.service).await;
        assert!(answer.status >= 400, "{line}: {}", answer.status);
        assert!(!answer.body.to_string().contains("hunter2"), "{line}: {:#}", answer.body);
    }
}
