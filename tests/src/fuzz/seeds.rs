//! Inputs from the recorded exchanges, which a fuzzer mutates.

use std::{collections::BTreeMap, fs};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::exchange;

/// Returns the inputs of a target, by name.
#[must_use]
pub fn seeds(target: &str) -> BTreeMap<String, String> {
    let mut seeds = BTreeMap::new();
    for file in exchange::files() {
        let text = fs::read_to_string(&file).expect("a fixture");
        let exchange: Value = serde_json::from_str(&text).expect("JSON");
        let steps = exchange["steps"].as_array().expect("steps");
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let inputs = match target {
            "filter" => filters(steps),
            "path" => paths(steps),
            "patch" => patches(steps),
            _ => vec![requests(steps)],
        };
        let named = inputs.into_iter().enumerate();
        seeds.extend(named.map(|(number, input)| (format!("{name}-{number}"), input)));
    }
    seeds
}

fn bodies<'a>(steps: &'a [Value], method: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let requests =
        steps.iter().map(|step| &step["request"]).filter(move |request| request["method"] == method);
    requests.map(|request| (request["path"].as_str().unwrap_or_default(), &request["body"]))
}

fn filters(steps: &[Value]) -> Vec<String> {
    let document = bodies(steps, "POST").next().map(|(_, body)| body.to_string()).unwrap_or_default();
    let asked = bodies(steps, "GET").filter_map(|(path, _)| path.split_once("filter="));
    let filters = asked.map(|(_, rest)| rest.split('&').next().unwrap_or_default().replace('+', " "));
    filters.map(|filter| format!("{}\n{document}", percent_decode_str(&filter).decode_utf8_lossy())).collect()
}

fn paths(steps: &[Value]) -> Vec<String> {
    let operations = bodies(steps, "PATCH").filter_map(|(_, body)| body["Operations"].as_array()).flatten();
    operations.filter_map(|operation| operation["path"].as_str().map(str::to_owned)).collect()
}

fn patches(steps: &[Value]) -> Vec<String> {
    let with_document = |(path, message): (&str, &Value)| {
        let kind = path.split('/').nth(1).unwrap_or_default();
        let made = bodies(steps, "POST").find(|(path, _)| path.split(['/', '?']).nth(1) == Some(kind));
        format!("{message}\n{}", made.map(|(_, body)| body.to_string()).unwrap_or_default())
    };
    bodies(steps, "PATCH").map(with_document).collect()
}

fn requests(steps: &[Value]) -> String {
    let mut captured: BTreeMap<String, String> = BTreeMap::new();
    let mut requests = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let request = &step["request"];
        let mut text = format!(
            "{} {}\n",
            request["method"].as_str().unwrap_or_default(),
            request["path"].as_str().unwrap_or_default()
        );
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            text.extend([name, ": ", value.as_str().unwrap_or_default(), "\n"]);
        }
        match (&request["body"], &request["bodyText"]) {
            (Value::Null, Value::String(body)) => text.extend(["\n", body]),
            (Value::Null, _) => {}
            (body, _) => text.extend(["\n", &body.to_string()]),
        }
        for (name, place) in &captured {
            text = text.replace(&format!("${{{name}}}"), place);
        }
        requests.push(text);
        for (name, pointer) in step["capture"].as_object().into_iter().flatten() {
            captured.insert(name.clone(), format!("${{{number}{}}}", pointer.as_str().unwrap_or_default()));
        }
    }
    requests.join("\n###\n")
}
