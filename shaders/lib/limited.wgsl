//!include lib/nan.wgsl

// `value` kept between `low` and `high`; infinities stand for no bound. NaN stays NaN (clamp() may turn it into a bound):
// a broken network must show in its loss.
fn limited(value: vec4<f32>, low: vec4<f32>, high: vec4<f32>) -> vec4<f32> {
    let raised = select(value, low, value < low);
    return select(select(raised, high, raised > high), value, is_nan(value));
}
