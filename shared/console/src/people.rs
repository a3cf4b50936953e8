//! The page of a person.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
    routing,
};
use scim::id::Id;
use service::{Error, request_log::Filter, store::Stored};
use texts::visible;

use crate::{
    Console,
    access::Viewer,
    attributes::{Section, Shown, mail_of, name_of, sections},
    clock::Moment,
    listing::{PAGE, Position, failed, problem},
    page::{Frame, Refusal, refusal, show},
    sentences::{LATEST, Line, lines},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/people/{id}", routing::get(person))
}

/// A person in a list.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) user_name: String,
    pub(crate) mail: Option<Shown>,
    pub(crate) is_active: bool,
    pub(crate) is_managed: bool,
}

impl Row {
    pub(crate) fn new(person: &Stored) -> Self {
        Self {
            id: person.id.to_string(),
            name: name_of(person),
            user_name: visible(person.document.user_name().unwrap_or_default()),
            mail: mail_of(person),
            is_active: person.document.is_active(),
            is_managed: person.document.external_id().is_some(),
        }
    }
}

/// A team of a person.
struct TeamLink {
    id: String,
    name: String,
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    row: Row,
    external_id: Option<Shown>,
    sections: Vec<Section>,
    created: Moment,
    changed: Moment,
    teams: Vec<TeamLink>,
    next: Option<String>,
    lines: Vec<Line>,
}

async fn person(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path(id): Path<String>,
    query: Result<Query<Position>, QueryRejection>,
) -> Response {
    let (caller, org) = (viewer.caller(), viewer.organisation.clone());
    let frame = frame.of(viewer, "people");
    let Some(id) = Id::parse(&id) else { return refusal(&frame, Refusal::NotFound) };
    let after = match Position::read(query) {
        Ok(after) => after,
        Err(why) => return problem(&frame, why),
    };
    let store = &console.app.store;
    let directory = store.directory(&caller);
    let filter = Filter { person: Some(id.to_string()), ..Filter::default() };
    let read = async {
        let person = directory.user(id.as_str(), false);
        let teams = directory.groups_page(&id, after.as_ref(), PAGE);
        let latest = store.request_log(&org, &filter, LATEST, None);
        let ((person, _), teams, latest) = tokio::try_join!(person, teams, latest)?;
        let lines = lines(&frame, &directory, latest.items).await?;
        Ok::<_, Error>((person, teams, lines))
    };
    let (person, teams, lines) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(&frame, error),
    };
    let next = teams.next.map(|next| format!("{}/people/{id}?cursor={next}#teams", frame.base));
    let teams = teams.items.iter().map(|team| TeamLink {
        id: team.id.to_string(),
        name: visible(team.document.display_name().unwrap_or_default()),
    });
    show(&PersonPage {
        row: Row::new(&person),
        external_id: Shown::external_id(&person),
        sections: sections(&frame.t.directory, &person),
        created: frame.moment(&person.created),
        changed: frame.moment(&person.modified),
        teams: teams.collect(),
        next,
        lines,
        frame,
    })
}
