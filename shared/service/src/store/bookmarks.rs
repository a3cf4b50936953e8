//! Bookmarks: where a walk through a list goes on, kept in the table for an hour.
//!
//! A walk by cursor (RFC 9865) leaves one under the cursor itself, a random id: so a page costs a page wherever it is,
//! nobody can make up a cursor, and no position, which may be somebody's name, is in a URL. A bookmark is good for the
//! query it was made for and no other. Absent on purpose: bookmarks for `startIndex`, whose meaning is a count.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{Invalid, ScimType, id::Id};

use super::{
    Directory,
    items::{Item, text},
    keys::{Key, Kind},
    resources::string,
};
use crate::{Error, ambient::unix_millis};

/// How long a walk may pause (`pagination.cursorTimeout` of ServiceProviderConfig).
pub const BOOKMARK_SECONDS: u64 = 3_600;

const QUERY: &str = "query";
const KIND: &str = "kind";
const AFTER: &str = "after";
/// The table's time-to-live attribute.
pub(super) const EXPIRES: &str = "expires";

/// A place in a list: among the resources of that kind, after the one at that position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The kind.
    pub kind: Kind,
    /// The position of the last resource that was shown; none at the beginning.
    pub after: Option<String>,
}

impl Directory {
    /// Leaves a bookmark for whoever continues the query; gives the cursor.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn leave_cursor(&self, query: &str, place: &Place) -> Result<String, Error> {
        let cursor = self.store.entropy.id(self.store.clock.now())?;
        self.leave(&self.keys.bookmarks().key(cursor.as_str()), query, place).await?;
        Ok(cursor.to_string())
    }

    /// The place a cursor stands for.
    ///
    /// # Errors
    /// `invalidCursor` if it was not given for this query of this organisation, `expiredCursor` if that was too long ago.
    pub async fn follow_cursor(&self, query: &str, cursor: &str) -> Result<Place, Error> {
        let invalid = || {
            Invalid::new(
                ScimType::InvalidCursor,
                "this cursor was not given for this query; begin again with an empty one",
            )
        };
        let id = Id::parse(cursor).ok_or_else(invalid)?;
        let age = unix_millis(self.store.clock.now()).saturating_sub(id.made_at());
        if age >= BOOKMARK_SECONDS * 1_000 {
            let expired = "this cursor is older than the service keeps them; begin again with an empty one";
            return Err(Invalid::new(ScimType::ExpiredCursor, expired).into());
        }
        match self.bookmark(&self.keys.bookmarks().key(id.as_str())).await? {
            Some((of_query, place)) if of_query == query => Ok(place),
            _ => Err(invalid().into()),
        }
    }

    fn seconds(&self) -> i64 {
        self.store.clock.now().unix_timestamp()
    }

    async fn leave(&self, key: &Key, query: &str, place: &Place) -> Result<(), Error> {
        // A second more, for the one that has begun.
        let expires = self.seconds() + i64::try_from(BOOKMARK_SECONDS + 1).unwrap_or_default();
        let mut item = Item::from([
            (QUERY.to_owned(), string(query)),
            (KIND.to_owned(), string(place.kind.word())),
            (EXPIRES.to_owned(), AttributeValue::N(expires.to_string())),
        ]);
        if let Some(after) = &place.after {
            item.insert(AFTER.to_owned(), string(after));
        }
        self.put(key, item).await
    }

    async fn bookmark(&self, key: &Key) -> Result<Option<(String, Place)>, Error> {
        let Some(item) = self.get(key).await? else { return Ok(None) };
        let kind = Kind::from_word(text(&item, KIND)?);
        let kind = kind.ok_or_else(|| Error::Internal("a bookmark that cannot be read".to_owned()))?;
        let after = text(&item, AFTER).ok().map(str::to_owned);
        Ok(Some((text(&item, QUERY)?.to_owned(), Place { kind, after })))
    }
}
