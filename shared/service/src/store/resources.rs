//! Creating, reading, changing and deleting one resource: what users and groups have in common, and users.
//!
//! A write carries the difference of the index entries and, where the number of resources changes, the count, all in
//! one transaction on the version that was read. A lost race is repeated on the new state, unless the client bound the
//! request to a version (`If-Match`): then it is told.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{Invalid, ScimType, id::Id, resource::Document};

use super::{
    Directory,
    index::{Entry, entries},
    items::{Item, Stored, name, text},
    keys::Kind,
    transaction::{Condition, Refusal, Transaction},
    wire::Backoff,
};
use crate::{Error, clock::timestamp};

/// What `If-Match` asks for (RFC 7644 §3.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Any version, as long as the resource is there.
    Anything,
    /// One of these versions.
    OneOf(Vec<String>),
}

/// What a failed condition of a write on resources means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The resource is gone, changed since it was read, or, a group, has an unfinished change.
    Resource,
    /// Another resource has this value of a unique attribute.
    Unique(&'static str),
    /// The resource that is to be the member at this place of the edit is not there.
    Member(usize),
    /// The member at this place of the edit is one already.
    Added(usize),
    /// The member at this place of the removals is none any more.
    Removed(usize),
    /// A member that was as asked is so no more.
    AsAsked,
    /// Part of a pending change: somebody else carried it out.
    Part,
    /// An action without a condition.
    Unconditional,
}

/// The answer to a request for what does not exist, or belongs to another organisation: the two look the same.
pub(super) fn not_found(kind: Kind) -> Error {
    Error::NotFound(format!(
        "there is no {} with this id; look it up again by filter, or create it",
        kind.resource_type().name
    ))
}

/// The first violated uniqueness as the client is told of it.
pub(super) fn taken(kind: Kind, refusals: &[Refusal<Meaning>]) -> Option<Error> {
    refusals.iter().find_map(|refusal| match refusal.meaning {
        Meaning::Unique(attribute) => Some(Error::Invalid(Invalid::new(
            ScimType::Uniqueness,
            format!("another {} already has this {attribute}", kind.resource_type().name),
        ))),
        _ => None,
    })
}

/// Whether the resource itself was not as expected: it changed, or it has the unique value by now that was to be its
/// own.
pub(super) fn lost_race(id: &Id, refusals: &[Refusal<Meaning>]) -> bool {
    let is_own = |item: &Item| text(item, name::ID).is_ok_and(|owner| owner == id.as_str());
    refusals.iter().any(|refusal| match refusal.meaning {
        Meaning::Resource => true,
        Meaning::Unique(_) => refusal.item.as_ref().is_some_and(is_own),
        _ => false,
    })
}

pub(super) fn check_expected(expected: Option<&Expected>, stored: &Stored) -> Result<(), Error> {
    match expected {
        Some(Expected::OneOf(versions)) if !versions.contains(&stored.version) => {
            Err(Error::PreconditionFailed)
        }
        _ => Ok(()),
    }
}

pub(super) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

impl Directory {
    /// The user of that id and the groups it is a member of; none are read where they are not wanted.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none in this organisation.
    pub async fn user(&self, id: &str, with_groups: bool) -> Result<(Stored, Vec<String>), Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(Kind::User))?;
        if !with_groups {
            return Ok((self.read(Kind::User, &id).await?, Vec::new()));
        }
        tokio::try_join!(self.read(Kind::User, &id), self.groups_of(&id))
    }

    /// Creates a user.
    ///
    /// # Errors
    /// `uniqueness` if the userName is taken.
    pub async fn create_user(&self, document: Document) -> Result<Stored, Error> {
        let stored = self.fresh(document)?;
        match self.transact(self.creation(Kind::User, &stored)).await? {
            Ok(()) => Ok(stored),
            Err(refusals) => Err(taken(Kind::User, &refusals).unwrap_or(Error::Unavailable)),
        }
    }

    /// Changes a user's document; gives the user and its groups, as [`Self::user`] does. `change` is given the document as it is and may be called again if another writer
    /// was faster. A document that comes out as it was is not written: neither version nor `lastModified` change.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`, and whatever `change` says.
    pub async fn update_user(
        &self,
        id: &str,
        expected: Option<&Expected>,
        change: impl Fn(&Document) -> Result<Document, Invalid>,
        with_groups: bool,
    ) -> Result<(Stored, Vec<String>), Error> {
        let mut backoff = Backoff::until(self.deadline);
        loop {
            let (stored, groups) = self.user(id, with_groups).await?;
            check_expected(expected, &stored)?;
            let document = change(&stored.document)?;
            if document == stored.document {
                return Ok((stored, groups));
            }
            let next = self.successor(&stored, document)?;
            match self.transact(self.replacement(Kind::User, &stored, &next)).await? {
                Ok(()) => return Ok((next, groups)),
                Err(refusals) if lost_race(&stored.id, &refusals) => backoff.wait(&self.store).await?,
                Err(refusals) => return Err(taken(Kind::User, &refusals).unwrap_or(Error::Unavailable)),
            }
        }
    }

    /// Deletes a resource: it is gone for every reader, with its index entries, at once; then its memberships go.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`].
    pub async fn delete(&self, kind: Kind, id: &str, expected: Option<&Expected>) -> Result<(), Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(kind))?;
        let mut backoff = Backoff::until(self.deadline);
        loop {
            let stored = self.read_settled(kind, &id).await?;
            check_expected(expected, &stored)?;
            let mut transaction = Transaction::new();
            transaction.delete(self.keys.resource(kind, id.as_str()), is_still(&stored), Meaning::Resource);
            let old = entries(kind, &id, &stored.document);
            self.index_changes(&mut transaction, kind, &id, &old, &BTreeSet::new());
            self.count_deleted(&mut transaction, kind, &id);
            let tombstone = self.tombstone(&mut transaction, kind, &id)?;
            match self.transact(transaction).await? {
                Ok(()) => {
                    self.finish_in_time(&tombstone).await;
                    return Ok(());
                }
                Err(_) => backoff.wait(&self.store).await?,
            }
        }
    }

    /// The resource of that id.
    pub(super) async fn read(&self, kind: Kind, id: &Id) -> Result<Stored, Error> {
        let item = self.get(&self.keys.resource(kind, id.as_str())).await?.ok_or_else(|| not_found(kind))?;
        Stored::from_item(&item)
    }

    /// A new resource that holds the document.
    pub(super) fn fresh(&self, document: Document) -> Result<Stored, Error> {
        // One reading of the clock: a range of `meta.created` is a range of ids.
        let now = self.store.clock.now();
        let created = timestamp(now)?;
        Ok(Stored {
            id: self.store.entropy.id(now)?,
            document,
            version: self.store.entropy.version()?,
            modified: created.clone(),
            created,
            intent: None,
            finished: None,
        })
    }

    /// The resource with a new document: another version, modified now.
    pub(super) fn successor(&self, stored: &Stored, document: Document) -> Result<Stored, Error> {
        Ok(Stored {
            document,
            version: self.store.entropy.version()?,
            modified: self.store.clock.timestamp()?,
            ..stored.clone()
        })
    }

    /// Puts a new resource, its index entries and its count.
    pub(super) fn creation(&self, kind: Kind, stored: &Stored) -> Transaction<Meaning> {
        let mut transaction = Transaction::new();
        let key = self.keys.resource(kind, stored.id.as_str());
        transaction.put(key, stored.to_item(), Condition::absent(), Meaning::Resource);
        let new = entries(kind, &stored.id, &stored.document);
        self.index_changes(&mut transaction, kind, &stored.id, &BTreeSet::new(), &new);
        self.count_created(&mut transaction, kind, &stored.id);
        transaction
    }

    /// Puts the next state of a resource in the place of the one that was read, and changes its index entries.
    pub(super) fn replacement(&self, kind: Kind, stored: &Stored, next: &Stored) -> Transaction<Meaning> {
        let mut transaction = Transaction::new();
        let key = self.keys.resource(kind, stored.id.as_str());
        transaction.put(key, next.to_item(), is_still(stored), Meaning::Resource);
        let (old, new) =
            (entries(kind, &stored.id, &stored.document), entries(kind, &stored.id, &next.document));
        self.index_changes(&mut transaction, kind, &stored.id, &old, &new);
        transaction
    }

    fn index_changes(
        &self,
        transaction: &mut Transaction<Meaning>,
        kind: Kind,
        id: &Id,
        old: &BTreeSet<Entry>,
        new: &BTreeSet<Entry>,
    ) {
        for entry in old.difference(new) {
            let key = self.keys.index(kind, entry.attribute).key(&entry.sk);
            transaction.delete(key, None, Meaning::Unconditional);
        }
        for entry in new.difference(old) {
            let key = self.keys.index(kind, entry.attribute).key(&entry.sk);
            let item = Item::from([(name::ID.to_owned(), string(id.as_str()))]);
            let condition = entry.unique.then(Condition::absent);
            transaction.put(key, item, condition, Meaning::Unique(entry.attribute));
        }
    }
}

/// The condition that nobody wrote the resource since it was read. A group's version changes with its members and
/// with each pending change, so it covers those too.
fn is_still(stored: &Stored) -> Condition {
    Condition::expression(format!("{} = :version", name::VERSION)).with(":version", &stored.version)
}
