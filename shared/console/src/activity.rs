//! Activity: the request log in words, with filters, and a page for each request.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing,
};
use scim::{ResourceKind, id::Id};
use serde::Deserialize;
use service::{
    Error,
    clock::timestamp,
    request_log::{Entry, Filter, Members, Outcome},
    store::{Directory, Page},
};
use texts::{fill, visible};
use time::{Date, Duration, Month, OffsetDateTime};

use crate::{
    Console,
    access::Viewer,
    attributes::label,
    clock::{Moment, Zone},
    listing::{Problem, failed, problem},
    page::{Frame, Refusal, refusal, show},
    sentences::{Line, Names, cause_of, lines, sentence},
};

/// The number of entries on a page.
const PAGE: usize = 30;
/// The number of new entries that are counted.
const COUNTED: usize = 100;
/// The number of reads of a page, each of which looks at a limited number of entries.
const READS: usize = 5;
/// The kinds of clients.
const CLIENTS: [&str; 3] = ["okta", "entra", "other"];

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/activity", routing::get(activity))
        .route("/console/activity/new", routing::get(new))
        .route("/console/activity/{id}", routing::get(entry))
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Parameters {
    person: String,
    team: String,
    outcome: String,
    client: String,
    day: String,
    cursor: String,
    /// The id of the newest entry that the page shows.
    since: String,
    /// The number of new entries that the page says already.
    known: String,
}

/// The filters that a person has chosen. Each is empty or valid.
struct Chosen {
    person: String,
    team: String,
    outcome: String,
    client: String,
    day: String,
}

impl Chosen {
    /// Reads the filters, for the page and for the store.
    fn read(parameters: &Parameters, zone: Zone) -> Option<(Self, Filter)> {
        let Parameters { person, team, outcome, client, day, .. } = parameters;
        let id = |text: &str| match text {
            "" => Some(None),
            text => Id::parse(text).map(|id| Some(id.to_string())),
        };
        let outcome_of = |text: &str| match text {
            "" => Some(None),
            "succeeded" => Some(Some(Outcome::Succeeded)),
            "failed" => Some(Some(Outcome::Failed)),
            _ => None,
        };
        let client_of = |text: &str| match text {
            "" => Some(None),
            text => CLIENTS.contains(&text).then(|| Some(text.to_owned())),
        };
        let (from, until) = if day.is_empty() {
            (None, None)
        } else {
            let start = start_of_day(day, zone)?;
            (Some(timestamp(start).ok()?), Some(timestamp(start + Duration::DAY).ok()?))
        };
        let filter = Filter {
            from,
            until,
            person: id(person)?,
            group: id(team)?,
            outcome: outcome_of(outcome)?,
            status: None,
            client: client_of(client)?,
        };
        let chosen = Self {
            person: person.clone(),
            team: team.clone(),
            outcome: outcome.clone(),
            client: client.clone(),
            day: day.clone(),
        };
        Some((chosen, filter))
    }

    fn is_empty(&self) -> bool {
        self.query().is_empty()
    }

    /// Returns the filters as a part of a URL. Valid filters have no characters that need an encoding.
    fn query(&self) -> String {
        let pairs = [
            ("person", &self.person),
            ("team", &self.team),
            ("outcome", &self.outcome),
            ("client", &self.client),
            ("day", &self.day),
        ];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// Returns the time at which a day (`2026-11-28`) begins in the zone.
fn start_of_day(day: &str, zone: Zone) -> Option<OffsetDateTime> {
    let mut parts = day.splitn(3, '-');
    let year = parts.next()?.parse().ok().filter(|year| (2000..3000).contains(year))?;
    let month = Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
    let midnight =
        Date::from_calendar_date(year, month, parts.next()?.parse().ok()?).ok()?.midnight().assume_utc();
    Some(midnight - Duration::seconds(i64::from(zone.local(midnight).offset().whole_seconds())))
}

/// An option of a filter.
struct Choice {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    chosen: Chosen,
    /// The name of the person or team of the filter.
    person: String,
    team: String,
    outcomes: Vec<Choice>,
    clients: Vec<Choice>,
    lines: Vec<Line>,
    is_first: bool,
    older: Option<String>,
    newest: String,
    /// The URL of the live part.
    live: Option<String>,
}

async fn activity(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let (caller, org) = (viewer.caller(), viewer.organisation.clone());
    let frame = frame.of(viewer, "activity");
    let Ok(Query(parameters)) = query else { return problem(&frame, Problem::BadFilter) };
    let Some((chosen, filter)) = Chosen::read(&parameters, frame.zone) else {
        return problem(&frame, Problem::BadFilter);
    };
    let after = Some(parameters.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    if after.is_some_and(|after| Id::parse(after).is_none()) {
        return problem(&frame, Problem::BadFilter);
    }
    let store = &console.app.store;
    let directory = store.directory(&caller);
    let read = async {
        let mut page = Page { items: Vec::new(), next: after.map(str::to_owned) };
        for _ in 0..READS {
            page = store.request_log(&org, &filter, PAGE, page.next.as_deref()).await?;
            if !page.items.is_empty() || page.next.is_none() {
                break;
            }
        }
        let since = page.items.first().map(|entry| entry.id.clone());
        let names = filter_names(&directory, &filter).await?;
        Ok::<_, Error>((lines(&frame, &directory, page.items).await?, page.next, since, names))
    };
    let (lines, next, since, [person, team]) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(&frame, error),
    };
    let url = |rest: &str| {
        let filters = chosen.query();
        let separator = if filters.is_empty() || rest.is_empty() { "" } else { "&" };
        format!("{}/activity?{filters}{separator}{rest}", frame.base)
    };
    let texts = &frame.t.activity;
    let is_first = after.is_none();
    let live = is_first && chosen.day.is_empty();
    show(&ActivityPage {
        outcomes: [("succeeded", texts.succeeded), ("failed", texts.failed)]
            .map(|(value, text)| Choice { value, text, is_chosen: chosen.outcome == value })
            .into(),
        clients: CLIENTS
            .map(|value| Choice { value, text: frame.client(value), is_chosen: chosen.client == value })
            .into(),
        older: next.map(|next| url(&format!("cursor={next}"))),
        newest: url(""),
        live: live.then(|| live_url(&frame, &chosen, since.as_deref().unwrap_or_default(), 0)),
        person,
        team,
        is_first,
        lines,
        chosen,
        frame,
    })
}

/// Reads the names of the person and the team that a filter names. A deleted one has its id as its name.
async fn filter_names(directory: &Directory, filter: &Filter) -> Result<[String; 2], Error> {
    let ids = [(ResourceKind::User, &filter.person), (ResourceKind::Group, &filter.group)];
    let ids = ids.map(|(kind, id)| (kind, id.as_deref().and_then(Id::parse)));
    let found =
        directory.resources_by_id(ids.iter().filter_map(|(kind, id)| Some((*kind, id.as_ref()?)))).await?;
    Ok(ids.map(|(_, id)| {
        let Some(id) = id else { return String::new() };
        let document = found.get(&id).map(|stored| &stored.document);
        let name = document.and_then(|it| it.user_name().or_else(|| it.display_name()));
        visible(name.unwrap_or(id.as_str()))
    }))
}

fn live_url(frame: &Frame, chosen: &Chosen, since: &str, known: usize) -> String {
    format!("{}/activity/new?since={since}&known={known}&{}", frame.base, chosen.query())
}

/// The live part: how many requests are newer than the page.
#[derive(Template)]
#[template(path = "activity_new.html")]
struct NewPart {
    text: String,
    newest: String,
    live: String,
}

/// Answers how many requests are new. Without a change the status is 204, so that the page stays as it is.
async fn new(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let org = viewer.organisation.clone();
    let frame = frame.of(viewer, "activity");
    let Ok(Query(parameters)) = query else { return problem(&frame, Problem::BadFilter) };
    let Some((chosen, mut filter)) = Chosen::read(&parameters, frame.zone) else {
        return problem(&frame, Problem::BadFilter);
    };
    let since = parameters.since.as_str();
    if !since.is_empty() {
        let Some(start) = Id::parse(since).and_then(|id| created(&id)) else {
            return problem(&frame, Problem::BadFilter);
        };
        filter.from = Some(start);
    }
    let page = match console.app.store.request_log(&org, &filter, COUNTED, None).await {
        Ok(page) => page,
        // The next look may succeed.
        Err(Error::Unavailable(_) | Error::Throttled) if frame.is_part => {
            return StatusCode::NO_CONTENT.into_response();
        }
        Err(error) => return failed(&frame, error),
    };
    let count = page.items.iter().filter(|entry| entry.id.as_str() > since).count();
    if count == parameters.known.parse().unwrap_or(0) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let texts = &frame.t.activity;
    let text = match count {
        1 => texts.one_new,
        COUNTED.. => texts.many_new,
        _ => texts.new,
    };
    let filters = chosen.query();
    show(&NewPart {
        text: fill(text, &[("count", &count.to_string())]),
        newest: format!("{}/activity?{filters}", frame.base),
        live: live_url(&frame, &chosen, since, count),
    })
}

/// Returns the time of an id.
fn created(id: &Id) -> Option<String> {
    let nanos = i128::from(id.created_at()) * 1_000_000;
    timestamp(OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?).ok()
}

/// A member that a request added or removed.
struct Member {
    id: String,
    /// `None` if the member has been deleted.
    name: Option<String>,
    is_person: bool,
}

/// The members that a request added or removed.
struct Changed {
    title: &'static str,
    members: Vec<Member>,
    /// How many more there are, in words.
    others: Option<String>,
}

/// The user or group of a request.
struct About {
    is_person: bool,
    id: String,
    name: String,
    exists: bool,
}

#[derive(Template)]
#[template(path = "entry.html")]
struct EntryPage {
    frame: Frame,
    entry: Entry,
    sentence: String,
    at: Moment,
    client: &'static str,
    is_failed: bool,
    duration: String,
    attributes: Vec<String>,
    about: Option<About>,
    changed: Vec<Changed>,
    /// The cause of a failed request, and its remedy.
    cause: Option<(String, &'static str)>,
}

impl EntryPage {
    /// Returns where the page of keys and clients has the key or the client. The id of a client has a full stop.
    fn place(&self) -> String {
        let id = &self.entry.credential;
        if id.contains('.') { format!("client-{id}") } else { format!("key-{id}") }
    }
}

async fn entry(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path(id): Path<String>,
) -> Response {
    let (caller, org) = (viewer.caller(), viewer.organisation.clone());
    let frame = frame.of(viewer, "activity");
    let store = &console.app.store;
    let directory = store.directory(&caller);
    let read = async {
        let Some(entry) = store.request_log_entry(&org, &id).await? else { return Ok(None) };
        let names = Names::of(&directory, std::slice::from_ref(&entry)).await?;
        let about = about(&directory, &entry).await?;
        Ok::<_, Error>(Some((entry, names, about)))
    };
    let (entry, names, about) = match read.await {
        Ok(Some(read)) => read,
        Ok(None) => return refusal(&frame, Refusal::NotFound),
        Err(error) => return failed(&frame, error),
    };
    let texts = &frame.t.activity;
    let changed = [(texts.added, &entry.added), (texts.removed, &entry.removed)];
    let changed = changed.into_iter().filter(|(_, members)| !members.is_empty());
    let changed = changed.map(|(title, members)| changed_members(&frame, title, members, &names)).collect();
    let cause = cause_of(&entry).map(|cause| frame.t.cause(&cause));
    let cause = cause.map(|(what, remedy)| (as_sentence(what), remedy));
    show(&EntryPage {
        sentence: sentence(&frame, &entry, &names),
        at: frame.moment(&entry.at),
        client: frame.client(&entry.client),
        is_failed: cause.is_some(),
        duration: fill(texts.milliseconds, &[("count", &entry.millis.to_string())]),
        attributes: entry.changed.iter().map(|name| label(&frame.t.directory, name)).collect(),
        about,
        changed,
        cause,
        entry,
        frame,
    })
}

/// Returns the words with a capital and a full stop.
fn as_sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters.as_str().chars()).chain(['.']).collect()
}

fn changed_members(frame: &Frame, title: &'static str, members: &Members, names: &Names) -> Changed {
    let member = |id: &String| Member {
        id: id.clone(),
        name: names.get(id).map(visible),
        is_person: names.is_person(id),
    };
    let others = members.count.saturating_sub(members.ids.len());
    let others = (others > 0).then(|| fill(frame.t.activity.others, &[("count", &others.to_string())]));
    Changed { title, members: members.ids.iter().map(member).collect(), others }
}

/// Returns the user or group of a request whose id is known.
async fn about(directory: &Directory, entry: &Entry) -> Result<Option<About>, Error> {
    let Some(subject) = &entry.subject else { return Ok(None) };
    let Some(id) = subject.id.as_deref().and_then(Id::parse) else { return Ok(None) };
    let found = directory.resources_by_id(std::iter::once((subject.kind, &id))).await?;
    let document = found.get(&id).map(|stored| &stored.document);
    let now = document.and_then(|it| it.user_name().or_else(|| it.display_name()));
    let name = visible(subject.name.as_deref().or(now).unwrap_or(id.as_str()));
    let is_person = subject.kind == ResourceKind::User;
    Ok(Some(About { is_person, id: id.to_string(), name, exists: document.is_some() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_begins_in_the_zone_of_the_viewer() {
        let start =
            |day, minutes| start_of_day(day, Zone::parse(minutes)).and_then(|start| timestamp(start).ok());
        assert_eq!(start("2026-11-28", "0").as_deref(), Some("2026-11-28T00:00:00.000Z"));
        assert_eq!(start("2026-11-28", "60").as_deref(), Some("2026-11-27T23:00:00.000Z"));
        for invalid in ["2026-02-30", "2026-13-01", "28.11.2026", "99999-01-01", "2026-11", "x"] {
            assert_eq!(start(invalid, "0"), None, "{invalid}");
        }
    }
}
