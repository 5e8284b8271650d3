//! What the prototype update averages: sums of embeddings per prototype, and their number.

use super::group_by_class;
use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_classes: u32, num_protos: u32, num_groups: u32, quads: u32 }
}

uniform! {
    struct GpuParams { rows: u32, quads: u32, wide: u32, block_rows: u32, num_groups: u32 }
}

/// Positions per block of the segmented sum, as in the shader.
const BLOCK: usize = 256;

/// Inputs `gt i32 [N]`, `khat i32 [N]` and, if only right pixels take part, the predicted class `u32 [N]`; output the
/// key `gt*K + khat i32 [N]`, -1 for pixels that do not take part.
#[derive(Clone, Copy, Debug)]
pub struct PrototypeKey {
    /// C.
    pub num_classes: usize,
    /// K.
    pub num_protos: usize,
}

/// Inputs `emb [N,D]` and the key with its grouping: `key i32 [N]`, `order u32 [N]`, `offsets u32 [C*K+1]`; outputs
/// `sums [C,K,D]` and `counts u32 [C,K]`.
#[derive(Clone, Copy, Debug)]
pub struct PrototypeSums {
    /// C.
    pub num_classes: usize,
    /// K.
    pub num_protos: usize,
}

/// Records `m_(c,k)`, the sum of the embeddings that take part in each prototype's update, and their number (spec section
/// 7, steps 1 and 2): pixels with `gt = c` and `khat = k`, and, if `predicted` is given, predicted class c. Returns
/// `(sums [C,K,D], counts u32 [C,K])`.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn prototype_sums(
    tape: &mut Tape,
    emb: ValueId,
    gt: ValueId,
    khat: ValueId,
    predicted: Option<ValueId>,
    [num_classes, num_protos]: [usize; 2],
) -> Result<(ValueId, ValueId)> {
    let inputs: Vec<_> = [gt, khat].into_iter().chain(predicted).collect();
    let key = tape.push1(PrototypeKey { num_classes, num_protos }, &inputs)?;
    let (order, offsets) = group_by_class(tape, key, num_classes * num_protos)?;
    let out = tape.push(PrototypeSums { num_classes, num_protos }, &[emb, key, order, offsets])?;
    Ok((out[0], out[1]))
}

impl Op for PrototypeKey {
    fn stem(&self) -> &'static str {
        "prototype_sums"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let shape = [inputs[0].len()];
        inputs[..2].iter().try_for_each(|value| expect("prototype_sums", value, &shape, DType::I32))?;
        inputs[2..].iter().try_for_each(|value| expect("prototype_sums", value, &shape, DType::U32))?;
        Ok(vec![Spec::i32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_pixels = l.input(0).len();
        let params = Params {
            num_pixels: num_pixels as u32,
            num_classes: self.num_classes as u32,
            num_protos: self.num_protos as u32,
            num_groups: (self.num_classes * self.num_protos) as u32,
            quads: 0,
        };
        let mut bindings = vec![("gt", l.read(0)), ("khat", l.read(1)), ("key_out", l.write(0))];
        let entry = if l.num_inputs() == 3 {
            bindings.push(("predicted", l.read(2)));
            "prototype_key_correct"
        } else {
            "prototype_key_all"
        };
        l.dispatch("prototype_sums", entry, &params, &bindings, grid(num_pixels, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let predicted = inputs.get(2).copied();
        let sizes = [self.num_classes, self.num_protos];
        vec![oracle::prototype_sums::prototype_key(inputs[0], inputs[1], predicted, sizes)]
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

impl PrototypeSums {
    /// As [`Op::launch`], in shorter blocks that workgroups add up (`shaders/proto/prototype_sums.gpu.wgsl`).
    fn launch_gpu(&self, l: &mut Launch<'_>) {
        // Invocations that keep a GPU busy.
        const ENOUGH: usize = 200_000;
        let emb = l.input(0);
        let (num_pixels, quads) = (emb.shape[0], emb.quads());
        let num_groups = self.num_classes * self.num_protos;
        let block = (num_pixels * quads / ENOUGH).next_power_of_two().clamp(8, 64);
        let num_blocks = num_pixels.div_ceil(block);
        // A run has so many blocks if all are equal; a few for each invocation, and a strip as wide as that allows.
        let lanes = (num_blocks / num_groups / 4).next_power_of_two().clamp(4, 64);
        let wide = (256 / lanes).min(quads.next_power_of_two());
        let params = GpuParams {
            rows: num_pixels as u32,
            quads: quads as u32,
            wide: wide as u32,
            block_rows: block as u32,
            num_groups: num_groups as u32,
        };
        let edges = l.scratch(num_blocks * 2 * quads * 4);
        let bindings = [
            ("emb", l.read(0)),
            ("key", l.read(1)),
            ("order", l.read(2)),
            ("offsets", l.read(3)),
            ("edges", edges),
            ("sums", l.write(0)),
        ];
        let groups = grid(num_blocks * quads, 64);
        l.dispatch("prototype_sums.gpu", "prototype_blocks", &params, &bindings, groups);
        let bindings =
            [("offsets", l.read(3)), ("edges", edges), ("sums", l.write(0)), ("counts", l.write(1))];
        let groups = grid(num_groups * quads.div_ceil(wide), 1);
        l.dispatch("prototype_sums.gpu", "prototype_sums", &params, &bindings, groups);
    }
}

impl Op for PrototypeSums {
    fn stem(&self) -> &'static str {
        "prototype_sums"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let &[pixels, d] = &inputs[0].shape[..] else {
            let problem = format!("embeddings {:?}, [N,D] wanted", inputs[0].shape);
            return Err(Error::shape("prototype_sums", problem));
        };
        expect("prototype_sums", inputs[1], &[pixels], DType::I32)?;
        expect("prototype_sums", inputs[2], &[pixels], DType::U32)?;
        expect("prototype_sums", inputs[3], &[self.num_classes * self.num_protos + 1], DType::U32)?;
        let counts = [self.num_classes, self.num_protos];
        Ok(vec![Spec::f32(&[counts[0], counts[1], d]), Spec::u32(&counts)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() {
            return self.launch_gpu(l);
        }
        let emb = l.input(0);
        let (num_pixels, quads) = (emb.shape[0], emb.quads());
        let num_groups = self.num_classes * self.num_protos;
        let params = Params {
            num_pixels: num_pixels as u32,
            num_classes: self.num_classes as u32,
            num_protos: self.num_protos as u32,
            num_groups: num_groups as u32,
            quads: quads as u32,
        };
        let num_blocks = num_pixels.div_ceil(BLOCK);
        let edges = l.scratch(num_blocks * 2 * quads * 4);
        let bindings = [
            ("emb", l.read(0)),
            ("key", l.read(1)),
            ("order", l.read(2)),
            ("offsets", l.read(3)),
            ("edges", edges),
            ("sums", l.write(0)),
        ];
        let groups = grid(num_blocks * quads, 64);
        l.dispatch("prototype_sums", "prototype_blocks", &params, &bindings, groups);
        let bindings =
            [("offsets", l.read(3)), ("edges", edges), ("sums", l.write(0)), ("counts", l.write(1))];
        let groups = grid(num_groups * quads, 64);
        l.dispatch("prototype_sums", "prototype_sums", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let sizes = [self.num_classes, self.num_protos];
        let (sums, counts) = oracle::prototype_sums::prototype_sums(inputs[0], inputs[1], sizes);
        vec![sums, counts]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let on = |name, [n, c, k, d]: [usize; 4], labels: Fill, khat, filtered: bool| {
        let inputs = vec![
            Input::fixed(&[n, d], Fill::UnitRows),
            Input::i32(&[n], labels),
            Input::i32(&[n], khat),
            Input::u32(&[n], Fill::Integers { count: c, ignored: 0.0 }),
        ];
        Case::new(name, inputs, move |t, v| {
            prototype_sums(t, v[0], v[1], v[2], filtered.then_some(v[3]), [c, k])?;
            Ok(vec![])
        })
    };
    let random = |count, ignored| Fill::Integers { count, ignored };
    let nearly_one = || (0..60_000).map(|n| if n % 997 == 5 { (n % 11) as f32 } else { 3.0 }).collect();
    vec![
        on("all pixels, D 5", [700, 2, 3, 5], random(2, 0.2), random(3, 0.0), false),
        on("right pixels, D 16", [3000, 11, 10, 16], random(11, 0.1), random(10, 0.0), true),
        on("all ignored", [300, 3, 4, 16], random(3, 1.0), random(4, 0.0), false),
        on("one prototype of one class", [1025, 1, 1, 64], random(1, 0.0), random(1, 0.0), true),
        on("runs that end with a block", [1024, 4, 1, 7], quarters(), random(1, 0.0), false),
        on("K 16, most absent", [500, 150, 16, 13], random(150, 0.1), random(16, 0.0), false),
        on("K 17", [400, 5, 17, 7], random(5, 0.1), random(17, 0.0), false),
        on("right pixels, K 20", [3000, 11, 20, 16], random(11, 0.1), random(20, 0.0), true),
        on("K 31, D 5", [700, 2, 31, 5], random(2, 0.2), random(31, 0.0), true),
        on("K 32, most absent", [500, 150, 32, 13], random(150, 0.1), random(32, 0.0), false),
        on("K 50, D 5", [700, 2, 50, 5], random(2, 0.2), random(50, 0.0), true),
        on("K 64, most absent", [500, 150, 64, 13], random(150, 0.1), random(64, 0.0), false),
        on(
            "one class holds nearly all",
            [60_000, 11, 1, 16],
            Fill::Values(nearly_one()),
            random(1, 0.0),
            false,
        ),
    ]
}

/// 1024 labels, exactly 256 of each of 4 classes.
fn quarters() -> Fill {
    Fill::Values((0..1024).map(|n| (n / 256) as f32).collect())
}
