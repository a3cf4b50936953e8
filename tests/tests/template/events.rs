//! The functions of events: the invocations of the sequencer, and every request of a product.

use serde_json::{Value, json};
use service::{lambda, store::Store};
use tests::{
    Request, Service,
    product::{self, Product},
};

/// The number of members of a group. The snapshot reads them with more than one query.
const MEMBERS: usize = 1_010;
/// The number of users in a bulk request.
const USERS: usize = 101;

/// Creates users and a group of them, and ends the access of one user.
pub(super) async fn change(service: &Service) {
    let mut members = Vec::new();
    for start in (0..MEMBERS).step_by(USERS) {
        let operations: Vec<Value> = (start..start + USERS)
            .map(|number| {
                let user = json!({ "userName": format!("user-{number}") });
                json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user })
            })
            .collect();
        let answer = service.post("/Bulk", json!({ "Operations": operations })).await;
        for operation in answer.body["Operations"].as_array().expect("operations") {
            let location = operation["location"].as_str().expect("a location");
            members.push(json!({ "value": location.rsplit('/').next() }));
        }
    }
    let person = format!("/Users/{}", members[0]["value"].as_str().expect("an id"));
    let group = json!({ "displayName": "all", "members": members });
    assert_eq!(service.post("/Groups", group).await.status, 201);
    let ends = json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(service.patch(&person, ends).await.status, 200);
}

/// Moves events as the schedule invokes the function, and as the stream does.
pub(super) async fn sequence(store: &Store, service: &Service) {
    ring(store, json!({ "time": "2026-11-28T09:00:00Z" })).await;
    service.user("of the stream").await;
    let key = json!({
        "pk": { "S": "OUTBOX#00" },
        "sk": { "S": format!("{}#0199c6d0a4f100000000a1b2c3d4e5f60718", service.org) },
    });
    let record = json!({ "dynamodb": { "Keys": key, "SequenceNumber": "1" } });
    ring(store, json!({ "Records": [record] })).await;
}

async fn ring(store: &Store, event: Value) {
    let bell = serde_json::from_value(event).expect("an event");
    let failures = lambda::ring(store, bell).await.expect("a run of the sequencer");
    assert_eq!(serde_json::to_value(failures).expect("JSON"), json!({ "batchItemFailures": [] }));
}

/// Reads the snapshot and the feed, waits for an event, and acknowledges all events.
pub(super) async fn follow(store: &Store, service: &Service) {
    let product = Product::start(service).await;
    assert_eq!(product.tables, product::directory(service).await);
    let mut last = 0;
    loop {
        let answer = Request::get(format!("/events/v1?after={last}")).at_root().send(service).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        let events = answer.body["events"].as_array().expect("events");
        let Some(event) = events.last() else { break };
        last = event["sequence"].as_u64().expect("a number");
    }
    let waits = Request::get(format!("/events/v1?after={last}&wait=1")).at_root();
    let changes = async {
        service.user("of a wait").await;
        ring(store, json!({})).await;
    };
    let (answer, ()) = tokio::join!(waits.send(service), changes);
    assert_eq!(answer.body["last"], last + 1, "{:#}", answer.body);
    let body = json!({ "seq": last + 1, "ended": { "sessions": 1 } });
    let answer = Request::post("/events/v1/ack", body).at_root().send(service).await;
    assert_eq!(answer.body, json!({ "acknowledged": last + 1 }));
}
