// Linear index of an invocation: groups beyond 65,535 are folded into y by gpu::grid.
fn linear_index(id: vec3<u32>, groups: vec3<u32>, per_group: u32) -> u32 {
    return id.x + id.y * groups.x * per_group;
}
