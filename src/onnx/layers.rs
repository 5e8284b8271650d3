//! Convolutions, norms, activations and sums.

use crate::error::Result;
use crate::ops::add::Add;
use crate::ops::channel_scale::ChannelScale;
use crate::ops::conv2d::Conv2d;
use crate::ops::gelu::Gelu;
use crate::ops::l2_normalize::L2Normalize;
use crate::ops::layer_norm::LayerNorm;
use crate::ops::relu::Relu;
use crate::ops::scale::Scale;
use crate::ops::swiglu::Swiglu;
use crate::ops::{Act, Axis, Conv};
use crate::tape::Node;

use super::emit::Emitter;
use super::graph::Attribute;
use super::weight::Arrangement;

/// Below this a vector's length counts as this.
const FLOOR: f32 = 1e-12;

/// The same operator on a tensor in whatever order and shape it is there; `f` also gets whether that is planes.
fn same_order(
    e: &mut Emitter<'_>,
    node: &Node,
    f: impl FnOnce(&mut Emitter<'_>, &str, bool) -> Result<String>,
) -> Result<()> {
    let (x, out) = (node.inputs[0], node.outputs[0]);
    if e.has_planes(x) {
        let name = e.planes(x)?;
        let name = f(e, &name, true)?;
        e.give_planes(out, name);
    } else {
        let (name, shape) = e.lines(x)?;
        let name = f(e, &name, false)?;
        e.give_lines(out, &shape, name);
    }
    Ok(())
}

fn activation(e: &mut Emitter<'_>, x: String, ceiling: f32) -> String {
    if ceiling.is_infinite() {
        return e.op("Relu", &[&x], &[]);
    }
    let [low, high] = [0.0, ceiling].map(|v| e.scalar(v));
    e.op("Clip", &[&x, &low, &high], &[])
}

fn act(e: &mut Emitter<'_>, x: String, act: Act) -> String {
    match act {
        Act::None => x,
        Act::Relu => activation(e, x, f32::INFINITY),
        Act::Relu6 => activation(e, x, 6.0),
    }
}

/// A list of `count` equal numbers.
pub(super) fn all(value: usize, count: usize) -> Attribute {
    Attribute::Ints(vec![value as i64; count])
}

pub(super) fn conv2d(op: &Conv2d, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let (x, w, out) = (node.inputs[0], node.inputs[1], node.outputs[0]);
    let bias = op.bias.then(|| node.inputs[2]);
    let skip = op.skip.then(|| node.inputs[2 + usize::from(op.bias)]);
    let (channels, &[kh, kw, _, outputs]) = (e.channels(x), e.shape(w)) else {
        unreachable!("the shape rule has seen it")
    };
    let Conv { stride, padding, dilation, groups } = op.conv;
    let inputs = channels / groups;
    // A product with every pixel's channels needs no planes.
    if [kh, kw] == [1, 1] && op.conv == Conv::default() && !e.has_planes(x) {
        let (lines, mut shape) = e.lines(x)?;
        let matrix = e.weight(w, 0, &[inputs, outputs], Arrangement::Rows)?;
        let mut y = e.op("MatMul", &[&lines, &matrix], &[]);
        if let Some(bias) = bias {
            let bias = e.per_channel(bias, false)?;
            y = e.op("Add", &[&y, &bias], &[]);
        }
        if let Some(skip) = skip {
            y = e.reshape(&y, e.shape(out));
            shape = e.shape(out).to_vec();
            let skip = e.rows(skip)?;
            y = e.op("Add", &[&y, &skip], &[]);
        }
        let y = act(e, y, op.act);
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        e.give_lines(out, &shape, y);
        return Ok(());
    }
    let planes = e.planes(x)?;
    let kernel = e.weight(w, 0, &[outputs, inputs, kh, kw], Arrangement::Kernel)?;
    let mut operands = vec![planes, kernel];
    if let Some(bias) = bias {
        operands.push(e.per_channel(bias, false)?);
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let attributes = [
        ("kernel_shape", Attribute::Ints(vec![kh as i64, kw as i64])),
        ("strides", all(stride, 2)),
        ("pads", all(padding, 4)),
        ("dilations", all(dilation, 2)),
        ("group", Attribute::Int(groups as i64)),
    ];
    let mut y = e.op("Conv", &operands, &attributes);
    if let Some(skip) = skip {
        let skip = e.planes(skip)?;
        y = e.op("Add", &[&y, &skip], &[]);
    }
    let y = act(e, y, op.act);
    e.give_planes(out, y);
    Ok(())
}

pub(super) fn add(op: &Add, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let (a, b, out) = (node.inputs[0], node.inputs[1], node.outputs[0]);
    let planes = e.has_planes(a) || e.has_planes(b);
    let mut get = |id| if planes { e.planes(id) } else { e.rows(id) };
    let (a, mut b) = (get(a)?, get(b)?);
    if op.factor != 1.0 {
        let factor = e.scalar(op.factor);
        b = e.op("Mul", &[&b, &factor], &[]);
    }
    let y = e.op("Add", &[&a, &b], &[]);
    if planes {
        e.give_planes(out, y);
    } else {
        e.give(out, y);
    }
    Ok(())
}

pub(super) fn scale(op: &Scale, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    same_order(e, node, |e, x, _| {
        let factor = e.scalar(op.factor);
        Ok(e.op("Mul", &[x, &factor], &[]))
    })
}

pub(super) fn channel_scale(_: &ChannelScale, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    same_order(e, node, |e, x, planes| {
        let gamma = e.per_channel(node.inputs[1], planes)?;
        Ok(e.op("Mul", &[x, &gamma], &[]))
    })
}

pub(super) fn relu(op: &Relu, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    same_order(e, node, |e, x, _| Ok(activation(e, x.to_owned(), op.ceiling)))
}

/// `x (1 + erf(x / sqrt 2)) / 2`: opset 17 has no operator of its own for it.
pub(super) fn gelu(_: &Gelu, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    same_order(e, node, |e, x, _| {
        let [narrow, one, half] = [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|v| e.scalar(v));
        let y = e.op("Mul", &[x, &narrow], &[]);
        let y = e.op("Erf", &[&y], &[]);
        let y = e.op("Add", &[&y, &one], &[]);
        let y = e.op("Mul", &[x, &y], &[]);
        Ok(e.op("Mul", &[&y, &half], &[]))
    })
}

pub(super) fn swiglu(_: &Swiglu, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let (name, mut shape) = e.lines(node.inputs[0])?;
    let halves = e.graph.nodes("Split", &[&name], &[("axis", Attribute::Int(-1))], 2);
    let gate = e.op("Sigmoid", &[&halves[0]], &[]);
    let gate = e.op("Mul", &[&halves[0], &gate], &[]);
    let y = e.op("Mul", &[&gate, &halves[1]], &[]);
    if let Some(last) = shape.last_mut() {
        *last /= 2;
    }
    e.give_lines(node.outputs[0], &shape, y);
    Ok(())
}

pub(super) fn layer_norm(op: &LayerNorm, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let (name, shape) = e.lines(node.inputs[0])?;
    let [gamma, beta] = [e.per_channel(node.inputs[1], false)?, e.per_channel(node.inputs[2], false)?];
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(op.eps))];
    let y = e.op("LayerNormalization", &[&name, &gamma, &beta], &attributes);
    e.give_lines(node.outputs[0], &shape, y);
    Ok(())
}

pub(super) fn l2_normalize(op: &L2Normalize, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let divide = |e: &mut Emitter<'_>, x: &str, axis: i64| {
        let axes = [("axes", Attribute::Ints(vec![axis])), ("keepdims", Attribute::Int(1))];
        let length = e.op("ReduceL2", &[x], &axes);
        let floor = e.scalar(FLOOR);
        let length = e.op("Max", &[&length, &floor], &[]);
        e.op("Div", &[x, &length], &[])
    };
    if op.axis == Axis::Channel {
        return same_order(e, node, |e, x, planes| Ok(divide(e, x, if planes { 1 } else { -1 })));
    }
    // The width is the last axis of planes, and must be the one before the channels in rows.
    let (x, out) = (node.inputs[0], node.outputs[0]);
    if e.has_planes(x) {
        let x = e.planes(x)?;
        let y = divide(e, &x, 3);
        e.give_planes(out, y);
    } else {
        let x = e.rows(x)?;
        let y = divide(e, &x, -2);
        e.give(out, y);
    }
    Ok(())
}
