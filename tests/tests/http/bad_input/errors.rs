//! Error details.

use std::fmt::Write;

use axum::http::Method;
use expect_test::expect;
use serde_json::json;
use tests::Request;

use super::TwoOrgs;
use crate::assert_no_failures;

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
        Request::get("/Users").filter("nickName eq eve"),
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
        400 invalidSyntax: The request body is not valid JSON: key must be a string at line 2 column 8.
        400 invalidSyntax: The request body is not valid JSON: the member 'givenName' occurs twice in one object at line 1 column 53.
        400 invalidValue: Attribute 'userName' is required. Send a value that is not blank.
        400 invalidValue: Attribute 'externalId' must be a string, not a number.
        400 invalidValue: Attribute 'emails.value' must be a string, not a list.
        400 invalidValue: Attribute 'userName' contains the invisible character U+200B at position 2. Remove the character.
        409 uniqueness: Another User already has this userName. Use another value.
        400 invalidSyntax: Operations[1]: The "op" must be "add", "replace" or "remove".
        400 invalidPath: Operations[0]: The path cannot be parsed at position 16. Expected a value (a number, true, false, null, or a text in double quotes).
        400 invalidPath: Operations[0]: User has no attribute 'name.nonsense'. Correct the path.
        400 mutability: Operations[0]: Attribute 'id' is readOnly. Leave it out of the request.
        400 invalidValue: Operations[0]: Attribute 'active' must be true or false, not a string.
        400 invalidValue: The value members[1] is invalid: Attribute 'members.value' must be a string, not a number.
        400 invalidFilter: The filter cannot be parsed at position 13. Expected a value (a number, true, false, null, or a text in double quotes).
        400 invalidFilter: Attribute 'active' supports only some operators. Use eq, ne or pr (at position 28).
        400 invalidFilter: Attribute 'emails' has no sub-attribute 'nonsense'. Correct the filter at position 8.
        400 invalidFilter: The filter has an unterminated string at position 13. Close it with '"'.
        400 invalidValue: The value of the query parameter 'count' is not a number. Send a whole number.
        404: There is no User with this id. Search for it with a filter, or create it.
        400 invalidValue: The header if-match must be * or a list of ETags such as W/"5a1f".
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
        Request::get("/Users").filter(format!("nickName eq {secret}")),
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
