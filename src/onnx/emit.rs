//! Values of a tape as tensors of the graph.
//!
//! A tape's maps are `[B,H,W,C]`; ONNX's operators on maps want `[B,C,H,W]` ("planes"). A value is kept in the order in which the last
//! operator gave it, and put into the other one when an operator asks: so no two transpositions follow each other.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::tape::{Tape, ValueId, constant_nodes};

use super::graph::{Attribute, Attributes, Data, Graph};
use super::weight::{Arrangement, Weight};

/// A tensor that holds a value.
#[derive(Clone, Debug)]
struct Form {
    /// Extents in the tape's order.
    shape: Vec<usize>,
    planes: bool,
    name: String,
}

/// Mean and sum of squared distances from it, `[N,1]` each, over the classes of the tiles so far.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub count: usize,
    pub mean: String,
    pub m2: String,
}

/// Translates the nodes of a tape one after the other.
pub(super) struct Emitter<'a> {
    pub tape: &'a Tape,
    pub graph: Graph,
    /// By index of the value: whether it depends on weights alone.
    constant: Vec<bool>,
    forms: BTreeMap<ValueId, Vec<Form>>,
    pub spreads: BTreeMap<ValueId, Spread>,
}

/// The axes `before` in this order.
pub(super) const TO_PLANES: [i64; 4] = [0, 3, 1, 2];
pub(super) const TO_ROWS: [i64; 4] = [0, 2, 3, 1];

impl<'a> Emitter<'a> {
    pub fn new(tape: &'a Tape) -> Self {
        let of_nodes = constant_nodes(tape, &vec![true; tape.nodes().len()]);
        let mut constant: Vec<bool> = tape.values().iter().map(crate::tape::Value::is_stored).collect();
        for (node, _) in std::iter::zip(tape.nodes(), of_nodes).filter(|pair| pair.1) {
            node.outputs.iter().for_each(|&id| constant[tape.root(id).index()] = true);
        }
        let (graph, forms, spreads) = (Graph::default(), BTreeMap::new(), BTreeMap::new());
        Self { tape, graph, constant, forms, spreads }
    }

    /// Extents of a value.
    pub fn shape(&self, id: ValueId) -> &'a [usize] {
        &self.tape.value(id).shape
    }

    /// Channels of a value.
    pub fn channels(&self, id: ValueId) -> usize {
        self.tape.value(id).channels()
    }

    /// Whether the value depends on weights alone.
    pub fn is_constant(&self, id: ValueId) -> bool {
        self.constant[self.tape.root(id).index()]
    }

    // ---- operators

    /// A node with one output.
    pub fn op(&mut self, op: &'static str, inputs: &[&str], attributes: Attributes<'_>) -> String {
        self.graph.node(op, inputs, attributes)
    }

    /// One number.
    pub fn scalar(&mut self, value: f32) -> String {
        self.graph.constant("constant", &[], Data::Floats(vec![value]))
    }

    /// Numbers of this shape.
    pub fn floats(&mut self, shape: &[usize], values: Vec<f32>) -> String {
        self.graph.constant("constant", shape, Data::Floats(values))
    }

    /// Whole numbers of this shape.
    pub fn integers(&mut self, shape: &[usize], values: Vec<i64>) -> String {
        self.graph.constant("constant", shape, Data::Integers(values))
    }

    /// A list of whole numbers.
    pub fn list(&mut self, values: &[usize]) -> String {
        self.integers(&[values.len()], values.iter().map(|&v| v as i64).collect())
    }

    /// The tensor under another shape.
    pub fn reshape(&mut self, name: &str, shape: &[usize]) -> String {
        let shape = self.list(shape);
        self.op("Reshape", &[name, &shape], &[])
    }

    /// The tensor with its axes in another order.
    pub fn transpose(&mut self, name: &str, order: &[i64]) -> String {
        self.op("Transpose", &[name], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    /// `count` places along `axis`, from `first` on.
    pub fn slice(&mut self, name: &str, axis: usize, first: usize, count: usize) -> String {
        let [starts, ends, axes] = [first, first + count, axis].map(|v| self.list(&[v]));
        self.op("Slice", &[name, &starts, &ends, &axes], &[])
    }

    // ---- values

    /// Whether the value is there in planes.
    pub fn has_planes(&self, id: ValueId) -> bool {
        self.form(id, |form| form.planes && form.shape == self.shape(id)).is_some()
    }

    fn form(&self, id: ValueId, fits: impl Fn(&Form) -> bool) -> Option<&Form> {
        self.forms.get(&self.tape.root(id))?.iter().find(|form| fits(form))
    }

    /// The value in the tape's order and shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if no translated node gave it.
    pub fn rows(&mut self, id: ValueId) -> Result<String> {
        let shape = self.shape(id);
        if let Some(form) = self.form(id, |form| !form.planes && form.shape == shape) {
            return Ok(form.name.clone());
        }
        if self.is_constant(id) {
            return self.weight(id, 0, shape, Arrangement::Rows);
        }
        let Some(form) = self.form(id, |form| !form.planes).or_else(|| self.form(id, |_| true)).cloned()
        else {
            let value = self.tape.value(id);
            return Err(Error::shape("onnx", format!("`{}` {shape:?} has no translation", value.name)));
        };
        let mut name = form.name;
        if form.planes {
            name = self.transpose(&name, &TO_ROWS);
            self.set(id, &form.shape, name.clone());
        }
        if form.shape != shape {
            name = self.reshape(&name, shape);
            self.set(id, shape, name.clone());
        }
        Ok(name)
    }

    /// The value in the tape's order, with its channels last and whatever axes before them.
    ///
    /// # Errors
    /// As [`Emitter::rows`].
    pub fn lines(&mut self, id: ValueId) -> Result<(String, Vec<usize>)> {
        let shape = self.shape(id);
        if !self.is_constant(id) {
            let channels = shape.last();
            let same = self.form(id, |form| !form.planes && form.shape == shape);
            if let Some(form) = same.or_else(|| self.form(id, |f| !f.planes && f.shape.last() == channels)) {
                return Ok((form.name.clone(), form.shape.clone()));
            }
        }
        Ok((self.rows(id)?, shape.to_vec()))
    }

    /// The value `[B,H,W,C]` as `[B,C,H,W]`.
    ///
    /// # Errors
    /// As [`Emitter::rows`].
    pub fn planes(&mut self, id: ValueId) -> Result<String> {
        let shape = self.shape(id);
        if let Some(form) = self.form(id, |form| form.planes && form.shape == shape) {
            return Ok(form.name.clone());
        }
        let rows = self.rows(id)?;
        let name = self.transpose(&rows, &TO_PLANES);
        self.set_planes_too(id, name.clone());
        Ok(name)
    }

    /// A part of a value that depends on weights alone, as a constant of this shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if it depends on the image.
    pub fn weight(
        &mut self,
        id: ValueId,
        first: usize,
        shape: &[usize],
        arrangement: Arrangement,
    ) -> Result<String> {
        let root = self.tape.root(id);
        let name = &self.tape.value(root).name;
        if !self.is_constant(id) {
            let problem = format!("`{name}` depends on the image where a constant can be translated");
            return Err(Error::shape("onnx", problem));
        }
        Ok(self.graph.constant(name, shape, Data::Weight(Weight { root, first, arrangement })))
    }

    /// A constant `[C]` that meets the channels of tensors in planes or of such in rows.
    ///
    /// # Errors
    /// As [`Emitter::weight`].
    pub fn per_channel(&mut self, id: ValueId, planes: bool) -> Result<String> {
        let channels = self.channels(id);
        let shape: &[usize] = if planes { &[channels, 1, 1] } else { &[channels] };
        self.weight(id, 0, shape, Arrangement::Rows)
    }

    /// Says that `name` holds the new content of the value, in rows of its own shape.
    pub fn give(&mut self, id: ValueId, name: String) {
        self.give_lines(id, self.shape(id), name);
    }

    /// Says that `name` holds the new content of the value, in rows of this shape.
    pub fn give_lines(&mut self, id: ValueId, shape: &[usize], name: String) {
        self.forms.remove(&self.tape.root(id));
        self.set(id, shape, name);
    }

    /// Says that `name` holds the new content of the value, in planes.
    pub fn give_planes(&mut self, id: ValueId, name: String) {
        self.forms.remove(&self.tape.root(id));
        self.set_planes_too(id, name);
    }

    fn set(&mut self, id: ValueId, shape: &[usize], name: String) {
        let form = Form { shape: shape.to_vec(), planes: false, name };
        self.forms.entry(self.tape.root(id)).or_default().push(form);
    }

    fn set_planes_too(&mut self, id: ValueId, name: String) {
        let form = Form { shape: self.shape(id).to_vec(), planes: true, name };
        self.forms.entry(self.tape.root(id)).or_default().push(form);
    }
}
