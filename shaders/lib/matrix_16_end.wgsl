    // Everything into workgroup memory, where all invocations can reach all of it.
    let pitch = COLUMNS;
    let at_00 = (row + 0u) * COLUMNS + column + 0u;
    coopStoreT(c00, &results[at_00], pitch);
    let at_01 = (row + 0u) * COLUMNS + column + 16u;
    coopStoreT(c01, &results[at_01], pitch);
    let at_10 = (row + 16u) * COLUMNS + column + 0u;
    coopStoreT(c10, &results[at_10], pitch);
    let at_11 = (row + 16u) * COLUMNS + column + 16u;
    coopStoreT(c11, &results[at_11], pitch);
    workgroupBarrier();
