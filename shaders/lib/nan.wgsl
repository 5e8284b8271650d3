// Whether each number is NaN, read off its bits: exponent all ones, mantissa not 0. A comparison does not do: compilers for
// GPUs assume that there is no NaN, make `x != x` false, and turn select(x, low, x < low) into a maximum that drops it.
fn is_nan(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}
