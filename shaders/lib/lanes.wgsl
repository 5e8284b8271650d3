// 1 in the lanes of vec4 number `quad` that are below `channels`, 0 in the padding.
fn lane_mask(quad: u32, channels: u32) -> vec4<f32> {
    let lane = vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), lane < vec4<u32>(channels));
}
