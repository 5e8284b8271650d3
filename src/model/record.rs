//! Records the network: image to unit embeddings and normalised prototypes. Training and inference share it.

use crate::error::Result;
use crate::head::{
    self, ClassLogit, Classifier, Embedded, HeadKind, HeadOptions, LAYER_NORM_EPS, LogitKind, query_vectors,
    softmax_vectors,
};
use crate::nn::{Builder, Init, Layout, Mode, NeckOptions, StochasticDepth, neck};
use crate::ops::{self, Axis};
use crate::proto;
use crate::tape::{Tape, ValueId};

use super::spec::ModelSpec;

/// Standard deviation of a new prototype's components (spec section 7); only its direction matters.
const PROTOTYPE_STD: f32 = 0.02;

/// Name of the prototypes on disk and in the store.
pub const PROTOTYPES: &str = "prototypes";

/// What the rest of a tape is built on.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Batch, height and width of the embedding map.
    pub size: [usize; 3],
    /// The embedding and the values on the way to it.
    pub embedded: Embedded,
    /// Prototypes `[C,K,D]`, normalised before anything reads them: in place for training, a value of the tape's own
    /// otherwise, which leaves the stored ones as they are (quirk Q24). The softmax head's weights `[C,1,D]` and the query
    /// head's class vectors `[B,C,D]` stand in the same place, as they are.
    pub protos: ValueId,
    /// Scale and shift of the class LayerNorm, if there is one.
    pub mask_norm: Option<(ValueId, ValueId)>,
}

impl Network {
    /// The rule that makes class logits of embeddings and prototypes, or what a rival has in their place.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the parts do not go together.
    pub fn classifier(&self, tape: &Tape, options: &HeadOptions) -> Result<Classifier> {
        match options.kind {
            HeadKind::Prototype => {}
            HeadKind::Softmax => {
                return Classifier::new(tape, self.embedded.emb, self.protos, None, ClassLogit::Plain);
            }
            HeadKind::Query => return Classifier::per_image(tape, self.embedded.emb, self.protos),
        }
        let logit = match options.class_logit {
            LogitKind::Layernorm => ClassLogit::LayerNorm { eps: LAYER_NORM_EPS },
            LogitKind::Scaled => ClassLogit::Scaled { tau: options.ce_tau },
            LogitKind::Plain => ClassLogit::Plain,
        };
        Classifier::new(tape, self.embedded.emb, self.protos, self.mask_norm, logit)
    }
}

/// Records the network of `spec` on `image` `[B,H,W,3]`. `step` is the training step `[1]`, read by dropout. `learnable`
/// makes the prototypes a weight instead of a state.
///
/// # Errors
/// Those of the shape rules.
pub fn record_network(
    b: &mut Builder<'_>,
    spec: &ModelSpec,
    image: ValueId,
    step: ValueId,
    seed: u32,
    learnable: bool,
) -> Result<Network> {
    let net = &spec.net;
    b.upsampling = net.hrnet_upsampling;
    let size = b.tape.value(image).shape.clone();
    b.stochastic_depth = (net.drop_path > 0.0).then_some(StochasticDepth { rate: net.drop_path, step, seed });
    let taps = net.arch.record(b, image, net.extent())?;
    let taps = net.arch.choose(b, taps, &net.taps, [size[1], size[2]])?;
    let coarsest = taps[taps.len() - 1].map;
    b.tape.enter("head");
    let options =
        NeckOptions { kind: net.neck, lateral: net.lateral, width: net.width, dropout: net.dropout, seed };
    let features = neck(b, &taps, step, &options)?;
    let sizes =
        HeadSizes { classes: spec.num_classes(), prototypes: net.prototypes, embedding: net.embedding };
    let network = record_head(b, [features, coarsest], sizes, &spec.head, learnable)?;
    b.tape.leave();
    Ok(network)
}

/// Sizes of a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadSizes {
    /// Classes C.
    pub classes: usize,
    /// Prototypes K per class.
    pub prototypes: usize,
    /// Dimension D of the embedding.
    pub embedding: usize,
}

/// Records the head alone, on `features` `[B,H,W,Cin]`: embeddings, normalised prototypes and the class LayerNorm's
/// weights, or what a rival has instead. `coarsest` `[B,h,w,_]` is the map that the queries of [`HeadKind::Query`] read.
/// `learnable` as for [`record_network`].
///
/// # Errors
/// Those of the shape rules.
pub fn record_head(
    b: &mut Builder<'_>,
    [features, coarsest]: [ValueId; 2],
    sizes: HeadSizes,
    options: &HeadOptions,
    learnable: bool,
) -> Result<Network> {
    let HeadSizes { classes, prototypes, embedding } = sizes;
    let embedded = head::embed(b, features, embedding, options)?;
    let shape = b.tape.value(features).shape.clone();
    let dimension = b.tape.value(embedded.emb).channels();
    let size = [shape[0], shape[1], shape[2]];
    let rival = |protos| Ok(Network { size, embedded, protos, mask_norm: None });
    match options.kind {
        HeadKind::Prototype => {}
        HeadKind::Softmax => return softmax_vectors(b, classes, dimension).and_then(rival),
        HeadKind::Query => return query_vectors(b, coarsest, classes, dimension, options).and_then(rival),
    }
    let proto_shape = [classes, prototypes, dimension];
    let init = Init::Normal(PROTOTYPE_STD);
    let protos = if learnable {
        b.param(PROTOTYPES, &proto_shape, Layout::Same, init)
    } else {
        b.state(PROTOTYPES, &proto_shape, init)
    };
    let protos = match b.mode {
        Mode::Train => {
            proto::normalise(b.tape, protos)?;
            protos
        }
        Mode::Probe | Mode::Eval => ops::l2_normalize(b.tape, protos, Axis::Channel)?,
    };
    let mask_norm = if options.class_logit == LogitKind::Layernorm {
        let gamma = b.param("head.mask_norm.weight", &[classes], Layout::Same, Init::Constant(1.0));
        let beta = b.param("head.mask_norm.bias", &[classes], Layout::Same, Init::Constant(0.0));
        Some((gamma, beta))
    } else {
        None
    };
    Ok(Network { size, embedded, protos, mask_norm })
}
