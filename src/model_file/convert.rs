//! Stored little-endian numbers to the types that the code asks for.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

/// The values as f32, or `None` for the types that have none of their own in Rust (fp8, fp4, complex).
pub fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    if dtype == Dtype::F32 {
        return Some(parse(bytes, f32::from_le_bytes));
    }
    // Every other type that f32 can hold exactly passes through f64 unchanged; the rest is rounded once.
    Some(to_f64(dtype, bytes)?.into_iter().map(|value| value as f32).collect())
}

/// The values as f64; integers beyond 2^53 are rounded.
pub fn to_f64(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F64 => parse(bytes, f64::from_le_bytes),
        Dtype::F32 => parse(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F16 => parse(bytes, |b| f16::from_le_bytes(b).to_f64()),
        Dtype::BF16 => parse(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        Dtype::U64 => parse(bytes, |b| u64::from_le_bytes(b) as f64),
        _ => to_i64(dtype, bytes)?.into_iter().map(|value| value as f64).collect(),
    })
}

/// The values as i64; only integer types and bool have any.
pub fn to_i64(dtype: Dtype, bytes: &[u8]) -> Option<Vec<i64>> {
    Some(match dtype {
        Dtype::BOOL | Dtype::U8 => bytes.iter().map(|&b| i64::from(b)).collect(),
        Dtype::I8 => parse(bytes, |b| i64::from(i8::from_le_bytes(b))),
        Dtype::I16 => parse(bytes, |b| i64::from(i16::from_le_bytes(b))),
        Dtype::U16 => parse(bytes, |b| i64::from(u16::from_le_bytes(b))),
        Dtype::I32 => parse(bytes, |b| i64::from(i32::from_le_bytes(b))),
        Dtype::U32 => parse(bytes, |b| i64::from(u32::from_le_bytes(b))),
        Dtype::I64 => parse(bytes, i64::from_le_bytes),
        _ => return None,
    })
}

fn parse<const SIZE: usize, T>(bytes: &[u8], value: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    chunks.iter().map(|&chunk| value(chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        let halves =
            [(0x0000, 0.0), (0x3C00, 1.0), (0xC000, -2.0), (0x7BFF, 65504.0), (0x3555, 0.333251953125)];
        let read = |bits: u16| to_f64(Dtype::F16, &bits.to_le_bytes()).expect("a number")[0];
        for (bits, value) in halves {
            assert_eq!(read(bits), value);
        }
        assert_eq!(read(0x0001), 2f64.powi(-24));
        assert_eq!(read(0x0400), 2f64.powi(-14));
        assert_eq!(read(0xFC00), f64::NEG_INFINITY);
        assert!(read(0x7E00).is_nan());
        assert_eq!(to_f32(Dtype::BF16, &[0x80, 0x3F, 0x49, 0xC0]), Some(vec![1.0, -3.140625]));
    }

    #[test]
    fn integers_and_what_is_neither() {
        assert_eq!(to_i64(Dtype::I16, &[0xFF, 0xFF, 2, 1]), Some(vec![-1, 258]));
        assert_eq!(to_f64(Dtype::U8, &[0, 255]), Some(vec![0.0, 255.0]));
        assert_eq!(to_f32(Dtype::I32, &(-7i32).to_le_bytes()), Some(vec![-7.0]));
        assert_eq!(to_i64(Dtype::F32, &[0; 4]), None);
        assert_eq!(to_f32(Dtype::F8_E4M3, &[0]), None);
        assert_eq!(to_f64(Dtype::U64, &u64::MAX.to_le_bytes()), Some(vec![u64::MAX as f64]));
    }
}
