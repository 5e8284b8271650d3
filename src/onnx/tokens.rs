//! Tokens of transformers and their attention.

use crate::error::Result;
use crate::ops::attention::{Attention, Window};
use crate::ops::tokens::{TakeTokens, Tokens};
use crate::tape::{Node, ValueId};

use super::emit::Emitter;
use super::graph::Attribute;
use super::weight::Arrangement;

/// What places of a shifted window that do not belong together get on top of their score.
const APART: f32 = -100.0;

pub(super) fn tokens(_: &Tokens, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let [patches, prefix, pos] = [0, 1, 2].map(|i| node.inputs[i]);
    let &[images, count, width] = e.shape(patches) else { unreachable!("the shape rule has seen it") };
    let extra = e.shape(prefix)[0];
    let placed = e.shape(pos)[0] - count;
    let mut rows =
        |id: ValueId, first: usize, n: usize| e.weight(id, first * width, &[1, n, width], Arrangement::Rows);
    let of_patches = rows(pos, placed, count)?;
    let (class, of_class) = (rows(prefix, 0, placed)?, rows(pos, 0, placed)?);
    let others = rows(prefix, placed, extra - placed)?;
    let mut parts = Vec::new();
    if placed > 0 {
        parts.push(e.op("Add", &[&class, &of_class], &[]));
    }
    if extra > placed {
        parts.push(others);
    }
    if images > 1 {
        let shape = e.list(&[images, 1, 1]);
        parts = parts.iter().map(|part| e.op("Expand", &[part, &shape], &[])).collect();
    }
    let x = e.rows(patches)?;
    parts.push(e.op("Add", &[&x, &of_patches], &[]));
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let y = if parts.len() == 1 {
        parts[0].to_owned()
    } else {
        e.op("Concat", &parts, &[("axis", Attribute::Int(1))])
    };
    e.give(node.outputs[0], y);
    Ok(())
}

pub(super) fn take_tokens(op: &TakeTokens, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let x = e.rows(node.inputs[0])?;
    let y = e.slice(&x, 1, op.first, op.count);
    e.give(node.outputs[0], y);
    Ok(())
}

pub(super) fn attention(op: &Attention, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let out = node.outputs[0];
    let &[images, queries, channels] = e.shape(out) else { unreachable!("the shape rule has seen it") };
    let parts = if op.packed {
        let packed = e.rows(node.inputs[0])?;
        e.graph.nodes("Split", &[&packed], &[("axis", Attribute::Int(2))], 3)
    } else {
        (0..3).map(|i| e.rows(node.inputs[i])).collect::<Result<_>>()?
    };
    let keys = e.shape(node.inputs[usize::from(!op.packed)])[1];
    let width = channels / op.heads;
    let mut heads = |part: &str, tokens: usize, order: [i64; 4]| {
        let x = e.reshape(part, &[images, tokens, op.heads, width]);
        e.transpose(&x, &order)
    };
    let q = heads(&parts[0], queries, [0, 2, 1, 3]);
    let k = heads(&parts[1], keys, [0, 2, 3, 1]);
    let v = heads(&parts[2], keys, [0, 2, 1, 3]);
    let factor = e.scalar(1.0 / (width as f32).sqrt());
    let q = e.op("Mul", &[&q, &factor], &[]);
    let mut scores = e.op("MatMul", &[&q, &k], &[]);
    if let Some(window) = op.window {
        let bias = relative_bias(e, node.inputs[1], op.heads, window)?;
        scores = e.op("Add", &[&scores, &bias], &[]);
        if window.shift > 0 {
            let mask = mask(e, images, window);
            scores = e.op("Add", &[&scores, &mask], &[]);
        }
    }
    let weights = e.op("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
    let y = e.op("MatMul", &[&weights, &v], &[]);
    let y = e.transpose(&y, &[0, 2, 1, 3]);
    let y = e.reshape(&y, &[images, queries, channels]);
    e.give(out, y);
    Ok(())
}

/// The bias of every head and pair of places, `[heads, size^2, size^2]`, looked up in the table `[(2 size - 1)^2, heads]`.
fn relative_bias(e: &mut Emitter<'_>, table: ValueId, heads: usize, window: Window) -> Result<String> {
    let (size, places) = (window.size, window.size * window.size);
    let entry = |query: usize, key: usize| {
        let along = |query: usize, key: usize| query + size - 1 - key;
        along(query / size, key / size) * (2 * size - 1) + along(query % size, key % size)
    };
    let entries: Vec<usize> = (0..places * places).map(|pair| entry(pair / places, pair % places)).collect();
    let entries = e.list(&entries);
    let table = e.rows(table)?;
    let bias = e.op("Gather", &[&table, &entries], &[("axis", Attribute::Int(0))]);
    let bias = e.transpose(&bias, &[1, 0]);
    Ok(e.reshape(&bias, &[heads, places, places]))
}

/// What the scores of every window get, `[windows, 1, size^2, size^2]`: of four kinds, by whether the window is the last one down and
/// across, where what was moved around the border lies.
fn mask(e: &mut Emitter<'_>, windows: usize, window: Window) -> String {
    let Window { size, shift, grid: [down, across] } = window;
    let places = size * size;
    let moved = |place: usize| place >= size - shift;
    let apart = |kind: usize, query: usize, key: usize| {
        kind / 2 == 1 && moved(query / size) != moved(key / size)
            || kind % 2 == 1 && moved(query % size) != moved(key % size)
    };
    let value = |i: usize| {
        let (kind, query, key) = (i / (places * places), i / places % places, i % places);
        if apart(kind, query, key) { APART } else { 0.0 }
    };
    let masks = e.floats(&[4, 1, places, places], (0..4 * places * places).map(value).collect());
    let kind =
        |i: usize| 2 * usize::from(i / across % down == down - 1) + usize::from(i % across == across - 1);
    let kinds: Vec<usize> = (0..windows).map(kind).collect();
    let kinds = e.list(&kinds);
    e.op("Gather", &[&masks, &kinds], &[("axis", Attribute::Int(0))])
}
