//! Authentication: every route of the service with every form of missing, wrong and valid key.
//!
//! The tests read the routes from the table that the routers are built from, so they cover a new route automatically. A
//! rejected request changes nothing.

use axum::http::Method;
use scim::{
    message::{BULK_REQUEST_URN, SEARCH_REQUEST_URN},
    schema::USER_URN,
};
use serde_json::{Value, json};
use service::{
    auth::Scope,
    clock::Clock,
    credential::{Credential, Kind},
    entropy::Entropy,
    http::{self, Route},
    store::NewKey,
};
use tests::{ORG, Request, Service, enable_org, form_violations, operator};

use super::{UNKNOWN_ID, assert_no_failures, contents, raw_response};

/// The other organisation.
const OTHER: &str = "beta";

/// A service with a user and a group that requests can read, change and delete.
struct Setup {
    service: Service,
    user: String,
    group: String,
    before: String,
}

impl Setup {
    async fn new() -> Self {
        let service = Service::new().await;
        let user = service.user("ada@example.com").await;
        let group = service.group("Engineers", &[&user]).await;
        let before = contents(&service, &service.org, &service.key).await;
        Self { service, user, group, before }
    }

    async fn contents(&self) -> String {
        contents(&self.service, &self.service.org, &self.service.key).await
    }

    /// Returns the path of the route with the ids of the user and the group.
    fn path(&self, route: &Route) -> String {
        let path = match route.path {
            path if path.starts_with("/Users/") => path.replace("{id}", &self.user),
            path if path.starts_with("/Groups/") => path.replace("{id}", &self.group),
            path => path.replace("{name}", "User").replace("{urn}", USER_URN),
        };
        assert!(!path.contains('{'), "the route {path} is new: add a value for its parameter here");
        path
    }

    /// Returns a request that succeeds on this route with a valid key.
    fn request(&self, route: &Route) -> Request {
        let path = self.path(route);
        let resource = match route.path {
            path if path.ends_with("/.search") => json!({ "schemas": [SEARCH_REQUEST_URN], "count": 5 }),
            "/Bulk" => json!({ "schemas": [BULK_REQUEST_URN], "Operations": [
                { "method": "DELETE", "path": format!("/Users/{}", self.user) },
                { "method": "PUT", "path": format!("/Groups/{}", self.group), "data": { "displayName": "Eve's" } },
            ]}),
            path if path.starts_with("/Users") => json!({ "userName": "eve@example.com" }),
            _ => json!({ "displayName": "Intruders" }),
        };
        let operations = json!([{ "op": "replace", "value": { "displayName": "Intruder" } }]);
        match route.method {
            Method::GET | Method::DELETE => Request::new(route.method.clone(), &path),
            Method::POST | Method::PUT => Request::json(route.method.clone(), &path, &resource),
            Method::PATCH => Request::patch(&path, &operations),
            ref method => panic!("the method {method} is new: add a request for it here"),
        }
    }

    /// Sends a request with these credentials to every route, and compares the statuses. The data must not change.
    async fn assert_every_route(
        &self,
        case: &str,
        credentials: impl Fn(Request) -> Request,
        expected: impl Fn(&Route) -> u16,
    ) {
        let mut failures = Vec::new();
        for route in http::all() {
            let answer = credentials(self.request(&route)).send_as_is(&self.service).await;
            let place = format!("{case}: {} {}", route.method, route.path);
            let wanted = expected(&route);
            if answer.status != wanted {
                failures.push(format!("{place}: {}, not {wanted}: {}", answer.status, answer.body));
            }
            if answer.body.to_string().contains("scim_acme_") {
                failures.push(format!("{place}: the response contains the key"));
            }
            failures.extend(form_violations(&answer).into_iter().map(|fault| format!("{place}: {fault}")));
        }
        assert_no_failures(&failures);
        assert_eq!(self.contents().await, self.before, "{case}: the data changed");
    }

    /// Fails unless every route responds with 401 to these credentials.
    async fn assert_unauthorized(&self, case: &str, credentials: impl Fn(Request) -> Request) {
        self.assert_every_route(case, credentials, |_| 401).await;
    }
}

/// Returns the scope that a route needs, and the status of a request with this scope.
fn scope_and_status(route: &Route) -> (Scope, u16) {
    match (route.path, &route.method) {
        ("/Me", _) => (Scope::Read, 501),
        ("/Bulk", _) => (Scope::Write, 200),
        (path, &Method::POST) if path.ends_with("/.search") => (Scope::Read, 200),
        (_, &Method::GET) => (Scope::Read, 200),
        (_, &Method::POST) => (Scope::Write, 201),
        (_, &Method::DELETE) => (Scope::Write, 204),
        (path, &Method::PATCH) if path.starts_with("/Groups") => (Scope::Write, 204),
        _ => (Scope::Write, 200),
    }
}

fn reads(route: &Route) -> bool {
    scope_and_status(route).0 == Scope::Read
}

/// Returns whether the route is for one resource of the organisation.
fn is_item(route: &Route) -> bool {
    route.path.ends_with("/{id}")
}

/// Returns a well-formed key that was never issued.
fn unissued_key(org: &str) -> String {
    let org = org.parse().expect("the name of an organisation");
    Credential::generate(Kind::Key, &org, &Entropy::seeded(7)).expect("a key").reveal().to_owned()
}

fn authorization(value: &str) -> impl Fn(Request) -> Request {
    move |request| request.header("authorization", value)
}

#[tokio::test]
async fn valid_key_is_accepted_on_every_route() {
    for scopes in [&[Scope::Scim][..], &[Scope::Read, Scope::Write]] {
        for route in http::all() {
            let setup = Setup::new().await;
            let key = setup.service.organisation(&setup.service.org, scopes).await;
            let answer = setup.request(&route).bearer(&key).send(&setup.service).await;
            let place = format!("{} {}", route.method, route.path);
            assert_eq!(answer.status, scope_and_status(&route).1, "{place}: {}", answer.body);
            let changed = setup.contents().await != setup.before;
            assert_eq!(changed, !reads(&route) && answer.status < 300, "{place}");
        }
    }
}

#[tokio::test]
async fn missing_key_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    setup.assert_unauthorized("no header", |request| request).await;
    for value in ["", " ", "Bearer", "Bearer ", "bearer \t "] {
        setup.assert_unauthorized(&format!("header {value:?}"), authorization(value)).await;
    }
}

#[tokio::test]
async fn malformed_key_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let key = setup.service.key.clone();
    let mut wrong_sum = key.clone();
    wrong_sum.replace_range(key.len() - 1.., if key.ends_with('0') { "1" } else { "0" });
    let mut wrong_secret = key.clone();
    wrong_secret.replace_range(12..13, if &key[12..13] == "A" { "B" } else { "A" });
    for (case, value) in [
        ("junk", "Bearer junk".to_owned()),
        ("a JWT", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhY21lIn0.".to_owned()),
        ("10,000 characters", format!("Bearer {}", "x".repeat(10_000))),
        ("not ASCII", "Bearer \u{e9}\u{1f511}".to_owned()),
        ("a wrong checksum", format!("Bearer {wrong_sum}")),
        ("a wrong secret", format!("Bearer {wrong_secret}")),
        ("the first half", format!("Bearer {}", &key[..key.len() / 2])),
        ("an additional character", format!("Bearer {key}0")),
        ("the key twice", format!("Bearer {key} {key}")),
        ("a comma and another key", format!("Bearer {key}, Bearer {key}")),
        ("in quotes", format!("Bearer \"{key}\"")),
        ("in capitals", format!("Bearer {}", key.to_uppercase())),
        ("another organisation's name", format!("Bearer {}", key.replacen(&setup.service.org, OTHER, 1))),
        ("the organisation alone", "Bearer scim_acme_".to_owned()),
        ("a path in the organisation", "Bearer scim_acme#USER_x".to_owned()),
    ] {
        setup.assert_unauthorized(case, authorization(&value)).await;
    }
}

#[tokio::test]
async fn unissued_key_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    for org in [ORG, OTHER, "unknown"] {
        setup.assert_unauthorized(org, authorization(&format!("Bearer {}", unissued_key(org)))).await;
    }
}

#[tokio::test]
async fn scheme_other_than_bearer_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let key = &setup.service.key;
    for scheme in ["Basic", "Digest", "Token", "ApiKey", "SSWS", "Bearer:", "Bearer,", "Bearertoken"] {
        setup.assert_unauthorized(scheme, authorization(&format!("{scheme} {key}"))).await;
    }
    setup.assert_unauthorized("Bearer Bearer", authorization(&format!("Bearer Bearer {key}"))).await;
    setup.assert_unauthorized("bearer BEARER", authorization(&format!("bearer BEARER {key}"))).await;
}

#[tokio::test]
async fn duplicate_authorization_header_is_rejected() {
    let setup = Setup::new().await;
    let good = format!("Bearer {}", setup.service.key);
    for [first, second] in
        [[good.as_str(), good.as_str()], [&good, "Bearer junk"], ["Basic eA==", &good], ["", &good]]
    {
        setup
            .assert_unauthorized("two headers", |request| {
                request.header("authorization", first).header("authorization", second)
            })
            .await;
    }
}

#[tokio::test]
async fn key_outside_authorization_header_is_rejected() {
    let setup = Setup::new().await;
    let key = setup.service.key.clone();
    for name in ["access_token", "token", "key", "api_key", "Authorization", "authorization", "bearer"] {
        setup
            .assert_unauthorized(name, |mut request| {
                request.target = format!("{}?{name}={key}", request.target);
                request
            })
            .await;
    }
    for (name, value) in [
        ("cookie", format!("Authorization={key}; token={key}; scim={key}")),
        ("proxy-authorization", format!("Bearer {key}")),
        ("x-authorization", format!("Bearer {key}")),
        ("x-api-key", key.clone()),
        ("x-forwarded-authorization", format!("Bearer {key}")),
        ("x-amzn-remapped-authorization", format!("Bearer {key}")),
    ] {
        setup.assert_unauthorized(name, |request| request.header(name, &value)).await;
    }
    setup
        .assert_unauthorized("user information", |mut request| {
            request.target = format!("https://{key}:{key}@scim.test{}", request.target);
            request
        })
        .await;
}

#[tokio::test]
async fn revoked_key_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let store = &setup.service.app.store;
    let org = setup.service.org.parse().expect("an organisation");
    let known: Vec<_> = store.keys(&org).await.expect("keys").into_iter().map(|key| key.id).collect();
    let key = setup.service.organisation(&setup.service.org, &[Scope::Scim]).await;
    let keys = store.keys(&org).await.expect("keys");
    let new = keys.iter().find(|key| !known.contains(&key.id)).expect("the new key");
    let answer = Request::get("/Users").bearer(&key).send(&setup.service).await;
    assert_eq!(answer.status, 200, "the key is valid until it is revoked");

    assert!(store.revoke_key(&org, &new.id, &operator()).await.expect("revoked"));
    setup.assert_unauthorized("revoked", authorization(&format!("Bearer {key}"))).await;
}

#[tokio::test]
async fn access_token_is_accepted_on_every_route() {
    for scopes in [&[Scope::Scim][..], &[Scope::Read, Scope::Write]] {
        for route in http::all() {
            let setup = Setup::new().await;
            let (_, token) = setup.service.access_token(scopes, setup.service.app.store.clock()).await;
            let answer = setup.request(&route).bearer(&token).send(&setup.service).await;
            let place = format!("{} {}", route.method, route.path);
            assert_eq!(answer.status, scope_and_status(&route).1, "{place}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn access_token_with_the_scope_read_cannot_change_data() {
    let setup = Setup::new().await;
    let (_, token) = setup.service.access_token(&[Scope::Read], setup.service.app.store.clock()).await;
    setup
        .assert_every_route("read token", authorization(&format!("Bearer {token}")), |route| {
            if reads(route) { scope_and_status(route).1 } else { 403 }
        })
        .await;
}

#[tokio::test]
async fn expired_access_token_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let issued = Clock::fixed(setup.service.app.store.clock().now() - time::Duration::minutes(61));
    let (_, token) = setup.service.access_token(&[Scope::Scim], &issued).await;
    let credentials = format!("Bearer {token}");
    setup.assert_unauthorized("expired token", authorization(&credentials)).await;
    let answer = Request::get("/Users").header("authorization", &credentials).send(&setup.service).await;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("This access token expired at "), "{detail}");
}

#[tokio::test]
async fn token_of_ended_client_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let (client, token) = setup.service.access_token(&[Scope::Scim], setup.service.app.store.clock()).await;
    assert_eq!(Request::get("/Users").bearer(&token).send(&setup.service).await.status, 200);
    let org = setup.service.org.parse().expect("an organisation");
    let deleted = setup.service.app.store.delete_client(&org, &client, &operator()).await;
    assert_eq!(deleted, Ok(true));
    setup.assert_unauthorized("ended client", authorization(&format!("Bearer {token}"))).await;
}

#[tokio::test]
async fn secret_of_a_client_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let (client, secret) = setup.service.oauth_client(&setup.service.org, &[Scope::Scim]).await;
    let secret = secret.reveal();
    setup.assert_unauthorized("a secret", authorization(&format!("Bearer {secret}"))).await;
    let basic = aws_smithy_types::base64::encode(format!("{client}:{secret}"));
    setup.assert_unauthorized("a secret by Basic", authorization(&format!("Basic {basic}"))).await;
}

#[tokio::test]
async fn expired_key_is_rejected_on_every_route() {
    let setup = Setup::new().await;
    let now = setup.service.app.store.clock().now();
    let earlier = setup.service.store_with_clock(Clock::fixed(now - time::Duration::HOUR));
    let org = setup.service.org.parse().expect("an organisation");
    let new = NewKey {
        scopes: [Scope::Scim].into(),
        ends: Some(now - time::Duration::SECOND),
        ..NewKey::default()
    };
    let pepper = &setup.service.app.pepper;
    let (key, _) = earlier.create_key(&org, &new, pepper, &operator()).await.expect("a key");
    setup.assert_unauthorized("expired", authorization(&format!("Bearer {}", key.reveal()))).await;
}

#[tokio::test]
async fn key_of_disabled_organisation_is_forbidden() {
    let setup = Setup::new().await;
    let store = &setup.service.app.store;
    let key = setup.service.organisation(OTHER, &[Scope::Scim]).await;
    let other = setup.service.org_named(OTHER).parse().expect("an organisation");
    assert!(enable_org(store, &other, false).await.expect("disabled"));
    let credentials = format!("Bearer {key}");
    setup.assert_every_route("disabled", authorization(&credentials), |_| 403).await;
    assert_eq!(setup.service.examine(OTHER).await.users, 0);

    assert!(enable_org(store, &other, true).await.expect("enabled"));
    assert_eq!(Request::get("/Users").bearer(&key).send(&setup.service).await.status, 200);
}

#[tokio::test]
async fn read_key_cannot_change_data() {
    let setup = Setup::new().await;
    let key = format!("Bearer {}", setup.service.organisation(&setup.service.org, &[Scope::Read]).await);
    setup
        .assert_every_route("read", authorization(&key), |route| {
            if reads(route) { scope_and_status(route).1 } else { 403 }
        })
        .await;
}

#[tokio::test]
async fn single_scope_is_accepted_on_its_routes() {
    for scope in [Scope::Read, Scope::Write] {
        for route in http::all().into_iter().filter(|route| scope_and_status(route).0 == scope) {
            let setup = Setup::new().await;
            let key = setup.service.organisation(&setup.service.org, &[scope]).await;
            let answer = setup.request(&route).bearer(&key).send(&setup.service).await;
            let place = format!("{scope}: {} {}", route.method, route.path);
            assert_eq!(answer.status, scope_and_status(&route).1, "{place}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn write_key_cannot_read_data() {
    let setup = Setup::new().await;
    let key = format!("Bearer {}", setup.service.organisation(&setup.service.org, &[Scope::Write]).await);
    let mut failures = Vec::new();
    for route in http::all().iter().filter(|route| reads(route)) {
        let answer = setup.request(route).header("authorization", &key).send_as_is(&setup.service).await;
        if answer.status != 403
            || !form_violations(&answer).is_empty()
            || answer.body.to_string().contains("ada@")
        {
            failures.push(format!("{}: {} {}", route.path, answer.status, answer.body));
        }
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn key_cannot_access_another_organisation() {
    let setup = Setup::new().await;
    let key = setup.service.organisation(OTHER, &[Scope::Scim]).await;
    let credentials = format!("Bearer {key}");
    setup
        .assert_every_route("beta", authorization(&credentials), |route| {
            if is_item(route) { 404 } else { scope_and_status(route).1 }
        })
        .await;
    // The lists of the other organisation show only the resources that it created.
    for (path, name) in [("/Users", "userName"), ("/Groups", "displayName")] {
        let list = Request::get(path).bearer(&key).send(&setup.service).await.body;
        assert_eq!(list["totalResults"], 1, "{list:#}");
        assert_ne!(list["Resources"][0][name], Value::Null);
        assert!(!list.to_string().contains(&setup.user) && !list.to_string().contains(&setup.group));
    }
}

#[tokio::test]
async fn foreign_and_unknown_ids_get_the_same_response() {
    let setup = Setup::new().await;
    let key = setup.service.organisation(OTHER, &[Scope::Scim]).await;
    for route in http::all().iter().filter(|route| is_item(route)) {
        let request = setup.request(route);
        let mut unknown = request.clone();
        unknown.target = unknown.target.replace(&setup.user, UNKNOWN_ID).replace(&setup.group, UNKNOWN_ID);
        let [foreign, unknown] = [request, unknown].map(|request| request.bearer(&key));
        let (foreign, unknown) =
            (foreign.send_as_is(&setup.service).await, unknown.send_as_is(&setup.service).await);
        assert_eq!(foreign.snapshot(), unknown.snapshot(), "{} {}", route.method, route.path);
        assert_eq!(foreign.headers, unknown.headers, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn headers_and_parameters_cannot_select_the_organisation() {
    let setup = Setup::new().await;
    let key = setup.service.organisation(OTHER, &[Scope::Scim]).await;
    for route in http::all().iter().filter(|route| is_item(route)) {
        let mut request = setup.request(route).bearer(&key);
        for name in ["x-org", "x-organization", "x-organisation", "x-tenant", "x-tenant-id", "x-scim-org"] {
            request = request.header(name, &setup.service.org);
        }
        request.target =
            format!("{}?org={ORG}&tenant={ORG}&organization={ORG}&id={}", request.target, setup.user);
        let answer = request.send_as_is(&setup.service).await;
        assert_eq!(answer.status, 404, "{} {}", route.method, route.path);
    }
    assert_eq!(setup.contents().await, setup.before);
}

#[tokio::test]
async fn bearer_scheme_is_optional_and_case_insensitive() {
    let setup = Setup::new().await;
    let key = setup.service.key.clone();
    for value in [
        format!("Bearer {key}"),
        format!("bearer {key}"),
        format!("BEARER {key}"),
        format!("bEaReR  {key} "),
        key.clone(),
        format!(" {key} "),
    ] {
        let answer = Request::get("/Users").header("authorization", &value).send_as_is(&setup.service).await;
        assert_eq!(answer.status, 200, "{value}");
    }
}

#[tokio::test]
async fn previous_pepper_is_accepted_until_removed() {
    use service::pepper::{Pepper, Peppers, Secret};
    let service = Service::new().await;
    let [old, new] = [tests::PEPPER, "another pepper"].map(Secret::new);
    for (previous, status) in [(Some(old), 200), (None, 401)] {
        let mut app = service.app.clone();
        let peppers = Peppers::single(new.clone());
        app.pepper = Pepper::Fixed(previous.map_or(peppers.clone(), |previous| peppers.or(previous)));
        let request = Request::get("/Users").bearer(&service.key);
        let answer = request.send_to(service.router(app)).await;
        assert_eq!(answer.status, status);
    }
}

/// Returns the paths of the service with their methods.
fn paths() -> Vec<(Route, Vec<Method>)> {
    let mut paths: Vec<(Route, Vec<Method>)> = Vec::new();
    for route in http::all() {
        match paths.iter_mut().find(|(known, _)| known.path == route.path) {
            Some((_, methods)) => methods.push(route.method),
            None => paths.push((route.clone(), vec![route.method])),
        }
    }
    paths
}

#[tokio::test]
async fn unsupported_method_is_405_with_allow_header() {
    let setup = Setup::new().await;
    let standard = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    let others = ["get", "Post", "QUERY", "PROPFIND", "PURGE", "LINK", "X"];
    let mut failures = Vec::new();
    for (route, methods) in paths() {
        for name in standard.iter().chain(&others) {
            let method = Method::from_bytes(name.as_bytes()).expect("a method");
            if methods.contains(&method) {
                continue;
            }
            for key in [None, Some(&setup.service.key)] {
                let mut request = Request::post(setup.path(&route), json!({ "userName": "eve@example.com" }));
                request.method = method.clone();
                let request = key.map_or(request.clone(), |key| request.bearer(key));
                let answer = request.send_as_is(&setup.service).await;
                let place = format!("{name} {}", route.path);
                let mut allow: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
                allow.retain(|method| *method != "HEAD");
                allow.sort_unstable();
                let mut wanted: Vec<&str> = methods.iter().map(Method::as_str).collect();
                wanted.sort_unstable();
                if answer.status != 405 {
                    failures.push(format!("{place}: {}, not 405", answer.status));
                }
                if allow != wanted {
                    failures.push(format!("{place}: Allow is {allow:?}, not {wanted:?}"));
                }
                failures
                    .extend(form_violations(&answer).into_iter().map(|fault| format!("{place}: {fault}")));
            }
        }
    }
    assert_no_failures(&failures);
    assert_eq!(setup.contents().await, setup.before);
}

#[tokio::test]
async fn head_needs_a_key_and_returns_no_body() {
    let setup = Setup::new().await;
    for route in http::all().iter().filter(|route| route.method == Method::GET) {
        let mut head = setup.request(route);
        head.method = Method::HEAD;
        let answer = head.send_as_is(&setup.service).await;
        assert_eq!(answer.status, 401, "{}", route.path);
        let answer = head.send(&setup.service).await;
        assert_eq!((answer.status, answer.body), (scope_and_status(route).1, Value::Null), "{}", route.path);
    }
}

#[tokio::test]
async fn unknown_path_is_404_with_and_without_key() {
    let setup = Setup::new().await;
    let mut failures = Vec::new();
    #[rustfmt::skip]
    let candidates = [
        "", "/", "/users", "/USERS", "/User", "/Userss", "/me", "/bulk", "/search", "/Users/x/y",
        "/Users/x/Groups", "/Schemas/x/y", "/ResourceTypes/User/x", "/serviceProviderConfig", "/v2/Users",
        "/scim/v2/Users", "/admin", "/metrics", "/health", "/.well-known/x", "/favicon.ico", "/Users;x=1",
        "/Users.json", "/Users//x/y", "/%00", "/Users%00", "/Users%0d%0aX-Injected:%201", "/%ff", "/~root",
        "/Users/{id}/x", "/*", "/:id", "/%3Cscript%3Ealert(1)%3C/script%3E", "/Users/../..",
    ];
    for path in candidates {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
        {
            let mut request = Request::post(path, json!({ "userName": "eve@example.com" }));
            request.method = method.clone();
            for request in [request.clone(), request.bearer(&setup.service.key)] {
                let answer = request.send_as_is(&setup.service).await;
                let place = format!("{method} {path:?}");
                if answer.status != 404 {
                    failures.push(format!("{place}: {} {}", answer.status, answer.body));
                }
                if answer.headers.contains_key("x-injected") || answer.body.to_string().contains("alert") {
                    failures.push(format!("{place}: the response contains the path"));
                }
                failures
                    .extend(form_violations(&answer).into_iter().map(|fault| format!("{place}: {fault}")));
            }
        }
    }
    assert_no_failures(&failures);
    assert_eq!(setup.contents().await, setup.before);
}

/// Returns alternative spellings of the path of a resource.
fn spellings(collection: &str, id: &str) -> Vec<String> {
    let encoded = collection.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
    let first = format!("%{:02X}{}", collection.as_bytes()[0], &collection[1..]);
    vec![
        format!("/scim/v2/{encoded}/{id}"),
        format!("/scim/v2/{first}/{id}"),
        format!("/scim/v2%2F{collection}/{id}"),
        format!("/scim%2Fv2/{collection}/{id}"),
        format!("/scim/v2/{collection}%2F{id}"),
        format!("/scim/v2/{collection}%2f{id}"),
        format!("/scim/v2/{collection}/%2e/{id}"),
        format!("/scim/v2/{collection}/./{id}"),
        format!("/scim/v2/./{collection}/{id}"),
        format!("/scim/v2/Schemas/../{collection}/{id}"),
        format!("/scim/v2/Schemas/%2e%2e/{collection}/{id}"),
        format!("/scim/v2/Schemas/..%2f{collection}/{id}"),
        format!("/scim/v2/../v2/{collection}/{id}"),
        format!("/scim/v2/{collection}/x/../{id}"),
        format!("/scim/v2/{collection}/{id}%00"),
        format!("/scim/v2/{collection}/{id}%20"),
        format!("/scim/v2/{collection}/%20{id}"),
        format!("/scim/v2/{collection}/{id};a=b"),
        format!("/scim/v2/{collection}/{id}/."),
        format!("/scim/v2/{collection}\\{id}"),
        format!("//scim//v2//{collection}//{id}"),
        format!("/scim/v2//{collection}/{id}//"),
        format!("///{collection}///{id}"),
        format!("/v2/{collection}/{id}/"),
        format!("/{collection}/{id}"),
        format!("http://scim.test/scim/v2/{collection}/{id}"),
        format!("/scim/v2/{collection}/%{:x}{}", id.as_bytes()[0], &id[1..]),
    ]
}

#[tokio::test]
async fn alternative_path_spellings_need_a_key() {
    let setup = Setup::new().await;
    let mut failures = Vec::new();
    for (collection, id) in [("Users", &setup.user), ("Groups", &setup.group)] {
        for target in spellings(collection, id) {
            for method in
                [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE, Method::POST]
            {
                let mut request = Request::post("", json!({ "userName": "eve@x", "displayName": "Eve" }));
                (request.target, request.method) = (target.clone(), method.clone());
                let answer = request.send_as_is(&setup.service).await;
                if !matches!(answer.status, 401 | 404 | 405) {
                    failures.push(format!("{method} {target}: {} {}", answer.status, answer.body));
                }
                if method != Method::HEAD {
                    failures.extend(
                        form_violations(&answer)
                            .into_iter()
                            .map(|fault| format!("{method} {target}: {fault}")),
                    );
                }
            }
        }
    }
    assert_no_failures(&failures);
    assert_eq!(setup.contents().await, setup.before);
}

#[tokio::test]
async fn base_path_is_optional_and_extra_slashes_are_ignored() {
    let setup = Setup::new().await;
    setup.service.require_in_process("an API Gateway has its own paths");
    let plain = setup.service.get(&format!("/Users/{}", setup.user)).await;
    assert_eq!(plain.status, 200);
    #[rustfmt::skip]
    let targets = [
        "/scim/v2/Users/ID", "/v2/Users/ID", "/Users/ID", "/scim/v2/Users/ID/", "/v2/Users/ID/",
        "/Users/ID/", "//scim/v2//Users/ID", "/scim//v2/Users//ID//", "https://other.test/scim/v2/Users/ID",
        "/scim/v2/Users/ID?", "/scim/v2/Users/ID/?aadOptscim062020", "/scim/v2/Users/ID?&&x=1&",
    ];
    for target in targets {
        let mut request = Request::get("");
        request.target = target.replace("ID", &setup.user);
        let answer = request.send(&setup.service).await;
        assert_eq!(answer.snapshot(), plain.snapshot(), "{target}");
        assert_eq!(answer.headers, plain.headers, "{target}");
    }
}

#[tokio::test]
async fn dot_segments_and_encoded_names_are_not_resolved() {
    let setup = Setup::new().await;
    let mut failures = Vec::new();
    for target in [
        "/scim/v2/../Users",
        "/../Users",
        "/scim/v2/%55sers",
        "/scim/v2/Use%72s",
        "/scim/v2/./Users",
        "/scim/v2/Groups/../Users",
        "/scim/v2/x/%2e%2e/Users",
        "/scim/v2%2fUsers",
        "/scim/V2/Users",
        "/SCIM/v2/Users",
        "/scim/v2/scim/v2/Users",
        "/scim/v1/Users",
        "/scim/Users",
    ] {
        let mut request = Request::get("");
        target.clone_into(&mut request.target);
        let answer = request.send(&setup.service).await;
        if answer.status != 404 {
            failures.push(format!("{target}: {}", answer.status));
        }
        failures.extend(form_violations(&answer).into_iter().map(|fault| format!("{target}: {fault}")));
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn request_headers_are_not_reflected_in_responses() {
    for base_url in [Some(tests::BASE.to_owned()), None] {
        for route in http::all() {
            let setup = Setup::new().await;
            let mut app = setup.service.app.clone();
            app.base_url.clone_from(&base_url);
            let router = setup.service.router(app);
            let mut request = setup.request(&route);
            request.target = format!("https://evil.example:666{}", request.target);
            #[rustfmt::skip]
            let names = [
                "host", "x-forwarded-host", "x-forwarded-server", "x-forwarded-prefix", "x-host",
                "x-original-host", "x-original-url", "x-rewrite-url", "x-http-host-override", "origin",
                "referer", "user-agent",
            ];
            for name in names {
                request = request.header(name, "evil.example");
            }
            request = request
                .header("forwarded", "host=evil.example;proto=evil")
                .header("x-forwarded-proto", "evil")
                .header("x-forwarded-port", "666");
            for (status, request) in
                [(401, request.clone()), (scope_and_status(&route).1, request.bearer(&setup.service.key))]
            {
                let answer = raw_response(router.clone(), &request).await;
                assert!(answer.starts_with(&status.to_string()), "{} {}: {answer}", route.method, route.path);
                assert!(!answer.contains("evil") && !answer.contains(":666"), "{base_url:?}: {answer}");
                assert!(base_url.is_none() || !answer.contains("/v2/") || answer.contains(tests::BASE));
            }
        }
    }
}

#[tokio::test]
async fn method_override_headers_are_ignored() {
    let setup = Setup::new().await;
    let item = format!("/Users/{}", setup.user);
    for name in ["x-http-method-override", "x-http-method", "x-method-override", "x-method"] {
        for method in ["DELETE", "PUT", "PATCH"] {
            let answer = Request::get(&item).header(name, method).send(&setup.service).await;
            assert_eq!(answer.status, 200, "{name}: {method}");
            let answer = Request::get("/Users").header(name, "POST").send(&setup.service).await;
            assert_eq!(answer.status, 200, "{name}");
            let answer = Request::post(&item, json!({ "userName": "x" }))
                .header(name, method)
                .send(&setup.service)
                .await;
            assert_eq!(answer.status, 405, "{name}: {method}");
            let answer =
                Request::get(format!("{item}?_method={method}&method={method}")).send(&setup.service).await;
            assert_eq!(answer.status, 200, "{method}");
        }
    }
    assert_eq!(setup.contents().await, setup.before);
}

/// Returns one or more responses of every status, each with a label.
async fn responses_of_every_status(setup: &Setup) -> Vec<(String, tests::Answer)> {
    let (service, user, group) = (&setup.service, &setup.user, &setup.group);
    let etag = service.get(&format!("/Users/{user}")).await.header("etag").to_owned();
    let (user, group) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    let many = vec![b' '; 1024 * 1024 + 1];
    let mut answers = Vec::new();
    for (status, request) in [
        ("200", Request::get("/Users")),
        ("200", Request::get(&user)),
        ("200", Request::get("/ServiceProviderConfig")),
        ("201", Request::post("/Users", json!({ "userName": "bob" }))),
        ("304", Request::get(&user).header("if-none-match", &etag)),
        ("204", Request::patch(&group, json!([{ "op": "replace", "value": { "displayName": "New" } }]))),
        ("400", Request::get("/Users?filter=x")),
        ("404", Request::get("/Users/x")),
        ("404", Request::get("/Nothing")),
        ("405", Request::delete("/Users")),
        ("409", Request::post("/Users", json!({ "userName": "bob" }))),
        ("412", Request::delete(&user).header("if-match", "W/\"x\"")),
        ("413", Request::bytes(Method::POST, "/Users", many)),
        ("415", Request::post("/Users", json!({})).with_header("content-type", "text/plain")),
        ("204", Request::delete(&user)),
    ] {
        let answer = request.header("origin", "https://evil.example").send(service).await;
        assert_eq!(answer.status.to_string(), status, "{:#}", answer.body);
        answers.push((status.to_owned(), answer));
    }
    answers.push(("401".to_owned(), Request::get("/Users").send_as_is(service).await));
    let preflight = Request::new(Method::OPTIONS, "/Users")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization");
    answers.push(("preflight".to_owned(), preflight.send_as_is(service).await));
    answers
}

#[tokio::test]
async fn responses_carry_no_cors_headers() {
    for (label, answer) in responses_of_every_status(&Setup::new().await).await {
        for name in answer.headers.keys() {
            assert!(!name.as_str().starts_with("access-control-"), "{label}: {name}");
        }
        assert!(answer.status >= 400 || label != "preflight", "{label}");
    }
}

#[tokio::test]
async fn responses_with_body_are_scim_json_and_not_cached() {
    let mut failures = Vec::new();
    for (label, answer) in responses_of_every_status(&Setup::new().await).await {
        failures.extend(form_violations(&answer).into_iter().map(|fault| format!("{label}: {fault}")));
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn responses_without_body_are_not_cached() {
    let mut failures = Vec::new();
    for (label, answer) in responses_of_every_status(&Setup::new().await).await {
        if answer.body.is_null() {
            for (name, wanted) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
                if answer.header(name) != wanted {
                    failures.push(format!("{label}: {name} is {:?}, not {wanted:?}", answer.header(name)));
                }
            }
        }
    }
    assert_no_failures(&failures);
}
