//! Keys and clients in the hands of an owner.

use service::{auth::Scope, portal::Role, store::KeyRecord};
use tests::{Request, operator};

use super::{Browser, World, org};

async fn keys(world: &World) -> Vec<KeyRecord> {
    world.service.app.store.keys(&org()).await.unwrap()
}

/// Creates a key on the page. Returns its text and its id.
async fn create(world: &World, owner: &Browser, expiry: &str) -> (String, String) {
    let fields = [("label", "Okta production"), ("scim", "on"), ("expiry", expiry)];
    let page = owner.post("/keys", &fields).await;
    assert_eq!(page.status, 200, "{}", page.body);
    (page.secret(), keys(world).await.last().unwrap().id.clone())
}

/// Returns the status of a request with this key, as Okta sends it.
async fn status(world: &World, key: &str) -> u16 {
    let request = Request::get("/Users?count=1").header("authorization", &format!("Bearer {key}"));
    let request = request.header("user-agent", "Okta SCIM Client 1.0.0");
    let status = request.send(&world.service).await.status;
    // The answer does not wait for the record of the use.
    let is_recorded = |record: &KeyRecord| {
        record.last_used.is_some() && record.last_four.as_deref().is_some_and(|four| key.ends_with(four))
    };
    while status == 200 && !keys(world).await.iter().any(is_recorded) {
        tokio::task::yield_now().await;
    }
    status
}

/// Returns the actions of the audit log, the oldest first. Each must have been carried out by the session.
async fn actions(world: &World) -> Vec<String> {
    let entries = world.service.app.store.audit(&org(), 100, None).await.unwrap().items;
    let of_console = entries.into_iter().filter(|entry| entry.actor.starts_with("console:"));
    let mut actions: Vec<String> = of_console.map(|entry| entry.action).collect();
    actions.reverse();
    actions
}

#[tokio::test]
async fn key_is_shown_once() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let form = owner.get("/keys").await.form();
    let fields = [("label", "Once"), ("read", "on"), ("write", "on"), ("expiry", "none"), ("form", &form)];
    let page = owner.post("/keys", &fields).await;
    let key = page.secret();
    assert!(key.starts_with("scim_acme_"), "{}", page.body);
    assert_eq!(page.header("cache-control"), "no-store");
    let created = keys(&world).await.last().unwrap().clone();
    assert_eq!(created.label.as_deref(), Some("Once"));
    assert_eq!(created.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(created.ends, None);

    // A browser sends the form again when its page is loaded again.
    let count = keys(&world).await.len();
    let again = owner.post("/keys", &fields).await;
    again.has("This form has been sent already.");
    assert_eq!(keys(&world).await.len(), count);
    let list = owner.get("/keys").await;
    list.has(&format!("scim_acme_…{}", created.last_four.unwrap()));
    for page in [&again, &list, &owner.get("/overview").await] {
        page.has_not(&key);
    }
    // The id of a form means nothing in another session.
    let other = world.enter(Role::Owner).await.post("/keys", &fields).await;
    assert_ne!(other.secret(), key);
    assert_eq!(keys(&world).await.len(), count + 1);
    assert_eq!(actions(&world).await, ["key.create", "key.create"]);
}

#[tokio::test]
async fn revoked_key_is_refused_at_once() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let (key, id) = create(&world, &owner, "365").await;
    assert_eq!(status(&world, &key).await, 200);
    let review = owner.get(&format!("/keys/{id}/revoke")).await;
    review.has("Revoke the key Okta production?");
    review.has("Okta used it last on");
    assert_eq!(status(&world, &key).await, 200);
    let answer = owner.post(&format!("/keys/{id}/revoke"), &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/console/keys?done=revoked"));
    assert_eq!(status(&world, &key).await, 401);
    owner.get("/keys?done=revoked").await.has("The key is revoked.");
    assert_eq!(actions(&world).await, ["key.create", "key.revoke"]);
}

#[tokio::test]
async fn rotation_is_completed_by_the_owner() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let (old, id) = create(&world, &owner, "none").await;
    status(&world, &old).await;
    let form = owner.get(&format!("/keys/{id}/rotate")).await.form();
    let fields = [("days", "3"), ("form", form.as_str())];
    let path = format!("/keys/{id}/rotate");
    let page = owner.post(&path, &fields).await;
    let new = page.secret();
    page.has("The old key ends on");
    assert_eq!((status(&world, &old).await, status(&world, &new).await), (200, 200));
    let again = owner.post(&path, &fields).await;
    again.has("This form has been sent already.");
    again.has_not(&new);

    let list = owner.get("/keys").await;
    list.has("Rotation in progress: Okta production");
    list.has("The new key is in use by Okta.");
    list.has("Okta used the old key last on");
    let old_record = keys(&world).await.into_iter().find(|key| key.id == id).unwrap();
    assert!(old_record.ends.is_some_and(|ends| ends.starts_with("2026-11-26")));
    owner.get(&format!("/keys/{id}/complete")).await.has("Complete the rotation of Okta production?");
    let answer = owner.post(&format!("/keys/{id}/complete"), &[]).await;
    assert_eq!(answer.header("location"), "/console/keys?done=completed");
    assert_eq!((status(&world, &old).await, status(&world, &new).await), (401, 200));
    assert_eq!(actions(&world).await, ["key.create", "key.rotate", "key.revoke"]);
}

#[tokio::test]
async fn cancelled_rotation_leaves_the_old_key_as_it_was() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    for expiry in ["none", "365"] {
        let (old, id) = create(&world, &owner, expiry).await;
        let before = keys(&world).await.last().unwrap().clone();
        let new = owner.post(&format!("/keys/{id}/rotate"), &[]).await.secret();
        owner.get("/keys").await.has("The new key has not been used yet.");
        owner.get(&format!("/keys/{id}/cancel")).await.has("Cancel the rotation of Okta production?");
        let answer = owner.post(&format!("/keys/{id}/cancel"), &[]).await;
        assert_eq!(answer.header("location"), "/console/keys?done=cancelled");
        assert_eq!((status(&world, &old).await, status(&world, &new).await), (200, 401));
        let after = keys(&world).await.into_iter().find(|key| key.id == id).unwrap();
        // Each reading of the clock is a millisecond later.
        let second = |key: &KeyRecord| key.ends.as_deref().and_then(|ends| ends.get(..19)).map(str::to_owned);
        assert_eq!(second(&after), second(&before), "{expiry}");
    }
}

#[tokio::test]
async fn stale_page_says_what_has_changed() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let (_, id) = create(&world, &owner, "none").await;
    let store = &world.service.app.store;
    store.revoke_key(&org(), &id, &operator()).await.unwrap();
    let count = keys(&world).await.len();
    for action in ["rotate", "revoke", "complete", "cancel"] {
        let path = format!("/keys/{id}/{action}");
        for page in [owner.get(&path).await, owner.post(&path, &[("days", "7")]).await] {
            assert_eq!(page.status, 409, "{action}");
            page.has("Something has changed meanwhile");
            page.has("Nothing was changed.");
        }
    }
    assert_eq!(keys(&world).await.len(), count);
}

#[tokio::test]
async fn client_shows_its_last_use() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    world.service.oauth_client("acme", &[Scope::Scim]).await;
    owner.get("/keys").await.has("Never used");
    let (id, _) = world.service.access_token(&[Scope::Scim], world.service.app.store.clock()).await;
    let page = owner.get("/keys").await;
    let client = page.between(&format!("id=\"client-{id}\""), "</li>").concat();
    assert!(client.contains("<dt>Last used</dt><dd><time datetime=\"2026-11-23T09:00:00."), "{client}");
    assert!(client.contains(", by Another client</dd>"), "{client}");
}

#[tokio::test]
async fn client_gets_secrets_and_ends_them() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let store = &world.service.app.store;
    let form = owner.get("/keys").await.form();
    let fields = [("label", "Entra"), ("scim", "on"), ("expiry", "90"), ("form", &form)];
    let page = owner.post("/clients", &fields).await;
    let secret = page.secret();
    assert!(secret.starts_with("scimsecret_"), "{}", page.body);
    let again = owner.post("/clients", &fields).await;
    again.has("This form has been sent already.");
    let client = store.clients(&org()).await.unwrap().pop().unwrap();
    page.has(&client.id);
    page.has("https://scim.test/oauth2/token");

    let path = format!("/clients/{}/secret", client.id);
    let form = owner.get(&path).await.form();
    let second = owner.post(&path, &[("expiry", "365"), ("form", &form)]).await;
    assert_ne!(second.secret(), secret);
    owner.post(&path, &[("expiry", "365"), ("form", &form)]).await.has("This form has been sent already.");
    assert_eq!(owner.post(&path, &[("expiry", "never")]).await.status, 422);
    for _ in 0..3 {
        assert_eq!(owner.post(&path, &[]).await.status, 200);
    }
    let full = owner.post(&path, &[]).await;
    assert_eq!(full.status, 409);
    full.has("The client has 5 live secrets.");

    let first = &client.secrets[0];
    let end = format!("/clients/{}/secrets/{}/end", client.id, first.id);
    owner.get(&end).await.has(&format!("End the secret …{} of Entra?", first.last_four));
    assert_eq!(owner.post(&end, &[]).await.header("location"), "/console/keys?done=ended");
    owner.get("/keys").await.has_not(&format!("Secret …{}", first.last_four));

    let delete = format!("/clients/{}/delete", client.id);
    owner.get(&delete).await.has("Delete the client Entra?");
    assert_eq!(owner.post(&delete, &[]).await.header("location"), "/console/keys?done=deleted");
    for path in [&delete, &end, &path] {
        let page = owner.post(path, &[]).await;
        assert_eq!(page.status, 404, "{path}");
        page.has("Something has changed meanwhile");
    }
    for page in [&again, &owner.get("/keys").await] {
        page.has_not(&secret);
        page.has_not(&second.secret());
    }
    let expected = ["client.create", "client.secret.add", "client.secret.end", "client.delete"];
    let mut actions = actions(&world).await;
    actions.dedup();
    assert_eq!(actions, expected);
}
