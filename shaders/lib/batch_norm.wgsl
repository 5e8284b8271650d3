// What the variants of batch normalisation share: buffers, and the arithmetic per channel. params.{channels,eps,low,high} are
// the includer's.
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> mean: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> variance: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> constants: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> mean_out: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> variance_out: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> dgamma: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read_write> dbeta: array<vec4<f32>>;
@group(0) @binding(13) var<storage, read_write> constants_out: array<vec4<f32>>;

fn inverse_deviation(quad: u32) -> vec4<f32> {
    // Masked first: rank-1 buffers promise nothing beyond their length, and NaN would survive a product.
    return 1.0 / sqrt(masked(variance[quad], quad, params.channels) + params.eps);
}

// dy where the activation is open, else 0.
fn through(d: vec4<f32>, slope: vec4<f32>, shift: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let before = d * slope + shift;
    // Strictly inside: the gradient at the two kinks is 0, as in relu.wgsl.
    let open = (before > vec4<f32>(params.low)) & (before < vec4<f32>(params.high));
    return select(vec4<f32>(0.0), g, open);
}
