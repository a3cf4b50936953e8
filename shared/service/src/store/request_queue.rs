//! The entries of the request log that wait for the writer, in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{auth::Org, request_log::Entry};

/// The largest number of entries that wait. It exceeds that of a bulk request.
const CAPACITY: usize = 2_000;

/// An entry that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) org: Org,
    pub(super) entry: Entry,
    /// Whether the entry is an operation of a bulk request, which counts once.
    pub(super) is_part: bool,
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
}

/// The next entries to write.
pub(super) struct Batch {
    pub(super) entries: Vec<Waiting>,
    /// The number of entries that found no place since the batch before.
    pub(super) dropped: u64,
}

impl RequestQueue {
    /// Adds an entry, unless the queue is full. Returns whether a writer has to be started.
    pub(super) fn push(&self, entry: Waiting) -> bool {
        let mut state = self.state();
        if state.waiting.len() < CAPACITY {
            state.waiting.push_back(entry);
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
