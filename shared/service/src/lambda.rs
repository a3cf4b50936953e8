//! The Lambda runtime around a router.

use axum::{body::Body, extract::Request};
use lambda_http::{RequestExt, request::RequestContext};
use tower::ServiceBuilder;

use crate::{
    App,
    ambient::{Clock, Entropy},
    auth::Pepper,
    cloud::{self, PepperSecret},
    config::{self, Tables},
    http::{self, PublicBase, Route},
    store::Store,
    telemetry,
};

pub use lambda_http::Error;

/// Serves those routes until the sandbox is stopped.
///
/// # Errors
/// When `SCIM_PEPPER_SECRET_ID` is not set, or the Lambda runtime cannot be reached.
pub async fn run(routes: Vec<Route>) -> Result<(), Error> {
    telemetry::init();
    let secret = config::env(config::PEPPER_SECRET_ID)
        .ok_or_else(|| format!("the environment variable {} is not set", config::PEPPER_SECRET_ID))?;
    let sdk = cloud::sdk_config().await;
    let pepper = PepperSecret::new(cloud::secrets_manager(&sdk), secret);
    // Asked for while the first event is on its way; a failure shows when it is needed.
    let early = pepper.clone();
    tokio::spawn(async move { early.peppers().await });
    let app = App {
        store: Store::new(cloud::dynamodb(&sdk), Tables::from_env(), Clock::system(), Entropy::system()),
        pepper: Pepper::SecretsManager(pepper),
        base_url: config::env(config::BASE_URL),
    };
    let service = ServiceBuilder::new().map_request(from_gateway).service(http::router(app, routes));
    lambda_http::run(service).await
}

/// The event as a request, with the base URL as the gateway knows it.
fn from_gateway(event: lambda_http::Request) -> Request {
    let base = event.request_context_ref().and_then(public_base);
    let mut request = event.map(Body::new);
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
