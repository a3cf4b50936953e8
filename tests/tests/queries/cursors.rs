//! Cursors (RFC 9865): accepted cursors, and the errors for others.

use serde_json::json;
use service::auth::Scope;
use tests::{Request, Service};
use time::Duration;

use super::{GROUPS, Paging, ROOT, TestClock, USERS, each, resources, service_with_clock, walk};

/// Returns a service with three users and three groups, and its clock.
async fn directory() -> (Service, TestClock) {
    let (service, clock) = service_with_clock().await;
    for name in ["a", "b", "c"] {
        clock.advance(Duration::milliseconds(1));
        service.user(name).await;
        service.group(name, &[]).await;
    }
    (service, clock)
}

/// Returns the cursor after the first result of the query.
async fn cursor(service: &Service, query: &Request) -> String {
    let answer = query.clone().query("cursor", "").query("count", 1).send_query(service).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer.body["nextCursor"].as_str().expect("a cursor").to_owned()
}

/// Returns the names on the page of a cursor, or the verdict of the error.
async fn said(service: &Service, query: &Request, cursor: &str) -> String {
    let answer = query.clone().query("cursor", cursor).query("count", 1).send_query(service).await;
    let names = || {
        resources(&answer.body).iter().flat_map(|shown| {
            [&shown["userName"], &shown["displayName"]]
                .map(|name| name.as_str().unwrap_or_default().to_owned())
        })
    };
    if answer.status == 200 { names().collect() } else { answer.verdict() }
}

fn filtered() -> Request {
    Request::get(USERS).filter("title eq null")
}

#[tokio::test]
async fn cursor_is_valid_for_its_query_only() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Request::get(USERS)).await;
    for (query, expected) in [
        (Request::get(USERS), "b"),
        // A cursor can be used again.
        (Request::get(USERS), "b"),
        (Request::get(USERS).query("attributes", "userName"), "b"),
        (filtered(), "400 invalidCursor"),
        (Request::get(USERS).query("sortBy", "userName"), "400 invalidCursor"),
        (Request::get(USERS).query("sortBy", "id").query("sortOrder", "descending"), "400 invalidCursor"),
        (Request::get(GROUPS), "400 invalidCursor"),
        (Request::get(ROOT), "400 invalidCursor"),
    ] {
        assert_eq!(said(&service, &query, &given).await, expected, "{query:?}");
    }
    let given = cursor(&service, &filtered()).await;
    assert_eq!(said(&service, &Request::get(USERS), &given).await, "400 invalidCursor");
    assert_eq!(
        said(&service, &Request::get(USERS).filter("title eq  null"), &given).await,
        "400 invalidCursor"
    );
    assert_eq!(said(&service, &filtered(), &given).await, "b");
}

#[tokio::test]
async fn cursor_is_valid_in_its_organisation_only() {
    let (service, _) = directory().await;
    let other = service.organisation("beta", &[Scope::Scim]).await;
    for name in ["x", "y"] {
        let answer = Request::post(USERS, json!({ "userName": name })).bearer(&other).send(&service).await;
        assert_eq!(answer.status, 201);
    }
    let (ours, theirs) = (Request::get(USERS), Request::get(USERS).bearer(&other));
    let (our, their) = (cursor(&service, &ours).await, cursor(&service, &theirs).await);
    for (query, cursor, expected) in
        [(&ours, &our, "b"), (&theirs, &our, "400 invalidCursor"), (&ours, &their, "400 invalidCursor")]
    {
        assert_eq!(said(&service, query, cursor).await, expected);
    }
    let page = theirs.clone().query("cursor", &their).send_query(&service).await.body;
    assert_eq!(resources(&page).len(), 1);
}

#[tokio::test]
async fn unknown_cursor_is_rejected() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Request::get(USERS)).await;
    let end = given.len() - 1;
    let last = if given.ends_with('0') { '1' } else { '0' };
    let user = each(resources(&Request::get(USERS).send_query(&service).await.body), "id").remove(0);
    for cursor in [
        "x".to_owned(),
        " ".to_owned(),
        "1".to_owned(),
        "null".to_owned(),
        "\u{0}".to_owned(),
        "é".repeat(3_000),
        given.to_uppercase(),
        given.replace('-', ""),
        given[..end].to_owned(),
        format!("{given}0"),
        format!("{given} "),
        format!("{}{last}", &given[..end]),
        format!("{given},{given}"),
        // Ids with the last possible time and with the current time.
        "ffffffff-ffff-7fff-bfff-ffffffffffff".to_owned(),
        user,
    ] {
        assert_eq!(said(&service, &Request::get(USERS), &cursor).await, "400 invalidCursor", "{cursor}");
    }
    assert_eq!(said(&service, &Request::get(USERS), &given).await, "b");
}

#[tokio::test]
async fn cursor_expires_after_an_hour() {
    for (after, expected) in [
        (Duration::ZERO, "b"),
        (Duration::minutes(59), "b"),
        (Duration::seconds(3_599), "b"),
        (Duration::seconds(3_600), "400 expiredCursor"),
        (Duration::days(400), "400 expiredCursor"),
    ] {
        let (service, clock) = directory().await;
        let given = cursor(&service, &filtered()).await;
        clock.advance(after);
        assert_eq!(said(&service, &filtered(), &given).await, expected, "after {after}");
    }
}

#[tokio::test]
async fn old_cursor_is_expired_and_never_invalid() {
    // The directory was created between two whole seconds.
    for millis in [3_599_800, 3_599_900, 3_599_999, 3_600_000] {
        let (service, clock) = directory().await;
        let given = cursor(&service, &filtered()).await;
        clock.advance(Duration::milliseconds(millis));
        let said = said(&service, &filtered(), &given).await;
        assert!(["b", "400 expiredCursor"].contains(&said.as_str()), "after {millis} ms: {said}");
    }
}

#[tokio::test]
async fn cursor_lifetime_starts_at_its_page() {
    let (service, clock) = directory().await;
    let first = cursor(&service, &Request::get(USERS)).await;
    clock.advance(Duration::minutes(50));
    let page = Request::get(USERS).query("cursor", &first).query("count", 1).send_query(&service).await.body;
    clock.advance(Duration::minutes(50));
    let second = page["nextCursor"].as_str().expect("a cursor");
    assert_eq!(said(&service, &Request::get(USERS), second).await, "c");
    assert_eq!(said(&service, &Request::get(USERS), &first).await, "400 expiredCursor");
}

#[tokio::test]
async fn cursor_page_requires_a_positive_count() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Request::get(USERS)).await;
    for (cursor, count, expected) in [
        ("", "0", "400 invalidCount"),
        (&given, "0", "400 invalidCount"),
        (&given, "-1", "400 invalidCount"),
        (&given, "abc", "400 invalidCount"),
        (&given, "1.5", "400 invalidCount"),
        (&given, "99999999999999999999", "200"),
        (&given, "", "200"),
        (&given, "2", "200"),
    ] {
        let query = Request::get(USERS).query("cursor", cursor).query("count", count);
        for answer in [query.send(&service).await, query.to_search().send(&service).await] {
            assert_eq!(answer.verdict(), expected, "{count}: {:#}", answer.body);
        }
    }
}

#[tokio::test]
async fn cursor_and_start_index_are_mutually_exclusive() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Request::get(USERS)).await;
    for cursor in ["", &given] {
        let query = Request::get(USERS).query("cursor", cursor).query("startIndex", 1);
        for answer in [query.send(&service).await, query.to_search().send(&service).await] {
            assert_eq!(answer.verdict(), "400 invalidValue");
            assert_eq!(
                answer.body["detail"],
                "The parameters 'cursor' and 'startIndex' cannot be combined. Send one of them."
            );
        }
    }
}

#[tokio::test]
async fn last_cursor_page_has_no_next_cursor() {
    let (service, _) = directory().await;
    for (count, more) in [(1, true), (2, true), (3, false), (4, false)] {
        let page =
            Request::get(USERS).query("cursor", "").query("count", count).send_query(&service).await.body;
        assert_eq!(page.get("nextCursor").is_some(), more, "{count}");
        assert_eq!(page.get("startIndex"), None);
    }
}

/// The total should be present unless it cannot be determined (RFC 9865 §2).
#[tokio::test]
async fn cursor_page_has_the_total_if_known() {
    let (service, _) = directory().await;
    let group = service.group("group", &[]).await;
    for (query, total) in [
        (Request::get(USERS), Some(3)),
        (Request::get(USERS).query("sortBy", "userName"), Some(3)),
        (Request::get(GROUPS), Some(4)),
        (Request::get(ROOT), Some(7)),
        (Request::get(USERS).filter("userName ge \"b\""), Some(2)),
        (filtered().query("sortBy", "title"), Some(3)),
        // A walk has not evaluated all resources.
        (filtered(), None),
        (Request::get(USERS).filter(format!("groups.value eq \"{group}\"")), None),
        (Request::get(ROOT).filter("externalId eq \"x\""), None),
    ] {
        let pages = walk(&service, &query, Paging::Cursor, 1, async || ()).await;
        for page in pages {
            assert_eq!(page.get("totalResults").and_then(serde_json::Value::as_u64), total, "{query:?}");
        }
    }
}

#[tokio::test]
async fn cursor_reveals_no_user_data() {
    let (service, _) = directory().await;
    service.user("somebodys.name@example.com").await;
    let query = Request::get(USERS).query("sortBy", "userName");
    let page = query.query("cursor", "").query("count", 3).send_query(&service).await.body;
    let next = page["nextCursor"].as_str().expect("a cursor");
    assert!(!next.contains("somebody"), "{next}");
    let ids = each(resources(&Request::get(USERS).send_query(&service).await.body), "id");
    assert!(!ids.contains(&next.to_owned()), "{next}");
}
