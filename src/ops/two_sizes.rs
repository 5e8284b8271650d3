//! What operations from NHWC maps of one size to maps of another share (`shaders/lib/two_sizes.wgsl`).

use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::tape::{Launch, Spec, Value};

uniform! {
    struct Params { batch: u32, quads: u32, in_h: u32, in_w: u32, out_h: u32, out_w: u32 }
}

/// What an invocation's loops may run through.
const MAX_ITERATIONS: usize = 65_000;

/// Largest height or width: products of two stay within 32 bits.
const MAX_SIDE: usize = 46_340;

/// The shape of `x` `[B,H,W,C]` with `to` for height and width. `iterations` tells, of the pairs of height and width before and
/// after, how many pixels an invocation looks at.
///
/// # Errors
/// [`Error::Shape`] if `x` is not of rank 4, an extent is 0 or above 46,340, or an invocation looks at 65,000 pixels or more.
pub(super) fn resized(
    op: &'static str,
    x: &Value,
    to: [usize; 2],
    iterations: impl FnOnce([(usize, usize); 2]) -> usize,
) -> Result<Vec<Spec>> {
    let wrong = |need: &str| {
        let problem = format!("`{}` {:?} to {to:?} where {need} needed", x.name, x.shape);
        Err(Error::shape(op, problem))
    };
    let &[batch, height, width, channels] = x.shape.as_slice() else {
        return wrong("[B,H,W,C] is");
    };
    let pairs = [(height, to[0]), (width, to[1])];
    if pairs.iter().any(|&(from, to)| from.min(to) == 0 || from.max(to) > MAX_SIDE) {
        return wrong("extents of 1 to 46,340 are");
    }
    if iterations(pairs) >= MAX_ITERATIONS {
        return wrong("less than 65,000 pixels for one of the other map are");
    }
    Ok(vec![Spec::f32(&[batch, to[0], to[1], channels])])
}

/// Appends the kernel `entry` of the shader `stem`, which makes output 0 of input 0.
pub(super) fn forward(l: &mut Launch<'_>, stem: &'static str, entry: &'static str) {
    let params = params(l.input(0), l.output(0));
    dispatch(l, stem, entry, &params);
}

/// Appends the kernel `entry`, which makes the gradient of the operation's input of that of its output.
pub(super) fn backward(l: &mut Launch<'_>, stem: &'static str, entry: &'static str) {
    let params = params(l.output(0), l.input(0));
    dispatch(l, stem, entry, &params);
}

fn params(x: &Value, y: &Value) -> Params {
    Params {
        batch: x.shape[0] as u32,
        quads: x.quads() as u32,
        in_h: x.shape[1] as u32,
        in_w: x.shape[2] as u32,
        out_h: y.shape[1] as u32,
        out_w: y.shape[2] as u32,
    }
}

fn dispatch(l: &mut Launch<'_>, stem: &'static str, entry: &'static str, params: &Params) {
    let groups = grid(l.output(0).padded_len() / 4, 64);
    let bindings = [("x", l.read(0)), ("out", l.write(0))];
    l.dispatch(stem, entry, params, &bindings, groups);
}
