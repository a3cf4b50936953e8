//! The writer of the request log.
//!
//! A request adds its entry to a queue in memory once its response is decided, and never waits for the writer. The writer
//! is a task that takes the entries of several requests at a time, and ends when none is left. It writes the entries with
//! one BatchWriteItem, and counts them in the items of their hours at the same time. The entries are written a second time
//! after a failure, and the counts are not. If both writes fail, the log may lack these entries, and a line of the
//! function's log says so.
//!
//! The queue is lost with its process. Lambda freezes an execution environment soon after the response is sent. The calls
//! have usually left by then. A call that has not left is sent when the next request thaws the environment. It is lost if
//! Lambda ends the environment before. An hour may count a request twice if an answer of DynamoDB is lost.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::{FutureExt, future::join_all};
use scim::ResourceKind;
use tokio::time::{Duration, Instant, timeout};

use super::{
    bookmarks::EXPIRES,
    counts::counts,
    directory::Store,
    items::Item,
    keys::{Key, Keys},
    request_queue::Waiting,
    sdk_error::failed,
    table::{Table, put_request},
};
use crate::{
    Error,
    auth::Org,
    error::{CallFailure, Reason},
    request_log::{Action, Entry, Outcome, RETENTION},
};

/// The number of entries that are written side by side, in several BatchWriteItem calls.
const BATCH: usize = 500;
/// The time for the writes of a batch. Entries that wait meanwhile may find no place.
const WRITE_BUDGET: Duration = Duration::from_secs(5);

/// The JSON text of an entry.
pub(super) const ENTRY: &str = "entry";
/// The number of requests in an hour.
pub(super) const REQUESTS: &str = "n";
/// The number of those that failed.
pub(super) const ERRORS: &str = "bad";
/// The number of active users in an hour.
pub(super) const PEOPLE: &str = "people";
/// The number of characters of a time that name its hour.
pub(super) const HOUR: usize = "2026-11-28T14".len();

/// The requests of an organisation in an hour that a batch has.
#[derive(Default)]
struct Sum {
    requests: u64,
    errors: u64,
    /// Whether a function that reads resources has served one of them. The functions of tokens and of discovery may not.
    may_count: bool,
}

impl Store {
    /// Returns the store with or without the request log. A new store records no requests.
    #[must_use]
    pub fn with_request_log(self, is_recorded: bool) -> Self {
        Self { recorded: is_recorded.then(Default::default), ..self }
    }

    /// Returns whether requests are recorded.
    pub(crate) fn records_requests(&self) -> bool {
        self.recorded.is_some()
    }

    /// Adds an entry to the request log. An operation of a bulk request is a part of the request, which counts once.
    pub(crate) fn record_request(&self, org: &Org, entry: Entry, is_part: bool) {
        let Some(queue) = &self.recorded else { return };
        if queue.push(org, entry, is_part) {
            let store = self.clone();
            tokio::spawn(async move { store.flush_request_log().await });
        }
    }

    /// Writes the entries that wait, and returns once all are written or given up.
    pub async fn flush_request_log(&self) {
        let Some(queue) = &self.recorded else { return };
        let _turn = queue.turn().await;
        let _started = queue.started();
        while let Some(batch) = queue.take(BATCH) {
            if batch.dropped > 0 {
                tracing::warn!(
                    entries = batch.dropped,
                    "the request log lacks entries, because too many waited"
                );
            }
            if let Err(error) = write(self, &batch.entries).await {
                let entries = batch.entries.len();
                tracing::warn!(entries, cause = error.cause(), "the request log may lack entries");
            }
        }
    }
}

/// Writes the entries and counts them. Only the entries are written again after a failure, because a count would count
/// twice.
async fn write(store: &Store, batch: &[Waiting]) -> Result<(), Error> {
    let table = store.request_table(Instant::now() + WRITE_BUDGET);
    let expires = expiry(store);
    let mut puts = Vec::with_capacity(batch.len());
    let mut sums: BTreeMap<(Org, String), Sum> = BTreeMap::new();
    for Waiting { org, entry, is_part, is_written } in batch {
        if *is_written {
            let [log, _] = Keys::request_log(org);
            puts.push(put_request(&log.key(&entry.id), to_item(entry, &expires)?)?);
        }
        if !is_part {
            let hour = entry.at.chars().take(HOUR).collect();
            let sum = sums.entry((org.clone(), hour)).or_default();
            sum.requests += 1;
            sum.errors += u64::from(Outcome::of(entry.status) == Outcome::Failed);
            sum.may_count |=
                !matches!(entry.action, Action::TokenIssued | Action::DiscoveryRead | Action::Other);
        }
    }
    // Lambda may freeze the process before the first answer, so no call waits for another.
    let counts = sums.iter().map(|((org, hour), sum)| count(store, &table, (org, hour), sum, &expires));
    let (written, counted) =
        tokio::join!(in_time(table.write_all(puts.clone())), in_time(join_all(counts).map(Ok)));
    let counted = counted.and_then(|counted| counted.into_iter().collect());
    if written.is_ok() {
        return counted;
    }
    // The time of the first attempt goes on while the process is frozen.
    let table = store.request_table(Instant::now() + WRITE_BUDGET);
    in_time(table.write_all(puts)).await.and(counted)
}

async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = Error::Unavailable(Reason::DynamoDb(CallFailure::Timeout));
    timeout(WRITE_BUDGET, Box::pin(work)).await.unwrap_or(Err(late))
}

/// Returns the time at which DynamoDB deletes what is written now.
fn expiry(store: &Store) -> AttributeValue {
    AttributeValue::N((store.clock.now() + RETENTION).unix_timestamp().to_string())
}

fn to_item(entry: &Entry, expires: &AttributeValue) -> Result<Item, Error> {
    let json = serde_json::to_string(entry)
        .map_err(|_| Error::Internal("an entry of the request log is not JSON".to_owned()))?;
    Ok(Item::from([(ENTRY.to_owned(), AttributeValue::S(json)), (EXPIRES.to_owned(), expires.clone())]))
}

/// Counts the requests in the item of their hour. A new item gets the number of active users too.
async fn count(
    store: &Store,
    table: &Table,
    (org, hour): (&Org, &str),
    sum: &Sum,
    expires: &AttributeValue,
) -> Result<(), Error> {
    let [_, hours] = Keys::request_log(org);
    let key = hours.key(hour);
    let number = |number: u64| AttributeValue::N(number.to_string());
    let expression = format!("ADD {REQUESTS} :requests, {ERRORS} :errors SET {EXPIRES} = :expires");
    let values =
        [(":requests", number(sum.requests)), (":errors", number(sum.errors)), (":expires", expires.clone())];
    let counted = update(table, &key, expression, values.into()).await?;
    if sum.may_count && !counted.contains_key(PEOPLE) {
        let users = counts(&store.as_operator(org), &[ResourceKind::User]).await?;
        let people = users.total.saturating_sub(users.inactive);
        update(table, &key, format!("SET {PEOPLE} = :people"), vec![(":people", number(people))]).await?;
    }
    Ok(())
}

/// Updates an item without a condition. Returns the item after the update.
async fn update(
    table: &Table,
    key: &Key,
    expression: String,
    values: Vec<(&'static str, AttributeValue)>,
) -> Result<Item, Error> {
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let update = table
        .db
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key.attributes()))
        .update_expression(expression)
        .set_expression_attribute_values(Some(values))
        .return_values(ReturnValue::AllNew);
    let answer = Box::pin(update.send()).await.map_err(|error| failed(&error))?;
    Ok(answer.attributes.unwrap_or_default())
}
