//! Who is painted before whom. There is no depth buffer: what is hidden has to come first.

use super::camera::Camera;
use super::layout::Object;
use super::stage::Stage;
use super::street::{House, Street};
use super::{building, canvas::crosses};
use glam::{Vec3, vec2};

/// Something that is painted as a whole.
pub(super) enum Item<'a> {
    House(&'a House),
    Object(Object),
}

impl Item<'_> {
    /// The shadow on the ground; those of houses are part of the street's plan.
    pub fn cast(&self, stage: &mut Stage) {
        if let Self::Object(object) = self {
            object.cast(stage);
        }
    }

    /// The item itself.
    pub fn draw(&self, stage: &mut Stage) {
        match self {
            Self::House(house) => building::draw(stage, house),
            Self::Object(object) => object.draw(stage),
        }
    }
}

/// Houses and `objects` (the farthest first) in the order in which they are to be painted.
pub(super) fn painting_order<'a>(street: &'a Street, camera: &Camera, objects: Vec<Object>) -> Vec<Item<'a>> {
    let num_houses = street.houses.len();
    // Indices of the items that have to be painted before each item. Houses come from far to near.
    let mut first: Vec<Vec<usize>> =
        (0..num_houses).map(|i| i.checked_sub(1).into_iter().collect()).collect();
    let mut hidden = Vec::with_capacity(objects.len());
    for (j, object) in objects.iter().enumerate() {
        let before = street.houses.iter().position(|h| hides(street, h, object.foot(), camera.eye));
        // Who stands on the street before the houses comes after all of them.
        first.push(before.unwrap_or(num_houses).checked_sub(1).into_iter().collect());
        if let Some(house) = before {
            first[house].push(num_houses + j);
        }
        hidden.push(before.is_some());
    }
    for (i, object) in objects.iter().enumerate() {
        let Object::Car(car) = object else { continue };
        for (j, other) in objects.iter().enumerate() {
            if i == j || hidden[i] || hidden[j] || other.foot().distance(car.foot) > 9.0 {
                continue;
            }
            // Depth alone puts someone who stands beside a car's tail in front of it: the sides of the car decide.
            match car.hides(other.foot(), camera.eye) {
                Some(true) => first[num_houses + i].push(num_houses + j),
                Some(false) => first[num_houses + j].push(num_houses + i),
                None => {}
            }
        }
    }
    let items = street.houses.iter().map(Item::House).chain(objects.into_iter().map(Item::Object));
    sorted(items.collect(), &first)
}

/// Whether `house` stands between `eye` and something with its foot at `foot`. On a straight street that can only be
/// what lies beyond the line of the fronts, such as a garden tree; in a bend, the street itself too.
fn hides(street: &Street, house: &House, foot: Vec3, eye: Vec3) -> bool {
    if foot.z < house.along.1 {
        return false;
    }
    if street.offset(foot) * house.side > house.front {
        return true;
    }
    let corner = |z: f32, back: f32| {
        let point = street.point(z, house.side * (house.front + back), 0.0);
        vec2(point.x, point.z)
    };
    let (near, far) = (corner(house.along.0, 0.0), corner(house.along.1, 0.0));
    let sight = [vec2(eye.x, eye.z), vec2(foot.x, foot.z)];
    crosses(sight, [near, far]) || crosses(sight, [far, corner(house.along.1, building::DEPTH)])
}

/// `items` in an order in which each comes after those that `first` names for it, else as they are.
fn sorted<T>(items: Vec<T>, first: &[Vec<usize>]) -> Vec<T> {
    let mut waiting: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    let mut start = 0;
    while start < waiting.len() {
        let is_free = |i: &usize| waiting[*i].is_some() && first[*i].iter().all(|&j| waiting[j].is_none());
        // Three cars can wait for each other in a ring; then depth decides after all.
        let next = (start..waiting.len()).find(is_free).unwrap_or(start);
        ordered.extend(waiting[next].take());
        while start < waiting.len() && waiting[start].is_none() {
            start += 1;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::synth::layout;

    #[test]
    fn garden_trees_come_before_the_houses_that_hide_them_and_the_street_comes_last() {
        let mut num_hidden = 0;
        for seed in 0..60 {
            let mut street = Street::random(&mut Rng::new(seed, 1));
            street.bend = 0.0;
            let camera = layout::camera(&street, 256, 160, &mut Rng::new(seed, 2));
            let objects = layout::objects(&street, &camera, 256, &mut Rng::new(seed, 3));
            let num_items = street.houses.len() + objects.len();
            let order = painting_order(&street, &camera, objects);
            assert_eq!(order.len(), num_items);
            let mut houses_to_come: Vec<&House> = street.houses.iter().collect();
            for item in &order {
                let foot = match item {
                    Item::House(house) => {
                        assert!(std::ptr::eq(houses_to_come.remove(0), *house), "seed {seed}: far to near");
                        continue;
                    }
                    Item::Object(object) => object.foot(),
                };
                let offset = street.offset(foot);
                let hiding = |h: &&House| h.side * offset > h.front && h.along.1 <= foot.z;
                if let Some(house) = street.houses.iter().find(hiding) {
                    num_hidden += 1;
                    let is_to_come = houses_to_come.iter().any(|h| std::ptr::eq(*h, house));
                    assert!(is_to_come, "seed {seed}: painted over a house, {foot}");
                } else if offset.abs() < street.road + street.pavement {
                    assert!(houses_to_come.is_empty(), "seed {seed}: painted before a house, {foot}");
                }
            }
        }
        assert!(num_hidden > 20, "{num_hidden} objects stand behind a house");
    }

    #[test]
    fn rings_are_broken_and_the_given_order_is_kept_otherwise() {
        assert_eq!(sorted(vec!['a', 'b', 'c'], &[vec![2], vec![], vec![]]), ['b', 'c', 'a']);
        assert_eq!(sorted(vec!['a', 'b', 'c'], &[vec![1], vec![2], vec![0]]), ['a', 'c', 'b']);
    }
}
