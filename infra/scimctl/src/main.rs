//! `scimctl`: organisations and keys, on AWS or on the local gateway, by the same store code that serves requests.
//!
//! Exit codes: 0 done; 1 it could not be done (nothing of that name, AWS does not answer); 2 the command line is
//! wrong; 3 `doctor` found something.

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
    store::REQUEST_BUDGET,
};

use output::{Format, Output};
use stack::Stack;
use tokio::time::{Duration, timeout};

/// Organisations and keys of the SCIM service.
///
/// On AWS: set SCIM_PEPPER_SECRET_ID, SCIM_RESOURCES_TABLE and SCIM_KEYS_TABLE as the stack's outputs say; region and
/// credentials are found as by the AWS CLI.
/// On the local gateway: set nothing while it runs; AWS_ENDPOINT_URL_DYNAMODB, if set, says where its DynamoDB is.
#[derive(Parser)]
#[command(name = "scimctl", version)]
#[allow(clippy::doc_markdown, reason = "this is what --help prints, not Markdown")]
struct Arguments {
    /// The local gateway's data directory; not looked at where SCIM_PEPPER_SECRET_ID is set
    #[arg(long, global = true, value_name = "DIR", default_value = ".scim")]
    data: PathBuf,
    /// How to print what comes back
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Organisations
    #[command(subcommand)]
    Org(OrgCommand),
    /// API keys of an organisation
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check what is stored for an organisation against itself; best while nobody writes
    Doctor {
        /// The organisation
        #[arg(long)]
        org: Org,
        /// Finish pending changes first
        #[arg(long)]
        finish: bool,
    },
}

#[derive(Subcommand)]
enum OrgCommand {
    /// Create an organisation, with SCIM switched on
    Create {
        /// Its name: 1 to 40 lower-case letters, digits and hyphens
        org: Org,
    },
    /// List all organisations
    List,
    /// Show one organisation and its keys
    Show {
        /// Its name
        org: Org,
    },
    /// Switch SCIM off: every key of the organisation is answered 403 from now on
    Disable {
        /// Its name
        org: Org,
    },
    /// Switch SCIM on again
    Enable {
        /// Its name
        org: Org,
    },
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Create a key and print it: it is shown this once and never again
    Create {
        /// The organisation
        #[arg(long)]
        org: Org,
        /// What the key may do: scim (an identity provider), read, write; repeat for several
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
    },
    /// List the keys of an organisation, without the keys themselves
    List {
        /// The organisation
        #[arg(long)]
        org: Org,
    },
    /// Revoke a key from the next request on
    Revoke {
        /// The organisation
        #[arg(long)]
        org: Org,
        /// The key's id, as `key list` shows it
        id: String,
    },
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("there is no organisation {0}; `scimctl org list` shows them, `scimctl org create {0}` makes it")]
    NoOrg(Org),
    #[error("the organisation {0} is there already")]
    OrgExists(Org),
    #[error("the organisation {org} has no key {id}; `scimctl key list --org {org}` shows them")]
    NoKey { org: Org, id: String },
    #[error("{0}")]
    Stack(#[from] stack::StackError),
    #[error("DynamoDB at {place} did not carry it out: {cause}")]
    Store { place: String, cause: String },
    #[error("DynamoDB at {0} does not answer; is it there, and are region and credentials right?")]
    NoAnswer(String),
    #[error("cannot print: {0}")]
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
    let switch = async |org: Org, enabled: bool| {
        if stack.done(stack.store.enable_org(&org, enabled).await)? {
            Ok(Output::org(&found(stack, &org).await?))
        } else {
            Err(Failure::NoOrg(org))
        }
    };
    match command {
        OrgCommand::Create { org } => {
            if stack.done(stack.store.create_org(&org).await)? {
                Ok(Output::org(&found(stack, &org).await?))
            } else {
                Err(Failure::OrgExists(org))
            }
        }
        OrgCommand::List => Ok(Output::orgs(&stack.done(stack.store.orgs().await)?)),
        OrgCommand::Show { org } => {
            let info = found(stack, &org).await?;
            let keys = stack.done(stack.store.keys(&org).await)?;
            Ok(Output::org(&info).with_keys(&keys))
        }
        OrgCommand::Disable { org } => switch(org, false).await,
        OrgCommand::Enable { org } => switch(org, true).await,
    }
}

async fn key(stack: &Stack, command: KeyCommand) -> Result<Output, Failure> {
    match command {
        KeyCommand::Create { org, scopes } => {
            found(stack, &org).await?;
            let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
            let peppers = stack.done(stack.pepper.peppers().await)?;
            let (key, info) = stack.done(stack.store.create_key(&org, &scopes, &peppers).await)?;
            Ok(Output::new_key(&key, &info))
        }
        KeyCommand::List { org } => {
            found(stack, &org).await?;
            Ok(Output::keys(&stack.done(stack.store.keys(&org).await)?))
        }
        KeyCommand::Revoke { org, id } => {
            found(stack, &org).await?;
            if stack.done(stack.store.revoke_key(&org, &id).await)? {
                Ok(Output::revoked(&org, &id))
            } else {
                Err(Failure::NoKey { org, id })
            }
        }
    }
}

async fn doctor(stack: &Stack, org: Org, finish: bool, format: Format) -> Result<ExitCode, Failure> {
    found(stack, &org).await?;
    let caller = Caller::operator(org);
    if finish {
        let directory = stack.store.directory(&caller);
        let finishing = timeout(REQUEST_BUDGET, directory.finish_pending(Duration::ZERO)).await;
        stack.done(finishing.unwrap_or(Err(service::Error::Unavailable)))?;
    }
    let report = stack.done(stack.store.directory(&caller).examine().await)?;
    Output::report(caller.org(), &report).print(format)?;
    Ok(if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

async fn found(stack: &Stack, org: &Org) -> Result<service::store::Organisation, Failure> {
    stack.done(stack.store.org(org).await)?.ok_or_else(|| Failure::NoOrg(org.clone()))
}
