//! Counts: how many resources an organisation has, kept in the transactions that create and delete them.
//!
//! Each kind has several counts that are added up, so that concurrent creations do not conflict; the id says which.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::id::Id;

use super::{
    Directory,
    items::{name, number, sort_key},
    keys::Kind,
    resources::Meaning,
    transaction::Transaction,
    wire::Range,
};
use crate::Error;

/// How many resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// How many there are.
    pub(super) there_are: u64,
    /// How many were deleted.
    pub(super) gone: u64,
}

impl Directory {
    pub(super) fn count_created(&self, transaction: &mut Transaction<Meaning>, kind: Kind, id: &Id) {
        self.count(transaction, kind, id, 1, 0);
    }

    pub(super) fn count_deleted(&self, transaction: &mut Transaction<Meaning>, kind: Kind, id: &Id) {
        self.count(transaction, kind, id, -1, 1);
    }

    fn count(&self, transaction: &mut Transaction<Meaning>, kind: Kind, id: &Id, there_are: i64, gone: i64) {
        let number = |number: i64| AttributeValue::N(number.to_string());
        transaction.update(
            self.keys.count(kind, id),
            format!("ADD {} :there_are, {} :gone", name::COUNT, name::GONE),
            vec![(":there_are", number(there_are)), (":gone", number(gone))],
            None,
            Meaning::Unconditional,
        );
    }

    /// The resources of these kinds: one read.
    pub(super) async fn counts(&self, kinds: &[Kind]) -> Result<Counts, Error> {
        let items = self.query_all(Range::all(&self.keys.counts())).await?;
        let is_of = |sk: &str| kinds.iter().any(|kind| sk.starts_with(kind.word()));
        let (mut there_are, mut gone) = (0, 0);
        for item in items.iter().filter(|item| sort_key(item).is_ok_and(is_of)) {
            there_are += number(item, name::COUNT).unwrap_or_default();
            gone += number(item, name::GONE).unwrap_or_default();
        }
        let counted = |number: i64| u64::try_from(number).unwrap_or_default();
        Ok(Counts { there_are: counted(there_are), gone: counted(gone) })
    }
}
