//! `scimctl` manages organisations, API keys and OAuth clients, on AWS or on the local gateway, with the store that serves requests.
//!
//! Exit codes: 0 success; 1 failure, such as an unknown organisation or no answer from AWS; 2 invalid command line;
//! 3 findings of `doctor`, or refused lines of `org import`.

mod audit;
mod client;
mod doctor;
mod key;
mod lifecycle;
mod org;
mod output;
mod pepper;
mod stack;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use service::{auth::Org, error::Reason, store::Organisation};

use audit::AuditArguments;
use client::ClientCommand;
use doctor::DoctorArguments;
use key::KeyCommand;
use org::OrgCommand;
use output::Format;
use pepper::PepperCommand;
use stack::Stack;

/// Manages organisations, API keys and OAuth clients of the SCIM service.
///
/// On AWS: set SCIM_PEPPER_SECRET_ID, SCIM_RESOURCES_TABLE, SCIM_KEYS_TABLE and SCIM_REQUESTS_TABLE to the values in
/// the stack's output ScimctlEnvironment. The region and the credentials are found as by the AWS CLI.
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
    /// Manage the pepper, the secret of the stored digests of keys
    #[command(subcommand)]
    Pepper(PepperCommand),
    /// Manage the OAuth clients of an organisation
    #[command(subcommand)]
    Client(ClientCommand),
    /// Print the audit log of an organisation: who changed it, its keys and its clients in the last 400 days
    Audit(AuditArguments),
    /// Check the stored data of an organisation for inconsistencies; run it while no client writes
    Doctor(DoctorArguments),
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
    #[error(
        "the client {id} of the organisation {org} does not exist. List the clients with \
         `scimctl client list --org {org}`."
    )]
    NoClient { org: Org, id: String },
    #[error(
        "the client {id} does not have the secret {secret}. Show its secrets with `scimctl client show --org {org} {id}`."
    )]
    NoSecret { org: Org, id: String, secret: String },
    /// The store refuses the command.
    #[error("{0}")]
    Refused(String),
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
    #[error("{0}")]
    Lifecycle(#[from] lifecycle::LifecycleError),
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
        Command::Org(command) => org::run(&stack, command).await?,
        Command::Key(command) => key::run(&stack, command).await?,
        Command::Audit(command) => audit::run(&stack, command).await?,
        Command::Pepper(command) => pepper::run(&stack, command).await?,
        Command::Client(command) => client::run(&stack, command).await?,
        Command::Doctor(command) => doctor::run(&stack, command).await?,
    };
    output.print(arguments.output)?;
    Ok(if output.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// Returns the organisation of that name.
async fn found(stack: &Stack, org: &Org) -> Result<Organisation, Failure> {
    stack.done(stack.store.org(org).await)?.ok_or_else(|| Failure::NoOrg(org.clone()))
}
