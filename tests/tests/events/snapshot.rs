//! The snapshot: a product that begins with it and continues with the feed misses nothing.

use serde_json::{Value, json};
use tests::{
    Request, Service,
    product::{self, Product, sequence},
};

use crate::members;

async fn many_users(service: &Service, count: usize, size: usize) -> Vec<String> {
    let mut users = Vec::new();
    for index in 0..count {
        let body = json!({ "userName": format!("user-{index}"), "title": "x".repeat(size) });
        users.push(service.post("/Users", body).await.id());
    }
    users
}

#[tokio::test]
async fn snapshot_equals_the_directory() {
    let service = Service::new().await;
    let users = many_users(&service, 150, 10).await;
    let inner = service.group("inner", &[&users[0]]).await;
    let body = json!({ "displayName": "outer", "members": members(&[&users[..], &[inner]].concat()) });
    assert_eq!(service.post("/Groups", body).await.status, 201);
    service.group("empty", &[]).await;
    sequence(&service).await;
    let mut product = Product::start(&service).await;
    assert_eq!(product.tables, product::directory(&service).await);
    assert!(product.follow(&service).await.is_empty());
}

#[tokio::test]
async fn pages_of_a_snapshot_miss_no_change_in_between() {
    let service = Service::new().await;
    let users = many_users(&service, 300, 8_000).await;
    let group =
        service.post("/Groups", json!({ "displayName": "all", "members": members(&users) })).await.id();
    sequence(&service).await;
    let mut path = "/events/v1/snapshot".to_owned();
    let mut lines: Vec<Value> = Vec::new();
    let mut pages = 0;
    let sequence_of_snapshot = loop {
        let mut page = Request::get(&path).at_root().send_lines(&service).await;
        let end = page.pop().expect("a last line");
        lines.extend(page);
        // Each page is followed by changes of resources that were read and of resources that were not.
        let (early, late) = (&users[pages], &users[users.len() - 1 - pages]);
        assert_eq!(service.delete(&format!("/Users/{early}")).await.status, 204);
        let change = json!([{ "op": "replace", "path": "title", "value": "changed" }]);
        assert_eq!(service.patch(&format!("/Users/{late}"), change).await.status, 200);
        let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{late}\"]") }]);
        assert_eq!(service.patch(&format!("/Groups/{group}"), remove).await.status, 204);
        sequence(&service).await;
        pages += 1;
        match end["next"].as_str() {
            Some(next) => path = format!("/events/v1/snapshot?cursor={next}"),
            None => break end["sequence"].as_u64().expect("a number"),
        }
    };
    assert!(pages > 2, "{pages}");
    let mut product = Product::from_snapshot(&lines, sequence_of_snapshot);
    product.follow(&service).await;
    assert_eq!(product.tables, product::directory(&service).await);
}
