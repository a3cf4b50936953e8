//! `org delete`: the deletion of an organisation.

use std::io::{self, BufRead, IsTerminal, Write};

use service::{auth::Org, store::Erasing};

use super::{LifecycleError, progress::Progress};
use crate::{Failure, output::Output, stack::Stack};

/// Deletes an organisation after its name has been typed or given.
pub(crate) async fn delete(
    stack: &Stack,
    org: Org,
    confirm: Option<Org>,
    keep_keys: bool,
) -> Result<Output, Failure> {
    let is_confirmed = match confirm {
        Some(name) => name == org,
        None => io::stdin().is_terminal() && typed(&org, keep_keys)?,
    };
    if !is_confirmed {
        return Err(LifecycleError::NotConfirmed(org).into());
    }
    let mut progress = Progress::new();
    let show = |erasing| match erasing {
        Erasing::Deleted(items) => progress.show(|| format!("{org}: {items} items deleted")),
        Erasing::Waiting(seconds) => {
            progress.show_now(|| format!("{org}: waiting {seconds} s for requests that began before"));
        }
    };
    let deleted = stack.store.delete_org(&org, keep_keys, &stack.actor, show).await;
    progress.clear();
    let items = stack.done(deleted)?.ok_or_else(|| Failure::NoOrg(org.clone()))?;
    Ok(Output::Deleted { org, items, kept_keys: keep_keys })
}

/// Asks for the name of the organisation on the terminal.
fn typed(org: &Org, keep_keys: bool) -> io::Result<bool> {
    let what = if keep_keys { "all users and groups" } else { "all users, groups, keys and the request log" };
    let mut err = io::stderr();
    write!(err, "This deletes {what} of {org} for ever. Type the name of the organisation: ")?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == org.as_str())
}
