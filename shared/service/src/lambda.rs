//! The Lambda runtime around a router.

use std::{convert::Infallible, io};

use aws_config::SdkConfig;
use axum::{
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

use crate::{
    App,
    clock::Clock,
    cloud,
    config::{self, Tables},
    entropy::Entropy,
    http::{self, PublicBase, Route},
    janitor,
    pepper::{Pepper, PepperSecret},
    store::Store,
    telemetry::{self, RequestId},
};

pub use lambda_http::Error;

/// Serves those routes until the sandbox is stopped.
///
/// # Errors
/// When `SCIM_PEPPER_SECRET_ID` is not set, or the Lambda runtime cannot be reached.
pub async fn run(routes: Vec<Route>) -> Result<(), Error> {
    telemetry::init(io::stdout);
    let secret = config::env(config::PEPPER_SECRET_ID)
        .ok_or_else(|| format!("the environment variable {} is not set", config::PEPPER_SECRET_ID))?;
    let sdk = cloud::function_config();
    let pepper = PepperSecret::new(cloud::secrets_manager(&sdk), secret);
    // Asked for while the first event is on its way; a failure shows when it is needed.
    let early = pepper.clone();
    tokio::spawn(async move { early.peppers().await });
    let app = App {
        store: store(&sdk),
        pepper: Pepper::SecretsManager(pepper),
        base_url: config::env(config::BASE_URL),
    };
    lambda_runtime::run(function(app, routes)).await
}

/// What the runtime hands an event of API Gateway to, of a REST API or an HTTP API; out comes what the gateway makes
/// an answer of.
pub fn function(
    app: App,
    routes: Vec<Route>,
) -> impl Service<LambdaEvent<LambdaRequest>, Response = impl Serialize, Error = Infallible> {
    let service = ServiceBuilder::new().map_request(from_gateway).service(http::router(app, routes));
    ServiceBuilder::new().map_request(with_every_value).service(Adapter::from(service))
}

/// Sweeps whenever it is called, which a schedule does; the event says nothing.
///
/// # Errors
/// When the Lambda runtime cannot be reached. A sweep that failed somewhere fails its invocation, which an alarm sees.
pub async fn run_janitor() -> Result<(), Error> {
    telemetry::init(io::stdout);
    let store = store(&cloud::function_config());
    lambda_runtime::run(service_fn(async |_: LambdaEvent<IgnoredAny>| match janitor::sweep(&store).await {
        Ok(swept) if swept.failed == 0 => Ok(()),
        Ok(_) => Err(Error::from("an organisation could not be cleaned up; the log says which")),
        Err(error) => Err(Error::from(error)),
    }))
    .await
}

fn store(sdk: &SdkConfig) -> Store {
    Store::new(&cloud::dynamodb(sdk), Tables::from_env(), Clock::system(), Entropy::system())
}

/// A REST event has the headers twice: the last value of each, and all values. `lambda_http` lets the former win, so
/// that of two Authorization headers one would be left.
fn with_every_value(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV1(request) = &mut event.payload
        && !request.multi_value_headers.is_empty()
    {
        request.headers.clear();
    }
    event
}

/// The event as a request, with the base URL as the gateway knows it and the id that Lambda knows it by.
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

/// The path without the stage, and the query. `lambda_http` puts the stage before the path, whether it belongs there
/// or not, and resolves dot segments, after which another route may match than the gateway saw.
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

/// The stage, unless it is the one that has no name in the path.
fn stage(context: &RequestContext) -> Option<&str> {
    match context {
        RequestContext::ApiGatewayV1(context) => context.stage.as_deref(),
        RequestContext::ApiGatewayV2(context) => {
            context.stage.as_deref().filter(|stage| *stage != "$default")
        }
        _ => None,
    }
}

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
