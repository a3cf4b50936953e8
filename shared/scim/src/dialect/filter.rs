//! Filters that clients send in a form of their own.

use crate::syntax::{Name, Operator};

/// Returns whether a filter that consists of one comparison may have a value without quotes: `userName eq ada`.
///
/// authentik up to 2025.8 looks a user up in this form after each 409. The attribute is text, so the word has a single
/// meaning, even if it is a number. Only `null` keeps its meaning. A word with quotes around it or with characters that
/// hardly occur in names is refused, because its meaning is not certain.
///
/// `tests/fixtures/other/authentik-filter-without-quotes.json`
pub(crate) fn takes_bare_word(name: &Name, operator: Operator, word: &str) -> bool {
    name.urn.is_none()
        && name.sub.is_none()
        && name.attribute.eq_ignore_ascii_case("userName")
        && operator == Operator::Eq
        && !word.eq_ignore_ascii_case("null")
        && !word.starts_with('\'')
        && !word.ends_with('\'')
        && word.chars().all(|c| c.is_alphanumeric() || "@._+-'".contains(c))
}
