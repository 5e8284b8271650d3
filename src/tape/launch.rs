//! What an operation writes its dispatches into.

use crate::gpu::{Caps, Dispatch, Gemm, Slot, Tile, Uniform};

use super::value::Value;
use super::{Node, Tape};

/// Collects the dispatches and scratch buffers of one node.
pub struct Launch<'a> {
    tape: &'a Tape,
    node: &'a Node,
    /// Capabilities to choose kernels by.
    pub caps: &'a Caps,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) scratch_bytes: Vec<u64>,
}

impl<'a> Launch<'a> {
    pub(super) const fn new(tape: &'a Tape, node: &'a Node, caps: &'a Caps) -> Self {
        Self { tape, node, caps, dispatches: Vec::new(), scratch_bytes: Vec::new() }
    }

    /// Shape and type of input `i`.
    #[must_use]
    pub fn input(&self, i: usize) -> &'a Value {
        self.tape.value(self.node.inputs[i])
    }

    /// Shape and type of output `i`.
    #[must_use]
    pub fn output(&self, i: usize) -> &'a Value {
        self.tape.value(self.node.outputs[i])
    }

    /// Number of inputs.
    #[must_use]
    pub fn num_inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// The slot of input `i`.
    #[must_use]
    pub fn read(&self, i: usize) -> Slot {
        Slot::Value(self.tape.root(self.node.inputs[i]).0)
    }

    /// The slot of output `i`.
    #[must_use]
    pub fn write(&self, i: usize) -> Slot {
        Slot::Value(self.tape.root(self.node.outputs[i]).0)
    }

    /// A scratch buffer of `floats` 4-byte elements that lives as long as this node. Its content is undefined at first.
    pub fn scratch(&mut self, floats: usize) -> Slot {
        self.scratch_bytes.push((floats.max(1) as u64 * 4).next_multiple_of(16));
        Slot::Scratch(self.scratch_bytes.len() as u32 - 1)
    }

    /// Appends a dispatch of `entry` in shader `shader`: `bindings` by WGSL variable name.
    pub fn dispatch<U: Uniform>(
        &mut self,
        shader: &'static str,
        entry: &'static str,
        uniform: &U,
        bindings: &[(&'static str, Slot)],
        groups: [u32; 3],
    ) {
        self.dispatches.push(Dispatch {
            shader,
            entry,
            constants: Vec::new(),
            uniform: bytemuck::bytes_of(uniform).to_vec(),
            fields: U::FIELDS,
            bindings: bindings.to_vec(),
            groups,
            measured: None,
        });
    }

    /// The tile for a product of matrices.
    #[must_use]
    pub fn tile(&self, gemm: Gemm) -> Tile {
        self.caps.tiles.of(&gemm, self.caps.discrete)
    }

    /// Says that the dispatch appended last computes `gemm` with the tile that [`Launch::tile`] gave for it, and that any
    /// tile would give the same bits: its time may decide which one is taken.
    pub fn measured(&mut self, gemm: Gemm) {
        if let Some(last) = self.dispatches.last_mut() {
            last.measured = Some(gemm);
        }
    }

    /// Sets `override` constants of the dispatch appended last.
    pub fn constants(&mut self, constants: &[(&'static str, f64)]) {
        if let Some(last) = self.dispatches.last_mut() {
            last.constants = constants.to_vec();
        }
    }
}
