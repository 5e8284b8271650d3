//! What of a backbone is left as it is while the rest trains.

use serde::{Deserialize, Serialize};

/// What of the backbone's batch norms is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreezeNorms {
    /// Nothing: batches are normalised by their own statistics, whose running means are updated.
    #[default]
    None,
    /// The statistics: the running means normalise, as in inference, and stay; scale and shift are trained. This is what
    /// segmentation code calls an evaluating norm (`norm_eval` of OpenMMLab).
    Statistics,
    /// Scale and shift too: Detectron's `FrozenBatchNorm2d`.
    All,
}

/// What a training step leaves as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freeze {
    /// The backbone as a whole: no gradient flows into it, and its norms do as in inference.
    pub backbone: bool,
    /// Its norms.
    pub norms: FreezeNorms,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Arch, Builder, Extent, Mode};
    use crate::rng::Rng;
    use crate::tape::{DType, Memory, Role, Tape};

    /// The last map of a backbone with weights drawn by name, and how many values of the store the recording trains and writes.
    fn last_map(arch: Arch, mode: Mode, freeze: Freeze) -> (Vec<f64>, [usize; 2]) {
        let mut tape = Tape::new();
        let image = tape.input("image", &[1, 33, 40, 3], DType::F32);
        let mut b = Builder::new(&mut tape, mode);
        b.freeze = freeze;
        let taps = arch.record(&mut b, image, Extent { output_stride: 16, deepest: 16 }).expect("recorded");
        assert!(!b.in_backbone);
        let mut memory = Memory::new();
        for (index, value) in tape.values().iter().enumerate().filter(|(_, v)| v.role != Role::Temp) {
            let stream = value.name.bytes().fold(7, |hash, byte| crate::rng::hash(hash ^ u32::from(byte)));
            let mut rng = Rng::new(1, stream);
            let positive = value.name.ends_with("running_var");
            // The rows that round a convolution's inputs up to whole vec4s are zero.
            let spare =
                |i: usize| value.shape.len() == 4 && value.shape[2] == 4 && i / value.shape[3] % 4 == 3;
            let draw = |i| match spare(i) {
                true => 0.0,
                false => f64::from(if positive { rng.range(0.5, 2.0) } else { rng.range(-0.5, 0.5) }),
            };
            memory.set(&tape, crate::tape::ValueId(index as u32), (0..value.len()).map(draw).collect());
        }
        tape.interpret(&mut memory).expect("every input is set");
        let written = tape.nodes().iter().flat_map(|node| &node.outputs);
        let written = written.filter(|&&id| tape.value(tape.root(id)).is_stored()).count();
        let map = memory.get(&tape, taps.last().expect("a tap").map).expect("computed");
        (map.data, [tape.params().len(), written])
    }

    #[test]
    fn a_frozen_norm_normalises_as_in_inference() {
        let near = |a: &[f64], b: &[f64]| {
            let scale = b.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            scale > 0.0 && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * scale)
        };
        let arch = Arch::Scratch;
        let (wanted, _) = last_map(arch, Mode::Eval, Freeze::default());
        let (batch, [trained, written]) = last_map(arch, Mode::Train, Freeze::default());
        assert!(!near(&batch, &wanted), "a batch's own statistics are others");
        assert!(trained > 0 && written > 0);
        // A convolution has one weight, and a scale and a shift in the norm behind it.
        for (freeze, left) in [
            (Freeze { backbone: false, norms: FreezeNorms::Statistics }, trained),
            (Freeze { backbone: false, norms: FreezeNorms::All }, trained / 3),
            (Freeze { backbone: true, norms: FreezeNorms::None }, 0),
        ] {
            let (found, counts) = last_map(arch, Mode::Train, freeze);
            assert!(near(&found, &wanted), "{freeze:?}");
            assert_eq!(counts, [left, 0], "{freeze:?}");
            assert_eq!(last_map(arch, Mode::Probe, freeze).0, found, "{freeze:?}");
        }
    }
}
