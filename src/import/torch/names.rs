//! From the value of a pickle to its tensors: dictionaries within dictionaries, whose keys are joined by dots.

use std::collections::{BTreeMap, BTreeSet};

use super::super::pickle::{Graph, Id, Node, Pickle, Read, Refusal};

/// Most tensors of a file; the largest networks have thousands.
const MAX_TENSORS: usize = 100_000;
/// Dictionaries within each other.
const MAX_DEPTH: usize = 16;
/// Longest key.
const MAX_KEY: usize = 256;

/// Every tensor by its name. A dictionary is entered once, so that neither cycles nor nests of shared ones go on; keys that are no
/// text, as those of an optimiser's state, name nothing.
///
/// # Errors
/// [`Refusal`] where there are more than any network has.
pub fn tensors(pickle: &Pickle) -> Read<BTreeMap<String, Id>> {
    let Pickle { graph, root, .. } = pickle;
    let (mut found, mut entered) = (BTreeMap::new(), BTreeSet::new());
    let mut open = vec![(String::new(), *root, 0)];
    while let Some((prefix, id, depth)) = open.pop() {
        if !entered.insert(id) {
            continue;
        }
        for (name, value) in entries(graph, id, &prefix) {
            match graph.node(value) {
                Node::Tensor(_) => drop(found.insert(name, value)),
                Node::Dict(_) if depth < MAX_DEPTH => open.push((name, value, depth + 1)),
                _ => {}
            }
            if found.len().max(open.len()) > MAX_TENSORS {
                let problem = format!("it names more than {MAX_TENSORS} tensors, as no network has");
                return Err(Refusal::forbidden(problem));
            }
        }
    }
    Ok(found)
}

/// The values of a dictionary by their full names.
fn entries<'a>(graph: &'a Graph, id: Id, prefix: &'a str) -> impl Iterator<Item = (String, Id)> + 'a {
    let pairs: &[(Id, Id)] = if let Node::Dict(pairs) = graph.node(id) { pairs } else { &[] };
    pairs.iter().filter_map(move |&(key, value)| {
        let key = graph.text(key).filter(|key| key.len() <= MAX_KEY)?;
        let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        Some((name, value))
    })
}
