use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::ScimType;
use crate::fold::tests::folded_by;
use crate::parser::tests::{any_filter, any_literal};
use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE, USER_URN};

fn document() -> Map<String, Value> {
    let document = json!({
        "schemas": [USER_URN, ENTERPRISE_USER_URN],
        "id": "0190a5b2-8a3c-7def-8123-456789abcdef",
        "externalId": "Ab1",
        "userName": "Barbara.Straße@Example.com",
        "name": {"givenName": "Barbara", "familyName": "Jensen"},
        "active": true,
        "title": "said \"hi\" \\ bye",
        "emails": [
            {"value": "b.jensen@example.com", "type": "work", "primary": true},
            {"value": "babs@home.example", "type": "home"},
        ],
        "x509Certificates": [{"value": "QUJD"}],
        "groups": [{"value": "g1", "type": "direct"}],
        ENTERPRISE_USER_URN: {"department": "Sales", "manager": {"value": "m1", "displayName": "The Boss"}},
        "urn:ietf:params:scim:schemas:extension:Acme:2.0:User": {"tag": "Blue", "level": 7, "flag": true, "list": ["a", "b"]},
        "meta": {"created": "2026-11-22T09:30:00.000Z", "version": "W/\"1\""},
    });
    document.as_object().unwrap().clone()
}

fn holds(filter: &str) -> bool {
    let predicate = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE));
    predicate.unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&document())
}

fn matching(filters: &[&str]) {
    for filter in filters {
        assert!(holds(filter), "{filter} should match");
    }
}

fn not_matching(filters: &[&str]) {
    for filter in filters {
        assert!(!holds(filter), "{filter} should not match");
    }
}

/// Asserts that each filter is `invalidFilter` and that the detail contains a text.
fn refused(filters: &[(&str, &str)]) {
    for (filter, detail) in filters {
        let error = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE)).unwrap_err();
        assert_eq!(error.scim_type, ScimType::InvalidFilter, "{filter}");
        assert!(error.detail.contains(detail), "{filter}: {}", error.detail);
    }
}

#[test]
fn operators_compare() {
    matching(&[
        r#"externalId eq "Ab1""#,
        r#"externalId ne "ab1""#,
        r#"name.familyName co "ens""#,
        r#"name.familyName sw "JEN""#,
        r#"name.familyName ew "SEN""#,
        r#"name.familyName gt "jensem""#,
        r#"name.familyName ge "JENSEN""#,
        r#"name.familyName lt "jensenn""#,
        r#"name.familyName le "jensen""#,
        "name.familyName pr",
    ]);
    not_matching(&[
        r#"externalId eq "ab1""#,
        r#"externalId ne "Ab1""#,
        r#"name.familyName co "x""#,
        r#"name.familyName sw "ensen""#,
        r#"name.familyName ew "jense""#,
        r#"name.familyName gt "Jensen""#,
        r#"name.familyName ge "jensenn""#,
        r#"name.familyName lt "JENSEN""#,
        r#"name.familyName le "jense""#,
        "name.middleName pr",
    ]);
}

#[test]
fn text_is_folded_unless_case_exact() {
    matching(&[
        r#"userName eq "BARBARA.STRASSE@EXAMPLE.COM""#,
        r#"userName sw "barbara.stras""#,
        r#"externalId sw "Ab""#,
        r#"externalId gt "AB1""#,
    ]);
    not_matching(&[r#"externalId sw "ab""#, r#"externalId co "B""#, r#"externalId gt "ab1""#]);
}

#[test]
fn filter_folds_each_value_once() {
    let document = Map::from_iter([("title".to_owned(), json!("É".repeat(1000)))]);
    let filter = (0..100).map(|index| format!("title co \"{index}\"")).collect::<Vec<_>>().join(" or ");
    let predicate = Filter::parse(&filter).unwrap().resolve(&USER_TYPE).unwrap();
    assert_eq!(folded_by(|| predicate.matches(&document)), (1, false));
}

#[test]
fn names_urns_operators_and_literals_ignore_case() {
    matching(&[
        r#"USERNAME EQ "barbara.straße@example.com""#,
        "active Eq TRUE AND NOT (nickname PR)",
        r#"URN:IETF:PARAMS:SCIM:SCHEMAS:CORE:2.0:USER:Name.GivenName eq "barbara""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:DEPARTMENT eq "sales""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:externalId eq "Ab1""#,
        "nickName eq Null",
    ]);
}

#[test]
fn extension_attributes_need_no_urn() {
    matching(&[
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName eq "the boss""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m1""#,
        r#"manager eq "m1""#,
        r#"department eq "SALES""#,
    ]);
}

#[test]
fn custom_attributes_compare_by_stored_type() {
    let custom = |rest: &str| holds(&format!("urn:ietf:params:scim:schemas:extension:ACME:2.0:user:{rest}"));
    for yes in [r#"Tag eq "blue""#, "level eq 7", "level ge 6.5", "flag eq true", r#"list eq "B""#, "tag pr"]
    {
        assert!(custom(yes), "{yes}");
    }
    for no in [r#"tag eq "red""#, r#"level eq "7""#, "tag eq 7", "flag eq false", "other pr", "level lt 7"] {
        assert!(!custom(no), "{no}");
    }
}

#[test]
fn empty_values_count_as_absent() {
    matching(&[
        "nickName eq null",
        "userName ne null",
        r#"nickName ne "x""#,
        "not (nickName pr)",
        "emails pr",
        "name pr",
        "phoneNumbers eq null",
        r#"emails[type eq "home" and primary eq null]"#,
    ]);
    not_matching(&["nickName pr", "userName eq null", "nickName ne null", r#"nickName eq "x""#, "photos pr"]);
    for empty in [json!(null), json!(""), json!([]), json!({}), json!([{}]), json!({"value": ""})] {
        let document = Map::from_iter([("emails".to_owned(), empty.clone())]);
        let predicate = Filter::parse("emails pr").unwrap().resolve(&USER_TYPE).unwrap();
        assert!(!predicate.matches(&document), "{empty}");
    }
}

#[test]
fn any_element_matches_and_brackets_bind_to_one() {
    matching(&[
        r#"emails co "HOME.example""#,
        r#"emails.type eq "home" and emails.value eq "b.jensen@example.com""#,
        r#"emails[type eq "work" and value ew "@example.com"]"#,
        r#"emails[not (type eq "work") and primary ne true]"#,
        r#"name[givenName eq "barbara"]"#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager[value eq "m1"]"#,
        r#"schemas eq "urn:ietf:params:scim:schemas:CORE:2.0:user""#,
        r#"groups eq "g1""#,
    ]);
    not_matching(&[
        r#"emails[type eq "home" and value eq "b.jensen@example.com"]"#,
        r#"emails.type ne "home""#,
        r#"phoneNumbers[not (type eq "work")]"#,
    ]);
}

#[test]
fn and_binds_closer_than_or() {
    matching(&["active eq true or active eq false and nickName pr", "not (nickName pr) and active eq true"]);
    not_matching(&[
        "(active eq true or active eq false) and nickName pr",
        "not(active eq true)or nickName pr",
    ]);
}

#[test]
fn dates_compare_as_instants() {
    matching(&[
        r#"meta.created eq "2026-11-22T10:30:00+01:00""#,
        r#"meta.created gt "2026-11-22T09:29:59.999Z""#,
        r#"meta.created le "2026-11-22t09:30:00z""#,
    ]);
    not_matching(&[r#"meta.created lt "2026-11-22T10:29:00+01:00""#]);
    refused(&[
        (
            r#"meta.created gt "2026-11-22""#,
            "'meta.created' is a date. Compare it with a date, time and zone",
        ),
        (r#"meta.created gt "2026-11-22T09:30:00""#, "at position 17"),
        (r#"meta.created co "2026""#, "is a date"),
        (r#"meta.created sw "2026-11-22T09:30:00Z""#, "Use an operator other than co, sw and ew"),
        ("meta.created eq 5", "is a date"),
    ]);
}

#[test]
fn booleans_may_be_text() {
    matching(&[r#"emails[primary eq "True"]"#, r#"active eq "true""#, r#"active ne "False""#]);
    refused(&[(
        r#"active eq "yes""#,
        "'active' is a boolean. Compare it with true or false (at position 11).",
    )]);
}

#[test]
fn strings_decode_json_escapes() {
    matching(&[
        r#"title eq "said \"hi\" \\ bye""#,
        r#"title sw "\u0073aid""#,
        r#"title co "\u0022""#,
        r#"not (title co "\ud83d\ude00\/\b\f\n\r\t")"#,
    ]);
}

#[test]
fn condition_after_brackets_applies_to_the_element() {
    matching(&[r#"emails[type eq "work"].value eq "B.Jensen@Example.com" and active eq true"#]);
    not_matching(&[r#"emails[type eq "home"].value eq "b.jensen@example.com""#]);
    refused(&[(r#"emails[type eq "work"].foo eq "x""#, "'emails' has no sub-attribute 'foo'")]);
}

#[test]
fn errors_do_not_quote_values() {
    for filter in
        ["nickName eq secret", "userName secret \"x\"", "active eq \"secret\"", "userName eq \"x\" secret"]
    {
        let error = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE)).unwrap_err();
        assert!(!error.detail.contains("secret"), "{}", error.detail);
    }
}

#[test]
fn user_name_alone_compares_with_a_word_without_quotes() {
    for word in ["bjensen", "b.jensen+x@example.com", "o'brien", "5", "01", "1e400", "true", "NaN", "Zoë"] {
        let bare = Filter::parse(&format!("username EQ {word}")).unwrap();
        let quoted = Filter::parse(&format!("username EQ \"{word}\"")).unwrap();
        assert_eq!(bare.resolve(&USER_TYPE), quoted.resolve(&USER_TYPE), "{word}");
    }
    for filter in [
        "userName ne ada",
        "userName sw ada",
        "nickName eq ada",
        "id eq ada",
        "emails.value eq a@x",
        "userName eq 'ada'",
        "userName eq ada lovelace",
        "userName eq ada and active eq true",
        "active eq true and userName eq ada",
        "(userName eq ada)",
        "not (userName eq ada)",
        "userName eq *",
        "userName eq {}",
        "userName eq a;b",
        "userName eq ada\"",
        "userName.x eq ada",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName eq ada",
    ] {
        let refused = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE));
        assert_eq!(refused.map_err(|invalid| invalid.scim_type), Err(ScimType::InvalidFilter), "{filter}");
    }
    assert_eq!(
        Filter::parse("userName eq null")
            .unwrap()
            .resolve(&USER_TYPE)
            .map(|found| format!("{found:?}").contains("Null")),
        Ok(true)
    );
}

#[test]
fn incomparable_values_are_refused() {
    refused(&[
        ("active gt true", "'active' supports only some operators. Use eq, ne or pr"),
        ("active co true", "Use eq, ne or pr"),
        (r#"x509Certificates.value lt "QUJD""#, "Use eq, ne or pr"),
        (r#"x509Certificates sw "QU""#, "Use eq, ne or pr"),
        ("nickName eq 5", "'nickName' is text. Put the value in double quotes (at position 13)."),
        ("nickName eq true", "is text"),
        ("userName gt null", "Use eq or ne"),
        ("active sw null", "Use eq or ne"),
        (r#"name eq "x""#, "'name' is complex. Name one of its sub-attributes"),
        (r#"addresses co "x""#, "is complex"),
        ("name eq null", "is complex"),
        ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag co 5", "is not text"),
        ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag lt true", "Use eq, ne or pr"),
    ]);
    matching(&[r#"x509Certificates eq "QUJD""#]);
}

#[test]
fn unknown_and_secret_attributes_are_refused() {
    refused(&[
        ("active eq true and foo pr", "User has no attribute 'foo'. Correct the filter at position 20."),
        ("name.foo pr", "no attribute 'name.foo'"),
        ("userName.foo pr", "no attribute 'userName.foo'"),
        ("emails[foo pr]", "'emails' has no sub-attribute 'foo'. Correct the filter at position 8."),
        ("emails[emails.type pr]", "'emails' has no sub-attribute 'emails.type'"),
        ("emails[value[type pr]]", "'value' at position 8 has no sub-attributes. Write a comparison"),
        ("userName[value pr]", "has no sub-attributes"),
        ("emails.value[type pr]", "has no sub-attributes"),
        ("password pr", "'password' cannot be used in a filter. Remove it at position 1."),
        (r#"PassWord sw "a""#, "cannot be used in a filter"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:password pr", "cannot be used in a filter"),
        ("urn:ietf:params:scim:schemas:core:2.0:Group:displayName pr", "User has no attribute"),
        (r#"urn:scim:schemas:core:1.0:userName eq "bob""#, "User has no attribute"),
        ("urn:ietf:params:scim:schemas:core:2.0:Users:active pr", "User has no attribute"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo pr", "User has no attribute"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr", "User has no attribute"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo:bar pr", "User has no attribute"),
        ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User pr", "User has no attribute"),
    ]);
}

#[test]
fn integers_compare_exactly() {
    let level = |stored: Value, filter: &str| {
        let document = json!({"urn:ietf:params:scim:schemas:extension:A:2.0:Group": {"level": stored}});
        let filter = format!("urn:ietf:params:scim:schemas:extension:A:2.0:Group:level {filter}");
        Filter::parse(&filter).unwrap().resolve(&GROUP_TYPE).unwrap().matches(document.as_object().unwrap())
    };
    assert!(level(json!(9_007_199_254_740_993_i64), "gt 9007199254740992"));
    assert!(level(json!(u64::MAX), "gt 18446744073709551614"));
    assert!(level(json!(-1), "lt 18446744073709551615"));
    assert!(level(json!(1), "eq 1.0"));
    assert!(level(json!(1.5), "gt -1e0"));
}

#[test]
fn predicate_mentions_its_attributes() {
    let mentions = |filter: &str, attribute: &str| {
        Filter::parse(filter).unwrap().resolve(&USER_TYPE).unwrap().mentions(attribute)
    };
    assert!(mentions(r#"active eq true and not (GROUPS.value eq "g")"#, "groups"));
    assert!(mentions("groups[value pr] or id pr", "groups"));
    assert!(!mentions("emails[type pr]", "type"));
    assert!(!mentions("manager pr", "manager"));
}

fn known_name() -> impl Strategy<Value = Name> {
    let names =
        ["userName", "externalId", "active", "emails", "emails.primary", "meta.created", "manager", "name"];
    prop::sample::select(names.to_vec()).prop_filter_map("a name", |name| Name::parse(name, 0))
}

proptest! {
    #[test]
    fn filter_parser_does_not_panic(text in any::<String>(), words in "([()\\[\\]\" .\\\\]|eq|not|and|or|pr|userName|emails|null|1){0,40}") {
        for text in [text, words] {
            let _ = Filter::parse(&text).and_then(|filter| filter.resolve(&USER_TYPE));
        }
    }

    #[test]
    fn filter_and_its_negation_disagree(filter in any_filter(known_name().boxed())) {
        if let Ok(predicate) = filter.resolve(&USER_TYPE) {
            let negated = Filter::Not(Box::new(filter)).resolve(&USER_TYPE).unwrap();
            prop_assert_ne!(negated.matches(&document()), predicate.matches(&document()));
        }
    }

    #[test]
    fn ne_is_not_eq(name in known_name(), literal in any_literal()) {
        let with = |operator| {
            let filter = Filter::Compare { name: name.clone(), operator, literal: literal.clone(), position: 0 };
            filter.resolve(&USER_TYPE).map(|predicate| predicate.matches(&document()))
        };
        prop_assert_eq!(with(Operator::Ne), with(Operator::Eq).map(|equal| !equal));
    }
}
