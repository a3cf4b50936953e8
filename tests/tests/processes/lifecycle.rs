//! The lifecycle of a user and a group as Okta and Entra provision them, over HTTP to the gateway process. The
//! exchanges in `fixtures/` check each response in detail.

use std::{fmt::Write, fs, os::unix::fs::PermissionsExt};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::program::{Client, Gateway, TempDir};

/// A client session that records its requests and responses, with names in place of ids.
struct Session {
    client: Client,
    ids: Vec<(&'static str, String)>,
    trace: String,
}

impl Session {
    /// Sends one request. `{name}` in path and body stands for the id of that name. The trace shows the values at these
    /// JSON pointers of the response.
    fn step(&mut self, method: &str, path: &str, body: &Value, show: &[&str]) -> Value {
        let with_ids = |text: &str| {
            self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
        };
        let body = serde_json::from_str(&with_ids(&body.to_string())).expect("JSON");
        let answer = self.client.send(method, &with_ids(path), &body);
        let mut line = format!("{method} {path} -> {}", answer.status);
        for pointer in show {
            let value = answer.body.pointer(pointer).unwrap_or(&Value::Null);
            let _ = write!(line, " {pointer}={value}");
        }
        for (name, id) in &self.ids {
            line = line.replace(id, &format!("{{{name}}}"));
        }
        let _ = writeln!(self.trace, "{line}");
        answer.body
    }

    /// Creates a resource. Later requests refer to its id by this name.
    fn create(&mut self, name: &'static str, path: &str, body: &Value, show: &[&str]) {
        let created = self.step("POST", path, body, show);
        self.ids.push((name, created["id"].as_str().unwrap_or("no id").to_owned()));
    }

    fn patch(&mut self, path: &str, operations: &Value, show: &[&str]) {
        let body =
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        self.step("PATCH", path, &body, show);
    }
}

/// Runs the lifecycle on a new gateway. Afterwards the data must be healthy and the gateway must stop on SIGINT.
fn run(test: &str, lifecycle: impl FnOnce(&mut Session), expected: &Expect) {
    let dir = TempDir::new(test);
    let gateway = Gateway::start(&dir);
    let mode = fs::metadata(dir.path("connection.env")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut session = Session { client: gateway.client(), ids: Vec::new(), trace: String::new() };
    lifecycle(&mut session);
    expected.assert_eq(&session.trace);
    let arguments = ["doctor", "--org", "acme", "--data", "data"];
    let doctor = dir.run("scimctl", &arguments, &[("AWS_ENDPOINT_URL_DYNAMODB", &gateway.dynamodb)]);
    assert_eq!(doctor.code, 0, "{}", doctor.snapshot());
    assert_eq!(gateway.interrupt(), Some(0), "{}", dir.read("stderr"));
}

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn okta_user(active: bool, family_name: &str) -> Value {
    json!({
        "schemas": [USER], "userName": "test.user@okta.local", "externalId": "00ujl29u0le5T6Aj10h7",
        "name": { "givenName": "Test", "familyName": family_name }, "displayName": "Test User", "locale": "en-US",
        "emails": [{ "primary": true, "value": "test.user@okta.local", "type": "work" }],
        "groups": [], "password": "1mz050nq", "active": active
    })
}

const OKTA_MATCH: &str = "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100";

fn okta_setup(session: &mut Session) {
    session.step("GET", "/Users?startIndex=1&count=2", &Value::Null, &["/totalResults", "/itemsPerPage"]);
    session.step("GET", "/Groups?startIndex=1&count=100", &Value::Null, &["/totalResults"]);
    session.step("GET", OKTA_MATCH, &Value::Null, &["/totalResults", "/Resources"]);
    session.create("user", "/Users", &okta_user(true, "User"), &["/userName", "/active", "/password"]);
    session.step("POST", "/Users", &okta_user(true, "User"), &["/scimType"]);
    session.create(
        "group",
        "/Groups",
        &json!({ "schemas": [GROUP], "displayName": "Test SCIMv2", "members": [] }),
        &["/displayName"],
    );
}

#[test]
fn okta_provisions_by_put() {
    let group = |members: &Value| json!({ "schemas": [GROUP], "id": "{group}", "displayName": "Test SCIMv2", "members": members });
    run(
        "okta_provisions_by_put",
        |session| {
            okta_setup(session);
            session.step("GET", "/Users/{user}", &Value::Null, &["/name/familyName"]);
            session.step("PUT", "/Users/{user}", &okta_user(true, "Renamed"), &["/name/familyName"]);
            let members = json!([{ "value": "{user}", "display": "test.user@okta.local" }]);
            session.step("PUT", "/Groups/{group}", &group(&members), &["/members/0/value"]);
            session.step("GET", "/Users/{user}", &Value::Null, &["/groups/0/value"]);
            session.step("PUT", "/Users/{user}", &okta_user(false, "Renamed"), &["/active"]);
            session.step(
                "GET",
                OKTA_MATCH,
                &Value::Null,
                &["/totalResults", "/Resources/0/id", "/Resources/0/active"],
            );
            session.step("PUT", "/Groups/{group}", &group(&json!([])), &["/members"]);
            session.step("DELETE", "/Groups/{group}", &Value::Null, &[]);
            session.step("GET", "/Groups/{group}", &Value::Null, &["/status"]);
        },
        &expect![[r#"
            GET /Users?startIndex=1&count=2 -> 200 /totalResults=0 /itemsPerPage=0
            GET /Groups?startIndex=1&count=100 -> 200 /totalResults=0
            GET /Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100 -> 200 /totalResults=0 /Resources=[]
            POST /Users -> 201 /userName="test.user@okta.local" /active=true /password=null
            POST /Users -> 409 /scimType="uniqueness"
            POST /Groups -> 201 /displayName="Test SCIMv2"
            GET /Users/{user} -> 200 /name/familyName="User"
            PUT /Users/{user} -> 200 /name/familyName="Renamed"
            PUT /Groups/{group} -> 200 /members/0/value="{user}"
            GET /Users/{user} -> 200 /groups/0/value="{group}"
            PUT /Users/{user} -> 200 /active=false
            GET /Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100 -> 200 /totalResults=1 /Resources/0/id="{user}" /Resources/0/active=false
            PUT /Groups/{group} -> 200 /members=[]
            DELETE /Groups/{group} -> 204
            GET /Groups/{group} -> 404 /status="404"
        "#]],
    );
}

#[test]
fn okta_provisions_by_patch() {
    run(
        "okta_provisions_by_patch",
        |session| {
            okta_setup(session);
            let member = json!([{ "value": "{user}", "display": "test.user@okta.local" }]);
            session.patch(
                "/Groups/{group}",
                &json!([{ "op": "replace", "value": { "id": "{group}", "displayName": "Renamed" } }]),
                &[],
            );
            session.patch(
                "/Groups/{group}",
                &json!([{ "op": "add", "path": "members", "value": member }]),
                &[],
            );
            session.step("GET", "/Groups/{group}", &Value::Null, &["/displayName", "/members/0/value"]);
            session.patch(
                "/Users/{user}",
                &json!([{ "op": "replace", "value": { "active": false } }]),
                &["/active", "/groups/0/value"],
            );
            session.patch(
                "/Users/{user}",
                &json!([{ "op": "replace", "value": { "active": true } }]),
                &["/active"],
            );
            session.patch(
                "/Groups/{group}",
                &json!([{ "op": "remove", "path": "members[value eq \"{user}\"]" }]),
                &[],
            );
            session.step("GET", "/Users/{user}", &Value::Null, &["/groups"]);
            session.step("DELETE", "/Groups/{group}", &Value::Null, &[]);
            session.step("GET", OKTA_MATCH, &Value::Null, &["/totalResults"]);
        },
        &expect![[r#"
            GET /Users?startIndex=1&count=2 -> 200 /totalResults=0 /itemsPerPage=0
            GET /Groups?startIndex=1&count=100 -> 200 /totalResults=0
            GET /Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100 -> 200 /totalResults=0 /Resources=[]
            POST /Users -> 201 /userName="test.user@okta.local" /active=true /password=null
            POST /Users -> 409 /scimType="uniqueness"
            POST /Groups -> 201 /displayName="Test SCIMv2"
            PATCH /Groups/{group} -> 204
            PATCH /Groups/{group} -> 204
            GET /Groups/{group} -> 200 /displayName="Renamed" /members/0/value="{user}"
            PATCH /Users/{user} -> 200 /active=false /groups/0/value="{group}"
            PATCH /Users/{user} -> 200 /active=true
            PATCH /Groups/{group} -> 204
            GET /Users/{user} -> 200 /groups=null
            DELETE /Groups/{group} -> 204
            GET /Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100 -> 200 /totalResults=1
        "#]],
    );
}

/// Runs the lifecycle of Entra. Its two dialects differ in how they change a user and remove a member, and in the flag.
fn entra_provisions(session: &mut Session, flag: &str, change: &Value, disable: &Value, remove: &Value) {
    let user = json!({
        "schemas": [USER, ENTERPRISE], "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab64@testuser.com", "active": true, "meta": { "resourceType": "User" }, "roles": [],
        "emails": [{ "primary": true, "type": "work", "value": "ab64@testuser.com" }],
        "name": { "formatted": "given family", "familyName": "family", "givenName": "given" }
    });
    let group = json!({
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "A Group", "meta": { "resourceType": "Group" }
    });
    let shown = ["/name/familyName", "/displayName", "/emails/0/value"];
    session.step(
        "GET",
        &format!("/Users?filter=userName+eq+%22d1c6b1a0%22{flag}"),
        &Value::Null,
        &["/totalResults"],
    );
    session.create("user", "/Users", &user, &["/userName", "/active"]);
    session.step(
        "GET",
        &format!("/Users?filter=userName+eq+%22TEST_USER_AB64%40testuser.com%22{flag}"),
        &Value::Null,
        &["/totalResults"],
    );
    session.patch("/Users/{user}", change, &shown);
    session.create("group", "/Groups", &group, &["/displayName"]);
    let by_name = format!("/Groups?excludedAttributes=members&filter=displayName+eq+%22a+group%22{flag}");
    session.step("GET", &by_name, &Value::Null, &["/totalResults", "/Resources/0/members"]);
    session.patch(
        "/Groups/{group}",
        &json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": "{user}" }] }]),
        &[],
    );
    session.step("GET", "/Users/{user}", &Value::Null, &["/groups/0/value"]);
    session.patch("/Users/{user}", disable, &["/active", "/groups/0/value"]);
    session.patch("/Groups/{group}", remove, &[]);
    session.step("GET", "/Groups/{group}", &Value::Null, &["/members"]);
    session.step("DELETE", "/Users/{user}", &Value::Null, &[]);
    session.step("GET", "/Users/{user}", &Value::Null, &["/status"]);
    session.step("DELETE", "/Groups/{group}", &Value::Null, &[]);
}

#[test]
fn entra_provisions_with_the_flag() {
    run(
        "entra_provisions_with_the_flag",
        |session| {
            entra_provisions(
                session,
                "&aadOptscim062020",
                &json!([
                    { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "new@testuser.com" },
                    { "op": "replace", "value": { "displayName": "Renamed", "name.familyName": "Married" } }
                ]),
                &json!([{ "op": "replace", "path": "active", "value": false }]),
                &json!([{ "op": "remove", "path": "members[value eq \"{user}\"]" }]),
            );
        },
        &expect![[r#"
            GET /Users?filter=userName+eq+%22d1c6b1a0%22&aadOptscim062020 -> 200 /totalResults=0
            POST /Users -> 201 /userName="Test_User_ab64@testuser.com" /active=true
            GET /Users?filter=userName+eq+%22TEST_USER_AB64%40testuser.com%22&aadOptscim062020 -> 200 /totalResults=1
            PATCH /Users/{user} -> 200 /name/familyName="Married" /displayName="Renamed" /emails/0/value="new@testuser.com"
            POST /Groups -> 201 /displayName="A Group"
            GET /Groups?excludedAttributes=members&filter=displayName+eq+%22a+group%22&aadOptscim062020 -> 200 /totalResults=1 /Resources/0/members=null
            PATCH /Groups/{group} -> 204
            GET /Users/{user} -> 200 /groups/0/value="{group}"
            PATCH /Users/{user} -> 200 /active=false /groups/0/value="{group}"
            PATCH /Groups/{group} -> 204
            GET /Groups/{group} -> 200 /members=[]
            DELETE /Users/{user} -> 204
            GET /Users/{user} -> 404 /status="404"
            DELETE /Groups/{group} -> 204
        "#]],
    );
}

#[test]
fn entra_provisions_without_the_flag() {
    run(
        "entra_provisions_without_the_flag",
        |session| {
            entra_provisions(
                session,
                "",
                &json!([
                    { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new@testuser.com" },
                    { "op": "Add", "path": "displayName", "value": "Renamed" },
                    { "op": "Replace", "path": "name.familyName", "value": "Married" }
                ]),
                &json!([{ "op": "Replace", "path": "active", "value": "False" }]),
                &json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "{user}" }] }]),
            );
        },
        &expect![[r#"
            GET /Users?filter=userName+eq+%22d1c6b1a0%22 -> 200 /totalResults=0
            POST /Users -> 201 /userName="Test_User_ab64@testuser.com" /active=true
            GET /Users?filter=userName+eq+%22TEST_USER_AB64%40testuser.com%22 -> 200 /totalResults=1
            PATCH /Users/{user} -> 200 /name/familyName="Married" /displayName="Renamed" /emails/0/value="new@testuser.com"
            POST /Groups -> 201 /displayName="A Group"
            GET /Groups?excludedAttributes=members&filter=displayName+eq+%22a+group%22 -> 200 /totalResults=1 /Resources/0/members=null
            PATCH /Groups/{group} -> 204
            GET /Users/{user} -> 200 /groups/0/value="{group}"
            PATCH /Users/{user} -> 200 /active=false /groups/0/value="{group}"
            PATCH /Groups/{group} -> 204
            GET /Groups/{group} -> 200 /members=[]
            DELETE /Users/{user} -> 204
            GET /Users/{user} -> 404 /status="404"
            DELETE /Groups/{group} -> 204
        "#]],
    );
}
