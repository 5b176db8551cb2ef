//! Directed graphs of names.

use std::collections::{BTreeMap, BTreeSet};

/// What each name points at.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// Everything that can be reached from a name by one step or more.
pub fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for next in graph.get(name).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

/// The circles: each a set of names that can all reach one another. A name that only points at itself is
/// not a circle.
pub fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&String, BTreeSet<String>> = graph.keys().map(|name| (name, reachable(graph, name))).collect();
    let mut circles = BTreeSet::new();
    for (name, reached) in &reach {
        let back = |other: &&String| reach.get(other).is_some_and(|from_other| from_other.contains(*name));
        let circle: BTreeSet<String> = reached.iter().filter(back).cloned().collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// The edges that do not follow from others: `a -> c` is removed where there is `a -> b -> c`.
pub fn reduced(graph: &Graph) -> Graph {
    let follows = |from: &String, to: &String| {
        graph[from]
            .iter()
            .any(|between| between != to && reachable(graph, between).contains(to))
    };
    graph
        .iter()
        .map(|(from, all)| {
            (
                from.clone(),
                all.iter().filter(|to| !follows(from, to)).cloned().collect(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*to).to_owned()).or_default();
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn a_circle_is_found_whole_and_once() {
        let found = circles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "d")]));
        assert_eq!(found, [["a", "b", "c"].map(str::to_owned).into()]);
    }

    #[test]
    fn an_edge_that_follows_from_others_is_removed() {
        let left = reduced(&graph(&[("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")]));
        assert_eq!(left, graph(&[("a", "b"), ("b", "c"), ("a", "d")]));
    }
}
