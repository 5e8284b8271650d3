//! What the rivals of the prototype head compare embeddings with (spec section 2, a and b).

use crate::error::Result;
use crate::nn::{Builder, Init, Layout};
use crate::ops::{self, Act, Corners};
use crate::tape::ValueId;

use super::embed::LAYER_NORM_EPS;
use super::options::HeadOptions;

/// Name of the softmax head's weights.
pub const CLASSIFIER: &str = "head.classifier.weight";
/// What the names of the query head's weights start with.
pub const QUERY: &str = "head.query.";

/// Width of the feed-forward layers as a multiple of D.
const EXPANSION: usize = 4;

/// Records the softmax head's `w_c`, one per class, as `[C,1,D]`: a 1x1 convolution without bias.
///
/// # Errors
/// Those of recording.
pub fn softmax_vectors(b: &mut Builder<'_>, num_classes: usize, dimension: usize) -> Result<ValueId> {
    // PyTorch's default for a layer of this shape.
    let init = Init::Uniform(1.0 / (dimension as f32).sqrt());
    let weight = b.param(CLASSIFIER, &[num_classes, dimension], Layout::Same, init);
    b.tape.reshape(weight, &[num_classes, 1, dimension])
}

/// Records the query head's `e_c` as `[B,C,D]`: learned queries that a decoder refines by what it reads in `map [B,h,w,Cin]`.
///
/// A layer is the spec's block with biases (but for the keys', which would raise all scores of a query alike): cross-attention to the map's pixels, self-attention among the queries and a
/// feed-forward network of width 4 D with ReLU, each added to what went in and normalised after. The map is first projected to
/// D channels, once for all layers. Pixels carry no code of their position.
///
/// # Errors
/// Those of the shape rules.
pub fn query_vectors(
    b: &mut Builder<'_>,
    map: ValueId,
    num_classes: usize,
    dimension: usize,
    o: &HeadOptions,
) -> Result<ValueId> {
    let [batch, height, width, _] = b.tape.value(map).shape[..] else { unreachable!("maps are [B,H,W,C]") };
    let size = [batch, num_classes, dimension];
    b.tape.enter("query");
    let pixels = b.pointwise("head.query.input", map, dimension, Act::None)?;
    // Standard normal, as an embedding table: queries must differ by more than what all of them read in the image.
    let weight = b.param("head.query.weight", &[num_classes, dimension], Layout::Same, Init::Normal(1.0));
    // The queries of every image are the same ones: one row of a map, drawn out over as many rows as there are images.
    let row = b.tape.reshape(weight, &[1, 1, num_classes, dimension])?;
    let rows = ops::resize(b.tape, row, [batch, num_classes], Corners::Align)?;
    let mut queries = b.tape.reshape(rows, &[batch * num_classes, dimension])?;
    let pixels = b.tape.reshape(pixels, &[batch * height * width, dimension])?;
    for layer in 0..o.query_layers {
        let name = |part: &str| format!("head.query.layers.{layer}.{part}");
        let read = attention(b, &name("cross"), [queries, pixels], size, o.query_heads)?;
        queries = add_and_norm(b, &name("norm1"), queries, read)?;
        let said = attention(b, &name("self"), [queries, queries], size, o.query_heads)?;
        queries = add_and_norm(b, &name("norm2"), queries, said)?;
        let wide = b.linear(&name("ffn.0"), queries, EXPANSION * dimension)?;
        let wide = ops::relu(b.tape, wide)?;
        let thought = b.linear(&name("ffn.2"), wide, dimension)?;
        queries = add_and_norm(b, &name("norm3"), queries, thought)?;
    }
    b.tape.leave();
    b.tape.reshape(queries, &size)
}

/// Multi-head attention of the queries `[B C, D]` to `memory [B M, D]`, with the four projections.
fn attention(
    b: &mut Builder<'_>,
    name: &str,
    [queries, memory]: [ValueId; 2],
    [batch, num_classes, dimension]: [usize; 3],
    heads: usize,
) -> Result<ValueId> {
    let length = b.tape.value(memory).rows() / batch;
    let mut projected = |part: &str, of: ValueId, length: usize| {
        let rows = b.linear(&format!("{name}.{part}"), of, dimension)?;
        b.tape.reshape(rows, &[batch, length, dimension])
    };
    let q = projected("q", queries, num_classes)?;
    let v = projected("v", memory, length)?;
    let k = b.linear_without_bias(&format!("{name}.k"), memory, dimension)?;
    let k = b.tape.reshape(k, &[batch, length, dimension])?;
    let read = ops::attention(b.tape, q, k, v, heads)?;
    let rows = b.tape.reshape(read, &[batch * num_classes, dimension])?;
    b.linear(&format!("{name}.out"), rows, dimension)
}

fn add_and_norm(b: &mut Builder<'_>, name: &str, x: ValueId, more: ValueId) -> Result<ValueId> {
    let shape = [b.tape.value(x).channels()];
    let gamma = b.param(&format!("{name}.weight"), &shape, Layout::Same, Init::Constant(1.0));
    let beta = b.param(&format!("{name}.bias"), &shape, Layout::Same, Init::Constant(0.0));
    let sum = ops::add(b.tape, x, more, 1.0)?;
    ops::layer_norm(b.tape, sum, gamma, beta, LAYER_NORM_EPS)
}
