//! Cars in space: a body and a cabin drawn from their side outline, seen from any direction.

use super::car_shape::{Model, Shape};
use super::class;
use super::math;
use super::noise::rgb;
use super::stage::{Ball, Stage};
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

const PAINTS: [u32; 14] = [
    0xb3202a, 0x1f4e9a, 0xe9e9e6, 0x15171b, 0x8f9499, 0x5c6268, 0x2f6b4f, 0xd98f1f, 0x7fa6c9, 0x6b1f2e,
    0xd8c9a8, 0x3a3f58, 0xe2c22f, 0xb9bec4,
];

/// A car standing on the road.
#[derive(Clone, Debug)]
pub(super) struct Car {
    /// The middle of its footprint.
    pub foot: Vec3,
    /// Length and width in metres.
    pub size: Vec2,
    front: Vec3,
    left: Vec3,
    shape: Shape,
    paint: Vec3,
    rim: Vec3,
    braking: bool,
    taxi: bool,
}

impl Car {
    /// A car at random whose nose points along `heading` (radians from the z axis).
    pub fn random(foot: Vec3, heading: f32, rng: &mut Rng) -> Self {
        let shape = Shape::random(rng);
        let (sin, cos) = (math::sin(heading), math::cos(heading));
        let paint = rgb(PAINTS[rng.below(14) as usize]) * rng.range(0.85, 1.1);
        Self {
            foot,
            size: vec2(shape.length, shape.width),
            front: Vec3::new(sin, 0.0, cos),
            left: Vec3::new(-cos, 0.0, sin),
            taxi: shape.model == Model::Saloon && rng.chance(0.12),
            paint,
            rim: Vec3::splat(rng.range(0.12, 0.5)),
            braking: rng.chance(0.3),
            shape,
        }
    }

    /// Whether `point` on the ground lies under the car or within `margin` metres of it.
    pub fn covers(&self, point: Vec3, margin: f32) -> bool {
        let d = point - self.foot;
        d.dot(self.front).abs() < 0.5 * self.size.x + margin
            && d.dot(self.left).abs() < 0.5 * self.size.y + margin
    }

    /// Whether the car stands between `eye` and `point` (true), or `point` between `eye` and the car (false), as far as
    /// the car's sides can tell.
    pub fn hides(&self, point: Vec3, eye: Vec3) -> Option<bool> {
        let mut answer = None;
        for (axis, half) in [(self.front, 0.5 * self.size.x), (self.left, 0.5 * self.size.y)] {
            let (there, here) = ((point - self.foot).dot(axis), (eye - self.foot).dot(axis));
            if there.abs() > half {
                let hidden = here * there.signum() <= half;
                if answer == Some(!hidden) {
                    return None;
                }
                answer = Some(hidden);
            }
        }
        answer
    }

    /// The point `p.x` metres ahead of the middle, `p.y` up, `z` to the left.
    fn at(&self, p: Vec2, z: f32) -> Vec3 {
        self.foot + self.front * p.x + Vec3::Y * p.y + self.left * z
    }

    /// The shadow on the ground.
    pub fn cast(&self, stage: &mut Stage) {
        let half = 0.5 * self.size.y - 0.06;
        let outline = |points: &[Vec2], z: f32| -> Vec<Ball> {
            points.iter().flat_map(|p| [(self.at(*p, z), 0.05), (self.at(*p, -z), 0.05)]).collect()
        };
        stage.cast(&outline(&self.shape.body, half), 1.0);
        stage.cast(&outline(&self.shape.cabin, half * 0.8), 1.0);
        let yaw = math::atan2(self.front.x, self.front.z);
        stage.contact(self.foot, vec2(0.52 * self.size.y, 0.51 * self.size.x), yaw, 0.95);
    }

    /// Draws the car, from the wheels on the far side to the near windows.
    pub fn draw(&self, stage: &mut Stage) {
        let eye = stage.camera.eye;
        let lit = stage.street.sun_reaches(stage.light.sun, self.foot + Vec3::Y * 0.9);
        let near = if (eye - self.foot).dot(self.left) > 0.0 { 1.0 } else { -1.0 };
        for x in [self.shape.axles.0, self.shape.axles.1] {
            for side in [-near, near] {
                self.tyre(stage, x, side);
            }
        }
        self.mirror(stage, -near, lit);
        self.hull(stage, lit, near);
        self.nose_and_tail(stage, lit);
        for x in [self.shape.axles.0, self.shape.axles.1] {
            self.wheel(stage, x, near, lit);
        }
        self.cabin(stage, lit, near);
    }

    /// A disc of `radius` around `(x, y)` in the plane `z` metres to the left.
    fn disc(&self, centre: Vec2, radius: f32, z: f32, count: usize) -> Vec<Vec3> {
        (0..count)
            .map(|i| {
                self.at(centre + math::turned(std::f32::consts::TAU * i as f32 / count as f32) * radius, z)
            })
            .collect()
    }

    /// The tread, which shows under the body.
    fn tyre(&self, stage: &mut Stage, x: f32, side: f32) {
        let radius = self.shape.wheel;
        let outer = side * (0.5 * self.size.y - 0.02);
        let inner = outer - side * 0.22;
        let mut points = Vec::with_capacity(32);
        for z in [outer, inner] {
            for point in self.disc(vec2(x, radius), radius, z, 16) {
                let Some(pixel) = stage.camera.project(point) else { return };
                points.push(pixel);
            }
        }
        let hull = super::canvas::convex_hull(&mut points);
        let color = stage.light.through_air(Vec3::splat(0.012), stage.camera.depth(self.foot));
        stage.fill(&hull, Some(class::CAR), |_| color.extend(1.0));
    }

    /// Whether a face at `point` with outward `normal` looks at the camera.
    fn seen(stage: &Stage, point: Vec3, normal: Vec3) -> bool {
        normal.dot(stage.camera.eye - point) > 0.0
    }

    /// Paint or glass: matt colour plus the mirrored sky, which grows towards shallow angles.
    fn coat(&self, stage: &Stage, point: Vec3, normal: Vec3, albedo: Vec3, gloss: f32, lit: f32) -> Vec3 {
        let ray = (point - stage.camera.eye).normalize_or_zero();
        let away = ray - 2.0 * ray.dot(normal) * normal;
        let fresnel = gloss + (1.0 - gloss) * 0.6 * math::power((1.0 + ray.dot(normal)).clamp(0.0, 1.0), 4);
        let mirror = if away.y > 0.0 { stage.light.mirror(away) } else { stage.light.bounce * 0.35 };
        let glint = math::power(away.dot(stage.light.sun).max(0.0), 60) * lit;
        stage.light.shade(albedo, normal, lit)
            + mirror * fresnel * 0.8
            + stage.light.direct * glint * gloss * 3.0
    }

    fn panel(&self, stage: &mut Stage, polygon: &[Vec3], normal: Vec3, albedo: Vec3, gloss: f32, lit: f32) {
        let middle = polygon.iter().sum::<Vec3>() / polygon.len() as f32;
        let color = self.coat(stage, middle, normal, albedo, gloss, lit);
        let outline = stage.camera.outline(polygon);
        let (top, low) =
            outline.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |a, p| (a.0.min(p.y), a.1.max(p.y)));
        // Upright panels curve a little: they look to the sky above and to the road below.
        let fall = 0.34 * (1.0 - normal.y.abs());
        let (light, depth) = (stage.light, stage.camera.depth(middle));
        stage.canvas.fill(&outline, Some(class::CAR), |pixel| {
            let t = (pixel.y - top) / (low - top).max(1.0);
            light.through_air(color * (1.0 + fall * (0.4 - t)), depth).extend(1.0)
        });
    }

    fn hull(&self, stage: &mut Stage, lit: f32, near: f32) {
        let body = &self.shape.body;
        let half = |p: Vec2| self.shape.half_width(p.y);
        let last = body.len() - 1;
        for i in 0..last {
            let (a, b) = (body[i], body[i + 1]);
            let normal = self.front * -(b - a).perp().x * -1.0 + Vec3::Y * (b - a).perp().y;
            let normal = normal.normalize_or_zero();
            let quad = [self.at(a, half(a)), self.at(b, half(b)), self.at(b, -half(b)), self.at(a, -half(a))];
            if Self::seen(stage, quad[0], normal) {
                self.panel(stage, &quad, normal, self.paint, 0.10, lit);
            }
        }
        if !Self::seen(stage, self.at(vec2(0.0, self.shape.belt), near * half(body[4])), self.left * near) {
            return;
        }
        let side: Vec<Vec3> = body.iter().map(|p| self.at(*p, near * half(*p))).collect();
        let normal = (self.left * near + Vec3::Y * 0.08).normalize();
        let (camera, light) = (stage.camera, stage.light);
        let low = self.at(body[0], near * half(body[0]));
        let outline = camera.outline(&side);
        let base = self.coat(stage, side[0], normal, self.paint, 0.06, lit);
        let depth = camera.depth(self.foot);
        let plane = (low - camera.eye).dot(normal);
        let belt = self.shape.belt;
        let horizon = light.horizon;
        stage.fill(&outline, Some(class::CAR), |pixel| {
            let ray = camera.ray(pixel);
            let y = camera.eye.y + ray.y * (plane / normal.dot(ray).min(-1e-3));
            let t = (y / belt).clamp(0.0, 1.0);
            // The flank curves: its shoulder mirrors the sky, its lower half the road.
            let shoulder = (1.0 - ((t - 0.86) / 0.10).abs()).max(0.0);
            let color = base * (0.50 + 0.62 * t) + horizon * (0.14 * shoulder);
            light.through_air(color, depth).extend(1.0)
        });
        // Sill, door joints and handles.
        let z = near * (0.5 * self.size.y);
        let sill = [
            vec2(body[0].x, 0.24),
            vec2(body[last].x, 0.24),
            vec2(body[last].x, 0.33),
            vec2(body[0].x, 0.33),
        ];
        stage.tinted(&sill.map(|p| self.at(p, z)), None, Vec3::splat(0.015), 0.8);
        for &x in &self.shape.doors {
            let joint = [vec2(x, 0.34), vec2(x + 0.022, 0.34), vec2(x + 0.022, belt), vec2(x, belt)];
            stage.tinted(&joint.map(|p| self.at(p, near * half(p))), None, Vec3::splat(0.01), 0.6);
            let y = belt - 0.16;
            let handle =
                [vec2(x + 0.06, y), vec2(x + 0.24, y), vec2(x + 0.24, y + 0.035), vec2(x + 0.06, y + 0.035)];
            stage.tinted(&handle.map(|p| self.at(p, near * half(p))), None, self.paint * 0.3, 0.8);
        }
    }

    /// Lights, grille, number plate and bumper on the end that looks at the camera.
    fn nose_and_tail(&self, stage: &mut Stage, lit: f32) {
        let toward = (stage.camera.eye - self.foot).dot(self.front);
        let ahead = toward > 0.0;
        let sign = if ahead { 1.0 } else { -1.0 };
        let x = |y: f32| self.shape.end_at(ahead, y) + sign * 0.01;
        if (toward.abs()) < 0.5 * self.size.x {
            return;
        }
        let half = 0.5 * self.size.y;
        let normal = self.front * sign;
        let rectangle = |z0: f32, z1: f32, y0: f32, y1: f32| {
            [
                self.at(vec2(x(y0), y0), z0),
                self.at(vec2(x(y0), y0), z1),
                self.at(vec2(x(y1), y1), z1),
                self.at(vec2(x(y1), y1), z0),
            ]
        };
        let car = Some(class::CAR);
        let lamps_on = stage.light.lamps > 0.2;
        let (low, high) = self.shape.lamps(ahead);
        stage.face(&rectangle(-half + 0.02, half - 0.02, 0.24, 0.40), normal, car, Vec3::splat(0.03), lit);
        if ahead {
            stage.face(
                &rectangle(-0.36 * self.size.y + 0.12, 0.36 * self.size.y - 0.12, 0.42, low - 0.02),
                normal,
                car,
                Vec3::splat(0.025),
                lit,
            );
        } else {
            stage.face(&rectangle(-half + 0.1, half - 0.1, 0.40, 0.52), normal, car, self.paint * 0.75, lit);
        }
        stage.face(
            &rectangle(-0.26, 0.26, 0.47, 0.58),
            normal,
            car,
            rgb(if ahead { 0xf0f0ea } else { 0xf0dc8a }),
            lit,
        );
        for side in [-1.0, 1.0] {
            let (inner, outer) = if ahead { (half - 0.46, half - 0.06) } else { (half - 0.34, half - 0.04) };
            let lens = rectangle(side * inner, side * outer, low, high);
            if ahead {
                stage.face(&lens, normal, car, rgb(0xe8eef2), lit.max(0.4));
                if lamps_on {
                    stage.glowing(&lens, None, rgb(0xfff2d0) * 2.2);
                }
            } else {
                let glow = if self.braking || lamps_on { 0.9 } else { 0.0 };
                let color = stage.light.shade(rgb(0xb01820), normal, lit) + rgb(0xff2a20) * glow;
                stage.glowing(&lens, car, color);
            }
        }
    }

    fn wheel(&self, stage: &mut Stage, x: f32, near: f32, lit: f32) {
        let radius = self.shape.wheel;
        let centre = vec2(x, radius);
        let z = near * (0.5 * self.size.y + 0.005);
        let normal = self.left * near;
        if !Self::seen(stage, self.at(centre, z), normal) {
            return;
        }
        let car = Some(class::CAR);
        stage.glowing(&self.disc(centre + vec2(0.0, 0.03), radius * 1.17, z, 20), car, Vec3::splat(0.006));
        stage.face(&self.disc(centre, radius, z, 20), normal, car, Vec3::splat(0.02), lit);
        stage.face(&self.disc(centre, radius * 0.66, z, 18), normal, car, self.rim, lit * 0.8);
        for spoke in 0..5 {
            let angle = std::f32::consts::TAU * (spoke as f32 / 5.0 + 0.13 * x);
            let (a, b) = (math::turned(angle - 0.32), math::turned(angle + 0.32));
            let hole =
                [centre + a * radius * 0.58, centre + b * radius * 0.58, centre + (a + b) * radius * 0.13];
            stage.tinted(&hole.map(|p| self.at(p, z)), None, Vec3::splat(0.01), 0.8);
        }
    }

    fn mirror(&self, stage: &mut Stage, side: f32, lit: f32) {
        let at = vec2(self.shape.cabin[3].x - 0.42, self.shape.belt + 0.07);
        let z = side * (0.5 * self.size.y + 0.04);
        let balls = [(self.at(at, z), 0.07), (self.at(at, z + side * 0.09), 0.075)];
        let paint = self.paint * 0.7;
        stage.body(&balls, Some(class::CAR), lit, |_, _| paint);
    }

    fn cabin(&self, stage: &mut Stage, lit: f32, near: f32) {
        let cabin = &self.shape.cabin;
        let (belt, roof) = self.shape.cabin_widths();
        let height = cabin[1].y - cabin[0].y;
        let half = |p: Vec2| belt + (roof - belt) * ((p.y - cabin[0].y) / height);
        let glass = Vec3::splat(0.02);
        // Rear window, roof, windscreen: points 0-1, 1-2, 2-3 of the outline.
        for i in 0..3 {
            let (a, b) = (cabin[i], cabin[i + 1]);
            let d = b - a;
            let normal = (self.front * -d.y + Vec3::Y * d.x).normalize();
            let quad = |inset: f32| {
                let (p, q) = (a.lerp(b, inset), b.lerp(a, inset));
                let shrink = 1.0 - 1.3 * inset;
                [
                    self.at(p, half(p) * shrink),
                    self.at(q, half(q) * shrink),
                    self.at(q, -half(q) * shrink),
                    self.at(p, -half(p) * shrink),
                ]
            };
            if !Self::seen(stage, quad(0.0)[0], normal) {
                continue;
            }
            self.panel(stage, &quad(0.0), normal, self.paint, 0.10, lit);
            if i != 1 {
                self.panel(stage, &quad(0.09), normal, glass, 0.16, lit);
                // A streak of mirrored sky across the pane.
                let [p, q, r, s] = quad(0.09);
                let (top, low) = (q.lerp(r, 0.35), p.lerp(s, 0.15));
                let streak = [top, q.lerp(r, 0.55), p.lerp(s, 0.40), low];
                stage.tinted(&streak, None, stage.light.horizon, 0.13);
            }
        }
        let normal = (self.left * near * height + Vec3::Y * (belt - roof)).normalize();
        let corners: Vec<Vec3> = cabin.iter().map(|p| self.at(*p, near * half(*p))).collect();
        if !Self::seen(stage, corners[0], normal) {
            return;
        }
        self.panel(stage, &corners, normal, self.paint, 0.06, lit);
        for pane in self.shape.panes() {
            let polygon: Vec<Vec3> = pane.iter().map(|p| self.at(*p, near * (half(*p) + 0.004))).collect();
            self.panel(stage, &polygon, normal, glass, 0.15, lit);
        }
        self.mirror(stage, near, lit);
        if self.taxi {
            let y = cabin[1].y;
            let quad = |x: f32, z: f32| self.at(vec2(x - 0.2, y + 0.0), z);
            let (a, b) = (quad(0.0, -0.3), quad(0.0, 0.3));
            let up = Vec3::Y * 0.16;
            stage.glowing(&[a, b, b + up, a + up], Some(class::CAR), rgb(0xf4d040));
        }
    }
}
