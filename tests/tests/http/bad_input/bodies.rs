//! Request bodies: JSON, types, required attributes, sizes and media types.

use axum::http::Method;
use serde_json::{Value, json};
use tests::Request;

use super::TwoOrgs;
use crate::requests_with_body;

fn nested(depth: usize, open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

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
        ("two byte order marks", b"\xEF\xBB\xBF\xEF\xBB\xBF{\"userName\":\"eve\",\"displayName\":\"eve\"}"),
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
        json!({ "emails": "eve@example.com" }),
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
        let operations = json!([{ "op": "replace", "value": attributes }]);
        table.push((attributes.to_string(), "400 invalidValue", Request::patch(&orgs.user, &operations)));
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
