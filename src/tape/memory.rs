//! Which temporary lives in which buffer: shared objects, greedily by size.

/// A block of memory that is needed from node `first` to node `last`, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub bytes: u64,
    pub first: usize,
    pub last: usize,
}

/// Gives every interval a buffer such that intervals in one buffer never overlap; returns (buffer of each interval,
/// bytes of each buffer).
///
/// Largest first, each into the smallest buffer that is free for its whole life: since buffers are created by the
/// largest, a later interval always fits. Whole buffers rather than offsets into one arena, because WebGPU forbids one
/// buffer to be bound as read-only and as writable in the same dispatch.
pub(super) fn assign(intervals: &[Interval]) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(intervals[i].bytes), intervals[i].first, i));
    let mut buffers: Vec<(u64, Vec<(usize, usize)>)> = Vec::new();
    let mut place = vec![0; intervals.len()];
    for index in order {
        let Interval { bytes, first, last } = intervals[index];
        let free = |taken: &[(usize, usize)]| taken.iter().all(|&(a, b)| last < a || b < first);
        let best =
            buffers.iter().enumerate().filter(|(_, b)| free(&b.1)).min_by_key(|(_, b)| b.0).map(|(i, _)| i);
        let buffer = best.unwrap_or_else(|| {
            buffers.push((bytes, Vec::new()));
            buffers.len() - 1
        });
        buffers[buffer].1.push((first, last));
        place[index] = buffer;
    }
    (place, buffers.into_iter().map(|b| b.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_lives_never_share_and_others_do() {
        let interval = |bytes, first, last| Interval { bytes, first, last };
        let intervals = [interval(16, 0, 1), interval(64, 1, 2), interval(32, 2, 3), interval(16, 3, 9)];
        let (place, sizes) = assign(&intervals);
        for (i, a) in intervals.iter().enumerate() {
            assert!(a.bytes <= sizes[place[i]]);
            for (j, b) in intervals.iter().enumerate().skip(i + 1) {
                let overlap = a.first <= b.last && b.first <= a.last;
                assert!(!overlap || place[i] != place[j], "{i} and {j} share");
            }
        }
        assert_eq!(sizes.len(), 2);
    }
}
