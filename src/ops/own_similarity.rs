//! Similarity of every pixel to the prototypes of its own class.

use super::group_by_class;
use super::proto_rule::{expect, sizes};
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_classes: u32, num_protos: u32, quads: u32, out_quads: u32 }
}

/// Inputs `emb [N,D]`, `protos [C,K,D]`, `gt i32 [N]`, `order u32 [N]`; output `[N,K]`. No gradient flows through clustering.
#[derive(Clone, Copy, Debug)]
pub struct OwnSimilarity;

/// Records `S[n, gt_n, k] = <emb_n, protos_(gt_n, k)>` as `[N,K]`, rows of ignored pixels 0 (spec section 5). `order` is
/// that of [`group_by_class`](super::group_by_class()): pixels of one class share the loads of its prototypes.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
pub fn own_similarity(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    gt: ValueId,
    order: ValueId,
) -> Result<ValueId> {
    tape.push1(OwnSimilarity, &[emb, protos, gt, order])
}

impl Op for OwnSimilarity {
    fn stem(&self) -> &'static str {
        "own_similarity"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let sizes = sizes("own_similarity", inputs[0], inputs[1])?;
        expect("own_similarity", inputs[2], &[sizes.pixels], DType::I32)?;
        expect("own_similarity", inputs[3], &[sizes.pixels], DType::U32)?;
        Ok(vec![Spec::f32(&[sizes.pixels, sizes.protos])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (emb, protos, out) = (l.input(0), l.input(1), l.output(0));
        let params = Params {
            num_pixels: emb.shape[0] as u32,
            num_classes: protos.shape[0] as u32,
            num_protos: protos.shape[1] as u32,
            quads: emb.quads() as u32,
            out_quads: out.quads() as u32,
        };
        let bindings = [
            ("emb", l.read(0)),
            ("protos", l.read(1)),
            ("gt", l.read(2)),
            ("order", l.read(3)),
            ("out", l.write(0)),
        ];
        let count = emb.shape[0].div_ceil(4) * out.quads();
        l.dispatch("own_similarity", "own_similarity", &params, &bindings, grid(count, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::own_similarity::own_similarity(inputs[0], inputs[1], inputs[2])]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * outputs[0].len() as u64 * inputs[0].channels() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name, [n, c, k, d]: [usize; 4], ignored| {
        let inputs = vec![
            Input::fixed(&[n, d], Fill::UnitRows),
            Input::fixed(&[c, k, d], Fill::UnitRows),
            Input::i32(&[n], Fill::Integers { count: c, ignored }),
        ];
        Case::new(name, inputs, move |t, v| {
            let (order, _) = group_by_class(t, v[2], c)?;
            own_similarity(t, v[0], v[1], v[2], order)?;
            Ok(vec![])
        })
    };
    vec![
        case("K 3, D 5", [77, 11, 3, 5], 0.2),
        case("K 1, one class", [13, 1, 1, 16], 0.0),
        case("K 10, D 64", [300, 150, 10, 64], 0.1),
        case("K 16, all ignored", [20, 2, 16, 16], 1.0),
        case("K 17", [90, 3, 17, 16], 0.1),
        case("K 20, D 64", [300, 11, 20, 64], 0.1),
        case("K 31, D 7", [77, 4, 31, 7], 0.1),
        case("K 32, one class", [41, 1, 32, 13], 0.0),
        case("K 50", [90, 3, 50, 16], 0.1),
        case("K 64, D 7", [77, 4, 64, 7], 0.1),
        case("many", [40_000, 11, 10, 13], 0.1),
    ]
}
