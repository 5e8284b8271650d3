// What the window shows: a photo at any scale with a colour layer over it, one (a), two side by side, or two with a wipe.
// Per viewport pixel at photo position p = (view.x, view.y) + (pixel + 1/2) * scale, scale = photo pixels per viewport pixel:
//   base  = photo at p, desaturated and darkened;   out = base moved towards layer by alpha * opacity
//   enlarged (scale < 1): one tap, the photo smooth below 4x where asked for;  reduced: the mean of n x n taps spread over the
//   pixel's footprint, n = min(3, ceil(scale)), each blended by itself, so that borders of the layer come out antialiased
//   contour: the label at p differs from that 0.75 viewport pixels to the left, right, above or below
// A layer covers the whole photo whatever its own size, nearest neighbour. Colours are packed (lib/packed_color.wgsl).
//
// Layout: photo [PH,PW], label_a and layer_a [HA,WA], label_b and layer_b [HB,WB], out [VH,VW], all dense; view six vec4s:
//   0: x, y, scale, opacity   1: contour, split, place of the split, gap   2: background r, g, b, grey share
//   3: dark share, smooth, contours of classes only, pixel grid
// Workgroup: 64 invocations along a row, each with eight pixels 64 apart: neighbours are read together, and the view is loaded
// once for eight pixels. Loops: 8 pixels times 9 taps.
// A software adapter runs both sides of every branch, but a loop only while a lane is in it; so what is seldom wanted stands in
// loops, and what differs between branches is as little as possible.
//!include lib/packed_color.wgsl

struct Params {
    photo_width: u32,
    photo_height: u32,
    width_a: u32,
    height_a: u32,
    width_b: u32,
    height_b: u32,
    // Size of the viewport.
    width: u32,
    height: u32,
    // Layer pixels per photo pixel.
    across_a: f32,
    down_a: f32,
    across_b: f32,
    down_b: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> photo: array<u32>;
@group(0) @binding(2) var<storage, read> label_a: array<u32>;
@group(0) @binding(3) var<storage, read> layer_a: array<u32>;
@group(0) @binding(4) var<storage, read> label_b: array<u32>;
@group(0) @binding(5) var<storage, read> layer_b: array<u32>;
@group(0) @binding(6) var<storage, read> view: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<u32>;

const OPAQUE: u32 = 0xff000000u;
// How far the hairline around the photo is from the background to white, the grid from the photo to mid grey, and a dark
// contour from the layer to black per share of the layer, in 256ths.
const HAIRLINE: u32 = 40u;
const GRID: u32 = 80u;
const CONTOUR: u32 = 160u;

// False if a and b are the same picture: nothing is read of b then.
override TWO: bool = true;

// The view, and what follows from it, for all pixels.
struct Look {
    origin: vec2<f32>,
    scale: f32,
    opacity: u32,
    contour: u32,
    split: vec3<f32>,
    background: u32,
    hairline: u32,
    grey: u32,
    dim: u32,
    smooth_photo: bool,
    label_bits: u32,
    grid: bool,
}

fn look() -> Look {
    let place = view[0];
    let lines = view[1];
    let ground = view[2];
    let extras = view[3];
    let channels = vec3<u32>(clamp(ground.xyz, vec3<f32>(0.0), vec3<f32>(255.0)));
    let background = channels.x | (channels.y << 8u) | (channels.z << 16u);
    return Look(
        place.xy,
        place.z,
        in_256ths(place.w),
        u32(lines.x),
        lines.yzw,
        background,
        toward(background, 0xffffffu, HAIRLINE),
        in_256ths(ground.w),
        in_256ths(extras.x),
        // From 4x on single pixels are wanted as they are.
        extras.y > 0.5 && place.z < 1.0 && place.z > 0.25,
        select(0xffffffffu, 0xffffu, extras.z > 0.5),
        extras.w > 0.5 && place.z * 12.0 <= 1.0,
    );
}

// One of the two pictures: how its pixels lie on the photo, and which it is.
struct Pane {
    ratio: vec2<f32>,
    last: vec2<i32>,
    width: i32,
    right: bool,
}

fn pane_of(right: bool) -> Pane {
    let ratio = select(vec2<f32>(params.across_a, params.down_a), vec2<f32>(params.across_b, params.down_b), right);
    let size = select(vec2<u32>(params.width_a, params.height_a), vec2<u32>(params.width_b, params.height_b), right);
    return Pane(ratio, vec2<i32>(size) - 1, i32(size.x), right);
}

// Beyond the photo the nearest pixel of the layer stands in, so the photo's edge is no border between labels.
fn layer_index(pane: Pane, at: vec2<f32>) -> i32 {
    let cell = clamp(vec2<i32>(at * pane.ratio), vec2<i32>(0), pane.last);
    return cell.y * pane.width + cell.x;
}

fn label_at(pane: Pane, at: vec2<f32>) -> u32 {
    let index = layer_index(pane, at);
    if (TWO) {
        if (pane.right) {
            return label_b[index];
        }
    }
    return label_a[index];
}

fn layer_at(pane: Pane, at: vec2<f32>) -> u32 {
    let index = layer_index(pane, at);
    if (TWO) {
        if (pane.right) {
            return layer_b[index];
        }
    }
    return layer_a[index];
}

fn is_border(look: Look, pane: Pane, at: vec2<f32>) -> bool {
    let d = 0.75 * look.scale;
    var before = 0u;
    // Bits in which any of the five differs from the one before it.
    var other = 0u;
    for (var i = 0u; i < select(0u, 5u, look.contour > 0u); i += 1u) {
        let across = select(0.0, d, i == 2u) - select(0.0, d, i == 1u);
        let down = select(0.0, d, i == 4u) - select(0.0, d, i == 3u);
        let label = label_at(pane, at + vec2<f32>(across, down));
        other |= select(before ^ label, 0u, i == 0u);
        before = label;
    }
    return (other & look.label_bits) != 0u;
}

// The photo at a place inside it.
fn photo_at(look: Look, at: vec2<f32>) -> u32 {
    let last = vec2<i32>(i32(params.photo_width), i32(params.photo_height)) - 1;
    // Pixel centres are at halves.
    let p = at - select(0.0, 0.5, look.smooth_photo);
    let low = floor(p);
    let t = vec2<u32>(vec2<i32>((p - low) * 256.0 + 0.5));
    let first = clamp(vec2<i32>(low), vec2<i32>(0), last);
    // Without smoothing all four are the same.
    let next = min(vec2<i32>(low) + select(0, 1, look.smooth_photo), last);
    let top = first.y * i32(params.photo_width);
    let bottom = next.y * i32(params.photo_width);
    let upper = toward(photo[top + first.x], photo[top + next.x], t.x);
    let lower = toward(photo[bottom + first.x], photo[bottom + next.x], t.x);
    return toward(upper, lower, t.y);
}

// A colour of the photo under one of the layer.
fn under(look: Look, border: bool, seen: u32, over: u32) -> u32 {
    let base = toward(toward(seen, grey_of(seen), look.grey), 0u, look.dim);
    let alpha = over >> 24u;
    // 0..=256: full alpha and full opacity give the layer's own colour.
    let weight = ((alpha + (alpha >> 7u)) * look.opacity + 128u) >> 8u;
    let color = toward(base, over, select(weight, 0u, look.contour == 1u && !border));
    return toward(color, 0u, select(0u, (weight * CONTOUR) >> 8u, look.contour == 2u && border));
}

// The mean of n x n taps of the footprint of a pixel; `outside` where a tap is beside the photo.
fn reduced(look: Look, pane: Pane, border: bool, at: vec2<f32>, n: u32) -> u32 {
    let step = look.scale / f32(n);
    let first = at - 0.5 * (look.scale - step);
    // Channels of up to 9 taps fit the 16 bits between them.
    var red_blue = 0u;
    var green = 0u;
    var column = 0u;
    var row = 0u;
    for (var i = 0u; i < n * n; i += 1u) {
        let tap = first + vec2<f32>(f32(i32(column)), f32(i32(row))) * step;
        let cell = vec2<u32>(vec2<i32>(floor(tap)));
        var color = look.hairline;
        // Negative numbers are huge ones here.
        if (cell.x < params.photo_width && cell.y < params.photo_height) {
            color = under(look, border, photo[cell.y * params.photo_width + cell.x], layer_at(pane, tap));
        }
        red_blue += color & 0xff00ffu;
        green += (color >> 8u) & 0xffu;
        // Neither a second loop nor a division by n, which costs more than the tap on a software adapter.
        column += 1u;
        let ended = column == n;
        row += select(0u, 1u, ended);
        column = select(column, 0u, ended);
    }
    // 9 is odd and 4 a power of two: no mean lies where rounding could go either way.
    let sums = vec3<f32>(vec3<i32>(vec3<u32>(red_blue & 0xffffu, green, red_blue >> 16u)));
    let mean = vec3<u32>(vec3<i32>(sums / f32(n * n) + 0.5));
    return mean.x | (mean.y << 8u) | (mean.z << 16u);
}

fn canvas_pixel(look: Look, pixel: vec2<f32>) -> u32 {
    var place = pixel + 0.5;
    let right = look.split.x > 0.5 && place.x >= look.split.y;
    var gap = false;
    if (right && look.split.x > 1.5) {
        place.x -= look.split.y + look.split.z;
        gap = place.x < 0.0;
    }
    let at = look.origin + place * look.scale;
    let size = vec2<f32>(f32(params.photo_width), f32(params.photo_height));
    let inside = all(at >= vec2<f32>(0.0)) && all(at < size);
    // The photo and its hairline.
    if (gap || !(all(at >= vec2<f32>(-look.scale)) && all(at < size + look.scale))) {
        return OPAQUE | look.background;
    }
    let pane = pane_of(right);
    let border = is_border(look, pane, at);
    var color = look.hairline;
    if (look.scale > 1.0) {
        color = reduced(look, pane, border, at, u32(clamp(ceil(look.scale), 1.0, 3.0)));
    } else if (inside) {
        color = under(look, border, photo_at(look, at), layer_at(pane, at));
    }
    let line = look.grid && inside && any(floor(at) != floor(at - look.scale));
    return OPAQUE | toward(color, 0x808080u, select(0u, GRID, line));
}

@compute @workgroup_size(64)
fn canvas(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let y = group.y;
    let view_now = look();
    let end = min(group.x * 512u + 512u, params.width);
    for (var x = group.x * 512u + lane; x < end; x += 64u) {
        out[y * params.width + x] = canvas_pixel(view_now, vec2<f32>(f32(x), f32(y)));
    }
}
