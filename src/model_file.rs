//! Model, weights and golden files: safetensors in, safetensors out.
//!
//! Reading keeps the stored bytes and converts when asked, because golden files mix f32, f64 and integers. Writing sorts
//! by name, so the same tensors and metadata always give the same bytes.

mod convert;
mod write;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::disk;
use crate::error::{Error, Result};

pub use convert::to_f32;
pub use write::{encode, encode_with, write};

/// A tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Tensors by name, in the order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// A safetensors file in memory.
#[derive(Clone, Debug)]
pub struct ModelFile {
    path: PathBuf,
    /// The whole file; the entries point into it.
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// Reads a safetensors file.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Model`] where its header is damaged or the file is cut off.
pub fn read(path: impl AsRef<Path>) -> Result<ModelFile> {
    let path = path.as_ref();
    let bytes = disk::read(path).map_err(|e| Error::io("read the model file", path, e))?;
    ModelFile::from_bytes(path, bytes)
}

impl ModelFile {
    /// Takes the bytes of a safetensors file that came from elsewhere (a browser's file dialog); `path` is the name used
    /// in messages.
    ///
    /// # Errors
    /// [`Error::Model`] where the header is damaged or the file is cut off.
    pub fn from_bytes(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let damaged = |e: safetensors::SafeTensorError| {
            let remedy = "copy or download it again; weights of another kind, such as a .pth, are brought into this form by \
                          `protoseg import`";
            Error::model(&path, format!("is not a whole safetensors file ({e})"), remedy)
        };
        let (header_bytes, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        // The header is preceded by its own length in 8 bytes.
        let start = 8 + header_bytes;
        let entries = header.tensors().into_iter().map(|(name, info)| {
            let range = start + info.data_offsets.0..start + info.data_offsets.1;
            (name, Entry { dtype: info.dtype, shape: info.shape.clone(), range })
        });
        let entries = entries.collect();
        let metadata =
            header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self { path, bytes, entries, metadata })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text entries of the header.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is a tensor called `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of the tensor `name`.
    ///
    /// # Errors
    /// [`Error::Model`] naming the most similar name there is.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.entry(name)?.shape)
    }

    /// The stored type of the tensor `name`.
    ///
    /// # Errors
    /// [`Error::Model`] naming the most similar name there is.
    pub fn dtype(&self, name: &str) -> Result<Dtype> {
        Ok(self.entry(name)?.dtype)
    }

    /// The values of `name` as f32, converted from any plain float or integer type.
    ///
    /// # Errors
    /// [`Error::Model`] where the tensor is absent or of another type.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>> {
        self.values(name, convert::to_f32, "a number type that can be read as f32")
    }

    /// The values of `name` as f64, converted from any plain float or integer type.
    ///
    /// # Errors
    /// [`Error::Model`] where the tensor is absent or of another type.
    pub fn f64(&self, name: &str) -> Result<Vec<f64>> {
        self.values(name, convert::to_f64, "a number type that can be read as f64")
    }

    /// The values of `name` as i64, converted from any integer type or bool.
    ///
    /// # Errors
    /// [`Error::Model`] where the tensor is absent or holds no integers.
    pub fn i64(&self, name: &str) -> Result<Vec<i64>> {
        self.values(name, convert::to_i64, "integers")
    }

    /// The weights `name`, which must be floats of the shape `expected`.
    ///
    /// # Errors
    /// [`Error::Model`] naming the tensor and both shapes, or the most similar name there is.
    pub fn get(&self, name: &str, expected: &[usize]) -> Result<Tensor> {
        let entry = self.entry(name)?;
        if entry.shape != expected {
            let problem = format!("`{name}` has the shape {:?} where {expected:?} is needed", entry.shape);
            let remedy = "use the file that belongs to this architecture, number of classes and prototypes";
            return Err(Error::model(&self.path, problem, remedy));
        }
        if !matches!(entry.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64) {
            return Err(self.wrong_type(name, entry.dtype, "floating-point weights"));
        }
        Ok(Tensor { shape: entry.shape.clone(), data: self.f32(name)? })
    }

    /// All tensors as f32.
    ///
    /// # Errors
    /// [`Error::Model`] where one is not of a plain number type.
    pub fn tensors(&self) -> Result<Tensors> {
        let tensor = |(name, entry): (&String, &Entry)| {
            Ok((name.clone(), Tensor { shape: entry.shape.clone(), data: self.f32(name)? }))
        };
        self.entries.iter().map(tensor).collect()
    }

    fn values<T>(
        &self,
        name: &str,
        convert: fn(Dtype, &[u8]) -> Option<Vec<T>>,
        needed: &str,
    ) -> Result<Vec<T>> {
        let entry = self.entry(name)?;
        convert(entry.dtype, &self.bytes[entry.range.clone()])
            .ok_or_else(|| self.wrong_type(name, entry.dtype, needed))
    }

    fn wrong_type(&self, name: &str, dtype: Dtype, needed: &str) -> Error {
        let problem = format!("`{name}` holds {dtype:?} where {needed} must be");
        Error::model(&self.path, problem, "save that tensor in the type that is needed")
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| {
            let nearest = self.entries.keys().min_by_key(|other| edit_distance(name, other));
            let hint = nearest.map_or(String::new(), |nearest| format!(" (the most similar is `{nearest}`)"));
            let problem = format!("has no tensor `{name}` among its {}{hint}", self.entries.len());
            Error::model(&self.path, problem, "use the file that belongs to this architecture")
        })
    }
}

/// How many letters must be inserted, removed or replaced to make `b` of `a` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
