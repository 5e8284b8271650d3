//! The texture of a house front: wall, windows, doors, shops; filtered per pixel, so that it holds at any distance.

use super::light::Light;
use super::noise::{bar, cell, fractal, rgb, stripes, value};
use super::stage::Surface;
use crate::rng::Rng;
use glam::{Vec2, Vec3, vec2};

const PLASTER: [u32; 12] = [
    0xe8dcc4, 0xd9b98c, 0xe3c7a6, 0xc98f6b, 0xb7c4c9, 0xd8d2c6, 0xe6d38f, 0xa8b89a, 0xd7a59a, 0xf0ece2,
    0x9fb3c8, 0xc7b8d0,
];
const BRICK: [u32; 5] = [0x9c5a41, 0x8a4a3a, 0xb0714f, 0x7c5548, 0xa88a72];
const STONE: [u32; 5] = [0xbfb8a8, 0xa7a39b, 0x8f949b, 0xcfc7b4, 0x7d8288];
const TRIM: [u32; 4] = [0xf2efe6, 0xd9d4c7, 0x6a625a, 0xc2b79f];
const ROOF: [u32; 5] = [0x9b4a33, 0x7a4032, 0x55575f, 0x6b5a50, 0xa8603f];
pub(super) const SHOP: [u32; 8] =
    [0xa8322c, 0x1f5b4b, 0x22437c, 0xd6a326, 0x3c3c42, 0x7a2f55, 0xe2e0d6, 0x2c7f92];

/// Where and how a pixel sees a wall.
pub(super) struct Glance<'a> {
    /// Metres along the wall and up.
    pub at: Vec2,
    /// Length and height of the wall.
    pub size: Vec2,
    /// Extent of the pixel on the wall, in metres.
    pub footprint: Vec2,
    /// Whether lamps are on.
    pub light: &'a Light,
    /// The sky that a flat pane mirrors towards the camera.
    pub mirror: Vec3,
}

/// How the wall is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wall {
    Plaster,
    Brick,
    Stone,
    Glass,
}

/// The look of one house.
#[derive(Clone, Debug)]
pub(super) struct Facade {
    /// Height of the ground floor, in metres.
    pub ground_floor: f32,
    /// Height of each floor above.
    pub floor: f32,
    /// Whether the roof is flat.
    pub flat: bool,
    /// Colour of the roof tiles.
    pub roof: Vec3,
    /// Shop on the ground floor: its colour.
    pub shop: Option<Vec3>,
    /// Whether an awning hangs over the shop.
    pub awning: bool,
    /// Colour of the wall.
    pub wall: Vec3,
    /// Colour of frames, sills and cornices.
    pub trim: Vec3,
    kind: Wall,
    pub(super) bay: f32,
    pub(super) window: Vec2,
    sill: f32,
    balconies: bool,
    pub(super) seed: u32,
}

fn pick(colors: &[u32], rng: &mut Rng) -> Vec3 {
    rgb(colors[rng.below(colors.len() as u32) as usize])
}

impl Facade {
    /// A look at random; `town` goes from 0 (suburb) to 1 (centre).
    pub fn random(town: f32, rng: &mut Rng) -> Self {
        let draw = rng.uniform();
        let kind = if draw < 0.45 {
            Wall::Plaster
        } else if draw < 0.72 {
            Wall::Brick
        } else if draw < 0.88 || town < 0.5 {
            Wall::Stone
        } else {
            Wall::Glass
        };
        let palette: &[u32] = match kind {
            Wall::Plaster => &PLASTER,
            Wall::Brick => &BRICK,
            Wall::Stone | Wall::Glass => &STONE,
        };
        let tint = Vec3::new(rng.range(0.88, 1.1), rng.range(0.9, 1.08), rng.range(0.86, 1.1));
        let bay = rng.range(2.1, 3.3);
        let floor = rng.range(2.8, 3.4);
        let tall = rng.range(0.48, 0.68) * floor;
        Self {
            ground_floor: rng.range(3.4, 4.3),
            floor,
            flat: kind == Wall::Glass || rng.chance(0.25 + 0.4 * town),
            roof: pick(&ROOF, rng),
            shop: rng.chance(0.25 + 0.45 * town).then(|| pick(&SHOP, rng)),
            awning: rng.chance(0.5),
            wall: pick(palette, rng) * tint,
            trim: pick(&TRIM, rng),
            kind,
            bay,
            window: vec2(rng.range(0.38, 0.58) * bay, tall),
            sill: (floor - tall) * rng.range(0.45, 0.65),
            balconies: rng.chance(0.2),
            seed: rng.bits(),
        }
    }

    /// The number of floors above the ground floor.
    pub fn floors(&self, town: f32, rng: &mut Rng) -> u32 {
        let most = if self.kind == Wall::Glass { 14.0 } else { 2.5 + 4.5 * town };
        (rng.range(1.0, most.max(2.0)) + 0.3) as u32
    }

    /// The surface where a pixel's line of sight meets the wall.
    pub fn surface(&self, glance: &Glance) -> Surface {
        let &Glance { at, size, footprint, light, mirror } = glance;
        let (u, v) = (at.x, at.y);
        let mut albedo = self.bare(at, footprint);
        let mut glow = Vec3::ZERO;
        // Cornice under the roof and a string course over the ground floor; the wall darkens towards the street.
        let cornice = bar(v, size.y - 0.45, size.y, footprint.y);
        let course = bar(v, self.ground_floor - 0.22, self.ground_floor, footprint.y);
        albedo =
            albedo.lerp(self.trim, cornice.max(course) * if self.kind == Wall::Glass { 0.3 } else { 0.9 });
        let under = bar(v, size.y - 0.62, size.y - 0.45, footprint.y)
            + bar(v, self.ground_floor - 0.34, self.ground_floor - 0.22, footprint.y);
        albedo *= (1.0 - 0.4 * under) * (0.80 + 0.20 * (v / 3.0).min(1.0));
        if v < self.ground_floor {
            let mut surface = Surface { albedo, glow };
            self.street_level(glance, &mut surface);
            return surface;
        }
        let bays = (size.x / self.bay).round().max(1.0);
        let bay = size.x / bays;
        let column = (u / bay).floor().clamp(0.0, bays - 1.0);
        let row = ((v - self.ground_floor) / self.floor).floor();
        if v > size.y - 0.7 {
            return Surface { albedo, glow };
        }
        let width = if self.kind == Wall::Glass { bay - 0.14 } else { self.window.x * bay / self.bay };
        let (low, high) = if self.kind == Wall::Glass {
            (0.35, self.floor)
        } else {
            (self.sill, self.sill + self.window.y)
        };
        let left = 0.5 * (bay - width);
        let y = v - self.ground_floor;
        let boxed = |grow: f32| {
            stripes(u, bay, (left - grow).max(0.0), (left + width + grow).min(bay), footprint.x)
                * stripes(y, self.floor, (low - grow).max(0.0), (high + grow).min(self.floor), footprint.y)
        };
        let fine = 1.0 - (footprint.max_element() / 0.25).min(1.0);
        if self.kind != Wall::Glass {
            albedo = albedo.lerp(self.trim, 0.85 * boxed(0.13));
            let sill = stripes(y, self.floor, (low - 0.24).max(0.0), (low - 0.1).max(0.01), footprint.y)
                * stripes(u, bay, (left - 0.2).max(0.0), (left + width + 0.2).min(bay), footprint.x);
            albedo = albedo.lerp(self.trim * 1.1, sill);
        }
        let pane = boxed(0.0);
        let inside = y - row * self.floor;
        let (glass, shine) =
            self.pane(column as i32, row as i32, (inside - low) / (high - low), light, mirror);
        albedo = albedo.lerp(glass, pane);
        glow = glow.lerp(shine, pane);
        // Glazing bars and the shadow of the lintel, as far as pixels can show them.
        let x = u - column * bay - left;
        let cross = bar(x, 0.5 * width - 0.04, 0.5 * width + 0.04, footprint.x).max(bar(
            inside,
            high - 0.32 * (high - low) - 0.03,
            high - 0.32 * (high - low) + 0.03,
            footprint.y,
        ));
        albedo = albedo.lerp(self.trim * 0.8, cross * pane * fine);
        glow *= 1.0 - cross * pane * fine;
        let lintel = bar(inside, high - 0.14, high, footprint.y) * pane;
        albedo *= 1.0 - 0.6 * lintel;
        glow *= 1.0 - 0.6 * lintel;
        if self.balconies && self.kind != Wall::Glass && (column as i32 + self.seed as i32) % 2 == 0 {
            let rail = bar(inside, low - 0.1, low + 0.85, footprint.y);
            let bars = stripes(x, 0.16, 0.0, 0.05, footprint.x).max(bar(
                inside,
                low + 0.76,
                low + 0.85,
                footprint.y,
            ));
            let span = bar(x, -0.25, width + 0.25, footprint.x);
            albedo = albedo.lerp(Vec3::splat(0.02), rail * bars * span);
            albedo = albedo.lerp(self.trim * 0.6, bar(inside, low - 0.24, low - 0.1, footprint.y) * span);
            glow *= 1.0 - rail * bars * span;
        }
        Surface { albedo, glow }
    }

    /// The wall without openings.
    fn bare(&self, at: Vec2, footprint: Vec2) -> Vec3 {
        let stain = fractal(self.seed, at * vec2(0.35, 0.16), 2);
        let detail = 1.0 - (footprint.max_element() / 0.15).min(1.0);
        let grain = if detail > 0.0 { value(self.seed ^ 1, at * 7.0) } else { 0.5 };
        let mut wall = self.wall * (0.82 + 0.3 * stain) * (1.0 + detail * 0.10 * (grain - 0.5));
        match self.kind {
            Wall::Brick if detail > 0.0 => {
                let course = (at.y / 0.15).floor();
                let shift = 0.15 * (course as i32 & 1) as f32;
                let mortar = stripes(at.y, 0.15, 0.0, 0.025, footprint.y).max(stripes(
                    at.x + shift,
                    0.30,
                    0.0,
                    0.025,
                    footprint.x,
                ));
                let one = cell(self.seed, ((at.x + shift) / 0.30).floor() as i32, course as i32);
                wall *= 1.0 + detail * 0.45 * (one - 0.5);
                wall = wall.lerp(Vec3::splat(0.42), 0.55 * detail * mortar);
            }
            Wall::Stone => {
                let joint = stripes(at.y, 0.7, 0.0, 0.04, footprint.y).max(stripes(
                    at.x,
                    1.4,
                    0.0,
                    0.04,
                    footprint.x,
                ));
                wall *= 1.0 - 0.3 * joint;
            }
            _ => {}
        }
        wall
    }

    /// Albedo and glow of the window in `column` and `row`, at height `t` (0..=1) of the pane.
    pub(super) fn pane(&self, column: i32, row: i32, t: f32, light: &Light, mirror: Vec3) -> (Vec3, Vec3) {
        let chance = cell(self.seed ^ 5, column, row);
        if chance < light.lamps {
            let warm = rgb(0xffd89a) * (0.55 + 0.5 * cell(self.seed ^ 6, column, row));
            return (Vec3::splat(0.05), warm * (0.7 + 0.4 * t));
        }
        let mut albedo = Vec3::splat(0.035);
        if cell(self.seed ^ 7, column, row) < 0.35 && t > 1.0 - cell(self.seed ^ 8, column, row) {
            albedo = self.trim * 0.55;
        }
        let tilt = 0.75 + 0.5 * cell(self.seed ^ 9, column, row);
        let strength = if self.kind == Wall::Glass { 0.48 } else { 0.30 };
        (albedo, mirror * strength * tilt * (0.55 + 0.45 * t))
    }
}
