//! The OAuth clients of an organisation: creation, secrets and deletion.
//!
//! Ending a client or a secret ends its access tokens. The change of the client comes first: from then on no token of it is
//! issued, because the transaction of a token checks the client. Then its tokens are deleted. A command that was interrupted
//! in between is completed by the same command.

use std::collections::BTreeSet;

use scim::Invalid;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::{
    audit::{self, Action, Actor},
    client_record::{ClientId, ClientRecord, ID_DIGITS, SecretRecord},
    client_writes::{announce, put, read_client, read_clients},
    creation::{check_unused, put_request},
    credential_writes::{check_label, check_scopes, guard_generation, organisation_and_peppers},
    credentials::{Repeatable, check_repeat},
    directory::Store,
    due,
    keys::Keys,
    orgs::operator_table,
    tokens::delete_tokens,
    transaction::{Condition, Transaction},
};
use crate::{
    Error,
    auth::{Org, Scope},
    clock::timestamp,
    credential::{Credential, Kind, SECRET_BYTES},
    pepper::{Pepper, Peppers},
    trust::Trust,
};

/// The largest number of clients of an organisation.
pub const MAX_CLIENTS: usize = 100;
/// The largest number of live secrets of a client.
pub const MAX_SECRETS: usize = 5;
/// The lifetime of a secret by default.
pub const SECRET_LIFETIME: Duration = Duration::days(365);
/// The longest lifetime of a secret: three years.
pub const MAX_SECRET_LIFETIME: Duration = Duration::days(1_096);

/// A client to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// The operations that its access tokens may permit: at least one.
    pub scopes: BTreeSet<Scope>,
    /// The text by which people recognise it.
    pub label: Option<String>,
    /// How it authenticates.
    pub authentication: ClientAuthentication,
    /// The request that creates the client, if a repeat of the request must not create another one.
    pub repeatable: Option<Repeatable>,
}

/// How a client authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// With a secret, which ends at this time, or after [`SECRET_LIFETIME`].
    Secret(Option<OffsetDateTime>),
    /// With the assertions of an identity provider.
    Federation(Trust),
}

impl Store {
    /// Creates a client, and its first secret unless it is federated. The secret can be read from the returned value only.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`]. [`Error::NotFound`] if the organisation does not exist,
    /// [`Error::Invalid`] if the client is not valid, [`Error::Conflict`] if the organisation has [`MAX_CLIENTS`],
    /// [`Error::IdempotencyKeyUsed`].
    pub async fn create_client(
        &self,
        org: &Org,
        new: &NewClient,
        pepper: &Pepper,
        actor: &Actor,
    ) -> Result<(ClientRecord, Option<Credential>), Error> {
        check_scopes(&new.scopes)?;
        check_label(new.label.as_deref())?;
        let trust = match &new.authentication {
            ClientAuthentication::Federation(trust) => Some(trust.clone().checked()?),
            ClientAuthentication::Secret(_) => None,
        };
        let bytes = self.secret_bytes(new.repeatable.as_ref())?;
        let id = ClientId::new(org, &digits_of("client", &bytes));
        let table = operator_table(self);
        loop {
            let (organisation, peppers) = organisation_and_peppers(&table, org, pepper).await?;
            let clients = read_clients(&table, org).await?;
            if let Some(client) = clients.iter().find(|client| client.id == id.as_str()) {
                let secret =
                    trust.is_none().then(|| Credential::from_secret(Kind::ClientSecret, org, &bytes));
                check_repeat(client.request.as_deref(), new.repeatable.as_ref())?;
                return Ok((client.clone(), secret));
            }
            if new.repeatable.is_some() {
                // The client of the first request has been deleted.
                check_unused(self, id.as_str()).await?;
            }
            if clients.len() >= MAX_CLIENTS {
                return Err(Error::Conflict(format!(
                    "The organisation has {MAX_CLIENTS} clients already. Delete one that is not in use."
                )));
            }
            let mut client = ClientRecord {
                id: id.to_string(),
                label: new.label.clone(),
                scopes: new.scopes.clone(),
                created: self.clock.timestamp()?,
                trust: trust.clone(),
                secrets: Vec::new(),
                last_used: None,
                last_used_by: None,
                ended: None,
                revision: 0,
                request: new.repeatable.as_ref().map(|request| request.fingerprint.clone()),
            };
            let mut credential = None;
            if let ClientAuthentication::Secret(ends) = new.authentication {
                let (secret, record) = self.new_secret(org, &bytes, ends, None, &peppers)?;
                client.secrets.push(record);
                credential = Some(secret);
            }
            let mut transaction = Transaction::new();
            guard_generation(&mut transaction, &organisation, &peppers, ());
            transaction.put(id.key(), client.to_item()?, Condition::absent(), ());
            if new.repeatable.is_some() {
                put_request(&mut transaction, self, org, id.as_str(), ());
            }
            for secret in &client.secrets {
                announce(&mut transaction, (org, id.as_str()), secret, None);
            }
            let action = Action { org, actor, name: "client.create", target: id.as_str() };
            audit::record(&mut transaction, self, &action, (&(), &client), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok((client, credential));
            }
        }
    }

    /// Returns the organisation's clients, oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn clients(&self, org: &Org) -> Result<Vec<ClientRecord>, Error> {
        let mut clients = read_clients(&operator_table(self), org).await?;
        clients.retain(|client| client.ended.is_none());
        Ok(clients)
    }

    /// Returns the client of that id.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn client(&self, org: &Org, id: &str) -> Result<Option<ClientRecord>, Error> {
        Ok(read_client(&operator_table(self), org, id).await?.filter(|client| client.ended.is_none()))
    }

    /// Adds a secret to a client, which ends at this time or after [`SECRET_LIFETIME`]. Returns `None` if the client does
    /// not exist. Secrets that have ended are removed.
    ///
    /// # Errors
    /// As [`Self::create_client`]. [`Error::Conflict`] if the client is federated, or has [`MAX_SECRETS`] live secrets.
    pub async fn add_secret(
        &self,
        org: &Org,
        id: &str,
        ends: Option<OffsetDateTime>,
        repeatable: Option<&Repeatable>,
        pepper: &Pepper,
        actor: &Actor,
    ) -> Result<Option<(Credential, SecretRecord)>, Error> {
        let bytes = self.secret_bytes(repeatable)?;
        let table = operator_table(self);
        loop {
            let (organisation, peppers) = organisation_and_peppers(&table, org, pepper).await?;
            let found = read_client(&table, org, id).await?.filter(|client| client.ended.is_none());
            let Some(before) = found else { return Ok(None) };
            if before.trust.is_some() {
                return Err(Error::Conflict(
                    "The client authenticates with assertions of an identity provider, so it has no secrets. Create \
                     another client for secrets."
                        .to_owned(),
                ));
            }
            let (credential, record) = self.new_secret(org, &bytes, ends, repeatable, &peppers)?;
            if let Some(known) = before.secrets.iter().find(|secret| secret.id == record.id) {
                check_repeat(known.request.as_deref(), repeatable)?;
                return Ok(Some((credential, known.clone())));
            }
            if repeatable.is_some() {
                // The secret of the first request has ended.
                check_unused(self, &record.id).await?;
            }
            let mut after = before.clone();
            after.secrets.retain(|secret| secret.is_live(&record.created));
            if after.secrets.len() >= MAX_SECRETS {
                return Err(Error::Conflict(format!(
                    "The client has {MAX_SECRETS} live secrets already. End one that is not in use."
                )));
            }
            after.secrets.push(record.clone());
            let mut transaction = Transaction::new();
            guard_generation(&mut transaction, &organisation, &peppers, ());
            put(&mut transaction, &before, &mut after, org)?;
            if repeatable.is_some() {
                put_request(&mut transaction, self, org, &record.id, ());
            }
            announce(&mut transaction, (org, id), &record, None);
            let action = Action { org, actor, name: "client.secret.add", target: id };
            audit::record(&mut transaction, self, &action, (&before, &after), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok(Some((credential, record)));
            }
        }
    }

    /// Ends a secret and the access tokens that the client requested with it. Returns `false` if the client or the secret
    /// does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`]. The tokens may still be valid then: repeat the command.
    pub async fn end_secret(&self, org: &Org, id: &str, secret: &str, actor: &Actor) -> Result<bool, Error> {
        let table = operator_table(self);
        loop {
            let Some(before) = read_client(&table, org, id).await? else { return Ok(false) };
            let now = self.clock.timestamp()?;
            let mut after = before.clone();
            let Some(ending) = after.secrets.iter_mut().find(|known| known.id == secret) else {
                // An ended secret may have been forgotten before its tokens were deleted.
                delete_tokens(&table, org, id, Some(secret)).await?;
                return Ok(false);
            };
            if ending.is_live(&now) {
                ending.ends.clone_from(&now);
                let mut transaction = Transaction::new();
                let due = ending.due.take();
                announce(&mut transaction, (org, id), ending, due.as_deref());
                put(&mut transaction, &before, &mut after, org)?;
                let action = Action { org, actor, name: "client.secret.end", target: id };
                audit::record(&mut transaction, self, &action, (&before, &after), ())?;
                if transaction.send(&table).await?.is_err() {
                    continue;
                }
            }
            delete_tokens(&table, org, id, Some(secret)).await?;
            return Ok(true);
        }
    }

    /// Deletes a client with its secrets and access tokens. Returns `false` if the client does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`]. The tokens may still be valid then: repeat the command.
    pub async fn delete_client(&self, org: &Org, id: &str, actor: &Actor) -> Result<bool, Error> {
        let table = operator_table(self);
        loop {
            let Some(before) = read_client(&table, org, id).await? else { return Ok(false) };
            let mut ended = before.clone();
            if before.ended.is_none() {
                ended.ended = Some(self.clock.timestamp()?);
                let mut transaction = Transaction::new();
                put(&mut transaction, &before, &mut ended, org)?;
                for secret in &before.secrets {
                    let silent = SecretRecord { due: None, ..secret.clone() };
                    announce(&mut transaction, (org, id), &silent, secret.due.as_deref());
                }
                let action = Action { org, actor, name: "client.delete", target: id };
                audit::record(&mut transaction, self, &action, (&before, &()), ())?;
                if transaction.send(&table).await?.is_err() {
                    continue;
                }
            }
            delete_tokens(&table, org, id, None).await?;
            let mut transaction = Transaction::new();
            transaction.delete(Keys::client(org, id), ended.unchanged(), ());
            if transaction.send(&table).await?.is_ok() {
                return Ok(true);
            }
        }
    }

    fn secret_bytes(&self, repeatable: Option<&Repeatable>) -> Result<[u8; SECRET_BYTES], Error> {
        repeatable.map_or_else(|| self.entropy.bytes(), |request| Ok(request.secret))
    }

    fn new_secret(
        &self,
        org: &Org,
        bytes: &[u8; SECRET_BYTES],
        ends: Option<OffsetDateTime>,
        repeatable: Option<&Repeatable>,
        peppers: &Peppers,
    ) -> Result<(Credential, SecretRecord), Error> {
        let now = self.clock.now();
        let ends = ends.unwrap_or(now + SECRET_LIFETIME);
        if ends <= now || ends > now + MAX_SECRET_LIFETIME {
            return Err(Invalid::value(
                "The end of a secret must be in the future, and at most three years away.",
            )
            .into());
        }
        let credential = Credential::from_secret(Kind::ClientSecret, org, bytes);
        let record = SecretRecord {
            id: digits_of("secret", bytes),
            created: timestamp(now)?,
            ends: timestamp(ends)?,
            last_four: credential.last_four().to_owned(),
            digest: peppers.digest(&credential),
            generation: peppers.generation(),
            due: due::next(ends, now)?,
            request: repeatable.map(|request| request.fingerprint.clone()),
        };
        Ok((credential, record))
    }
}

/// Returns the digits of an id that belongs to these secret bytes.
fn digits_of(purpose: &str, bytes: &[u8; SECRET_BYTES]) -> String {
    let hash = Sha256::new().chain_update(purpose).chain_update(bytes).finalize();
    hex::encode(hash).chars().take(ID_DIGITS).collect()
}
