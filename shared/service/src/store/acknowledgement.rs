//! Acknowledgements: the product says up to which event it has applied the feed.
//!
//! The acknowledgement of an event that ends a person's access is kept as a proof, with what the product says that it has
//! ended.

use std::fmt::Write;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};
use tokio::time::{Duration, Instant};

use super::{
    bookmarks::EXPIRES,
    directory::Directory,
    feed::{ACKNOWLEDGED, FEED_PAGE, LAST, read_head, read_kept},
    items::string,
    table::CONCURRENCY,
    transaction::{Condition, Transaction},
    update::update_if,
};
use crate::{
    Error,
    clock::{parse_timestamp, timestamp, unix_millis},
    error::Reason,
    event::{Event, Subject},
    limits::ANSWER_RESERVE,
    telemetry::ACKNOWLEDGED as ACKNOWLEDGED_EVENT,
};

/// The time for which a proof is kept.
pub const PROOF_RETENTION: Duration = Duration::from_hours(400 * 24);

/// The types of events that end a person's access.
const ENDING: [&str; 2] = ["user.deactivated", "user.deleted"];

/// When the product acknowledged the event.
const ACKED: &str = "acked";
const EVENT: &str = "event";
const ENDED: &str = "ended";
const MILLIS: &str = "millis";

impl Directory {
    /// Records that the product has applied the feed up to a sequence number. `ended` is what the product has ended because
    /// of that event, such as the number of sessions. An acknowledgement up to an earlier event than the last one changes
    /// nothing. Returns the sequence number that is acknowledged then. It is smaller than the given one if the time of the
    /// request is not enough for the proofs of all events.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the feed does not reach so far. [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn acknowledge(&self, sequence: u64, ended: Option<&Map<String, Value>>) -> Result<u64, Error> {
        let head = read_head(self).await?;
        if sequence > head.released {
            return Err(Error::Conflict(format!(
                "The last event is {}, so {sequence} cannot be acknowledged. Read the feed again.",
                head.released
            )));
        }
        let mut acknowledged = head.acknowledged.unwrap_or_default();
        while acknowledged < sequence && Instant::now() + ANSWER_RESERVE < self.table.deadline {
            let events = read_kept(self, acknowledged, sequence, FEED_PAGE).await?;
            // The last page, or no event is kept any more.
            let until = match events.last().and_then(|event| event.sequence) {
                Some(last) if last < sequence => last,
                _ => sequence,
            };
            // Proofs are written before the acknowledgement, so that a process that is killed in between loses none.
            prove(self, &events, sequence, ended).await?;
            acknowledged = set_acknowledged(self, until).await?;
        }
        Ok(acknowledged)
    }
}

/// Moves the acknowledgement forward. Returns where it is then: two acknowledgements at the same time may meet.
pub(super) async fn set_acknowledged(directory: &Directory, sequence: u64) -> Result<u64, Error> {
    let later = Condition::expression(format!(
        "attribute_exists({LAST}) AND (attribute_not_exists({ACKNOWLEDGED}) OR {ACKNOWLEDGED} < :seq)"
    ));
    let value = AttributeValue::N(sequence.to_string());
    let key = directory.keys.feed_head();
    let expression = format!("SET {ACKNOWLEDGED} = :seq");
    if update_if(&directory.table, &key, expression, vec![(":seq", value)], later).await? {
        return Ok(sequence);
    }
    Ok(read_head(directory).await?.acknowledged.unwrap_or_default())
}

/// Writes the proofs of those events that end a person's access, and of the one of that number.
async fn prove(
    directory: &Directory,
    events: &[Event],
    sequence: u64,
    ended: Option<&Map<String, Value>>,
) -> Result<(), Error> {
    let mut work = Vec::new();
    for event in events {
        let ended = ended.filter(|_| event.sequence == Some(sequence));
        if ENDING.contains(&event.event_type.as_str()) || ended.is_some() {
            work.push(write_proof(directory, event, ended));
        }
    }
    stream::iter(work).buffer_unordered(CONCURRENCY).try_collect().await
}

/// Writes a proof. If it exists, its time stays.
async fn write_proof(
    directory: &Directory,
    event: &Event,
    ended: Option<&Map<String, Value>>,
) -> Result<(), Error> {
    let json = |value: Result<String, serde_json::Error>| {
        value.map_err(|_| Error::Internal("an acknowledgement is not JSON".to_owned()))
    };
    let now = directory.table.clock.now();
    let millis = unix_millis(now).saturating_sub(unix_millis(parse_timestamp(&event.time)?));
    // The proof has no name of the person.
    let resource = Subject::named(&event.resource.kind, &event.resource.id);
    let proof = Event { resource, before: None, after: None, ..event.clone() };
    let expires = now.unix_timestamp() + i64::try_from(PROOF_RETENTION.as_secs()).unwrap_or(i64::MAX);
    let mut expression = format!(
        "SET {ACKED} = if_not_exists({ACKED}, :acked), {MILLIS} = if_not_exists({MILLIS}, :millis), \
         {EVENT} = :event, {EXPIRES} = if_not_exists({EXPIRES}, :expires)"
    );
    let mut values = vec![
        (":acked", string(&timestamp(now)?)),
        (":millis", AttributeValue::N(millis.to_string())),
        (":event", AttributeValue::S(json(serde_json::to_string(&proof))?)),
        (":expires", AttributeValue::N(expires.to_string())),
    ];
    if let Some(ended) = ended {
        let _ = write!(expression, ", {ENDED} = :ended");
        values.push((":ended", AttributeValue::S(json(serde_json::to_string(ended))?)));
    }
    let mut transaction = Transaction::new();
    transaction.update(
        directory.keys.proof(event.sequence.unwrap_or_default()),
        expression,
        values,
        None,
        (),
    );
    transaction.send(&directory.table).await?.map_err(|_| Error::Unavailable(Reason::Conflicts))?;
    if ENDING.contains(&event.event_type.as_str()) {
        tracing::info!(
            name: ACKNOWLEDGED_EVENT,
            org = directory.org().as_str(),
            AcknowledgementTime = millis,
            "acknowledged"
        );
    }
    Ok(())
}
