//! What is known of acts that wait at a home, when their object comes or goes (protocol 5.6).

use once_model::ids::{KernelId, ObjectKey};

use crate::home::Home;

impl Home {
    /// An object has left: what is known of it in memory is gone. Who waits for it is told where it is ([`Self::copies_told`]), or
    /// is refused (5.6 A, a replica).
    pub(crate) fn forget_object(&mut self, is_it: impl Fn(&ObjectKey) -> bool) {
        self.again.retain(|(_, lane, _), _| !is_it(&lane.name.key));
        self.gaps.retain(|(lane, ..)| !is_it(&lane.name.key));
        self.running.retain(|key, _| !is_it(key));
        self.put_off.retain(|key| !is_it(key));
    }

    /// An object has come: what waits for it in memory since it was here before is forgotten (5.6 B, accepts).
    pub(crate) fn came_back(&mut self, names: &[ObjectKey], me: KernelId) {
        self.copies.retain(|(lane, _), _| lane.origin == me || !names.contains(&lane.name.key));
    }

    /// An origin is told that an object is elsewhere.
    pub(crate) fn copies_told(&mut self, origin: KernelId, is_it: impl Fn(&ObjectKey) -> bool) {
        self.copies.retain(|(lane, _), _| lane.origin != origin || !is_it(&lane.name.key));
        self.again.retain(|(_, lane, _), _| lane.origin != origin || !is_it(&lane.name.key));
    }
}
