//! The recorded exchanges of Okta and Entra with the log on.

use service::request_log::{Action, Outcome};
use tests::{Request, exchange};

use super::World;

#[tokio::test]
async fn requests_of_identity_providers_have_known_actions() {
    let (mut exchanges, mut entries) = (0, 0);
    for file in exchange::files() {
        let path = file.display().to_string();
        if !path.contains("/okta/") && !path.contains("/entra/") {
            continue;
        }
        let world = World::new().await;
        exchange::replay(&file, &world.service).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        for entry in world.entries().await {
            assert_ne!(entry.action, Action::Other, "{path}: {entry:?}");
            let has_failed = Outcome::of(entry.status) == Outcome::Failed;
            assert_eq!(entry.detail.is_some(), has_failed, "{path}: {entry:?}");
            let size = serde_json::to_string(&entry).expect("JSON").len();
            assert!(size <= 900, "{path}: an entry of {size} bytes takes more than a write unit");
            entries += 1;
        }
        exchanges += 1;
    }
    assert!(exchanges >= 90 && entries >= 200, "{exchanges} {entries}");
}

#[tokio::test(start_paused = true)]
async fn requests_of_the_feed_are_not_recorded() {
    let world = World::new().await;
    // The last path is an unknown one of SCIM, and is recorded.
    for (path, status) in [
        ("/events/v1", 200),
        ("/scim/events/v1", 200),
        ("/events/v1/unknown", 404),
        ("/scim/v2/events/v1", 404),
    ] {
        let request = Request { target: path.to_owned(), ..Request::get("") };
        assert_eq!(request.send(&world.service).await.status, status, "{path}");
    }
    assert_eq!(world.entries().await.len(), 1);
}
