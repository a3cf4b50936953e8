//! The discovery endpoints.

use expect_test::expect;
use scim::{
    discovery_schemas::DISCOVERY_SCHEMAS,
    schema::{Attribute, RESOURCE_TYPES, SCHEMAS},
};
use serde_json::{Value, json};
use tests::{BASE, Request, Service};

use super::names;

/// Returns the names, types and characteristics of attributes in the schema table.
fn schema_lines(attributes: &[Attribute], prefix: &str) -> Vec<String> {
    attributes
        .iter()
        .flat_map(|attribute| {
            let name = format!("{prefix}{}", attribute.name);
            let below = schema_lines(attribute.sub_attributes, &format!("{name}."));
            let kind = format!("{:?}", attribute.data_type);
            let kind = format!("{}{}", kind[..1].to_lowercase(), &kind[1..]);
            let line = format!(
                "{name} {kind} multi={} required={} exact={} {:?} {:?} {:?}",
                attribute.multi_valued,
                attribute.required,
                attribute.case_exact,
                attribute.mutability,
                attribute.returned,
                attribute.uniqueness
            );
            [vec![line], below].concat()
        })
        .collect()
}

/// Returns the names, types and characteristics of attributes in a published schema.
fn published_lines(attributes: &Value, prefix: &str) -> Vec<String> {
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        format!("{}{}", text[..1].to_uppercase(), &text[1..])
    };
    attributes
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|attribute| {
            let name = format!("{prefix}{}", attribute["name"].as_str().unwrap_or_default());
            let below = published_lines(&attribute["subAttributes"], &format!("{name}."));
            let line = format!(
                "{name} {} multi={} required={} exact={} {} {} {}",
                attribute["type"].as_str().unwrap_or_default(),
                attribute["multiValued"],
                attribute["required"],
                attribute["caseExact"],
                text(&attribute["mutability"]),
                text(&attribute["returned"]),
                text(&attribute["uniqueness"])
            );
            [vec![line], below].concat()
        })
        .collect()
}

#[tokio::test]
async fn schemas_are_published_with_every_attribute() {
    let service = Service::new().await;
    let list = service.get("/Schemas").await;
    assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(SCHEMAS.len())));
    for (schema, shown) in SCHEMAS.iter().zip(list.body["Resources"].as_array().unwrap()) {
        assert_eq!(shown["id"], schema.id);
        let attributes: Vec<_> = schema.shown_attributes().copied().collect();
        assert_eq!(published_lines(&shown["attributes"], ""), schema_lines(&attributes, ""));
        for id in [schema.id.to_owned(), schema.id.to_uppercase(), schema.id.replace(':', "%3A")] {
            let alone = service.get(&format!("/Schemas/{id}")).await;
            assert_eq!((alone.status, &alone.body), (200, shown), "{id}");
        }
        assert_eq!(shown["meta"]["location"], format!("{BASE}/Schemas/{}", schema.id));
    }
}

/// The list has only what resources consist of. The schema of each discovery document is at its URN.
#[tokio::test]
async fn schemas_of_discovery_documents_are_published() {
    let service = Service::new().await;
    for schema in DISCOVERY_SCHEMAS {
        let shown = service.get(&format!("/Schemas/{}", schema.id)).await;
        assert_eq!((shown.status, &shown.body["id"]), (200, &json!(schema.id)));
        let lines = schema_lines(schema.attributes, "");
        assert_eq!(published_lines(&shown.body["attributes"], ""), lines);
    }
    for path in [
        "/ServiceProviderConfig",
        "/ResourceTypes/User",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    ] {
        let document = service.get(path).await.body;
        let schema =
            service.get(&format!("/Schemas/{}", document["schemas"][0].as_str().unwrap())).await.body;
        let defined = names_of(&schema["attributes"]);
        for name in
            document.as_object().unwrap().keys().filter(|name| !matches!(name.as_str(), "schemas" | "meta"))
        {
            assert!(defined.contains(&name.as_str()), "{path} has {name}");
        }
    }
}

fn names_of(attributes: &Value) -> Vec<&str> {
    attributes.as_array().unwrap().iter().map(|attribute| attribute["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn resource_types_are_published_with_working_links() {
    let service = Service::new().await;
    let list = service.get("/ResourceTypes").await;
    assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(RESOURCE_TYPES.len())));
    for (resource_type, shown) in RESOURCE_TYPES.iter().zip(list.body["Resources"].as_array().unwrap()) {
        let alone = service.get(&format!("/ResourceTypes/{}", resource_type.name)).await;
        assert_eq!((alone.status, &alone.body), (200, shown));
        assert_eq!(service.get(shown["endpoint"].as_str().unwrap()).await.status, 200);
        let extensions = shown["schemaExtensions"].as_array().unwrap();
        let urns = extensions.iter().map(|extension| &extension["schema"]).chain([&shown["schema"]]);
        for urn in urns {
            assert_eq!(service.get(&format!("/Schemas/{}", urn.as_str().unwrap())).await.status, 200);
        }
    }
    expect![[r#"
        {
          "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
          ],
          "id": "User",
          "name": "User",
          "description": "A person of the organisation",
          "endpoint": "/Users",
          "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
          "schemaExtensions": [
            {
              "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
              "required": false
            }
          ],
          "meta": {
            "resourceType": "ResourceType",
            "location": "https://scim.test/scim/v2/ResourceTypes/User"
          }
        }
    "#]]
    .assert_eq(&format!("{:#}\n", list.body["Resources"][0]));
}

#[tokio::test]
async fn discovery_rejects_filters_and_unknown_ids() {
    let service = Service::new().await;
    for path in ["/Schemas", "/ResourceTypes"] {
        for filter in ["?filter=id%20pr", "?filter=", "?FILTER=x", "?count=1&filter=name%20eq%20%22User%22"] {
            assert_eq!(service.get(&format!("{path}{filter}")).await.status, 403, "{path}{filter}");
        }
        // Discovery ignores paging and returns one page.
        let all = service.get(path).await.body;
        assert_eq!(service.get(&format!("{path}?startIndex=2&count=1")).await.body, all);
        assert_eq!(service.get(&format!("{path}/nonsense")).await.status, 404);
    }
    for path in [
        "/ResourceTypes/user",
        "/ResourceTypes/Users",
        "/Schemas/User",
        "/Schemas/urn:x",
        "/ServiceProviderConfig/x",
    ] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn service_provider_config_matches_the_behaviour() {
    let service = Service::new().await;
    let config = service.get("/ServiceProviderConfig").await;
    assert_eq!(config.status, 200);
    let config = config.body;
    assert_eq!(config["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"]));
    assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
    let claims = |name: &str| config[name]["supported"].as_bool().unwrap_or_else(|| panic!("no {name}"));

    let created = service.post("/Users", json!({ "userName": "a", "password": "x" })).await;
    service.user("b").await;
    let path = format!("/Users/{}", created.id());
    let patched = service.patch(&path, json!([{ "op": "add", "path": "title", "value": "x" }])).await;
    assert_eq!(claims("patch"), patched.status == 200);
    assert_eq!(
        claims("etag"),
        Request::get(&path).header("if-none-match", patched.header("etag")).send(&service).await.status
            == 304
    );
    assert_eq!(
        claims("filter"),
        service.get("/Users?filter=userName%20eq%20%22b%22").await.body["totalResults"] == 1
    );
    assert_eq!(config["filter"]["maxResults"], 1000);
    let bulk = service
        .post(
            "/Bulk",
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [] }),
        )
        .await;
    assert_eq!(claims("bulk"), bulk.status != 501);
    let order = async |order: &str| {
        names(&service.get(&format!("/Users?sortBy=userName&sortOrder={order}")).await.body, "userName")
    };
    assert_eq!(
        claims("sort"),
        order("descending").await == ["b", "a"] && order("ascending").await == ["a", "b"]
    );
    assert!(!claims("changePassword"));
    // RFC 9865 §4: the service supports paging by cursor and by index. Index paging is the default.
    assert_eq!(
        config["pagination"],
        json!({
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": 100, "maxPageSize": 1000, "cursorTimeout": 3600,
        })
    );
    let page = service.get("/Users?count=1").await.body;
    assert_eq!((page.get("startIndex"), page.get("nextCursor")), (Some(&json!(1)), None));
    let page = service.get("/Users?cursor=&count=1").await.body;
    assert!(page["nextCursor"].is_string() && page.get("startIndex").is_none());
    assert_eq!(service.get("/ServiceProviderConfig?filter=patch.supported%20eq%20true").await.status, 403);
    assert_eq!(service.get("/ServiceProviderConfig?count=1&sortBy=id").await.body, config);
    assert_eq!(config["authenticationSchemes"].as_array().map(Vec::len), Some(1));
    assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
}
