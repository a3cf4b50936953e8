//! The Lambda runtime around a router, and around the janitor.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    io,
    sync::Arc,
};

use aws_config::SdkConfig;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};
use lambda_http::{
    Adapter, LambdaEvent, RequestExt, lambda_runtime,
    request::{LambdaRequest, RequestContext},
    service_fn,
};
use serde::{Serialize, de::IgnoredAny};
use tower::{Service, ServiceBuilder};
use tracing::Instrument;

use crate::{
    App, announcements,
    auth::Org,
    clock::Clock,
    cloud,
    config::{self, Tables},
    entropy::Entropy,
    http::{self, PublicBase, Route},
    janitor,
    pepper::{Pepper, PepperSecret},
    portal::Portal,
    sequencing,
    store::{self, Store},
    telemetry::{self, RequestId},
};
#[cfg(feature = "admin")]
use crate::{
    admin::{self, Operator},
    store::Actor,
};

pub use lambda_http::Error;

/// Serves the routes until Lambda stops the function.
///
/// # Errors
/// If `SCIM_PEPPER_SECRET_ID` is not set, or the Lambda runtime is not reachable.
pub async fn run(routes: Vec<Route>) -> Result<(), Error> {
    run_router(|app| http::router(app, routes)).await
}

/// Serves the router that `make` returns until Lambda stops the function.
///
/// # Errors
/// As [`run`].
pub async fn run_router(make: impl FnOnce(App) -> Router) -> Result<(), Error> {
    lambda_runtime::run(router_function(make(app()?))).await
}

/// Serves the management API until Lambda stops the function.
///
/// # Errors
/// As [`run`].
#[cfg(feature = "admin")]
pub async fn run_admin() -> Result<(), Error> {
    lambda_runtime::run(admin_function(app()?)).await
}

/// Returns the state of a function that needs the pepper.
fn app() -> Result<App, Error> {
    telemetry::init(io::stdout);
    let secret = config::env(config::PEPPER_SECRET_ID)
        .ok_or_else(|| format!("the environment variable {} is not set", config::PEPPER_SECRET_ID))?;
    let sdk = cloud::function_config();
    let pepper = PepperSecret::new(cloud::secrets_manager(&sdk), secret);
    // Reads the pepper before the first event arrives. A request that needs the pepper reports a failure.
    let prefetched = pepper.clone();
    tokio::spawn(async move { prefetched.peppers().await });
    Ok(App {
        store: store(&sdk),
        pepper: Pepper::SecretsManager(pepper),
        base_url: config::env(config::BASE_URL),
        portal: Arc::new(Portal::from_env()),
    })
}

/// Returns the service of a Lambda function for the events of API Gateway, from a REST API or an HTTP API.
#[must_use]
pub fn function(
    app: App,
    routes: Vec<Route>,
) -> impl Service<LambdaEvent<LambdaRequest>, Response = impl Serialize, Error = Infallible> {
    router_function(http::router(app, routes))
}

/// Returns the service of a Lambda function for the events of API Gateway, with any router.
pub fn router_function(
    router: Router,
) -> impl Service<LambdaEvent<LambdaRequest>, Response = impl Serialize, Error = Infallible> {
    let service = ServiceBuilder::new().map_request(from_gateway).service(router);
    ServiceBuilder::new().map_request(with_every_value).service(Adapter::from(service))
}

/// Returns the service of the management API for the events of a function URL. The operator is the IAM identity that Lambda
/// has authenticated. A request without one is refused.
#[cfg(feature = "admin")]
pub fn admin_function(
    app: App,
) -> impl Service<LambdaEvent<LambdaRequest>, Response = impl Serialize, Error = Infallible> {
    let service = ServiceBuilder::new().map_request(from_operator).service(admin::router(app));
    ServiceBuilder::new().map_request(with_every_value).service(Adapter::from(service))
}

/// Converts an event to a request, with the IAM identity of its sender.
#[cfg(feature = "admin")]
fn from_operator(event: lambda_http::Request) -> Request {
    let arn = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let iam = context.authorizer.as_ref().and_then(|authorizer| authorizer.iam.as_ref());
            iam.and_then(|iam| iam.user_arn.clone())
        }
        _ => None,
    };
    let mut request = from_gateway(event);
    if let Some(arn) = arn.filter(|arn| !arn.is_empty()) {
        request.extensions_mut().insert(Operator(Actor::new(&format!("iam:{arn}"))));
    }
    request
}

/// Sweeps at each invocation, which comes from a schedule. The content of the event is ignored.
///
/// # Errors
/// If the Lambda runtime is not reachable. If a change could not be finished, the invocation fails, which raises an alarm.
pub async fn run_janitor() -> Result<(), Error> {
    telemetry::init(io::stdout);
    let store = store(&cloud::function_config());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| {
        let span = tracing::error_span!("sweep", requestId = event.context.request_id);
        // Without the boxes, the type of the future exceeds the depth that the compiler allows.
        let announced = Box::pin(announcements::announce(&store)).instrument(span.clone()).await;
        if let Err(error) = &announced {
            span.in_scope(|| tracing::error!(cause = error.cause(), "ends are not announced"));
        }
        match (Box::pin(janitor::sweep(&store)).instrument(span).await.failed, announced) {
            (0, Ok(_)) => Ok(()),
            _ => Err(Error::from("the work is not complete, see the log")),
        }
    }))
    .await
}

/// Moves events to the feeds at each invocation. The invocation comes from the stream of the table of resources, and is about
/// the organisations that its records name, or from a schedule, and is about all organisations.
///
/// # Errors
/// If the Lambda runtime is not reachable.
pub async fn run_sequencer() -> Result<(), Error> {
    telemetry::init(io::stdout);
    let store = store(&cloud::function_config());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Bell>| {
        let span = tracing::error_span!("sequence", requestId = event.context.request_id);
        Box::pin(ring(&store, event.payload)).instrument(span).await
    }))
    .await
}

/// An event that invokes the sequencer.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Bell {
    /// The records of the stream. An event of a schedule has none.
    #[serde(rename = "Records", default)]
    records: Vec<StreamRecord>,
}

#[derive(Debug, serde::Deserialize)]
struct StreamRecord {
    dynamodb: StreamChange,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamChange {
    keys: HashMap<String, StreamValue>,
    sequence_number: String,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct StreamValue {
    s: String,
}

/// The records of a batch that the stream delivers again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchFailures {
    batch_item_failures: Vec<BatchFailure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchFailure {
    item_identifier: String,
}

/// Moves the events that an invocation is about. The answer names the records whose organisations failed: the stream
/// delivers them again, and not those before them.
///
/// # Errors
/// If an invocation by the schedule could not move all events.
pub async fn ring(store: &Store, bell: Bell) -> Result<BatchFailures, Error> {
    if bell.records.is_empty() {
        let sequenced = sequencing::sequence_all(store).await.map_err(|error| error.to_string())?;
        return match sequenced.failed.len() {
            0 => Ok(BatchFailures { batch_item_failures: Vec::new() }),
            _ => Err(Error::from("some events are not in a feed, see the log")),
        };
    }
    let orgs: BTreeSet<Org> = bell.records.iter().filter_map(StreamRecord::org).collect();
    let failed = sequencing::sequence(store, orgs).await.failed;
    let failures =
        bell.records.into_iter().filter(|record| record.org().is_some_and(|org| failed.contains(&org)));
    let batch_item_failures =
        failures.map(|record| BatchFailure { item_identifier: record.dynamodb.sequence_number }).collect();
    Ok(BatchFailures { batch_item_failures })
}

impl StreamRecord {
    /// Returns the organisation whose event the record is about. The filter of the stream lets no other record pass.
    fn org(&self) -> Option<Org> {
        store::org_of_outbox(&self.dynamodb.keys.get("sk")?.s)
    }
}

fn store(sdk: &SdkConfig) -> Store {
    Store::new(&cloud::dynamodb(sdk), Tables::from_env(), Clock::system(), Entropy::system())
        .with_request_log(true)
}

/// Keeps all values of each header. An event of a REST API has the headers twice: with the last value of each and with all
/// values. `lambda_http` prefers the former, which would hide a second Authorization header.
fn with_every_value(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV1(request) = &mut event.payload
        && !request.multi_value_headers.is_empty()
    {
        request.headers.clear();
    }
    event
}

/// Converts an event to a request, with the base URL of the gateway and the id of the invocation.
fn from_gateway(event: lambda_http::Request) -> Request {
    let context = event.request_context_ref();
    let base = context.and_then(public_base);
    let sent = path_as_sent(&event, context.and_then(stage));
    let id = event.lambda_context_ref().map(|context| RequestId(context.request_id.clone()));
    let mut request = event.map(Body::new);
    if let Some(id) = id {
        request.extensions_mut().insert(id);
    }
    if let Some(path) = sent {
        *request.uri_mut() = Uri::from(path);
    }
    if let Some(base) = base {
        request.extensions_mut().insert(PublicBase(base));
    }
    request
}

/// Returns the path without the stage, and the query, as the client sent them. `lambda_http` adds the stage to the path
/// and resolves dot segments, so that another route may match than the one in the gateway.
fn path_as_sent(event: &lambda_http::Request, stage: Option<&str>) -> Option<PathAndQuery> {
    let path = event.raw_http_path();
    let path = stage
        .and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path);
    match event.uri().query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

/// Returns the stage, unless it is the default stage, which is not part of the path.
fn stage(context: &RequestContext) -> Option<&str> {
    match context {
        RequestContext::ApiGatewayV1(context) => context.stage.as_deref(),
        RequestContext::ApiGatewayV2(context) => {
            context.stage.as_deref().filter(|stage| *stage != "$default")
        }
        _ => None,
    }
}

/// Returns the public base URL of the gateway.
fn public_base(context: &RequestContext) -> Option<String> {
    let domain = match context {
        RequestContext::ApiGatewayV1(context) => context.domain_name.as_ref()?,
        RequestContext::ApiGatewayV2(context) => context.domain_name.as_ref()?,
        _ => return None,
    };
    match stage(context) {
        Some(stage) => Some(format!("https://{domain}/{stage}/v2")),
        None => Some(format!("https://{domain}{}", http::BASE_PATH)),
    }
}
