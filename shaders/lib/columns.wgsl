// Sums over parts: `parts` holds rows of `width` vec4s, one row per part, and sums of many parts are taken in stages.
struct Columns {
    width: u32,
    parts_in: u32,
    parts_out: u32,
    fan_in: u32,
}

@group(0) @binding(0) var<uniform> columns: Columns;
@group(0) @binding(20) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(21) var<storage, read_write> parts_out: array<vec4<f32>>;

fn column_sum(first: u32, last: u32, width: u32, place: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var part = first; part < last; part++) {
        // In the order of the parts, whatever the adapter.
        sum += parts[part * width + place];
    }
    return sum;
}

// One stage: every `fan_in` parts become one.
@compute @workgroup_size(64)
fn columns_merge(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let part = i / columns.width;
    if (part < columns.parts_out) {
        // The last group may be shorter.
        let first = part * columns.fan_in;
        let last = min(first + columns.fan_in, columns.parts_in);
        parts_out[i] = column_sum(first, last, columns.width, i - part * columns.width);
    }
}
