//! The ground floor of a house: shop windows under a sign board, or a door between windows.

use super::facade::{Facade, Glance, SHOP};
use super::noise::{bar, cell, rgb, stripes, value};
use super::stage::Surface;
use glam::Vec3;

impl Facade {
    /// Paints the ground floor over the bare wall in `surface`.
    pub(super) fn street_level(&self, glance: &Glance, surface: &mut Surface) {
        let plinth = bar(glance.at.y, 0.0, 0.45, glance.footprint.y);
        surface.albedo *= 1.0 - 0.45 * plinth;
        match self.shop {
            Some(color) => self.shop_front(color, glance, surface),
            None => {
                let bay = glance.size.x / (glance.size.x / self.bay).round().max(1.0);
                let column = (glance.at.x / bay).floor();
                let x = glance.at.x - (column + 0.5) * bay;
                if column == (0.5 * (glance.size.x / bay).round()).floor() {
                    self.door(x, glance, surface);
                } else {
                    self.low_window(column as i32, x, glance, surface);
                }
            }
        }
    }

    fn shop_front(&self, color: Vec3, glance: &Glance, surface: &mut Surface) {
        let &Glance { at, size, footprint, light, mirror } = glance;
        let (u, v, top) = (at.x, at.y, self.ground_floor);
        let board = bar(v, top - 0.95, top - 0.30, footprint.y) * bar(u, 0.25, size.x - 0.25, footprint.x);
        surface.albedo = surface.albedo.lerp(color, board);
        // Lettering, as a row of light marks of uneven width.
        let letter = cell(self.seed ^ 11, (u / 0.28).floor() as i32, 0);
        let text = bar(v, top - 0.78, top - 0.46, footprint.y)
            * stripes(u, 0.28, 0.04, 0.10 + 0.14 * letter, footprint.x)
            * bar(u, 0.3 * size.x, 0.7 * size.x, footprint.x);
        surface.albedo = surface.albedo.lerp(Vec3::splat(0.8), 0.9 * text * f32::from(letter > 0.12));
        let bay = size.x / (size.x / 2.6).round().max(1.0);
        let pane = stripes(u, bay, 0.14, bay - 0.14, footprint.x) * bar(v, 0.5, top - 1.05, footprint.y);
        // Goods on shelves, as boxes of many colours, in front of a lit room.
        let (shelf, place) = ((v / 0.42).floor() as i32, (u / 0.31).floor() as i32);
        let draw = |salt: u32| cell(self.seed ^ salt, place, shelf);
        let goods = stripes(v, 0.42, 0.03, 0.13 + 0.26 * draw(12), footprint.y)
            * stripes(u, 0.31, 0.02, 0.29, footprint.x)
            * bar(v, 0.5, 2.1, footprint.y)
            * f32::from(draw(16) > 0.35);
        let colors = Vec3::new(draw(13), draw(14), draw(15)) * 0.35;
        let lamps = 0.07 + 0.45 * light.lamps.min(0.5);
        let room = rgb(0xffe2b0) * lamps * (0.6 + 0.5 * value(self.seed, at * 0.6));
        let glow = room * (1.0 - 0.6 * goods) + colors * room * goods * 2.0 + mirror * 0.20;
        surface.albedo = surface.albedo.lerp(Vec3::splat(0.03).lerp(colors, goods), pane);
        surface.glow = surface.glow.lerp(glow, pane);
        let frame =
            (1.0 - stripes(u, bay, 0.14, bay - 0.14, footprint.x)) * bar(v, 0.0, top - 1.0, footprint.y);
        surface.albedo = surface.albedo.lerp(color * 0.5, frame * 0.8);
    }

    /// A door with a light above it; `x` is the distance from its middle.
    fn door(&self, x: f32, glance: &Glance, surface: &mut Surface) {
        let (v, footprint) = (glance.at.y, glance.footprint);
        let wide = |half: f32| bar(x, -half, half, footprint.x);
        let frame = wide(0.72) * bar(v, 0.0, 2.75, footprint.y);
        let leaf = wide(0.58) * bar(v, 0.12, 2.2, footprint.y);
        let window = wide(0.58) * bar(v, 2.28, 2.62, footprint.y);
        let panel = wide(0.4) * stripes(v, 0.7, 0.16, 0.6, footprint.y);
        let paint = rgb(SHOP[(self.seed >> 3) as usize % SHOP.len()]) * (0.8 * (1.0 - 0.35 * panel));
        surface.albedo =
            surface.albedo.lerp(self.trim, frame).lerp(paint, leaf).lerp(Vec3::splat(0.04), window);
        surface.glow = surface.glow.lerp(glance.mirror * 0.25, window);
    }

    /// A window in `column`; `x` is the distance from its middle.
    fn low_window(&self, column: i32, x: f32, glance: &Glance, surface: &mut Surface) {
        let (v, footprint) = (glance.at.y, glance.footprint);
        let (half, low, high) = (0.5 * self.window.x, 1.05, (self.ground_floor - 0.75).min(2.75));
        let boxed = |grow: f32| {
            bar(x, -half - grow, half + grow, footprint.x) * bar(v, low - grow, high + grow, footprint.y)
        };
        surface.albedo = surface.albedo.lerp(self.trim, 0.85 * boxed(0.13));
        let (glass, shine) = self.pane(column, -1, (v - low) / (high - low), glance.light, glance.mirror);
        let pane = boxed(0.0) * (1.0 - 0.9 * bar(x, -0.04, 0.04, footprint.x));
        surface.albedo = surface.albedo.lerp(glass, pane);
        surface.glow = surface.glow.lerp(shine, pane);
    }
}
