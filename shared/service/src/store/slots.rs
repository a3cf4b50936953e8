//! The expensive requests of an organisation at one time, counted across the instances of the functions.
//!
//! Expensive are bulk requests, filters and sorts without an index, and changes of members that do not fit one transaction.
//! The item `SLOTS` has an attribute for each slot in use, with the time at which the slot ends. A request takes a slot by
//! one conditional update and frees it by another one. The slot of a request that was killed ends with the time that the
//! request had.
//!
//! A process that holds all slots itself, or saw a moment ago that none is free, refuses a request without a call. If
//! DynamoDB does not answer, the request passes as in `leases`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;

use super::{
    directory::{Directory, Store},
    items::{Item, number},
    keys::Keys,
    leases::report,
    update::{Attempt, attempt},
};
use crate::{
    Error,
    auth::{Caller, Permit, Slot},
    error::{Limit, Reason},
    limits::{LIMIT_TIMEOUT, REQUEST_BUDGET},
};

/// The sort key of the item.
const SLOTS: &str = "SLOTS";
/// The prefix of the name of a slot's attribute.
const SLOT: &str = "slot";
/// The number of attempts to take a slot. Each one beyond the first has met a slot in use.
const ATTEMPTS: usize = 4;
/// The time for which a process that saw no free slot refuses requests without a call, in milliseconds.
const FULL_MILLIS: u64 = 1_000;
/// The value of `Retry-After` in seconds. Most expensive requests take less.
const RETRY_SECONDS: u64 = 2;

impl Store {
    /// Takes a slot for the bulk request of the caller, which has no slot yet or the one that it keeps.
    ///
    /// # Errors
    /// [`Error::Limited`] if the organisation has too many expensive requests at this time.
    pub async fn begin_bulk(&self, caller: &Caller) -> Result<(), Error> {
        begin(self, caller).await
    }

    /// Frees the slot of a request, if it has one. If DynamoDB does not answer, the slot ends by itself.
    pub async fn end_expensive(&self, permit: &Permit) {
        let Some(Slot { org, taken: Some((number, end)), _share }) = permit.lock().await.take() else {
            return;
        };
        let name = name(number);
        let update = Attempt {
            expression: format!("REMOVE {name}"),
            condition: format!("{name} = :end"),
            values: vec![(":end", millis(end))],
        };
        let table = self.key_table(Instant::now() + LIMIT_TIMEOUT);
        if let Err(error) = attempt(&table, &Keys::limits(&org).key(SLOTS), update).await {
            report(&org, &error);
        }
    }
}

/// Takes a slot for expensive work of the directory's request, as [`Store::begin_bulk`].
pub(super) async fn begin_expensive(directory: &Directory) -> Result<(), Error> {
    begin(&directory.store, &directory.caller).await
}

async fn begin(store: &Store, caller: &Caller) -> Result<(), Error> {
    let Some(permit) = caller.permit().filter(|_| store.is_limited) else { return Ok(()) };
    let mut permit = permit.lock().await;
    if permit.is_some() {
        return Ok(());
    }
    let full = || Error::Limited(Limit::Work, RETRY_SECONDS);
    let slots = caller.settings().at_once;
    let account = store.accounts.of(caller.org(), store.clock.unix_micros());
    let share = account.reserve(slots, store.clock.unix_millis()).ok_or_else(full)?;
    let taken = match take(store, caller, slots).await {
        Ok(Some(taken)) => Some(taken),
        Ok(None) => {
            account.is_full(store.clock.unix_millis(), FULL_MILLIS);
            return Err(full());
        }
        Err(error) => {
            report(caller.org(), &error);
            None
        }
    };
    *permit = Some(Slot { org: caller.org().clone(), taken, _share: share });
    Ok(())
}

/// Takes a free slot. Returns its number and its end, or `None` if no slot is free.
async fn take(store: &Store, caller: &Caller, slots: u32) -> Result<Option<(u32, u64)>, Error> {
    let table = store.key_table(Instant::now() + LIMIT_TIMEOUT);
    let below = |count: usize| {
        usize::try_from(store.entropy.below(u64::try_from(count).unwrap_or(u64::MAX))).unwrap_or_default()
    };
    let mut number = u32::try_from(store.entropy.below(u64::from(slots))).unwrap_or_default();
    for _ in 0..ATTEMPTS {
        let now = store.clock.unix_millis();
        let end = now + u64::try_from(REQUEST_BUDGET.as_millis()).unwrap_or(u64::MAX);
        let name = name(number);
        let update = Attempt {
            expression: format!("SET {name} = :end"),
            condition: format!("attribute_not_exists({name}) OR {name} <= :now"),
            values: vec![(":end", millis(end)), (":now", millis(now))],
        };
        match attempt(&table, &Keys::limits(caller.org()).key(SLOTS), update.expiring(end / 1_000)).await? {
            Ok(()) => return Ok(Some((number, end))),
            Err(item) => {
                let free = free_slots(&item.unwrap_or_default(), slots, now)?;
                match free.get(below(free.len())) {
                    Some(other) => number = *other,
                    None => return Ok(None),
                }
            }
        }
    }
    Err(Error::Unavailable(Reason::Conflicts))
}

/// Returns the numbers of the slots that are free.
fn free_slots(item: &Item, slots: u32, now: u64) -> Result<Vec<u32>, Error> {
    let mut used = BTreeSet::new();
    for name in item.keys() {
        let Some(slot) = name.strip_prefix(SLOT).and_then(|number| number.parse::<u32>().ok()) else {
            continue;
        };
        if u64::try_from(number(item, name)?).is_ok_and(|end| end > now) {
            used.insert(slot);
        }
    }
    Ok((0..slots).filter(|slot| !used.contains(slot)).collect())
}

fn name(number: u32) -> String {
    format!("{SLOT}{number}")
}

fn millis(millis: u64) -> AttributeValue {
    AttributeValue::N(millis.to_string())
}
