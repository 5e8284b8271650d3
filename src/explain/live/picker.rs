//! What is at one pixel.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Reading};
use crate::infer::Maps;
use crate::ops;
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId};

use super::layer::embedded;

/// What is at a pixel of an analysed image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixel {
    /// Column and row of the image as analysed.
    pub at: [usize; 2],
    /// Predicted class.
    pub class: usize,
    /// Its nearest prototype.
    pub prototype: usize,
    /// Cosine to that.
    pub cosine: f32,
    /// Logit of the class minus that of the runner-up.
    pub margin: f32,
    /// Probability of the class against the runner-up.
    pub confidence: f32,
    /// `[C,K]`: cosines to all prototypes.
    pub cosines: Vec<f32>,
}

impl Pixel {
    /// The `count` prototypes with the highest cosines, as class, prototype and cosine; the lower index first of equals.
    #[must_use]
    pub fn nearest(&self, count: usize, num_prototypes: usize) -> Vec<(usize, usize, f32)> {
        let mut order: Vec<usize> = (0..self.cosines.len()).collect();
        order.sort_by(|&a, &b| self.cosines[b].total_cmp(&self.cosines[a]));
        let entry = |index: usize| (index / num_prototypes, index % num_prototypes, self.cosines[index]);
        order.into_iter().take(count).map(entry).collect()
    }
}

/// Answers what is at a pixel, a frame after it is asked.
pub struct Picker {
    gpu: Arc<Gpu>,
    maps: Arc<Maps>,
    plan: Plan,
    at: ValueId,
    cosines: Buffer,
    /// The question that is on its way.
    asked: Option<([usize; 2], Reading)>,
}

impl Picker {
    /// A picker of these maps.
    ///
    /// # Errors
    /// Those of recording and of the device.
    pub fn new(gpu: &Arc<Gpu>, maps: &Arc<Maps>) -> Result<Self> {
        let mut tape = Tape::new();
        let ([emb, protos], given) = embedded(&mut tape, maps);
        let at = tape.input("at", &[2], DType::U32);
        let cosines = ops::pick(&mut tape, emb, protos, at, maps.size)?;
        let program = Program::new(&tape, gpu.caps(), Keep::Only(&[cosines]));
        let plan = Plan::with(gpu, &tape, &program, &mut Store::new(), &given)?;
        let cosines = plan.buffer(cosines)?.clone();
        Ok(Self { gpu: Arc::clone(gpu), maps: Arc::clone(maps), plan, at, cosines, asked: None })
    }

    /// Asks about the pixel in column `x` and row `y` of the image as analysed, which must be in it; a question that was not
    /// answered yet is forgotten. Returns without waiting.
    pub fn ask(&mut self, [x, y]: [usize; 2]) {
        self.plan.write(self.at, &[x as u32, y as u32]);
        self.plan.run();
        let [c, k, _] = self.maps.shape;
        let index = (y * self.maps.size[1] + x) as u64;
        let parts = [
            (&self.maps.label, 4 * index, 4),
            (&self.maps.score, 16 * index, 16),
            (&self.cosines, 0, (c * k.next_multiple_of(4) * size_of::<f32>()) as u64),
        ];
        self.asked = Some(([x, y], self.gpu.start_read(&parts)));
    }

    /// Whether an answer is on its way.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// What is at the pixel that was asked about, once that is known.
    ///
    /// # Errors
    /// Those of the device.
    pub fn answer(&mut self) -> Option<Result<Pixel>> {
        let (at, reading) = self.asked.as_ref()?;
        let (at, bytes) = (*at, reading.take(&self.gpu)?);
        self.asked = None;
        Some(bytes.map(|bytes| self.pixel(at, &bytes)))
    }

    fn pixel(&self, at: [usize; 2], bytes: &[u8]) -> Pixel {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let numbers: Vec<f32> = words[1..].iter().map(|&word| f32::from_bits(word)).collect();
        let k = self.maps.shape[1];
        let rows = numbers[4..].chunks_exact(k.next_multiple_of(4));
        Pixel {
            at,
            class: (words[0] & 0xffff) as usize,
            prototype: (words[0] >> 16) as usize,
            cosine: numbers[0],
            margin: numbers[1],
            confidence: numbers[3],
            cosines: rows.flat_map(|row| row[..k].iter().copied()).collect(),
        }
    }
}
