//! Dense row-major arrays of `f64`. Integers are held as whole numbers, which `f64` keeps exact up to 2^53.

/// A dense row-major array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Array {
    /// An array from its parts.
    ///
    /// # Panics
    /// If `data` does not have the shape's number of elements.
    #[must_use]
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "shape {shape:?} against {} elements",
            data.len()
        );
        Self { shape: shape.to_vec(), data }
    }

    /// Zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self::new(shape, vec![0.0; shape.iter().product()])
    }

    /// A one-element array.
    #[must_use]
    pub fn scalar(value: f64) -> Self {
        Self::new(&[1], vec![value])
    }

    /// Length of the last axis (channels).
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Number of rows when everything but the last axis is flattened.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.len() / self.channels().max(1)
    }

    /// Row `n` (the last axis).
    #[must_use]
    pub fn row(&self, n: usize) -> &[f64] {
        let width = self.channels();
        &self.data[n * width..(n + 1) * width]
    }

    /// Row `n`, writable.
    pub fn row_mut(&mut self, n: usize) -> &mut [f64] {
        let width = self.channels();
        &mut self.data[n * width..(n + 1) * width]
    }

    /// Element by element.
    #[must_use]
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// Element by element with a second array of the same number of elements.
    #[must_use]
    pub fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let data = std::iter::zip(&self.data, &other.data).map(|(&a, &b)| f(a, b)).collect();
        Self { shape: self.shape.clone(), data }
    }

    /// The same elements under another shape.
    #[must_use]
    pub fn reshaped(&self, shape: &[usize]) -> Self {
        Self::new(shape, self.data.clone())
    }
}

/// Inner product of two rows.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    std::iter::zip(a, b).map(|(x, y)| x * y).sum()
}
