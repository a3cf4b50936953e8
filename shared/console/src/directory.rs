//! The lists of people and of teams, with their search.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing,
};
use scim::ResourceKind;
use service::store::{SearchPage, Stored};

use crate::{
    Console,
    access::Viewer,
    listing::{PAGE, Parameters, Wanted, count, encoded, failed, problem},
    page::{Frame, show},
    people::Row,
    teams::TeamRow,
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/people", routing::get(people)).route("/console/teams", routing::get(teams))
}

/// The entries of a list.
enum Rows {
    People(Vec<Row>),
    Teams(Vec<TeamRow>),
}

impl Rows {
    fn new(frame: &Frame, kind: ResourceKind, found: &[Stored]) -> Self {
        match kind {
            ResourceKind::User => Self::People(found.iter().map(Row::new).collect()),
            ResourceKind::Group => Self::Teams(found.iter().map(|team| TeamRow::new(frame, team)).collect()),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::People(rows) => rows.is_empty(),
            Self::Teams(rows) => rows.is_empty(),
        }
    }
}

/// The texts of a list.
struct ListTexts {
    title: &'static str,
    search: &'static str,
    hint: &'static str,
    none_title: &'static str,
    none_detail: &'static str,
}

impl ListTexts {
    fn of(frame: &Frame, kind: ResourceKind) -> Self {
        let texts = &frame.t.directory;
        match kind {
            ResourceKind::User => Self {
                title: texts.people_title,
                search: texts.search_people,
                hint: texts.search_people_hint,
                none_title: texts.no_people_title,
                none_detail: texts.no_people_detail,
            },
            ResourceKind::Group => Self {
                title: texts.teams_title,
                search: texts.search_teams,
                hint: texts.search_teams_hint,
                none_title: texts.no_teams_title,
                none_detail: texts.no_teams_detail,
            },
        }
    }
}

/// The result of a search.
struct Found {
    texts: ListTexts,
    /// The URL of the list.
    url: String,
    q: String,
    rows: Rows,
    count: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    list: &'a Found,
}

/// The results alone, for htmx.
#[derive(Template)]
#[template(path = "list_found.html")]
struct ListPart<'a> {
    frame: &'a Frame,
    list: &'a Found,
}

type Search = Result<Query<Parameters>, QueryRejection>;

async fn people(state: State<Console>, viewer: Viewer, frame: Frame, query: Search) -> Response {
    list(state, viewer.clone(), frame.of(viewer, "people"), query, ResourceKind::User).await
}

async fn teams(state: State<Console>, viewer: Viewer, frame: Frame, query: Search) -> Response {
    list(state, viewer.clone(), frame.of(viewer, "teams"), query, ResourceKind::Group).await
}

async fn list(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Search,
    kind: ResourceKind,
) -> Response {
    let Wanted { q, cursor } = match Wanted::read(query) {
        Ok(wanted) => wanted,
        Err(why) => return problem(&frame, why),
    };
    let directory = console.app.store.directory(&viewer.caller());
    let SearchPage { resources, total, next } =
        match directory.search(kind, &q, cursor.as_deref(), PAGE).await {
            Ok(found) => found,
            Err(error) => return failed(&frame, error),
        };
    let url = format!("{}/{}", frame.base, frame.current);
    let list = Found {
        texts: ListTexts::of(&frame, kind),
        rows: Rows::new(&frame, kind, &resources),
        count: count(&frame, resources.len(), total, next.is_some()),
        next: next.map(|cursor| format!("{url}?q={}&cursor={cursor}", encoded(&q))),
        url,
        q,
    };
    if frame.is_part {
        show(&ListPart { frame: &frame, list: &list })
    } else {
        show(&ListPage { frame: &frame, list: &list })
    }
}
