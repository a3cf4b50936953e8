//! `client`: the OAuth clients of an organisation.

use clap::{Args, Subcommand};
use service::{
    auth::{Org, Scope},
    store::{ClientAuthentication, NewClient},
    trust::Trust,
};
use tokio::time::Duration;

use crate::{Failure, found, key::end, output::Output, stack::Stack};

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// Create a client with a secret, which is shown only once; with --issuer, a client without a secret that
    /// authenticates with tokens of an identity provider
    Create {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Permission of its access tokens: scim (for an identity provider), read or write; repeat for several
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// Text by which people recognise the client
        #[arg(long)]
        label: Option<String>,
        /// Time after which the secret ends, such as 90d; a year without it, and at most three years
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "issuer")]
        expires: Option<Duration>,
        #[command(flatten)]
        trust: TrustArguments,
    },
    /// List the clients of an organisation, without secrets
    List {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
    },
    /// Show a client, without secrets
    Show {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the client, as printed by `client list`
        client: String,
    },
    /// Manage the secrets of a client
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Delete a client; its secrets and access tokens end at once
    Delete {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the client, as printed by `client list`
        client: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Add a secret and print it; the secret is shown only once, and the other secrets stay valid
    Add {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the client, as printed by `client list`
        client: String,
        /// Time after which the secret ends, such as 90d; a year without it, and at most three years
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// End a secret; the access tokens that were requested with it end at once
    End {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Id of the client, as printed by `client list`
        client: String,
        /// Id of the secret, as printed by `client show`
        secret: String,
    },
}

/// The identity provider whose tokens the client presents.
#[derive(Args)]
pub(crate) struct TrustArguments {
    /// URL of the identity provider, which is the claim iss of its tokens
    #[arg(long, value_name = "URL", requires_all = ["audience", "subject"])]
    issuer: Option<String>,
    /// Claim aud of its tokens
    #[arg(long, requires = "issuer")]
    audience: Option<String>,
    /// Claim sub of its tokens
    #[arg(long, requires = "issuer")]
    subject: Option<String>,
    /// Claim tid of its tokens; not checked without it
    #[arg(long, requires = "issuer")]
    tid: Option<String>,
    /// Claim azp of its tokens; not checked without it
    #[arg(long, requires = "issuer")]
    azp: Option<String>,
    /// URL of its keys, on the host of the issuer; without it, the discovery document of the issuer names the URL
    #[arg(long, value_name = "URL", requires = "issuer")]
    jwks_uri: Option<String>,
}

impl TrustArguments {
    fn trust(self) -> Option<Trust> {
        let Self { issuer, audience, subject, tid, azp, jwks_uri } = self;
        Some(Trust { issuer: issuer?, audience: audience?, subject: subject?, tid, azp, jwks_uri })
    }
}

/// Runs a command.
pub(crate) async fn run(stack: &Stack, command: ClientCommand) -> Result<Output, Failure> {
    match command {
        ClientCommand::Create { org, scopes, label, expires, trust } => {
            found(stack, &org).await?;
            let authentication = match trust.trust() {
                Some(trust) => ClientAuthentication::Federation(trust),
                None => ClientAuthentication::Secret(expires.map(end).transpose()?),
            };
            let scopes = scopes.into_iter().collect();
            let new = NewClient { scopes, label, authentication, repeatable: None };
            let created = stack.store.create_client(&org, &new, &stack.pepper, &stack.actor).await;
            let (record, secret) = stack.done(created)?;
            let client_secret = secret.map(|secret| secret.reveal().to_owned());
            Ok(Output::NewClient { record, org, client_secret })
        }
        ClientCommand::List { org } => {
            found(stack, &org).await?;
            Ok(Output::Clients { clients: stack.done(stack.store.clients(&org).await)? })
        }
        ClientCommand::Show { org, client } => {
            found(stack, &org).await?;
            let record = stack.done(stack.store.client(&org, &client).await)?;
            record.map(Output::Client).ok_or(Failure::NoClient { org, id: client })
        }
        ClientCommand::Secret(command) => secret(stack, command).await,
        ClientCommand::Delete { org, client } => {
            found(stack, &org).await?;
            if stack.done(stack.store.delete_client(&org, &client, &stack.actor).await)? {
                Ok(Output::DeletedClient { org, client_id: client, deleted: true })
            } else {
                Err(Failure::NoClient { org, id: client })
            }
        }
    }
}

async fn secret(stack: &Stack, command: SecretCommand) -> Result<Output, Failure> {
    match command {
        SecretCommand::Add { org, client, expires } => {
            found(stack, &org).await?;
            let ends = expires.map(end).transpose()?;
            let added = stack.store.add_secret(&org, &client, ends, None, &stack.pepper, &stack.actor).await;
            match stack.done(added)? {
                Some((secret, record)) => {
                    let client_secret = secret.reveal().to_owned();
                    Ok(Output::NewSecret { record, org, client_id: client, client_secret })
                }
                None => Err(Failure::NoClient { org, id: client }),
            }
        }
        SecretCommand::End { org, client, secret } => {
            found(stack, &org).await?;
            if stack.done(stack.store.end_secret(&org, &client, &secret, &stack.actor).await)? {
                Ok(Output::EndedSecret { org, client_id: client, id: secret, ended: true })
            } else {
                Err(Failure::NoSecret { org, id: client, secret })
            }
        }
    }
}
