//! Malformed ids and paths.

use axum::http::Method;
use serde_json::json;
use tests::Request;

use super::TwoOrgs;
use crate::{assert_no_failures, raw_response};

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
