//! `key`: the API keys of an organisation.

use clap::Subcommand;
use service::{
    auth::{Org, Scope},
    clock::Clock,
    store::{KeyChange, NewKey},
};
use time::OffsetDateTime;
use tokio::time::Duration;

use crate::{Failure, found, output::Output, stack::Stack};

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and print it; the key is shown only once
    Create {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Permission of the key: scim (for an identity provider), read or write; repeat the option for several
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// Text by which people recognise the key
        #[arg(long)]
        label: Option<String>,
        /// Time after which the key ends, such as 90d or 1y; without it, the key has no end
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// List the keys of an organisation, without the keys' secrets
    List {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
    },
    /// Show a key, without its secret
    Show {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the key, as printed by `key list`
        id: String,
    },
    /// Change the scopes, the label or the end of a key
    Change {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the key, as printed by `key list`
        id: String,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Create a key that replaces another one, and print it; the old key ends after the overlap
    Rotate {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the key to be replaced, as printed by `key list`
        id: String,
        /// Time for which the old key stays valid
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "7d")]
        overlap: Duration,
    },
    /// Revoke a key; the next request with the key gets 401
    Revoke {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the key, as printed by `key list`
        id: String,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct ChangeArguments {
    /// New permissions of the key
    #[arg(long = "scope", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// New label; an empty text removes the label
    #[arg(long)]
    label: Option<String>,
    /// New time after which the key ends, from now
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "no_end")]
    expires: Option<Duration>,
    /// Remove the end
    #[arg(long)]
    no_end: bool,
}

/// Runs a command.
pub(crate) async fn run(stack: &Stack, command: KeyCommand) -> Result<Output, Failure> {
    let unknown = |org: Org, id: String| Failure::NoKey { org, id };
    match command {
        KeyCommand::Create { org, scopes, label, expires } => {
            found(stack, &org).await?;
            let ends = expires.map(end).transpose()?;
            let new = NewKey { scopes: scopes.into_iter().collect(), label, ends, repeatable: None };
            let created = stack.store.create_key(&org, &new, &stack.pepper, &stack.actor).await;
            let (key, record) = stack.done(created)?;
            Ok(Output::NewKey { record, org, key: key.reveal().to_owned() })
        }
        KeyCommand::List { org } => {
            found(stack, &org).await?;
            Ok(Output::Keys { keys: stack.done(stack.store.keys(&org).await)? })
        }
        KeyCommand::Show { org, id } => {
            found(stack, &org).await?;
            let key = stack.done(stack.store.key(&org, &id).await)?;
            key.map(Output::Key).ok_or_else(|| unknown(org, id))
        }
        KeyCommand::Change { org, id, change: ChangeArguments { scopes, label, expires, no_end } } => {
            found(stack, &org).await?;
            let ends = match expires {
                Some(expires) => Some(Some(end(expires)?)),
                None => no_end.then_some(None),
            };
            let change = KeyChange {
                scopes: (!scopes.is_empty()).then(|| scopes.into_iter().collect()),
                label: label.map(|label| Some(label).filter(|label| !label.is_empty())),
                ends,
            };
            let changed = stack.done(stack.store.change_key(&org, &id, &change, &stack.actor).await)?;
            changed.map(Output::Key).ok_or_else(|| unknown(org, id))
        }
        KeyCommand::Rotate { org, id, overlap } => {
            found(stack, &org).await?;
            let rotated = stack.store.rotate_key(&org, &id, overlap, &stack.pepper, &stack.actor).await;
            match stack.done(rotated)? {
                Some((key, record)) => Ok(Output::NewKey { record, org, key: key.reveal().to_owned() }),
                None => Err(unknown(org, id)),
            }
        }
        KeyCommand::Revoke { org, id } => {
            found(stack, &org).await?;
            if stack.done(stack.store.revoke_key(&org, &id, &stack.actor).await)? {
                Ok(Output::Revoked { org, id, revoked: true })
            } else {
                Err(unknown(org, id))
            }
        }
    }
}

/// Returns the time after this duration.
pub(crate) fn end(after: Duration) -> Result<OffsetDateTime, Failure> {
    let after = time::Duration::try_from(after).ok();
    after
        .and_then(|after| Clock::system().now().checked_add(after))
        .ok_or_else(|| Failure::Refused("the end is too far away. Choose a shorter time.".to_owned()))
}
