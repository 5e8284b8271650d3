        // One round of an 8 x 8 square. Rows of an invocation stand ROWS / 8 apart, its two quads COLUMNS / 8: neighbours
        // read neighbouring addresses. 16 readings of workgroup memory feed 256 multiply-adds.
        for (var q = 0u; q < STEP; q++) {
            let b00 = right_at(4u * q, near); let b01 = right_at(4u * q, far);
            let b10 = right_at(4u * q + 1u, near); let b11 = right_at(4u * q + 1u, far);
            let b20 = right_at(4u * q + 2u, near); let b21 = right_at(4u * q + 2u, far);
            let b30 = right_at(4u * q + 3u, near); let b31 = right_at(4u * q + 3u, far);
            // c[r][h]: row r of the square, quad h. Named registers: an array indexed by a variable would live in memory.
            let a0 = left_at(local.y, q);
            c00 = products(c00, a0, b00, b10, b20, b30); c01 = products(c01, a0, b01, b11, b21, b31);
            let a1 = left_at(local.y + 1u * DOWN, q);
            c10 = products(c10, a1, b00, b10, b20, b30); c11 = products(c11, a1, b01, b11, b21, b31);
            let a2 = left_at(local.y + 2u * DOWN, q);
            c20 = products(c20, a2, b00, b10, b20, b30); c21 = products(c21, a2, b01, b11, b21, b31);
            let a3 = left_at(local.y + 3u * DOWN, q);
            c30 = products(c30, a3, b00, b10, b20, b30); c31 = products(c31, a3, b01, b11, b21, b31);
            let a4 = left_at(local.y + 4u * DOWN, q);
            c40 = products(c40, a4, b00, b10, b20, b30); c41 = products(c41, a4, b01, b11, b21, b31);
            let a5 = left_at(local.y + 5u * DOWN, q);
            c50 = products(c50, a5, b00, b10, b20, b30); c51 = products(c51, a5, b01, b11, b21, b31);
            let a6 = left_at(local.y + 6u * DOWN, q);
            c60 = products(c60, a6, b00, b10, b20, b30); c61 = products(c61, a6, b01, b11, b21, b31);
            let a7 = left_at(local.y + 7u * DOWN, q);
            c70 = products(c70, a7, b00, b10, b20, b30); c71 = products(c71, a7, b01, b11, b21, b31);
        }
