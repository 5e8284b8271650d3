//! Pixel-prototype contrast (Eq. 11), streamed over the prototypes.

use super::proto_rule::{Sizes, expect, sizes};
use super::table::{Case, Fill, Input};
use super::{EmptyLoss, valid_mean};
use crate::error::Result;
use crate::gpu::{Slot, Tile, Variant, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_pixels: u32,
        num_rows: u32,
        quads: u32,
        start: u32,
        count: u32,
        inv_tau: f32,
        first: u32,
        pixels: u32,
    }
}

uniform! {
    struct Winners {
        num_items: u32,
        num_protos: u32,
        num_classes: u32,
        first: u32,
        pixels: u32,
        start: u32,
        count: u32,
        first_class: u32,
        rows: u32,
    }
}

/// Loop iterations per invocation and dispatch of the forward scan.
const SCAN_ITERATIONS: usize = 16_384;
/// A family's shader and its tiles.
struct Kernels {
    shader: &'static str,
    /// Pixels per workgroup of the products.
    pixels: usize,
    /// Prototypes per step of the products.
    protos: usize,
    /// Prototypes and pixels of the gradient's scratch. On processors it fits into their caches.
    block: [usize; 2],
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
    block: [512, 1024],
    parts: |count| count.div_ceil(4),
    sums: |num_pixels, quads| grid(num_pixels.div_ceil(4) * quads.div_ceil(2), 64),
    constants: &[],
};

const SOFTWARE: Kernels = Kernels {
    shader: "ppc.software",
    pixels: 32,
    protos: 16,
    block: [512, 1024],
    parts: |count| count.div_ceil(16),
    sums: |num_pixels, quads| grid(num_pixels.div_ceil(32) * quads.div_ceil(8), 1),
    constants: &[],
};

/// One tile for all shapes: the sum of exponentials runs over tiles of prototypes, so another tile would be another order.
const GPU: Kernels = Kernels {
    shader: "ppc.gpu",
    pixels: 64,
    protos: 64,
    // All pixels at once: a GPU wants the work. The shader knows the 64.
    block: [64, usize::MAX],
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

/// Inputs `emb`, `protos`, `target`, the log-sum-exp `[N]`, the gradient of the first output `[N]` and, if the matching's
/// gradient is to be added, `da [N,C]` and `kstar [N,C]`; output that of `emb [N,D]`.
#[derive(Clone, Copy, Debug)]
pub struct PpcGrad {
    /// Temperature.
    pub tau: f32,
}

/// Records the contrast loss `[1]`: InfoNCE of every pixel's target among all C*K prototypes at temperature `tau`,
/// averaged over the pixels with a target (spec section 6). Memory beyond the inputs is `O(N)` forward; in the gradient a
/// block of fixed size, or `[N,64]` on GPUs, whatever C and K are.
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
        first: 0,
        pixels: emb.shape[0] as u32,
    };
    (0..num_rows).step_by(tile).map(params).collect()
}

/// Appends the running maximum and sum of all prototypes for the op's inputs `emb` and `protos`.
pub(super) fn scan(l: &mut Launch<'_>, tau: f32, state: Slot) {
    let (num_pixels, quads) = (l.input(0).shape[0], l.input(0).quads());
    let bindings = [("emb", l.read(0)), ("protos", l.read(1)), ("state", state)];
    let kernels = kernels(l.caps.variant);
    for params in tiles(l, kernels.protos * (SCAN_ITERATIONS / quads).max(1), tau) {
        l.dispatch(kernels.shader, "ppc_scan", &params, &bindings, grid(num_pixels, kernels.pixels));
        l.constants(kernels.constants);
    }
}

/// Appends what follows the scan: value and log-sum-exp for the op's input `target`.
pub(super) fn finish(l: &mut Launch<'_>, tau: f32, state: Slot, [value, lse]: [Slot; 2]) {
    let params = tiles(l, usize::MAX, tau)[0];
    let bindings = [
        ("emb", l.read(0)),
        ("protos", l.read(1)),
        ("assigned", l.read(2)),
        ("state", state),
        ("value", value),
        ("lse", lse),
    ];
    l.dispatch("ppc", "ppc_finish", &params, &bindings, grid(l.input(0).shape[0], 64));
}

/// Adds the matching's gradient to the weights of a block and tile.
fn winners(l: &mut Launch<'_>, block: &Params, weights: Slot) {
    let &[num_classes, num_protos, _] = &l.input(1).shape[..] else { unreachable!("prototypes are [C,K,D]") };
    let first_class = block.start as usize / num_protos;
    let classes = ((block.start + block.count) as usize).div_ceil(num_protos) - first_class;
    let items = block.pixels as usize * classes;
    let params = Winners {
        num_items: items as u32,
        num_protos: num_protos as u32,
        num_classes: num_classes as u32,
        first: block.first,
        pixels: block.pixels,
        start: block.start,
        count: block.count,
        first_class: first_class as u32,
        rows: u32::from(l.caps.variant.is_parallel()),
    };
    let bindings = [("da", l.read(5)), ("winner", l.read(6)), ("weights", weights)];
    l.dispatch("match_contrast", "match_contrast_winners", &params, &bindings, grid(items, 64));
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
        let state = l.scratch(2 * l.input(0).shape[0]);
        scan(l, self.tau, state);
        finish(l, self.tau, state, [l.write(0), l.write(1)]);
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
        // Few prototypes need no whole tile, but quads of all 64 that a GPU's workgroup takes.
        let tile = kernels.block[0].min(l.input(1).rows().next_multiple_of(64));
        let block = kernels.block[1].min(num_pixels);
        let weights = l.scratch(tile * block);
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
        for first_pixel in (0..num_pixels).step_by(block) {
            let pixels = block.min(num_pixels - first_pixel);
            for params in tiles(l, tile, self.tau) {
                let (first_pixel, end) = (first_pixel as u32, (first_pixel + pixels) as u32);
                let params = Params { num_pixels: end, first: first_pixel, pixels: pixels as u32, ..params };
                let parts = (kernels.parts)(params.count as usize);
                let groups = grid(pixels.div_ceil(kernels.pixels) * parts, 1);
                l.dispatch(kernels.shader, "ppc_weights", &params, &first, groups);
                if l.num_inputs() > 5 {
                    winners(l, &params, weights);
                }
                let groups = (kernels.sums)(pixels, quads);
                l.dispatch(kernels.shader, "ppc_accumulate", &params, &second, groups);
            }
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let [emb, protos, target, lse, g] = inputs[..5] else { unreachable!("five inputs are recorded") };
        let out = oracle::ppc::ppc_grad(emb, protos, target, lse, g, f64::from(self.tau));
        match inputs[5..] {
            [da, kstar] => vec![oracle::proto_match::emb_grad(da, kstar, protos, Some(&out), 0)],
            _ => vec![out],
        }
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
        on("K 17", [50, 3, 17, 7], 0.1, 0.1),
        on("K 20", [70, 5, 20, 16], 0.1, 0.1),
        on("K 31, D 5", [40, 2, 31, 5], 0.1, 0.5),
        on("K 32, one class", [33, 1, 32, 13], 0.1, 0.1),
        on("K 50", [50, 3, 50, 7], 0.1, 0.1),
        on("K 64", [70, 2, 64, 16], 0.1, 0.1),
        on("150 classes, D 64", [90, 150, 10, 64], 0.1, 0.1),
        on("several scans, D 1024", [9, 103, 10, 1024], 0.1, 0.1),
        on("several blocks and tiles", [1061, 60, 10, 7], 0.1, 0.1),
        on("many", [40_000, 11, 10, 16], 0.1, 0.1),
    ]
}
