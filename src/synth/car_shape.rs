//! Side outlines of cars, in metres: x ahead of the middle, y above the road.

use crate::rng::Rng;
use glam::{Vec2, vec2};

/// The kind of car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Saloon,
    Hatchback,
    Suv,
    Estate,
    Van,
}

/// The measures of one car.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Its kind.
    pub model: Model,
    /// Bumper to bumper.
    pub length: f32,
    /// Without mirrors.
    pub width: f32,
    /// Height of the belt line under the windows.
    pub belt: f32,
    /// Outline of the body from the lower rear over the top to the lower front.
    pub body: Vec<Vec2>,
    /// Outline of the cabin: base rear, roof rear, roof front, base front.
    pub cabin: [Vec2; 4],
    /// Radius of the wheels.
    pub wheel: f32,
    /// Positions of the rear and the front axle.
    pub axles: (f32, f32),
    /// Positions of the door joints, from the rear.
    pub doors: Vec<f32>,
}

impl Shape {
    /// A car at random.
    pub fn random(rng: &mut Rng) -> Self {
        let model = match rng.below(20) {
            0..6 => Model::Saloon,
            6..12 => Model::Hatchback,
            12..16 => Model::Suv,
            16..18 => Model::Estate,
            _ => Model::Van,
        };
        // Length, width, belt, roof; then shares of the length: trunk end, roof rear, roof front, windscreen foot.
        let m = match model {
            Model::Saloon => [4.6, 1.80, 0.95, 1.44, -0.34, -0.19, 0.06, 0.20],
            Model::Hatchback => [3.95, 1.74, 0.96, 1.48, -0.485, -0.38, 0.07, 0.24],
            Model::Suv => [4.55, 1.88, 1.10, 1.68, -0.485, -0.41, 0.06, 0.20],
            Model::Estate => [4.6, 1.80, 0.96, 1.48, -0.485, -0.43, 0.06, 0.20],
            Model::Van => [4.9, 1.94, 1.15, 1.98, -0.495, -0.485, 0.24, 0.38],
        };
        let length = m[0] * rng.range(0.95, 1.05);
        let belt = m[2] * rng.range(0.97, 1.03);
        let roof = m[3] * rng.range(0.97, 1.04);
        let x = |share: f32| share * length;
        let cabin =
            [vec2(x(m[4]), belt), vec2(x(m[5]), roof), vec2(x(m[6]), roof - 0.02), vec2(x(m[7]), belt)];
        let hood = belt - rng.range(0.08, 0.16);
        let body = vec![
            vec2(x(-0.485), 0.24),
            vec2(x(-0.50), 0.50),
            vec2(x(-0.495), belt - 0.14),
            vec2(x(if model == Model::Saloon { -0.475 } else { -0.487 }), belt),
            vec2(x(m[7]), belt),
            vec2(x(0.44), hood),
            vec2(x(0.49), hood - 0.13),
            vec2(x(0.50), 0.48),
            vec2(x(0.485), 0.24),
        ];
        let wheel = if model == Model::Suv { 0.36 } else { 0.315 } * rng.range(0.97, 1.06);
        let doors = match model {
            Model::Van => vec![x(0.05)],
            _ => vec![x(-0.20), x(-0.0)],
        };
        Self { model, length, width: m[1], belt, body, cabin, wheel, axles: (x(-0.30), x(0.315)), doors }
    }

    /// Half the width of the body at height `y`: it narrows a little upwards and at the sill.
    pub fn half_width(&self, y: f32) -> f32 {
        let t = ((y - 0.5) / (self.belt - 0.5)).clamp(-0.6, 1.0);
        0.5 * self.width * (1.0 - 0.045 * t * t)
    }

    /// Half the width of the cabin at the belt and at the roof.
    pub fn cabin_widths(&self) -> (f32, f32) {
        let narrow = if self.model == Model::Van { 0.9 } else { 0.78 };
        (0.5 * self.width * 0.935, 0.5 * self.width * narrow)
    }

    /// The outline's x at height `y` on the nose (`ahead`) or the tail.
    pub fn end_at(&self, ahead: bool, y: f32) -> f32 {
        let half: Vec<Vec2> =
            if ahead { self.body[5..].iter().rev().copied().collect() } else { self.body[..4].to_vec() };
        for pair in half.windows(2) {
            if y <= pair[1].y {
                let t = ((y - pair[0].y) / (pair[1].y - pair[0].y).max(1e-3)).clamp(0.0, 1.0);
                return pair[0].lerp(pair[1], t).x;
            }
        }
        half[half.len() - 1].x
    }

    /// Lower and upper edge of the head lamps (`ahead`) or the tail lamps.
    pub fn lamps(&self, ahead: bool) -> (f32, f32) {
        if ahead {
            let top = self.body[6].y;
            (top - 0.15, top + 0.02)
        } else {
            (self.belt - 0.30, self.belt - 0.10)
        }
    }

    /// The side windows.
    pub fn panes(&self) -> Vec<[Vec2; 4]> {
        let [a, b, c, d] = self.cabin;
        let at = |s: f32, t: f32| a.lerp(d, s).lerp(b.lerp(c, s), t);
        let pane = |from: f32, to: f32| [at(from, 0.1), at(from, 0.87), at(to, 0.87), at(to, 0.1)];
        match self.model {
            Model::Van => vec![pane(0.70, 0.96)],
            Model::Saloon | Model::Hatchback => vec![pane(0.08, 0.47), pane(0.52, 0.94)],
            Model::Suv | Model::Estate => vec![pane(0.06, 0.24), pane(0.27, 0.58), pane(0.62, 0.95)],
        }
    }
}
