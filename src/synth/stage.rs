//! The painter in space: camera, light and canvas together, with flat faces, textured faces and rounded bodies.

use super::camera::Camera;
use super::canvas::{Canvas, Shadows, convex_hull};
use super::light::Light;
use super::math;
use super::street::Street;
use glam::{Vec2, Vec3, Vec4, vec2};

/// What a textured surface is like at one point.
#[derive(Clone, Copy)]
pub(super) struct Surface {
    /// Share of light thrown back, per channel.
    pub albedo: Vec3,
    /// Light that does not depend on the sun: lamps and mirrored sky.
    pub glow: Vec3,
}

/// A ball of the given centre and radius (metres), the corner stone of rounded bodies.
pub(super) type Ball = (Vec3, f32);

/// Everything that drawing needs.
pub(super) struct Stage<'a> {
    /// The picture so far.
    pub canvas: Canvas,
    /// Shadows on the ground; read when the ground is drawn.
    pub shadows: Shadows,
    /// The point of view.
    pub camera: &'a Camera,
    /// Sun, sky and air.
    pub light: &'a Light,
    /// The street's plan, for the shadows of its houses.
    pub street: &'a Street,
}

impl Stage<'_> {
    /// A flat polygon of one colour. `lit` is the share of the sun that reaches it.
    pub fn face(&mut self, polygon: &[Vec3], normal: Vec3, label: Option<u8>, albedo: Vec3, lit: f32) {
        let color = self.light.shade(albedo, normal, lit);
        self.glowing(polygon, label, color);
    }

    /// A flat polygon that leaves `color` whatever the light.
    pub fn glowing(&mut self, polygon: &[Vec3], label: Option<u8>, color: Vec3) {
        self.tinted(polygon, label, color, 1.0);
    }

    /// A flat polygon of `color` and `opacity`.
    pub fn tinted(&mut self, polygon: &[Vec3], label: Option<u8>, color: Vec3, opacity: f32) {
        let color = self.light.through_air(color, self.camera.depth(polygon[0]).max(0.0)).extend(opacity);
        self.canvas.fill(&self.camera.outline(polygon), label, |_| color);
    }

    /// A flat polygon whose `texture(point, footprint)` is asked per pixel: the point in space and the extent of one
    /// pixel there along x, y, z. House shadows fall on it point by point.
    pub fn textured(
        &mut self,
        polygon: &[Vec3],
        normal: Vec3,
        label: Option<u8>,
        mut texture: impl FnMut(Vec3, Vec3) -> Surface,
    ) {
        let (camera, light, street) = (self.camera, self.light, self.street);
        let outline = camera.outline(polygon);
        let height = (polygon[0] - camera.eye).dot(normal);
        let hit = |pixel: Vec2| {
            let ray = camera.ray(pixel);
            ray * (height / normal.dot(ray).min(-1e-4))
        };
        let faces_sun = normal.dot(light.sun) > 0.0;
        self.canvas.fill(&outline, label, |pixel| {
            let at = hit(pixel);
            let footprint = (hit(pixel + Vec2::X) - at).abs() + (hit(pixel + Vec2::Y) - at).abs();
            let point = camera.eye + at;
            let surface = texture(point, footprint);
            let lit = if faces_sun { street.sun_reaches(light.sun, point) } else { 0.0 };
            let color = light.shade(surface.albedo, normal, lit) + surface.glow;
            light.through_air(color, at.dot(camera.forward)).extend(1.0)
        });
    }

    /// The rounded body around `balls` (their hull), shaded like a cylinder about the line from the first ball to the
    /// last; `skin(along, across)` gives the albedo, with `along` 0..=1 on that line and `across` -1..=1.
    pub fn body(
        &mut self,
        balls: &[Ball],
        label: Option<u8>,
        lit: f32,
        mut skin: impl FnMut(f32, f32) -> Vec3,
    ) {
        let (camera, light) = (self.camera, self.light);
        let Some(circles) = balls.iter().map(|b| camera.circle(b.0, b.1)).collect::<Option<Vec<_>>>() else {
            return;
        };
        let largest = circles.iter().fold(0.0f32, |a, c| a.max(c.1));
        let mut points = Vec::with_capacity(circles.len() * 20);
        let count = (6.0 + largest.sqrt() * 3.0).min(20.0) as usize;
        for &(centre, radius) in &circles {
            for i in 0..count {
                let angle = std::f32::consts::TAU * (i as f32 + 0.5) / count as f32;
                points.push(centre + math::turned(angle) * radius);
            }
        }
        let hull = convex_hull(&mut points);
        let (start, end) = (circles[0], circles[circles.len() - 1]);
        let axis = end.0 - start.0;
        let length = axis.length_squared().max(1e-6);
        let side = axis.try_normalize().unwrap_or(Vec2::Y).perp();
        // A flat body such as a torso is wider than its balls are thick.
        let wide = if balls.len() > 2 {
            hull.iter().fold(0.0f32, |a, p| a.max((*p - start.0).dot(side).abs()))
        } else {
            0.0
        };
        let depth = camera.depth(balls[0].0);
        self.canvas.fill(&hull, label, |pixel| {
            let along = ((pixel - start.0).dot(axis) / length).clamp(0.0, 1.0);
            let radius = (start.1 + (end.1 - start.1) * along).max(0.3);
            let offset = ((pixel - start.0 - axis * along) / radius.max(wide)).clamp_length_max(0.98);
            let normal = camera.right * offset.x
                - camera.up * offset.y
                - camera.forward * (1.0 - offset.length_squared()).sqrt();
            let across = offset.dot(side);
            // The rim of a round body sees less of the sky.
            let rim = 1.0 - 0.25 * offset.length_squared();
            let color = light.shade(skin(along, across), normal, lit) * rim;
            light.through_air(color, depth).extend(1.0)
        });
    }

    /// A round bar that stays at least `pixels` wide on screen, so that a far pole does not fade away.
    pub fn bar(&mut self, a: Ball, b: Ball, label: u8, albedo: Vec3, lit: f32, pixels: f32) {
        let widen = |ball: Ball| {
            let depth = self.camera.depth(ball.0).max(0.3);
            (ball.0, ball.1.max(0.5 * pixels * depth / self.camera.focal))
        };
        let balls = [widen(a), widen(b)];
        self.body(&balls, Some(label), lit, |_, _| albedo);
    }

    /// The shadow on the ground of the hull of `balls`; `density` is the share of the sun it stops.
    pub fn cast(&mut self, balls: &[Ball], density: f32) {
        let sun = self.light.sun;
        let stretch = 1.0 / sun.y.max(0.15);
        let azimuth = vec2(sun.x, sun.z).try_normalize().unwrap_or(Vec2::X);
        let mut points = Vec::with_capacity(balls.len() * 10);
        for &(centre, radius) in balls {
            let foot = vec2(centre.x, centre.z) - vec2(sun.x, sun.z) * (centre.y * stretch);
            for i in 0..10 {
                let turn = math::turned(std::f32::consts::TAU * i as f32 / 10.0) * radius;
                points.push(foot + azimuth * turn.x * stretch + azimuth.perp() * turn.y);
            }
        }
        let hull: Vec<Vec3> = convex_hull(&mut points).iter().map(|p| Vec3::new(p.x, 0.0, p.y)).collect();
        self.shadows.block(&self.camera.outline(&hull), vec2(density, 0.0));
    }

    /// The soft dark patch under something that stands on the ground: an ellipse of half axes `size` (metres, across
    /// and along), turned by `yaw`.
    pub fn contact(&mut self, centre: Vec3, size: Vec2, yaw: f32, strength: f32) {
        for ring in 0..5 {
            let grow = 1.25 - 0.13 * ring as f32;
            let polygon: Vec<Vec3> = (0..14)
                .map(|i| {
                    let p = math::turned(std::f32::consts::TAU * i as f32 / 14.0) * size * grow;
                    let p = math::turned(-yaw).rotate(p);
                    Vec3::new(centre.x + p.x, 0.0, centre.z + p.y)
                })
                .collect();
            let amount = strength * (ring + 1) as f32 / 5.0;
            self.shadows.block(&self.camera.outline(&polygon), vec2(0.0, amount));
        }
    }

    /// Paints with free colours (linear, haze included by the caller).
    pub fn fill(&mut self, outline: &[Vec2], label: Option<u8>, paint: impl FnMut(Vec2) -> Vec4) {
        self.canvas.fill(outline, label, paint);
    }
}
