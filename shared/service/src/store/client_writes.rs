//! Reads and parts of transactions that the management of OAuth clients shares.

use super::{
    client_record::{ClientId, ClientRecord, SecretRecord},
    directory::Store,
    due,
    key_range::KeyRange,
    keys::{CLIENT_PREFIX, Keys, prefix_range},
    orgs::operator_table,
    table::Table,
    transaction::Transaction,
};
use crate::{Error, auth::Org, pepper::Peppers};

/// Replaces the announcement of the end of a secret in a transaction. `old` is the time of the announcement before.
pub(super) fn announce(
    transaction: &mut Transaction<()>,
    (org, client): (&Org, &str),
    secret: &SecretRecord,
    old: Option<&str>,
) {
    let new = secret.due.as_deref().map(|at| (at, secret.ends.as_str()));
    due::replace(transaction, (org, &announced_id(client, &secret.id)), old, new, &());
}

/// Returns the id under which the end of a secret is announced.
fn announced_id(client: &str, secret: &str) -> String {
    format!("{client}#{secret}")
}

/// Returns the client and the secret whose end is announced under this id. Returns `None` for the id of a key.
pub(super) fn announced_secret(id: &str) -> Option<(&str, &str)> {
    id.split_once('#')
}

/// Wraps the digests of the secrets of all clients to the latest generation of these peppers. Returns the number of clients
/// that it changed.
pub(super) async fn wrap_secrets(store: &Store, org: &Org, peppers: &Peppers) -> Result<usize, Error> {
    let mut changed = 0;
    for client in read_clients(&operator_table(store), org).await? {
        let mut current = Some(client);
        while let Some(before) = current.take() {
            let table = operator_table(store);
            let Some(mut after) = before.wrapped(peppers)? else { break };
            let mut transaction = Transaction::new();
            put(&mut transaction, &before, &mut after, org)?;
            if transaction.send(&table).await?.is_ok() {
                changed += 1;
            } else {
                current = read_client(&table, org, &before.id).await?;
            }
        }
    }
    Ok(changed)
}

/// Adds the change of a client to a transaction, on condition that the client is as it was read.
pub(super) fn put(
    transaction: &mut Transaction<()>,
    before: &ClientRecord,
    after: &mut ClientRecord,
    org: &Org,
) -> Result<(), Error> {
    after.revision = before.revision + 1;
    transaction.put(Keys::client(org, &before.id), after.to_item()?, before.unchanged(), ());
    Ok(())
}

/// Returns the client of that id, which may have been ended.
pub(super) async fn read_client(table: &Table, org: &Org, id: &str) -> Result<Option<ClientRecord>, Error> {
    let Some(id) = id.parse::<ClientId>().ok().filter(|id| id.org() == org) else { return Ok(None) };
    table.get(&id.key()).await?.as_ref().map(ClientRecord::from_item).transpose()
}

/// Returns the clients of an organisation, oldest first, with those that have been ended.
pub(super) async fn read_clients(table: &Table, org: &Org) -> Result<Vec<ClientRecord>, Error> {
    let partition = Keys::organisation(org);
    let items = table.query_all(KeyRange::between(&partition, prefix_range(CLIENT_PREFIX))).await?;
    let mut clients = items.iter().map(ClientRecord::from_item).collect::<Result<Vec<_>, _>>()?;
    clients.sort_unstable_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    Ok(clients)
}
