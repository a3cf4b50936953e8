//! The live check: what the identity provider has sent since the page was opened.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use service::request_log::{Action, Entry, Filter, Outcome};
use texts::fill;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Console,
    access::Viewer,
    clock::Moment,
    page::{Frame, Refusal, refusal, show_as},
    sentences::{Names, sentence},
};

/// The time without a request after which the page says what usually goes wrong.
const SLOW: Duration = Duration::minutes(2);
/// The number of entries that are read.
const READ: usize = 50;
/// The number of sentences that are shown.
const SHOWN: usize = 5;
/// The length of a stored time.
const TIME_LENGTH: usize = "2026-11-28T14:00:00.000Z".len();
/// The status with which htmx stops asking.
const STOP: u16 = 286;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/connection/verify", routing::get(part))
}

/// An identity provider with steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Okta,
    Entra,
}

impl Provider {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Entra => "entra",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Okta, Self::Entra].into_iter().find(|provider| provider.as_str() == text)
    }

    /// Returns the path of the page of the steps.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Okta => "connection/okta",
            Self::Entra => "connection/entra",
        }
    }

    /// Returns the name of the provider's test.
    const fn test(self) -> &'static str {
        match self {
            Self::Okta => "Test Connector Configuration",
            Self::Entra => "Test Connection",
        }
    }
}

/// When the page was opened. A page without it is opened now.
#[derive(Clone, Default)]
pub(super) struct Since {
    since: String,
}

impl Since {
    pub(super) fn new(since: String) -> Self {
        Self { since }
    }

    fn time(&self) -> Option<OffsetDateTime> {
        let is_stored = self.since.len() == TIME_LENGTH && self.since.ends_with('Z');
        OffsetDateTime::parse(&self.since, &Rfc3339).ok().filter(|_| is_stored)
    }
}

/// The sentence about a request.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) at: Moment,
    pub(super) detail: Option<String>,
    pub(super) is_failed: bool,
    is_person: bool,
}

/// The state of the live check.
pub(super) struct Verify {
    /// The newest requests.
    pub(super) lines: Vec<Line>,
    pub(super) is_done: bool,
    pub(super) is_slow: bool,
    /// The path of the page without JavaScript, which looks again.
    pub(super) again: String,
    /// The path of the next look.
    pub(super) path: String,
    /// The state that is shown. An unchanged state is not sent again.
    seen: String,
    /// The usual causes of silence.
    pub(super) causes: Vec<String>,
    /// The sentence before the first request.
    pub(super) waits: String,
}

impl Verify {
    /// Reads what has happened since the page was opened.
    pub(super) async fn read(
        console: &Console,
        frame: &Frame,
        viewer: &Viewer,
        provider: Provider,
        since: Since,
    ) -> Result<Self, Refusal> {
        let clock = console.app.store.clock();
        let (since, opened) = match since.time() {
            Some(time) => (since.since, time),
            None => (clock.timestamp()?, clock.now()),
        };
        // Requests of another client say nothing about this provider.
        let client = Some(provider.as_str().to_owned());
        let filter = Filter { from: Some(since.clone()), client, ..Filter::default() };
        let entries = console.app.store.request_log(&viewer.organisation, &filter, READ, None).await?.items;
        let texts = &frame.t.connection;
        let names = Names::of(&console.app.store.directory(&viewer.caller()), &entries).await?;
        let mut lines: Vec<Line> = entries.iter().map(|entry| line(frame, entry, &names)).collect();
        lines.dedup_by(|older, newer| older.text == newer.text && older.detail == newer.detail);
        // The first person is the news.
        lines.sort_by_key(|line| !line.is_person);
        lines.truncate(SHOWN);
        let is_slow = entries.is_empty() && clock.now() - opened > SLOW;
        let newest = entries.first().map(|entry| entry.id.as_str()).unwrap_or_default();
        let seen = format!("{newest}-{is_slow}");
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let causes = [
            fill(texts.slow_test, &[("test", provider.test())]),
            texts.slow_url.to_owned(),
            texts.slow_key.to_owned(),
            texts.slow_network.to_owned(),
        ];
        let (base, name) = (&frame.base, provider.as_str());
        let times = format!("since={}&seen={}", encode(&since), encode(&seen));
        Ok(Self {
            is_done: entries.iter().any(is_person),
            lines,
            is_slow,
            path: format!("{base}/connection/verify?provider={name}&{times}"),
            again: format!("{base}/connection/{name}?since={}#verify", encode(&since)),
            seen,
            causes: causes.into(),
            waits: fill(texts.verify_wait, &[("provider", frame.client(name))]),
        })
    }

    /// Returns whether the page asks again.
    pub(super) fn polls(&self) -> bool {
        !self.is_done
    }
}

/// Returns whether a person has arrived by this request.
fn is_person(entry: &Entry) -> bool {
    let is_change =
        matches!(entry.action, Action::UserCreated | Action::UserChanged | Action::UserReactivated);
    is_change && Outcome::of(entry.status) == Outcome::Succeeded
}

fn line(frame: &Frame, entry: &Entry, names: &Names) -> Line {
    let is_failed = Outcome::of(entry.status) == Outcome::Failed;
    Line {
        id: entry.id.clone(),
        text: sentence(frame, entry, names),
        at: frame.moment(&entry.at),
        detail: is_failed.then(|| detail(frame, entry)).flatten(),
        is_failed,
        is_person: is_person(entry),
    }
}

/// Returns the answer to a failed request, or the remedy if the base URL is wrong.
fn detail(frame: &Frame, entry: &Entry) -> Option<String> {
    // A path below an endpoint of SCIM shows that the base URL leads there.
    let is_beside = |endpoint: &str| endpoint.ends_with(" unknown path") || endpoint.ends_with(" /");
    if entry.status == StatusCode::NOT_FOUND.as_u16() && entry.endpoint.as_deref().is_some_and(is_beside) {
        return Some(fill(frame.t.connection.wrong_url, &[("provider", frame.client(&entry.client))]));
    }
    entry.detail.clone()
}

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPart<'a> {
    frame: &'a Frame,
    verify: &'a Verify,
}

#[derive(Deserialize)]
struct Look {
    provider: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    seen: String,
}

async fn part(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    query: Result<Query<Look>, QueryRejection>,
) -> Response {
    let frame = frame.of(viewer.clone(), "connection");
    let Ok(Query(Look { provider, since, seen })) = query else { return refusal(&frame, Refusal::Form) };
    let Some(provider) = Provider::parse(&provider) else { return refusal(&frame, Refusal::NotFound) };
    let since = Since { since };
    if since.time().is_none() {
        return refusal(&frame, Refusal::Form);
    }
    match Verify::read(&console, &frame, &viewer, provider, since).await {
        // A screen reader would say an unchanged state again.
        Ok(verify) if frame.is_part && verify.seen == seen => StatusCode::NO_CONTENT.into_response(),
        Ok(verify) => {
            let stop = StatusCode::from_u16(STOP).unwrap_or(StatusCode::OK);
            let status = if verify.is_done && frame.is_part { stop } else { StatusCode::OK };
            show_as(status, &VerifyPart { frame: &frame, verify: &verify })
        }
        // The state that is shown stays until the next look.
        Err(Refusal::Unavailable) if frame.is_part => StatusCode::NO_CONTENT.into_response(),
        Err(why) => refusal(&frame, why),
    }
}
