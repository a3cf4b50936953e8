//! The management API under `/admin/v1`: organisations, API keys, OAuth clients, links of the owner console, the request
//! log and the audit log, as JSON.
//!
//! A request needs an [`Operator`], which the place of the API adds: IAM on AWS, and a token on the local gateway. No key
//! and no token of an organisation gives access. Errors are problem documents (RFC 9457), and the OpenAPI document is
//! generated from the handlers. Every change is one transaction with an entry in the audit log.
//!
//! The module has a Cargo feature of its own (`admin`), so that the functions of identity providers do not contain it.

mod answer;
mod audit;
mod client_body;
mod clients;
mod fields;
mod health;
mod idempotency;
mod keys;
mod log;
mod openapi;
mod orgs;
mod problem;
mod request;
mod schema;
mod sessions;

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use answer::with_body;
use problem::{Kind, Problem};
use request::unauthenticated;

pub use request::Operator;

use crate::{App, Error, error::Reason, limits::REQUEST_BUDGET, telemetry};

/// The path of the API.
pub const PATH: &str = "/admin/v1";

/// Returns the router of the management API. Every path of it needs an [`Operator`] among the extensions of the request.
pub fn router(app: App) -> Router {
    let (routes, document) = parts();
    let document: Arc<str> = document.into();
    let show = move || async move {
        with_body(StatusCode::OK, "application/json", Body::from(document.to_string()))
    };
    routes
        .route("/admin/v1/openapi.json", routing::get(show))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(app)
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn(telemetry::log_request))
                .layer(CatchPanicLayer::custom(panicked))
                .layer(middleware::from_fn(within_budget))
                .layer(middleware::from_fn(with_operator)),
        )
}

/// Returns the OpenAPI document as JSON.
#[must_use]
pub fn document() -> String {
    parts().1
}

/// Returns the response to a request that may not reach the API, whatever its credential.
#[must_use]
pub fn forbidden(detail: &str) -> Response {
    Problem::new(Kind::Forbidden, detail).into_response()
}

fn parts() -> (Router<App>, String) {
    let (routes, of_routes) = OpenApiRouter::new()
        .merge(orgs::routes())
        .merge(keys::routes())
        .merge(clients::routes())
        .merge(audit::routes())
        .merge(sessions::routes())
        .merge(log::routes())
        .merge(health::routes())
        .split_for_parts();
    let mut text = openapi::document(of_routes).to_pretty_json().unwrap_or_default();
    text.push('\n');
    (routes, text)
}

/// Refuses a request without an operator before its path, its method and its body are read.
async fn with_operator(request: Request, next: Next) -> Response {
    if request.extensions().get::<Operator>().is_none() {
        return unauthenticated().into_response();
    }
    next.run(request).await
}

/// Answers 503 when the request's time is used up.
async fn within_budget(request: Request, next: Next) -> Response {
    timeout(REQUEST_BUDGET, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::from(Error::Unavailable(Reason::Budget)).into_response())
}

async fn no_such_path() -> Problem {
    Problem::new(
        Kind::NotFound,
        "This endpoint does not exist. GET /admin/v1/openapi.json describes the endpoints.",
    )
}

async fn no_such_method(method: Method) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!("This endpoint does not support {method}. The header Allow has the supported methods."),
    )
}

/// Answers a request whose handler panicked. The panic's message is dropped, because it may contain data.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::from(Error::Internal("a handler panicked".to_owned())).into_response()
}
