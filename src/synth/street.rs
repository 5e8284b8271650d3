//! The plan of the street seen from above: road, kerbs, crossing and houses, and whom their shadows reach.
//!
//! The street runs along z; `offset` is the distance to the right of its middle line, which may bend.

use super::facade::Facade;
use super::math;
use super::noise::smooth;
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

/// Radius of the kerb at a corner, in metres.
const CORNER: f32 = 3.5;
/// The row of houses reaches from behind the camera to where haze and size swallow it, in metres.
const ROW: (f32, f32) = (-24.0, 170.0);
/// Distance between the samples of a row's roof line, in metres.
const ROOF_STEP: f32 = 0.5;

/// One house of a row.
#[derive(Clone, Debug)]
pub(super) struct House {
    /// -1 on the left of the street, 1 on the right.
    pub side: f32,
    /// Where its front begins and ends along the street, in metres.
    pub along: (f32, f32),
    /// Distance of its front from the street's middle line.
    pub front: f32,
    /// Height of the eaves.
    pub height: f32,
    /// Height of the roof above the eaves; 0 for a flat roof.
    pub roof: f32,
    /// How it looks.
    pub facade: Facade,
}

/// The plan.
#[derive(Clone, Debug)]
pub(super) struct Street {
    /// The middle line is at `x = bend * z^2`.
    pub bend: f32,
    /// Half the width of the road, in metres.
    pub road: f32,
    /// Width of each pavement.
    pub pavement: f32,
    /// Middle and half width of the street that crosses, if one does.
    pub crossing: Option<(f32, f32)>,
    /// Where a zebra crossing begins.
    pub zebra: Option<f32>,
    /// Whether cars are parked on the left, on the right.
    pub parking: [bool; 2],
    /// Houses, the farthest first.
    pub houses: Vec<House>,
    /// Height that casts a shadow, every `ROOF_STEP` metres from `ROW.0`, on the left and on the right; 0 in a gap.
    rooflines: [Vec<f32>; 2],
    tallest: f32,
}

impl Street {
    /// A street at random.
    pub fn random(rng: &mut Rng) -> Self {
        let bend = if rng.chance(0.35) { rng.range(-0.0016, 0.0016) } else { 0.0 };
        let parking = [rng.chance(0.6), rng.chance(0.6)];
        let lanes = rng.range(3.0, 3.9);
        let road = lanes + 1.1 * f32::from(u8::from(parking[0]) + u8::from(parking[1]));
        let pavement = rng.range(2.4, 4.6);
        let crossing = rng.chance(0.45).then(|| (rng.range(15.0, 38.0), rng.range(3.2, 4.6)));
        let zebra = match crossing {
            Some((middle, half)) if rng.chance(0.8) => Some(middle - half - 5.2),
            None if rng.chance(0.25) => Some(rng.range(7.0, 16.0)),
            _ => None,
        };
        let mut street = Self {
            bend,
            road,
            pavement,
            crossing,
            zebra,
            parking,
            houses: Vec::new(),
            rooflines: [const { Vec::new() }; 2],
            tallest: 0.0,
        };
        let town = rng.uniform();
        for side in [-1.0, 1.0] {
            street.build_row(side, town, rng);
        }
        street.houses.sort_by(|a, b| b.along.1.total_cmp(&a.along.1));
        street.survey();
        street
    }

    /// Notes the heights of the rows, for shadows.
    fn survey(&mut self) {
        let count = ((ROW.1 - ROW.0) / ROOF_STEP) as usize;
        for (row, side) in self.rooflines.iter_mut().zip([-1.0, 1.0]) {
            row.resize(count, 0.0);
            for house in self.houses.iter().filter(|h| h.side == side) {
                let sample = |z: f32| (((z - ROW.0) / ROOF_STEP).ceil().max(0.0) as usize).min(count);
                let roof = house.height + 0.35 * house.roof;
                row[sample(house.along.0)..sample(house.along.1)].fill(roof);
                self.tallest = self.tallest.max(roof + 3.0);
            }
        }
    }

    fn build_row(&mut self, side: f32, town: f32, rng: &mut Rng) {
        let green = rng.chance(0.12);
        let mut z = ROW.0 + rng.range(-6.0, 0.0);
        while z < ROW.1 {
            let width = rng.range(7.0, 16.0) * (0.8 + 0.5 * town);
            let gap = self.crossing.map(|(m, h)| (m - h - self.pavement, m + h + self.pavement));
            let mut end = z + width;
            if let Some((from, to)) = gap
                && end > from
                && z < to
            {
                if from - z < 5.0 {
                    z = to;
                    continue;
                }
                end = from;
            }
            let open = rng.chance(if green { 0.75 } else { 0.06 });
            if !open {
                let facade = Facade::random(town, rng);
                let floors = facade.floors(town, rng);
                let height = facade.ground_floor + floors as f32 * facade.floor + rng.range(0.5, 1.0);
                let roof = if facade.flat { 0.0 } else { rng.range(1.8, 4.0) };
                let front = self.road + self.pavement + rng.range(0.0, 0.5);
                self.houses.push(House { side, along: (z, end), front, height, roof, facade });
            }
            z = end + if rng.chance(0.15) { rng.range(1.0, 4.0) } else { 0.0 };
        }
    }

    /// The stretches along the street, from behind the camera to the last house, where nothing is built on `side`.
    pub fn gaps(&self, side: f32) -> Vec<(f32, f32)> {
        let arm = self.crossing.map(|(middle, half)| {
            let reach = half + self.pavement;
            (middle - reach, middle + reach)
        });
        let mut taken: Vec<(f32, f32)> =
            self.houses.iter().filter(|h| h.side == side).map(|h| h.along).chain(arm).collect();
        taken.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut gaps = Vec::new();
        let mut z = -2.0;
        for (from, to) in taken.into_iter().chain([(ROW.1, ROW.1)]) {
            if from - z > 0.3 {
                gaps.push((z, from));
            }
            z = z.max(to);
        }
        gaps
    }

    /// The point `offset` metres to the right of the middle line and `y` metres up.
    pub fn point(&self, z: f32, offset: f32, y: f32) -> Vec3 {
        Vec3::new(self.bend * z * z + offset, y, z)
    }

    /// Distance of `point` to the right of the middle line.
    #[inline]
    pub fn offset(&self, point: Vec3) -> f32 {
        point.x - self.bend * point.z * point.z
    }

    /// The direction of the street at `z`, as an angle from the z axis.
    pub fn heading(&self, z: f32) -> f32 {
        math::atan(2.0 * self.bend * z)
    }

    /// Metres from the kerb, positive on the pavement, and which way the kerb runs there: x = share across the
    /// street, y = share along it.
    #[inline]
    pub fn beyond_kerb(&self, offset: f32, z: f32) -> (f32, Vec2) {
        let across = offset.abs() - self.road;
        let Some((middle, half)) = self.crossing else {
            return (across, Vec2::X);
        };
        let along = (z - middle).abs() - half;
        if across < CORNER && along < CORNER && across > 0.0 && along > 0.0 {
            let arm = vec2(CORNER - across, CORNER - along);
            return (CORNER - arm.length(), arm / arm.length().max(1e-3));
        }
        if across < along { (across, Vec2::X) } else { (along, Vec2::Y) }
    }

    /// Whether `offset` and `z` lie on a pavement, at least `margin` metres from kerb and houses.
    pub fn is_pavement(&self, offset: f32, z: f32, margin: f32) -> bool {
        self.beyond_kerb(offset, z).0 > margin && offset.abs() < self.road + self.pavement - margin
    }

    /// Whether a house stands on the ground point, well inside its walls.
    #[inline]
    pub fn is_built_over(&self, point: Vec3) -> bool {
        let offset = self.offset(point);
        offset.abs() > self.road + self.pavement + 1.5
            && self.houses.iter().any(|h| {
                h.side * offset > 0.0
                    && point.z > h.along.0 + 0.5
                    && point.z < h.along.1 - 0.5
                    && offset.abs() < h.front + 9.0
            })
    }

    /// How much of the sun in direction `sun` passes the houses on its way to `point`: 0..=1.
    #[inline]
    pub fn sun_reaches(&self, sun: Vec3, point: Vec3) -> f32 {
        let offset = self.offset(point);
        let side = if sun.x >= 0.0 { 1.0 } else { -1.0 };
        let slope = sun.x.abs();
        let way = self.road + self.pavement + 0.25 - side * offset;
        if slope < 0.03 || way < 0.3 {
            return 1.0;
        }
        let travel = way / slope;
        let (y, z) = (point.y + travel * sun.y, point.z + travel * sun.z);
        if y > self.tallest {
            return 1.0;
        }
        let row = &self.rooflines[usize::from(side > 0.0)];
        let place = ((z - ROW.0) / ROOF_STEP).clamp(0.0, (row.len() - 2) as f32);
        let (left, part) = (place as usize, place.fract());
        // The sun's disc softens the roof's edge with distance; the ends of a house are as soft as the samples are wide.
        let soft = 0.02 + 0.012 * travel;
        let passes = |roof: f32| smooth(-soft, soft, y - roof);
        let (a, b) = (passes(row[left]), passes(row[left + 1]));
        a + (b - a) * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn houses_leave_the_crossing_free_and_shade_what_is_behind_them() {
        for seed in 0..40 {
            let street = Street::random(&mut Rng::new(seed, 0));
            if let Some((middle, _)) = street.crossing {
                assert!(street.houses.iter().all(|h| middle < h.along.0 || middle > h.along.1));
                assert!(street.beyond_kerb(street.road + 5.0, middle).0 < 0.0);
            }
            assert!(street.beyond_kerb(0.0, 3.0).0 < 0.0);
            let house = street.houses.iter().find(|h| h.along.1 - h.along.0 > 4.0).unwrap();
            let middle = 0.5 * (house.along.0 + house.along.1);
            let near = street.point(middle, house.side * (house.front - 0.8), 0.1);
            let low = Vec3::new(house.side * 0.9, 0.2, 0.0).normalize();
            assert!(street.sun_reaches(low, near) < 0.01);
            assert_eq!(street.sun_reaches(-low.with_y(-0.9), near.with_y(90.0)), 1.0);
        }
    }
}
