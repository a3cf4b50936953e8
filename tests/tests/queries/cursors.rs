//! Cursors (RFC 9865): which are taken, and what is said of the others.

use serde_json::json;
use service::auth::Scope;
use tests::Service;
use time::Duration;

use super::{GROUPS, Hands, Query, ROOT, USERS, Way, each, resources, walk, with_hands};

/// Three users and three groups.
async fn directory() -> (Service, Hands) {
    let (service, hands) = with_hands().await;
    for name in ["a", "b", "c"] {
        hands.advance(Duration::milliseconds(1));
        service.user(name).await;
        service.group(name, &[]).await;
    }
    (service, hands)
}

/// The cursor behind the first resource that the query finds.
async fn cursor(service: &Service, query: &Query) -> String {
    let answer = query.clone().with("cursor", "").with("count", 1).ask(service).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer.body["nextCursor"].as_str().expect("a cursor").to_owned()
}

/// What the service says of a query with that cursor: who is shown, or why not.
async fn said(service: &Service, query: &Query, cursor: &str) -> String {
    let answer = query.clone().with("cursor", cursor).with("count", 1).ask(service).await;
    let names = || {
        resources(&answer.body).iter().flat_map(|shown| {
            [&shown["userName"], &shown["displayName"]]
                .map(|name| name.as_str().unwrap_or_default().to_owned())
        })
    };
    if answer.status == 200 { names().collect() } else { answer.verdict() }
}

fn filtered() -> Query {
    Query::of(USERS).filter("title eq null")
}

#[tokio::test]
async fn a_cursor_is_good_for_its_query_and_no_other() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Query::of(USERS)).await;
    for (query, expected) in [
        (Query::of(USERS), "b"),
        (Query::of(USERS), "b"),
        (Query::of(USERS).with("attributes", "userName"), "b"),
        (filtered(), "400 invalidCursor"),
        (Query::of(USERS).with("sortBy", "userName"), "400 invalidCursor"),
        (Query::of(USERS).with("sortBy", "id").with("sortOrder", "descending"), "400 invalidCursor"),
        (Query::of(GROUPS), "400 invalidCursor"),
        (Query::of(ROOT), "400 invalidCursor"),
    ] {
        assert_eq!(said(&service, &query, &given).await, expected, "{query:?}");
    }
    let given = cursor(&service, &filtered()).await;
    assert_eq!(said(&service, &Query::of(USERS), &given).await, "400 invalidCursor");
    assert_eq!(said(&service, &Query::of(USERS).filter("title eq  null"), &given).await, "400 invalidCursor");
    assert_eq!(said(&service, &filtered(), &given).await, "b");
}

#[tokio::test]
async fn a_cursor_is_good_for_its_organisation_and_no_other() {
    let (service, _) = directory().await;
    let other = service.organisation("beta", &[Scope::Scim]).await;
    for name in ["x", "y"] {
        let answer =
            service.request_as(&other, axum::http::Method::POST, USERS, json!({ "userName": name })).await;
        assert_eq!(answer.status, 201);
    }
    let (ours, theirs) = (Query::of(USERS), Query::of(USERS).by(&other));
    let (our, their) = (cursor(&service, &ours).await, cursor(&service, &theirs).await);
    for (query, cursor, expected) in
        [(&ours, &our, "b"), (&theirs, &our, "400 invalidCursor"), (&ours, &their, "400 invalidCursor")]
    {
        assert_eq!(said(&service, query, cursor).await, expected);
    }
    let page = theirs.clone().with("cursor", &their).ask(&service).await.body;
    assert_eq!(resources(&page).len(), 1);
}

#[tokio::test]
async fn a_cursor_that_was_never_given_is_refused() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Query::of(USERS)).await;
    let end = given.len() - 1;
    let last = if given.ends_with('0') { '1' } else { '0' };
    let user = each(resources(&Query::of(USERS).ask(&service).await.body), "id").remove(0);
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
        // Made at the end of time, and just now.
        "ffffffff-ffff-7fff-bfff-ffffffffffff".to_owned(),
        user,
    ] {
        assert_eq!(said(&service, &Query::of(USERS), &cursor).await, "400 invalidCursor", "{cursor}");
    }
    assert_eq!(said(&service, &Query::of(USERS), &given).await, "b");
}

#[tokio::test]
async fn a_cursor_lives_an_hour() {
    for (after, expected) in [
        (Duration::ZERO, "b"),
        (Duration::minutes(59), "b"),
        (Duration::seconds(3_599), "b"),
        (Duration::seconds(3_600), "400 expiredCursor"),
        (Duration::days(400), "400 expiredCursor"),
    ] {
        let (service, hands) = directory().await;
        let given = cursor(&service, &filtered()).await;
        hands.advance(after);
        assert_eq!(said(&service, &filtered(), &given).await, expected, "after {after}");
    }
}

#[tokio::test]
async fn a_cursor_is_never_called_invalid_for_its_age() {
    // The directory was made at a time that is not a whole second.
    for millis in [3_599_800, 3_599_900, 3_599_999, 3_600_000] {
        let (service, hands) = directory().await;
        let given = cursor(&service, &filtered()).await;
        hands.advance(Duration::milliseconds(millis));
        let said = said(&service, &filtered(), &given).await;
        assert!(["b", "400 expiredCursor"].contains(&said.as_str()), "after {millis} ms: {said}");
    }
}

#[tokio::test]
async fn an_hour_is_counted_from_the_page_that_gave_the_cursor() {
    let (service, hands) = directory().await;
    let first = cursor(&service, &Query::of(USERS)).await;
    hands.advance(Duration::minutes(50));
    let page = Query::of(USERS).with("cursor", &first).with("count", 1).ask(&service).await.body;
    hands.advance(Duration::minutes(50));
    let second = page["nextCursor"].as_str().expect("a cursor");
    assert_eq!(said(&service, &Query::of(USERS), second).await, "c");
    assert_eq!(said(&service, &Query::of(USERS), &first).await, "400 expiredCursor");
}

#[tokio::test]
async fn the_number_of_resources_on_a_page_by_cursor_is_above_nothing() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Query::of(USERS)).await;
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
        let query = Query::of(USERS).with("cursor", cursor).with("count", count);
        for answer in [query.get(&service).await, query.search(&service).await] {
            assert_eq!(answer.verdict(), expected, "{count}: {:#}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_cursor_and_an_index_do_not_go_together() {
    let (service, _) = directory().await;
    let given = cursor(&service, &Query::of(USERS)).await;
    for cursor in ["", &given] {
        let query = Query::of(USERS).with("cursor", cursor).with("startIndex", 1);
        for answer in [query.get(&service).await, query.search(&service).await] {
            assert_eq!(answer.verdict(), "400 invalidValue");
            assert_eq!(
                answer.body["detail"],
                "'cursor' and 'startIndex' cannot be given together: choose one"
            );
        }
    }
}

#[tokio::test]
async fn the_last_page_has_no_cursor_and_no_page_an_index() {
    let (service, _) = directory().await;
    for (count, more) in [(1, true), (2, true), (3, false), (4, false)] {
        let page = Query::of(USERS).with("cursor", "").with("count", count).ask(&service).await.body;
        assert_eq!(page.get("nextCursor").is_some(), more, "{count}");
        assert_eq!(page.get("startIndex"), None);
    }
}

/// RFC 9865 §2: it should be there unless it cannot be determined.
#[tokio::test]
async fn a_page_by_cursor_has_a_total_where_it_is_known() {
    let (service, _) = directory().await;
    let group = service.group("group", &[]).await;
    for (query, total) in [
        (Query::of(USERS), Some(3)),
        (Query::of(USERS).with("sortBy", "userName"), Some(3)),
        (Query::of(GROUPS), Some(4)),
        (Query::of(ROOT), Some(7)),
        (Query::of(USERS).filter("userName ge \"b\""), Some(2)),
        (filtered().with("sortBy", "title"), Some(3)),
        // Along a walk, nobody has looked at all of them.
        (filtered(), None),
        (Query::of(USERS).filter(format!("groups.value eq \"{group}\"")), None),
        (Query::of(ROOT).filter("externalId eq \"x\""), None),
    ] {
        let pages = walk(&service, &query, Way::Cursor, 1, async || ()).await;
        for page in pages {
            assert_eq!(page.get("totalResults").and_then(serde_json::Value::as_u64), total, "{query:?}");
        }
    }
}

#[tokio::test]
async fn a_cursor_tells_nothing_of_where_it_stands() {
    let (service, _) = directory().await;
    service.user("somebodys.name@example.com").await;
    let query = Query::of(USERS).with("sortBy", "userName");
    let page = query.with("cursor", "").with("count", 3).ask(&service).await.body;
    let next = page["nextCursor"].as_str().expect("a cursor");
    assert!(!next.contains("somebody"), "{next}");
    let ids = each(resources(&Query::of(USERS).ask(&service).await.body), "id");
    assert!(!ids.contains(&next.to_owned()), "{next}");
}
