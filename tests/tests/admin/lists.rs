//! Lists by cursor.

use std::collections::BTreeSet;

use serde_json::json;
use tests::ORG;

use super::{Management, text};

impl Management {
    /// Walks a list. Returns the value of that member of each entry, and the number of pages.
    async fn walk(&self, path: &str, limit: usize, member: &str) -> (Vec<String>, usize) {
        let (mut values, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let answer = self.get(&format!("{path}?limit={limit}{cursor}")).await;
            assert_eq!(answer.status, 200, "{:#}", answer.body);
            let items = answer.body["items"].as_array().expect("a list");
            assert!(items.len() <= limit, "{} entries", items.len());
            values.extend(items.iter().map(|item| item[member].as_str().expect("a text").to_owned()));
            pages += 1;
            match answer.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (values, pages),
            }
        }
    }
}

#[tokio::test]
async fn walk_returns_every_entry_once() {
    let management = Management::new().await;
    let mut orgs = BTreeSet::from([ORG.to_owned()]);
    for number in 0..25 {
        let org = format!("org-{number}");
        management.org(&org).await;
        orgs.insert(org);
    }
    for limit in [1, 2, 25, 26, 27, 100] {
        let (found, _) = management.walk("/orgs", limit, "org").await;
        assert_eq!(found.len(), orgs.len(), "{limit}");
        assert_eq!(BTreeSet::from_iter(found), orgs, "{limit}");
    }
    let mut ids = Vec::new();
    for _ in 0..9 {
        ids.push(management.key("org-1").await.0);
    }
    for limit in [1, 2, 3, 8, 9, 10] {
        let (found, pages) = management.walk("/orgs/org-1/keys", limit, "id").await;
        assert_eq!(BTreeSet::from_iter(&found), BTreeSet::from_iter(&ids), "{limit}");
        assert_eq!((found.len(), pages), (9, 9_usize.div_ceil(limit)));
        // The creation of the organisation, and of each key.
        let (entries, _) = management.walk("/orgs/org-1/audit", limit, "id").await;
        assert_eq!(entries.len(), 10);
        assert!(entries.is_sorted_by(|a, b| a > b), "the newest entry is first");
    }
}

#[tokio::test]
async fn thousand_keys_are_listed() {
    let management = Management::new().await;
    for number in 0..1_000 {
        let body = json!({ "scopes": ["read"], "label": format!("key {number}") });
        assert_eq!(management.post(&format!("/orgs/{ORG}/keys"), body).await.status, 201);
    }
    let (labels, pages) = management.walk(&format!("/orgs/{ORG}/keys"), 100, "id").await;
    // The service of the tests has a key of its own.
    assert_eq!((BTreeSet::from_iter(labels).len(), pages), (1_001, 11));
    let (entries, _) = management.walk(&format!("/orgs/{ORG}/audit"), 100, "target").await;
    assert!(entries.len() >= 1_001, "{}", entries.len());
    let (id, key) = management.key(ORG).await;
    assert_eq!(text(&management.get(&format!("/orgs/{ORG}/keys/{id}")).await, "id"), id);
    assert!(key.starts_with("scim_acme_"));
}

#[tokio::test]
async fn list_refuses_what_is_no_page() {
    let management = Management::new().await;
    let paths = ["/orgs".to_owned(), format!("/orgs/{ORG}/keys"), format!("/orgs/{ORG}/audit")];
    for path in paths {
        for (query, status, parameter) in [
            ("limit=0", 400, "limit"),
            ("limit=101", 400, "limit"),
            ("limit=-1", 400, "limit"),
            ("limit=1.5", 400, "limit"),
            ("limit=", 400, "limit"),
            ("limit=99999999999999999999999", 400, "limit"),
            ("limit=1&limit=1", 400, "limit"),
            ("limit=%ff", 400, "limit"),
            ("cursor=", 400, "cursor"),
            ("cursor=A", 400, "cursor"),
            ("cursor=%00", 400, "cursor"),
            ("cursor=a-", 422, "cursor"),
            ("startIndex=1", 400, "startIndex"),
        ] {
            let answer = management.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, status, "{path}?{query}: {:#}", answer.body);
            assert_eq!(answer.body["errors"][0]["parameter"], parameter, "{query}");
        }
        let long = format!("{path}?cursor={}", "a".repeat(513));
        assert_eq!(management.get(&long).await.status, 400);
    }
}

#[tokio::test]
async fn cursor_of_another_organisation_is_refused() {
    let management = Management::new().await;
    management.org("globex").await;
    let (id, _) = management.key(ORG).await;
    assert_eq!(management.get(&format!("/orgs/globex/keys?cursor={id}")).await.status, 422);
}
