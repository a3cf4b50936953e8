//! Index entries: a pure function from a document to its entries.
//!
//! A write puts and deletes the difference between the entries of the old and of the new document, in the transaction
//! that changes the document. The entry of a unique attribute is put on condition that it does not exist, which makes
//! the attribute unique. To index another attribute, add a row to [`INDEXED`].
//!
//! Release 0.2 folded names differently. The entries that it made stay until the names change or `scimctl doctor
//! --finish` replaces them. Each item says which fold made its entries, so that a write removes the entries that exist.

use std::collections::BTreeSet;

use scim::{
    ResourceKind,
    fold::{fold, fold_of_0_2},
    id::Id,
    resource::Document,
};

use super::{index_keys, items::Stored};

/// An attribute that has an index.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) kind: ResourceKind,
    /// The path of the attribute.
    pub(super) name: &'static str,
    pub(super) unique: bool,
    /// Whether a resource has at most one entry.
    pub(super) single_valued: bool,
    case_exact: bool,
    values: fn(&Document) -> Vec<&str>,
}

/// Every index.
pub(super) static INDEXED: [Indexed; 5] = [
    Indexed {
        kind: ResourceKind::User,
        name: "userName",
        unique: true,
        single_valued: true,
        case_exact: false,
        values: |document| document.user_name().into_iter().collect(),
    },
    Indexed {
        kind: ResourceKind::User,
        name: "externalId",
        unique: false,
        single_valued: true,
        case_exact: true,
        values: |document| document.external_id().into_iter().collect(),
    },
    Indexed {
        kind: ResourceKind::User,
        name: "emails.value",
        unique: false,
        single_valued: false,
        case_exact: false,
        values: |document| document.emails().collect(),
    },
    Indexed {
        kind: ResourceKind::Group,
        name: "displayName",
        unique: true,
        single_valued: true,
        case_exact: false,
        values: |document| document.display_name().into_iter().collect(),
    },
    Indexed {
        kind: ResourceKind::Group,
        name: "externalId",
        unique: false,
        single_valued: true,
        case_exact: true,
        values: |document| document.external_id().into_iter().collect(),
    },
];

/// An index entry of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) attribute: &'static str,
    pub(super) sk: String,
    pub(super) unique: bool,
}

impl PartialEq for Indexed {
    /// Compares kind and name, which no two indexes share.
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.name) == (other.kind, other.name)
    }
}

impl Indexed {
    /// Returns the sort key of the resource's only entry.
    pub(super) fn sort_key(&self, stored: &Stored) -> Option<String> {
        self.sort_keys(&stored.id, &stored.document, fold_of(stored)).next()
    }

    fn sort_keys<'a>(
        &'a self,
        id: &'a Id,
        document: &'a Document,
        fold: Fold,
    ) -> impl Iterator<Item = String> + 'a {
        (self.values)(document).into_iter().map(move |value| {
            let value = if self.case_exact { value.to_owned() } else { fold(value) };
            index_keys::index_entry(&value, self.unique, id)
        })
    }
}

type Fold = fn(&str) -> String;

/// Returns the fold that made the entries of a resource.
fn fold_of(stored: &Stored) -> Fold {
    if stored.is_folded { fold } else { fold_of_0_2 }
}

/// Returns the index of that attribute, if it has one.
pub(super) fn indexed(kind: ResourceKind, name: &str) -> Option<&'static Indexed> {
    INDEXED.iter().find(|indexed| indexed.kind == kind && indexed.name == name)
}

/// Returns the entries of a resource. No two have the same key.
pub(super) fn entries(kind: ResourceKind, stored: &Stored) -> BTreeSet<Entry> {
    folded_entries(kind, &stored.id, &stored.document, fold_of(stored))
}

/// Returns whether both folds make the same entries of a document.
pub(super) fn is_folded_alike(kind: ResourceKind, id: &Id, document: &Document) -> bool {
    folded_entries(kind, id, document, fold) == folded_entries(kind, id, document, fold_of_0_2)
}

/// Returns whether two documents have the same entries of folded values by the fold of release 0.2.
pub(super) fn have_same_names(kind: ResourceKind, id: &Id, a: &Document, b: &Document) -> bool {
    let folded = INDEXED.iter().filter(|indexed| indexed.kind == kind && !indexed.case_exact);
    folded.into_iter().all(|indexed| {
        let keys = |document| indexed.sort_keys(id, document, fold_of_0_2).collect::<BTreeSet<_>>();
        keys(a) == keys(b)
    })
}

fn folded_entries(kind: ResourceKind, id: &Id, document: &Document, fold: Fold) -> BTreeSet<Entry> {
    INDEXED
        .iter()
        .filter(|indexed| indexed.kind == kind)
        .flat_map(|indexed| {
            let entry = |sk| Entry { attribute: indexed.name, sk, unique: indexed.unique };
            indexed.sort_keys(id, document, fold).map(entry)
        })
        .collect()
}
