//! Class, nearest prototype and scores of every pixel, as the viewer colours them (spec section 12).

use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_items: u32, width: u32, num_protos: u32 }
}

/// Most classes and most prototypes per class that a label holds: 16 bits each.
pub const MAX_LABEL: usize = 1 << 16;

/// Inputs `pred [B,H,W]` (`u32` or `i32`), `best` and `second` `[B,H,W]` and, for a model with prototypes, `nearest [B,H,W]`
/// (`u32`) and `sim [B,H,W,K]`; outputs `label [B,H,W]` (`u32`) and `score [B,H,W,4]`.
#[derive(Clone, Copy, Debug)]
pub struct PixelLabel;

/// Records `(label, score)`: `label` is `class | k << 16`; `score` holds the cosine to the nearest prototype of the class,
/// the margin `best - second` (3e38 with one class), the prototype's share of the softmax over its class's cosines / 0.1,
/// and the probability `1 / (1 + exp(-margin))` of the class against the runner-up. `prototypes` are `nearest` and `sim`;
/// without them k, cosine and share are 0.
///
/// # Errors
/// [`Error::Shape`] if the maps differ in size or type, or K is above [`MAX_LABEL`].
pub fn pixel_label(
    tape: &mut Tape,
    pred: ValueId,
    [best, second]: [ValueId; 2],
    prototypes: Option<[ValueId; 2]>,
) -> Result<(ValueId, ValueId)> {
    let inputs = [pred, best, second].into_iter().chain(prototypes.into_iter().flatten());
    let out = tape.push(PixelLabel, &inputs.collect::<Vec<_>>())?;
    Ok((out[0], out[1]))
}

impl Op for PixelLabel {
    fn stem(&self) -> &'static str {
        "pixel_label"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let shape = &inputs[0].shape;
        if shape.len() != 3 || inputs[0].dtype == DType::F32 || inputs[0].is_empty() {
            let problem = format!("classes {shape:?} {:?}, whole numbers [B,H,W] wanted", inputs[0].dtype);
            return Err(Error::shape("pixel_label", problem));
        }
        expect("pixel_label", inputs[1], shape, DType::F32)?;
        expect("pixel_label", inputs[2], shape, DType::F32)?;
        if let [nearest, sim] = inputs[3..] {
            expect("pixel_label", nearest, shape, DType::U32)?;
            let k = sim.channels();
            expect("pixel_label", sim, &[&shape[..], &[k]].concat(), DType::F32)?;
            if k == 0 || k > MAX_LABEL {
                let problem = format!("{k} prototypes per class, 1 to {MAX_LABEL} wanted");
                return Err(Error::shape("pixel_label", problem));
            }
        }
        Ok(vec![Spec::u32(shape), Spec::f32(&[&shape[..], &[4]].concat())])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let best = l.input(1);
        let items = best.rows() * best.quads();
        let has_prototypes = l.num_inputs() > 3;
        let params = Params {
            num_items: items as u32,
            width: best.channels() as u32,
            num_protos: if has_prototypes { l.input(4).channels() as u32 } else { 0 },
        };
        let mut bindings = vec![
            ("pred", l.read(0)),
            ("best", l.read(1)),
            ("second", l.read(2)),
            ("label", l.write(0)),
            ("score", l.write(1)),
        ];
        let mut entry = "pixel_label_plain";
        if has_prototypes {
            bindings.extend([("nearest", l.read(3)), ("sim", l.read(4))]);
            entry = "pixel_label";
        }
        l.dispatch("pixel_label", entry, &params, &bindings, grid(items, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let prototypes = (inputs.len() > 3).then(|| [inputs[3], inputs[4]]);
        oracle::pixel_label::pixel_label(inputs[0], [inputs[1], inputs[2]], prototypes).into()
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        let sims = inputs.get(4).map_or(0, |sim| 3 * sim.len());
        (sims + 4 * outputs[0].len()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 3], second: Fill, k: usize| {
        let mut inputs = vec![
            Input::i32(&shape, Fill::Integers { count: 300, ignored: 0.0 }),
            Input::fixed(&shape, Fill::Uniform(0.0, 4.0)),
            Input::fixed(&shape, second),
        ];
        if k > 0 {
            inputs.push(Input::u32(&shape, Fill::Integers { count: k, ignored: 0.0 }));
            inputs.push(Input::fixed(&[&shape[..], &[k]].concat(), Fill::Uniform(-1.0, 1.0)));
        }
        Case::new(name, inputs, |t, v| {
            pixel_label(t, v[0], [v[1], v[2]], v.get(3).map(|&nearest| [nearest, v[4]]))?;
            Ok(Vec::new())
        })
    };
    let some = || Fill::Uniform(-4.0, 0.0);
    vec![
        case("three prototypes, odd width", [2, 5, 7], some(), 3),
        case("ten prototypes", [1, 9, 12], some(), 10),
        case("one prototype, one column", [1, 4, 1], some(), 1),
        case("no prototypes", [2, 3, 9], some(), 0),
        case("one class", [1, 2, 5], Fill::Values(vec![-3e38; 10]), 4),
        case("many pixels", [1, 131, 142], some(), 4),
    ]
}
