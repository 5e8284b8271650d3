//! What a pickle's stream leaves: nodes of a graph that refer to each other by number, so that neither a cycle nor a deep nest
//! costs more than its bytes.

use safetensors::tensor::Dtype;

/// Most axes of a tensor.
const MAX_AXES: usize = 16;

/// The number of a node in its [`Graph`].
pub type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// Text, also that of Python 2's byte strings.
    Text(String),
    /// A list or a set, by its items.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A dictionary in the order in which it was filled; of a key that is there twice the last value counts.
    Dict(Vec<(Id, Id)>),
    /// A name that the allowed list knows.
    Global(Global),
    /// Numbers that lie outside the pickle.
    Storage(Storage),
    /// A view of a storage.
    Tensor(View),
    /// Something harmless that nothing here reads: a float, bytes, a data type, a device.
    Other,
}

/// What the allowed names stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// A dictionary's type.
    Dict,
    /// `torch.Size`: a tuple of what it is called with.
    Size,
    /// A function that makes a tensor of a storage, an offset, a size and strides.
    Tensor,
    /// A function or type that hands its first argument, a tensor, on.
    Parameter,
    /// The type of a storage, by that of its elements where those are plain numbers.
    Storage(Option<Dtype>),
    /// Whose objects are of no interest.
    Inert,
}

/// Numbers in a row, outside the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The text that is its name in the file; another node, since any number of storages may refer to one long text.
    pub key: Id,
    /// The type of its elements, if they are plain numbers.
    pub dtype: Option<Dtype>,
    /// How many there are, as the pickle claims.
    pub elements: usize,
}

/// A tensor: which elements of a storage it has where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The storage's node.
    pub storage: Id,
    /// The first element.
    pub offset: usize,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// How many elements of the storage lie between neighbours along each axis.
    pub strides: Vec<usize>,
}

/// All nodes of a pickle.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// Adds a node and tells its number.
    pub(super) fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// A node, to be changed.
    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id]
    }

    /// The text of a node that is one.
    #[must_use]
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a node that is one and can be a size.
    #[must_use]
    pub fn size(&self, id: Id) -> Option<usize> {
        match *self.node(id) {
            Node::Int(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    /// The items of a list or a tuple.
    #[must_use]
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::List(items) | Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The sizes in a tuple of them, of which a tensor has a few.
    #[must_use]
    pub fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.items(id).filter(|items| items.len() <= MAX_AXES)?.iter().map(|&item| self.size(item)).collect()
    }
}
