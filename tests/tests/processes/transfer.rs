//! `scimctl org export`, `org import` and `org delete` on running gateways.

use std::{fmt::Write, fs};

use expect_test::expect;
use serde_json::json;

use crate::program::{Client, Gateway, Output, TempDir};

const PEOPLE: &str = "\u{FEFF}userName,givenName,familyName,displayName,email,externalId,active,title,department\n\
    ada,Ada,Lovelace,Ada Lovelace,ada@x.example,e-1,true,\"Head, Maths\",Maths\n\
    \"zoë\",Zoë,,,,,false,,\n\
    ADA,Another,,,,,,,\n\
    bob,Bob\n\
    ,No,Name,,,,,,\n\
    carl,,,,no address,,perhaps,,\n";

fn scimctl(dir: &TempDir, line: &str) -> Output {
    dir.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), &[])
}

fn save(dir: &TempDir, name: &str, text: &str) {
    fs::write(dir.path(name), text).expect("a file");
}

#[test]
fn people_are_imported_from_a_table() {
    let dir = TempDir::new("people");
    let gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
    save(&dir, "people.csv", PEOPLE);
    let imported = scimctl(&dir, "org import acme --file people.csv");
    expect![[r#"
        exit 3
        out: acme: imported 2 records, 0 were there already, 4 refused
        err: line 5: The line has 2 columns, and the header has 9.
        line 6: Attribute 'userName' is required. Send a value that is not blank.
        line 7: Attribute 'active' must be true or false, not a string.
        line 4: Another User already has this userName. Use another value.
    "#]]
    .assert_eq(&imported.snapshot());
    let ada = &gateway.client().find("/Users", "userName", "ada")[0];
    assert_eq!(ada["name"], json!({ "givenName": "Ada", "familyName": "Lovelace" }));
    assert_eq!(ada["title"], "Head, Maths");
    // A second run finds what is there. The report has the other lines.
    let again = scimctl(&dir, "org import acme --file people.csv --report refused.ndjson --output json");
    assert_eq!(again.code, 3, "{}", again.err);
    expect![[r#"
        {
          "org": "acme",
          "written": 0,
          "skipped": 2,
          "refused": 4
        }
    "#]]
    .assert_eq(&again.out);
    assert_eq!(dir.read("refused.ndjson").lines().count(), 4);
    save(
        &dir,
        "people.ndjson",
        "{\"userName\":\"dora\",\"givenName\":\"Dora\"}\n\n{\"userName\":\"ada\"}\n[]\n",
    );
    let imported = scimctl(&dir, "org import acme --file people.ndjson");
    expect![[r#"
        exit 3
        out: acme: imported 1 records, 0 were there already, 2 refused
        err: line 4: The line is not a JSON object.
        line 3: Another User already has this userName. Use another value.
    "#]]
    .assert_eq(&imported.snapshot());
    let dora = &gateway.client().find("/Users", "userName", "dora")[0];
    assert_eq!(dora["name"]["givenName"], "Dora");
}

#[test]
fn files_that_are_no_import_are_refused() {
    let dir = TempDir::new("no-import");
    let _gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
    let mut seen = String::new();
    for (name, text) in [
        ("empty", "\n \n"),
        ("semicolons", "userName;title\nada;Head\n"),
        ("mail", "userName,mail\nada,a@x.example\n"),
        ("twice", "userName,title,TITLE\nada,a,b\n"),
        ("nameless", "title\nHead\n"),
        ("headless", "{\"user\":{\"id\":\"1\"}}\n"),
        ("later", "{\"organisation\":{\"format\":2}}\n"),
    ] {
        save(&dir, name, text);
        let imported = scimctl(&dir, &format!("org import acme --file {name}"));
        let _ = write!(seen, "{name}: {}", imported.snapshot());
    }
    save(
        &dir,
        "long",
        &format!("{{\"userName\":\"{}\"}}\n{{\"userName\":\"ada\"}}\n", "x".repeat(3_000_000)),
    );
    for line in [
        "org import acme --file long",
        "org import acme --file absent",
        "org import nobody --file long",
        "org export nobody",
        "org delete nobody --confirm nobody",
        "org delete acme",
        "org delete acme --confirm acme-2",
    ] {
        let _ = write!(seen, "{line}: {}", scimctl(&dir, line).snapshot());
    }
    expect![[r#"
        empty: exit 1
        err: error: the file has no lines. Name a file with an export, or with users as CSV or JSON lines.
        semicolons: exit 1
        err: error: the header of the CSV file is invalid: column 1 is unknown. Columns are separated by commas, and are userName, givenName, familyName, middleName, displayName, nickName, email, externalId, active, title, userType, preferredLanguage, locale, timezone, phone, mobile, employeeNumber, department, division, organization, costCenter, manager, or the URN of an attribute of an extension.
        mail: exit 1
        err: error: the header of the CSV file is invalid: column 2 is unknown. Columns are separated by commas, and are userName, givenName, familyName, middleName, displayName, nickName, email, externalId, active, title, userType, preferredLanguage, locale, timezone, phone, mobile, employeeNumber, department, division, organization, costCenter, manager, or the URN of an attribute of an extension.
        twice: exit 1
        err: error: the header of the CSV file is invalid: column 3 repeats title.
        nameless: exit 1
        err: error: the header of the CSV file is invalid: there is no column userName.
        headless: exit 1
        err: error: the file is no export: line 1: The line is no record of an export (column 18). A record is an object with one member: organisation, user, group, member or end.
        later: exit 1
        err: error: the file is no export: line 1: The file has format 2, and this release reads format 1. Import it with the release that wrote it.
        org import acme --file long: exit 3
        out: acme: imported 1 records, 0 were there already, 1 refused
        err: line 1: The line is longer than 1 MB.
        org import acme --file absent: exit 1
        err: error: cannot read absent: No such file or directory (os error 2)
        org import nobody --file long: exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
        org export nobody: exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
        org delete nobody --confirm nobody: exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
        org delete acme: exit 1
        err: error: the deletion is not confirmed. Type the name of the organisation, or repeat it with --confirm acme. Nothing was deleted.
        org delete acme --confirm acme-2: exit 1
        err: error: the deletion is not confirmed. Type the name of the organisation, or repeat it with --confirm acme. Nothing was deleted.
    "#]].assert_eq(&seen);
}

#[test]
fn organisation_is_moved_to_another_stack() {
    let (source, target) = (TempDir::new("move-from"), TempDir::new("move-to"));
    let gateway = Gateway::start_with(&source, &[], ".scim/connection.env");
    let other = Gateway::start_with(&target, &[], ".scim/connection.env");
    let user = gateway.client().send("POST", "/Users", &json!({ "userName": "ada" })).body["id"].clone();
    let group = json!({ "displayName": "Team", "members": [{ "value": user }] });
    assert_eq!(gateway.client().send("POST", "/Groups", &group).status, 201);
    let succeed = |dir: &TempDir, line: &str| {
        let ended = scimctl(dir, line);
        assert_eq!(ended.code, 0, "{line}: {}", ended.snapshot());
        ended
    };
    succeed(&source, "org disable acme");
    let exported = succeed(&source, "org export acme --file acme.ndjson");
    assert_eq!(exported.out, "acme: exported 1 users, 1 groups, 1 memberships\n");
    let text = source.read("acme.ndjson");
    assert_eq!(succeed(&source, "org export acme").out, text);
    assert!(!source.path("acme.ndjson.part").exists());

    save(&target, "acme.ndjson", &text);
    let enabled = scimctl(&target, "org import acme --file acme.ndjson");
    assert!(enabled.err.starts_with("error: SCIM is enabled for acme."), "{}", enabled.err);
    let imported = succeed(&target, "org import acme-eu --file acme.ndjson");
    assert_eq!(imported.out, "acme-eu: imported 3 records, 0 were there already, 0 refused\n");
    succeed(&target, "org enable acme-eu");
    let key = succeed(&target, "key create --org acme-eu --scope scim --output json").json()["key"].clone();
    let client = Client::new(&other.base_url, key.as_str().unwrap_or_default());
    assert_eq!(client.find("/Users", "userName", "ada")[0]["id"], user);
    succeed(&target, "doctor --org acme-eu --repair");

    let deleted = succeed(&source, "org delete acme --confirm acme");
    assert!(deleted.out.starts_with("acme: deleted "), "{}", deleted.out);
    assert_eq!(succeed(&source, "org list").out, "no organisations\n");
    assert_eq!(gateway.client().get("/Users").status, 401);
    succeed(&source, "org import acme --file acme.ndjson");
    assert_eq!(succeed(&source, "org export acme").out, text);
}

#[test]
fn organisation_is_copied_to_another_stack() {
    let (source, target) = (TempDir::new("copy-from"), TempDir::new("copy-to"));
    let gateway = Gateway::start_with(&source, &[], ".scim/connection.env");
    let _other = Gateway::start_with(&target, &[], ".scim/connection.env");
    let succeed = |dir: &TempDir, line: &str| {
        let ended = scimctl(dir, line);
        assert_eq!(ended.code, 0, "{line}: {}", ended.snapshot());
        ended
    };
    succeed(&source, "org create beta");
    let key = succeed(&source, "key create --org beta --scope scim --output json").json()["key"].clone();
    let client = Client::new(&gateway.base_url, key.as_str().unwrap_or_default());
    let user = client.send("POST", "/Users", &json!({ "userName": "ada" })).body["id"].clone();
    let group = json!({ "displayName": "Team", "members": [{ "value": user }] });
    assert_eq!(client.send("POST", "/Groups", &group).status, 201);

    let data = target.path(".scim");
    let copied = succeed(&source, &format!("org copy beta --to-data {}", data.display()));
    assert_eq!(copied.out, "beta: copied 1 users, 1 groups, 1 memberships\n");
    assert_eq!(succeed(&target, "org export beta").out, succeed(&source, "org export beta").out);
    succeed(&target, "doctor --org beta");

    let again = scimctl(&source, &format!("org copy beta --to-data {}", data.display()));
    assert_eq!(again.code, 1);
    assert!(again.err.contains("error: SCIM is enabled for beta."), "{}", again.err);
    assert!(again.err.contains("error: the import into the other stack failed."), "{}", again.err);
    save(&source, "other.env", "export AWS_REGION=eu-central-1\n");
    let unnamed = scimctl(&source, "org copy beta --to-env other.env");
    assert!(unnamed.err.contains("does not set SCIM_PEPPER_SECRET_ID"), "{}", unnamed.err);
    assert_eq!(scimctl(&source, "org copy beta").code, 2);
    let absent = scimctl(&source, &format!("org copy nobody --to-data {}", data.display()));
    assert_eq!(absent.code, 1, "{}", absent.snapshot());
}
