//! Checks that a changed parameter publishes new versions of the functions. Without a new version, the alias stays at the
//! old settings: after a restore, the functions would still write to the old table.

use std::collections::BTreeSet;

use saphyr::{LoadableYamlNode, Yaml};

use super::{at, below, member, members, read, untagged};

/// Collects the names that the node refers to.
fn references(node: &Yaml, found: &mut BTreeSet<String>) {
    let (plain, tag) = untagged(node);
    match (tag, plain.as_str()) {
        (Some("Ref"), Some(name)) => {
            found.insert(name.to_owned());
        }
        (_, Some(text)) => {
            let names = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
            found.extend(names.map(str::to_owned));
        }
        _ => below(node).for_each(|node| references(node, found)),
    }
}

#[test]
fn changed_parameters_publish_new_versions() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let parameters: BTreeSet<String> =
        members(at(template, &["Parameters"])).into_iter().map(|(name, _)| name.to_owned()).collect();
    let of = |node: &Yaml| {
        let mut found = BTreeSet::new();
        references(node, &mut found);
        found.intersection(&parameters).cloned().collect::<BTreeSet<_>>()
    };
    let mut configuring = of(at(template, &["Globals", "Function"]));
    // CodeDeploy reads this parameter, the functions do not.
    configuring.remove("WithCanary");
    assert!(configuring.contains("ExistingResourcesTable"), "{configuring:?}");
    for (id, resource) in members(at(template, &["Resources"])) {
        if member(resource, "Type").and_then(Yaml::as_str) == Some("AWS::Serverless::Function") {
            let properties = at(resource, &["Properties"]);
            let described = of(at(properties, &["VersionDescription"]));
            let own = member(properties, "Environment").map(of).unwrap_or_default();
            let missing: Vec<_> = configuring.union(&own).filter(|name| !described.contains(*name)).collect();
            assert!(missing.is_empty(), "{id} gets no new version if these parameters change: {missing:?}");
        }
    }
}
