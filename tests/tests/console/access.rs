//! Links, sessions, roles and the tokens of forms.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{body::Body, http::Request};
use dynoxide::Database;
use local::embedded;
use service::{
    auth::{Org, Scope},
    clock::Clock,
    portal::{Portal, Role},
};
use tests::{NOW, operator};
use time::Duration;

use super::{Browser, World, org};

/// The pages of the navigation and the steps.
pub(crate) const PAGES: [&str; 8] = [
    "/overview",
    "/connection",
    "/connection/okta",
    "/connection/entra",
    "/keys",
    "/people",
    "/teams",
    "/activity",
];

/// The forms that change something, with valid fields.
fn changes(key: &str) -> Vec<(String, Vec<(&'static str, &'static str)>)> {
    let scim = ("scim", "on");
    let tenant = ("tenant", "0f1e2d3c-4b5a-4697-8877-665544332211");
    let mut changes: Vec<(String, Vec<_>)> = [
        ("/connection/scim", vec![("enabled", "false")]),
        ("/connection/okta/key", vec![]),
        ("/connection/entra/key", vec![]),
        ("/connection/entra/secret", vec![]),
        ("/connection/entra/federation", vec![tenant, ("subject", "s"), ("audience", "a")]),
        ("/keys", vec![scim]),
        ("/clients", vec![scim]),
    ]
    .map(|(path, fields)| (path.to_owned(), fields))
    .into();
    changes.extend(["rotate", "revoke"].map(|action| (format!("/keys/{key}/{action}"), vec![])));
    changes
}

/// Returns what management sees of the organisation.
async fn state(world: &World) -> String {
    let (store, org) = (&world.service.app.store, org());
    let organisation = store.org(&org).await.unwrap();
    format!("{organisation:?} {:?} {:?}", store.keys(&org).await.unwrap(), store.clients(&org).await.unwrap())
}

async fn key_id(world: &World) -> String {
    world.service.app.store.keys(&org()).await.unwrap()[0].id.clone()
}

/// Returns a world whose clock the test moves, and the seconds that have passed.
async fn with_clock(portal: Portal) -> (World, Arc<AtomicI64>) {
    let seconds = Arc::new(AtomicI64::default());
    let passed = seconds.clone();
    let clock = Clock::new(move || NOW + Duration::seconds(passed.load(Ordering::Relaxed)));
    let client = embedded::client(Database::memory().expect("a database in memory"));
    (World::with(client, clock, portal).await, seconds)
}

#[tokio::test]
async fn link_is_valid_once() {
    let world = World::new().await;
    let link = world.link(&org(), Role::Owner).await;
    let browser = world.browser();
    assert_eq!(browser.get(&link).await.header("location"), "/console/people");
    for used in [
        link.as_str(),
        "/enter",
        "/enter?link=",
        "/enter?link=x",
        &format!("{link}x"),
        "/enter?link=a&link=b",
    ] {
        let page = browser.get(used).await;
        assert_eq!(page.status, 410, "{used}");
        assert_eq!(page.header("set-cookie"), "", "{used}");
        page.has("Open this page from the settings of your product again.");
    }
}

#[tokio::test]
async fn link_of_another_organisation_asks_before_it_is_used() {
    let world = World::new().await;
    let rival: Org = "rival".parse().unwrap();
    world.service.organisation("rival", &[Scope::Scim]).await;
    let owner = world.enter(Role::Owner).await;
    let link = world.link(&rival, Role::Owner).await;
    let question = owner.get(&link).await;
    assert_eq!((question.status, question.header("set-cookie")), (200, ""));
    question.has("rival");
    // The link is in the form, and in no path.
    assert_eq!(question.body.matches("scimlink_").count(), 1);
    let text = link.split_once('=').unwrap().1;
    assert_eq!(owner.post_form("/enter", &[("link", text)]).await.status, 403);
    let begun = owner.post("/enter", &[("link", text)]).await;
    assert_eq!((begun.status, begun.header("location")), (303, "/console/people"));
    assert_eq!(owner.post("/enter", &[("link", text)]).await.status, 410);
}

#[tokio::test]
async fn head_request_does_not_use_a_link() {
    let world = World::new().await;
    let link = world.link(&org(), Role::Owner).await;
    let browser = world.browser();
    let head = browser.send_with(Request::head(format!("/console{link}")), Body::empty()).await;
    assert_eq!(head.status, 404);
    assert_eq!(browser.get(&link).await.status, 303);
}

#[tokio::test]
async fn link_ends_after_five_minutes_and_session_after_eight_hours() {
    let (world, seconds) = with_clock(Portal::default()).await;
    let late = world.link(&org(), Role::Owner).await;
    let browser = world.enter(Role::Owner).await;
    seconds.store(5 * 60, Ordering::Relaxed);
    assert_eq!(world.browser().get(&late).await.status, 410);
    seconds.store(8 * 3_600 - 1, Ordering::Relaxed);
    assert_eq!(browser.get("/overview").await.status, 200);
    seconds.store(8 * 3_600, Ordering::Relaxed);
    browser.get("/overview").await.has("Your session has ended");
    assert_eq!(browser.get("/overview").await.status, 401);
}

#[tokio::test]
async fn cookie_of_a_session_is_out_of_reach() {
    let frames = vec!["https://app.example.com".to_owned()];
    for (url, frame_ancestors, expected) in [
        ("http://localhost:8080/console", vec![], "scim_session= Path=/ HttpOnly Max-Age=28800 SameSite=Lax"),
        (
            "https://scim.example.com/scim/console",
            vec![],
            "__Host-scim_session= Path=/ HttpOnly Max-Age=28800 Secure SameSite=Lax",
        ),
        (
            "https://scim.example.com/scim/console",
            frames,
            "__Host-scim_session= Path=/ HttpOnly Max-Age=28800 Secure SameSite=None Partitioned",
        ),
    ] {
        let portal = Portal { url: Some(url.to_owned()), frame_ancestors, ..Portal::default() };
        let (world, _) = with_clock(portal).await;
        let page = world.browser().get(&world.link(&org(), Role::Owner).await).await;
        let cookie = page.header("set-cookie");
        let (name, rest) = cookie.split_once('=').unwrap();
        let attributes: Vec<_> = rest.split("; ").skip(1).collect();
        assert_eq!(format!("{name}= {}", attributes.join(" ")), expected);
    }
}

#[tokio::test]
async fn every_page_has_the_security_headers() {
    let world = World::new().await;
    let browser = world.enter(Role::Owner).await;
    for path in PAGES.into_iter().chain(["/nothing", "/enter?link=x", "/keys/x/revoke"]) {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        assert!(!page.body.contains(" style=") && !page.body.contains("<style"), "{path}");
        assert!(!page.body.contains("<script>") && !page.body.contains(" onclick"), "{path}");
    }
}

#[tokio::test]
async fn pages_without_a_session_are_refused() {
    let world = World::new().await;
    let ended = world.enter(Role::Owner).await;
    let left = ended.post("/leave", &[]).await;
    assert_eq!(left.status, 200);
    assert!(left.header("set-cookie").starts_with("scim_session=; "), "{:?}", left.headers);
    let revoked = world.enter(Role::Owner).await;
    let store = &world.service.app.store;
    for session in store.sessions(&org()).await.unwrap() {
        assert!(store.end_session(&org(), &session.id, &operator()).await.unwrap());
    }
    let forged = Browser { cookie: format!("{}x", revoked.cookie), ..world.browser() };
    let key = Browser { cookie: format!("scim_session={}", world.service.key), ..world.browser() };
    let before = state(&world).await;
    let id = key_id(&world).await;
    for browser in [&ended, &revoked, &forged, &key, &world.browser()] {
        for path in PAGES {
            let page = browser.get(path).await;
            assert_eq!(page.status, 401, "{path}");
            page.has("Open this page from the settings of your product again.");
            page.has_not(">acme<");
        }
        for (path, fields) in changes(&id) {
            assert_eq!(browser.post_form(&path, &fields).await.status, 401, "{path}");
        }
        let part = browser.fragment("/connection/verify?provider=okta&since=2026-11-23T09:00:00.123Z").await;
        part.has("Your session has ended");
        part.has_not("<html");
    }
    assert_eq!(state(&world).await, before);
}

#[tokio::test]
async fn viewer_reads_everything_and_changes_nothing() {
    let world = World::new().await;
    let viewer = world.enter(Role::Viewer).await;
    let before = state(&world).await;
    for path in PAGES {
        let page = viewer.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let forms = page.between("<form method=\"post\" action=\"/console", "\"");
        assert_eq!(forms, ["/language", "/leave"], "{path}");
    }
    for (path, fields) in changes(&key_id(&world).await) {
        let page = viewer.post(&path, &fields).await;
        assert_eq!(page.status, 403, "{path}");
        page.has("Ask an owner of the organisation");
    }
    assert_eq!(state(&world).await, before);
    assert_eq!(viewer.post("/language", &[("language", "de")]).await.status, 303);
}

#[tokio::test]
async fn form_with_a_wrong_token_changes_nothing() {
    let world = World::new().await;
    let (owner, other) = (world.enter(Role::Owner).await, world.enter(Role::Owner).await);
    let (right, stolen) = (owner.csrf().await, other.csrf().await);
    assert_ne!(right, stolen);
    let before = state(&world).await;
    let mut all = changes(&key_id(&world).await);
    all.push(("/leave".to_owned(), vec![]));
    all.push(("/language".to_owned(), vec![("language", "de")]));
    for (path, fields) in all {
        for csrf in [None, Some(""), Some("x"), Some(&right[1..]), Some(&stolen)] {
            let token: Vec<_> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
            let page = owner.post_form(&path, &[token, fields.clone()].concat()).await;
            assert_eq!(page.status, 403, "{path} {csrf:?}");
            page.has("Nothing was changed.");
        }
    }
    assert_eq!(state(&world).await, before);
}

#[tokio::test]
async fn session_reaches_no_other_organisation() {
    let world = World::new().await;
    let rival: Org = "rival".parse().unwrap();
    world.service.organisation("rival", &[Scope::Scim]).await;
    let store = &world.service.app.store;
    let theirs = store.keys(&rival).await.unwrap()[0].clone();
    let (client, _) = world.service.oauth_client("rival", &[Scope::Scim]).await;
    let owner = world.enter(Role::Owner).await;
    for action in ["rotate", "revoke", "complete", "cancel"] {
        let path = format!("/keys/{}/{action}", theirs.id);
        assert_eq!(owner.get(&path).await.status, 404, "{path}");
        assert_eq!(owner.post(&path, &[]).await.status, 404, "{path}");
    }
    for path in [format!("/clients/{client}/delete"), format!("/clients/{client}/secret")] {
        assert_eq!(owner.get(&path).await.status, 404, "{path}");
        assert_eq!(owner.post(&path, &[("expiry", "90")]).await.status, 404, "{path}");
    }
    assert_eq!(store.keys(&rival).await.unwrap(), [theirs]);
    assert_eq!(store.clients(&rival).await.unwrap()[0].secrets.len(), 1);
    for path in PAGES {
        owner.get(path).await.has_not("rival");
        let page = world.enter_org(&rival, Role::Owner).await.get(path).await;
        page.has("rival");
    }
}

#[tokio::test]
async fn deleted_organisation_ends_its_sessions() {
    let world = World::new().await;
    let closing: Org = "closing".parse().unwrap();
    world.service.organisation("closing", &[Scope::Scim]).await;
    let owner = world.enter_org(&closing, Role::Owner).await;
    let csrf = owner.csrf().await;
    let link = world.link(&closing, Role::Owner).await;
    // A deletion waits for requests that began before, so the time of the runtime is skipped.
    tokio::time::pause();
    let store = &world.service.app.store;
    store.delete_org(&closing, false, &operator(), |_| {}).await.unwrap();
    tokio::time::resume();
    for path in PAGES {
        assert_eq!(owner.get(path).await.status, 401, "{path}");
    }
    let form = [("csrf", csrf.as_str()), ("scim", "on")];
    assert_eq!(owner.post_form("/keys", &form).await.status, 401);
    assert_eq!(world.browser().get(&link).await.status, 410);
}

#[tokio::test]
async fn choice_of_a_language_leads_back_to_its_page() {
    let world = World::new().await;
    let mut owner = world.enter(Role::Owner).await;
    let page = owner.get("/people?q=ada").await;
    page.has("name=\"page\" value=\"/console/people?q=ada\"");
    for (from, expected) in [
        ("/console/people?q=ada", "/console/people?q=ada"),
        ("/console", "/console/overview"),
        ("", "/console/overview"),
        ("//evil.example", "/console/overview"),
        ("https://evil.example/console/", "/console/overview"),
        ("/consoles", "/console/overview"),
        ("/console/\\evil", "/console/overview"),
        ("/console/\r\nx-evil: 1", "/console/overview"),
        ("/console/é", "/console/overview"),
    ] {
        let answer = owner.post("/language", &[("language", "de"), ("page", from)]).await;
        assert_eq!((answer.status, answer.header("location")), (303, expected), "{from}");
        assert!(answer.header("set-cookie").starts_with("scim_language=de;"));
    }
    assert_eq!(owner.post("/language", &[("language", "xx")]).await.status, 400);
    owner.language = "de";
    for (path, title) in
        PAGES.iter().zip(["Übersicht", "Verbindung", "Okta verbinden", "Microsoft Entra ID verbinden"])
    {
        owner.get(path).await.has(&format!("<h1>{title}</h1>"));
    }
    let shown = owner.post("/connection/okta/key", &[]).await;
    shown.has("name=\"page\" value=\"/console/connection/okta\"");
}
