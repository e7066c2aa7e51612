//! Who may act (5.5 Rights), and guests: whose chains were shown, and what they may do.

use once_model::action::Action;
use once_model::certificate::Chain;
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Guest;

use crate::ask::{Grantee, Right};
use crate::kernel::Kernel;
use crate::objects::Head;
use crate::rights::Tri;

impl Kernel {
    /// A peer shows the chain by which it speaks for a guest.
    pub(crate) fn guest_came(&mut self, peer: KernelId, said: &Guest) {
        let is_of = said.chain.genesis.uuid == said.key.uuid && said.chain.home() == peer;
        if is_of && said.key.lineage().is_some_and(|lineage| said.chain.verify(lineage).is_ok()) {
            self.guests.insert(said.key, peer);
            self.moves.perhaps.insert((said.key, peer));
        }
    }

    /// Where an object is that acts, as far as is known.
    pub(crate) fn home_of_acting(&self, acting: &ObjectKey, guest: bool) -> Option<KernelId> {
        let shown = self.guests.get(acting).copied().filter(|_| guest);
        let chained = || self.chain_of(acting).map(Chain::home);
        shown.or_else(chained).or_else(|| self.objects.find(acting).and_then(Head::home))
    }

    fn has_chain(&self, acting: &ObjectKey) -> bool {
        self.guests.contains_key(acting) || self.chain_of(acting).is_some()
    }

    /// Whether a peer may have this done (5.5 Rights).
    pub(crate) fn may_act(&self, origin: KernelId, head: &Head, action: &Action, guest: bool) -> Tri {
        if !self.knows(&origin) {
            return Tri::No;
        }
        let thing = head.thing();
        let name = Some(action.name.as_str());
        let own = self.rights.may(Grantee::Kernel(origin), Right::Act, &thing, name, &self.clock);
        let own = if guest { Tri::No } else { own };
        let Some(acting) = action.acting else { return own };
        let home = self.home_of_acting(&acting, guest);
        if home.is_some_and(|home| home != origin) {
            return Tri::No;
        }
        let mut best = own;
        for (said, holds) in self.rights.of_object(acting, &thing, &action.name, &self.clock) {
            // Of a guest only its chain says where it is.
            let said = if guest { None } else { said };
            if home.or(said) == Some(origin) {
                // Known by a revision alone, without its chain: what counts is whether a chain came along with that.
                let open = guest && holds.can() && !self.has_chain(&acting);
                best = best.or(if open { Tri::Open } else { holds });
            }
        }
        // Whether the chain of what was removed is kept, the page leaves free.
        let is_gone = home.is_none() && self.objects.gone.contains(&acting);
        if is_gone && best.can() { Tri::Open } else { best }
    }

    /// Whether an object of this kernel may have this done: one that came from another kernel needs a grant of its own.
    pub(crate) fn may_act_here(&self, head: &Head, action: &Action) -> Tri {
        let Some(acting) = action.acting else { return Tri::Yes };
        let own = self.objects.name(&acting) == head.header.key();
        if own || !self.is_guest(&acting) {
            return Tri::Yes;
        }
        let granted = self.rights.of_object(acting, &head.thing(), &action.name, &self.clock);
        granted.into_iter().fold(Tri::No, |best, (_, holds)| best.or(holds))
    }
}
