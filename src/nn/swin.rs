//! Swin transformers (Liu et al. 2021) with timm's names: attention inside windows that are shifted in every second block, half the
//! resolution and twice the width from stage to stage.

use crate::error::Result;
use crate::ops::{self, Cut, Window};
use crate::tape::ValueId;

use super::backbone::Tap;
use super::layers::Builder;
use super::transformer::STD;
use super::weights::{Init, Layout};

/// Under the root of the norms.
const EPS: f32 = 1e-5;
/// Side of a patch.
const PATCH: usize = 4;

/// Which of the networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swin {
    /// Channels of the first stage.
    width: usize,
    /// Blocks of the stages.
    depths: [usize; 4],
    /// Channels of a head: the same in all stages.
    head: usize,
    /// Side of a window.
    window: usize,
}

impl Swin {
    pub(super) const TINY: Self = Self { width: 96, depths: [2, 2, 6, 2], head: 32, window: 7 };
    pub(super) const SMALL: Self = Self { depths: [2, 2, 18, 2], ..Self::TINY };
    pub(super) const BASE: Self = Self { width: 128, ..Self::SMALL };
    pub(super) const BASE_384: Self = Self { window: 12, ..Self::BASE };
}

/// Records the network on `image` `[B,H,W,3]`: the map of every stage, each behind a norm of its own (`norm0` to `norm3`), which
/// weights of a classifier lack and which begin as the identity does.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, swin: Swin) -> Result<Vec<Tap>> {
    b.tape.mark();
    let x = b.patches("patch_embed.proj", image, PATCH, swin.width)?;
    let mut x = b.token_norm("patch_embed.norm", x, EPS)?;
    let mut taps = Vec::new();
    let mut before = 0;
    for (stage, depth) in swin.depths.into_iter().enumerate() {
        let width = swin.width << stage;
        let name = format!("layers.{stage}");
        if stage > 0 {
            x = b.merge_patches(&format!("{name}.downsample"), x, width)?;
        }
        for block in 0..depth {
            b.tape.mark();
            let drop = b.drop_path(before + block, swin.depths.iter().sum());
            let shape =
                Block { width, heads: width / swin.head, window: swin.window, shifted: block % 2 == 1, drop };
            x = b.swin_block(&format!("{name}.blocks.{block}"), x, shape)?;
        }
        before += depth;
        let map = b.token_norm(&format!("norm{stage}"), x, EPS)?;
        taps.push(Tap { stride: PATCH << stage, map });
    }
    b.tape.mark();
    b.tokens = Some(x);
    Ok(taps)
}

/// Records the classifier of the full network on `x`, with which [`record`] ended: the norm that such weights have instead of
/// `norm3`, the mean over the image, a linear map to `[B, 1000]` logits. Only parity checks need it.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn classifier(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId> {
    let x = b.token_norm("norm", x, EPS)?;
    let pooled = ops::global_mean(b.tape, x)?;
    b.dense("head.fc", pooled, 1000)
}

/// Geometry of a block.
#[derive(Clone, Copy, Debug)]
struct Block {
    width: usize,
    heads: usize,
    window: usize,
    shifted: bool,
    /// Probability of leaving a branch out.
    drop: f32,
}

impl Builder<'_> {
    /// Two by two pixels side by side, normed and mapped to `width` channels.
    fn merge_patches(&mut self, name: &str, x: ValueId, width: usize) -> Result<ValueId> {
        self.tape.mark();
        let shape = self.tape.value(x).shape.clone();
        let cut = Cut { size: 2, shift: 0, columns_first: true };
        let [down, across] = cut.grid([shape[1], shape[2]]);
        let x = ops::windows(self.tape, x, cut)?;
        let x = self.tape.reshape(x, &[shape[0], down, across, 4 * shape[3]])?;
        let x = self.token_norm(&format!("{name}.norm"), x, EPS)?;
        self.dense_if(&format!("{name}.reduction"), x, width, false)
    }

    fn swin_block(&mut self, name: &str, x: ValueId, block: Block) -> Result<ValueId> {
        let map = self.tape.value(x).shape.clone();
        let map = [map[0], map[1], map[2], map[3]];
        let y = self.token_norm(&format!("{name}.norm1"), x, EPS)?;
        let y = self.window_attention(&format!("{name}.attn"), y, map, block)?;
        let x = self.add_branch(x, y, block.drop)?;
        let y = self.token_norm(&format!("{name}.norm2"), x, EPS)?;
        let y = self.dense(&format!("{name}.mlp.fc1"), y, 4 * block.width)?;
        let y = ops::gelu(self.tape, y)?;
        let y = self.dense(&format!("{name}.mlp.fc2"), y, block.width)?;
        self.add_branch(x, y, block.drop)
    }

    fn window_attention(&mut self, name: &str, x: ValueId, map: [usize; 4], block: Block) -> Result<ValueId> {
        let Block { width, heads, window: size, shifted, .. } = block;
        // Segmentation shifts the windows of small maps too (mmsegmentation, Hugging Face's backbone); the classifiers do not.
        let shift = if shifted { size / 2 } else { 0 };
        let cut = Cut { size, shift, columns_first: false };
        let x = ops::windows(self.tape, x, cut)?;
        let qkv = self.dense(&format!("{name}.qkv"), x, 3 * width)?;
        let table = [(2 * size - 1) * (2 * size - 1), heads];
        let name_of_table = format!("{name}.relative_position_bias_table");
        let table = self.param(&name_of_table, &table, Layout::Same, Init::Normal(STD));
        let window = Window { size, shift, grid: cut.grid([map[1], map[2]]) };
        let x = ops::window_attention(self.tape, qkv, table, heads, window)?;
        let x = self.dense(&format!("{name}.proj"), x, width)?;
        ops::unwindows(self.tape, x, cut, map)
    }
}
