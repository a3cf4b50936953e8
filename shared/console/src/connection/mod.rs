//! The connection with an identity provider: its state, the steps of each provider, and the live check.

mod choice;
mod credential;
mod entra;
mod okta;
mod steps;
mod trust;
mod verify;
mod wizard;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    choice::routes().merge(verify::routes()).merge(wizard::routes())
}
