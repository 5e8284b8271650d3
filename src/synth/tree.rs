//! Trees and hedges: a forked trunk under many lit clusters of leaves.

use super::class;
use super::math;
use super::noise::{cell, rgb, value};
use super::stage::{Ball, Stage};
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

const GREENS: [u32; 7] = [0x4f7a2f, 0x3f6b34, 0x6b8a34, 0x5a7d45, 0x77913e, 0x365b3a, 0x86963f];
const AUTUMN: [u32; 4] = [0xc07a2a, 0xb5522a, 0xcf9c34, 0x9a6a34];

/// A tree with its clusters of leaves, in world coordinates.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Where the trunk meets the ground.
    pub foot: Vec3,
    wood: Vec<(Ball, Ball)>,
    clusters: Vec<(Vec3, f32, f32)>,
    leaf: Vec3,
    bark: Vec3,
    centre: Vec3,
    half: Vec3,
    seed: u32,
}

impl Tree {
    /// A street tree at random.
    pub fn random(foot: Vec3, rng: &mut Rng) -> Self {
        let height = rng.range(4.2, 9.5);
        let conifer = rng.chance(0.12);
        let slim = if conifer || rng.chance(0.2) { rng.range(0.14, 0.2) } else { rng.range(0.27, 0.40) };
        let clear = if conifer { 0.6 } else { rng.range(1.9, 2.9) };
        let half = Vec3::new(height * slim, 0.5 * (height - clear), height * slim);
        let centre = foot + Vec3::Y * (clear + half.y);
        let autumn = !conifer && rng.chance(0.14);
        let palette: &[u32] = if autumn { &AUTUMN } else { &GREENS };
        let leaf = rgb(palette[rng.below(palette.len() as u32) as usize]) * rng.range(0.8, 1.15);
        let thick = 0.022 * height + rng.range(0.0, 0.06);
        let mut wood = Vec::new();
        let fork = foot + Vec3::new(rng.range(-0.15, 0.15), clear + 0.15 * half.y, rng.range(-0.15, 0.15));
        wood.push(((foot, thick), (fork, 0.7 * thick)));
        let mut clusters = Vec::new();
        let count = if conifer { 34 } else { 30 + rng.below(14) };
        for i in 0..count {
            let turn = math::turned(i as f32 * 2.4 + rng.range(-0.4, 0.4));
            let level = rng.range(-1.0, 1.0);
            let (reach, size) = if conifer {
                let taper = 0.5 * (1.0 - level);
                (taper * rng.range(0.4, 0.9), 0.16 + 0.34 * taper)
            } else {
                ((1.0 - level * level).sqrt() * rng.range(0.35, 0.85), rng.range(0.26, 0.44))
            };
            let at = centre + half * Vec3::new(turn.x * reach, level * 0.82, turn.y * reach);
            clusters.push((at, size * half.x.min(half.y), rng.range(0.8, 1.2)));
            if i < 4 && !conifer {
                wood.push(((fork, 0.5 * thick), (at, 0.15 * thick)));
            }
        }
        let bark = rgb([0x5b4a3a, 0x6e6255, 0x4a3d33, 0x8a8478][rng.below(4) as usize]);
        Self { foot, wood, clusters, leaf, bark, centre, half, seed: rng.bits() }
    }

    /// A colour of leaves for [`Self::hedge`].
    pub fn green(rng: &mut Rng) -> Vec3 {
        rgb(GREENS[rng.below(7) as usize]) * rng.range(0.75, 0.95)
    }

    /// A piece of hedge with `half` its length along x and z and its full `height`, in metres.
    pub fn hedge(foot: Vec3, half: Vec2, height: f32, leaf: Vec3, rng: &mut Rng) -> Self {
        let half = Vec3::new(half.x, 0.5 * height, half.y);
        let centre = foot + Vec3::Y * half.y;
        let count = (6.0 + 5.0 * height * half.x.max(half.z)) as u32;
        let clusters = (0..count)
            .map(|_| {
                let p = Vec3::new(rng.range(-0.8, 0.8), rng.range(-0.9, 0.8), rng.range(-0.9, 0.9));
                (centre + half * p, rng.range(0.40, 0.58), rng.range(0.8, 1.15))
            })
            .collect();
        // Upright stems so thick that nobody looks through between the leaves.
        let thick = 0.8 * half.x.min(half.z);
        let run = (half - Vec3::splat(thick)).max(Vec3::ZERO).with_y(0.0);
        let num_stems = (run.x.max(run.z) / thick).ceil().max(1.0);
        let stem = |i: u32| {
            let at = foot + run * (2.0 * i as f32 / num_stems - 1.0);
            // Their tops stay under the leaves.
            ((at + Vec3::Y * thick, thick), (at + Vec3::Y * (height - 0.15 - thick), thick))
        };
        let wood = (0..=num_stems as u32).map(stem).collect();
        Self { foot, wood, clusters, leaf, bark: leaf * 0.4, centre, half, seed: rng.bits() }
    }

    /// The shadow on the ground, with holes between the clusters.
    pub fn cast(&self, stage: &mut Stage) {
        for &(a, b) in self.wood.iter().take(1) {
            stage.cast(&[a, b], 1.0);
        }
        let (step, grow) = self.detail(stage);
        for &(at, radius, _) in self.clusters.iter().step_by(step) {
            stage.cast(&[(at, radius * 0.85 * grow)], 0.88);
        }
        let size = vec2(self.half.x.min(0.7), self.half.z.min(0.7).max(0.4 * self.half.z));
        stage.contact(self.foot, size, 0.0, 0.6);
    }

    /// Every how many clusters one is drawn, and how much larger: a far tree needs fewer.
    fn detail(&self, stage: &Stage) -> (usize, f32) {
        let pixels = self.half.y * stage.camera.focal / stage.camera.depth(self.foot).max(1.0);
        if pixels < 9.0 {
            (3, 1.4)
        } else if pixels < 20.0 {
            (2, 1.2)
        } else {
            (1, 1.0)
        }
    }

    /// Draws trunk, then clusters, the hidden side first.
    pub fn draw(&self, stage: &mut Stage) {
        let lit = stage.street.sun_reaches(stage.light.sun, self.foot + Vec3::Y * 1.2);
        let bark = self.bark;
        for &(a, b) in &self.wood {
            let seed = self.seed;
            stage.body(&[a, b], Some(class::TREE), lit * 0.8, |along, across| {
                bark * (0.7 + 0.6 * value(seed, vec2(across * 3.0, along * 14.0)))
            });
        }
        let forward = stage.camera.forward;
        let (step, grow) = self.detail(stage);
        let mut order: Vec<usize> = (0..self.clusters.len()).step_by(step).collect();
        order.sort_by(|&a, &b| {
            let key =
                |i: usize| self.clusters[i].0.dot(forward) + 0.6 * self.clusters[i].0.dot(-stage.light.sun);
            key(b).total_cmp(&key(a))
        });
        for i in order {
            self.cluster(stage, i, grow);
        }
    }

    fn cluster(&self, stage: &mut Stage, index: usize, grow: f32) {
        let (at, radius, tone) = self.clusters[index];
        let (camera, light) = (stage.camera, stage.light);
        let Some((middle, size)) = camera.circle(at, radius * grow) else { return };
        let seed = self.seed.wrapping_add(index as u32 * 31);
        let count = (9.0 + size * 1.5).min(96.0) as usize;
        let outline: Vec<Vec2> = (0..count)
            .map(|i| {
                let ragged = 0.86 + 0.26 * cell(seed, i as i32, 0) + 0.10 * cell(seed, i as i32 / 4, 1);
                middle + math::turned(std::f32::consts::TAU * i as f32 / count as f32) * size * ragged
            })
            .collect();
        let lit = stage.street.sun_reaches(light.sun, at);
        let depth = camera.depth(at);
        // Clusters deep in the crown, and low ones, get less of sun and sky.
        let place = (at - self.centre) / self.half;
        let open = (0.50 + 0.50 * place.length().min(1.0)) * (0.80 + 0.26 * place.y);
        let toward = place.normalize_or_zero();
        let leaf_size = (0.10 * camera.focal / depth).max(1.5);
        stage.fill(&outline, Some(class::TREE), |pixel| {
            let offset = ((pixel - middle) / size).clamp_length_max(0.95);
            let front = (1.0 - offset.length_squared()).sqrt();
            let round = camera.right * offset.x - camera.up * offset.y - camera.forward * front;
            let normal = (round + toward * 0.8).normalize();
            let leaf =
                value(seed, pixel / leaf_size) * 0.65 + value(seed ^ 3, pixel / leaf_size * 2.3) * 0.35;
            // The lower rim of a cluster lies in the shade of the next one.
            let rim = 1.0 - 0.45 * (offset.y * 0.8 + offset.length_squared() * 0.4).max(0.0);
            let albedo = self.leaf * tone * open * rim * (0.45 + 1.1 * leaf);
            // Leaves let some light through: the side away from the sun glows a little.
            let through = self.leaf * light.direct * (0.10 * lit * (-normal.dot(light.sun)).max(0.0));
            let color = light.shade(albedo, normal, lit * (0.45 + 0.75 * leaf)) + through;
            light.through_air(color, depth).extend(1.0)
        });
    }
}
