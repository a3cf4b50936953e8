//! The import of an export: lines in, outcomes out.
//!
//! The organisation is held from the first line to the end (`hold`), because groups get their members without another
//! version. If the import is interrupted, it stays held, and the import of the same file continues: each line is written or
//! found again. Lines are written in batches. The batch of a kind is written before the first line of another kind, because
//! a membership needs its resources.

use std::collections::HashSet;

use scim::ResourceKind;

use super::{
    joins::{self, join_all},
    outcome::{Imported, Outcome, Outcomes, Refused},
    record::{OrganisationRecord, Record, Tally, parse},
    resources::{self, create_all},
};
use crate::{
    Error,
    auth::Org,
    store::{
        audit::Actor,
        directory::Store,
        hold::{Begun, Hold, begin, create_held},
        index::entries,
        orgs::Organisation,
        work::Work,
    },
};

/// The number of resources in a batch.
const RESOURCES: usize = 100;
/// The number of memberships in a batch.
const MEMBERSHIPS: usize = 500;
/// The size of the lines in a batch, in bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Why an import ends.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// DynamoDB does not answer, or an item cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// The first line is not that of an export.
    #[error("line 1: {0}")]
    NoExport(String),
    /// SCIM is enabled.
    #[error("SCIM is enabled")]
    Enabled,
    /// The organisation is held by other work.
    #[error("{}", .0.as_str())]
    Busy(Work),
    /// The last line is missing, or its numbers are not those of the lines before.
    #[error("the file is incomplete")]
    Incomplete,
}

/// An import that is under way.
pub struct Import {
    store: Store,
    org: Org,
    actor: Actor,
    hold: Option<Hold>,
    batch: Batch,
    bytes: usize,
    /// The ids and unique values of the batch. The first of two lines with the same one is written.
    values: HashSet<String>,
    read: Tally,
    /// The lines that are no records.
    unread: u64,
    expected: Option<Tally>,
    imported: Imported,
}

enum Batch {
    Empty,
    Resources(ResourceKind, Vec<resources::Numbered>),
    Memberships(Vec<joins::Numbered>),
}

impl Import {
    /// Begins an import into this organisation. Nothing is written before the first line.
    #[must_use]
    pub fn new(store: &Store, org: &Org, actor: &Actor) -> Self {
        Self {
            store: store.clone(),
            org: org.clone(),
            actor: actor.clone(),
            hold: None,
            batch: Batch::Empty,
            bytes: 0,
            values: HashSet::new(),
            read: Tally::default(),
            unread: 0,
            expected: None,
            imported: Imported::default(),
        }
    }

    /// Returns the numbers so far.
    #[must_use]
    pub fn imported(&self) -> Imported {
        self.imported
    }

    /// Reads a line of the export, counted from 1. Returns the lines that are refused since the last call.
    ///
    /// # Errors
    /// [`ImportError`]. The imported items stay, and the organisation refuses requests until the import is done again.
    pub async fn line(&mut self, number: u64, text: &[u8]) -> Result<Vec<Refused>, ImportError> {
        let record = parse(text);
        let Some(_) = self.hold else {
            return match record {
                Ok(Record::Organisation(record)) => self.begin(&record).await.map(|()| Vec::new()),
                Ok(_) => Err(ImportError::NoExport("The first line is not the organisation.".to_owned())),
                Err(reason) => Err(ImportError::NoExport(reason)),
            };
        };
        let record = match record {
            Ok(_) if self.expected.is_some() => {
                return self.refuse(number, "The line follows the last record.");
            }
            Ok(record) => record,
            Err(reason) => return self.refuse(number, &reason),
        };
        let mut refused = Vec::new();
        let values = unique_values(&record);
        let is_full = self.bytes + text.len() > BATCH_BYTES;
        if is_full || !self.batch.takes(&record) || values.iter().any(|value| self.values.contains(value)) {
            refused = self.flush().await?;
        }
        self.bytes += text.len();
        self.values.extend(values);
        match record {
            Record::Organisation(_) => {
                refused
                    .extend(self.refuse(number, "The organisation is the first record, and not repeated.")?);
            }
            Record::Resource(kind, resource) => {
                match kind {
                    ResourceKind::User => self.read.users += 1,
                    ResourceKind::Group => self.read.groups += 1,
                }
                match &mut self.batch {
                    Batch::Resources(_, batch) => batch.push((number, resource)),
                    batch => *batch = Batch::Resources(kind, vec![(number, resource)]),
                }
            }
            Record::Member(membership) => {
                self.read.members += 1;
                match &mut self.batch {
                    Batch::Memberships(batch) => batch.push((number, membership)),
                    batch => *batch = Batch::Memberships(vec![(number, membership)]),
                }
            }
            Record::End(tally) => self.expected = Some(tally),
        }
        Ok(refused)
    }

    /// Refuses a line that cannot be read.
    ///
    /// # Errors
    /// [`ImportError::NoExport`] if it is the first.
    pub fn refuse(&mut self, number: u64, reason: &str) -> Result<Vec<Refused>, ImportError> {
        if self.hold.is_none() {
            return Err(ImportError::NoExport(reason.to_owned()));
        }
        self.unread += 1;
        Ok(self.count(vec![(number, Outcome::Refused(reason.to_owned()))]))
    }

    /// Ends the import. Returns the lines that are refused since the last call, and the numbers of all lines.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub async fn finish(mut self) -> Result<(Vec<Refused>, Imported), ImportError> {
        let refused = self.flush().await?;
        let Some(hold) = self.hold else {
            return Err(ImportError::NoExport("The file is empty.".to_owned()));
        };
        // A line that cannot be read is reported. Nothing else would show that a line is missing.
        let is_complete = |expected: Tally| expected.total() <= self.read.total() + self.unread;
        if !self.expected.is_some_and(is_complete) {
            return Err(ImportError::Incomplete);
        }
        if hold.end(&self.store, (&self.org, &self.actor), "org.import", &self.imported).await? {
            Ok((refused, self.imported))
        } else {
            Err(ImportError::Busy(Work::Deletion))
        }
    }

    async fn begin(&mut self, record: &OrganisationRecord) -> Result<(), ImportError> {
        let Self { store, org, actor, .. } = &*self;
        let organisation = Organisation {
            org: org.clone(),
            enabled: record.enabled,
            created: record.created.clone(),
            settings: record.settings,
            generation: 0,
            work: None,
        };
        let hold = match create_held(store, &organisation, actor).await? {
            Some(hold) => hold,
            None => match begin(store, org, Work::Import, actor).await? {
                Begun::Held(hold) => {
                    hold.wait_for_requests(store).await;
                    hold
                }
                Begun::NoOrg => {
                    return Err(Error::Conflict(format!("The organisation {org} was deleted.")).into());
                }
                Begun::Enabled => return Err(ImportError::Enabled),
                Begun::Busy(work) => return Err(ImportError::Busy(work)),
            },
        };
        self.hold = Some(hold);
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<Refused>, Error> {
        self.bytes = 0;
        self.values.clear();
        let directory = self.store.as_operator(&self.org);
        let outcomes = match std::mem::replace(&mut self.batch, Batch::Empty) {
            Batch::Empty => Vec::new(),
            Batch::Resources(kind, batch) => create_all(&directory, kind, &batch).await?,
            Batch::Memberships(batch) => join_all(&directory, batch).await?,
        };
        Ok(self.count(outcomes))
    }

    fn count(&mut self, outcomes: Outcomes) -> Vec<Refused> {
        self.imported.count(outcomes)
    }
}

/// Returns the values of a resource that no other resource may have.
fn unique_values(record: &Record) -> Vec<String> {
    let Record::Resource(kind, resource) = record else { return Vec::new() };
    let unique = entries(*kind, resource).into_iter().filter(|entry| entry.unique).map(|entry| entry.sk);
    unique.chain([resource.id.to_string()]).collect()
}

impl Batch {
    /// Returns whether the record may join the batch.
    fn takes(&self, record: &Record) -> bool {
        match (self, record) {
            (Self::Empty, _) => true,
            (Self::Resources(kind, batch), Record::Resource(other, _)) => {
                kind == other && batch.len() < RESOURCES
            }
            (Self::Memberships(batch), Record::Member(_)) => batch.len() < MEMBERSHIPS,
            _ => false,
        }
    }
}
