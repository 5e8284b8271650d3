//! Test cases of the attention.

use super::{Window, attention, self_attention, window_attention};
use crate::ops::table::{Case, Fill, Input};

fn packed(name: &str, [b, n, d]: [usize; 3], heads: usize) -> Case {
    let qkv = Input::f32(&[b, n, 3 * d], Fill::Uniform(-1.0, 1.0));
    Case::new(name, vec![qkv], move |t, v| Ok(vec![self_attention(t, v[0], heads)?]))
}

fn windows(name: &str, images: usize, [heads, head]: [usize; 2], window: Window) -> Case {
    let Window { size, grid, .. } = window;
    let qkv = [images * grid[0] * grid[1], size * size, 3 * heads * head];
    let table = [(2 * size - 1) * (2 * size - 1), heads];
    let inputs = [&qkv[..], &table].map(|shape| Input::f32(shape, Fill::Uniform(-1.0, 1.0)));
    Case::new(name, inputs.to_vec(), move |t, v| Ok(vec![window_attention(t, v[0], v[1], heads, window)?]))
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |name: &str, [b, q, m, d]: [usize; 4], heads: usize, range: f32| {
        let x = |rows| Input::f32(&[b, rows, d], Fill::Uniform(-range, range));
        Case::new(name, vec![x(q), x(m), x(m)], move |t, v| Ok(vec![attention(t, v[0], v[1], v[2], heads)?]))
    };
    let to_itself = Case::new("to itself", vec![Input::f32(&[2, 5, 8], Fill::Uniform(-1.0, 1.0))], |t, v| {
        Ok(vec![attention(t, v[0], v[0], v[0], 2)?])
    });
    let window = |size, shift, grid| Window { size, shift, grid };
    vec![
        case("one query, one head, 3 channels", [1, 1, 5, 3], 1, 1.0),
        case("several heads", [2, 3, 7, 24], 3, 1.0),
        case("a head of 41 channels", [2, 3, 5, 41], 1, 1.0),
        case("several parts of keys", [1, 2, 203, 8], 2, 1.0),
        case("several parts of queries", [1, 131, 3, 8], 1, 1.0),
        case("parts of parts", [2, 67, 71, 12], 3, 1.0),
        // Up to about 130: without the running maximum their exponentials would not be finite.
        case("large scores", [1, 3, 77, 16], 1, 12.0),
        to_itself,
        packed("packed, one token", [3, 1, 8], 2),
        packed("packed, 3 heads", [2, 13, 24], 3),
        packed("packed, parts", [1, 137, 16], 2),
        windows("windows of 3", 2, [3, 4], window(3, 0, [2, 1])),
        windows("windows of 3, shifted", 1, [2, 8], window(3, 1, [2, 3])),
        windows("windows of 7, shifted", 1, [1, 4], window(7, 3, [1, 2])),
        // Large enough for tiles of 64 rows: heads of 16, 15 and 2 quads, terms that end inside a tile, windows.
        packed("packed, tiles", [3, 131, 512], 8),
        packed("packed, tiles, heads of 8 channels", [2, 67, 128], 16),
        case("tiles, more queries than keys", [2, 99, 41, 960], 16, 0.5),
        // Up to about 100, whose unit in the last place is 8e-6: so far off are score and log-sum-exp, and a weight with them.
        case("tiles, large scores", [8, 65, 70, 64], 4, 8.0).tolerance(2e-5),
        windows("windows of 7, tiles", 3, [4, 12], window(7, 3, [2, 3])),
        // 24 images: two parts of the gradient of the table.
        windows("many windows", 2, [1, 4], window(2, 1, [3, 4])),
    ]
}
