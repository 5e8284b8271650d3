//! Sizes of the vision transformers: ViT-Tiny at 480x352 and the first stage of Swin-T at 512x512.

use crate::error::Result;
use crate::ops;
use crate::ops::attention::Window;
use crate::ops::resample_positions::Resample;
use crate::ops::table::{Case, Fill, Input};
use crate::ops::windows::Cut;
use crate::tape::{Tape, ValueId};

/// Images, tokens and channels of ViT-Tiny.
const TOKENS: [usize; 3] = [4, 661, 192];
/// Swin-T's first stage: a map, its windows and heads.
const MAP: [usize; 4] = [2, 128, 128, 96];
const WINDOW: Window = Window { size: 7, shift: 3, grid: [19, 19] };
const HEADS: usize = 3;

fn uniform(shape: &[usize]) -> Input {
    Input::f32(shape, Fill::Uniform(-1.0, 1.0))
}

fn one(
    name: &str,
    inputs: Vec<Input>,
    record: impl Fn(&mut Tape, &[ValueId]) -> Result<ValueId> + 'static,
) -> Vec<Case> {
    vec![Case::new(name, inputs, move |t, v| Ok(vec![record(t, v)?]))]
}

pub(in crate::ops) fn attention() -> Vec<Case> {
    let cross = |name: &str, [b, q, m, d]: [usize; 4]| {
        let x = |rows| uniform(&[b, rows, d]);
        one(name, vec![x(q), x(m), x(m)], |t, v| ops::attention(t, v[0], v[1], v[2], 4))
    };
    let [images, tokens, channels] = TOKENS;
    let qkv = uniform(&[images, tokens, 3 * channels]);
    let windows = uniform(&[MAP[0] * 19 * 19, 49, 3 * MAP[3]]);
    [
        cross("11 to 4x12x15x64, 4 heads", [4, 11, 180, 64]),
        cross("150 to 64x64x256, 4 heads", [1, 150, 4096, 256]),
        one("4x661x192, 3 heads", vec![qkv], |t, v| ops::self_attention(t, v[0], HEADS)),
        one("722 windows of 7x7x96", vec![windows, uniform(&[169, HEADS])], |t, v| {
            ops::window_attention(t, v[0], v[1], HEADS, WINDOW)
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(in crate::ops) fn channel_scale() -> Vec<Case> {
    one("4x661x192", vec![uniform(&TOKENS), uniform(&TOKENS[2..])], |t, v| ops::channel_scale(t, v[0], v[1]))
}

pub(in crate::ops) fn gelu() -> Vec<Case> {
    one("4x661x768", vec![uniform(&[TOKENS[0], TOKENS[1], 4 * TOKENS[2]])], |t, v| ops::gelu(t, v[0]))
}

pub(in crate::ops) fn resample_positions() -> Vec<Case> {
    let resample = Resample { prefix: 1, from: [14, 14], to: [22, 30] };
    one("14x14x192 to 22x30", vec![uniform(&[197, 192])], move |t, v| {
        ops::resample_positions(t, v[0], resample)
    })
}

pub(in crate::ops) fn swiglu() -> Vec<Case> {
    one("4x661x1024", vec![uniform(&[TOKENS[0], TOKENS[1], 1024])], |t, v| ops::swiglu(t, v[0]))
}

pub(in crate::ops) fn tokens() -> Vec<Case> {
    let [images, tokens, channels] = TOKENS;
    let inputs =
        vec![uniform(&[images, tokens - 1, channels]), uniform(&[1, channels]), uniform(&TOKENS[1..])];
    one("4x660x192", inputs, |t, v| ops::tokens(t, v[0], v[1], v[2]))
}

pub(in crate::ops) fn windows() -> Vec<Case> {
    let cut = Cut { size: WINDOW.size, shift: WINDOW.shift, columns_first: false };
    one("2x128x128x96", vec![uniform(&MAP)], move |t, v| ops::windows(t, v[0], cut))
}
