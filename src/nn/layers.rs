//! Recording layers while cataloguing their weights.

use crate::error::{Error, Result};
use crate::ops::{self, Act, Conv, Epilogue};
use crate::tape::{DType, Tape, ValueId};

use super::backbone::Tap;
use super::freeze::{Freeze, FreezeNorms};
use super::hrnet::Upsampling;
use super::weights::{Entry, Init, Layout, Weights};

/// What the network is recorded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics (and their running means are updated), dropout on.
    Train,
    /// What training computes, without a trace of it in the store: batch statistics, dropout off.
    Probe,
    /// Running statistics, dropout off.
    Eval,
}

/// A convolution without bias, the batch norm behind it and its activation.
#[derive(Clone, Copy, Debug)]
pub struct ConvBn {
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Geometry.
    pub conv: Conv,
    /// Activation.
    pub act: Act,
}

/// How often branches of a transformer are left out of images while training (Huang et al. 2016).
#[derive(Clone, Copy, Debug)]
pub struct StochasticDepth {
    /// Probability for the last block.
    pub rate: f32,
    /// The training step `[1]` u32 that draws are made by.
    pub step: ValueId,
    /// Seed of the draws.
    pub seed: u32,
}

/// Records layers on a tape; weights are added to the catalogue and to the tape under the same name.
pub struct Builder<'a> {
    /// The tape recorded on.
    pub tape: &'a mut Tape,
    /// What it is recorded for.
    pub mode: Mode,
    /// What of the backbone is left as it is; in evaluation everything is.
    pub freeze: Freeze,
    /// How the branches of a high-resolution network are enlarged.
    pub upsampling: Upsampling,
    /// Whether what is being recorded is part of the backbone.
    pub(super) in_backbone: bool,
    /// Of the backbone recorded last, the map that an auxiliary head looks at: that of stride
    /// [`MIDDLE_STRIDE`](super::MIDDLE_STRIDE) or, where dilation leaves none, the one that it would be; of a plain vision
    /// transformer the third of its four. `None` where the backbone was not recorded as far.
    pub middle: Option<Tap>,
    /// Of a plain vision transformer: the position embeddings of the image's grid.
    pub positions: Option<ValueId>,
    /// Of a transformer with a classifier: what the classifier reads.
    pub(super) tokens: Option<ValueId>,
    /// Branches of transformers that are left out while training; `None` leaves out none.
    pub stochastic_depth: Option<StochasticDepth>,
    /// What was catalogued so far.
    pub weights: Weights,
}

/// Momentum of the running batch-norm statistics and the epsilon under the root: torchvision's values.
const BN_MOMENTUM: f32 = 0.1;
const BN_EPS: f32 = 1e-5;

impl<'a> Builder<'a> {
    /// An empty catalogue on `tape`.
    pub fn new(tape: &'a mut Tape, mode: Mode) -> Self {
        let (freeze, weights) = (Freeze::default(), Weights::default());
        Self {
            tape,
            mode,
            freeze,
            upsampling: Upsampling::default(),
            in_backbone: false,
            middle: None,
            positions: None,
            tokens: None,
            stochastic_depth: None,
            weights,
        }
    }

    /// A weight that gradients train, unless it is part of a frozen backbone.
    pub fn param(&mut self, name: &str, shape: &[usize], layout: Layout, init: Init) -> ValueId {
        self.weight(name, shape, layout, init, !self.frozen())
    }

    /// A weight that gradients train if `trained`, and state otherwise.
    fn weight(&mut self, name: &str, shape: &[usize], layout: Layout, init: Init, trained: bool) -> ValueId {
        self.catalogue(name, shape, layout, init, trained);
        if trained { self.tape.param(name, shape) } else { self.tape.state(name, shape, DType::F32) }
    }

    /// Whether what is being recorded is left as it is by training.
    const fn frozen(&self) -> bool {
        self.in_backbone && self.freeze.backbone
    }

    /// What of the norm being recorded is left as it is by training.
    const fn frozen_norm(&self) -> FreezeNorms {
        match (self.in_backbone, self.freeze.backbone) {
            (true, true) => FreezeNorms::All,
            (true, false) => self.freeze.norms,
            (false, _) => FreezeNorms::None,
        }
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

    /// Weights of a convolution, `[co, ci / groups, k, k]` on disk under `name.weight`.
    pub(super) fn conv_weight(&mut self, name: &str, inputs: usize, layer: ConvBn) -> ValueId {
        let ConvBn { outputs, kernel, conv, .. } = layer;
        // He initialisation by fan-out, as torchvision's.
        let fan_out = (kernel * kernel * outputs / conv.groups) as f32;
        let init = Init::Normal((2.0 / fan_out).sqrt());
        let depthwise = conv.groups == inputs && inputs > 1;
        let (rows, layout) = if depthwise {
            (1, Layout::Depthwise)
        } else {
            (inputs.next_multiple_of(4), Layout::Conv { inputs })
        };
        self.param(&format!("{name}.weight"), &[kernel, kernel, rows, outputs], layout, init)
    }

    /// 1x1 convolution with bias and activation: `[co, ci, 1, 1]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn pointwise(&mut self, name: &str, x: ValueId, outputs: usize, act: Act) -> Result<ValueId> {
        let inputs = self.tape.value(x).channels();
        self.per_pixel(name, x, outputs, act, Layout::Conv { inputs })
    }

    /// The same map of every pixel of `[B,H,W,ci]` as [`Builder::linear`]'s of rows: `[co, ci]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn linear_of_map(&mut self, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
        let inputs = self.tape.value(x).channels();
        self.per_pixel(name, x, outputs, Act::None, Layout::Linear { inputs })
    }

    fn per_pixel(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        act: Act,
        layout: Layout,
    ) -> Result<ValueId> {
        let inputs = self.tape.value(x).channels();
        // PyTorch's default for convolutions: uniform with bound 1 / sqrt(fan-in).
        let bound = Init::Uniform(1.0 / (inputs as f32).sqrt());
        let shape = [1, 1, inputs.next_multiple_of(4), outputs];
        let w = self.param(&format!("{name}.weight"), &shape, layout, bound);
        let bias = self.param(&format!("{name}.bias"), &[outputs], Layout::Same, bound);
        let epilogue = Epilogue { bias: Some(bias), skip: None, act };
        ops::conv2d_fused(self.tape, x, w, epilogue, Conv::default())
    }

    /// Fully connected layer on rows `[N, ci]`: `[co, ci]` and `[co]` on disk.
    ///
    /// # Errors
    /// Those of the shape rule.
    pub fn linear(&mut self, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
        let bound = Init::Uniform(1.0 / (self.tape.value(x).channels() as f32).sqrt());
        let bias = self.param(&format!("{name}.bias"), &[outputs], Layout::Same, bound);
        self.fully_connected(name, x, outputs, Some(bias))
    }

    /// [`Builder::linear`] without the bias.
    ///
    /// # Errors
    /// As [`Builder::linear`].
    pub fn linear_without_bias(&mut self, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
        self.fully_connected(name, x, outputs, None)
    }

    fn fully_connected(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        bias: Option<ValueId>,
    ) -> Result<ValueId> {
        let [rows, inputs] = self.tape.value(x).shape[..] else {
            return Err(Error::shape("linear", format!("x is {:?}, not [N, C]", self.tape.value(x).shape)));
        };
        let bound = Init::Uniform(1.0 / (inputs as f32).sqrt());
        let shape = [1, 1, inputs.next_multiple_of(4), outputs];
        let w = self.param(&format!("{name}.weight"), &shape, Layout::Linear { inputs }, bound);
        let x = self.tape.reshape(x, &[1, 1, rows, inputs])?;
        let y = ops::conv2d(self.tape, x, w, bias, Conv::default())?;
        self.tape.reshape(y, &[rows, outputs])
    }

    /// Convolution, batch norm and activation: `name.0` and `name.1`, as torchvision's `Conv2dNormActivation`.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn conv_bn(&mut self, name: &str, x: ValueId, layer: ConvBn) -> Result<ValueId> {
        self.conv_bn_skip([&format!("{name}.0"), &format!("{name}.1")], x, layer, None)
    }

    /// `act(BN(conv(x)) + skip)`: the convolution's `weight` under the first name, the norm's
    /// `{weight, bias, running_mean, running_var}` under the second. In evaluation this is one convolution.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn conv_bn_skip(
        &mut self,
        names: [&str; 2],
        x: ValueId,
        layer: ConvBn,
        skip: Option<ValueId>,
    ) -> Result<ValueId> {
        self.conv_bn_of(names, &[x], layer, None, skip)
    }

    /// `act(BN(conv(x) + bias))`: as [`Builder::conv_bn_skip`], with the convolution's `bias` beside its weight. A batch's own
    /// statistics take the bias away again; the running ones have taken it in.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn conv_bias_bn(&mut self, names: [&str; 2], x: ValueId, layer: ConvBn) -> Result<ValueId> {
        let fan_in = layer.kernel * layer.kernel * self.tape.value(x).channels();
        let bound = Init::Uniform(1.0 / (fan_in as f32).sqrt());
        let bias = self.param(&format!("{}.bias", names[0]), &[layer.outputs], Layout::Same, bound);
        self.conv_bn_of(names, &[x], layer, Some(bias), None)
    }

    pub(super) fn conv_bn_of(
        &mut self,
        [conv, norm]: [&str; 2],
        maps: &[ValueId],
        layer: ConvBn,
        bias: Option<ValueId>,
        skip: Option<ValueId>,
    ) -> Result<ValueId> {
        let w = self.conv_weight(conv, self.channels_of(maps), layer);
        let shape = [layer.outputs];
        let fixed = self.frozen_norm();
        let trained = fixed != FreezeNorms::All;
        let mut affine = |name: &str, init| {
            self.weight(&format!("{norm}.{name}"), &shape, Layout::Same, Init::Constant(init), trained)
        };
        let (gamma, beta) = (affine("weight", 1.0), affine("bias", 0.0));
        let mean = self.state(&format!("{norm}.running_mean"), &shape, Init::Constant(0.0));
        let variance = self.state(&format!("{norm}.running_var"), &shape, Init::Constant(1.0));
        if self.mode == Mode::Eval || self.frozen() {
            // BN(y + bias) is the norm of y with the bias taken from the mean.
            let mean = bias.map_or(Ok(mean), |bias| ops::add(self.tape, mean, bias, -1.0))?;
            let (w, bias) = ops::bn_fold(self.tape, w, [gamma, beta], [mean, variance], BN_EPS)?;
            let epilogue = Epilogue { bias: Some(bias), skip, act: layer.act };
            return self.convolve(maps, w, epilogue, layer.conv);
        }
        let y = self.convolve(maps, w, Epilogue { bias, skip: None, act: Act::None }, layer.conv)?;
        let act = if skip.is_none() { layer.act } else { Act::None };
        let y = if fixed == FreezeNorms::None {
            self.batch_norm(y, [gamma, beta], [mean, variance], act)?
        } else {
            ops::batch_norm_eval(self.tape, y, gamma, beta, [mean, variance], BN_EPS, act)?
        };
        let Some(skip) = skip else { return Ok(y) };
        let sum = ops::add(self.tape, skip, y, 1.0)?;
        match layer.act {
            Act::None => Ok(sum),
            Act::Relu => ops::relu(self.tape, sum),
            Act::Relu6 => ops::relu6(self.tape, sum),
        }
    }

    /// Batch norm by the batch's own statistics, which are taken into the `running` ones.
    fn batch_norm(
        &mut self,
        x: ValueId,
        [gamma, beta]: [ValueId; 2],
        running: [ValueId; 2],
        act: Act,
    ) -> Result<ValueId> {
        let out = ops::batch_norm(self.tape, x, gamma, beta, BN_EPS, act)?;
        if self.mode == Mode::Train {
            let rows = self.tape.value(x).rows();
            ops::running_stats(self.tape, [out.mean, out.variance], running, rows, BN_MOMENTUM)?;
        }
        Ok(out.y)
    }
}
