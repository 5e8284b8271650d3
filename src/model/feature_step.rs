//! The frozen backbone alone, as far as what the head is fitted to.

use crate::error::Result;
use crate::gpu::Caps;
use crate::nn::{Builder, Mode, Weights, stack};
use crate::ops;
use crate::tape::{DType, Keep, Program, Tape, ValueId};

use super::spec::NetOptions;

/// The backbone's maps of a batch as inference computes them, upsampled and concatenated, with the labels beside them.
pub struct FeatureStep {
    /// The tape.
    pub tape: Tape,
    /// Images `[B,H,W,3]`, normalised.
    pub image: ValueId,
    /// Labels `[B,H,W]`, -1 = ignored.
    pub labels: ValueId,
    /// Features `[B,h,w,F]`, F the channels of all maps that are used.
    pub features: ValueId,
    /// Labels at feature resolution, `i32 [N]`, -1 = ignored.
    pub gt: ValueId,
    /// Catalogue of the backbone's weights.
    pub weights: Weights,
}

impl FeatureStep {
    /// Records the pass for batches of `[B,H,W]` with `num_classes` classes.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record(net: &NetOptions, num_classes: usize, [batch, height, width]: [usize; 3]) -> Result<Self> {
        let mut tape = Tape::new();
        let image = tape.input("image", &[batch, height, width, 3], DType::F32);
        let labels = tape.input("labels", &[batch, height, width], DType::I32);
        let mut b = Builder::new(&mut tape, Mode::Eval);
        b.upsampling = net.hrnet_upsampling;
        let taps = net.arch.record(&mut b, image, net.extent())?;
        let taps = net.arch.choose(&mut b, taps, &net.taps, [height, width])?;
        let features = stack(&mut b, &taps)?;
        let weights = b.weights;
        let [h, w] = [tape.value(features).shape[1], tape.value(features).shape[2]];
        let gt = ops::sample_labels(&mut tape, labels, [h, w], num_classes)?;
        Ok(Self { tape, image, labels, features, gt, weights })
    }

    /// Channels F of the features.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.tape.value(self.features).channels()
    }

    /// The values that are read after a run.
    #[must_use]
    pub const fn kept(&self) -> [ValueId; 2] {
        [self.features, self.gt]
    }

    /// The pass lowered for `caps`.
    #[must_use]
    pub fn program(&self, caps: &Caps) -> Program {
        Program::new(&self.tape, caps, Keep::Only(&self.kept()))
    }
}
