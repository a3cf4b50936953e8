//! The feed: the events of an organisation in their final order, with a sequence number from 1 and without a gap.
//!
//! The head has the number of the last event, and of the last event that is released: readers and deliveries see no event
//! after that one. The sequencer alone writes events. DynamoDB deletes them after [`FEED_RETENTION`].

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Duration;

use super::{
    bookmarks::EXPIRES,
    directory::Directory,
    event_keys::feed_position,
    items::{Item, number, optional_number, text},
    key_range::KeyRange,
    keys::Key,
};
use crate::{Error, event::Event};

/// The time for which an event is kept.
pub const FEED_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The largest number of events in a page of the feed.
pub const FEED_PAGE: usize = 1_000;

/// The attribute of an event as JSON.
const EVENT: &str = "event";
/// The attribute of the head with the sequence number of the last event.
pub(super) const LAST: &str = "seq";
/// The attribute of the head with the sequence number of the last event that is released.
pub(super) const RELEASED: &str = "released";
/// The attribute of the head with the sequence number that the product has acknowledged.
pub(super) const ACKNOWLEDGED: &str = "acknowledged";

/// The head of a feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedHead {
    /// The sequence number of the last event. 0 if the feed has no event yet.
    pub last: u64,
    /// The sequence number of the last event that is released.
    pub released: u64,
    /// The sequence number up to which the product has acknowledged the events, if it has ever done so.
    pub acknowledged: Option<u64>,
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedPage {
    /// The events, and the sequence number of the last released one.
    Events {
        /// The events in order.
        events: Vec<Event>,
        /// The sequence number of the last event that is released.
        last: u64,
    },
    /// The next event is not kept any more, or the feed does not reach to the position that was read last.
    Gone,
}

impl Directory {
    /// Returns the released events after a sequence number, up to `limit` and 1 MB.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn feed(&self, after: u64, limit: usize) -> Result<FeedPage, Error> {
        read_feed(self, after, limit).await
    }
}

/// Reads the head of the feed.
pub(super) async fn read_head(directory: &Directory) -> Result<FeedHead, Error> {
    let head = directory.table.get(&directory.keys.feed_head()).await?;
    head.as_ref().map_or(Ok(FeedHead::default()), head_of)
}

/// Reads the released events after a sequence number.
pub(super) async fn read_feed(directory: &Directory, after: u64, limit: usize) -> Result<FeedPage, Error> {
    let head = read_head(directory).await?;
    if after > head.last {
        return Ok(FeedPage::Gone);
    }
    let last = head.released;
    if after >= last {
        return Ok(FeedPage::Events { events: Vec::new(), last });
    }
    let events = read_kept(directory, after, last, limit).await?;
    let is_gapless = (after + 1..).zip(&events).all(|(sequence, event)| event.sequence == Some(sequence));
    if events.is_empty() || !is_gapless { Ok(FeedPage::Gone) } else { Ok(FeedPage::Events { events, last }) }
}

/// Reads the events that are kept, after a sequence number and up to another one.
pub(super) async fn read_kept(
    directory: &Directory,
    after: u64,
    last: u64,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    let partition = directory.keys.feed_events();
    let between = (feed_position(after + 1), feed_position(last));
    let range = KeyRange::between(&partition, between).limit(limit.clamp(1, FEED_PAGE));
    let page = directory.table.query(range).await?;
    let now = directory.table.clock.now().unix_timestamp();
    let mut events = Vec::with_capacity(page.items.len());
    for item in &page.items {
        // DynamoDB deletes expired items some days late.
        if number(item, EXPIRES)? > now {
            events.push(event_of(item)?);
        }
    }
    Ok(events)
}

/// Returns the number of the last event in the feed, whatever the head says. A restored table may have another head.
pub(super) async fn read_last(directory: &Directory) -> Result<u64, Error> {
    let partition = directory.keys.feed_events();
    let between = (feed_position(0), feed_position(u64::MAX));
    let page = directory.table.query(KeyRange::between(&partition, between).backward(true).limit(1)).await?;
    page.items.first().map_or(Ok(0), |item| event_of(item).map(|event| event.sequence.unwrap_or_default()))
}

/// Reads the item of a head.
fn head_of(item: &Item) -> Result<FeedHead, Error> {
    let sequence = |name| {
        let number = optional_number(item, name)?.map(u64::try_from).transpose();
        number.map_err(|_| Error::Internal("the head of a feed cannot be read".to_owned()))
    };
    Ok(FeedHead {
        last: sequence(LAST)?.unwrap_or_default(),
        released: sequence(RELEASED)?.unwrap_or_default(),
        acknowledged: sequence(ACKNOWLEDGED)?,
    })
}

/// Returns the item of the head of a feed whose events are all released.
pub(super) fn head_item(last: u64) -> Item {
    let last = AttributeValue::N(last.to_string());
    Item::from([(LAST.to_owned(), last.clone()), (RELEASED.to_owned(), last)])
}

/// Returns the key and the item of an event in the feed. `now` is in seconds since 1970.
pub(super) fn event_item(
    directory: &Directory,
    sequence: u64,
    mut event: Event,
    now: i64,
) -> Result<(Key, Item), Error> {
    event.sequence = Some(sequence);
    let json =
        serde_json::to_string(&event).map_err(|_| Error::Internal("an event is not JSON".to_owned()))?;
    let expires = now + i64::try_from(FEED_RETENTION.as_secs()).unwrap_or(i64::MAX);
    let item = Item::from([
        (EVENT.to_owned(), AttributeValue::S(json)),
        (EXPIRES.to_owned(), AttributeValue::N(expires.to_string())),
    ]);
    Ok((directory.keys.feed_event(sequence), item))
}

fn event_of(item: &Item) -> Result<Event, Error> {
    serde_json::from_str(text(item, EVENT)?)
        .map_err(|_| Error::Internal("an event of the feed cannot be read".to_owned()))
}
