// Running averages of batch statistics, in place: r = (1 - momentum) * r + momentum * batch value.
//
// The variance becomes the unbiased one first: correction = n / (n - 1). Padding lanes of all four are zero or unused.
// Layout: rank-1 vectors read as vec4s. Workgroup: 64 invocations, one vec4 each; there are few channels.

struct Params {
    quads: u32,
    // 1 - momentum, rounded on the host from f64.
    keep: f32,
    momentum: f32,
    // n / (n - 1), from the host.
    correction: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> variance: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> running_variance: array<vec4<f32>>;

@compute @workgroup_size(64)
fn running_stats(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.quads) {
        let unbiased = variance[id.x] * params.correction;
        running_mean[id.x] = params.keep * running_mean[id.x] + params.momentum * mean[id.x];
        running_variance[id.x] = params.keep * running_variance[id.x] + params.momentum * unbiased;
    }
}
