//! Constants of a tape: weights of the model file, and what follows from them alone (folded norms, unit prototypes, resampled
//! positions), which the tape's second interpreter computes.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::model_file::ModelFile;
use crate::nn::{Entry, Weights};
use crate::tape::{Memory, Tape, ValueId};

/// How a part of a value lies in the tensor that is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// As it is.
    Rows,
    /// `[kh, kw, ci, co]`, of whose `ci` some only round up, as `[co, ci, kh, kw]`.
    Kernel,
}

/// A part of a value that depends on weights alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// The value that owns the memory.
    pub root: ValueId,
    /// The first element.
    pub first: usize,
    /// Order of the elements.
    pub arrangement: Arrangement,
}

/// Fetches constants of a tape.
pub(super) struct Constants<'a> {
    tape: &'a Tape,
    file: &'a ModelFile,
    entries: BTreeMap<&'a str, &'a Entry>,
    /// The node that computes a value.
    makers: BTreeMap<ValueId, usize>,
    /// What the node computed last was made of and gave: of two outputs the second is asked for right after the first.
    last: (Option<usize>, Memory),
}

impl<'a> Constants<'a> {
    pub fn new(tape: &'a Tape, weights: &'a Weights, file: &'a ModelFile) -> Self {
        let entries = weights.0.iter().map(|entry| (entry.name.as_str(), entry)).collect();
        let nodes = tape.nodes().iter().enumerate();
        let made = nodes.flat_map(|(index, node)| node.outputs.iter().map(move |&id| (tape.root(id), index)));
        Self { tape, file, entries, makers: made.collect(), last: (None, Memory::new()) }
    }

    /// The content of `weight` as a tensor of this shape.
    ///
    /// # Errors
    /// [`Error::Model`] where the file lacks a tensor.
    pub fn get(&mut self, weight: &Weight, shape: &[usize]) -> Result<Vec<f32>> {
        let data = self.content(weight.root)?;
        let count: usize = shape.iter().product();
        if weight.arrangement == Arrangement::Rows {
            return Ok(data[weight.first..weight.first + count].to_vec());
        }
        let &[co, ci, kh, kw] = shape else { unreachable!("a kernel has four axes") };
        let rows = data.len() / (kh * kw * co);
        let mut out = Vec::with_capacity(count);
        for (o, i) in (0..co).flat_map(|o| (0..ci).map(move |i| (o, i))) {
            out.extend((0..kh * kw).map(|tap| data[(tap * rows + i) * co + o]));
        }
        Ok(out)
    }

    fn content(&mut self, root: ValueId) -> Result<Vec<f32>> {
        let value = self.tape.value(root);
        if value.is_stored() {
            return self.stored(&value.name);
        }
        let node = *self.makers.get(&root).ok_or_else(|| {
            Error::shape("onnx", format!("nothing computes `{}`, which should be constant", value.name))
        })?;
        if self.last.0 != Some(node) {
            let mut memory = Memory::new();
            self.compute(node, &mut memory)?;
            self.last = (Some(node), memory);
        }
        Ok(self.last.1.get(self.tape, root)?.data.into_iter().map(|x| x as f32).collect())
    }

    fn stored(&self, name: &str) -> Result<Vec<f32>> {
        let entry = self.entries.get(name).ok_or_else(|| {
            Error::shape("onnx", format!("`{name}` is not in the catalogue of the network's weights"))
        })?;
        entry.read(self.file)
    }

    /// Runs `node` and those before it that it depends on.
    fn compute(&self, node: usize, memory: &mut Memory) -> Result<()> {
        for &input in &self.tape.nodes()[node].inputs {
            let root = self.tape.root(input);
            if memory.get(self.tape, root).is_ok() {
                continue;
            }
            match self.makers.get(&root) {
                Some(&maker) if maker < node => self.compute(maker, memory)?,
                _ => {
                    let data = self.stored(&self.tape.value(root).name)?;
                    memory.set(self.tape, root, data.into_iter().map(f64::from).collect());
                }
            }
        }
        self.tape.interpret_node(node, memory)
    }
}
