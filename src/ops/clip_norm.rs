//! The norm of all gradients together, and the factor that keeps it within a bound.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_floats: u32, num_blocks: u32, first_block: u32, most: f32 }
}

/// `vec4`s per block of the first sum, as in the shader.
const BLOCK_QUADS: usize = 1024;

/// Inputs: any number of gradients; outputs their norm `[1]` and the factor `[1]`: `most / norm` where the norm is above
/// `most`, 1 elsewhere (Pascanu et al. 2013, algorithm 1). A norm beyond 1.8e19 overflows to infinity and gives 0.
#[derive(Clone, Copy, Debug)]
pub struct ClipNorm {
    /// Largest norm.
    pub most: f32,
}

/// Records the norm of all `gradients` together and the factor that brings it down to `most`; returns both.
///
/// # Errors
/// [`Error::Shape`] if there is no gradient, or one is not `f32`.
pub fn clip_norm(tape: &mut Tape, gradients: &[ValueId], most: f32) -> Result<(ValueId, ValueId)> {
    let out = tape.push(ClipNorm { most }, gradients)?;
    Ok((out[0], out[1]))
}

impl Op for ClipNorm {
    fn stem(&self) -> &'static str {
        "clip_norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        if inputs.is_empty() {
            return Err(Error::shape("clip_norm", "there is no gradient".to_owned()));
        }
        if let Some(v) = inputs.iter().find(|v| v.dtype != DType::F32) {
            return Err(Error::shape("clip_norm", format!("`{}` is {:?}, not F32", v.name, v.dtype)));
        }
        Ok(vec![Spec::f32(&[1]); 2])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let floats: Vec<usize> = (0..l.num_inputs()).map(|i| l.input(i).padded_len()).collect();
        let blocks_of = |floats: usize| floats.div_ceil(4 * BLOCK_QUADS);
        let num_blocks: usize = floats.iter().copied().map(blocks_of).sum();
        let blocks = ("blocks", l.scratch(num_blocks));
        let mut first_block = 0;
        for (index, floats) in floats.into_iter().enumerate() {
            let count = blocks_of(floats);
            let params = Params {
                num_floats: floats as u32,
                num_blocks: count as u32,
                first_block: first_block as u32,
                most: self.most,
            };
            let bindings = [("gradient", l.read(index)), blocks];
            l.dispatch("clip_norm", "clip_norm_blocks", &params, &bindings, grid(count, 1));
            first_block += count;
        }
        let params = Params { num_floats: 0, num_blocks: num_blocks as u32, first_block: 0, most: self.most };
        let bindings = [blocks, ("norm", l.write(0)), ("factor", l.write(1))];
        l.dispatch("clip_norm", "clip_norm", &params, &bindings, [1; 3]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::clip_norm::clip_norm(inputs, f64::from(self.most)).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs.iter().map(|v| 2 * v.len() as u64).sum()
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shapes: &[&[usize]], most: f32| {
        let inputs = shapes.iter().map(|s| Input::fixed(s, Fill::Uniform(-1.0, 1.0))).collect();
        Case::new(name, inputs, move |t, v| {
            clip_norm(t, v, most)?;
            Ok(vec![])
        })
    };
    vec![
        case("one number", &[&[1]], 1e-3),
        case("above the bound, rows and vectors", &[&[5, 3, 7], &[13], &[3, 3, 8, 5]], 0.7),
        case("below it", &[&[5, 3, 7], &[13]], 100.0),
        case("of many blocks, beside a small one", &[&[3], &[300, 65], &[70_003]], 2.0),
    ]
}
