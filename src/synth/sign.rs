//! Traffic signs: plates with borders and simple symbols.

use super::class;
use super::math;
use super::noise::rgb;
use super::stage::Stage;
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

/// A traffic sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plate {
    shape: Shape,
    /// Half of its width in metres.
    size: f32,
    variant: u32,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Stop,
    NoEntry,
    Limit,
    Order,
    Warning,
    GiveWay,
    Parking,
    Board,
}

/// The wide board comes last.
const SHAPES: [Shape; 8] = [
    Shape::Stop,
    Shape::NoEntry,
    Shape::Limit,
    Shape::Order,
    Shape::Warning,
    Shape::GiveWay,
    Shape::Parking,
    Shape::Board,
];

/// A regular polygon of `count` corners in the unit plane.
pub(super) fn ring(count: usize, radius: f32) -> Vec<Vec2> {
    let turn = std::f32::consts::TAU / count as f32;
    (0..count).map(|i| math::turned(turn * (i as f32 + 0.5) - std::f32::consts::FRAC_PI_2) * radius).collect()
}

fn rectangle(low: Vec2, high: Vec2) -> Vec<Vec2> {
    vec![low, vec2(high.x, low.y), high, vec2(low.x, high.y)]
}

/// A plate's own plane in space.
pub(super) struct Plane {
    centre: Vec3,
    across: Vec3,
    normal: Vec3,
    size: f32,
}

impl Plane {
    /// The plane through `centre` that looks along the level unit vector `facing`; one unit is `size` metres.
    pub fn new(centre: Vec3, facing: Vec3, size: f32) -> Self {
        Self { centre, across: facing.cross(Vec3::Y).normalize(), normal: facing, size }
    }

    /// The point `p.x` to the right and `p.y` up, as seen from the front.
    pub fn at(&self, p: Vec2) -> Vec3 {
        self.centre + (self.across * p.x + Vec3::Y * p.y) * self.size
    }

    /// Whether `eye` sees the front.
    pub fn looks_at(&self, eye: Vec3) -> bool {
        self.normal.dot(eye - self.centre) > 0.0
    }

    /// Draws a shape of the plane in one colour.
    pub fn paint(&self, stage: &mut Stage, shape: &[Vec2], albedo: Vec3, lit: f32) {
        let polygon: Vec<Vec3> = shape.iter().map(|p| self.at(*p)).collect();
        let normal = if self.looks_at(stage.camera.eye) { self.normal } else { -self.normal };
        stage.face(&polygon, normal, Some(class::SIGN), albedo, lit);
    }
}

impl Plate {
    /// A plate at random; a wide board only where it is the `first` on its post.
    pub fn random(first: bool, rng: &mut Rng) -> Self {
        let shape = SHAPES[rng.below(if first { 8 } else { 7 }) as usize];
        Self { shape, size: rng.range(0.36, 0.52), variant: rng.bits() }
    }

    /// Half of its width and height, in metres.
    pub fn half_width(&self) -> f32 {
        self.size
    }

    /// Draws it at `centre`, its front towards `facing`.
    pub fn draw(&self, stage: &mut Stage, centre: Vec3, facing: Vec3, lit: f32) {
        let plane = Plane::new(centre, facing, self.size);
        let (red, blue, white) = (rgb(0xc8202a), rgb(0x1f5fb4), rgb(0xf4f4f0));
        let (dark, yellow) = (rgb(0x1c1c20), rgb(0xf2c230));
        let scaled = |shape: &[Vec2], s: f32| shape.iter().map(|p| *p * s).collect::<Vec<_>>();
        let triangle =
            |flip: f32| vec![vec2(-1.0, -0.8 * flip), vec2(1.0, -0.8 * flip), vec2(0.0, 0.95 * flip)];
        let outer: Vec<Vec2> = match self.shape {
            Shape::Stop => ring(8, 1.04),
            Shape::NoEntry | Shape::Limit | Shape::Order => ring(28, 1.0),
            Shape::Warning => triangle(1.0),
            Shape::GiveWay => triangle(-1.0),
            Shape::Parking => rectangle(vec2(-0.85, -0.85), vec2(0.85, 0.85)),
            Shape::Board => rectangle(vec2(-2.0, -0.75), vec2(2.0, 0.75)),
        };
        if !plane.looks_at(stage.camera.eye) {
            plane.paint(stage, &outer, rgb(0x8b8e90), lit);
            return;
        }
        let mut layer = |shape: &[Vec2], albedo: Vec3| plane.paint(stage, shape, albedo, lit);
        match self.shape {
            Shape::Stop => {
                layer(&outer, white);
                layer(&scaled(&outer, 0.9), red);
                for i in 0..4 {
                    let x = -0.62 + 0.34 * i as f32;
                    layer(&rectangle(vec2(x, -0.24), vec2(x + 0.22, 0.24)), white);
                }
            }
            Shape::NoEntry => {
                layer(&outer, white);
                layer(&scaled(&outer, 0.94), red);
                layer(&rectangle(vec2(-0.68, -0.17), vec2(0.68, 0.17)), white);
            }
            Shape::Limit => {
                layer(&outer, red);
                layer(&scaled(&outer, 0.76), white);
                let tens = self.variant % 3;
                layer(&rectangle(vec2(-0.46, -0.36), vec2(-0.08, 0.36)), dark);
                let cut = if tens == 0 { vec2(-0.36, 0.08) } else { vec2(-0.46, 0.08) };
                layer(&rectangle(cut, vec2(-0.18, 0.24)), white);
                layer(&rectangle(vec2(-0.46, -0.24), vec2(-0.18, -0.08)), white);
                layer(&rectangle(vec2(0.06, -0.36), vec2(0.46, 0.36)), dark);
                layer(&rectangle(vec2(0.19, -0.23), vec2(0.33, 0.23)), white);
            }
            Shape::Order => {
                layer(&outer, white);
                layer(&scaled(&outer, 0.93), blue);
                let way = if self.variant.is_multiple_of(2) { 1.0 } else { -1.0 };
                layer(&rectangle(vec2(-0.55, -0.13), vec2(0.55, 0.13)), white);
                layer(&[vec2(0.2, 0.5), vec2(0.72, 0.0), vec2(0.2, -0.5)].map(|p| p * vec2(way, 1.0)), white);
            }
            Shape::Warning => {
                layer(&outer, red);
                let inside = if self.variant.is_multiple_of(3) { yellow } else { white };
                layer(&triangle(1.0).iter().map(|p| *p * 0.68 - vec2(0.0, 0.06)).collect::<Vec<_>>(), inside);
                layer(&rectangle(vec2(-0.07, -0.22), vec2(0.07, 0.25)), dark);
                layer(&rectangle(vec2(-0.08, -0.46), vec2(0.08, -0.31)), dark);
            }
            Shape::GiveWay => {
                layer(&outer, red);
                layer(&triangle(-1.0).iter().map(|p| *p * 0.66 + vec2(0.0, 0.07)).collect::<Vec<_>>(), white);
            }
            Shape::Parking => {
                layer(&outer, white);
                layer(&scaled(&outer, 0.92), blue);
                layer(&rectangle(vec2(-0.32, -0.52), vec2(-0.1, 0.52)), white);
                layer(&rectangle(vec2(-0.1, -0.05), vec2(0.38, 0.52)), white);
                layer(&rectangle(vec2(-0.1, 0.12), vec2(0.2, 0.34)), blue);
            }
            Shape::Board => {
                let paint = [blue, rgb(0x1d7a4a), yellow][(self.variant % 3) as usize];
                let ink = if self.variant % 3 == 2 { dark } else { white };
                layer(&outer, ink);
                layer(&rectangle(vec2(-1.93, -0.68), vec2(1.93, 0.68)), paint);
                for row in 0..2 {
                    let y = 0.12 - 0.55 * row as f32;
                    let long = 0.3 + (self.variant >> (8 + 4 * row) & 15) as f32 * 0.06;
                    layer(&rectangle(vec2(-1.6, y), vec2(-1.6 + 1.2 + long, y + 0.26)), ink);
                }
                layer(&[vec2(1.1, 0.4), vec2(1.65, 0.0), vec2(1.1, -0.4)], ink);
            }
        }
    }
}
