//! High-resolution networks (Wang et al., *Deep High-Resolution Representation Learning for Visual Recognition*, 2020) of
//! width 18 and 48: up to four branches of strides 4 to 32 side by side, which exchange what they know after every four
//! residual blocks. Names and structure are those that the authors' code, timm and mmsegmentation share.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::{self, Act, Conv, Corners};
use crate::tape::ValueId;

use super::backbone::{Extent, Tap};
use super::layers::{Builder, ConvBn};
use super::resnet::Block;

/// Modules of stages 2, 3 and 4, which have two, three and four branches.
const MODULES: [usize; 3] = [1, 4, 3];
/// Residual blocks of layer1, and of every branch of a module.
const BLOCKS: usize = 4;

/// How a coarse branch is enlarged where it is added to a finer one. The copies of the network differ in this, with the same
/// names of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upsampling {
    /// Bilinear, `align_corners = true`: openseg.pytorch, on which the paper's code is built.
    #[default]
    Align,
    /// Bilinear, `align_corners = false`: mmsegmentation.
    Half,
    /// The nearest pixel: timm and the classification networks that the published ImageNet weights come from.
    Nearest,
}

impl Upsampling {
    /// That called `name`, as in configurations.
    ///
    /// # Errors
    /// [`Error::Config`] that lists the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "align" => Ok(Self::Align),
            "half" => Ok(Self::Half),
            "nearest" => Ok(Self::Nearest),
            _ => {
                let problem = format!("unknown upsampling `{name}` of HRNet");
                Err(Error::config(problem, "choose align, half or nearest"))
            }
        }
    }
}

/// Records the network of `width` (18 or 48) on `image` `[B,H,W,3]`. Returns the maps of strides 4 to 32, of `width` to
/// `8 width` channels; those beyond `extent.deepest` are not merged and not returned.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, width: usize, extent: Extent) -> Result<Vec<Tap>> {
    b.tape.mark();
    let mut x = image;
    for (conv, norm) in [("conv1", "bn1"), ("conv2", "bn2")] {
        x = b.conv_bn_skip([conv, norm], x, three(64, 2), None)?;
    }
    for block in 0..BLOCKS {
        b.tape.mark();
        x = b.bottleneck(&format!("layer1.{block}"), x, Block::plain(64))?;
    }
    // From here on one map per branch, the finest first.
    let mut maps = vec![x];
    for (index, modules) in MODULES.into_iter().enumerate() {
        b.tape.mark();
        transition(b, &mut maps, index + 1, width)?;
        for module in 0..modules {
            let name = format!("stage{}.{module}", index + 2);
            let last = index + 1 == MODULES.len() && module + 1 == modules;
            let branches = maps.len();
            let merged =
                if last { (0..branches).filter(|&i| stride(i) <= extent.deepest).count() } else { branches };
            for (branch, map) in maps.iter_mut().enumerate() {
                for block in 0..BLOCKS {
                    b.tape.mark();
                    let block_name = format!("{name}.branches.{branch}.{block}");
                    *map = b.basic(&block_name, *map, Block::plain(width << branch))?;
                }
            }
            b.tape.mark();
            maps = (0..merged).map(|i| fuse(b, &name, &maps, i)).collect::<Result<_>>()?;
        }
    }
    b.tape.mark();
    Ok(maps.into_iter().enumerate().map(|(i, map)| Tap { stride: stride(i), map }).collect())
}

/// Image pixels per pixel of a branch.
const fn stride(branch: usize) -> usize {
    4 << branch
}

/// A 3x3 convolution with ReLU.
fn three(outputs: usize, stride: usize) -> ConvBn {
    ConvBn { outputs, kernel: 3, conv: Conv { stride, padding: 1, ..Conv::default() }, act: Act::Relu }
}

/// Adds a branch of half the resolution to `maps`, and brings layer1's 256 channels to the width of the first.
fn transition(b: &mut Builder<'_>, maps: &mut Vec<ValueId>, number: usize, width: usize) -> Result<()> {
    let coarsest = maps[maps.len() - 1];
    let added = maps.len();
    if number == 1 {
        maps[0] = b.conv_bn("transition1.0", coarsest, three(width, 1))?;
    }
    maps.push(b.conv_bn(&format!("transition{number}.{added}.0"), coarsest, three(width << added, 2))?);
    Ok(())
}

/// Branch `i` after the exchange: `relu(x_i + sum of the others)`. Finer ones come by 3x3 convolutions that halve them, with
/// ReLU between but not behind the last; coarser ones by a 1x1 convolution, enlarged.
fn fuse(b: &mut Builder<'_>, name: &str, maps: &[ValueId], i: usize) -> Result<ValueId> {
    let width = |b: &Builder<'_>, branch: usize| b.tape.value(maps[branch]).channels();
    let outputs = width(b, i);
    let mut sum = maps[i];
    for (j, &map) in maps[..i].iter().enumerate() {
        let mut x = map;
        for k in 0..i - j {
            let at = format!("{name}.fuse_layers.{i}.{j}.{k}");
            let names = [format!("{at}.0"), format!("{at}.1")];
            let last = k + 1 == i - j;
            // With the sum complete, its ReLU is that of the convolution.
            let complete = j + 1 == maps.len() - 1;
            let act = if !last || complete { Act::Relu } else { Act::None };
            let layer = ConvBn { act, ..three(if last { outputs } else { width(b, j) }, 2) };
            x = b.conv_bn_skip([&names[0], &names[1]], x, layer, last.then_some(sum))?;
        }
        sum = x;
    }
    if i + 1 == maps.len() {
        return Ok(sum);
    }
    let shape = b.tape.value(maps[i]).shape.clone();
    let size = [shape[1], shape[2]];
    for (j, &map) in maps.iter().enumerate().skip(i + 1) {
        let point = ConvBn { outputs, kernel: 1, conv: Conv::default(), act: Act::None };
        let x = b.conv_bn(&format!("{name}.fuse_layers.{i}.{j}"), map, point)?;
        let x = match b.upsampling {
            Upsampling::Align => ops::resize(b.tape, x, size, Corners::Align)?,
            Upsampling::Half => ops::resize(b.tape, x, size, Corners::Half)?,
            Upsampling::Nearest => ops::resize_nearest(b.tape, x, size)?,
        };
        sum = ops::add(b.tape, sum, x, 1.0)?;
    }
    ops::relu(b.tape, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Mode;
    use crate::ops::check;
    use crate::ops::table::{Case, Fill, Input};

    /// Every node of a network of width 8, forward and back, enlarged in each of the three ways. A width that is no multiple of
    /// 4 would have weights beyond its channels, which must be zero and are drawn here.
    #[test]
    fn training_agrees_with_the_oracle_node_by_node() {
        let gpu = crate::testing::gpu();
        for upsampling in [Upsampling::Align, Upsampling::Half, Upsampling::Nearest] {
            let image = Input::fixed(&[2, 33, 38, 3], Fill::Uniform(-2.0, 2.0));
            let case = Case::new("high resolution", vec![image], move |tape, v| {
                let mut b = Builder::new(tape, Mode::Train);
                b.upsampling = upsampling;
                let taps = record(&mut b, v[0], 8, Extent { output_stride: 32, deepest: 32 })?;
                Ok(taps.iter().map(|tap| tap.map).collect())
            });
            let all = pollster::block_on(check::on_device(&case, &gpu)).expect("it runs");
            let bad: Vec<_> = all.iter().filter(|d| d.max_rel > 1e-5).collect();
            assert!(all.len() > 1000 && bad.is_empty(), "{upsampling:?}: {bad:#?}");
        }
    }
}
