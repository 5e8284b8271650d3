        // One round of a 32 x 32 quadrant in 4 x 4 fragments of 8 x 8; rows lie along the depth, so loads are row-major (T).
        // Addresses and pitches are bound by let: naga 30's SPIR-V writer panics over an expression in their place.
        let left_pitch = LEFT_PITCH;
        let right_pitch = RIGHT_PITCH;
        for (var k = 0u; k < DEPTH; k += 8u) {
            let right_0 = k * RIGHT_PITCH + column + 0u;
            let b0 = coopLoadT<coop_mat8x8<f16, B>>(&right[right_0], right_pitch);
            let right_1 = k * RIGHT_PITCH + column + 8u;
            let b1 = coopLoadT<coop_mat8x8<f16, B>>(&right[right_1], right_pitch);
            let right_2 = k * RIGHT_PITCH + column + 16u;
            let b2 = coopLoadT<coop_mat8x8<f16, B>>(&right[right_2], right_pitch);
            let right_3 = k * RIGHT_PITCH + column + 24u;
            let b3 = coopLoadT<coop_mat8x8<f16, B>>(&right[right_3], right_pitch);
            // A fragment of rows is used for all columns before the next one is loaded.
            let left_0 = (row + 0u) * LEFT_PITCH + k;
            let a0 = coopLoadT<coop_mat8x8<f16, A>>(&left[left_0], left_pitch);
            c00 = coopMultiplyAdd(a0, b0, c00); c01 = coopMultiplyAdd(a0, b1, c01);
            c02 = coopMultiplyAdd(a0, b2, c02); c03 = coopMultiplyAdd(a0, b3, c03);
            let left_1 = (row + 8u) * LEFT_PITCH + k;
            let a1 = coopLoadT<coop_mat8x8<f16, A>>(&left[left_1], left_pitch);
            c10 = coopMultiplyAdd(a1, b0, c10); c11 = coopMultiplyAdd(a1, b1, c11);
            c12 = coopMultiplyAdd(a1, b2, c12); c13 = coopMultiplyAdd(a1, b3, c13);
            let left_2 = (row + 16u) * LEFT_PITCH + k;
            let a2 = coopLoadT<coop_mat8x8<f16, A>>(&left[left_2], left_pitch);
            c20 = coopMultiplyAdd(a2, b0, c20); c21 = coopMultiplyAdd(a2, b1, c21);
            c22 = coopMultiplyAdd(a2, b2, c22); c23 = coopMultiplyAdd(a2, b3, c23);
            let left_3 = (row + 24u) * LEFT_PITCH + k;
            let a3 = coopLoadT<coop_mat8x8<f16, A>>(&left[left_3], left_pitch);
            c30 = coopMultiplyAdd(a3, b0, c30); c31 = coopMultiplyAdd(a3, b1, c31);
            c32 = coopMultiplyAdd(a3, b2, c32); c33 = coopMultiplyAdd(a3, b3, c33);
        }
