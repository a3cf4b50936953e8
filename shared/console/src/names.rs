//! People and teams by the names that a person types into a filter.

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use scim::{ResourceKind, fold::fold, id::Id};
use serde::Deserialize;
use service::{
    Error,
    store::{Directory, Stored},
};
use texts::visible;

use crate::{
    Console,
    access::Viewer,
    attributes::name_of,
    listing::{LONGEST_SEARCH, Problem, failed, problem},
    page::{Frame, show},
};

/// The number of people or teams that a name offers.
const OFFERED: usize = 10;

/// A person or team that a name may stand for.
pub(crate) struct Candidate {
    pub(crate) id: String,
    /// The `userName` or the `displayName`.
    pub(crate) name: String,
    /// The same, safe to show.
    pub(crate) shown: String,
    /// The name of a person in full.
    pub(crate) full_name: String,
}

impl Candidate {
    fn new(stored: &Stored) -> Self {
        let document = &stored.document;
        let name = document.user_name().or_else(|| document.display_name()).unwrap_or_default().to_owned();
        let full_name = name_of(stored);
        let shown = visible(&name);
        Self { id: stored.id.to_string(), name, shown, full_name }
    }
}

/// The text of a filter by name, and what it stands for.
#[derive(Default)]
pub(crate) struct Typed {
    /// The id of the person or team. It is empty if the text is empty or unclear.
    pub(crate) id: String,
    pub(crate) text: String,
    /// Why the text is unclear.
    pub(crate) fault: Option<&'static str>,
    pub(crate) candidates: Vec<Candidate>,
}

impl Typed {
    fn one(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Returns whether the text stands for no one person or team.
    pub(crate) fn is_unclear(&self) -> bool {
        self.fault.is_some()
    }
}

/// Finds the person or team of a text, which is an id, a `userName`, an e-mail address or a `displayName`, or the beginning
/// of one that no other has.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`].
pub(crate) async fn find(
    frame: &Frame,
    directory: &Directory,
    kind: ResourceKind,
    text: &str,
) -> Result<Typed, Error> {
    let text = text.trim();
    if text.is_empty() || Id::parse(text).is_some() {
        return Ok(Typed::one(text));
    }
    let texts = &frame.t.activity;
    let (nothing, several) = match kind {
        ResourceKind::User => (texts.no_person, texts.several_people),
        ResourceKind::Group => (texts.no_team, texts.several_teams),
    };
    let unclear = |fault, candidates| {
        Ok(Typed { id: String::new(), text: text.to_owned(), fault: Some(fault), candidates })
    };
    if text.chars().nth(LONGEST_SEARCH).is_some() {
        return unclear(nothing, Vec::new());
    }
    let (resources, has_more) = directory.first(kind, text, OFFERED).await?;
    let all: Vec<Candidate> = resources.iter().map(Candidate::new).collect();
    let wanted = fold(text);
    if let Some(one) = all.iter().find(|candidate| fold(&candidate.name) == wanted) {
        return Ok(Typed::one(&one.id));
    }
    match all.as_slice() {
        [] => unclear(nothing, Vec::new()),
        [one] if !has_more => Ok(Typed::one(&one.id)),
        _ => unclear(several, all),
    }
}

/// A name while it is typed.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct Typing {
    person: String,
    team: String,
}

/// The names that begin with a text, for the list of an input.
#[derive(Template)]
#[template(path = "names.html")]
struct Names {
    candidates: Vec<Candidate>,
}

/// Answers the names that begin with what is typed.
pub(crate) async fn names(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Typing>, QueryRejection>,
) -> Response {
    let caller = viewer.caller();
    let frame = frame.of(viewer, "activity");
    let Ok(Query(Typing { person, team })) = query else { return problem(&frame, Problem::BadFilter) };
    let (kind, text) =
        if team.is_empty() { (ResourceKind::User, person) } else { (ResourceKind::Group, team) };
    let text = text.trim();
    if text.is_empty() || text.chars().nth(LONGEST_SEARCH).is_some() {
        return StatusCode::NO_CONTENT.into_response();
    }
    match console.app.store.directory(&caller).first(kind, text, OFFERED).await {
        Ok((resources, _)) => {
            let candidates = resources.iter().map(Candidate::new).collect();
            show(&Names { candidates })
        }
        Err(Error::Unavailable(_) | Error::Throttled) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&frame, error),
    }
}
