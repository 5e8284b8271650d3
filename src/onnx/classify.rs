//! The head: similarities to prototypes or class vectors, logits, the class of every pixel and its nearest prototype.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::ops::class_logit::{ClassLogit, ClassStats};
use crate::ops::nearest_prototype::NearestPrototype;
use crate::ops::proto_match::ProtoMatch;
use crate::ops::query_logit::QueryLogit;
use crate::ops::upsample_argmax::UpsampleArgmax;
use crate::ops::{Corners, MaskNorm};
use crate::tape::{Node, ValueId};

use super::emit::{Emitter, Spread, TO_PLANES};
use super::graph::Attribute;
use super::maps::bilinear;
use super::weight::Arrangement;

/// Classes whose similarities are enlarged at a time for the nearest prototype: that many maps of the image's size are held.
const CLASSES_AT_ONCE: usize = 64;

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

/// An operator that takes an axis away.
fn over(e: &mut Emitter<'_>, op: &'static str, x: &str, axis: i64) -> String {
    let axis = if op == "ArgMax" { ("axis", int(axis)) } else { ("axes", Attribute::Ints(vec![axis])) };
    e.op(op, &[x], &[axis, ("keepdims", int(0))])
}

/// Inner products of `emb [N,D]` with the prototypes of `classes`, `[N, classes, K]`.
fn products(e: &mut Emitter<'_>, emb: ValueId, protos: ValueId, classes: &Range<usize>) -> Result<String> {
    let &[_, k, d] = e.shape(protos) else { unreachable!("the shape rule has seen it") };
    let rows = e.tape.value(emb).rows();
    let (x, shape) = e.lines(emb)?;
    let x = if shape.len() == 2 { x } else { e.reshape(&x, &[rows, d]) };
    let rows_of = [classes.len() * k, d];
    let vectors = e.weight(protos, classes.start * k * d, &rows_of, Arrangement::Rows)?;
    let y = e.op("Gemm", &[&x, &vectors], &[("transB", int(1))]);
    Ok(e.reshape(&y, &[rows, classes.len(), k]))
}

pub(super) fn proto_match(op: &ProtoMatch, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let y = products(e, node.inputs[0], node.inputs[1], &op.classes)?;
    let best = over(e, "ReduceMax", &y, 2);
    e.give(node.outputs[0], best);
    let kstar = over(e, "ArgMax", &y, 2);
    e.give(node.outputs[1], kstar);
    Ok(())
}

pub(super) fn query_logit(op: &QueryLogit, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let [emb, vectors] = [0, 1].map(|i| node.inputs[i]);
    let &[images, classes, d] = e.shape(vectors) else { unreachable!("the shape rule has seen it") };
    if images != 1 {
        return Err(Error::shape("onnx", format!("class vectors of {images} images, where one can be")));
    }
    let (x, vectors) = (e.rows(emb)?, e.rows(vectors)?);
    let mut vectors = e.reshape(&vectors, &[classes, d]);
    if op.classes.len() < classes {
        vectors = e.slice(&vectors, 0, op.classes.start, op.classes.len());
    }
    let y = e.op("Gemm", &[&x, &vectors], &[("transB", int(1))]);
    e.give(node.outputs[0], y);
    Ok(())
}

/// Mean and squared distances of a tile, joined with those of the tiles before (Chan et al. 1979).
pub(super) fn class_stats(_: &ClassStats, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let (a, out) = (node.inputs[0], e.tape.root(node.outputs[0]));
    let count = e.channels(a);
    let a = e.rows(a)?;
    let last = [("axes", Attribute::Ints(vec![1])), ("keepdims", int(1))];
    let mean = e.op("ReduceMean", &[&a], &last);
    let away = e.op("Sub", &[&a, &mean], &[]);
    let axis = e.list(&[1]);
    let squares = e.op("Mul", &[&away, &away], &[]);
    let m2 = e.op("ReduceSum", &[&squares, &axis], &[("keepdims", int(1))]);
    let mut spread = Spread { count, mean, m2 };
    if let Some(before) = node.inputs.get(1).and_then(|&id| e.spreads.get(&e.tape.root(id))).cloned() {
        let whole = before.count + count;
        let share = e.scalar(count as f32 / whole as f32);
        let weight = e.scalar((before.count * count) as f32 / whole as f32);
        let step = e.op("Sub", &[&spread.mean, &before.mean], &[]);
        let moved = e.op("Mul", &[&step, &share], &[]);
        let square = e.op("Mul", &[&step, &step], &[]);
        let between = e.op("Mul", &[&square, &weight], &[]);
        let within = e.op("Add", &[&before.m2, &spread.m2], &[]);
        spread = Spread {
            count: whole,
            mean: e.op("Add", &[&before.mean, &moved], &[]),
            m2: e.op("Add", &[&within, &between], &[]),
        };
    }
    e.spreads.insert(out, spread);
    Ok(())
}

pub(super) fn class_logit(op: &ClassLogit, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let ClassLogit(MaskNorm { first, eps }) = *op;
    let [a, stats, gamma, beta] = [0, 1, 2, 3].map(|i| node.inputs[i]);
    let count = e.channels(a);
    let Some(spread) = e.spreads.get(&e.tape.root(stats)).cloned() else {
        return Err(Error::shape("onnx", "a mask norm without the statistics of its classes"));
    };
    let x = e.rows(a)?;
    let [gamma, beta] = [
        e.weight(gamma, first, &[count], Arrangement::Rows)?,
        e.weight(beta, first, &[count], Arrangement::Rows)?,
    ];
    let (share, eps) = (e.scalar(1.0 / spread.count as f32), e.scalar(eps));
    let variance = e.op("Mul", &[&spread.m2, &share], &[]);
    let variance = e.op("Add", &[&variance, &eps], &[]);
    let deviation = e.op("Sqrt", &[&variance], &[]);
    let y = e.op("Sub", &[&x, &spread.mean], &[]);
    let y = e.op("Div", &[&y, &deviation], &[]);
    let y = e.op("Mul", &[&y, &gamma], &[]);
    let y = e.op("Add", &[&y, &beta], &[]);
    e.give(node.outputs[0], y);
    Ok(())
}

/// Class and highest logit. The runner-up's is no output of a graph, and is not computed.
pub(super) fn upsample_argmax(op: &UpsampleArgmax, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let o = node.inputs[0];
    let (classes, [h, w], [height, width]) = (e.channels(o), op.size, op.out_size);
    let images = e.tape.value(o).rows() / (h * w);
    let x = e.rows(o)?;
    let x = e.reshape(&x, &[images, h, w, classes]);
    let mut x = e.transpose(&x, &TO_PLANES);
    if op.size != op.out_size {
        x = bilinear(e, &x, [images, classes, height, width], Corners::Align);
    }
    let mut best = over(e, "ReduceMax", &x, 1);
    let mut pred = over(e, "ArgMax", &x, 1);
    if node.inputs.len() > 1 {
        let first = e.integers(&[], vec![op.first as i64]);
        pred = e.op("Add", &[&pred, &first], &[]);
        let (pred_before, best_before) = (e.rows(node.inputs[1])?, e.rows(node.inputs[2])?);
        let better = e.op("Greater", &[&best, &best_before], &[]);
        pred = e.op("Where", &[&better, &pred, &pred_before], &[]);
        best = e.op("Max", &[&best, &best_before], &[]);
    }
    e.give(node.outputs[0], pred);
    e.give(node.outputs[1], best);
    Ok(())
}

/// The nearest prototype: products are linear, so those of interpolated embeddings are interpolated products, which are there
/// at the resolution of the features already; and the length of an embedding does not change which is the largest. The cosines
/// are no output of a graph.
pub(super) fn nearest_prototype(_: &NearestPrototype, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let [classes, emb, protos] = [0, 1, 2].map(|i| node.inputs[i]);
    let &[images, h, w, _] = e.shape(emb) else { unreachable!("the shape rule has seen it") };
    let &[_, height, width] = e.shape(classes) else { unreachable!("the shape rule has seen it") };
    let [num_classes, num_protos] = [e.shape(protos)[0], e.shape(protos)[1]];
    if images != 1 {
        return Err(Error::shape("onnx", format!("a class map of {images} images, where one can be")));
    }
    let products = products(e, emb, protos, &(0..num_classes))?;
    let products = e.transpose(&products, &[2, 1, 0]);
    let products = e.reshape(&products, &[num_protos, num_classes, h, w]);
    let class = e.rows(classes)?;
    let class = e.reshape(&class, &[1, 1, height, width]);
    let mut found: Vec<String> = Vec::new();
    for first in (0..num_classes).step_by(CLASSES_AT_ONCE) {
        let count = CLASSES_AT_ONCE.min(num_classes - first);
        let [low, last] = [first, first + count - 1].map(|c| e.integers(&[], vec![c as i64]));
        let inside = e.op("Clip", &[&class, &low, &last], &[]);
        let inside = e.op("Sub", &[&inside, &low], &[]);
        for k in 0..num_protos {
            let maps = e.slice(&products, 0, k, 1);
            let maps = e.slice(&maps, 1, first, count);
            let maps = bilinear(e, &maps, [1, count, height, width], Corners::Align);
            let own = e.op("GatherElements", &[&maps, &inside], &[("axis", int(1))]);
            if first == 0 {
                found.push(own);
            } else {
                // A class behind this tile gets another one's value, until its own tile comes.
                let before = e.op("Less", &[&class, &low], &[]);
                found[k] = e.op("Where", &[&before, &found[k], &own], &[]);
            }
        }
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let all = e.op("Concat", &found, &[("axis", int(1))]);
    let nearest = over(e, "ArgMax", &all, 1);
    e.give(node.outputs[0], nearest);
    Ok(())
}
