//! The write-ahead log of the database on the disk: one flush for all writes that wait.
//!
//! The engine appends each write to the log `scim.db-wal`, and SQLite does not flush it (`synchronous = NORMAL`). A
//! response waits until the log is flushed up to the last write before it. This holds for reads too: no response shows
//! a write that a power cut could still undo. A flush serves all responses that wait when it begins. The log keeps the
//! order of writes, so a request with many writes waits once.

use std::{
    fmt,
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{Mutex as AsyncMutex, watch},
    task::spawn_blocking,
};

/// A function that flushes the log to the disk.
type Flush = dyn Fn(&File) -> io::Result<()> + Send + Sync;

/// The log of a database. Clones share it.
#[derive(Clone)]
pub struct Log(Option<Arc<Shared>>);

struct Shared {
    /// The number of writes. It is locked during each call of the engine, so that a call that sees a write also sees
    /// that it is counted. The engine carries out one call at a time anyway.
    written: Mutex<u64>,
    /// The number of writes that are on the disk.
    flushed: AtomicU64,
    /// Held by the response that flushes.
    turn: AsyncMutex<()>,
    file: File,
    flush: Box<Flush>,
    failure: watch::Sender<Option<String>>,
}

impl Log {
    /// Returns the log of a database in memory, which needs no flush.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Opens the log of the database in the file. The function flushes it.
    ///
    /// # Errors
    /// If the database has no log.
    pub fn open(
        database: &Path,
        flush: impl Fn(&File) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Ok(Self(Some(Arc::new(Shared {
            written: Mutex::new(0),
            flushed: AtomicU64::new(0),
            turn: AsyncMutex::new(()),
            file: File::open(Path::new(&path))?,
            flush: Box::new(flush),
            failure: watch::Sender::new(None),
        }))))
    }

    /// Makes a call of the engine. The function returns its result and whether it wrote.
    pub(crate) fn record<T>(&self, call: impl FnOnce() -> (T, bool)) -> T {
        let Some(log) = &self.0 else { return call().0 };
        let mut written = log.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, wrote) = call();
        *written += u64::from(wrote);
        result
    }

    /// Waits until all writes so far are on the disk. Never returns after a failed flush, because nothing is known about
    /// the log then.
    pub async fn flushed(&self) {
        let Some(log) = &self.0 else { return };
        let written = log.written();
        if log.is_flushed(written) {
            return;
        }
        let _turn = log.turn.lock().await;
        if !log.is_flushed(written) && !log.flush().await {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until a flush fails. Returns the error of the operating system.
    pub async fn failed(&self) -> String {
        let Some(log) = &self.0 else { return std::future::pending().await };
        match log.failure.subscribe().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(cause)) => cause.clone(),
            _ => std::future::pending().await,
        }
    }
}

impl Shared {
    fn written(&self) -> u64 {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_flushed(&self, written: u64) -> bool {
        self.flushed.load(Ordering::Acquire) >= written
    }

    /// Flushes all writes so far. Returns whether they are on the disk.
    async fn flush(self: &Arc<Self>) -> bool {
        let (log, written) = (Arc::clone(self), self.written());
        let flushed = spawn_blocking(move || (log.flush)(&log.file)).await;
        match flushed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => self.flushed.store(written, Ordering::Release),
            Err(error) => drop(self.failure.send_replace(Some(error.to_string()))),
        }
        self.is_flushed(written)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
