//! Acknowledgements: the product says up to which event it has applied the feed.
//!
//! The acknowledgement of an event that ends a person's access is kept as a proof, with what the product says that it has
//! ended.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use tokio::time::Duration;

use super::{
    bookmarks::EXPIRES,
    directory::Directory,
    feed::{ACKNOWLEDGED, FEED_PAGE, FeedPage, LAST, read_feed, read_head},
    items::{Item, string},
    table::put_request,
    transaction::Condition,
    update::update_if,
};
use crate::{
    Error,
    clock::{parse_timestamp, timestamp, unix_millis},
    event::Event,
    telemetry::ACKNOWLEDGED as ACKNOWLEDGED_EVENT,
};

/// The time for which a proof is kept.
pub const PROOF_RETENTION: Duration = Duration::from_hours(400 * 24);

/// The types of events that end a person's access.
const ENDING: [&str; 2] = ["user.deactivated", "user.deleted"];

const AT: &str = "at";
const EVENT: &str = "event";
const ENDED: &str = "ended";
const MILLIS: &str = "millis";

impl Directory {
    /// Records that the product has applied the feed up to a sequence number. `ended` is what the product has ended because
    /// of that event, such as the number of sessions. An acknowledgement up to an earlier event than the last one changes
    /// nothing. Returns the sequence number that is acknowledged then.
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
        if sequence <= head.acknowledged {
            return Ok(head.acknowledged);
        }
        self.prove(head.acknowledged, sequence, ended).await?;
        let number = |number: u64| AttributeValue::N(number.to_string());
        // Two acknowledgements at the same time: the later event counts.
        let later = Condition::expression(format!(
            "attribute_exists({LAST}) AND (attribute_not_exists({ACKNOWLEDGED}) OR {ACKNOWLEDGED} < :seq)"
        ));
        update_if(
            &self.table,
            &self.keys.feed_head(),
            format!("SET {ACKNOWLEDGED} = :seq"),
            vec![(":seq", number(sequence))],
            later,
        )
        .await?;
        Ok(sequence)
    }

    /// Writes the proofs of the events that end a person's access, after one number and up to another. Proofs are written
    /// before the acknowledgement, so that a process that is killed in between loses none.
    async fn prove(
        &self,
        mut after: u64,
        until: u64,
        ended: Option<&Map<String, Value>>,
    ) -> Result<(), Error> {
        while after < until {
            // Events that are not kept any more have no proof.
            let FeedPage::Events { events, .. } = read_feed(self, after, FEED_PAGE).await? else {
                return Ok(());
            };
            let mut writes = Vec::new();
            for event in events {
                let Some(sequence) = event.sequence.filter(|sequence| *sequence <= until) else { break };
                after = sequence;
                let ended = ended.filter(|_| sequence == until);
                if ENDING.contains(&event.event_type.as_str()) || ended.is_some() {
                    writes.push(self.proof(sequence, event, ended)?);
                }
            }
            self.table.write_all(writes).await?;
        }
        Ok(())
    }

    fn proof(
        &self,
        sequence: u64,
        event: Event,
        ended: Option<&Map<String, Value>>,
    ) -> Result<aws_sdk_dynamodb::types::WriteRequest, Error> {
        let json = |value: Result<String, serde_json::Error>| {
            value.map_err(|_| Error::Internal("an acknowledgement is not JSON".to_owned()))
        };
        let now = self.table.clock.now();
        let millis = unix_millis(now).saturating_sub(unix_millis(parse_timestamp(&event.time)?));
        if ENDING.contains(&event.event_type.as_str()) {
            tracing::info!(
                name: ACKNOWLEDGED_EVENT,
                org = self.org().as_str(),
                AcknowledgementTime = millis,
                "acknowledged"
            );
        }
        // The attributes of the person are not needed for the proof.
        let event = Event { before: None, after: None, ..event };
        let expires = now.unix_timestamp() + i64::try_from(PROOF_RETENTION.as_secs()).unwrap_or(i64::MAX);
        let mut item = Item::from([
            (AT.to_owned(), string(&timestamp(now)?)),
            (EVENT.to_owned(), AttributeValue::S(json(serde_json::to_string(&event))?)),
            (MILLIS.to_owned(), AttributeValue::N(millis.to_string())),
            (EXPIRES.to_owned(), AttributeValue::N(expires.to_string())),
        ]);
        if let Some(ended) = ended {
            item.insert(ENDED.to_owned(), AttributeValue::S(json(serde_json::to_string(ended))?));
        }
        put_request(&self.keys.proof(sequence), item)
    }
}
