//! The colour of every pixel's embedding: three projections as red, green and blue.

use super::corner_tap;
use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { height: u32, width: u32, out_height: u32, out_width: u32, quads: u32 }
}

/// Inputs `emb [1,h,w,D]`, `basis [3,D]`, `range [3,2]` (low, high); output `color u32 [1,H,W]`.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingColor {
    /// H and W.
    pub out_size: [usize; 2],
}

/// Records packed colours (`r | g << 8 | b << 16 | 255 << 24`) of an `out_size` (height, width) map: channel i is 0 where the
/// interpolated and again normalised embedding has `<e, basis_i>` of `low_i` or less, 255 from `high_i` on.
///
/// # Errors
/// [`Error::Shape`] if the shapes are others or an extent is above [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn embedding_color(
    tape: &mut Tape,
    emb: ValueId,
    basis: ValueId,
    range: ValueId,
    out_size: [usize; 2],
) -> Result<ValueId> {
    tape.push1(EmbeddingColor { out_size }, &[emb, basis, range])
}

impl Op for EmbeddingColor {
    fn stem(&self) -> &'static str {
        "embedding_color"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let &[1, h, w, d] = &inputs[0].shape[..] else {
            let problem = format!("embeddings {:?}, [1,h,w,D] wanted", inputs[0].shape);
            return Err(Error::shape("embedding_color", problem));
        };
        expect("embedding_color", inputs[1], &[3, d], DType::F32)?;
        expect("embedding_color", inputs[2], &[3, 2], DType::F32)?;
        let shape = [1, self.out_size[0], self.out_size[1]];
        corner_tap::check_output("embedding_color", [h, w], &shape)?;
        Ok(vec![Spec::u32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let emb = l.input(0);
        let [height, width] = self.out_size;
        let params = Params {
            height: emb.shape[1] as u32,
            width: emb.shape[2] as u32,
            out_height: height as u32,
            out_width: width as u32,
            quads: emb.quads() as u32,
        };
        let places = emb.rows();
        let (gram, dots) = (l.scratch(12 * places), l.scratch(4 * places));
        let bindings = [("emb", l.read(0)), ("basis", l.read(1)), ("gram", gram), ("dots", dots)];
        l.dispatch("embedding_color", "color_cells", &params, &bindings, grid(places, 64));
        let bindings = [("range", l.read(2)), ("gram", gram), ("dots", dots), ("color", l.write(0))];
        let items = height * width.div_ceil(4);
        l.dispatch("embedding_color", "embedding_color", &params, &bindings, grid(items, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let color = oracle::embedding_color::embedding_color;
        vec![color(inputs[0], inputs[1], inputs[2], self.out_size)]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        (26 * inputs[0].len() + 60 * outputs[0].len()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    // Wide ranges: few values then lie so near the border between two colours that rounding decides.
    let case = |name: &str, shape: [usize; 3], out_size: [usize; 2], range: [f32; 6]| {
        let inputs = vec![
            Input::fixed(&[1, shape[0], shape[1], shape[2]], Fill::UnitRows),
            Input::fixed(&[3, shape[2]], Fill::UnitRows),
            Input::fixed(&[3, 2], Fill::Values(range.to_vec())),
        ];
        Case::new(name, inputs, move |t, v| {
            embedding_color(t, v[0], v[1], v[2], out_size)?;
            Ok(Vec::new())
        })
    };
    vec![
        case("four times", [5, 7, 9], [20, 28], [-1.0, 1.0, -2.0, 2.0, 1.5, -1.5]),
        case("odd ratio, clamped", [3, 4, 16], [7, 9], [-0.25, 0.25, 0.0, 0.75, -0.5, 0.0]),
        case("smaller output, thresholds", [5, 6, 8], [2, 3], [0.0, 0.0, 0.125, 0.125, -1.0, 1.0]),
        case("one pixel of one place", [1, 1, 3], [1, 1], [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]),
    ]
}
