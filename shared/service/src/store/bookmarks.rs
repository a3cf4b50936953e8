//! Bookmarks: where a walk through a list goes on, kept in the table for an hour.
//!
//! A walk by cursor (RFC 9865) leaves one under the cursor itself, a random id: so nobody can make up a cursor, and no
//! position, which may be somebody's name, is in a URL. A walk by index leaves one under the index. A bookmark is good
//! for the query it was made for and no other; one by index, for the key that made it.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{Invalid, ScimType, id::Id};

use super::{
    Directory,
    items::{Item, number, text},
    keys::Kind,
    resources::string,
    wire::put,
};
use crate::{Error, ambient::unix_millis};

/// How long a walk may pause (`pagination.cursorTimeout` of ServiceProviderConfig).
pub const BOOKMARK_SECONDS: u64 = 3_600;

const QUERY: &str = "query";
const KIND: &str = "kind";
const AFTER: &str = "after";
const TOTAL: &str = "total";
const GONE: &str = "gone";
/// The table's time-to-live attribute.
pub(super) const EXPIRES: &str = "expires";

/// A place in a list: among the resources of that kind, after the one at that position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// None at the beginning.
    pub(super) after: Option<String>,
}

/// A place where a page by index begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bookmark {
    pub(super) place: Place,
    /// How many resources matched when the walk began, where nothing else says.
    pub(super) total: Option<u64>,
    /// How many were deleted before, if the place is right only until the next one is.
    pub(super) gone: Option<u64>,
}

impl Directory {
    /// Leaves a bookmark for whoever continues the query; gives the cursor.
    pub(super) async fn leave_cursor(&self, query: &str, place: Place) -> Result<String, Error> {
        let cursor = self.store.entropy.id(self.store.clock.now())?;
        let bookmark = Bookmark { place, total: None, gone: None };
        self.put(&self.keys.bookmarks().key(cursor.as_str()), self.item(query, bookmark)).await?;
        Ok(cursor.to_string())
    }

    /// The place a cursor stands for: `invalidCursor` if it was not given for this query of this organisation,
    /// `expiredCursor` if that was too long ago.
    pub(super) async fn follow_cursor(&self, query: &str, cursor: &str) -> Result<Place, Error> {
        let invalid = || {
            Invalid::new(
                ScimType::InvalidCursor,
                "this cursor was not given for this query; begin again with an empty one",
            )
        };
        let id = Id::parse(cursor).ok_or_else(invalid)?;
        let age = unix_millis(self.store.clock.now()).saturating_sub(id.created_at());
        if age >= BOOKMARK_SECONDS * 1_000 {
            let expired = "this cursor is older than the service keeps them; begin again with an empty one";
            return Err(Invalid::new(ScimType::ExpiredCursor, expired).into());
        }
        match self.get(&self.keys.bookmarks().key(id.as_str())).await? {
            Some(item) if text(&item, QUERY)? == query => Ok(read(&item)?.place),
            _ => Err(invalid().into()),
        }
    }

    /// Leaves a bookmark at each of these indices.
    pub(super) async fn leave_bookmarks(
        &self,
        query: &str,
        bookmarks: Vec<(u64, Bookmark)>,
    ) -> Result<(), Error> {
        let puts = bookmarks.into_iter().map(|(index, bookmark)| {
            put(&self.keys.bookmark(self.caller.key_id(), query, index), self.item(query, bookmark))
        });
        self.write_all(puts.collect::<Result<_, _>>()?).await
    }

    /// The bookmark at that index, and whether it will be there for a while.
    pub(super) async fn bookmark(&self, query: &str, index: u64) -> Result<Option<(Bookmark, bool)>, Error> {
        let item = self.get(&self.keys.bookmark(self.caller.key_id(), query, index)).await?;
        let Some(item) = item else { return Ok(None) };
        // DynamoDB deletes what has expired when it finds the time.
        let left = number(&item, EXPIRES).unwrap_or_default() - self.seconds();
        let is_young = left > 0 && left.unsigned_abs() > BOOKMARK_SECONDS / 2;
        Ok(if left > 0 { Some((read(&item)?, is_young)) } else { None })
    }

    fn seconds(&self) -> i64 {
        self.store.clock.now().unix_timestamp()
    }

    fn item(&self, query: &str, bookmark: Bookmark) -> Item {
        let count = |count: u64| AttributeValue::N(count.to_string());
        // A second more, for the one that has begun.
        let expires = self.seconds().unsigned_abs() + BOOKMARK_SECONDS + 1;
        let mut item = Item::from([
            (QUERY.to_owned(), string(query)),
            (KIND.to_owned(), string(bookmark.place.kind.word())),
            (EXPIRES.to_owned(), count(expires)),
        ]);
        item.extend(bookmark.place.after.map(|after| (AFTER.to_owned(), AttributeValue::S(after))));
        item.extend(bookmark.total.map(|total| (TOTAL.to_owned(), count(total))));
        item.extend(bookmark.gone.map(|gone| (GONE.to_owned(), count(gone))));
        item
    }
}

fn read(item: &Item) -> Result<Bookmark, Error> {
    let kind = Kind::from_word(text(item, KIND)?);
    let kind = kind.ok_or_else(|| Error::Internal("a bookmark that cannot be read".to_owned()))?;
    let after = text(item, AFTER).ok().map(str::to_owned);
    let count = |name| number(item, name).and_then(|number| u64::try_from(number).ok());
    Ok(Bookmark { place: Place { kind, after }, total: count(TOTAL), gone: count(GONE) })
}
