//! The overview: whether the identity provider works, its requests, and the number of people.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing};
use scim::{ResourceKind, projection::Projection};
use service::{
    App,
    auth::Scope,
    health::{self, Health, NEWEST, Reason, hour},
    request_log::{Filter, Hour},
    store::{ClientRecord, Directory, KeyRecord, ListRequest, Query},
};
use texts::fill;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Console,
    access::Viewer,
    chart::{self, Size},
    clock::Moment,
    page::{Frame, Refusal, is_soon, refusal, show},
};

/// The hours of the chart of requests.
const HOURS: usize = 48;
/// The days of the chart of people.
const DAYS: usize = 30;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/overview", routing::get(overview))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    frame: &'a Frame,
    status: Status,
    warnings: Vec<Warning>,
    people: u64,
    teams: u64,
    requests: u64,
    errors: u64,
    traffic: Chart,
    growth: Chart,
}

/// The health in words.
struct Status {
    title: &'static str,
    class: &'static str,
    /// Sentences about the state.
    lines: Vec<&'static str>,
    /// When the next request is due.
    next: Option<Moment>,
    /// The client and the time of the last request.
    last: Option<(&'static str, Moment)>,
    is_quarantine_near: bool,
    /// Whether an identity provider has never sent a request.
    is_new: bool,
}

/// Something that needs attention soon.
struct Warning {
    text: String,
    /// When it happens.
    at: Option<Moment>,
    hint: &'static str,
    /// The path of the page, and the text of the link.
    link: (&'static str, &'static str),
}

/// A chart with its text and its table.
struct Chart {
    text: String,
    /// The drawing for wide windows, and the one for phones.
    drawings: Option<(String, String)>,
    rows: Vec<(Moment, u64, u64)>,
}

async fn overview(State(console): State<Console>, viewer: Viewer, frame: Frame) -> Response {
    let frame = frame.of(viewer.clone(), "overview");
    page(&console.app, &frame, &viewer).await.unwrap_or_else(|why| refusal(&frame, why))
}

async fn page(app: &App, frame: &Frame, viewer: &Viewer) -> Result<Response, Refusal> {
    let (store, org, now) = (&app.store, &viewer.org, app.store.clock().now());
    let directory = store.directory(&viewer.caller());
    let first = hour(now - Duration::days(30));
    let filter = Filter::default();
    let (hours, newest, keys, clients, people, teams) = tokio::try_join!(
        store.request_hours(&viewer.organisation, &first),
        store.request_log(&viewer.organisation, &filter, NEWEST, None),
        store.keys(org),
        store.clients(org),
        total(&directory, ResourceKind::User),
        total(&directory, ResourceKind::Group),
    )?;
    let health = health::health(&hours, &newest.items, now);
    let page = OverviewPage {
        frame,
        status: status(frame, viewer, &health),
        warnings: warnings(frame, &keys, &clients, now),
        people,
        teams,
        requests: health.requests,
        errors: health.errors,
        traffic: traffic(frame, &hours, now),
        growth: growth(frame, &hours, now),
    };
    Ok(show(&page))
}

/// Returns the number of an organisation's users or groups.
async fn total(directory: &Directory, kind: ResourceKind) -> Result<u64, service::Error> {
    let projection = Projection::parse(kind.resource_type(), None, None)?;
    let request = ListRequest { kind, filter: None, sort: None, projection, base: "" };
    let query = Query { name: String::new(), requests: vec![request] };
    Ok(directory.page_by_index(&query, 1, 0).await?.total)
}

fn status(frame: &Frame, viewer: &Viewer, health: &Health) -> Status {
    let texts = &frame.t.overview;
    let client = health.last.as_ref().map(|last| last.client.as_str());
    let mut lines = match health.reason {
        Reason::InStep => vec![texts.in_step_detail],
        Reason::CredentialRefused => vec![texts.credential_refused],
        Reason::NotPermitted => vec![texts.not_permitted],
        Reason::NewestFailed => vec![texts.newest_failed],
        Reason::MostFailed => vec![texts.most_failed],
        Reason::CyclesMissed => vec![texts.cycles_missed],
        Reason::NoRequest => vec![texts.never_detail],
    };
    let (mut title, mut class) = match health.reason {
        Reason::InStep => (texts.in_step, "ok"),
        Reason::CyclesMissed => (texts.silent, "warn"),
        Reason::NoRequest => (texts.never, "plain"),
        _ => (texts.failing, "bad"),
    };
    let mut next = None;
    if health.reason == Reason::InStep {
        match client {
            Some("entra") => {
                lines.push(texts.entra_cycle);
                next = health.next_due.as_deref().map(|due| frame.moment(due));
            }
            Some("okta") => lines.push(texts.okta_events),
            _ => {}
        }
    }
    if !viewer.organisation.enabled {
        (title, class, lines, next) = (texts.off, "warn", vec![texts.off_detail], None);
    }
    Status {
        title,
        class,
        lines,
        next,
        last: health.last.as_ref().map(|last| (frame.client(&last.client), frame.moment(&last.at))),
        is_quarantine_near: health.is_quarantine_near,
        is_new: health.reason == Reason::NoRequest,
    }
}

fn warnings(
    frame: &Frame,
    keys: &[KeyRecord],
    clients: &[ClientRecord],
    now: OffsetDateTime,
) -> Vec<Warning> {
    let texts = &frame.t.overview;
    let link = ("keys", frame.t.keys.title);
    let is_live = |ends: &str| OffsetDateTime::parse(ends, &Rfc3339).is_ok_and(|ends| ends > now);
    let (live, ended): (Vec<&KeyRecord>, Vec<&KeyRecord>) = keys
        .iter()
        .filter(|key| key.revoked.is_none())
        .partition(|key| key.ends.as_deref().is_none_or(is_live));
    // An ended key is a fault if no other key took its place.
    let has_key = live.iter().any(|key| key.scopes.contains(&Scope::Scim));
    let of_ended = ended.last().filter(|key| !has_key && key.scopes.contains(&Scope::Scim)).map(|key| {
        let name = key.label.as_deref().unwrap_or(&key.id);
        Warning { text: fill(texts.key_ended, &[("name", name)]), at: None, hint: "", link }
    });
    if live.is_empty() && ended.is_empty() && clients.is_empty() {
        let link = ("connection", texts.connect);
        return vec![Warning { text: texts.no_key.to_owned(), at: None, hint: "", link }];
    }
    let replaced: Vec<&str> = live.iter().filter_map(|key| key.replaces.as_deref()).collect();
    let of_keys = live.iter().filter(|key| !replaced.contains(&key.id.as_str())).filter_map(|key| {
        let ends = key.ends.as_deref().filter(|ends| is_soon(ends, now))?;
        let name = key.label.as_deref().unwrap_or(&key.id);
        let text = fill(texts.key_ends, &[("name", name)]);
        Some(Warning { text, at: Some(frame.moment(ends)), hint: texts.rotate_hint, link })
    });
    let of_clients = clients.iter().filter_map(|client| {
        // A secret that is to end is no fault if the client has another one.
        let last = client.secrets.iter().map(|secret| secret.ends.as_str()).max();
        let name = client.label.as_deref().unwrap_or(&client.id);
        if client.trust.is_none() && !last.is_some_and(is_live) {
            let text = fill(texts.client_without_secret, &[("name", name)]);
            return Some(Warning { text, at: None, hint: "", link });
        }
        let ends = last.filter(|ends| is_soon(ends, now))?;
        let text = fill(texts.secret_ends, &[("name", name)]);
        Some(Warning { text, at: Some(frame.moment(ends)), hint: texts.secret_hint, link })
    });
    of_ended.into_iter().chain(of_keys).chain(of_clients).collect()
}

/// Returns the start of an hour of the log.
fn start_of(name: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&format!("{name}:00:00Z"), &Rfc3339).ok()
}

/// Returns the chart of the requests of the last two days.
fn traffic(frame: &Frame, hours: &[Hour], now: OffsetDateTime) -> Chart {
    let texts = &frame.t.overview;
    let start =
        |index: usize| now - Duration::hours(i64::try_from(HOURS - 1 - index.min(HOURS - 1)).unwrap_or(0));
    let mut values = vec![(0, 0); HOURS];
    let mut rows = Vec::new();
    for (index, value) in values.iter_mut().enumerate() {
        let name = hour(start(index));
        if let Some(of_hour) = hours.iter().find(|hour| hour.hour == name) {
            *value = (of_hour.requests.saturating_sub(of_hour.errors), of_hour.errors);
            rows.push((frame.moment(&format!("{name}:00:00Z")), of_hour.requests, of_hour.errors));
        }
    }
    let requests: u64 = rows.iter().map(|(_, requests, _)| requests).sum();
    let errors: u64 = rows.iter().map(|(.., errors)| errors).sum();
    // The hours of the log are those of UTC, which begin within an hour of some zones.
    let label = |index: usize| {
        let begin = start_of(&hour(start(index))).unwrap_or(now);
        let local = frame.zone.local(begin);
        format!("{:02}:{:02}", local.hour(), local.minute())
    };
    let drawn = |size| if rows.is_empty() { None } else { chart::bars(size, &values, &label) };
    Chart {
        text: fill(
            texts.chart_requests_text,
            &[("requests", &requests.to_string()), ("errors", &errors.to_string())],
        ),
        drawings: drawn(Size::Wide).zip(drawn(Size::Narrow)),
        rows,
    }
}

/// Returns the chart of the people of the last 30 days.
fn growth(frame: &Frame, hours: &[Hour], now: OffsetDateTime) -> Chart {
    let texts = &frame.t.overview;
    let first = now - Duration::days(i64::try_from(DAYS).unwrap_or(0));
    let counted = hours.iter().filter_map(|hour| {
        let people = hour.people?;
        let begin = start_of(&hour.hour)?;
        let at = usize::try_from((begin - first).whole_hours().max(0)).ok()?;
        Some((at, frame.zone.local(begin).date(), frame.moment(&format!("{}:00:00Z", hour.hour)), people))
    });
    let counted: Vec<_> = counted.collect();
    let values: Vec<(usize, u64)> = counted.iter().map(|(at, _, _, people)| (*at, *people)).collect();
    // The last count of each day.
    let mut rows: Vec<(Moment, u64, u64)> = Vec::new();
    let mut day = None;
    for (_, of_day, moment, people) in counted {
        if day == Some(of_day) {
            rows.pop();
        }
        day = Some(of_day);
        rows.push((moment, people, 0));
    }
    let label = |hours: usize| {
        let day = frame.zone.local(first + Duration::hours(i64::try_from(hours).unwrap_or(0)));
        match frame.language {
            texts::Language::En => {
                format!("{} {}", day.day(), day.month().to_string().get(..3).unwrap_or_default())
            }
            texts::Language::De => format!("{}.{}.", day.day(), u8::from(day.month())),
        }
    };
    let drawn = |size| if values.len() < 2 { None } else { chart::line(size, DAYS * 24, &values, &label) };
    let count = |value: Option<&(usize, u64)>| value.map_or(0, |(_, count)| *count).to_string();
    let counts = [("last", count(values.last())), ("first", count(values.first()))];
    Chart {
        text: fill(texts.chart_people_text, &counts.each_ref().map(|(name, count)| (*name, count.as_str()))),
        drawings: drawn(Size::Wide).zip(drawn(Size::Narrow)),
        rows,
    }
}
