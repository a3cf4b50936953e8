//! What the gateway answers by itself, before any function runs or instead of one, has the form of every other answer:
//! a SCIM error with its own status, neither stored nor sniffed. A client that may come back is told when, in whole
//! seconds: Okta understands nothing else.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use saphyr::{LoadableYamlNode, Yaml};
use tests::{Answer, form_violations};

use super::{at, member, members, read};

/// What the gateway may refuse of what this template has: paths, sizes, rates, resource policies, WAF, and functions that
/// do not answer.
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

/// As the gateway sends it.
fn answer(response: &Yaml) -> Answer {
    let status = member(response, "StatusCode").and_then(Yaml::as_integer).expect("a status of its own");
    let mut headers = HeaderMap::new();
    for (name, value) in members(at(response, &["ResponseParameters", "Headers"])) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        // What is not in quotation marks is no text but a place in the request.
        let value = value.as_str().and_then(|value| value.strip_prefix('\'')?.strip_suffix('\''));
        headers.insert(name, HeaderValue::from_str(value.expect("a text")).expect("a header's value"));
    }
    let body = at(response, &["ResponseTemplates", "application/json"]).as_str().expect("a body");
    Answer::new(u16::try_from(status).expect("a status"), headers, body.as_bytes())
}

#[test]
fn what_the_gateway_answers_by_itself_is_a_scim_error() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let responses = at(template, &["Resources", "ScimApi", "Properties", "GatewayResponses"]);
    let answers: BTreeMap<&str, Answer> =
        members(responses).into_iter().map(|(name, response)| (name, answer(response))).collect();
    for name in REFUSALS {
        assert!(answers.contains_key(name), "{name} is left to the gateway");
    }
    for (name, answer) in &answers {
        let mut found = form_violations(answer);
        // That a function does not answer is no fault of the form.
        found.retain(|fault| !fault.starts_with("the status"));
        assert!(found.is_empty(), "{name}: {found:#?}");
        let retry_after = answer.header("retry-after");
        if matches!(answer.status, 429 | 503 | 504) {
            let seconds = retry_after.parse::<u32>().unwrap_or_default();
            assert!((1..=60).contains(&seconds), "{name}: Retry-After is {retry_after:?}");
            let detail = answer.body["detail"].as_str().expect("a detail");
            assert!(detail.contains(&format!(" {seconds} seconds")), "{name}: {detail}");
        } else {
            assert_eq!(retry_after, "", "{name} would be the same again");
        }
    }
}
