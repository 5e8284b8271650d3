//! The colour layer over a photo: by class, prototype, scalar, embedding, true label or error.

use super::pixel_label::MAX_LABEL;
use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::rng;
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, width: u32, num_classes: u32, num_protos: u32 }
}

/// What [`shade()`] reads. Colours are packed: `r | g << 8 | b << 16 | a << 24`, 8 bits each, not premultiplied.
#[derive(Clone, Copy, Debug)]
pub struct ShadeInputs {
    /// `u32 [B,H,W]`: class and prototype, `class | k << 16`.
    pub label: ValueId,
    /// `f32 [B,H,W,4]`: cosine, margin, strength, confidence (see [`pixel_label`](super::pixel_label())).
    pub score: ValueId,
    /// `f32 [B,H,W]`: the scalar of mode 2.
    pub heat: ValueId,
    /// `u32 [B,H,W]`: the packed colour of mode 6.
    pub color: ValueId,
    /// `u32 [B,H,W]`: true class, `0xffffffff` = ignored or unknown.
    pub truth: ValueId,
    /// `u32 [256 + C + C*K]`: a ramp for scalars, a colour per class, a colour per prototype.
    pub palette: ValueId,
    /// `f32 [8]`: mode (0 classes, 1 prototypes, 2 heat, 3 confidence, 4 margin, 5 unknown = 1 - cosine, 6 embedding colour,
    /// 7 truth, 8 errors, 9 cosine, 10 nothing); low and high end of the ramp; alpha 0..=255 of the grey over right and
    /// ignored pixels of mode 8; 1 = scalars and mode 6 hide what is switched off (alpha 0 in the palette); 1 = mode 1
    /// multiplies alpha by `0.35 + 0.65 sqrt(strength)`; two zeros.
    pub options: ValueId,
}

/// Inputs in the order of [`ShadeInputs`]; output `layer u32 [B,H,W]`, packed colours, alpha 0 where nothing is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Shade {
    /// C.
    pub num_classes: usize,
    /// K, 0 for a model without prototypes.
    pub num_prototypes: usize,
}

/// Records the layer. Labels out of range take the last class or prototype.
///
/// # Errors
/// [`Error::Shape`] if the maps differ in size or type, or the palette does not fit C and K.
pub fn shade(
    tape: &mut Tape,
    inputs: ShadeInputs,
    num_classes: usize,
    num_prototypes: usize,
) -> Result<ValueId> {
    let ShadeInputs { label, score, heat, color, truth, palette, options } = inputs;
    let op = Shade { num_classes, num_prototypes };
    tape.push1(op, &[label, score, heat, color, truth, palette, options])
}

impl Op for Shade {
    fn stem(&self) -> &'static str {
        "shade"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (c, k) = (self.num_classes, self.num_prototypes);
        let shape = &inputs[0].shape;
        if shape.len() != 3 || inputs[0].is_empty() || c == 0 || c.max(k) > MAX_LABEL {
            let problem = format!(
                "labels {shape:?} of {c} classes with {k} prototypes, [B,H,W] of 1 to {MAX_LABEL} wanted"
            );
            return Err(Error::shape("shade", problem));
        }
        expect("shade", inputs[0], shape, DType::U32)?;
        expect("shade", inputs[1], &[&shape[..], &[4]].concat(), DType::F32)?;
        expect("shade", inputs[2], shape, DType::F32)?;
        expect("shade", inputs[3], shape, DType::U32)?;
        expect("shade", inputs[4], shape, DType::U32)?;
        expect("shade", inputs[5], &[256 + c + c * k], DType::U32)?;
        expect("shade", inputs[6], &[8], DType::F32)?;
        Ok(vec![Spec::u32(shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let layer = l.output(0);
        let params = Params {
            num_pixels: layer.len() as u32,
            width: layer.channels() as u32,
            num_classes: self.num_classes as u32,
            num_protos: self.num_prototypes as u32,
        };
        let bindings = [
            ("label", l.read(0)),
            ("score", l.read(1)),
            ("heat", l.read(2)),
            ("color", l.read(3)),
            ("truth", l.read(4)),
            ("palette", l.read(5)),
            ("options", l.read(6)),
            ("layer", l.write(0)),
        ];
        l.dispatch("shade", "shade", &params, &bindings, grid(layer.len(), 256));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::shade::shade(inputs, self.num_classes, self.num_prototypes)]
    }
}

/// Seed of the cases.
const SEED: u32 = 0x5ade;

/// Random bits for a test.
fn bits(stream: u32, i: usize) -> u32 {
    rng::bits(SEED, stream, i as u32)
}

/// A uniform number of `[0, 1)` for a test.
fn uniform(stream: u32, i: usize) -> f32 {
    rng::uniform(SEED, stream, i as u32)
}

/// Inputs for a `shape` and options; scalars stay off the borders between two colours of the ramp, where rounding decides.
pub(super) fn inputs(shape: [usize; 3], [c, k]: [usize; 2], options: [f32; 8]) -> Vec<Input> {
    let pixels: usize = shape.iter().product();
    let words = |len: usize, f: &dyn Fn(usize) -> u32| Fill::Words((0..len).map(f).collect());
    let scalar = |stream: u32, i: usize| {
        // A little beyond both ends.
        let step = (bits(stream, i) % 280) as f32 - 12.0;
        let share = (step + 0.7 * (uniform(stream + 1, i) - 0.5)) / 255.0;
        // On both sides of a threshold.
        let [low, high] = if options[1] == options[2] {
            [options[1] - 1.0, options[1] + 1.0]
        } else {
            [options[1], options[2]]
        };
        low + share * (high - low)
    };
    let score = |i: usize| match i % 4 {
        0 if options[0] == 5.0 => 1.0 - scalar(10, i),
        2 => uniform(12, i),
        _ => scalar(10, i),
    };
    // One class and prototype too many; every third colour is switched off.
    let label = |i: usize| (bits(1, i) % (c as u32 + 1)) | ((bits(2, i) % (k as u32 + 1)) << 16);
    let color = |i: usize| if i % 3 == 1 { bits(3, i) & 0xff_ffff } else { bits(3, i) };
    let truth = |i: usize| match bits(4, i) % 4 {
        0 => u32::MAX,
        1 => label(i) & 0xffff,
        _ => bits(5, i) % c as u32,
    };
    vec![
        Input::u32(&shape, words(pixels, &label)),
        Input::fixed(&[&shape[..], &[4]].concat(), Fill::Values((0..4 * pixels).map(score).collect())),
        Input::fixed(&shape, Fill::Values((0..pixels).map(|i| scalar(14, i)).collect())),
        Input::u32(&shape, words(pixels, &color)),
        Input::u32(&shape, words(pixels, &truth)),
        Input::u32(&[256 + c + c * k], words(256 + c + c * k, &|i| color(i + pixels))),
        Input::fixed(&[8], Fill::Values(options.to_vec())),
    ]
}

/// [`shade()`] on inputs in order.
pub(super) fn record(t: &mut Tape, v: &[ValueId], [c, k]: [usize; 2]) -> Result<ValueId> {
    let &[label, score, heat, color, truth, palette, options] = v else { panic!("seven inputs") };
    shade(t, ShadeInputs { label, score, heat, color, truth, palette, options }, c, k)
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 3], protos: [usize; 2], options: [f32; 8]| {
        Case::new(name, inputs(shape, protos, options), move |t, v| {
            record(t, v, protos)?;
            Ok(Vec::new())
        })
    };
    let plain = |mode: f32| [mode, -0.5, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0];
    vec![
        case("classes", [2, 5, 7], [5, 3], plain(0.0)),
        case("prototypes", [1, 9, 11], [3, 10], plain(1.0)),
        case("prototypes by strength", [1, 9, 11], [3, 10], [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        case("prototypes of a model without", [1, 3, 5], [4, 0], plain(1.0)),
        case("heat, odd width", [2, 6, 13], [4, 2], plain(2.0)),
        case("heat, some hidden", [1, 9, 10], [7, 2], [2.0, 0.25, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0]),
        case("confidence", [1, 6, 9], [4, 2], plain(3.0)),
        case("margin, reversed", [1, 7, 9], [4, 2], [4.0, 4.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        case("margin against a threshold", [1, 7, 9], [4, 2], [4.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]),
        case("unknown", [1, 8, 9], [4, 2], plain(5.0)),
        case("embedding", [1, 3, 9], [4, 2], plain(6.0)),
        case("embedding, some hidden", [1, 9, 9], [5, 0], [6.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        case("truth", [2, 4, 9], [4, 2], plain(7.0)),
        case("errors", [1, 7, 11], [4, 2], [8.0, 0.0, 1.0, 90.0, 0.0, 0.0, 0.0, 0.0]),
        case("cosine, some hidden", [1, 8, 9], [4, 4], [9.0, -1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        case("nothing", [1, 4, 9], [4, 2], plain(10.0)),
        case("many pixels", [1, 131, 142], [19, 10], plain(1.0)),
    ]
}
