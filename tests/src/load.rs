//! Databases filled past what requests would take the time for: items are put there as they would have been written.

use std::{collections::HashMap, ops::Range};

use dynoxide::{AttributeValue, Database, ImportOptions};
use service::config::Tables;

use crate::ORG;

/// Items that are put into the database at a time.
const AT_A_TIME: usize = 40_000;

/// An item, as the engine has it.
pub type Item = HashMap<String, AttributeValue>;

/// An item of texts.
#[must_use]
pub fn item<const N: usize>(attributes: [(&str, String); N]) -> Item {
    attributes.map(|(name, text)| (name.to_owned(), AttributeValue::S(text))).into()
}

/// Puts the items among the resources.
pub fn import(database: &Database, items: impl IntoIterator<Item = Item>) {
    let table = Tables::default().resources;
    let mut items = items.into_iter();
    loop {
        let some: Vec<Item> = items.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            return;
        }
        database.import_items(&table, some, ImportOptions::default()).expect("an import");
    }
}

/// The id of the member of that number.
#[must_use]
pub fn member_id(number: usize) -> String {
    format!("01938000-0000-7000-8000-{number:012x}")
}

/// Puts members of these numbers into a group, both edges of each. Nobody asks whether they exist.
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
