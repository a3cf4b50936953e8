//! The owner console: pages on which an organisation connects its identity provider and sees its work.
//!
//! The pages are HTML from the server. They work without JavaScript, except for live parts. A request needs a session, which
//! a set-up link starts ([`service::portal`]). The pages call the operations of the store that the management API calls, and
//! every change has an entry in the audit log.
//!
//! | module | purpose |
//! |---|---|
//! | `access` | set-up links, sessions, CSRF tokens |
//! | `page` | the frame of every page, and refusals |
//! | `headers` | security headers |
//! | `assets` | style sheets and scripts |
//! | `clock` | times in the viewer's zone |
//! | `listing`, `attributes`, `sentences` | lists, attributes and requests in words |
//! | `names` | people and teams by the names that filters have |
//! | `fields`, `once` | fields of forms, and forms that create a credential once |
//! | `review` | the page before a change, and the page that shows a secret once |
//! | `chart` | charts as SVG |
//! | `overview`, `connection`, `keys`, `directory`, `people`, `teams`, `activity` | the pages |

mod access;
mod activity;
mod assets;
mod attributes;
mod chart;
mod clock;
mod connection;
mod directory;
mod fields;
mod headers;
mod keys;
mod listing;
mod names;
mod once;
mod overview;
mod page;
mod people;
mod review;
mod sentences;
mod teams;

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing,
};
use service::{App, limits::REQUEST_BUDGET, telemetry};
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use page::{Frame, Refusal, refusal};

/// The path of the console on the local gateway, and below the stage on AWS.
pub const PATH: &str = "/console";

/// The state of the console.
#[derive(Clone)]
pub(crate) struct Console {
    pub(crate) app: App,
    pub(crate) assets: Arc<assets::Assets>,
}

/// Returns the router of the console. Its paths begin with [`PATH`].
pub fn router(app: App) -> Router {
    let assets = Arc::new(assets::Assets::new(&app.portal));
    let headers = headers::Headers::new(&app.portal);
    let console = Console { app, assets };
    Router::new()
        .route("/console", routing::get(start))
        .route("/console/", routing::get(start))
        .merge(access::routes())
        .merge(assets::routes())
        .merge(overview::routes())
        .merge(directory::routes())
        .merge(people::routes())
        .merge(teams::routes())
        .merge(activity::routes())
        .merge(connection::routes())
        .merge(keys::routes())
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_page)
        .with_state(console)
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn(telemetry::log_request))
                .layer(middleware::from_fn_with_state(headers, headers::add))
                .layer(CatchPanicLayer::custom(panicked))
                .layer(middleware::from_fn(within_budget)),
        )
}

async fn start(frame: Frame) -> Redirect {
    Redirect::to(&format!("{}/overview", frame.base))
}

async fn no_such_page(frame: Frame) -> Response {
    refusal(&frame, Refusal::NotFound)
}

async fn within_budget(request: Request, next: Next) -> Response {
    timeout(REQUEST_BUDGET, next.run(request)).await.unwrap_or_else(|_| Refusal::Unavailable.into_response())
}

/// Answers a request whose handler panicked. The panic's message is dropped, because it may contain data.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::Internal.into_response()
}
