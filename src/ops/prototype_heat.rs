//! How near every pixel of an image is to one prototype, or to the nearest of a class.

use super::corner_tap;
use super::proto_rule::{OnMap, expect, on_map};
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::grid;
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

/// The `k` that selects the nearest of a class's prototypes, whichever it is.
pub const ANY_PROTOTYPE: u32 = u32::MAX;

/// Inputs `emb [1,h,w,D]`, `protos [C,K,D]`, `selected u32 [2]` (class, k); output `heat [1,H,W]`.
#[derive(Clone, Copy, Debug)]
pub struct PrototypeHeat {
    /// H and W.
    pub out_size: [usize; 2],
}

/// Records the cosine of every pixel of an `out_size` (height, width) map to the selected prototype: that of the embedding
/// interpolated there and normalised again. `k` = [`ANY_PROTOTYPE`] takes the largest over the class's K; selections out of
/// range take the last class or prototype.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes are others or an extent is above [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn prototype_heat(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    selected: ValueId,
    out_size: [usize; 2],
) -> Result<ValueId> {
    tape.push1(PrototypeHeat { out_size }, &[emb, protos, selected])
}

impl Op for PrototypeHeat {
    fn stem(&self) -> &'static str {
        "prototype_heat"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [size, _] = on_map("prototype_heat", inputs[0], inputs[1])?;
        expect("prototype_heat", inputs[2], &[2], DType::U32)?;
        let shape = [1, self.out_size[0], self.out_size[1]];
        corner_tap::check_output("prototype_heat", size, &shape)?;
        Ok(vec![Spec::f32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (emb, protos, heat) = (l.input(0), l.input(1), l.output(0));
        let params = OnMap::new(emb, &protos.shape, self.out_size);
        let (places, quads) = (emb.rows(), protos.shape[1].div_ceil(4));
        let (gram, dots) = (l.scratch(12 * places), l.scratch(4 * places * quads));
        let (emb, protos, selected) = (l.read(0), l.read(1), l.read(2));
        let bindings = [("emb", emb), ("gram", gram)];
        l.dispatch("prototype_heat", "heat_cells", &params, &bindings, grid(places, 64));
        let bindings = [("emb", emb), ("protos", protos), ("selected", selected), ("dots", dots)];
        l.dispatch("prototype_heat", "heat_dots", &params, &bindings, grid(places * quads, 64));
        let bindings = [("selected", selected), ("gram", gram), ("dots", dots), ("heat", l.write(0))];
        let items = heat.rows() * heat.quads();
        l.dispatch("prototype_heat", "prototype_heat", &params, &bindings, grid(items, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let heat = oracle::prototype_heat::prototype_heat;
        vec![heat(inputs[0], inputs[1], inputs[2], self.out_size)]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        let per_value = 20 + 2 * inputs[1].shape[1];
        (per_value * inputs[0].len() + 40 * outputs[0].len()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case =
        |name: &str, [h, w, d]: [usize; 3], [c, k]: [usize; 2], out_size: [usize; 2], selected: [u32; 2]| {
            let inputs = vec![
                Input::fixed(&[1, h, w, d], Fill::UnitRows),
                Input::fixed(&[c, k, d], Fill::UnitRows),
                Input::u32(&[2], Fill::Words(selected.to_vec())),
            ];
            Case::new(name, inputs, move |t, v| {
                prototype_heat(t, v[0], v[1], v[2], out_size)?;
                Ok(Vec::new())
            })
        };
    vec![
        case("one of three, four times", [5, 7, 9], [4, 3], [20, 28], [2, 1]),
        case("the last of ten, odd ratio", [3, 4, 16], [2, 10], [7, 9], [1, 9]),
        case("any of seven", [4, 5, 12], [3, 7], [9, 13], [1, ANY_PROTOTYPE]),
        case("any of one", [2, 3, 8], [2, 1], [5, 6], [0, ANY_PROTOTYPE]),
        case("out of range", [2, 3, 8], [2, 5], [5, 6], [9, 77]),
        case("smaller output", [5, 6, 8], [2, 4], [2, 3], [0, 2]),
        case("one pixel of one place", [1, 1, 5], [1, 2], [1, 1], [0, 1]),
        case("one row", [1, 6, 7], [1, 2], [3, 11], [0, 0]),
        case("many pixels", [30, 40, 16], [7, 4], [120, 161], [3, ANY_PROTOTYPE]),
    ]
}
