//! Bookmarks: the positions at which the next pages of a list begin, kept in the table for an hour.
//!
//! A page by cursor (RFC 9865) saves a bookmark under the cursor, which is a random id. A client therefore cannot make
//! up a cursor, and no position appears in a URL: a position may contain the name of a user. A page by index saves a
//! bookmark under the index. A bookmark is valid for the query that it was saved for. A bookmark by index is also bound
//! to the API key that saved it.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{Invalid, ResourceKind, ScimType, id::Id};

use super::{
    directory::Directory,
    items::{Item, number, optional_number, optional_text, string, text},
    keys::{kind_from_stored, stored_kind},
    table::put_request,
};
use crate::{Error, clock::unix_millis, limits::CURSOR_SECONDS};

const QUERY: &str = "query";
const KIND: &str = "kind";
const AFTER: &str = "after";
const TOTAL: &str = "total";
const DELETED: &str = "gone";
/// The time-to-live attribute of the table.
pub(super) const EXPIRES: &str = "expires";

/// A position in a list: after a resource of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListPosition {
    pub(super) kind: ResourceKind,
    /// The position of the resource. `None` at the start of the kind.
    pub(super) after: Option<String>,
}

/// The start of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bookmark {
    pub(super) position: ListPosition,
    /// The number of matches that the first page determined. `None` if the counts give it.
    pub(super) total: Option<u64>,
    /// The deletion count up to which the position is correct. `None` if deletions do not affect it.
    pub(super) deleted: Option<u64>,
}

/// Saves the position at which the query continues. Returns its cursor.
pub(super) async fn save_cursor(
    directory: &Directory,
    query: &str,
    position: ListPosition,
) -> Result<String, Error> {
    let table = &directory.table;
    let cursor = table.entropy.id(table.clock.now())?;
    let bookmark = Bookmark { position, total: None, deleted: None };
    table.put(&directory.keys.bookmarks().key(cursor.as_str()), to_item(directory, query, bookmark)).await?;
    Ok(cursor.to_string())
}

/// Reads the position of a cursor.
///
/// # Errors
/// `invalidCursor` if the cursor was not issued for this query of this organisation, `expiredCursor` if its lifetime is
/// over.
pub(super) async fn resolve_cursor(
    directory: &Directory,
    query: &str,
    cursor: &str,
) -> Result<ListPosition, Error> {
    let invalid = || {
        let detail = "This cursor is not valid for this query. Start again without a cursor value.";
        Invalid::new(ScimType::InvalidCursor, detail)
    };
    let id = Id::parse(cursor).ok_or_else(invalid)?;
    let age = unix_millis(directory.table.clock.now()).saturating_sub(id.created_at());
    if age >= CURSOR_SECONDS * 1_000 {
        let detail = "This cursor has expired. Start again without a cursor value.";
        return Err(Invalid::new(ScimType::ExpiredCursor, detail).into());
    }
    match directory.table.get(&directory.keys.bookmarks().key(id.as_str())).await? {
        Some(item) if text(&item, QUERY)? == query => Ok(from_item(&item)?.position),
        _ => Err(invalid().into()),
    }
}

/// Saves a bookmark for each of these indexes.
pub(super) async fn save_bookmarks(
    directory: &Directory,
    query: &str,
    bookmarks: Vec<(u64, Bookmark)>,
) -> Result<(), Error> {
    let key_id = directory.caller.key_id();
    let puts = bookmarks.into_iter().map(|(index, bookmark)| {
        put_request(&directory.keys.bookmark(key_id, query, index), to_item(directory, query, bookmark))
    });
    directory.table.write_all(puts.collect::<Result<_, _>>()?).await
}

/// Reads the bookmark of an index, and whether more than half of its lifetime is left.
pub(super) async fn read_bookmark(
    directory: &Directory,
    query: &str,
    index: u64,
) -> Result<Option<(Bookmark, bool)>, Error> {
    let key = directory.keys.bookmark(directory.caller.key_id(), query, index);
    let Some(item) = directory.table.get(&key).await? else { return Ok(None) };
    let read = from_item(&item).and_then(|bookmark| Ok((bookmark, number(&item, EXPIRES)?)));
    let Ok((bookmark, expires)) = read else {
        // The page is found without the bookmark, and saves it again.
        tracing::error!(org = directory.org().as_str(), "a bookmark cannot be read");
        return Ok(None);
    };
    // DynamoDB deletes expired items with a delay, so they may still be here.
    let left = expires - unix_seconds(directory);
    let is_young = left > 0 && left.unsigned_abs() > CURSOR_SECONDS / 2;
    Ok((left > 0).then_some((bookmark, is_young)))
}

fn unix_seconds(directory: &Directory) -> i64 {
    directory.table.clock.now().unix_timestamp()
}

fn to_item(directory: &Directory, query: &str, bookmark: Bookmark) -> Item {
    let count = |count: u64| AttributeValue::N(count.to_string());
    // One second more, because the current second is partly over.
    let expires = unix_seconds(directory).unsigned_abs() + CURSOR_SECONDS + 1;
    let mut item = Item::from([
        (QUERY.to_owned(), string(query)),
        (KIND.to_owned(), string(stored_kind(bookmark.position.kind))),
        (EXPIRES.to_owned(), count(expires)),
    ]);
    item.extend(bookmark.position.after.map(|after| (AFTER.to_owned(), AttributeValue::S(after))));
    item.extend(bookmark.total.map(|total| (TOTAL.to_owned(), count(total))));
    item.extend(bookmark.deleted.map(|deleted| (DELETED.to_owned(), count(deleted))));
    item
}

fn from_item(item: &Item) -> Result<Bookmark, Error> {
    let damaged = || Error::Internal("a bookmark cannot be read".to_owned());
    let kind = kind_from_stored(text(item, KIND)?).ok_or_else(damaged)?;
    let after = optional_text(item, AFTER)?.map(str::to_owned);
    let count = |name| match optional_number(item, name)? {
        None => Ok(None),
        Some(number) => u64::try_from(number).map(Some).map_err(|_| damaged()),
    };
    Ok(Bookmark { position: ListPosition { kind, after }, total: count(TOTAL)?, deleted: count(DELETED)? })
}
