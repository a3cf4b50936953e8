//! The doctor repairs each kind of finding, and says what it did.

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use service::{auth::Caller, config::Tables};

use crate::world::{World, org};

const UNKNOWN: &str = "01938000-0000-7000-8000-000000000000";

/// Two users, a group of both and a group that contains this group.
struct Patient {
    world: World,
    ids: Vec<(&'static str, String)>,
}

enum Damage {
    Delete(&'static str),
    Put(&'static str, Value),
}
use Damage::{Delete, Put};

impl Patient {
    async fn new() -> Self {
        let world = World::empty().await;
        let service = &world.service;
        let ann =
            json!({ "userName": "Zelda", "externalId": "X-1", "emails": [{ "value": "z@quux.example" }] });
        let ann = service.post("/Users", ann).await.id();
        let bob = service.user("Yorick").await;
        let team = service.group("Quux Team", &[&ann, &bob]).await;
        let company = service.group("Quux Company", &[&team]).await;
        let ids = vec![("ann", ann), ("bob", bob), ("team", team), ("company", company)];
        Self { world, ids }
    }

    fn named(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
    }

    fn hidden(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(id, &format!("{{{name}}}")))
    }

    fn key(&self, key: &str) -> Value {
        let (pk, sk) = key.split_once(' ').expect("two parts");
        json!({ "pk": { "S": self.named(&format!("ORG#acme#{pk}")) }, "sk": { "S": self.named(sk) } })
    }

    fn damage(&self, damage: &Damage) {
        let table = Tables::default().resources;
        match damage {
            Delete(key) => {
                let deleted = json!({ "TableName": table, "Key": self.key(key), "ReturnValues": "ALL_OLD" });
                let old = self.world.call("DeleteItem", &deleted);
                assert!(old.get("Attributes").is_some(), "{key} does not exist");
            }
            Put(key, attributes) => {
                let got = self.world.call("GetItem", &json!({ "TableName": table, "Key": self.key(key) }));
                let mut item = got.get("Item").cloned().unwrap_or_else(|| self.key(key));
                for (name, value) in attributes.as_object().expect("an object") {
                    item[name] = match value {
                        Value::Number(number) => json!({ "N": number.to_string() }),
                        value => json!({ "S": self.named(value.as_str().unwrap_or_default()) }),
                    };
                }
                self.world.call("PutItem", &json!({ "TableName": table, "Item": item }));
            }
        }
    }
}

/// Damages the table. The doctor finds it, repairs it as expected, and then finds what is left.
async fn assert_repaired(damage: &[Damage], expected: &Expect) {
    let patient = Patient::new().await;
    for damage in damage {
        patient.damage(damage);
    }
    let directory = patient.world.store().directory(&Caller::operator(org()));
    let before = directory.examine().await.expect("a report");
    assert!(!before.is_healthy());
    let repairs = directory.repair().await.expect("repairs");
    let left = directory.examine().await.expect("a report").findings;
    let mut text = String::new();
    for (mark, lines) in [("?", before.findings), ("+", repairs), ("!", left)] {
        text.extend(lines.iter().map(|line| format!("{mark} {}\n", patient.hidden(line))));
    }
    for personal in ["zelda", "yorick", "quux", "x-1"] {
        assert!(!text.to_lowercase().contains(personal), "{personal} in {text}");
    }
    expected.assert_eq(&text);
    assert_eq!(directory.repair().await.expect("repairs"), [] as [String; 0], "repaired again");
}

#[tokio::test]
async fn missing_index_entries_are_put() {
    let damage = [
        Delete("USER#userName zelda"),
        Delete("USER#externalId X-1\u{1}{ann}"),
        Delete("USER#emails.value z@quux.example\u{1}{ann}"),
        Delete("GROUP#displayName quux team"),
    ];
    assert_repaired(
        &damage,
        &expect![[r#"
        ? USER {ann} has no emails.value entry
        ? USER {ann} has no externalId entry
        ? USER {ann} has no userName entry
        ? GROUP {team} has no displayName entry
        + put the emails.value entry of USER {ann}
        + put the externalId entry of USER {ann}
        + put the userName entry of USER {ann}
        + put the displayName entry of GROUP {team}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn index_entries_without_resource_are_deleted() {
    let damage = [
        Put("USER#userName willem", json!({ "id": UNKNOWN })),
        Put("USER#userName wilma", json!({ "id": "{ann}" })),
        Put("GROUP#displayName club", json!({ "id": UNKNOWN })),
    ];
    assert_repaired(
        &damage,
        &expect![[r#"
            ? 1 items in GROUP#displayName that belong to no resource
            ? 2 items in USER#userName that belong to no resource
            + deleted an entry of displayName that GROUP 01938000-0000-7000-8000-000000000000 does not have
            + deleted an entry of userName that USER 01938000-0000-7000-8000-000000000000 does not have
            + deleted an entry of userName that USER {ann} does not have
        "#]],
    )
    .await;
}

#[tokio::test]
async fn index_entry_of_the_wrong_resource_is_replaced() {
    let damage = [
        Put("USER#userName zelda", json!({ "id": "{bob}" })),
        Put("GROUP#displayName quux team", json!({ "id": UNKNOWN })),
    ];
    assert_repaired(
        &damage,
        &expect![[r#"
        ? the userName entry of USER {ann} is {bob}'s
        ? the displayName entry of GROUP {team} is 01938000-0000-7000-8000-000000000000's
        + put the userName entry of USER {ann}
        + put the displayName entry of GROUP {team}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn duplicate_name_is_left_to_a_person() {
    let damage = [Put("USER {bob}", json!({ "document": "{\"userName\":\"ZELDA\"}" }))];
    assert_repaired(
        &damage,
        &expect![[r#"
            ? the userName entry of USER {bob} is {ann}'s
            ? USER {ann} has no userName entry
            ? 1 items in USER#userName that belong to no resource
            + deleted an entry of userName that USER {bob} does not have
            ! the userName entry of USER {bob} is {ann}'s
            ! USER {ann} has no userName entry
        "#]],
    )
    .await;
}

#[tokio::test]
async fn one_sided_memberships_are_repaired() {
    let damage = [
        Delete("MEMBER {ann}#{team}"),
        Delete("GROUP#{team} {bob}"),
        Put("MEMBER {bob}#{company}", json!({})),
    ];
    assert_repaired(
        &damage,
        &expect![[r#"
        ? the member {ann} of group {team} has no reverse edge
        ? the reverse edge of member {bob} and group {company} has no edge
        ? the reverse edge of member {bob} and group {team} has no edge
        + put both edges of member {ann} and group {team}
        + deleted the reverse edge of member {bob} and group {company}
        + deleted the reverse edge of member {bob} and group {team}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn memberships_without_an_end_are_removed() {
    let damage = [Delete("USER {bob}"), Delete("GROUP {company}")];
    assert_repaired(
        &damage,
        &expect![[r#"
            ? the group {company} of member {team} does not exist
            ? the member {bob} of group {team} does not exist
            ? count GROUP#00 is 1, but 0 are there
            ? count USER#01 is 1, but 0 are there
            ? 1 items in GROUP#displayName that belong to no resource
            ? 1 items in USER#userName that belong to no resource
            + removed member {team} from group {company}
            + removed member {bob} from group {team}
            + set count GROUP#00 to 0
            + set count USER#01 to 0
            + deleted an entry of displayName that GROUP {company} does not have
            + deleted an entry of userName that USER {bob} does not have
        "#]],
    )
    .await;
    let damage = [
        Put("GROUP#{team} 01938000-0000-7000-8000-000000000000", json!({ "kind": "USER" })),
        Put("GROUP#01938000-0000-7000-8000-000000000000 {ann}", json!({ "kind": "USER" })),
    ];
    assert_repaired(
        &damage,
        &expect![[r#"
        ? the group 01938000-0000-7000-8000-000000000000 of member {ann} does not exist
        ? the member {ann} of group 01938000-0000-7000-8000-000000000000 has no reverse edge
        ? the member 01938000-0000-7000-8000-000000000000 of group {team} does not exist
        ? the member 01938000-0000-7000-8000-000000000000 of group {team} has no reverse edge
        + removed member {ann} from group 01938000-0000-7000-8000-000000000000
        + removed member 01938000-0000-7000-8000-000000000000 from group {team}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn wrong_kind_of_a_member_is_corrected() {
    let damage = [
        Put("GROUP#{team} {ann}", json!({ "kind": "GROUP" })),
        Put("GROUP#{company} {team}", json!({ "kind": "x" })),
    ];
    assert_repaired(
        &damage,
        &expect![[r#"
        ? the member {team} of group {company} does not exist
        ? the member {ann} of group {team} does not exist
        + put both edges of member {team} and group {company}
        + put both edges of member {ann} and group {team}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn counts_are_set() {
    let patient = Patient::new().await;
    let shards: Vec<String> = ["USER", "GROUP"]
        .into_iter()
        .flat_map(|kind| (0..16).map(move |shard| format!("COUNT {kind}#{shard:02}")))
        .collect();
    let table = Tables::default().resources;
    for (number, shard) in shards.iter().enumerate() {
        let mut item = patient.key(shard);
        match number % 3 {
            0 => item["n"] = json!({ "N": "7" }),
            1 => item["n"] = json!({ "S": "many" }),
            _ => item["inactive"] = json!({ "N": "7" }),
        }
        patient.world.call("PutItem", &json!({ "TableName": table, "Item": item }));
    }
    let directory = patient.world.store().directory(&Caller::operator(org()));
    assert!(!directory.examine().await.expect("a report").is_healthy());
    let repairs = directory.repair().await.expect("repairs");
    assert!(repairs.iter().all(|repair| repair.starts_with("set count ")), "{repairs:?}");
    patient.world.service.assert_healthy().await;
    assert_eq!(patient.world.service.get("/Users").await.body["totalResults"], json!(2));
}

#[tokio::test]
async fn resource_that_cannot_be_read_is_left_with_its_items() {
    let damage = [Put("USER {ann}", json!({ "document": "no json" })), Delete("GROUP#displayName quux team")];
    assert_repaired(
        &damage,
        &expect![[r#"
            ? USER {ann} cannot be read
            ? GROUP {team} has no displayName entry
            ? the member {ann} of group {team} does not exist
            ? count USER#06 is 1, but 0 are there
            ? 1 items in USER#emails.value that belong to no resource
            ? 1 items in USER#externalId that belong to no resource
            ? 1 items in USER#userName that belong to no resource
            + put the displayName entry of GROUP {team}
            ! USER {ann} cannot be read
            ! the member {ann} of group {team} does not exist
            ! count USER#06 is 1, but 0 are there
            ! 1 items in USER#emails.value that belong to no resource
            ! 1 items in USER#externalId that belong to no resource
            ! 1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
}
