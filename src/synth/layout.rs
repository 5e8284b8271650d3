//! Who is where: fills a street with cars, people, trees and poles, in view of a camera.

use super::building::DEPTH;
use super::camera::Camera;
use super::car::Car;
use super::furniture::{Furniture, Kind};
use super::math;
use super::person::Person;
use super::stage::Stage;
use super::street::Street;
use super::tree::Tree;
use crate::rng::Rng;
use glam::{Vec3, vec2};
use std::f32::consts::{FRAC_PI_2, PI};

/// Least height of a hedge, in metres: more than that of any eye, so that nobody looks over it at bare ground.
const HEDGE: f32 = 2.8;

/// Something that stands on the ground.
pub(super) enum Object {
    Tree(Tree),
    Furniture(Furniture),
    Car(Car),
    Person(Box<Person>),
}

impl Object {
    /// Where it stands.
    pub fn foot(&self) -> Vec3 {
        match self {
            Self::Tree(tree) => tree.foot,
            Self::Furniture(furniture) => furniture.foot,
            Self::Car(car) => car.foot,
            Self::Person(person) => person.foot,
        }
    }

    /// Metres in front of the camera.
    fn depth(&self, camera: &Camera) -> f32 {
        camera.depth(self.foot())
    }

    /// The shadow on the ground.
    pub fn cast(&self, stage: &mut Stage) {
        match self {
            Self::Tree(tree) => tree.cast(stage),
            Self::Furniture(furniture) => furniture.cast(stage),
            Self::Car(car) => car.cast(stage),
            Self::Person(person) => person.cast(stage),
        }
    }

    /// The object itself.
    pub fn draw(&self, stage: &mut Stage) {
        match self {
            Self::Tree(tree) => tree.draw(stage),
            Self::Furniture(furniture) => furniture.draw(stage),
            Self::Car(car) => car.draw(stage),
            Self::Person(person) => person.draw(stage),
        }
    }
}

/// A place to stand for the camera: on the road like a driver, or on a pavement looking along or across the street.
pub(super) fn camera(street: &Street, width: usize, height: usize, rng: &mut Rng) -> Camera {
    let walker = rng.chance(0.45);
    let side = if rng.chance(0.5) { -1.0 } else { 1.0 };
    let (offset, tall, yaw) = if walker {
        let offset = side * (street.road + street.pavement * rng.range(0.15, 0.7));
        (offset, rng.range(1.45, 2.1), -side * rng.range(0.05, 0.75))
    } else {
        (rng.range(-0.2, 0.6) * street.road, rng.range(1.35, 2.6), rng.range(-0.2, 0.2))
    };
    let focal = rng.range(0.72, 1.05) * width.max(height * 5 / 4) as f32;
    let pitch = rng.range(-0.02, 0.09) + 0.05 * (tall - 1.5);
    let centre = vec2(width as f32, height as f32) * 0.5;
    Camera::new(street.point(0.0, offset, tall), yaw, pitch, rng.range(-0.02, 0.02), focal, centre)
}

/// Everything on the street, the farthest first.
pub(super) fn objects(street: &Street, camera: &Camera, width: usize, rng: &mut Rng) -> Vec<Object> {
    let mut cars: Vec<Car> = Vec::new();
    parked(street, camera, &mut cars, rng);
    moving(street, camera, &mut cars, rng);
    let mut objects = Vec::new();
    trees(street, camera, &mut objects, rng);
    gardens(street, &mut objects, rng);
    poles(street, camera, &mut objects, rng);
    people(street, camera, width, &cars, &mut objects, rng);
    objects.extend(cars.into_iter().map(Object::Car));
    objects.retain(|o| o.depth(camera) > 1.2);
    objects.sort_by(|a, b| b.depth(camera).total_cmp(&a.depth(camera)));
    objects
}

/// Adds a car unless it would touch another, or stand on the camera.
fn add(cars: &mut Vec<Car>, camera: &Camera, car: Car) {
    let close = |other: &Car| {
        (other.foot - car.foot).length() < 0.5 * (other.size.x + car.size.x) + 0.4
            && (other.covers(car.foot, 0.5 * car.size.y + 0.3)
                || car.covers(other.foot, 0.5 * other.size.y + 0.3))
    };
    if !cars.iter().any(close) && !car.covers(camera.eye.with_y(0.0), 1.6) {
        cars.push(car);
    }
}

fn parked(street: &Street, camera: &Camera, cars: &mut Vec<Car>, rng: &mut Rng) {
    for (side, wanted) in [(-1.0, street.parking[0]), (1.0, street.parking[1])] {
        if !wanted {
            continue;
        }
        let full = rng.range(0.35, 0.95);
        let mut z = rng.range(1.0, 5.0);
        while z < 70.0 {
            let free = street.zebra.is_some_and(|s| z > s - 4.0 && z < s + 7.0)
                || street.crossing.is_some_and(|(m, h)| (z - m).abs() < h + 6.0);
            if !free && rng.chance(full) {
                let foot = street.point(z, side * (street.road - 1.12 + rng.range(-0.08, 0.05)), 0.0);
                let turned = if (side > 0.0) != rng.chance(0.12) { 0.0 } else { PI };
                let heading = street.heading(z) + turned + rng.range(-0.04, 0.04);
                add(cars, camera, Car::random(foot, heading, rng));
            }
            z += rng.range(5.2, 6.6);
        }
    }
}

fn moving(street: &Street, camera: &Camera, cars: &mut Vec<Car>, rng: &mut Rng) {
    let lane = 0.48
        * (street.road - 1.1 * f32::from(u8::from(street.parking[0]) + u8::from(street.parking[1]))).max(3.0);
    let dense = rng.range(0.2, 0.9);
    for side in [-1.0, 1.0] {
        let mut z = rng.range(4.5, 16.0);
        while z < 90.0 {
            if rng.chance(dense) {
                let foot = street.point(z, side * lane + rng.range(-0.25, 0.25), 0.0);
                let heading = street.heading(z) + if side > 0.0 { 0.0 } else { PI } + rng.range(-0.05, 0.05);
                add(cars, camera, Car::random(foot, heading, rng));
            }
            z += rng.range(7.0, 22.0);
        }
    }
    if let Some((middle, half)) = street.crossing {
        for way in [-1.0, 1.0] {
            if rng.chance(0.6) {
                let foot = street.point(middle - way * 0.45 * half, rng.range(-1.0, 1.0) * street.road, 0.0);
                add(cars, camera, Car::random(foot, way * FRAC_PI_2 + rng.range(-0.25, 0.25), rng));
            }
        }
    } else if rng.chance(0.15) {
        // Someone turns round: a car across the street.
        let foot = street.point(rng.range(9.0, 18.0), rng.range(-0.3, 0.3) * street.road, 0.0);
        add(cars, camera, Car::random(foot, rng.range(0.6, 2.5), rng));
    }
}

fn trees(street: &Street, camera: &Camera, objects: &mut Vec<Object>, rng: &mut Rng) {
    for side in [-1.0, 1.0] {
        let kerb = street.road + 0.75;
        let (step, dense) = (rng.range(6.5, 13.0), if rng.chance(0.25) { 0.0 } else { rng.range(0.4, 1.0) });
        let mut z = rng.range(2.0, 10.0);
        while z < 110.0 {
            let foot = street.point(z, side * (kerb + rng.range(-0.1, 0.2)), 0.0);
            if rng.chance(dense) && street.is_pavement(kerb, z, 0.4) && foot.distance(camera.eye) > 6.0 {
                objects.push(Object::Tree(Tree::random(foot, rng)));
            }
            z += step * rng.range(0.8, 1.2);
        }
    }
}

/// Hedges close the view wherever no house does, along the street and along the far side of the one that crosses it.
/// Gardens are behind them: their trees show, their ground does not.
fn gardens(street: &Street, objects: &mut Vec<Object>, rng: &mut Rng) {
    let back = street.road + street.pavement;
    for side in [-1.0, 1.0] {
        for (from, to) in street.gaps(side) {
            let (leaf, grown) = (Tree::green(rng), rng.range(0.0, 0.4));
            pieces(from, to, |z, half| {
                let foot = street.point(z, side * (back + 0.6), 0.0);
                let height = HEDGE + grown + rng.range(0.0, 0.25);
                objects.push(Object::Tree(Tree::hedge(foot, vec2(0.55, half), height, leaf, rng)));
                if z < 80.0 && rng.chance(0.3) && from + 0.6 < z && z < to - 0.6 {
                    let foot = street.point(z, side * (back + rng.range(3.0, 9.0)), 0.0);
                    objects.push(Object::Tree(Tree::random(foot, rng)));
                }
            });
        }
        let Some((middle, half)) = street.crossing else { continue };
        let z = middle + half + street.pavement;
        let corner = street.houses.iter().find(|h| h.side == side && (h.along.0 - z).abs() < 0.1);
        let start = corner.map_or(back + 0.6, |house| house.front + DEPTH);
        let (leaf, grown) = (Tree::green(rng), rng.range(0.0, 0.4));
        pieces(start, 75.0, |offset, half| {
            let foot = street.point(z + 0.6, side * offset, 0.0);
            let height = HEDGE + grown + rng.range(0.0, 0.25);
            objects.push(Object::Tree(Tree::hedge(foot, vec2(half, 0.55), height, leaf, rng)));
        });
    }
}

/// Cuts a stretch into pieces of about two metres that overlap a little: calls `place(middle, half)` for each.
fn pieces(from: f32, to: f32, mut place: impl FnMut(f32, f32)) {
    let count = ((to - from) / 2.0).ceil().max(1.0);
    let half = 0.5 * (to - from) / count;
    for i in 0..count as u32 {
        place(from + half * (2 * i + 1) as f32, half + 0.1);
    }
}

fn poles(street: &Street, camera: &Camera, objects: &mut Vec<Object>, rng: &mut Rng) {
    let mut place =
        |z: f32, offset: f32, rng: &mut Rng, make: &mut dyn FnMut(Vec3, &mut Rng) -> Furniture| {
            let foot = street.point(z, offset, 0.0);
            if street.is_pavement(offset, z, 0.15) && foot.distance(camera.eye.with_y(0.0)) > 2.5 {
                objects.push(Object::Furniture(make(foot, rng)));
            }
        };
    let lamp_height = rng.range(4.6, 7.8);
    for side in [-1.0f32, 1.0] {
        let kerb = side * (street.road + 0.42);
        if rng.chance(0.85) {
            let step = rng.range(13.0, 24.0);
            let mut z = rng.range(3.0, 14.0);
            while z < 120.0 {
                let kind = Kind::Lamp { height: lamp_height, arm: Vec3::X * -side };
                place(z, kerb, rng, &mut |foot, rng| Furniture::new(foot, kind.clone(), rng));
                z += step;
            }
        }
        // Traffic on the right looks at signs that face it; the left side's signs show their backs more often.
        let count = 1 + rng.below(3);
        for _ in 0..count {
            let z = rng.range(5.0, 30.0);
            let toward = if side > 0.0 || rng.chance(0.6) { PI } else { 0.0 };
            let turn = toward + street.heading(z) + rng.range(-0.25, 0.25);
            let facing = Vec3::new(math::sin(turn), 0.0, math::cos(turn));
            place(z, kerb, rng, &mut |foot, rng| Furniture::sign(foot, facing, rng));
        }
        if rng.chance(0.3) {
            let from = rng.range(4.0, 20.0);
            for i in 0..5 {
                place(from + 1.6 * i as f32, kerb, rng, &mut |foot, rng| {
                    Furniture::new(foot, Kind::Bollard, rng)
                });
            }
        }
        if let Some((middle, half)) = street.crossing {
            let kind = Kind::Traffic { facing: -Vec3::Z, on: rng.below(3) as usize };
            place(middle - half - 1.2, kerb, rng, &mut |foot, rng| Furniture::new(foot, kind.clone(), rng));
        }
    }
}

fn people(
    street: &Street,
    camera: &Camera,
    width: usize,
    cars: &[Car],
    objects: &mut Vec<Object>,
    rng: &mut Rng,
) {
    let wanted = 3 + rng.below(9);
    let mut feet: Vec<Vec3> = objects.iter().map(Object::foot).collect();
    let mut found = 0;
    for trial in 0..wanted * 14 {
        if found == wanted {
            break;
        }
        // The first few are drawn towards the camera: they are the ones whose limbs can be told apart.
        let depth = if trial < 30 && found < 3 {
            rng.range(3.6, 9.0)
        } else {
            5.0 + 32.0 * math::power(rng.uniform(), 2)
        };
        let across = (rng.range(0.03, 0.97) * width as f32 - camera.centre.x) / camera.focal * depth;
        let level = camera.forward.with_y(0.0).normalize();
        let side = camera.right.with_y(0.0).normalize();
        let foot = (camera.eye + level * depth + side * across).with_y(0.0);
        let (offset, z) = (street.offset(foot), foot.z);
        let zebra = street.zebra.is_some_and(|s| z > s + 0.3 && z < s + 3.1) && offset.abs() < street.road;
        let stray = rng.chance(0.03) && offset.abs() < street.road;
        let taken = feet.iter().any(|f| f.distance(foot) < 0.55) || cars.iter().any(|c| c.covers(foot, 0.3));
        if taken || !(street.is_pavement(offset, z, 0.3) || zebra || stray) {
            continue;
        }
        let heading = if zebra || stray {
            FRAC_PI_2 * if rng.chance(0.5) { 1.0 } else { -1.0 } + rng.range(-0.2, 0.2)
        } else if rng.chance(0.75) {
            street.heading(z) + if rng.chance(0.5) { 0.0 } else { PI } + rng.range(-0.3, 0.3)
        } else {
            rng.range(-PI, PI)
        };
        feet.push(foot);
        objects.push(Object::Person(Box::new(Person::random(foot, heading, rng))));
        found += 1;
        // Some walk in company.
        let beside = foot + Vec3::new(math::cos(heading), 0.0, -math::sin(heading)) * 0.62;
        let free = !cars.iter().any(|c| c.covers(beside, 0.3))
            && street.is_pavement(street.offset(beside), beside.z, 0.2);
        if rng.chance(0.3) && free {
            feet.push(beside);
            objects.push(Object::Person(Box::new(Person::random(
                beside,
                heading + rng.range(-0.1, 0.1),
                rng,
            ))));
        }
    }
}
