//! The bound of `shaders/lib/corner_tap.wgsl`, shared by the shape rules of the operations that include it.

use crate::error::{Error, Result};

/// Largest height or width of a map or image whose pixels are placed with aligned corners: products of two of them must
/// fit 32 bits.
pub const MAX_EXTENT: usize = (1 << 16) - 1;

/// Checks that a map of `size` can be sampled at the pixels of `image` `[B,H,W,..]`.
pub(super) fn check(op: &'static str, size: [usize; 2], image: &[usize]) -> Result<()> {
    let mut extents = size.iter().chain(image.iter().skip(1).take(2));
    if extents.all(|&extent| extent <= MAX_EXTENT) {
        return Ok(());
    }
    let problem =
        format!("a map of {size:?} and an image {image:?}, heights and widths up to {MAX_EXTENT} wanted");
    Err(Error::shape(op, problem))
}

/// [`check`], and that the output `[B,H,W]` is not empty.
pub(super) fn check_output(op: &'static str, size: [usize; 2], image: &[usize]) -> Result<()> {
    if image.contains(&0) {
        return Err(Error::shape(op, format!("an output of {image:?}: no pixel")));
    }
    check(op, size, image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;
    use crate::tape::{DType, Tape, ValueId};

    /// Whether `record` takes an image of `width` columns, on a map of 2 x 3 pixels with 4 channels.
    fn takes(width: usize, record: impl Fn(&mut Tape, ValueId, ValueId) -> Result<()>) -> bool {
        let mut tape = Tape::new();
        let map = tape.input("map", &[6, 4], DType::F32);
        let labels = tape.input("labels", &[1, 20, width], DType::I32);
        record(&mut tape, map, labels).is_ok()
    }

    #[test]
    fn wider_images_are_refused_by_every_operation() {
        let size = [2, 3];
        for (width, wanted) in [(MAX_EXTENT, true), (MAX_EXTENT + 1, false), (140_000, false)] {
            let upsample = |t: &mut Tape, map, _| {
                let op = ops::UpsampleArgmax { size, out_size: [20, width], first: 0 };
                ops::upsample_argmax(t, map, None, op).map(|_| ())
            };
            let entropy = |t: &mut Tape, map, labels| {
                let tile = ops::LogitTile { size, first: 0, num_classes: 4 };
                ops::cross_entropy_tile(t, map, labels, None, tile).map(|_| ())
            };
            let nearest = |t: &mut Tape, map, labels| {
                let (emb, protos) =
                    (t.reshape(map, &[1, 2, 3, 4])?, t.input("protos", &[2, 2, 4], DType::F32));
                ops::nearest_prototype(t, labels, emb, protos).map(|_| ())
            };
            let sample = |t: &mut Tape, _, labels| ops::sample_labels(t, labels, size, 4).map(|_| ());
            let on_map = |t: &mut Tape, map| -> Result<[ValueId; 3]> {
                let protos = t.input("protos", &[2, 2, 4], DType::F32);
                Ok([t.reshape(map, &[1, 2, 3, 4])?, protos, t.input("words", &[2], DType::U32)])
            };
            let heat = |t: &mut Tape, map, _| {
                let [emb, protos, selected] = on_map(t, map)?;
                ops::prototype_heat(t, emb, protos, selected, [20, width]).map(|_| ())
            };
            let pick = |t: &mut Tape, map, _| {
                let [emb, protos, at] = on_map(t, map)?;
                ops::pick(t, emb, protos, at, [20, width]).map(|_| ())
            };
            let color = |t: &mut Tape, map, _| {
                let emb = t.reshape(map, &[1, 2, 3, 4])?;
                let basis = t.input("basis", &[3, 4], DType::F32);
                let range = t.input("range", &[3, 2], DType::F32);
                ops::embedding_color(t, emb, basis, range, [20, width]).map(|_| ())
            };
            assert_eq!(takes(width, upsample), wanted, "upsample_argmax, {width}");
            assert_eq!(takes(width, entropy), wanted, "cross_entropy, {width}");
            assert_eq!(takes(width, nearest), wanted, "nearest_prototype, {width}");
            assert_eq!(takes(width, sample), wanted, "sample_labels, {width}");
            assert_eq!(takes(width, heat), wanted, "prototype_heat, {width}");
            assert_eq!(takes(width, pick), wanted, "pick, {width}");
            assert_eq!(takes(width, color), wanted, "embedding_color, {width}");
        }
    }
}
