// What the variants of hard_pixels share: the losses as bits. params.num_classes is the includer's.
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> lse: array<f32>;
@group(0) @binding(2) var<storage, read> own: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<i32>;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> hard: array<i32>;

var<workgroup> bins: array<atomic<u32>, 256>;

fn is_valid(n: u32) -> bool {
    return labels[n] >= 0 && labels[n] < i32(params.num_classes);
}

// A loss that rounding made negative is 0. A NaN is, as bits, above every number, so it is always kept; comparing them as
// whole numbers says so to compilers that assume no NaN too. Negative losses end at -infinity, NaNs with a sign lie above.
fn key(n: u32) -> u32 {
    let bits = bitcast<u32>(lse[n] - own[n]);
    return select(bits, 0u, bits >= 0x80000000u && bits <= 0xff800000u);
}
