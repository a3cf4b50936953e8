//! Holds: work of an operator during which an organisation refuses requests.
//!
//! The settings of the organisation name the work, and SCIM is disabled. The hold ends with the work. If the work is
//! interrupted, the hold stays until the work is done again. Requests that began before the hold may still write. The work
//! waits for them where they could do harm.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use tokio::time::{Duration, sleep};

use super::{
    audit::{self, Action, Actor},
    creation::{Creation, put_org},
    directory::Store,
    items::{Item, number, optional_text, string, text},
    keys::{Key, Keys, PK, SK},
    orgs::{ENABLED, Organisation, operator_table},
    transaction::{Condition, Transaction},
    work::{WORK, Work},
};
use crate::{Error, auth::Org, limits::ABANDONED_AFTER};

/// When the hold began, in milliseconds since 1970.
const SINCE: &str = "heldSince";
/// Whether SCIM is enabled when the work is done.
const ENABLED_AFTER: &str = "enabledAfter";
/// The partition key and the sort key after which the scan of a deletion continues.
const SCAN_PK: &str = "scanPk";
const SCAN_SK: &str = "scanSk";
/// Whether the scan has found no item so far, and began after all requests had ended.
const SCAN_IS_PROOF: &str = "scanIsProof";

/// The scan of a deletion.
#[derive(Debug, Default)]
pub(super) struct DeletionScan {
    /// The key after which it continues, or `None` at the beginning.
    pub(super) after: Option<Item>,
    /// Whether it has found no item so far, and began after all requests had ended.
    pub(super) is_proof: bool,
}

/// A hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    work: Work,
    since: u64,
}

/// The outcome of an attempt to hold an organisation.
pub(super) enum Begun {
    Held(Hold),
    /// The organisation does not exist.
    NoOrg,
    /// SCIM is enabled.
    Enabled,
    /// Other work holds the organisation.
    Busy(Work),
}

/// Creates an organisation for an import. SCIM is disabled meanwhile. Returns `None` if the organisation exists already.
pub(super) async fn create_held(
    store: &Store,
    organisation: &Organisation,
    actor: &Actor,
) -> Result<Option<Hold>, Error> {
    let hold = Hold::new(store, Work::Import);
    let during = Organisation { enabled: false, work: Some(Work::Import), ..organisation.clone() };
    let mut more = during.settings_item();
    more.extend([
        (WORK.to_owned(), string(Work::Import.as_str())),
        (SINCE.to_owned(), AttributeValue::N(hold.since.to_string())),
        (ENABLED_AFTER.to_owned(), AttributeValue::Bool(organisation.enabled)),
    ]);
    Ok((put_org(store, &during, &more, None, actor).await? == Creation::New).then_some(hold))
}

/// Holds an organisation, or continues a hold of the same work. A deletion also disables SCIM. An import requires that SCIM
/// is disabled.
pub(super) async fn begin(store: &Store, org: &Org, work: Work, actor: &Actor) -> Result<Begun, Error> {
    let table = operator_table(store);
    loop {
        let Some(item) = table.get(&Keys::settings(org)).await? else { return Ok(Begun::NoOrg) };
        let before = Organisation::from_item(&item)?;
        match before.work {
            Some(held) if held == work => {
                let since = u64::try_from(number(&item, SINCE)?).unwrap_or_default();
                return Ok(Begun::Held(Hold { work, since }));
            }
            // A deletion takes over an unfinished import.
            Some(held) if work == Work::Import => return Ok(Begun::Busy(held)),
            _ => {}
        }
        if before.enabled && work == Work::Import {
            return Ok(Begun::Enabled);
        }
        let hold = Hold::new(store, work);
        let after = Organisation { enabled: false, work: Some(work), ..before.clone() };
        let values = vec![
            (":off", AttributeValue::Bool(false)),
            (":work", string(work.as_str())),
            (":since", AttributeValue::N(hold.since.to_string())),
        ];
        let expression =
            format!("SET {ENABLED} = :off, {ENABLED_AFTER} = :off, {WORK} = :work, {SINCE} = :since");
        let unchanged = Condition::expression(format!("{ENABLED} = :was"))
            .with_bool(":was", before.enabled)
            .and(&match before.work {
                Some(_) => format!("attribute_exists({WORK})"),
                None => format!("attribute_not_exists({WORK})"),
            });
        let mut transaction = Transaction::new();
        transaction.update(Keys::settings(org), expression, values, unchanged, ());
        let action = Action { org, actor, name: "org.change", target: org.as_str() };
        audit::record(&mut transaction, store, &action, (&before, &after), ())?;
        if transaction.send(&table).await?.is_ok() {
            return Ok(Begun::Held(hold));
        }
    }
}

impl Hold {
    fn new(store: &Store, work: Work) -> Self {
        Self { work, since: store.clock.unix_millis() }
    }

    /// Waits until every request that began before the hold has ended.
    pub(super) async fn wait_for_requests(self, store: &Store) {
        sleep(self.remaining(store)).await;
    }

    /// Returns how long such a request may still run.
    pub(super) fn remaining(self, store: &Store) -> Duration {
        let longest = u64::try_from(ABANDONED_AFTER.as_millis()).unwrap_or(u64::MAX);
        let passed = store.clock.unix_millis().saturating_sub(self.since);
        Duration::from_millis(longest.saturating_sub(passed))
    }

    /// Returns the condition that the hold has not been ended or taken over.
    fn is_held(self) -> Condition {
        Condition::expression(format!("{WORK} = :held AND {SINCE} = :heldSince"))
            .with(":held", self.work.as_str())
            .with_number(":heldSince", i64::try_from(self.since).unwrap_or(i64::MAX))
    }

    /// Returns the scan that an earlier part of the deletion has stored.
    pub(super) async fn scan(self, store: &Store, org: &Org) -> Result<DeletionScan, Error> {
        let item = operator_table(store).get(&Keys::settings(org)).await?.unwrap_or_default();
        let (Some(pk), Some(sk)) = (optional_text(&item, SCAN_PK)?, optional_text(&item, SCAN_SK)?) else {
            return Ok(DeletionScan::default());
        };
        let after = Key { pk: pk.to_owned(), sk: sk.to_owned() }.attributes();
        let is_proof = item.get(SCAN_IS_PROOF).and_then(|value| value.as_bool().ok()).copied();
        Ok(DeletionScan { after: Some(after), is_proof: is_proof.unwrap_or_default() })
    }

    /// Stores the position of the scan.
    pub(super) async fn save_scan(self, store: &Store, org: &Org, scan: &DeletionScan) -> Result<(), Error> {
        let (expression, values) = match &scan.after {
            None => (format!("REMOVE {SCAN_PK}, {SCAN_SK}, {SCAN_IS_PROOF}"), Vec::new()),
            Some(after) => (
                format!("SET {SCAN_PK} = :pk, {SCAN_SK} = :sk, {SCAN_IS_PROOF} = :proof"),
                vec![
                    (":pk", string(text(after, PK)?)),
                    (":sk", string(text(after, SK)?)),
                    (":proof", AttributeValue::Bool(scan.is_proof)),
                ],
            ),
        };
        let mut transaction = Transaction::new();
        transaction.update(Keys::settings(org), expression, values, self.is_held(), ());
        // If the hold has ended, the next part of the deletion finds out.
        transaction.send(&operator_table(store)).await.map(|_| ())
    }

    /// Ends the hold. SCIM is enabled if it is to be. `action` and `result` go to the audit log. Returns `false` if the hold
    /// has been ended or taken over.
    pub(super) async fn end(
        self,
        store: &Store,
        (org, actor): (&Org, &Actor),
        action: &'static str,
        result: &impl Serialize,
    ) -> Result<bool, Error> {
        let mut transaction = Transaction::new();
        let expression = format!(
            "SET {ENABLED} = {ENABLED_AFTER} REMOVE {ENABLED_AFTER}, {WORK}, {SINCE}, {SCAN_PK}, {SCAN_SK}, {SCAN_IS_PROOF}"
        );
        transaction.update(Keys::settings(org), expression, Vec::new(), self.is_held(), ());
        let action = Action { org, actor, name: action, target: org.as_str() };
        audit::record(&mut transaction, store, &action, (&(), result), ())?;
        Ok(transaction.send(&operator_table(store)).await?.is_ok())
    }

    /// Deletes the settings of the organisation, and with them the hold. Returns `false` if the hold has been ended.
    pub(super) async fn delete(self, store: &Store, org: &Org, actor: &Actor) -> Result<bool, Error> {
        let table = operator_table(store);
        let Some(item) = table.get(&Keys::settings(org)).await? else { return Ok(false) };
        let before = Organisation::from_item(&item)?;
        let mut transaction = Transaction::new();
        transaction.delete(Keys::settings(org), self.is_held(), ());
        let action = Action { org, actor, name: "org.delete", target: org.as_str() };
        audit::record(&mut transaction, store, &action, (&before, &()), ())?;
        Ok(transaction.send(&table).await?.is_ok())
    }
}
