//! What is remembered of rows that a step may take back: it goes back along with them.

use std::collections::BTreeMap;
use std::ops::Deref;

use once_model::ids::ObjectKey;

/// A map that knows what it held before in this step.
#[derive(Debug)]
pub(crate) struct Remembered<V> {
    now: BTreeMap<ObjectKey, V>,
    /// What was there before each change of this step, in their order.
    before: Vec<(ObjectKey, Option<V>)>,
}

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self { now: BTreeMap::new(), before: Vec::new() }
    }
}

impl<V> Deref for Remembered<V> {
    type Target = BTreeMap<ObjectKey, V>;

    fn deref(&self) -> &Self::Target {
        &self.now
    }
}

impl<V: Clone> Remembered<V> {
    pub fn insert(&mut self, key: ObjectKey, new: V) {
        let old = self.now.insert(key, new);
        self.before.push((key, old));
    }

    pub fn remove(&mut self, key: &ObjectKey) -> Option<V> {
        let old = self.now.remove(key)?;
        self.before.push((*key, Some(old.clone())));
        Some(old)
    }

    pub fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut V> {
        let now = self.now.get_mut(key)?;
        self.before.push((*key, Some(now.clone())));
        Some(now)
    }

    /// All of them, for what is no matter of rows.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.now.values_mut()
    }

    /// A step begins: what was changed before stays.
    pub fn begin(&mut self) {
        self.before.clear();
    }

    /// How many changes this step has made.
    pub fn changes(&self) -> usize {
        self.before.len()
    }

    /// Takes back all changes of this step but the first so many.
    pub fn take_back(&mut self, to: usize) {
        for (key, old) in self.before.drain(to.min(self.before.len())..).rev() {
            match old {
                Some(old) => drop(self.now.insert(key, old)),
                None => drop(self.now.remove(&key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use once_model::ids::{Hash, Line, Uuid};

    use super::*;

    #[test]
    fn what_is_taken_back_is_as_it_was() {
        let key =
            |n| ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(Hash::from_bytes([0; 32])) };
        let mut map = Remembered::default();
        map.insert(key(1), 1);
        map.insert(key(2), 2);
        map.begin();
        let kept = map.changes();
        map.remove(&key(1));
        map.insert(key(3), 3);
        if let Some(two) = map.get_mut(&key(2)) {
            *two = 20;
        }
        map.insert(key(1), 10);
        let to = map.changes();
        map.remove(&key(3));
        map.take_back(to);
        assert_eq!(map.values().copied().collect::<Vec<_>>(), [10, 20, 3]);
        map.take_back(kept);
        assert_eq!(map.values().copied().collect::<Vec<_>>(), [1, 2]);
    }
}
