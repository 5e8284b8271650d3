// Grouped 2-D convolution for any number of groups, channel by channel: the general case between dense and depthwise.
//
// y[b,oh,ow,co] = bias[co] + sum over taps and the group's input channels of x * w[ky,kx,ci,co], ci counted inside the group.
// Buffers are the vec4 buffers of the other kernels seen as floats: rows of channels have a stride of 4 * quads.
// One output element per invocation; correct everywhere, fast nowhere: no backbone here needs more.
// Iterations: taps * channels per group (conv2d, conv2d_dx), the pixels of a split (conv2d_dw).
//!include lib/index.wgsl
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;

// Channels per group, inputs and outputs.
override GROUP_IN: u32 = 1u;
override GROUP_OUT: u32 = 1u;
override GROUPS: u32 = 1u;

alias Element = f32;

//!include lib/conv_source.wgsl
//!include lib/addend.wgsl
//!include lib/limited.wgsl

// As in lib/epilogue.wgsl, for a single number.
fn finished(sum: f32, at: u32) -> f32 {
    let value = with_addend(sum, at);
    if (!BOUNDED) {
        return value;
    }
    return limited(vec4<f32>(value), vec4<f32>(params.low), vec4<f32>(params.high)).x;
}

@compute @workgroup_size(64)
fn conv2d(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    // Floats per pixel in memory, padding included.
    let width = 4u * params.quads_out;
    let n = i / width;
    let co = i % width;
    if (n >= params.num_pixels) {
        return;
    }
    if (co >= GROUPS * GROUP_OUT) {
        // Channels beyond the last are padding, which every kernel keeps at zero.
        y[i] = 0.0;
        return;
    }
    // First input channel of the group that co belongs to.
    let first = (co / GROUP_OUT) * GROUP_IN;
    let origin = pixel_origin(n);
    var sum = select(0.0, bias[co], params.has_bias == 1u);
    for (var ky = 0u; ky < params.kernel_h; ky++) {
        for (var kx = 0u; kx < params.kernel_w; kx++) {
            let s = source(origin, ky, kx);
            if (s >= 0) {
                // source() counts vec4s, these buffers are floats.
                let base = 4u * u32(s) + first;
                // w has GROUP_IN rows for each tap: input channels count from the group's first.
                let row = (ky * params.kernel_w + kx) * GROUP_IN;
                for (var ci = 0u; ci < GROUP_IN; ci++) {
                    sum += x[base + ci] * w[(row + ci) * width + co];
                }
            }
        }
    }
    y[i] = finished(sum, i);
}

// Gradient with respect to x: "in" is dy here, "out" dx; stride 1, fraction = the forward stride, taps reversed.
@compute @workgroup_size(64)
fn conv2d_dx(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let width = 4u * params.quads_out;
    // w keeps its forward layout: its rows are as wide as the forward output, which is "in" here.
    let width_w = 4u * params.quads_in;
    let n = i / width;
    let ci = i % width;
    if (n >= params.num_pixels) {
        return;
    }
    if (ci >= GROUPS * GROUP_IN) {
        y[i] = 0.0;
        return;
    }
    // First output channel of the group that ci belongs to.
    let first = (ci / GROUP_IN) * GROUP_OUT;
    let origin = pixel_origin(n);
    let taps = params.kernel_h * params.kernel_w;
    var sum = 0.0;
    for (var ky = 0u; ky < params.kernel_h; ky++) {
        for (var kx = 0u; kx < params.kernel_w; kx++) {
            let s = source(origin, ky, kx);
            if (s >= 0) {
                let base = 4u * u32(s) + first;
                // dx[ci] = sum over taps and co of w[tap][ci][co] * dy[co], so w is read along its rows.
                let row = (taps - 1u - (ky * params.kernel_w + kx)) * GROUP_IN + ci % GROUP_IN;
                for (var co = 0u; co < GROUP_OUT; co++) {
                    sum += x[base + co] * w[row * width_w + first + co];
                }
            }
        }
    }
    y[i] = finished(sum, i);
}

// One weight over one split of pixels; y is [splits][kh][kw][channels per group][4 * quads_out].
@compute @workgroup_size(64)
fn conv2d_dw(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let width = 4u * params.quads_out;
    let co = i % width;
    let ci = (i / width) % GROUP_IN;
    let taps = params.kernel_h * params.kernel_w;
    let tap = (i / (width * GROUP_IN)) % taps;
    let split = i / (width * GROUP_IN * taps);
    if (split >= params.num_splits) {
        return;
    }
    var sum = 0.0;
    // Padding columns get the gradient 0, not the product of whatever lies there.
    if (co < GROUPS * GROUP_OUT) {
        // ci counts inside the group, x does not.
        let channel = (co / GROUP_OUT) * GROUP_IN + ci;
        let area = split_area(split);
        let first_column = tap_column(tap);
        for (var line = area.x; line < area.y; line++) {
            let source_row = line_row(line, tap);
            for (var ow = area.z; ow < area.w; ow++) {
                let s = row_pixel(source_row, first_column + i32(ow * params.stride));
                if (s >= 0) {
                    sum += x[4u * u32(s) + channel] * dy[(line * params.out_w + ow) * width + co];
                }
            }
        }
    }
    y[i] = sum;
}
