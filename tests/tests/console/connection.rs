//! The switch of SCIM, the steps of each provider, the live check, and the overview.

use dynoxide::Database;
use local::embedded;
use serde_json::json;
use service::{
    auth::Scope,
    clock::Clock,
    portal::{Portal, Role},
    store::{ClientAuthentication, NewClient},
    trust::Trust,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tests::{NOW, Request, operator};
use time::Duration;

use super::{Browser, Page, World, org};

#[tokio::test]
async fn scim_is_turned_off_after_a_review() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    assert_eq!(world.service.get("/Users").await.status, 200);
    let review = owner.get("/connection/scim").await;
    review.has("Turn SCIM off?");
    review.has("with status 403");
    assert_eq!(world.service.get("/Users").await.status, 200);
    let off = owner.post("/connection/scim", &[("enabled", "false")]).await;
    assert_eq!((off.status, off.header("location")), (303, "/console/connection?done=off"));
    assert_eq!(world.service.get("/Users").await.status, 403);
    owner.get("/connection?done=off").await.has("SCIM is off.");
    owner.get("/connection/scim").await.has("SCIM is off already. Nothing was changed.");
    owner.get("/overview").await.has("The service refuses each request of the identity provider.");

    // The steps offer to turn it on, and lead back to them.
    for path in ["/connection/okta", "/connection/entra"] {
        let page = owner.get(path).await;
        page.has("SCIM is off, so each request is refused.");
        let from = format!("/console{path}");
        let on = owner.post("/connection/scim", &[("enabled", "true"), ("page", &from)]).await;
        assert_eq!(on.header("location"), from);
        assert_eq!(world.service.get("/Users").await.status, 200);
        owner.post("/connection/scim", &[("enabled", "false")]).await;
    }
    let entries = world.service.app.store.audit(&org(), 10, None).await.unwrap().items;
    let changes = entries.iter().filter(|entry| entry.action == "org.change");
    assert!(changes.clone().count() == 5 && changes.clone().all(|entry| entry.actor.starts_with("console:")));
}

#[tokio::test]
async fn key_of_the_steps_is_shown_once() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    for (provider, label) in [("okta", "Okta"), ("entra", "Microsoft Entra ID")] {
        let path = format!("/connection/{provider}");
        let form = owner.get(&path).await.form();
        let fields = [("form", form.as_str())];
        let page = owner.post(&format!("{path}/key"), &fields).await;
        let key = page.secret();
        assert!(key.starts_with("scim_acme_"), "{}", page.body);
        assert_eq!(page.header("cache-control"), "no-store");
        let keys = world.service.app.store.keys(&org()).await.unwrap();
        assert_eq!(keys.last().unwrap().label.as_deref(), Some(label));

        let exists =
            format!("The key scim_acme_…{} exists.", keys.last().unwrap().last_four.as_ref().unwrap());
        for later in [owner.post(&format!("{path}/key"), &fields).await, owner.get(&path).await] {
            later.has_not(&key);
            later.has(&exists);
            later.has("Create another key");
        }
        assert_eq!(world.service.app.store.keys(&org()).await.unwrap().len(), keys.len());
        // The address of the answer leads to the steps.
        assert_eq!(owner.get(&format!("{path}/key")).await.header("location"), format!("/console{path}"));
    }
}

#[tokio::test]
async fn entra_is_connected_without_a_secret() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let tenant = "0f1e2d3c-4b5a-4697-8877-665544332211";
    let form = owner.get("/connection/entra").await.form();
    let audience = ("audience", "api://scim/.default");
    let fields = [("tenant", tenant), ("subject", " s-1 "), audience, ("form", &form)];
    let page = owner.post("/connection/entra/federation", &fields).await;
    assert_eq!(page.status, 200, "{}", page.body);
    page.has("None of them is secret.");
    page.has("https://scim.test/oauth2/token");
    page.has("https://scim.test/scim/v2?aadOptscim062020");
    assert_eq!(page.secret(), "");
    assert_eq!(owner.post("/connection/entra/federation", &fields).await.status, 200);
    let clients = world.service.app.store.clients(&org()).await.unwrap();
    assert_eq!(clients.len(), 1);
    page.has(&clients[0].id);
    let trust = clients[0].trust.clone().unwrap();
    let host = format!("https://login.microsoftonline.com/{tenant}");
    assert_eq!(trust.issuer, format!("{host}/v2.0"));
    assert_eq!(trust.jwks_uri, Some(format!("{host}/discovery/v2.0/keys")));
    assert_eq!((trust.subject.as_str(), trust.audience.as_str()), ("s-1", "api://scim"));
    assert_eq!(trust.tid.as_deref(), Some(tenant));
    owner.get("/keys").await.has(&format!("{host}/v2.0"));
}

#[tokio::test]
async fn entra_is_connected_with_a_client_secret() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let form = owner.get("/connection/entra").await.form();
    let fields = [("form", form.as_str())];
    let page = owner.post("/connection/entra/secret", &fields).await;
    let secret = page.secret();
    assert!(secret.starts_with("scimsecret_acme_"), "{}", page.body);
    let again = owner.post("/connection/entra/secret", &fields).await;
    again.has_not(&secret);
    again.has("This form has been sent already.");
    let clients = world.service.app.store.clients(&org()).await.unwrap();
    assert_eq!(clients.len(), 1);
    page.has(&clients[0].id);
}

#[tokio::test]
async fn steps_of_entra_go_on_from_a_client_that_exists() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let store = &world.service.app.store;
    // A client of another product is not Entra's.
    owner.post("/clients", &[("label", "Reports"), ("scim", "on"), ("expiry", "90")]).await;
    // Neither is one that trusts another issuer, whose name may begin like Entra's host.
    for issuer in ["https://idp.example.com", "https://login.microsoftonline.com.example.com/v2.0"] {
        let trust = Trust {
            issuer: issuer.to_owned(),
            audience: "api://scim".to_owned(),
            subject: "s-1".to_owned(),
            tid: None,
            azp: None,
            jwks_uri: None,
        };
        let new = NewClient {
            scopes: [Scope::Scim].into(),
            label: Some("Other".to_owned()),
            authentication: ClientAuthentication::Federation(trust),
            repeatable: None,
        };
        store.create_client(&org(), &new, &world.service.app.pepper, &operator()).await.unwrap();
    }
    owner.get("/connection/entra").await.has("Trust this tenant");
    owner.post("/connection/entra/secret", &[]).await;
    let clients = store.clients(&org()).await.unwrap();
    let of_entra =
        clients.iter().find(|client| client.label.as_deref() == Some("Microsoft Entra ID")).unwrap();
    let page = owner.get("/connection/entra").await;
    page.has("Entra has a client with a secret already.");
    page.has(&format!("href=\"/console/keys#client-{}\"", of_entra.id));
    page.has_not("Trust this tenant");
    owner.get("/connection/entra?way=other").await.has("Trust this tenant");

    let tenant = "0f1e2d3c-4b5a-4697-8877-665544332211";
    let fields = [("tenant", tenant), ("subject", "s-1"), ("audience", "api://scim")];
    owner.post("/connection/entra/federation", &fields).await;
    let viewer = world.enter(Role::Viewer).await;
    for browser in [&owner, &viewer] {
        let page = browser.get("/connection/entra").await;
        page.has("Entra has a client already.");
        page.has(&format!("https://login.microsoftonline.com/{tenant}/v2.0"));
        page.has("https://scim.test/oauth2/token");
    }
}

#[tokio::test]
async fn full_organisation_is_explained() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    for number in 0..100 {
        let fields = [("label", &*format!("Client {number}")), ("scim", "on"), ("expiry", "90")];
        assert_eq!(owner.post("/clients", &fields).await.status, 200);
    }
    let keys = owner.get("/keys").await;
    keys.has("The organisation has 100 clients.");
    keys.has_not("action=\"/console/clients\"");
    let entra = owner.get("/connection/entra").await;
    entra.has("The organisation has 100 clients.");
    entra.has_not("Trust this tenant");
    entra.has_not("Create the client secret");
    entra.has("Create the key");
    // A form from before keeps what was typed.
    let refused = owner.post("/clients", &[("label", "One more"), ("scim", "on"), ("expiry", "90")]).await;
    assert_eq!(refused.status, 409);
    refused.has("value=\"One more\"");
    refused.has("<details class=\"form\" open>\n<summary>Create a client");
    let tenant = "0f1e2d3c-4b5a-4697-8877-665544332211";
    let fields = [("tenant", tenant), ("subject", "s-1"), ("audience", "api://scim")];
    let refused = owner.post("/connection/entra/federation", &fields).await;
    assert_eq!(refused.status, 409);
    refused.has(tenant);
    refused.has("The organisation has 100 clients.");
}

/// Returns a world whose clock the test moves, and the seconds that have passed.
async fn with_clock() -> (World, Arc<AtomicI64>) {
    let seconds = Arc::new(AtomicI64::default());
    let passed = seconds.clone();
    let clock = Clock::new(move || NOW + Duration::seconds(passed.load(Ordering::Relaxed)));
    let client = embedded::client(Database::memory().expect("a database in memory"));
    (World::with(client, clock, Portal::default()).await, seconds)
}

/// Looks as htmx does, at the path that the page or the last look names.
async fn look(owner: &Browser, page: &Page) -> Page {
    let path = page.between("hx-get=\"/console", "\"").concat().replace("&#38;", "&").replace("&amp;", "&");
    owner.fragment(&path).await
}

#[tokio::test]
async fn live_check_tells_of_the_test_and_the_first_person() {
    let (world, seconds) = with_clock().await;
    let owner = world.enter(Role::Owner).await;
    let okta = async |request: Request| {
        seconds.fetch_add(1, Ordering::Relaxed);
        let answer = request.header("user-agent", "Okta SCIM Client 1.0.0").send(&world.service).await;
        world.service.app.store.flush_request_log().await;
        answer
    };
    // Earlier requests are no news.
    okta(Request::post("/Users", json!({ "userName": "before@example.com" }))).await;
    seconds.fetch_add(1, Ordering::Relaxed);
    let page = owner.get("/connection/okta").await;
    page.has("This page waits for the first request of Okta.");
    page.has("aria-live=\"polite\"");
    page.has("every 2s");
    assert_eq!(look(&owner, &page).await.status, 204);

    okta(Request::get("/Users?startIndex=1&count=2")).await;
    let tested = look(&owner, &page).await;
    assert_eq!(tested.status, 200);
    tested.has("Okta");
    tested.has("This page waits for the first person.");
    tested.has_not("<html");
    assert_eq!(look(&owner, &tested).await.status, 204);

    let failed = okta(Request::post("/Users", json!({ "userName": "before@example.com" }))).await;
    assert_eq!(failed.status, 409);
    let failed = look(&owner, &tested).await;
    assert_eq!(failed.status, 200);
    failed.has("event-bad");
    failed.has("Another User already has this userName.");

    okta(Request::post("/Users", json!({ "userName": "ada@example.com" }))).await;
    let done = look(&owner, &failed).await;
    assert_eq!(done.status, 286);
    done.has("It works. The first person has arrived.");
    done.has("ada@example.com");
    done.has_not("Okta created before@example.com");
    done.has_not("hx-get");
}

#[tokio::test]
async fn live_check_says_that_the_base_url_is_wrong() {
    let (world, seconds) = with_clock().await;
    let owner = world.enter(Role::Owner).await;
    let ask = async |request: Request| {
        seconds.fetch_add(1, Ordering::Relaxed);
        let status = request.header("user-agent", "Okta SCIM Client 1.0.0").send(&world.service).await.status;
        world.service.app.store.flush_request_log().await;
        status
    };
    for path in ["/v3/Users", "/", "/Users/Users?startIndex=1&count=2", "/Users/Groups", "/Groups/Users"] {
        let page = owner.get("/connection/okta").await;
        assert_eq!(ask(Request::get(path)).await, 404, "{path}");
        let told = look(&owner, &page).await;
        told.has("event-bad");
        told.has("The base URL in Okta is wrong");
        told.has("hx-get");
        seconds.fetch_add(1, Ordering::Relaxed);
    }
    // Below an endpoint, and for a user that does not exist, the base URL is right.
    let unknown = "/Users/01900000-0000-7000-8000-000000000000";
    for path in [unknown, "/Users/01900000-0000-7000-8000-000000000000/photo", "/Me"] {
        let page = owner.get("/connection/okta").await;
        assert!(ask(Request::get(path)).await >= 400, "{path}");
        let told = look(&owner, &page).await;
        told.has("event-bad");
        told.has_not("The base URL in Okta is wrong");
        seconds.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn live_check_names_the_usual_causes_of_silence() {
    let (world, seconds) = with_clock().await;
    let owner = world.enter(Role::Viewer).await;
    let page = owner.get("/connection/entra").await;
    seconds.store(120, Ordering::Relaxed);
    assert_eq!(look(&owner, &page).await.status, 204);
    seconds.store(121, Ordering::Relaxed);
    let slow = look(&owner, &page).await;
    assert_eq!(slow.status, 200);
    slow.has("select Test Connection.");
    slow.has("hx-get");
    assert_eq!(look(&owner, &slow).await.status, 204);
    // Without JavaScript, the page itself looks again.
    let path = page.between("<a class=\"button\" href=\"/console", "#verify\"").concat();
    owner.get(&path).await.has("select Test Connection.");
}

#[tokio::test]
async fn live_check_refuses_other_parameters() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let now = "2026-11-23T09:00:00.123Z";
    for (query, status) in [
        (format!("provider=google&since={now}"), 404),
        ("provider=okta".to_owned(), 400),
        ("provider=okta&since=yesterday".to_owned(), 400),
        ("provider=okta&since=2026-11-23T09:00:00Z".to_owned(), 400),
        ("provider=okta&since=2026-11-23T09:00:00.1%2B01".to_owned(), 400),
        (format!("since={now}"), 400),
        (format!("provider=okta&provider=okta&since={now}"), 400),
        (format!("provider=okta&since={now}&seen=%3Cscript%3E"), 200),
    ] {
        let page = owner.get(&format!("/connection/verify?{query}")).await;
        assert_eq!(page.status, status, "{query}");
        page.has_not("<script>");
    }
    let page = owner.get("/connection/okta?since=%22%3E%3Cscript%3E").await;
    assert_eq!(page.status, 200);
    page.has_not("<script>");
}

#[tokio::test]
async fn overview_says_what_comes_next() {
    let (world, seconds) = with_clock().await;
    let owner = world.enter(Role::Owner).await;
    let new = owner.get("/overview").await;
    new.has("Not connected yet");
    new.has("href=\"/console/connection\">Connect an identity provider</a>");
    new.has("The chart appears with the first request.");

    let entra = async |path: &str| {
        let request = Request::get(path).header("user-agent", "Microsoft Azure AD SCIM provisioning 1.0.0");
        let status = request.send(&world.service).await.status;
        world.service.app.store.flush_request_log().await;
        status
    };
    entra("/Users").await;
    let page = owner.get("/overview").await;
    page.has("In step");
    page.has("Entra comes every 40 minutes.");
    page.has("<time datetime=\"2026-11-23T09:40:00.123Z\">");
    page.has("Requests in the last 48 hours: 1. Failed: 0.");
    page.has("<svg");
    page.has("Show as a table");

    seconds.store(4 * 3_600, Ordering::Relaxed);
    owner.get("/overview").await.has("Entra has missed several cycles.");
    for _ in 0..5 {
        assert_eq!(entra("/Users?filter=x").await, 400);
    }
    let page = owner.get("/overview").await;
    page.has("Requests fail");
    page.has("Requests in the last 48 hours: 6. Failed: 5.");
}

/// Returns the hours or days and the numbers of the last table of the page.
fn last_rows(page: &Page) -> Vec<(String, String)> {
    let body = page.body.rsplit("<tbody>").next().unwrap_or_default();
    let rows = body.split("<tr>").skip(1).map(|row| {
        let time = row.split("<time").nth(1).and_then(|rest| rest.split(['>', '<']).nth(1));
        let number = row.split("<td class=\"number\"").nth(1).and_then(|rest| rest.split(['>', '<']).nth(1));
        (time.unwrap_or_default().to_owned(), number.unwrap_or_default().to_owned())
    });
    rows.collect()
}

#[tokio::test]
async fn overview_charts_the_people_of_each_day() {
    let (world, seconds) = with_clock().await;
    let create = async |name: &str, hours: i64| {
        seconds.store(hours * 3_600, Ordering::Relaxed);
        let answer = world.service.post("/Users", json!({ "userName": name })).await;
        assert_eq!(answer.status, 201);
        world.service.app.store.flush_request_log().await;
        answer
    };
    let page = async || world.enter(Role::Viewer).await.get("/overview").await;
    create("ada@example.com", 0).await;
    page().await.has("The chart appears when people were counted in two hours.");
    create("ben@example.com", 1).await;
    create("cay@example.com", 24).await;
    let page = page().await;
    page.has("Active people at the last count: 3. At the first count of the last 30 days: 1.");
    assert_eq!(page.between("<svg", ">").len(), 4);
    assert_eq!(
        last_rows(&page),
        [
            ("23 Nov 2026, 10:00".to_owned(), "2".to_owned()),
            ("24 Nov 2026, 09:00".to_owned(), "3".to_owned())
        ]
    );
}

#[tokio::test]
async fn overview_warns_of_ends() {
    let (world, seconds) = with_clock().await;
    let owner = world.enter(Role::Owner).await;
    let store = &world.service.app.store;
    owner.post("/keys", &[("label", "<b>Soon</b>"), ("scim", "on"), ("expiry", "90")]).await;
    owner.post("/clients", &[("label", "Entra"), ("scim", "on"), ("expiry", "90")]).await;
    owner.get("/overview").await.has_not("Needs your attention");
    seconds.store(61 * 24 * 3_600, Ordering::Relaxed);
    let owner = world.enter(Role::Owner).await;
    let page = owner.get("/overview").await;
    page.has("The key &#60;b&#62;Soon&#60;/b&#62; ends on");
    page.has("A secret of the client Entra ends on");
    for key in store.keys(&org()).await.unwrap() {
        owner.post(&format!("/keys/{}/revoke", key.id), &[]).await;
    }
    for client in store.clients(&org()).await.unwrap() {
        owner.post(&format!("/clients/{}/delete", client.id), &[]).await;
    }
    owner.get("/overview").await.has("The organisation has no key and no client yet");
}
