            // Vec4 j of the heads of four queries (`rows`) and eight keys (`a`, `b`) goes into the 32 scores s0a to s3b. A row vector
            // times a matrix of four keys is four products at once, and stays in registers.
            let at_a = a + vec4<u32>(params.k_at + j);
            let at_b = b + vec4<u32>(params.k_at + j);
            let ka = mat4x4<f32>(k[at_a.x], k[at_a.y], k[at_a.z], k[at_a.w]);
            let kb = mat4x4<f32>(k[at_b.x], k[at_b.y], k[at_b.z], k[at_b.w]);
            let q0 = q[rows.x + j]; let q1 = q[rows.y + j]; let q2 = q[rows.z + j]; let q3 = q[rows.w + j];
            s0a += q0 * ka; s1a += q1 * ka; s2a += q2 * ka; s3a += q3 * ka;
            s0b += q0 * kb; s1b += q1 * kb; s2b += q2 * kb; s3b += q3 * kb;
