//! The auxiliary head (`train.aux_weight`): a second classifier on a map from the middle of the backbone, whose loss reaches the
//! early layers by a shorter way (Zhao et al. 2017, section 3.3). It is there for training alone: checkpoints hold it,
//! models do not.

use crate::error::{Error, Result};
use crate::nn::{Builder, ConvBn, MIDDLE_STRIDE, Weights};
use crate::ops::{self, Act, Conv, EmptyLoss};
use crate::tape::ValueId;

/// Names of the auxiliary head's weights start with this.
const PREFIX: &str = "aux.";
/// Channels between its two convolutions.
const WIDTH: usize = 64;

impl Weights {
    /// Those that make a model: all but the auxiliary head's.
    #[must_use]
    pub fn of_model(mut self) -> Self {
        self.0.retain(|entry| !entry.name.starts_with(PREFIX));
        self
    }
}

/// Records the head on [`Builder::middle`], a 3x3 convolution with batch norm and a linear classifier, and the cross-entropy
/// `[1]` of its upsampled logits against `[labels, class_weights]`. The logits are held as `N x C`, one row for each pixel of
/// that map.
///
/// # Errors
/// [`Error::Config`] if the backbone has no such map; those of the shape rules.
pub(super) fn record_auxiliary(
    b: &mut Builder<'_>,
    [labels, class_weights]: [ValueId; 2],
    empty: EmptyLoss,
) -> Result<ValueId> {
    let Some(tap) = b.middle else {
        return Err(Error::config(
            format!(
                "train.aux_weight needs the map of stride {MIDDLE_STRIDE} and the backbone ends before it"
            ),
            "list a deeper stride in model.taps, such as the value of model.output_stride, or set train.aux_weight to 0",
        ));
    };
    b.tape.enter("auxiliary");
    let around = Conv { padding: 1, ..Conv::default() };
    let layer = ConvBn { outputs: WIDTH, kernel: 3, conv: around, act: Act::Relu };
    let hidden = b.conv_bn(&format!("{PREFIX}0"), tap.map, layer)?;
    let num_classes = b.tape.value(class_weights).len();
    let logits = b.pointwise(&format!("{PREFIX}2"), hidden, num_classes, Act::None)?;
    let shape = b.tape.value(logits).shape.clone();
    let rows = b.tape.reshape(logits, &[shape[..3].iter().product(), num_classes])?;
    let loss = ops::cross_entropy(b.tape, [rows, labels, class_weights], [shape[1], shape[2]], empty)?;
    b.tape.leave();
    Ok(loss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, Extent, Mode, Tap};
    use crate::ops::check::{self, Difference};
    use crate::ops::table::{Case, Fill, Input};
    use crate::tape::{DType, Tape};

    /// Images or a map of `shape`, labels of 48 x 64 pixels and the weights of 3 classes.
    fn inputs(shape: &[usize]) -> Vec<Input> {
        vec![
            Input::fixed(shape, Fill::Uniform(-1.0, 1.0)),
            Input::i32(&[2, 48, 64], Fill::Integers { count: 3, ignored: 0.2 }),
            Input::fixed(&[3], Fill::Uniform(0.5, 1.5)),
        ]
    }

    /// `arch` dilated to a stride of 8 and the head on it.
    fn on(arch: Arch) -> Case {
        // Four channels: with three, weights beyond the channels would have to be zero.
        Case::new("auxiliary", inputs(&[2, 48, 64, 4]), move |tape, v| {
            let mut b = Builder::new(tape, Mode::Train);
            arch.record(&mut b, v[0], Extent { output_stride: 8, deepest: 8 })?;
            Ok(vec![record_auxiliary(&mut b, [v[1], v[2]], EmptyLoss::Nan)?])
        })
    }

    #[test]
    fn on_dilated_networks_it_agrees_with_the_oracle_node_by_node() {
        let gpu = crate::testing::gpu();
        for arch in [Arch::Scratch, Arch::Resnet18] {
            let all = pollster::block_on(check::on_device(&on(arch), &gpu)).expect("it runs");
            let bad: Vec<_> = all.iter().filter(|d| d.max_rel > 1e-5).collect();
            assert!(all.len() > 100 && bad.is_empty(), "{arch:?}: {bad:#?}");
        }
    }

    #[test]
    fn every_architecture_has_a_place_for_it() {
        for arch in Arch::all() {
            for output_stride in [8, 16, 32].into_iter().filter(|&stride| stride == 32 || arch.can_dilate()) {
                let mut tape = Tape::new();
                let image = tape.input("image", &[1, 224, 224, 3], DType::F32);
                let mut b = Builder::new(&mut tape, Mode::Train);
                arch.record(&mut b, image, Extent { output_stride, deepest: output_stride })
                    .expect("recorded");
                let stride = b.middle.map(|tap| tap.stride);
                let patch = if arch.name().contains("patch14") { 14 } else { 16 };
                assert_eq!(stride, Some(patch.min(output_stride)), "{arch:?} at {output_stride}");
            }
        }
    }

    #[test]
    fn a_network_that_ends_too_early_is_refused_in_a_sentence() {
        let mut tape = Tape::new();
        let image = tape.input("image", &[1, 32, 32, 3], DType::F32);
        let mut b = Builder::new(&mut tape, Mode::Train);
        Arch::Resnet18.record(&mut b, image, Extent { output_stride: 32, deepest: 8 }).expect("recorded");
        let error = record_auxiliary(&mut b, [image; 2], EmptyLoss::Nan).expect_err("no layer3").to_string();
        assert!(error.contains("map of stride 16") && error.contains("in model.taps"), "{error}");
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut map = inputs(&[2, 6, 8, 5]);
        map[0].grad = true;
        let case = Case::new("auxiliary", map, |tape, v| {
            let mut b = Builder::new(tape, Mode::Probe);
            b.middle = Some(Tap { stride: 8, map: v[0] });
            Ok(vec![record_auxiliary(&mut b, [v[1], v[2]], EmptyLoss::Nan)?])
        });
        let all = check::finite_differences(&case).expect("on the oracle");
        let names: Vec<_> = all.iter().map(|d| d.name.as_str()).collect();
        assert!(names.contains(&"dinput0") && names.contains(&"daux.0.0.weight"), "{names:?}");
        let bad: Vec<&Difference> = all.iter().filter(|d| d.max_rel > 1e-5).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}
