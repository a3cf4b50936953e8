//! The calls to DynamoDB: one method for each shape of call that the store makes.
//!
//! Reads are strongly consistent, queries carry a `Limit` (the embedded engine reads the whole partition otherwise),
//! and what DynamoDB leaves unprocessed is asked for again. SDK errors become [`Error`] here and nowhere else: their
//! messages echo items, so only their codes are kept.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, Select, WriteRequest},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Duration, Instant};

use super::{
    CONCURRENCY, Directory, Store,
    items::{Item, sort_key},
    keys::{Key, PK, Partition, SK},
};
use crate::Error;

/// Items a page of a query reads at most.
pub(super) const PAGE: usize = 1_000;
/// What BatchGetItem takes.
const BATCH_GET: usize = 100;
/// What BatchWriteItem takes.
const BATCH_WRITE: usize = 25;

/// Waits between repeats: doubled each time, jittered, ended by the request's budget.
pub(super) struct Backoff {
    next: Duration,
    deadline: Instant,
}

impl Backoff {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { next: Duration::from_millis(10), deadline }
    }

    /// Waits, or says that there is no time left.
    pub(super) async fn wait(&mut self, store: &Store) -> Result<(), Error> {
        let millis = u64::try_from(self.next.as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(millis / 2 + store.entropy.below(millis));
        if Instant::now() + pause >= self.deadline {
            return Err(Error::Unavailable);
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(Duration::from_secs(1));
        Ok(())
    }
}

/// A page of a query.
pub(super) struct Rows {
    pub(super) items: Vec<Item>,
    /// How many items there were, also where only the count was asked for.
    pub(super) count: usize,
    /// Where the next page begins. There may be one even where nothing follows.
    pub(super) next: Option<Item>,
}

/// A query: a partition, a range of it, and where to begin.
#[derive(Clone)]
pub(super) struct Range<'a> {
    partition: &'a Partition,
    between: Option<(String, String)>,
    after: Option<Item>,
    limit: usize,
    count_only: bool,
    backward: bool,
}

impl<'a> Range<'a> {
    pub(super) fn all(partition: &'a Partition) -> Self {
        Self { partition, between: None, after: None, limit: PAGE, count_only: false, backward: false }
    }

    pub(super) fn between(partition: &'a Partition, ends: (String, String)) -> Self {
        Self::within(partition, Some(ends))
    }

    /// The items between these sort keys, both included, or all.
    pub(super) fn within(partition: &'a Partition, between: Option<(String, String)>) -> Self {
        Self { between, ..Self::all(partition) }
    }

    pub(super) fn after(self, after: Option<Item>) -> Self {
        Self { after, ..self }
    }

    pub(super) fn limit(self, limit: usize) -> Self {
        Self { limit: limit.clamp(1, PAGE), ..self }
    }

    /// The last first.
    pub(super) fn backward(self, backward: bool) -> Self {
        Self { backward, ..self }
    }

    pub(super) fn count_only(self) -> Self {
        Self { count_only: true, ..self }
    }
}

impl Store {
    /// The item of that key.
    pub(super) async fn get(&self, table: &str, key: &Key) -> Result<Option<Item>, Error> {
        let answer = self
            .db
            .get_item()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        Ok(answer.item)
    }

    /// The items of those keys that exist, in no order; of each, the attributes named, or all.
    pub(super) async fn get_all(
        &self,
        table: &str,
        keys: &[Key],
        attributes: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Item>, Error> {
        let batches: Vec<_> = keys
            .chunks(BATCH_GET)
            .map(|chunk| {
                self.get_batch(table, chunk.iter().map(Key::attributes).collect(), attributes, deadline)
            })
            .collect();
        let found: Vec<Vec<Item>> = stream::iter(batches).buffered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn get_batch(
        &self,
        table: &str,
        keys: Vec<Item>,
        attributes: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Item>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        let mut wanted = Some(keys);
        let mut backoff = Backoff::until(deadline);
        while let Some(keys) = wanted {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .set_projection_expression(attributes.map(str::to_owned))
                .build()
                .map_err(|_| malformed())?;
            let answer = self
                .db
                .batch_get_item()
                .request_items(table, request)
                .send()
                .await
                .map_err(|error| failed(&error))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            wanted = answer
                .unprocessed_keys
                .and_then(|mut left| left.remove(table))
                .map(|left| left.keys)
                .filter(|keys| !keys.is_empty());
            if wanted.is_some() {
                backoff.wait(self).await?;
            }
        }
        Ok(found)
    }

    /// Puts and deletes, in no order and not as one: for what no reader can see yet, or any more.
    pub(super) async fn write_all(
        &self,
        table: &str,
        writes: Vec<WriteRequest>,
        deadline: Instant,
    ) -> Result<(), Error> {
        let batches: Vec<_> = writes
            .chunks(BATCH_WRITE)
            .map(|chunk| self.write_batch(table, chunk.to_vec(), deadline))
            .collect();
        stream::iter(batches).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    async fn write_batch(
        &self,
        table: &str,
        writes: Vec<WriteRequest>,
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut wanted = Some(writes);
        let mut backoff = Backoff::until(deadline);
        while let Some(writes) = wanted {
            let answer = self
                .db
                .batch_write_item()
                .request_items(table, writes)
                .send()
                .await
                .map_err(|error| failed(&error))?;
            wanted = answer
                .unprocessed_items
                .and_then(|mut left| left.remove(table))
                .filter(|left| !left.is_empty());
            if wanted.is_some() {
                backoff.wait(self).await?;
            }
        }
        Ok(())
    }

    /// Puts one item, whatever was there.
    pub(super) async fn put(&self, table: &str, key: &Key, mut item: Item) -> Result<(), Error> {
        item.extend(key.attributes());
        let put = self.db.put_item().table_name(table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| failed(&error))
    }

    /// One page of a query.
    pub(super) async fn query(&self, table: &str, range: Range<'_>) -> Result<Rows, Error> {
        let limit = i32::try_from(range.limit).unwrap_or(i32::MAX);
        let mut query = self
            .db
            .query()
            .table_name(table)
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
        let answer = query.send().await.map_err(|error| failed(&error))?;
        Ok(Rows {
            count: usize::try_from(answer.count).unwrap_or_default(),
            items: answer.items.unwrap_or_default(),
            next: answer.last_evaluated_key,
        })
    }

    /// Every item of a range.
    pub(super) async fn query_all(&self, table: &str, range: Range<'_>) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let rows = self.query(table, range.clone().after(after)).await?;
            items.extend(rows.items);
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Every item whose partition key begins with the prefix. Reads the whole table: for the operator only.
    pub(super) async fn scan_prefix(&self, table: &str, prefix: &str) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut after: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let answer = self
                .db
                .scan()
                .table_name(table)
                .consistent_read(true)
                .limit(i32::try_from(PAGE).unwrap_or(i32::MAX))
                .filter_expression("begins_with(#pk, :prefix)")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| failed(&error))?;
            items.extend(answer.items.unwrap_or_default());
            match answer.last_evaluated_key {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }
}

impl Directory {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>, Error> {
        self.store.get(&self.store.tables.resources, key).await
    }

    pub(super) async fn get_all(&self, keys: &[Key]) -> Result<Vec<Item>, Error> {
        if let [key] = keys {
            return Ok(self.get(key).await?.into_iter().collect());
        }
        self.store.get_all(&self.store.tables.resources, keys, None, self.deadline).await
    }

    /// The sort keys of those items that exist.
    pub(super) async fn existing(&self, keys: &[Key]) -> Result<Vec<String>, Error> {
        let items = self.store.get_all(&self.store.tables.resources, keys, Some(SK), self.deadline).await?;
        items.iter().map(|item| sort_key(item).map(str::to_owned)).collect()
    }

    pub(super) async fn put(&self, key: &Key, item: Item) -> Result<(), Error> {
        self.store.put(&self.store.tables.resources, key, item).await
    }

    pub(super) async fn query(&self, range: Range<'_>) -> Result<Rows, Error> {
        self.store.query(&self.store.tables.resources, range).await
    }

    pub(super) async fn query_all(&self, range: Range<'_>) -> Result<Vec<Item>, Error> {
        self.store.query_all(&self.store.tables.resources, range).await
    }

    pub(super) async fn write_all(&self, writes: Vec<WriteRequest>) -> Result<(), Error> {
        self.store.write_all(&self.store.tables.resources, writes, self.deadline).await
    }
}

/// A put of the batch.
pub(super) fn put(key: &Key, mut item: Item) -> Result<WriteRequest, Error> {
    item.extend(key.attributes());
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(|_| malformed())?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// A deletion of the batch.
pub(super) fn delete(key: &Key) -> Result<WriteRequest, Error> {
    let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build().map_err(|_| malformed())?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

/// A request of ours that the SDK's builders refuse: a defect.
pub(super) fn malformed() -> Error {
    Error::Internal("a DynamoDB request without a required part".to_owned())
}

/// What a failed call means for the client. The SDK has repeated by then what it repeats.
pub(super) fn failed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Error {
    let code = match error {
        SdkError::ServiceError(service) if service.raw().status().is_server_error() => None,
        SdkError::ServiceError(service) => service.err().code(),
        SdkError::ConstructionFailure(_) => return malformed(),
        _ => None,
    };
    match code {
        Some(
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "Throttling",
        ) => Error::Throttled,
        None | Some("TransactionConflictException" | "TransactionInProgressException") => Error::Unavailable,
        Some(code) => Error::Internal(format!("DynamoDB answered {code}")),
    }
}
