//! Hard assignment of pixels to prototypes of their class.

use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use super::{Balance, Sinkhorn, group_by_class, gumbel, own_similarity, sinkhorn};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_classes: u32, num_protos: u32, quads: u32, nearest: u32, single_nearest: u32 }
}

/// How classes with fewer pixels than prototypes are assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmallClass {
    /// As all others: equal shares push the pixels apart. A class with one pixel takes prototype 0, or the nearest one where
    /// shares need not be equal.
    #[default]
    Sinkhorn,
    /// Each pixel takes its nearest prototype.
    Nearest,
}

/// Inputs `q [N,K]`, `own [N,K]`, `gt i32 [N]`, `offsets u32 [C+1]`; outputs `k i32 [N]` and the target
/// `gt*K + k i32 [N]`, both -1 for ignored pixels.
#[derive(Clone, Copy, Debug)]
pub struct Assign {
    /// Rule for small classes.
    pub small_class: SmallClass,
    /// How equal shares `q` has.
    pub balance: Balance,
}

/// Inputs `q [N,K]`, `noise [N,K]`, `gt i32 [N]`, `offsets u32 [C+1]`, `k i32 [N]`; output `khat i32 [N]`.
#[derive(Clone, Copy, Debug)]
pub struct AssignNoisy {
    /// Rule for small classes.
    pub small_class: SmallClass,
}

/// Records `k_n = argmax_k q[n,k]` (lowest on ties; 0 in a class with one pixel if shares are balanced) and the target
/// `t_n = gt_n*K + k_n` (spec section 5). Returns `(k, target)`.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn assign(
    tape: &mut Tape,
    q: ValueId,
    own: ValueId,
    gt: ValueId,
    offsets: ValueId,
    (small_class, balance): (SmallClass, Balance),
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(Assign { small_class, balance }, &[q, own, gt, offsets])?;
    Ok((out[0], out[1]))
}

/// Records `khat_n = argmax_k (q[n,k] + noise[n,k])` (spec section 5, quirk Q2); pixels of small classes keep `k` under
/// [`SmallClass::Nearest`].
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn assign_noisy(
    tape: &mut Tape,
    q: ValueId,
    noise: ValueId,
    gt: ValueId,
    offsets: ValueId,
    k: ValueId,
    small_class: SmallClass,
) -> Result<ValueId> {
    tape.push1(AssignNoisy { small_class }, &[q, noise, gt, offsets, k])
}

/// Two `[N,K]` inputs, then `gt` and `offsets`; gives N.
fn check(inputs: &[&Value]) -> Result<usize> {
    let &[pixels, _] = &inputs[0].shape[..] else {
        return Err(Error::shape("assign", format!("scores {:?}, [N,K] wanted", inputs[0].shape)));
    };
    expect("assign", inputs[1], &inputs[0].shape, DType::F32)?;
    expect("assign", inputs[2], &[pixels], DType::I32)?;
    expect("assign", inputs[3], &[inputs[3].len()], DType::U32)?;
    Ok(pixels)
}

fn params(l: &Launch<'_>, small_class: SmallClass, single_nearest: bool) -> Params {
    let q = l.input(0);
    Params {
        num_pixels: q.shape[0] as u32,
        num_classes: l.input(3).len() as u32 - 1,
        num_protos: q.channels() as u32,
        quads: q.quads() as u32,
        nearest: u32::from(small_class == SmallClass::Nearest),
        single_nearest: u32::from(single_nearest),
    }
}

impl Op for Assign {
    fn stem(&self) -> &'static str {
        "assign"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let pixels = check(inputs)?;
        Ok(vec![Spec::i32(&[pixels]), Spec::i32(&[pixels])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l, self.small_class, self.balance != Balance::Balanced);
        let bindings = [
            ("q", l.read(0)),
            ("own", l.read(1)),
            ("gt", l.read(2)),
            ("offsets", l.read(3)),
            ("k_out", l.write(0)),
            ("label_proto", l.write(1)),
        ];
        let groups = grid(params.num_pixels as usize, 64);
        l.dispatch("assign", "assign", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let rule = oracle::assign::Rule {
            nearest: self.small_class == SmallClass::Nearest,
            single_nearest: self.balance != Balance::Balanced,
        };
        let (k, target) = oracle::assign::assign(inputs[0], inputs[1], inputs[2], inputs[3], rule);
        vec![k, target]
    }
}

impl Op for AssignNoisy {
    fn stem(&self) -> &'static str {
        "assign"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let pixels = check(inputs)?;
        expect("assign", inputs[4], &[pixels], DType::I32)?;
        Ok(vec![Spec::i32(&[pixels])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l, self.small_class, false);
        let bindings = [
            ("q", l.read(0)),
            ("noise", l.read(1)),
            ("gt", l.read(2)),
            ("offsets", l.read(3)),
            ("known", l.read(4)),
            ("k_out", l.write(0)),
        ];
        let groups = grid(params.num_pixels as usize, 64);
        l.dispatch("assign", "assign_noisy", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let nearest = self.small_class == SmallClass::Nearest;
        vec![oracle::assign::assign_noisy(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], nearest)]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let with = |name, [n, c, protos]: [usize; 3], labels, small_class, balance| {
        let inputs = vec![
            Input::fixed(&[n, 16], Fill::UnitRows),
            Input::fixed(&[c, protos, 16], Fill::UnitRows),
            Input::i32(&[n], labels),
            Input::u32(&[1], Fill::Values(vec![3.0])),
        ];
        // 5e-5 is Sinkhorn's and Gumbel's; the decisions themselves are integers and compared exactly.
        Case::new(name, inputs, move |t, v| {
            let grouped = group_by_class(t, v[2], c)?;
            let own = own_similarity(t, v[0], v[1], v[2], grouped.0)?;
            let (q, _) = sinkhorn(t, own, v[2], grouped, Sinkhorn { iterations: 3, kappa: 0.05, balance })?;
            let (k, _) = assign(t, q, own, v[2], grouped.1, (small_class, balance))?;
            let noise = gumbel(t, v[3], [n, protos], 9)?;
            assign_noisy(t, q, noise, v[2], grouped.1, k, small_class)?;
            Ok(vec![])
        })
        .tolerance(5e-5)
    };
    let on = |name, sizes, labels, small| with(name, sizes, labels, small, Balance::Balanced);
    let relaxed = Balance::Relaxed(0.1);
    let few =
        || Fill::Values((0..40).map(|n| [0.0, 1.0, 1.0, -1.0, 1.0].get(n).map_or(3.0, |&y| y)).collect());
    let random = |count, ignored| Fill::Integers { count, ignored };
    vec![
        on("few pixels, sinkhorn", [40, 4, 10], few(), SmallClass::Sinkhorn),
        on("few pixels, nearest", [40, 4, 10], few(), SmallClass::Nearest),
        on("K 1", [50, 2, 1], random(2, 0.1), SmallClass::Nearest),
        on("K 3, all ignored", [50, 2, 3], random(2, 1.0), SmallClass::Sinkhorn),
        on("K 16, 150 classes", [3000, 150, 16], random(150, 0.1), SmallClass::Nearest),
        on("K 17", [300, 3, 17], random(3, 0.1), SmallClass::Nearest),
        on("K 20, few pixels", [40, 4, 20], few(), SmallClass::Nearest),
        on("K 31", [700, 5, 31], random(5, 0.1), SmallClass::Sinkhorn),
        on("K 33", [300, 3, 33], random(3, 0.1), SmallClass::Nearest),
        with("K 50, relaxed", [500, 4, 50], random(4, 0.1), SmallClass::Sinkhorn, relaxed),
        on("K 64, few pixels", [40, 4, 64], few(), SmallClass::Nearest),
        with("K 32, relaxed", [500, 4, 32], random(4, 0.1), SmallClass::Nearest, relaxed),
        with("few pixels, relaxed", [40, 4, 10], few(), SmallClass::Sinkhorn, relaxed),
        with("few pixels, relaxed, nearest", [40, 4, 10], few(), SmallClass::Nearest, relaxed),
        ties(),
    ]
}

/// Equal scores in every row, and a class with one pixel whose scores differ: the lowest index and prototype 0.
fn ties() -> Case {
    let rows = [[0.2, 0.5, 0.5], [0.1, 0.1, 0.1], [-0.2, -0.1, -0.1], [0.0, 0.3, 0.7]];
    let scores = || Input::fixed(&[4, 3], Fill::Values(rows.concat()));
    let inputs = vec![scores(), scores(), Input::i32(&[4], Fill::Values(vec![0.0, 0.0, 0.0, 1.0]))];
    Case::new("ties and a single pixel", inputs, |t, v| {
        let (_, offsets) = group_by_class(t, v[2], 2)?;
        for small_class in [SmallClass::Sinkhorn, SmallClass::Nearest] {
            for balance in [Balance::Balanced, Balance::Relaxed(0.1)] {
                assign(t, v[0], v[1], v[2], offsets, (small_class, balance))?;
            }
        }
        Ok(vec![])
    })
}
