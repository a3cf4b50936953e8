//! Items: resources as DynamoDB attributes.
//!
//! The document is one JSON string, so that DynamoDB's types change no number and no empty list. The other attributes
//! are those that conditions and answers need. Every resource item carries the version of its format.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{id::Id, resource::Document};

use super::keys::{PK, SK};
use crate::{Error, event::EventId};

/// An item as the SDK returns it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Names of attributes.
pub(super) mod name {
    /// The format of the item.
    pub(crate) const FORMAT: &str = "format";
    /// The document.
    pub(crate) const DOCUMENT: &str = "document";
    /// The token in the ETag.
    pub(crate) const VERSION: &str = "version";
    /// When the resource was created.
    pub(crate) const CREATED: &str = "created";
    /// When it was last changed.
    pub(crate) const MODIFIED: &str = "modified";
    /// The id of a group's committed change of members that is not finished.
    pub(crate) const INTENT: &str = "intent";
    /// The id of the change for which a request reserves a group.
    pub(crate) const RESERVATION: &str = "reservation";
    /// How many times the resource was added to a group.
    pub(crate) const JOINS: &str = "joins";
    /// The id of the last change of members that was finished.
    pub(crate) const FINISHED: &str = "finished";
    /// The id of the resource's last event.
    pub(crate) const STAMP: &str = "stamp";
    /// The id of the event of a group's committed change of members that is not finished.
    pub(crate) const COMMIT: &str = "intentEvent";
    /// Present if the index entries of the resource are folded, and the fold of release 0.2 would make others.
    pub(crate) const FOLDED: &str = "folded";
    /// The id of the resource an index entry belongs to.
    pub(crate) const ID: &str = "id";
    /// The kind of a member.
    pub(crate) const KIND: &str = "kind";
    /// The number of resources.
    pub(crate) const COUNT: &str = "n";
    /// The number of deleted resources.
    pub(crate) const DELETED: &str = "gone";
    /// The number of users whose `active` is false.
    pub(crate) const INACTIVE: &str = "inactive";
}

/// A resource whose document is its JSON text, which takes a fraction of the memory. A page holds all of its resources in
/// this form, and unpacks one at a time.
pub type Packed = Stored<String>;

/// The current format of resource items.
const FORMAT: i64 = 1;

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<D = Document> {
    /// Its id.
    pub id: Id,
    /// The attributes that clients wrote.
    pub document: D,
    /// The token in its ETag.
    pub version: String,
    /// When it was created: RFC 3339, UTC, milliseconds.
    pub created: String,
    /// When it was last changed, likewise.
    pub modified: String,
    /// The id of a group's committed change of members that is not finished.
    pub(super) intent: Option<Id>,
    /// The id of the change for which a request reserves the group.
    pub(super) reservation: Option<Id>,
    /// How many times the resource was added to a group. The deletion of the resource requires the same number as it
    /// read, so that no addition is overlooked.
    pub(super) joins: i64,
    /// The id of a group's last change of members that was finished. If it is the same before and after a read of the
    /// members, no such change was under way in between.
    pub(super) finished: Option<Id>,
    /// The id of its last event. Resources of release 0.2 have none.
    pub(super) stamp: Option<EventId>,
    /// The id of the event of a group's committed change of members that is not finished.
    pub(super) commit: Option<EventId>,
    /// Whether the index entries are those of [`scim::fold::fold`] and differ from those of
    /// [`scim::fold::fold_of_0_2`].
    pub(super) is_folded: bool,
}

impl Stored {
    /// Returns the item without its key.
    pub(super) fn to_item(&self) -> Item {
        let mut item = HashMap::from([
            (name::FORMAT.to_owned(), AttributeValue::N(FORMAT.to_string())),
            (name::DOCUMENT.to_owned(), AttributeValue::S(self.document.to_stored())),
            (name::VERSION.to_owned(), string(&self.version)),
            (name::CREATED.to_owned(), string(&self.created)),
            (name::MODIFIED.to_owned(), string(&self.modified)),
        ]);
        for (name, change) in [
            (name::INTENT, &self.intent),
            (name::RESERVATION, &self.reservation),
            (name::FINISHED, &self.finished),
        ] {
            if let Some(change) = change {
                item.insert(name.to_owned(), string(change.as_str()));
            }
        }
        for (name, event) in [(name::STAMP, &self.stamp), (name::COMMIT, &self.commit)] {
            if let Some(event) = event {
                item.insert(name.to_owned(), string(&event.to_string()));
            }
        }
        if self.joins != 0 {
            item.insert(name::JOINS.to_owned(), AttributeValue::N(self.joins.to_string()));
        }
        if self.is_folded {
            item.insert(name::FOLDED.to_owned(), AttributeValue::Bool(true));
        }
        item
    }

    /// Returns the change that other writers of the group wait for.
    pub(super) fn holder(&self) -> Option<&Id> {
        self.intent.as_ref().or(self.reservation.as_ref())
    }

    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        check_format(item)?;
        let document = unpacked(text(item, name::DOCUMENT)?)?;
        Self::with_document(item, document)
    }
}

impl Packed {
    /// Reads an item. The text of the document is moved and not copied.
    pub(super) fn pack(mut item: Item) -> Result<Self, Error> {
        check_format(&item)?;
        let Some(AttributeValue::S(document)) = item.remove(name::DOCUMENT) else {
            return Err(damaged(name::DOCUMENT));
        };
        Self::with_document(&item, document)
    }

    /// Returns the resource with its document.
    ///
    /// # Errors
    /// [`Error::Internal`] if the document is damaged.
    pub fn unpack(&self) -> Result<Stored, Error> {
        Ok(Stored {
            document: unpacked(&self.document)?,
            id: self.id.clone(),
            version: self.version.clone(),
            created: self.created.clone(),
            modified: self.modified.clone(),
            intent: self.intent.clone(),
            reservation: self.reservation.clone(),
            joins: self.joins,
            finished: self.finished.clone(),
            stamp: self.stamp,
            commit: self.commit,
            is_folded: self.is_folded,
        })
    }
}

impl<D> Stored<D> {
    /// Reads an item apart from its document.
    fn with_document(item: &Item, document: D) -> Result<Self, Error> {
        Ok(Self {
            id: Id::parse(text(item, SK)?).ok_or_else(|| damaged(SK))?,
            document,
            version: text(item, name::VERSION)?.to_owned(),
            created: text(item, name::CREATED)?.to_owned(),
            modified: text(item, name::MODIFIED)?.to_owned(),
            intent: optional_id(item, name::INTENT)?,
            reservation: optional_id(item, name::RESERVATION)?,
            joins: optional_number(item, name::JOINS)?.unwrap_or_default(),
            finished: optional_id(item, name::FINISHED)?,
            stamp: optional_event_id(item, name::STAMP)?,
            commit: optional_event_id(item, name::COMMIT)?,
            is_folded: item.contains_key(name::FOLDED),
        })
    }
}

fn check_format(item: &Item) -> Result<(), Error> {
    if number(item, name::FORMAT)? == FORMAT {
        return Ok(());
    }
    Err(Error::Internal("a resource item has a format of another release".to_owned()))
}

fn unpacked(document: &str) -> Result<Document, Error> {
    Document::from_stored(document).map_err(|_| damaged(name::DOCUMENT))
}

/// Returns a string attribute.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, Error> {
    optional_text(item, name)?.ok_or_else(|| damaged(name))
}

/// Returns a string attribute that an item may lack.
pub(super) fn optional_text<'a>(item: &'a Item, name: &str) -> Result<Option<&'a str>, Error> {
    let text = |value: &'a AttributeValue| value.as_s().map(String::as_str).map_err(|_| damaged(name));
    item.get(name).map(text).transpose()
}

/// Returns an id that an item may lack.
pub(super) fn optional_id(item: &Item, name: &str) -> Result<Option<Id>, Error> {
    optional_text(item, name)?.map(|id| Id::parse(id).ok_or_else(|| damaged(name))).transpose()
}

/// Returns the id of an event that an item may lack.
pub(super) fn optional_event_id(item: &Item, name: &str) -> Result<Option<EventId>, Error> {
    optional_text(item, name)?.map(|text| text.parse().map_err(|_| damaged(name))).transpose()
}

/// Returns a whole number.
pub(super) fn number(item: &Item, name: &str) -> Result<i64, Error> {
    optional_number(item, name)?.ok_or_else(|| damaged(name))
}

/// Returns a whole number that an item may lack.
pub(super) fn optional_number(item: &Item, name: &str) -> Result<Option<i64>, Error> {
    let number = |value: &AttributeValue| {
        value.as_n().ok().and_then(|digits| digits.parse().ok()).ok_or_else(|| damaged(name))
    };
    item.get(name).map(number).transpose()
}

/// Returns the sort key.
pub(super) fn sort_key(item: &Item) -> Result<&str, Error> {
    text(item, SK)
}

/// Returns the partition key.
pub(super) fn partition_key(item: &Item) -> Result<&str, Error> {
    text(item, PK)
}

/// Makes a string attribute.
pub(super) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn damaged(attribute: &str) -> Error {
    Error::Internal(format!("the attribute '{attribute}' of an item is absent or of the wrong type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, value: AttributeValue) -> Item {
        Item::from([(name.to_owned(), value)])
    }

    fn is_damaged<T>(outcome: &Result<T, Error>) -> bool {
        matches!(outcome, Err(Error::Internal(_)))
    }

    #[test]
    fn optional_number_tells_absent_from_damaged() {
        let whole = item("n", AttributeValue::N("-3".to_owned()));
        assert_eq!(optional_number(&whole, "n"), Ok(Some(-3)));
        assert_eq!(optional_number(&whole, "absent"), Ok(None));
        assert!(is_damaged(&number(&whole, "absent")));
        for value in [string("3"), AttributeValue::N("3.5".to_owned()), AttributeValue::Null(true)] {
            assert!(is_damaged(&optional_number(&item("n", value), "n")));
        }
    }

    #[test]
    fn optional_text_tells_absent_from_damaged() {
        let present = item("intent", string("id"));
        assert_eq!(optional_text(&present, "intent"), Ok(Some("id")));
        assert_eq!(optional_text(&present, "absent"), Ok(None));
        assert!(is_damaged(&text(&present, "absent")));
        assert!(is_damaged(&optional_text(&item("intent", AttributeValue::Null(true)), "intent")));
    }
}
