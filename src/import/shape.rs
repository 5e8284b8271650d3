//! What becomes of shapes and values when tensors are cut, joined and reordered.

use super::names::Change;

/// A tensor of the source, and what is done with it.
pub struct Part<'a, T> {
    /// Its shape.
    pub shape: &'a [usize],
    /// What is done.
    pub change: Change,
    /// Its values, or what stands for them.
    pub content: T,
}

/// The shape of what `parts` make together, or `None` where they make nothing: a part is missing, or they do not fit.
pub fn shape<T>(parts: &[Part<'_, T>]) -> Option<Vec<usize>> {
    let first = parts.first()?;
    let mut out = first.shape.to_vec();
    match (first.change, parts) {
        (Change::Whole | Change::MergeOrder | Change::ReverseInputs, [_]) => {}
        (Change::Slice { of, .. }, [_]) => {
            let rows = out.first_mut()?;
            if !rows.is_multiple_of(of) {
                return None;
            }
            *rows /= of;
        }
        (Change::WithoutFirstToken, [_]) => {
            let &[1, tokens, channels] = first.shape else { return None };
            out = vec![1, tokens.checked_sub(1)?, channels];
        }
        (Change::Whole, [_, tokens]) if tokens.change == Change::AddFirstToken => {
            let &[1, 1, channels] = first.shape else { return None };
            if !matches!(*tokens.shape, [1, tokens, c] if tokens > 0 && c == channels) {
                return None;
            }
        }
        (Change::Join { of, .. }, _) if parts.len() == of => {
            let in_order = parts.iter().enumerate().all(|(part, p)| p.change == Change::Join { part, of });
            let alike = parts.iter().all(|p| p.shape.get(1..) == first.shape.get(1..));
            if !in_order || !alike {
                return None;
            }
            *out.first_mut()? = parts.iter().try_fold(0usize, |sum, p| sum.checked_add(*p.shape.first()?))?;
        }
        _ => return None,
    }
    if first.change == Change::MergeOrder && !out.last()?.is_multiple_of(4) {
        return None;
    }
    (first.change != Change::ReverseInputs || out.len() == 4).then_some(out)
}

/// The values of what `parts` make, for which [`shape`] gives a shape.
pub fn values(mut parts: Vec<Part<'_, Vec<f32>>>) -> Vec<f32> {
    let rest = parts.split_off(1);
    let Some(Part { shape, change, content }) = parts.pop() else { return Vec::new() };
    match change {
        Change::Whole | Change::AddFirstToken => {
            let mut sum = content;
            for tokens in rest {
                // The first token is the first row.
                sum.iter_mut().zip(tokens.content).for_each(|(value, more)| *value += more);
            }
            sum
        }
        Change::Slice { part, of } => {
            let length = content.len() / of;
            content[part * length..(part + 1) * length].to_vec()
        }
        Change::Join { .. } => {
            std::iter::once(content).chain(rest.into_iter().map(|part| part.content)).flatten().collect()
        }
        Change::MergeOrder => merge_order(&content, shape.last().copied().unwrap_or(4)),
        Change::WithoutFirstToken => content[shape[2]..].to_vec(),
        Change::ReverseInputs => {
            let (inputs, plane) = (shape[1], shape[2] * shape[3]);
            let rows = content.chunks_exact(inputs * plane);
            rows.flat_map(|row| row.chunks_exact(plane).rev().flatten()).copied().collect()
        }
    }
}

/// Rows of `width` values: four neighbours of each channel (top left, top right, bottom left, bottom right) become the channels
/// of each neighbour (top left, bottom left, top right, bottom right).
fn merge_order(rows: &[f32], width: usize) -> Vec<f32> {
    let channels = width / 4;
    let reorder = |row: &[f32]| -> Vec<f32> {
        let neighbours = [0, 2, 1, 3].into_iter();
        neighbours.flat_map(|neighbour| (0..channels).map(move |c| row[4 * c + neighbour])).collect()
    };
    rows.chunks_exact(width).flat_map(reorder).collect()
}

/// Whether a tensor of shape `found` can be the one called `name` of shape `needed`: the same but for axes of length 1, or
/// positions of another square grid, which networks resample.
pub fn serves(name: &str, needed: &[usize], found: &[usize]) -> bool {
    let long = |shape: &[usize]| shape.iter().copied().filter(|&length| length != 1).collect::<Vec<_>>();
    if long(needed) == long(found) {
        return true;
    }
    match (name, needed, found) {
        ("pos_embed", &[1, needed, channels], &[1, found, same]) if channels == same => {
            // Positions of tokens other than patches come first.
            let others = needed - needed.isqrt().pow(2);
            found.checked_sub(others).is_some_and(|patches| patches > 0 && patches.isqrt().pow(2) == patches)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(shape: &[usize], change: Change, content: Vec<f32>) -> Part<'_, Vec<f32>> {
        Part { shape, change, content }
    }

    #[test]
    fn parts_are_joined_and_cut_along_the_first_axis() {
        let (join, slice) = (|part| Change::Join { part, of: 2 }, |part| Change::Slice { part, of: 2 });
        let both = vec![part(&[1, 2], join(0), vec![1., 2.]), part(&[2, 2], join(1), vec![3., 4., 5., 6.])];
        assert_eq!(shape(&both), Some(vec![3, 2]));
        assert_eq!(values(both), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(shape(&[part(&[1, 2], join(0), vec![])]), None);
        assert_eq!(shape(&[part(&[1, 2], join(1), vec![]), part(&[1, 2], join(0), vec![])]), None);
        assert_eq!(shape(&[part(&[1, 2], join(0), vec![]), part(&[1, 3], join(1), vec![])]), None);
        let half = vec![part(&[4], slice(1), vec![1., 2., 3., 4.])];
        assert_eq!((shape(&half), values(half)), (Some(vec![2]), vec![3., 4.]));
        assert_eq!(shape(&[part(&[3], slice(1), vec![])]), None);
    }

    #[test]
    fn the_position_of_the_class_token_becomes_part_of_it() {
        let positions = [1, 3, 2];
        let class = vec![
            part(&[1, 1, 2], Change::Whole, vec![10., 20.]),
            part(&positions, Change::AddFirstToken, vec![1., 2., 3., 4., 5., 6.]),
        ];
        assert_eq!(shape(&class), Some(vec![1, 1, 2]));
        assert_eq!(values(class), [11., 22.]);
        let rest = vec![part(&positions, Change::WithoutFirstToken, vec![1., 2., 3., 4., 5., 6.])];
        assert_eq!((shape(&rest), values(rest)), (Some(vec![1, 2, 2]), vec![3., 4., 5., 6.]));
        for no_tokens in [&[196, 9][..], &[2, 99, 8], &[1, 0, 8], &[7]] {
            assert_eq!(shape(&[part(no_tokens, Change::WithoutFirstToken, vec![])]), None, "{no_tokens:?}");
        }
    }

    /// The weights of a patch merging in both layouts give the same sum over the four neighbours of every channel.
    #[test]
    fn a_patch_merging_reads_the_same_neighbour_after_reordering() {
        // Two channels; the value names channel and neighbour by row and column.
        let neighbours = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let unfold: Vec<f32> =
            (0..2).flat_map(|c| neighbours.map(|(y, x)| (100 * c + 10 * y + x) as f32)).collect();
        let official: Vec<f32> = [(0, 0), (1, 0), (0, 1), (1, 1)]
            .iter()
            .flat_map(|(y, x)| (0..2).map(move |c| (100 * c + 10 * y + x) as f32))
            .collect();
        let both = [unfold.clone(), unfold].concat();
        assert_eq!(
            values(vec![part(&[2, 8], Change::MergeOrder, both)]),
            [official.clone(), official].concat()
        );
        assert_eq!(shape(&[part(&[2, 6], Change::MergeOrder, vec![])]), None);
    }

    #[test]
    fn blue_green_red_becomes_red_green_blue() {
        let weight = vec![part(&[1, 3, 1, 2], Change::ReverseInputs, vec![1., 2., 3., 4., 5., 6.])];
        assert_eq!(values(weight), [5., 6., 3., 4., 1., 2.]);
    }

    #[test]
    fn other_grids_and_axes_of_one_serve() {
        assert!(
            serves("pos_embed", &[1, 197, 8], &[1, 577, 8])
                && serves("pos_embed", &[1, 1369, 8], &[1, 256, 8])
        );
        assert!(
            !serves("pos_embed", &[1, 197, 8], &[1, 196, 8])
                && !serves("pos_embed", &[1, 197, 8], &[1, 1, 8])
        );
        assert!(
            !serves("pos_embed", &[1, 197, 8], &[1, 577, 9]) && !serves("other", &[1, 197, 8], &[1, 577, 8])
        );
        assert!(serves("fc1.weight", &[8, 4], &[8, 4, 1, 1]) && !serves("fc1.weight", &[8, 4], &[4, 8]));
    }
}
