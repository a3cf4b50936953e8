use proptest::prelude::*;
use serde_json::Number;

use super::*;
use crate::schema::{ENTERPRISE_USER_URN, USER_URN};

/// Asserts that each filter is `invalidFilter` and that the detail contains a text.
fn refused(filters: &[(&str, &str)]) {
    for (filter, detail) in filters {
        let error = Filter::parse(filter).unwrap_err();
        assert_eq!(error.scim_type, ScimType::InvalidFilter, "{filter}");
        assert!(error.detail.contains(detail), "{filter}: {}", error.detail);
    }
}

fn refused_path(path: &str, detail: &str) {
    let error = Path::parse(path).unwrap_err();
    assert_eq!(error.scim_type, ScimType::InvalidPath, "{path}: {}", error.detail);
    assert!(error.detail.contains(detail), "{path}: {}", error.detail);
}

/// Asserts the canonical text of each filter.
fn printed(filters: &[(&str, &str)]) {
    for (filter, canonical) in filters {
        assert_eq!(Filter::parse(filter).unwrap().to_string(), *canonical, "{filter}");
    }
}

#[test]
fn condition_after_brackets_moves_into_them() {
    printed(&[
        (r#"emails[type eq "work"].value eq "x""#, r#"emails[type eq "work" and value eq "x"]"#),
        (
            r#"emails[type eq "a" and primary eq true].value pr"#,
            r#"emails[type eq "a" and primary eq true and value pr]"#,
        ),
        (
            r#"emails[type eq "a" or type eq "b"].value sw "x""#,
            r#"emails[(type eq "a" or type eq "b") and value sw "x"]"#,
        ),
        (r#"emails[type eq "a"].value ne "x""#, r#"not (emails[type eq "a" and value eq "x"])"#),
        (r#"emails[type eq "a"].value eq null"#, r#"not (emails[type eq "a" and value pr])"#),
        (r#"emails[type eq "a"].value ne null"#, r#"emails[type eq "a" and value pr]"#),
    ]);
}

#[test]
fn invalid_json_strings_are_refused() {
    refused(&[
        (r#"title eq "\ud83d""#, "an invalid string at position 10"),
        (r#"title eq "\ude00""#, "invalid string"),
        (r#"title eq "\x""#, "invalid string"),
        ("title eq \"a\nb\"", "invalid string"),
        (r#"title eq "abc"#, "an unterminated string at position 10"),
        (r#"title eq "abc\""#, "unterminated"),
    ]);
}

#[test]
fn syntax_errors_name_position_and_expectation() {
    refused(&[
        ("", "ends too early at position 1. Expected the name of an attribute."),
        ("userName", "ends too early at position 9. Expected an operator (eq, ne,"),
        ("userName eq", "ends too early at position 12. Expected a value ("),
        (
            "externalId eq jyoung",
            "at position 15. Expected a value (a number, true, false, null, or a text in double quotes)",
        ),
        ("externalId eq 'jyoung'", "at position 15. Expected a value"),
        ("userName like \"x\"", "at position 10. Expected an operator"),
        ("userName eq \"x\" active pr", "at position 17. Expected 'and', 'or' or the end of the filter."),
        ("userName eq \"é\" and", "at position 20. Expected the name of an attribute"),
        ("(userName pr", "at position 13. Expected 'and', 'or' or ')'."),
        ("userName pr)", "at position 12. Expected 'and', 'or' or the end"),
        ("emails[type pr", "at position 15. Expected 'and', 'or' or ']'."),
        ("emails[type pr)", "at position 15. Expected 'and', 'or' or ']'."),
        ("emails[]", "at position 8. Expected the name of an attribute"),
        ("emails[type pr].1 pr", "at position 16. Expected the name of a sub-attribute after the dot"),
        ("emails[type pr].value", "ends too early at position 22. Expected an operator"),
        ("not userName pr", "at position 5. Expected '(' after 'not'."),
        ("\"userName\" eq \"x\"", "at position 1. Expected the name of an attribute"),
        ("user$Name. eq \"x\"", "at position 1. Expected the name of an attribute"),
        ("a.b.c pr", "at position 1. Expected the name of an attribute"),
        (":a pr", "at position 1. Expected the name of an attribute"),
        ("__proto__ pr", "at position 1. Expected the name of an attribute"),
    ]);
}

#[test]
fn filter_length_depth_and_nodes_are_bounded() {
    let nested = |depth: usize| format!("{}active pr{}", "(".repeat(depth), ")".repeat(depth));
    let terms = |count: usize| vec!["id pr"; count].join(" or ");
    let long = |length: usize| format!("title eq \"{}\"", "x".repeat(length - 11));
    for accepted in
        [nested(32), terms(199), long(4096), "not(".repeat(31) + "emails[type pr]" + &")".repeat(31)]
    {
        assert!(Filter::parse(&accepted).is_ok(), "{accepted}");
    }
    for (refused, detail) in [
        (nested(33), "more than 32 deep"),
        ("(".repeat(4096), "more than 32 deep"),
        ("not(".repeat(1024), "more than 32 deep"),
        ("emails[".repeat(500), "more than 32 deep"),
        ("not(".repeat(32) + "emails[type pr]" + &")".repeat(32), "more than 32 deep"),
        (terms(200), "more than 200 nodes"),
        (long(4097), "longer than 4096 characters"),
        (format!("title eq \"{}", "\\".repeat(50_000)), "longer than 4096 characters"),
        (format!("title eq \"{}", "\\".repeat(4_000)), "unterminated"),
    ] {
        let error = Filter::parse(&refused).unwrap_err();
        assert!(error.detail.contains(detail), "{}", error.detail);
    }
}

#[test]
fn display_keeps_only_needed_parentheses() {
    printed(&[
        ("((id pr))", "id pr"),
        ("id pr and (id pr or id pr)", "id pr and (id pr or id pr)"),
        ("(id pr and id pr) or id pr", "id pr and id pr or id pr"),
        ("(id pr and id pr) and id pr", "(id pr and id pr) and id pr"),
        ("NOT(id PR)", "not (id pr)"),
        ("id  EQ\t\"\\u0061\"", "id eq \"a\""),
    ]);
}

#[test]
fn malformed_paths_are_refused_with_position() {
    for (path, detail) in [
        ("", "ends too early at position 1. Expected the name of an attribute"),
        ("emails[", "at position 8. Expected the name of an attribute"),
        ("emails[type eq \"work\"", "at position 22. Expected 'and', 'or' or ']'"),
        ("emails[type eq work]", "at position 16. Expected a value"),
        ("emails[type eq \"work\"]value", "at position 23. Expected the end of the path"),
        ("emails[type eq \"work\"].value.x", "at position 23. Expected the name of a sub-attribute"),
        ("emails[type eq \"work\"].value pr", "at position 30. Expected the end of the path"),
        ("emails.value[type pr]", "Put the brackets after 'emails', not after 'emails.value'"),
        ("userName eq \"x\"", "at position 10. Expected the end of the path"),
        ("name.a.b", "at position 1"),
        ("members[((((((((((((((((((((((((((((((((", "more than 32 deep"),
        ("__proto__", "at position 1"),
    ] {
        refused_path(path, detail);
    }
    refused_path(&"a".repeat(4097), "longer than 4096 characters");
    refused_path(&"emails[".repeat(500), "more than 32 deep");
}

/// Sets every position in a filter to 0.
pub(crate) fn placeless(filter: Filter) -> Filter {
    let name = |name| Name { position: 0, ..name };
    let all = |filters: Vec<Filter>| filters.into_iter().map(placeless).collect();
    match filter {
        Filter::And(filters) => Filter::And(all(filters)),
        Filter::Or(filters) => Filter::Or(all(filters)),
        Filter::Not(filter) => Filter::Not(Box::new(placeless(*filter))),
        Filter::Present(present) => Filter::Present(name(present)),
        Filter::Compare { name: compared, operator, literal, .. } => {
            Filter::Compare { name: name(compared), operator, literal, position: 0 }
        }
        Filter::ValuePath { name: list, filter } => {
            Filter::ValuePath { name: name(list), filter: Box::new(placeless(*filter)) }
        }
    }
}

pub(crate) fn any_name() -> impl Strategy<Value = Name> {
    let urn = prop::option::of(prop::sample::select(vec![USER_URN, ENTERPRISE_USER_URN, "urn:x:é", "foo"]));
    let word = || "[a-zA-Z$][a-zA-Z0-9_$-]{0,8}";
    let attribute = word().prop_filter("'not' is not a name", |word| !word.eq_ignore_ascii_case("not"));
    (urn, attribute, prop::option::of(word())).prop_map(|(urn, attribute, sub)| Name {
        urn: urn.map(str::to_owned),
        attribute,
        sub,
        position: 0,
    })
}

pub(crate) fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<String>().prop_map(Literal::String),
        any::<i64>().prop_map(|number| Literal::Number(number.into())),
        any::<u64>().prop_map(|number| Literal::Number(number.into())),
        any::<f64>().prop_filter_map("not finite", Number::from_f64).prop_map(Literal::Number),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
    ]
}

pub(crate) fn any_filter(name: BoxedStrategy<Name>) -> impl Strategy<Value = Filter> {
    let compare = (name.clone(), prop::sample::select(Operator::ALL.to_vec()), any_literal());
    let leaf = prop_oneof![
        name.clone().prop_map(Filter::Present),
        compare.prop_map(|(name, operator, literal)| Filter::Compare {
            name,
            operator,
            literal,
            position: 0
        }),
    ];
    leaf.prop_recursive(5, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            (name.clone(), inner)
                .prop_map(|(name, filter)| Filter::ValuePath { name, filter: Box::new(filter) }),
        ]
    })
}

fn any_path() -> impl Strategy<Value = Path> {
    let plain = any_name().prop_map(|name| Path { name, filter: None, sub: None });
    let filter = any_filter(any_name().boxed());
    let filtered = (any_name(), filter, prop::option::of("[a-z$][a-zA-Z0-9]{0,5}"))
        .prop_map(|(name, filter, sub)| Path { name: Name { sub: None, ..name }, filter: Some(filter), sub });
    prop_oneof![plain, filtered]
}

proptest! {
    #[test]
    fn displayed_filter_parses_to_itself(filter in any_filter(any_name().boxed())) {
        let text = filter.to_string();
        prop_assume!(text.chars().count() <= MAX_LENGTH);
        prop_assert_eq!(placeless(Filter::parse(&text).unwrap()), filter);
    }

    #[test]
    fn parser_does_not_panic_on_damaged_filters(
        filter in any_filter(any_name().boxed()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of("[()\\[\\]\" .\\\\a:]")), 1..4),
    ) {
        let mut chars: Vec<String> = filter.to_string().chars().map(String::from).collect();
        for (at, with) in damage {
            let at = at.index(chars.len());
            chars[at] = with.unwrap_or_default();
        }
        if let Ok(read) = Filter::parse(&chars.concat()) {
            prop_assert_eq!(placeless(Filter::parse(&read.to_string()).unwrap()), placeless(read));
        }
    }

    #[test]
    fn displayed_path_parses_to_itself(path in any_path()) {
        let text = path.to_string();
        prop_assume!(text.chars().count() <= MAX_LENGTH);
        let read = Path::parse(&text).unwrap();
        let name = Name { position: 0, ..read.name };
        prop_assert_eq!(Path { name, filter: read.filter.map(placeless), sub: read.sub }, path);
    }
}
