//! A convolution of several maps side by side, without putting them side by side: their concatenation may be larger than a
//! browser binds (four maps of SegFormer-B4 at 512x512 are 192 MiB).

use crate::error::Result;
use crate::ops::{self, Act, Conv, Corners, Epilogue};
use crate::tape::ValueId;

use super::layers::{Builder, ConvBn};

impl Builder<'_> {
    /// `act(BN(conv(maps side by side)))` with maps enlarged to the largest among them (half pixels): names and weights are those of
    /// [`Builder::conv_bn_skip`] on the concatenation. Each map meets its own rows of the weights and the results are added up; a 1x1
    /// convolution comes before the enlargement, with which it commutes.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn conv_bn_parts(&mut self, names: [&str; 2], maps: &[ValueId], layer: ConvBn) -> Result<ValueId> {
        self.conv_bn_of(names, maps, layer, None, None)
    }

    /// Channels of all `maps` together.
    pub(super) fn channels_of(&self, maps: &[ValueId]) -> usize {
        maps.iter().map(|&map| self.tape.value(map).channels()).sum()
    }

    /// The convolution of `maps`, as [`Builder::conv_bn_parts`] says; of a single one as it is, with the whole epilogue.
    pub(super) fn convolve(
        &mut self,
        maps: &[ValueId],
        w: ValueId,
        epilogue: Epilogue,
        conv: Conv,
    ) -> Result<ValueId> {
        if let &[map] = maps {
            return ops::conv2d_fused(self.tape, map, w, epilogue, conv);
        }
        let sides = |axis: usize| maps.iter().map(|&map| self.tape.value(map).shape[axis]).max();
        let size = [sides(1).unwrap_or_default(), sides(2).unwrap_or_default()];
        let mut sum = None;
        let shape = self.tape.value(w).shape.clone();
        let [kernel, outputs] = [shape[0], shape[3]];
        // Rows of the weights begin at whole vec4s; maps that do not are put side by side after all.
        let apart = maps.iter().all(|&map| self.tape.value(map).channels().is_multiple_of(4));
        if !apart {
            let resized = |&map: &ValueId| ops::resize(self.tape, map, size, Corners::Half);
            let maps = maps.iter().map(resized).collect::<Result<Vec<_>>>()?;
            let all = ops::concat(self.tape, &maps)?;
            return ops::conv2d_fused(self.tape, all, w, epilogue, conv);
        }
        let rows = self.tape.reshape(w, &[kernel * kernel, shape[2], outputs])?;
        let mut first = 0;
        for &map in maps {
            let channels = self.tape.value(map).channels();
            let own = ops::take_tokens(self.tape, rows, first..first + channels)?;
            let own = self.tape.reshape(own, &[kernel, kernel, channels, outputs])?;
            // Once is enough for the bias, and enlarging leaves it as it is.
            let bias = epilogue.bias.filter(|_| first == 0);
            first += channels;
            let part = if kernel == 1 {
                let small = ops::conv2d(self.tape, map, own, bias, conv)?;
                ops::resize(self.tape, small, size, Corners::Half)?
            } else {
                let large = ops::resize(self.tape, map, size, Corners::Half)?;
                ops::conv2d(self.tape, large, own, bias, conv)?
            };
            sum = Some(match sum {
                None => part,
                Some(sum) => ops::add(self.tape, sum, part, 1.0)?,
            });
        }
        let sum = sum.expect("there are several maps");
        let sum = epilogue.skip.map_or(Ok(sum), |skip| ops::add(self.tape, sum, skip, 1.0))?;
        match epilogue.act {
            Act::None => Ok(sum),
            Act::Relu => ops::relu(self.tape, sum),
            Act::Relu6 => ops::relu6(self.tape, sum),
        }
    }
}
