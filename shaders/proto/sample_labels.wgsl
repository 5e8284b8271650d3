// Labels at feature resolution: gt[b, h, w] = labels[b, floor(h*HL/H), floor(w*WL/W)], and -1 for every value outside
// 0..C (the ignore value, whatever it is, and values that no class has).
//
// Top-left sampling in integers: exact, where a float quotient could fall on the wrong side of a whole number.
// Layout: dense i32. Workgroup: 64 invocations, one pixel each.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    height: u32,
    width: u32,
    label_height: u32,
    label_width: u32,
    num_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;

@compute @workgroup_size(64)
fn sample_labels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        let row = n / params.width;
        let image = row / params.height;
        // Extents are below 65,536, so the products stay below 2^32.
        let y = (row % params.height) * params.label_height / params.height;
        let x = (n % params.width) * params.label_width / params.width;
        let label = labels[(image * params.label_height + y) * params.label_width + x];
        out[n] = select(-1, label, label >= 0 && label < i32(params.num_classes));
    }
}
