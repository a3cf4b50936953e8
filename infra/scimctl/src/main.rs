//! `scimctl` manages organisations and API keys, on AWS or on the local gateway, with the store that serves requests.
//!
//! Exit codes: 0 success; 1 failure, such as an unknown organisation or no answer from AWS; 2 invalid command line;
//! 3 findings of `doctor`.

mod output;
mod stack;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use service::{
    auth::{Caller, Org, Scope},
    error::Reason,
    store::Organisation,
};

use output::{Format, Output};
use stack::Stack;

/// Manages organisations and API keys of the SCIM service.
///
/// On AWS: set SCIM_PEPPER_SECRET_ID, SCIM_RESOURCES_TABLE and SCIM_KEYS_TABLE to the values in the stack's output
/// ScimctlEnvironment. The region and the credentials are found as by the AWS CLI.
///
/// On the local gateway: start the gateway, and set no variables. AWS_ENDPOINT_URL_DYNAMODB, if set, overrides the
/// endpoint of the gateway's DynamoDB.
#[derive(Parser)]
#[command(name = "scimctl", version)]
#[expect(clippy::doc_markdown, reason = "--help prints this text, which is not Markdown")]
struct Arguments {
    /// Data directory of the local gateway; ignored if SCIM_PEPPER_SECRET_ID is set
    #[arg(long, global = true, value_name = "DIR", default_value = ".scim")]
    data: PathBuf,
    /// Format of the output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Manage organisations
    #[command(subcommand)]
    Org(OrgCommand),
    /// Manage the API keys of an organisation
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check the stored data of an organisation for inconsistencies; run it while no client writes
    Doctor {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// First finish all unfinished changes, remove the remains of incomplete ones, and replace index entries of
        /// release 0.2, for at most 280 s; a request that still runs may then get 503
        #[arg(long)]
        finish: bool,
    },
}

#[derive(Subcommand)]
enum OrgCommand {
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
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Create a key and print it; the key is shown only once
    Create {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
        /// Permission of the key: scim (for an identity provider), read or write; repeat the option for several
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
    },
    /// List the keys of an organisation, without the keys' secrets
    List {
        /// Name of the organisation
        #[arg(long)]
        org: Org,
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

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(
        "the organisation {0} does not exist. List all with `scimctl org list`, or create it with \
         `scimctl org create {0}`."
    )]
    NoOrg(Org),
    #[error("the organisation {0} already exists. Show it with `scimctl org show {0}`.")]
    OrgExists(Org),
    #[error(
        "the key {id} of the organisation {org} does not exist. List the keys with `scimctl key list --org {org}`."
    )]
    NoKey { org: Org, id: String },
    #[error("{0}")]
    Stack(#[from] stack::StackError),
    #[error("DynamoDB at {place} failed: {cause}")]
    Store { place: String, cause: String },
    #[error("DynamoDB at {0} does not answer. Check the endpoint, the region and the network.")]
    NoAnswer(String),
    #[error(
        "the pepper cannot be read: {0}. Check SCIM_PEPPER_SECRET_ID, and that your identity may read the secret and use \
         its KMS key."
    )]
    Pepper(Reason),
    #[error("cannot print the output: {0}")]
    Print(#[from] io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let stack = Stack::connect(&arguments.data).await?;
    let output = match arguments.command {
        Command::Org(command) => org(&stack, command).await?,
        Command::Key(command) => key(&stack, command).await?,
        Command::Doctor { org, finish } => return doctor(&stack, org, finish, arguments.output).await,
    };
    output.print(arguments.output)?;
    Ok(ExitCode::SUCCESS)
}

async fn org(stack: &Stack, command: OrgCommand) -> Result<Output, Failure> {
    let set_enabled = async |org: Org, enabled: bool| {
        if stack.done(stack.store.enable_org(&org, enabled).await)? {
            Ok(Output::Organisation(found(stack, &org).await?))
        } else {
            Err(Failure::NoOrg(org))
        }
    };
    match command {
        OrgCommand::Create { org } => {
            if stack.done(stack.store.create_org(&org).await)? {
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
        OrgCommand::Disable { org } => set_enabled(org, false).await,
        OrgCommand::Enable { org } => set_enabled(org, true).await,
    }
}

async fn key(stack: &Stack, command: KeyCommand) -> Result<Output, Failure> {
    match command {
        KeyCommand::Create { org, scopes } => {
            found(stack, &org).await?;
            let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
            let peppers = stack.done(stack.pepper.peppers().await)?;
            let (key, record) = stack.done(stack.store.create_key(&org, &scopes, &peppers).await)?;
            Ok(Output::NewKey { record, org, key: key.reveal().to_owned() })
        }
        KeyCommand::List { org } => {
            found(stack, &org).await?;
            Ok(Output::Keys { keys: stack.done(stack.store.keys(&org).await)? })
        }
        KeyCommand::Revoke { org, id } => {
            found(stack, &org).await?;
            if stack.done(stack.store.revoke_key(&org, &id).await)? {
                Ok(Output::Revoked { org, id, revoked: true })
            } else {
                Err(Failure::NoKey { org, id })
            }
        }
    }
}

async fn doctor(stack: &Stack, org: Org, finish: bool, format: Format) -> Result<ExitCode, Failure> {
    found(stack, &org).await?;
    let directory = stack.store.directory(&Caller::operator(org.clone()));
    let mut left = Vec::new();
    if finish {
        left.extend(stack.done(directory.finish_pending().await)?);
        left.extend(stack.done(directory.refold().await)?);
    }
    let mut report = stack.done(directory.examine().await)?;
    report.findings.extend(left);
    let healthy = report.is_healthy();
    Output::Report { org, healthy, report }.print(format)?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

async fn found(stack: &Stack, org: &Org) -> Result<Organisation, Failure> {
    stack.done(stack.store.org(org).await)?.ok_or_else(|| Failure::NoOrg(org.clone()))
}
