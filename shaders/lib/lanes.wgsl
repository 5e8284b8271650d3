// 1 in the lanes of vec4 number `quad` that are below `channels`, 0 in the padding.
fn lane_mask(quad: u32, channels: u32) -> vec4<f32> {
    let lane = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), lane < vec4<u32>(channels));
}

// `value` with zeros in the padding lanes, whatever stood there (a product with the mask would keep NaN).
fn masked(value: vec4<f32>, quad: u32, channels: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), value, lane_mask(quad, channels) > vec4<f32>(0.5));
}
