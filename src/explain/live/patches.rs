//! Where an image comes nearest to every prototype.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;
use crate::infer::Maps;
use crate::ops::{self, NearestPatches};
use crate::tape::{Keep, Plan, Program, Store, Tape};

use super::layer::embedded;

/// Cosines below this mean that no place was left.
const NONE: f32 = -1e30;

/// A place near to a prototype.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patch {
    /// Cosine of the place's embedding to the prototype.
    pub cosine: f32,
    /// Where it is, as shares of the image's width and height.
    pub at: [f32; 2],
}

/// The `count` nearest places of an image to every prototype, `[C*K]` lists, nearest first. Places of one list are apart by more
/// than a tenth of the longer side.
///
/// # Errors
/// Those of the op `nearest_patches` and of the device.
pub async fn nearest_patches(gpu: &Arc<Gpu>, maps: &Maps, count: usize) -> Result<Vec<Vec<Patch>>> {
    let [h, w] = maps.features;
    let mut tape = Tape::new();
    let ([emb, protos], given) = embedded(&mut tape, maps);
    let op = NearestPatches { num_patches: count, radius: h.max(w) / 10 };
    let (cosine, place) = ops::nearest_patches(&mut tape, emb, protos, op)?;
    let program = Program::new(&tape, gpu.caps(), Keep::Only(&[cosine, place]));
    let plan = Plan::with(gpu, &tape, &program, &mut Store::new(), &given)?;
    plan.run_in_turns().await?;
    let cosines: Vec<f32> = plan.read(cosine).await?;
    let places: Vec<u32> = plan.read(place).await?;
    let patch = |(&cosine, &place): (&f32, &u32)| {
        let (x, y) = (place as usize % w, place as usize / w);
        let at = [(x as f32 + 0.5) / w as f32, (y as f32 + 0.5) / h as f32];
        (cosine > NONE).then_some(Patch { cosine, at })
    };
    let lists = cosines.chunks_exact(count).zip(places.chunks_exact(count));
    Ok(lists.map(|(cosines, places)| cosines.iter().zip(places).filter_map(patch).collect()).collect())
}
