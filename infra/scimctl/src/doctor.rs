//! `doctor`: checks the stored data of an organisation.

use std::process::ExitCode;

use clap::Args;
use service::auth::{Caller, Org};

use crate::{
    Failure, found,
    output::{Format, Output},
    stack::Stack,
};

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Name of the organisation
    #[arg(long)]
    org: Org,
    /// First finish all unfinished changes, remove the remains of incomplete ones, and replace index entries of
    /// release 0.2, for at most 280 s; a request that still runs may then get 503
    #[arg(long)]
    finish: bool,
}

/// Runs the command. The exit code is 3 if there are findings.
pub(crate) async fn run(
    stack: &Stack,
    DoctorArguments { org, finish }: DoctorArguments,
    format: Format,
) -> Result<ExitCode, Failure> {
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
