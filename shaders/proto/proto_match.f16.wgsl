// Matching with prototypes for GPUs with both operands rounded to f16 in workgroup memory, sums and maxima in f32: see
// lib/match_gemm.wgsl. Cosines are off by up to about 1e-3, so of nearly equal prototypes another one may win.
enable f16;
alias Staged = f16;
//!include lib/match_gemm.wgsl
