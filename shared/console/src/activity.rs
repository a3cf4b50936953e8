//! Activity: the request log in words, with filters, and a page for each request.

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
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
use time::{Date, OffsetDateTime, macros::format_description};

use crate::{
    Console,
    access::Viewer,
    attributes::label,
    clock::{Moment, Zone},
    listing::{Problem, failed, problem},
    names::{Typed, find, names},
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
/// The statuses and classes of statuses that the page offers: those of the answers of SCIM and of the token endpoint.
const STATUSES: [&str; 16] = [
    "2xx", "4xx", "5xx", "200", "201", "204", "400", "401", "403", "404", "409", "412", "413", "429", "500",
    "503",
];

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/activity", routing::get(activity))
        .route("/console/activity/new", routing::get(new))
        .route("/console/activity/names", routing::get(names))
        .route("/console/activity/{id}", routing::get(entry))
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Parameters {
    person: String,
    team: String,
    outcome: String,
    status: String,
    client: String,
    day: String,
    cursor: String,
    /// The id of the newest entry that the page shows.
    since: String,
    /// The number of new entries that the page says already.
    known: String,
}

/// The filters that a person has chosen. Each is empty or valid.
#[derive(Clone)]
struct Chosen {
    person: String,
    team: String,
    outcome: String,
    status: String,
    client: String,
    day: String,
}

impl Chosen {
    /// Reads the filters, for the page and for the store.
    fn read(parameters: &Parameters, zone: &Zone) -> Option<(Self, Filter)> {
        let Parameters { person, team, outcome, status, client, day, .. } = parameters;
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
            let day = Date::parse(day, format_description!("[year]-[month]-[day]")).ok();
            let day = day.filter(|day| (2000..3000).contains(&day.year()))?;
            let [start, end] = [day, day.next_day()?].map(|day| timestamp(zone.start_of(day)?).ok());
            (Some(start?), Some(end?))
        };
        let (class, status_of) = class_or_status(status)?;
        let filter = Filter {
            from,
            until,
            person: id(person)?,
            group: id(team)?,
            outcome: outcome_of(outcome)?,
            status: status_of,
            class,
            client: client_of(client)?,
        };
        let chosen = Self {
            person: person.clone(),
            team: team.clone(),
            outcome: outcome.clone(),
            status: status.clone(),
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
            ("status", &self.status),
            ("client", &self.client),
            ("day", &self.day),
        ];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// Reads a class of statuses (`4xx`), an exact status (`429`), or neither from an empty text.
fn class_or_status(text: &str) -> Option<(Option<u16>, Option<u16>)> {
    if text.is_empty() {
        return Some((None, None));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_suffix("xx") {
        Some(class) => {
            let class = ["1", "2", "3", "4", "5"].iter().position(|known| *known == class)?;
            Some((u16::try_from(class + 1).ok(), None))
        }
        None if is_number => {
            text.parse().ok().filter(|status| (100..600).contains(status)).map(|status| (None, Some(status)))
        }
        None => None,
    }
}

/// An option of a filter.
struct Choice {
    value: String,
    text: String,
    is_chosen: bool,
}

impl Choice {
    fn new(value: &str, text: &str, chosen: &str) -> Self {
        Self { value: value.to_owned(), text: text.to_owned(), is_chosen: value == chosen }
    }
}

/// The filter by a person or a team.
struct ByName {
    /// The name of the parameter.
    parameter: &'static str,
    label: &'static str,
    hint: &'static str,
    /// The path of the page of the chosen person or team, and the name.
    chosen: Option<(String, String)>,
    id: String,
    /// The URL of this page without the filter.
    without: String,
    typed: Typed,
}

impl ByName {
    fn new(frame: &Frame, chosen: &Chosen, is_person: bool, name: String, typed: Typed) -> Self {
        let texts = &frame.t.activity;
        let base = &frame.base;
        let (parameter, label, hint, id, path) = if is_person {
            ("person", texts.person, texts.person_hint, &chosen.person, "people")
        } else {
            ("team", texts.team, texts.team_hint, &chosen.team, "teams")
        };
        let mut without = chosen.clone();
        *(if is_person { &mut without.person } else { &mut without.team }) = String::new();
        Self {
            parameter,
            label,
            hint,
            chosen: (!id.is_empty()).then(|| (format!("{base}/{path}/{id}"), name)),
            id: id.clone(),
            without: format!("{base}/activity?{}", without.query()),
            typed,
        }
    }

    /// Returns the URL of this page with the filter by this id.
    fn with(&self, id: &str) -> String {
        let separator = if self.without.ends_with('?') { "" } else { "&" };
        format!("{}{separator}{}={id}", self.without, self.parameter)
    }
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    chosen: Chosen,
    by_name: [ByName; 2],
    outcomes: Vec<Choice>,
    statuses: Vec<Choice>,
    clients: Vec<Choice>,
    /// Whether a name that was typed stands for no person or team yet, so that no request is shown.
    is_unclear: bool,
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
    let Ok(Query(mut parameters)) = query else { return problem(&frame, Problem::BadFilter) };
    let store = &console.app.store;
    let directory = store.directory(&caller);
    let is_named =
        [&parameters.person, &parameters.team].iter().any(|it| !it.is_empty() && Id::parse(it).is_none());
    let found = async {
        let person = find(&frame, &directory, ResourceKind::User, &parameters.person);
        tokio::try_join!(person, find(&frame, &directory, ResourceKind::Group, &parameters.team))
    };
    let typed = match found.await {
        Ok((person, team)) => [person, team],
        Err(error) => return failed(&frame, error),
    };
    [parameters.person, parameters.team] = typed.each_ref().map(|typed| typed.id.clone());
    let Some((chosen, filter)) = Chosen::read(&parameters, &frame.zone) else {
        return problem(&frame, Problem::BadFilter);
    };
    let is_unclear = typed.iter().any(Typed::is_unclear);
    if is_named && !is_unclear {
        // The address of the page has ids, which stay the same when a name changes.
        return Redirect::to(&format!("{}/activity?{}", frame.base, chosen.query())).into_response();
    }
    let after = Some(parameters.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    if after.is_some_and(|after| Id::parse(after).is_none()) {
        return problem(&frame, Problem::BadFilter);
    }
    let read = async {
        let mut page = Page { items: Vec::new(), next: after.map(str::to_owned) };
        let reads = if is_unclear { 0 } else { READS };
        for _ in 0..reads {
            page = store.request_log(&org, &filter, PAGE, page.next.as_deref()).await?;
            if !page.items.is_empty() || page.next.is_none() {
                break;
            }
        }
        let since = page.items.first().map(|entry| entry.id.clone());
        let names = filter_names(&directory, &filter).await?;
        Ok::<_, Error>((lines(&frame, &directory, page.items).await?, page.next, since, names))
    };
    let (lines, next, since, names) = match read.await {
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
    let live = is_first && chosen.day.is_empty() && !is_unclear;
    let ([person, team], [typed_person, typed_team]) = (names, typed);
    show(&ActivityPage {
        outcomes: [("succeeded", texts.succeeded), ("failed", texts.failed)]
            .map(|(value, text)| Choice::new(value, text, &chosen.outcome))
            .into(),
        statuses: statuses(&chosen.status),
        clients: CLIENTS.map(|value| Choice::new(value, frame.client(value), &chosen.client)).into(),
        by_name: [
            ByName::new(&frame, &chosen, true, person, typed_person),
            ByName::new(&frame, &chosen, false, team, typed_team),
        ],
        is_unclear,
        older: next.map(|next| url(&format!("cursor={next}"))),
        newest: url(""),
        live: live.then(|| live_url(&frame, &chosen, since.as_deref().unwrap_or_default(), 0)),
        is_first,
        lines,
        chosen,
        frame,
    })
}

/// Returns the options of the filter by status. A valid status that the page does not offer is one of them if it is chosen.
fn statuses(chosen: &str) -> Vec<Choice> {
    let other = Some(chosen).filter(|chosen| !chosen.is_empty() && !STATUSES.contains(chosen));
    STATUSES.into_iter().chain(other).map(|value| Choice::new(value, value, chosen)).collect()
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
    let Some((chosen, mut filter)) = Chosen::read(&parameters, &frame.zone) else {
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

    fn read(day: &str, status: &str, zone: &str) -> Option<Filter> {
        let parameters =
            Parameters { day: day.to_owned(), status: status.to_owned(), ..Parameters::default() };
        Chosen::read(&parameters, &Zone::parse(zone)).map(|(_, filter)| filter)
    }

    #[test]
    fn day_is_that_of_the_viewer_also_when_the_clock_changes() {
        for (day, zone, from, until) in [
            ("2026-11-28", "UTC", "2026-11-28T00:00:00.000Z", "2026-11-29T00:00:00.000Z"),
            ("2026-11-28", "Europe/Berlin", "2026-11-27T23:00:00.000Z", "2026-11-28T23:00:00.000Z"),
            ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"),
            ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"),
        ] {
            let filter = read(day, "", zone).unwrap();
            assert_eq!((filter.from.as_deref(), filter.until.as_deref()), (Some(from), Some(until)), "{day}");
        }
        for invalid in ["2026-02-30", "2026-13-01", "28.11.2026", "99999-01-01", "0001-01-01", "2026-11", "x"]
        {
            assert_eq!(read(invalid, "", "UTC"), None, "{invalid}");
        }
    }

    #[test]
    fn status_is_exact_or_a_class() {
        let of = |status| read("", status, "UTC").map(|filter| (filter.class, filter.status));
        for (status, expected) in [
            ("", Some((None, None))),
            ("4xx", Some((Some(4), None))),
            ("429", Some((None, Some(429)))),
            ("299", Some((None, Some(299)))),
            ("9xx", None),
            ("xx", None),
            ("+4xx", None),
            ("99", None),
            ("600", None),
            ("+429", None),
            ("04xx", None),
        ] {
            assert_eq!(of(status), expected, "{status}");
        }
    }
}
