//! Class map at output size, with the two highest logits of every pixel, over tiles of classes (spec section 11).

use super::corner_tap;
use super::cross_entropy::narrow;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_items: u32,
        height: u32,
        width: u32,
        out_height: u32,
        out_width: u32,
        quads: u32,
        channels: u32,
        first_class: u32,
        first: u32,
    }
}

/// Input `o [N,classes]` and, except for the first tile, the outputs so far; outputs `pred` (`u32`), `highest` and `second`,
/// each `[B,OH,OW]`. With one class, `second` is -3e38.
#[derive(Clone, Copy, Debug)]
pub struct UpsampleArgmax {
    /// Height and width of the feature map; `N = B * height * width`.
    pub size: [usize; 2],
    /// Height and width of the output.
    pub out_size: [usize; 2],
    /// First class of the tile.
    pub first: usize,
}

/// Folds a tile into the running `[pred, highest, second]`, or starts them; returns where they are.
///
/// # Errors
/// [`Error::Shape`] if the tile's rows are no whole number of feature maps, or an extent is above
/// [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn upsample_argmax(
    tape: &mut Tape,
    o: ValueId,
    onto: Option<[ValueId; 3]>,
    op: UpsampleArgmax,
) -> Result<[ValueId; 3]> {
    let Some(state) = onto else {
        let out = tape.push(op, &[o])?;
        return Ok([out[0], out[1], out[2]]);
    };
    tape.push_into(op, &[&[o], &state[..]].concat(), &state)?;
    Ok(state)
}

impl Op for UpsampleArgmax {
    fn stem(&self) -> &'static str {
        "upsample_argmax"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (o, [height, width], [out_height, out_width]) = (inputs[0], self.size, self.out_size);
        let pixels = height * width;
        if pixels == 0 || !o.rows().is_multiple_of(pixels) || out_height * out_width == 0 {
            let problem = format!(
                "logits {:?} on a {height} x {width} map to {out_height} x {out_width} pixels",
                o.shape
            );
            return Err(Error::shape("upsample_argmax", problem));
        }
        let shape = [o.rows() / pixels, out_height, out_width];
        corner_tap::check("upsample_argmax", self.size, &shape)?;
        Ok(vec![Spec::u32(&shape), Spec::f32(&shape), Spec::f32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (o, out) = (l.input(0), l.output(0));
        let items = out.rows() * out.channels().div_ceil(4);
        let params = Params {
            num_items: items as u32,
            height: self.size[0] as u32,
            width: self.size[1] as u32,
            out_height: self.out_size[0] as u32,
            out_width: self.out_size[1] as u32,
            quads: o.quads() as u32,
            channels: o.channels() as u32,
            first_class: self.first as u32,
            first: u32::from(l.num_inputs() == 1),
        };
        let bindings =
            [("o", l.read(0)), ("pred", l.write(0)), ("highest", l.write(1)), ("second", l.write(2))];
        l.dispatch("upsample_argmax", "upsample_argmax", &params, &bindings, grid(items, 64));
        l.constants(&[("NARROW", narrow(self.size[1], self.out_size[1]))]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let onto = (inputs.len() > 1).then(|| [inputs[1], inputs[2], inputs[3]]);
        let found = oracle::upsample_argmax::upsample_argmax;
        found(inputs[0], onto, self.size, self.out_size, self.first).into()
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        5 * (outputs[0].len() * inputs[0].channels()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case =
        |name: &str, widths: &'static [usize], [b, h, w]: [usize; 3], out_size: [usize; 2], fill: Fill| {
            let inputs = widths.iter().map(|&c| Input::fixed(&[b * h * w, c], fill.clone())).collect();
            Case::new(name, inputs, move |t, v| {
                let mut state = None;
                let mut first = 0;
                for &o in v {
                    state =
                        Some(upsample_argmax(t, o, state, UpsampleArgmax { size: [h, w], out_size, first })?);
                    first += t.value(o).channels();
                }
                Ok(Vec::new())
            })
        };
    let some = Fill::Uniform(-3.0, 3.0);
    // Whole numbers at halves: exact in f32, so ties are exact and the lowest class must win.
    let ties = Fill::Integers { count: 3, ignored: 0.2 };
    vec![
        case("four times", &[11], [2, 6, 7], [24, 28], some.clone()),
        case("odd ratio, wide", &[5], [1, 5, 7], [7, 9], some.clone()),
        case("smaller", &[3], [2, 7, 9], [3, 2], some.clone()),
        case("same size", &[4], [2, 3, 5], [3, 5], some.clone()),
        case("one pixel from one", &[2], [1, 1, 1], [1, 1], some.clone()),
        case("one class", &[1], [1, 2, 2], [5, 6], some.clone()),
        case("three tiles", &[32, 32, 6], [1, 3, 4], [10, 13], some.clone()),
        case("ties", &[4, 3], [2, 9, 11], [17, 21], ties),
        case("many pixels", &[19], [1, 30, 40], [150, 205], some),
    ]
}
