//! Files that are no exports, or not quite: each wrong line is refused with its number and a reason, and the others are
//! imported.

use std::fmt::Write;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use service::store::transfer::{ImportError, Imported};

use crate::world::{World, import, org};

const ORGANISATION: &str = r#"{"organisation":{"format":1,"name":"acme","enabled":true,"created":"2026-11-23T09:00:00.123Z","settings":{"tokenMinutes":60,"rate":50,"burst":200,"atOnce":4}}}"#;
const END: &str = r#"{"end":{"users":0,"groups":0,"members":0}}"#;

fn id(number: u64) -> String {
    format!("01938000-0000-7000-8000-{number:012x}")
}

fn resource(kind: &str, number: u64, document: &Value) -> String {
    let time = "2026-11-23T09:00:00.123Z";
    json!({ kind: { "id": id(number), "version": "v1", "created": time, "modified": time, "document": document } })
        .to_string()
}

fn user(number: u64, name: &str) -> String {
    resource("user", number, &json!({ "userName": name }))
}

fn member(group: u64, member: u64, kind: &str) -> String {
    json!({ "member": { "group": id(group), "member": id(member), "kind": kind } }).to_string()
}

/// Imports lines between the first and the last, and compares the refused lines. Fails if the result is not healthy.
async fn assert_refused(lines: &[String], written: u64, expected: &Expect) {
    let world = World::empty().await;
    world.delete().await;
    let text = format!("{ORGANISATION}\n{}\n{END}\n", lines.join("\n"));
    let (refused, imported) = import(world.store(), &text).await.expect("an import");
    let mut report = String::new();
    for refused in &refused {
        let _ = writeln!(report, "{}: {}", refused.line, refused.reason);
    }
    expected.assert_eq(&report);
    assert_eq!((imported.written, imported.refused), (written, refused.len() as u64));
    world.service.assert_healthy().await;
    let organisation = world.store().org(&org()).await.expect("an answer").expect("an organisation");
    assert!(organisation.enabled && organisation.work.is_none());
}

#[tokio::test(start_paused = true)]
async fn malformed_records_are_refused() {
    let good = user(1, "ada");
    let lines = [
        good.clone(),
        good[..good.len() - 1].to_owned(),
        "[]".to_owned(),
        "x".to_owned(),
        "\u{0}".to_owned(),
        r#"{"outbox":{"id":"1"}}"#.to_owned(),
        r#"{"user":{"id":"1"}}"#.to_owned(),
        good.replace("\"version\"", "\"colour\":1,\"version\""),
        good.replace("\"version\":\"v1\"", "\"version\":1"),
        ORGANISATION.to_owned(),
        r#"{"end":{"users":-1}}"#.to_owned(),
    ];
    assert_refused(&lines, 1, &expect![[r#"
        3: The line is no record of an export (column 173). A record is an object with one member: organisation, user, group, member or end.
        4: The line is no record of an export (column 1). A record is an object with one member: organisation, user, group, member or end.
        5: The line is no record of an export (column 1). A record is an object with one member: organisation, user, group, member or end.
        6: The line is no record of an export (column 1). A record is an object with one member: organisation, user, group, member or end.
        7: The line is no record of an export (column 9). A record is an object with one member: organisation, user, group, member or end.
        8: The line is no record of an export (column 18). A record is an object with one member: organisation, user, group, member or end.
        9: The line is no record of an export (column 61). A record is an object with one member: organisation, user, group, member or end.
        10: The line is no record of an export (column 64). A record is an object with one member: organisation, user, group, member or end.
        11: The organisation is the first record, and not repeated.
        12: The line is no record of an export (column 18). A record is an object with one member: organisation, user, group, member or end.
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn wrong_values_of_records_are_refused() {
    let good = user(1, "ada");
    let lines = [
        good.replace(&id(1), "1"),
        good.replace(&id(1), &id(0xabc).to_uppercase()),
        good.replace("\"v1\"", "\"\""),
        good.replace("\"v1\"", "\"a.b\""),
        good.replace("\"v1\"", &format!("\"{}\"", "v".repeat(65))),
        good.replacen("2026-11-23T09:00:00.123Z", "yesterday", 1),
        user(2, ""),
        user(2, &"x".repeat(257)),
        user(2, "a\u{200B}b\u{7}"),
        resource("user", 2, &json!([])),
        resource("user", 2, &json!({ "userName": "u", "externalId": "e".repeat(2_000) })),
        resource("user", 2, &json!({ "userName": "u", "title": "t".repeat(400_000) })),
        resource("user", 2, &json!({ "userName": "u", "active": "perhaps" })),
        resource("group", 2, &json!({ "userName": "u" })),
        good.replace("{\"userName\":\"ada\"}", "{\"userName\":\"a\",\"userName\":\"b\"}"),
        member(1, 2, "robot"),
        json!({ "member": { "group": "1", "member": id(2), "kind": "user" } }).to_string(),
    ];
    assert_refused(&lines, 0, &expect![[r#"
        2: 'id' is not an id. An id is a UUID in lower case, with hyphens.
        3: 'id' is not an id. An id is a UUID in lower case, with hyphens.
        4: 'version' must have 1 to 64 letters, digits and hyphens.
        5: 'version' must have 1 to 64 letters, digits and hyphens.
        6: 'version' must have 1 to 64 letters, digits and hyphens.
        7: 'created' is not a time such as 2026-11-27T12:00:00.000Z.
        8: User 01938000-0000-7000-8000-000000000002: Attribute 'userName' is required. Send a value that is not blank.
        9: User 01938000-0000-7000-8000-000000000002: Attribute 'userName' is too long. Use at most 256 characters.
        10: User 01938000-0000-7000-8000-000000000002: A name, an e-mail address or the externalId has a control character.
        11: User 01938000-0000-7000-8000-000000000002: The document is not a JSON object.
        12: User 01938000-0000-7000-8000-000000000002: Attribute 'externalId' is too long. Use at most 980 bytes.
        13: User 01938000-0000-7000-8000-000000000002: The resource is larger than 300 KB. Send fewer or shorter values.
        14: User 01938000-0000-7000-8000-000000000002: Attribute 'active' must be true or false, not a string.
        15: Group 01938000-0000-7000-8000-000000000002: Attribute 'displayName' is required. Send a value that is not blank.
        16: User 01938000-0000-7000-8000-000000000001: The request body is not valid JSON: the member 'userName' occurs twice in one object at line 1 column 26.
        17: The line is no record of an export (column 120). A record is an object with one member: organisation, user, group, member or end.
        18: 'group' is not an id. An id is a UUID in lower case, with hyphens.
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn duplicates_and_unknown_members_are_refused() {
    let group = |number, name: &str| resource("group", number, &json!({ "displayName": name }));
    let lines = [
        user(1, "ada"),
        user(2, "ADA"),
        user(1, "bob"),
        user(1, "ada"),
        group(1, "team"),
        group(3, "team"),
        group(4, "Team"),
        group(5, "other"),
        member(3, 1, "user"),
        member(3, 1, "user"),
        member(3, 2, "user"),
        member(3, 1, "group"),
        member(3, 5, "user"),
        member(3, 5, "group"),
        member(9, 1, "user"),
        member(3, 3, "group"),
        user(6, "late"),
    ];
    assert_refused(&lines, 6, &expect![[r#"
        3: User 01938000-0000-7000-8000-000000000002: Another User already has this userName. Use another value.
        4: User 01938000-0000-7000-8000-000000000001: It exists already and differs from the line. The stored one is kept.
        6: Group 01938000-0000-7000-8000-000000000001: A User has this id.
        8: Group 01938000-0000-7000-8000-000000000004: Another Group already has this displayName. Use another value.
        12: The User 01938000-0000-7000-8000-000000000002 does not exist, so it cannot be a member.
        13: Line 10 has the membership with another kind.
        14: The User 01938000-0000-7000-8000-000000000005 does not exist, so it cannot be a member.
        15: Line 14 has the membership with another kind.
        16: The group 01938000-0000-7000-8000-000000000009 does not exist.
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn first_line_must_be_an_organisation_of_this_format() {
    let world = World::empty().await;
    world.delete().await;
    for (first, expected) in [
        (String::new(), "no record"),
        (user(1, "ada"), "not the organisation"),
        (ORGANISATION.replace("\"format\":1", "\"format\":2"), "format 2"),
        (ORGANISATION.replace("\"format\":1", "\"format\":9,\"new\":{}"), "format 9"),
        (ORGANISATION.replace("2026-11-23T09:00:00.123Z", "now"), "not a time"),
        (ORGANISATION.replace("\"rate\":50", "\"rate\":0"), "rate"),
        (ORGANISATION.replace("\"rate\":50", "\"speed\":50"), "no record"),
    ] {
        let outcome = import(world.store(), &format!("{first}\n{END}\n")).await;
        let Err(ImportError::NoExport(reason)) = outcome else { panic!("{first}: {outcome:?}") };
        assert!(reason.contains(expected), "{first}: {reason}");
    }
    assert!(matches!(import(world.store(), "").await, Err(ImportError::NoExport(_))));
    assert_eq!(world.items("acme").len(), 0, "nothing is written");
}

#[tokio::test(start_paused = true)]
async fn truncated_file_leaves_the_organisation_off() {
    let world = World::new().await;
    let text = world.export().await;
    let lines: Vec<&str> = text.lines().collect();
    world.delete().await;
    // Without the last line, cut within a line, and without a line in between.
    let without_end = lines[..lines.len() - 1].join("\n");
    let cut = &text[..text.len() - 60];
    let without_one = [&lines[..3], &lines[4..]].concat().join("\n");
    for truncated in [&without_end, cut, &without_one] {
        let outcome = import(world.store(), truncated).await;
        assert!(matches!(outcome, Err(ImportError::Incomplete)), "{outcome:?}");
        let organisation = world.store().org(&org()).await.expect("an answer").expect("an organisation");
        assert!(!organisation.enabled && organisation.work.is_some());
    }
    let imported = world.import(&text).await;
    assert_eq!(imported, Imported { written: 0, skipped: 14, refused: 0 });
    assert_eq!(world.export().await, text);
    world.service.assert_healthy().await;
}
