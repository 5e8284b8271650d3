//! The writing side: sorted, therefore reproducible, and atomic.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Tensors;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;

/// Writes `tensors` as F32 with `metadata`; the old file stays where that fails.
///
/// # Errors
/// [`Error::Shape`] as [`encode`]; [`Error::Io`] where the file cannot be written.
pub fn write(path: impl AsRef<Path>, tensors: &Tensors, metadata: &BTreeMap<String, String>) -> Result<()> {
    write_atomic(path, &encode(tensors, metadata)?)
}

/// The bytes of a safetensors file: a function of the arguments alone.
///
/// The header is built here because the crate's writer keeps the metadata in a hash map, whose order differs from run
/// to run.
///
/// # Errors
/// [`Error::Shape`] where a tensor's shape and number of values disagree or a tensor has the header's reserved name.
pub fn encode(tensors: &Tensors, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    let mut num_bytes = 0;
    for (name, tensor) in tensors {
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
        let end = num_bytes + tensor.data.len() * 4;
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [num_bytes, end]}),
        );
        num_bytes = end;
    }
    let mut text = Value::Object(header).to_string();
    // Readers that map the file want the data to start at a multiple of 8.
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    let mut bytes = Vec::with_capacity(8 + text.len() + num_bytes);
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
    for tensor in tensors.values() {
        bytes.extend(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(bytes)
}
