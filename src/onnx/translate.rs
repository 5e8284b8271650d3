//! Which operation becomes which operators.

use std::any::Any;
use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::ops;
use crate::tape::{Node, Tape, ValueId};

use super::emit::Emitter;
use super::{classify, layers, maps, tokens};

/// Hands a node to the translation of its operation.
macro_rules! translations {
    ($op:expr, $emitter:expr, $node:expr; $($kind:ty => $translation:path,)+) => {
        $(if let Some(op) = $op.downcast_ref::<$kind>() {
            return $translation(op, $emitter, $node);
        })+
    };
}

/// Translates one node.
fn translate(e: &mut Emitter<'_>, node: &Node) -> Result<()> {
    let op: &dyn Any = &*node.op;
    translations! { op, e, node;
        ops::adaptive_avg_pool2d::AdaptiveAvgPool2d => maps::adaptive_avg_pool2d,
        ops::add::Add => layers::add,
        ops::attention::Attention => tokens::attention,
        ops::channel_scale::ChannelScale => layers::channel_scale,
        ops::class_logit::ClassLogit => classify::class_logit,
        ops::class_logit::ClassStats => classify::class_stats,
        ops::concat::Concat => maps::concat,
        ops::conv2d::Conv2d => layers::conv2d,
        ops::gelu::Gelu => layers::gelu,
        ops::global_mean::GlobalMean => maps::global_mean,
        ops::l2_normalize::L2Normalize => layers::l2_normalize,
        ops::layer_norm::LayerNorm => layers::layer_norm,
        ops::max_pool2d::MaxPool2d => maps::max_pool2d,
        ops::nearest_prototype::NearestPrototype => classify::nearest_prototype,
        ops::proto_match::ProtoMatch => classify::proto_match,
        ops::query_logit::QueryLogit => classify::query_logit,
        ops::relu::Relu => layers::relu,
        ops::resize::Resize => maps::resize,
        ops::resize_nearest::ResizeNearest => maps::resize_nearest,
        ops::scale::Scale => layers::scale,
        ops::swiglu::Swiglu => layers::swiglu,
        ops::tokens::TakeTokens => tokens::take_tokens,
        ops::tokens::Tokens => tokens::tokens,
        ops::upsample_argmax::UpsampleArgmax => classify::upsample_argmax,
        ops::windows::Unwindows => maps::unwindows,
        ops::windows::Windows => maps::windows,
    }
    let problem = format!("the operation {:?} at {} has no translation", node.op, node.scope);
    Err(Error::shape("onnx", problem))
}

/// Translates every node that one of `wanted` depends on and that does not follow from weights alone.
///
/// # Errors
/// [`Error::Shape`] for an operation without a translation.
pub(super) fn translate_all(e: &mut Emitter<'_>, wanted: &[ValueId]) -> Result<()> {
    let tape: &Tape = e.tape;
    let mut needed: BTreeSet<ValueId> = wanted.iter().map(|&id| tape.root(id)).collect();
    let mut nodes = Vec::new();
    for node in tape.nodes().iter().rev() {
        let writes = node.outputs.iter().any(|&id| needed.contains(&tape.root(id)));
        if writes && !node.outputs.iter().any(|&id| e.is_constant(id)) {
            needed.extend(node.inputs.iter().map(|&id| tape.root(id)));
            nodes.push(node);
        }
    }
    for node in nodes.into_iter().rev() {
        node.scope.replace('.', "/").clone_into(&mut e.graph.label);
        translate(e, node)?;
    }
    Ok(())
}
