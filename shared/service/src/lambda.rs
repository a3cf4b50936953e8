//! The Lambda runtime around a router.

use std::io;

use aws_config::SdkConfig;
use axum::{body::Body, extract::Request};
use lambda_http::{LambdaEvent, RequestExt, lambda_runtime, request::RequestContext, service_fn};
use serde::de::IgnoredAny;
use tower::ServiceBuilder;

use crate::{
    App,
    ambient::{Clock, Entropy},
    auth::Pepper,
    cloud::{self, PepperSecret},
    config::{self, Tables},
    http::{self, PublicBase, Route},
    janitor,
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
    let sdk = cloud::sdk_config().await;
    let pepper = PepperSecret::new(cloud::secrets_manager(&sdk), secret);
    // Asked for while the first event is on its way; a failure shows when it is needed.
    let early = pepper.clone();
    tokio::spawn(async move { early.peppers().await });
    let app = App {
        store: store(&sdk),
        pepper: Pepper::SecretsManager(pepper),
        base_url: config::env(config::BASE_URL),
    };
    let service = ServiceBuilder::new().map_request(from_gateway).service(http::router(app, routes));
    lambda_http::run(service).await
}

/// Sweeps whenever it is called, which a schedule does; the event says nothing.
///
/// # Errors
/// When the Lambda runtime cannot be reached. A sweep that failed somewhere fails its invocation, which an alarm sees.
pub async fn run_janitor() -> Result<(), Error> {
    telemetry::init(io::stdout);
    let store = store(&cloud::sdk_config().await);
    lambda_runtime::run(service_fn(async |_: LambdaEvent<IgnoredAny>| match janitor::sweep(&store).await {
        Ok(swept) if swept.failed == 0 => Ok(()),
        Ok(_) => Err(Error::from("an organisation could not be cleaned up; the log says which")),
        Err(error) => Err(Error::from(error)),
    }))
    .await
}

fn store(sdk: &SdkConfig) -> Store {
    Store::new(cloud::dynamodb(sdk), Tables::from_env(), Clock::system(), Entropy::system())
}

/// The event as a request, with the base URL as the gateway knows it and the id that Lambda knows it by.
fn from_gateway(event: lambda_http::Request) -> Request {
    let base = event.request_context_ref().and_then(public_base);
    let id = event.lambda_context_ref().map(|context| RequestId(context.request_id.clone()));
    let mut request = event.map(Body::new);
    if let Some(id) = id {
        request.extensions_mut().insert(id);
    }
    if let Some(base) = base {
        request.extensions_mut().insert(PublicBase(base));
    }
    request
}

fn public_base(context: &RequestContext) -> Option<String> {
    let (domain, stage) = match context {
        RequestContext::ApiGatewayV1(context) => (context.domain_name.as_ref()?, context.stage.as_deref()),
        RequestContext::ApiGatewayV2(context) => (context.domain_name.as_ref()?, context.stage.as_deref()),
        _ => return None,
    };
    match stage {
        Some(stage) if stage != "$default" => Some(format!("https://{domain}/{stage}/v2")),
        _ => Some(format!("https://{domain}{}", http::BASE_PATH)),
    }
}
