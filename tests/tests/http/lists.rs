//! Lists: totals, order, pages and filters.

use std::fmt::Write;

use expect_test::expect;
use serde_json::json;
use service::clock::Clock;
use tests::{NOW, Request, Service};

use super::{TimedRequests, assert_response, create_users, full_user, names, page_summary};

#[tokio::test]
async fn list_is_a_list_response_even_when_empty() {
    let service = Service::new().await;
    assert_response(
        &service,
        &service.get("/Users").await,
        &expect![[r#"
        200
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:ListResponse"
          ],
          "totalResults": 0,
          "startIndex": 1,
          "itemsPerPage": 0,
          "Resources": []
        }
    "#]],
    );
    assert_response(
        &service,
        &service.get("/Groups?filter=displayName%20eq%20%22x%22&startIndex=5&count=7").await,
        &expect![[r#"
        200
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:ListResponse"
          ],
          "totalResults": 0,
          "startIndex": 5,
          "itemsPerPage": 0,
          "Resources": []
        }
    "#]],
    );
    service.user("ada").await;
    assert_response(
        &service,
        &service.get("/Users").await,
        &expect![[r#"
            200
            {
              "schemas": [
                "urn:ietf:params:scim:api:messages:2.0:ListResponse"
              ],
              "totalResults": 1,
              "startIndex": 1,
              "itemsPerPage": 1,
              "Resources": [
                {
                  "schemas": [
                    "urn:ietf:params:scim:schemas:core:2.0:User"
                  ],
                  "id": "{1}",
                  "userName": "ada",
                  "active": true,
                  "meta": {
                    "resourceType": "User",
                    "created": "{now}",
                    "lastModified": "{now}",
                    "location": "https://scim.test/scim/v2/Users/{1}",
                    "version": "W/\"{v1}\""
                  }
                }
              ]
            }
        "#]],
    );
}

#[tokio::test]
async fn list_is_in_creation_order_with_exact_total() {
    let timed = TimedRequests::new().await;
    // The names are neither in alphabetical order nor in the order of the ids.
    for (minutes, name) in ["delta", "alpha", "echo", "bravo", "charlie"].into_iter().enumerate() {
        let body = json!({ "userName": name, "active": minutes % 2 == 0, "externalId": "same" });
        let created = timed.at(i64::try_from(minutes).unwrap(), Request::post("/Users", &body)).await;
        assert_eq!(created.status, 201);
    }
    let mut text = String::new();
    #[rustfmt::skip]
    let queries = [
        "", "count=2", "startIndex=1&count=2", "startIndex=3&count=2", "startIndex=5&count=2",
        "startIndex=6&count=2", "startIndex=100", "startIndex=0&count=1", "startIndex=-5&count=1",
        "count=0", "count=-3", "startIndex=4", "filter=active eq true", "filter=active eq true&count=2",
        "filter=active eq true&startIndex=2&count=2", "filter=active eq true&startIndex=4",
        "filter=active eq true&count=0", "filter=externalId eq \"same\"&count=2",
        "filter=externalId eq \"same\"&startIndex=4&count=9", "filter=userName eq \"ECHO\"",
        "filter=userName gt \"bravo\"", "filter=userName co \"a\" and active eq false",
        "filter=not (userName sw \"a\")&startIndex=2&count=2", "filter=title pr",
        "filter=userName eq \"nobody\"", "filter=meta.created ge \"2026-11-23T10:03:00Z\"",
    ];
    for query in queries {
        let answer = timed
            .at(59, Request::get(format!("/Users?{}", query.replace(' ', "%20").replace('"', "%22"))))
            .await;
        assert_eq!(answer.status, 200, "{query}");
        let _ = writeln!(text, "{query:<52} {}", page_summary(&answer));
    }
    expect![[r#"
                                                             1: 5 of 5: delta alpha echo bravo charlie
        count=2                                              1: 2 of 5: delta alpha
        startIndex=1&count=2                                 1: 2 of 5: delta alpha
        startIndex=3&count=2                                 3: 2 of 5: echo bravo
        startIndex=5&count=2                                 5: 1 of 5: charlie
        startIndex=6&count=2                                 6: 0 of 5:
        startIndex=100                                       100: 0 of 5:
        startIndex=0&count=1                                 1: 1 of 5: delta
        startIndex=-5&count=1                                1: 1 of 5: delta
        count=0                                              1: 0 of 5:
        count=-3                                             1: 0 of 5:
        startIndex=4                                         4: 2 of 5: bravo charlie
        filter=active eq true                                1: 3 of 3: delta echo charlie
        filter=active eq true&count=2                        1: 2 of 3: delta echo
        filter=active eq true&startIndex=2&count=2           2: 2 of 3: echo charlie
        filter=active eq true&startIndex=4                   4: 0 of 3:
        filter=active eq true&count=0                        1: 0 of 3:
        filter=externalId eq "same"&count=2                  1: 2 of 5: delta alpha
        filter=externalId eq "same"&startIndex=4&count=9     4: 2 of 5: bravo charlie
        filter=userName eq "ECHO"                            1: 1 of 1: echo
        filter=userName gt "bravo"                           1: 3 of 3: delta echo charlie
        filter=userName co "a" and active eq false           1: 2 of 2: alpha bravo
        filter=not (userName sw "a")&startIndex=2&count=2    2: 2 of 4: echo bravo
        filter=title pr                                      1: 0 of 0:
        filter=userName eq "nobody"                          1: 0 of 0:
        filter=meta.created ge "2026-11-23T10:03:00Z"        1: 2 of 2: bravo charlie
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn pages_omit_no_user_during_concurrent_changes() {
    let timed = TimedRequests::new().await;
    let mut ids = Vec::new();
    for (minutes, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let body = json!({ "userName": name });
        ids.push(timed.at(i64::try_from(minutes).unwrap(), Request::post("/Users", &body)).await.id());
    }
    let first = timed.at(10, Request::get("/Users?startIndex=1&count=2")).await;
    assert_eq!(page_summary(&first), "1: 2 of 5: a b");
    timed.at(11, Request::delete(format!("/Users/{}", ids[0]))).await;
    timed.at(12, Request::post("/Users", json!({ "userName": "f" }))).await;
    let mut seen = names(&first.body, "userName");
    for start in [3, 5, 7] {
        let next = timed.at(13, Request::get(format!("/Users?startIndex={start}&count=2"))).await;
        seen.extend(names(&next.body, "userName"));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e", "f"]);
    // A new listing shows the current users.
    let again = timed.at(14, Request::get("/Users?startIndex=1&count=9")).await;
    assert_eq!(page_summary(&again), "1: 5 of 5: b c d e f");
}

#[tokio::test]
async fn page_has_100_resources_by_default_and_1000_at_most() {
    let service = Service::new().await;
    create_users(&service, 1001).await;
    for (query, wanted) in [
        ("attributes=userName", 100),
        ("attributes=userName&count=1000", 1000),
        ("attributes=userName&count=5000", 1000),
        ("attributes=userName&count=5000&startIndex=2", 1000),
        ("attributes=userName&count=5000&startIndex=1001", 1),
        ("attributes=userName&count=5000&filter=id%20pr", 1000),
        ("attributes=userName&filter=userName%20sw%20%22user%22", 100),
        ("attributes=userName&count=1000&startIndex=1002", 0),
    ] {
        let list = service.get(&format!("/Users?{query}")).await.body;
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(1001), &json!(wanted)), "{query}");
        assert_eq!(list["Resources"].as_array().map(Vec::len), Some(wanted), "{query}");
    }
    // The pages together contain each user once.
    let mut seen = Vec::new();
    for start in (1..=1001).step_by(300) {
        let list =
            service.get(&format!("/Users?attributes=userName&count=300&startIndex={start}")).await.body;
        seen.extend(names(&list, "userName"));
    }
    assert_eq!(seen.len(), 1001);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1001);
}

#[tokio::test]
async fn every_filter_operator_returns_the_matching_users() {
    let service = Service::new().await;
    let mut ada = full_user();
    ada["userName"] = json!("ada");
    service.post("/Users", ada).await;
    let emails = json!([{ "value": "bob@work", "type": "work" }, { "value": "bob@home", "type": "home" }]);
    let bob =
        service.post("/Users", json!({ "userName": "bob", "emails": emails, "active": false })).await.id();
    let group = service.group("Engineers", &[&bob]).await;
    let mut text = String::new();
    #[rustfmt::skip]
    let filters = [
        "userName eq \"ADA\"", "userName ne \"ada\"", "userName co \"D\"", "userName sw \"b\"",
        "userName ew \"B\"", "userName gt \"ada\"", "userName ge \"ada\"", "userName lt \"bob\"",
        "userName le \"bob\"", "userName pr", "title pr", "title eq null", "title ne null",
        "title ne \"Analyst\"", "active eq true", "active ne true", "ACTIVE EQ FALSE",
        "active eq \"False\"", "name.familyName eq \"lovelace\"", "name pr", "emails pr",
        "emails eq \"bob@home\"", "emails.value eq \"BOB@HOME\"", "emails.type eq \"home\"",
        "emails co \"@work\"", "emails[type eq \"work\" and value co \"@home\"]",
        "emails[type eq \"home\" and value co \"@home\"]", "emails[type eq \"work\"].value eq \"bob@work\"",
        "emails[not (type eq \"work\")]", "externalId eq \"00ujl29u0le5T6Aj10h7\"",
        "externalId eq \"00UJL29U0LE5T6AJ10H7\"", "externalId pr",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"ada\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"notes\"",
        "department eq \"Notes\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value pr", "manager pr",
        "urn:ietf:params:scim:schemas:extension:Custom:2.0:User:tag eq \"X\"",
        "schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"", "groups pr",
        "groups.value eq \"GROUP\"", "groups eq \"GROUP\"", "groups[value eq \"GROUP\"]",
        "groups.type eq \"direct\"", "groups[type eq \"indirect\"]", "id eq \"BOB\"", "id ne \"BOB\"",
        "meta.resourceType eq \"User\"", "meta.location ew \"BOB\"", "meta.version pr",
        "x509Certificates pr", "x509Certificates.value ne \"x\"",
        "userName eq \"ada\" or userName eq \"bob\" and active eq true",
        "(userName eq \"ada\" or userName eq \"bob\") and active eq false",
        "not (userName eq \"ada\") and not (userName eq \"bob\")", "userName eq \"a\\u0064a\"",
        "addresses.country eq \"gb\"", "phoneNumbers.primary eq true", "roles[primary eq \"True\"]",
    ];
    for filter in filters {
        let asked = filter.replace("GROUP", &group).replace("BOB\"", &format!("{bob}\""));
        let answer = Request::get("/Users").filter(&asked).send(&service).await;
        let mut found = names(&answer.body, "userName");
        found.sort_unstable();
        assert_eq!(answer.body["totalResults"], found.len(), "{filter}");
        let found = if found.is_empty() { "nobody".to_owned() } else { found.join(" ") };
        let _ = writeln!(text, "{filter}: {found}");
    }
    expect![[r#"
        userName eq "ADA": ada
        userName ne "ada": bob
        userName co "D": ada
        userName sw "b": bob
        userName ew "B": bob
        userName gt "ada": bob
        userName ge "ada": ada bob
        userName lt "bob": ada
        userName le "bob": ada bob
        userName pr: ada bob
        title pr: ada
        title eq null: bob
        title ne null: ada
        title ne "Analyst": bob
        active eq true: ada
        active ne true: bob
        ACTIVE EQ FALSE: bob
        active eq "False": bob
        name.familyName eq "lovelace": ada
        name pr: ada
        emails pr: ada bob
        emails eq "bob@home": bob
        emails.value eq "BOB@HOME": bob
        emails.type eq "home": ada bob
        emails co "@work": bob
        emails[type eq "work" and value co "@home"]: nobody
        emails[type eq "home" and value co "@home"]: bob
        emails[type eq "work"].value eq "bob@work": bob
        emails[not (type eq "work")]: ada bob
        externalId eq "00ujl29u0le5T6Aj10h7": ada
        externalId eq "00UJL29U0LE5T6AJ10H7": nobody
        externalId pr: ada
        urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada": ada
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "notes": ada
        department eq "Notes": ada
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value pr: ada
        manager pr: ada
        urn:ietf:params:scim:schemas:extension:Custom:2.0:User:tag eq "X": ada
        schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": ada
        groups pr: bob
        groups.value eq "GROUP": bob
        groups eq "GROUP": bob
        groups[value eq "GROUP"]: bob
        groups.type eq "direct": bob
        groups[type eq "indirect"]: nobody
        id eq "BOB": bob
        id ne "BOB": ada
        meta.resourceType eq "User": ada bob
        meta.location ew "BOB": bob
        meta.version pr: ada bob
        x509Certificates pr: ada
        x509Certificates.value ne "x": ada bob
        userName eq "ada" or userName eq "bob" and active eq true: ada
        (userName eq "ada" or userName eq "bob") and active eq false: bob
        not (userName eq "ada") and not (userName eq "bob"): nobody
        userName eq "a\u0064a": ada
        addresses.country eq "gb": ada
        phoneNumbers.primary eq true: ada
        roles[primary eq "True"]: ada
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn time_comparison_honours_the_zone_offset() {
    tests::require_test_clock();
    let service = Service::with_clock(Clock::fixed(NOW)).await;
    service.user("ada").await;
    for (filter, found) in [
        ("meta.created eq \"2026-11-23T10:00:00.123+01:00\"", 1),
        ("meta.created lt \"2026-11-23T09:00:00.123Z\"", 0),
    ] {
        assert_eq!(
            Request::get("/Users").filter(filter).send(&service).await.body["totalResults"],
            found,
            "{filter}"
        );
    }
}
