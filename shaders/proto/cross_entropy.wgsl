// Cross-entropy at label resolution of logits at feature resolution, upsampled bilinearly with aligned corners and never
// stored; over tiles of classes (spec sections 6 and 9.1):
//   loss = sum_m w[y_m] (lse_m - own_m) / sum_m w[y_m],  m over label pixels with 0 <= y_m < C
//   do = transposed interpolation of w[y_m] / sum w * (exp(oup[m,c] - lse_m) - [c = y_m])
// Running state per label pixel: lse, the log-sum-exp over the classes so far, and own, the logit of the pixel's class. Both
// are 0 where the label is ignored.
//
// Layout: o, d_logit [B,height,width, classes of the tile] in vec4s; labels, lse, own [B,out_height,out_width] dense.
// Workgroups of 64; loops: 8 vec4s of a tile (forward), 16,384 label pixels (gradient), 4096 or so partial sums.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    // Invocations that have work: runs, partial sums, cells or feature pixels, as the kernel counts them.
    num_items: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    // The tile: vec4s per row, real classes, and below its first class.
    quads: u32,
    channels: u32,
    num_classes: u32,
    first_class: u32,
    first: u32,        // 1 on the first tile: there is no running state yet
    num_pixels: u32,   // label pixels
    block_quads: u32,  // vec4s of label pixels per partial sum
    first_image: u32,  // gradient: images of this dispatch
    images: u32,
    first_cell: u32,   // gradient: rows of cells of this dispatch, and the rows of feature pixels that they complete
    cell_rows: u32,
    first_row: u32,
    rows: u32,
    strips: u32,       // gradient: a cell's label rows are cut into strips of strip_rows
    strip_rows: u32,
    empty: f32,        // loss when no label counts
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> o: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> own: array<f32>;
@group(0) @binding(5) var<storage, read> label_quads: array<vec4<i32>>;
@group(0) @binding(6) var<storage, read> lse_quads: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> own_quads: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> weights: array<f32>;
@group(0) @binding(9) var<storage, read_write> partial: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> loss: array<f32>;
@group(0) @binding(11) var<storage, read_write> scale: array<f32>;
@group(0) @binding(12) var<storage, read> lse_all: array<f32>;
@group(0) @binding(13) var<storage, read> weight_scale: array<f32>;
@group(0) @binding(14) var<storage, read> d_loss: array<f32>;
@group(0) @binding(15) var<storage, read_write> d_logit: array<vec4<f32>>;

//!include lib/upsample_run.wgsl

const LOWEST: f32 = -3e38;

fn counts(label: i32) -> bool {
    return label >= 0 && label < i32(params.num_classes);
}

// One invocation: four neighbouring label pixels, which share their corners' loads; a lane per pixel, so the sums over
// classes need no sum over lanes.
@compute @workgroup_size(64)
fn cross_entropy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    // Runs per label row; the last may reach past the row's end.
    let runs = (params.out_width + 3u) / 4u;
    let row = i / runs;
    let x = 4u * (i - row * runs);
    let run = run_at(row, x);
    let end = params.out_width - 1u;
    let base = row * params.out_width;
    let m = base + x;
    // Past the row's end the last label repeats; put() is not called for those lanes.
    let label = vec4<i32>(
        labels[m],
        labels[base + min(x + 1u, end)], labels[base + min(x + 2u, end)],
        labels[base + min(x + 3u, end)],
    );
    // Running log-sum-exp of four pixels: the maximum, and the sum of exponentials relative to it.
    var high = vec4<f32>(LOWEST);
    var sum = vec4<f32>(0.0);
    var mine = vec4<f32>(0.0);
    for (var q = 0u; q < params.quads; q += 1u) {
        let v = run_values(run, q);
        // Real classes in this vec4 and behind it; padding must not enter the maximum, as 0 may be above every
        // logit.
        let live = params.channels - 4u * q;
        let lowest = vec4<f32>(LOWEST);
        let v1 = select(lowest, v[1], live > 1u); let v2 = select(lowest, v[2], live > 2u);
        let v3 = select(lowest, v[3], live > 3u);
        let top = max(high, max(max(v[0], v1), max(v2, v3)));
        // The old sum moves to the new maximum. At first high - top is so low that exp gives 0.
        sum = sum * exp(high - top) + exp(v[0] - top) + exp(v1 - top) + exp(v2 - top) + exp(v3 - top);
        high = top;
        // The pixel's own logit, picked out as it passes: no second reading.
        let c = i32(params.first_class + 4u * q);
        mine = select(mine, v[0], label == vec4<i32>(c));
        mine = select(mine, v1, label == vec4<i32>(c + 1)); mine = select(mine, v2, label == vec4<i32>(c + 2));
        mine = select(mine, v3, label == vec4<i32>(c + 3));
    }
    let total = high + log(sum);
    for (var lane = 0u; lane < min(4u, params.out_width - x); lane += 1u) {
        put(m + lane, label[lane], total[lane], mine[lane]);
    }
}

fn put(m: u32, label: i32, total: f32, mine: f32) {
    var all = total;
    var logit = mine;
    if (params.first == 0u) {
        let old = lse[m];
        // log(e^old + e^total) without overflow: the larger one is taken out.
        all = max(old, total) + log(1.0 + exp(-abs(old - total)));
        // Only one tile holds the label's class; the others keep what is there.
        let tile = label - i32(params.first_class);
        if (tile < 0 || tile >= i32(params.channels)) {
            logit = own[m];
        }
    }
    lse[m] = select(0.0, all, counts(label));
    own[m] = select(0.0, logit, counts(label));
}

// partial[block] = (sum w (lse - own), sum w, number of labels that count, 0). One invocation: one block of label pixels.
@compute @workgroup_size(64)
fn cross_entropy_partial(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let end = min((i + 1u) * params.block_quads, (params.num_pixels + 3u) / 4u);
    var losses = vec4<f32>();
    var weight_sum = vec4<f32>();
    var labelled = vec4<f32>();
    for (var q = i * params.block_quads; q < end; q += 1u) {
        let label = label_quads[q];
        // A label outside 0..C reads a weight that is there and is dropped below.
        let at = clamp(label, vec4<i32>(0), vec4<i32>(i32(params.num_classes) - 1));
        let inside = (label == at) & (4u * q + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.num_pixels));
        let w = vec4<f32>(weights[at.x], weights[at.y], weights[at.z], weights[at.w]);
        // Selects and not products: lanes beyond the last pixel may hold anything.
        losses += select(vec4<f32>(), w * (lse_quads[q] - own_quads[q]), inside);
        weight_sum += select(vec4<f32>(), w, inside);
        labelled += select(vec4<f32>(), vec4<f32>(1.0), inside);
    }
    let ones = vec4<f32>(1.0);
    partial[i] = vec4<f32>(dot(losses, ones), dot(weight_sum, ones), dot(labelled, ones), 0.0);
}

var<workgroup> shares: array<vec4<f32>, 64>;

// One workgroup: every invocation sums each 64th block, the first one the 64 results.
@compute @workgroup_size(64)
fn cross_entropy_loss(@builtin(local_invocation_index) local: u32) {
    var sum = vec4<f32>();
    for (var i = local; i < params.num_items; i += 64u) {
        sum += partial[i];
    }
    shares[local] = sum;
    workgroupBarrier();
    if (local == 0u) {
        var all = vec4<f32>();
        for (var i = 0u; i < 64u; i += 1u) {
            all += shares[i];
        }
        // No labelled pixel: the loss is `empty` and the gradient 0, not 0 / 0. The labels decide, not their weights: a NaN
        // or a sum of 0 among these must show.
        let some = all.z > 0.0;
        loss[0] = select(params.empty, all.x / select(1.0, all.y, some), some);
        scale[0] = select(0.0, 1.0 / select(1.0, all.y, some), some);
    }
}

// First label pixel at or beyond feature coordinate `cell`: ceil(cell * (out - 1) / (in - 1)).
fn first_pixel(cell: u32, size_in: u32, size_out: u32) -> u32 {
    // Integers: a label pixel exactly on a feature pixel must fall in one cell, not in two or none.
    let steps = max(size_in, 2u) - 1u;
    return (cell * (max(size_out, 2u) - 1u) + steps - 1u) / steps;
}

// Gradient, first half. A cell is the square between four feature pixels; every label pixel lies in one. One invocation takes
// 8 classes of one cell (or of one strip of its rows), holds its four corners in registers and sums each corner's share:
// partial [strip, image, cell, corner, quad]. Against a gather per feature pixel it computes a quarter of the softmaxes.
@compute @workgroup_size(64)
fn cross_entropy_cells(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    // Order of the invocations: pairs of vec4s, then cells along a line, cell rows, images, strips.
    let pairs = (params.quads + 1u) / 2u;
    let cells_x = max(params.width, 2u) - 1u;
    let cells_y = max(params.height, 2u) - 1u;
    let cell = i / pairs;
    let q = 2u * (i - cell * pairs);
    let line = cell / cells_x;
    let cx = cell - line * cells_x;
    let block = line / params.cell_rows;
    let cy = params.first_cell + line - block * params.cell_rows;
    let strip = block / params.images;
    let image = params.first_image + block - strip * params.images;

    // A cell owns the label pixels from its first up to the next cell's first; the last cell also owns the
    // map's border.
    let x_begin = first_pixel(cx, params.width, params.out_width);
    let x_next = first_pixel(cx + 1u, params.width, params.out_width);
    let x_end = select(min(x_next, params.out_width), params.out_width, cx + 1u == cells_x);
    let y_begin = first_pixel(cy, params.height, params.out_height) + strip * params.strip_rows;
    let y_next = first_pixel(cy + 1u, params.height, params.out_height);
    let y_all = select(min(y_next, params.out_height), params.out_height, cy + 1u == cells_y);
    let y_end = min(y_begin + params.strip_rows, y_all);

    // The second vec4 of an odd count repeats the first and is not written.
    let q1 = min(q + 1u, params.quads - 1u);
    let top = ((image * params.height + cy) * params.width + cx) * params.quads;
    // With one feature column or row the cell has no other side, and its corners coincide.
    let right = select(0u, params.quads, cx + 1u < params.width);
    let down = select(0u, params.width * params.quads, cy + 1u < params.height);
    // a and b are the invocation's two vec4s of classes; the digits are the corner's row and column.
    let a00 = o[top + q];
    let a01 = o[top + right + q];
    let a10 = o[top + down + q];
    let a11 = o[top + right + down + q];
    let b00 = o[top + q1];
    let b01 = o[top + right + q1];
    let b10 = o[top + down + q1];
    let b11 = o[top + right + down + q1];
    var ga00 = vec4<f32>(); var ga01 = vec4<f32>(); var ga10 = vec4<f32>(); var ga11 = vec4<f32>();
    var gb00 = vec4<f32>(); var gb01 = vec4<f32>(); var gb10 = vec4<f32>(); var gb11 = vec4<f32>();
    // d loss / sum w, the same for every pixel.
    let factor = weight_scale[0] * d_loss[0];
    let x_last = max(params.out_width, 2u) - 1u;
    let y_last = max(params.out_height, 2u) - 1u;
    let lanes = vec4<i32>(0, 1, 2, 3) + i32(params.first_class + 4u * q);
    for (var y = y_begin; y < y_end; y += 1u) {
        // y (height - 1) / (out_height - 1) - cy in [0, 1], the difference taken in integers.
        let ty = f32(y * (params.height - 1u) - cy * y_last) / f32(y_last);
        let a_left = mix(a00, a10, ty);
        let a_right = mix(a01, a11, ty);
        let b_left = mix(b00, b10, ty);
        let b_right = mix(b01, b11, ty);
        // Sums along a label row: ty is the same for all of it and is applied once at its end.
        var ga_left = vec4<f32>(); var ga_right = vec4<f32>();
        var gb_left = vec4<f32>(); var gb_right = vec4<f32>();
        for (var x = x_begin; x < x_end; x += 1u) {
            let m = (image * params.out_height + y) * params.out_width + x;
            let label = labels[m];
            let inside = counts(label);
            // w[y_m] / sum w; an ignored label reads the weight of class 0, which may be NaN, and drops it.
            let coefficient = select(0.0, factor * weights[select(0, label, inside)], inside);
            // So high that every probability of an ignored pixel is 0; its label matches no class.
            let level = select(3e38, lse_all[m], inside);
            let tx = f32(x * (params.width - 1u) - cx * x_last) / f32(x_last);
            let one = vec4<f32>(1.0);
            let zero = vec4<f32>(0.0);
            let a = mix(a_left, a_right, tx);
            let b = mix(b_left, b_right, tx);
            // w / sum w * (softmax - one-hot), the gradient at the upsampled pixel.
            let ga = coefficient * (exp(a - level) - select(zero, one, vec4<i32>(label) == lanes));
            let gb = coefficient * (exp(b - level) - select(zero, one, vec4<i32>(label) == lanes + 4));
            // The transposed interpolation: each corner gets the share that it had in the value.
            ga_left += (1.0 - tx) * ga;
            ga_right += tx * ga;
            gb_left += (1.0 - tx) * gb;
            gb_right += tx * gb;
        }
        // Vertical share, for the whole label row at once.
        ga00 += (1.0 - ty) * ga_left;
        ga01 += (1.0 - ty) * ga_right;
        ga10 += ty * ga_left;
        ga11 += ty * ga_right;
        gb00 += (1.0 - ty) * gb_left;
        gb01 += (1.0 - ty) * gb_right;
        gb10 += ty * gb_left;
        gb11 += ty * gb_right;
    }
    // Every corner has a place of its own: no two invocations write to one.
    let at = 4u * cell * params.quads + q;
    partial[at] = ga00;
    partial[at + params.quads] = ga01;
    partial[at + 2u * params.quads] = ga10;
    partial[at + 3u * params.quads] = ga11;
    if (q + 1u < params.quads) {
        partial[at + 1u] = gb00;
        partial[at + params.quads + 1u] = gb01;
        partial[at + 2u * params.quads + 1u] = gb10;
        partial[at + 3u * params.quads + 1u] = gb11;
    }
}

// Gradient, second half: a feature pixel is corner 0 of its own cell, 1 of its left, 2 of its upper and 3 of its upper left
// neighbour. One invocation: one vec4 of one feature pixel.
@compute @workgroup_size(64)
fn cross_entropy_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let pixel = i / params.quads;
    let q = i - pixel * params.quads;
    let line = pixel / params.width;
    let x = pixel - line * params.width;
    // Counted from the first image and row of this dispatch, as `partial` is.
    let image = line / params.rows;
    let y = params.first_row + line - image * params.rows;
    let cells_x = max(params.width, 2u) - 1u;
    var sum = vec4<f32>();
    for (var strip = 0u; strip < params.strips; strip += 1u) {
        let block = (strip * params.images + image) * params.cell_rows;
        for (var corner = 0u; corner < 4u; corner += 1u) {
            // Below 0 it wraps round and is beyond the last cell.
            let cx = x - (corner & 1u);
            let cy = y - (corner >> 1u) - params.first_cell;
            if (cx < cells_x && cy < params.cell_rows) {
                sum += partial[(4u * ((block + cy) * cells_x + cx) + corner) * params.quads + q];
            }
        }
    }
    // A select and not a product: exp may have overflowed in the padding.
    let inside = lane_mask(q, params.channels) > vec4<f32>(0.0);
    let at = ((params.first_image + image) * params.height + y) * params.width + x;
    d_logit[at * params.quads + q] = select(vec4<f32>(), sum, inside);
}
