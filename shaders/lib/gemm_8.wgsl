        // One round of an 8 x 8 square: two quads of rows, DOWN apart, by two quads of columns, ACROSS apart, so that neighbours
        // read neighbouring addresses. 4 readings of workgroup memory feed 64 multiply-adds. Four steps at a time: compilers
        // do not unroll such a body by themselves, and alone each step would wait for its readings.
        for (var k = 0u; k < 4u * STEP; k += 4u) {
            {
                let at = k;
//!include lib/gemm_8_step.wgsl
            }
            {
                let at = k + 1u;
//!include lib/gemm_8_step.wgsl
            }
            {
                let at = k + 2u;
//!include lib/gemm_8_step.wgsl
            }
            {
                let at = k + 3u;
//!include lib/gemm_8_step.wgsl
            }
        }
