//! PyTorch's files: a zip archive of a pickle and one entry per storage, or the older file of pickles in a row.

mod archive;
mod legacy;
mod names;

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::tensor::Dtype;

use super::pickle::{AGAIN, Graph, Id, Node, Read, Refusal, Storage, View};
use crate::model_file::to_f32;

/// A tensor of a stride of 0 repeats elements; up to this many it may have more of them than its storage.
const MAX_REPEATED: usize = 1 << 24;

/// A file of PyTorch's in memory.
#[derive(Debug)]
pub struct TorchFile {
    bytes: Vec<u8>,
    graph: Graph,
    /// Where the numbers of each storage lie in the file.
    storages: BTreeMap<String, Range<usize>>,
    is_big_endian: bool,
    /// The tensors by their names, and their nodes.
    tensors: BTreeMap<String, Id>,
}

impl TorchFile {
    /// Whether `bytes` start as one of the files of PyTorch do.
    #[must_use]
    pub fn recognises(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK") || matches!(bytes.first(), Some(0x80 | b'(' | b'c'))
    }

    /// Reads the pickles in `bytes`; the numbers are looked at when they are asked for.
    ///
    /// # Errors
    /// [`Refusal`] for what is no file of weights, or a damaged one, or one that could do more than hold weights.
    pub fn read(bytes: Vec<u8>) -> Read<Self> {
        if bytes.starts_with(b"PK") { archive::read(bytes) } else { legacy::read(bytes) }
    }

    /// The tensors' names with their element types, where those are plain numbers, and shapes.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Option<Dtype>, &[usize])> {
        self.tensors.iter().filter_map(|(name, &id)| {
            let (view, storage) = self.view(id)?;
            Some((name.as_str(), storage.dtype, &view.shape[..]))
        })
    }

    fn view(&self, id: Id) -> Option<(&View, &Storage)> {
        let Node::Tensor(view) = self.graph.node(id) else { return None };
        let Node::Storage(storage) = self.graph.node(view.storage) else { return None };
        Some((view, storage))
    }

    /// The values of the tensor `name`, row-major.
    ///
    /// # Errors
    /// [`Refusal`] where the tensor reaches beyond its storage, or the storage is damaged or absent.
    pub fn values(&self, name: &str) -> Read<Vec<f32>> {
        let found = self.tensors.get(name).and_then(|&id| self.view(id));
        let Some((view, storage)) = found else {
            return Err(Refusal::damaged(format!("it has no tensor `{name}`")));
        };
        let dtype = storage.dtype.ok_or_else(|| Refusal {
            problem: format!("`{name}` holds neither floats nor integers"),
            remedy: "save that tensor as floats",
        })?;
        let span = span(view).filter(|span| span.end <= storage.elements);
        let span = span.ok_or_else(|| {
            let (shape, elements, key) = (&view.shape, storage.elements, self.key(storage));
            Refusal::damaged(format!(
                "`{name}` of shape {shape:?} reaches beyond the {elements} numbers of its storage `{key}`"
            ))
        })?;
        let values = self.numbers(storage, dtype, &span)?;
        Ok(gather(view, span.start, values))
    }

    /// The name of a storage.
    fn key(&self, storage: &Storage) -> &str {
        self.graph.text(storage.key).unwrap_or_default()
    }

    /// Some of the numbers of a storage.
    fn numbers(&self, storage: &Storage, dtype: Dtype, span: &Range<usize>) -> Read<Vec<f32>> {
        let (key, elements) = (self.key(storage), storage.elements);
        let held = self.storages.get(key).and_then(|range| self.bytes.get(range.clone()));
        let size = dtype.bitsize() / 8;
        let bytes = held.and_then(|bytes| bytes.get(span.start * size..span.end.checked_mul(size)?));
        let bytes = bytes.ok_or_else(|| {
            let held = held.map_or(0, <[u8]>::len);
            Refusal::damaged(format!(
                "its storage `{key}` of {elements} numbers ({dtype:?}) has {held} bytes"
            ))
        })?;
        let read = if self.is_big_endian {
            let swapped: Vec<u8> =
                bytes.chunks_exact(size).flat_map(|number| number.iter().rev().copied()).collect();
            to_f32(dtype, &swapped)
        } else {
            to_f32(dtype, bytes)
        };
        read.ok_or_else(|| Refusal { problem: format!("its storage `{key}` holds {dtype:?}"), remedy: AGAIN })
    }
}

/// The elements of its storage between which a view lies; `None` where no memory holds that many, or the view repeats elements
/// so often that it has more than [`MAX_REPEATED`].
fn span(view: &View) -> Option<Range<usize>> {
    let View { offset, shape, strides, .. } = view;
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length))?;
    if count == 0 {
        return Some(0..0);
    }
    let reach = |(&length, &stride): (&usize, &usize)| (length - 1).checked_mul(stride);
    let last = std::iter::zip(shape, strides).try_fold(*offset, |at, axis| at.checked_add(reach(axis)?))?;
    let span = *offset..last.checked_add(1)?;
    (count <= span.len().max(MAX_REPEATED)).then_some(span)
}

/// The elements of a view in row-major order, of `values` that begin with the element `start` of its storage.
fn gather(view: &View, start: usize, values: Vec<f32>) -> Vec<f32> {
    let View { offset, shape, strides, .. } = view;
    let mut count = 1;
    let mut is_contiguous = true;
    for (&length, &stride) in std::iter::zip(shape, strides).rev() {
        is_contiguous &= length == 1 || stride == count;
        count *= length;
    }
    if is_contiguous || count == 0 {
        return values;
    }
    let mut places = vec![offset - start];
    for (&length, &stride) in std::iter::zip(shape, strides) {
        places = places.iter().flat_map(|&place| (0..length).map(move |i| place + i * stride)).collect();
    }
    places.into_iter().map(|place| values[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> View {
        View { storage: 0, offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    /// What a view reads of 0, 1, 2, ... 11.
    fn read(view: &View) -> Option<Vec<f32>> {
        let span = span(view).filter(|span| span.end <= 12)?;
        Some(gather(view, span.start, span.map(|i| i as f32).collect()))
    }

    #[test]
    fn a_view_reads_what_its_strides_say_and_no_further() {
        assert_eq!(read(&view(1, &[2, 3], &[3, 1])).unwrap(), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(read(&view(0, &[3, 2], &[1, 3])).unwrap(), [0., 3., 1., 4., 2., 5.]);
        assert_eq!(read(&view(3, &[2, 2], &[4, 2])).unwrap(), [3., 5., 7., 9.]);
        assert_eq!(read(&view(7, &[], &[])).unwrap(), [7.]);
        assert_eq!(read(&view(2, &[2, 2], &[0, 1])).unwrap(), [2., 3., 2., 3.]);
        assert_eq!(read(&view(5, &[1, 2, 1], &[9, 1, 9])).unwrap(), [5., 6.]);
        assert_eq!(read(&view(0, &[4, 0], &[0, 1])).unwrap(), [0f32; 0]);
        assert_eq!(read(&view(7, &[2, 3], &[3, 1])), None);
        assert_eq!(read(&view(0, &[usize::MAX, 2], &[1, 1])), None);
        assert_eq!(read(&view(0, &[1 << 20, 1 << 20], &[0, 0])), None);
        assert_eq!(read(&view(usize::MAX, &[2], &[1])), None);
        assert_eq!(read(&view(usize::MAX, &[1], &[1])), None);
    }
}
