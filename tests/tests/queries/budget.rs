//! What one page may go through: so many resources, entries and memberships, and so much time. Past that a page by index
//! is refused with what to do instead, and one by cursor is short.
//!
//! Time stands still unless a call waits, so that nothing here depends on how fast the machine is.

use std::time::Duration;

use dynoxide::{AttributeValue, Database};
use local::embedded::{Connector, client};
use serde_json::json;
use tests::{
    ORG, Request, Service, intercept,
    load::{Item, fill, import, item, member_id},
};

use super::{GROUPS, USERS, Way, all_of, each, resources, walk};

/// What may be collected.
const LIMIT: usize = 100_000;

/// Puts users into the database, those that [`fill`] makes members of these numbers; nobody counts them.
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

/// One more than may be collected: names, and members of a group. Only three of them are there.
#[tokio::test(start_paused = true)]
async fn what_keys_lead_to_is_collected_up_to_the_limit_and_gone_through_by_cursor() {
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
            let pages = walk(&service, &query, Way::Cursor, 100, async || ()).await;
            let mut found = each(&all_of(&pages), "userName");
            found.sort_unstable();
            assert_eq!(found.join(" "), by_cursor, "{query:?}");
        }
    }
}

/// More than is read at a time: documents are forgotten, and read again for the page.
#[tokio::test(start_paused = true)]
async fn what_is_collected_in_parts_is_whole_and_in_order() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(client(database.clone())).await;
    let group = service.group("group", &[]).await;
    fill(&database, &group, 0..1_100);
    let all = users(&database, 0..1_100);
    let odd: Vec<&String> = all.iter().skip(1).step_by(2).collect();
    for filter in ["userName sw \"u\"".to_owned(), format!("groups.value eq \"{group}\"")] {
        let filter = format!("{filter} and title eq \"odd\"");
        for way in [Way::Index, Way::Cursor] {
            let query = Request::get(USERS).filter(&filter).query("attributes", "userName");
            let pages = walk(&service, &query, way, 300, async || ()).await;
            assert!(each(&all_of(&pages), "id").iter().eq(odd.clone()), "{way:?} {filter}");
            if way == Way::Index {
                assert!(pages.iter().all(|page| page["totalResults"] == odd.len()), "{filter}");
            }
            let query = query.query("sortBy", "title").query("sortOrder", "descending");
            let pages = walk(&service, &query, way, 300, async || ()).await;
            assert!(each(&all_of(&pages), "id").iter().eq(odd.iter().rev().copied()), "{way:?} {filter}");
        }
    }
}

/// The way that the refusal of a large group points to. Most of the members were deleted a moment ago.
#[tokio::test(start_paused = true)]
async fn the_members_of_a_group_too_large_to_show_are_all_found_page_by_page() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(client(database.clone())).await;
    let group = service.group("group", &[]).await;
    let all = users(&database, (0..115_001).step_by(37));
    fill(&database, &group, 0..115_001);
    let refused = service.get(&format!("{GROUPS}/{group}")).await;
    assert_eq!(refused.verdict(), "400 tooMany");
    let detail = refused.body["detail"].as_str().expect("what to do");
    let hint = detail.split("filter=").nth(1).expect("a filter").replace("<id of the group>", &group);
    let members = Request::get(USERS).filter(hint).query("attributes", "id");
    let pages = walk(&service, &members, Way::Cursor, 1_000, async || ()).await;
    assert!(each(&all_of(&pages), "id") == all);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_too_long_is_refused_with_what_to_do_instead_and_not_with_503() {
    let database = Database::memory().expect("a database in memory");
    let quick = Service::on(client(database.clone())).await;
    let group = quick.group("group", &[]).await;
    let all = users(&database, 0..5_500);
    fill(&database, &group, 0..5_500);
    // Every query takes five and a half seconds; a request may take 25.
    let slow = intercept::client(Connector::new(database), async |call| {
        if call.operation == "Query" {
            tokio::time::sleep(Duration::from_millis(5_500)).await;
        }
        call.forward().await
    });
    let service = Service::on(slow).await;
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
        let detail = answer.body["detail"].as_str().expect("what to do");
        assert!(
            detail.contains("userName, externalId, emails.value") && detail.contains("cursor"),
            "{detail}"
        );
    }
    // By cursor, the page ends where the time does.
    let pages = walk(&service, &of("userName ew \"1\""), Way::Cursor, 1_000, async || ()).await;
    let shown: Vec<usize> = pages.iter().map(|page| resources(page).len()).collect();
    assert_eq!(shown, [400, 150]);
    assert!(each(&all_of(&pages), "id").iter().eq(all.iter().skip(1).step_by(10)));
}
