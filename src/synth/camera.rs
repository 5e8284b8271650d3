//! A pinhole camera over the world of the street: metres, x to the right, y up, z along the street.

use super::math;
use glam::{Vec2, Vec3, vec2};

/// Nothing nearer than this many metres is drawn.
const NEAR: f32 = 0.25;

/// Where the picture is taken from, and through which lens.
#[derive(Clone, Debug)]
pub(super) struct Camera {
    /// The eye, in metres.
    pub eye: Vec3,
    /// Unit axes of the picture: to the right, up, into the scene.
    pub right: Vec3,
    /// See `right`.
    pub up: Vec3,
    /// See `right`.
    pub forward: Vec3,
    /// Focal length in pixels.
    pub focal: f32,
    /// The principal point in pixels.
    pub centre: Vec2,
}

impl Camera {
    /// A camera at `eye`, turned right by `yaw`, down by `pitch` and clockwise by `roll` (radians).
    pub fn new(eye: Vec3, yaw: f32, pitch: f32, roll: f32, focal: f32, centre: Vec2) -> Self {
        let level = Vec3::new(math::sin(yaw), 0.0, math::cos(yaw));
        let side = Vec3::new(math::cos(yaw), 0.0, -math::sin(yaw));
        let forward = (level * math::cos(pitch) - Vec3::Y * math::sin(pitch)).normalize();
        let upright = (Vec3::Y * math::cos(pitch) + level * math::sin(pitch)).normalize();
        let right = side * math::cos(roll) - upright * math::sin(roll);
        let up = upright * math::cos(roll) + side * math::sin(roll);
        Self { eye, right, up, forward, focal, centre }
    }

    /// Metres in front of the eye.
    #[inline]
    pub fn depth(&self, point: Vec3) -> f32 {
        (point - self.eye).dot(self.forward)
    }

    /// The pixel position of `point`, or nothing where it lies behind the near plane.
    pub fn project(&self, point: Vec3) -> Option<Vec2> {
        let depth = self.depth(point);
        (depth >= NEAR).then(|| self.pixel(point, depth))
    }

    fn pixel(&self, point: Vec3, depth: f32) -> Vec2 {
        let v = point - self.eye;
        self.centre + vec2(v.dot(self.right), -v.dot(self.up)) * (self.focal / depth)
    }

    /// The direction of sight through `pixel`, one metre deep (not normalised).
    #[inline]
    pub fn ray(&self, pixel: Vec2) -> Vec3 {
        let p = (pixel - self.centre) / self.focal;
        self.forward + self.right * p.x - self.up * p.y
    }

    /// The outline in pixels of a polygon in space, cut off at the near plane.
    pub fn outline(&self, polygon: &[Vec3]) -> Vec<Vec2> {
        let mut outline = Vec::with_capacity(polygon.len() + 2);
        for (i, &a) in polygon.iter().enumerate() {
            let b = polygon[(i + 1) % polygon.len()];
            let (da, db) = (self.depth(a), self.depth(b));
            if da >= NEAR {
                outline.push(self.pixel(a, da));
            }
            if (da >= NEAR) != (db >= NEAR) {
                let cut = a.lerp(b, (NEAR - da) / (db - da));
                outline.push(self.pixel(cut, NEAR));
            }
        }
        outline
    }

    /// The outline of a ball: a circle of pixels around its centre (the small stretch off the axis is left out).
    pub fn circle(&self, centre: Vec3, radius: f32) -> Option<(Vec2, f32)> {
        let depth = self.depth(centre);
        (depth >= NEAR + radius).then(|| (self.pixel(centre, depth), radius * self.focal / depth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_and_projection_agree() {
        let camera = Camera::new(Vec3::new(1.0, 1.5, -2.0), 0.4, 0.1, 0.03, 200.0, vec2(128.0, 70.0));
        let pixel = vec2(40.0, 100.0);
        let back = camera.project(camera.eye + camera.ray(pixel) * 7.0).unwrap();
        assert!(back.distance(pixel) < 1e-2, "{back}");
        assert!(camera.project(camera.eye - camera.forward).is_none());
    }

    #[test]
    fn polygons_are_cut_at_the_near_plane() {
        let camera = Camera::new(Vec3::Y, 0.0, 0.0, 0.0, 100.0, Vec2::ZERO);
        let ground = [
            Vec3::new(-1.0, 0.0, -5.0),
            Vec3::new(1.0, 0.0, -5.0),
            Vec3::new(1.0, 0.0, 5.0),
            Vec3::new(-1.0, 0.0, 5.0),
        ];
        let outline = camera.outline(&ground);
        assert_eq!(outline.len(), 4);
        assert!(outline.iter().all(|p| p.is_finite() && p.y > 0.0));
    }
}
