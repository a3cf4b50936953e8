//! Checks that every metric of the alarms and the dashboard exists: the service's log lines or a filter of the access log
//! emit it with the same dimensions. An alarm on a metric without data is never raised. CloudWatch charges for each metric,
//! so the reverse holds too: an alarm or the dashboard uses every metric that the service emits.

use std::collections::BTreeSet;

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use super::{at, below, elements, log, member, read, untagged};

const NAMESPACE: &str = "Scim";

/// A metric's name and the names of its dimensions.
type Metric = (String, BTreeSet<String>);

fn metric<'a>(name: &str, dimensions: impl IntoIterator<Item = &'a str>) -> Metric {
    (name.to_owned(), dimensions.into_iter().map(str::to_owned).collect())
}

/// Returns the metrics that the service emits.
async fn emitted() -> BTreeSet<Metric> {
    let mut emitted = BTreeSet::new();
    for line in log::lines().await {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            assert_eq!(directive["Namespace"], NAMESPACE);
            for dimensions in directive["Dimensions"].as_array().expect("sets of dimensions") {
                let dimensions: Vec<&str> =
                    dimensions.as_array().expect("a set").iter().filter_map(Value::as_str).collect();
                for definition in directive["Metrics"].as_array().expect("metrics") {
                    let name = definition["Name"].as_str().expect("a name");
                    emitted.insert(metric(name, dimensions.iter().copied()));
                }
            }
        }
    }
    emitted
}

/// Collects the metrics of the metric filters below the node.
fn filtered(node: &Yaml, found: &mut BTreeSet<Metric>) {
    if let Some(name) = member(node, "MetricNamespace").and(member(node, "MetricName")) {
        let dimensions = member(node, "Dimensions").map(elements).unwrap_or_default();
        let dimensions = dimensions.into_iter().filter_map(|dimension| member(dimension, "Key")?.as_str());
        found.insert(metric(name.as_str().expect("a name"), dimensions));
    }
    below(node).for_each(|node| filtered(node, found));
}

/// Collects the service's metrics that the alarms below the node watch.
fn watched(node: &Yaml, found: &mut BTreeSet<Metric>) {
    if member(node, "Namespace").and_then(Yaml::as_str) == Some(NAMESPACE) {
        let name = member(node, "MetricName").and_then(Yaml::as_str).expect("a name");
        let dimensions = member(node, "Dimensions").map(elements).unwrap_or_default();
        let dimensions = dimensions.into_iter().filter_map(|dimension| member(dimension, "Name")?.as_str());
        found.insert(metric(name, dimensions));
    }
    below(node).for_each(|node| watched(node, found));
}

/// Returns the service's metrics on the dashboard.
fn shown(dashboard: &Value) -> BTreeSet<Metric> {
    let mut found = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().expect("widgets") {
        // In a row, `.` repeats the cell above, and `...` repeats all cells that the row leaves out.
        let mut before: Vec<String> = Vec::new();
        for row in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let row = row.as_array().expect("a row");
            for expression in row.iter().filter_map(|cell| cell["expression"].as_str()) {
                found.insert(searched(expression));
            }
            let cells: Vec<&str> = row.iter().filter_map(Value::as_str).collect();
            let row: Vec<String> = match cells.split_first() {
                None => continue,
                Some((&"...", rest)) => {
                    let kept = before.len() - rest.len();
                    before[..kept].iter().cloned().chain(rest.iter().map(|&cell| cell.to_owned())).collect()
                }
                Some(_) => {
                    let cell = |(place, &cell): (usize, &&str)| match cell {
                        "." => before[place].clone(),
                        cell => cell.to_owned(),
                    };
                    cells.iter().enumerate().map(cell).collect()
                }
            };
            if row[0] == NAMESPACE {
                found.insert(metric(&row[1], row[2..].iter().step_by(2).map(String::as_str)));
            }
            before = row;
        }
    }
    found
}

/// Returns the metric of a search, such as `SEARCH('{Scim,Stack,Route} Stack="x" MetricName="Requests"', 'Sum', 300)`.
fn searched(expression: &str) -> Metric {
    let between = |begin: &str, end: char| {
        let (_, rest) = expression.split_once(begin).expect("a search");
        rest.split(end).next().expect("a search")
    };
    let mut schema = between("{", '}').split(',');
    assert_eq!(schema.next(), Some(NAMESPACE), "{expression}");
    metric(between("MetricName=\"", '"'), schema)
}

/// Replaces every placeholder of `Fn::Sub` with an `x`.
fn substituted(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "x" + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[tokio::test(start_paused = true)]
async fn alarms_and_dashboard_use_exactly_the_emitted_metrics() {
    let (alarms, dashboard) = (read("infra/alarms.yaml"), read("infra/dashboard.yaml"));
    let alarms = &Yaml::load_from_str(&alarms).expect("YAML")[0];
    let dashboard = &Yaml::load_from_str(&dashboard).expect("YAML")[0];
    let body = at(dashboard, &["Resources", "Dashboard", "Properties", "DashboardBody"]);
    let body = untagged(body).0.as_str().expect("a text");
    let body = serde_json::from_str(&substituted(body)).expect("the dashboard's JSON");

    let mut existing = emitted().await;
    filtered(alarms, &mut existing);
    let mut alarmed = BTreeSet::new();
    watched(alarms, &mut alarmed);
    assert!(alarmed.len() >= 4, "{alarmed:?}");
    let shown = shown(&body);
    assert!(shown.len() >= 8, "{shown:?}");
    let used: BTreeSet<Metric> = alarmed.union(&shown).cloned().collect();
    let missing: Vec<&Metric> = used.difference(&existing).collect();
    assert!(missing.is_empty(), "{missing:#?} are not among {existing:#?}");
    let unused: Vec<&Metric> = existing.difference(&used).collect();
    assert!(unused.is_empty(), "neither an alarm nor the dashboard uses {unused:#?}");
}

#[test]
fn access_log_has_the_fields_of_its_metric_filter() {
    let (template, alarms) = (read("template.yaml"), read("infra/alarms.yaml"));
    let template = &Yaml::load_from_str(&template).expect("YAML")[0];
    let alarms = &Yaml::load_from_str(&alarms).expect("YAML")[0];
    let format = at(template, &["Resources", "ScimApi", "Properties", "AccessLogSetting", "Format"]);
    let format = substituted(untagged(format).0.as_str().expect("a text"));
    assert!(!format.contains('\n'), "an entry of the access log is one line");
    let line: Value = serde_json::from_str(&format).expect("JSON");
    let filter = at(alarms, &["Resources", "GatewayThrottleCount", "Properties"]);
    let pattern = at(filter, &["FilterPattern"]).as_str().expect("a pattern");
    assert_eq!(pattern, r#"{ $.error = "THROTTLED" }"#);
    assert_eq!(line["error"], "$context.error.responseType");
    let of = elements(at(filter, &["MetricTransformations"]))[0];
    let dimension = elements(at(of, &["Dimensions"]))[0];
    let field = at(dimension, &["Value"]).as_str().expect("a field").trim_start_matches("$.");
    assert_eq!(line[field], "x", "the stack's name");
}
