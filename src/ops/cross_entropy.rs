//! Cross-entropy at label resolution, over tiles of classes (spec sections 6 and 9.1).
//!
//! Forward: [`cross_entropy_tile`] folds every tile of logits into `lse` and `own` per label pixel, then
//! [`cross_entropy_loss`] gives the loss. Backward: [`cross_entropy_grad`] gives each tile's gradient from the same logits.
//! [`cross_entropy`] is the whole for logits that are one tile.

use std::sync::{Arc, OnceLock};

use super::table::{Case, Fill, Input};
use super::{EmptyLoss, corner_tap, fill};
use crate::error::{Error, Result};
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_items: u32,
        height: u32,
        width: u32,
        out_height: u32,
        out_width: u32,
        quads: u32,
        channels: u32,
        num_classes: u32,
        first_class: u32,
        first: u32,
        num_pixels: u32,
        block_quads: u32,
        first_image: u32,
        images: u32,
        first_cell: u32,
        cell_rows: u32,
        first_row: u32,
        rows: u32,
        strips: u32,
        strip_rows: u32,
        empty: f32,
    }
}

/// The place of a tile of logits `o [N,classes]`: the feature map it lies on and the classes it holds.
#[derive(Clone, Copy, Debug)]
pub struct LogitTile {
    /// Height and width of the feature map; `N = B * height * width`.
    pub size: [usize; 2],
    /// First class of the tile.
    pub first: usize,
    /// Number of classes over all tiles; labels outside `0..num_classes` are ignored.
    pub num_classes: usize,
}

/// Inputs `o`, `labels [B,HL,WL]` (`i32`) and, except for the first tile, `lse` and `own`; outputs `lse [M]`, `own [M]` with
/// `M = B * HL * WL`.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyTile(pub LogitTile);

/// Inputs `lse`, `own`, `labels`, `weights [C]`; outputs the loss `[1]` and `1 / sum w` `[1]` (0 if no label counts).
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyLoss {
    /// The loss when no label counts.
    pub empty: EmptyLoss,
}

/// Inputs `o`, `labels`, `lse`, `weights`, `1 / sum w`, the loss's gradient `[1]`; output the gradient of `o`.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyGrad(pub LogitTile);

/// Folds a tile into the running `(lse, own)` of every label pixel, or starts them; returns where they are.
///
/// # Errors
/// [`Error::Shape`] if the tile's rows are not those of the labels' batch, or the labels are not `i32 [B,HL,WL]` with
/// extents up to [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn cross_entropy_tile(
    tape: &mut Tape,
    o: ValueId,
    labels: ValueId,
    onto: Option<(ValueId, ValueId)>,
    tile: LogitTile,
) -> Result<(ValueId, ValueId)> {
    let op = CrossEntropyTile(tile);
    let Some((lse, own)) = onto else {
        let out = tape.push(op, &[o, labels])?;
        return Ok((out[0], out[1]));
    };
    tape.push_into(op, &[o, labels, lse, own], &[lse, own])?;
    Ok((lse, own))
}

/// Records the loss from the final `lse` and `own`; returns it and the factor `1 / sum w` for the gradient.
///
/// # Errors
/// [`Error::Shape`] if the pixel counts differ.
pub fn cross_entropy_loss(
    tape: &mut Tape,
    [lse, own, labels, weights]: [ValueId; 4],
    empty: EmptyLoss,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(CrossEntropyLoss { empty }, &[lse, own, labels, weights])?;
    Ok((out[0], out[1]))
}

/// Records the gradient of a tile; inputs `o`, `labels`, `lse`, `weights`, `1 / sum w`, the loss's gradient.
///
/// # Errors
/// As [`cross_entropy_tile`].
pub fn cross_entropy_grad(tape: &mut Tape, inputs: [ValueId; 6], tile: LogitTile) -> Result<ValueId> {
    tape.push1(CrossEntropyGrad(tile), &inputs)
}

/// Records the loss `[1]` of logits `o [N,C]` on a feature map of `size` against `labels [B,HL,WL]`, with class weights
/// `[C]`; `empty` is the loss when no label counts. The gradient flows to `o`.
///
/// # Errors
/// As [`cross_entropy_tile`].
pub fn cross_entropy(
    tape: &mut Tape,
    [o, labels, weights]: [ValueId; 3],
    size: [usize; 2],
    empty: EmptyLoss,
) -> Result<ValueId> {
    let tile = LogitTile { size, first: 0, num_classes: tape.value(weights).len() };
    let seen = Arc::new(OnceLock::new());
    let kept = Arc::clone(&seen);
    let body = |tape: &mut Tape| {
        let (lse, own) = cross_entropy_tile(tape, o, labels, None, tile)?;
        let (loss, scale) = cross_entropy_loss(tape, [lse, own, labels, weights], empty)?;
        seen.get_or_init(|| [lse, scale]);
        Ok(vec![loss])
    };
    let rule = move |tape: &mut Tape, grads: &[Option<ValueId>]| {
        let (Some(&[lse, scale]), Some(d_loss)) = (kept.get(), grads[0]) else { return Ok(vec![None]) };
        Ok(vec![Some(cross_entropy_grad(tape, [o, labels, lse, weights, scale, d_loss], tile)?)])
    };
    Ok(tape.block(&[o], body, rule)?[0])
}

fn check(tile: LogitTile, o: &Value, labels: &Value) -> Result<()> {
    let [height, width] = tile.size;
    let fits = labels.shape.len() == 3
        && labels.dtype == DType::I32
        && !labels.is_empty()
        && o.rows() == labels.shape[0] * height * width;
    if !fits {
        let problem = format!(
            "logits {:?} on a {height} x {width} map against labels {:?} [B,HL,WL]",
            o.shape, labels.shape
        );
        return Err(Error::shape("cross_entropy", problem));
    }
    corner_tap::check("cross_entropy", tile.size, &labels.shape)?;
    if tile.first + o.channels() > tile.num_classes {
        let problem = format!("logits {:?} from class {} of {}", o.shape, tile.first, tile.num_classes);
        return Err(Error::shape("cross_entropy", problem));
    }
    Ok(())
}

fn params(tile: LogitTile, o: &Value, labels: &Value) -> Params {
    Params {
        num_items: 0,
        height: tile.size[0] as u32,
        width: tile.size[1] as u32,
        out_height: labels.shape[1] as u32,
        out_width: labels.shape[2] as u32,
        quads: o.quads() as u32,
        channels: o.channels() as u32,
        num_classes: tile.num_classes as u32,
        first_class: tile.first as u32,
        first: 0,
        num_pixels: labels.len() as u32,
        block_quads: 0,
        first_image: 0,
        images: 0,
        first_cell: 0,
        cell_rows: 0,
        first_row: 0,
        rows: 0,
        strips: 0,
        strip_rows: 0,
        empty: 0.0,
    }
}

/// Whether four neighbouring outputs lie within three inputs (`NARROW` of the shader's run).
pub(super) fn narrow(size_in: usize, size_out: usize) -> f64 {
    f64::from(u8::from(3 * (size_in - 1) < size_out))
}

impl Op for CrossEntropyTile {
    fn stem(&self) -> &'static str {
        "cross_entropy"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(self.0, inputs[0], inputs[1])?;
        Ok(vec![Spec::f32(&[inputs[1].len()]); 2])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (o, labels) = (l.input(0), l.input(1));
        let items = labels.rows() * labels.channels().div_ceil(4);
        let first = u32::from(l.num_inputs() == 2);
        let params = Params { num_items: items as u32, first, ..params(self.0, o, labels) };
        let bindings = [("o", l.read(0)), ("labels", l.read(1)), ("lse", l.write(0)), ("own", l.write(1))];
        l.dispatch("cross_entropy", "cross_entropy", &params, &bindings, grid(items, 64));
        l.constants(&[("NARROW", narrow(self.0.size[1], labels.channels()))]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let onto = (inputs.len() > 2).then(|| [inputs[2], inputs[3]]);
        let LogitTile { size, first, num_classes } = self.0;
        oracle::cross_entropy::tile(inputs[0], inputs[1], onto, size, first, num_classes).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        8 * (inputs[1].len() * inputs[0].channels()) as u64
    }
}

impl Op for CrossEntropyLoss {
    fn stem(&self) -> &'static str {
        "cross_entropy"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [lse, own, labels] = [inputs[0], inputs[1], inputs[2]];
        if lse.len() != labels.len() || own.len() != labels.len() {
            let problem = format!("{:?} and {:?} against labels {:?}", lse.shape, own.shape, labels.shape);
            return Err(Error::shape("cross_entropy", problem));
        }
        Ok(vec![Spec::f32(&[1]); 2])
    }

    /// Blocks of at least 256 pixels and at most 4096 blocks.
    fn launch(&self, l: &mut Launch<'_>) {
        let (labels, weights) = (l.input(2), l.input(3));
        let quads = labels.len().div_ceil(4);
        let block_quads = quads.div_ceil(4096).max(64);
        let blocks = quads.div_ceil(block_quads);
        let tile = LogitTile { size: [1, 1], first: 0, num_classes: weights.len() };
        let params = Params {
            num_items: blocks as u32,
            block_quads: block_quads as u32,
            empty: self.empty.value(),
            ..params(tile, weights, labels)
        };
        let partial = l.scratch(blocks * 4);
        let bindings = [
            ("lse_quads", l.read(0)),
            ("own_quads", l.read(1)),
            ("label_quads", l.read(2)),
            ("weights", l.read(3)),
            ("partial", partial),
        ];
        l.dispatch("cross_entropy", "cross_entropy_partial", &params, &bindings, grid(blocks, 64));
        let bindings = [("partial", partial), ("loss", l.write(0)), ("scale", l.write(1))];
        l.dispatch("cross_entropy", "cross_entropy_loss", &params, &bindings, [1, 1, 1]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let [lse, own, labels, weights] = [inputs[0], inputs[1], inputs[2], inputs[3]];
        oracle::cross_entropy::loss(lse, own, labels, weights, f64::from(self.empty.value())).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        4 * inputs[2].len() as u64
    }
}

impl Op for CrossEntropyGrad {
    fn stem(&self) -> &'static str {
        "cross_entropy"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(self.0, inputs[0], inputs[1])?;
        Ok(vec![Spec::f32(&[inputs[0].rows(), inputs[0].channels()])])
    }

    /// Pairs of dispatches (cells, their sum), each for as many images, or rows of one image, as keep the cells' shares
    /// within 32 MiB.
    fn launch(&self, l: &mut Launch<'_>) {
        const SCRATCH_FLOATS: usize = 8 << 20;
        const PIXELS: usize = 16_384;
        let (o, labels) = (l.input(0), l.input(1));
        let [height, width] = self.0.size;
        let [cells_y, cells_x] = self.0.size.map(|size| size.max(2) - 1);
        // Label pixels that a cell spans at most: the last cell holds both of its ends.
        let span = |size_out: usize, cells: usize| (size_out.max(2) - 1).div_ceil(cells) + 1;
        let label_rows = span(labels.shape[1], cells_y);
        let strip_rows = (PIXELS / span(labels.shape[2], cells_x)).clamp(1, label_rows);
        let strips = label_rows.div_ceil(strip_rows);
        let per_row = strips * cells_x * o.quads() * 16;
        let batch = labels.shape[0];
        let images = (SCRATCH_FLOATS / (per_row * cells_y)).clamp(1, batch);
        // Two rows of cells complete one row of feature pixels.
        let cell_rows = (SCRATCH_FLOATS / per_row).max(2).min(cells_y);
        let partial = l.scratch(images * cell_rows * per_row);
        for first_image in (0..batch).step_by(images) {
            let images = images.min(batch - first_image);
            let mut first_row = 0;
            while first_row < height {
                let first_cell = first_row.saturating_sub(1);
                let cell_rows = cell_rows.min(cells_y - first_cell);
                let end_cell = first_cell + cell_rows;
                let rows = if end_cell == cells_y { height } else { end_cell } - first_row;
                let params = Params {
                    num_items: (strips * images * cell_rows * cells_x * o.quads().div_ceil(2)) as u32,
                    first_image: first_image as u32,
                    images: images as u32,
                    first_cell: first_cell as u32,
                    cell_rows: cell_rows as u32,
                    first_row: first_row as u32,
                    rows: rows as u32,
                    strips: strips as u32,
                    strip_rows: strip_rows as u32,
                    ..params(self.0, o, labels)
                };
                grad_band(l, partial, params, images * rows * width * o.quads());
                first_row += rows;
            }
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let read = [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]];
        vec![oracle::cross_entropy::grad(read, self.0.size, self.0.first)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        14 * (inputs[1].len() * inputs[0].channels()) as u64
    }
}

/// One pair of dispatches of the gradient; the second writes `num_quads` vec4s.
fn grad_band(l: &mut Launch<'_>, partial: Slot, params: Params, num_quads: usize) {
    let bindings = [
        ("o", l.read(0)),
        ("labels", l.read(1)),
        ("lse_all", l.read(2)),
        ("weights", l.read(3)),
        ("weight_scale", l.read(4)),
        ("d_loss", l.read(5)),
        ("partial", partial),
    ];
    let groups = grid(params.num_items as usize, 64);
    l.dispatch("cross_entropy", "cross_entropy_cells", &params, &bindings, groups);
    let params = Params { num_items: num_quads as u32, ..params };
    let bindings = [("partial", partial), ("d_logit", l.write(0))];
    l.dispatch("cross_entropy", "cross_entropy_grad", &params, &bindings, grid(num_quads, 64));
}

/// Logits of several tiles as separate inputs, then labels and weights: one block over the tile operations.
fn over_tiles(tape: &mut Tape, v: &[ValueId], size: [usize; 2]) -> Result<Vec<ValueId>> {
    let (tiles, labels, weights) = (v[..v.len() - 2].to_vec(), v[v.len() - 2], v[v.len() - 1]);
    let num_classes = tape.value(weights).len();
    let starts = tiles.iter().scan(0, |next, &o| {
        let first = *next;
        *next += tape.value(o).channels();
        Some((o, LogitTile { size, first, num_classes }))
    });
    let places: Vec<_> = starts.collect();
    let seen = Arc::new(OnceLock::new());
    let (kept, again) = (Arc::clone(&seen), places.clone());
    let body = |tape: &mut Tape| {
        let state = places
            .iter()
            .try_fold(None, |state, &(o, tile)| cross_entropy_tile(tape, o, labels, state, tile).map(Some))?;
        let (lse, own) = state.expect("at least one tile");
        let (loss, scale) = cross_entropy_loss(tape, [lse, own, labels, weights], EmptyLoss::Zero)?;
        seen.get_or_init(|| [lse, scale]);
        Ok(vec![loss])
    };
    let rule = move |tape: &mut Tape, grads: &[Option<ValueId>]| {
        let (&[lse, scale], d_loss) = (kept.get().expect("recorded"), grads[0].expect("a seed"));
        let grad = |&(o, tile): &(ValueId, LogitTile)| {
            cross_entropy_grad(tape, [o, labels, lse, weights, scale, d_loss], tile).map(Some)
        };
        again.iter().map(grad).collect()
    };
    tape.block(&tiles, body, rule)
}

pub(super) fn cases() -> Vec<Case> {
    let logits = |n: usize, c: usize| Input::f32(&[n, c], Fill::Uniform(-3.0, 3.0));
    let weights = |c: usize| Input::fixed(&[c], Fill::Uniform(0.5, 1.5));
    let case = |name: &str, [b, h, w]: [usize; 3], c: usize, [hl, wl]: [usize; 2]| {
        // Two labels too many: those outside 0..C are ignored like -1.
        let labels = Input::i32(&[b, hl, wl], Fill::Integers { count: c + 2, ignored: 0.1 });
        Case::new(name, vec![logits(b * h * w, c), labels, weights(c)], move |t, v| {
            Ok(vec![cross_entropy(t, [v[0], v[1], v[2]], [h, w], EmptyLoss::Zero)?])
        })
    };
    // Gradient on the device against the oracle only: where differences of the loss would be lost in rounding.
    let device_weighted =
        |name: &str, [b, h, w]: [usize; 3], labels: Input, weights: Input, empty: EmptyLoss| {
            let c = weights.shape[0];
            let o = Input::fixed(&[b * h * w, c], Fill::Uniform(-3.0, 3.0));
            Case::new(name, vec![o, labels, weights], move |t, v| {
                let one = fill(t, &[1], 1.0)?;
                let tile = LogitTile { size: [h, w], first: 0, num_classes: c };
                let (lse, own) = cross_entropy_tile(t, v[0], v[1], None, tile)?;
                let (_, scale) = cross_entropy_loss(t, [lse, own, v[1], v[2]], empty)?;
                cross_entropy_grad(t, [v[0], v[1], lse, v[2], scale, one], tile)?;
                Ok(Vec::new())
            })
        };
    let device_only = |name: &str, map: [usize; 3], labels: Input, c: usize, empty: EmptyLoss| {
        device_weighted(name, map, labels, weights(c), empty)
    };
    // Weights that no configuration lets through: what they make of the loss must be seen.
    let odd_weights = |name: &str, values: [f32; 3]| {
        let labels = Input::i32(&[2, 9, 13], Fill::Integers { count: 3, ignored: 0.3 });
        let weights = Input::fixed(&[3], Fill::Values(values.to_vec()));
        device_weighted(name, [2, 3, 5], labels, weights, EmptyLoss::Zero)
    };
    let ignored = || Input::i32(&[1, 5, 7], Fill::Values(vec![-1.0; 35]));
    let band_labels = Fill::Integers { count: 2, ignored: 0.1 };
    let many = Input::i32(&[3, 96, 122], Fill::Integers { count: 19, ignored: 0.1 });
    let steep = Case::new(
        "logits near -100 and 100",
        vec![
            Input::f32(
                &[2 * 2, 3],
                Fill::Values(vec![
                    -100.0, -101.0, -99.5, -98.0, -100.0, -99.0, 100.0, 99.0, 98.0, 97.0, 100.5, 99.0,
                ]),
            ),
            Input::i32(&[1, 5, 6], Fill::Integers { count: 3, ignored: 0.0 }),
            weights(3),
        ],
        |t, v| Ok(vec![cross_entropy(t, [v[0], v[1], v[2]], [2, 2], EmptyLoss::Zero)?]),
    )
    // exp(logit - lse) with both near 100, where f32 steps by 8e-6.
    .tolerance(5e-5);
    let tiles = |name: &str, widths: &[usize], [b, h, w]: [usize; 3], [hl, wl]: [usize; 2]| {
        let num_classes = widths.iter().sum();
        let mut inputs: Vec<_> = widths.iter().map(|&c| logits(b * h * w, c)).collect();
        inputs.push(Input::i32(&[b, hl, wl], Fill::Integers { count: num_classes, ignored: 0.2 }));
        inputs.push(weights(num_classes));
        Case::new(name, inputs, move |t, v| over_tiles(t, v, [h, w]))
    };
    vec![
        case("four times", [2, 3, 5], 5, [12, 20]),
        case("odd ratio, narrow", [1, 4, 3], 11, [13, 17]),
        case("odd ratio, wide", [2, 5, 7], 3, [7, 9]),
        case("same size", [1, 4, 5], 13, [4, 5]),
        case("labels smaller than features", [2, 7, 9], 4, [3, 2]),
        case("one label pixel", [1, 3, 4], 2, [1, 1]),
        case("one label column", [1, 3, 4], 2, [6, 1]),
        case("one feature pixel", [2, 1, 1], 7, [5, 6]),
        case("one feature row", [1, 1, 5], 6, [7, 8]),
        case("strips", [1, 1, 2], 5, [300, 257]),
        // More feature pixels than the cells' shares of one dispatch hold.
        device_only("bands", [2, 601, 903], Input::i32(&[2, 201, 302], band_labels), 2, EmptyLoss::Zero),
        device_only("many pixels", [3, 24, 31], many, 19, EmptyLoss::Zero),
        tiles("three tiles", &[32, 32, 6], [1, 3, 4], [9, 11]),
        tiles("uneven tiles", &[4, 8, 1], [2, 2, 3], [5, 12]),
        device_only("no label counts", [1, 2, 3], ignored(), 5, EmptyLoss::Zero),
        device_only("no label counts: NaN asked for", [1, 2, 3], ignored(), 5, EmptyLoss::Nan),
        odd_weights("a weight that is no number", [1.0, f32::NAN, 1.0]),
        odd_weights("weights below 0", [-1.0, -0.5, -2.0]),
        odd_weights("weights of 0", [0.0; 3]),
        steep,
    ]
}
