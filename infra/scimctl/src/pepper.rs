//! `pepper`: the secret of the credentials' digests.

use clap::Subcommand;
use serde_json::json;
use service::{
    entropy::Entropy,
    pepper::{Peppers, Secret, StoredPeppers},
};

use crate::{Failure, output::Output, stack::Stack};

#[derive(Subcommand)]
pub(crate) enum PepperCommand {
    /// Replace the pepper: all keys, tokens and secrets stay valid, and requests are served meanwhile; run it again if it
    /// was interrupted
    Rotate,
}

/// Runs a command.
pub(crate) async fn run(stack: &Stack, PepperCommand::Rotate: PepperCommand) -> Result<Output, Failure> {
    let _lock = stack.done(stack.pepper.lock())?;
    let mut stored = stack.done(stack.pepper.stored().await)?;
    // A rotation that was interrupted is finished first.
    if stored.peppers.oldest() == stored.peppers.generation() {
        let secret = stack.done(Entropy::system().bytes::<32>())?;
        let secret = Secret::new(hex::encode(secret));
        let peppers = stored.peppers.clone().with_generation(secret);
        stored = replace(stack, &stored, peppers).await?;
    }
    let generation = stored.peppers.generation();
    stack.done(stack.store.begin_generation(generation).await)?;
    let orgs = stack.done(stack.store.orgs().await)?;
    let organisations = orgs.len();
    let mut moved = 0;
    for organisation in orgs {
        let org = &organisation.org;
        let credentials = stack.done(stack.store.rewrap(org, &stored.peppers).await)?;
        let result = json!({ "generation": generation, "credentials": credentials });
        stack.done(stack.store.record_action(org, &stack.actor, "pepper.rotate", &result).await)?;
        moved += credentials;
    }
    let peppers = stored.peppers.clone().with_latest_only();
    replace(stack, &stored, peppers).await?;
    Ok(Output::Rotated { generation, organisations, credentials: moved })
}

async fn replace(stack: &Stack, before: &StoredPeppers, peppers: Peppers) -> Result<StoredPeppers, Failure> {
    let replaced = stack.done(stack.pepper.replace(before, peppers).await)?;
    replaced.ok_or_else(|| {
        Failure::Refused("another rotation of the pepper has begun. Run the command again.".to_owned())
    })
}
