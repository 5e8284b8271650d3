//! The form before PyTorch 1.6: pickles of a magic number, a version, the system and the value, then the storages' keys and
//! their numbers, each behind its count.

use std::collections::BTreeMap;

use super::super::pickle::{Graph, Node, Pickle, Read, Refusal, unpickle};
use super::{TorchFile, names};

/// What the first pickle holds: 0x1950a86a20f9469cfc6c, little endian in a long of ten bytes.
const MAGIC: &[u8] = &[0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, b'.'];

/// The version of the form that the second holds.
const VERSION: i64 = 1001;

/// Reads the file in `bytes`.
pub fn read(bytes: Vec<u8>) -> Read<TorchFile> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        // What would run something is told first.
        unpickle(&bytes)?;
        return Err(Refusal {
            problem: "is a pickle, but not one of torch.save".into(),
            remedy: "load it in Python and save its weights with torch.save or safetensors.torch.save_file",
        });
    };
    let mut at = bytes.len() - rest.len();
    let mut next = || -> Read<Pickle> {
        let pickle = unpickle(&bytes[at..])?;
        at += pickle.bytes;
        Ok(pickle)
    };
    let version = next()?;
    if *version.graph.node(version.root) != Node::Int(VERSION) {
        return Err(Refusal::damaged(format!("is not of version {VERSION} of PyTorch's old form")));
    }
    let system = next()?;
    let value = next()?;
    let keys = next()?;
    let is_big_endian = is_big_endian(&system);
    let sizes = element_sizes(&value.graph);
    let mut storages = BTreeMap::new();
    for &key in keys.graph.items(keys.root).unwrap_or_default() {
        let key = keys.graph.text(key).unwrap_or_default();
        let Some(&size) = sizes.get(key) else {
            return Err(Refusal::damaged(format!("its storage `{key}` is of no type of plain numbers")));
        };
        let cut = || Refusal::damaged(format!("is cut off in the numbers of its storage `{key}`"));
        let count = bytes[at..].first_chunk().copied().ok_or_else(cut)?;
        let count = if is_big_endian { u64::from_be_bytes(count) } else { u64::from_le_bytes(count) };
        let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(size)).ok_or_else(cut)?;
        let range = at + 8..(at + 8).checked_add(length).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        at = range.end;
        storages.insert(key.to_owned(), range);
    }
    let tensors = names::tensors(&value)?;
    Ok(TorchFile { graph: value.graph, storages, is_big_endian, tensors, bytes })
}

/// What the system says of itself.
fn is_big_endian(system: &Pickle) -> bool {
    let Pickle { graph, root, .. } = system;
    let Node::Dict(pairs) = graph.node(*root) else { return false };
    let own = pairs.iter().find(|&&(key, _)| graph.text(key) == Some("little_endian"));
    own.is_some_and(|&(_, value)| *graph.node(value) == Node::Bool(false))
}

/// Bytes per element of every storage that the pickle mentions.
fn element_sizes(graph: &Graph) -> BTreeMap<&str, usize> {
    let storages = graph.nodes().filter_map(|node| match node {
        Node::Storage(storage) => Some((graph.text(storage.key)?, storage.dtype?.bitsize() / 8)),
        _ => None,
    });
    storages.collect()
}
