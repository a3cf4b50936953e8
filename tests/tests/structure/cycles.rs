//! Cycles of a directed graph: its strongly connected components of more than one node.

use std::collections::{BTreeMap, BTreeSet};

/// The edges of a graph: the nodes that each node depends on.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns each cycle as the sorted list of its nodes. Two nodes are in one cycle if each reaches the other.
pub(crate) fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|node| (node.as_str(), reachable(graph, node))).collect();
    let components: BTreeSet<Vec<String>> = graph
        .keys()
        .filter(|node| reachable[node.as_str()].contains(node.as_str()))
        .map(|node| {
            let returns =
                |other: &&&str| reachable.get(**other).is_some_and(|from| from.contains(node.as_str()));
            reachable[node.as_str()].iter().filter(returns).map(|other| (*other).to_owned()).collect()
        })
        .collect();
    components.into_iter().collect()
}

/// Returns the nodes that a path of at least one edge leads to.
fn reachable<'a>(graph: &'a Graph, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = graph.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(node) = open.pop() {
        if found.insert(node) {
            open.extend(graph.get(node).into_iter().flatten().map(String::as_str));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn cycles_are_found_and_chains_are_not() {
        assert!(cycles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
        let graph = graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "d")]);
        assert_eq!(cycles(&graph), [vec!["b", "c"], vec!["d"]]);
    }
}
