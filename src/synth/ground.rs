//! Road and pavement: asphalt, lane marks, zebra crossing, kerb and slabs, with all the shadows that fall on them.

use super::class;
use super::light::Light;
use super::math;
use super::noise::{bar, cell, fractal, rgb, smooth, stripes, value};
use super::stage::Stage;
use super::street::Street;
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

/// The look of the ground.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    asphalt: Vec3,
    slab: Vec3,
    slab_size: Vec2,
    mark: Vec3,
    wear: f32,
    wet: f32,
    seed: u32,
}

impl Ground {
    /// A look at random.
    pub fn random(rng: &mut Rng) -> Self {
        let grey = rng.range(0.085, 0.20);
        let asphalt = Vec3::new(grey, grey * rng.range(0.96, 1.02), grey * rng.range(0.95, 1.12));
        let slabs = [0xb3aca0, 0x9c9890, 0xc4b8a2, 0xa88f80, 0x8d9296];
        Self {
            asphalt,
            slab: rgb(slabs[rng.below(5) as usize]) * rng.range(0.75, 1.05),
            slab_size: vec2(rng.range(0.4, 1.2), rng.range(0.4, 1.2)),
            mark: if rng.chance(0.85) { rgb(0xeeeeea) } else { rgb(0xe8c24a) },
            wear: rng.range(0.1, 0.6),
            wet: if rng.chance(0.15) { rng.range(0.15, 0.4) } else { 0.0 },
            seed: rng.bits(),
        }
    }

    /// Paints every pixel below the horizon.
    pub fn draw(&self, stage: &mut Stage) {
        let (camera, light, street) = (stage.camera, stage.light, stage.street);
        let width = stage.canvas.width;
        let hit = |pixel: Vec2| {
            let ray = camera.ray(pixel);
            (ray.y < -1e-4).then(|| camera.eye + ray * (camera.eye.y / -ray.y))
        };
        for i in 0..stage.canvas.color.len() {
            let pixel = vec2((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
            let Some(point) = hit(pixel) else { continue };
            let depth = camera.depth(point);
            if street.is_built_over(point) {
                let color = light.through_air(light.shade(self.slab, Vec3::Y, 0.0), depth);
                stage.canvas.set(i, color, class::PAVEMENT);
                continue;
            }
            let next = |step: Vec2| hit(pixel + step).map_or(Vec3::splat(9.0), |p| (p - point).abs());
            let footprint = (next(Vec2::X) + next(Vec2::Y)).min(Vec3::splat(30.0));
            let (albedo, label) = self.at(street, point, footprint);
            let blocked = stage.shadows.blocked[i];
            let lit = street.sun_reaches(light.sun, point) * (1.0 - blocked.x);
            let mut color = light.shade(albedo, Vec3::Y, lit) * (1.0 - 0.75 * blocked.y);
            if self.wet > 0.0 {
                color = self.wet_look(color, light, camera.ray(pixel).normalize(), point);
            }
            stage.canvas.set(i, light.through_air(color, depth), label);
        }
    }

    /// Dark where water stands in a film, with the sky mirrored at shallow angles.
    fn wet_look(&self, color: Vec3, light: &Light, ray: Vec3, point: Vec3) -> Vec3 {
        let puddle = smooth(0.40, 0.62, fractal(self.seed ^ 40, vec2(point.x, point.z) * 0.35, 3));
        let fresnel = math::power((1.0 + ray.y).clamp(0.0, 1.0), 4);
        let mirror = light.mirror(ray.with_y(-ray.y));
        (color * (1.0 - 0.45 * self.wet * puddle))
            .lerp(mirror, self.wet * (0.25 + 1.2 * puddle) * fresnel * 0.8)
    }

    fn at(&self, street: &Street, point: Vec3, footprint: Vec3) -> (Vec3, u8) {
        let z = point.z;
        let offset = street.offset(point);
        let across = footprint.x + (2.0 * street.bend * z).abs() * footprint.z;
        let (kerb, run) = street.beyond_kerb(offset, z);
        let span = run.x * across + run.y * footprint.z;
        let place = vec2(offset, z);
        let label = if kerb < 0.0 { class::ROAD } else { class::PAVEMENT };
        let road =
            if kerb < 0.5 * span { self.road(street, place, vec2(across, footprint.z)) } else { Vec3::ZERO };
        if kerb < -0.5 * span - 0.3 {
            return (road, label);
        }
        let slab = self.slabs(place, vec2(across, footprint.z));
        let stone = self.slab.lerp(Vec3::splat(0.5), 0.5)
            * (1.0 - 0.35 * stripes(if run.x > run.y { z } else { offset }, 1.0, 0.0, 0.04, footprint.z));
        let gutter = road * (1.0 - 0.5 * bar(kerb, -0.22, 0.0, span));
        let face = bar(kerb, 0.0, 0.07, span);
        let top = bar(kerb, 0.07, 0.26, span);
        let beyond = bar(kerb, 0.26, 1e4, span);
        let within = bar(kerb, -1e4, 0.0, span);
        (gutter * within + stone * 0.55 * face + stone * top + slab * beyond, label)
    }

    fn slabs(&self, place: Vec2, footprint: Vec2) -> Vec3 {
        let size = self.slab_size;
        let row = (place.y / size.y).floor();
        let shift = 0.5 * size.x * (row as i32 & 1) as f32;
        let joint = stripes(place.x + shift, size.x, 0.0, 0.03, footprint.x).max(stripes(
            place.y,
            size.y,
            0.0,
            0.03,
            footprint.y,
        ));
        let fine = 1.0 - (footprint.max_element() / 0.8).min(1.0);
        let one = cell(self.seed ^ 3, ((place.x + shift) / size.x).floor() as i32, row as i32);
        let dirt = fractal(self.seed ^ 4, place * 0.7, 3);
        self.slab * (0.80 + 0.35 * dirt) * (1.0 + fine * 0.22 * (one - 0.5)) * (1.0 - 0.45 * joint)
    }

    fn road(&self, street: &Street, place: Vec2, footprint: Vec2) -> Vec3 {
        let fine = 1.0 - (footprint.max_element() / 0.3).min(1.0);
        let patch = fractal(self.seed, place * vec2(0.30, 0.11), 3);
        let mut color = self.asphalt * (0.72 + 0.55 * patch);
        if fine > 0.0 {
            color *= 1.0 + fine * 0.45 * (value(self.seed ^ 9, place * 26.0) - 0.5);
        }
        color *= self.repairs(place, footprint);
        // Tyres polish two tracks per lane.
        let lane = 0.5 * street.road.min(3.6);
        let track = ((place.x.abs() - lane).abs() - 0.75).abs();
        color *= 1.0 - 0.14 * (1.0 - smooth(0.1, 0.55, track));
        let mark = self.marks(street, place, footprint);
        if mark < 0.01 {
            return color;
        }
        let rubbed = 1.0 - self.wear * smooth(0.35, 0.75, fractal(self.seed ^ 20, place * 2.3, 2));
        color.lerp(self.mark * 0.72, mark * rubbed)
    }

    /// Newer asphalt in straight-edged patches, and manhole covers: the factor on the colour.
    fn repairs(&self, place: Vec2, footprint: Vec2) -> f32 {
        let size = vec2(4.5, 9.0);
        let tile = (place / size).floor();
        let draw = |salt: u32| cell(self.seed ^ salt, tile.x as i32, tile.y as i32);
        let p = place - tile * size;
        if draw(30) < 0.22 {
            let (x, y) = (0.2 + 1.5 * draw(31), 0.3 + 3.0 * draw(32));
            let inside = bar(p.x, x, x + 0.8 + 1.8 * draw(33), footprint.x);
            return 1.0 - 0.30 * inside * bar(p.y, y, y + 1.0 + 4.0 * draw(34), footprint.y);
        }
        if draw(30) > 0.80 {
            let distance = (p - vec2(1.0 + 2.5 * draw(31), 1.0 + 7.0 * draw(32))).length();
            let span = footprint.length();
            let lid = bar(distance, -1.0, 0.31, span);
            let ring = bar(distance, 0.27, 0.34, span);
            let grid = stripes(p.x + p.y, 0.12, 0.0, 0.05, span);
            return 1.0 - 0.35 * lid - 0.35 * ring + 0.2 * lid * (1.0 - ring) * grid;
        }
        1.0
    }

    /// The share of a pixel that is painted.
    fn marks(&self, street: &Street, place: Vec2, footprint: Vec2) -> f32 {
        let (x, z) = (place.x, place.y);
        let mut mark = 0.0f32;
        if let Some((middle, half)) = street.crossing
            && (z - middle).abs() < half + 0.5
        {
            return stripes(x, 4.0, 0.0, 2.0, footprint.x)
                * bar(z, middle - 0.06, middle + 0.06, footprint.y)
                * smooth(street.road, street.road + 1.0, x.abs());
        }
        let clear = match street.zebra {
            Some(start) => {
                if z < start - 2.0 - footprint.y || z > start + 5.0 + footprint.y {
                    1.0
                } else {
                    let inside = bar(z, start, start + 3.4, footprint.y)
                        * bar(x.abs(), 0.0, street.road - 0.35, footprint.x);
                    mark = inside * stripes(x + 50.0, 1.0, 0.0, 0.5, footprint.x);
                    let stop = bar(z, start - 1.3, start - 0.9, footprint.y)
                        * bar(x, 0.1, street.road - 0.4, footprint.x);
                    mark = mark.max(stop);
                    1.0 - bar(z, start - 1.5, start + 4.5, footprint.y)
                }
            }
            None => 1.0,
        };
        if x.abs() > 0.2 + footprint.x && x.abs() < street.road - 2.3 - footprint.x {
            return mark;
        }
        let dashes = bar(x, -0.065, 0.065, footprint.x) * stripes(z + 80.0, 6.0, 0.0, 3.0, footprint.y);
        mark = mark.max(dashes * clear);
        for (side, parked) in [(-1.0, street.parking[0]), (1.0, street.parking[1])] {
            let edge = street.road - if parked { 2.15 } else { 0.35 };
            let line = bar(x * side, edge - 0.05, edge + 0.05, footprint.x) * clear;
            mark = mark.max(line * if parked { stripes(z + 80.0, 1.2, 0.0, 0.6, footprint.y) } else { 0.85 });
        }
        mark
    }
}
