//! Houses in space: front, ends, roof, awning, and the skyline at the end of the street.

use super::class;
use super::facade::Glance;
use super::math;
use super::noise::{cell, fractal, rgb, stripes};
use super::stage::{Stage, Surface};
use super::street::House;
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

/// How far a house reaches back from its front, in metres.
pub(super) const DEPTH: f32 = 11.0;
/// How far the roof hangs over the front.
const EAVES: f32 = 0.35;

/// Draws one house.
pub(super) fn draw(stage: &mut Stage, house: &House) {
    let street = stage.street;
    let corner = |z: f32, back: f32, y: f32| street.point(z, house.side * (house.front + back), y);
    let (near, far) = house.along;
    let (a, b) = (corner(near, 0.0, 0.0), corner(far, 0.0, 0.0));
    if stage.camera.depth(a).max(stage.camera.depth(b)) < 0.5 {
        return;
    }
    let along = (b - a).normalize();
    let outward = Vec3::new(-house.side * along.z, 0.0, house.side * along.x);
    let facing = |normal: Vec3, at: Vec3| normal.dot(at - stage.camera.eye) < -0.02;
    // The end walls: only the one that looks at the camera is visible, and only past a lower or missing neighbour.
    for (z, normal) in [(near, -along), (far, along)] {
        if facing(normal, corner(z, 0.0, 0.0)) {
            end_wall(stage, house, z, normal);
        }
    }
    // The front reaches up to the slope, as the gables do.
    let up = Vec3::Y * if house.roof > 0.0 { under_roof(house, 0.0) } else { house.height };
    let size = vec2((b - a).length(), house.height);
    let light = stage.light;
    let eye = stage.camera.eye;
    if facing(outward, a) {
        stage.textured(&[a, b, b + up, a + up], outward, Some(class::BUILDING), |point, footprint| {
            let ray = (point - eye).normalize_or_zero();
            let mirror = light.mirror(ray - 2.0 * ray.dot(outward) * outward);
            let at = vec2((point - a).dot(along), point.y);
            let footprint = vec2(footprint.dot(along.abs()), footprint.y);
            house.facade.surface(&Glance { at, size, footprint, light, mirror })
        });
    }
    if house.roof > 0.0 {
        slope(stage, house);
    }
    if house.facade.awning && house.facade.shop.is_some() && facing(outward, a + outward * 1.4) {
        awning(stage, house, a, b, outward);
    }
}

/// One end of a house, as far as the next house leaves it free: a strip at the front, where fronts step back
/// differently, and what rises above the neighbour.
fn end_wall(stage: &mut Stage, house: &House, z: f32, normal: Vec3) {
    let touches =
        |h: &&House| h.side == house.side && (h.along.0 - z).abs().min((h.along.1 - z).abs()) < 0.01;
    let neighbours = stage.street.houses.iter().filter(touches).filter(|h| h.along != house.along);
    let covered = neighbours.map(|h| h.height - 0.1).fold(0.0, f32::max);
    if covered > 0.0 {
        wall_piece(stage, house, (z, normal), (0.6, 0.0, house.height.min(covered)));
    }
    if covered < house.height + house.roof {
        wall_piece(stage, house, (z, normal), (DEPTH, covered.min(house.height), house.height));
    }
}

/// The part of an end wall from the front to `reach` metres back, between two heights; a full wall carries the gable.
fn wall_piece(
    stage: &mut Stage,
    house: &House,
    (z, normal): (f32, Vec3),
    (reach, low, high): (f32, f32, f32),
) {
    let street = stage.street;
    let corner = |back: f32, y: f32| street.point(z, house.side * (house.front + back), y);
    let mut wall = vec![corner(0.0, low), corner(reach, low)];
    if house.roof > 0.0 && reach == DEPTH {
        let eaves = under_roof(house, 0.0);
        wall.extend([corner(reach, eaves), corner(0.5 * DEPTH, under_roof(house, 0.5 * DEPTH))]);
        wall.push(corner(0.0, eaves));
    } else {
        wall.extend([corner(reach, high), corner(0.0, high)]);
    }
    let seed = house.along.0.to_bits();
    let (light, eye) = (stage.light, stage.camera.eye);
    let albedo = house.facade.wall * 0.85;
    // Half of the ends have windows like the front; the others are fire walls.
    let blind = cell(seed, 0, 0) < 0.5;
    let start = wall[0];
    let run = (wall[1] - start).normalize();
    let size = vec2(DEPTH, house.height);
    stage.textured(&wall, normal, Some(class::BUILDING), |point, footprint| {
        let at = vec2((point - start).dot(run), point.y);
        if blind || point.y > house.height {
            let stain = fractal(seed, at * vec2(0.4, 0.2), 3);
            return Surface { albedo: albedo * (0.75 + 0.4 * stain), glow: Vec3::ZERO };
        }
        let ray = (point - eye).normalize_or_zero();
        let mirror = light.mirror(ray - 2.0 * ray.dot(normal) * normal);
        let footprint = vec2(footprint.dot(run.abs()), footprint.y);
        house.facade.surface(&Glance { at, size, footprint, light, mirror })
    });
}

/// Height of the front half of the roof, `back` metres behind the front: the slope and the gables under it share it, or
/// the sky would show between them.
fn under_roof(house: &House, back: f32) -> f32 {
    let (eaves, ridge) = (house.height - 0.05, house.height + house.roof);
    eaves + (ridge - eaves) * (back + EAVES) / (0.5 * DEPTH + EAVES)
}

fn slope(stage: &mut Stage, house: &House) {
    let street = stage.street;
    let corner = |z: f32, back: f32, y: f32| street.point(z, house.side * (house.front + back), y);
    let (near, far) = house.along;
    let quad = [(near, -EAVES), (far, -EAVES), (far, 0.5 * DEPTH), (near, 0.5 * DEPTH)]
        .map(|(z, back)| corner(z, back, under_roof(house, back)));
    let normal = (quad[1] - quad[0]).cross(quad[3] - quad[0]).normalize();
    let normal = if normal.y < 0.0 { -normal } else { normal };
    if normal.dot(quad[0] - stage.camera.eye) >= -0.02 {
        return;
    }
    let roof = house.facade.roof;
    let seed = near.to_bits();
    stage.textured(&quad, normal, Some(class::BUILDING), |point, footprint| {
        let row = stripes(point.y, 0.22, 0.0, 0.05, footprint.y);
        let tile = cell(seed, (point.z / 0.4).floor() as i32, (point.y / 0.22).floor() as i32);
        let fine = 1.0 - (footprint.y / 0.25).min(1.0);
        Surface { albedo: roof * (1.0 - 0.4 * row + 0.3 * fine * (tile - 0.5)), glow: Vec3::ZERO }
    });
    // Gutter: a thin dark line under the eaves.
    let lower = quad.map(|p| p - Vec3::Y * 0.14);
    stage.face(
        &[quad[0], quad[1], lower[1], lower[0]],
        -Vec3::Y,
        Some(class::BUILDING),
        house.facade.trim * 0.6,
        0.0,
    );
}

fn awning(stage: &mut Stage, house: &House, a: Vec3, b: Vec3, outward: Vec3) {
    let top = house.facade.ground_floor - 0.95;
    let (from, to) = (a.lerp(b, 0.06), a.lerp(b, 0.94));
    let color = house.facade.shop.unwrap_or(Vec3::ONE);
    let count = ((to - from).length() / 0.55).round().max(2.0) as usize;
    let lit = stage.street.sun_reaches(stage.light.sun, from.lerp(to, 0.5) + Vec3::Y * top + outward * 1.2);
    let normal = (outward + Vec3::Y * 1.6).normalize();
    for i in 0..count {
        let at = |j: usize| from.lerp(to, j as f32 / count as f32);
        let (left, right) = (at(i), at(i + 1));
        let high = Vec3::Y * top;
        let low = outward * 1.3 + Vec3::Y * (top - 0.55);
        let albedo = if i % 2 == 0 { color } else { Vec3::splat(0.78) };
        let label = Some(class::BUILDING);
        stage.face(&[left + high, right + high, right + low, left + low], normal, label, albedo, lit);
        let drop = low - Vec3::Y * 0.25;
        stage.face(&[left + low, right + low, right + drop, left + drop], outward, label, albedo * 0.85, lit);
    }
}

/// Blocks and tree tops far away, wherever the camera looks.
pub(super) fn skyline(stage: &mut Stage, rng: &mut Rng) {
    let forward = stage.camera.forward;
    let middle = math::atan2(forward.x, forward.z);
    let seed = rng.bits();
    let tall = rng.range(10.0, 34.0);
    for layer in 0..2 {
        let distance = 260.0 - 90.0 * layer as f32;
        let mut angle = middle - 1.0;
        while angle < middle + 1.0 {
            let width = rng.range(0.03, 0.10);
            let height = rng.range(0.35, 1.0) * tall * if layer == 0 { 1.3 } else { 0.6 };
            let wood = layer == 1 && rng.chance(0.45);
            let at = |angle: f32, y: f32| {
                stage.camera.eye.with_y(y) + Vec3::new(math::sin(angle), 0.0, math::cos(angle)) * distance
            };
            let normal = -Vec3::new(math::sin(angle), 0.0, math::cos(angle));
            if wood {
                let height = height * 0.55 + 4.0;
                let mut crown = vec![at(angle, 0.0)];
                for i in 0..=8 {
                    let t = i as f32 / 8.0;
                    let bump = math::sin(t * std::f32::consts::PI).max(0.0).sqrt()
                        * (0.75 + 0.5 * cell(seed, i, layer));
                    crown.push(at(angle + width * t, height * bump));
                }
                crown.push(at(angle + width, 0.0));
                stage.face(&crown, normal, Some(class::TREE), rgb(0x3f5a35), 0.6);
            } else {
                let quad =
                    [at(angle, 0.0), at(angle + width, 0.0), at(angle + width, height), at(angle, height)];
                let wall = rgb(0x9a9186) * rng.range(0.6, 1.2);
                let start = quad[0];
                let run = (quad[1] - quad[0]).normalize();
                stage.textured(&quad, normal, Some(class::BUILDING), |point, footprint| {
                    let u = (point - start).dot(run);
                    let span = Vec2::new(footprint.dot(run.abs()), footprint.y);
                    let windows = stripes(u, 4.0, 1.0, 3.0, span.x) * stripes(point.y, 4.0, 1.2, 3.0, span.y);
                    Surface { albedo: wall * (1.0 - 0.45 * windows), glow: Vec3::ZERO }
                });
            }
            angle += width * rng.range(0.7, 1.0);
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
    fn no_sky_shows_inside_a_house() {
        let (width, height) = (240, 180);
        for seed in 0..12 {
            let mut rng = Rng::new(seed, 0);
            let mut street = Street::random(&mut rng);
            street.bend = 0.0;
            let mut house = street.houses[0].clone();
            house.side = if rng.chance(0.5) { 1.0 } else { -1.0 };
            (house.along, house.front) = ((9.0, 20.0), 8.0);
            (house.height, house.roof) = (rng.range(3.0, 5.0), rng.range(3.0, 4.5));
            house.facade.awning = false;
            street.houses = vec![house.clone()];
            let eye = Vec3::new(-house.side * 6.0, rng.range(1.4, 2.6), 0.0);
            // A level camera keeps walls upright: below the roof's overhang a column shows sky and nothing else.
            let centre = vec2(width as f32 * 0.5, height as f32 * 0.6);
            let camera = Camera::new(eye, house.side * 0.8, 0.0, 0.0, 180.0, centre);
            let labels = labels_of(&camera, &street, (width, height), |stage| draw(stage, &house));
            let is_house = |x: usize, y: usize| labels[y * width + x] == class::BUILDING;
            assert!(labels.contains(&class::BUILDING));
            for x in 0..width {
                let top = (0..height).find(|&y| is_house(x, y)).unwrap_or(height);
                let slit = (top + 1..height).find(|&y| is_house(x, y) && !is_house(x, y - 1));
                assert_eq!(slit, None, "seed {seed}, column {x}: the house has a hole");
            }
        }
    }
}
