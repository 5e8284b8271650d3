//! The dispatches of an attention and of its gradient (`shaders/nn/attention.wgsl`).

use super::shape::Operands;
use super::{Attention, Window};
use crate::gpu::{Caps, Slot, grid, uniform};
use crate::tape::{Launch, Value};

uniform! {
    struct Params {
        images: u32,
        queries: u32,
        keys: u32,
        heads: u32,
        quads: u32,
        head_quads: u32,
        stride: u32,
        k_at: u32,
        v_at: u32,
        chunk: u32,
        parts: u32,
        scale: f32,
        window: u32,
        shift: u32,
        down: u32,
        across: u32,
        table_stride: u32,
        from_at: u32,
        to_at: u32,
        to_stride: u32,
    }
}

/// Terms of a part and parts of the sums over `length` terms that `fours` groups of four rows take: enough parts to fill a
/// device, as few as that takes, and as many as keep an invocation's loops short. A rule on the shapes alone, since parts
/// order the sums.
fn parts(fours: usize, length: usize, head_quads: usize) -> [u32; 2] {
    const ENOUGH: usize = 8192;
    const LEAST_TERMS: usize = 64;
    /// Eight terms take 2 `head_quads` + 1 iterations: that is below 65,535.
    const MOST_TERMS: usize = 131_072;
    let parts = (ENOUGH / fours).clamp(1, length.div_ceil(LEAST_TERMS));
    let most = (MOST_TERMS / head_quads / 8).max(1) * 8;
    let chunk = length.div_ceil(parts).next_multiple_of(8).min(most);
    [chunk, length.div_ceil(chunk)].map(|n| n as u32)
}

/// Images whose scores one invocation of the table's gradient adds up, and parts.
fn table_parts(images: usize, tokens: usize) -> [u32; 2] {
    const LEAST: usize = 16;
    /// Parts that one invocation joins at most.
    const MOST_PARTS: usize = 4096;
    // One image takes `tokens` iterations.
    let chunk = LEAST.min(32_768 / tokens).max(images.div_ceil(MOST_PARTS)).max(1);
    [chunk, images.div_ceil(chunk)].map(|n| n as u32)
}

/// Parameters of the kernels whose sums go over the keys, and of those whose sums go over the queries.
fn params(op: Attention, inputs: &[&Value]) -> [Params; 2] {
    let Operands { images, queries, keys, channels } = Operands::new(op, inputs);
    let quads = channels.div_ceil(4);
    let head_quads = quads / op.heads;
    let window = op.window.unwrap_or(Window { size: 0, shift: 0, grid: [1, 1] });
    let table_stride = op.window.map_or(0, |_| 4 * inputs[inputs.len() - 1].quads());
    let of = |length: usize, terms: usize| {
        let [chunk, parts] = parts(images * op.heads * length.div_ceil(4), terms, head_quads);
        Params {
            images: images as u32,
            queries: queries as u32,
            keys: keys as u32,
            heads: op.heads as u32,
            quads: quads as u32,
            head_quads: head_quads as u32,
            stride: if op.packed { 3 * quads as u32 } else { quads as u32 },
            k_at: if op.packed { quads as u32 } else { 0 },
            v_at: if op.packed { 2 * quads as u32 } else { 0 },
            chunk,
            parts,
            scale: 1.0 / ((channels / op.heads) as f32).sqrt(),
            window: window.size as u32,
            shift: window.shift as u32,
            down: window.grid[0] as u32,
            across: window.grid[1] as u32,
            table_stride: table_stride as u32,
            from_at: 0,
            to_at: 0,
            to_stride: quads as u32,
        }
    };
    [of(queries, keys), of(keys, queries)]
}

/// Groups of four rows, as invocations own them, for `length` rows per image and head.
const fn fours(params: &Params, length: u32) -> usize {
    params.images as usize * params.heads as usize * length.div_ceil(4) as usize
}

/// Workgroups for every group of rows and part.
fn groups(params: &Params, length: u32) -> [u32; 3] {
    grid(fours(params, length) * params.parts as usize, 64)
}

/// vec4s of the parts of one sum for `length` rows per image and head.
const fn sum_quads(params: &Params, length: u32) -> usize {
    4 * fours(params, length) * params.parts as usize * params.head_quads as usize
}

/// Bindings of the operands; without a table something else stands in for it and is not read.
fn operands(op: Attention, l: &Launch<'_>) -> [(&'static str, Slot); 4] {
    let [q, k, v] = if op.packed { [l.read(0); 3] } else { [0, 1, 2].map(|i| l.read(i)) };
    let table = l.read(op.arity() - 1);
    [("q", q), ("k", k), ("v", v), ("table", table)]
}

/// Rows of a tile of `shaders/nn/attention.gpu.wgsl`, and the channels of a head that it holds at most.
const TILE: [u32; 2] = [64, 64];
/// Terms that one invocation of a tile takes at most: 32 of them are up to 51 iterations.
const MOST_TILED_TERMS: u32 = 32_768;

/// Whether sums over `terms` for `rows` rows per image and head go by tiles in workgroup memory: on GPUs, where a head fits,
/// where tiles are filled well enough and keep the device busy, since their sums have no parts, and while loops stay short.
/// A rule on the shapes alone, since it orders the sums.
fn is_tiled(caps: &Caps, params: &Params, rows: u32, terms: u32) -> bool {
    /// Workgroups that keep a large GPU half busy.
    const ENOUGH: u32 = 64;
    let tiles = params.images * params.heads * rows.div_ceil(TILE[0]);
    let filled = rows >= TILE[0] / 2 && tiles >= ENOUGH;
    caps.variant.is_parallel() && 4 * params.head_quads <= TILE[1] && filled && terms <= MOST_TILED_TERMS
}

/// Appends a kernel of tiles for `rows` rows per image and head.
fn tiles(
    l: &mut Launch<'_>,
    entry: &'static str,
    params: &Params,
    rows: u32,
    bindings: &[(&'static str, Slot)],
    flags: &[(&'static str, bool)],
) {
    let count = params.images as usize * params.heads as usize * rows.div_ceil(TILE[0]) as usize;
    l.dispatch("attention.gpu", entry, params, bindings, grid(count, 1));
    let constants: Vec<_> = flags.iter().map(|&(name, on)| (name, f64::from(u8::from(on)))).collect();
    l.constants(&constants);
}

/// The forward pass by tiles.
fn forward_tiles(op: Attention, l: &mut Launch<'_>, params: &Params) {
    let pairs = l.scratch(2 * l.output(1).len());
    let [q, k, v, table] = operands(op, l);
    // There is no gradient: something else stands in for it and is not read, and nothing is kept of the scores.
    let operands = [q, k, v, table, ("d_out", v.1)];
    let bindings = [&operands[..], &[("numbers_out", l.write(1)), ("pairs_out", pairs)]].concat();
    tiles(l, "attention_scan", params, params.queries, &bindings, &[]);
    let unused = l.scratch(1);
    let bindings =
        [&operands[..], &[("numbers", pairs), ("out", l.write(0)), ("scores_out", unused)]].concat();
    tiles(l, "attention_mix", params, params.queries, &bindings, &[]);
}

pub(super) fn forward(op: Attention, l: &mut Launch<'_>) {
    let inputs: Vec<&Value> = (0..op.arity()).map(|i| l.input(i)).collect();
    let [params, _] = params(op, &inputs);
    if is_tiled(l.caps, &params, params.queries, params.keys) {
        forward_tiles(op, l, &params);
        return;
    }
    let sums = l.scratch(4 * sum_quads(&params, params.queries));
    let states = l.scratch(8 * fours(&params, params.queries) * params.parts as usize);
    let bindings = [&operands(op, l)[..], &[("out", sums), ("states_out", states)]].concat();
    l.dispatch("attention", "attention_part", &params, &bindings, groups(&params, params.queries));
    let bindings = [("sums", sums), ("states", states), ("out", l.write(0)), ("numbers_out", l.write(1))];
    let items = grid(l.output(1).len() * params.head_quads as usize, 64);
    l.dispatch("attention", "attention_join", &params, &bindings, items);
}

pub(super) fn backward(op: Attention, l: &mut Launch<'_>) {
    let arity = op.arity();
    let inputs: Vec<&Value> = (0..arity).map(|i| l.input(i)).collect();
    let [over_keys, over_queries] = params(op, &inputs);
    let (queries, keys) = (over_keys.queries, over_keys.keys);
    let rows = l.input(arity + 1).len();
    let numbers = l.scratch(2 * rows);
    let d_out = ("d_out", l.read(arity + 2));
    let bindings = [d_out, ("attended", l.read(arity)), ("lse", l.read(arity + 1)), ("pairs_out", numbers)];
    l.dispatch("attention", "attention_delta", &over_keys, &bindings, grid(rows, 64));
    let inputs = [&operands(op, l)[..], &[d_out, ("numbers", numbers)]].concat();

    let scores = l.scratch(if op.window.is_some() { rows * keys as usize } else { 1 });
    let to = if op.packed { [0; 3].map(|_| l.write(0)) } else { [0, 1, 2].map(|i| l.write(i)) };
    let stride = over_keys.stride;
    let over_keys = Params { to_stride: stride, ..over_keys };
    if is_tiled(l.caps, &over_keys, queries, keys) {
        let bindings = [&inputs[..], &[("out", to[0]), ("scores_out", scores)]].concat();
        let flags = [("SCORED", true), ("KEPT", op.window.is_some())];
        tiles(l, "attention_mix", &over_keys, queries, &bindings, &flags);
    } else {
        let sums = l.scratch(4 * sum_quads(&over_keys, queries));
        let bindings = [&inputs[..], &[("out", sums), ("scores_out", scores)]].concat();
        l.dispatch("attention", "attention_dq", &over_keys, &bindings, groups(&over_keys, queries));
        join(l, over_keys, sums, to[0]);
    }

    if is_tiled(l.caps, &over_queries, keys, queries) {
        let unused = l.scratch(1);
        for (scored, to, to_at) in [(true, to[1], over_keys.k_at), (false, to[2], over_keys.v_at)] {
            let params = Params { to_stride: stride, to_at, ..over_queries };
            let bindings = [&inputs[..], &[("out", to), ("scores_out", unused)]].concat();
            let flags = [("KEYS", true), ("SCORED", scored)];
            tiles(l, "attention_mix", &params, keys, &bindings, &flags);
        }
    } else {
        let half = sum_quads(&over_queries, keys);
        let sums = l.scratch(8 * half);
        let bindings = [&inputs[..], &[("out", sums)]].concat();
        l.dispatch("attention", "attention_dkv", &over_queries, &bindings, groups(&over_queries, keys));
        let keys = Params { queries: keys, to_stride: stride, to_at: over_keys.k_at, ..over_queries };
        join(l, keys, sums, to[1]);
        join(l, Params { from_at: half as u32, to_at: over_keys.v_at, ..keys }, sums, to[2]);
    }
    if op.window.is_some() {
        table_gradient(l, over_keys, scores);
    }
}

/// Appends the sum of the parts in `sums` for the rows that stand in the place of the queries.
fn join(l: &mut Launch<'_>, params: Params, sums: Slot, out: Slot) {
    let items = params.images as usize * (params.heads * params.queries * params.head_quads) as usize;
    l.dispatch("attention", "attention_sum", &params, &[("sums", sums), ("out", out)], grid(items, 64));
}

/// Appends the gradient of the table from those of the scores.
fn table_gradient(l: &mut Launch<'_>, params: Params, scores: Slot) {
    let [chunk, parts] = table_parts(params.images as usize, params.queries as usize);
    let params = Params { chunk, parts, ..params };
    let table = l.output(1);
    let numbers = table.len() * parts as usize;
    let sums = l.scratch(numbers);
    let bindings = [("scores", scores), ("numbers_out", sums)];
    l.dispatch("attention", "attention_dtable", &params, &bindings, grid(numbers, 64));
    let bindings = [("table_parts", sums), ("numbers_out", l.write(1))];
    let items = grid(table.padded_len(), 64);
    l.dispatch("attention", "attention_dtable_join", &params, &bindings, items);
}

#[cfg(test)]
mod tests {
    use super::{MOST_TILED_TERMS, TILE, parts, table_parts};

    #[test]
    fn loops_stay_short_and_parts_cover_all_terms() {
        for (fours, length, head_quads) in [
            (1, 1, 1),
            (88, 2700, 4),
            (150, 40_000, 4),
            (1 << 18, 1 << 20, 4),
            (4, 1 << 22, 1024),
            (1, 40, 9),
        ] {
            let [chunk, count] = parts(fours, length, head_quads).map(|n| n as usize);
            let case = format!("{fours}, {length}, {head_quads}: {chunk}");
            assert!(chunk * count >= length && chunk * (count - 1) < length, "{case}");
            assert!(chunk.is_multiple_of(8) && chunk / 8 * (2 * head_quads + 1) < 65_535, "{case}");
        }
        // Rounds of 16 channels for the scores and for <d_out, v>, each with 4 steps; then twice 16 terms, each with 4.
        let rounds = (TILE[1] / 4).div_ceil(4);
        let turns = 1 + 2 * rounds * (1 + 4) + 2 * (1 + 4);
        assert!(MOST_TILED_TERMS.div_ceil(32) * turns < 65_535, "{turns}");
        for (images, tokens) in [(1, 49), (648, 49), (1 << 16, 49), (9, 1024), (40_000, 144)] {
            let [chunk, count] = table_parts(images, tokens).map(|n| n as usize);
            assert!(chunk * count >= images && chunk * (count - 1) < images, "{images}, {tokens}");
            assert!(chunk * tokens < 65_535 && count <= 4096, "{images}, {tokens}: {chunk} x {count}");
        }
    }
}
