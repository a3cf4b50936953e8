//! The entries of the request log that wait for the writer, in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    auth::Org,
    request_log::{Action, Entry, Outcome},
};

/// The largest number of entries that wait. It exceeds that of a bulk request.
const CAPACITY: usize = 2_000;

/// The largest number of entries of refused requests of an organisation in a minute. Further ones are counted and not
/// written: an old key that a forgotten client still sends must not fill the log.
const REFUSED_IN_A_MINUTE: u32 = 60;
/// The number of characters of a time that name its minute.
const MINUTE: usize = "2026-11-28T14:05".len();
/// The number of organisations whose refused requests are counted.
const COUNTED: usize = 1_000;

/// An entry that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) org: Org,
    pub(super) entry: Entry,
    /// Whether the entry is an operation of a bulk request, which counts once.
    pub(super) is_part: bool,
    /// Whether the entry is written. Otherwise its request is only counted.
    pub(super) is_written: bool,
}

/// The entries that wait. Clones share them.
#[derive(Clone, Default)]
pub(super) struct RequestQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    writer: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// The number of entries that found no place.
    dropped: u64,
    has_writer: bool,
    /// The refused requests of each organisation in its latest minute.
    refused: HashMap<Org, (String, u32)>,
}

impl State {
    /// Returns whether the entry is one of the first refused requests of its minute, or was not refused.
    fn is_written(&mut self, org: &Org, entry: &Entry) -> bool {
        // A token request proves nothing if it fails, whatever its status.
        let is_refused = matches!(entry.status, 401 | 429)
            || entry.action == Action::TokenIssued && Outcome::of(entry.status) == Outcome::Failed;
        if !is_refused {
            return true;
        }
        if self.refused.len() >= COUNTED {
            self.refused.clear();
        }
        let minute: String = entry.at.chars().take(MINUTE).collect();
        let (latest, count) = self.refused.entry(org.clone()).or_default();
        if *latest != minute {
            (*latest, *count) = (minute, 0);
        }
        *count += 1;
        *count <= REFUSED_IN_A_MINUTE
    }
}

/// The next entries to write.
pub(super) struct Batch {
    pub(super) entries: Vec<Waiting>,
    /// The number of entries that found no place since the batch before.
    pub(super) dropped: u64,
}

impl RequestQueue {
    /// Adds an entry, unless the queue is full. Returns whether a writer has to be started.
    pub(super) fn push(&self, org: &Org, entry: Entry, is_part: bool) -> bool {
        let mut state = self.state();
        if state.waiting.len() < CAPACITY {
            let is_written = state.is_written(org, &entry);
            state.waiting.push_back(Waiting { org: org.clone(), entry, is_part, is_written });
        } else {
            state.dropped += 1;
        }
        !std::mem::replace(&mut state.has_writer, true)
    }

    /// Takes the next entries, at most `most`. If there are none, the writer ends.
    pub(super) fn take(&self, most: usize) -> Option<Batch> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.has_writer = false;
            return None;
        }
        let count = most.min(state.waiting.len());
        Some(Batch {
            entries: state.waiting.drain(..count).collect(),
            dropped: std::mem::take(&mut state.dropped),
        })
    }

    /// Waits until no other writer writes.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.writer.lock().await
    }

    /// Returns a guard of a writer. If the writer ends early, the next entry starts another one.
    pub(super) fn started(&self) -> Started<'_> {
        Started(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A writer that runs.
pub(super) struct Started<'a>(&'a RequestQueue);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().has_writer = false;
        }
    }
}
