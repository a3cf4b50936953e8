//! The health of a connection with an identity provider, computed from the request log.
//!
//! Entra sends requests in cycles of 40 minutes, also if nothing has changed. Other clients send requests when something
//! changes, so their silence says nothing. Entra puts a connection in quarantine at once if its credential is refused, and
//! after many failures (Microsoft, "application provisioning in quarantine status"). It then tries once a day.

use time::{Duration, OffsetDateTime};

use crate::{
    clock::{parse_timestamp, timestamp},
    request_log::{Action, Entry, Hour, Outcome},
};

/// The time between two cycles of Entra.
pub const ENTRA_CYCLE: Duration = Duration::minutes(40);
/// The time after which Entra has missed several cycles. A cycle may take long itself.
const ENTRA_SILENCE: Duration = Duration::hours(3);
/// The time whose requests are counted.
pub const WINDOW: Duration = Duration::hours(24);
/// The number of newest entries that are enough for [`health`].
pub const NEWEST: usize = 20;
/// The number of newest requests that all fail if a connection does not work.
const FAILING: usize = 5;
/// The share of errors, in percent, from which Entra counts towards a quarantine.
const QUARANTINE_PERCENT: u64 = 40;
/// The number of errors in a day that is near Entra's limit of 5,000.
const QUARANTINE_ERRORS: u64 = 2_500;

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Requests arrive and succeed.
    Ok,
    /// Requests arrive and fail.
    Failing,
    /// No request arrives although one is due.
    Silent,
    /// No request has arrived in the time that the log covers.
    Never,
}

/// Why a connection is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The last request succeeded, or few requests fail.
    InStep,
    /// The last request had a credential that is refused (401).
    CredentialRefused,
    /// The last request was not permitted (403): SCIM is disabled, or the key lacks a scope.
    NotPermitted,
    /// The newest requests failed.
    NewestFailed,
    /// Most requests of the last 24 hours failed.
    MostFailed,
    /// Entra has missed several cycles.
    CyclesMissed,
    /// There is no request.
    NoRequest,
}

/// The last request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// When it was answered.
    pub at: String,
    /// The kind of its client: `okta`, `entra` or `other`.
    pub client: String,
    /// The id of its key or OAuth client.
    pub credential: String,
    /// Its action.
    pub action: Action,
    /// Its status.
    pub status: u16,
}

/// The health of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// Why the connection is in this state.
    pub reason: Reason,
    /// The last request, if there is one.
    pub last: Option<Last>,
    /// The number of requests in the last 24 hours.
    pub requests: u64,
    /// The number of those that failed.
    pub errors: u64,
    /// When the next request is due at the latest, if the last one came from Entra.
    pub next_due: Option<String>,
    /// Whether Entra may put the connection in quarantine, or has done so.
    pub is_quarantine_near: bool,
}

/// Returns the health at the time `now`. `hours` are the hours of at least the last 24 hours, and `newest` the newest
/// entries of the log, the newest first. [`NEWEST`] of them are enough.
#[must_use]
pub fn health(hours: &[Hour], newest: &[Entry], now: OffsetDateTime) -> Health {
    // The hour in which the last 24 hours begin counts as a whole.
    let first = hour(now - WINDOW);
    let counted = hours.iter().filter(|hour| hour.hour >= first);
    let (requests, errors) =
        counted.fold((0, 0), |(requests, errors), hour| (requests + hour.requests, errors + hour.errors));
    let newest = of_provider(newest);
    let last = newest.first().map(|entry| Last {
        at: entry.at.clone(),
        client: entry.client.clone(),
        credential: entry.credential.clone(),
        action: entry.action,
        status: entry.status,
    });
    let is_entra = last.as_ref().is_some_and(|last| last.client == "entra");
    let since = last.as_ref().and_then(|last| parse_timestamp(&last.at).ok());
    let next_due = since.filter(|_| is_entra).and_then(|since| timestamp(since + ENTRA_CYCLE).ok());
    let most_failed = errors * 100 > requests * QUARANTINE_PERCENT;
    let (state, reason) = match &last {
        None => (State::Never, Reason::NoRequest),
        Some(last) if last.status == 401 => (State::Failing, Reason::CredentialRefused),
        Some(last) if last.status == 403 => (State::Failing, Reason::NotPermitted),
        Some(_) if is_entra && since.is_some_and(|since| now - since > ENTRA_SILENCE) => {
            (State::Silent, Reason::CyclesMissed)
        }
        Some(_) if have_failed(&newest) => (State::Failing, Reason::NewestFailed),
        Some(_) if most_failed && errors >= FAILING as u64 => (State::Failing, Reason::MostFailed),
        Some(_) => (State::Ok, Reason::InStep),
    };
    let is_refused = matches!(reason, Reason::CredentialRefused | Reason::NotPermitted);
    let is_quarantine_near = is_entra && (is_refused || most_failed && errors >= QUARANTINE_ERRORS);
    Health { state, reason, last, requests, errors, next_due, is_quarantine_near }
}

/// Returns the name of the hour of a time, as in [`Hour`].
#[must_use]
pub fn hour(time: OffsetDateTime) -> String {
    timestamp(time).unwrap_or_default().chars().take("2026-11-28T14".len()).collect()
}

/// Returns the entries that tell about the identity provider: those of Okta and Entra if there are any. An entry with a
/// credential that is refused does not count if the same provider succeeded with another one within a cycle: a forgotten
/// client still uses an old key.
fn of_provider(newest: &[Entry]) -> Vec<&Entry> {
    let is_provider = |entry: &&Entry| entry.client != "other";
    let has_provider = newest.iter().any(|entry| is_provider(&entry));
    let entries: Vec<&Entry> = newest.iter().filter(|entry| !has_provider || is_provider(entry)).collect();
    let is_forgotten = |refused: &Entry| {
        let near = |other: &Entry| {
            let times = [&refused.at, &other.at].map(|at| parse_timestamp(at));
            matches!(times, [Ok(one), Ok(two)] if (one - two).abs() <= ENTRA_CYCLE)
        };
        entries.iter().any(|other| {
            other.client == refused.client
                && other.credential != refused.credential
                && Outcome::of(other.status) == Outcome::Succeeded
                && near(other)
        })
    };
    entries.iter().copied().filter(|entry| entry.status != 401 || !is_forgotten(entry)).collect()
}

fn have_failed(newest: &[&Entry]) -> bool {
    newest.len() >= FAILING
        && newest.iter().take(FAILING).all(|entry| Outcome::of(entry.status) == Outcome::Failed)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::request_log::Members;

    const NOW: OffsetDateTime = datetime!(2026-11-28 14:20:00 UTC);

    fn entry(minutes_ago: i64, client: &str, status: u16) -> Entry {
        Entry {
            id: String::new(),
            at: timestamp(NOW - Duration::minutes(minutes_ago)).unwrap(),
            client: client.to_owned(),
            credential: "key".to_owned(),
            action: Action::UsersSearched,
            status,
            scim_type: None,
            detail: None,
            subject: None,
            endpoint: None,
            changed: Vec::new(),
            added: Members::default(),
            removed: Members::default(),
            millis: 1,
            request: None,
        }
    }

    fn of(requests: u64, errors: u64, newest: &[Entry]) -> (State, Reason, bool) {
        let hours = [Hour { hour: "2026-11-28T10".to_owned(), requests, errors, ..Hour::default() }];
        let health = health(&hours, newest, NOW);
        (health.state, health.reason, health.is_quarantine_near)
    }

    #[test]
    fn state_follows_from_the_newest_requests() {
        use {Reason as R, State as S};
        let forgotten = Entry { credential: "old".to_owned(), ..entry(1, "entra", 401) };
        let failures: Vec<Entry> = (0..5).map(|_| entry(1, "entra", 400)).collect();
        for (newest, requests, errors, expected) in [
            (vec![], 0, 0, (S::Never, R::NoRequest, false)),
            (vec![entry(10, "entra", 200)], 10, 1, (S::Ok, R::InStep, false)),
            (vec![entry(179, "entra", 200)], 10, 1, (S::Ok, R::InStep, false)),
            (vec![entry(181, "entra", 200)], 10, 1, (S::Silent, R::CyclesMissed, false)),
            (vec![entry(9_000, "okta", 200)], 0, 0, (S::Ok, R::InStep, false)),
            (vec![entry(1, "other", 401), entry(10, "entra", 200)], 10, 1, (S::Ok, R::InStep, false)),
            (vec![forgotten.clone(), entry(10, "entra", 200)], 10, 1, (S::Ok, R::InStep, false)),
            (
                vec![forgotten.clone(), entry(60, "entra", 200)],
                10,
                1,
                (S::Failing, R::CredentialRefused, true),
            ),
            (vec![entry(10, "entra", 401)], 10, 1, (S::Failing, R::CredentialRefused, true)),
            (vec![entry(10, "okta", 401)], 10, 1, (S::Failing, R::CredentialRefused, false)),
            (vec![entry(10, "entra", 403)], 10, 1, (S::Failing, R::NotPermitted, true)),
            (failures.clone(), 100, 5, (S::Failing, R::NewestFailed, false)),
            (failures[1..].to_vec(), 100, 4, (S::Ok, R::InStep, false)),
            (vec![entry(1, "okta", 200)], 10, 5, (S::Failing, R::MostFailed, false)),
            (vec![entry(1, "entra", 200)], 6_000, 2_500, (S::Failing, R::MostFailed, true)),
        ] {
            assert_eq!(of(requests, errors, &newest), expected, "{newest:?}");
        }
    }

    #[test]
    fn next_request_is_due_forty_minutes_after_one_of_entra() {
        let due = |newest: &[Entry]| health(&[], newest, NOW).next_due;
        assert_eq!(due(&[entry(0, "entra", 200)]).as_deref(), Some("2026-11-28T15:00:00.000Z"));
        assert_eq!(due(&[entry(0, "okta", 200)]), None);
        assert_eq!(due(&[]), None);
    }

    #[test]
    fn hours_before_the_last_day_do_not_count() {
        let hour = |hour: &str| Hour { hour: hour.to_owned(), requests: 1, ..Hour::default() };
        let hours = ["2026-11-27T13", "2026-11-27T14", "2026-11-28T14"].map(hour);
        assert_eq!(health(&hours, &[], NOW).requests, 2);
    }
}
