//! Scaled dot-product attention with several heads, streamed over the keys (spec section 2, b): memory is that of the operands,
//! whatever queries and keys there are.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        images: u32,
        queries: u32,
        keys: u32,
        heads: u32,
        quads: u32,
        head_quads: u32,
        blocks: u32,
        chunk: u32,
        parts: u32,
        scale: f32,
    }
}

/// Inputs `q [B,Q,D]`, `k [B,M,D]`, `v [B,M,D]`; outputs `[B,Q,D]` and, for the gradient, the log-sum-exp of the scores of every
/// image, head and query, `[B heads Q]`.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Heads; each takes D / heads neighbouring channels.
    pub heads: usize,
}

/// Inputs `q`, `k`, `v`, the outputs of [`Attention`], `d_out`; outputs `dq`, `dk`, `dv`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionGrad {
    /// As in [`Attention`].
    pub heads: usize,
}

/// Records `softmax(q k^T / sqrt(D / heads)) v` of every image and head, for `q [B,Q,D]`, `k [B,M,D]` and `v [B,M,D]`.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together, or D is no multiple of 4 times several heads.
pub fn attention(tape: &mut Tape, q: ValueId, k: ValueId, v: ValueId, heads: usize) -> Result<ValueId> {
    Ok(tape.push(Attention { heads }, &[q, k, v])?[0])
}

fn check(inputs: &[&Value], heads: usize) -> Result<()> {
    let [q, k, v] = [&inputs[0].shape, &inputs[1].shape, &inputs[2].shape];
    let rank = q.len() == 3 && k.len() == 3 && !q.contains(&0) && !k.contains(&0);
    if !rank || k != v || q[0] != k[0] || q[2] != k[2] {
        let problem = format!("q {q:?} [B,Q,D], k {k:?} and v {v:?} [B,M,D]");
        return Err(Error::shape("attention", problem));
    }
    // Several heads must begin at whole vec4s.
    if heads == 0 || heads > 1 && !q[2].is_multiple_of(4 * heads) {
        let problem = format!("{heads} heads of {} channels, which must be a multiple of 4 each", q[2]);
        return Err(Error::shape("attention", problem));
    }
    Ok(())
}

/// Terms of a part and parts of the sums over `length` terms that `rows` rows take: enough parts to fill a device, as few as
/// that takes, and as many as keep an invocation's loops short. A rule on the shapes alone, since parts order the sums.
fn parts(rows: usize, length: usize, head_quads: usize) -> [u32; 2] {
    const ENOUGH_ROWS: usize = 16_384;
    const LEAST_TERMS: usize = 32;
    /// Of 2 `head_quads` + 1 iterations each, that is below 65,535.
    const MOST_TERMS: usize = 16_384;
    let parts = (ENOUGH_ROWS / rows).clamp(1, length.div_ceil(LEAST_TERMS));
    let chunk = length.div_ceil(parts).clamp(1, (MOST_TERMS / head_quads).max(1));
    [chunk, length.div_ceil(chunk)].map(|n| n as u32)
}

/// Parameters of the kernels whose sums go over the keys, and of those whose sums go over the queries.
fn params(q: &Value, k: &Value, heads: usize) -> [Params; 2] {
    let (images, queries, keys) = (q.shape[0], q.shape[1], k.shape[1]);
    let head_quads = q.quads() / heads;
    let of = |length: usize, terms: usize| {
        let [chunk, parts] = parts(images * heads * length, terms, head_quads);
        Params {
            images: images as u32,
            queries: queries as u32,
            keys: keys as u32,
            heads: heads as u32,
            quads: q.quads() as u32,
            head_quads: head_quads as u32,
            blocks: head_quads.div_ceil(4) as u32,
            chunk,
            parts,
            scale: 1.0 / ((q.channels() / heads) as f32).sqrt(),
        }
    };
    [of(queries, keys), of(keys, queries)]
}

/// Workgroups for every row, part and block of sums for `length` rows per image and head.
fn groups(params: &Params, length: u32) -> [u32; 3] {
    let rows = (params.images * params.heads * length) as usize;
    grid(rows * params.parts as usize * params.blocks as usize, 64)
}

/// A scratch buffer for the parts of sums for `length` rows per image and head.
fn scratch(l: &mut Launch<'_>, params: &Params, length: u32) -> Slot {
    let rows = (params.images * params.heads * length) as usize;
    l.scratch(4 * rows * params.parts as usize * params.head_quads as usize)
}

/// Appends the sum of parts for `length` rows per image and head.
fn join(l: &mut Launch<'_>, params: Params, length: u32, sums: Slot, out: Slot) {
    let params = Params { queries: length, ..params };
    let items = (params.images * params.heads * length * params.head_quads) as usize;
    let bindings = [("sums", sums), ("out", out)];
    l.dispatch("attention", "attention_sum", &params, &bindings, grid(items, 64));
}

impl Op for Attention {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(inputs, self.heads)?;
        let shape = &inputs[0].shape;
        Ok(vec![Spec::f32(shape), Spec::f32(&[shape[0] * self.heads * shape[1]])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let [params, _] = params(l.input(0), l.input(1), self.heads);
        let rows = l.output(1).len();
        let sums = scratch(l, &params, params.queries);
        let states = l.scratch(2 * rows * params.parts as usize);
        let bindings =
            [("q", l.read(0)), ("k", l.read(1)), ("v", l.read(2)), ("out", sums), ("states_out", states)];
        l.dispatch("attention", "attention_part", &params, &bindings, groups(&params, params.queries));
        let bindings = [("sums", sums), ("states", states), ("out", l.write(0)), ("numbers_out", l.write(1))];
        let items = grid(rows * params.head_quads as usize, 64);
        l.dispatch("attention", "attention_join", &params, &bindings, items);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::attention::attention(inputs[0], inputs[1], inputs[2], self.heads).into()
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(d_out) = node.grads[0] else { return Ok(vec![None; 3]) };
        let inputs = [node.inputs, node.outputs, &[d_out]].concat();
        let found = tape.push(AttentionGrad { heads: self.heads }, &inputs)?;
        Ok(found.into_iter().map(Some).collect())
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        4 * (inputs[0].len() * inputs[1].shape[1]) as u64
    }
}

impl Op for AttentionGrad {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(inputs, self.heads)?;
        if inputs[3].shape != inputs[0].shape || inputs[5].shape != inputs[0].shape {
            let problem = format!("gradient {:?} for {:?}", inputs[5].shape, inputs[0].shape);
            return Err(Error::shape("attention", problem));
        }
        Ok(inputs[..3].iter().map(|x| Spec::f32(&x.shape)).collect())
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let [over_keys, over_queries] = params(l.input(0), l.input(1), self.heads);
        let (queries, keys) = (over_keys.queries, over_keys.keys);
        let rows = l.input(4).len();
        let delta = l.scratch(rows);
        let bindings = [("d_out", l.read(5)), ("attended", l.read(3)), ("numbers_out", delta)];
        l.dispatch("attention", "attention_delta", &over_keys, &bindings, grid(rows, 64));
        let inputs = [
            ("q", l.read(0)),
            ("k", l.read(1)),
            ("v", l.read(2)),
            ("d_out", l.read(5)),
            ("lse", l.read(4)),
            ("delta", delta),
        ];
        let sums = scratch(l, &over_keys, queries);
        let bindings = [&inputs[..], &[("out", sums)]].concat();
        l.dispatch("attention", "attention_dq", &over_keys, &bindings, groups(&over_keys, queries));
        let out = l.write(0);
        join(l, over_keys, queries, sums, out);
        let both = [scratch(l, &over_queries, keys), scratch(l, &over_queries, keys)];
        let bindings = [&inputs[..], &[("out", both[0]), ("second_out", both[1])]].concat();
        l.dispatch("attention", "attention_dkv", &over_queries, &bindings, groups(&over_queries, keys));
        for (sums, out) in std::iter::zip(both, [l.write(1), l.write(2)]) {
            join(l, over_queries, keys, sums, out);
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::attention::gradient(inputs[0], inputs[1], inputs[2], inputs[5], self.heads).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        14 * (inputs[0].len() * inputs[1].shape[1]) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, [b, q, m, d]: [usize; 4], heads: usize, range: f32| {
        let x = |rows| Input::f32(&[b, rows, d], Fill::Uniform(-range, range));
        Case::new(name, vec![x(q), x(m), x(m)], move |t, v| Ok(vec![attention(t, v[0], v[1], v[2], heads)?]))
    };
    let to_itself = Case::new("to itself", vec![Input::f32(&[2, 5, 8], Fill::Uniform(-1.0, 1.0))], |t, v| {
        Ok(vec![attention(t, v[0], v[0], v[0], 2)?])
    });
    vec![
        case("one query, one head, 3 channels", [1, 1, 5, 3], 1, 1.0),
        case("several heads", [2, 3, 7, 24], 3, 1.0),
        case("a head of several blocks", [2, 3, 5, 41], 1, 1.0),
        case("several parts of keys", [1, 2, 203, 8], 2, 1.0),
        case("several parts of queries", [1, 131, 3, 8], 1, 1.0),
        // Up to about 130: without the running maximum their exponentials would not be finite.
        case("large scores", [1, 3, 77, 16], 1, 12.0),
        to_itself,
    ]
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn loops_stay_short_and_parts_cover_all_terms() {
        for (rows, length, head_quads) in [
            (1, 1, 1),
            (352, 2700, 4),
            (600, 40_000, 4),
            (1 << 20, 1 << 20, 4),
            (4, 1 << 22, 1024),
            (1, 40, 9),
        ] {
            let [chunk, count] = parts(rows, length, head_quads).map(|n| n as usize);
            assert!(
                chunk * count >= length && chunk * (count - 1) < length,
                "{rows}, {length}, {head_quads}"
            );
            assert!(chunk * (2 * head_quads + 1) < 65_535, "{rows}, {length}, {head_quads}: {chunk} terms");
            // Parts beyond those that short loops take: their scratch is a few MiB.
            assert!(count <= length.div_ceil(16_384 / head_quads) || rows * count <= 32_768);
        }
    }
}
