//! The catalogue of a network's weights and state: names, layouts on disk and on the device, first values.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model_file::{ModelFile, Tensor, Tensors};
use crate::ops::Resample;
use crate::ops::resample_positions::resampled;
use crate::rng::Rng;
use crate::tape::{DType, Role, Store, Value};

/// How a tensor lies on disk (PyTorch) against the device (NHWC kernels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The same on both sides.
    Same,
    /// Disk `[co, ci, kh, kw]`, device `[kh, kw, ci rounded up to 4, co]`.
    Conv {
        /// Input channels on disk.
        inputs: usize,
    },
    /// Disk `[c, 1, kh, kw]`, device `[kh, kw, 1, c]`.
    Depthwise,
    /// Disk `[co, ci]`, device a 1x1 convolution.
    Linear {
        /// Input channels on disk.
        inputs: usize,
    },
}

/// First values of a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Every element.
    Constant(f32),
    /// Normal with this standard deviation.
    Normal(f32),
    /// Uniform in +- this bound.
    Uniform(f32),
}

/// One weight or state.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name on disk and in the store.
    pub name: String,
    /// Shape on the device.
    pub shape: Vec<usize>,
    /// Layout on disk.
    pub layout: Layout,
    /// First values.
    pub init: Init,
    /// True for a weight that gradients train, false for state, among it what is frozen.
    pub trained: bool,
}

impl Entry {
    /// Shape on disk.
    #[must_use]
    pub fn disk_shape(&self) -> Vec<usize> {
        let s = &self.shape;
        match self.layout {
            Layout::Same => s.clone(),
            Layout::Conv { inputs } => vec![s[3], inputs, s[0], s[1]],
            Layout::Depthwise => vec![s[3], 1, s[0], s[1]],
            Layout::Linear { inputs } => vec![s[3], inputs],
        }
    }

    /// Device index of every disk element, in disk order.
    fn places(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        let disk = self.disk_shape();
        let s = &self.shape;
        match self.layout {
            Layout::Same => Box::new(0..s.iter().product()),
            Layout::Linear { .. } => {
                Box::new((0..disk[0]).flat_map(move |co| (0..disk[1]).map(move |ci| ci * s[3] + co)))
            }
            Layout::Conv { .. } | Layout::Depthwise => {
                let (inputs, kh, kw) = (disk[1], disk[2], disk[3]);
                Box::new((0..disk[0] * inputs * kh * kw).map(move |i| {
                    let (kx, ky) = (i % kw, i / kw % kh);
                    let (ci, co) = (i / (kw * kh) % inputs, i / (kw * kh * inputs));
                    ((ky * kw + kx) * s[2] + ci) * s[3] + co
                }))
            }
        }
    }

    /// Disk data in device order; rows that only round the channels up are zero.
    #[must_use]
    pub fn to_device(&self, disk: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.shape.iter().product()];
        for (place, &x) in self.places().zip(disk) {
            out[place] = x;
        }
        out
    }

    /// The inverse of [`Entry::to_device`].
    #[must_use]
    pub fn to_disk(&self, device: &[f32]) -> Vec<f32> {
        self.places().map(|place| device[place]).collect()
    }

    /// Its values in `file`, in device order. Position embeddings of another square grid are resampled to the network's, without
    /// smoothing.
    ///
    /// # Errors
    /// [`Error::Model`] for a missing tensor, one of another shape and one that holds what is not finite.
    pub fn read(&self, file: &ModelFile) -> Result<Vec<f32>> {
        let tensor = match positions(self, file)? {
            Some(resampled) => resampled,
            None => file.get(&self.name, &self.disk_shape())?,
        };
        if let Some(bad) = tensor.data.iter().position(|x| !x.is_finite()) {
            return Err(Error::model(
                file.path(),
                format!("`{}` holds {} at element {bad}", self.name, tensor.data[bad]),
                "use a file that was saved by a healthy run",
            ));
        }
        Ok(self.to_device(&tensor.data))
    }

    fn value(&self) -> Value {
        let role = if self.trained { Role::Param } else { Role::State };
        Value { name: self.name.clone(), shape: self.shape.clone(), dtype: DType::F32, role }
    }

    /// First values in disk order: every element is a function of (seed, name, its index).
    fn first_values(&self, seed: u32) -> Vec<f32> {
        let stream = self.name.bytes().fold(0, |hash, byte| crate::rng::hash(hash ^ u32::from(byte)));
        let mut rng = Rng::new(seed, stream);
        let count = self.disk_shape().iter().product();
        let draw = |_| match self.init {
            Init::Constant(value) => value,
            Init::Normal(deviation) => deviation * rng.normal(),
            Init::Uniform(bound) => rng.range(-bound, bound),
        };
        (0..count).map(draw).collect()
    }
}

/// All entries, in the order in which the network was recorded.
#[derive(Clone, Debug, Default)]
pub struct Weights(pub Vec<Entry>);

impl Weights {
    /// Puts first values drawn from `seed` into the store.
    ///
    /// # Errors
    /// Those of the store.
    pub fn init(&self, gpu: &Gpu, store: &mut Store, seed: u32) -> Result<()> {
        for entry in &self.0 {
            store.set(gpu, &entry.value(), &entry.to_device(&entry.first_values(seed)))?;
        }
        Ok(())
    }

    /// Puts the tensors of `file` into the store: those whose names `wanted` accepts, all of which must be there.
    ///
    /// # Errors
    /// [`Error::Model`] for a missing tensor or one of another shape.
    pub fn load(
        &self,
        gpu: &Gpu,
        store: &mut Store,
        file: &ModelFile,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        for entry in self.0.iter().filter(|e| wanted(&e.name)) {
            store.set(gpu, &entry.value(), &entry.read(file)?)?;
        }
        Ok(())
    }

    /// Reads everything back, in disk layout.
    ///
    /// # Errors
    /// Those of the read-back.
    pub async fn tensors(&self, gpu: &Gpu, store: &Store) -> Result<Tensors> {
        let mut out = BTreeMap::new();
        for entry in &self.0 {
            let (_, data) = store.read(gpu, &entry.name).await?;
            out.insert(entry.name.clone(), Tensor { shape: entry.disk_shape(), data: entry.to_disk(&data) });
        }
        Ok(out)
    }
}

/// Position embeddings in `file` for another square grid than `entry` has, resampled to that; `None` for any other tensor.
fn positions(entry: &Entry, file: &ModelFile) -> Result<Option<Tensor>> {
    let wanted = entry.disk_shape();
    if !entry.name.ends_with("pos_embed") || !file.contains(&entry.name) {
        return Ok(None);
    }
    let (&[1, to, width], &[1, from, of_file]) = (&wanted[..], file.shape(&entry.name)?) else {
        return Ok(None);
    };
    // The class token has a position in front of the grid's, or has none.
    let side = |rows: usize| Some(rows.isqrt()).filter(|side| *side > 0 && side * side == rows);
    let prefix = usize::from(side(to).is_none());
    let sides = side(to - prefix).zip(from.checked_sub(prefix).and_then(side));
    match sides {
        Some((to, from)) if to != from && width == of_file => {
            let resample = Resample { prefix, from: [from; 2], to: [to; 2] };
            let data = resampled(&file.f32(&entry.name)?, width, resample);
            Ok(Some(Tensor { shape: wanted, data }))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(shape: &[usize], layout: Layout) -> Entry {
        let (name, shape) = ("w".to_owned(), shape.to_vec());
        Entry { name, shape, layout, init: Init::Normal(1.0), trained: true }
    }

    #[test]
    fn layouts_there_and_back() {
        for (entry, disk) in [
            (entry(&[3, 2, 4, 5], Layout::Conv { inputs: 3 }), vec![5, 3, 3, 2]),
            (entry(&[3, 3, 1, 6], Layout::Depthwise), vec![6, 1, 3, 3]),
            (entry(&[1, 1, 8, 3], Layout::Linear { inputs: 7 }), vec![3, 7]),
            (entry(&[7], Layout::Same), vec![7]),
        ] {
            assert_eq!(entry.disk_shape(), disk);
            let data: Vec<f32> = (0..disk.iter().product()).map(|x| x as f32 + 1.0).collect();
            assert_eq!(entry.to_disk(&entry.to_device(&data)), data, "{:?}", entry.layout);
        }
    }

    #[test]
    fn convolution_element_lies_where_the_kernel_reads_it() {
        let entry = entry(&[2, 2, 4, 3], Layout::Conv { inputs: 2 });
        let mut disk = vec![0.0; 3 * 2 * 2 * 2];
        // co 2, ci 1, ky 1, kx 0
        disk[((2 * 2 + 1) * 2 + 1) * 2] = 1.0;
        let device = entry.to_device(&disk);
        // [ky 1, kx 0, ci 1, co 2]
        assert_eq!(device[(2 * 4 + 1) * 3 + 2], 1.0);
    }
}
