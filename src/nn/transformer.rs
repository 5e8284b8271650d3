//! What the transformer backbones have in common: linear layers and norms over tokens `[B,N,D]`, cutting images into patches.

use crate::error::Result;
use crate::ops::{self, Act, Conv, Cut, DropMode};
use crate::tape::ValueId;

use super::layers::{Builder, ConvBn, Mode};
use super::weights::{Init, Layout};

/// Standard deviation of new weights and embeddings, as all of these networks have it (timm's `trunc_normal_` cuts at 100 of them).
pub(super) const STD: f32 = 0.02;

/// Whether the weight called `name` is an embedding of positions or of tokens that are in no image: recipes decay none of them.
#[must_use]
pub fn is_embedding(name: &str) -> bool {
    ["pos_embed", "cls_token", "reg_token", "relative_position_bias_table"]
        .iter()
        .any(|part| name.ends_with(part))
}

impl Builder<'_> {
    /// Fully connected layer on the last axis of `x [.., ci]`: `[co, ci]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn dense(&mut self, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
        self.dense_if(name, x, outputs, true)
    }

    /// [`Builder::dense`], with the bias only if `biased`.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn dense_if(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        biased: bool,
    ) -> Result<ValueId> {
        let value = self.tape.value(x);
        let (shape, rows, inputs) = (value.shape.clone(), value.rows(), value.channels());
        let layout = Layout::Linear { inputs };
        let w = [1, 1, inputs.next_multiple_of(4), outputs];
        let w = self.param(&format!("{name}.weight"), &w, layout, Init::Normal(STD));
        let zero = Init::Constant(0.0);
        let bias = biased.then(|| self.param(&format!("{name}.bias"), &[outputs], Layout::Same, zero));
        let x = self.tape.reshape(x, &[1, 1, rows, inputs])?;
        let y = ops::conv2d(self.tape, x, w, bias, Conv::default())?;
        self.tape.reshape(y, &[&shape[..shape.len() - 1], &[outputs]].concat())
    }

    /// Layer norm over the last axis of `x`: `{weight, bias}` under `name`.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn token_norm(&mut self, name: &str, x: ValueId, eps: f32) -> Result<ValueId> {
        let shape = [self.tape.value(x).channels()];
        let gamma = self.param(&format!("{name}.weight"), &shape, Layout::Same, Init::Constant(1.0));
        let beta = self.param(&format!("{name}.bias"), &shape, Layout::Same, Init::Constant(0.0));
        ops::layer_norm(self.tape, x, gamma, beta, eps)
    }

    /// Patches of `size x size` pixels of `image [B,H,W,3]`, padded below and on the right to whole ones, and a linear map of each:
    /// a convolution's `[co, 3, size, size]` and `[co]` on disk. Gives `[B, h, w, co]`.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn patches(
        &mut self,
        name: &str,
        image: ValueId,
        size: usize,
        outputs: usize,
    ) -> Result<ValueId> {
        let shape = self.tape.value(image).shape.clone();
        let cut = Cut { size, shift: 0, columns_first: false };
        let [down, across] = cut.grid([shape[1], shape[2]]);
        let inputs = shape[3];
        let lanes = inputs.next_multiple_of(4);
        let w = [size, size, lanes, outputs];
        let w = self.param(&format!("{name}.weight"), &w, Layout::Conv { inputs }, Init::Normal(STD));
        let bias = self.param(&format!("{name}.bias"), &[outputs], Layout::Same, Init::Constant(0.0));
        // A patch is a row: all pixels of it, with the channels rounded up as they lie in memory and in the weights.
        let x = ops::windows(self.tape, image, cut)?;
        let x = self.tape.reshape(x, &[1, 1, shape[0] * down * across, size * size * lanes])?;
        let w = self.tape.reshape(w, &[1, 1, size * size * lanes, outputs])?;
        let y = ops::conv2d(self.tape, x, w, Some(bias), Conv::default())?;
        self.tape.reshape(y, &[shape[0], down, across, outputs])
    }

    /// An embedding `[1, rows, D]` on disk, as `[rows, D]`.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn embedding(&mut self, name: &str, rows: usize, width: usize) -> Result<ValueId> {
        let x = self.param(name, &[1, rows, width], Layout::Same, Init::Normal(STD));
        self.tape.reshape(x, &[rows, width])
    }

    /// Convolution with bias to `[outputs, kernel]` channels and rows: `[co, ci / groups, k, k]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn biased_conv(
        &mut self,
        name: &str,
        x: ValueId,
        [outputs, kernel]: [usize; 2],
        conv: Conv,
    ) -> Result<ValueId> {
        let inputs = self.tape.value(x).channels();
        let w = self.conv_weight(name, inputs, ConvBn { outputs, kernel, conv, act: Act::None });
        let bias = self.param(&format!("{name}.bias"), &[outputs], Layout::Same, Init::Constant(0.0));
        ops::conv2d(self.tape, x, w, Some(bias), conv)
    }

    /// Probability of leaving out a branch of block `index` of `count`: it grows linearly from 0 to that of the last block.
    pub(super) fn drop_path(&self, index: usize, count: usize) -> f32 {
        self.stochastic_depth.map_or(0.0, |depth| depth.rate * index as f32 / (count - 1).max(1) as f32)
    }

    /// `x + y`, where `y` is left out of images with the probability `drop` while training (Huang et al. 2016).
    ///
    /// # Errors
    /// Those of the shape rules.
    pub(super) fn add_branch(&mut self, x: ValueId, y: ValueId, drop: f32) -> Result<ValueId> {
        let mut y = y;
        if let (Mode::Train, Some(depth), true) = (self.mode, &mut self.stochastic_depth, drop > 0.0) {
            depth.seed = depth.seed.wrapping_add(1);
            y = ops::dropout(self.tape, y, depth.step, drop, DropMode::Image, depth.seed)?;
        }
        ops::add(self.tape, x, y, 1.0)
    }
}
