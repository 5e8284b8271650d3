//! Class similarities `a = max_k <embedding, prototype>` for a range of classes, with the winners (spec section 4).

use std::ops::Range;

use super::fill;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{Gemm, GemmKind, Slot, Tile, Variant, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_items: u32,
        num_rows: u32,
        quads: u32,
        num_protos: u32,
        first_class: u32,
        classes: u32,
        first_row: u32,
        rows: u32,
        num_blocks: u32,
        accumulate: u32,
    }
}

uniform! {
    struct Walk {
        num_pixels: u32,
        quads: u32,
        num_protos: u32,
        num_rows: u32,
        first_class: u32,
        classes: u32,
        begin: u32,
        end: u32,
        inv_tau: f32,
    }
}

/// Inputs `emb [N,D]`, `protos [C,K,D]`; outputs `a [N,classes]` and `kstar [N,classes]` (`u32`, lowest index on ties).
#[derive(Clone, Debug)]
pub struct ProtoMatch {
    /// The classes matched, a range of `0..C`.
    pub classes: Range<usize>,
}

/// Inputs `da`, `kstar`, `protos` and, to be added to, `d_emb`; output `d_emb [N,D]`.
#[derive(Clone, Debug)]
pub struct ProtoMatchEmbGrad {
    /// As in [`ProtoMatch`].
    pub classes: Range<usize>,
}

/// Inputs `da`, `kstar`, `emb` and the `d_protos [C,K,D]` to add to, which is the output too.
#[derive(Clone, Debug)]
pub struct ProtoMatchProtosGrad {
    /// As in [`ProtoMatch`].
    pub classes: Range<usize>,
}

/// Records the match of `emb [N,D]` with the prototypes `[C,K,D]` of `classes`; returns `(a, kstar)`.
///
/// # Errors
/// [`Error::Shape`] if the embedding lengths differ or the range leaves `0..C`.
pub fn proto_match(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    classes: Range<usize>,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(ProtoMatch { classes }, &[emb, protos])?;
    Ok((out[0], out[1]))
}

/// Records the gradient to the embeddings, added in place to `onto` if given; returns where it is.
///
/// # Errors
/// [`Error::Shape`] as for [`proto_match`].
pub fn proto_match_emb_grad(
    tape: &mut Tape,
    [da, kstar, protos]: [ValueId; 3],
    onto: Option<ValueId>,
    classes: Range<usize>,
) -> Result<ValueId> {
    let op = ProtoMatchEmbGrad { classes };
    let Some(onto) = onto else { return tape.push1(op, &[da, kstar, protos]) };
    tape.push_into(op, &[da, kstar, protos, onto], &[onto])?;
    Ok(onto)
}

/// Records the gradient to the prototypes, added in place to `onto [C,K,D]`.
///
/// # Errors
/// [`Error::Shape`] as for [`proto_match`].
pub fn proto_match_protos_grad(
    tape: &mut Tape,
    [da, kstar, emb]: [ValueId; 3],
    onto: ValueId,
    classes: Range<usize>,
) -> Result<()> {
    tape.push_into(ProtoMatchProtosGrad { classes }, &[da, kstar, emb, onto], &[onto])
}

fn check(classes: &Range<usize>, channels: usize, protos: &Value) -> Result<()> {
    let (shape, Range { start, end }) = (&protos.shape, classes);
    if shape.len() != 3 || shape[2] != channels {
        let problem = format!("embeddings of length {channels} against prototypes {shape:?} [C,K,D]");
        return Err(Error::shape("proto_match", problem));
    }
    if start >= end || *end > shape[0] {
        let problem = format!("classes {start}..{end} of prototypes {shape:?}");
        return Err(Error::shape("proto_match", problem));
    }
    Ok(())
}

fn params(num_rows: usize, protos: &Value, classes: &Range<usize>) -> Params {
    Params {
        num_items: 0,
        num_rows: num_rows as u32,
        quads: protos.quads() as u32,
        num_protos: protos.shape[1] as u32,
        first_class: classes.start as u32,
        classes: classes.len() as u32,
        first_row: 0,
        rows: 0,
        num_blocks: 0,
        accumulate: 0,
    }
}

/// Appends the match by tiles in workgroup memory or on cooperative matrices, in the families that have them and as long as
/// a class fits into a tile. The families `f16` and `matrix` round both operands to 16 bits: similarities of unit vectors
/// are then off by up to about 1e-3, and another prototype may win where two are as near as that.
fn tiled(l: &mut Launch<'_>, params: &Params, bindings: &[(&'static str, Slot); 4]) -> bool {
    let protos = params.num_protos as usize;
    let columns = params.classes * params.num_protos;
    let gemm = Gemm { rows: params.num_rows, columns, depth: 4 * params.quads, kind: GemmKind::Match };
    let groups = |[rows, columns]: [usize; 2]| {
        let tiles = (params.classes as usize).div_ceil(columns / protos);
        grid((params.num_rows as usize).div_ceil(rows) * tiles, 1)
    };
    if !l.caps.variant.is_parallel() || protos > Tile::Deep.columns() {
        return false;
    }
    if l.caps.variant == Variant::Matrix {
        let entry = if l.caps.matrix_size == 16 { "proto_match_16" } else { "proto_match_8" };
        l.dispatch("proto_match.matrix", entry, params, bindings, groups([64, 64]));
        l.constants(&[("INVOCATIONS", f64::from(4 * l.caps.subgroup_size))]);
        return true;
    }
    // The scores of the long tile would not fit beside its operands, and a class must fit into the tile.
    let tile = match l.tile(gemm) {
        Tile::Long => Tile::Deep,
        Tile::Small if protos > Tile::Small.columns() => Tile::Wide,
        tile => tile,
    };
    let shader = if l.caps.variant == Variant::F16 { "proto_match.f16" } else { "proto_match.gpu" };
    let entry = if tile.side() == 8 { "proto_match_8" } else { "proto_match_4" };
    l.dispatch(shader, entry, params, bindings, groups([tile.rows(), tile.columns()]));
    let scores = (tile.rows() / tile.side() * tile.columns()) as f64;
    l.constants(&[&tile.constants()[..], &[("SCORES", scores)]].concat());
    l.measured(gemm);
    true
}

/// Appends the match of the op's inputs `emb` and `protos` for `classes` into `a` and `kstar`.
pub(super) fn forward(l: &mut Launch<'_>, classes: &Range<usize>, [a, kstar]: [Slot; 2]) {
    let rows = l.input(0).rows();
    let bindings = [("emb", l.read(0)), ("protos", l.read(1)), ("a", a), ("kstar", kstar)];
    let base = params(rows, l.input(1), classes);
    if tiled(l, &base, &bindings) {
        return;
    }
    if l.caps.variant == Variant::Software {
        return software(l, classes, [a, kstar], None);
    }
    let items = rows.div_ceil(8) * classes.len().div_ceil(4);
    let params = Params { num_items: items as u32, ..base };
    l.dispatch("proto_match", "proto_match", &params, &bindings, grid(items, 64));
}

/// Appends the same for software adapters with subgroups, with the contrast's scan at a temperature into its state if asked
/// for. As many dispatches as keep the loops bounded.
pub(super) fn software(
    l: &mut Launch<'_>,
    classes: &Range<usize>,
    [a, kstar]: [Slot; 2],
    contrast: Option<(f32, Slot)>,
) {
    /// Iterations of an invocation: 16 prototypes take `quads` for their products and 16 for their maxima.
    const ITERATIONS: usize = 32_768;
    let (emb, protos) = (l.input(0), l.input(1));
    let (rows, quads, num_protos) = (emb.rows(), emb.quads(), protos.shape[1]);
    let step = (16 * ITERATIONS / (quads + 16) / num_protos).max(1);
    let mut bindings = vec![("emb", l.read(0)), ("protos", l.read(1)), ("a", a), ("kstar", kstar)];
    let (entry, tau) = match contrast {
        Some((tau, state)) => {
            bindings.push(("state", state));
            ("proto_match_contrast", tau)
        }
        None => ("proto_match", 1.0),
    };
    for begin in (0..classes.len()).step_by(step) {
        let end = classes.len().min(begin + step);
        let params = Walk {
            num_pixels: rows as u32,
            quads: quads as u32,
            num_protos: num_protos as u32,
            num_rows: ((classes.start + end) * num_protos) as u32,
            first_class: classes.start as u32,
            classes: classes.len() as u32,
            begin: begin as u32,
            end: end as u32,
            inv_tau: 1.0 / tau,
        };
        l.dispatch("proto_match.software", entry, &params, &bindings, grid(rows, 32));
    }
}

impl Op for ProtoMatch {
    fn stem(&self) -> &'static str {
        "proto_match"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(&self.classes, inputs[0].channels(), inputs[1])?;
        let shape = [inputs[0].rows(), self.classes.len()];
        Ok(vec![Spec::f32(&shape), Spec::u32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        forward(l, &self.classes, [l.write(0), l.write(1)]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let found =
            oracle::proto_match::proto_match(inputs[0], inputs[1], self.classes.start, self.classes.len());
        found.into()
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(da) = node.grads[0] else { return Ok(vec![None; 2]) };
        let (emb, protos, kstar) = (node.inputs[0], node.inputs[1], node.outputs[1]);
        let mut found = vec![None; 2];
        if node.wanted[0] {
            let classes = self.classes.clone();
            found[0] = Some(proto_match_emb_grad(tape, [da, kstar, protos], None, classes)?);
        }
        if node.wanted[1] {
            let shape = tape.value(protos).shape.clone();
            let sum = fill(tape, &shape, 0.0)?;
            proto_match_protos_grad(tape, [da, kstar, emb], sum, self.classes.clone())?;
            found[1] = Some(sum);
        }
        Ok(found)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * (inputs[0].len() * self.classes.len() * inputs[1].shape[1]) as u64
    }
}

impl Op for ProtoMatchEmbGrad {
    fn stem(&self) -> &'static str {
        "proto_match"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(&self.classes, inputs[2].channels(), inputs[2])?;
        Ok(vec![Spec::f32(&[inputs[0].rows(), inputs[2].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let rows = l.input(0).rows();
        let items = rows * l.input(2).quads().div_ceil(4);
        let accumulate = u32::from(l.num_inputs() > 3);
        let params =
            Params { num_items: items as u32, accumulate, ..params(rows, l.input(2), &self.classes) };
        let bindings =
            [("da", l.read(0)), ("winner", l.read(1)), ("protos", l.read(2)), ("d_emb", l.write(0))];
        l.dispatch("proto_match", "proto_match_emb_grad", &params, &bindings, grid(items, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let onto = inputs.get(3).copied();
        vec![oracle::proto_match::emb_grad(inputs[0], inputs[1], inputs[2], onto, self.classes.start)]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * (outputs[0].len() * inputs[0].channels()) as u64
    }
}

impl Op for ProtoMatchProtosGrad {
    fn stem(&self) -> &'static str {
        "proto_match"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(&self.classes, inputs[2].channels(), inputs[3])?;
        Ok(vec![Spec::f32(&inputs[3].shape)])
    }

    /// Pairs of dispatches (partial sums of blocks of rows, their sum), as many as keep the partial sums within 64 MiB.
    fn launch(&self, l: &mut Launch<'_>) {
        const ROWS: usize = 1024;
        const SCRATCH_FLOATS: usize = 16 << 20;
        let (rows, protos) = (l.input(0).rows(), l.output(0));
        let (quads, num_protos) = (protos.quads(), protos.shape[1]);
        let size = self.classes.len() * num_protos * quads;
        let blocks = rows.div_ceil(ROWS).min((SCRATCH_FLOATS / (4 * size)).max(1));
        let partial = l.scratch(blocks * size * 4);
        let base = params(rows, protos, &self.classes);
        for first_row in (0..rows).step_by(blocks * ROWS) {
            let num_blocks = (rows - first_row).div_ceil(ROWS).min(blocks);
            let items = num_blocks * self.classes.len() * num_protos.div_ceil(16) * quads;
            let params = Params {
                num_items: items as u32,
                first_row: first_row as u32,
                rows: ROWS as u32,
                num_blocks: num_blocks as u32,
                ..base
            };
            let bindings =
                [("da", l.read(0)), ("winner", l.read(1)), ("emb", l.read(2)), ("partial", partial)];
            l.dispatch("proto_match", "proto_match_protos_partial", &params, &bindings, grid(items, 64));
            let bindings = [("partial", partial), ("d_protos", l.write(0))];
            l.dispatch("proto_match", "proto_match_protos_grad", &params, &bindings, grid(size, 64));
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::proto_match::protos_grad(inputs[0], inputs[1], inputs[2], inputs[3], self.classes.start)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * (inputs[2].len() * inputs[0].channels()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, [n, c, k, d]: [usize; 4], classes: Range<usize>| {
        let unit = |shape: &[usize]| Input::f32(shape, Fill::UnitRows);
        Case::new(name, vec![unit(&[n, d]), unit(&[c, k, d])], move |t, v| {
            Ok(vec![proto_match(t, v[0], v[1], classes.clone())?.0])
        })
    };
    // An embedding that is no number: neither its similarities nor its neighbours' may hide it.
    let mut broken: Vec<f32> = (0..10 * 4).map(|i| (i as f32).sin()).collect();
    broken[13] = f32::NAN;
    let broken = vec![Input::fixed(&[10, 4], Fill::Values(broken)), Input::fixed(&[5, 3, 4], Fill::UnitRows)];
    // Small whole numbers: products are exact, so ties are too, and the winner must be the lowest index.
    let whole = |shape: &[usize]| Input::fixed(shape, Fill::Integers { count: 3, ignored: 0.2 });
    vec![
        case("all classes", [13, 5, 3, 7], 0..5),
        case("one class, one prototype, one channel", [3, 1, 1, 1], 0..1),
        case("a tile in the middle", [9, 70, 2, 5], 32..64),
        case("the last tile", [10, 70, 5, 12], 64..70),
        case("ten prototypes", [21, 4, 10, 20], 0..4),
        case("more prototypes than a register tile", [17, 2, 21, 6], 0..2),
        case("K 17", [40, 3, 17, 7], 0..3),
        case("K 20, a tile in the middle", [33, 9, 20, 16], 2..7),
        case("K 31", [21, 5, 31, 5], 0..5),
        case("K 32", [35, 3, 32, 13], 0..3),
        case("K 33", [40, 3, 33, 7], 0..3),
        case("K 50, a tile in the middle", [33, 9, 50, 16], 2..7),
        case("K 64", [35, 3, 64, 13], 0..3),
        case("more prototypes than a small tile", [35, 3, 40, 9], 0..3),
        case("more prototypes than any tile", [18, 2, 70, 5], 0..2),
        case("classes that leave columns of a tile idle", [70, 13, 10, 33], 1..13),
        case("many rows", [20_011, 5, 3, 8], 0..5),
        Case::new("an embedding that is no number", broken, |t, v| {
            Ok(vec![proto_match(t, v[0], v[1], 0..5)?.0])
        }),
        Case::new("ties", vec![whole(&[4001, 3]), whole(&[6, 7, 3])], |t, v| {
            Ok(vec![proto_match(t, v[0], v[1], 0..6)?.0])
        }),
        Case::new(
            "gradients of two tiles in one place",
            vec![Input::f32(&[11, 5], Fill::UnitRows), Input::f32(&[9, 3, 5], Fill::UnitRows)],
            |t, v| {
                let ranges = [0..4, 4..9];
                let forward = |t: &mut Tape| -> Result<Vec<_>> {
                    ranges.iter().map(|r| proto_match(t, v[0], v[1], r.clone())).collect()
                };
                let seen = std::sync::Arc::new(std::sync::OnceLock::new());
                let kept = std::sync::Arc::clone(&seen);
                let (ranges, inputs) = (ranges.clone(), [v[0], v[1]]);
                let rule = move |t: &mut Tape, grads: &[Option<ValueId>]| {
                    let tiles: &Vec<(ValueId, ValueId)> = kept.get().expect("set by the forward pass");
                    let shape = t.value(inputs[1]).shape.clone();
                    let d_protos = fill(t, &shape, 0.0)?;
                    let mut d_emb = None;
                    for ((range, tile), da) in ranges.iter().zip(tiles).zip(grads) {
                        let da = da.expect("both tiles have a seed");
                        let at = [da, tile.1, inputs[1]];
                        d_emb = Some(proto_match_emb_grad(t, at, d_emb, range.clone())?);
                        proto_match_protos_grad(t, [da, tile.1, inputs[0]], d_protos, range.clone())?;
                    }
                    Ok(vec![d_emb, Some(d_protos)])
                };
                let body = |t: &mut Tape| {
                    let tiles = forward(t)?;
                    let a = tiles.iter().map(|x| x.0).collect();
                    seen.set(tiles).expect("recorded once");
                    Ok(a)
                };
                t.block(&v[..2], body, rule)
            },
        ),
    ]
}
