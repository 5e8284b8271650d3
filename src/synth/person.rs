//! People with articulated bodies: head, torso, arms and legs of rounded limbs around a posed skeleton.

use super::class;
use super::math;
use super::noise::{rgb, value};
use super::stage::{Ball, Stage};
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

const SKIN: [u32; 7] = [0xf1c9a8, 0xe0ac86, 0xc98d63, 0xa56d48, 0x7d4e33, 0x5a3826, 0xf5d6bf];
const HAIR: [u32; 7] = [0x1d1714, 0x3a281c, 0x6b4a2c, 0xb58a4c, 0x8c8c8c, 0x7a2f1a, 0x0f0f12];
const TOPS: [u32; 16] = [
    0xc23b3b, 0x2f5fa8, 0xe2b53a, 0x3a7d4c, 0xf0efe9, 0x24262c, 0x7a4fa0, 0xe07a3a, 0x5fa8c4, 0x8a8f96,
    0xc98fa8, 0x1f3550, 0x6b5a3c, 0xd64f7a, 0x9ab83a, 0x4a2f2a,
];
const LEGS: [u32; 8] = [0x2b3a58, 0x1e1f24, 0x4a5a78, 0x6e6352, 0xa89a7c, 0x3a3f3a, 0x7c7f86, 0x54302a];

/// A limb: its balls and its colour.
type Limb = (Vec<Ball>, Vec3);

/// A posed person, ready to draw.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Where the person stands.
    pub foot: Vec3,
    legs: [Vec<Limb>; 2],
    arms: [Vec<Limb>; 2],
    /// Torso, neck, skirt or coat, in drawing order.
    trunk: Vec<Limb>,
    pack: Option<Limb>,
    face: Limb,
    hair: Limb,
    eyes: [Ball; 2],
    hat: Option<Limb>,
    umbrella: Option<(Vec3, f32, Vec3)>,
    stripes: f32,
    seed: u32,
}

fn pick(colors: &[u32], rng: &mut Rng) -> Vec3 {
    rgb(colors[rng.below(colors.len() as u32) as usize]) * rng.range(0.8, 1.15)
}

impl Person {
    /// A person at random who looks along `heading` (radians from the z axis).
    pub fn random(foot: Vec3, heading: f32, rng: &mut Rng) -> Self {
        let child = rng.chance(0.12);
        let height = if child { rng.range(1.05, 1.4) } else { rng.range(1.56, 1.93) };
        let build = rng.range(0.88, 1.22);
        let walking = rng.chance(0.72);
        let (front, right) = (
            Vec3::new(math::sin(heading), 0.0, math::cos(heading)),
            Vec3::new(math::cos(heading), 0.0, -math::sin(heading)),
        );
        let h = height;
        let phase = rng.range(0.0, std::f32::consts::TAU);
        let swing = if walking { rng.range(0.3, 0.55) } else { rng.range(0.0, 0.10) };
        let skin = pick(&SKIN, rng) * 0.82;
        let top = pick(&TOPS, rng);
        let trousers = pick(&LEGS, rng);
        let shoe = rgb([0x1a1a1c, 0x3a2a20, 0xe6e6e6, 0x5a2a2a][rng.below(4) as usize]);
        let dress = rng.chance(0.22);
        let coat = !dress && rng.chance(0.25);
        let short_trousers = !dress && rng.chance(0.15);
        let short_sleeves = rng.chance(0.4);
        let direction = |angle: f32| front * math::sin(angle) - Vec3::Y * math::cos(angle);
        let hip = foot + Vec3::Y * 0.53 * h;
        let bare_legs = dress || short_trousers;
        let legs = [-1.0f32, 1.0].map(|side| {
            let p = phase + if side > 0.0 { std::f32::consts::PI } else { 0.0 };
            let thigh = swing * math::sin(p);
            let bend = if walking { 0.15 + 0.75 * swing * (math::cos(p).max(0.0) * 1.6) } else { 0.03 };
            let socket = hip + right * (side * 0.052 * h * build);
            let spread = right * (side * if walking { 0.0 } else { 0.02 * h });
            let knee = socket + direction(thigh) * (0.245 * h) + spread;
            let ankle = knee + direction(thigh - bend) * (0.235 * h) + spread * 0.5;
            let toe = ankle + front * (0.085 * h) - Vec3::Y * 0.012 * h;
            let shin = if bare_legs { skin } else { trousers };
            let upper = if dress { skin } else { trousers };
            let w = 0.5 + 0.5 * build;
            vec![
                (vec![(ankle, 0.026 * h), (toe, 0.019 * h)], shoe),
                (vec![(knee, 0.038 * h * w), (ankle, 0.027 * h * w)], shin),
                (vec![(socket, 0.056 * h * w), (knee, 0.040 * h * w)], upper),
            ]
        });
        // The lower foot stands on the ground whatever the pose.
        let lowest = legs.iter().map(|l| l[0].0[0].0.y - 0.03 * h).fold(f32::INFINITY, f32::min);
        let drop = Vec3::Y * (foot.y - lowest);
        let lean = front * (if walking { 0.02 } else { 0.0 } * h);
        let shoulder = foot + Vec3::Y * 0.805 * h + lean;
        let phone = rng.chance(0.15);
        let arms = [-1.0f32, 1.0].map(|side| {
            let p = phase + if side > 0.0 { 0.0 } else { std::f32::consts::PI };
            let (swing_arm, bend) = if phone && side > 0.0 {
                (0.35, 1.9)
            } else {
                (0.9 * swing * math::sin(p), 0.3 + 0.5 * swing)
            };
            let socket = shoulder + right * (side * 0.108 * h * (0.6 + 0.4 * build)) - Vec3::Y * 0.012 * h;
            let out = right * (side * rng.range(0.01, 0.04) * h);
            let elbow = socket + direction(swing_arm) * (0.165 * h) + out;
            let hand = elbow + direction(swing_arm + bend) * (0.15 * h);
            let lower = if short_sleeves { skin } else { top };
            let w = 0.5 + 0.5 * build;
            vec![
                (vec![(socket, 0.034 * h * w), (elbow, 0.027 * h * w)], top * 0.93),
                (vec![(elbow, 0.026 * h * w), (hand, 0.019 * h)], lower * 0.95),
                (vec![(hand, 0.022 * h), (hand + direction(swing_arm + bend) * (0.03 * h), 0.018 * h)], skin),
            ]
        });
        let mut trunk = Vec::new();
        let half = 0.085 * h * (0.6 + 0.4 * build);
        let side = |s: f32, at: Vec3, w: f32| at + right * (s * w);
        let waist = foot + Vec3::Y * 0.53 * h;
        if dress || coat {
            let hem = foot + Vec3::Y * (if coat { 0.36 } else { rng.range(0.27, 0.38) }) * h;
            let flare = if coat { 0.07 } else { rng.range(0.075, 0.12) } * h;
            let cloth = if dress && rng.chance(0.5) { trousers } else { top };
            let skirt = vec![
                (waist, 0.05 * h),
                (side(-1.0, waist, 0.045 * h), 0.05 * h),
                (side(1.0, waist, 0.045 * h), 0.05 * h),
                (side(-1.0, hem, flare), 0.035 * h),
                (side(1.0, hem, flare), 0.035 * h),
                (hem, 0.05 * h),
            ];
            trunk.push((skirt, cloth));
        }
        let torso = vec![
            (shoulder, 0.05 * h),
            (side(-1.0, shoulder, half), 0.036 * h),
            (side(1.0, shoulder, half), 0.036 * h),
            (side(-1.0, waist, 0.6 * half * build), 0.052 * h),
            (side(1.0, waist, 0.6 * half * build), 0.052 * h),
            (waist, 0.055 * h * build),
        ];
        let neck = vec![(shoulder, 0.028 * h), (shoulder + Vec3::Y * 0.07 * h, 0.026 * h)];
        trunk.push((neck, skin * 0.85));
        trunk.push((torso, top));
        let big = if child { 1.22 } else { 1.0 };
        let head = shoulder + Vec3::Y * (0.118 * h) + front * 0.01 * h;
        let r = 0.058 * h * big;
        let hair_color = pick(&HAIR, rng);
        let long = rng.chance(0.38);
        let face = (
            vec![
                (head + front * 0.16 * r + Vec3::Y * 0.12 * r, 0.88 * r),
                (head + front * 0.2 * r - Vec3::Y * 0.42 * r, 0.64 * r),
            ],
            skin,
        );
        let eyes = [-1.0, 1.0]
            .map(|s| (face.0[0].0 + front * 0.72 * r + right * (s * 0.3 * r) - Vec3::Y * 0.08 * r, 0.1 * r));
        let crown = head - front * 0.20 * r + Vec3::Y * 0.34 * r;
        let nape = if long {
            head - front * 0.45 * r - Vec3::Y * 1.5 * r
        } else {
            head - front * 0.42 * r - Vec3::Y * 0.12 * r
        };
        let hair = (vec![(crown, 0.90 * r), (nape, if long { 0.66 } else { 0.72 } * r)], hair_color);
        let hat = rng.chance(0.16).then(|| {
            let brim = head + Vec3::Y * 0.45 * r;
            (
                vec![
                    (brim + front * 0.5 * r, 0.55 * r),
                    (brim - front * 0.2 * r + Vec3::Y * 0.3 * r, 0.95 * r),
                ],
                pick(&TOPS, rng),
            )
        });
        let pack = rng.chance(0.25).then(|| {
            let back = shoulder - front * (0.085 * h);
            (
                vec![(back - Vec3::Y * 0.02 * h, 0.06 * h), (back - Vec3::Y * 0.2 * h, 0.075 * h)],
                pick(&TOPS, rng),
            )
        });
        let umbrella = rng
            .chance(0.05)
            .then(|| (shoulder + right * 0.16 * h + front * 0.1 * h, 0.36 * h, pick(&TOPS, rng)));
        let stripes = if rng.chance(0.25) { rng.range(6.0, 12.0) } else { 0.0 };
        let mut person = Self {
            foot,
            legs,
            arms,
            trunk,
            pack,
            face,
            hair,
            eyes,
            hat,
            umbrella,
            stripes,
            seed: rng.bits(),
        };
        person.shift(drop);
        person
    }

    fn limbs_mut(&mut self) -> impl Iterator<Item = &mut Limb> {
        let (legs, arms) = (self.legs.iter_mut().flatten(), self.arms.iter_mut().flatten());
        let head = [&mut self.face, &mut self.hair];
        let extra = self.pack.iter_mut().chain(self.hat.iter_mut());
        legs.chain(arms).chain(self.trunk.iter_mut()).chain(head).chain(extra)
    }

    fn shift(&mut self, by: Vec3) {
        for limb in self.limbs_mut() {
            for ball in &mut limb.0 {
                ball.0 += by;
            }
        }
        for eye in &mut self.eyes {
            eye.0 += by;
        }
        if let Some(umbrella) = &mut self.umbrella {
            umbrella.0 += by;
        }
    }

    /// The shadow on the ground.
    pub fn cast(&self, stage: &mut Stage) {
        for limb in self.legs.iter().chain(&self.arms).flatten().chain(&self.trunk).chain([&self.hair]) {
            stage.cast(&limb.0, 1.0);
        }
        if let Some((at, size, _)) = self.umbrella {
            stage.cast(&[(at + Vec3::Y * 1.1 * size, 0.9 * size)], 1.0);
        }
        stage.contact(self.foot, vec2(0.28, 0.3), 0.0, 0.6);
    }

    /// Draws the limbs, those on the far side first.
    pub fn draw(&self, stage: &mut Stage) {
        let lit = [0.3, 1.4].map(|y| stage.street.sun_reaches(stage.light.sun, self.foot + Vec3::Y * y));
        let depth = |stage: &Stage, limb: &Limb| stage.camera.depth(limb.0[0].0);
        let torso = depth(stage, &self.trunk[self.trunk.len() - 1]);
        let behind = |stage: &Stage, limb: &Limb| depth(stage, limb) > torso;
        if let Some(pack) = self.pack.iter().find(|p| behind(stage, p)) {
            self.limb(stage, pack, lit[1]);
        }
        let far = usize::from(depth(stage, &self.arms[1][0]) > depth(stage, &self.arms[0][0]));
        for limb in &self.arms[far] {
            self.limb(stage, limb, lit[1]);
        }
        let first = usize::from(depth(stage, &self.legs[1][0]) > depth(stage, &self.legs[0][0]));
        for (limb, dark) in
            self.legs[first].iter().map(|l| (l, 0.8)).chain(self.legs[1 - first].iter().map(|l| (l, 1.0)))
        {
            self.limb(stage, &(limb.0.clone(), limb.1 * dark), lit[0]);
        }
        // Long hair falls behind the shoulders of someone who looks this way.
        let toward = depth(stage, &self.face) < depth(stage, &self.hair);
        if toward {
            self.limb(stage, &self.hair, lit[1]);
        }
        for limb in &self.trunk {
            self.limb(stage, limb, lit[1]);
        }
        self.head(stage, toward, lit[1]);
        if let Some(pack) = self.pack.iter().find(|p| !behind(stage, p)) {
            self.limb(stage, pack, lit[1]);
        }
        for limb in &self.arms[1 - far] {
            self.limb(stage, limb, lit[1]);
        }
        if let Some((at, size, color)) = self.umbrella {
            self.umbrella(stage, at, size, color, lit[1]);
        }
    }

    fn head(&self, stage: &mut Stage, toward: bool, lit: f32) {
        self.limb(stage, &self.face, lit);
        if !toward {
            self.limb(stage, &self.hair, lit);
        }
        for &(eye, radius) in &self.eyes {
            // Eyes are seen from the front only.
            if (eye - self.face.0[0].0).dot(stage.camera.forward) < -0.45 * self.face.0[0].1 {
                stage.body(&[(eye, radius)], Some(class::PERSON), lit, |_, _| Vec3::splat(0.01));
            }
        }
        if let Some(hat) = &self.hat {
            self.limb(stage, hat, lit);
        }
    }

    fn limb(&self, stage: &mut Stage, limb: &Limb, lit: f32) {
        let (seed, color, stripes) = (self.seed, limb.1, self.stripes);
        let large = limb.0.len() > 2;
        stage.body(&limb.0, Some(class::PERSON), lit, |along, across| {
            let folds = value(seed, vec2(along * 5.0 + across, across * 2.0));
            let band = if large && stripes > 0.0 && (along * stripes).fract() < 0.4 { 0.45 } else { 1.0 };
            color * (0.82 + 0.36 * folds) * band
        });
    }

    fn umbrella(&self, stage: &mut Stage, at: Vec3, size: f32, color: Vec3, lit: f32) {
        let top = at + Vec3::Y * 1.25 * size;
        stage.bar(
            (at - Vec3::Y * 0.6 * size, 0.012),
            (top, 0.012),
            class::PERSON,
            Vec3::splat(0.03),
            lit,
            1.0,
        );
        let Some((middle, radius)) = stage.camera.circle(top, size) else { return };
        let mut dome: Vec<Vec2> = (0..=16)
            .map(|i| {
                let angle = std::f32::consts::PI * i as f32 / 16.0;
                middle + vec2(math::cos(angle), -0.62 * math::sin(angle)) * radius
            })
            .collect();
        for i in 1..8 {
            let x = -1.0 + 0.25 * i as f32;
            dome.push(middle + vec2(x, if i % 2 == 0 { 0.0 } else { -0.09 }) * radius);
        }
        let (camera, light) = (stage.camera, stage.light);
        let depth = camera.depth(top);
        stage.fill(&dome, Some(class::PERSON), |pixel| {
            let p = (pixel - middle) / radius;
            let normal = (camera.right * p.x + Vec3::Y * 0.8 - camera.forward * 0.4).normalize();
            let gore = if ((p.x * 4.0).floor() as i32) & 1 == 0 { 1.0 } else { 0.85 };
            light.through_air(light.shade(color * gore, normal, lit), depth).extend(1.0)
        });
    }
}
