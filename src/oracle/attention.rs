//! Multi-head attention, textbook form: the weights of every query stand in a vector.

use super::{Array, dot};

/// Side of the windows, how far the map was moved, and how many windows there are down and across.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Rows and columns of a window.
    pub size: usize,
    /// Rows and columns by which the map was moved.
    pub shift: usize,
    /// Windows down and across.
    pub grid: [usize; 2],
}

impl Window {
    /// The entry of the table for a query and a key of window `image`, and whether they belong together.
    fn pair(self, image: usize, query: usize, key: usize) -> (usize, bool) {
        let Self { size, shift, grid } = self;
        let window = [image / grid[1] % grid[0], image % grid[1]];
        let mut entry = 0;
        let mut together = true;
        for axis in 0..2 {
            let place = |token: usize| if axis == 0 { token / size } else { token % size };
            entry = entry * (2 * size - 1) + place(query) + size - 1 - place(key);
            // What was moved around the border lies in the last `shift` rows (columns) of the moved map.
            let moved = |token| window[axis] * size + place(token) >= grid[axis] * size - shift;
            together &= moved(query) == moved(key);
        }
        (entry, together)
    }
}

/// The operands of all heads, taken apart.
struct Operands<'a> {
    inputs: &'a [&'a Array],
    heads: usize,
    window: Option<Window>,
}

/// Rows of queries, keys, values, output or their gradients.
#[derive(Clone, Copy)]
enum Part {
    Query,
    Key,
    Value,
}

/// One head of one query: its image, its number among the heads and the query's number in its image.
#[derive(Clone, Copy)]
struct Head {
    image: usize,
    head: usize,
    item: usize,
}

impl Operands<'_> {
    fn is_packed(&self) -> bool {
        self.inputs.len() < 3
    }

    fn num_keys(&self) -> usize {
        self.inputs[if self.is_packed() { 0 } else { 1 }].shape[1]
    }

    fn channels(&self) -> usize {
        self.inputs[0].channels() / if self.is_packed() { 3 } else { 1 }
    }

    fn scale(&self) -> f64 {
        1.0 / ((self.channels() / self.heads) as f64).sqrt()
    }

    /// The input that holds `part`, the row of token `item` there and the range of a head.
    fn place(&self, part: Part, at: Head, item: usize) -> (usize, usize, std::ops::Range<usize>) {
        let input = if self.is_packed() { 0 } else { part as usize };
        let width = self.channels() / self.heads;
        let first = at.head * width + if self.is_packed() { part as usize * self.channels() } else { 0 };
        (input, at.image * self.inputs[input].shape[1] + item, first..first + width)
    }

    fn of(&self, part: Part, at: Head, item: usize) -> &[f64] {
        let (input, row, range) = self.place(part, at, item);
        &self.inputs[input].row(row)[range]
    }

    /// The weights of all keys, and the logarithm of the sum that they were divided by.
    fn weights(&self, at: Head) -> (Vec<f64>, f64) {
        let query = self.of(Part::Query, at, at.item);
        let score = |m| dot(query, self.of(Part::Key, at, m)) * self.scale() + self.bias(at, m);
        let scores: Vec<f64> = (0..self.num_keys()).map(score).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - highest).exp()).sum();
        (scores.iter().map(|s| (s - highest).exp() / sum).collect(), highest + sum.ln())
    }

    fn bias(&self, at: Head, key: usize) -> f64 {
        let Some(window) = self.window else { return 0.0 };
        let (entry, together) = window.pair(at.image, at.item, key);
        self.inputs[1].row(entry)[at.head] - if together { 0.0 } else { 100.0 }
    }

    /// Every head of every query, by (image, head, query).
    fn all(&self) -> impl Iterator<Item = Head> + use<> {
        let (images, queries, heads) = (self.inputs[0].shape[0], self.inputs[0].shape[1], self.heads);
        let parts = move |i: usize| Head {
            image: i / (heads * queries),
            head: i / queries % heads,
            item: i % queries,
        };
        (0..images * heads * queries).map(parts)
    }

    /// Row and range of a query's head in the output.
    fn out(&self, at: Head) -> (usize, std::ops::Range<usize>) {
        let width = self.channels() / self.heads;
        (at.image * self.inputs[0].shape[1] + at.item, at.head * width..(at.head + 1) * width)
    }
}

/// `softmax(q k^T / sqrt(d) + bias) v` of `q [B,Q,D]`, `k [B,M,D]`, `v [B,M,D]` or one `[B,N,3D]`, with the table of relative
/// positions behind it where there are windows; and the log-sum-exp of every (image, head, query).
#[must_use]
pub fn attention(inputs: &[&Array], heads: usize, window: Option<Window>) -> [Array; 2] {
    let o = Operands { inputs, heads, window };
    let (images, queries) = (inputs[0].shape[0], inputs[0].shape[1]);
    let mut out = Array::zeros(&[images, queries, o.channels()]);
    let mut lse = Array::zeros(&[images * heads * queries]);
    for (number, at) in o.all().enumerate() {
        let (weights, found) = o.weights(at);
        lse.data[number] = found;
        let (row, range) = o.out(at);
        for (m, w) in weights.iter().enumerate() {
            let to = &mut out.row_mut(row)[range.clone()];
            std::iter::zip(to, o.of(Part::Value, at, m)).for_each(|(to, x)| *to += w * x);
        }
    }
    [out, lse]
}

/// The gradients of the inputs.
#[must_use]
pub fn gradient(inputs: &[&Array], d_out: &Array, heads: usize, window: Option<Window>) -> Vec<Array> {
    let o = Operands { inputs, heads, window };
    let mut grads: Vec<Array> = inputs.iter().map(|x| Array::zeros(&x.shape)).collect();
    for at in o.all() {
        let (row, range) = o.out(at);
        let g = &d_out.row(row)[range];
        let weights = o.weights(at).0;
        let d_weights: Vec<f64> = (0..o.num_keys()).map(|m| dot(g, o.of(Part::Value, at, m))).collect();
        let mean = dot(&weights, &d_weights);
        let mut add = |part, item, factor: f64, what: &[f64]| {
            let (input, row, range) = o.place(part, at, item);
            let to = &mut grads[input].row_mut(row)[range];
            std::iter::zip(to, what).for_each(|(to, x)| *to += factor * x);
        };
        let mut d_scores = Vec::new();
        for (m, (w, dw)) in std::iter::zip(&weights, &d_weights).enumerate() {
            let ds = w * (dw - mean);
            add(Part::Query, at.item, ds * o.scale(), o.of(Part::Key, at, m));
            add(Part::Key, m, ds * o.scale(), o.of(Part::Query, at, at.item));
            add(Part::Value, m, *w, g);
            d_scores.push(ds);
        }
        if let Some(window) = window {
            for (m, ds) in d_scores.into_iter().enumerate() {
                grads[1].row_mut(window.pair(at.image, at.item, m).0)[at.head] += ds;
            }
        }
    }
    grads
}
