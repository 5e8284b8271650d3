//! A graph of ONNX operators that is being built, and its bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::protobuf::Message;

use super::field;
use super::weight::Weight;

/// The set of operators whose meanings are used: ONNX Runtime has had it since 1.12.
pub(super) const OPSET: u64 = 17;
/// The version of the file format that came with it.
const IR_VERSION: u64 = 8;

/// What protobuf can hold in one message.
const MAX_BYTES: usize = i32::MAX as usize;

/// A constant property of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

pub(super) type Attributes<'a> = &'a [(&'static str, Attribute)];

/// What a constant tensor holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    /// A part of the model, fetched when the file is written.
    Weight(Weight),
}

/// A constant tensor.
#[derive(Debug)]
pub(super) struct Initializer {
    pub name: String,
    pub shape: Vec<usize>,
    pub data: Data,
}

/// An operator on tensors by name; an empty name stands for an input that is left out.
#[derive(Debug)]
pub(super) struct Node {
    pub op: &'static str,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: Vec<(&'static str, Attribute)>,
}

/// Name, type and shape of what goes in or comes out.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub name: &'static str,
    pub integer: bool,
    pub shape: Vec<usize>,
}

/// The graph. Equal nodes and equal constants are one.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub initializers: Vec<Initializer>,
    /// What names of new nodes start with.
    pub label: String,
    known: BTreeMap<String, Vec<String>>,
    names: BTreeSet<String>,
}

impl Graph {
    /// `wanted`, or with a number behind it if that is taken.
    fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            name = format!("{wanted}.{number}");
            number += 1;
        }
        name
    }

    /// Adds a node with `count` outputs, and gives their names.
    pub fn nodes(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Attributes<'_>,
        count: usize,
    ) -> Vec<String> {
        let key = format!("{op} {inputs:?} {attributes:?}");
        if let Some(outputs) = self.known.get(&key) {
            return outputs.clone();
        }
        let wanted = format!("{}/{op}", self.label);
        let outputs: Vec<String> = (0..count).map(|_| self.unique(&wanted)).collect();
        self.nodes.push(Node {
            op,
            inputs: inputs.iter().map(|&name| name.to_owned()).collect(),
            outputs: outputs.clone(),
            attributes: attributes.to_vec(),
        });
        self.known.insert(key, outputs.clone());
        outputs
    }

    /// Adds a node with one output, and gives its name.
    pub fn node(&mut self, op: &'static str, inputs: &[&str], attributes: Attributes<'_>) -> String {
        self.nodes(op, inputs, attributes, 1).remove(0)
    }

    /// Adds a constant, and gives its name, which starts with `wanted`.
    pub fn constant(&mut self, wanted: &str, shape: &[usize], data: Data) -> String {
        let key = format!("{shape:?} {data:?}");
        if let Some(outputs) = self.known.get(&key) {
            return outputs[0].clone();
        }
        let name = self.unique(wanted);
        self.known.insert(key, vec![name.clone()]);
        self.initializers.push(Initializer { name: name.clone(), shape: shape.to_vec(), data });
        name
    }

    /// Makes the tensor `name` an output of the graph.
    pub fn output(&mut self, name: &str, output: &'static str) {
        self.names.insert(output.to_owned());
        let (inputs, outputs) = (vec![name.to_owned()], vec![output.to_owned()]);
        self.nodes.push(Node { op: "Identity", inputs, outputs, attributes: Vec::new() });
    }

    /// Removes what no output of the graph depends on.
    pub fn prune(&mut self, outputs: &[Port]) {
        let mut needed: BTreeSet<String> = outputs.iter().map(|port| port.name.to_owned()).collect();
        let mut kept = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|name| needed.contains(name)) {
                needed.extend(node.inputs.iter().cloned());
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.initializers.retain(|i| needed.contains(&i.name));
    }

    /// The file; `weight` fetches parts of the model in the shape given.
    ///
    /// # Errors
    /// [`Error::Config`] where it would be larger than the format allows; those of `weight`.
    pub fn encode(
        &self,
        inputs: &[Port],
        outputs: &[Port],
        metadata: &BTreeMap<&str, String>,
        mut weight: impl FnMut(&Weight, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Vec<u8>> {
        let mut graph = Message::default();
        for node in &self.nodes {
            graph = graph.bytes(field::graph::NODE, &node.encode());
        }
        graph = graph.bytes(field::graph::NAME, b"protoseg");
        for (number, ports) in [(field::graph::INPUT, inputs), (field::graph::OUTPUT, outputs)] {
            for port in ports {
                graph = graph.bytes(number, &port.encode());
            }
        }
        let graph = graph.finish();
        // A tensor's head, and what stands before the tensor in the graph.
        let heads: Vec<(Vec<u8>, Vec<u8>)> = self.initializers.iter().map(Initializer::head).collect();
        let length = |i: usize| heads[i].0.len() + heads[i].1.len() + self.initializers[i].bytes();
        let graph_bytes = graph.len() + (0..heads.len()).map(length).sum::<usize>();
        let opset = Message::default().bytes(field::opset::DOMAIN, b"").integer(field::opset::VERSION, OPSET);
        let mut model = Message::default()
            .integer(field::model::IR_VERSION, IR_VERSION)
            .bytes(field::model::PRODUCER_NAME, b"protoseg")
            .bytes(field::model::PRODUCER_VERSION, env!("CARGO_PKG_VERSION").as_bytes())
            .bytes(field::model::OPSET_IMPORT, &opset.finish());
        for (key, value) in metadata {
            let entry = Message::default().bytes(field::entry::KEY, key.as_bytes());
            model = model
                .bytes(field::model::METADATA, &entry.bytes(field::entry::VALUE, value.as_bytes()).finish());
        }
        let mut out = model.announce(field::model::GRAPH, graph_bytes).finish();
        if out.len() + graph_bytes > MAX_BYTES {
            return Err(Error::config(
                format!(
                    "the ONNX file would have {} MB, and the format ends at 2 GiB",
                    (out.len() + graph_bytes) / 1_000_000
                ),
                "export a model with a smaller backbone, or its weights with --backbone",
            ));
        }
        out.reserve_exact(graph_bytes);
        out.extend(graph);
        for ((announced, head), initializer) in std::iter::zip(&heads, &self.initializers) {
            out.extend(announced);
            out.extend(head);
            let mut floats = |data: &[f32]| out.extend(data.iter().flat_map(|x| x.to_le_bytes()));
            match &initializer.data {
                Data::Floats(data) => floats(data),
                Data::Integers(data) => out.extend(data.iter().flat_map(|x| x.to_le_bytes())),
                Data::Weight(of) => floats(&weight(of, &initializer.shape)?),
            }
        }
        Ok(out)
    }
}

impl Initializer {
    /// Bytes of the content.
    pub fn bytes(&self) -> usize {
        let each = if matches!(self.data, Data::Integers(_)) { 8 } else { 4 };
        self.shape.iter().product::<usize>() * each
    }

    /// What stands before the tensor in the graph, and what in it before its content.
    fn head(&self) -> (Vec<u8>, Vec<u8>) {
        let mut tensor = Message::default();
        for &extent in &self.shape {
            tensor = tensor.integer(field::tensor::DIMS, extent as u64);
        }
        let integer = matches!(self.data, Data::Integers(_));
        let head = tensor
            .integer(field::tensor::DATA_TYPE, element_type(integer))
            .bytes(field::tensor::NAME, self.name.as_bytes())
            .announce(field::tensor::RAW_DATA, self.bytes())
            .finish();
        let announced =
            Message::default().announce(field::graph::INITIALIZER, head.len() + self.bytes()).finish();
        (announced, head)
    }
}

const fn element_type(integer: bool) -> u64 {
    if integer { field::INT64 } else { field::FLOAT }
}

impl Node {
    fn encode(&self) -> Vec<u8> {
        let mut node = Message::default();
        for (number, names) in [(field::node::INPUT, &self.inputs), (field::node::OUTPUT, &self.outputs)] {
            for name in names {
                node = node.bytes(number, name.as_bytes());
            }
        }
        node = node.bytes(field::node::NAME, self.outputs[0].as_bytes());
        node = node.bytes(field::node::OP_TYPE, self.op.as_bytes());
        for (name, value) in &self.attributes {
            node = node.bytes(field::node::ATTRIBUTE, &value.encode(name));
        }
        node.finish()
    }
}

impl Attribute {
    fn encode(&self, name: &str) -> Vec<u8> {
        let out = Message::default().bytes(field::attribute::NAME, name.as_bytes());
        let (out, kind) = match self {
            Self::Float(value) => (out.float(field::attribute::F, *value), field::attribute::KIND_FLOAT),
            Self::Int(value) => (out.integer(field::attribute::I, *value as u64), field::attribute::KIND_INT),
            Self::Text(text) => {
                (out.bytes(field::attribute::S, text.as_bytes()), field::attribute::KIND_STRING)
            }
            Self::Ints(values) => {
                let add = |out: Message, &value: &i64| out.integer(field::attribute::INTS, value as u64);
                (values.iter().fold(out, add), field::attribute::KIND_INTS)
            }
        };
        out.integer(field::attribute::TYPE, kind).finish()
    }
}

impl Port {
    fn encode(&self) -> Vec<u8> {
        let mut shape = Message::default();
        for &extent in &self.shape {
            let dim = Message::default().integer(field::value::DIM_VALUE, extent as u64);
            shape = shape.bytes(field::value::DIM, &dim.finish());
        }
        let tensor = Message::default()
            .integer(field::value::ELEM_TYPE, element_type(self.integer))
            .bytes(field::value::SHAPE, &shape.finish());
        let kind = Message::default().bytes(field::value::TENSOR_TYPE, &tensor.finish());
        Message::default()
            .bytes(field::value::NAME, self.name.as_bytes())
            .bytes(field::value::TYPE, &kind.finish())
            .finish()
    }
}
