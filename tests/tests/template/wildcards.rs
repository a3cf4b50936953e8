//! Finds statements with wildcards and policies managed by AWS. Four exceptions are known.
//!
//! SAM adds resources to the template. `.ci/run lint` checks the translated template too (`.ci/findings.toml`).

use saphyr::{LoadableYamlNode, Yaml};

use super::{at, below, each, member, members, read, untagged};

/// Collects the statements with wildcards and the policies managed by AWS below the node.
fn wide(id: &str, node: &Yaml, found: &mut Vec<String>) {
    let denies = member(node, "Effect").and_then(Yaml::as_str) == Some("Deny");
    if let (Some(actions), Some(resources), false) =
        (member(node, "Action"), member(node, "Resource"), denies)
    {
        let is_wide = |node: &Yaml| untagged(node).0.as_str().is_some_and(|text| text.contains('*'));
        if each(actions).into_iter().chain(each(resources)).any(is_wide) {
            let sid = member(node, "Sid").and_then(Yaml::as_str).unwrap_or("a statement");
            found.push(format!("{sid} of {id}"));
        }
    }
    let of_aws = |policy: &Yaml| untagged(policy).0.as_str().is_some_and(|arn| arn.contains(":aws:policy/"));
    if member(node, "ManagedPolicyArns").into_iter().flat_map(each).any(of_aws) {
        found.push(format!("policies of AWS in {id}"));
    }
    below(node).for_each(|node| wide(id, node, found));
}

#[test]
fn only_tracing_canary_and_stream_have_wildcards() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let mut found = Vec::new();
    for (id, resource) in members(at(template, &["Resources"])) {
        wide(id, resource, &mut found);
    }
    // API Gateway requires the policy of AWS to write the logs of the account. Lambda lists the streams of the table. X-Ray
    // actions allow no other resource. CodeDeploy reads the alarms of the account and region.
    let known = [
        "policies of AWS in GatewayLogRole",
        "FindStream of EventsRole",
        "SendTraces of TracingPolicy",
        "WatchAlarms of CanaryRole",
    ];
    assert_eq!(found, known);
}
