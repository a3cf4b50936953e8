//! A line on standard error that shows the progress of a command, on a terminal only.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use tokio::time::Instant;

/// The time between two updates of the line.
const INTERVAL: Duration = Duration::from_millis(200);

/// The line.
pub(crate) struct Progress {
    is_shown: bool,
    updated: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), updated: None }
    }

    /// Replaces the line, unless it is too soon.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if self.updated.is_none_or(|updated| updated.elapsed() >= INTERVAL) {
            self.show_now(text);
        }
    }

    /// Replaces the line.
    pub(crate) fn show_now(&mut self, text: impl FnOnce() -> String) {
        if !self.is_shown {
            return;
        }
        self.updated = Some(Instant::now());
        let _ = write!(io::stderr(), "\r\x1b[K{}", text());
    }

    /// Removes the line, before other output.
    pub(crate) fn clear(&mut self) {
        if self.updated.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
