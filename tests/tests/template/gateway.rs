//! Checks the errors that the gateway answers without a function: each is a SCIM error with the status of its status
//! line, and forbids caching and sniffing. An error that permits a retry has a `Retry-After` in whole seconds, the only
//! form that Okta supports.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use saphyr::{LoadableYamlNode, Yaml};
use tests::{Answer, form_violations};

use super::{at, member, members, read};

/// The gateway responses that this template can cause: unknown paths, sizes, rates, resource policies, WAF, and functions
/// that do not answer.
const REFUSALS: [&str; 10] = [
    "ACCESS_DENIED",
    "DEFAULT_4XX",
    "DEFAULT_5XX",
    "INTEGRATION_TIMEOUT",
    "MISSING_AUTHENTICATION_TOKEN",
    "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND",
    "THROTTLED",
    "UNAUTHORIZED",
    "WAF_FILTERED",
];

/// Returns the response as the gateway sends it.
fn answer(response: &Yaml) -> Answer {
    let status = member(response, "StatusCode").and_then(Yaml::as_integer).expect("a status code");
    let mut headers = HeaderMap::new();
    for (name, value) in members(at(response, &["ResponseParameters", "Headers"])) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        // A value without quotation marks would be a mapping expression, not a literal.
        let value = value.as_str().and_then(|value| value.strip_prefix('\'')?.strip_suffix('\''));
        headers.insert(name, HeaderValue::from_str(value.expect("a literal")).expect("a header's value"));
    }
    let body = at(response, &["ResponseTemplates", "application/json"]).as_str().expect("a body");
    Answer::new(u16::try_from(status).expect("a status"), headers, body.as_bytes())
}

#[test]
fn gateway_responses_are_scim_errors() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let responses = at(template, &["Resources", "ScimApi", "Properties", "GatewayResponses"]);
    let answers: BTreeMap<&str, Answer> =
        members(responses).into_iter().map(|(name, response)| (name, answer(response))).collect();
    for name in REFUSALS {
        assert!(answers.contains_key(name), "{name} has the gateway's default response");
    }
    for (name, answer) in &answers {
        let mut found = form_violations(answer);
        // The service never answers some of these statuses, but their form is valid.
        found.retain(|fault| !fault.starts_with("the status"));
        assert!(found.is_empty(), "{name}: {found:#?}");
        let retry_after = answer.header("retry-after");
        if matches!(answer.status, 429 | 503 | 504) {
            let seconds = retry_after.parse::<u32>().unwrap_or_default();
            assert!((1..=60).contains(&seconds), "{name}: Retry-After is {retry_after:?}");
            let detail = answer.body["detail"].as_str().expect("a detail");
            assert!(detail.contains(&format!(" {seconds} seconds")), "{name}: {detail}");
        } else {
            assert_eq!(retry_after, "", "{name} permits a retry that fails again");
        }
    }
}

/// An import of Okta is 1.2 MB without compression, and the transfer to the Internet is charged by its size. Without the
/// property, the gateway compresses no answer.
#[test]
fn gateway_compresses_answers_from_1024_bytes() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let size = at(template, &["Resources", "ScimApi", "Properties", "MinimumCompressionSize"]);
    assert_eq!(size.as_integer(), Some(1_024));
}
