//! Names: equal and distinct spellings, invisible characters and lengths.

use scim::fold::fold;
use serde_json::json;
use tests::{Request, Service};

use super::TwoOrgs;
use crate::assert_no_failures;

async fn found(service: &Service, collection: &str, filter: &str) -> Vec<String> {
    let answer = Request::get(collection).filter(filter).send(service).await;
    assert_eq!(answer.status, 200, "{filter}: {:#}", answer.body);
    let shown = answer.body["Resources"].as_array().unwrap();
    assert_eq!(answer.body["totalResults"], shown.len(), "{filter}");
    let name = if collection == "/Users" { "userName" } else { "displayName" };
    shown.iter().map(|resource| resource[name].as_str().unwrap().to_owned()).collect()
}

/// Returns the filter `attribute operator "text"`.
fn compare(attribute: &str, operator: &str, text: &str) -> String {
    format!("{attribute} {operator} {}", json!(text))
}

/// Pairs of spellings of one name. Creation, renaming and filters must treat them alike.
const EQUAL_NAMES: [(&str, &str); 21] = [
    ("ada@example.com", "ADA@Example.COM"),
    ("caf\u{e9}", "CAFE\u{301}"),
    ("caf\u{65}\u{301}", "caf\u{e9}"),
    ("\u{ff21}\u{ff24}\u{ff21}", "ada"),
    ("\u{ff41}\u{ff44}\u{ff41}@\u{ff45}", "ADA@E"),
    ("stra\u{df}e", "STRASSE"),
    ("stra\u{df}e", "STRA\u{1e9e}E"),
    ("\u{130}stanbul", "i\u{307}stanbul"),
    ("\u{212a}elvin", "kelvin"),
    ("\u{17f}am", "SAM"),
    ("o\u{fb03}ce", "OFFICE"),
    ("\u{3a3}\u{391}\u{3a3}", "\u{3c3}\u{3b1}\u{3c2}"),
    ("\u{212b}ngstr\u{f6}m", "a\u{30a}NGSTRO\u{308}M"),
    ("\u{390}", "\u{1fd3}"),
    ("\u{1e69}", "s\u{307}\u{323}"),
    ("\u{2460}\u{b2}", "12"),
    ("bob", "bob "),
    (" bob", "BOB"),
    ("site admin", "Site  Admin"),
    ("site\u{a0}admin", "\u{3000}site admin"),
    ("site\u{2800}admin\u{2800}", "site admin"),
];

/// Pairs of distinct names.
const DISTINCT_NAMES: [(&str, &str); 10] = [
    ("ada", "\u{430}da"),
    ("i", "\u{131}"),
    ("\u{130}", "i"),
    ("o", "\u{f8}"),
    ("e", "\u{e9}"),
    ("a.b", "ab"),
    ("a b", "ab"),
    ("a\u{2800}b", "ab"),
    ("a+b", "a b"),
    ("a", "aa"),
];

#[tokio::test]
async fn names_ignore_case_width_and_composition() {
    for (first, second) in EQUAL_NAMES {
        let service = Service::new().await;
        let id = service.user(first).await;
        let other = service.user("other").await;
        let place = format!("{first:?} {second:?}");
        let name = json!({ "userName": second });
        assert_eq!(service.post("/Users", name.clone()).await.verdict(), "409 uniqueness", "{place}");
        assert_eq!(service.put(&format!("/Users/{other}"), name.clone()).await.verdict(), "409 uniqueness");
        let rename = json!([{ "op": "replace", "value": name }]);
        assert_eq!(service.patch(&format!("/Users/{other}"), rename).await.verdict(), "409 uniqueness");
        for text in [first, second] {
            for operator in ["eq", "sw", "co", "ew", "ge", "le"] {
                let filter = format!("{} and userName ne \"other\"", compare("userName", operator, text));
                assert_eq!(found(&service, "/Users", &filter).await, [first], "{filter}");
            }
            let filter = format!("{} or id pr and userName eq \"x\"", compare("userName", "eq", text));
            assert_eq!(found(&service, "/Users", &filter).await, [first], "{filter}");
            assert_eq!(
                found(&service, "/Users", &compare("userName", "ne", text)).await,
                ["other"],
                "{place}"
            );
        }
        // The user can change the spelling of its own name. Responses show the last spelling.
        let answer = service.put(&format!("/Users/{id}"), name).await;
        assert_eq!((answer.status, &answer.body["userName"]), (200, &json!(second)), "{place}");
        assert_eq!(found(&service, "/Users", &compare("userName", "eq", first)).await, [second], "{place}");
        service.assert_healthy().await;

        service.group(first, &[]).await;
        let again = service.post("/Groups", json!({ "displayName": second })).await;
        assert_eq!(again.verdict(), "409 uniqueness", "{place}");
        assert_eq!(
            found(&service, "/Groups", &compare("displayName", "eq", second)).await,
            [first],
            "{place}"
        );

        let emails = json!([{ "value": first }]);
        service
            .patch(&format!("/Users/{other}"), json!([{ "op": "add", "value": { "emails": emails } }]))
            .await;
        for attribute in ["emails.value", "emails"] {
            let filter = compare(attribute, "eq", second);
            assert_eq!(found(&service, "/Users", &filter).await, ["other"], "{filter}");
        }
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn names_with_different_letters_are_distinct() {
    for (first, second) in DISTINCT_NAMES {
        let service = Service::new().await;
        service.user(first).await;
        service.user(second).await;
        service.group(first, &[]).await;
        service.group(second, &[]).await;
        for text in [first, second] {
            assert_eq!(found(&service, "/Users", &compare("userName", "eq", text)).await, [text]);
            assert_eq!(found(&service, "/Groups", &compare("displayName", "eq", text)).await, [text]);
        }
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn external_id_is_compared_exactly() {
    let service = Service::new().await;
    for (name, external_id) in [("a", "Ext"), ("b", "ext"), ("c", "e\u{301}"), ("d", "\u{e9}"), ("e", " ext")]
    {
        let body = json!({ "userName": name, "externalId": external_id });
        assert_eq!(service.post("/Users", body).await.status, 201);
    }
    for (name, external_id) in [("a", "Ext"), ("b", "ext"), ("c", "e\u{301}"), ("d", "\u{e9}"), ("e", " ext")]
    {
        assert_eq!(found(&service, "/Users", &compare("externalId", "eq", external_id)).await, [name]);
    }
    for unknown in ["EXT", "ext ", "", "e", "\u{c9}", "ext\u{0}", "ext\u{1}"] {
        assert!(
            found(&service, "/Users", &compare("externalId", "eq", unknown)).await.is_empty(),
            "{unknown:?}"
        );
    }
}

/// Invisible characters: control, format and bidirectional characters, and separators.
const INVISIBLE: [char; 18] = [
    '\u{0}',
    '\u{1}',
    '\t',
    '\n',
    '\r',
    '\u{7f}',
    '\u{85}',
    '\u{ad}',
    '\u{200b}',
    '\u{200d}',
    '\u{200e}',
    '\u{202e}',
    '\u{2028}',
    '\u{2029}',
    '\u{2066}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0041}',
];

#[tokio::test]
async fn name_with_invisible_character_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for character in INVISIBLE {
        for name in
            [format!("ada{character}x"), format!("{character}ada"), format!("ada@example.com{character}")]
        {
            let line = format!("{name:?}");
            let (user, group) = (json!({ "userName": name }), json!({ "displayName": name }));
            table.push((line.clone(), "400 invalidValue", Request::post("/Users", &user)));
            table.push((line.clone(), "400 invalidValue", Request::put(&orgs.user, &user)));
            let rename = json!([{ "op": "replace", "value": user }]);
            table.push((line.clone(), "400 invalidValue", Request::patch(&orgs.user, &rename)));
            if character.is_control() {
                table.push((line.clone(), "400 invalidValue", Request::post("/Groups", &group)));
                table.push((line.clone(), "400 invalidValue", Request::put(&orgs.group, &group)));
            }
            // A filter on such a name is valid. It ignores invisible characters and blanks at the ends.
            table.push((line, "200", Request::get("/Users").filter(compare("userName", "eq", &name))));
            let is_ada = fold(&name) == "ada@example.com";
            let found = found(&orgs.service, "/Users", &compare("userName", "eq", &name)).await;
            assert_eq!(found.len(), usize::from(is_ada), "{name:?}");
        }
        if character.is_control() {
            let text = format!("a{character}b");
            for body in [
                json!({ "userName": "eve", "externalId": text }),
                json!({ "userName": "eve", "emails": [{ "value": text }] }),
            ] {
                table.push((body.to_string(), "400 invalidValue", Request::post("/Users", &body)));
            }
        }
    }
    orgs.assert_verdicts(table).await;
}

/// Variation selectors, the combining grapheme joiner and Hangul fillers belong to no category of invisible characters,
/// but are as invisible as a zero-width space.
#[tokio::test]
async fn ignorable_characters_cannot_duplicate_a_user_name() {
    let mut failures = Vec::new();
    for character in [
        '\u{fe0f}',
        '\u{fe00}',
        '\u{34f}',
        '\u{115f}',
        '\u{3164}',
        '\u{ffa0}',
        '\u{180b}',
        '\u{17b4}',
        '\u{e0100}',
    ] {
        let service = Service::new().await;
        service.user("ada").await;
        let answer = service.post("/Users", json!({ "userName": format!("ada{character}") })).await;
        if !matches!(answer.status, 400 | 409) {
            failures.push(format!("U+{:04X}: {}", u32::from(character), answer.status));
        }
    }
    assert_no_failures(&failures);
}

/// Two groups, and so two teams of the product, must not look alike. The test takes one character of each range of
/// characters that are invisible or blank, and puts it at each place of a name.
#[tokio::test]
async fn invisible_characters_cannot_duplicate_a_group_name() {
    let service = Service::new().await;
    service.group("Site Admins", &[]).await;
    let fillers = [
        '\u{34f}',
        '\u{115f}',
        '\u{1160}',
        '\u{17b4}',
        '\u{17b5}',
        '\u{180b}',
        '\u{180f}',
        '\u{200c}',
        '\u{200d}',
        '\u{2065}',
        '\u{3164}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{ffa0}',
        '\u{fff0}',
        '\u{e0100}',
        '\u{e01ef}',
        '\u{e0fff}',
    ];
    let blanks = [
        ' ',
        '\u{a0}',
        '\u{1680}',
        '\u{2000}',
        '\u{200a}',
        '\u{202f}',
        '\u{205f}',
        '\u{2800}',
        '\u{3000}',
        '\u{1d159}',
    ];
    let mut failures = Vec::new();
    for character in INVISIBLE.into_iter().chain(fillers).chain(blanks) {
        let mut names = vec![
            format!("{character}Site Admins"),
            format!("Site Admins{character}"),
            format!("Site {character}Admins"),
            format!("{character}{character}site{character} {character}admins{character}"),
        ];
        if !blanks.contains(&character) {
            names.push(format!("Site Ad{character}mins"));
        }
        for name in names {
            let answer = service.post("/Groups", json!({ "displayName": name })).await;
            let refused = matches!(answer.verdict().as_str(), "400 invalidValue" | "409 uniqueness");
            if !refused {
                failures.push(format!("{name:?}: {}", answer.verdict()));
            }
        }
    }
    assert_no_failures(&failures);
    service.assert_healthy().await;
}

#[tokio::test]
async fn name_without_a_visible_character_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for name in [" ", "\u{a0}", "\u{2800}", "\u{3164}", "\u{200d}", "\u{fe0f} \u{34f}"] {
        for (item, attribute) in [(&orgs.user, "userName"), (&orgs.group, "displayName")] {
            let collection = &item[..item.rfind('/').unwrap()];
            let body = json!({ attribute: name });
            table.push((format!("{name:?}"), "400 invalidValue", Request::post(collection, &body)));
            table.push((format!("{name:?}"), "400 invalidValue", Request::put(item, &body)));
            let filter = compare(attribute, "eq", name);
            table.push((format!("{name:?}"), "200", Request::get(collection).filter(filter)));
        }
        let blank_email = compare("emails.value", "eq", name);
        table.push((format!("{name:?}"), "200", Request::get("/Users").filter(blank_email)));
    }
    orgs.assert_verdicts(table).await;
}

/// A later release of Unicode may assign these code points, and fold them. Names would then not be found.
#[tokio::test]
async fn unassigned_code_points_are_rejected_in_names() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for character in ['\u{378}', '\u{2065}', '\u{ffff}', '\u{1fffe}', '\u{40000}', '\u{e0080}', '\u{10ffff}']
    {
        let name = format!("ada{character}");
        for body in [json!({ "userName": name }), json!({ "userName": "eve", "emails": [{ "value": name }] })]
        {
            table.push((format!("{name:?}"), "400 invalidValue", Request::post("/Users", &body)));
            table.push((format!("{name:?}"), "400 invalidValue", Request::put(&orgs.user, &body)));
        }
        let body = json!({ "displayName": name });
        table.push((format!("{name:?}"), "400 invalidValue", Request::post("/Groups", &body)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn blank_and_padded_emails_are_stored_and_found() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    for email in [" ada@example.com ", "ada\u{200b}@example.com", " ", "\u{3164}"] {
        let emails = json!([{ "op": "replace", "path": "emails", "value": [{ "value": email }] }]);
        let answer = service.patch(&format!("/Users/{id}"), emails).await;
        assert_eq!((answer.status, &answer.body["emails"][0]["value"]), (200, &json!(email)), "{email:?}");
        assert_eq!(
            found(&service, "/Users", &compare("emails.value", "eq", email)).await,
            ["ada"],
            "{email:?}"
        );
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn group_names_of_persian_and_hindi_are_shown_as_sent() {
    let service = Service::new().await;
    for (name, same) in [
        ("\u{645}\u{6cc}\u{200c}\u{631}\u{648}\u{645}", "\u{645}\u{6cc}\u{631}\u{648}\u{645}"),
        ("\u{915}\u{94d}\u{200d}\u{937}", "\u{915}\u{94d}\u{937}"),
    ] {
        let created = service.post("/Groups", json!({ "displayName": name })).await;
        assert_eq!((created.status, &created.body["displayName"]), (201, &json!(name)));
        assert_eq!(service.post("/Groups", json!({ "displayName": same })).await.verdict(), "409 uniqueness");
        for text in [name, same] {
            assert_eq!(found(&service, "/Groups", &compare("displayName", "eq", text)).await, [name]);
        }
    }
}

#[tokio::test]
async fn group_name_accepts_joined_emoji() {
    let service = Service::new().await;
    let name = "\u{1f469}\u{200d}\u{1f4bb} Engineers \u{2764}\u{fe0f}";
    service.group(name, &[]).await;
    assert_eq!(found(&service, "/Groups", &compare("displayName", "eq", name)).await, [name]);
    let again = service.post("/Groups", json!({ "displayName": name.to_uppercase() })).await;
    assert_eq!(again.verdict(), "409 uniqueness");
}

#[tokio::test]
async fn other_attributes_are_stored_unchanged() {
    let service = Service::new().await;
    #[rustfmt::skip]
    let texts = [
        "a\u{0}b", "\u{202e}abc", "zero\u{200b}width", "\u{1f469}\u{200d}\u{1f4bb}", "e\u{301}", "\u{fdfa}",
        " a ", "\\\"'/<>&", "${7*7}", "'; DROP TABLE users; --", "=cmd|' /C calc'!A0", "\u{10ffff}",
        "\u{fffe}", "\r\nX: y",
    ];
    for text in texts {
        let body = json!({ "userName": "u", "nickName": text, "name": { "givenName": text } });
        let created = service.post("/Users", body).await;
        assert_eq!(created.status, 201, "{text:?}: {:#}", created.body);
        let path = format!("/Users/{}", created.id());
        let shown = service.get(&path).await.body;
        assert_eq!((&shown["nickName"], &shown["name"]["givenName"]), (&json!(text), &json!(text)));
        assert_eq!(found(&service, "/Users", &compare("nickName", "eq", text)).await, ["u"], "{text:?}");
        assert_eq!(service.delete(&path).await.status, 204);
    }
}

#[tokio::test]
async fn user_name_is_limited_to_256_characters() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for (name, verdict) in [
        ("a".repeat(257), "400 invalidValue"),
        ("\u{e9}".repeat(257), "400 invalidValue"),
        ("\u{10400}".repeat(257), "400 invalidValue"),
        ("a".repeat(100_000), "400 invalidValue"),
        // One character whose folded form has eighteen characters, too many bytes for a key.
        ("\u{fdfa}".repeat(256), "400 invalidValue"),
        ("\u{fdfa}".repeat(32), "400 invalidValue"),
        ("\u{1f82}".repeat(256), "400 invalidValue"),
    ] {
        let body = json!({ "userName": name });
        table.push((name.clone(), verdict, Request::post("/Users", &body)));
        table.push((name.clone(), verdict, Request::put(&orgs.user, &body)));
        let rename = json!([{ "op": "replace", "value": body }]);
        table.push((name.clone(), verdict, Request::patch(&orgs.user, &rename)));
        let search = json!({ "filter": compare("userName", "eq", &name) });
        let verdict = if name.chars().count() > 4000 { "400 invalidFilter" } else { "200" };
        table.push((name, verdict, Request::post("/Users/.search", &search)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn longest_user_names_are_found() {
    for name in [
        "a".repeat(256),
        "\u{e9}".repeat(256),
        "\u{4e00}".repeat(256),
        "\u{1f511}".repeat(255),
        "\u{10400}".repeat(255),
        "\u{10400}".repeat(256),
        "\u{fdfa}".repeat(31),
        "\u{df}".repeat(256),
        "\u{130}".repeat(256),
    ] {
        let service = Service::new().await;
        let place = format!("{} x {}", name.chars().next().unwrap(), name.chars().count());
        let created = service.post("/Users", json!({ "userName": name })).await;
        assert_eq!(created.status, 201, "{place}: {:#}", created.body);
        assert_eq!(service.post("/Users", json!({ "userName": name })).await.verdict(), "409 uniqueness");
        assert_eq!(
            found(&service, "/Users", &compare("userName", "eq", &name)).await,
            [name.as_str()],
            "{place}"
        );
        assert_eq!(service.delete(&format!("/Users/{}", created.id())).await.status, 204);
        assert_eq!(service.post("/Users", json!({ "userName": name })).await.status, 201);
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn indexed_values_are_limited_to_the_key_length() {
    let orgs = TwoOrgs::new().await;
    let user = |name: &str, external_id: &str, email: &str| json!({ "userName": name, "externalId": external_id, "emails": [{ "value": email }] });
    let group = |name: &str, external_id: &str| json!({ "displayName": name, "externalId": external_id });
    let long = |bytes: usize| "x".repeat(bytes);
    let mut table = Vec::new();
    for body in [
        user("eve", &long(2000), "e"),
        user("eve", &long(981), "e"),
        user("eve", &"\u{1f511}".repeat(246), "e"),
        user("eve", "e", &long(2000)),
        user("eve", "e", &long(981)),
        user("eve", "e", &"\u{fdfa}".repeat(40)),
    ] {
        table.push(("user", "400 invalidValue", Request::post("/Users", &body)));
        table.push(("user", "400 invalidValue", Request::put(&orgs.user, &body)));
        let operations = json!([{ "op": "replace", "value": body }]);
        table.push(("user", "400 invalidValue", Request::patch(&orgs.user, &operations)));
    }
    for body in [
        group(&long(1025), "e"),
        group(&"\u{fdfa}".repeat(32), "e"),
        group("x", &long(981)),
        group("x", &long(2000)),
    ] {
        table.push(("group", "400 invalidValue", Request::post("/Groups", &body)));
        table.push(("group", "400 invalidValue", Request::put(&orgs.group, &body)));
    }
    // A filter on an impossible value is valid.
    for bytes in [979, 980, 981, 1023, 1024, 1025, 2000, 4000] {
        for (collection, attribute) in [
            ("/Users", "userName"),
            ("/Users", "externalId"),
            ("/Users", "emails.value"),
            ("/Users", "id"),
            ("/Users", "groups.value"),
            ("/Groups", "displayName"),
            ("/Groups", "externalId"),
            ("/Groups", "members.value"),
        ] {
            table.push((
                "filter",
                "200",
                Request::get(collection).filter(compare(attribute, "eq", &long(bytes))),
            ));
        }
    }
    orgs.assert_verdicts(table).await;

    let service = &orgs.service;
    assert_eq!(service.post("/Users", user("eve", &long(980), &long(980))).await.status, 201);
    assert_eq!(service.post("/Groups", group(&long(1024), &long(980))).await.status, 201);
    service.assert_healthy().await;
    assert_eq!(found(service, "/Users", &compare("externalId", "eq", &long(980))).await, ["eve"]);
    assert_eq!(found(service, "/Users", &compare("emails.value", "eq", &long(980))).await, ["eve"]);
    assert_eq!(found(service, "/Groups", &compare("externalId", "eq", &long(980))).await, [long(1024)]);
    assert_eq!(found(service, "/Groups", &compare("displayName", "eq", &long(1024))).await, [long(1024)]);
    assert_eq!(found(service, "/Groups", &compare("displayName", "eq", &long(1023))).await.len(), 0);
}
