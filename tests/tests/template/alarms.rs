//! Checks that an operator can follow the texts of the alarms: the log members, words and alarms that they name exist,
//! and every word that the log can have for a failure is explained.

use std::collections::BTreeSet;

use saphyr::{LoadableYamlNode, Yaml};
use service::error::{CallFailure, Reason, Refusal};

use super::{at, log, member, members, read, untagged};

/// The longest description of an alarm that CloudWatch accepts.
const LONGEST_TEXT: usize = 1_024;
/// Terms of Lambda's own log lines, of the tables, and of the gateway's access log.
const OTHER_TERMS: [&str; 6] =
    ["platform.report", "success", "UNFINISHED#00", "UNFINISHED#15", "error", "sourceIp"];
/// The names of the dependencies, with which causes begin.
const DEPENDENCIES: [&str; 3] = ["dynamodb", "secrets-manager", "issuer-keys"];

/// Returns the name and the description of each alarm.
fn texts(alarms: &Yaml) -> Vec<(String, String)> {
    let text = |(_, resource): (&str, &Yaml)| {
        let properties = member(resource, "Properties")?;
        let name = untagged(member(properties, "AlarmName")?).0.as_str()?.replace("${Stack}-", "");
        let description = at(properties, &["AlarmDescription"]).as_str()?;
        Some((name, description.to_owned()))
    };
    members(at(alarms, &["Resources"])).into_iter().filter_map(text).collect()
}

/// Returns the terms between backquotes.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the words that the log can have in `cause` if DynamoDB or Secrets Manager fails. DynamoDB's other errors are
/// defects, and their cause is a text.
fn causes() -> BTreeSet<String> {
    let of_dynamodb = [
        CallFailure::Credentials,
        CallFailure::Throttled,
        CallFailure::Timeout,
        CallFailure::Connect,
        CallFailure::ServerError,
    ];
    let of_dynamodb = of_dynamodb.map(Reason::DynamoDb);
    let of_pepper = CallFailure::ALL.map(Reason::SecretsManager);
    let reasons = [Reason::Conflicts, Reason::Budget].into_iter().chain(of_dynamodb).chain(of_pepper);
    reasons.map(|reason| reason.to_string()).collect()
}

fn refusals() -> BTreeSet<String> {
    let refusals = [
        Refusal::Missing,
        Refusal::Repeated,
        Refusal::Scheme,
        Refusal::SchemeTwice,
        Refusal::Malformed,
        Refusal::Unknown,
        Refusal::Revoked,
        Refusal::Expired(String::new()),
        Refusal::ExpiredToken(String::new()),
        Refusal::Off(String::new()),
        Refusal::Scope(""),
    ];
    refusals.map(|refusal| refusal.word().to_owned()).into()
}

#[tokio::test(start_paused = true)]
async fn alarm_texts_name_existing_log_members() {
    let alarms = read("infra/alarms.yaml");
    let alarms = &Yaml::load_from_str(&alarms).expect("YAML")[0];
    let texts = texts(alarms);
    assert!(texts.len() >= 15, "{texts:?}");
    let lines = log::lines().await;
    let logged: BTreeSet<&str> = lines
        .iter()
        .flat_map(|line| line.as_object().expect("an object").keys().map(String::as_str))
        .collect();
    let (causes, refusals) = (causes(), refusals());
    let is_known = |term: &str| {
        logged.contains(term)
            || causes.contains(term)
            || refusals.contains(term)
            || texts.iter().any(|(name, _)| name == term)
            || OTHER_TERMS.contains(&term)
            || DEPENDENCIES.contains(&term)
            || ["scimctl ", "aws "].iter().any(|command| term.starts_with(command))
    };
    for (name, text) in &texts {
        let unknown: Vec<&str> = terms(text).filter(|term| !is_known(term)).collect();
        assert!(unknown.is_empty(), "{name} names what does not exist: {unknown:?}");
        assert!(text.len() <= LONGEST_TEXT, "{name} has {} characters", text.len());
    }
    let named: BTreeSet<&str> = texts.iter().flat_map(|(_, text)| terms(text)).collect();
    let unexplained: Vec<&String> =
        causes.iter().chain(&refusals).filter(|word| !named.contains(word.as_str())).collect();
    assert!(unexplained.is_empty(), "no alarm explains {unexplained:?}");
}
