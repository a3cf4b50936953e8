//! Activity: sentences, filters, pages, new requests, and the page of a request.

use serde_json::json;
use service::portal::Role;

use super::World;

/// Returns the sentences of a list, the newest first.
fn sentences(page: &super::Page) -> Vec<String> {
    let links = page.between("href=\"/console/activity/", "</bdi></a>");
    links.into_iter().filter_map(|link| Some(link.split_once("\"><bdi>")?.1.to_owned())).collect()
}

/// Returns the ids of the entries of a list, the newest first.
fn ids(page: &super::Page) -> Vec<String> {
    page.ids("activity")
}

async fn world() -> (World, String, String) {
    let world = World::new().await;
    let service = &world.service;
    let ada = service.user("ada@example.com").await;
    assert_eq!(service.post("/Users", json!({ "userName": "ada@example.com" })).await.status, 409);
    let ben = service.user("ben@example.com").await;
    let team = service.group("Sales", &[&ada, &ben]).await;
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{ben}\"]") }]);
    assert!(service.patch(&format!("/Groups/{team}"), remove).await.status < 300);
    let change = json!([{ "op": "replace", "path": "title", "value": "Engineer" }]);
    assert!(service.patch(&format!("/Users/{ada}"), change).await.status < 300);
    assert_eq!(service.get("/Groups?filter=displayName%20eq%20%22Sales%22").await.status, 200);
    service.app.store.flush_request_log().await;
    (world, ada, team)
}

#[tokio::test]
async fn requests_are_sentences() {
    let (world, ..) = world().await;
    let mut browser = world.enter(Role::Viewer).await;
    assert_eq!(
        sentences(&browser.get("/activity").await),
        [
            "Another client looked for the team Sales and found it",
            "Another client changed ada@example.com (Job title)",
            "Another client removed ben@example.com from Sales",
            "Another client created the team Sales with ada@example.com and ben@example.com",
            "Another client created ben@example.com",
            "Another client could not create ada@example.com: the name is taken",
            "Another client created ada@example.com",
        ]
    );
    browser.language = "de";
    let german = sentences(&browser.get("/activity").await);
    assert_eq!(german[2], "Ein anderer Client hat ben@example.com aus Sales entfernt");
    assert_eq!(
        german[5],
        "Ein anderer Client konnte ada@example.com nicht anlegen: der Name ist schon vergeben"
    );
}

#[tokio::test]
async fn filters_select_requests() {
    let (world, ada, team) = world().await;
    let browser = world.enter(Role::Viewer).await;
    for (filters, count) in [
        ("", 7),
        ("outcome=failed", 1),
        ("outcome=succeeded", 6),
        ("client=entra", 0),
        ("client=other", 7),
        (&format!("person={ada}"), 3),
        (&format!("person={ada}&outcome=failed"), 0),
        (&format!("team={team}"), 3),
        ("status=409", 1),
        ("status=4xx", 1),
        ("status=2xx", 6),
        ("status=5xx", 0),
        ("status=429&outcome=", 0),
        (&format!("person={ada}&status=201"), 2),
        ("day=2026-11-23", 7),
        ("day=2026-11-22", 0),
        ("outcome=&client=&day=&cursor=", 7),
    ] {
        let page = browser.get(&format!("/activity?{filters}")).await;
        assert_eq!((page.status, sentences(&page).len()), (200, count), "{filters}");
    }
    let person = browser.get(&format!("/activity?person={ada}")).await;
    person.has("ada@example.com");
    person.has(&format!("name=\"person\" value=\"{ada}\""));
    let latest = browser.get(&format!("/people/{ada}")).await;
    assert_eq!(sentences(&latest).len(), 3);
    latest.has(&format!("/console/activity?person={ada}"));
}

#[tokio::test]
async fn filters_take_names_of_people_and_teams() {
    let (world, ada, team) = world().await;
    let service = &world.service;
    let emails = json!([{ "value": "countess@example.com" }]);
    let long = json!({ "userName": "ada@example.com.au", "displayName": "Ada <King>", "emails": emails });
    assert_eq!(service.post("/Users", long).await.status, 201);
    service.group("Sales North", &[]).await;
    let browser = world.enter(Role::Viewer).await;
    for (query, to) in [
        ("person=ada%40example.com", format!("person={ada}")),
        ("person=%20ADA%40Example.com%20&outcome=failed", format!("person={ada}&outcome=failed")),
        ("team=sales", format!("team={team}")),
        (
            &format!("person={ada}&team=Sales&day=2026-11-23"),
            format!("person={ada}&team={team}&day=2026-11-23"),
        ),
    ] {
        let page = browser.get(&format!("/activity?{query}")).await;
        assert_eq!((page.status, page.header("location")), (303, format!("/console/activity?{to}").as_str()));
    }
    // The beginning of one name is enough. An address finds its person.
    let countess = browser.get("/activity?person=countess").await;
    assert_eq!(countess.status, 303);
    browser.get(&countess.header("location")["/console".len()..]).await.has("<bdi>ada@example.com.au</bdi>");

    for (query, text, count) in [
        ("person=ada&status=4xx", "Several people have", 2),
        ("team=sal", "Several teams have", 2),
        ("person=zoe", "No user name or e-mail address begins", 0),
        ("person=%3Cscript%3E", "value=\"&#60;script&#62;\"", 0),
        ("team=%00", "No name of a team begins", 0),
        (&format!("person={}", "x".repeat(3_000)), "No user name or e-mail address begins", 0),
    ] {
        let page = browser.get(&format!("/activity?{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        page.has(text);
        page.has_not("<King>");
        assert!(sentences(&page).is_empty(), "{query}");
        assert_eq!(page.body.matches("<li><a href=\"/console/activity?").count(), count, "{query}");
    }
    let page = browser.get("/activity?person=ada&status=4xx").await;
    page.has(&format!("href=\"/console/activity?status=4xx&#38;person={ada}\""));
}

#[tokio::test]
async fn names_are_offered_while_a_person_types() {
    let (world, ..) = world().await;
    world.service.group("<b>Sales", &[]).await;
    let browser = world.enter(Role::Viewer).await;
    let offered = async |query: &str| browser.fragment(&format!("/activity/names?{query}")).await;
    let options = async |query: &str| {
        let part = offered(query).await;
        part.between("<option value=\"", "\"").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(options("person=A").await, ["ada@example.com"]);
    for nothing in ["person=", "person=+", "team=", ""] {
        assert_eq!(offered(nothing).await.status, 204, "{nothing}");
    }
    assert_eq!(options("team=sal").await, ["Sales"]);
    assert_eq!(options("team=%3Cb").await, ["&#60;b&#62;Sales"]);
    assert_eq!(offered(&format!("person={}", "x".repeat(300))).await.status, 204);
    assert_eq!(offered("person=a&person=b").await.status, 400);
    assert_eq!(world.browser().get("/activity/names?person=a").await.status, 401);
}

#[tokio::test]
async fn times_are_in_the_zone_of_the_cookie() {
    let (world, ..) = world().await;
    let mut browser = world.enter(Role::Viewer).await;
    let session = browser.cookie.clone();
    for (cookie, zone, time) in [
        ("", "UTC", "23 Nov 2026, 09:00"),
        ("; scim_zone=Asia/Kolkata", "Asia/Kolkata", "23 Nov 2026, 14:30"),
        ("; scim_zone=Mars/Olympus", "UTC", "23 Nov 2026, 09:00"),
        ("; scim_zone=60", "UTC", "23 Nov 2026, 09:00"),
        ("; scim_zone=\"><script>", "UTC", "23 Nov 2026, 09:00"),
    ] {
        browser.cookie = format!("{session}{cookie}");
        let page = browser.get("/activity").await;
        page.has(&format!("Times are in the zone {zone}."));
        page.has(time);
        browser.get("/overview").await.has(&format!("Times are in the zone {zone}."));
    }
}

#[tokio::test]
async fn invalid_filters_have_a_page_that_says_so() {
    let (world, ..) = world().await;
    let browser = world.enter(Role::Viewer).await;
    for filters in [
        "outcome=maybe",
        "status=maybe",
        "status=4x",
        "status=700",
        "client=eve",
        "day=2026-02-30",
        "day=yesterday",
        "cursor=x",
        "outcome=failed&outcome=failed",
    ] {
        let page =
            browser.get(&format!("/activity?{}", filters.replace('<', "%3C").replace('>', "%3E"))).await;
        assert_eq!(page.status, 400, "{filters}");
        page.has("A filter is not valid");
    }
    for id in ["x", "00000000-0000-7000-8000-000000000000"] {
        assert_eq!(browser.get(&format!("/activity/{id}")).await.status, 404);
    }
    assert_eq!(browser.get("/activity/new?since=x").await.status, 400);
}

#[tokio::test]
async fn activity_pages_have_each_request_once() {
    let world = World::new().await;
    for number in 0..70 {
        world.service.user(&format!("user{number}")).await;
    }
    world.service.app.store.flush_request_log().await;
    let browser = world.enter(Role::Viewer).await;
    let (mut all, mut path) = (Vec::new(), Some("/activity".to_owned()));
    while let Some(next) = path {
        let page = browser.get(&next).await;
        all.extend(ids(&page));
        path = page.next();
    }
    assert_eq!(all.len(), 70);
    let mut sorted = all.clone();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.reverse();
    assert_eq!(all, sorted, "each request is there once, the newest first");
}

#[tokio::test]
async fn new_requests_are_announced() {
    let (world, ..) = world().await;
    let browser = world.enter(Role::Viewer).await;
    let page = browser.get("/activity").await;
    let live = |page: &super::Page| {
        let live = page.between("hx-get=\"/console/activity/new", "\" hx-trigger=\"every 10s\"");
        format!("/activity/new{}", live[0].replace("&#38;", "&"))
    };
    let url = live(&page);
    assert_eq!(browser.fragment(&url).await.status, 204, "nothing is new");
    world.service.user("carl@example.com").await;
    world.service.app.store.flush_request_log().await;
    let part = browser.fragment(&url).await;
    part.has("1 new request<");
    let url = live(&part);
    assert_eq!(browser.fragment(&url).await.status, 204, "it was announced");
    world.service.user("dee@example.com").await;
    world.service.app.store.flush_request_log().await;
    browser.fragment(&url).await.has("2 new requests<");
    let failed = live(&browser.get("/activity?outcome=failed").await);
    world.service.user("eve@example.com").await;
    world.service.app.store.flush_request_log().await;
    assert_eq!(browser.fragment(&failed).await.status, 204, "the filter applies");
}

#[tokio::test]
async fn request_has_its_cause_and_remedy() {
    let (world, ada, team) = world().await;
    let browser = world.enter(Role::Viewer).await;
    let list = browser.get("/activity").await;
    let entries = ids(&list);
    let failed = browser.get(&format!("/activity/{}", entries[5])).await;
    failed.has("The name is taken.");
    failed.has("Rename or delete one of the two entries");
    failed.has("409");
    failed.has("href=\"/console/keys#key-");
    let removed = browser.get(&format!("/activity/{}", entries[2])).await;
    removed.has("Removed members");
    removed.has(&format!("href=\"/console/teams/{team}\""));
    removed.has("ben@example.com");
    let changed = browser.get(&format!("/activity/{}", entries[1])).await;
    changed.has("Job title");
    changed.has(&format!("href=\"/console/people/{ada}\""));
    changed.has_not("Engineer");
    changed.has_not("<dt>Endpoint</dt>");
    world.service.get("/v3/Users").await;
    world.service.app.store.flush_request_log().await;
    let newest = ids(&browser.get("/activity").await)[0].clone();
    let unserved = browser.get(&format!("/activity/{newest}")).await;
    unserved.has("<dt>Endpoint</dt><dd><bdi lang=\"en\">GET unknown path</bdi></dd>");
}

#[tokio::test]
async fn deleted_people_stay_in_sentences() {
    let (world, ada, _) = world().await;
    let service = &world.service;
    let team = service.group("Support", &[&ada]).await;
    assert_eq!(service.delete(&format!("/Users/{ada}")).await.status, 204);
    service.app.store.flush_request_log().await;
    let browser = world.enter(Role::Viewer).await;
    let page = browser.get(&format!("/activity?team={team}")).await;
    assert_eq!(sentences(&page), ["Another client created the team Support with a person who was deleted"]);
    let page = browser.get("/activity").await;
    assert_eq!(sentences(&page)[0], "Another client deleted ada@example.com");
    let entry = browser.get(&format!("/activity/{}", ids(&page)[0])).await;
    entry.has_not(&format!("href=\"/console/people/{ada}\""));
    assert_eq!(
        service
            .app
            .store
            .request_log_entry(&service.own_organisation().await, &ids(&page)[0])
            .await
            .map(|it| it.is_some()),
        Ok(true)
    );
}
