//! Linear algebra of the fit, in f64, row-major, every sum in one order.

/// Sweeps of Jacobi rotations at most; they converge quadratically, and ten are enough for any matrix met.
const MAX_SWEEPS: usize = 30;

/// Rows whose cosine is below this are orthogonal.
const ORTHOGONAL: f64 = 1e-13;

/// The upper triangular U with `Uᵀ U = a` for a positive definite `a [n,n]`, of which the upper triangle is read; `None`
/// where it is not positive definite. What is below U's diagonal means nothing.
pub(super) fn cholesky(mut a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for i in 0..n {
        let (done, below) = a.split_at_mut((i + 1) * n);
        let row = &mut done[i * n + i..];
        if !(row[0] > 0.0 && row[0].is_finite()) {
            return None;
        }
        let root = row[0].sqrt();
        row.iter_mut().for_each(|x| *x /= root);
        for (j, rest) in below.chunks_exact_mut(n).enumerate() {
            subtract(&mut rest[i + 1 + j..], row[1 + j], &row[1 + j..]);
        }
    }
    Some(a)
}

/// Solves `Uᵀ x = b` in place.
pub(super) fn solve_transposed(u: &[f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        let row = &u[i * n + i..(i + 1) * n];
        b[i] /= row[0];
        let x = b[i];
        subtract(&mut b[i + 1..], x, &row[1..]);
    }
}

/// Solves `U x = b` in place.
pub(super) fn solve(u: &[f64], b: &mut [f64]) {
    let n = b.len();
    for i in (0..n).rev() {
        let row = &u[i * n + i..(i + 1) * n];
        b[i] = (b[i] - dot(&row[1..], &b[i + 1..])) / row[0];
    }
}

/// Adds `row rowᵀ` to the upper triangle of `a [n,n]`.
pub(super) fn add_square(a: &mut [f64], row: &[f64]) {
    let n = row.len();
    for (i, &x) in row.iter().enumerate() {
        subtract(&mut a[i * n + i..(i + 1) * n], -x, &row[i..]);
    }
}

/// Up to `count` orthonormal directions `[count,n]` that hold the most of the squared lengths of `rows [m,n]`, the most
/// first, the largest component of each positive: right singular vectors, by one-sided Jacobi rotations (Golub and Van Loan,
/// section 8.6). There are fewer where the rows span less.
pub(super) fn leading_directions(rows: Vec<f64>, n: usize, count: usize) -> Vec<f64> {
    let mut rows = if rows.len() > n * n { square(&rows, n) } else { rows };
    let m = rows.len() / n;
    for _ in 0..MAX_SWEEPS {
        let mut turned = false;
        for p in 0..m {
            for q in p + 1..m {
                let (above, below) = rows.split_at_mut(q * n);
                turned |= make_orthogonal(&mut above[p * n..(p + 1) * n], &mut below[..n]);
            }
        }
        if !turned {
            break;
        }
    }
    let length = |row: &[f64]| dot(row, row).sqrt();
    let mut found: Vec<(f64, &[f64])> = rows.chunks_exact(n).map(|row| (length(row), row)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let least = found.first().map_or(0.0, |first| first.0 * 1e-9);
    let direction = |(length, row): (f64, &[f64])| {
        let largest = row.iter().copied().max_by(|x, y| x.abs().total_cmp(&y.abs())).unwrap_or(1.0);
        row.iter().map(|x| x / (length * largest.signum())).collect::<Vec<f64>>()
    };
    found.into_iter().take(count).filter(|(length, _)| *length > least).flat_map(direction).collect()
}

/// `rowsᵀ rows [n,n]`, which has the same directions in the same order.
fn square(rows: &[f64], n: usize) -> Vec<f64> {
    let mut upper = vec![0.0; n * n];
    rows.chunks_exact(n).for_each(|row| add_square(&mut upper, row));
    (0..n * n).map(|at| upper[(at / n).min(at % n) * n + (at / n).max(at % n)]).collect()
}

/// Turns two rows in their plane until they are orthogonal; whether they were not.
fn make_orthogonal(x: &mut [f64], y: &mut [f64]) -> bool {
    let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
    if xy.abs() <= ORTHOGONAL * (xx * yy).sqrt() {
        return false;
    }
    let theta = (yy - xx) / (2.0 * xy);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cos = 1.0 / tangent.hypot(1.0);
    let sin = tangent * cos;
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
    true
}

fn subtract(from: &mut [f64], factor: f64, row: &[f64]) {
    from.iter_mut().zip(row).for_each(|(a, x)| *a -= factor * x);
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn rows(m: usize, n: usize) -> Vec<f64> {
        let mut rng = Rng::new(3, 0);
        (0..m * n).map(|i| (1 + i % n) as f64 * f64::from(rng.normal())).collect()
    }

    fn times(a: &[f64], x: &[f64]) -> Vec<f64> {
        a.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
    }

    #[test]
    fn both_triangular_systems_solve_the_whole_one() {
        let n = 7;
        let (mut a, wanted) = (square(&rows(20, n), n), [3.0, -1.0, 0.5, 2.0, 0.0, 1.0, -4.0]);
        let u = cholesky(a.clone(), n).expect("positive definite");
        let mut x = times(&a, &wanted);
        solve_transposed(&u, &mut x);
        solve(&u, &mut x);
        assert!(x.iter().zip(wanted).all(|(x, y)| (x - y).abs() < 1e-10), "{x:?}");
        a[3 * n + 3] = -1.0;
        assert_eq!(cholesky(a, n), None);
    }

    #[test]
    fn directions_are_the_eigenvectors_of_the_square_whatever_the_number_of_rows() {
        let n = 9;
        // Fewer rows than columns, and more: there the square is turned instead.
        for m in [5, 40] {
            let rows = rows(m, n);
            let square = square(&rows, n);
            let found = leading_directions(rows.clone(), n, n);
            assert_eq!(found.len(), m.min(n) * n);
            let mut last = f64::INFINITY;
            for (i, v) in found.chunks_exact(n).enumerate() {
                let image = times(&square, v);
                let value = dot(&image, v);
                let scale = square.iter().copied().fold(0.0, f64::max);
                assert!(image.iter().zip(v).all(|(x, y)| (x - value * y).abs() < 1e-9 * scale), "{m}: {i}");
                for (j, w) in found.chunks_exact(n).enumerate() {
                    assert!((dot(v, w) - f64::from(u8::from(i == j))).abs() < 1e-9, "{m}: {i} {j}");
                }
                assert!(value <= last, "{m}: {i}");
                last = value;
            }
            assert_eq!(leading_directions(rows, n, 3), found[..3 * n]);
        }
    }

    #[test]
    fn rows_that_span_less_give_fewer_directions() {
        let found = leading_directions(vec![3.0, 4.0, 0.0, 6.0, 8.0, 0.0, 0.0, 0.0, 0.0], 3, 2);
        assert!(found.len() == 3 && (found[0] - 0.6).abs() < 1e-12 && (found[1] - 0.8).abs() < 1e-12);
    }
}
