//! Alarms and dashboard watch what there is: every metric of the service's own that they name is one that its log lines
//! carry under those dimensions, or that is made of the gateway's access log. An alarm of a metric that nobody sends is
//! never raised, and nobody notices.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, PoisonError},
};

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use service::{clock::Clock, janitor, telemetry};
use tests::{NOW, Service};
use tracing::Level;

use super::{at, below, elements, member, read, untagged};

const NAMESPACE: &str = "Scim";

/// A metric: its name, and which dimensions it has.
type Metric = (String, BTreeSet<String>);

/// What all threads of this process log.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn metric<'a>(name: &str, dimensions: impl IntoIterator<Item = &'a str>) -> Metric {
    (name.to_owned(), dimensions.into_iter().map(str::to_owned).collect())
}

/// Those that a request and a sweep send.
async fn sent() -> BTreeSet<Metric> {
    let subscriber =
        telemetry::subscriber(Level::INFO, Some("a stack".to_owned()), Clock::fixed(NOW), || Writer);
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    let service = Service::new().await;
    assert_eq!(service.get("/Users").await.status, 200);
    janitor::sweep(&service.app.store).await.expect("a sweep");
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut sent = BTreeSet::new();
    for line in String::from_utf8(log).expect("text").lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON object");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            assert_eq!(directive["Namespace"], NAMESPACE);
            for dimensions in directive["Dimensions"].as_array().expect("sets of dimensions") {
                let dimensions: Vec<&str> =
                    dimensions.as_array().expect("a set").iter().filter_map(Value::as_str).collect();
                for sent_metric in directive["Metrics"].as_array().expect("metrics") {
                    let name = sent_metric["Name"].as_str().expect("a name");
                    sent.insert(metric(name, dimensions.iter().copied()));
                }
            }
        }
    }
    sent
}

/// Those that filters of log groups make, anywhere below this.
fn filtered(node: &Yaml, found: &mut BTreeSet<Metric>) {
    if let Some(name) = member(node, "MetricNamespace").and(member(node, "MetricName")) {
        let dimensions = member(node, "Dimensions").map(elements).unwrap_or_default();
        let dimensions = dimensions.into_iter().filter_map(|dimension| member(dimension, "Key")?.as_str());
        found.insert(metric(name.as_str().expect("a name"), dimensions));
    }
    below(node).for_each(|node| filtered(node, found));
}

/// Those that alarms watch, anywhere below this.
fn watched(node: &Yaml, found: &mut BTreeSet<Metric>) {
    if member(node, "Namespace").and_then(Yaml::as_str) == Some(NAMESPACE) {
        let name = member(node, "MetricName").and_then(Yaml::as_str).expect("a name");
        let dimensions = member(node, "Dimensions").map(elements).unwrap_or_default();
        let dimensions = dimensions.into_iter().filter_map(|dimension| member(dimension, "Name")?.as_str());
        found.insert(metric(name, dimensions));
    }
    below(node).for_each(|node| watched(node, found));
}

/// Those that the dashboard shows.
fn shown(dashboard: &Value) -> BTreeSet<Metric> {
    let mut found = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().expect("widgets") {
        // `.` is what stands in the same place of the row before, `...` all that is not said again.
        let mut before: Vec<String> = Vec::new();
        for row in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let row = row.as_array().expect("a row");
            for expression in row.iter().filter_map(|cell| cell["expression"].as_str()) {
                found.insert(searched(expression));
            }
            let said: Vec<&str> = row.iter().filter_map(Value::as_str).collect();
            let row: Vec<String> = match said.split_first() {
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
                    said.iter().enumerate().map(cell).collect()
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

/// `SEARCH('{Scim,Stack,Route} Stack="x" MetricName="Requests"', 'Sum', 300)`.
fn searched(expression: &str) -> Metric {
    let between = |begin: &str, end: char| {
        let (_, rest) = expression.split_once(begin).expect("a search");
        rest.split(end).next().expect("a search")
    };
    let mut schema = between("{", '}').split(',');
    assert_eq!(schema.next(), Some(NAMESPACE), "{expression}");
    metric(between("MetricName=\"", '"'), schema)
}

/// The text with an `x` for everything that is filled in when the stack is made.
fn substituted(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "x" + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[tokio::test]
async fn alarms_and_dashboard_watch_metrics_that_are_sent() {
    let (alarms, dashboard) = (read("infra/alarms.yaml"), read("infra/dashboard.yaml"));
    let alarms = &Yaml::load_from_str(&alarms).expect("YAML")[0];
    let dashboard = &Yaml::load_from_str(&dashboard).expect("YAML")[0];
    let body = at(dashboard, &["Resources", "Dashboard", "Properties", "DashboardBody"]);
    let body = untagged(body).0.as_str().expect("a text");
    let body = serde_json::from_str(&substituted(body)).expect("the dashboard's JSON");

    let mut there_are = sent().await;
    filtered(alarms, &mut there_are);
    let mut alarmed = BTreeSet::new();
    watched(alarms, &mut alarmed);
    assert!(alarmed.len() >= 4, "{alarmed:?}");
    let shown = shown(&body);
    assert!(shown.len() >= 8, "{shown:?}");
    let nobodys: Vec<&Metric> = alarmed.union(&shown).filter(|metric| !there_are.contains(*metric)).collect();
    assert!(nobodys.is_empty(), "nobody sends {nobodys:#?}; there are {there_are:#?}");
}

#[test]
fn the_access_log_says_what_its_filter_asks_for() {
    let (template, alarms) = (read("template.yaml"), read("infra/alarms.yaml"));
    let template = &Yaml::load_from_str(&template).expect("YAML")[0];
    let alarms = &Yaml::load_from_str(&alarms).expect("YAML")[0];
    let format = at(template, &["Resources", "ScimApi", "Properties", "AccessLogSetting", "Format"]);
    let format = substituted(untagged(format).0.as_str().expect("a text"));
    assert!(!format.contains('\n'), "a line of the log is a line");
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
