//! Other sizes of maps, and their parts: resizing, pooling, concatenation, windows.

use crate::error::Result;
use crate::ops::adaptive_avg_pool2d::AdaptiveAvgPool2d;
use crate::ops::concat::Concat;
use crate::ops::global_mean::GlobalMean;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::resize::Resize;
use crate::ops::resize_nearest::ResizeNearest;
use crate::ops::windows::{Unwindows, Windows};
use crate::ops::{Corners, Cut};
use crate::tape::Node;

use super::emit::Emitter;
use super::graph::Attribute;
use super::layers::all;

/// The tensor `[B,C,H,W]` at another height and width.
pub(super) fn bilinear(e: &mut Emitter<'_>, planes: &str, to: [usize; 4], corners: Corners) -> String {
    let sizes = e.list(&to);
    let places = match corners {
        Corners::Align => "align_corners",
        Corners::Half => "half_pixel",
    };
    let attributes =
        [("coordinate_transformation_mode", Attribute::Text(places)), ("mode", Attribute::Text("linear"))];
    e.op("Resize", &[planes, "", "", &sizes], &attributes)
}

pub(super) fn resize(op: &Resize, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let x = e.planes(node.inputs[0])?;
    let (batch, channels) = (e.shape(node.inputs[0])[0], e.channels(node.inputs[0]));
    let y = bilinear(e, &x, [batch, channels, op.to[0], op.to[1]], op.corners);
    e.give_planes(node.outputs[0], y);
    Ok(())
}

/// By lists of rows and columns: the places of `Resize` are computed in floating point, and its floor may miss one.
pub(super) fn resize_nearest(op: &ResizeNearest, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let shape = e.shape(node.inputs[0]);
    let mut y = e.planes(node.inputs[0])?;
    for axis in 0..2 {
        let (from, to) = (shape[1 + axis], op.to[axis]);
        let places: Vec<usize> = (0..to).map(|o| o * from / to).collect();
        let places = e.list(&places);
        y = e.op("Gather", &[&y, &places], &[("axis", Attribute::Int(2 + axis as i64))]);
    }
    e.give_planes(node.outputs[0], y);
    Ok(())
}

/// As products with the shares of the bins, whatever the sizes: ONNX's pooling has bins of one size.
pub(super) fn adaptive_avg_pool2d(op: &AdaptiveAvgPool2d, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let shape = e.shape(node.inputs[0]);
    let shares = |from: usize, to: usize| {
        let mut out = vec![0.0; to * from];
        for (o, row) in out.chunks_mut(from).enumerate() {
            let bin = o * from / to..((o + 1) * from).div_ceil(to);
            let share = 1.0 / bin.len() as f32;
            row[bin].fill(share);
        }
        out
    };
    let x = e.planes(node.inputs[0])?;
    let (rows, columns) = (shares(shape[1], op.to[0]), shares(shape[2], op.to[1]));
    let down = e.floats(&[op.to[0], shape[1]], rows);
    let across = e.floats(&[op.to[1], shape[2]], columns);
    let across = e.transpose(&across, &[1, 0]);
    let y = e.op("MatMul", &[&x, &across], &[]);
    let y = e.op("MatMul", &[&down, &y], &[]);
    e.give_planes(node.outputs[0], y);
    Ok(())
}

pub(super) fn global_mean(_: &GlobalMean, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let (x, out) = (node.inputs[0], node.outputs[0]);
    let planes = e.planes(x)?;
    let mean = e.op("GlobalAveragePool", &[&planes], &[]);
    let mean = e.reshape(&mean, e.shape(out));
    e.give(out, mean);
    Ok(())
}

pub(super) fn max_pool2d(op: &MaxPool2d, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let x = e.planes(node.inputs[0])?;
    let attributes = [
        ("kernel_shape", all(op.pool.kernel, 2)),
        ("strides", all(op.pool.stride, 2)),
        ("pads", all(op.pool.padding, 4)),
    ];
    let y = e.op("MaxPool", &[&x], &attributes);
    e.give_planes(node.outputs[0], y);
    Ok(())
}

pub(super) fn concat(_: &Concat, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let planes = node.inputs.iter().any(|&id| e.has_planes(id));
    let get = |&id| if planes { e.planes(id) } else { e.rows(id) };
    let parts = node.inputs.iter().map(get).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let y = e.op("Concat", &parts, &[("axis", Attribute::Int(if planes { 1 } else { -1 }))]);
    if planes {
        e.give_planes(node.outputs[0], y);
    } else {
        e.give(node.outputs[0], y);
    }
    Ok(())
}

/// The tensor `[B,H,W,C]` moved by `by` rows and columns up and left, around its border.
fn roll(e: &mut Emitter<'_>, mut x: String, [height, width]: [usize; 2], by: [usize; 2]) -> String {
    for (axis, (extent, by)) in [(1, (height, by[0])), (2, (width, by[1]))] {
        if by > 0 {
            let [head, tail] = [(by, extent - by), (0, by)].map(|(first, n)| e.slice(&x, axis, first, n));
            x = e.op("Concat", &[&head, &tail], &[("axis", Attribute::Int(axis as i64))]);
        }
    }
    x
}

/// Order of the axes (image, window row, row, window column, column, channel) with the places of a window together.
const fn order(cut: Cut) -> [i64; 6] {
    if cut.columns_first { [0, 1, 3, 4, 2, 5] } else { [0, 1, 3, 2, 4, 5] }
}

pub(super) fn windows(op: &Windows, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let Windows(cut) = *op;
    let &[b, h, w, c] = e.shape(node.inputs[0]) else { unreachable!("the shape rule has seen it") };
    let [down, across] = cut.grid([h, w]);
    let (height, width, channels) = (down * cut.size, across * cut.size, c.next_multiple_of(4));
    let mut x = e.rows(node.inputs[0])?;
    if [height, width, channels] != [h, w, c] {
        let pads = e.list(&[0, 0, 0, 0, 0, height - h, width - w, channels - c]);
        x = e.op("Pad", &[&x, &pads], &[]);
    }
    let x = roll(e, x, [height, width], [cut.shift; 2]);
    let x = e.reshape(&x, &[b, down, cut.size, across, cut.size, channels]);
    let x = e.transpose(&x, &order(cut));
    let out = node.outputs[0];
    let x = e.reshape(&x, e.shape(out));
    e.give(out, x);
    Ok(())
}

pub(super) fn unwindows(op: &Unwindows, e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let Unwindows { cut, map: [b, h, w, c] } = *op;
    let [down, across] = cut.grid([h, w]);
    let (height, width, channels) = (down * cut.size, across * cut.size, c.next_multiple_of(4));
    let x = e.rows(node.inputs[0])?;
    let x = e.reshape(&x, &[b, down, across, cut.size, cut.size, channels]);
    // The order's inverse: it moves (window column) in front of (row), or of (column, row).
    let back = if cut.columns_first { [0, 1, 4, 2, 3, 5] } else { [0, 1, 3, 2, 4, 5] };
    let x = e.transpose(&x, &back);
    let mut x = e.reshape(&x, &[b, height, width, channels]);
    let back = |extent: usize| (extent - cut.shift) % extent;
    x = roll(e, x, [height, width], [back(height), back(width)]);
    for (axis, (whole, part)) in [(1, (height, h)), (2, (width, w)), (3, (channels, c))] {
        if whole != part {
            x = e.slice(&x, axis, 0, part);
        }
    }
    e.give(node.outputs[0], x);
    Ok(())
}
