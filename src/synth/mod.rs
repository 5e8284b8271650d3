//! Labelled street scenes of our own making: a small painter in perspective, a plan of a street, and everything that
//! stands on it. A picture is a pure function of its size, a seed and an index, on every platform; no file is read.
//!
//! Colours are blended with exact area coverage in linear light. Classes are blended in the same way, and a pixel's
//! label is the class that shows most of it, so the label map is crisp and complete (no ignored pixels).

mod building;
mod camera;
mod canvas;
mod car;
mod car_shape;
mod dataset;
mod facade;
mod furniture;
mod ground;
mod layout;
mod light;
mod math;
mod noise;
mod order;
mod person;
mod post;
mod shopfront;
mod sign;
mod stage;
mod street;
#[cfg(test)]
mod tests;
mod tree;

use crate::rng::Rng;
use canvas::{Canvas, Shadows};
use glam::{Vec3, vec2};

pub use dataset::write_dataset;

/// Names and display colours of the classes; a label is an index into this list.
pub const CLASSES: [(&str, [u8; 3]); 9] = [
    ("Sky", [112, 178, 232]),
    ("Building", [150, 110, 98]),
    ("Road", [106, 84, 132]),
    ("Pavement", [232, 122, 206]),
    ("Tree", [88, 152, 56]),
    ("Pole", [216, 212, 190]),
    ("Sign", [246, 200, 46]),
    ("Car", [38, 66, 190]),
    ("Person", [220, 36, 60]),
];

/// Indices into [`CLASSES`].
mod class {
    pub const BUILDING: u8 = 1;
    pub const ROAD: u8 = 2;
    pub const PAVEMENT: u8 = 3;
    pub const TREE: u8 = 4;
    pub const POLE: u8 = 5;
    pub const SIGN: u8 = 6;
    pub const CAR: u8 = 7;
    pub const PERSON: u8 = 8;
}

/// One picture with its label map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[H, W, 3]` colours, 8 bits per channel.
    pub rgb: Vec<u8>,
    /// `[H, W]` indices into [`CLASSES`].
    pub labels: Vec<u8>,
}

/// Draws scene `index` of the series `seed`: the same arguments give the same picture, whatever was drawn before.
///
/// The street, its people and the light depend on the shape of the picture, not on its size: a larger one shows the
/// same place in more detail.
#[must_use]
pub fn scene(width: usize, height: usize, seed: u32, index: u32) -> Scene {
    let stream = |concern| stream(seed, index, concern);
    let light = light::Light::random(&mut stream(0));
    let street = street::Street::random(&mut stream(1));
    let camera = layout::camera(&street, width, height, &mut stream(2));
    let objects = layout::objects(&street, &camera, width, &mut stream(3));
    let items = order::painting_order(&street, &camera, objects);
    let ground = ground::Ground::random(&mut stream(4));
    let mut stage = stage::Stage {
        canvas: Canvas::new(width, height),
        shadows: Shadows::new(width, height),
        camera: &camera,
        light: &light,
        street: &street,
    };
    sky(&mut stage);
    building::skyline(&mut stage, &mut stream(5));
    items.iter().for_each(|item| item.cast(&mut stage));
    ground.draw(&mut stage);
    items.iter().for_each(|item| item.draw(&mut stage));
    let rgb = post::develop(&stage.canvas.color, width, height, &mut stream(6));
    Scene { width, height, rgb, labels: stage.canvas.labels() }
}

/// One stream of random numbers per concern, so that a change to one leaves the others as they were.
fn stream(seed: u32, index: u32, concern: u32) -> Rng {
    Rng::new(seed, index.wrapping_mul(8).wrapping_add(concern))
}

/// The sky, which is smooth: evaluated on every third pixel of every third row and interpolated between.
fn sky(stage: &mut stage::Stage) {
    const STEP: usize = 3;
    let Canvas { width, height, color, .. } = &mut stage.canvas;
    let (columns, rows) = (width.div_ceil(STEP) + 1, height.div_ceil(STEP) + 1);
    let grid: Vec<Vec3> = (0..columns * rows)
        .map(|i| {
            let ray = stage.camera.ray(vec2((i % columns) as f32, (i / columns) as f32) * STEP as f32);
            // Nothing but ground is seen far below the horizon.
            if ray.y > -0.1 { stage.light.sky(ray.normalize()) } else { stage.light.horizon }
        })
        .collect();
    for (i, pixel) in color.iter_mut().enumerate() {
        let (x, y) = (i % *width, i / *width);
        let corner = y / STEP * columns + x / STEP;
        let part = |v: usize| ((v % STEP) as f32 + 0.5) / STEP as f32;
        let above = grid[corner].lerp(grid[corner + 1], part(x));
        let below = grid[corner + columns].lerp(grid[corner + columns + 1], part(x));
        *pixel = above.lerp(below, part(y));
    }
}
