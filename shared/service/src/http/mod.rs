//! The HTTP endpoints, and the layers around each request.
//!
//! Each Lambda function serves one of [`users()`], [`groups()`], [`bulk()`] and [`discovery()`]. The local gateway
//! serves the routes of [`all()`] in one router. A path may have the public prefix `/scim/v2` and a slash at its end.
//! Every failure (an unknown path or method, a panic, a timeout) is answered with a SCIM error.

mod base_path;
mod bulk;
mod discovery;
mod events;
mod groups;
mod list_query;
mod parameters;
mod request;
mod response;
mod route;
mod search;
#[cfg(feature = "oauth")]
mod token;
mod unserved;
mod update;
mod users;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Response},
};
use tokio::time::Instant;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_http::catch_panic::CatchPanicLayer;

pub use base_path::{BASE_PATH, TOKEN_PATH, token_url};
pub use request::{PublicBase, presented_key};
pub use route::Route;

use base_path::strip_base;
use request::Deadline;
use route::{panicked, plain_router};

use crate::{App, Error, auth::Permit, error::Reason, limits::REQUEST_BUDGET, store::Store, telemetry};

/// Returns the routes of `/Users`, and the search over all resources.
#[must_use]
pub fn users() -> Vec<Route> {
    [users::routes(), search::root_routes()].concat()
}

/// Returns the routes of `/Groups`.
#[must_use]
pub fn groups() -> Vec<Route> {
    groups::routes()
}

/// Returns the routes that describe the service.
#[must_use]
pub fn discovery() -> Vec<Route> {
    discovery::routes()
}

/// Returns the route of `/Bulk`.
#[must_use]
pub fn bulk() -> Vec<Route> {
    bulk::routes()
}

/// Returns the routes of the token endpoint, which are at the root and need no key.
#[cfg(feature = "oauth")]
#[must_use]
pub fn token(assertions: &crate::oauth::Assertions) -> Vec<Route> {
    token::routes(assertions)
}

/// Returns the routes of the feed of events, which are at the root.
#[must_use]
pub fn events() -> Vec<Route> {
    events::routes()
}

/// Returns all routes of SCIM, which need a key.
#[must_use]
pub fn all() -> Vec<Route> {
    [users(), groups(), bulk(), discovery()].concat()
}

/// Returns a router of the routes, with logging, the time budget and the panic handler around each request.
pub fn router(app: App, routes: Vec<Route>) -> Router {
    let store = app.store.clone();
    let routes = plain_router(app, routes).layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(store.clone(), telemetry::record_request))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(store, within_budget)),
    );
    // A layer runs after routing, so the path is changed outside of the router that has the routes.
    Router::new()
        .fallback_service(ServiceBuilder::new().layer(MapRequestLayer::new(strip_base)).service(routes))
}

/// Starts the request's time, and answers 503 when it is used up. Frees the slot of an expensive request.
async fn within_budget(State(store): State<Store>, mut request: Request, next: middleware::Next) -> Response {
    let deadline = Instant::now() + REQUEST_BUDGET;
    let permit = Permit::default();
    request.extensions_mut().insert(Deadline(deadline));
    request.extensions_mut().insert(permit.clone());
    let response = tokio::time::timeout_at(deadline, next.run(request)).await;
    // Lambda stops an execution environment once it has the response, so the slot is freed before.
    store.end_expensive(&permit).await;
    response.unwrap_or_else(|_| Error::Unavailable(Reason::Budget).into_response())
}
