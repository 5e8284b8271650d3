//! What the operands of an attention must be, and what they say.

use super::{Attention, Window};
use crate::error::{Error, Result};
use crate::tape::Value;

/// Largest side of a window: the table's gradient looks at every pair of its places.
const MAX_WINDOW: usize = 32;

/// Sizes that the operands share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands {
    pub images: usize,
    pub queries: usize,
    pub keys: usize,
    /// Channels D of a token.
    pub channels: usize,
}

impl Operands {
    pub fn new(op: Attention, inputs: &[&Value]) -> Self {
        let q = &inputs[0].shape;
        if op.packed {
            return Self { images: q[0], queries: q[1], keys: q[1], channels: q[2] / 3 };
        }
        Self { images: q[0], queries: q[1], keys: inputs[1].shape[1], channels: q[2] }
    }
}

/// Checks the operands of `op`.
pub(super) fn check(op: Attention, inputs: &[&Value]) -> Result<()> {
    let wrong = |problem| Err(Error::shape("attention", problem));
    let q = &inputs[0].shape;
    if q.len() != 3 || q.contains(&0) {
        return wrong(format!("the queries {q:?} are not [B,Q,D]"));
    }
    if op.packed {
        if !q[2].is_multiple_of(3) {
            return wrong(format!("{q:?} is not [B,N,3D]"));
        }
    } else {
        let [k, v] = [&inputs[1].shape, &inputs[2].shape];
        if k.len() != 3 || k.contains(&0) || k != v || q[0] != k[0] || q[2] != k[2] {
            return wrong(format!("q {q:?} [B,Q,D], k {k:?} and v {v:?} [B,M,D]"));
        }
    }
    let channels = Operands::new(op, inputs).channels;
    // Several heads, and what is packed, must begin at whole vec4s.
    if op.heads == 0 || (op.packed || op.heads > 1) && !channels.is_multiple_of(4 * op.heads) {
        let heads = op.heads;
        return wrong(format!("{heads} heads of {channels} channels, which must be a multiple of 4 each"));
    }
    match op.window {
        Some(window) => check_window(op, window, inputs),
        None => Ok(()),
    }
}

fn check_window(op: Attention, window: Window, inputs: &[&Value]) -> Result<()> {
    let Window { size, shift, grid } = window;
    let qkv = &inputs[0].shape;
    let table = &inputs[inputs.len() - 1].shape;
    let fits = op.packed
        && (1..=MAX_WINDOW).contains(&size)
        && shift < size
        && qkv[1] == size * size
        && !grid.contains(&0)
        && qkv[0].is_multiple_of(grid[0] * grid[1])
        && *table == [(2 * size - 1) * (2 * size - 1), op.heads];
    if fits {
        return Ok(());
    }
    let heads = op.heads;
    Err(Error::shape(
        "attention",
        format!("{window:?} and {heads} heads for qkv {qkv:?} and a table {table:?}"),
    ))
}

/// Checks that the gradient is shaped like the output.
pub(super) fn check_gradient(out: &Value, d_out: &Value) -> Result<()> {
    if out.shape == d_out.shape {
        return Ok(());
    }
    Err(Error::shape("attention", format!("gradient {:?} for {:?}", d_out.shape, out.shape)))
}

#[cfg(test)]
mod tests {
    use super::super::{Window, self_attention, window_attention};
    use crate::tape::{DType, Tape};

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let outcome = |qkv: &[usize], heads, window: Option<(Window, [usize; 2])>| {
            let mut tape = Tape::new();
            let qkv = tape.input("qkv", qkv, DType::F32);
            match window {
                None => self_attention(&mut tape, qkv, heads),
                Some((window, table)) => {
                    let table = tape.input("table", &table, DType::F32);
                    window_attention(&mut tape, qkv, table, heads, window)
                }
            }
            .map(|id| tape.value(id).shape.clone())
            .map_err(|e| e.to_string())
        };
        let window = Window { size: 2, shift: 1, grid: [2, 3] };
        assert_eq!(outcome(&[12, 4, 24], 2, Some((window, [9, 2]))), Ok(vec![12, 4, 8]));
        assert_eq!(outcome(&[2, 5, 24], 2, None), Ok(vec![2, 5, 8]));
        for (qkv, heads, window) in [
            (&[2, 5, 22][..], 1, None),
            (&[2, 5, 24], 4, None),
            (&[2, 5, 24], 0, None),
            (&[2, 0, 24], 1, None),
            (&[10, 4, 24], 2, Some((window, [9, 2]))),
            (&[12, 9, 24], 2, Some((window, [9, 2]))),
            (&[12, 4, 24], 2, Some((window, [9, 1]))),
            (&[12, 4, 24], 2, Some((Window { shift: 2, ..window }, [9, 2]))),
        ] {
            let error = outcome(qkv, heads, window).expect_err("refused");
            assert!(error.contains("attention"), "{error}");
        }
    }
}
