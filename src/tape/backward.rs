//! The reverse pass: walks the nodes backwards and appends each one's gradient nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Result;

use super::Tape;
use super::op::Gradient;
use super::value::{Role, ValueId};

/// The one operation that the reverse pass itself needs; the tape knows no operation, so it is handed in.
pub trait Linear {
    /// The sum of two values of one shape.
    ///
    /// # Errors
    /// Those of recording.
    fn add(&self, tape: &mut Tape, a: ValueId, b: ValueId) -> Result<ValueId>;
}

impl Tape {
    /// Appends the gradients of `sum_i <value_i, seed_i>` over the pairs in `seeds` and returns those of `targets`, `None`
    /// where nothing depends on one. For a loss, the one seed is a 1.
    ///
    /// # Errors
    /// Those of the gradient rules.
    pub fn backward(
        &mut self,
        seeds: &[(ValueId, ValueId)],
        targets: &[ValueId],
        linear: &dyn Linear,
    ) -> Result<Vec<Option<ValueId>>> {
        let wanted = self.depends_on(targets);
        let mut grads: Vec<Option<ValueId>> = vec![None; self.values.len()];
        for &(value, seed) in seeds {
            self.accumulate(&mut grads, value, seed, linear)?;
        }
        let mut done_blocks = BTreeSet::new();
        for index in (0..self.nodes.len()).rev() {
            if let Some(block) = self.nodes[index].block {
                if done_blocks.insert(block) {
                    self.block_gradient(block, &mut grads, &wanted, linear)?;
                }
                continue;
            }
            let node = self.nodes[index].clone();
            let out: Vec<_> =
                node.outputs.iter().map(|&o| self.gradient_of(&grads, o)).collect::<Result<_>>()?;
            let wants: Vec<_> = node.inputs.iter().map(|&i| wanted.contains(&self.root(i))).collect();
            if out.iter().all(Option::is_none) || !wants.contains(&true) {
                continue;
            }
            let context =
                Gradient { inputs: &node.inputs, outputs: &node.outputs, grads: &out, wanted: &wants };
            let scope = format!("{}/grad", node.scope).trim_start_matches('/').to_owned();
            let found = self.scoped(&scope, |tape| node.op.gradient(tape, &context))?;
            for ((&input, gradient), want) in node.inputs.iter().zip(found).zip(wants) {
                if let (Some(gradient), true) = (gradient, want) {
                    self.accumulate(&mut grads, input, gradient, linear)?;
                }
            }
        }
        targets.iter().map(|&t| self.gradient_of(&grads, t)).collect()
    }

    fn block_gradient(
        &mut self,
        block: usize,
        grads: &mut [Option<ValueId>],
        wanted: &BTreeSet<ValueId>,
        linear: &dyn Linear,
    ) -> Result<()> {
        let (inputs, outputs) = (self.blocks[block].inputs.clone(), self.blocks[block].outputs.clone());
        let rule = Arc::clone(&self.blocks[block].rule);
        let out: Vec<_> = outputs.iter().map(|&o| self.gradient_of(grads, o)).collect::<Result<_>>()?;
        if out.iter().all(Option::is_none) {
            return Ok(());
        }
        let found = self.scoped("grad", |tape| rule(tape, &out))?;
        for (&input, gradient) in inputs.iter().zip(found) {
            if let (Some(gradient), true) = (gradient, wanted.contains(&self.root(input))) {
                self.accumulate(grads, input, gradient, linear)?;
            }
        }
        Ok(())
    }

    /// Gradients are kept per memory owner, in its own shape; a view sees it in the view's shape.
    fn gradient_of(&mut self, grads: &[Option<ValueId>], value: ValueId) -> Result<Option<ValueId>> {
        let Some(gradient) = grads.get(self.root(value).index()).copied().flatten() else { return Ok(None) };
        if self.value(gradient).shape == self.value(value).shape {
            return Ok(Some(gradient));
        }
        let shape = self.value(value).shape.clone();
        self.reshape(gradient, &shape).map(Some)
    }

    fn accumulate(
        &mut self,
        grads: &mut [Option<ValueId>],
        value: ValueId,
        gradient: ValueId,
        linear: &dyn Linear,
    ) -> Result<()> {
        let root = self.root(value);
        let shape = self.value(root).shape.clone();
        let gradient =
            if self.value(gradient).shape == shape { gradient } else { self.reshape(gradient, &shape)? };
        grads[root.index()] = Some(match grads[root.index()] {
            None => gradient,
            Some(known) => self.scoped("grad", |tape| linear.add(tape, known, gradient))?,
        });
        Ok(())
    }

    /// Memory owners whose content depends on one of `targets`.
    fn depends_on(&self, targets: &[ValueId]) -> BTreeSet<ValueId> {
        let mut set: BTreeSet<_> = targets.iter().map(|&t| self.root(t)).collect();
        for node in &self.nodes {
            if node.inputs.iter().any(|&i| set.contains(&self.root(i))) {
                let temps = node.outputs.iter().map(|&o| self.root(o));
                set.extend(temps.filter(|&o| self.value(o).role == Role::Temp));
            }
        }
        set
    }
}
