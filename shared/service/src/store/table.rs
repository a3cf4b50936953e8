//! A DynamoDB table: one method for each shape of call that the store makes.
//!
//! Reads are strongly consistent. Queries carry a `Limit`, because the embedded engine reads the whole partition
//! without one. Unprocessed keys and items of a batch are sent again.
//!
//! The futures of the SDK are large, and those of a list contain many reads. Reads are on the heap, because they would not fit
//! on the stack of a thread.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, Select, WriteRequest},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Duration, Instant};

use super::{
    items::{Item, sort_key},
    key_range::{KeyRange, PAGE},
    keys::{Key, PK, Partition, SK},
    sdk_error::{failed, malformed},
};
use crate::{
    Error,
    clock::Clock,
    entropy::Entropy,
    error::{CallFailure, Reason},
};

/// The number of requests to DynamoDB that one request of a client has in flight at a time.
pub(super) const CONCURRENCY: usize = 16;
/// The largest number of keys in a BatchGetItem.
pub(super) const BATCH_GET: usize = 100;
/// The largest number of items in a BatchWriteItem.
const BATCH_WRITE: usize = 25;
/// The first pause of a [`Backoff`], before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The first pause after a lost answer, before jitter. A node that fails is replaced in about a second.
const LOST_ANSWER_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause of a [`Backoff`], before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between reads of an item that another request is about to change, before jitter.
const LONGEST_POLL: Duration = Duration::from_millis(200);

/// A table, for the length of one request.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) db: Client,
    pub(super) name: String,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    /// When the client of the request stops waiting: no call is repeated after it.
    pub(super) deadline: Instant,
}

/// The pauses between repeats of a call: doubled each time, jittered, ended by the deadline of the table.
pub(super) struct Backoff<'a> {
    table: &'a Table,
    /// Why the call is repeated.
    reason: Reason,
    next: Duration,
    longest: Duration,
}

/// A page of a query.
pub(super) struct QueryPage {
    pub(super) items: Vec<Item>,
    /// The number of items, even if only their count was requested.
    pub(super) count: usize,
    /// The key after which the next page begins. It may be present although no item follows.
    pub(super) next: Option<Item>,
}

impl<'a> Backoff<'a> {
    /// Makes the pauses after another writer was faster.
    pub(super) fn new(table: &'a Table) -> Self {
        Self { table, reason: Reason::Conflicts, next: FIRST_PAUSE, longest: LONGEST_PAUSE }
    }

    /// Makes the pauses after DynamoDB left a part of a batch undone.
    fn after_throttling(table: &'a Table) -> Self {
        Self { reason: Reason::DynamoDb(CallFailure::Throttled), ..Self::new(table) }
    }

    /// Makes the pauses between reads of an item that another request is about to change.
    pub(super) fn polling(table: &'a Table) -> Self {
        Self { longest: LONGEST_POLL, ..Self::new(table) }
    }

    /// Begins with a longer pause, for a call whose answer is lost.
    pub(super) fn after_lost_answer(table: &'a Table) -> Self {
        Self { next: LOST_ANSWER_PAUSE, ..Self::new(table) }
    }

    /// Waits before the next repeat.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the deadline is nearer than the pause is long.
    pub(super) async fn wait(&mut self) -> Result<(), Error> {
        let millis = u64::try_from(self.next.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(millis / 2 + self.table.entropy.below(millis));
        if Instant::now() + pause >= self.table.deadline {
            return Err(Error::Unavailable(self.reason));
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(self.longest);
        Ok(())
    }
}

impl Table {
    /// Returns the item of that key.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>, Error> {
        let get =
            self.db.get_item().table_name(&self.name).set_key(Some(key.attributes())).consistent_read(true);
        let answer = Box::pin(get.send()).await.map_err(|error| failed(&error))?;
        Ok(answer.item)
    }

    /// Returns the items of those keys that exist, in no order.
    pub(super) async fn get_all(&self, keys: &[Key]) -> Result<Vec<Item>, Error> {
        if let [key] = keys {
            return Ok(self.get(key).await?.into_iter().collect());
        }
        let batches: Vec<_> = keys.chunks(BATCH_GET).map(|keys| self.get_batch(keys, None)).collect();
        let found: Vec<Vec<Item>> = stream::iter(batches).buffered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns the sort keys of those items that exist.
    pub(super) async fn existing(&self, keys: &[Key]) -> Result<Vec<String>, Error> {
        // The keys of a batch are encoded when its turn comes: those of a hundred thousand items take 60 MB.
        let batches: Vec<_> = keys.chunks(BATCH_GET).map(|keys| self.existing_batch(keys)).collect();
        let found: Vec<Vec<String>> = stream::iter(batches).buffered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns the sort keys of those items that exist, of one batch.
    pub(super) async fn existing_batch(&self, keys: &[Key]) -> Result<Vec<String>, Error> {
        let items = self.get_batch(keys, Some(SK)).await?;
        items.iter().map(|item| sort_key(item).map(str::to_owned)).collect()
    }

    /// Returns the named attributes of the items of one batch that exist, or all attributes.
    pub(super) async fn get_batch(&self, keys: &[Key], attributes: Option<&str>) -> Result<Vec<Item>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        let mut unread = Some(keys.iter().map(Key::attributes).collect::<Vec<Item>>());
        let mut backoff = Backoff::after_throttling(self);
        while let Some(keys) = unread {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .set_projection_expression(attributes.map(str::to_owned))
                .build()
                .map_err(|_| malformed())?;
            let get = self.db.batch_get_item().request_items(&self.name, request);
            let answer = Box::pin(get.send()).await.map_err(|error| failed(&error))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            unread = answer
                .unprocessed_keys
                .and_then(|mut left| left.remove(&self.name))
                .map(|left| left.keys)
                .filter(|keys| !keys.is_empty());
            if unread.is_some() {
                backoff.wait().await?;
            }
        }
        Ok(found)
    }

    /// Puts and deletes items, in no order and not as one: for items that no reader sees yet, or sees any more.
    pub(super) async fn write_all(&self, writes: Vec<WriteRequest>) -> Result<(), Error> {
        let batches: Vec<_> =
            writes.chunks(BATCH_WRITE).map(|chunk| self.write_batch(chunk.to_vec())).collect();
        stream::iter(batches).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    async fn write_batch(&self, writes: Vec<WriteRequest>) -> Result<(), Error> {
        let mut unwritten = Some(writes);
        let mut backoff = Backoff::after_throttling(self);
        while let Some(writes) = unwritten {
            let answer = self
                .db
                .batch_write_item()
                .request_items(&self.name, writes)
                .send()
                .await
                .map_err(|error| failed(&error))?;
            unwritten = answer
                .unprocessed_items
                .and_then(|mut left| left.remove(&self.name))
                .filter(|left| !left.is_empty());
            if unwritten.is_some() {
                backoff.wait().await?;
            }
        }
        Ok(())
    }

    /// Puts one item without a condition.
    pub(super) async fn put(&self, key: &Key, mut item: Item) -> Result<(), Error> {
        item.extend(key.attributes());
        let put = self.db.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| failed(&error))
    }

    /// Reads one page of a query.
    pub(super) async fn query(&self, range: KeyRange<'_>) -> Result<QueryPage, Error> {
        let limit = i32::try_from(range.limit).unwrap_or(i32::MAX);
        let mut query = self
            .db
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .limit(limit)
            .scan_index_forward(!range.backward)
            .set_exclusive_start_key(range.after)
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", AttributeValue::S(range.partition.as_str().to_owned()));
        query = match range.between {
            None => query.key_condition_expression("#pk = :pk"),
            Some((from, to)) => query
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":from", AttributeValue::S(from))
                .expression_attribute_values(":to", AttributeValue::S(to)),
        };
        if range.count_only {
            query = query.select(Select::Count);
        }
        let answer = Box::pin(query.send()).await.map_err(|error| failed(&error))?;
        let negative = |_| Error::Internal("DynamoDB answered a negative count".to_owned());
        Ok(QueryPage {
            count: usize::try_from(answer.count).map_err(negative)?,
            items: answer.items.unwrap_or_default(),
            next: answer.last_evaluated_key,
        })
    }

    /// Reads every item of a range.
    pub(super) async fn query_all(&self, range: KeyRange<'_>) -> Result<Vec<Item>, Error> {
        self.query_each(range, Ok).await
    }

    /// Reads every item of a range, and converts each. The smallest item takes 500 bytes.
    pub(super) async fn query_each<T>(
        &self,
        range: KeyRange<'_>,
        convert: impl Fn(Item) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.query(range.clone().after(after)).await?;
            for item in page.items {
                all.push(convert(item)?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Reads every item whose partition key begins with the prefix, apart from one partition. Scans the whole table: for
    /// operators only.
    pub(super) async fn scan_prefix(
        &self,
        prefix: &str,
        without: Option<&Partition>,
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut after: Option<Item> = None;
        loop {
            let (page, next) = self.scan(prefix, without, false, after).await?;
            items.extend(page);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Reads a page of such a scan, or the keys of its items. Returns also the key after which the next page begins.
    pub(super) async fn scan_page(
        &self,
        prefix: &str,
        keys_only: bool,
        after: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), Error> {
        self.scan(prefix, None, keys_only, after).await
    }

    async fn scan(
        &self,
        prefix: &str,
        without: Option<&Partition>,
        keys_only: bool,
        after: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), Error> {
        let scan = self
            .db
            .scan()
            .table_name(&self.name)
            .consistent_read(true)
            .limit(i32::try_from(PAGE).unwrap_or(i32::MAX))
            .set_projection_expression(keys_only.then(|| format!("{PK}, {SK}")))
            .filter_expression("begins_with(#pk, :prefix) AND #pk <> :without")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
            .expression_attribute_values(
                ":without",
                // No item has this key.
                AttributeValue::S(
                    without.map_or_else(|| "#".to_owned(), |without| without.as_str().to_owned()),
                ),
            )
            .set_exclusive_start_key(after);
        let answer = Box::pin(scan.send()).await.map_err(|error| failed(&error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

/// Makes a put for [`Table::write_all`].
pub(super) fn put_request(key: &Key, mut item: Item) -> Result<WriteRequest, Error> {
    item.extend(key.attributes());
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(|_| malformed())?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// Makes a deletion for [`Table::write_all`].
pub(super) fn delete_request(key: &Key) -> Result<WriteRequest, Error> {
    let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build().map_err(|_| malformed())?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}
