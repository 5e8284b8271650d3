// What all kernels of the attention share: sizes, bindings, and the bias of windows (attention.wgsl has the formulas).
struct Params {
    // B, Q and M; heads.
    images: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    // vec4s of a token of out and of a head.
    quads: u32,
    head_quads: u32,
    // vec4s from token to token of q, k and v, and where k and v begin.
    stride: u32,
    k_at: u32,
    v_at: u32,
    // Terms of a part, parts of a sum.
    chunk: u32,
    parts: u32,
    // 1 / sqrt(d).
    scale: f32,
    // Side of a window or 0, its shift, numbers of windows, numbers from row to row of the table.
    window: u32,
    shift: u32,
    down: u32,
    across: u32,
    table_stride: u32,
    // Joining sums: where they begin, where the first goes, vec4s from token to token there.
    from_at: u32,
    to_at: u32,
    to_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// The operands, the gradient of the output, and two numbers per row: log-sum-exp of its scores, <d_out, out>.
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> numbers: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> table: array<f32>;
// Parts of sums with their running maxima and sums, the forward output, the first of the two numbers.
@group(0) @binding(7) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> states: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read> attended: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read> lse: array<f32>;
// Gradients of the scores, [image, head][query][key], and their sums per entry of the table.
@group(0) @binding(11) var<storage, read> scores: array<f32>;
@group(0) @binding(12) var<storage, read> table_parts: array<f32>;
@group(0) @binding(13) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(14) var<storage, read_write> states_out: array<vec2<f32>>;
@group(0) @binding(15) var<storage, read_write> numbers_out: array<f32>;
@group(0) @binding(16) var<storage, read_write> pairs_out: array<vec2<f32>>;
@group(0) @binding(17) var<storage, read_write> scores_out: array<f32>;

// 1 where four neighbouring terms are within `length`.
fn there(item: u32, length: u32) -> vec4<bool> {
    return vec4<u32>(item) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(length);
}

// Places of four tokens in their window: the difference of two codes leads to the table, and between different sides the
// scores of shifted windows are masked.
struct Codes {
    code: vec4<u32>,
    side: vec4<u32>,
}

fn codes(image: u32, item: u32, length: u32) -> Codes {
    let token = min(vec4<u32>(item) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(length - 1u));
    let side = max(params.window, 1u);
    let y = token / side;
    let x = token % side;
    // Only the last windows of the map hold places from both borders.
    let last = vec2<bool>((image / params.across) % params.down == params.down - 1u, image % params.across == params.across - 1u);
    let limit = vec4<u32>(side - params.shift);
    let below = select(vec4<u32>(0u), vec4<u32>(1u), (y >= limit) & vec4<bool>(last.x));
    let right = select(vec4<u32>(0u), vec4<u32>(2u), (x >= limit) & vec4<bool>(last.y));
    return Codes(y * (2u * side - 1u) + x, below + right);
}

// What the scores of a row and four terms get. Of a query and a key the table's row is (dy + window - 1) * (2 window - 1) +
// dx + window - 1, by the query's place less the key's: `turn` is 1 where the row is the query, and -1 where it is the key.
fn bias(code: u32, side: u32, other: Codes, head: u32, turn: u32) -> vec4<f32> {
    let apart = (vec4<u32>(code) - other.code) * turn + vec4<u32>(2u * params.window * (params.window - 1u));
    let at = apart * params.table_stride + head;
    let entry = vec4<f32>(table[at.x], table[at.y], table[at.z], table[at.w]);
    return entry - select(vec4<f32>(0.0), vec4<f32>(100.0), other.side != vec4<u32>(side));
}

// Stores up to four gradients of scores of a query.
fn store_scores(place: u32, values: vec4<f32>, inside: vec4<bool>) {
    if (inside.x) { scores_out[place] = values.x; }
    if (inside.y) { scores_out[place + 1u] = values.y; }
    if (inside.z) { scores_out[place + 2u] = values.z; }
    if (inside.w) { scores_out[place + 3u] = values.w; }
}
