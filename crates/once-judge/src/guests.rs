//! Guests (5.5 Rights): whose chains were shown.

use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Guest;

use crate::kernel::Kernel;
use crate::objects::Head;

impl Kernel {
    /// A peer shows the chain by which it speaks for a guest.
    pub(crate) fn guest_came(&mut self, peer: KernelId, said: &Guest) {
        let is_of = said.chain.genesis.uuid == said.key.uuid && said.chain.home() == peer;
        if is_of && said.key.lineage().is_some_and(|lineage| said.chain.verify(lineage).is_ok()) {
            self.guests.insert(said.key, peer);
        }
    }

    /// Where an object is that acts, as far as is known.
    pub(crate) fn home_of_acting(&self, acting: &ObjectKey, guest: bool) -> Option<KernelId> {
        let shown = self.guests.get(acting).copied().filter(|_| guest);
        shown.or_else(|| self.objects.find(acting).and_then(Head::home))
    }
}
