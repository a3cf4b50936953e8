//! What is logged: one JSON line a request, with the route and never the path (ids), the query (names), a body, a key or
//! what a client says of itself; and of a panic where it happened, never what it said.

mod line;

use std::{
    io,
    panic::{self, PanicHookInfo},
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode, header::USER_AGENT},
    middleware::Next,
    response::Response,
};
use scim::ScimType;
use tokio::time::Instant;
use tracing::{Level, Subscriber};
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt};

pub(crate) use line::SWEEP;

use crate::{
    auth::{Caller, Org},
    clock::Clock,
    config,
    store::measured,
};
use line::{Line, REQUEST};

/// Environment variable: the level of what is logged. Default `info`, of this service only: dependencies log requests,
/// which hold data. Above `info` there are no metrics either, which are made of these lines.
pub const LOG: &str = "SCIM_LOG";

/// Begins logging to what the function opens, as the environment says; with metrics in a deployed stack.
pub fn init<W: io::Write + 'static>(writer: fn() -> W) {
    let level = config::env(LOG).and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    let subscriber = subscriber(level, config::env(config::STACK), Clock::system(), writer);
    // A second call, as in tests, keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    panic::set_hook(Box::new(log_panic));
}

/// Logs where a panic was. What it said may hold data and is not logged.
pub fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panic");
}

/// What writes the lines of that level and above; with metrics of the stack of that name.
pub fn subscriber<W: io::Write + 'static>(
    level: Level,
    stack: Option<String>,
    clock: Clock,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let lines = fmt::layer().event_format(Line { stack, clock }).with_writer(writer);
    let ours = Targets::new().with_target("service", level).with_target("local", level);
    tracing_subscriber::registry().with(lines).with(ours)
}

/// The id of the invocation, which Lambda's own lines have too; a Lambda function puts it on each request.
#[derive(Clone)]
pub struct RequestId(pub String);

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
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let method = known(request.method());
    let pattern = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let client = client(&request);
    let (response, consumed) = measured(next.run(request)).await;
    let status = response.status();
    let (org, key) = record.0.get().map_or(("", ""), |(org, key)| (org.as_str(), key.as_str()));
    let route = match &pattern {
        Some(pattern) if status != StatusCode::METHOD_NOT_ALLOWED => format!("{method} {pattern}"),
        _ => NONE.to_owned(),
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let exhausted = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    tracing::info!(
        name: REQUEST,
        requestId = request_id,
        org,
        key,
        method,
        route = pattern.as_deref().unwrap_or(NONE),
        status = status.as_u16(),
        scimType = response.extensions().get::<ScimType>().map(|scim_type| scim_type.as_str()),
        cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str()),
        client,
        millis,
        calls = consumed.calls,
        readUnits = consumed.read,
        writeUnits = consumed.write,
        Route = route,
        Client = client,
        Requests = 1,
        Duration = millis,
        DynamoDbCalls = consumed.calls,
        ReadUnits = consumed.read,
        WriteUnits = consumed.write,
        AuthenticationFailures = u64::from(refused),
        Exhausted = u64::from(exhausted),
        "request"
    );
    response
}

/// In the place of what this service has no name for. Requests may say anything; a dimension has few values.
const NONE: &str = "none";

/// The method, if it is one of HTTP's own.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(NONE)
}

/// Who is calling, by the flag that only Entra's tenant URLs carry or by what the client calls itself: `Okta SCIM Client
/// 1.0.0`, `Microsoft Azure AD SCIM provisioning 1.0.0`. Anybody may call itself anything; this decides nothing.
fn client(request: &Request) -> &'static str {
    const ENTRA_FLAGS: [&str; 2] = ["aadOptscim", "AzureAdScimPatch"];
    let query = request.uri().query().unwrap_or_default();
    let begins = |parameter: &str, flag: &str| {
        parameter.get(..flag.len()).is_some_and(|start| start.eq_ignore_ascii_case(flag))
    };
    if query.split('&').any(|parameter| ENTRA_FLAGS.iter().any(|flag| begins(parameter, flag))) {
        return "entra";
    }
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent = agent.to_ascii_lowercase();
    if agent.contains("okta") {
        "okta"
    } else if ["azure", "entra", "microsoft"].iter().any(|word| agent.contains(word)) {
        "entra"
    } else {
        "other"
    }
}
