//! A route, and a router of routes that answers every failure with a SCIM error.

use std::any::Any;

use axum::{
    Router,
    http::Method,
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use super::unserved::{no_such_method, no_such_path};
use crate::{App, Error};

/// A route: a method, a path and a handler. Routers consist of routes, and tests list them.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path under the base, with `{parameters}`.
    pub path: &'static str,
    handler: MethodRouter<App>,
}

impl Route {
    pub(super) fn new(method: Method, path: &'static str, handler: MethodRouter<App>) -> Self {
        Self { method, path, handler }
    }
}

/// Returns a router of the routes, without the layers around a request from outside.
pub(super) fn plain_router(app: App, routes: Vec<Route>) -> Router {
    routes
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(app)
}

/// Answers a request whose handler panicked. The panic hook has logged the location. The panic's message is dropped,
/// because it may contain data.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    Error::Internal("a handler panicked".to_owned()).into_response()
}
