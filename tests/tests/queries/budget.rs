//! The read budget of a page: a number of resources, entries and memberships, and a time. An index page over budget fails
//! and says how to change the query. A cursor page ends early.
//!
//! Time is virtual and passes only while a call waits, so that no test depends on the speed of the machine.

use std::time::Duration;

use dynoxide::{AttributeValue, Database};
use local::embedded::{Connector, client};
use serde_json::json;
use service::{clock::Clock, entropy::Entropy};
use tests::{
    NOW, ORG, Request, Service, intercept,
    load::{Item, fill, import, item, member_id},
};

use super::{GROUPS, Paging, USERS, all_of, each, resources, walk};

/// The number of resources that a page may collect.
const LIMIT: usize = 100_000;

/// Puts the users of these numbers into the database, but not into the count. [`fill`] adds the same ids to groups.
fn users(database: &Database, numbers: impl Iterator<Item = usize> + Clone) -> Vec<String> {
    let items = numbers.clone().flat_map(|number| {
        let title = if number.is_multiple_of(2) { "even" } else { "odd" };
        let document = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name(number), "title": title,
        });
        let created = "2024-12-03T00:00:00.000Z".to_owned();
        let mut user = item([
            ("pk", format!("ORG#{ORG}#USER")),
            ("sk", member_id(number)),
            ("document", document.to_string()),
            ("version", "1".to_owned()),
            ("created", created.clone()),
            ("modified", created),
        ]);
        user.insert("format".to_owned(), AttributeValue::N("1".to_owned()));
        [user, entry(number)]
    });
    import(database, items);
    numbers.map(member_id).collect()
}

fn name(number: usize) -> String {
    format!("u{number:06}")
}

fn entry(number: usize) -> Item {
    item([("pk", format!("ORG#{ORG}#USER#userName")), ("sk", name(number)), ("id", member_id(number))])
}

/// The index and the group have more entries than the limit. Only three of the users exist.
#[tokio::test(start_paused = true)]
async fn index_matches_over_the_limit_are_paged_by_cursor() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(client(database.clone())).await;
    let mut ids = Vec::new();
    for name in ["u-ann", "u-bob", "cy"] {
        ids.push(service.post(USERS, json!({ "userName": name, "title": name, "active": true })).await.id());
    }
    let large = service.group("large", &[&ids[0], &ids[2]]).await;
    let small = service.group("small", &[&ids[1]]).await;
    fill(&database, &large, 0..LIMIT + 1);
    import(&database, (0..=LIMIT).map(entry));
    let mut count = item([("pk", format!("ORG#{ORG}#COUNT")), ("sk", "USER#99".to_owned())]);
    count.insert("n".to_owned(), AttributeValue::N("200000".to_owned()));
    import(&database, [count]);

    let member = format!("groups.value eq \"{large}\"");
    let of = |filter: &str| Request::get(USERS).filter(filter);
    for (query, by_index, by_cursor) in [
        (of("userName sw \"u\" and active eq true"), "400 tooMany", "u-ann u-bob"),
        (of("userName ge \"u\"").query("sortBy", "title"), "400 tooMany", "400 tooMany"),
        (of(&format!("{member} or groups.value eq \"{small}\"")), "400 tooMany", "cy u-ann u-bob"),
        (of(&format!("{member} or userName eq \"u-bob\"")), "400 tooMany", "cy u-ann u-bob"),
        (of(&format!("{member} and active eq true")), "400 tooMany", ""),
        (of(&member).query("startIndex", LIMIT + 2), "400 tooMany", ""),
        (Request::get(USERS).query("startIndex", LIMIT + 2), "400 tooMany", ""),
        (Request::get(USERS).query("startIndex", 300_000), "200", ""),
        (of(&member).query("count", 0), "200", ""),
        (of("userName sw \"u-\"").query("sortBy", "userName"), "200", "u-ann u-bob"),
    ] {
        let answer = query.send_query(&service).await;
        assert_eq!(answer.verdict(), by_index, "{query:?}: {:#}", answer.body);
        if by_cursor == "400 tooMany" {
            assert_eq!(query.query("cursor", "").send_query(&service).await.verdict(), by_cursor);
        } else if !by_cursor.is_empty() {
            let pages = walk(&service, &query, Paging::Cursor, 100, async || ()).await;
            let mut found = each(&all_of(&pages), "userName");
            found.sort_unstable();
            assert_eq!(found.join(" "), by_cursor, "{query:?}");
        }
    }
}

/// The matches exceed one read, so the service drops the documents and reads those of the page again.
#[tokio::test(start_paused = true)]
async fn collection_in_parts_is_complete_and_ordered() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(client(database.clone())).await;
    let group = service.group("group", &[]).await;
    fill(&database, &group, 0..1_100);
    let all = users(&database, 0..1_100);
    let odd: Vec<&String> = all.iter().skip(1).step_by(2).collect();
    for filter in ["userName sw \"u\"".to_owned(), format!("groups.value eq \"{group}\"")] {
        let filter = format!("{filter} and title eq \"odd\"");
        for paging in [Paging::Index, Paging::Cursor] {
            let query = Request::get(USERS).filter(&filter).query("attributes", "userName");
            let pages = walk(&service, &query, paging, 300, async || ()).await;
            assert!(each(&all_of(&pages), "id").iter().eq(odd.clone()), "{paging:?} {filter}");
            if paging == Paging::Index {
                assert!(pages.iter().all(|page| page["totalResults"] == odd.len()), "{filter}");
            }
            let query = query.query("sortBy", "title").query("sortOrder", "descending");
            let pages = walk(&service, &query, paging, 300, async || ()).await;
            assert!(each(&all_of(&pages), "id").iter().eq(odd.iter().rev().copied()), "{paging:?} {filter}");
        }
    }
}

/// The error for an oversized group names this query. Most of the members do not exist any more.
#[tokio::test(start_paused = true)]
async fn members_of_oversized_group_are_paged_completely() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(client(database.clone())).await;
    let group = service.group("group", &[]).await;
    let all = users(&database, (0..115_001).step_by(37));
    fill(&database, &group, 0..115_001);
    let refused = service.get(&format!("{GROUPS}/{group}")).await;
    assert_eq!(refused.verdict(), "400 tooMany");
    let detail = refused.body["detail"].as_str().expect("a detail");
    let filter = detail.split("the filter ").nth(1).expect("a filter").trim_end_matches('.');
    let hint = filter.replace("<id of the group>", &group);
    let members = Request::get(USERS).filter(hint).query("attributes", "id");
    let pages = walk(&service, &members, Paging::Cursor, 1_000, async || ()).await;
    assert!(each(&all_of(&pages), "id") == all);
}

#[tokio::test(start_paused = true)]
async fn slow_page_is_rejected_with_advice() {
    let database = Database::memory().expect("a database in memory");
    let quick = Service::on(client(database.clone())).await;
    let group = quick.group("group", &[]).await;
    let all = users(&database, 0..5_500);
    // A query reads about 10,000 edges, but 1,000 resources at most.
    fill(&database, &group, 0..45_000);
    // Each query takes 5.5 seconds, and a request may take 25.
    let slow = intercept::client(Connector::new(database), async |call| {
        if call.operation == "Query" {
            tokio::time::sleep(Duration::from_millis(5_500)).await;
        }
        call.forward().await
    });
    let service = Service::restarted(slow, Clock::fixed(NOW), Entropy::seeded(2), &quick.key);
    let member = format!("groups.value eq \"{group}\"");
    let of = |filter: &str| Request::get(USERS).filter(filter).query("attributes", "id");
    for query in [
        of("title eq \"nobody's\""),
        of("userName ge \"u\""),
        of(&member).query("count", 1),
        of(&member).query("sortBy", "title"),
        of(&member).query("startIndex", 5_001),
    ] {
        let answer = query.send(&service).await;
        assert_eq!(answer.verdict(), "400 tooMany", "{query:?}: {:#}", answer.body);
        let detail = answer.body["detail"].as_str().expect("a detail");
        assert!(
            detail.contains("userName, externalId, emails.value") && detail.contains("cursor"),
            "{detail}"
        );
    }
    // A cursor page ends when its time is over.
    let pages = walk(&service, &of("userName ew \"1\""), Paging::Cursor, 1_000, async || ()).await;
    let shown: Vec<usize> = pages.iter().map(|page| resources(page).len()).collect();
    assert_eq!(shown, [400, 150]);
    assert!(each(&all_of(&pages), "id").iter().eq(all.iter().skip(1).step_by(10)));
}
