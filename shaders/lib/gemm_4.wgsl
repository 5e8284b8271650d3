        // One round of a 4 x 4 square: 16 sums per invocation, for GPUs with few registers and for small results. Neighbours own
        // neighbouring quads of rows and columns. 2 readings of workgroup memory feed 16 multiply-adds.
        for (var k = 0u; k < 4u * STEP; k += 4u) {
            let a0 = left_at(k, local.y); let d0 = right_at(k, local.x);
            let a1 = left_at(k + 1u, local.y); let d1 = right_at(k + 1u, local.x);
            let a2 = left_at(k + 2u, local.y); let d2 = right_at(k + 2u, local.x);
            let a3 = left_at(k + 3u, local.y); let d3 = right_at(k + 3u, local.x);
            // c[r]: row r of the square.
            c0 = fma(vec4<f32>(a0.x), d0, c0); c1 = fma(vec4<f32>(a0.y), d0, c1);
            c2 = fma(vec4<f32>(a0.z), d0, c2); c3 = fma(vec4<f32>(a0.w), d0, c3);
            // The next step of the depth, behind the first: the order of every tile.
            c0 = fma(vec4<f32>(a1.x), d1, c0); c1 = fma(vec4<f32>(a1.y), d1, c1);
            c2 = fma(vec4<f32>(a1.z), d1, c2); c3 = fma(vec4<f32>(a1.w), d1, c3);
            c0 = fma(vec4<f32>(a2.x), d2, c0); c1 = fma(vec4<f32>(a2.y), d2, c1);
            c2 = fma(vec4<f32>(a2.z), d2, c2); c3 = fma(vec4<f32>(a2.w), d2, c3);
            c0 = fma(vec4<f32>(a3.x), d3, c0); c1 = fma(vec4<f32>(a3.y), d3, c1);
            c2 = fma(vec4<f32>(a3.z), d3, c2); c3 = fma(vec4<f32>(a3.w), d3, c3);
        }
