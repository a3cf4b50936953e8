//! The attributes that a request selects by `attributes` and `excludedAttributes`.

use std::fmt::Write;

use expect_test::expect;
use serde_json::json;
use tests::{BASE, Service};

use super::full_user;

#[tokio::test]
async fn responses_contain_the_requested_attributes() {
    let service = Service::new().await;
    let mut body = full_user();
    body["userName"] = json!("ada");
    let ada = service.post("/Users", body.clone()).await.id();
    service.group("Engineers", &[&ada]).await;
    let mut text = String::new();
    for query in [
        "attributes=userName",
        "attributes=USERNAME,name.givenName",
        "attributes=emails.value",
        "attributes=emails[type eq \"work\"]",
        "attributes=groups",
        "attributes=meta.version",
        "attributes=password",
        "attributes=nonsense",
        "attributes=manager",
        "attributes=urn:ietf:params:scim:schemas:core:2.0:User:title",
        "attributes=roles.value,entitlements.display",
        "attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "excludedAttributes=id,schemas,userName,name,displayName,nickName,profileUrl,title,userType,preferredLanguage,locale,\
         timezone,active,emails,phoneNumbers,ims,photos,addresses,groups,entitlements,roles,x509Certificates,meta,\
         urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,urn:ietf:params:scim:schemas:extension:Custom:2.0:User",
    ] {
        let query = query.replace(' ', "%20").replace('"', "%22");
        let read = service.get(&format!("/Users/{ada}?{query}")).await;
        let mut shown = read.body.clone();
        shown.as_object_mut().unwrap().shift_remove("schemas").unwrap();
        shown.as_object_mut().unwrap().shift_remove("id").unwrap();
        let _ = writeln!(text, "{}\n    {shown}", query.chars().take(90).collect::<String>());
        // Every kind of request returns the same attributes.
        let listed = service.get(&format!("/Users?{query}")).await.body["Resources"][0].clone();
        assert_eq!(listed, read.body, "{query}");
        let put = service.put(&format!("/Users/{ada}?{query}"), body.clone()).await;
        assert_eq!((put.status, put.body), (200, read.body.clone()), "{query}");
        let nothing = json!([{ "op": "add", "value": {} }]);
        assert_eq!(service.patch(&format!("/Users/{ada}?{query}"), nothing).await.body, read.body, "{query}");
    }
    expect![[r#"
        attributes=userName
            {"userName":"ada"}
        attributes=USERNAME,name.givenName
            {"userName":"ada","name":{"givenName":"Ada"}}
        attributes=emails.value
            {"emails":[{"value":"ada@example.com-1"},{"value":"ada@example.com-2"}]}
        attributes=emails[type%20eq%20%22work%22]
            {}
        attributes=groups
            {"groups":[{"value":"{1}","$ref":"https://scim.test/scim/v2/Groups/{1}","type":"direct"}]}
        attributes=meta.version
            {"meta":{"version":"W/\"{v1}\""}}
        attributes=password
            {}
        attributes=nonsense
            {}
        attributes=manager
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"01936f20-0000-7000-8000-000000000000","$ref":"../Users/26118915"}}}
        attributes=urn:ietf:params:scim:schemas:core:2.0:User:title
            {"title":"Analyst"}
        attributes=roles.value,entitlements.display
            {"entitlements":[{"display":"First"}],"roles":[{"value":"analyst-1"},{"value":"analyst-2"}]}
        attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"701984","costCenter":"4130","organization":"Analytical Engines","division":"Mathematics","department":"Notes","manager":{"value":"01936f20-0000-7000-8000-000000000000","$ref":"../Users/26118915"}}}
        attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Notes"}}
        excludedAttributes=id,schemas,userName,name,displayName,nickName,profileUrl,title,userType
            {"externalId":"00ujl29u0le5T6Aj10h7"}
    "#]].assert_eq(&service.named(&text));
    let created = service.post("/Users?attributes=userName", json!({ "userName": "x", "title": "y" })).await;
    assert_eq!(created.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["schemas", "id", "userName"]);
    assert_eq!(created.header("location"), format!("{BASE}/Users/{}", created.id()));
}

#[tokio::test]
async fn group_members_can_be_excluded() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let group = service.group("Engineers", &[&ada]).await;
    for path in [
        format!("/Groups/{group}?excludedAttributes=members"),
        format!("/Groups/{group}?attributes=displayName"),
    ] {
        let shown = service.get(&path).await.body;
        assert!(shown.get("members").is_none() && shown["displayName"] == "Engineers", "{path}");
    }
    let list = service
        .get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22engineers%22")
        .await
        .body;
    assert!(list["totalResults"] == 1 && list["Resources"][0].get("members").is_none());
    // A filter can use an excluded attribute.
    let filter = format!(
        "/Groups?excludedAttributes=members&filter=members.type%20eq%20%22User%22%20and%20members%20eq%20%22{ada}%22"
    );
    let list = service.get(&filter).await.body;
    assert!(list["totalResults"] == 1 && list["Resources"][0].get("members").is_none());
    let empty = service.group("Empty", &[]).await;
    assert_eq!(service.get(&format!("/Groups/{empty}")).await.body["members"], json!([]));
}
