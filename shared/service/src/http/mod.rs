//! HTTP: routes, one file for each endpoint, and what surrounds them.
//!
//! Each Lambda function serves one of [`users`], [`groups`], [`discovery`]; the local gateway serves all of them in one
//! router. Paths are taken with the public prefix `/scim/v2` and without it, with a slash at the end and without.
//! Whatever goes wrong (no such path or method, a panic, no time left) is answered with a SCIM error.

mod bulk;
mod discovery;
mod groups;
mod list_query;
mod parameters;
mod request;
mod response;
mod search;
mod users;

use std::any::Any;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, Uri, uri::PathAndQuery},
    middleware,
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use tokio::time::Instant;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_http::catch_panic::CatchPanicLayer;

pub use request::PublicBase;

use request::Deadline;

use crate::{App, Error, store::REQUEST_BUDGET, telemetry};

/// What public base URLs end in.
pub const BASE_PATH: &str = "/scim/v2";

/// A route: a method, a path, and the handler. Routers are made of these and tests walk them.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path under the base, with `{parameters}`.
    pub path: &'static str,
    handler: MethodRouter<App>,
}

impl Route {
    fn new(method: Method, path: &'static str, handler: MethodRouter<App>) -> Self {
        Self { method, path, handler }
    }
}

/// The routes of `/Users`, and the search over everything.
#[must_use]
pub fn users() -> Vec<Route> {
    [users::routes(), search::root_routes()].concat()
}

/// The routes of `/Groups`.
#[must_use]
pub fn groups() -> Vec<Route> {
    groups::routes()
}

/// The routes that say what the service can do.
#[must_use]
pub fn discovery() -> Vec<Route> {
    discovery::routes()
}

/// The route of `/Bulk`.
#[must_use]
pub fn bulk() -> Vec<Route> {
    bulk::routes()
}

/// Every route of the service.
#[must_use]
pub fn all() -> Vec<Route> {
    [users(), groups(), bulk(), discovery()].concat()
}

/// A router of those routes alone.
fn plain_router(app: App, routes: Vec<Route>) -> Router {
    routes
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(app)
}

/// A router of those routes, with everything around it.
pub fn router(app: App, routes: Vec<Route>) -> Router {
    let routes = plain_router(app, routes).layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn(telemetry::log_request))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(within_budget)),
    );
    // The path has to be changed before the routes are looked at, so from outside of their router.
    Router::new()
        .fallback_service(ServiceBuilder::new().layer(MapRequestLayer::new(strip_base)).service(routes))
}

/// The path without the base, without empty segments and without a slash at the end. Only `/` separates segments:
/// nothing is decoded here, so no encoding of a path reaches another route than the plain one.
fn under_base(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let rest = match segments.as_slice() {
        ["scim", "v2", rest @ ..] | ["v2", rest @ ..] | rest => rest,
    };
    format!("/{}", rest.join("/"))
}

fn strip_base(mut request: Request<Body>) -> Request<Body> {
    let mut path = under_base(request.uri().path());
    if let Some(query) = request.uri().query() {
        path = format!("{path}?{query}");
    }
    if let Ok(path) = path.parse::<PathAndQuery>() {
        *request.uri_mut() = Uri::from(path);
    }
    request
}

async fn no_such_path(uri: Uri) -> Error {
    let detail = if uri.path() == "/" {
        "this is the base URL of a SCIM 2.0 service; resources are at /Users and /Groups below it"
    } else {
        "there is no such endpoint; the base URL ends in /scim/v2, and below it are /Users, /Groups, \
         /ServiceProviderConfig, /ResourceTypes and /Schemas"
    };
    Error::NotFound(detail.to_owned())
}

async fn no_such_method(method: Method) -> Error {
    Error::MethodNotAllowed(format!(
        "{method} is not possible on this endpoint; the Allow header says what is"
    ))
}

/// The request's time begins here, for everything that is done for it.
async fn within_budget(mut request: Request, next: middleware::Next) -> Response {
    let deadline = Instant::now() + REQUEST_BUDGET;
    request.extensions_mut().insert(Deadline(deadline));
    tokio::time::timeout_at(deadline, next.run(request))
        .await
        .unwrap_or_else(|_| Error::Unavailable.into_response())
}

/// The last resort. The panic hook has logged where; what the panic said may hold data and goes nowhere.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Error::Internal("a handler panicked".to_owned()).into_response()
}
