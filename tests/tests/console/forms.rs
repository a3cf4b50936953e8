//! Forms with missing, wrong, long and hostile values.

use service::{
    portal::Role,
    store::{MAX_LABEL, Organisation},
};

use super::{World, access::PAGES, org};

const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "{{ 7*7 }} {name} {client}",
    "</title></textarea><svg onload=alert(1)>",
];

async fn counts(world: &World) -> (usize, usize, Organisation) {
    let (store, org) = (&world.service.app.store, org());
    let organisation = store.org(&org).await.unwrap().unwrap();
    (store.keys(&org).await.unwrap().len(), store.clients(&org).await.unwrap().len(), organisation)
}

#[tokio::test]
async fn refused_form_creates_nothing_and_keeps_what_was_typed() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let before = counts(&world).await;
    let long = "é".repeat(MAX_LABEL + 1);
    let scim = ("scim", "on");
    for path in ["/keys", "/clients"] {
        for (fields, fault) in [
            (vec![("label", "kept")], "Choose at least one scope."),
            (vec![("label", "kept"), ("scim", "yes")], "Choose at least one scope."),
            (vec![("label", &long), scim], "Enter a label of at most 200 characters"),
            (vec![("label", "a\u{0}b"), scim], "Enter a label of at most 200 characters"),
            (vec![("label", "kept"), scim, ("expiry", "1")], "Choose one of the offered ends."),
            (vec![("label", "kept"), scim, ("expiry", "date")], "Enter a date such as 2027-01-31."),
            (vec![scim, ("expiry", "date"), ("date", "2026-13-45")], "Enter a date such as 2027-01-31."),
            (vec![scim, ("expiry", "date"), ("date", "2026-11-22")], "Enter a date in the future"),
            (vec![scim, ("expiry", "date"), ("date", "9999-12-31")], "Enter a date in the future"),
            (vec![scim, ("expiry", "date"), ("date", "-1")], "Enter a date such as 2027-01-31."),
        ] {
            let page = owner.post(path, &fields).await;
            assert_eq!(page.status, 422, "{path} {fields:?}");
            // The fault is in the summary and at the field.
            assert_eq!(page.body.matches(fault).count(), 2, "{path} {fields:?}: {}", page.body);
            page.has("aria-invalid=\"true\"");
            page.has("The form has faults. Nothing was created.");
            if fields[0].1 == "kept" {
                page.has("name=\"label\" value=\"kept\"");
            }
        }
        for fields in [vec![("label", "a"), ("label", "b"), scim], vec![scim, scim]] {
            assert_eq!(owner.post(path, &fields).await.status, 400, "{path} {fields:?}");
        }
        let huge = "x".repeat(70_000);
        assert_eq!(owner.post(path, &[("label", &huge), scim]).await.status, 400, "{path}");
    }
    assert_eq!(counts(&world).await, before);
}

#[tokio::test]
async fn end_of_a_secret_is_at_most_three_years_away() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let fields = [("scim", "on"), ("expiry", "date"), ("date", "2030-01-01")];
    owner.post("/clients", &fields).await.has("at most three years away");
    assert_eq!(owner.post("/keys", &fields).await.status, 200);
    let keys = world.service.app.store.keys(&org()).await.unwrap();
    assert_eq!(keys.last().unwrap().ends.as_deref(), Some("2030-01-01T23:59:59.000Z"));
}

#[tokio::test]
async fn wrong_fields_of_other_forms_change_nothing() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    let before = counts(&world).await;
    let long = "x".repeat(600);
    for wrong in ["", "maybe", "TRUE", "1", "é", &long] {
        assert_eq!(owner.post("/connection/scim", &[("enabled", wrong)]).await.status, 400, "{wrong}");
    }
    assert_eq!(owner.post("/connection/scim", &[]).await.status, 400);
    let tenant = "0f1e2d3c-4b5a-4697-8877-665544332211";
    for (tenant, subject, audience) in [
        ("", "s", "a"),
        ("contoso", "s", "a"),
        ("http://issuer.example/x", "s", "a"),
        ("https://issuer.example/?x", "s", "a"),
        ("javascript://x", "s", "a"),
        (tenant, "", "a"),
        (tenant, "é", "a"),
        (tenant, "s", "a b"),
        (tenant, "s", "/.default"),
        (tenant, &long, "a"),
    ] {
        let fields = [("tenant", tenant), ("subject", subject), ("audience", audience)];
        let page = owner.post("/connection/entra/federation", &fields).await;
        assert_eq!(page.status, 422, "{fields:?}");
        page.has("aria-invalid=\"true\"");
        if tenant.is_ascii() && !tenant.is_empty() {
            page.has(&format!("id=\"tenant\" name=\"tenant\" value=\"{tenant}\""));
        }
    }
    assert_eq!(owner.post("/connection/entra/federation", &[]).await.status, 422);
    let id = world.service.app.store.keys(&org()).await.unwrap()[0].id.clone();
    for days in ["", "-1", "91", "7.5", "x", "99999999999999999999"] {
        let page = owner.post(&format!("/keys/{id}/rotate"), &[("days", days)]).await;
        assert_eq!(page.status, 422, "{days}");
        page.has("Enter a whole number from 0 to 90.");
        page.has(&format!("name=\"days\" inputmode=\"numeric\" value=\"{days}\""));
    }
    for path in ["/keys/x/revoke", "/keys/x/rotate", "/keys/%00/revoke", &format!("/keys/{id}/explode")] {
        assert_eq!(owner.get(path).await.status, 404, "{path}");
        assert_eq!(owner.post(path, &[]).await.status, 404, "{path}");
    }
    assert_eq!(counts(&world).await, before);
}

#[tokio::test]
async fn hostile_values_are_escaped_on_every_page() {
    let world = World::new().await;
    let owner = world.enter(Role::Owner).await;
    for hostile in HOSTILE {
        let refused = owner.post("/keys", &[("label", hostile)]).await;
        assert_eq!(refused.status, 422);
        let is_markup = !hostile.starts_with('{');
        assert!(!is_markup || !refused.body.contains(hostile), "{hostile}");
        for path in ["/keys", "/clients"] {
            assert_eq!(
                owner.post(path, &[("label", hostile), ("scim", "on"), ("expiry", "90")]).await.status,
                200
            );
        }
        let fields = [("tenant", hostile), ("subject", hostile), ("audience", hostile)];
        let page = owner.post("/connection/entra/federation", &fields).await;
        assert!(!is_markup || !page.body.contains(hostile), "{hostile}");
    }
    // The text with braces is not markup, and no placeholder of a text.
    owner.get("/keys").await.has("{{ 7*7 }} {name} {client}");
    let (store, org) = (&world.service.app.store, org());
    let mut paths: Vec<String> = PAGES.map(str::to_owned).into();
    for key in store.keys(&org).await.unwrap() {
        paths.extend(["rotate", "revoke"].map(|action| format!("/keys/{}/{action}", key.id)));
    }
    for client in store.clients(&org).await.unwrap() {
        paths.extend(["secret", "delete"].map(|action| format!("/clients/{}/{action}", client.id)));
    }
    for path in paths {
        let page = owner.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        for hostile in HOSTILE.iter().filter(|hostile| !hostile.starts_with('{')) {
            page.has_not(hostile);
        }
    }
}
