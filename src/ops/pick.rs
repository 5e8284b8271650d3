//! One pixel against all prototypes: what the pointer is over.

use super::corner_tap;
use super::proto_rule::{OnMap, expect, on_map};
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::grid;
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

/// Inputs `emb [1,h,w,D]`, `protos [C,K,D]`, `at u32 [2]` (x, y); output `cosines [C,K]`.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    /// Height and width of the map that `at` is a pixel of.
    pub out_size: [usize; 2],
}

/// Records the cosines of all prototypes to the embedding interpolated at pixel `at` of an `out_size` (height, width) map and
/// normalised again. A pixel outside takes the nearest one of the map.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes are others or an extent is above
/// [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn pick(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    at: ValueId,
    out_size: [usize; 2],
) -> Result<ValueId> {
    tape.push1(Pick { out_size }, &[emb, protos, at])
}

impl Op for Pick {
    fn stem(&self) -> &'static str {
        "pick"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [size, protos] = on_map("pick", inputs[0], inputs[1])?;
        expect("pick", inputs[2], &[2], DType::U32)?;
        corner_tap::check_output("pick", size, &[1, self.out_size[0], self.out_size[1]])?;
        Ok(vec![Spec::f32(&protos)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (emb, cosines) = (l.input(0), l.output(0));
        let params = OnMap::new(emb, &cosines.shape, self.out_size);
        let bindings =
            [("emb", l.read(0)), ("protos", l.read(1)), ("at", l.read(2)), ("cosines", l.write(0))];
        l.dispatch("pick", "pick", &params, &bindings, grid(cosines.rows() * cosines.quads(), 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::pick::pick(inputs[0], inputs[1], inputs[2], self.out_size)]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        let per_invocation = 16 * inputs[0].channels();
        (per_invocation * outputs[0].rows() * outputs[0].quads()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, [h, w, d]: [usize; 3], protos: [usize; 2], out_size: [usize; 2], at: [u32; 2]| {
        let inputs = vec![
            Input::fixed(&[1, h, w, d], Fill::UnitRows),
            Input::fixed(&[protos[0], protos[1], d], Fill::UnitRows),
            Input::u32(&[2], Fill::Words(at.to_vec())),
        ];
        Case::new(name, inputs, move |t, v| {
            pick(t, v[0], v[1], v[2], out_size)?;
            Ok(Vec::new())
        })
    };
    vec![
        case("between four places", [5, 7, 9], [4, 3], [20, 28], [10, 13]),
        case("the far corner", [3, 4, 16], [2, 10], [7, 9], [8, 6]),
        case("outside", [3, 4, 16], [3, 5], [7, 9], [1000, u32::MAX]),
        case("one place", [1, 1, 5], [1, 1], [1, 1], [0, 0]),
        case("many classes", [4, 5, 12], [70, 7], [13, 17], [3, 11]),
    ]
}
