//! A tape lowered for given capabilities: dispatches, buffer sizes and cost, all known without a device.

use std::collections::BTreeSet;

use crate::gpu::{Caps, Dispatch, Slot};

use super::Tape;
use super::constant::constant_nodes;
use super::launch::Launch;
use super::memory::{Interval, assign};
use super::op::Cost;
use super::value::{Role, ValueId};

/// Which values must still hold their content after a run.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// Every value: no buffer is reused and no node dropped. For tests and for finding a wrong kernel.
    Everything,
    /// These; nodes that neither they nor any stored state depend on are dropped.
    Only(&'a [ValueId]),
}

/// One line of `protoseg plan`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NodeReport {
    /// Scope and stem.
    pub name: String,
    /// Shape of the first output.
    pub shape: Vec<usize>,
    /// Number of dispatches.
    pub dispatches: usize,
    /// True if it runs only when the store changed: it depends on stored values alone.
    pub constant: bool,
    /// Arithmetic and traffic.
    #[serde(flatten)]
    pub cost: Cost,
}

/// What a plan will allocate and run.
pub struct Program {
    /// Label, dispatch and the node it belongs to. Those of constant nodes come first.
    pub(super) dispatches: Vec<(String, Dispatch)>,
    pub(super) node_of: Vec<usize>,
    /// Buffer index per value, for temporaries.
    pub(super) value_place: Vec<Option<usize>>,
    /// Buffer index per node and scratch slot.
    pub(super) scratch_place: Vec<Vec<usize>>,
    /// Bytes of every shared buffer.
    pub(super) buffer_bytes: Vec<u64>,
    /// Inputs, weights and states in use.
    pub(super) outside: Vec<ValueId>,
    /// Whether a run changes stored values.
    pub(super) writes_store: bool,
    input_bytes: u64,
    stored_bytes: u64,
    weight_bytes: u64,
    largest_bytes: u64,
    nodes: Vec<NodeReport>,
}

impl Program {
    /// Lowers `tape` for `caps`.
    #[must_use]
    pub fn new(tape: &Tape, caps: &Caps, keep: Keep<'_>) -> Self {
        let live = live_nodes(tape, keep);
        let constant = constant_nodes(tape, &live);
        let count = tape.nodes().len();
        // Constant nodes read no others, so the order stays a topological one.
        let mut order: Vec<usize> = (0..count).filter(|&index| live[index]).collect();
        order.sort_by_key(|&index| !constant[index]);
        let mut program = Self {
            dispatches: Vec::new(),
            node_of: Vec::new(),
            value_place: vec![None; tape.values().len()],
            scratch_place: vec![Vec::new(); count],
            buffer_bytes: Vec::new(),
            outside: Vec::new(),
            writes_store: false,
            input_bytes: 0,
            stored_bytes: 0,
            weight_bytes: 0,
            largest_bytes: 0,
            nodes: Vec::new(),
        };
        let mut lives: Vec<Option<Interval>> = vec![None; tape.values().len()];
        let mut intervals = Vec::new();
        let mut scratch_owner = Vec::new();
        let mut is_constant = vec![false; tape.values().len()];
        for (place, &index) in order.iter().enumerate() {
            let node = &tape.nodes()[index];
            for &id in node.inputs.iter().chain(&node.outputs) {
                let root = tape.root(id);
                let bytes = tape.value(root).bytes();
                let life = lives[root.index()].get_or_insert(Interval { bytes, first: place, last: place });
                // A constant that is read in every run is there from one run to the next.
                let held = is_constant[root.index()] && !constant[index];
                life.last = if held { count } else { life.last.max(place) };
            }
            for &id in &node.outputs {
                let root = tape.root(id);
                is_constant[root.index()] = constant[index];
                program.writes_store |= tape.value(root).is_stored();
            }
            let mut launch = Launch::new(tape, node, caps);
            node.op.launch(&mut launch);
            for &bytes in &launch.scratch_bytes {
                scratch_owner.push(index);
                intervals.push(Interval { bytes, first: place, last: place });
            }
            program.report(tape, index, constant[index], &launch.dispatches);
        }
        let kept: BTreeSet<ValueId> = match keep {
            Keep::Everything => (0..tape.values().len() as u32).map(ValueId).collect(),
            Keep::Only(ids) => ids.iter().map(|&id| tape.root(id)).collect(),
        };
        let mut value_owner = Vec::new();
        for (index, life) in lives.into_iter().enumerate() {
            let (id, Some(mut life)) = (ValueId(index as u32), life) else { continue };
            let value = tape.value(id);
            match value.role {
                Role::Temp => {
                    if kept.contains(&id) {
                        life.last = count;
                    }
                    if matches!(keep, Keep::Everything) {
                        life.first = 0;
                    }
                    value_owner.push(index);
                    intervals.push(life);
                }
                Role::Input => program.input_bytes += value.bytes(),
                Role::Param => program.weight_bytes += value.bytes(),
                Role::State => program.stored_bytes += value.bytes(),
                Role::View(_) => {}
            }
            if value.role != Role::Temp {
                program.outside.push(id);
                program.largest_bytes = program.largest_bytes.max(value.bytes());
            }
        }
        let (places, bytes) = assign(&intervals);
        for (&node, &place) in scratch_owner.iter().zip(&places) {
            program.scratch_place[node].push(place);
        }
        for (&value, &place) in value_owner.iter().zip(&places[scratch_owner.len()..]) {
            program.value_place[value] = Some(place);
        }
        program.largest_bytes = bytes.iter().copied().fold(program.largest_bytes, u64::max);
        program.buffer_bytes = bytes;
        program
    }

    fn report(&mut self, tape: &Tape, index: usize, constant: bool, dispatches: &[Dispatch]) {
        let node = &tape.nodes()[index];
        let values = |ids: &[ValueId]| ids.iter().map(|&id| tape.value(id)).collect::<Vec<_>>();
        let (inputs, outputs) = (values(&node.inputs), values(&node.outputs));
        let name = format!("{}/{}", node.scope, node.op.stem()).trim_start_matches('/').to_owned();
        let bytes = inputs.iter().chain(&outputs).map(|v| v.bytes()).sum();
        self.nodes.push(NodeReport {
            shape: outputs.first().map(|v| v.shape.clone()).unwrap_or_default(),
            dispatches: dispatches.len(),
            constant,
            cost: Cost { flops: node.op.flops(&inputs, &outputs), bytes },
            name: name.clone(),
        });
        for dispatch in dispatches {
            self.dispatches
                .push((format!("{name} {}/{}", dispatch.shader, dispatch.entry), dispatch.clone()));
            self.node_of.push(index);
        }
    }

    /// Everything the plan will hold on the device: temporaries, inputs, weights and other state.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.buffer_bytes.iter().sum::<u64>() + self.input_bytes + self.weight_bytes + self.stored_bytes
    }

    /// Of that, trained weights.
    #[must_use]
    pub const fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// Of that, other state: prototypes, momentum, running statistics.
    #[must_use]
    pub const fn state_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// The largest single buffer, whatever it holds: temporaries, an input, a weight or other state.
    #[must_use]
    pub const fn largest_bytes(&self) -> u64 {
        self.largest_bytes
    }

    /// Floating point operations of one run.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.nodes.iter().filter(|n| !n.constant).map(|n| n.cost.flops).sum()
    }

    /// Number of dispatches of one run.
    #[must_use]
    pub fn num_dispatches(&self) -> usize {
        self.dispatches.len() - self.num_constant_dispatches()
    }

    /// Number of dispatches that run only when the store changed.
    #[must_use]
    pub fn num_constant_dispatches(&self) -> usize {
        self.nodes.iter().filter(|n| n.constant).map(|n| n.dispatches).sum()
    }

    /// One entry per node that runs, constant ones first.
    #[must_use]
    pub fn nodes(&self) -> &[NodeReport] {
        &self.nodes
    }

    /// The dispatches in order, for tests that look at them.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.dispatches.iter().map(|(_, d)| d)
    }

    pub(super) fn place(&self, dispatch: usize, slot: Slot) -> Option<usize> {
        match slot {
            Slot::Value(id) => self.value_place[id as usize],
            Slot::Scratch(i) => Some(self.scratch_place[self.node_of[dispatch]][i as usize]),
        }
    }
}

/// Nodes that a kept value or a stored state depends on.
fn live_nodes(tape: &Tape, keep: Keep<'_>) -> Vec<bool> {
    let Keep::Only(ids) = keep else { return vec![true; tape.nodes().len()] };
    let mut needed: BTreeSet<ValueId> = ids.iter().map(|&id| tape.root(id)).collect();
    let mut live = vec![false; tape.nodes().len()];
    for (index, node) in tape.nodes().iter().enumerate().rev() {
        let roots = node.outputs.iter().map(|&o| tape.root(o));
        if roots.into_iter().any(|root| tape.value(root).is_stored() || needed.contains(&root)) {
            live[index] = true;
            needed.extend(node.inputs.iter().map(|&i| tape.root(i)));
        }
    }
    live
}
