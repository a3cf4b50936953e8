//! `org copy`: an organisation in another stack.
//!
//! The import runs as a process of its own, because the environment of a process names its stack.

use std::{
    env, fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use service::{auth::Org, config::PEPPER_SECRET_ID};

use super::{LifecycleError, export};
use crate::{Failure, output::Output, stack::Stack};

/// The other stack.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Destination {
    /// File with the command in the output of the other stack that sets the environment
    #[arg(long, value_name = "FILE")]
    to_env: Option<PathBuf>,
    /// Data directory of another local gateway, which must be running
    #[arg(long, value_name = "DIR")]
    to_data: Option<PathBuf>,
}

/// Exports an organisation into the import of another stack.
pub(crate) async fn copy(stack: &Stack, org: Org, to: Destination) -> Result<Output, Failure> {
    let failed = |cause| LifecycleError::Start { cause };
    let mut command = Command::new(env::current_exe().map_err(failed)?);
    if let Some(file) = &to.to_env {
        command.envs(environment(file)?);
    }
    if let Some(data) = &to.to_data {
        command.env_remove(PEPPER_SECRET_ID).arg("--data").arg(data);
    }
    let command = command.args(["org", "import", org.as_str()]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut import = command.spawn().map_err(failed)?;
    let input = import.stdin.take();
    let exported = match input {
        Some(input) => {
            let mut out = BufWriter::new(input);
            let path = Path::new("the import of the other stack");
            let tally = export::write(stack, &org, &mut out, path).await;
            // The import ends with an error of its own if the export is not complete.
            out.flush().map_err(|cause| LifecycleError::Write { path: path.to_owned(), cause }).and(Ok(tally))
        }
        None => Err(LifecycleError::Import),
    };
    let status = import.wait().map_err(failed)?;
    if !status.success() {
        return Err(LifecycleError::Import.into());
    }
    Ok(Output::Copied { org, tally: exported?? })
}

/// Reads the variables of a file such as `export AWS_REGION=eu-central-1 SCIM_KEYS_TABLE=…`.
fn environment(file: &Path) -> Result<Vec<(String, String)>, LifecycleError> {
    let text =
        fs::read_to_string(file).map_err(|cause| LifecycleError::Read { path: file.to_owned(), cause })?;
    let variables: Vec<_> = text
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        .collect();
    if variables.iter().any(|(name, _)| name == PEPPER_SECRET_ID) {
        Ok(variables)
    } else {
        Err(LifecycleError::NoEnvironment(file.to_owned()))
    }
}
