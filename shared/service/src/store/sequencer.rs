//! The sequencer: moves the events of an organisation from the outbox to its feed, in the order of their ids.
//!
//! A query is no snapshot: an event may be committed at a place that the query has passed. Its id is greater than those of
//! the events that it depends on, so a reading may contain an event and lack its cause only if the cause was committed
//! during the reading. The sequencer therefore reads until two readings in a row agree. One transaction then moves the
//! events. Its conditions are that the head is as it was read, and that the outbox has the events. If two sequencers run at
//! the same time, one fails and begins again.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

use super::{
    directory::{Directory, Store},
    event_keys::outbox_shards,
    feed::{FeedHead, LAST, RELEASED, event_item, read_head, read_last},
    items::{Item, sort_key},
    key_range::KeyRange,
    keys::{Key, Keys, Partition, org_and_change},
    outbox::events_of,
    table::Backoff,
    transaction::{Condition, MAX_ACTIONS, Transaction},
};
use crate::{
    Error,
    auth::{Caller, Org},
    event::Event,
    limits::OPERATOR_BUDGET,
};

/// The items of the outbox in a reading.
const READING: usize = MAX_ACTIONS / 2;

/// A condition of the transaction that moves events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// The head is as it was read, the outbox has the item, and the feed lacks the event.
    AsRead,
}

/// The events of an item of the outbox.
struct Outgoing {
    key: Key,
    events: Vec<Event>,
}

impl Store {
    /// Returns the organisations that have events in the outbox, with one query for each of its partitions and one for each
    /// organisation. Organisations without events are not visited.
    pub fn orgs_with_events(&self) -> impl Stream<Item = Result<Org, Error>> + '_ {
        stream::iter(outbox_shards()).flat_map(|shard| {
            // `#` precedes every character of a name.
            let start = Some((shard, "#".to_owned()));
            stream::try_unfold(start, |position| async {
                let Some((shard, after)) = position else { return Ok(None) };
                let found = self.next_org(&shard, &after).await?;
                // `$` follows `#`, so the next search begins after the events of the organisation.
                Ok(found.map(|org| {
                    let after = format!("{org}$");
                    (org, Some((shard, after)))
                }))
            })
            .boxed()
        })
    }

    async fn next_org(&self, shard: &Partition, after: &str) -> Result<Option<Org>, Error> {
        let table = self.resource_table(Instant::now() + OPERATOR_BUDGET);
        // `{` follows every character of a name.
        let range = KeyRange::between(shard, (after.to_owned(), "{".to_owned())).limit(1);
        let page = table.query(range).await?;
        let Some(item) = page.items.first() else { return Ok(None) };
        let org = org_of_outbox(sort_key(item)?);
        org.map(Some).ok_or_else(|| Error::Internal("a key of the outbox cannot be read".to_owned()))
    }

    /// Moves the events of an organisation to its feed until the outbox has none, or until that time. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. [`Error::Internal`] if the feed cannot be
    /// continued. Events that were moved stay.
    pub async fn sequence(&self, org: &Org, until: Instant) -> Result<u64, Error> {
        let directory = self.directory(&Caller::operator(org.clone()).until(until));
        let (mut moved, mut backoff) = (0, Backoff::new(&directory.table));
        while Instant::now() < until {
            // The head is read before the outbox. If it is the same afterwards, no other sequencer has moved what was read.
            let head = read_head(&directory).await?;
            let reading = agreed_reading(&directory, org).await?;
            if reading.is_empty() {
                break;
            }
            if let Some(more) = move_events(&directory, head, reading).await? {
                moved += more;
            } else {
                backoff.wait().await?;
                if read_head(&directory).await? == head {
                    correct_head(&directory, head).await?;
                }
            }
        }
        Ok(moved)
    }
}

/// Moves a head to the end of its feed. A table that was restored in part may have events after its head.
///
/// # Errors
/// [`Error::Internal`] if the head is at the end already: then another reason keeps the events from being moved.
async fn correct_head(directory: &Directory, head: FeedHead) -> Result<(), Error> {
    let last = read_last(directory).await?;
    if last <= head.last {
        return Err(Error::Internal("the feed of an organisation cannot be continued".to_owned()));
    }
    let mut transaction = Transaction::new();
    advance(directory, &mut transaction, head, last);
    // If the condition fails, another sequencer has moved the head.
    transaction.send(&directory.table).await.map(|_| ())
}

/// Returns the organisation that the sort key of an item of the outbox names.
#[must_use]
pub fn org_of_outbox(sort_key: &str) -> Option<Org> {
    org_and_change(sort_key).and_then(|(org, _)| org.parse().ok())
}

/// Reads the beginning of the outbox until two readings in a row agree.
async fn agreed_reading(directory: &Directory, org: &Org) -> Result<Vec<Outgoing>, Error> {
    let partition = Keys::outbox(org);
    let range = KeyRange::between(&partition, Keys::outbox_range(org)).limit(READING);
    let read = async || {
        let page = directory.table.query(range.clone()).await?;
        page.items.iter().map(|item| outgoing(&partition, item)).collect::<Result<Vec<_>, Error>>()
    };
    let mut first = read().await?;
    let mut backoff = Backoff::new(&directory.table);
    while !first.is_empty() {
        let second = read().await?;
        if agree(&first, &second) {
            break;
        }
        first = second;
        backoff.wait().await?;
    }
    Ok(first)
}

/// Returns whether the second reading has the same items as the first, up to the last item of the first.
fn agree(first: &[Outgoing], second: &[Outgoing]) -> bool {
    let Some(last) = first.last() else { return true };
    let keys = |reading: &[Outgoing]| {
        let until = reading.iter().filter(|item| item.key <= last.key);
        until.map(|item| item.key.clone()).collect::<BTreeSet<_>>()
    };
    keys(first) == keys(second)
}

fn outgoing(partition: &Partition, item: &Item) -> Result<Outgoing, Error> {
    Ok(Outgoing { key: partition.key(sort_key(item)?), events: events_of(item)? })
}

/// Moves the first events of a reading, as many as fit one transaction. Returns their number, or `None` if a condition fails.
async fn move_events(
    directory: &Directory,
    head: FeedHead,
    reading: Vec<Outgoing>,
) -> Result<Option<u64>, Error> {
    let now = directory.table.clock.now().unix_timestamp();
    let mut transaction = Transaction::new();
    let mut last = head.last;
    for Outgoing { key, events } in reading {
        // The head takes one action. A reading has at most 1 MB, and a transaction may have 4 MB.
        if transaction.len() + 1 + events.len() >= MAX_ACTIONS {
            break;
        }
        transaction.delete(key, Condition::exists(), Guard::AsRead);
        for event in events {
            last += 1;
            let (key, item) = event_item(directory, last, event, now)?;
            transaction.put(key, item, Condition::absent(), Guard::AsRead);
        }
    }
    advance(directory, &mut transaction, head, last);
    match transaction.send(&directory.table).await? {
        Ok(()) => Ok(Some(last - head.last)),
        Err(_) => Ok(None),
    }
}

/// Adds the action that moves the head.
fn advance(directory: &Directory, transaction: &mut Transaction<Guard>, head: FeedHead, last: u64) {
    let number = |number: u64| AttributeValue::N(number.to_string());
    let condition = if head.last == 0 {
        Condition::expression(format!("attribute_not_exists({LAST})"))
    } else {
        Condition::expression(format!("{LAST} = :was")).with_value(":was", number(head.last))
    };
    transaction.update(
        directory.keys.feed_head(),
        format!("SET {LAST} = :last, {RELEASED} = :last"),
        vec![(":last", number(last))],
        condition,
        Guard::AsRead,
    );
}
