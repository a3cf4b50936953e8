//! Checks the timeouts: each callee gives up before its caller.

use saphyr::{LoadableYamlNode, Yaml};
use service::limits::{OPERATOR_BUDGET, REQUEST_BUDGET};
use tokio::time::Duration;

use super::{member, read};

/// The time that API Gateway waits for a function by default.
const GATEWAY: Duration = Duration::from_secs(29);

fn seconds(node: &Yaml, path: &[&str]) -> Duration {
    let end = path.iter().try_fold(node, |node, name| member(node, name)).expect("a time");
    Duration::from_secs(end.as_integer().expect("a number").unsigned_abs())
}

/// A function that Lambda stops answers nothing. A gateway that gives up first reports a failure while the function
/// still writes.
#[test]
fn timeouts_increase_from_the_request_to_the_gateway() {
    let text = read("template.yaml");
    let template = Yaml::load_from_str(&text).expect("YAML").remove(0);
    let function = seconds(&template, &["Globals", "Function", "Timeout"]);
    assert!(REQUEST_BUDGET + Duration::from_secs(2) < function, "{function:?}");
    assert!(function < GATEWAY, "{function:?}");
    assert!(!text.contains("TimeoutInMillis"), "the gateway keeps its default timeout");
    // The janitor and the sequencer override the timeout: they have no client.
    let own: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with("Timeout:")).collect();
    assert_eq!(own.len(), 3, "{own:?}");
    let janitor = seconds(&template, &["Resources", "JanitorFunction", "Properties", "Timeout"]);
    assert!(OPERATOR_BUDGET < janitor, "{janitor:?}");
    assert!(janitor < Duration::from_mins(5), "{janitor:?} reaches into the next invocation");
    assert!(text.contains("Schedule: rate(5 minutes)"));
    let sequencer = seconds(&template, &["Resources", "EventsFunction", "Properties", "Timeout"]);
    assert!(
        sequencer <= Duration::from_mins(1),
        "{sequencer:?} reaches into the invocation after the next one"
    );
    assert!(text.contains("Schedule: rate(1 minute)"));
}
