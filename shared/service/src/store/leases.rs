//! The requests of an organisation in a second, counted across the instances of the functions.
//!
//! The item `BUCKET` has the time at which the bucket of the organisation is full again. An instance changes it once for
//! many requests ([`crate::bucket`]), by one conditional update. If the condition fails, DynamoDB returns the item, which
//! says which other condition holds or how long to wait.
//!
//! If DynamoDB does not answer in [`LIMIT_TIMEOUT`], or throttles, the request passes: availability comes before limits.
//! The metric `LimitFailures` counts it.

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;

use super::{
    directory::Store,
    items::{Item, number},
    keys::Keys,
    table::Table,
    update::{self, attempt},
};
use crate::{
    Error,
    auth::Org,
    bucket::{self, Attempt, Change, Limits, Verdict, whole_seconds},
    error::{Limit, Reason},
    limits::LIMIT_TIMEOUT,
    settings::Settings,
    telemetry::UNLIMITED,
};

/// The sort key of the item.
const BUCKET: &str = "BUCKET";
/// When the bucket is full again, in microseconds since 1970.
const FULL: &str = "fullAt";
/// The number of attempts to take a lease. Each one beyond the first has lost a race against another instance.
const ATTEMPTS: usize = 4;

impl Store {
    /// Counts a request of an organisation, whose credential is valid.
    ///
    /// # Errors
    /// [`Error::Limited`] if the organisation sends more requests than its limits allow.
    pub async fn admit(&self, org: &Org, settings: Settings) -> Result<(), Error> {
        if !self.is_limited {
            return Ok(());
        }
        let limits = Limits::from(settings);
        let account = self.accounts.of(org, self.clock.unix_micros());
        let mut bucket = account.bucket.lock().await;
        loop {
            let now = self.clock.unix_micros();
            match bucket.take(limits, now) {
                Verdict::Admitted => return Ok(()),
                Verdict::Refused(wait) => {
                    return Err(Error::Limited(Limit::Requests, whole_seconds(wait)));
                }
                Verdict::NeedsLease => {}
            }
            let table = self.key_table(Instant::now() + LIMIT_TIMEOUT);
            if let Err(error) = lease(&table, org, limits, now, &mut bucket).await {
                report(org, &error);
                bucket.passed(limits);
            }
        }
    }
}

/// Takes a lease, or records how long the bucket has none.
async fn lease(
    table: &Table,
    org: &Org,
    limits: Limits,
    now: u64,
    bucket: &mut bucket::Account,
) -> Result<(), Error> {
    let mut next = bucket.first_attempt(limits, now);
    for _ in 0..ATTEMPTS {
        let lease = match next {
            Ok(lease) => lease,
            Err(wait) => {
                bucket.refused(now, wait);
                return Ok(());
            }
        };
        match attempt(table, &Keys::limits(org).key(BUCKET), update_of(lease, now)).await? {
            Ok(()) => {
                bucket.granted(now, lease);
                return Ok(());
            }
            Err(item) => {
                let full = item.as_ref().map(full).transpose()?;
                bucket.seen(full);
                next = bucket.attempt(limits, now, full);
            }
        }
    }
    Err(Error::Unavailable(Reason::Conflicts))
}

fn full(item: &Item) -> Result<u64, Error> {
    let damaged = |_| Error::Internal("the bucket of an organisation cannot be read".to_owned());
    u64::try_from(number(item, FULL)?).map_err(damaged)
}

fn update_of(lease: Attempt, now: u64) -> update::Attempt {
    let micros = |micros: u64| AttributeValue::N(micros.to_string());
    let (time, condition, values) = match lease.change {
        Change::Full { now, time } => (
            ":time".to_owned(),
            format!("attribute_not_exists({FULL}) OR {FULL} <= :now"),
            vec![(":time", micros(time)), (":now", micros(now))],
        ),
        Change::Partial { now, cost, latest } => (
            format!("{FULL} + :cost"),
            format!("{FULL} > :now AND {FULL} <= :latest"),
            vec![(":cost", micros(cost)), (":now", micros(now)), (":latest", micros(latest))],
        ),
        Change::Stale { seen, time } => (
            ":time".to_owned(),
            format!("{FULL} = :seen"),
            vec![(":time", micros(time)), (":seen", micros(seen))],
        ),
    };
    let expression = format!("SET {FULL} = {time}");
    update::Attempt { expression, condition, values }.expiring(now / 1_000_000)
}

/// Logs that a limit could not be checked, so that a request passes.
pub(super) fn report(org: &Org, error: &Error) {
    let cause = error.cause().unwrap_or_default();
    tracing::warn!(name: UNLIMITED, org = org.as_str(), cause, LimitFailures = 1, "a limit could not be checked");
}
