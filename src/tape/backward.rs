//! The reverse pass: walks the nodes backwards and appends each one's gradient nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Result;

use super::Tape;
use super::op::{Gradient, Op};
use super::value::{Role, ValueId};

/// The one operation that the reverse pass itself needs; the tape knows no operation, so it is handed in.
pub trait Linear {
    /// The sum of two values of one shape.
    ///
    /// # Errors
    /// Those of recording.
    fn add(&self, tape: &mut Tape, a: ValueId, b: ValueId) -> Result<ValueId>;
}

/// What the reverse pass keeps in mind.
struct Pass<'a> {
    linear: &'a dyn Linear,
    /// Gradient found so far, by memory owner, in its own shape.
    grads: Vec<Option<ValueId>>,
    /// The first node of the pass itself.
    first: usize,
    /// The node whose gradient is being recorded.
    at: usize,
    /// The last node that writes each value, for those written before the pass.
    writer: Vec<Option<usize>>,
    /// The gradients that the rule being applied gave.
    found: Vec<Option<ValueId>>,
    seeds: BTreeSet<ValueId>,
    targets: BTreeSet<ValueId>,
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
        let mut writer = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|&id| writer[self.root(id).index()] = Some(index));
        }
        let mut pass = Pass {
            linear,
            grads: vec![None; self.values.len()],
            first: self.nodes.len(),
            at: self.nodes.len(),
            writer,
            found: Vec::new(),
            seeds: seeds.iter().map(|&(_, seed)| self.root(seed)).collect(),
            targets: targets.iter().map(|&id| self.root(id)).collect(),
        };
        for &(value, seed) in seeds {
            self.accumulate(&mut pass, value, seed)?;
        }
        let mut done_blocks = BTreeSet::new();
        for index in (0..pass.first).rev() {
            pass.at = index;
            if let Some(block) = self.nodes[index].block {
                if done_blocks.insert(block) {
                    self.block_gradient(block, &mut pass, &wanted)?;
                }
                continue;
            }
            let node = self.nodes[index].clone();
            let out: Vec<_> =
                node.outputs.iter().map(|&o| self.gradient_of(&pass.grads, o)).collect::<Result<_>>()?;
            let wants: Vec<_> = node.inputs.iter().map(|&i| wanted.contains(&self.root(i))).collect();
            if out.iter().all(Option::is_none) || !wants.contains(&true) {
                continue;
            }
            let context =
                Gradient { inputs: &node.inputs, outputs: &node.outputs, grads: &out, wanted: &wants };
            let scope = format!("{}/grad", node.scope).trim_start_matches('/').to_owned();
            let found = self.scoped(&scope, |tape| node.op.gradient(tape, &context))?;
            pass.found.clone_from(&found);
            for ((&input, gradient), want) in node.inputs.iter().zip(found).zip(wants) {
                if let (Some(gradient), true) = (gradient, want) {
                    self.accumulate(&mut pass, input, gradient)?;
                }
            }
        }
        targets.iter().map(|&t| self.gradient_of(&pass.grads, t)).collect()
    }

    fn block_gradient(
        &mut self,
        block: usize,
        pass: &mut Pass<'_>,
        wanted: &BTreeSet<ValueId>,
    ) -> Result<()> {
        let (inputs, outputs) = (self.blocks[block].inputs.clone(), self.blocks[block].outputs.clone());
        let rule = Arc::clone(&self.blocks[block].rule);
        let out: Vec<_> = outputs.iter().map(|&o| self.gradient_of(&pass.grads, o)).collect::<Result<_>>()?;
        if out.iter().all(Option::is_none) {
            return Ok(());
        }
        let found = self.scoped("grad", |tape| rule(tape, &out))?;
        pass.found.clone_from(&found);
        for (&input, gradient) in inputs.iter().zip(found) {
            if let (Some(gradient), true) = (gradient, wanted.contains(&self.root(input))) {
                self.accumulate(pass, input, gradient)?;
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

    fn accumulate(&mut self, pass: &mut Pass<'_>, value: ValueId, gradient: ValueId) -> Result<()> {
        let root = self.root(value);
        let shape = self.value(root).shape.clone();
        let gradient =
            if self.value(gradient).shape == shape { gradient } else { self.reshape(gradient, &shape)? };
        pass.grads[root.index()] = Some(match pass.grads[root.index()] {
            None => gradient,
            Some(known) if self.accumulate_in_place(pass, root, known, gradient) => known,
            Some(known) => self.scoped("grad", |tape| pass.linear.add(tape, known, gradient))?,
        });
        Ok(())
    }

    /// Makes the node that computes `gradient` add to `known`, the gradient of `root` so far, and tells whether it could.
    fn accumulate_in_place(
        &mut self,
        pass: &Pass<'_>,
        root: ValueId,
        known: ValueId,
        gradient: ValueId,
    ) -> bool {
        let Some((index, op)) = self.accumulating(pass, root, known, gradient) else { return false };
        let node = &mut self.nodes[index];
        node.op = op;
        node.inputs.push(known);
        node.outputs = vec![known];
        true
    }

    /// The node that computes `gradient` and the operation that adds to `known` instead, if there is one and nobody else
    /// looks at either value from there on.
    fn accumulating(
        &self,
        pass: &Pass<'_>,
        root: ValueId,
        known: ValueId,
        gradient: ValueId,
    ) -> Option<(usize, Arc<dyn Op>)> {
        let (sum, addend) = (self.root(known), self.root(gradient));
        let made = |id| (pass.first..self.nodes.len()).rev().find(|&i| self.nodes[i].outputs.contains(&id));
        let index = made(sum).and(made(addend))?;
        let node = &self.nodes[index];
        let is_read = |id| self.nodes[index..].iter().any(|n| n.inputs.iter().any(|&i| self.root(i) == id));
        // One gradient may stand for several values: those that an addition adds share theirs.
        let is_held = |id, pending: &dyn Fn(usize) -> bool| {
            let mut held =
                pass.grads.iter().enumerate().filter(|(_, g)| g.is_some_and(|g| self.root(g) == id));
            held.any(|(owner, _)| owner != root.index() && pending(owner))
        };
        let pending = |owner: usize| {
            let target = pass.targets.iter().any(|t| t.index() == owner);
            target || pass.writer[owner].is_some_and(|writer| writer < pass.at)
        };
        let twice = pass.found.iter().flatten().filter(|&&g| self.root(g) == addend).count() > 1;
        let free = !pass.seeds.contains(&sum) && !is_held(sum, &pending) && !is_read(sum);
        let alone = sum != addend && !twice && !is_held(addend, &|_| true) && !is_read(addend);
        let fits = node.outputs.len() == 1 && self.value(known).shape == self.value(addend).shape;
        if free && alone && fits { Some((index, node.op.accumulating()?)) } else { None }
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
