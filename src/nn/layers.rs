//! Recording layers while cataloguing their weights.

use crate::error::{Error, Result};
use crate::ops::{self, Act, Conv};
use crate::tape::{DType, Tape, ValueId};

use super::weights::{Entry, Init, Layout, Weights};

/// Training or evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics (and their running means are updated), dropout on.
    Train,
    /// Running statistics, dropout off.
    Eval,
}

/// Records layers on a tape; weights are added to the catalogue and to the tape under the same name.
pub struct Builder<'a> {
    /// The tape recorded on.
    pub tape: &'a mut Tape,
    /// Training or evaluation.
    pub mode: Mode,
    /// What was catalogued so far.
    pub weights: Weights,
}

/// Momentum of the running batch-norm statistics and the epsilon under the root: torchvision's values.
const BN_MOMENTUM: f32 = 0.1;
const BN_EPS: f32 = 1e-5;

impl<'a> Builder<'a> {
    /// An empty catalogue on `tape`.
    pub fn new(tape: &'a mut Tape, mode: Mode) -> Self {
        Self { tape, mode, weights: Weights::default() }
    }

    /// A weight that gradients train.
    pub fn param(&mut self, name: &str, shape: &[usize], layout: Layout, init: Init) -> ValueId {
        self.catalogue(name, shape, layout, init, true);
        self.tape.param(name, shape)
    }

    /// State that gradients do not train.
    pub fn state(&mut self, name: &str, shape: &[usize], init: Init) -> ValueId {
        self.catalogue(name, shape, Layout::Same, init, false);
        self.tape.state(name, shape, DType::F32)
    }

    fn catalogue(&mut self, name: &str, shape: &[usize], layout: Layout, init: Init, trained: bool) {
        if !self.weights.0.iter().any(|e| e.name == name) {
            let (name, shape) = (name.to_owned(), shape.to_vec());
            self.weights.0.push(Entry { name, shape, layout, init, trained });
        }
    }

    /// Convolution without bias: `[co, ci / groups, k, k]` on disk under `name.weight`.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        kernel: usize,
        conv: Conv,
    ) -> Result<ValueId> {
        let inputs = self.tape.value(x).channels();
        // He initialisation by fan-out, as torchvision's.
        let fan_out = (kernel * kernel * outputs / conv.groups) as f32;
        let init = Init::Normal((2.0 / fan_out).sqrt());
        let depthwise = conv.groups == inputs && inputs > 1;
        let (rows, layout) = if depthwise {
            (1, Layout::Depthwise)
        } else {
            (inputs.next_multiple_of(4), Layout::Conv { inputs })
        };
        let w = self.param(&format!("{name}.weight"), &[kernel, kernel, rows, outputs], layout, init);
        ops::conv2d(self.tape, x, w, None, conv)
    }

    /// 1x1 convolution with bias: `[co, ci, 1, 1]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn pointwise(&mut self, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
        let inputs = self.tape.value(x).channels();
        // PyTorch's default for convolutions: uniform with bound 1 / sqrt(fan-in).
        let bound = Init::Uniform(1.0 / (inputs as f32).sqrt());
        let shape = [1, 1, inputs.next_multiple_of(4), outputs];
        let w = self.param(&format!("{name}.weight"), &shape, Layout::Conv { inputs }, bound);
        let bias = self.param(&format!("{name}.bias"), &[outputs], Layout::Same, bound);
        ops::conv2d(self.tape, x, w, Some(bias), Conv::default())
    }

    /// Fully connected layer on rows `[N, ci]`: `[co, ci]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn linear(&mut self, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
        let [rows, inputs] = self.tape.value(x).shape[..] else {
            return Err(Error::shape("linear", format!("x is {:?}, not [N, C]", self.tape.value(x).shape)));
        };
        let bound = Init::Uniform(1.0 / (inputs as f32).sqrt());
        let shape = [1, 1, inputs.next_multiple_of(4), outputs];
        let w = self.param(&format!("{name}.weight"), &shape, Layout::Linear { inputs }, bound);
        let bias = self.param(&format!("{name}.bias"), &[outputs], Layout::Same, bound);
        let x = self.tape.reshape(x, &[1, 1, rows, inputs])?;
        let y = ops::conv2d(self.tape, x, w, Some(bias), Conv::default())?;
        self.tape.reshape(y, &[rows, outputs])
    }

    /// Batch norm with fused activation; `name.{weight, bias, running_mean, running_var}`.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn batch_norm(&mut self, name: &str, x: ValueId, act: Act) -> Result<ValueId> {
        let shape = [self.tape.value(x).channels()];
        let gamma = self.param(&format!("{name}.weight"), &shape, Layout::Same, Init::Constant(1.0));
        let beta = self.param(&format!("{name}.bias"), &shape, Layout::Same, Init::Constant(0.0));
        let mean = self.state(&format!("{name}.running_mean"), &shape, Init::Constant(0.0));
        let variance = self.state(&format!("{name}.running_var"), &shape, Init::Constant(1.0));
        match self.mode {
            Mode::Eval => ops::batch_norm_eval(self.tape, x, gamma, beta, [mean, variance], BN_EPS, act),
            Mode::Train => {
                let out = ops::batch_norm(self.tape, x, gamma, beta, BN_EPS, act)?;
                let rows = self.tape.value(x).rows();
                ops::running_stats(self.tape, [out.mean, out.variance], [mean, variance], rows, BN_MOMENTUM)?;
                Ok(out.y)
            }
        }
    }

    /// Convolution, batch norm and activation: `name.0` and `name.1`, as torchvision's `Conv2dNormActivation`.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn conv_bn(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        kernel: usize,
        conv: Conv,
        act: Act,
    ) -> Result<ValueId> {
        let y = self.conv(&format!("{name}.0"), x, outputs, kernel, conv)?;
        self.batch_norm(&format!("{name}.1"), y, act)
    }
}
