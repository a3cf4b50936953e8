//! Checks the limits of the gateway's methods. API Gateway applies the limit of `*` to each HTTP method of each path by
//! itself, so the sum over all methods is what the stage accepts.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Yaml};

use super::{at, each, functions, member, read, untagged};

/// The methods of a path whose method is `ANY`.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Returns the limit in requests per second. A reference to a parameter is the default of the parameter.
fn rate(template: &Yaml, setting: &Yaml) -> i64 {
    let (rate, tag) = untagged(at(setting, &["ThrottlingRateLimit"]));
    let rate = match tag {
        Some("Ref") => at(template, &["Parameters", rate.as_str().expect("a parameter"), "Default"]),
        _ => rate,
    };
    rate.as_integer().expect("a number")
}

#[test]
fn sum_of_all_methods_is_the_documented_one() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let settings = at(template, &["Resources", "ScimApi", "Properties", "MethodSettings"]);
    let mut own = BTreeMap::new();
    // The other branch of a condition is no setting.
    for setting in each(settings).into_iter().filter(|setting| member(setting, "ResourcePath").is_some()) {
        // A slash after the first one is written `~1`.
        let path =
            at(setting, &["ResourcePath"]).as_str().expect("a path").replace("/~1", "/").replace("~1", "/");
        let method = member(setting, "HttpMethod").and_then(Yaml::as_str).expect("a method").to_owned();
        own.insert((path, method), rate(template, setting));
    }
    let others = own.remove(&("/*".to_owned(), "*".to_owned())).expect("a limit of all other methods");
    let mut sum = 0;
    for path in functions().into_iter().flat_map(|function| function.paths) {
        for method in METHODS {
            sum += own.remove(&(path.clone(), method.to_owned())).unwrap_or(others);
        }
    }
    assert_eq!(own, BTreeMap::new(), "limits of paths that the API lacks");
    let description = at(template, &["Parameters", "ThrottleRate", "Description"]).as_str().expect("a text");
    assert!(description.contains(&format!("= {sum} a second")), "{sum}: {description}");
}
