//! No value of an attribute other than a name is in the log, and no credential.

use axum::http::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use service::auth::Scope;
use tests::{Request, encode};

use super::World;

/// Occurs in each value that the log must not have.
const MARK: &str = "zzmarkzz";

/// Returns bodies of a user whose values, apart from the name, have the mark.
fn users(name: &str) -> Vec<Value> {
    let valid = json!({
        "userName": name,
        "externalId": MARK,
        "name": { "givenName": MARK, "familyName": MARK },
        "displayName": MARK,
        "title": MARK,
        "password": MARK,
        "emails": [{ "value": format!("{MARK}@example.com"), "type": "work" }],
        "phoneNumbers": [{ "value": MARK }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": MARK },
        "urn:example:User": { "badge": MARK },
    });
    let mut bodies = vec![valid.clone()];
    for value in
        [json!({ "x": MARK }), json!([MARK]), json!(format!("{MARK}\u{0}")), json!(MARK.repeat(9_000))]
    {
        for name in ["externalId", "name", "emails", "active", "title", "userName", "schemas"] {
            let mut body = valid.clone();
            // A name that is not valid is no name.
            if name == "userName" && value.is_string() {
                continue;
            }
            body[name] = value.clone();
            bodies.push(body);
        }
    }
    bodies
}

#[tokio::test(start_paused = true)]
async fn no_value_but_names_is_in_the_log() {
    let world = World::new().await;
    let service = &world.service;
    let mut names = 0;
    for (index, body) in users("ada@example.com").into_iter().enumerate() {
        let id = service.user(&format!("user-{index}@example.com")).await;
        for request in [
            Request::post("/Users", &body),
            Request::put(format!("/Users/{id}"), &body),
            Request::patch(format!("/Users/{id}"), json!([{ "op": "replace", "value": body }])),
            Request::patch(
                format!("/Users/{id}"),
                json!([{ "op": "add", "path": "title", "value": body["title"] }]),
            ),
            Request::patch(
                format!("/Users/{id}"),
                json!([{ "op": "add", "path": format!("emails[type eq \"{MARK}\"].value"), "value": MARK }]),
            ),
            Request::patch(
                format!("/Users/{id}"),
                json!([{ "op": "remove", "path": format!("emails[type eq \"{MARK}\"") }]),
            ),
            Request::post(
                "/Bulk",
                json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                    "Operations": [
                        { "method": "POST", "path": "/Users", "bulkId": "1", "data": body },
                        { "method": "POST", "path": format!("/{MARK}"), "bulkId": MARK, "data": body },
                        { "method": MARK, "path": format!("/Users/{MARK}"), "bulkId": "2", "data": body },
                    ],
                }),
            ),
        ] {
            request.send(service).await;
        }
    }
    for filter in
        ["externalId eq", "emails.value co", "title sw", "meta.created gt", "nothing eq", "userName eq x"]
    {
        for close in ["\"", "", "\" and ("] {
            Request::get("/Users").filter(format!("{filter} \"{MARK}{close}")).send(service).await;
        }
    }
    for query in ["sortBy", "attributes", "startIndex", "count", "cursor"] {
        Request::get("/Users").query(query, MARK).send(service).await;
    }
    for path in [format!("/Users/{MARK}"), format!("/Groups/{MARK}"), format!("/Schemas/{MARK}")] {
        Request::get(&path).send(service).await;
        Request::delete(&path).send(service).await;
    }
    let members =
        json!({ "displayName": "Sales", "members": [{ "value": MARK, "display": MARK, "type": "User" }] });
    Request::post("/Groups", members).send(service).await;
    let group = service.group("Support", &[]).await;
    for value in [MARK, "ada@example.com"] {
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": value }] }]);
        assert_eq!(service.patch(&format!("/Groups/{group}"), add).await.status, 400);
    }
    Request::get("/Users").if_match(MARK).send(service).await;
    let (client, secret) = service.oauth_client("acme", &[Scope::Scim]).await;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={MARK}",
        encode(&client),
        encode(secret.reveal())
    );
    let mut token =
        Request::new(Method::POST, "").header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
    token.target = "/oauth2/token".to_owned();
    token.body = form.into();
    assert_eq!(token.send_as_is(service).await.status, 400);
    let entries = world.entries().await;
    assert!(entries.len() >= 200, "{}", entries.len());
    for entry in &entries {
        let text = serde_json::to_string(entry).expect("JSON");
        assert!(!text.contains(MARK), "{text}");
        assert!(!text.contains(secret.reveal()) && !text.contains(&service.key), "{text}");
        names += usize::from(text.contains("ada@example.com"));
    }
    assert!(names > 0, "names are in the log");
    assert!(entries.iter().any(|entry| entry.detail.is_some()));
}
