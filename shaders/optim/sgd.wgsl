// Stochastic gradient descent with momentum and weight decay, in place:
//   v = momentum * v + (g + weight_decay * w),   w = w - lr * lr_scale * v
// sgd_clipped takes factor * g for g.
//
// Layout: weight, velocity and gradient as whole vec4s; zero padding stays zero. lr and factor are one number each, written
// every step. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl

struct Params {
    // The parameter's size, and its settings: lr_scale is the factor of its group on the learning rate.
    num_quads: u32,
    momentum: f32,
    weight_decay: f32,
    lr_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> lr: array<f32>;
@group(0) @binding(3) var<storage, read_write> weight: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> velocity: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> factor: array<f32>;

fn descend(i: u32, g: vec4<f32>) {
    let w = weight[i];
    // Weight decay goes through the momentum: it is part of the gradient, not a shrinking apart from it.
    let v = params.momentum * velocity[i] + (g + params.weight_decay * w);
    velocity[i] = v;
    weight[i] = w - lr[0] * params.lr_scale * v;
}

@compute @workgroup_size(64)
fn sgd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        descend(i, gradient[i]);
    }
}

@compute @workgroup_size(64)
fn sgd_clipped(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        // Weight decay is added to the clipped gradient and not clipped itself.
        descend(i, factor[0] * gradient[i]);
    }
}
