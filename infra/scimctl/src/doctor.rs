//! `doctor`: checks the stored data of an organisation.

use clap::Args;
use serde_json::json;
use service::auth::{Caller, Org};

use crate::{Failure, found, output::Output, stack::Stack};

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Name of the organisation
    #[arg(long)]
    org: Org,
    /// First finish all unfinished changes, remove the remains of incomplete ones, and replace index entries of
    /// release 0.2, for at most 280 s; a request that still runs may then get 503
    #[arg(long)]
    finish: bool,
    /// Do the same as --finish, then repair index entries, memberships and counts, and print each change
    #[arg(long)]
    repair: bool,
}

/// Runs the command.
pub(crate) async fn run(
    stack: &Stack,
    DoctorArguments { org, finish, repair }: DoctorArguments,
) -> Result<Output, Failure> {
    found(stack, &org).await?;
    let directory = stack.store.directory(&Caller::operator(org.clone()));
    let mut left = Vec::new();
    if finish || repair {
        left.extend(stack.done(directory.finish_pending().await)?);
        left.extend(stack.done(directory.refold().await)?);
    }
    let repairs = if repair { Some(stack.done(directory.repair().await)?) } else { None };
    if finish || repair {
        let result = json!({ "repairs": &repairs });
        stack.done(stack.store.record_action(&org, &stack.actor, "org.repair", &result).await)?;
    }
    let mut report = stack.done(directory.examine().await)?;
    report.findings.extend(left);
    Ok(Output::Report { org, healthy: report.is_healthy(), report, repairs })
}
