//! The second interpreter of a tape: every node on the f64 oracle.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::oracle::Array;

use super::Tape;
use super::value::ValueId;

/// Contents of values by memory owner.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<ValueId, Array>);

impl Memory {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the content of `id`.
    pub fn set(&mut self, tape: &Tape, id: ValueId, data: Vec<f64>) {
        let root = tape.root(id);
        self.0.insert(root, Array::new(&tape.value(root).shape, data));
    }

    /// The content of `id` in its own shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if nothing was set or computed there.
    pub fn get(&self, tape: &Tape, id: ValueId) -> Result<Array> {
        let value = tape.value(id);
        let array = self.0.get(&tape.root(id));
        let array =
            array.ok_or_else(|| Error::shape("oracle", format!("`{}` has no content", value.name)))?;
        Ok(array.reshaped(&value.shape))
    }
}

impl Tape {
    /// Runs every node on the oracle, in order, on the contents of `memory`.
    ///
    /// # Errors
    /// [`Error::Shape`] if an input, weight or state was not set.
    pub fn interpret(&self, memory: &mut Memory) -> Result<()> {
        (0..self.nodes().len()).try_for_each(|index| self.interpret_node(index, memory))
    }

    /// Runs the node `index` alone.
    ///
    /// # Errors
    /// As [`Tape::interpret`].
    pub fn interpret_node(&self, index: usize, memory: &mut Memory) -> Result<()> {
        let node = &self.nodes()[index];
        let inputs: Vec<_> = node.inputs.iter().map(|&id| memory.get(self, id)).collect::<Result<_>>()?;
        let outputs = node.op.oracle(&inputs.iter().collect::<Vec<_>>());
        for (&id, array) in std::iter::zip(&node.outputs, outputs) {
            if array.shape != self.value(id).shape {
                let problem =
                    format!("the oracle gives {:?}, the shape rule {:?}", array.shape, self.value(id).shape);
                return Err(Error::shape(node.op.stem(), problem));
            }
            memory.set(self, id, array.data);
        }
        Ok(())
    }
}
