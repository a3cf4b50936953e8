//! The import of users without ids.

use std::fmt::Write;

use serde_json::json;
use service::store::transfer::{Imported, PeopleImport};

use crate::world::{World, import, import_people, org};

#[tokio::test]
async fn people_are_created_as_by_a_post() {
    let world = World::empty().await;
    let text = r#"{"userName":"ada","name":{"givenName":"Ada"},"emails":[{"value":"a@x.example"}]}
{"userName":"bob","active":false}"#;
    let (refused, imported) = import_people(world.store(), text).await;
    assert_eq!((refused, imported), (vec![], Imported { written: 2, skipped: 0, refused: 0 }));
    let ada = world.service.get("/Users?filter=emails.value%20eq%20%22A@x.example%22").await.body;
    assert_eq!(ada["Resources"][0]["active"], json!(true));
    world.service.assert_healthy().await;
    let (_, again) = import_people(world.store(), text).await;
    assert_eq!(again, Imported { written: 0, skipped: 2, refused: 0 });
    assert_eq!(world.service.get("/Users").await.body["totalResults"], json!(2));
}

#[tokio::test]
async fn refused_people_are_reported_by_line() {
    let world = World::empty().await;
    world.service.user("taken").await;
    let long = "x".repeat(257);
    let text = format!(
        "{}\n",
        [
            r#"{"userName":"willem"}"#,
            r#"{"userName":"WILLEM","title":"another"}"#,
            r#"{"userName":"Taken","title":"another"}"#,
            r#"{"userName":"#,
            r"[1]",
            r#"{"title":"no name"}"#,
            r#"{"userName":"two","userName":"three"}"#,
            &format!(r#"{{"userName":"{long}"}}"#),
            r#"{"userName":"two","active":"perhaps"}"#,
            r#"{"userName":"two"}"#,
        ]
        .join("\n")
    );
    let (refused, imported) = import_people(world.store(), &text).await;
    let lines: Vec<u64> = refused.iter().map(|refused| refused.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9], "{refused:#?}");
    assert_eq!(imported, Imported { written: 2, skipped: 0, refused: 8 });
    let reasons: String = refused.iter().map(|refused| refused.reason.as_str()).collect();
    for personal in ["willem", "perhaps", "xxx"] {
        assert!(!reasons.to_lowercase().contains(personal), "{personal}: {reasons}");
    }
    world.service.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn held_organisation_takes_no_people() {
    let world = World::empty().await;
    let text = world.export().await;
    world.delete().await;
    let (organisation, _) = text.split_once('\n').expect("a line");
    // The file ends early, so the import is not done.
    assert!(import(world.store(), organisation).await.is_err());
    let mut people = PeopleImport::new(world.store(), &org());
    people.line(1, br#"{"userName":"ada"}"#).await.expect("an answer");
    let outcome = people.finish().await;
    assert!(matches!(&outcome, Err(service::Error::Conflict(_))), "{outcome:?}");
}

#[tokio::test]
async fn many_people_fill_several_batches() {
    let world = World::empty().await;
    let mut text = String::new();
    for number in 0..350 {
        let _ = writeln!(text, "{{\"userName\":\"user-{number}\"}}");
    }
    let (refused, imported) = import_people(world.store(), &text).await;
    assert_eq!((refused, imported.written), (vec![], 350));
    assert_eq!(world.service.get("/Users?count=1").await.body["totalResults"], json!(350));
    world.service.assert_healthy().await;
}
