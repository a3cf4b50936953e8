//! `org export`, `org import`, `org copy` and `org delete`: the lifecycle of an organisation's data.

mod copy;
mod delete;
mod export;
mod import;
mod lines;
mod people;
mod progress;

use std::{io, path::PathBuf};

use clap::Subcommand;
use service::{auth::Org, store::Work};

use copy::Destination;

use crate::{Failure, output::Output, stack::Stack};

/// The commands of this module.
#[derive(Subcommand)]
pub(crate) enum LifecycleCommand {
    /// Write the settings, users, groups and memberships of an organisation as JSON lines, without secrets
    Export {
        /// Name of the organisation
        org: Org,
        /// File to write, which only its owner may read; without this option, standard output
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Import an export with its ids, or users without ids from CSV or JSON lines; run it again to continue
    Import {
        /// Name of the organisation; an export creates it
        org: Org,
        /// File to read; without this option, standard input
        #[arg(long)]
        file: Option<PathBuf>,
        /// File for the refused lines, as JSON lines; without this option, standard error
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Copy an organisation with its ids into another stack, where it does not exist or has SCIM disabled; run it again to
    /// continue
    Copy {
        /// Name of the organisation
        org: Org,
        #[command(flatten)]
        to: Destination,
    },
    /// Delete an organisation with all its users, groups and keys and its request log; run it again to continue
    Delete {
        /// Name of the organisation
        org: Org,
        /// Name of the organisation once more, for scripts; without this option, type it
        #[arg(long, value_name = "ORG")]
        confirm: Option<Org>,
        /// Keep the settings and the keys, and disable SCIM
        #[arg(long)]
        keep_keys: bool,
    },
}

/// Runs a command.
pub(crate) async fn run(stack: &Stack, command: LifecycleCommand) -> Result<Output, Failure> {
    match command {
        LifecycleCommand::Export { org, file } => export::export(stack, org, file).await,
        LifecycleCommand::Import { org, file, report } => import::import(stack, org, file, report).await,
        LifecycleCommand::Copy { org, to } => copy::copy(stack, org, to).await,
        LifecycleCommand::Delete { org, confirm, keep_keys } => {
            delete::delete(stack, org, confirm, keep_keys).await
        }
    }
}

/// Why a command of this module failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifecycleError {
    #[error("cannot write {}: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("cannot start the import: {cause}")]
    Start { cause: io::Error },
    #[error(
        "the import into the other stack failed. The lines above say why. Run the command again to continue."
    )]
    Import,
    #[error(
        "{} does not set SCIM_PEPPER_SECRET_ID. Write the stack output ScimctlEnvironment of the other stack into it.",
        .0.display()
    )]
    NoEnvironment(PathBuf),
    #[error(
        "two resources have the same name: they exchanged it while they were read. Run the command again, or disable SCIM \
         first with `scimctl org disable {0}`. If the error stays, run `scimctl doctor --org {0}`."
    )]
    Renamed(Org),
    #[error("the file is no export: line 1: {0}")]
    NoExport(String),
    #[error("the file has no lines. Name a file with an export, or with users as CSV or JSON lines.")]
    Empty,
    #[error("the header of the CSV file is invalid: {0}")]
    Header(String),
    #[error(
        "SCIM is enabled for {0}. An import with ids needs an organisation that does not exist, or for which SCIM is \
         disabled: run `scimctl org disable {0}`."
    )]
    Enabled(Org),
    #[error(
        "the {} of {org} is not done. Run the command of the {} again, until it is done.", work.as_str(), work.as_str()
    )]
    Busy { org: Org, work: Work },
    #[error(
        "the file ends early: its last record is missing, or lines are. Its other lines were imported, and {0} refuses requests. \
         Import the whole file again, or delete the organisation."
    )]
    Incomplete(Org),
    #[error(
        "the deletion is not confirmed. Type the name of the organisation, or repeat it with --confirm {0}. Nothing was \
         deleted."
    )]
    NotConfirmed(Org),
}
