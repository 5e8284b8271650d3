// Dense convolution for GPUs with the operands rounded to f16 in workgroup memory, sums in f32: half the workgroup memory and
// half the traffic in it. See lib/conv_gemm.wgsl. Operands beyond 65,504 become infinite.
enable f16;
alias Staged = f16;
//!include lib/conv_gemm.wgsl
