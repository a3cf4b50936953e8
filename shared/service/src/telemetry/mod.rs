//! Logging: one JSON line for each request, which is also a metric in a deployed stack.
//!
//! Lines have no personal data: no path with ids, no query with names, no body, no key, and no text of the client. A panic
//! is logged with its location and without its message.

mod client;
mod emf;
mod json_line;
mod notes;
mod recorded;
mod request;

use std::{
    io,
    panic::{self, PanicHookInfo},
};

use tracing::{Level, Subscriber};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt};

pub(crate) use client::client;
pub(crate) use emf::{ACKNOWLEDGED, EXPIRING, SEQUENCED, SWEEP, UNLIMITED};
pub(crate) use notes::{Answered, Detail, Notes, Part};
pub(crate) use request::{Cause, PresentedKey, RequestRecord, known_method, record_request};
pub use request::{RequestId, log_request};

use crate::{clock::Clock, config};
use json_line::JsonLines;

/// The environment variable with the level of the log. The default is `info`. Only events of this service are logged,
/// because dependencies log requests, which hold data. A level above `info` also turns off the metrics.
pub const LOG: &str = "SCIM_LOG";

/// Starts logging to `writer`, with the level and the stack of the environment. A process calls this once.
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "only main functions call it")]
pub fn init<W: io::Write + 'static>(writer: fn() -> W) {
    let level = config::env(LOG).map(|level| level.parse());
    let is_unknown = matches!(level, Some(Err(_)));
    let level = level.and_then(Result::ok).unwrap_or(Level::INFO);
    let subscriber = subscriber(level, config::env(config::STACK), Clock::system(), writer);
    tracing::subscriber::set_global_default(subscriber).expect("a process initialises logging once");
    panic::set_hook(Box::new(log_panic));
    if is_unknown {
        tracing::warn!("{LOG} is not a log level, so the level is info");
    }
}

/// Logs the location of a panic. The message may hold data and is not logged.
pub fn log_panic(info: &PanicHookInfo<'_>) {
    tracing::error!(place = info.location().map(tracing::field::display), "panic");
}

/// Returns a subscriber that writes events of at least this level as lines. With the name of a stack, lines are metrics
/// too.
pub fn subscriber<W: io::Write + 'static>(
    level: Level,
    stack: Option<String>,
    clock: Clock,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let ours = Targets::new()
        .with_target("service", level)
        .with_target("local", level)
        .with_target("console", level);
    tracing_subscriber::registry().with(JsonLines { stack, clock, writer }).with(ours)
}
