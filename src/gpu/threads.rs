//! Work on several cores where there are threads.

/// `f` of every item, in order; as many at a time as there are cores. In a browser one after the other.
pub(super) fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(items.len());
    if cfg!(target_arch = "wasm32") || cores < 2 {
        return items.iter().map(f).collect();
    }
    // Every so-many-th item each: neighbours, which are of one shader and take alike, go to different threads.
    let share = |first: usize| items.iter().skip(first).step_by(cores).map(&f).collect::<Vec<_>>();
    let shares: Vec<Vec<R>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|first| scope.spawn(move || share(first))).collect();
        let own = share(0);
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<R>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        std::iter::once(own).chain(others.into_iter().map(join)).collect()
    });
    let mut shares: Vec<_> = shares.into_iter().map(Vec::into_iter).collect();
    (0..items.len()).filter_map(|index| shares[index % cores].next()).collect()
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 2, 3, 7, 100] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(map(&items, |i| 3 * i), items.iter().map(|i| 3 * i).collect::<Vec<_>>());
        }
    }
}
