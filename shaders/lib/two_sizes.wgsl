// Frame of the kernels that bring NHWC maps to another size, and of their gradients, for which x is the gradient of y and out
// that of x: both gather, so that no two invocations write one place. One vec4 of out per invocation.
struct Params {
    batch: u32,
    quads: u32,
    // Heights and widths in pixels: "in" of x, "out" of y.
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
