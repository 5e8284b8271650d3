// Dense convolution for GPUs, in f32: see lib/conv_gemm.wgsl for the products. Plain WebGPU, so browsers run it too.
//
// Tiles: 32 x 32, 64 x 64 or 128 x 64 of (pixels x channels) by `override` constants, 64 to 256 invocations, at most 16 KiB of
// workgroup memory (128 x 64: 8.3 KiB left, 4 KiB right, 2 KiB origins).
// Iterations: kh * kw * quads_in / 4 rounds of 5.
alias Staged = f32;
//!include lib/conv_gemm.wgsl
