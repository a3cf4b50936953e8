//! The costs of a change of one member, which are the same for groups of 10, 10,000 and 200,000 members.

use dynoxide::Database;
use expect_test::expect;
use serde_json::{Value, json};
use service::config::Tables;
use tests::{Service, counting::Counter, load::fill};

/// Returns the costs of requests about one member of a group of that size, one line for each request.
async fn costs(members: usize) -> String {
    let database = Database::memory().expect("a database in memory");
    let counter = Counter::default();
    let service = Service::on(counter.client(database.clone())).await;
    let [ann, bob] = [service.user("ann").await, service.user("bob").await];
    let group = service.group("group", &[&bob]).await;
    fill(&database, &group, 0..members);
    let path = format!("/Groups/{group}");
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": ann }] }]);
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{ann}\"]") }]);
    let remove_as_okta = json!([{ "op": "remove", "path": "members", "value": [{ "value": ann }] }]);
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "another" }]);
    let mut lines = String::new();
    for (request, operations) in [
        ("add", &add),
        ("add again", &add),
        ("remove", &remove),
        ("remove again", &remove),
        ("remove by value again", &remove_as_okta),
        ("rename", &rename),
    ] {
        let _ = counter.take();
        let answer = service.patch(&path, operations.clone()).await;
        lines += &line(request, answer.status, &counter);
    }
    for (request, path) in [
        ("GET without members", format!("{path}?excludedAttributes=members")),
        ("GET of a member", format!("/Users/{bob}")),
        (
            "is it a member?",
            format!(
                "/Groups?filter=id%20eq%20%22{group}%22%20and%20members%20eq%20%22{bob}%22&excludedAttributes=members"
            ),
        ),
        ("has it members?", "/Groups?filter=members%20pr&excludedAttributes=members".to_owned()),
    ] {
        let _ = counter.take();
        let answer = service.get(&path).await;
        lines += &line(request, answer.status, &counter);
    }
    let _ = counter.take();
    let deleted = service.delete(&format!("/Users/{bob}")).await;
    lines += &line("DELETE of a member", deleted.status, &counter);
    lines
}

fn line(request: &str, status: u16, counter: &Counter) -> String {
    let costs = counter.take();
    let cost = costs.get(&Tables::default().resources).cloned().unwrap_or_default();
    format!("{request:<24}{status}  {cost}\n")
}

#[tokio::test]
async fn member_change_costs_the_same_in_groups_of_any_size() {
    let ten = costs(10).await;
    expect![[r#"
        add                     204  TransactWriteItems 2: 0 read, 10 written
        add again               204  GetItem 1, TransactWriteItems 2: 1 read, 0 written
        remove                  204  TransactWriteItems 2: 0 read, 8 written
        remove again            204  GetItem 1, TransactWriteItems 2: 1 read, 0 written
        remove by value again   204  GetItem 1, TransactWriteItems 2: 1 read, 0 written
        rename                  204  GetItem 1, TransactWriteItems 1: 1 read, 8 written
        GET without members     200  GetItem 1: 1 read, 0 written
        GET of a member         200  GetItem 1, Query 2: 3 read, 0 written
        is it a member?         200  GetItem 2, Query 1: 3 read, 0 written
        has it members?         200  GetItem 1, Query 4: 5 read, 0 written
        DELETE of a member      204  GetItem 2, Query 2, TransactWriteItems 2: 4 read, 14 written
    "#]]
    .assert_eq(&ten);
    assert_eq!(costs(10_000).await, ten);
    assert_eq!(costs(200_000).await, ten);
}

/// The tests in `budget` follow the advice.
#[tokio::test]
async fn oversized_group_error_says_how_to_read_members() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(local::embedded::client(database.clone())).await;
    let group = service.group("group", &[]).await;
    fill(&database, &group, 0..115_001);
    let answer = service.get(&format!("/Groups/{group}")).await;
    expect![[r#"
        400
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "400",
          "scimType": "tooMany",
          "detail": "The answer would show more than 115000 members. Leave them out with excludedAttributes=members, and read them page by page from /Users with the filter groups.value eq \"<id of the group>\"."
        }
    "#]].assert_eq(&answer.snapshot().replace(&group, "<group>"));
    let bare = service.get(&format!("/Groups/{group}?excludedAttributes=members")).await;
    assert_eq!(bare.status, 200);
}

/// Returns the size of the body as a JSON string, as in the response of a Lambda function.
fn response_size(body: &Value) -> usize {
    Value::from(body.to_string()).to_string().len()
}

const LAMBDA_BYTES: usize = 6 * 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn members_fit_into_an_answer_with_any_base_url() {
    let database = Database::memory().expect("a database in memory");
    let mut service = Service::on(local::embedded::client(database.clone())).await;
    let group = service.group("group", &[]).await;
    let mut present = 0;
    let path = format!("/Groups/{group}");
    for (members, base, is_whole) in [(25_000, 32, true), (25_000, 200, false), (115_000, 32, false)] {
        fill(&database, &group, present..members);
        present = members;
        service.set_base_url(&format!("https://{}.test/scim/v2", "x".repeat(base - 21)));
        let answer = service.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.body["detail"]);
        let shown = answer.body["members"].as_array().expect("members");
        assert_eq!(shown.len(), members);
        assert!(shown.iter().all(|member| member["value"].is_string()));
        assert_eq!(shown[0].get("$ref").is_some(), is_whole);
        let bytes = response_size(&answer.body);
        assert!(bytes < LAMBDA_BYTES, "{bytes}");
    }
}

/// Okta imports 100 groups at a time. It cannot request fewer groups or exclude members.
#[tokio::test(start_paused = true)]
async fn group_page_shortens_members_that_do_not_fit() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(local::embedded::client(database.clone())).await;
    let mut groups = Vec::new();
    for name in ["a", "b", "c", "d"] {
        groups.push(service.group(name, &[]).await);
    }
    let mut present = 0;
    // In the response of the function, a member takes 153 bytes, or 53 bytes with its value only.
    for (index, members, verdict, is_whole) in [
        (0, 40_600, "200", true),
        (1, 40_800, "200", false),
        (2, 115_000, "200", false),
        (3, 115_001, "400 tooMany", false),
    ] {
        fill(&database, &groups[index], present..members);
        present = members;
        let answer = service.get("/Groups?startIndex=1&count=100").await;
        assert_eq!(answer.verdict(), verdict, "{members}: {}", answer.body["detail"]);
        if answer.status == 200 {
            let groups = answer.body["Resources"].as_array().expect("groups");
            let shown: Vec<&Value> =
                groups.iter().filter_map(|group| group["members"].as_array()).flatten().collect();
            assert_eq!(shown.len(), members);
            let names = if is_whole { 3 } else { 1 };
            assert!(shown.iter().all(|member| member.as_object().map(serde_json::Map::len) == Some(names)));
            assert!(shown.iter().all(|member| member["value"].is_string()));
            let bytes = response_size(&answer.body);
            assert!(bytes < LAMBDA_BYTES, "{bytes}");
        }
    }
    // Without members, the number of members has no effect.
    for query in
        ["filter=members%20pr", "filter=members.type%20eq%20%22User%22", "cursor=&filter=members.type%20pr"]
    {
        let answer = service.get(&format!("/Groups?{query}&excludedAttributes=members")).await;
        let found = answer.body["Resources"].as_array().map(Vec::len);
        assert_eq!((answer.status, found), (200, Some(4)), "{query}: {}", answer.body["detail"]);
    }
}

/// A change of 1,000 members exceeds ten transactions, so it is a pending change.
#[tokio::test]
async fn put_of_1000_members_writes_only_differences() {
    let database = Database::memory().expect("a database in memory");
    let counter = Counter::default();
    let service = Service::on(counter.client(database)).await;
    let mut users = Vec::new();
    for number in 0..1_001 {
        users.push(service.user(&format!("user-{number}")).await);
    }
    users.sort_unstable();
    let group = service.group("group", &[]).await;
    let path = format!("/Groups/{group}");
    // Keeps the 1,000 ids out of the message.
    let has = async |members: &[String]| assert!(service.members(&group).await == members);
    let put = async |members: &[String]| {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let _ = counter.take();
        let answer = service.put(&path, json!({ "displayName": "group", "members": members })).await;
        let written = counter.take().remove(&Tables::default().resources).unwrap_or_default().write;
        (answer, written)
    };
    let (filled, _) = put(&users[..1_000]).await;
    assert_eq!(filled.status, 200);
    has(&users[..1_000]).await;

    let (same, written) = put(&users[..1_000]).await;
    assert_eq!((same.status, written), (200, 0.0));
    assert_eq!(same.header("etag"), filled.header("etag"));
    assert_eq!(same.body["meta"], filled.body["meta"]);

    let unknown = "01938000-0000-7000-8000-000000000000".to_owned();
    let (refused, written) = put(&[&users[500..], std::slice::from_ref(&unknown)].concat()).await;
    assert_eq!((refused.verdict(), written), ("400 invalidValue".to_owned(), 0.0));
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains(&unknown)));
    has(&users[..1_000]).await;

    let (exchanged, written) = put(&users[1..]).await;
    assert_eq!(exchanged.status, 200);
    assert_ne!(exchanged.header("etag"), filled.header("etag"));
    // One transaction writes the group, its events, and two edges each for the new and the removed member.
    assert!((written - (2.0 * 6.0 + 2.0)).abs() < 0.1, "{written}");
    has(&users[1..]).await;

    let (emptied, _) = put(&[]).await;
    assert_eq!(emptied.status, 200);
    has(&[]).await;
    service.assert_healthy().await;
}
