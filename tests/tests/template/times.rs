//! Who waits for whom, and how long: whoever is asked gives up before the one who asks.

use saphyr::{LoadableYamlNode, Yaml};
use service::limits::REQUEST_BUDGET;
use tokio::time::Duration;

use super::{member, read};

/// How long API Gateway waits for a function.
const GATEWAY: Duration = Duration::from_secs(29);

fn seconds(node: &Yaml, path: &[&str]) -> Duration {
    let end = path.iter().try_fold(node, |node, name| member(node, name)).expect("a time");
    Duration::from_secs(end.as_integer().expect("a number").unsigned_abs())
}

/// A function that is stopped in the middle answers nothing, and a gateway that waits no more tells the client that it
/// failed while it goes on.
#[test]
fn a_function_outlives_its_requests_and_the_gateway_outlives_the_function() {
    let text = read("template.yaml");
    let template = Yaml::load_from_str(&text).expect("YAML").remove(0);
    let function = seconds(&template, &["Globals", "Function", "Timeout"]);
    assert!(REQUEST_BUDGET + Duration::from_secs(2) < function, "{function:?}");
    assert!(function < GATEWAY, "{function:?}");
    assert!(!text.contains("TimeoutInMillis"), "the gateway waits as long as it does by itself");
    // The functions whose own time-out is another have no client.
    let own: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with("Timeout:")).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    let janitor = seconds(&template, &["Resources", "JanitorFunction", "Properties", "Timeout"]);
    assert!(janitor < Duration::from_mins(5), "{janitor:?}: the next one begins");
    assert!(text.contains("Schedule: rate(5 minutes)"));
}
