//! Weights and state on the device, shared by plans, and how they know that something changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};

use super::layout::{pack, unpack};
use super::value::Value;

/// Counts the changes of a store's content. Plans hold a clone of it: what they computed from stored values alone is good as
/// long as the count stands still.
#[derive(Clone, Debug, Default)]
pub(super) struct Generation(Arc<AtomicU64>);

impl Generation {
    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Counts a change and returns the count before it.
    pub fn bump(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

/// Weights and state on the device, by name.
#[derive(Default)]
pub struct Store {
    entries: BTreeMap<String, (Value, Buffer)>,
    generation: Generation,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the changes of the content.
    pub(super) fn generation(&self) -> Generation {
        self.generation.clone()
    }

    /// The buffer of `value`, allocated (zeroed) if it is new.
    pub(super) fn buffer(&mut self, gpu: &Gpu, value: &Value) -> Result<Buffer> {
        if let Some((known, buffer)) = self.entries.get(&value.name) {
            if known.shape != value.shape || known.dtype != value.dtype {
                let kind = |v: &Value| format!("{:?} {:?}", v.dtype, v.shape);
                let problem = format!("`{}` is {} and {}", value.name, kind(known), kind(value));
                return Err(Error::shape("store", problem));
            }
            return Ok(buffer.clone());
        }
        let buffer = gpu.buffer(&value.name, value.bytes())?;
        self.entries.insert(value.name.clone(), (value.clone(), buffer.clone()));
        Ok(buffer)
    }

    /// Sets the dense content of `value`, which must be a param or state.
    ///
    /// # Errors
    /// [`Error::Device`] if there is no memory, [`Error::Shape`] if the name is known with another shape or type.
    pub fn set(&mut self, gpu: &Gpu, value: &Value, dense: &[f32]) -> Result<()> {
        let buffer = self.buffer(gpu, value)?;
        gpu.write(&buffer, bytemuck::cast_slice(&pack(&value.shape, value.dtype, dense)));
        self.generation.bump();
        Ok(())
    }

    /// Makes `copy` hold what this store holds, on the device; allocates only what `copy` does not have yet.
    ///
    /// # Errors
    /// [`Error::Device`] if there is no memory.
    pub fn copy_to(&self, gpu: &Gpu, copy: &mut Self) -> Result<()> {
        for (value, _) in self.entries.values() {
            copy.buffer(gpu, value)?;
        }
        gpu.copy(self.entries.iter().map(|(name, (_, from))| (from, &copy.entries[name].1)));
        copy.generation.bump();
        Ok(())
    }

    /// Makes `copy` hold under the second name of each pair what this store holds under the first, as [`Store::copy_to`] does.
    ///
    /// # Errors
    /// [`Error::Shape`] for an unknown name, [`Error::Device`] if there is no memory.
    pub fn copy_as(&self, gpu: &Gpu, copy: &mut Self, names: &[(String, String)]) -> Result<()> {
        let mut pairs = Vec::new();
        for (from, to) in names {
            let (value, buffer) = self.entry(from)?;
            let target = copy.buffer(gpu, &Value { name: to.clone(), ..value.clone() })?;
            pairs.push((buffer, target));
        }
        gpu.copy(pairs.iter().map(|(from, to)| (*from, to)));
        copy.generation.bump();
        Ok(())
    }

    /// Gives the new entry `value` the content of the entry `from`; one that is there already is left as it is.
    ///
    /// # Errors
    /// As [`Store::copy_as`].
    pub fn start_as(&mut self, gpu: &Gpu, value: &Value, from: &str) -> Result<()> {
        if !self.contains(&value.name) {
            let buffer = self.buffer(gpu, value)?;
            gpu.copy([(&self.entry(from)?.1, &buffer)]);
            self.generation.bump();
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<&(Value, Buffer)> {
        self.entries.get(name).ok_or_else(|| Error::shape("store", format!("no entry `{name}`")))
    }

    /// Whether every number of every entry is finite.
    ///
    /// # Errors
    /// [`Error::Device`] from the read-back.
    pub async fn is_finite(&self, gpu: &Gpu) -> Result<bool> {
        for (value, buffer) in self.entries.values() {
            if read_value::<f32>(gpu, value, buffer).await?.iter().any(|x| !x.is_finite()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there is an entry `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Shape and dense content of the entry `name`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an unknown name, [`Error::Device`] from the read-back.
    pub async fn read(&self, gpu: &Gpu, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let (value, buffer) = self.entry(name)?;
        Ok((value.shape.clone(), read_value(gpu, value, buffer).await?))
    }
}

pub(super) async fn read_value<T: bytemuck::Pod>(
    gpu: &Gpu,
    value: &Value,
    buffer: &Buffer,
) -> Result<Vec<T>> {
    Ok(unpack(&value.shape, value.dtype, &read_held(gpu, value, buffer).await?))
}

pub(super) async fn read_held<T: bytemuck::Pod>(gpu: &Gpu, value: &Value, buffer: &Buffer) -> Result<Vec<T>> {
    let raw = gpu.read(buffer, value.padded_len() as u64 * 4).await?;
    Ok(bytemuck::pod_collect_to_vec::<u8, T>(&raw))
}
