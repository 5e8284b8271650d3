// Matching with prototypes for GPUs, in f32: see lib/match_gemm.wgsl. Plain WebGPU, so browsers run it too.
//
// Tiles of 32 x 32 or 64 x 64 (embeddings x prototypes), 64 or 256 invocations, at most 13 KiB of workgroup memory.
// Iterations: D / 16 rounds of 5, and rows x classes of a tile x K / invocations for the maxima.
alias Staged = f32;
//!include lib/match_gemm.wgsl
