//! Scaled dot-product attention with several heads, streamed over the keys (spec section 2, b): memory is that of the operands,
//! whatever queries and keys there are. In windows (Liu et al. 2021) the scores get a learned bias by relative position.

mod cases;
mod launch;
mod shape;

pub(super) use cases::cases;

use crate::error::Result;
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

use shape::{Operands, check};

/// Windows of a map: images are windows, in the order of rows, and tokens the places of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of a window, 1 to 32.
    pub size: usize,
    /// Rows and columns by which the map was moved up and left, around its border; less than `size`.
    pub shift: usize,
    /// Windows down and across.
    pub grid: [usize; 2],
}

impl From<Window> for oracle::attention::Window {
    fn from(w: Window) -> Self {
        Self { size: w.size, shift: w.shift, grid: w.grid }
    }
}

/// Inputs `q [B,Q,D]`, `k [B,M,D]`, `v [B,M,D]`, or one value `[B,N,3D]` that packs all three; with windows a table
/// `[(2 size - 1)^2, heads]` too. Outputs `[B,Q,D]` and, for the gradient, the log-sum-exp of the scores of every image, head
/// and query, `[B heads Q]`.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Heads; each takes D / heads neighbouring channels.
    pub heads: usize,
    /// Whether one value packs queries, keys and values.
    pub packed: bool,
    /// Windows with a bias by relative position; only packed.
    pub window: Option<Window>,
}

/// Inputs those of [`Attention`], its two outputs, `d_out`; outputs the gradients of its inputs.
#[derive(Clone, Copy, Debug)]
pub struct AttentionGrad(pub Attention);

/// Records `softmax(q k^T / sqrt(D / heads)) v` of every image and head, for `q [B,Q,D]`, `k [B,M,D]` and `v [B,M,D]`.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together, or D is no multiple of 4 times several heads.
pub fn attention(tape: &mut Tape, q: ValueId, k: ValueId, v: ValueId, heads: usize) -> Result<ValueId> {
    Ok(tape.push(Attention { heads, packed: false, window: None }, &[q, k, v])?[0])
}

/// Records the attention of tokens to each other, whose queries, keys and values lie side by side in `qkv [B,N,3D]`.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if D is no multiple of 4 times the heads.
pub fn self_attention(tape: &mut Tape, qkv: ValueId, heads: usize) -> Result<ValueId> {
    Ok(tape.push(Attention { heads, packed: true, window: None }, &[qkv])?[0])
}

/// Records the attention inside windows: `qkv [B windows, size^2, 3D]`, `table [(2 size - 1)^2, heads]` of what the scores get by
/// the rows and columns between query and key. Places of a shifted window that do not belong together get -100 on top.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together, or D is no multiple of 4 times the heads.
pub fn window_attention(
    tape: &mut Tape,
    qkv: ValueId,
    table: ValueId,
    heads: usize,
    window: Window,
) -> Result<ValueId> {
    Ok(tape.push(Attention { heads, packed: true, window: Some(window) }, &[qkv, table])?[0])
}

impl Attention {
    /// Number of inputs.
    const fn arity(self) -> usize {
        (if self.packed { 1 } else { 3 }) + self.window.is_some() as usize
    }

    fn operands(self, inputs: &[&Value]) -> Operands {
        Operands::new(self, inputs)
    }
}

impl Op for Attention {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(*self, inputs)?;
        let o = self.operands(inputs);
        Ok(vec![
            Spec::f32(&[o.images, o.queries, o.channels]),
            Spec::f32(&[o.images * self.heads * o.queries]),
        ])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        launch::forward(*self, l);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let window = self.window.map(Into::into);
        oracle::attention::attention(inputs, self.heads, window).into()
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(d_out) = node.grads[0] else { return Ok(vec![None; node.inputs.len()]) };
        let inputs = [node.inputs, node.outputs, &[d_out]].concat();
        let found = tape.push(AttentionGrad(*self), &inputs)?;
        Ok(found.into_iter().map(Some).collect())
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        let o = self.operands(inputs);
        4 * (o.images * o.queries * o.keys * o.channels) as u64
    }
}

impl Op for AttentionGrad {
    fn stem(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let arity = self.0.arity();
        check(self.0, &inputs[..arity])?;
        shape::check_gradient(inputs[arity], inputs[arity + 2])?;
        Ok(inputs[..arity].iter().map(|x| Spec::f32(&x.shape)).collect())
    }

    fn launch(&self, l: &mut Launch<'_>) {
        launch::backward(self.0, l);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let arity = self.0.arity();
        let window = self.0.window.map(Into::into);
        oracle::attention::gradient(&inputs[..arity], inputs[arity + 2], self.0.heads, window)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        let o = self.0.operands(inputs);
        14 * (o.images * o.queries * o.keys * o.channels) as u64
    }
}
