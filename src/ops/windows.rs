//! Cutting maps into windows, and putting them together: the windows of Swin (Liu et al. 2021), its patch merging and the patch
//! embedding of vision transformers.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        images: u32,
        height: u32,
        width: u32,
        quads: u32,
        channels: u32,
        size: u32,
        shift: u32,
        down: u32,
        across: u32,
        columns_first: u32,
    }
}

/// How a map is cut. It is padded with zeros below and on the right to whole windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Rows and columns of a window.
    pub size: usize,
    /// Rows and columns by which the padded map is moved up and left, around its border; less than `size`.
    pub shift: usize,
    /// Whether places of a window are counted down its columns instead of along its rows.
    pub columns_first: bool,
}

impl Cut {
    /// Windows down and across a map of this height and width.
    #[must_use]
    pub const fn grid(self, [height, width]: [usize; 2]) -> [usize; 2] {
        [height.div_ceil(self.size), width.div_ceil(self.size)]
    }

    fn params(self, map: &[usize]) -> Params {
        let &[images, height, width, channels] = map else { unreachable!("the shape rule has seen it") };
        let [down, across] = self.grid([height, width]);
        Params {
            images: images as u32,
            height: height as u32,
            width: width as u32,
            quads: channels.div_ceil(4) as u32,
            channels: channels as u32,
            size: self.size as u32,
            shift: self.shift as u32,
            down: down as u32,
            across: across as u32,
            columns_first: u32::from(self.columns_first),
        }
    }

    fn is_possible(self) -> bool {
        self.size > 0 && self.shift < self.size
    }
}

impl From<Cut> for oracle::windows::Cut {
    fn from(cut: Cut) -> Self {
        Self { size: cut.size, shift: cut.shift, columns_first: cut.columns_first }
    }
}

/// Input `[B,H,W,C]`; output `[B windows, size^2, C]`, C rounded up to a multiple of 4 by zeros.
#[derive(Clone, Copy, Debug)]
pub struct Windows(pub Cut);

/// Input `[B windows, size^2, C]`; output the map of this shape.
#[derive(Clone, Copy, Debug)]
pub struct Unwindows {
    /// How the map was cut.
    pub cut: Cut,
    /// `[B,H,W,C]`.
    pub map: [usize; 4],
}

/// Records the windows of `x [B,H,W,C]` as `[B windows, size^2, C]`, by image and in the order of rows; `C` is rounded up to a
/// multiple of 4, with zeros.
///
/// # Errors
/// [`Error::Shape`] if `x` is not a map or the shift is not below the size.
pub fn windows(tape: &mut Tape, x: ValueId, cut: Cut) -> Result<ValueId> {
    tape.push1(Windows(cut), &[x])
}

/// Records the map `[B,H,W,C]` of which `x` holds the windows.
///
/// # Errors
/// [`Error::Shape`] if `x` is not `[B windows, size^2, C]`.
pub fn unwindows(tape: &mut Tape, x: ValueId, cut: Cut, map: [usize; 4]) -> Result<ValueId> {
    tape.push1(Unwindows { cut, map }, &[x])
}

impl Op for Windows {
    fn stem(&self) -> &'static str {
        "windows"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let Self(cut) = *self;
        match inputs[0].shape[..] {
            [b, h, w, c] if b * h * w * c > 0 && cut.is_possible() => {
                let [down, across] = cut.grid([h, w]);
                Ok(vec![Spec::f32(&[b * down * across, cut.size * cut.size, c.next_multiple_of(4)])])
            }
            ref other => {
                Err(Error::shape("windows", format!("{cut:?} of {other:?}, which must be [B,H,W,C]")))
            }
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = self.0.params(&l.input(0).shape);
        let groups = grid(l.output(0).padded_len() / 4, 64);
        l.dispatch("windows", "windows", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::windows::windows(inputs[0], self.0.into())]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let shape = &tape.value(node.inputs[0]).shape;
        let map = [shape[0], shape[1], shape[2], shape[3]];
        Ok(vec![Some(unwindows(tape, g, self.0, map)?)])
    }
}

impl Op for Unwindows {
    fn stem(&self) -> &'static str {
        "windows"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let Self { cut, map: [b, h, w, c] } = *self;
        let fits = cut.is_possible() && b * h * w * c > 0 && {
            let [down, across] = cut.grid([h, w]);
            inputs[0].shape == [b * down * across, cut.size * cut.size, c.next_multiple_of(4)]
        };
        if fits {
            return Ok(vec![Spec::f32(&self.map)]);
        }
        let problem = format!("{:?} are not the windows {cut:?} of {:?}", inputs[0].shape, self.map);
        Err(Error::shape("windows", problem))
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = self.cut.params(&self.map);
        let groups = grid(l.output(0).padded_len() / 4, 64);
        l.dispatch("windows", "unwindows", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::windows::unwindows(inputs[0], &self.map, self.cut.into())]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(windows(tape, g, self.cut)?)])
    }
}

pub(super) fn cases() -> Vec<Case> {
    let cut = |size, shift, columns_first| Cut { size, shift, columns_first };
    let apart = |name: &str, shape: [usize; 4], cut: Cut| {
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], move |t, v| Ok(vec![windows(t, v[0], cut)?]))
    };
    let together = |name: &str, map: [usize; 4], cut: Cut| {
        let [down, across] = cut.grid([map[1], map[2]]);
        let shape = [map[0] * down * across, cut.size * cut.size, map[3]];
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], move |t, v| Ok(vec![unwindows(t, v[0], cut, map)?]))
    };
    vec![
        apart("whole windows", [2, 6, 4, 8], cut(2, 0, false)),
        apart("padded", [2, 5, 7, 4], cut(3, 0, false)),
        apart("padded and shifted", [1, 5, 11, 8], cut(4, 2, false)),
        apart("by columns", [2, 5, 3, 8], cut(2, 0, true)),
        apart("smaller than a window", [1, 2, 3, 4], cut(7, 3, false)),
        apart("three channels", [2, 5, 9, 3], cut(4, 0, false)),
        together("together, padded and shifted", [2, 5, 7, 8], cut(3, 1, false)),
        together("together, by columns", [1, 3, 5, 4], cut(2, 1, true)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn what_is_no_set_of_windows_is_refused() {
        let mut tape = Tape::new();
        let cut = Cut { size: 3, shift: 1, columns_first: false };
        let map = tape.input("map", &[2, 5, 7, 4], DType::F32);
        let flat = tape.input("flat", &[2, 35, 4], DType::F32);
        for (x, cut) in [(flat, cut), (map, Cut { shift: 3, ..cut }), (map, Cut { size: 0, ..cut })] {
            assert!(windows(&mut tape, x, cut).is_err_and(|e| e.to_string().contains("[B,H,W,C]")));
        }
        let cut_up = windows(&mut tape, map, cut).expect("a map");
        assert_eq!(tape.value(cut_up).shape, [12, 9, 4]);
        assert!(unwindows(&mut tape, cut_up, cut, [2, 5, 7, 4]).is_ok());
        assert!(unwindows(&mut tape, cut_up, cut, [2, 5, 10, 4]).is_err());
    }
}
