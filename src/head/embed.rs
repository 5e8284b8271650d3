//! From features to unit embeddings (spec section 3).

use crate::error::Result;
use crate::nn::{Builder, Init, Layout};
use crate::ops::{self, Act, Axis};
use crate::tape::ValueId;

use super::options::{HeadOptions, ProjNorm};

/// Epsilon of the LayerNorms (spec sections 3 and 4).
pub const LAYER_NORM_EPS: f32 = 1e-5;

/// The embedding and the values on the way to it.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// Projected vectors u, `[B,H,W,D]`.
    pub raw: ValueId,
    /// After the first L2 norm, v, `[B,H,W,D]`.
    pub normed: ValueId,
    /// After the LayerNorm, z, `[N,D]`.
    pub ln: ValueId,
    /// Embeddings i, `[N,D]`; of unit length for the prototype head.
    pub emb: ValueId,
}

/// Records the embedding of `features` `[B,H,W,Cin]`; without a projection D is `Cin`, whatever `dimension` says. The rivals of
/// the prototype head compare projected vectors as they are: for them all four values hold the same numbers.
///
/// # Errors
/// Those of the shape rules.
pub fn embed(b: &mut Builder<'_>, features: ValueId, dimension: usize, o: &HeadOptions) -> Result<Embedded> {
    let mut raw = features;
    if o.projection {
        let inputs = b.tape.value(features).channels();
        let hidden = b.pointwise("head.proj.0", features, inputs, Act::Relu)?;
        raw = b.pointwise("head.proj.2", hidden, dimension, Act::None)?;
    }
    if !o.kind.has_prototypes() {
        let shape = b.tape.value(raw).shape.clone();
        let rows = b.tape.reshape(raw, &[shape[..3].iter().product(), shape[3]])?;
        return Ok(Embedded { raw, normed: raw, ln: rows, emb: rows });
    }
    let normed = match o.proj_norm {
        ProjNorm::Channel => ops::l2_normalize(b.tape, raw, Axis::Channel)?,
        ProjNorm::Width => ops::l2_normalize(b.tape, raw, Axis::Width)?,
        ProjNorm::None => raw,
    };
    let shape = b.tape.value(normed).shape.clone();
    let rows = b.tape.reshape(normed, &[shape[..3].iter().product(), shape[3]])?;
    let ln = if o.embed_layernorm {
        let gamma = b.param("head.feat_norm.weight", &shape[3..], Layout::Same, Init::Constant(1.0));
        let beta = b.param("head.feat_norm.bias", &shape[3..], Layout::Same, Init::Constant(0.0));
        ops::layer_norm(b.tape, rows, gamma, beta, LAYER_NORM_EPS)?
    } else {
        rows
    };
    let emb = ops::l2_normalize(b.tape, ln, Axis::Channel)?;
    Ok(Embedded { raw, normed, ln, emb })
}
