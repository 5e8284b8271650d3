//! Sinkhorn-Knopp clustering of every class's pixels onto its prototypes.

use super::balance::Balance;
use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use super::{group_by_class, own_similarity};
use crate::error::{Error, Result};
use crate::gpu::{Slot, Variant, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_pixels: u32,
        num_classes: u32,
        num_protos: u32,
        segments: u32,
        rounds: u32,
        inv_kappa: f32,
        exponent: f32,
    }
}

/// Most prototypes per class: the kernels hold a row of them in registers.
pub const MAX_PROTOS: usize = 64;

/// Inputs `own [N,K]`, `gt i32 [N]`, `order u32 [N]`, `offsets u32 [C+1]`; outputs `q [N,K]` and `r [C,K]`.
#[derive(Clone, Copy, Debug)]
pub struct Sinkhorn {
    /// Rounds of row step, then column step.
    pub iterations: usize,
    /// Smoothness; below 0.025 `exp((S-1)/kappa)` can underflow, with parts that are not equal below 0.03.
    pub kappa: f32,
    /// How equal the prototypes' parts are made; without rounds nothing is.
    pub balance: Balance,
}

/// Records the soft assignment of all classes at once (spec section 5): `q [N,K]` is `N_c * L` after `iterations` rounds
/// (rows of ignored pixels 0), `r [C,K]` the row factors up to a constant per class: the largest is 1, those of an
/// absent class are 0. `own` comes from [`own_similarity()`], `grouped` from [`group_by_class()`].
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together or K is above [`MAX_PROTOS`].
pub fn sinkhorn(
    tape: &mut Tape,
    own: ValueId,
    gt: ValueId,
    (order, offsets): (ValueId, ValueId),
    rule: Sinkhorn,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(rule, &[own, gt, order, offsets])?;
    Ok((out[0], out[1]))
}

impl Sinkhorn {
    fn params(&self, l: &Launch<'_>, segments: usize) -> Params {
        let own = l.input(0);
        Params {
            num_pixels: own.shape[0] as u32,
            num_classes: l.output(1).shape[0] as u32,
            num_protos: own.channels() as u32,
            segments: segments as u32,
            rounds: self.iterations as u32,
            inv_kappa: 1.0 / self.kappa,
            exponent: if self.iterations == 0 { 1.0 } else { self.balance.exponent(self.kappa) },
        }
    }

    fn launch_plain(&self, l: &mut Launch<'_>) {
        let (quads, classes) = (l.input(0).quads(), l.output(1).shape[0]);
        // Enough workgroups for a GPU when there are few classes; at least 2, which bounds the loops.
        let (shader, segments) = if l.caps.variant.is_parallel() {
            // A pixel per invocation if one class has them all; more workgroups than run at once where classes may be large.
            let pixels = l.input(0).shape[0];
            let groups = (pixels / 64).max(1024);
            ("sinkhorn.gpu", (pixels / 256).min(groups / classes).clamp(2, 256))
        } else {
            ("sinkhorn", (512 / classes).clamp(2, 32))
        };
        let params = self.params(l, segments);
        let common = [("own", l.read(0)), ("order", l.read(2)), ("offsets", l.read(3))];
        let floats = classes * segments * quads * 4;
        let (mut last, mut next) = (l.scratch(floats), l.scratch(floats));
        let (q, r) = (l.write(0), l.write(1));
        let mut run = |entry, num_classes: usize, extra: &[(&'static str, Slot)]| {
            let bindings = [&common[..], extra].concat();
            l.dispatch(shader, entry, &params, &bindings, grid(num_classes * segments, 1));
            l.constants(&[("num_quads", quads as f64)]);
        };
        run("sinkhorn_first", classes, &[("next", next)]);
        for _ in 1..self.iterations {
            (last, next) = (next, last);
            run("sinkhorn_round", classes, &[("last", last), ("next", next)]);
        }
        // One class more: the ignored pixels.
        run("sinkhorn_finish", classes + 1, &[("last", next), ("q", q), ("r", r)]);
    }

    fn launch_software(&self, l: &mut Launch<'_>) {
        let (own, classes) = (l.input(0), l.output(1).shape[0]);
        let (pixels, protos, quads) = (own.shape[0], own.channels(), own.quads());
        // A workgroup costs as much as about 100 pixels, and a class may have any number of them. Powers of two are dealt
        // evenly to the processors. The shader's loops are made for 2^20 pixels at most.
        let wanted = (pixels / (1024 * classes)).clamp(1, 16);
        let segments = (1 << wanted.ilog2()).max(pixels.div_ceil(1 << 20));
        let params = self.params(l, segments);
        let (own, order, offsets) = (("own", l.read(0)), ("order", l.read(2)), ("offsets", l.read(3)));
        let floats = classes * segments * quads * 4;
        let (mut last, mut next) = (l.scratch(floats), l.scratch(floats));
        let exps = ("exps", l.scratch((pixels.div_ceil(4) + classes) * protos * 4));
        let (q, r) = (("q", l.write(0)), ("r", l.write(1)));
        let mut run = |entry, bindings: &[(&'static str, Slot)]| {
            // One class more: the ignored pixels.
            let groups = grid((classes + 1) * segments, 1);
            l.dispatch("sinkhorn.software", entry, &params, bindings, groups);
            l.constants(&[("row_count", protos as f64)]);
        };
        run("sinkhorn_first", &[own, order, offsets, exps, ("next", next)]);
        for _ in 1..self.iterations {
            (last, next) = (next, last);
            run("sinkhorn_round", &[offsets, exps, ("last", last), ("next", next)]);
        }
        run("sinkhorn_finish", &[order, offsets, exps, ("last", next), q, r]);
    }
}

impl Op for Sinkhorn {
    fn stem(&self) -> &'static str {
        "sinkhorn"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let &[pixels, protos] = &inputs[0].shape[..] else {
            return Err(Error::shape(
                "sinkhorn",
                format!("similarities {:?}, [N,K] wanted", inputs[0].shape),
            ));
        };
        if protos > MAX_PROTOS {
            return Err(Error::shape(
                "sinkhorn",
                format!("{protos} prototypes per class, at most {MAX_PROTOS}"),
            ));
        }
        expect("sinkhorn", inputs[1], &[pixels], DType::I32)?;
        expect("sinkhorn", inputs[2], &[pixels], DType::U32)?;
        let classes = inputs[3].len().saturating_sub(1);
        expect("sinkhorn", inputs[3], &[classes + 1], DType::U32)?;
        Ok(vec![Spec::f32(&inputs[0].shape), Spec::f32(&[classes, protos])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant == Variant::Software { self.launch_software(l) } else { self.launch_plain(l) }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let classes = inputs[3].data.len() - 1;
        let rule = oracle::sinkhorn::Rule {
            iterations: self.iterations,
            kappa: f64::from(self.kappa),
            rho: f64::from(self.balance.rho()),
        };
        let (q, r) = oracle::sinkhorn::sinkhorn(inputs[0], inputs[1], classes, rule);
        vec![q, r]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        6 * inputs[0].len() as u64 * (self.iterations as u64 + 1)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let relaxed = |name, [c, k, d]: [usize; 3], n: usize, labels, rule: Sinkhorn| {
        let inputs = vec![
            Input::fixed(&[n, d], Fill::UnitRows),
            Input::fixed(&[c, k, d], Fill::UnitRows),
            Input::i32(&[n], labels),
        ];
        let case = Case::new(name, inputs, move |t, v| {
            let grouped = group_by_class(t, v[2], c)?;
            let own = own_similarity(t, v[0], v[1], v[2], grouped.0)?;
            sinkhorn(t, own, v[2], grouped, rule)?;
            Ok(vec![])
        });
        // WGSL's exp may be off by 3 + 2|x| ULP, and (S-1)/kappa rounds at |x| = 40: about 1e-5 relative in E.
        case.tolerance(5e-5)
    };
    let on = |name, sizes, n, labels, iterations, kappa| {
        relaxed(name, sizes, n, labels, Sinkhorn { iterations, kappa, balance: Balance::Balanced })
    };
    let rho = |rho, iterations, kappa| Sinkhorn { iterations, kappa, balance: Balance::Relaxed(rho) };
    let random = |count, ignored| Fill::Integers { count, ignored };
    // Class 0 has one pixel, class 1 three, class 2 none, class 3 the rest.
    let few =
        || Fill::Values((0..40).map(|n| [0.0, 1.0, 1.0, -1.0, 1.0].get(n).map_or(3.0, |&y| y)).collect());
    let nearly_one =
        || Fill::Values((0..60_000).map(|n| if n % 997 == 5 { (n % 11) as f32 } else { 3.0 }).collect());
    vec![
        on("fewer pixels than K, one, none", [4, 10, 16], 40, few(), 3, 0.05),
        on("all ignored", [3, 4, 16], 24, random(3, 1.0), 3, 0.05),
        on("0 rounds", [5, 10, 16], 200, random(5, 0.1), 0, 0.05),
        on("1 round, K 3, D 5", [2, 3, 5], 200, random(2, 0.1), 1, 0.05),
        on("2 rounds, K 16", [11, 16, 64], 900, random(11, 0.1), 2, 0.05),
        on("K 1, one class", [1, 1, 16], 70, random(1, 0.1), 3, 0.05),
        on("K 17", [5, 17, 16], 700, random(5, 0.1), 3, 0.05),
        on("K 20, 1 round", [4, 20, 64], 900, random(4, 0.1), 1, 0.05),
        on("K 20, fewer pixels than K, one, none", [4, 20, 16], 40, few(), 3, 0.05),
        on("K 31, 0 rounds", [3, 31, 7], 500, random(3, 0.1), 0, 0.05),
        on("K 32, 16 workgroups for each class", [2, 32, 16], 40_000, random(2, 0.1), 3, 0.05),
        on("K 33", [5, 33, 16], 700, random(5, 0.1), 3, 0.05),
        on("K 48, fewer pixels than K, one, none", [4, 48, 16], 40, few(), 3, 0.05),
        on("K 50, 0 rounds", [3, 50, 7], 500, random(3, 0.1), 0, 0.05),
        on("K 64, 16 workgroups for each class", [2, 64, 16], 40_000, random(2, 0.1), 3, 0.05),
        on("150 classes", [150, 10, 64], 5000, random(150, 0.1), 3, 0.05),
        on("600 classes, most absent, kappa 1", [600, 7, 16], 300, random(600, 0.1), 10, 1.0),
        on("two classes, 16 workgroups for each", [2, 5, 16], 40_000, random(2, 0.1), 3, 0.05),
        on("one class holds nearly all", [11, 10, 16], 60_000, nearly_one(), 3, 0.05),
        relaxed("rho kappa, fewer pixels than K, one, none", [4, 10, 16], 40, few(), rho(0.05, 3, 0.05)),
        relaxed("rho 0.2, all ignored", [3, 4, 16], 24, random(3, 1.0), rho(0.2, 3, 0.05)),
        relaxed("rho 0.2, 0 rounds", [5, 10, 16], 200, random(5, 0.1), rho(0.2, 0, 0.05)),
        relaxed("rho 0, 1 round, K 3, D 5", [2, 3, 5], 200, random(2, 0.1), rho(0.0, 1, 0.05)),
        relaxed("rho 0.01, 2 rounds, K 16", [11, 16, 64], 900, random(11, 0.1), rho(0.01, 2, 0.05)),
        relaxed("rho 0.2, K 1, one class", [1, 1, 16], 70, random(1, 0.1), rho(0.2, 3, 0.05)),
        relaxed("rho 0.2, K 17", [5, 17, 16], 700, random(5, 0.1), rho(0.2, 3, 0.05)),
        relaxed("rho 0.01, K 20, 1 round", [4, 20, 64], 900, random(4, 0.1), rho(0.01, 1, 0.05)),
        relaxed("rho 0.2, K 31, 0 rounds", [3, 31, 7], 500, random(3, 0.1), rho(0.2, 0, 0.05)),
        relaxed("rho kappa, K 32, few and no pixels", [4, 32, 16], 40, few(), rho(0.05, 3, 0.05)),
        relaxed("rho 0.2, K 33, 1 round", [4, 33, 64], 900, random(4, 0.1), rho(0.2, 1, 0.05)),
        relaxed("rho 0.1, K 50", [3, 50, 16], 700, random(3, 0.1), rho(0.1, 3, 0.05)),
        relaxed("rho kappa, K 64, few and no pixels", [4, 64, 16], 40, few(), rho(0.05, 3, 0.05)),
        relaxed("rho 1, D 2, kappa 0.03", [2, 5, 2], 333, random(2, 0.1), rho(1.0, 3, 0.03)),
        relaxed("rho 0.1, 150 classes", [150, 10, 64], 5000, random(150, 0.1), rho(0.1, 3, 0.05)),
        relaxed("rho 0.1, one class nearly all", [11, 10, 16], 60_000, nearly_one(), rho(0.1, 3, 0.05)),
    ]
}
