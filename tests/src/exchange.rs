//! Recorded exchanges: the requests of real clients with the answers that they need, as data.
//!
//! Each file is one exchange and one test. `${name}` stands for a value of an earlier answer (`capture`), `${key}` for the
//! key. The expected body is a part of the answer: objects of the answer may have more members, lists may not have more
//! elements, and `"*"` matches any value.
//!
//! A step has a request, or the event that API Gateway makes of a request (`events/`). `baseUrl` is the `SCIM_BASE_URL`
//! of the function that receives the event.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Request, Service};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Exchange {
    title: String,
    #[serde(rename = "source")]
    _source: String,
    base_url: Option<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    request: Option<RecordedRequest>,
    event: Option<Value>,
    response: Expected,
    #[serde(default)]
    capture: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RecordedRequest {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    body_text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    #[serde(default)]
    absent: Vec<String>,
}

/// The directories of recorded exchanges, one for each sender.
const SOURCES: [&str; 4] = ["entra", "events", "okta", "other"];

/// Lists the files of recorded exchanges.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let files_of = |source| fs::read_dir(fixtures.join(source)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = SOURCES.into_iter().flat_map(files_of).map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Replays the exchange in a file on a new service.
///
/// # Errors
/// All differences of the first step whose answer differs.
pub async fn replay(file: &Path, service: &Service) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let exchange: Exchange = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut names = BTreeMap::from([("key".to_owned(), service.key.clone())]);
    for (number, step) in exchange.steps.iter().enumerate() {
        let (request, answer) = match (&step.request, &step.event) {
            (Some(request), None) => {
                let name = format!("{} {}", request.method, fill(&request.path, &names));
                (name, request.build(&names).send(service).await)
            }
            (None, Some(event)) => {
                let event = fill_value(event, &names);
                ("an event".to_owned(), service.invoke(event, exchange.base_url.clone()).await)
            }
            _ => return Err(format!("step {number} is not one request or one event")),
        };
        let mut differences = Vec::new();
        if answer.status != step.response.status {
            differences.push(format!("status {} instead of {}", answer.status, step.response.status));
        }
        for (name, wanted) in &step.response.headers {
            let found = answer.header(name);
            if !(found == fill(wanted, &names) || wanted == "*" && !found.is_empty()) {
                differences.push(format!("header {name} is {found:?} instead of {wanted:?}"));
            }
        }
        match &step.response.body {
            Some(wanted) => differ("", &fill_value(wanted, &names), &answer.body, &mut differences),
            None if step.response.status == 204 && !answer.body.is_null() => {
                differences.push("a body with a 204".to_owned());
            }
            None => {}
        }
        for pointer in &step.response.absent {
            if answer.body.pointer(pointer).is_some() {
                differences.push(format!("{pointer} is present"));
            }
        }
        if !differences.is_empty() {
            return Err(format!(
                "{}\nstep {number}: {request}\n  {}\nanswer: {:#}",
                exchange.title,
                differences.join("\n  "),
                answer.body
            ));
        }
        for (name, pointer) in &step.capture {
            let value = answer.body.pointer(pointer).ok_or_else(|| format!("step {number}: no {pointer}"))?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            names.insert(name.clone(), text);
        }
    }
    service.assert_healthy().await;
    Ok(())
}

impl RecordedRequest {
    fn build(&self, names: &BTreeMap<String, String>) -> Request {
        let method = self.method.parse().expect("a method");
        let mut request = Request::new(method, fill(&self.path, names));
        for (name, value) in &self.headers {
            request = request.header(name, &fill(value, names));
        }
        request.body = match (&self.body, &self.body_text) {
            (Some(body), _) => fill_value(body, names).to_string().into(),
            (None, Some(text)) => fill(text, names).into(),
            (None, None) => Bytes::new(),
        };
        request
    }
}

fn fill(text: &str, names: &BTreeMap<String, String>) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn fill_value(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, names)),
        Value::Array(elements) => elements.iter().map(|element| fill_value(element, names)).collect(),
        Value::Object(members) => {
            let filled = members.iter().map(|(name, value)| (fill(name, names), fill_value(value, names)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn differ(place: &str, wanted: &Value, found: &Value, differences: &mut Vec<String>) {
    match (wanted, found) {
        (Value::String(any), found) if any == "*" && !found.is_null() => {}
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                match found.get(name) {
                    Some(found) => differ(&format!("{place}/{name}"), wanted, found, differences),
                    None => differences.push(format!("{place}/{name} is missing")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                differ(&format!("{place}/{index}"), wanted, found, differences);
            }
        }
        _ if wanted == found => {}
        _ => differences.push(format!("{place} is {found} instead of {wanted}")),
    }
}
