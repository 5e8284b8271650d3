//! The nearest prototype of a pixel's class, at output size: prototype maps and the retrieval figure (spec section 12).

use super::corner_tap;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_pixels: u32,
        height: u32,
        width: u32,
        out_height: u32,
        out_width: u32,
        quads: u32,
        num_protos: u32,
        num_classes: u32,
    }
}

/// Inputs `classes [B,OH,OW]` (`i32`, -1 = none), `emb [B,H,W,D]`, `protos [C,K,D]`; outputs `nearest [B,OH,OW]` (`u32`) and
/// `sim [B,OH,OW,K]`, both 0 where there is no class.
#[derive(Clone, Copy, Debug)]
pub struct NearestPrototype;

/// Records the nearest prototypes of the class map; returns `(nearest, sim)`.
///
/// # Errors
/// [`Error::Shape`] if the batches or the embedding lengths differ, or an extent is above
/// [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn nearest_prototype(
    tape: &mut Tape,
    classes: ValueId,
    emb: ValueId,
    protos: ValueId,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(NearestPrototype, &[classes, emb, protos])?;
    Ok((out[0], out[1]))
}

impl Op for NearestPrototype {
    fn stem(&self) -> &'static str {
        "nearest_prototype"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [classes, emb, protos] = [0, 1, 2].map(|i| &inputs[i].shape);
        let fits = classes.len() == 3
            && emb.len() == 4
            && protos.len() == 3
            && classes[0] == emb[0]
            && emb[3] == protos[2]
            && protos[1] > 0;
        if !fits {
            let problem = format!(
                "classes {classes:?} [B,OH,OW], embeddings {emb:?} [B,H,W,D] and prototypes {protos:?} [C,K,D]"
            );
            return Err(Error::shape("nearest_prototype", problem));
        }
        corner_tap::check("nearest_prototype", [emb[1], emb[2]], classes)?;
        Ok(vec![Spec::u32(classes), Spec::f32(&[&classes[..], &[protos[1]]].concat())])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (classes, emb, protos) = (l.input(0), l.input(1), l.input(2));
        let params = Params {
            num_pixels: classes.len() as u32,
            height: emb.shape[1] as u32,
            width: emb.shape[2] as u32,
            out_height: classes.shape[1] as u32,
            out_width: classes.shape[2] as u32,
            quads: emb.quads() as u32,
            num_protos: protos.shape[1] as u32,
            num_classes: protos.shape[0] as u32,
        };
        let bindings = [
            ("classes", l.read(0)),
            ("emb", l.read(1)),
            ("protos", l.read(2)),
            ("nearest", l.write(0)),
            ("sim", l.write(1)),
        ];
        l.dispatch("nearest_prototype", "nearest_prototype", &params, &bindings, grid(classes.len(), 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::nearest_prototype::nearest_prototype(inputs[0], inputs[1], inputs[2]).into()
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * (outputs[1].len() * inputs[1].channels()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, out: [usize; 2], [b, h, w, d]: [usize; 4], [c, k]: [usize; 2]| {
        // One class too many: it counts as none.
        let classes = Input::i32(&[b, out[0], out[1]], Fill::Integers { count: c + 1, ignored: 0.1 });
        let emb = Input::fixed(&[b, h, w, d], Fill::UnitRows);
        let protos = Input::fixed(&[c, k, d], Fill::UnitRows);
        Case::new(name, vec![classes, emb, protos], |t, v| {
            nearest_prototype(t, v[0], v[1], v[2])?;
            Ok(Vec::new())
        })
    };
    vec![
        case("four times, three prototypes", [12, 20], [2, 3, 5, 7], [5, 3]),
        case("one prototype", [5, 4], [1, 2, 3, 4], [2, 1]),
        case("ten prototypes", [9, 11], [1, 4, 5, 20], [3, 10]),
        case("seventeen prototypes", [6, 7], [1, 3, 4, 16], [2, 17]),
        case("twenty prototypes", [9, 11], [1, 4, 5, 20], [3, 20]),
        case("thirty-two prototypes", [7, 5], [2, 3, 3, 7], [3, 32]),
        case("smaller output", [2, 3], [2, 5, 7, 5], [4, 5]),
        case("one pixel", [1, 1], [1, 1, 1, 3], [1, 2]),
        case("many pixels", [120, 161], [1, 30, 40, 16], [7, 4]),
    ]
}
