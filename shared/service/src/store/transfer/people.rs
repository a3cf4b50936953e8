//! The import of users without ids, each as the body of a POST.
//!
//! The users are created as requests create them, so SCIM may be enabled meanwhile. A user whose userName exists is skipped
//! if its document is the same. An interrupted import continues in this way.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, fold::fold, id::Id, json, resource::Document, schema::USER_TYPE};
use serde_json::Value;

use super::outcome::{Imported, Outcome, Refused};
use crate::{
    Error,
    auth::Org,
    store::{
        directory::{Directory, Store},
        index::entries,
        items::{Stored, name, text},
        orgs::{Organisation, operator_table, read_org},
        resources::{fresh, told_creation},
        stamps::event_id,
        table::CONCURRENCY,
        write::taken,
    },
};

/// The number of users in a batch.
const BATCH: usize = 100;
/// The size of the documents in a batch, in bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// An import of users that is under way.
pub struct PeopleImport {
    store: Store,
    org: Org,
    batch: Vec<(u64, Document)>,
    bytes: usize,
    /// The userNames of the batch. The first of two lines with the same one is written.
    names: HashSet<String>,
    imported: Imported,
}

impl PeopleImport {
    /// Begins an import into an organisation, which exists.
    #[must_use]
    pub fn new(store: &Store, org: &Org) -> Self {
        Self {
            store: store.clone(),
            org: org.clone(),
            batch: Vec::new(),
            bytes: 0,
            names: HashSet::new(),
            imported: Imported::default(),
        }
    }

    /// Returns the numbers so far.
    #[must_use]
    pub fn imported(&self) -> Imported {
        self.imported
    }

    /// Reads a line that is the body of a POST to /Users. Returns the lines that are refused since the last call.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`], [`Error::Conflict`] if the organisation does not exist or is held. The
    /// imported users stay.
    pub async fn line(&mut self, number: u64, text: &[u8]) -> Result<Vec<Refused>, Error> {
        match json::parse(text) {
            Ok(body) => self.body(number, text.len(), &body).await,
            Err(invalid) => Ok(self.refuse(number, invalid.detail)),
        }
    }

    /// Reads the body of a POST to /Users that is a line of `bytes` bytes.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub async fn body(&mut self, number: u64, bytes: usize, body: &Value) -> Result<Vec<Refused>, Error> {
        let document = match Document::from_request(&USER_TYPE, body) {
            Ok(document) => document.active_by_default(),
            Err(invalid) => return Ok(self.refuse(number, invalid.detail)),
        };
        let name = fold(document.user_name().unwrap_or_default());
        let mut refused = Vec::new();
        if self.batch.len() == BATCH || self.bytes + bytes > BATCH_BYTES || self.names.contains(&name) {
            refused = self.flush().await?;
        }
        self.names.insert(name);
        self.batch.push((number, document));
        self.bytes += bytes;
        Ok(refused)
    }

    /// Refuses a line that is no body.
    pub fn refuse(&mut self, number: u64, reason: String) -> Vec<Refused> {
        self.imported.count(vec![(number, Outcome::Refused(reason))])
    }

    /// Ends the import. Returns the lines that are refused since the last call, and the numbers of all lines.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub async fn finish(mut self) -> Result<(Vec<Refused>, Imported), Error> {
        let refused = self.flush().await?;
        Ok((refused, self.imported))
    }

    async fn flush(&mut self) -> Result<Vec<Refused>, Error> {
        // A deletion waits longer than a batch takes, so no user is created after it.
        match read_org(&operator_table(&self.store), &self.org).await? {
            Some(Organisation { work: None, .. }) => {}
            Some(Organisation { work: Some(work), .. }) => return Err(work.conflict(&self.org)),
            None => return Err(Error::Conflict(format!("The organisation {} does not exist.", self.org))),
        }
        let directory = self.store.as_operator(&self.org);
        self.bytes = 0;
        self.names.clear();
        // Ids of one millisecond are in no order. The list of users then has the order of the batches.
        let work: Vec<_> = self.batch.drain(..).map(|(line, user)| create(&directory, line, user)).collect();
        let outcomes = stream::iter(work).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(self.imported.count(outcomes))
    }
}

async fn create(directory: &Directory, line: u64, document: Document) -> Result<(u64, Outcome), Error> {
    let user = fresh(&directory.table, ResourceKind::User, document)?;
    let event = event_id(directory, None, &user.version);
    let transaction = told_creation(directory, ResourceKind::User, &user, &event)?;
    let outcome = match transaction.send(&directory.table).await? {
        Ok(()) => Outcome::Written,
        Err(_) if is_there(directory, &user).await? => Outcome::Skipped,
        Err(failed) => Outcome::Refused(match taken(ResourceKind::User, &failed) {
            Some(error) => error.to_string(),
            None => "The user cannot be created. Run doctor.".to_owned(),
        }),
    };
    Ok((line, outcome))
}

/// Returns whether the user with this userName has this document.
async fn is_there(directory: &Directory, user: &Stored) -> Result<bool, Error> {
    let Some(entry) = entries(ResourceKind::User, user).into_iter().find(|entry| entry.unique) else {
        return Ok(false);
    };
    let key = directory.keys.index(ResourceKind::User, entry.attribute).key(entry.sk);
    let Some(item) = directory.table.get(&key).await? else { return Ok(false) };
    let Some(id) = Id::parse(text(&item, name::ID)?) else { return Ok(false) };
    let key = directory.keys.resource(ResourceKind::User, id.as_str());
    let there = directory.table.get(&key).await?;
    Ok(there.is_some_and(|item| Stored::from_item(&item).is_ok_and(|there| there.document == user.document)))
}
