//! The list of ends, as the janitor works it off.

use time::Duration;

use super::{
    client_record::SecretRecord,
    client_writes::{announce, announced_secret, put, read_client},
    credential_writes::read_key,
    directory::Store,
    due::{self, DUE},
    items::{sort_key, string},
    key_range::KeyRange,
    key_record::KeyRecord,
    keys::{KEY_PREFIX, Keys, due_parts},
    orgs::operator_table,
    transaction::{Condition, Transaction},
};
use crate::{Error, auth::Org, clock::parse_timestamp};

/// An announcement that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    at: String,
    org: Org,
    id: String,
}

/// The end of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// When the credential ends.
    pub at: String,
    /// The number of days until then, rounded up.
    pub days: i64,
}

impl Due {
    /// Returns the organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Returns the id of the credential.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Store {
    /// Returns up to 1,000 announcements that are due, the oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn dues(&self) -> Result<Vec<Due>, Error> {
        let partition = Keys::dues();
        // `$` follows the `#` after the time.
        let until = format!("{}$", self.clock.timestamp()?);
        let page = operator_table(self).query(KeyRange::between(&partition, ("0".to_owned(), until))).await?;
        let mut dues = Vec::with_capacity(page.items.len());
        for item in &page.items {
            let damaged = || Error::Internal("an entry in the list of ends is damaged".to_owned());
            let (at, org, id) = due_parts(sort_key(item)?).ok_or_else(damaged)?;
            let org = org.parse().map_err(|_| damaged())?;
            dues.push(Due { at: at.to_owned(), org, id: id.to_owned() });
        }
        Ok(dues)
    }

    /// Returns the end that an announcement is about, or `None` if the credential is revoked or has another announcement.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn announced_end(&self, due: &Due) -> Result<Option<End>, Error> {
        let table = operator_table(self);
        let ends = if let Some((client, secret)) = announced_secret(&due.id) {
            let client = read_client(&table, &due.org, client).await?;
            let secrets = client.map(|client| client.secrets).unwrap_or_default();
            secrets.into_iter().find(|known| is_about_secret(due, secret, known)).map(|known| known.ends)
        } else {
            let key = read_key(&table, &due.org, &due.id).await?;
            key.filter(|key| is_about(due, key)).and_then(|key| key.ends)
        };
        let Some(at) = ends else { return Ok(None) };
        let left = parse_timestamp(&at)? - self.clock.now();
        let days = (left.whole_seconds() + Duration::DAY.whole_seconds() - 1) / Duration::DAY.whole_seconds();
        Ok((days > 0).then_some(End { at, days }))
    }

    /// Removes an announcement, and adds the next one of the credential.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn finish_due(&self, due: &Due) -> Result<(), Error> {
        if let Some((client, secret)) = announced_secret(&due.id) {
            return self.finish_due_of_secret(due, client, secret).await;
        }
        let table = operator_table(self);
        let Due { at, org, id } = due;
        let mut transaction = Transaction::new();
        let key = read_key(&table, org, id).await?.filter(|key| is_about(due, key));
        match key {
            None => transaction.delete(Keys::due(at, org, id), None, ()),
            Some(key) => {
                let now = self.clock.now();
                let ends = key.ends.as_deref().unwrap_or_default();
                let next = due::next(parse_timestamp(ends)?, now)?;
                let unchanged = Condition::exists().and(&format!("{DUE} = :due")).with(":due", at);
                let item = Keys::organisation(org).key(format!("{KEY_PREFIX}{}", key.digest));
                match &next {
                    Some(next) => {
                        let values = vec![(":next", string(next))];
                        transaction.update(item, format!("SET {DUE} = :next"), values, unchanged, ());
                    }
                    None => transaction.update(item, format!("REMOVE {DUE}"), Vec::new(), unchanged, ()),
                }
                let next = next.as_deref().map(|next| (next, ends));
                due::replace(&mut transaction, (org, id), Some(at), next, &());
            }
        }
        // If the credential has changed since it was read, the next run finds the announcement again.
        transaction.send(&table).await.map(|_| ())
    }

    async fn finish_due_of_secret(&self, due: &Due, client: &str, secret: &str) -> Result<(), Error> {
        let table = operator_table(self);
        let Due { at, org, id } = due;
        let mut transaction = Transaction::new();
        let before = read_client(&table, org, client).await?;
        let mut after = before.clone();
        let secrets = after.as_mut().map(|client| client.secrets.iter_mut()).into_iter().flatten();
        let announced = secrets.into_iter().find(|known| is_about_secret(due, secret, known));
        match announced {
            None => transaction.delete(Keys::due(at, org, id), None, ()),
            Some(announced) => {
                announced.due = due::next(parse_timestamp(&announced.ends)?, self.clock.now())?;
                announce(&mut transaction, (org, client), announced, Some(at));
            }
        }
        if let (Some(before), Some(after)) = (&before, &mut after)
            && before != after
        {
            put(&mut transaction, before, after, org)?;
        }
        transaction.send(&table).await.map(|_| ())
    }
}

fn is_about_secret(due: &Due, id: &str, secret: &SecretRecord) -> bool {
    secret.id == id && secret.due.as_deref() == Some(&due.at)
}

fn is_about(due: &Due, key: &KeyRecord) -> bool {
    key.revoked.is_none() && key.due.as_deref() == Some(&due.at)
}
