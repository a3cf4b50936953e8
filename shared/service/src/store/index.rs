//! Index entries: one pure function from a document to the entries it must have.
//!
//! A write puts and deletes the difference between the old document's entries and the new one's, in the transaction
//! that changes the document. Entries of a unique attribute are put on condition that they are not there: that is
//! what makes it unique. Another indexed attribute is one more row of [`INDEXED`].

use std::collections::BTreeSet;

use scim::{fold::fold, id::Id, resource::Document};

use super::keys::{self, Kind};

/// An attribute that has an index.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) kind: Kind,
    /// Its name, with the sub-attribute that is indexed.
    pub(super) name: &'static str,
    pub(super) unique: bool,
    /// Whether a resource has one entry at most.
    pub(super) single_valued: bool,
    case_exact: bool,
    values: fn(&Document) -> Vec<&str>,
}

/// Every index.
pub(super) static INDEXED: [Indexed; 5] = [
    Indexed {
        kind: Kind::User,
        name: "userName",
        unique: true,
        single_valued: true,
        case_exact: false,
        values: |document| document.user_name().into_iter().collect(),
    },
    Indexed {
        kind: Kind::User,
        name: "externalId",
        unique: false,
        single_valued: true,
        case_exact: true,
        values: |document| document.external_id().into_iter().collect(),
    },
    Indexed {
        kind: Kind::User,
        name: "emails.value",
        unique: false,
        single_valued: false,
        case_exact: false,
        values: |document| document.emails().collect(),
    },
    Indexed {
        kind: Kind::Group,
        name: "displayName",
        unique: true,
        single_valued: true,
        case_exact: false,
        values: |document| document.display_name().into_iter().collect(),
    },
    Indexed {
        kind: Kind::Group,
        name: "externalId",
        unique: false,
        single_valued: true,
        case_exact: true,
        values: |document| document.external_id().into_iter().collect(),
    },
];

/// An entry a document must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) attribute: &'static str,
    pub(super) sk: String,
    pub(super) unique: bool,
}

impl PartialEq for Indexed {
    /// There is one for each kind and name.
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.name) == (other.kind, other.name)
    }
}

impl Indexed {
    /// The sort key of the one entry a document has here.
    pub(super) fn sort_key(&self, id: &Id, document: &Document) -> Option<String> {
        self.sort_keys(id, document).next()
    }

    fn sort_keys<'a>(&'a self, id: &'a Id, document: &'a Document) -> impl Iterator<Item = String> + 'a {
        (self.values)(document).into_iter().map(|value| {
            let value = if self.case_exact { value.to_owned() } else { fold(value) };
            keys::index_entry(&value, self.unique, id)
        })
    }
}

/// The index of that attribute, if it has one.
pub(super) fn indexed(kind: Kind, name: &str) -> Option<&'static Indexed> {
    INDEXED.iter().find(|indexed| indexed.kind == kind && indexed.name == name)
}

/// The entries of a document. No two have the same key.
pub(super) fn entries(kind: Kind, id: &Id, document: &Document) -> BTreeSet<Entry> {
    INDEXED
        .iter()
        .filter(|indexed| indexed.kind == kind)
        .flat_map(|indexed| {
            let entry = |sk| Entry { attribute: indexed.name, sk, unique: indexed.unique };
            indexed.sort_keys(id, document).map(entry)
        })
        .collect()
}
