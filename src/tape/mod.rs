//! The tape: an append-only list of nodes over static shapes, recorded once and replayed every step.
//!
//! Forward pass, reverse pass, optimiser and prototype update are nodes of the same list, whose order is the topological
//! order. Recording touches no device. The tape knows no operation: it sees them through [`Op`].
//!
//! ```text
//! record (ops, nn, head) -> Tape -> backward() appends gradients -> Program (memory, dispatches) -> Plan (device)
//!                             \----> interpret() on the f64 oracle
//! ```

mod backward;
mod constant;
mod interpret;
mod launch;
mod layout;
mod memory;
mod op;
mod plan;
mod program;
mod recompute;
mod store;
mod tune;
mod value;

pub use backward::Linear;
pub use constant::constant_nodes;
pub use interpret::Memory;
pub use launch::Launch;
pub use layout::{pack, padded, unpack};
pub use op::{Cost, Gradient, Op, Spec};
pub use plan::{NotFinite, Plan};
pub use program::{Keep, NodeReport, Program};
pub use store::Store;
pub use tune::tuned_caps;
pub use value::{DType, Role, Value, ValueId};

use std::sync::Arc;

use crate::error::{Error, Result};

/// One operation applied to values. An output may be an existing value: then it is overwritten in place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Arc<dyn Op>,
    /// Values read.
    pub inputs: Vec<ValueId>,
    /// Values written.
    pub outputs: Vec<ValueId>,
    /// Where it was recorded, as `layer/part`.
    pub scope: String,
    /// The block whose gradient rule stands for this node's own.
    block: Option<usize>,
}

/// Nodes that share one gradient rule written by hand.
struct Block {
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    rule: Arc<BlockRule>,
}

type BlockRule = dyn Fn(&mut Tape, &[Option<ValueId>]) -> Result<Vec<Option<ValueId>>> + Send + Sync;

/// The recording.
#[derive(Default)]
pub struct Tape {
    values: Vec<Value>,
    nodes: Vec<Node>,
    blocks: Vec<Block>,
    open_block: Option<usize>,
    scope: Vec<String>,
    /// The first nodes of blocks that can be computed again.
    marks: Vec<usize>,
}

impl Tape {
    /// An empty tape.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value that the outside fills: batch, labels, learning rate.
    pub fn input(&mut self, name: &str, shape: &[usize], dtype: DType) -> ValueId {
        self.add(name, shape, dtype, Role::Input)
    }

    /// Adds a weight that gradients flow to. It lives in the [`Store`] under `name`, shared by all plans.
    pub fn param(&mut self, name: &str, shape: &[usize]) -> ValueId {
        self.named(name, shape, DType::F32, Role::Param)
    }

    /// Adds state without gradient (prototypes, running statistics, momentum); in the [`Store`] under `name`.
    pub fn state(&mut self, name: &str, shape: &[usize], dtype: DType) -> ValueId {
        self.named(name, shape, dtype, Role::State)
    }

    /// Adds the weight or state that `value` of another tape is, in the [`Store`] under the same name.
    pub fn stored(&mut self, value: &Value) -> ValueId {
        self.named(&value.name, &value.shape, value.dtype, value.role)
    }

    /// The same memory under another shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if the element counts differ, or the last axis changes and is padded in memory.
    pub fn reshape(&mut self, of: ValueId, shape: &[usize]) -> Result<ValueId> {
        let value = self.value(of);
        let same_count = value.shape.iter().product::<usize>() == shape.iter().product::<usize>();
        let same_rows = value.shape.last() == shape.last() && value.shape.len() > 1 && shape.len() > 1;
        if !same_count
            || !(same_rows || value.padded_len() == value.len() && padded(shape, value.dtype) == value.len())
        {
            return Err(Error::shape("reshape", format!("{:?} cannot be seen as {shape:?}", value.shape)));
        }
        let (name, dtype, root) = (value.name.clone(), value.dtype, self.root(of));
        Ok(self.add(&name, shape, dtype, Role::View(root)))
    }

    /// Records `op` on `inputs`; its outputs become new values.
    ///
    /// # Errors
    /// [`Error::Shape`] from the operation's shape rule.
    pub fn push(&mut self, op: impl Op, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let specs = op.outputs(&self.get_all(inputs))?;
        let stem = op.stem();
        let label = self.label(stem);
        let outputs: Vec<_> =
            specs.iter().map(|spec| self.add(&label, &spec.shape, spec.dtype, Role::Temp)).collect();
        self.nodes.push(Node {
            op: Arc::new(op),
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            scope: self.scope.join("/"),
            block: self.open_block,
        });
        Ok(outputs)
    }

    /// [`Tape::push`] for an operation with one output.
    ///
    /// # Errors
    /// As [`Tape::push`].
    pub fn push1(&mut self, op: impl Op, inputs: &[ValueId]) -> Result<ValueId> {
        Ok(self.push(op, inputs)?[0])
    }

    /// Records `op` so that it overwrites `targets`, in order of its outputs. List a target among `inputs` too if its
    /// old content is read.
    ///
    /// # Errors
    /// [`Error::Shape`] from the shape rule, or if a target has another shape than the output.
    pub fn push_into(&mut self, op: impl Op, inputs: &[ValueId], targets: &[ValueId]) -> Result<()> {
        let specs = op.outputs(&self.get_all(inputs))?;
        for (spec, &target) in std::iter::zip(&specs, targets) {
            let value = self.value(target);
            if value.shape != spec.shape || value.dtype != spec.dtype || specs.len() != targets.len() {
                let problem =
                    format!("output {:?} does not fit `{}` {:?}", spec.shape, value.name, value.shape);
                return Err(Error::shape(op.stem(), problem));
            }
        }
        self.nodes.push(Node {
            op: Arc::new(op),
            inputs: inputs.to_vec(),
            outputs: targets.to_vec(),
            scope: self.scope.join("/"),
            block: self.open_block,
        });
        Ok(())
    }

    /// Records `body` under the name `name`: labels of its nodes start with it.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn scoped<T>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.enter(name);
        let result = body(self);
        self.leave();
        result
    }

    /// Opens a scope: labels of nodes recorded until [`Tape::leave`] start with `name`.
    pub fn enter(&mut self, name: &str) {
        self.scope.push(name.to_owned());
    }

    /// Closes the scope opened last.
    pub fn leave(&mut self) {
        self.scope.pop();
    }

    /// Records `body` as a block: the reverse pass calls `rule` with the gradients of the block's outputs and takes
    /// from it those of `inputs`, instead of walking the nodes inside. For passes whose gradient recomputes in tiles.
    ///
    /// # Errors
    /// Those of `body`.
    ///
    /// # Panics
    /// If `body` opens another block: the reverse pass knows one rule per node and would leave out the outer one's.
    pub fn block(
        &mut self,
        inputs: &[ValueId],
        body: impl FnOnce(&mut Self) -> Result<Vec<ValueId>>,
        rule: impl Fn(&mut Self, &[Option<ValueId>]) -> Result<Vec<Option<ValueId>>> + Send + Sync + 'static,
    ) -> Result<Vec<ValueId>> {
        assert!(
            self.open_block.is_none(),
            "a block is recorded inside another one, whose gradient would be lost"
        );
        let index = self.blocks.len();
        self.blocks.push(Block { inputs: inputs.to_vec(), outputs: Vec::new(), rule: Arc::new(rule) });
        self.open_block = Some(index);
        let outputs = body(self);
        self.open_block = None;
        self.blocks[index].outputs.clone_from(outputs.as_ref().map_or(&Vec::new(), |o| o));
        outputs
    }

    /// The value behind an id.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Every value, in order of creation.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Every node, in order of execution.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The value that owns the memory of `id`: itself, unless it is a view.
    #[must_use]
    pub fn root(&self, id: ValueId) -> ValueId {
        match self.value(id).role {
            Role::View(root) => root,
            _ => id,
        }
    }

    /// Ids of the weights, in order of creation.
    #[must_use]
    pub fn params(&self) -> Vec<ValueId> {
        let ids = (0..self.values.len() as u32).map(ValueId);
        ids.filter(|&id| self.value(id).role == Role::Param).collect()
    }

    /// Gives a value a name of its own, by which [`Tape::find`] and messages know it.
    pub fn name(&mut self, id: ValueId, name: &str) -> ValueId {
        name.clone_into(&mut self.values[id.index()].name);
        id
    }

    /// The first value called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(|i| ValueId(i as u32))
    }

    fn get_all(&self, ids: &[ValueId]) -> Vec<&Value> {
        ids.iter().map(|&id| self.value(id)).collect()
    }

    fn label(&self, stem: &str) -> String {
        let scope = self.scope.join("/");
        if scope.is_empty() { stem.to_owned() } else { format!("{scope}/{stem}") }
    }

    fn add(&mut self, name: &str, shape: &[usize], dtype: DType, role: Role) -> ValueId {
        let id = ValueId(self.values.len() as u32);
        self.values.push(Value { name: name.to_owned(), shape: shape.to_vec(), dtype, role });
        id
    }

    /// A stored value is one value however often it is asked for: weights may be used in several places.
    fn named(&mut self, name: &str, shape: &[usize], dtype: DType, role: Role) -> ValueId {
        let same = |v: &Value| v.name == name && v.role == role && v.shape == shape && v.dtype == dtype;
        let known = self.values.iter().position(same);
        known.map_or_else(|| self.add(name, shape, dtype, role), |i| ValueId(i as u32))
    }
}
