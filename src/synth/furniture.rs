//! Poles and what hangs on them: street lamps, traffic lights, bollards, traffic signs.

use super::class;
use super::noise::rgb;
use super::stage::Stage;
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

/// What stands on a pole's foot.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A lamp on an arm that points along the unit vector.
    Lamp {
        /// Height of the mast.
        height: f32,
        /// Towards the road.
        arm: Vec3,
    },
    /// Three lights, one of which is on.
    Traffic {
        /// The direction the lights look.
        facing: Vec3,
        /// 0 = red, 1 = amber, 2 = green.
        on: usize,
    },
    /// A post that keeps cars away.
    Bollard,
    /// One or two plates.
    Sign {
        /// The direction the plates look.
        facing: Vec3,
        /// Height of the mast.
        height: f32,
        /// Shapes from the top down.
        plates: Vec<Plate>,
    },
}

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

/// A pole with what it carries.
#[derive(Clone, Debug)]
pub(super) struct Furniture {
    /// Where it stands.
    pub foot: Vec3,
    /// What it is.
    pub kind: Kind,
    paint: Vec3,
}

impl Furniture {
    /// `kind` at `foot`, painted at random.
    pub fn new(foot: Vec3, kind: Kind, rng: &mut Rng) -> Self {
        let paints = [0x4a4f55, 0x8d9196, 0x2f3a38, 0x6b6f72];
        Self { foot, kind, paint: rgb(paints[rng.below(4) as usize]) }
    }

    /// A sign post at random that looks along `facing`.
    pub fn sign(foot: Vec3, facing: Vec3, rng: &mut Rng) -> Self {
        let shapes = [
            Shape::Stop,
            Shape::NoEntry,
            Shape::Limit,
            Shape::Order,
            Shape::Warning,
            Shape::GiveWay,
            Shape::Parking,
            Shape::Board,
        ];
        let count = 1 + usize::from(rng.chance(0.3));
        let plates = (0..count)
            .map(|i| {
                let shape = shapes[rng.below(if i == 0 { 8 } else { 7 }) as usize];
                Plate { shape, size: rng.range(0.36, 0.52), variant: rng.bits() }
            })
            .collect();
        let kind = Kind::Sign { facing, height: rng.range(2.5, 3.2), plates };
        let mut post = Self::new(foot, kind, rng);
        post.paint = rgb(0x9a9da0);
        post
    }

    fn mast(&self) -> (f32, f32) {
        match &self.kind {
            Kind::Lamp { height, .. } => (*height, 0.085),
            Kind::Traffic { .. } => (3.0, 0.075),
            Kind::Bollard => (0.95, 0.09),
            Kind::Sign { height, .. } => (*height, 0.045),
        }
    }

    /// The shadow on the ground.
    pub fn cast(&self, stage: &mut Stage) {
        let (height, radius) = self.mast();
        stage.cast(&[(self.foot, radius), (self.foot + Vec3::Y * height, radius * 0.7)], 1.0);
        match &self.kind {
            Kind::Lamp { arm, .. } => {
                let top = self.foot + Vec3::Y * height;
                stage.cast(&[(top, 0.05), (top + *arm * 1.5, 0.12)], 1.0);
            }
            Kind::Sign { plates, .. } => {
                stage.cast(&[(self.foot + Vec3::Y * (height - 0.4), plates[0].size * 0.8)], 1.0);
            }
            Kind::Traffic { .. } => stage.cast(&[(self.foot + Vec3::Y * 2.7, 0.2)], 1.0),
            Kind::Bollard => {}
        }
        stage.contact(self.foot, Vec2::splat(0.22), 0.0, 0.5);
    }

    /// Draws mast and load.
    pub fn draw(&self, stage: &mut Stage) {
        let (height, radius) = self.mast();
        let top = self.foot + Vec3::Y * height;
        let lit = stage.street.sun_reaches(stage.light.sun, self.foot + Vec3::Y * (0.6 * height));
        stage.bar((self.foot, radius), (top, radius * 0.65), class::POLE, self.paint, lit, 1.5);
        match &self.kind {
            Kind::Lamp { arm, .. } => {
                stage.bar(
                    (self.foot, 0.13),
                    (self.foot + Vec3::Y * 0.8, 0.12),
                    class::POLE,
                    self.paint,
                    lit,
                    1.5,
                );
                let end = top + *arm * 1.3 + Vec3::Y * 0.25;
                stage.bar((top, 0.05), (end, 0.045), class::POLE, self.paint, lit, 1.2);
                stage.bar((end, 0.10), (end + *arm * 0.55, 0.08), class::POLE, self.paint * 0.8, lit, 2.0);
                if stage.light.lamps > 0.2 {
                    self.halo(stage, end + *arm * 0.3 - Vec3::Y * 0.08);
                }
            }
            Kind::Traffic { facing, on } => self.traffic(stage, *facing, *on, lit),
            Kind::Bollard => {
                let ring = self.foot + Vec3::Y * 0.75;
                stage.bar(
                    (ring, 0.095),
                    (ring + Vec3::Y * 0.1, 0.095),
                    class::POLE,
                    Vec3::splat(0.8),
                    lit,
                    1.5,
                );
            }
            Kind::Sign { facing, plates, .. } => {
                let mut level = height;
                for plate in plates {
                    level -= plate.size;
                    plate.draw(stage, self.foot + Vec3::Y * level + *facing * 0.07, *facing, lit);
                    level -= plate.size + 0.06;
                }
            }
        }
    }

    fn halo(&self, stage: &mut Stage, at: Vec3) {
        let Some((middle, size)) = stage.camera.circle(at, 0.9) else { return };
        let circle: Vec<Vec2> = (0..20)
            .map(|i| middle + Vec2::from_angle(std::f32::consts::TAU * i as f32 / 20.0) * size)
            .collect();
        let warm = rgb(0xffdfa8) * 1.6;
        stage.fill(&circle, None, |pixel| {
            let fall = 1.0 - (pixel.distance(middle) / size).min(1.0);
            warm.extend(0.9 * fall * fall * fall)
        });
    }

    fn traffic(&self, stage: &mut Stage, facing: Vec3, on: usize, lit: f32) {
        let plane = Plane::new(self.foot + Vec3::Y * 2.65 + facing * 0.16, facing, 1.0);
        let front = plane.looks_at(stage.camera.eye);
        let case = [vec2(-0.19, -0.5), vec2(0.19, -0.5), vec2(0.19, 0.5), vec2(-0.19, 0.5)];
        plane.paint(stage, &case, rgb(0x23262a), lit);
        if !front {
            return;
        }
        for lamp in 0..3 {
            let color = [0xff3322, 0xffb020, 0x35e07a][lamp];
            let y = 0.31 - 0.31 * lamp as f32;
            let disc: Vec<Vec2> = ring(14, 0.115).iter().map(|p| *p + vec2(0.0, y)).collect();
            let outline = stage.camera.outline(&disc.iter().map(|p| plane.at(*p)).collect::<Vec<_>>());
            let glow = if lamp == on { rgb(color) * 1.5 } else { rgb(color) * 0.10 };
            stage.fill(&outline, Some(class::SIGN), |_| glow.extend(1.0));
        }
    }
}

/// A regular polygon of `count` corners in the unit plane.
fn ring(count: usize, radius: f32) -> Vec<Vec2> {
    let turn = std::f32::consts::TAU / count as f32;
    (0..count)
        .map(|i| Vec2::from_angle(turn * (i as f32 + 0.5) - std::f32::consts::FRAC_PI_2) * radius)
        .collect()
}

fn rectangle(low: Vec2, high: Vec2) -> Vec<Vec2> {
    vec![low, vec2(high.x, low.y), high, vec2(low.x, high.y)]
}

/// A plate's own plane in space.
struct Plane {
    centre: Vec3,
    across: Vec3,
    normal: Vec3,
    size: f32,
}

impl Plane {
    fn new(centre: Vec3, facing: Vec3, size: f32) -> Self {
        Self { centre, across: facing.cross(Vec3::Y).normalize(), normal: facing, size }
    }

    fn at(&self, p: Vec2) -> Vec3 {
        self.centre + (self.across * p.x + Vec3::Y * p.y) * self.size
    }

    fn looks_at(&self, eye: Vec3) -> bool {
        self.normal.dot(eye - self.centre) > 0.0
    }

    fn paint(&self, stage: &mut Stage, shape: &[Vec2], albedo: Vec3, lit: f32) {
        let polygon: Vec<Vec3> = shape.iter().map(|p| self.at(*p)).collect();
        let normal = if self.looks_at(stage.camera.eye) { self.normal } else { -self.normal };
        stage.face(&polygon, normal, Some(class::SIGN), albedo, lit);
    }
}

impl Plate {
    fn draw(&self, stage: &mut Stage, centre: Vec3, facing: Vec3, lit: f32) {
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
                layer(&rectangle(vec2(-0.55, -0.13), vec2(0.5, 0.13)).map_x(way), white);
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

/// Mirrors a shape left to right where `way` is -1.
trait MapX {
    fn map_x(self, way: f32) -> Self;
}

impl MapX for Vec<Vec2> {
    fn map_x(mut self, way: f32) -> Self {
        for p in &mut self {
            p.x *= way;
        }
        self
    }
}
