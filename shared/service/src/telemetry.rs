//! What is logged: one JSON line a request, with the route and never the path (ids), the query (names), a body or a
//! key; and of a panic where it happened, never what it said.

use std::{
    panic,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use scim::ScimType;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::{
    auth::{Caller, Org},
    config,
};

/// Environment variable: what is logged, in the syntax of `tracing_subscriber::EnvFilter`. Default `info`, of this
/// service only: dependencies log requests, which hold data.
pub const LOG: &str = "SCIM_LOG";

/// Begins logging to standard error, as JSON lines.
pub fn init() {
    let filter = config::env(LOG).unwrap_or_else(|| "info".to_owned());
    let level = filter.parse::<tracing::Level>().unwrap_or(tracing::Level::INFO);
    let filter = EnvFilter::new(format!("off,service={level},local={level}"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .finish();
    // A second call, as in tests, keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// Why a request failed inside, for the log alone.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) String);

/// What becomes known of a request while it is handled.
#[derive(Clone, Default)]
pub(crate) struct RequestRecord(Arc<OnceLock<(Org, String)>>);

impl RequestRecord {
    pub(crate) fn caller(&self, caller: &Caller) {
        let _ = self.0.set((caller.org().clone(), caller.key_id().to_owned()));
    }
}

/// Logs the request when it is answered.
pub(crate) async fn log_request(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let record = RequestRecord::default();
    request.extensions_mut().insert(record.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let (org, key) = record.0.get().map_or(("", ""), |(org, key)| (org.as_str(), key.as_str()));
    let scim_type = response.extensions().get::<ScimType>().map(|scim_type| scim_type.as_str());
    let cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str());
    tracing::info!(
        org,
        key,
        method = method.as_str(),
        route = route.as_deref().unwrap_or("none"),
        status = response.status().as_u16(),
        scim_type,
        cause,
        millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    response
}
