//! A program bound to a device.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::gpu::{Buffer, Commands, Gpu, KernelTime, Slot};

use super::Tape;
use super::layout::pack;
use super::program::Program;
use super::store::{Generation, Store, read_held, read_value};
use super::value::{DType, Role, Value, ValueId};

/// Dispatches per submission on a GPU, so that no single one comes near a driver's watchdog (2 s on Windows).
const PER_SUBMISSION: usize = 256;

/// A generation that no store reaches.
const NEVER: u64 = u64::MAX;

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

/// A program with its buffers, bind groups and pipelines. Running it allocates nothing and reads nothing back. What depends
/// on stored values alone is computed by the first run, and again by the first one after the store changed.
pub struct Plan {
    gpu: Arc<Gpu>,
    commands: Commands,
    /// How many of the commands, from the first on, compute what depends on stored values alone.
    num_constant: usize,
    /// Whether a run changes stored values.
    writes_store: bool,
    generation: Generation,
    /// The store's generation that the constants are of.
    computed: AtomicU64,
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
        Self::with(gpu, tape, program, store, &[])
    }

    /// As [`Plan::new`]; the `given` inputs are buffers that are there already, such as what another plan computes.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::Shape`] for a buffer that is too small.
    pub fn with(
        gpu: &Arc<Gpu>,
        tape: &Tape,
        program: &Program,
        store: &mut Store,
        given: &[(ValueId, Buffer)],
    ) -> Result<Self> {
        let shared: Vec<_> = program
            .buffer_bytes
            .iter()
            .map(|&bytes| gpu.buffer("temporaries", bytes))
            .collect::<Result<_>>()?;
        let mut buffers = vec![None; tape.values().len()];
        for &id in &program.outside {
            let value = tape.value(id);
            let found = given.iter().find(|(input, _)| tape.root(*input) == id);
            if let Some((_, buffer)) = found.filter(|(_, buffer)| buffer.bytes < value.bytes()) {
                let problem =
                    format!("`{}` needs {} bytes and is given {}", value.name, value.bytes(), buffer.bytes);
                return Err(Error::shape("plan", problem));
            }
            buffers[id.index()] = Some(match (value.role, found) {
                (Role::Input, Some((_, buffer))) => buffer.clone(),
                (Role::Input, None) => gpu.buffer(&value.name, value.bytes())?,
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
        Ok(Self {
            gpu: Arc::clone(gpu),
            commands,
            num_constant: program.num_constant_dispatches(),
            writes_store: program.writes_store,
            generation: store.generation(),
            computed: AtomicU64::new(NEVER),
            nodes,
            values: tape.values().to_vec(),
            roots,
            buffers,
            shared,
        })
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
            self.written(id);
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
            self.written(id);
        }
    }

    /// Takes note of an upload: it may have been to a stored value.
    fn written(&self, id: ValueId) {
        if self.values[self.roots[id.index()].index()].is_stored() {
            self.generation.bump();
        }
    }

    /// Submits one run; returns without waiting.
    pub fn run(&self) {
        self.compute_constants();
        self.commands.run_part(self.num_constant..self.commands.len());
        self.count_run();
    }

    /// Does one run to its end. On a device that a window is drawn with it goes in pieces that leave the window turns; on
    /// another one it is [`Plan::run`], which does not wait.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble.
    pub async fn run_in_turns(&self) -> Result<()> {
        if !self.gpu.is_shared() {
            self.run();
            return Ok(());
        }
        let now = self.generation.get();
        if self.computed.swap(now, Ordering::AcqRel) != now {
            self.commands.run_in_turns(0..self.num_constant).await?;
        }
        self.commands.run_in_turns(self.num_constant..self.commands.len()).await?;
        self.count_run();
        Ok(())
    }

    /// Submits what depends on stored values alone, if they changed since it was last done.
    fn compute_constants(&self) {
        let now = self.generation.get();
        if self.computed.swap(now, Ordering::AcqRel) != now {
            self.commands.run_part(0..self.num_constant);
        }
    }

    /// Tells the store's other plans of a run that changed stored values; this plan's own constants read none of those.
    fn count_run(&self) {
        if self.writes_store {
            let before = self.generation.bump();
            let _ = self.computed.compare_exchange(before, before + 1, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Does one run node by node, looking at every output before its memory is used again, and stops at the first that is
    /// not finite. Slow, for finding where a NaN came from.
    ///
    /// # Errors
    /// [`Error::Device`] from the read-backs.
    pub async fn first_not_finite(&self) -> Result<Option<NotFinite>> {
        // It may stop between a node and the constants behind it.
        self.computed.store(NEVER, Ordering::Release);
        self.generation.bump();
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

    /// Submits one run and times every dispatch but those of constants; `None` if the device has no timestamps.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble.
    pub async fn profile(&self) -> Result<Option<Vec<KernelTime>>> {
        self.compute_constants();
        let times = self.commands.profile(self.num_constant..self.commands.len()).await;
        self.count_run();
        times
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

    /// Where a value lies that was kept, or that is an input: for a copy, or as the input of another plan.
    ///
    /// # Errors
    /// [`Error::Shape`] if no node reads or writes it.
    pub fn buffer(&self, id: ValueId) -> Result<&Buffer> {
        Ok(self.held(id)?.1)
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
        self.computed.store(NEVER, Ordering::Release);
        for buffer in &self.shared {
            self.gpu.write(buffer, bytemuck::cast_slice(&vec![f32::NAN; (buffer.bytes / 4) as usize]));
        }
    }
}
