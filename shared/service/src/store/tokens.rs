//! Access tokens: keys that last an hour and name their OAuth client.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use time::Duration;
use tokio::time::Instant;

use super::{
    bookmarks::EXPIRES,
    client_record::{ClientId, ClientRecord, SecretRecord},
    credential_writes::guard_generation,
    directory::Store,
    items::sort_key,
    key_range::KeyRange,
    key_record::KeyRecord,
    keys::{Keys, SETTINGS, TOKEN_PREFIX, prefix_range},
    orgs::Organisation,
    table::{Table, delete_request},
    transaction::{Condition, Transaction},
};
use crate::{
    Error,
    auth::{Org, Scope},
    clock::{parse_timestamp, timestamp},
    credential::{Credential, Kind},
    pepper::Peppers,
};

/// The time for which DynamoDB keeps a token after its end. A request with the token gets a clear error in this time.
const KEPT: Duration = Duration::days(1);

/// A client and its organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClient {
    /// The client.
    pub client: ClientRecord,
    /// Its organisation.
    pub organisation: Organisation,
}

/// A new access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token, which is shown once.
    pub token: Credential,
    /// Its lifetime in seconds.
    pub seconds: i64,
}

impl Store {
    /// Returns the client of that id with its organisation, by one call. Returns `None` if there is no such client, or it
    /// has been ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn token_client(&self, id: &ClientId, deadline: Instant) -> Result<Option<TokenClient>, Error> {
        let wanted = [id.key(), Keys::settings(id.org())];
        let (mut client, mut organisation) = (None, None);
        for item in &self.key_table(deadline).get_all(&wanted).await? {
            if sort_key(item)? == SETTINGS {
                organisation = Some(Organisation::from_item(item)?);
            } else {
                client = Some(ClientRecord::from_item(item)?).filter(|client| client.ended.is_none());
            }
        }
        let found = client.zip(organisation);
        Ok(found.map(|(client, organisation)| TokenClient { client, organisation }))
    }

    /// Issues an access token to an authenticated client, with these of its scopes, and records that a client of the kind
    /// `by` has used it. The token does not outlive the secret that the client presented. Returns `None` if the client, or
    /// the pepper of its organisation, has changed since it was read.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn issue_token(
        &self,
        TokenClient { client, organisation }: &TokenClient,
        scopes: &BTreeSet<Scope>,
        secret: Option<&SecretRecord>,
        peppers: &Peppers,
        by: &str,
        deadline: Instant,
    ) -> Result<Option<IssuedToken>, Error> {
        let org = &organisation.org;
        let now = self.clock.now();
        let mut ends = now + Duration::minutes(organisation.settings.token_minutes.into());
        if let Some(secret) = secret {
            ends = ends.min(parse_timestamp(&secret.ends)?);
        }
        let token = Credential::generate(Kind::Token, org, &self.entropy)?;
        let record = KeyRecord {
            ends: Some(timestamp(ends)?),
            client: Some(client.id.clone()),
            secret: secret.map(|secret| secret.id.clone()),
            ..KeyRecord::new(&token, peppers, scopes, timestamp(now)?)
        };
        let mut item = record.to_item();
        let expires = (ends + KEPT).unix_timestamp();
        item.insert(EXPIRES.to_owned(), AttributeValue::N(expires.to_string()));
        let mut transaction = Transaction::new();
        guard_generation(&mut transaction, organisation, peppers, ());
        // The put costs as much as a check. The revision stays, so that two tokens may be issued at the same time.
        let used = ClientRecord {
            last_used: Some(timestamp(now)?),
            last_used_by: Some(by.to_owned()),
            ..client.clone()
        };
        transaction.put(Keys::client(org, &client.id), used.to_item()?, client.unchanged(), ());
        let key = Keys::token(org, &record.digest);
        transaction.put(key, item, Condition::absent(), ());
        let is_issued = transaction.send(&self.key_table(deadline)).await?.is_ok();
        Ok(is_issued.then(|| IssuedToken { token, seconds: (ends - now).whole_seconds() }))
    }
}

/// Deletes the tokens of a client, or those that it requested with one secret. No token of them may still be issued: the
/// caller has changed the client before. The tokens are read at least twice, because a rotation of the pepper may move a
/// token behind the position of a reader, once.
pub(super) async fn delete_tokens(
    table: &Table,
    org: &Org,
    client: &str,
    secret: Option<&str>,
) -> Result<(), Error> {
    delete_found(table, org, client, secret).await?;
    while delete_found(table, org, client, secret).await? > 0 {}
    Ok(())
}

/// Reads all tokens once, and deletes those. Returns their number.
async fn delete_found(table: &Table, org: &Org, client: &str, secret: Option<&str>) -> Result<usize, Error> {
    let partition = Keys::organisation(org);
    let (mut after, mut deleted) = (None, 0);
    loop {
        let range = KeyRange::between(&partition, prefix_range(TOKEN_PREFIX)).after(after);
        let page = table.query(range).await?;
        let mut deletions = Vec::new();
        for item in &page.items {
            let Some(token) = KeyRecord::from_item(org, item)? else { continue };
            let is_of_secret = secret.is_none() || token.secret.as_deref() == secret;
            if token.client.as_deref() == Some(client) && is_of_secret {
                deletions.push(delete_request(&Keys::token(org, &token.digest))?);
            }
        }
        deleted += deletions.len();
        table.write_all(deletions).await?;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(deleted),
        }
    }
}
