//! Plain vision transformers (Dosovitskiy et al. 2021) with timm's names, and DINOv2's (Oquab et al. 2023): patches of 14,
//! LayerScale, registers (Darcet et al. 2024), and in the largest a gated feed-forward network.

use crate::error::Result;
use crate::ops::{self, Resample};
use crate::tape::ValueId;

use super::backbone::Tap;
use super::layers::Builder;
use super::weights::{Init, Layout};

/// Under the root of the norms.
const EPS: f32 = 1e-6;
/// First values of LayerScale.
const LAYER_SCALE: f32 = 1e-5;
/// Levels of depth that [`record`] gives a map of.
const LEVELS: usize = 4;
/// The one among them that takes the part of the third of four stages.
const MIDDLE_LEVEL: usize = 2;

/// Which of the networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vit {
    /// Side of a patch in pixels.
    patch: usize,
    /// Rows and columns of the grid that positions are stored for.
    grid: usize,
    width: usize,
    depth: usize,
    heads: usize,
    /// Registers behind the class token. With them neither has a position.
    registers: usize,
    /// Whether branches have a factor per channel.
    layer_scale: bool,
    /// Width of the gated feed-forward network, 0 for the ordinary one of four times the width.
    gated: usize,
}

/// timm's `patch16_224`.
const fn patch16(width: usize, heads: usize) -> Vit {
    Vit { patch: 16, grid: 14, width, depth: 12, heads, registers: 0, layer_scale: false, gated: 0 }
}

/// timm's `patch14_dinov2`, whose positions are those of images of 518 x 518.
const fn dinov2(width: usize, heads: usize, registers: usize) -> Vit {
    Vit { patch: 14, grid: 37, width, depth: 12, heads, registers, layer_scale: true, gated: 0 }
}

impl Vit {
    pub(super) const TINY: Self = patch16(192, 3);
    pub(super) const SMALL: Self = patch16(384, 6);
    pub(super) const BASE: Self = patch16(768, 12);
    pub(super) const DINOV2_SMALL: Self = dinov2(384, 6, 0);
    pub(super) const DINOV2_BASE: Self = dinov2(768, 12, 0);
    pub(super) const DINOV2_SMALL_REG4: Self = dinov2(384, 6, 4);
    pub(super) const DINOV2_BASE_REG4: Self = dinov2(768, 12, 4);
    pub(super) const DINOV2_GIANT: Self = Self { depth: 40, gated: 4096, ..dinov2(1536, 24, 0) };

    /// The level of depth that ends with block number `blocks`, the first being 1.
    pub(super) const fn level(self, blocks: usize) -> Option<usize> {
        let quarters = blocks * LEVELS;
        if blocks == 0 || blocks > self.depth || !quarters.is_multiple_of(self.depth) {
            return None;
        }
        Some(quarters / self.depth - 1)
    }

    /// Class token and registers.
    const fn extra(self) -> usize {
        1 + self.registers
    }

    /// Those of them that have a position.
    const fn placed(self) -> usize {
        if self.registers == 0 { 1 } else { 0 }
    }
}

/// Records the network on `image` `[B,H,W,3]`, padded to whole patches: the patches' tokens as maps after a quarter, a half and three
/// quarters of the blocks, and at the end, where the final norm stands. All have the patch as their stride. Positions are
/// resampled to the image's grid.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, vit: Vit) -> Result<Vec<Tap>> {
    b.tape.mark();
    let patches = b.patches("patch_embed.proj", image, vit.patch, vit.width)?;
    let shape = b.tape.value(patches).shape.clone();
    let patches = b.tape.reshape(patches, &[shape[0], shape[1] * shape[2], vit.width])?;
    let prefix = b.prefix(vit)?;
    let pos = b.embedding("pos_embed", vit.placed() + vit.grid * vit.grid, vit.width)?;
    let resample = Resample { prefix: vit.placed(), from: [vit.grid; 2], to: [shape[1], shape[2]] };
    let pos = ops::resample_positions(b.tape, pos, resample)?;
    b.positions = Some(pos);
    let mut x = ops::tokens(b.tape, patches, prefix, pos)?;
    let mut taps = Vec::new();
    for block in 0..vit.depth {
        b.tape.mark();
        let drop = b.drop_path(block, vit.depth);
        x = b.block(&format!("blocks.{block}"), x, vit, drop)?;
        if let Some(number) = vit.level(block + 1) {
            let level = if block + 1 == vit.depth { b.token_norm("norm", x, EPS)? } else { x };
            b.tokens = Some(level);
            let length = vit.extra() + shape[1] * shape[2];
            let level = ops::take_tokens(b.tape, level, vit.extra()..length)?;
            let tap = Tap { stride: vit.patch, map: b.tape.reshape(level, &shape)? };
            if number == MIDDLE_LEVEL {
                b.middle = Some(tap);
            }
            taps.push(tap);
        }
    }
    b.tape.mark();
    Ok(taps)
}

/// Records the classifier of the full network on `tokens`, with which [`record`] ended; `[B, 1000]` logits of the class token.
/// Only parity checks need it.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn classifier(b: &mut Builder<'_>, tokens: ValueId) -> Result<ValueId> {
    let images = b.tape.value(tokens).shape[0];
    let class = ops::take_tokens(b.tape, tokens, 0..1)?;
    let logits = b.dense("head", class, 1000)?;
    b.tape.reshape(logits, &[images, 1000])
}

impl Builder<'_> {
    /// The rows in front of every image's tokens.
    fn prefix(&mut self, vit: Vit) -> Result<ValueId> {
        let class = self.embedding("cls_token", 1, vit.width)?;
        if vit.registers == 0 {
            return Ok(class);
        }
        let registers = self.embedding("reg_token", vit.registers, vit.width)?;
        let registers = self.tape.reshape(registers, &[1, vit.registers * vit.width])?;
        let both = ops::concat(self.tape, &[class, registers])?;
        self.tape.reshape(both, &[vit.extra(), vit.width])
    }

    /// `x + attention(norm(x))`, then `x + network(norm(x))`.
    fn block(&mut self, name: &str, x: ValueId, vit: Vit, drop: f32) -> Result<ValueId> {
        let y = self.token_norm(&format!("{name}.norm1"), x, EPS)?;
        let qkv = self.dense(&format!("{name}.attn.qkv"), y, 3 * vit.width)?;
        let y = ops::self_attention(self.tape, qkv, vit.heads)?;
        let y = self.dense(&format!("{name}.attn.proj"), y, vit.width)?;
        let y = self.scaled(&format!("{name}.ls1"), y, vit)?;
        let x = self.add_branch(x, y, drop)?;
        let y = self.token_norm(&format!("{name}.norm2"), x, EPS)?;
        let wide = if vit.gated > 0 { 2 * vit.gated } else { 4 * vit.width };
        let y = self.dense(&format!("{name}.mlp.fc1"), y, wide)?;
        let y = if vit.gated > 0 { ops::swiglu(self.tape, y)? } else { ops::gelu(self.tape, y)? };
        let y = self.dense(&format!("{name}.mlp.fc2"), y, vit.width)?;
        let y = self.scaled(&format!("{name}.ls2"), y, vit)?;
        self.add_branch(x, y, drop)
    }

    /// What a branch found, times its factor per channel if there is one.
    fn scaled(&mut self, name: &str, y: ValueId, vit: Vit) -> Result<ValueId> {
        if !vit.layer_scale {
            return Ok(y);
        }
        let init = Init::Constant(LAYER_SCALE);
        let gamma = self.param(&format!("{name}.gamma"), &[vit.width], Layout::Same, init);
        ops::channel_scale(self.tape, y, gamma)
    }
}
