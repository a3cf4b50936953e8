//! An export is consistent in itself, although the organisation is written to meanwhile.

use serde_json::json;
use service::store::transfer::ExportError;
use tests::Service;

use crate::world::{World, export, import};

const USERS: usize = 40;

/// Creates users, adds them to groups, renames them, and deletes them, until it is dropped.
async fn write(service: &Service, writer: usize, groups: &[String]) {
    for round in 0.. {
        let user = service.post("/Users", json!({ "userName": format!("new-{writer}-{round}") })).await;
        let id = user.id();
        let group = &groups[round % groups.len()];
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
        service.patch(&format!("/Groups/{group}"), add).await;
        let name =
            json!([{ "op": "replace", "path": "userName", "value": format!("renamed-{writer}-{round}") }]);
        service.patch(&format!("/Users/{id}"), name).await;
        if round % 2 == 0 {
            service.delete(&format!("/Users/{id}")).await;
        }
        let group = service.group(&format!("group-{writer}-{round}"), &[&groups[0]]).await;
        let nest = json!([{ "op": "add", "path": "members", "value": [{ "value": group }] }]);
        service.patch(&format!("/Groups/{}", groups[1]), nest).await;
        if round % 3 == 0 {
            service.delete(&format!("/Groups/{group}")).await;
        }
    }
}

/// Changes many members at once, so that there are changes that take several transactions.
async fn replace(service: &Service, users: &[String], group: &str) {
    for round in 0.. {
        let members: Vec<_> = users.iter().skip(round % 2).map(|id| json!({ "value": id })).collect();
        let all = json!([{ "op": "replace", "path": "members", "value": members }]);
        service.patch(&format!("/Groups/{group}"), all).await;
    }
}

#[tokio::test(start_paused = true)]
async fn export_beside_writers_is_imported_without_refusal() {
    for seed in 1..=6 {
        let (service, _db) = Service::realistic(seed).await;
        let mut users = Vec::new();
        for number in 0..USERS {
            users.push(service.user(&format!("user-{number}")).await);
        }
        let mut groups = Vec::new();
        for name in ["a", "b", "c"] {
            groups.push(service.group(name, &[&users[0], &users[1]]).await);
        }
        let writers = async {
            tokio::join!(
                write(&service, 1, &groups),
                write(&service, 2, &groups),
                replace(&service, &users, &groups[2])
            )
        };
        let exports = async {
            let mut texts = Vec::new();
            while texts.len() < 4 {
                match export(&service.app.store).await {
                    Ok(text) => texts.push(text),
                    Err(ExportError::Renamed) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            texts
        };
        let texts = tokio::select! {
            texts = exports => texts,
            _ = writers => Vec::new(),
        };
        assert_eq!(texts.len(), 4);
        for text in texts {
            let target = World::empty().await;
            target.delete().await;
            let (refused, imported) = import(target.store(), &text).await.expect("an import");
            assert_eq!(refused, [], "seed {seed}");
            assert!(imported.written > USERS as u64);
            target.service.assert_healthy().await;
            assert_eq!(target.export().await, text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn exchanged_names_are_noticed() {
    let world = World::empty().await;
    let ids = [world.service.user("one").await, world.service.user("two").await];
    // The index does not know that both have one name, as a reader between two renames does not.
    let pk = json!({ "S": "ORG#acme#USER" });
    let update = json!({
        "TableName": service::config::Tables::default().resources,
        "Key": { "pk": pk, "sk": { "S": ids[1] } },
        "UpdateExpression": "SET document = :document",
        "ExpressionAttributeValues": { ":document": { "S": "{\"userName\":\"ONE\",\"active\":true}" } },
    });
    world.call("UpdateItem", &update);
    assert!(matches!(export(world.store()).await, Err(ExportError::Renamed)));
}
