//! The management API on this machine.
//!
//! A request needs the operator token of this start, which `connection.env` contains. Web pages in a browser must not reach
//! the API: it refuses requests with an `Origin` header and requests for another host, whose name a web page may have
//! resolved to this machine. It also refuses what a proxy or a tunnel forwards: a tunnel that shows the SCIM endpoint to an
//! identity provider must not show the management of all organisations.

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, Uri,
        header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN},
    },
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use service::{
    App,
    admin::{self, Operator},
    store::Actor,
};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

/// The headers that proxies and tunnels add.
const FORWARDED_BY: [&str; 4] = ["via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
/// The port that a URL of this scheme leaves out.
const HTTP: u16 = 80;
/// The name of the operator in the audit log.
const ACTOR: &str = "operator token";

/// Returns the router of the management API, which requires the token, and the port of the base URL in the `Host` header.
pub(crate) fn router(app: App, token: &str, base_url: &str) -> Router {
    let port = base_url.parse::<Uri>().ok().and_then(|url| url.port_u16()).unwrap_or(HTTP);
    let guard = Guard { token: Sha256::digest(token).into(), port };
    admin::router(app).layer(from_fn_with_state(guard, guarded))
}

/// Returns a router that passes every path below `/admin` to `admin`, every path below `/console` to `console`, and all others
/// to `scim`.
pub(crate) fn beside(admin: Router, console: Router, scim: Router) -> Router {
    Router::new().fallback(move |request: Request| {
        let path = request.uri().path();
        let is_below =
            |root| path.strip_prefix(root).is_some_and(|rest: &str| rest.is_empty() || rest.starts_with('/'));
        if is_below("/admin") {
            admin.clone()
        } else if is_below(console::PATH) {
            console.clone()
        } else {
            scim.clone()
        }
        .oneshot(request)
    })
}

/// The credentials that a request needs.
#[derive(Clone, Copy)]
struct Guard {
    /// The digest of the token. The time of a comparison of digests tells nothing about the token.
    token: [u8; 32],
    /// The port of the gateway.
    port: u16,
}

async fn guarded(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(ORIGIN) {
        return admin::forbidden(
            "The request has an Origin header. Web pages may not use this API. Call it from a program.",
        );
    }
    if !guard.is_host(headers) {
        return admin::forbidden(
            "The Host header does not name this gateway. Use the URL SCIM_ADMIN_URL of connection.env.",
        );
    }
    if headers.contains_key(FORWARDED) || FORWARDED_BY.iter().any(|name| headers.contains_key(*name)) {
        return admin::forbidden(
            "A proxy has forwarded the request. This API answers programs on this machine alone. Call it directly.",
        );
    }
    if guard.has_token(headers) {
        request.extensions_mut().insert(Operator(Actor::new(ACTOR)));
    }
    next.run(request).await
}

impl Guard {
    /// Returns whether the only `Host` header names this machine and the port of the gateway.
    fn is_host(self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let host = host.to_str().unwrap_or_default();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (host, Some(HTTP)),
        };
        matches!(name, "127.0.0.1" | "localhost") && port == Some(self.port)
    }

    /// Returns whether the only `Authorization` header is `Bearer` with the token.
    fn has_token(self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(token.trim_start()).into();
        scheme.eq_ignore_ascii_case("bearer") && digest == self.token
    }
}
