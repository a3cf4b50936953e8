//! The credentials that give access to the API: the operator token on the local gateway, IAM on AWS, and no credential of an organisation.

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, Request, header::AUTHORIZATION},
};
use lambda_http::{Context, LambdaEvent};
use local::gateway::Gateway;
use serde_json::{Value, json};
use service::{admin, auth::Scope, lambda};
use tests::{Answer, ORG, gateway};
use tower::ServiceExt;

use super::{Management, document::operations, request, send_to};

/// The ARN of an IAM user.
const ARN: &str = "arn:aws:iam::123456789012:user/ada";

#[tokio::test]
async fn request_without_operator_is_refused_before_it_is_read() {
    let management = Management::new().await;
    let token = management.service.organisation(ORG, &[Scope::Scim, Scope::Read, Scope::Write]).await;
    let items = management.items().await;
    let paths = operations().into_iter().map(|operation| (operation.method, operation.path));
    let others = [(Method::GET, "/openapi.json"), (Method::GET, "/nothing"), (Method::PUT, "/orgs")];
    for (method, path) in paths.chain(others.map(|(method, path)| (method, path.to_owned()))) {
        for credential in ["", "Basic YTpi", &format!("Bearer {token}"), &token] {
            let mut request = request(method.clone(), &path, &json!({ "org": "new", "scopes": ["scim"] }));
            if !credential.is_empty() {
                request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(credential).unwrap());
            }
            assert_eq!(
                send_to(&management.router, request).await.status,
                401,
                "{method} {path} {credential}"
            );
        }
    }
    assert_eq!(management.items().await, items);
}

/// The local gateway on a database in memory.
struct Laptop {
    router: Router,
    key: String,
    token: String,
    _data: tempfile::TempDir,
}

impl Laptop {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let gateway = Gateway::open(data.path(), true, None).await.unwrap();
        let key = gateway.key(None).await.unwrap();
        let router = gateway.router("http://127.0.0.1:8080/scim/v2");
        Self { router, key, token: gateway.operator_token().to_owned(), _data: data }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) =
            self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        Answer::new(parts.status.as_u16(), parts.headers, &body)
    }
}

#[tokio::test]
async fn laptop_requires_the_operator_token() {
    let laptop = Laptop::new().await;
    let bearer = format!("Bearer {}", laptop.token);
    let key = format!("Bearer {}", laptop.key);
    let [lower, longer] = [format!("bearer {}", laptop.token), format!("{bearer}x")];
    let shorter = &bearer[..bearer.len() - 1];
    let other = Laptop::new().await;
    let of_other = format!("Bearer {}", other.token);
    for (authorization, status) in [
        (bearer.as_str(), 200),
        (lower.as_str(), 200),
        (longer.as_str(), 401),
        (shorter, 401),
        (of_other.as_str(), 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        (laptop.token.as_str(), 401),
        ("Basic YTpi", 401),
        (key.as_str(), 401),
        ("", 401),
    ] {
        let headers = [("host", "127.0.0.1:8080"), ("authorization", authorization)];
        let answer = laptop.get("/admin/v1/orgs", &headers).await;
        assert_eq!(answer.status, status, "{authorization}");
    }
    let twice = [("host", "127.0.0.1:8080"), ("authorization", &bearer), ("authorization", &bearer)];
    assert_eq!(laptop.get("/admin/v1/orgs", &twice).await.status, 401);
    // The operator token is no key.
    let scim = laptop.get("/scim/v2/Users", &[("host", "127.0.0.1:8080"), ("authorization", &bearer)]).await;
    assert_eq!(scim.status, 401);
    let scim = laptop.get("/scim/v2/Users", &[("host", "127.0.0.1:8080"), ("authorization", &key)]).await;
    assert_eq!(scim.status, 200);
}

#[tokio::test]
async fn laptop_refuses_web_pages_and_forwarded_requests() {
    let laptop = Laptop::new().await;
    let bearer = format!("Bearer {}", laptop.token);
    for (host, status) in [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("127.0.0.1", 403),
        ("127.0.0.1:80", 403),
        ("127.0.0.1:18080", 403),
        ("127.0.0.1:8080.evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example:8080", 403),
        ("0.0.0.0:8080", 403),
        ("", 403),
    ] {
        let answer = laptop.get("/admin/v1/orgs", &[("host", host), ("authorization", &bearer)]).await;
        assert_eq!(answer.status, status, "{host}");
    }
    assert_eq!(laptop.get("/admin/v1/orgs", &[("authorization", &bearer)]).await.status, 403);
    for header in ["origin", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] {
        for value in ["null", "http://127.0.0.1:8080"] {
            let headers = [("host", "127.0.0.1:8080"), ("authorization", bearer.as_str()), (header, value)];
            for path in ["/admin/v1/orgs", "/admin/v1/openapi.json", "/admin/v1/nothing", "/admin", "/admin/"]
            {
                let answer = laptop.get(path, &headers).await;
                assert_eq!(answer.status, 403, "{header} {path}");
                assert_eq!(answer.header("content-type"), "application/problem+json");
            }
        }
    }
}

/// No other spelling of the path reaches the API past the guard.
#[tokio::test]
async fn laptop_has_one_way_to_the_api() {
    let laptop = Laptop::new().await;
    for path in [
        "//admin/v1/orgs",
        "/scim/v2/admin/v1/orgs",
        "/v2/admin/v1/orgs",
        "/Admin/v1/orgs",
        "/%61dmin/v1/orgs",
    ] {
        let bearer = format!("Bearer {}", laptop.token);
        let headers = [("host", "127.0.0.1:8080"), ("authorization", bearer.as_str())];
        let answer = laptop.get(path, &headers).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/scim+json"), "{path}");
    }
}

/// Returns an event of a function URL. `authorizer` is null without IAM.
fn event(authorizer: &Value) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/admin/v1/orgs",
        "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "x.lambda-url.us-east-1.on.aws" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "x",
            "authentication": null,
            "authorizer": authorizer,
            "domainName": "x.lambda-url.us-east-1.on.aws",
            "domainPrefix": "x",
            "http": {
                "method": "POST", "path": "/admin/v1/orgs", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                "userAgent": "curl"
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "27/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1_795_770_000_000_u64
        },
        "body": "{\"org\":\"globex\"}",
        "isBase64Encoded": false
    })
}

async fn invoke(management: &Management, event: Value) -> Answer {
    let function = lambda::admin_function(management.service.app.clone());
    let event = serde_json::from_value(event).expect("an event");
    let Ok(given) = function.oneshot(LambdaEvent::new(event, Context::default())).await;
    gateway::answer(&serde_json::to_value(given).expect("JSON"))
}

#[tokio::test]
async fn function_requires_an_iam_identity() {
    let management = Management::new().await;
    let items = management.items().await;
    for authorizer in [
        Value::Null,
        json!({}),
        json!({ "jwt": { "claims": { "sub": ARN }, "scopes": [] } }),
        json!({ "lambda": { "userArn": ARN } }),
        json!({ "iam": { "accountId": "123456789012" } }),
        json!({ "iam": { "userArn": "" } }),
    ] {
        assert_eq!(invoke(&management, event(&authorizer)).await.status, 401, "{authorizer}");
    }
    let mut claimed = event(&Value::Null);
    claimed["headers"]["x-amzn-iam-user-arn"] = ARN.into();
    claimed["headers"]["authorization"] = format!("Bearer {}", management.service.key).into();
    assert_eq!(invoke(&management, claimed).await.status, 401);
    assert_eq!(management.items().await, items);
}

#[tokio::test]
async fn audit_log_names_the_iam_identity() {
    let management = Management::new().await;
    let iam = json!({ "iam": { "accessKey": "AKIA", "accountId": "123456789012", "callerId": "AIDA", "userArn": ARN, "userId": "AIDA" } });
    let answer = invoke(&management, event(&iam)).await;
    assert_eq!((answer.status, answer.header("location")), (201, "/admin/v1/orgs/globex"));
    let log = management.get("/orgs/globex/audit").await;
    assert_eq!(log.body["items"][0]["actor"], format!("iam:{ARN}"));
}

/// The routers of identity providers do not contain the API.
#[tokio::test]
async fn scim_routes_do_not_contain_the_api() {
    let management = Management::new().await;
    for path in ["/admin/v1/orgs", "/admin/v1/openapi.json"] {
        assert_eq!(management.service.get(path).await.status, 404);
    }
    assert!(service::http::all().iter().all(|route| !route.path.starts_with(admin::PATH)));
}
