//! Announcements of the ends of credentials: 60, 30, 14, 7 and 1 days before.
//!
//! A credential with an end has one entry in the list of ends, at the time of its next announcement. The entry changes in
//! the transaction that changes the credential, so the janitor reads only what is due.

use time::{Duration, OffsetDateTime};

use super::{
    items::{Item, string},
    keys::Keys,
    transaction::Transaction,
};
use crate::{Error, auth::Org, clock::timestamp};

/// The attribute of a credential with the time of its next announcement.
pub(super) const DUE: &str = "due";
/// The attribute of an announcement with the end of the credential.
pub(super) const ENDS: &str = "ends";

/// The days before the end on which it is announced.
pub const ANNOUNCED_DAYS: [i64; 5] = [60, 30, 14, 7, 1];

/// Returns the time of the first announcement of this end after `now`.
pub(super) fn next(ends: OffsetDateTime, now: OffsetDateTime) -> Result<Option<String>, Error> {
    let announcements = ANNOUNCED_DAYS.into_iter().map(|days| ends - Duration::days(days));
    announcements.into_iter().find(|at| *at > now).map(timestamp).transpose()
}

/// Replaces the entry of a credential in the list of ends. `old` and `new` are times of announcements.
pub(super) fn replace<G: Clone>(
    transaction: &mut Transaction<G>,
    (org, id): (&Org, &str),
    old: Option<&str>,
    new: Option<(&str, &str)>,
    guard: &G,
) {
    if let Some(old) = old.filter(|old| new.is_none_or(|(at, _)| at != *old)) {
        transaction.delete(Keys::due(old, org, id), None, guard.clone());
    }
    if let Some((at, ends)) = new {
        let item = Item::from([(ENDS.to_owned(), string(ends))]);
        transaction.put(Keys::due(at, org, id), item, None, guard.clone());
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn next_announcement_is_the_first_in_the_future() {
        let ends = datetime!(2027-03-01 00:00 UTC);
        let next_at = |now| next(ends, now).unwrap();
        let days = |days| timestamp(ends - Duration::days(days)).unwrap();
        assert_eq!(next_at(ends - Duration::days(90)), Some(days(60)));
        assert_eq!(next_at(ends - Duration::days(60)), Some(days(30)));
        assert_eq!(next_at(ends - Duration::days(8)), Some(days(7)));
        assert_eq!(next_at(ends - Duration::hours(25)), Some(days(1)));
        assert_eq!(next_at(ends - Duration::hours(23)), None);
    }
}
