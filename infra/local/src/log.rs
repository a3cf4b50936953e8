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
        Arc,
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
    /// The number of writes that have begun. A response waits for as many as it finds after its last call, so for each
    /// write that it may show.
    begun: AtomicU64,
    /// The number of writes that have ended.
    ended: AtomicU64,
    /// The number of writes that had ended before the last flush began. If others than the first ones have ended by then,
    /// they began after the response was made, and the flush covers all that it shows.
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
            // The log may contain what a killed process wrote and did not flush.
            begun: AtomicU64::new(1),
            ended: AtomicU64::new(1),
            flushed: AtomicU64::new(0),
            turn: AsyncMutex::new(()),
            file: File::open(path).map_err(without_log)?,
            flush: Box::new(flush),
            failure: watch::Sender::new(None),
        }))))
    }

    /// Makes a call of the engine, which may write.
    pub(crate) fn record<T>(&self, call: impl FnOnce() -> T) -> T {
        let Some(log) = &self.0 else { return call() };
        log.begun.fetch_add(1, Ordering::SeqCst);
        // A panic ends the write too.
        let _end = End(&log.ended);
        call()
    }

    /// Waits until all writes so far are on the disk. Never returns after a failed flush, because nothing is known about
    /// the log then.
    pub async fn flushed(&self) {
        let Some(log) = &self.0 else { return };
        let written = log.begun.load(Ordering::SeqCst);
        while log.flushed.load(Ordering::SeqCst) < written {
            let _turn = log.turn.lock().await;
            if log.flushed.load(Ordering::SeqCst) < written {
                log.flush().await;
            }
            if log.failure.borrow().is_some() {
                std::future::pending::<()>().await;
            }
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

/// Counts a write as ended when it is dropped.
struct End<'a>(&'a AtomicU64);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn without_log(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound {
        return io::Error::other("SQLite keeps no write-ahead log on this file system: use a local one");
    }
    error
}

impl Shared {
    /// Flushes all writes so far, unless a flush has failed. The operating system reports the error of a flush once, so a
    /// flush after it proves nothing. The result is kept even if the request ends meanwhile.
    async fn flush(self: &Arc<Self>) {
        let log = Arc::clone(self);
        let flush = move || {
            if log.failure.borrow().is_some() {
                return;
            }
            let written = log.ended.load(Ordering::SeqCst);
            match (log.flush)(&log.file) {
                Ok(()) => drop(log.flushed.fetch_max(written, Ordering::SeqCst)),
                Err(error) => drop(log.failure.send_replace(Some(error.to_string()))),
            }
        };
        if spawn_blocking(flush).await.is_err() {
            self.failure.send_replace(Some("the process is stopping".to_owned()));
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
