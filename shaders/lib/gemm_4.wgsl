        // One round of a 4 x 4 square: 16 sums per invocation, for GPUs with few registers. Rows of an invocation stand
        // ROWS / 4 apart, neighbours own neighbouring quads. 8 readings of workgroup memory feed 64 multiply-adds.
        for (var q = 0u; q < STEP; q++) {
            let b0 = right_at(4u * q, local.x); let b1 = right_at(4u * q + 1u, local.x);
            let b2 = right_at(4u * q + 2u, local.x); let b3 = right_at(4u * q + 3u, local.x);
            // c[r]: row r of the square.
            c0 = products(c0, left_at(local.y, q), b0, b1, b2, b3);
            c1 = products(c1, left_at(local.y + 1u * DOWN, q), b0, b1, b2, b3);
            c2 = products(c2, left_at(local.y + 2u * DOWN, q), b0, b1, b2, b3);
            c3 = products(c3, left_at(local.y + 3u * DOWN, q), b0, b1, b2, b3);
        }
