//! A program bound to a device, and the store of weights and state that plans share.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::{Buffer, Commands, Gpu, KernelTime, Slot};

use super::Tape;
use super::layout::{pack, unpack};
use super::program::Program;
use super::value::{DType, Role, Value, ValueId};

/// Dispatches per submission on a GPU, so that no single one comes near a driver's watchdog (2 s on Windows).
const PER_SUBMISSION: usize = 256;

/// Weights and state on the device, by name.
#[derive(Default)]
pub struct Store(BTreeMap<String, (Value, Buffer)>);

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The buffer of `value`, allocated (zeroed) if it is new.
    fn buffer(&mut self, gpu: &Gpu, value: &Value) -> Result<Buffer> {
        if let Some((known, buffer)) = self.0.get(&value.name) {
            if known.shape != value.shape || known.dtype != value.dtype {
                let kind = |v: &Value| format!("{:?} {:?}", v.dtype, v.shape);
                let problem = format!("`{}` is {} and {}", value.name, kind(known), kind(value));
                return Err(Error::shape("store", problem));
            }
            return Ok(buffer.clone());
        }
        let buffer = gpu.buffer(&value.name, value.bytes())?;
        self.0.insert(value.name.clone(), (value.clone(), buffer.clone()));
        Ok(buffer)
    }

    /// Sets the dense content of `value`, which must be a param or state.
    ///
    /// # Errors
    /// [`Error::Device`] if there is no memory, [`Error::Shape`] if the name is known with another shape or type.
    pub fn set(&mut self, gpu: &Gpu, value: &Value, dense: &[f32]) -> Result<()> {
        let buffer = self.buffer(gpu, value)?;
        gpu.write(&buffer, bytemuck::cast_slice(&pack(&value.shape, value.dtype, dense)));
        Ok(())
    }

    /// Makes `copy` hold what this store holds, on the device; allocates only what `copy` does not have yet.
    ///
    /// # Errors
    /// [`Error::Device`] if there is no memory.
    pub fn copy_to(&self, gpu: &Gpu, copy: &mut Self) -> Result<()> {
        for (value, _) in self.0.values() {
            copy.buffer(gpu, value)?;
        }
        gpu.copy(self.0.iter().map(|(name, (_, from))| (from, &copy.0[name].1)));
        Ok(())
    }

    /// Whether every number of every entry is finite.
    ///
    /// # Errors
    /// [`Error::Device`] from the read-back.
    pub async fn is_finite(&self, gpu: &Gpu) -> Result<bool> {
        for (value, buffer) in self.0.values() {
            if read_value::<f32>(gpu, value, buffer).await?.iter().any(|x| !x.is_finite()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Shape and dense content of the entry `name`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an unknown name, [`Error::Device`] from the read-back.
    pub async fn read(&self, gpu: &Gpu, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let entry = self.0.get(name);
        let (value, buffer) = entry.ok_or_else(|| Error::shape("store", format!("no entry `{name}`")))?;
        Ok((value.shape.clone(), read_value(gpu, value, buffer).await?))
    }
}

async fn read_value<T: bytemuck::Pod>(gpu: &Gpu, value: &Value, buffer: &Buffer) -> Result<Vec<T>> {
    Ok(unpack(&value.shape, value.dtype, &read_held(gpu, value, buffer).await?))
}

async fn read_held<T: bytemuck::Pod>(gpu: &Gpu, value: &Value, buffer: &Buffer) -> Result<Vec<T>> {
    let raw = gpu.read(buffer, value.padded_len() as u64 * 4).await?;
    Ok(bytemuck::pod_collect_to_vec::<u8, T>(&raw))
}

/// What is left of a node in a plan.
struct PlanNode {
    name: String,
    outputs: Vec<ValueId>,
    dispatches: Range<usize>,
}

/// The first node of a run whose output is not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// Scope and stem of the node.
    pub node: String,
    /// Shape of the output.
    pub shape: Vec<usize>,
    /// How many of its elements are NaN or infinite.
    pub count: usize,
}

/// A program with its buffers, bind groups and pipelines. Running it allocates nothing and reads nothing back.
pub struct Plan {
    gpu: Arc<Gpu>,
    commands: Commands,
    nodes: Vec<PlanNode>,
    values: Vec<Value>,
    roots: Vec<ValueId>,
    buffers: Vec<Option<Buffer>>,
    shared: Vec<Buffer>,
}

impl Plan {
    /// Allocates the program's buffers, takes weights and state from `store`, and compiles the kernels.
    ///
    /// # Errors
    /// [`Error::Device`] if memory or a kernel is refused; [`Error::Shape`] if the store disagrees with the tape.
    pub fn new(gpu: &Arc<Gpu>, tape: &Tape, program: &Program, store: &mut Store) -> Result<Self> {
        let shared: Vec<_> = program
            .buffer_bytes
            .iter()
            .map(|&bytes| gpu.buffer("temporaries", bytes))
            .collect::<Result<_>>()?;
        let mut buffers = vec![None; tape.values().len()];
        for &id in &program.outside {
            let value = tape.value(id);
            buffers[id.index()] = Some(match value.role {
                Role::Input => gpu.buffer(&value.name, value.bytes())?,
                _ => store.buffer(gpu, value)?,
            });
        }
        for (buffer, place) in buffers.iter_mut().zip(&program.value_place) {
            if let Some(place) = place {
                *buffer = Some(shared[*place].clone());
            }
        }
        let place = |dispatch: usize, slot: Slot| match (program.place(dispatch, slot), slot) {
            (Some(place), _) => shared[place].clone(),
            (None, Slot::Value(id)) => buffers[id as usize].clone().expect("every value in use has a buffer"),
            (None, Slot::Scratch(_)) => unreachable!("every scratch slot has a place"),
        };
        let per_submission = if gpu.caps().software { usize::MAX } else { PER_SUBMISSION };
        let commands = Commands::new(gpu, &program.dispatches, per_submission, place)?;
        let roots = (0..tape.values().len() as u32).map(|i| tape.root(ValueId(i))).collect();
        let mut nodes = Vec::new();
        let mut first = 0;
        for report in program.nodes().iter().filter(|n| n.dispatches > 0) {
            let outputs = tape.nodes()[program.node_of[first]].outputs.clone();
            let dispatches = first..first + report.dispatches;
            first = dispatches.end;
            nodes.push(PlanNode { name: report.name.clone(), outputs, dispatches });
        }
        let (gpu, values) = (Arc::clone(gpu), tape.values().to_vec());
        Ok(Self { gpu, commands, nodes, values, roots, buffers, shared })
    }

    /// Uploads an input's dense content before the next run. An input that no node reads is ignored.
    ///
    /// # Panics
    /// If `dense` does not have the value's number of elements.
    pub fn write<T: bytemuck::Pod + Default>(&self, id: ValueId, dense: &[T]) {
        let value = &self.values[id.index()];
        assert_eq!(dense.len(), value.len(), "elements for `{}` {:?}", value.name, value.shape);
        if let Some(buffer) = &self.buffers[self.roots[id.index()].index()] {
            self.gpu.write(buffer, bytemuck::cast_slice(&pack(&value.shape, value.dtype, dense)));
        }
    }

    /// Uploads an input's content that is padded already, as [`pack`] lays it out.
    ///
    /// # Panics
    /// If `held` does not have as many elements as the value has in memory.
    pub fn write_padded<T: bytemuck::Pod>(&self, id: ValueId, held: &[T]) {
        let value = &self.values[id.index()];
        assert_eq!(held.len(), value.padded_len(), "padded elements for `{}` {:?}", value.name, value.shape);
        if let Some(buffer) = &self.buffers[self.roots[id.index()].index()] {
            self.gpu.write(buffer, bytemuck::cast_slice(held));
        }
    }

    /// Submits one run; returns without waiting.
    pub fn run(&self) {
        self.commands.run();
    }

    /// Does one run node by node, looking at every output before its memory is used again, and stops at the first that is
    /// not finite. Slow, for finding where a NaN came from.
    ///
    /// # Errors
    /// [`Error::Device`] from the read-backs.
    pub async fn first_not_finite(&self) -> Result<Option<NotFinite>> {
        for node in &self.nodes {
            self.commands.run_part(node.dispatches.clone());
            for &id in node.outputs.iter().filter(|id| self.values[id.index()].dtype == DType::F32) {
                let content = self.read::<f32>(id).await?;
                let count = content.iter().filter(|x| !x.is_finite()).count();
                if count > 0 {
                    let shape = self.values[id.index()].shape.clone();
                    return Ok(Some(NotFinite { node: node.name.clone(), shape, count }));
                }
            }
        }
        Ok(None)
    }

    /// Submits one run and times every dispatch; `None` if the device has no timestamps.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble.
    pub async fn profile(&self) -> Result<Option<Vec<KernelTime>>> {
        self.commands.profile().await
    }

    /// Reads a value back, dense. It must have been kept.
    ///
    /// # Errors
    /// [`Error::Device`] from the read-back; [`Error::Shape`] if no node reads or writes it.
    pub async fn read<T: bytemuck::Pod>(&self, id: ValueId) -> Result<Vec<T>> {
        let (value, buffer) = self.held(id)?;
        read_value(&self.gpu, value, buffer).await
    }

    /// Reads a value back as the device holds it, channel padding included.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub async fn read_padded<T: bytemuck::Pod>(&self, id: ValueId) -> Result<Vec<T>> {
        let (value, buffer) = self.held(id)?;
        read_held(&self.gpu, value, buffer).await
    }

    fn held(&self, id: ValueId) -> Result<(&Value, &Buffer)> {
        let value = &self.values[id.index()];
        let buffer = self.buffers[self.roots[id.index()].index()].as_ref();
        let missing = || Error::shape("plan", format!("`{}` is not in the plan", value.name));
        Ok((value, buffer.ok_or_else(missing)?))
    }

    /// Reads a value back as numbers, whatever its type.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub async fn read_f64(&self, id: ValueId) -> Result<Vec<f64>> {
        Ok(match self.values[id.index()].dtype {
            DType::F32 => self.read::<f32>(id).await?.into_iter().map(f64::from).collect(),
            DType::U32 => self.read::<u32>(id).await?.into_iter().map(f64::from).collect(),
            DType::I32 => self.read::<i32>(id).await?.into_iter().map(f64::from).collect(),
        })
    }

    /// Fills every temporary with NaN, so that a kernel that relies on zeroed memory is found.
    pub fn poison(&self) {
        for buffer in &self.shared {
            self.gpu.write(buffer, bytemuck::cast_slice(&vec![f32::NAN; (buffer.bytes / 4) as usize]));
        }
    }
}
