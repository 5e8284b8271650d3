//! Which nodes give the same result in every run until the store changes: folded weights, normalised prototypes.

use super::Tape;
use super::value::Role;

/// True for every live node that depends on nothing but stored values that no live node writes.
///
/// Values that several nodes write have no one content that could be kept, so their writers are not constant.
#[must_use]
pub fn constant_nodes(tape: &Tape, live: &[bool]) -> Vec<bool> {
    let mut writers = vec![0_usize; tape.values().len()];
    let nodes = || tape.nodes().iter().enumerate().filter(|(index, _)| live[*index]);
    for (_, node) in nodes() {
        node.outputs.iter().for_each(|&id| writers[tape.root(id).index()] += 1);
    }
    let mut known: Vec<bool> = std::iter::zip(tape.values(), &writers)
        .map(|(value, &count)| value.is_stored() && count == 0)
        .collect();
    let mut constant = vec![false; tape.nodes().len()];
    for (index, node) in nodes() {
        let fixed = node.inputs.iter().all(|&id| known[tape.root(id).index()]);
        let outputs = || node.outputs.iter().map(|&id| tape.root(id).index());
        let own = outputs().all(|root| tape.values()[root].role == Role::Temp && writers[root] == 1);
        if fixed && own {
            constant[index] = true;
            outputs().for_each(|root| known[root] = true);
        }
    }
    constant
}
