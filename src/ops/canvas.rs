//! What the viewer's window shows: a photo at any scale under one or two colour layers.

use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::uniform;
use crate::oracle::{self, Array};
use crate::rng;
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        photo_width: u32,
        photo_height: u32,
        width_a: u32,
        height_a: u32,
        width_b: u32,
        height_b: u32,
        width: u32,
        height: u32,
        across_a: f32,
        down_a: f32,
        across_b: f32,
        down_b: f32,
    }
}

/// Largest height or width of photo, layers and viewport in pixels.
const MAX_SIDE: usize = (1 << 16) - 1;

/// What [`canvas()`] reads. Colours are packed: `r | g << 8 | b << 16 | a << 24`, 8 bits each, not premultiplied.
#[derive(Clone, Copy, Debug)]
pub struct CanvasInputs {
    /// `u32 [1,PH,PW]`: packed colours; alpha is not looked at.
    pub photo: ValueId,
    /// `u32 [1,HA,WA]`: labels of the left or only picture, between which contours run.
    pub label_a: ValueId,
    /// `u32 [1,HA,WA]`: its colours (see [`shade()`](super::shade())), which cover the whole photo, nearest neighbour.
    pub layer_a: ValueId,
    /// `u32 [1,HB,WB]`: labels of the right picture. Where a and b are the same values, the kernel is cheaper.
    pub label_b: ValueId,
    /// `u32 [1,HB,WB]`: its colours.
    pub layer_b: ValueId,
    /// `f32 [24]`:
    /// 0, 1: photo coordinates (pixels, x and y) of the top left corner;
    /// 2: photo pixels per viewport pixel, above 0;
    /// 3: opacity of the layer, 0..1;
    /// 4: 0 fill, 1 contours in the layer's colours and no fill, 2 fill and dark contours (where the layer is visible);
    /// 5: 0 one picture (a), 1 wipe (b from 6 on), 2 side by side (a up to 6, b from 6 + 7 on, both from the same corner);
    /// 6, 7: place of the split and width of the gap, viewport pixels;
    /// 8, 9, 10: background r, g, b, 0..=255;
    /// 11, 12: how far the photo is desaturated and darkened, 0..1;
    /// 13: 1 = the photo is smooth when enlarged below 4x;
    /// 14: 1 = contours between classes only, 0 = between prototypes too;
    /// 15: 1 = lines between photo pixels at 12x and more;
    /// the rest 0.
    pub view: ValueId,
}

/// Inputs in the order of [`CanvasInputs`]; output `u32 [1,VH,VW]`, opaque packed colours.
#[derive(Clone, Copy, Debug)]
pub struct Canvas {
    /// Height and width of the viewport.
    pub out_size: [usize; 2],
}

/// Records the picture of a viewport of `out_size` (height, width) pixels.
///
/// # Errors
/// [`Error::Shape`] if the shapes or types are others, or a side is above 65,535.
pub fn canvas(tape: &mut Tape, inputs: CanvasInputs, out_size: [usize; 2]) -> Result<ValueId> {
    let CanvasInputs { photo, label_a, layer_a, label_b, layer_b, view } = inputs;
    tape.push1(Canvas { out_size }, &[photo, label_a, layer_a, label_b, layer_b, view])
}

impl Op for Canvas {
    fn stem(&self) -> &'static str {
        "canvas"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        for (label, layer) in [(0, 0), (1, 2), (3, 4)] {
            let shape = &inputs[label].shape;
            if shape.len() != 3 || shape[0] != 1 || shape.iter().any(|&n| n == 0 || n > MAX_SIDE) {
                let problem = format!(
                    "`{}` is {shape:?}, [1,H,W] with sides of 1 to {MAX_SIDE} wanted",
                    inputs[label].name
                );
                return Err(Error::shape("canvas", problem));
            }
            expect("canvas", inputs[label], shape, DType::U32)?;
            expect("canvas", inputs[layer], shape, DType::U32)?;
        }
        expect("canvas", inputs[5], &[24], DType::F32)?;
        let [height, width] = self.out_size;
        if height.min(width) == 0 || height.max(width) > MAX_SIDE {
            let problem = format!("a viewport of {height} x {width} pixels, 1 to {MAX_SIDE} wanted");
            return Err(Error::shape("canvas", problem));
        }
        Ok(vec![Spec::u32(&[1, height, width])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let size = |i: usize| [l.input(i).shape[1], l.input(i).shape[2]];
        let ([ph, pw], [ha, wa], [hb, wb]) = (size(0), size(1), size(3));
        let [height, width] = self.out_size;
        let ratio = |layer: usize, photo: usize| layer as f32 / photo as f32;
        let params = Params {
            photo_width: pw as u32,
            photo_height: ph as u32,
            width_a: wa as u32,
            height_a: ha as u32,
            width_b: wb as u32,
            height_b: hb as u32,
            width: width as u32,
            height: height as u32,
            across_a: ratio(wa, pw),
            down_a: ratio(ha, ph),
            across_b: ratio(wb, pw),
            down_b: ratio(hb, ph),
        };
        let bindings = [
            ("photo", l.read(0)),
            ("label_a", l.read(1)),
            ("layer_a", l.read(2)),
            ("label_b", l.read(3)),
            ("layer_b", l.read(4)),
            ("view", l.read(5)),
            ("out", l.write(0)),
        ];
        l.dispatch("canvas", "canvas", &params, &bindings, [width.div_ceil(512) as u32, height as u32, 1]);
        let two = l.read(1) != l.read(3) || l.read(2) != l.read(4);
        l.constants(&[("TWO", f64::from(u8::from(two)))]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::canvas::canvas(inputs, self.out_size)]
    }
}

/// [`record()`] with a in both places.
pub(super) fn record_one(t: &mut Tape, v: &[ValueId], out_size: [usize; 2]) -> Result<ValueId> {
    record(t, &[v[0], v[1], v[2], v[1], v[2], v[5]], out_size)
}

/// Random colours and labels of `size` (photo, a, b; height and width each), and a view.
pub(super) fn inputs([photo, a, b]: [[usize; 2]; 3], view: &[f32]) -> Vec<Input> {
    let map = |stream: u32, [h, w]: [usize; 2], f: fn(u32) -> u32| {
        let words = (0..(h * w) as u32).map(|i| f(rng::bits(0xca, stream, i)));
        Input::u32(&[1, h, w], Fill::Words(words.collect()))
    };
    // Few labels, so that some neighbours agree; every fourth colour is hidden, every fourth opaque.
    let label = |bits: u32| (bits & 1) | (((bits >> 1) & 1) << 16);
    let color = |bits: u32| match bits >> 30 {
        0 => bits & 0xff_ffff,
        1 => bits | 0xff00_0000,
        _ => bits,
    };
    let mut view = view.to_vec();
    view.resize(24, 0.0);
    vec![
        map(0, photo, |bits| bits),
        map(1, a, label),
        map(2, a, color),
        map(3, b, label),
        map(4, b, color),
        Input::fixed(&[24], Fill::Values(view)),
    ]
}

/// [`canvas()`] on inputs in order.
pub(super) fn record(t: &mut Tape, v: &[ValueId], out_size: [usize; 2]) -> Result<ValueId> {
    let &[photo, label_a, layer_a, label_b, layer_b, view] = v else { panic!("six inputs") };
    canvas(t, CanvasInputs { photo, label_a, layer_a, label_b, layer_b, view }, out_size)
}

/// Places and scales are sums of few powers of two, which `f32` holds exactly, and sizes are coprime: no place lies on the
/// border between two pixels where rounding decides.
pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, sizes: [[usize; 2]; 3], out_size: [usize; 2], view: &[f32]| {
        Case::new(name, inputs(sizes, view), move |t, v| {
            record(t, v, out_size)?;
            Ok(Vec::new())
        })
    };
    let one = |name: &str, sizes: [[usize; 2]; 3], out_size: [usize; 2], view: &[f32]| {
        Case::new(name, inputs(sizes, view), move |t, v| {
            record_one(t, v, out_size)?;
            Ok(Vec::new())
        })
    };
    let sizes = [[11, 13], [5, 7], [23, 29]];
    let same = [[11, 13]; 3];
    vec![
        case("pixel for pixel", same, [11, 13], &[0.0, 0.0, 1.0, 0.5]),
        case(
            "enlarged, smooth, with a frame",
            sizes,
            [35, 41],
            &[-0.75, -0.5, 0.375, 0.625, 0.0, 0.0, 0.0, 0.0, 20.0, 30.0, 40.0, 0.25, 0.5, 1.0],
        ),
        case(
            "pixels with a grid",
            sizes,
            [30, 34],
            &[2.25, 3.125, 0.0625, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        ),
        case(
            "reduced by 1.5, dark contours",
            sizes,
            [11, 12],
            &[-1.25, -1.75, 1.5, 1.0, 2.0, 0.0, 0.0, 0.0, 255.0, 0.0, 128.0, 1.0],
        ),
        case(
            "reduced by 4, wipe, contours of classes",
            [[59, 61], [17, 19], [31, 23]],
            [17, 19],
            &[-0.25, 0.75, 4.0, 1.0, 1.0, 1.0, 7.5, 0.0, 9.0, 8.0, 7.0, 0.0, 0.0, 1.0, 1.0],
        ),
        case(
            "side by side, contours",
            sizes,
            [21, 300],
            &[0.125, 0.25, 0.0625, 0.75, 1.0, 2.0, 140.0, 6.0, 60.0, 60.0, 70.0, 0.0, 0.0, 0.0],
        ),
        one("one picture in both panes", sizes, [20, 30], &[0.5, 0.25, 0.5, 0.75, 2.0, 2.0, 14.0, 3.0]),
        case("one pixel of one", [[1, 1]; 3], [1, 1], &[0.0, 0.0, 1.0, 1.0]),
        case(
            "a layer finer than the photo",
            [[5, 7], [33, 37], [9, 4]],
            [29, 270],
            &[0.0, 0.25, 0.03125, 1.0, 2.0, 1.0, 200.0],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    #[test]
    fn every_option_of_the_view_shows() {
        let picture = |view: [f32; 24]| {
            let inputs = inputs([[11, 13], [5, 7], [23, 29]], &view);
            let case = Case::new("", inputs, |t, v| Ok(vec![record(t, v, [20, 40])?]));
            check::on_oracle(&case).expect("it is recorded")
        };
        let mut view = [0.0; 24];
        view[..13]
            .copy_from_slice(&[0.5, 0.25, 0.0625, 0.75, 2.0, 2.0, 9.0, 3.0, 10.0, 20.0, 30.0, 0.25, 0.25]);
        let changes = [
            (0, 0.75),
            (1, 1.5),
            (2, 0.125),
            (3, 0.5),
            (4, 1.0),
            (5, 1.0),
            (6, 12.0),
            (7, 5.0),
            (8, 99.0),
            (9, 99.0),
            (10, 99.0),
            (11, 1.0),
            (12, 0.75),
            (13, 1.0),
            (14, 1.0),
            (15, 1.0),
        ];
        for (index, value) in changes {
            let mut before = view;
            if index == 13 {
                before[2] = 0.375;
            }
            let mut after = before;
            after[index] = value;
            assert!(picture(before) != picture(after), "option {index}");
        }
    }
}
