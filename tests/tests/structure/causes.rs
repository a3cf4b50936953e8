//! The table of causes and the texts of all errors that the request log may have.

use std::collections::BTreeSet;

use service::causes::{Cause, TABLE, cause};
use syn::{Expr, Token, punctuated::Punctuated, visit::Visit};

use crate::sources::Crate;

/// The files of the service whose errors reach an identity provider.
const OF_REQUESTS: [&str; 8] = [
    "http/",
    "oauth/assertion.rs",
    "error.rs",
    "store/bookmarks.rs",
    "store/edges.rs",
    "store/write.rs",
    "store/list/",
    "store/pages.rs",
];

/// The texts of a file that are sentences.
#[derive(Default)]
struct Sentences(BTreeSet<String>);

impl Sentences {
    fn add(&mut self, text: &str) {
        let begins = text.chars().next().is_some_and(|c| c.is_uppercase() || matches!(c, '{' | '/'));
        let ends = text.ends_with('.') || text.contains(". ");
        if begins && ends && text.contains(' ') {
            // The place of a fault in a filter, which a function writes.
            self.0.insert(text.replace("({})", "(at position 1)"));
        }
    }
}

impl Visit<'_> for Sentences {
    fn visit_lit_str(&mut self, node: &syn::LitStr) {
        self.add(&node.value());
    }

    fn visit_macro(&mut self, node: &syn::Macro) {
        // A line of the log is no error of a request.
        let is_log = node.path.segments.first().is_some_and(|first| first.ident == "tracing");
        if !is_log
            && let Ok(arguments) = node.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            arguments.iter().for_each(|argument| self.visit_expr(argument));
        }
    }

    fn visit_attribute(&mut self, node: &syn::Attribute) {
        if node.path().is_ident("error")
            && let Ok(arguments) = node.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            arguments.iter().for_each(|argument| self.visit_expr(argument));
        }
    }
}

fn sentences() -> BTreeSet<String> {
    let mut found = Sentences::default();
    let (scim, service) = (Crate::read("shared/scim"), Crate::read("shared/service"));
    let documents = ["discovery.rs", "discovery_schemas.rs", "schema.rs"];
    scim.files().filter(|(path, _)| !documents.contains(path)).for_each(|(_, file)| found.visit_file(file));
    let of_requests = |path: &str| OF_REQUESTS.iter().any(|start| path.starts_with(start));
    service.files().filter(|(path, _)| of_requests(path)).for_each(|(_, file)| found.visit_file(file));
    found.0
}

/// Texts that only occur inside of another, and that of a header of the management API.
const PARTS: [&str; 4] = [
    "{0} Repeat the request after the time in Retry-After.",
    "{label} has a value of the wrong type. Each value",
    "To create one, send a \"value\" that does not contradict the filter.",
    "Another request has used this Idempotency-Key. Send a new Idempotency-Key.",
];

#[test]
fn error_texts_have_a_cause() {
    let found = sentences();
    assert!(found.len() >= 100, "{}", found.len());
    let unknown: Vec<_> = found
        .iter()
        .filter(|text| !PARTS.contains(&text.as_str()) && cause(0, None, text) == Cause::Unknown)
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn rows_of_the_table_decide_a_text() {
    let found = sentences();
    let decides = |part: &str| {
        found.iter().any(|text| {
            TABLE.iter().find(|(first, _)| text.contains(first)).is_some_and(|(first, _)| *first == part)
        })
    };
    let unused: Vec<_> = TABLE.iter().filter(|(part, _)| !decides(part)).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}
