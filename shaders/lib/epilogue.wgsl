// What every convolution kernel does with a finished sum before it is stored: y = limited(sum + addend, low, high).
// The includer declares `alias Element = vec4<f32>`, params.{low,high} and `y`.
//!include lib/addend.wgsl
//!include lib/limited.wgsl

fn finished(sum: Element, at: u32) -> Element {
    let value = with_addend(sum, at);
    if (!BOUNDED) {
        return value;
    }
    return limited(value, Element(params.low), Element(params.high));
}
