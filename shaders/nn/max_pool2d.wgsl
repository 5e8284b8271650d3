// Max pooling: y[b,oh,ow,:] = max of x[b,h,w,:] over the pixels of the window that lie in the image; what pads it is -inf.
// Window o covers h in [o * stride - padding, o * stride - padding + kernel); the shape rule leaves none without a pixel.
//
// Gradient: all of dy goes to the first maximum of the window in the order of rows (with ReLU in front, ties of zeros are
// common). Gathered, so that no two invocations write one place: a pixel takes dy of every window whose maximum it equals
// and in which no earlier pixel does. The maxima are read from y, so that no index is kept between the passes.
//
// Layout: NHWC in vec4s, padding stays zero. One vec4 per invocation, workgroups of 64.
// Iterations: kernel^2 (max_pool2d), ceil(kernel / stride)^2 * kernel^2 (max_pool2d_grad); kernel is at most 15.
//!include lib/index.wgsl
//!include lib/pool_windows.wgsl

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn max_pool2d(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.out_h * params.out_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.out_w;
    let rows = window(line % params.out_h, params.in_h);
    let columns = window(pixel % params.out_w, params.in_w);
    let image = (line / params.out_h) * params.in_h;
    // Starting from a pixel of the window needs no number for -inf.
    var best = x[((image + rows.x) * params.in_w + columns.x) * params.quads + i % params.quads];
    // The largest magnitude as bits: above those of infinity it is a NaN (see lib/nan.wgsl), which must stay: a broken
    // network must show in its loss. A maximum of whole numbers costs less than a test of every number.
    var top = vec4<u32>(0u);
    for (var h = rows.x; h <= rows.y; h++) {
        var at = ((image + h) * params.in_w + columns.x) * params.quads + i % params.quads;
        for (var w = columns.x; w <= columns.y; w++) {
            let value = x[at];
            best = select(best, value, value > best);
            top = max(top, bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu));
            at += params.quads;
        }
    }
    out[i] = select(best, bitcast<vec4<f32>>(top), top > vec4<u32>(0x7f800000u));
}

// Whether `value` stands in the window before row h, column w, per channel.
fn stands_before(value: vec4<f32>, rows: u32, columns: vec2<u32>, h: u32, w: u32, image: u32, quad: u32) -> vec4<bool> {
    var found = vec4<bool>(false);
    for (var row = rows; row <= h; row++) {
        // All columns of the rows above; in the own row those to the left.
        let end = select(columns.y + 1u, w, row == h);
        for (var column = columns.x; column < end; column++) {
            let other = x[((image + row) * params.in_w + column) * params.quads + quad];
            found = found | (other == value);
        }
    }
    return found;
}

// Here out is dx.
@compute @workgroup_size(64)
fn max_pool2d_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.in_h * params.in_w * params.quads) {
        return;
    }
    let quad = i % params.quads;
    let pixel = i / params.quads;
    let w = pixel % params.in_w;
    let line = pixel / params.in_w;
    let h = line % params.in_h;
    let b = line / params.in_h;
    let down = windows(h, params.out_h);
    let across = windows(w, params.out_w);
    let own = x[i];
    var sum = vec4<f32>(0.0);
    // In the order of the windows: the same sum every time.
    for (var oh = down.x; oh < down.y; oh++) {
        for (var ow = across.x; ow < across.y; ow++) {
            let o = ((b * params.out_h + oh) * params.out_w + ow) * params.quads + quad;
            let equal = y[o] == own;
            // Most pixels are no maximum, and what follows is the larger part of the work.
            if (any(equal)) {
                let rows = window(oh, params.in_h);
                let columns = window(ow, params.in_w);
                let later = stands_before(own, rows.x, columns, h, w, b * params.in_h, quad);
                sum += select(vec4<f32>(0.0), dy[o], equal & !later);
            }
        }
    }
    out[i] = sum;
}
