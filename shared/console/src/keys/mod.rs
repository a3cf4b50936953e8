//! Keys and OAuth clients: the list, and a page for each change.

mod clients;
mod key;
mod list;
mod rotation;
mod view;

use axum::Router;

use crate::Console;

pub(crate) fn routes() -> Router<Console> {
    list::routes().merge(key::routes()).merge(clients::routes())
}
