//! The stack machine.

use std::collections::BTreeMap;

use super::globals;
use super::reader::Reader;
use super::value::{Global, Graph, Id, Node, Storage, View};
use super::{Read, Refusal};

/// Most objects of one pickle, counted with the items of every list and dictionary and the axes of tensors: a hundred times what
/// the largest checkpoints have. The stack, its marks and the memo hold no more each.
const MAX_OBJECTS: usize = 4_000_000;

/// Longest name that is repeated in a message.
const MAX_NAME: usize = 80;

/// A pickle that was read.
#[derive(Debug)]
pub struct Pickle {
    /// Everything in it.
    pub graph: Graph,
    /// The value that it stands for.
    pub root: Id,
    /// Its length in bytes; another may follow.
    pub bytes: usize,
}

/// Reads one pickle from the start of `bytes`.
///
/// # Errors
/// [`Refusal`] for the first thing that a file of weights has no need of, and for damage.
pub fn unpickle(bytes: &[u8]) -> Read<Pickle> {
    let mut machine = Machine {
        reader: Reader::new(bytes),
        graph: Graph::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        objects: 0,
    };
    loop {
        if let Some(root) = machine.step()? {
            let bytes = machine.reader.position();
            return Ok(Pickle { graph: machine.graph, root, bytes });
        }
    }
}

struct Machine<'a> {
    reader: Reader<'a>,
    graph: Graph,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<u64, Id>,
    /// Objects so far.
    objects: usize,
}

impl Machine<'_> {
    /// Runs one instruction; the last one gives the value of it all.
    fn step(&mut self) -> Read<Option<Id>> {
        match self.reader.byte()? {
            b'.' => return self.pop().map(Some),
            // Protocol and frame: nothing to know.
            0x80 => drop(self.reader.take(1)?),
            0x95 => drop(self.reader.take(8)?),
            b'(' => {
                Self::limit(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.place(self.top()?)?,
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => self.signed(4)?,
            0x8A => {
                let size = self.reader.length(1)?;
                self.signed(size)?;
            }
            0x8B => {
                let size = self.reader.length(4)?;
                self.signed(size)?;
            }
            b'G' => self.bytes(8)?,
            b'U' | 0x8C => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8D => self.text(8)?,
            b'C' => self.long_bytes(1)?,
            b'B' => self.long_bytes(4)?,
            0x8E | 0x96 => self.long_bytes(8)?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b']' | 0x8F => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = Self::pairs(&items)?;
                self.push(Node::Dict(pairs))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![(key, value)])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(Self::pairs(&items)?)?;
            }
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => self.keep(self.memo.len() as u64)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' | b'i' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.graph.text(module), self.graph.text(name)) else {
                    return Err(Refusal::forbidden("it asks for a function by something other than a name"));
                };
                let (module, name) = (module.to_owned(), name.to_owned());
                self.global(&module, &name)?;
            }
            b'R' | 0x81 => self.call()?,
            // State of an object (hooks, metadata), which nothing here reads.
            b'b' => drop(self.pop()?),
            b'Q' => self.persistent()?,
            other => {
                let at = self.reader.position() - 1;
                let problem = format!(
                    "its pickle holds the instruction 0x{other:02X} at byte {at}, which weights do not need"
                );
                return Err(Refusal::forbidden(problem));
            }
        }
        Ok(None)
    }

    /// Refuses what goes on for longer than any checkpoint.
    fn limit(count: usize) -> Read<()> {
        if count < MAX_OBJECTS {
            return Ok(());
        }
        let problem = format!("its pickle holds more than {MAX_OBJECTS} objects, as no checkpoint does");
        Err(Refusal::forbidden(problem))
    }

    fn push(&mut self, node: Node) -> Read<()> {
        let items = match &node {
            Node::List(items) | Node::Tuple(items) => items.len(),
            Node::Dict(pairs) => pairs.len(),
            Node::Tensor(view) => view.shape.len() + view.strides.len(),
            _ => 0,
        };
        self.objects += 1 + items;
        Self::limit(self.objects)?;
        let id = self.graph.add(node);
        self.place(id)
    }

    fn place(&mut self, id: Id) -> Read<()> {
        Self::limit(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Read<Id> {
        // An open mark is not passed.
        let floor = self.marks.last().copied().unwrap_or(0);
        let value = if self.stack.len() > floor { self.stack.pop() } else { None };
        value.ok_or_else(|| Refusal::damaged("its pickle takes a value that is not there"))
    }

    fn top(&self) -> Read<Id> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| Refusal::damaged("its pickle reads a value that is not there"))
    }

    fn pop_mark(&mut self) -> Read<Vec<Id>> {
        let height =
            self.marks.pop().ok_or_else(|| Refusal::damaged("its pickle closes what it never opened"))?;
        Ok(self.stack.split_off(height))
    }

    fn pairs(items: &[Id]) -> Read<Vec<(Id, Id)>> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Refusal::damaged("its pickle has a key without a value"));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn integer(&mut self, size: usize) -> Read<()> {
        let number = self.reader.unsigned(size)?;
        self.push(Node::Int(number as i64))
    }

    fn signed(&mut self, size: usize) -> Read<()> {
        let number = self.reader.signed(size)?;
        self.push(number.map_or(Node::Other, Node::Int))
    }

    fn bytes(&mut self, count: usize) -> Read<()> {
        self.reader.take(count)?;
        self.push(Node::Other)
    }

    fn long_bytes(&mut self, size: usize) -> Read<()> {
        let count = self.reader.length(size)?;
        self.bytes(count)
    }

    fn text(&mut self, size: usize) -> Read<()> {
        let count = self.reader.length(size)?;
        let text = String::from_utf8_lossy(self.reader.take(count)?).into_owned();
        self.push(Node::Text(text))
    }

    fn tuple(&mut self, count: usize) -> Read<()> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::Tuple(items))
    }

    fn extend(&mut self, items: Vec<Id>) -> Read<()> {
        let top = self.top()?;
        match self.graph.node_mut(top) {
            Node::List(list) => list.extend(items),
            Node::Other => {}
            _ => return Err(Refusal::damaged("its pickle appends to something that is no list")),
        }
        Ok(())
    }

    fn insert(&mut self, pairs: Vec<(Id, Id)>) -> Read<()> {
        let top = self.top()?;
        match self.graph.node_mut(top) {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Other => {}
            _ => return Err(Refusal::damaged("its pickle puts a key into something that is no dictionary")),
        }
        Ok(())
    }

    fn remember(&mut self, size: usize) -> Read<()> {
        let index = self.reader.unsigned(size)?;
        self.keep(index)
    }

    fn keep(&mut self, index: u64) -> Read<()> {
        Self::limit(self.memo.len())?;
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, size: usize) -> Read<()> {
        let index = self.reader.unsigned(size)?;
        let id = self.memo.get(&index).copied();
        self.place(id.ok_or_else(|| Refusal::damaged("its pickle refers to a value that is not there"))?)
    }

    fn global(&mut self, module: &str, name: &str) -> Read<()> {
        let Some(global) = globals::known(module, name) else {
            let full: String = format!("{module}.{name}").escape_debug().take(MAX_NAME).collect();
            return Err(Refusal::forbidden(format!(
                "its pickle asks for `{full}`, which weights do not need"
            )));
        };
        self.push(Node::Global(global))
    }

    /// Calls what lies below the arguments: one of the cases that [`Global`] lists.
    fn call(&mut self) -> Read<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Node::Global(global) = *self.graph.node(function) else {
            return Err(Refusal::forbidden("its pickle calls something that is no function"));
        };
        let Some(arguments) = self.graph.items(arguments) else {
            return Err(Refusal::damaged("its pickle calls a function without arguments"));
        };
        let first = arguments.first().copied();
        match global {
            Global::Inert => self.push(Node::Other),
            Global::Size => {
                let items = first.and_then(|id| self.graph.items(id)).unwrap_or_default().to_vec();
                self.push(Node::Tuple(items))
            }
            Global::Dict => {
                let pairs = first.map_or(Some(Vec::new()), |id| self.dictionary(id));
                self.push(Node::Dict(pairs.ok_or_else(|| {
                    Refusal::damaged("its pickle makes a dictionary of something that is none")
                })?))
            }
            Global::Parameter => {
                let tensor = first.filter(|&id| matches!(self.graph.node(id), Node::Tensor(_)));
                self.stack.push(
                    tensor
                        .ok_or_else(|| Refusal::damaged("its pickle makes a parameter without a tensor"))?,
                );
                Ok(())
            }
            Global::Tensor => {
                let view = self.view(arguments);
                self.push(Node::Tensor(view.ok_or_else(|| {
                    Refusal::damaged("its pickle makes a tensor of something that is no storage")
                })?))
            }
            Global::Storage(_) => Err(Refusal::forbidden("its pickle makes a storage of its own")),
        }
    }

    /// The pairs of a dictionary, or of a list of them.
    fn dictionary(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        if let Node::Dict(pairs) = self.graph.node(id) {
            return Some(pairs.clone());
        }
        let pair = |&item: &Id| match self.graph.items(item)? {
            &[key, value] => Some((key, value)),
            _ => None,
        };
        self.graph.items(id)?.iter().map(pair).collect()
    }

    fn view(&self, arguments: &[Id]) -> Option<View> {
        let &[storage, offset, shape, strides, ..] = arguments else { return None };
        if !matches!(self.graph.node(storage), Node::Storage(_)) {
            return None;
        }
        let (shape, strides) = (self.graph.sizes(shape)?, self.graph.sizes(strides)?);
        let offset = self.graph.size(offset)?;
        (shape.len() == strides.len()).then_some(View { storage, offset, shape, strides })
    }

    /// `("storage", TYPE, KEY, DEVICE, ELEMENTS)`, in old files with a sixth item, which is `None` unless the storage is part of
    /// another.
    fn persistent(&mut self) -> Read<()> {
        let id = self.pop()?;
        let parts = self.graph.items(id).unwrap_or_default();
        let storage = match parts {
            &[kind, of, key, _, elements, ..] if self.graph.text(kind) == Some("storage") => {
                let whole = parts.get(5).is_none_or(|&id| *self.graph.node(id) == Node::None);
                let dtype = match self.graph.node(of) {
                    Node::Global(Global::Storage(dtype)) if whole => Some(*dtype),
                    _ => None,
                };
                let elements = self.graph.size(elements).filter(|_| self.graph.text(key).is_some());
                dtype.zip(elements).map(|(dtype, elements)| Storage { key, dtype, elements })
            }
            _ => None,
        };
        let storage = storage.ok_or_else(|| {
            Refusal::forbidden("its pickle refers to something outside itself that is no storage of numbers")
        })?;
        self.push(Node::Storage(storage))
    }
}

#[cfg(test)]
mod tests;
