        // One round of a 32 x 32 quadrant in 2 x 2 fragments of 16 x 16; rows lie along the depth, so loads are row-major (T).
        // Addresses and pitches are bound by let: naga 30's SPIR-V writer panics over an expression in their place.
        let left_pitch = LEFT_PITCH;
        let right_pitch = RIGHT_PITCH;
        for (var k = 0u; k < DEPTH; k += 16u) {
            let right_0 = k * RIGHT_PITCH + column + 0u;
            let b0 = coopLoadT<coop_mat16x16<f16, B>>(&right[right_0], right_pitch);
            let right_1 = k * RIGHT_PITCH + column + 16u;
            let b1 = coopLoadT<coop_mat16x16<f16, B>>(&right[right_1], right_pitch);
            // A fragment of rows is used for all columns before the next one is loaded.
            let left_0 = (row + 0u) * LEFT_PITCH + k;
            let a0 = coopLoadT<coop_mat16x16<f16, A>>(&left[left_0], left_pitch);
            c00 = coopMultiplyAdd(a0, b0, c00); c01 = coopMultiplyAdd(a0, b1, c01);
            let left_1 = (row + 16u) * LEFT_PITCH + k;
            let a1 = coopLoadT<coop_mat16x16<f16, A>>(&left[left_1], left_pitch);
            c10 = coopMultiplyAdd(a1, b0, c10); c11 = coopMultiplyAdd(a1, b1, c11);
        }
