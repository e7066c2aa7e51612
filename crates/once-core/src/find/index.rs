//! What objects are found by, in memory: component, name, home and time of each. It is not part of the store, and costs no
//! action a row: it is built when somebody looks for something, and then told which objects have changed. ADR 0018.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::FIND_INDEX_MAX_OBJECTS;
use once_model::scenario::Scenario;

use crate::object::{self, HeadRow};
use crate::store::{Read, StoreError};

/// What an object is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    component: Arc<str>,
    name: Option<Box<str>>,
    home: Option<KernelId>,
    changed_ms: u64,
    content: Hash,
}

impl Entry {
    /// Its component; empty if it names none.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component
    }

    /// The object's name, as its scenario says.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its home, once claimed.
    #[must_use]
    pub const fn home(&self) -> Option<KernelId> {
        self.home
    }

    /// When its newest revision was stored here, in milliseconds since 1970.
    #[must_use]
    pub const fn changed_ms(&self) -> u64 {
        self.changed_ms
    }

    /// Whether it was read from a revision with this content.
    #[must_use]
    pub fn is_of(&self, header: &Header) -> bool {
        self.content == header.content
    }
}

/// The scenario of an object; nothing if it was removed, or its bytes are damaged.
pub(super) fn scenario(rows: &dyn Read, head: &HeadRow) -> Result<Option<Scenario>, StoreError> {
    match object::body(rows, &head.header) {
        Ok(body) => Ok(body.and_then(|body| Scenario::parse(body).ok())),
        Err(StoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of an object: from the index, if that knows this revision.
///
/// # Errors
/// When the store cannot be read.
pub fn name_of(rows: &dyn Read, index: Option<&Index>, head: &HeadRow) -> Result<Option<String>, StoreError> {
    match index.and_then(|index| index.get(&head.header.key())).filter(|entry| entry.is_of(&head.header)) {
        Some(entry) => Ok(entry.name().map(str::to_owned)),
        None => Ok(scenario(rows, head)?.and_then(|scenario| scenario.name().map(str::to_owned))),
    }
}

/// The objects of a kernel that were not removed, by key.
#[derive(Debug, Default)]
pub struct Index {
    objects: BTreeMap<ObjectKey, Entry>,
    /// Each component once.
    components: BTreeSet<Arc<str>>,
}

impl Index {
    /// Reads all objects; `None` if they are more than an index holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn build(rows: &dyn Read) -> Result<Option<Self>, StoreError> {
        let (mut index, mut failed) = (Self::default(), None);
        object::heads_after(rows, None, &mut |head| {
            if let Err(error) = index.add(rows, &head) {
                failed = Some(error);
            }
            let goes_on = failed.is_none() && !index.is_full();
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Some(index).filter(|index| !index.is_full())),
        }
    }

    /// Whether it holds as many objects as it may: it is of no use any more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.objects.len() >= FIND_INDEX_MAX_OBJECTS
    }

    /// An object has changed, has come, or has gone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn update(&mut self, rows: &dyn Read, key: &ObjectKey) -> Result<(), StoreError> {
        if mutant!(FindStaleIndex) && self.objects.contains_key(key) {
            return Ok(());
        }
        match object::head(rows, key) {
            Ok(Some(head)) => self.add(rows, &head),
            Ok(None) | Err(StoreError::Damaged { .. }) => {
                self.objects.remove(key);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn add(&mut self, rows: &dyn Read, head: &HeadRow) -> Result<(), StoreError> {
        let (header, key) = (&head.header, head.header.key());
        if header.tombstone {
            self.objects.remove(&key);
            return Ok(());
        }
        let known = self.objects.get(&key).filter(|entry| entry.is_of(header));
        let name = match known {
            Some(entry) => entry.name.clone(),
            None => scenario(rows, head)?.and_then(|scenario| scenario.name().map(Box::from)),
        };
        let component = self.component(&header.component);
        let (home, changed_ms, content) = (head.home, head.stored_ms, header.content);
        self.objects.insert(key, Entry { component, name, home, changed_ms, content });
        Ok(())
    }

    fn component(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.components.get(name) {
            return Arc::clone(known);
        }
        // Those of objects that have gone.
        if self.components.len() > self.objects.len() {
            self.components.retain(|component| Arc::strong_count(component) > 1);
        }
        let component: Arc<str> = Arc::from(name);
        self.components.insert(Arc::clone(&component));
        component
    }

    /// What it knows of an object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.objects.get(key)
    }

    /// The objects behind one, in the order of keys.
    pub fn after(&self, key: Option<&ObjectKey>) -> impl Iterator<Item = (&ObjectKey, &Entry)> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.objects.range((from, Bound::Unbounded))
    }
}
