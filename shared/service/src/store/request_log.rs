//! The request log in the table of requests.

use scim::{Invalid, id::Id};
use tokio::time::Instant;

use super::{
    audit::Page,
    bookmarks::EXPIRES,
    directory::Store,
    items::{Item, number, optional_number, sort_key, text},
    key_range::KeyRange,
    keys::{AFTER_IDS, BEFORE_IDS, Keys},
    orgs::Organisation,
    request_writer::{ENTRY, ERRORS, HOUR, PEOPLE, REQUESTS},
};
use crate::{
    Error,
    clock::{parse_timestamp, unix_millis},
    limits::REQUEST_BUDGET,
    request_log::{Entry, Filter, Hour},
};

/// The number of entries that a call reads.
const MOST_READ: usize = 1_000;
/// The number of entries that a query reads if most of them may not be selected.
const PAGE: usize = 250;

impl Store {
    /// Returns a page of the request log, the newest entry first. `after` is the `next` of the page before. A page may have
    /// fewer entries than `limit`, and be empty, before the end: it reads a limited number of entries.
    ///
    /// No entry is older than the organisation. Entries of a deleted organisation of the same name are left out: a frozen
    /// Lambda environment may have written them after the deletion.
    ///
    /// # Errors
    /// `invalidValue` if a time is not RFC 3339, [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn request_log(
        &self,
        organisation: &Organisation,
        filter: &Filter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<Entry>, Error> {
        let Organisation { org, created, .. } = organisation;
        let [partition, _] = Keys::request_log(org);
        let from = filter.from.clone().filter(|from| from > created).unwrap_or_else(|| created.clone());
        let Some(ends) = ends(&Filter { from: Some(from), ..filter.clone() })? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        // DynamoDB refuses a start outside of the range.
        if after.is_some_and(|after| after <= ends.0.as_str()) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let limit = limit.clamp(1, MOST_READ);
        let table = self.request_table(Instant::now() + REQUEST_BUDGET);
        let now = self.clock.now().unix_timestamp();
        let is_filtered = Filter { from: None, until: None, ..filter.clone() } != Filter::default();
        let size = if is_filtered { PAGE } else { limit };
        let mut start =
            after.filter(|after| *after < ends.1.as_str()).map(|id| partition.key(id).attributes());
        let (mut items, mut read) = (Vec::new(), 0);
        loop {
            let range = KeyRange::between(&partition, ends.clone()).after(start).limit(size).backward(true);
            let page = table.query(range).await?;
            let count = page.items.len();
            for (index, item) in page.items.iter().enumerate() {
                // DynamoDB deletes expired items some days late.
                if number(item, EXPIRES)? > now {
                    let entry = entry(item)?;
                    if filter.selects(&entry) {
                        items.push(entry);
                    }
                }
                let has_more = index + 1 < count || page.next.is_some();
                if items.len() >= limit {
                    let next = has_more.then(|| sort_key(item).map(str::to_owned)).transpose()?;
                    return Ok(Page { items, next });
                }
            }
            read += count;
            match (page.next, page.items.last()) {
                (Some(_), Some(last)) if read >= MOST_READ => {
                    return Ok(Page { items, next: Some(sort_key(last)?.to_owned()) });
                }
                (Some(next), _) => start = Some(next),
                (None, _) => return Ok(Page { items, next: None }),
            }
        }
    }

    /// Returns the entry of that id.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn request_log_entry(
        &self,
        organisation: &Organisation,
        id: &str,
    ) -> Result<Option<Entry>, Error> {
        let Some(id) = Id::parse(id) else { return Ok(None) };
        let [partition, _] = Keys::request_log(&organisation.org);
        let table = self.request_table(Instant::now() + REQUEST_BUDGET);
        let now = self.clock.now().unix_timestamp();
        match table.get(&partition.key(id.as_str())).await? {
            Some(item) if number(&item, EXPIRES)? > now => {
                Ok(Some(entry(&item)?).filter(|entry| entry.at >= organisation.created))
            }
            _ => Ok(None),
        }
    }

    /// Returns the hours from `from` (`2026-11-28T14`) on in which the organisation sent requests, the oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn request_hours(&self, organisation: &Organisation, from: &str) -> Result<Vec<Hour>, Error> {
        let [_, partition] = Keys::request_log(&organisation.org);
        let created = organisation.created.get(..HOUR).unwrap_or_default();
        let range = KeyRange::between(&partition, (created.max(from).to_owned(), AFTER_IDS.to_owned()));
        self.request_table(Instant::now() + REQUEST_BUDGET).query_each(range, |item| hour(&item)).await
    }
}

/// Returns the range of ids of the filter's times, both included, or `None` if it is empty.
fn ends(filter: &Filter) -> Result<Option<(String, String)>, Error> {
    let millis = |text: &String| {
        parse_timestamp(text).map(unix_millis).map_err(|_| {
            Error::from(Invalid::value(
                "The time is not valid. Send a time such as 2026-11-28T14:00:00.000Z.",
            ))
        })
    };
    let from = filter.from.as_ref().map(millis).transpose()?;
    let until = filter.until.as_ref().map(millis).transpose()?;
    if until == Some(0) || until.zip(from).is_some_and(|(until, from)| until <= from) {
        return Ok(None);
    }
    let first = from.map(|from| Id::range_created_between(from, from).0);
    let last = until.map(|until| Id::range_created_between(until - 1, until - 1).1);
    Ok(Some((first.unwrap_or_else(|| BEFORE_IDS.to_owned()), last.unwrap_or_else(|| AFTER_IDS.to_owned()))))
}

fn entry(item: &Item) -> Result<Entry, Error> {
    let entry: Entry = serde_json::from_str(text(item, ENTRY)?)
        .map_err(|_| Error::Internal("an entry of the request log is damaged".to_owned()))?;
    Ok(Entry { id: sort_key(item)?.to_owned(), ..entry })
}

fn hour(item: &Item) -> Result<Hour, Error> {
    let count = |name| optional_number(item, name).map(|n| n.and_then(|n| u64::try_from(n).ok()));
    Ok(Hour {
        hour: sort_key(item)?.to_owned(),
        requests: count(REQUESTS)?.unwrap_or_default(),
        errors: count(ERRORS)?.unwrap_or_default(),
        people: count(PEOPLE)?,
    })
}
