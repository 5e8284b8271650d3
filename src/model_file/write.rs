//! The writing side: sorted, therefore reproducible, and atomic.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use serde_json::{Map, Value, json};

use super::{Tensor, Tensors};
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;

/// Writes `tensors` as F32 with `metadata`; the old file stays where that fails.
///
/// # Errors
/// [`Error::Shape`] as [`encode`]; [`Error::Io`] where the file cannot be written.
pub fn write(path: impl AsRef<Path>, tensors: &Tensors, metadata: &BTreeMap<String, String>) -> Result<()> {
    write_atomic(path, &encode(tensors, metadata)?)
}

/// The bytes of a safetensors file with all numbers as F32: a function of the arguments alone.
///
/// # Errors
/// [`Error::Shape`] as [`encode_with`].
pub fn encode(tensors: &Tensors, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    encode_with(tensors, metadata, |_, _| false)
}

/// The same with the tensors that `is_half` accepts rounded to F16. They lie behind the others, so that every number lies at a
/// multiple of its size.
///
/// The header is built here because the crate's writer keeps the metadata in a hash map, whose order differs from run
/// to run.
///
/// # Errors
/// [`Error::Shape`] where a tensor's shape and number of values disagree or a tensor has the header's reserved name.
pub fn encode_with(
    tensors: &Tensors,
    metadata: &BTreeMap<String, String>,
    is_half: impl Fn(&str, &Tensor) -> bool,
) -> Result<Vec<u8>> {
    let (halves, wholes): (Vec<_>, Vec<_>) = tensors.iter().partition(|(name, tensor)| is_half(name, tensor));
    let each = || {
        let halves = halves.iter().map(|&(name, tensor)| (name, tensor, true));
        wholes.iter().map(|&(name, tensor)| (name, tensor, false)).chain(halves)
    };
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    let mut num_bytes = 0;
    for (name, tensor, half) in each() {
        if tensor.shape.iter().product::<usize>() != tensor.data.len() {
            let (shape, len) = (&tensor.shape, tensor.data.len());
            return Err(Error::shape(
                "write_model",
                format!("`{name}` has the shape {shape:?} but {len} values"),
            ));
        }
        if name == "__metadata__" {
            return Err(Error::shape("write_model", "a tensor cannot be called `__metadata__`"));
        }
        let (dtype, size) = if half { ("F16", 2) } else { ("F32", 4) };
        let end = num_bytes + tensor.data.len() * size;
        header.insert(
            name.clone(),
            json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [num_bytes, end]}),
        );
        num_bytes = end;
    }
    let mut text = Value::Object(header).to_string();
    // Readers that map the file want the data to start at a multiple of 8.
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    let mut bytes = Vec::with_capacity(8 + text.len() + num_bytes);
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
    for (_, tensor, half) in each() {
        if half {
            bytes.extend(tensor.data.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()));
        } else {
            bytes.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    Ok(bytes)
}
