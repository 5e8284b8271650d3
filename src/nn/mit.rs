//! Mix transformers, the encoders of SegFormer (Xie et al. 2021), with the names of Hugging Face's: overlapping patches, attention
//! to a map made smaller, and a depthwise convolution in the feed-forward network instead of positions.

use crate::error::Result;
use crate::ops::{self, Conv};
use crate::tape::ValueId;

use super::backbone::Tap;
use super::layers::Builder;

/// Under the root of the norms.
const EPS: f32 = 1e-5;
/// Heads of the stages, and the sides of the squares of pixels that become one key.
const HEADS: [usize; 4] = [1, 2, 5, 8];
const REDUCTIONS: [usize; 4] = [8, 4, 2, 1];

/// Which of the networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mit {
    widths: [usize; 4],
    /// Blocks of the stages.
    depths: [usize; 4],
}

impl Mit {
    pub(super) const B0: Self = Self { widths: [32, 64, 160, 256], depths: [2, 2, 2, 2] };
    pub(super) const B1: Self = Self { widths: [64, 128, 320, 512], ..Self::B0 };
    pub(super) const B2: Self = Self { depths: [3, 4, 6, 3], ..Self::B1 };
    pub(super) const B3: Self = Self { depths: [3, 4, 18, 3], ..Self::B1 };
    pub(super) const B4: Self = Self { depths: [3, 8, 27, 3], ..Self::B1 };
    pub(super) const B5: Self = Self { depths: [3, 6, 40, 3], ..Self::B1 };
}

/// Records the network on `image` `[B,H,W,3]`: the normed map of every stage, of strides 4, 8, 16 and 32.
///
/// # Errors
/// Those of the shape rules, among them for images below 32 pixels, of which the first stage has no key.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, mit: Mit) -> Result<Vec<Tap>> {
    let mut x = image;
    let mut taps = Vec::new();
    let mut before = 0;
    for (stage, (width, depth)) in std::iter::zip(mit.widths, mit.depths).enumerate() {
        b.tape.mark();
        let name = format!("encoder.patch_embeddings.{stage}");
        let (kernel, stride) = if stage == 0 { (7, 4) } else { (3, 2) };
        let conv = Conv { stride, padding: kernel / 2, ..Conv::default() };
        x = b.biased_conv(&format!("{name}.proj"), x, [width, kernel], conv)?;
        x = b.token_norm(&format!("{name}.layer_norm"), x, EPS)?;
        for block in 0..depth {
            b.tape.mark();
            let drop = b.drop_path(before + block, mit.depths.iter().sum());
            x = b.mit_block(&format!("encoder.block.{stage}.{block}"), x, stage, drop)?;
        }
        before += depth;
        x = b.token_norm(&format!("encoder.layer_norm.{stage}"), x, EPS)?;
        taps.push(Tap { stride: 4 << stage, map: x });
    }
    b.tape.mark();
    Ok(taps)
}

/// Records the classifier of the full network on the last map: its mean and a linear map to `[B, 1000]` logits. Only parity
/// checks need it.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn classifier(b: &mut Builder<'_>, last: ValueId) -> Result<ValueId> {
    let pooled = ops::global_mean(b.tape, last)?;
    b.dense("classifier", pooled, 1000)
}

impl Builder<'_> {
    fn mit_block(&mut self, name: &str, x: ValueId, stage: usize, drop: f32) -> Result<ValueId> {
        let y = self.token_norm(&format!("{name}.layer_norm_1"), x, EPS)?;
        let y = self.reduced_attention(&format!("{name}.attention"), y, stage)?;
        let x = self.add_branch(x, y, drop)?;
        let y = self.token_norm(&format!("{name}.layer_norm_2"), x, EPS)?;
        let width = self.tape.value(y).channels();
        let y = self.dense(&format!("{name}.mlp.dense1"), y, 4 * width)?;
        let around = Conv { padding: 1, groups: 4 * width, ..Conv::default() };
        let y = self.biased_conv(&format!("{name}.mlp.dwconv.dwconv"), y, [4 * width, 3], around)?;
        let y = ops::gelu(self.tape, y)?;
        let y = self.dense(&format!("{name}.mlp.dense2"), y, width)?;
        self.add_branch(x, y, drop)
    }

    /// Attention of all pixels to squares of them, each of which a strided convolution has made one.
    fn reduced_attention(&mut self, name: &str, x: ValueId, stage: usize) -> Result<ValueId> {
        let map = self.tape.value(x).shape.clone();
        let [images, width] = [map[0], map[3]];
        let side = REDUCTIONS[stage];
        let mut keys = x;
        if side > 1 {
            let conv = Conv { stride: side, ..Conv::default() };
            keys = self.biased_conv(&format!("{name}.self.sr"), keys, [width, side], conv)?;
            keys = self.token_norm(&format!("{name}.self.layer_norm"), keys, EPS)?;
        }
        let mut project = |part: &str, of: ValueId| {
            let y = self.dense(&format!("{name}.self.{part}"), of, width)?;
            let tokens = self.tape.value(y).rows() / images;
            self.tape.reshape(y, &[images, tokens, width])
        };
        let [q, k, v] = [project("query", x)?, project("key", keys)?, project("value", keys)?];
        let y = ops::attention(self.tape, q, k, v, HEADS[stage])?;
        let y = self.tape.reshape(y, &map)?;
        self.dense(&format!("{name}.output.dense"), y, width)
    }
}
