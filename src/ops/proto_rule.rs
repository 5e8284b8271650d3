//! Shape rules shared by the operations on prototypes.

use crate::error::{Error, Result};
use crate::gpu::uniform;
use crate::tape::{DType, Value};

/// N of the embeddings `[N,D]` and K of the prototypes `[C,K,D]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub pixels: usize,
    pub protos: usize,
}

/// Checks that `emb` is `[N,D]` and `protos` `[C,K,D]` with one D.
pub(super) fn sizes(op: &'static str, emb: &Value, protos: &Value) -> Result<Sizes> {
    match (&emb.shape[..], &protos.shape[..]) {
        (&[pixels, d], &[_, protos, e]) if d == e => Ok(Sizes { pixels, protos }),
        (e, p) => {
            Err(Error::shape(op, format!("embeddings {e:?} and prototypes {p:?}, [N,D] and [C,K,D] wanted")))
        }
    }
}

/// Checks that `value` has the shape and type that the others ask for.
pub(super) fn expect(op: &'static str, value: &Value, shape: &[usize], dtype: DType) -> Result<()> {
    if value.shape == shape && value.dtype == dtype {
        return Ok(());
    }
    let problem =
        format!("`{}` is {:?} {:?}, {shape:?} {dtype:?} wanted", value.name, value.shape, value.dtype);
    Err(Error::shape(op, problem))
}

/// Height and width of the embedding map `[1,h,w,D]`, and C and K of the prototypes `[C,K,D]` with the same D.
pub(super) fn on_map(op: &'static str, emb: &Value, protos: &Value) -> Result<[[usize; 2]; 2]> {
    match (&emb.shape[..], &protos.shape[..]) {
        (&[1, h, w, d], &[c, k, e]) if d == e && h * w * d * c * k > 0 => Ok([[h, w], [c, k]]),
        (e, p) => Err(Error::shape(op, format!("embeddings {e:?} [1,h,w,D] and prototypes {p:?} [C,K,D]"))),
    }
}

uniform! {
    /// Sizes of a map of embeddings, of the output that it is interpolated to, and of the prototypes.
    pub(super) struct OnMap {
        height: u32,
        width: u32,
        out_height: u32,
        out_width: u32,
        quads: u32,
        num_classes: u32,
        num_protos: u32,
    }
}

impl OnMap {
    /// Of `emb [B,h,w,D]`, prototypes `[C,K,..]` and an output of `out_size` (height, width).
    pub(super) fn new(emb: &Value, protos: &[usize], out_size: [usize; 2]) -> Self {
        Self {
            height: emb.shape[1] as u32,
            width: emb.shape[2] as u32,
            out_height: out_size[0] as u32,
            out_width: out_size[1] as u32,
            quads: emb.quads() as u32,
            num_classes: protos[0] as u32,
            num_protos: protos[1] as u32,
        }
    }
}
