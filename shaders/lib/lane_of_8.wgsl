// What one of the 8 lanes of a subgroup holds. A function each: the lane must be a constant.
fn lane0(x: f32) -> f32 { return subgroupBroadcast(x, 0u); }
fn lane1(x: f32) -> f32 { return subgroupBroadcast(x, 1u); }
fn lane2(x: f32) -> f32 { return subgroupBroadcast(x, 2u); }
fn lane3(x: f32) -> f32 { return subgroupBroadcast(x, 3u); }
fn lane4(x: f32) -> f32 { return subgroupBroadcast(x, 4u); }
fn lane5(x: f32) -> f32 { return subgroupBroadcast(x, 5u); }
fn lane6(x: f32) -> f32 { return subgroupBroadcast(x, 6u); }
fn lane7(x: f32) -> f32 { return subgroupBroadcast(x, 7u); }
