//! The part that the lists of people and teams share: the search, the pages, and refused input.

use askama::Template;
use axum::{
    extract::{Query, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use scim::{ScimType, id::Id};
use serde::Deserialize;
use service::Error;
use texts::{Language, fill};

use crate::page::{Frame, refusal, show_as};

/// The number of entries on a page.
pub(crate) const PAGE: usize = 50;
/// The longest search in characters.
pub(crate) const LONGEST_SEARCH: usize = 256;

#[derive(Deserialize)]
pub(crate) struct Parameters {
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
}

/// A list that a person asks for.
pub(crate) struct Wanted {
    /// The beginning of the names.
    pub(crate) q: String,
    pub(crate) cursor: Option<String>,
}

/// The position in a list of memberships.
#[derive(Deserialize)]
pub(crate) struct Position {
    #[serde(default)]
    cursor: String,
}

impl Position {
    /// Reads the position, which is an id. Returns `None` for the first page.
    pub(crate) fn read(query: Result<Query<Self>, QueryRejection>) -> Result<Option<Id>, Problem> {
        match query {
            Ok(Query(Self { cursor })) if cursor.is_empty() => Ok(None),
            Ok(Query(Self { cursor })) => Id::parse(&cursor).map(Some).ok_or(Problem::BadPage),
            Err(_) => Err(Problem::BadPage),
        }
    }
}

/// Why a list is not shown.
#[derive(Clone, Copy)]
pub(crate) enum Problem {
    LongSearch,
    BadPage,
    BadFilter,
}

impl Wanted {
    pub(crate) fn read(query: Result<Query<Parameters>, QueryRejection>) -> Result<Self, Problem> {
        let Ok(Query(Parameters { q, cursor })) = query else { return Err(Problem::BadPage) };
        if q.chars().nth(LONGEST_SEARCH).is_some() {
            return Err(Problem::LongSearch);
        }
        let cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
        Ok(Self { q: q.trim().to_owned(), cursor })
    }
}

/// Returns a number as people write it.
pub(crate) fn number(number: u64, language: Language) -> String {
    let separator = match language {
        Language::En => ',',
        Language::De => '.',
    };
    let digits = number.to_string();
    let mut written = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            written.push(separator);
        }
        written.push(digit);
    }
    written
}

/// Returns how many entries a page shows, in words.
pub(crate) fn count(frame: &Frame, shown: usize, total: Option<u64>, has_more: bool) -> String {
    let texts = &frame.t.directory;
    let shown = number(shown as u64, frame.language);
    match total {
        Some(total) => fill(texts.shown_of, &[("count", &shown), ("total", &number(total, frame.language))]),
        None if has_more => fill(texts.shown_more, &[("count", &shown)]),
        None => fill(texts.shown, &[("count", &shown)]),
    }
}

/// Returns the text in the form of a URL query.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: &'a Frame,
    title: &'static str,
    detail: String,
    link: String,
    text: &'static str,
}

/// Returns the page that says what is wrong, with a link to the first page of the list.
pub(crate) fn problem(frame: &Frame, problem: Problem) -> Response {
    let texts = &frame.t.directory;
    let activity = &frame.t.activity;
    let (title, detail, text) = match problem {
        Problem::LongSearch => {
            let detail = fill(texts.long_search_detail, &[("limit", &LONGEST_SEARCH.to_string())]);
            (texts.long_search_title, detail, texts.show_all)
        }
        Problem::BadPage => {
            (texts.bad_page_title, texts.bad_page_detail.to_owned(), frame.t.common.first_page)
        }
        Problem::BadFilter => {
            (activity.bad_filter_title, activity.bad_filter_detail.to_owned(), activity.remove_filters)
        }
    };
    let link = format!("{}/{}", frame.base, frame.current);
    show_as(StatusCode::BAD_REQUEST, &ProblemPage { frame, title, detail, link, text })
}

/// Returns the page of a list that cannot be read.
pub(crate) fn failed(frame: &Frame, error: Error) -> Response {
    match error {
        Error::Invalid(invalid)
            if matches!(invalid.scim_type, ScimType::InvalidCursor | ScimType::ExpiredCursor) =>
        {
            problem(frame, Problem::BadPage)
        }
        error => refusal(frame, error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_has_separators() {
        for (value, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (100_000, "100,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(number(value, Language::En), text);
        }
        assert_eq!(number(100_000, Language::De), "100.000");
    }
}
