//! The page of a team, with its members a page at a time.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
    routing,
};
use scim::{ResourceKind, id::Id};
use service::{Error, request_log::Filter, store::Stored};
use texts::visible;

use crate::{
    Console,
    access::Viewer,
    attributes::Shown,
    clock::Moment,
    listing::{PAGE, Position, count, failed, problem},
    page::{Frame, Refusal, refusal, show},
    people::Row,
    sentences::{LATEST, Line, lines},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/teams/{id}", routing::get(team))
}

/// A team in a list.
pub(crate) struct TeamRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_managed: bool,
    pub(crate) created: Moment,
}

impl TeamRow {
    pub(crate) fn new(frame: &Frame, team: &Stored) -> Self {
        Self {
            id: team.id.to_string(),
            name: name_of(team),
            is_managed: team.document.external_id().is_some(),
            created: frame.moment(&team.created),
        }
    }
}

fn name_of(team: &Stored) -> String {
    visible(team.document.display_name().unwrap_or_default())
}

/// A member of a team.
enum Member {
    Person(Row),
    Team { id: String, name: String },
}

#[derive(Template)]
#[template(path = "team.html")]
struct TeamPage {
    frame: Frame,
    id: String,
    name: String,
    external_id: Option<Shown>,
    created: Moment,
    changed: Moment,
    members: Vec<Member>,
    count: String,
    is_first: bool,
    next: Option<String>,
    lines: Vec<Line>,
}

async fn team(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path(id): Path<String>,
    query: Result<Query<Position>, QueryRejection>,
) -> Response {
    let (caller, org) = (viewer.caller(), viewer.organisation.clone());
    let frame = frame.of(viewer, "teams");
    let Some(id) = Id::parse(&id) else { return refusal(&frame, Refusal::NotFound) };
    let after = match Position::read(query) {
        Ok(after) => after,
        Err(why) => return problem(&frame, why),
    };
    let store = &console.app.store;
    let directory = store.directory(&caller);
    let filter = Filter { group: Some(id.to_string()), ..Filter::default() };
    let read = async {
        let team = directory.group(id.as_str(), false);
        let members = directory.members_page(&id, after.as_ref(), PAGE);
        let latest = store.request_log(&org, &filter, LATEST, None);
        let ((team, _), members, latest) = tokio::try_join!(team, members, latest)?;
        let lines = lines(&frame, &directory, latest.items).await?;
        Ok::<_, Error>((team, members, lines))
    };
    let (team, members, lines) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(&frame, error),
    };
    let next = members.next.map(|next| format!("{}/teams/{id}?cursor={next}#members", frame.base));
    let members: Vec<Member> = members
        .items
        .iter()
        .map(|(kind, member)| match kind {
            ResourceKind::User => Member::Person(Row::new(member)),
            ResourceKind::Group => Member::Team { id: member.id.to_string(), name: name_of(member) },
        })
        .collect();
    show(&TeamPage {
        id: id.to_string(),
        name: name_of(&team),
        external_id: Shown::external_id(&team),
        created: frame.moment(&team.created),
        changed: frame.moment(&team.modified),
        count: count(&frame, members.len(), None, next.is_some()),
        is_first: after.is_none(),
        members,
        next,
        lines,
        frame,
    })
}
