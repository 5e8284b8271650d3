//! Gradient descent with momentum.

use super::Array;

/// New weight and velocity: `v = momentum * v + (g + decay * w)`, `w = w - lr * v`.
#[must_use]
pub fn sgd([weight, gradient, velocity]: [&Array; 3], decay: f64, momentum: f64, lr: f64) -> Vec<Array> {
    let pull = gradient.zip(weight, |g, w| g + decay * w);
    let velocity = velocity.zip(&pull, |v, p| momentum * v + p);
    vec![weight.zip(&velocity, |w, v| w - lr * v), velocity]
}
