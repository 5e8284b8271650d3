//! The last few of something.

/// Keeps what was used last.
pub struct Recent<K, V> {
    entries: Vec<(K, V)>,
    most: usize,
}

impl<K: PartialEq, V> Recent<K, V> {
    /// Keeps `most` at a time.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { entries: Vec::new(), most }
    }

    /// What is kept under `key`, which is used last from now on.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let at = self.entries.iter().position(|(known, _)| known == key)?;
        let entry = self.entries.remove(at);
        self.entries.push(entry);
        self.entries.last().map(|(_, value)| value)
    }

    /// Keeps `value` under `key`.
    pub fn put(&mut self, key: K, value: V) {
        self.entries.retain(|(known, _)| *known != key);
        if self.entries.len() == self.most {
            self.entries.remove(0);
        }
        self.entries.push((key, value));
    }

    /// Forgets what `drop` says.
    pub fn forget(&mut self, drop: impl Fn(&K) -> bool) {
        self.entries.retain(|(key, _)| !drop(key));
    }

    /// All that is kept.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn what_was_used_last_stays() {
        let mut recent = Recent::new(2);
        recent.put(1, 'a');
        recent.put(2, 'b');
        assert_eq!(recent.get(&1), Some(&'a'));
        recent.put(3, 'c');
        let found = [2, 1, 3].map(|key| recent.get(&key).copied());
        assert_eq!(found, [None, Some('a'), Some('c')]);
        recent.forget(|&key| key == 1);
        assert_eq!(recent.values().collect::<Vec<_>>(), [&'c']);
    }
}
