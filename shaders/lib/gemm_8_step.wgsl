                // c[r][h]: row r of the square (0 to 3 of the near quad, 4 to 7 of the far one), quad h of its columns. Named
                // registers: an array indexed by a variable would live in memory.
                let a = left_at(at, local.y); let b = left_at(at, local.y + DOWN);
                let d = right_at(at, near); let e = right_at(at, far);
                c00 = fma(vec4<f32>(a.x), d, c00); c01 = fma(vec4<f32>(a.x), e, c01);
                c10 = fma(vec4<f32>(a.y), d, c10); c11 = fma(vec4<f32>(a.y), e, c11);
                c20 = fma(vec4<f32>(a.z), d, c20); c21 = fma(vec4<f32>(a.z), e, c21);
                c30 = fma(vec4<f32>(a.w), d, c30); c31 = fma(vec4<f32>(a.w), e, c31);
                c40 = fma(vec4<f32>(b.x), d, c40); c41 = fma(vec4<f32>(b.x), e, c41);
                c50 = fma(vec4<f32>(b.y), d, c50); c51 = fma(vec4<f32>(b.y), e, c51);
                c60 = fma(vec4<f32>(b.z), d, c60); c61 = fma(vec4<f32>(b.z), e, c61);
                c70 = fma(vec4<f32>(b.w), d, c70); c71 = fma(vec4<f32>(b.w), e, c71);
