//! Items: how what is stored is written as DynamoDB attributes, and read back.
//!
//! The document is one JSON string, so that no number or empty list is changed by DynamoDB's types; beside it stands
//! only what conditions and answers need. Every resource item carries the version of its format.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{id::Id, resource::Document};

use super::keys::{PK, SK};
use crate::Error;

/// An item as the SDK gives it.
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
    /// The change of a group's members that is under way.
    pub(crate) const INTENT: &str = "intent";
    /// The last change that was under way.
    pub(crate) const FINISHED: &str = "finished";
    /// The id of the resource an index entry belongs to.
    pub(crate) const ID: &str = "id";
    /// The kind of a member.
    pub(crate) const KIND: &str = "kind";
    /// How many there are.
    pub(crate) const COUNT: &str = "n";
    /// How many there were.
    pub(crate) const GONE: &str = "gone";
}

/// The current format of resource items.
const FORMAT: &str = "1";

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: Id,
    /// What clients wrote.
    pub document: Document,
    /// The token in its ETag.
    pub version: String,
    /// When it was created: RFC 3339, UTC, milliseconds.
    pub created: String,
    /// When it was last changed, likewise.
    pub modified: String,
    /// Of a group: the change of its members that is not finished yet.
    pub(super) intent: Option<String>,
    /// Of a group: the last such change that was finished. Where it is the same before and after a read of members,
    /// nothing of them was half done meanwhile.
    pub(super) finished: Option<String>,
}

impl Stored {
    /// The item, without its key.
    pub(super) fn to_item(&self) -> Item {
        let mut item = HashMap::from([
            (name::FORMAT.to_owned(), AttributeValue::N(FORMAT.to_owned())),
            (name::DOCUMENT.to_owned(), AttributeValue::S(self.document.to_stored())),
            (name::VERSION.to_owned(), AttributeValue::S(self.version.clone())),
            (name::CREATED.to_owned(), AttributeValue::S(self.created.clone())),
            (name::MODIFIED.to_owned(), AttributeValue::S(self.modified.clone())),
        ]);
        for (name, change) in [(name::INTENT, &self.intent), (name::FINISHED, &self.finished)] {
            if let Some(change) = change {
                item.insert(name.to_owned(), AttributeValue::S(change.clone()));
            }
        }
        item
    }

    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        if number(item, name::FORMAT) != Some(1) {
            return Err(Error::Internal("a resource item of a format this release does not know".to_owned()));
        }
        Ok(Self {
            id: Id::parse(text(item, SK)?).ok_or_else(|| damaged(SK))?,
            document: Document::from_stored(text(item, name::DOCUMENT)?)
                .map_err(|_| damaged(name::DOCUMENT))?,
            version: text(item, name::VERSION)?.to_owned(),
            created: text(item, name::CREATED)?.to_owned(),
            modified: text(item, name::MODIFIED)?.to_owned(),
            intent: text(item, name::INTENT).ok().map(str::to_owned),
            finished: text(item, name::FINISHED).ok().map(str::to_owned),
        })
    }
}

/// The string attribute of that name.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, Error> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or_else(|| damaged(name))
}

/// The whole number of that name.
pub(super) fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// The sort key.
pub(super) fn sort_key(item: &Item) -> Result<&str, Error> {
    text(item, SK)
}

/// The partition key.
pub(super) fn partition_key(item: &Item) -> Result<&str, Error> {
    text(item, PK)
}

fn damaged(attribute: &str) -> Error {
    Error::Internal(format!("an item without a readable attribute '{attribute}'"))
}
