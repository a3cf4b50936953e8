//! Filters: syntax, meaning and limits.

use serde_json::json;
use tests::Request;

use super::TwoOrgs;

/// Returns requests with the filter as a query parameter and in search requests.
fn filter_requests(filter: &str) -> Vec<Request> {
    vec![
        Request::get("/Users").filter(filter),
        Request::post("/Users/.search", json!({ "filter": filter })),
        Request::post("/.search", json!({ "filter": filter })),
    ]
}

#[tokio::test]
async fn malformed_filter_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    #[rustfmt::skip]
    let filters = [
        "", " ", "userName", "userName eq", "eq", "nickName eq eve", "externalId eq jyoung",
        "userName eq 'eve'", "userName = \"eve\"", "userName == \"eve\"", "userName like \"eve\"",
        "userName eq \"eve", "userName eq eve\"", "userName eq \"eve\" and", "and userName pr",
        "userName pr and or title pr", "userName pr title pr", "userName pr, title pr", "(userName pr",
        "userName pr)", "()", "not userName pr", "not", "not ()", "userName pr pr",
        "userName eq \"a\" \"b\"", "emails[type eq \"work\"", "emails[]", "emails]",
        "emails[type eq \"work\"]]", "emails[[type pr]]", "emails [type pr", "[type pr]",
        "emails[type pr].", "emails[type pr].value", "userName eq \"\\x\"", "userName eq \"\\ud800\"",
        "userName eq \"\\udc00\\ud800\"", "userName eq \"a\nb\"", "userName eq \"\\", "userName eq \"\\\"",
        "title eq 01", "title eq 1e400", "title eq NaN", "title eq undefined", "userName eq {}",
        "userName eq eve and title pr", "userName ne eve", "userName eq eve smith", "(userName eq eve)",
        "userName eq []", "userName eq (\"a\")", "userName. pr", ".value pr", "emails..value pr",
        "emails.value.x pr", "1userName pr", "user name pr", "user\u{e9} pr", "*", "userName eq *",
        "userName eq \"x\" or 1=1", "userName eq \"x\"; DROP TABLE users", "userName pr --",
        "userName eq \"x\" || true", "\u{feff}userName pr", "userName\u{200b} pr", "userName\u{a0}pr",
        "userName pr\0", "\"userName\" pr", "userName pr and (title pr or (nickName pr)", "true",
        "userName eq true eq true", ":userName pr", "urn: pr",
    ];
    for filter in filters {
        for request in filter_requests(filter) {
            table.push((format!("{filter:?}"), "400 invalidFilter", request));
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn filter_with_invalid_attribute_or_type_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    #[rustfmt::skip]
    let filters = [
        // Booleans have no order and no substrings.
        "active gt true", "active lt false", "active co true", "active sw \"t\"", "active eq \"yes\"",
        "active eq 1", "active eq \"\"", "emails[primary gt true]", "emails.primary co \"t\"",
        // Strings compare with strings only.
        "title eq 1", "title eq true", "userName gt 5", "userName co null", "userName gt null",
        "userName sw 1", "externalId eq 1", "id eq 5", "emails.value eq 1", "emails[value eq true]",
        "profileUrl eq 1",
        // Certificates compare by equality only.
        "x509Certificates.value co \"MII\"", "x509Certificates[value gt \"MII\"]",
        "x509Certificates sw \"MII\"",
        // Dates compare with dates only.
        "meta.created gt \"yesterday\"", "meta.created eq \"2026\"", "meta.created ge 2026",
        "meta.created co \"2026\"", "meta.lastModified sw \"2026\"", "meta.created gt \"2026-11-23\"",
        "meta.created gt \"2026-11-23T09:00:00\"", "meta.created lt \"2026-13-23T09:00:00Z\"",
        "meta.created eq true",
        // Complex attributes without a `value` do not compare.
        "name eq \"eve\"", "name co \"e\"", "meta eq \"x\"", "addresses eq \"x\"", "addresses gt \"x\"",
        // Brackets apply to multi-valued complex attributes only.
        "userName[value eq \"x\"]", "active[value eq true]", "schemas[value eq \"x\"]",
        "emails.value[type eq \"x\"]",
        // Unknown attributes.
        "nonsense eq \"x\"", "nonsense pr", "isAdmin eq true", "emails.nonsense pr",
        "emails[nonsense eq \"x\"]", "nonsense[type eq \"x\"]", "name.nonsense co \"x\"",
        "userName.value eq \"x\"", "emails[emails.value eq \"x\"]",
        "emails[type eq \"work\" and emails[type pr]]",
        "urn:ietf:params:scim:schemas:core:2.0:User:nonsense pr",
        "urn:ietf:params:scim:schemas:core:2.0:User.nonsense pr",
        "urn:ietf:params:scim:schemas:core:2.0:User pr",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.nonsense pr",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:nonsense pr", "__proto__ pr",
        "constructor pr", "__proto__.x eq \"y\"", "constructor.prototype pr", "toString pr",
        "hasOwnProperty pr", "org eq \"beta\"", "pk eq \"ORG#beta\"", "version eq \"x\"",
        "document co \"x\"",
        // The password cannot be queried.
        "password eq \"secret\"", "password pr", "PASSWORD sw \"s\"", "not (password pr)",
        "password eq null", "userName pr or password co \"a\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:password pr",
    ];
    for filter in filters {
        for request in filter_requests(filter) {
            table.push((format!("{filter:?}"), "400 invalidFilter", request));
        }
    }
    // Attributes of users are unknown in a filter on groups.
    for filter in
        ["userName eq \"x\"", "emails pr", "password pr", "members.value gt 5", "members eq 5", "groups pr"]
    {
        table.push((format!("{filter:?}"), "400 invalidFilter", Request::get("/Groups").filter(filter)));
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn filter_is_limited_in_length_depth_and_nodes() {
    let orgs = TwoOrgs::new().await;
    let deep = |depth: usize| format!("{}userName pr{}", "(".repeat(depth), ")".repeat(depth));
    let nots = |depth: usize| format!("{}userName pr{}", "not (".repeat(depth), ")".repeat(depth));
    let terms = |count: usize, word: &str| vec!["title pr"; count].join(word);
    let length = |length: usize| format!("title eq \"{}\"", "x".repeat(length - 11));
    let mut table = Vec::new();
    for (verdict, filter) in [
        ("400 invalidFilter", "(".repeat(4000)),
        ("400 invalidFilter", "[".repeat(4000)),
        ("400 invalidFilter", "not (".repeat(800)),
        ("400 invalidFilter", "emails[".repeat(580)),
        ("400 invalidFilter", deep(33)),
        ("400 invalidFilter", nots(33)),
        ("400 invalidFilter", deep(2000)),
        ("400 invalidFilter", terms(200, " or ")),
        ("400 invalidFilter", length(4097)),
        ("400 invalidFilter", "title eq \"\u{1f511}\" or ".repeat(200)),
        ("400 invalidFilter", format!("title eq \"{}", "\\".repeat(50_000))),
        ("400 invalidFilter", format!("title eq \"{}", "\\\"".repeat(2000))),
        ("400 invalidFilter", format!("title eq \"{}", "\\".repeat(4001))),
        ("400 invalidFilter", "a".repeat(4096)),
        ("400 invalidFilter", "title pr ".repeat(450)),
        ("200", deep(32)),
        ("200", nots(32)),
        ("200", length(4096)),
        ("200", format!("title eq \"{}\"", "\\\\".repeat(2000))),
        ("200", format!("title eq \"{}\"", "\u{1f511}".repeat(4000))),
        ("200", format!("title pr{}", " ".repeat(4000))),
    ] {
        let name: String = filter.chars().take(20).collect();
        let request = Request::post("/Users/.search", json!({ "filter": filter }));
        table.push((name.clone(), verdict, request));
        let in_query = Request::get("/Users").filter(&filter);
        if in_query.target.len() < 65_000 {
            table.push((name, verdict, in_query));
        }
    }
    let mut raw = Request::get("/Users").filter("title eq \"");
    raw.target.push_str(&"\\".repeat(50_000));
    table.push(("50,000 backslashes".to_owned(), "400 invalidFilter", raw));
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn filter_is_limited_to_200_nodes() {
    let orgs = TwoOrgs::new().await;
    // Each comparison is a node, and each `and` or `or` of any number of terms is one node.
    let filter = |comparisons: usize| vec!["title pr"; comparisons].join(" or ");
    orgs.assert_verdicts([
        ("200", "200", Request::get("/Users").filter(filter(199))),
        ("201", "400 invalidFilter", Request::get("/Users").filter(filter(200))),
    ])
    .await;
}

#[tokio::test]
async fn patch_path_filter_is_limited_in_length_and_depth() {
    let orgs = TwoOrgs::new().await;
    let deep = |depth: usize| format!("emails[{}type pr{}]", "(".repeat(depth), ")".repeat(depth));
    let mut table = Vec::new();
    for (verdict, path) in [
        ("400 invalidPath", deep(33)),
        ("400 invalidPath", deep(1900)),
        ("400 invalidPath", "emails[".repeat(500)),
        ("400 invalidPath", "(".repeat(4000)),
        ("400 invalidPath", "(".repeat(500_000)),
        ("400 invalidPath", format!("emails[type eq \"{}", "\\".repeat(50_000))),
        ("400 invalidPath", format!("emails[type eq \"{}\"]", "\\".repeat(4001))),
        ("400 invalidPath", format!("emails[{}]", vec!["type pr"; 200].join(" or "))),
        ("400 invalidPath", format!("emails[type eq \"{}\"]", "x".repeat(4096))),
        ("400 invalidPath", "a.".repeat(2000)),
        ("400 invalidPath", "urn:".repeat(1000)),
    ] {
        for op in ["add", "replace"] {
            let request = Request::patch(&orgs.user, json!([{ "op": op, "path": path, "value": {} }]));
            table.push((path.chars().take(30).collect::<String>(), verdict, request));
        }
    }
    // The bracket is one level and the 31 parentheses are the other levels.
    let deepest = Request::patch(&orgs.user, json!([{ "op": "add", "path": deep(31), "value": {} }]));
    table.push(("32 levels".to_owned(), "200", deepest));
    orgs.assert_verdicts(table).await;
}
