//! Adam with decoupled weight decay.

use super::Array;

/// New weight, first and second moment at step number `t` (from 1); `rule` is `[beta1, beta2, eps, decay, lr]`.
#[must_use]
pub fn adamw([weight, gradient, first, second]: [&Array; 4], rule: [f64; 5], t: f64) -> Vec<Array> {
    let [beta1, beta2, eps, decay, lr] = rule;
    let first = first.zip(gradient, |m, g| beta1 * m + (1.0 - beta1) * g);
    let second = second.zip(gradient, |v, g| beta2 * v + (1.0 - beta2) * g * g);
    let (c1, c2) = (1.0 - beta1.powf(t), 1.0 - beta2.powf(t));
    let pull = first.zip(&second, |m, v| m / c1 / ((v / c2).sqrt() + eps));
    vec![weight.zip(&pull, |w, p| w - lr * (decay * w + p)), first, second]
}
