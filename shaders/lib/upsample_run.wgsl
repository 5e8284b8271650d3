// Four neighbouring pixels of a bilinear upsampling with aligned corners.
// Reads the globals o [B,height,width] in rows of params.quads vec4s and params.{height,width,out_height,out_width}.

//!include lib/corner_tap.wgsl

// True if four neighbours lie within three columns (3 (width - 1) <= out_width - 1): 6 loads instead of 16.
override NARROW: bool = false;

// Offsets are those of vec4 0 of a pixel. NARROW: the three columns are low.x, low.y, low.z and `right` tells which pixels
// lie between the second and the third. Otherwise low and high are the columns of the four pixels.
struct Run {
    top: u32,
    bottom: u32,
    ty: f32,
    low: vec4<u32>,
    high: vec4<u32>,
    right: vec4<bool>,
    t: vec4<f32>,
}

// The run that starts at column `x` of output row `row`, counted over the whole batch.
fn run_at(row: u32, x: u32) -> Run {
    let image = row / params.out_height;
    let y = tap(row - image * params.out_height, params.height, params.out_height);
    let stride = params.width * params.quads;
    let top = (image * params.height + y.low) * stride;
    let bottom = (image * params.height + y.high) * stride;
    let first = tap(x, params.width, params.out_width);
    if (NARROW) {
        let last = max(params.out_width, 2u) - 1u;
        // Position of the four pixels, in units of 1 / last from the first one's left column: below 3 * last
        // where NARROW.
        let scaled = (x * (params.width - 1u) - first.low * last) + vec4<u32>(0u, 1u, 2u, 3u) * (params.width - 1u);
        let right = scaled >= vec4<u32>(last);
        let t = vec4<f32>(scaled - select(vec4<u32>(0u), vec4<u32>(last), right)) / f32(last);
        let columns = vec4<u32>(first.low, first.high, min(first.high + 1u, params.width - 1u), 0u) * params.quads;
        return Run(top, bottom, y.t, columns, columns, right, t);
    }
    // Beyond the row's end the last pixel stands in.
    let end = params.out_width - 1u;
    let x1 = tap(min(x + 1u, end), params.width, params.out_width);
    let x2 = tap(min(x + 2u, end), params.width, params.out_width);
    let x3 = tap(min(x + 3u, end), params.width, params.out_width);
    let low = vec4<u32>(first.low, x1.low, x2.low, x3.low) * params.quads;
    let high = vec4<u32>(first.high, x1.high, x2.high, x3.high) * params.quads;
    return Run(top, bottom, y.t, low, high, vec4<bool>(false), vec4<f32>(first.t, x1.t, x2.t, x3.t));
}

fn run_column(run: Run, offset: u32) -> vec4<f32> {
    return mix(o[run.top + offset], o[run.bottom + offset], run.ty);
}

// Column c holds class 4 q + c of the four pixels.
fn run_values(run: Run, q: u32) -> mat4x4<f32> {
    // Vertical first: it is the same for all four pixels, so a column is mixed once.
    let c0 = run_column(run, run.low.x + q);
    let c1 = run_column(run, select(run.high.x, run.low.y, NARROW) + q);
    if (NARROW) {
        let c2 = run_column(run, run.low.z + q);
        return transpose(mat4x4<f32>(
            mix(select(c0, c1, run.right.x), select(c1, c2, run.right.x), run.t.x),
            mix(select(c0, c1, run.right.y), select(c1, c2, run.right.y), run.t.y),
            mix(select(c0, c1, run.right.z), select(c1, c2, run.right.z), run.t.z),
            mix(select(c0, c1, run.right.w), select(c1, c2, run.right.w), run.t.w),
        ));
    }
    return transpose(mat4x4<f32>(
        mix(c0, c1, run.t.x),
        mix(run_column(run, run.low.y + q), run_column(run, run.high.y + q), run.t.y),
        mix(run_column(run, run.low.z + q), run_column(run, run.high.z + q), run.t.z),
        mix(run_column(run, run.low.w + q), run_column(run, run.high.w + q), run.t.w),
    ));
}
