//! Poles and what hangs on them: street lamps, traffic lights, bollards, sign posts.

use super::class;
use super::math;
use super::noise::rgb;
use super::sign::{Plane, Plate, ring};
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
        let count = 1 + u32::from(rng.chance(0.3));
        let plates = (0..count).map(|i| Plate::random(i == 0, rng)).collect();
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
                stage.cast(&[(self.foot + Vec3::Y * (height - 0.4), plates[0].half_width() * 0.8)], 1.0);
            }
            Kind::Traffic { .. } => stage.cast(&[(self.foot + Vec3::Y * 2.7, 0.2)], 1.0),
            Kind::Bollard => {}
        }
        stage.contact(self.foot, Vec2::splat(0.22), 0.0, 0.5);
    }

    /// Draws mast and load, what is farther from the eye first.
    pub fn draw(&self, stage: &mut Stage) {
        let (height, _) = self.mast();
        let lit = stage.street.sun_reaches(stage.light.sun, self.foot + Vec3::Y * (0.6 * height));
        // Plates and lights hang before the mast: who looks at their backs sees the mast in front of them.
        let from_behind = match &self.kind {
            Kind::Traffic { facing, .. } | Kind::Sign { facing, .. } => {
                facing.dot(stage.camera.eye - self.foot) < 0.0
            }
            Kind::Lamp { .. } | Kind::Bollard => false,
        };
        if from_behind {
            self.load(stage, lit);
            self.post(stage, lit);
        } else {
            self.post(stage, lit);
            self.load(stage, lit);
        }
    }

    fn post(&self, stage: &mut Stage, lit: f32) {
        let (height, radius) = self.mast();
        let top = self.foot + Vec3::Y * height;
        stage.bar((self.foot, radius), (top, radius * 0.65), class::POLE, self.paint, lit, 1.5);
    }

    fn load(&self, stage: &mut Stage, lit: f32) {
        let pole = |stage: &mut Stage, from, to, paint, pixels| {
            stage.bar(from, to, class::POLE, paint, lit, pixels);
        };
        match &self.kind {
            Kind::Lamp { height, arm } => {
                let top = self.foot + Vec3::Y * *height;
                pole(stage, (self.foot, 0.13), (self.foot + Vec3::Y * 0.8, 0.12), self.paint, 1.5);
                let end = top + *arm * 1.3 + Vec3::Y * 0.25;
                pole(stage, (top, 0.05), (end, 0.045), self.paint, 1.2);
                pole(stage, (end, 0.10), (end + *arm * 0.55, 0.08), self.paint * 0.8, 2.0);
                if stage.light.lamps > 0.2 {
                    self.halo(stage, end + *arm * 0.3 - Vec3::Y * 0.08);
                }
            }
            Kind::Traffic { facing, on } => self.traffic(stage, *facing, *on, lit),
            Kind::Bollard => {
                let ring = self.foot + Vec3::Y * 0.75;
                pole(stage, (ring, 0.095), (ring + Vec3::Y * 0.1, 0.095), Vec3::splat(0.8), 1.5);
            }
            Kind::Sign { facing, height, plates } => {
                let mut level = *height;
                for plate in plates {
                    level -= plate.half_width();
                    plate.draw(stage, self.foot + Vec3::Y * level + *facing * 0.07, *facing, lit);
                    level -= plate.half_width() + 0.06;
                }
            }
        }
    }

    fn halo(&self, stage: &mut Stage, at: Vec3) {
        let Some((middle, size)) = stage.camera.circle(at, 0.9) else { return };
        let circle: Vec<Vec2> =
            (0..20).map(|i| middle + math::turned(std::f32::consts::TAU * i as f32 / 20.0) * size).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::camera::Camera;
    use crate::synth::street::Street;
    use crate::synth::tests::labels_of;

    #[test]
    fn a_post_stands_before_the_back_of_its_sign_and_behind_the_front() {
        let street = Street::random(&mut Rng::new(1, 1));
        let camera = Camera::new(Vec3::new(0.0, 2.4, 0.0), 0.0, 0.0, 0.0, 160.0, Vec2::splat(50.0));
        let in_the_middle = |kind: Kind, y: f32| {
            let post = Furniture::new(Vec3::Z * 4.0, kind, &mut Rng::new(2, 2));
            let labels = labels_of(&camera, &street, (100, 100), |stage| post.draw(stage));
            let pixel = camera.project(post.foot + Vec3::Y * y).expect("before the camera");
            labels[pixel.y as usize * 100 + pixel.x as usize]
        };
        for (facing, expected) in [(-Vec3::Z, class::SIGN), (Vec3::Z, class::POLE)] {
            let plates = vec![Plate::random(true, &mut Rng::new(3, 3))];
            let half = plates[0].half_width();
            let sign = Kind::Sign { facing, height: 2.8, plates };
            assert_eq!(in_the_middle(sign, 2.8 - half), expected, "a sign that looks along {facing}");
            assert_eq!(
                in_the_middle(Kind::Traffic { facing, on: 0 }, 2.65),
                expected,
                "lights along {facing}"
            );
        }
    }
}
