//! Three directions of the embedding space that become red, green and blue.

/// Turns of the power iteration: the directions only colour a picture, so two digits are plenty.
const TURNS: usize = 60;

/// An orthonormal basis of the three directions in which a model's prototypes differ most, and how far they reach along each. It
/// belongs to the model, so colours mean the same in every image.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// `[3,D]`, unit rows.
    pub rows: Vec<f32>,
    /// `[3,2]`: what becomes 0 and 255.
    pub range: [f32; 6],
}

impl Basis {
    /// Principal directions of the rows of `vectors [n,D]`; unit axes where they do not span three.
    ///
    /// # Panics
    /// If `d` is 0.
    #[must_use]
    pub fn of(vectors: &[f32], d: usize) -> Self {
        let rows: Vec<&[f32]> =
            vectors.chunks_exact(d).filter(|row| row.iter().all(|v| v.is_finite())).collect();
        let count = rows.len().max(1) as f32;
        let mean: Vec<f32> = (0..d).map(|i| rows.iter().map(|row| row[i]).sum::<f32>() / count).collect();
        let centred: Vec<Vec<f32>> =
            rows.iter().map(|row| row.iter().zip(&mean).map(|(a, m)| a - m).collect()).collect();
        let mut axes: Vec<Vec<f32>> = Vec::new();
        for index in 0..3 {
            // A start that no symmetry makes orthogonal to what is sought.
            let mut axis: Vec<f32> = (0..d).map(|i| 1.0 + ((i * 7 + index * 3) % 11) as f32 * 0.13).collect();
            for _ in 0..TURNS {
                let mut next = vec![0.0; d];
                for row in &centred {
                    let along = dot(row, &axis);
                    next.iter_mut().zip(row).for_each(|(to, v)| *to += along * v);
                }
                if !orthonormalise(&mut next, &axes) {
                    break;
                }
                axis = next;
            }
            if !orthonormalise(&mut axis, &axes) {
                axis = unit_axis(d, &axes);
            }
            // A direction and its opposite are the same; the choice must not hang on the last bit.
            if axis.iter().sum::<f32>() < 0.0 {
                axis.iter_mut().for_each(|v| *v = -*v);
            }
            axes.push(axis);
        }
        let mut range = [0.0; 6];
        for (axis, range) in axes.iter().zip(range.chunks_exact_mut(2)) {
            let along = rows.iter().map(|row| dot(row, axis));
            let (low, high) = along.fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(v), h.max(v)));
            let (low, high) = if low < high { (low, high) } else { (-1.0, 1.0) };
            let margin = 0.1 * (high - low);
            range.copy_from_slice(&[low - margin, high + margin]);
        }
        Self { rows: axes.concat(), range }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Takes the parts along `others` out of `v` and gives it length 1; false if nothing is left.
fn orthonormalise(v: &mut [f32], others: &[Vec<f32>]) -> bool {
    let before = dot(v, v).sqrt();
    for other in others {
        let along = dot(v, other);
        v.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
    }
    let length = dot(v, v).sqrt();
    if length <= 1e-5 * before || length < 1e-20 {
        return false;
    }
    v.iter_mut().for_each(|v| *v /= length);
    true
}

/// The first unit axis that is not spanned by `others`; with fewer than three dimensions the last one has to do twice.
fn unit_axis(d: usize, others: &[Vec<f32>]) -> Vec<f32> {
    let axis = |at: usize| (0..d).map(|i| f32::from(i == at)).collect::<Vec<f32>>();
    (0..d)
        .map(|at| {
            let mut v = axis(at);
            orthonormalise(&mut v, others).then_some(v)
        })
        .find_map(|v| v)
        .unwrap_or_else(|| axis(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_directions_come_first() {
        // Spread 3 along the second axis, 1 along the fourth, 0.1 along the first.
        let mut vectors = Vec::new();
        for i in 0..40 {
            let t = i as f32;
            vectors.extend([0.1 * (t * 1.7).sin(), 3.0 * (t * 0.9).sin(), 0.0, (t * 2.3).cos(), 0.0]);
        }
        let basis = Basis::of(&vectors, 5);
        let largest = |row: usize| {
            let row = &basis.rows[row * 5..row * 5 + 5];
            (0..5).max_by(|&a, &b| row[a].abs().total_cmp(&row[b].abs()))
        };
        assert_eq!([largest(0), largest(1), largest(2)], [Some(1), Some(3), Some(0)]);
        assert!((basis.range[1] - basis.range[0] - 7.2).abs() < 0.3, "{:?}", basis.range);
    }

    #[test]
    fn few_or_equal_vectors_give_a_basis_too() {
        for (vectors, d) in [(vec![1.0; 8], 4), (vec![], 3), (vec![f32::NAN, 1.0], 2), (vec![0.5], 1)] {
            let basis = Basis::of(&vectors, d);
            assert!(basis.rows.len() == 3 * d && basis.rows.iter().all(|v| v.is_finite()));
            assert!(basis.range.chunks_exact(2).all(|r| r[0] < r[1]));
        }
    }
}
