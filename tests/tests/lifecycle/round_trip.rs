//! Export, deletion, import and export again give the same bytes.

use std::fmt::Write;

use expect_test::expect;
use serde_json::{Value, json};
use service::store::transfer::{ImportError, Imported};
use tests::{
    Request,
    load::{Item, fill, import as load, item, member_id},
};

use crate::world::{World, count_lines, import, import_as, org};

#[tokio::test(start_paused = true)]
async fn export_shows_every_record_once() {
    let world = World::empty().await;
    let ada = world.service.user("ada").await;
    let inner = world.service.group("Inner", &[&ada]).await;
    world.service.group("Outer", &[&inner]).await;
    let text = world.export().await;
    expect![[r#"
        {"organisation":{"format":1,"name":"acme","enabled":true,"created":"{now}","settings":{"tokenMinutes":60,"rate":50,"burst":200,"atOnce":4}}}
        {"user":{"id":"{1}","version":"87b341d690d7a28a","created":"{now}","modified":"{now}","document":{"userName":"ada","active":true}}}
        {"group":{"id":"{2}","version":"1f8410633ef306ac","created":"{now}","modified":"{now}","document":{"displayName":"Outer"}}}
        {"group":{"id":"{3}","version":"ae84379630af89ee","created":"{now}","modified":"{now}","document":{"displayName":"Inner"}}}
        {"member":{"group":"{3}","member":"{1}","kind":"user"}}
        {"member":{"group":"{2}","member":"{3}","kind":"group"}}
        {"end":{"users":1,"groups":2,"members":2}}
    "#]]
    .assert_eq(&world.service.named(&text));
}

#[tokio::test(start_paused = true)]
async fn round_trip_gives_the_same_bytes() {
    let world = World::new().await;
    let neighbour = world.neighbour().await;
    let before = world.export().await;
    assert_eq!(world.export().await, before, "two exports differ");
    let [users, groups, members] = ["user", "group", "member"].map(|record| count_lines(&before, record));
    assert_eq!((users, groups, members), (4, 4, 6));

    world.delete().await.expect("an organisation");
    assert_eq!(world.items("acme"), [] as [Value; 0]);
    let imported = world.import(&before).await;
    assert_eq!(imported, Imported { written: 14, skipped: 0, refused: 0 });
    assert_eq!(world.export().await, before);
    world.service.assert_healthy().await;
    assert_eq!(world.items("acme-2"), neighbour);
}

#[tokio::test(start_paused = true)]
async fn imported_organisation_answers_as_before() {
    let world = World::new().await;
    let look = async |key: &str| {
        let mut seen = String::new();
        for path in ["/Users?count=100", "/Groups?count=100", "/Users?filter=userName%20eq%20%22STRASSE%22"] {
            let answer = Request::get(path).bearer(key).send(&world.service).await;
            let _ = writeln!(seen, "{:#}", answer.body);
        }
        seen
    };
    let before = look(&world.service.key).await;
    let text = world.export().await;
    world.delete().await;
    assert_eq!(world.service.get("/Users").await.status, 401);
    world.import(&text).await;
    let key = world.service.organisation("acme", &[service::auth::Scope::Scim]).await;
    assert_eq!(look(&key).await, before);
}

#[tokio::test(start_paused = true)]
async fn second_import_finds_every_line_there() {
    let world = World::new().await;
    let text = world.export().await;
    let Err(ImportError::Enabled) = import(world.store(), &text).await else { panic!("imported") };
    world.disable().await;
    let imported = world.import(&text).await;
    assert_eq!(imported, Imported { written: 0, skipped: 14, refused: 0 });
    world.service.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn import_restores_what_was_deleted() {
    let world = World::new().await;
    let text = world.export().await;
    let ada = &world.service.get("/Users?filter=userName%20eq%20%22ada%22").await.body["Resources"][0];
    let id = ada["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(world.service.delete(&format!("/Users/{id}")).await.status, 204);
    world.disable().await;
    let (refused, imported) = import(world.store(), &text).await.expect("an import");
    // The group that lost the user has another version since.
    assert_eq!(imported, Imported { written: 2, skipped: 11, refused: 1 });
    assert!(refused[0].reason.contains("differs from the line"), "{refused:?}");
    world.set_enabled(true).await;
    world.service.assert_healthy().await;
    assert_eq!(world.service.groups(&id).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn organisation_is_copied_under_another_name() {
    let (source, target) = (World::new().await, World::empty().await);
    let text = source.export().await;
    let (refused, _) = import_as(target.store(), "acme-eu", &text).await.expect("an import");
    assert_eq!(refused, []);
    let report = target.service.examine("acme-eu").await;
    assert_eq!((report.users, report.groups, report.memberships), (4, 4, 6));
    assert!(report.is_healthy(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn disabled_organisation_is_disabled_after_the_import() {
    let world = World::new().await;
    world.disable().await;
    let text = world.export().await;
    world.delete().await;
    world.import(&text).await;
    let organisation = world.store().org(&org()).await.expect("an answer").expect("an organisation");
    assert!(!organisation.enabled);
}

#[tokio::test(start_paused = true)]
async fn large_group_makes_the_round_trip() {
    const MEMBERS: usize = 10_000;
    let world = World::empty().await;
    let group = world.service.group("large", &[]).await;
    let users = (0..MEMBERS).flat_map(|number| {
        let name = format!("user-{number:05}");
        let document = json!({ "userName": name, "active": true });
        [
            resource(&member_id(number), &document),
            item([("pk", "ORG#acme#USER#userName".to_owned()), ("sk", name), ("id", member_id(number))]),
        ]
    });
    load(&world.database, users);
    fill(&world.database, &group, 0..MEMBERS);
    let text = world.export().await;
    assert_eq!((count_lines(&text, "user"), count_lines(&text, "member")), (MEMBERS, MEMBERS));
    world.delete().await;
    let imported = world.import(&text).await;
    assert_eq!(imported.written, 2 * MEMBERS as u64 + 1);
    assert_eq!(world.export().await, text);
    world.service.assert_healthy().await;
}

fn resource(id: &str, document: &Value) -> Item {
    let time = "2026-11-23T09:00:00.123Z";
    let mut item = item([
        ("pk", "ORG#acme#USER".to_owned()),
        ("sk", id.to_owned()),
        ("document", document.to_string()),
        ("version", "0123456789abcdef".to_owned()),
        ("created", time.to_owned()),
        ("modified", time.to_owned()),
    ]);
    item.insert("format".to_owned(), dynoxide::AttributeValue::N("1".to_owned()));
    item
}
