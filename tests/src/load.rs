//! Large databases: items that the service would write, put into the database directly.

use std::{collections::HashMap, ops::Range};

use dynoxide::{AttributeValue, Database, ImportOptions};
use service::config::Tables;

use crate::ORG;

/// The number of items in an import.
const BATCH: usize = 40_000;

/// An item of the engine.
pub type Item = HashMap<String, AttributeValue>;

/// Returns an item of string attributes.
#[must_use]
pub fn item<const N: usize>(attributes: [(&str, String); N]) -> Item {
    attributes.map(|(name, text)| (name.to_owned(), AttributeValue::S(text))).into()
}

/// Puts items into the table of resources.
pub fn import(database: &Database, items: impl IntoIterator<Item = Item>) {
    let table = Tables::default().resources;
    let mut items = items.into_iter();
    loop {
        let some: Vec<Item> = items.by_ref().take(BATCH).collect();
        if some.is_empty() {
            return;
        }
        database.import_items(&table, some, ImportOptions::default()).expect("an import");
    }
}

/// Returns the id of the member with that number.
#[must_use]
pub fn member_id(number: usize) -> String {
    format!("01938000-0000-7000-8000-{number:012x}")
}

/// Adds members with these numbers to a group, with both edges of each. The members need not exist.
pub fn fill(database: &Database, group: &str, members: Range<usize>) {
    import(
        database,
        members.flat_map(|number| {
            let member = member_id(number);
            let edge = item([
                ("pk", format!("ORG#{ORG}#GROUP#{group}")),
                ("sk", member.clone()),
                ("kind", "USER".to_owned()),
            ]);
            [edge, item([("pk", format!("ORG#{ORG}#MEMBER")), ("sk", format!("{member}#{group}"))])]
        }),
    );
}
