//! `org`: organisations.

use clap::{Args, Subcommand};
use service::{auth::Org, store::OrgChange};

use crate::{
    Failure, found,
    lifecycle::{self, LifecycleCommand},
    output::Output,
    stack::Stack,
};

#[derive(Subcommand)]
pub(crate) enum OrgCommand {
    /// Create an organisation, with SCIM enabled
    Create {
        /// Name of the organisation: 1 to 40 lower-case letters, digits and hyphens
        org: Org,
    },
    /// List all organisations
    List,
    /// Show an organisation and its keys
    Show {
        /// Name of the organisation
        org: Org,
    },
    /// Change the settings of an organisation
    Set {
        /// Name of the organisation
        org: Org,
        #[command(flatten)]
        settings: SettingsArguments,
    },
    /// Disable SCIM: requests with a key of the organisation get 403
    Disable {
        /// Name of the organisation
        org: Org,
    },
    /// Enable SCIM again
    Enable {
        /// Name of the organisation
        org: Org,
    },
    #[command(flatten)]
    Lifecycle(LifecycleCommand),
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SettingsArguments {
    /// Lifetime of an access token in minutes: 5 to 360
    #[arg(long)]
    token_minutes: Option<u32>,
    /// Requests per second
    #[arg(long)]
    rate: Option<u32>,
    /// Requests at once, before the rate applies
    #[arg(long)]
    burst: Option<u32>,
    /// Expensive requests in progress at the same time
    #[arg(long)]
    at_once: Option<u32>,
}

/// Runs a command.
pub(crate) async fn run(stack: &Stack, command: OrgCommand) -> Result<Output, Failure> {
    match command {
        OrgCommand::Create { org } => {
            if stack.done(stack.store.create_org(&org, &stack.actor).await)? {
                Ok(Output::Organisation(found(stack, &org).await?))
            } else {
                Err(Failure::OrgExists(org))
            }
        }
        OrgCommand::List => {
            Ok(Output::Organisations { organisations: stack.done(stack.store.orgs().await)? })
        }
        OrgCommand::Show { org } => {
            let organisation = found(stack, &org).await?;
            let keys = stack.done(stack.store.keys(&org).await)?;
            Ok(Output::OrganisationWithKeys { organisation, keys })
        }
        OrgCommand::Set { org, settings: new } => {
            let mut settings = found(stack, &org).await?.settings;
            settings.token_minutes = new.token_minutes.unwrap_or(settings.token_minutes);
            settings.rate = new.rate.unwrap_or(settings.rate);
            settings.burst = new.burst.unwrap_or(settings.burst);
            settings.at_once = new.at_once.unwrap_or(settings.at_once);
            change(stack, org, OrgChange { settings: Some(settings), ..OrgChange::default() }).await
        }
        OrgCommand::Disable { org } => {
            change(stack, org, OrgChange { enabled: Some(false), ..OrgChange::default() }).await
        }
        OrgCommand::Lifecycle(command) => lifecycle::run(stack, command).await,
        OrgCommand::Enable { org } => {
            change(stack, org, OrgChange { enabled: Some(true), ..OrgChange::default() }).await
        }
    }
}

async fn change(stack: &Stack, org: Org, change: OrgChange) -> Result<Output, Failure> {
    let changed = stack.done(stack.store.change_org(&org, change, &stack.actor).await)?;
    changed.map(Output::Organisation).ok_or(Failure::NoOrg(org))
}
