//! `audit`: the audit log of an organisation.

use clap::Args;
use service::auth::Org;

use crate::{Failure, output::Output, stack::Stack};

/// The number of entries of one read.
const PAGE: usize = 100;

#[derive(Args)]
pub(crate) struct AuditArguments {
    /// Name of the organisation, which may be deleted
    #[arg(long)]
    org: Org,
    /// Number of entries to print, the newest first
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Runs the command.
pub(crate) async fn run(
    stack: &Stack,
    AuditArguments { org, limit }: AuditArguments,
) -> Result<Output, Failure> {
    let mut entries = Vec::new();
    let mut after = None;
    while entries.len() < limit {
        let count = PAGE.min(limit - entries.len());
        let page = stack.done(stack.store.audit(&org, count, after.as_deref()).await)?;
        entries.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(Output::Audit { entries })
}
