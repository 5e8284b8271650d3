// Similarities of 32 pixels to 16 prototypes by broadcast, for software adapters with subgroups of 8, and what the contrast
// makes of them. A lane owns 4 of the pixels, 8 apart. Expects `emb`, `protos`, params.{num_pixels,num_rows,quads}, total.wgsl
// and contrast.wgsl.

// Where a row starts. Beyond the end the last one stands in: no lane may leave before a broadcast.
fn pixel_row(n: u32) -> u32 {
    return min(n, params.num_pixels - 1u) * params.quads;
}

fn proto_row(j: u32) -> u32 {
    return min(j, params.num_rows - 1u) * params.quads;
}

// Of 4 pixels (first digit) to 16 prototypes (second: four each).
struct Products {
    s00: vec4<f32>, s01: vec4<f32>, s02: vec4<f32>, s03: vec4<f32>,
    s10: vec4<f32>, s11: vec4<f32>, s12: vec4<f32>, s13: vec4<f32>,
    s20: vec4<f32>, s21: vec4<f32>, s22: vec4<f32>, s23: vec4<f32>,
    s30: vec4<f32>, s31: vec4<f32>, s32: vec4<f32>, s33: vec4<f32>,
}

fn products(n: u32, j: u32, lane: u32) -> Products {
    // The lane's own four pixels, and the two prototypes that it loads for everybody: j + lane and j + 8 +
    // lane.
    let n0 = pixel_row(n + 0u); let n1 = pixel_row(n + 8u); let n2 = pixel_row(n + 16u); let n3 = pixel_row(n + 24u);
    let low = proto_row(j + lane);
    let high = proto_row(j + lane + 8u);
    // a[p][g]: similarities of pixel p (8 apart) to prototypes j + 4 g .. j + 4 g + 3.
    var a00 = vec4<f32>(0.0); var a01 = vec4<f32>(0.0); var a02 = vec4<f32>(0.0); var a03 = vec4<f32>(0.0);
    var a10 = vec4<f32>(0.0); var a11 = vec4<f32>(0.0); var a12 = vec4<f32>(0.0); var a13 = vec4<f32>(0.0);
    var a20 = vec4<f32>(0.0); var a21 = vec4<f32>(0.0); var a22 = vec4<f32>(0.0); var a23 = vec4<f32>(0.0);
    var a30 = vec4<f32>(0.0); var a31 = vec4<f32>(0.0); var a32 = vec4<f32>(0.0); var a33 = vec4<f32>(0.0);
    for (var d = 0u; d < params.quads; d++) {
        let e0 = emb[n0 + d]; let e1 = emb[n1 + d]; let e2 = emb[n2 + d]; let e3 = emb[n3 + d];
        let p = protos[low + d];
        let o = protos[high + d];
        // b[g][i] is prototype j + 4 g + i. Lanes 0 to 3 of p hold group 0, lanes 4 to 7 group 1; o holds
        // groups 2 and 3. A group is used before the next is broadcast, so that only four of them occupy
        // registers.
        let b00 = subgroupBroadcast(p, 0u); let b01 = subgroupBroadcast(p, 1u);
        let b02 = subgroupBroadcast(p, 2u); let b03 = subgroupBroadcast(p, 3u);
        a00 += four(e0, b00, b01, b02, b03); a10 += four(e1, b00, b01, b02, b03);
        a20 += four(e2, b00, b01, b02, b03); a30 += four(e3, b00, b01, b02, b03);
        let b10 = subgroupBroadcast(p, 4u); let b11 = subgroupBroadcast(p, 5u);
        let b12 = subgroupBroadcast(p, 6u); let b13 = subgroupBroadcast(p, 7u);
        a01 += four(e0, b10, b11, b12, b13); a11 += four(e1, b10, b11, b12, b13);
        a21 += four(e2, b10, b11, b12, b13); a31 += four(e3, b10, b11, b12, b13);
        let b20 = subgroupBroadcast(o, 0u); let b21 = subgroupBroadcast(o, 1u);
        let b22 = subgroupBroadcast(o, 2u); let b23 = subgroupBroadcast(o, 3u);
        a02 += four(e0, b20, b21, b22, b23); a12 += four(e1, b20, b21, b22, b23);
        a22 += four(e2, b20, b21, b22, b23); a32 += four(e3, b20, b21, b22, b23);
        let b30 = subgroupBroadcast(o, 4u); let b31 = subgroupBroadcast(o, 5u);
        let b32 = subgroupBroadcast(o, 6u); let b33 = subgroupBroadcast(o, 7u);
        a03 += four(e0, b30, b31, b32, b33); a13 += four(e1, b30, b31, b32, b33);
        a23 += four(e2, b30, b31, b32, b33); a33 += four(e3, b30, b31, b32, b33);
    }
    return Products(a00, a01, a02, a03, a10, a11, a12, a13, a20, a21, a22, a23, a30, a31, a32, a33);
}

// The running sum of a pixel with 16 prototypes more, number j and on.
fn folded(known: vec2<f32>, j: u32, s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32>) -> vec2<f32> {
    let low = fold(fold(known, logits(s0, j)), logits(s1, j + 4u));
    return fold(fold(low, logits(s2, j + 8u)), logits(s3, j + 12u));
}
