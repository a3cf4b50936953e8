//! The connection with an identity provider: its state, the steps of each provider, and the live check.

mod choice;
mod credential;
mod entra;
mod okta;
mod trust;
mod verify;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    choice::routes().merge(okta::routes()).merge(entra::routes()).merge(verify::routes())
}
