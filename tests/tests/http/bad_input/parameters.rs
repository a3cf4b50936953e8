//! Query parameters and search requests.

use serde_json::json;
use tests::{Request, form_violations};

use super::TwoOrgs;
use crate::{UNKNOWN_ID, assert_no_failures};

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
    let (many, part) = ("a,".repeat(201), "a,".repeat(101));
    let mut table = Vec::new();
    for path in ["/Users", "/Groups", &orgs.user, &orgs.group] {
        for (verdict, query) in [
            ("400 invalidValue", "attributes=id&excludedAttributes=meta"),
            ("400 invalidValue", "excludedAttributes=meta&attributes=id"),
            ("400 invalidValue", "Attributes=id&EXCLUDEDATTRIBUTES=meta"),
            ("200", "attributes=id&attributes=meta&ATTRIBUTES=schemas"),
            ("200", "excludedAttributes=id&excludedattributes=meta"),
            ("400 invalidValue", "attributes=id&attributes=meta&excludedAttributes=schemas"),
            ("400 invalidValue", &format!("attributes={part}&attributes={part}")),
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
