// The first half of lib/epilogue.wgsl, for buffers of vec4s and of floats.
// The includer declares `alias Element` (vec4<f32> or f32) and `y`.
@group(0) @binding(6) var<storage, read> skip: array<Element>;

// What the addend is: 0 nothing, 1 the same place in `skip`, 2 what `y` held before. Constants and not uniforms: behind a
// branch that is taken at run time, software adapters pay for the load that is not made.
override ADD: u32 = 0u;
// Whether there are bounds. Where there are none, comparing would cost 5 % of a convolution of few channels.
override BOUNDED: bool = false;

fn with_addend(sum: Element, at: u32) -> Element {
    var value = sum;
    if (ADD == 1u) {
        value += skip[at];
    }
    if (ADD == 2u) {
        value += y[at];
    }
    return value;
}
