//! Pixel-prototype contrast (Eq. 11), streamed over the prototypes.

use super::proto_rule::{Sizes, expect, sizes};
use super::table::{Case, Fill, Input};
use super::{EmptyLoss, valid_mean};
use crate::error::Result;
use crate::gpu::{Tile, Variant, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_rows: u32, quads: u32, start: u32, count: u32, inv_tau: f32 }
}

/// Loop iterations per invocation and dispatch of the forward scan.
const SCAN_ITERATIONS: usize = 16_384;
/// Prototypes per tile of the gradient, as in the shader.
const TILE: usize = 64;

/// A family's shader and its tiles.
struct Kernels {
    shader: &'static str,
    /// Pixels per workgroup of the products.
    pixels: usize,
    /// Prototypes per step of the products.
    protos: usize,
    /// Workgroups of the weights for each group of pixels, by the tile's prototypes.
    parts: fn(usize) -> usize,
    /// Workgroups of the sums over `num_pixels` rows of `quads` vec4s.
    sums: fn(usize, usize) -> [u32; 3],
    /// `override` constants.
    constants: &'static [(&'static str, f64)],
}

const FLOOR: Kernels = Kernels {
    shader: "ppc",
    pixels: 512,
    protos: 4,
    parts: |count| count.div_ceil(4),
    sums: |num_pixels, quads| grid(num_pixels.div_ceil(4) * quads.div_ceil(2), 64),
    constants: &[],
};

const SOFTWARE: Kernels = Kernels {
    shader: "ppc.software",
    pixels: 32,
    protos: 16,
    parts: |count| count.div_ceil(16),
    sums: |num_pixels, quads| grid(num_pixels.div_ceil(32) * quads.div_ceil(4), 1),
    constants: &[],
};

/// One tile for all shapes: the sum of exponentials runs over tiles of prototypes, so another tile would be another order.
const GPU: Kernels = Kernels {
    shader: "ppc.gpu",
    pixels: 64,
    protos: 64,
    parts: |_| 1,
    sums: |num_pixels, quads| grid(num_pixels.div_ceil(64) * quads.div_ceil(16), 1),
    constants: &Tile::Deep.constants(),
};

const fn kernels(variant: Variant) -> Kernels {
    match variant {
        Variant::Floor => FLOOR,
        Variant::Software => SOFTWARE,
        Variant::Gpu | Variant::Subgroup | Variant::F16 | Variant::Matrix => GPU,
    }
}

/// Inputs `emb [N,D]`, `protos [C,K,D]`, `target i32 [N]`; outputs `LSE_j(S_j/tau) - S_t/tau [N]` and the log-sum-exp
/// `[N]`, 0 where ignored. Only the first has a gradient, and only with respect to `emb`: prototypes are not trained by it.
#[derive(Clone, Copy, Debug)]
pub struct Ppc {
    /// Temperature.
    pub tau: f32,
}

/// Inputs `emb`, `protos`, `target`, the log-sum-exp `[N]`, the gradient of the first output `[N]`; output that of
/// `emb [N,D]`.
#[derive(Clone, Copy, Debug)]
pub struct PpcGrad {
    /// Temperature.
    pub tau: f32,
}

/// Records the contrast loss `[1]`: InfoNCE of every pixel's target among all C*K prototypes at temperature `tau`,
/// averaged over the pixels with a target (spec section 6). Memory beyond the inputs is `O(N)` forward and `[N,64]` in the
/// gradient, whatever C and K are.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
pub fn ppc(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    target: ValueId,
    tau: f32,
    empty: EmptyLoss,
) -> Result<ValueId> {
    let values = tape.push(Ppc { tau }, &[emb, protos, target])?[0];
    Ok(valid_mean(tape, values, target, empty)?.0)
}

fn check(inputs: &[&Value]) -> Result<Sizes> {
    let sizes = sizes("ppc", inputs[0], inputs[1])?;
    expect("ppc", inputs[2], &[sizes.pixels], DType::I32)?;
    Ok(sizes)
}

/// The uniform of every tile of `tile` prototypes.
fn tiles(l: &Launch<'_>, tile: usize, tau: f32) -> Vec<Params> {
    let (emb, protos) = (l.input(0), l.input(1));
    let num_rows = protos.rows();
    let params = |start: usize| Params {
        num_pixels: emb.shape[0] as u32,
        num_rows: num_rows as u32,
        quads: emb.quads() as u32,
        start: start as u32,
        count: tile.min(num_rows - start) as u32,
        inv_tau: 1.0 / tau,
    };
    (0..num_rows).step_by(tile).map(params).collect()
}

impl Op for Ppc {
    fn stem(&self) -> &'static str {
        "ppc"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let sizes = check(inputs)?;
        Ok(vec![Spec::f32(&[sizes.pixels]), Spec::f32(&[sizes.pixels])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (num_pixels, quads) = (l.input(0).shape[0], l.input(0).quads());
        let state = ("state", l.scratch(2 * num_pixels));
        let (emb, protos) = (("emb", l.read(0)), ("protos", l.read(1)));
        let kernels = kernels(l.caps.variant);
        let tiles = tiles(l, kernels.protos * (SCAN_ITERATIONS / quads).max(1), self.tau);
        for params in &tiles {
            let groups = grid(num_pixels, kernels.pixels);
            l.dispatch(kernels.shader, "ppc_scan", params, &[emb, protos, state], groups);
            l.constants(kernels.constants);
        }
        let bindings =
            [emb, protos, ("assigned", l.read(2)), state, ("value", l.write(0)), ("lse", l.write(1))];
        l.dispatch("ppc", "ppc_finish", &tiles[0], &bindings, grid(num_pixels, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (value, lse) = oracle::ppc::ppc(inputs[0], inputs[1], inputs[2], f64::from(self.tau));
        vec![value, lse]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0].filter(|_| node.wanted[0]) else { return Ok(vec![None; 3]) };
        let inputs = [node.inputs[0], node.inputs[1], node.inputs[2], node.outputs[1], g];
        Ok(vec![Some(tape.push1(PpcGrad { tau: self.tau }, &inputs)?), None, None])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[0].len() as u64 * inputs[1].rows() as u64
    }
}

impl Op for PpcGrad {
    fn stem(&self) -> &'static str {
        "ppc"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(inputs)?;
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (num_pixels, quads) = (l.input(0).shape[0], l.input(0).quads());
        let kernels = kernels(l.caps.variant);
        let weights = l.scratch(TILE * num_pixels);
        let protos = ("protos", l.read(1));
        let first = [
            ("emb", l.read(0)),
            protos,
            ("assigned", l.read(2)),
            ("lse_in", l.read(3)),
            ("upstream", l.read(4)),
            ("weights", weights),
        ];
        let second = [protos, ("weights_in", weights), ("out", l.write(0))];
        for params in tiles(l, TILE, self.tau) {
            let parts = (kernels.parts)(params.count as usize);
            let groups = grid(num_pixels.div_ceil(kernels.pixels) * parts, 1);
            l.dispatch(kernels.shader, "ppc_weights", &params, &first, groups);
            let groups = (kernels.sums)(num_pixels, quads);
            l.dispatch(kernels.shader, "ppc_accumulate", &params, &second, groups);
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let [emb, protos, target, lse, g] = inputs[..] else { unreachable!("five inputs are recorded") };
        vec![oracle::ppc::ppc_grad(emb, protos, target, lse, g, f64::from(self.tau))]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        4 * inputs[0].len() as u64 * inputs[1].rows() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let on = |name, [n, c, k, d]: [usize; 4], ignored, tau| {
        let emb = Input::f32(&[n, d], Fill::UnitRows);
        let inputs = vec![
            if n > 10_000 { Input { grad: false, ..emb } } else { emb },
            Input::fixed(&[c, k, d], Fill::UnitRows),
            Input::i32(&[n], Fill::Integers { count: c * k, ignored }),
        ];
        Case::new(name, inputs, move |t, v| Ok(vec![ppc(t, v[0], v[1], v[2], tau, EmptyLoss::Zero)?]))
    };
    vec![
        on("K 3, D 5", [77, 11, 3, 5], 0.2, 0.1),
        on("one class", [20, 1, 2, 16], 0.1, 0.1),
        on("all ignored", [20, 2, 3, 16], 1.0, 0.1),
        on("tau 1, K 1, D 13", [600, 7, 1, 13], 0.1, 1.0),
        on("150 classes, D 64", [90, 150, 10, 64], 0.1, 0.1),
        on("several scans, D 1024", [9, 103, 10, 1024], 0.1, 0.1),
        on("many", [40_000, 11, 10, 16], 0.1, 0.1),
    ]
}
