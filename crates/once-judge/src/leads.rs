//! Where objects are, as their chains say: what a former home tells, and what is learnt of that (protocol 5.6, A; *Who hears `Moved`*).

use std::collections::BTreeSet;

use once_model::certificate::{Certificate, Chain};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::moving::Moved;

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::objects::began_as;

impl Kernel {
    /// A former home tells where an object is.
    pub(crate) fn moved_left(&mut self, conn: u64, peer: KernelId, moved: &Moved, eyes: &mut Eyes<'_>) {
        let key = moved.key;
        let head = self.objects.heads.get(&key);
        let chain = head.and_then(|head| head.chain.as_ref()).or(self.moves.chains.get(&key));
        let lineage = key.lineage();
        let valid = lineage.is_some_and(|lineage| moved.chain.verify(lineage).is_ok());
        // A home says it, too, and a former one.
        let mine = moved.chain.home() == self.me || was_home(&moved.chain, self.me);
        let away = chain == Some(&moved.chain) && mine;
        // Whether the chain of what was removed is kept, the page leaves free.
        let gone = head.is_none() && self.objects.gone.contains(&key) && mine;
        let lately = self.moves.learnt.get(&key).is_some_and(|group| group + 1 >= self.group);
        let before = lately && chain.is_some_and(|chain| goes_on(chain, &moved.chain));
        let away = away || gone || before;
        eyes.exact(Check::MovedTrue, valid && away, || {
            format!("{key} is said to have moved, and that is not what is known here")
        });
        let laned = self.home.lanes.keys().any(|lane| {
            lane.origin == peer && (lane.name.key == key || lane.name.key == began_as(&moved.chain))
        });
        let known = self.moves.acquainted.contains(&(key, peer)) || laned;
        // Whoever has a right that would reach it is told, too; what changed within the group may have come before or after.
        let reaches = head.is_some_and(|head| self.rights.any_reaches(peer, &head.thing()))
            || self.rights_changed + 1 >= self.group;
        eyes.check(Check::MovedAllowed, How::exact_if(known), known || reaches, || {
            format!("{} is told where {key} is, and had nothing to do with it", peer.short())
        });
        if moved.chain.home() != self.me {
            self.follows.question_told(conn, &key, &began_as(&moved.chain));
            self.home.copies_told(peer, |name| *name == key || *name == began_as(&moved.chain));
            // Who asked to follow it is told where that is to be asked, and does not follow it here.
            self.follows.is_elsewhere(&key, &peer);
            self.shares.follows_no_more(peer, key, self.group);
        }
    }

    /// A chain came, with whatever: a longer one says where the object is now.
    pub(crate) fn chain_came(&mut self, key: &ObjectKey, chain: &Chain) {
        self.chain_shown(key, chain, false);
    }

    /// The same; with an object that comes back here, perhaps.
    pub(crate) fn chain_shown(&mut self, key: &ObjectKey, chain: &Chain, comes_back: bool) {
        let Some(lineage) = key.lineage() else { return };
        if chain.links.is_empty() || chain.verify(lineage).is_err() {
            return;
        }
        if let Some(sealed) = self.moves.sealed.get(key)
            && chain.holder(&sealed.certificate.id()).is_some()
        {
            return self.moved_out(key, chain, comes_back);
        }
        self.moves.perhaps.insert((*key, chain.home()));
    }

    /// A home or former home says where an object is: believed if this kernel knows a chain of it that this one continues, or
    /// asks or follows it at one of its homes.
    pub(crate) fn moved_came(&mut self, peer: KernelId, moved: &Moved) {
        let Some(lineage) = moved.key.lineage() else { return };
        if moved.chain.verify(lineage).is_err() {
            return;
        }
        self.chain_came(&moved.key, &moved.chain);
        let homes: BTreeSet<KernelId> = holders(&moved.chain).collect();
        let names = [moved.key, began_as(&moved.chain)];
        let mut lanes = self.origin.lanes.keys();
        let asks = lanes.any(|(home, name)| homes.contains(home) && names.contains(&name.key));
        // What waits for its turn has no lane yet that was seen.
        let waits =
            self.origin.items.values().any(|item| {
                item.settled.is_none() && homes.contains(&item.home) && names.contains(&item.object)
            });
        let asks = asks || waits;
        let follows = homes.iter().any(|home| names.iter().any(|name| self.follows.follows(*home, name)));
        let known = self.chain_of(&moved.key);
        let longer = known.is_none_or(|known| goes_on(&moved.chain, known));
        let is_home = self.objects.heads.get(&moved.key).is_some_and(|head| head.home() == Some(self.me));
        if !homes.contains(&peer) || !asks && !follows && known.is_none() || !longer || is_home {
            return;
        }
        if let Some(head) = self.objects.heads.get_mut(&moved.key) {
            head.chain = Some(moved.chain.clone());
        } else {
            self.moves.chains.insert(moved.key, moved.chain.clone());
        }
        self.learn(&moved.key, &moved.chain, true);
        self.goes_there(moved.chain.home());
    }

    /// The longest chain that is known of an object.
    pub(crate) fn chain_of(&self, key: &ObjectKey) -> Option<&Chain> {
        let head = self.objects.heads.get(key).and_then(|head| head.chain.as_ref());
        head.or_else(|| self.moves.chains.get(key))
    }

    /// Whether this kernel is a former home of an object.
    pub(crate) fn has_moved_on(&self, key: &ObjectKey) -> bool {
        self.chain_of(key).is_some_and(|chain| chain.home() != self.me && was_home(chain, self.me))
    }

    /// Lanes and subscriptions that led to a home before lead to the home of this chain.
    pub(crate) fn learn(&mut self, key: &ObjectKey, chain: &Chain, told: bool) {
        let (new, began) = (chain.home(), began_as(chain));
        let (me, group) = (self.me, self.group);
        self.moves.learnt.insert(*key, group);
        // What was shown of a guest before says no more where it is.
        if self.guests.get(key).is_some_and(|at| *at != new) {
            self.guests.remove(key);
        }
        let olds: BTreeSet<KernelId> = holders(chain).filter(|home| *home != new).collect();
        for old in olds {
            let named = self.origin.names.get(&(old, began)).copied();
            // What an unclaimed copy has become there is not known before an outcome says so.
            let began_there = named.is_none_or(|named| named == *key);
            let names = [*key, if began_there { began } else { *key }];
            if began_there {
                self.moves.led.insert((began, *key));
            }
            self.origin.lead((old, new), me, group, &names);
            if let Some(named) = named.filter(|named| named == key) {
                self.origin.names.insert((new, began), named);
            }
            let follows = |of: &ObjectKey| of == key || *of == began;
            match told {
                true => self.follows.lead((old, new), me, follows),
                false => self.follows.may_lead((old, new), follows),
            }
        }
    }

    /// A chain that came may have been believed or not: what is sent shows it.
    pub(crate) fn leads_there(&mut self, id: &Uuid, peer: KernelId) {
        let Some(item) = self.origin.items.get(id).filter(|item| item.home != peer) else { return };
        if item.object.lineage().is_none() && item.named == Some(peer) && item.place.is_none() {
            // Whether an unclaimed copy is asked for where it was named, or where it has moved on to, is not said.
            if let Some(item) = self.origin.items.get_mut(id) {
                item.home = peer;
            }
            match peer == self.me {
                true => self.origin.own.insert(*id),
                false => self.origin.own.remove(id),
            };
            return;
        }
        let name = self.objects.name(&item.object);
        let (old, object) = (item.home, item.object);
        let perhaps = self.moves.perhaps.iter().any(|(key, home)| {
            *home == peer && (*key == name || object.lineage().is_none() && key.uuid == object.uuid)
        });
        if perhaps {
            let (me, group) = (self.me, self.group);
            self.origin.lead((old, peer), me, group, &[object, name]);
        }
    }
}

/// Every kernel that was the home of an object, or was to be.
pub(crate) fn holders(chain: &Chain) -> impl Iterator<Item = KernelId> + '_ {
    std::iter::once(chain.genesis.home).chain(chain.links.iter().map(|link| link.home))
}

/// Whether a chain begins with all of another one.
fn goes_on(chain: &Chain, known: &Chain) -> bool {
    let ids = |chain: &Chain| chain.links.iter().map(Certificate::id).collect::<Vec<_>>();
    chain.genesis == known.genesis && ids(chain).starts_with(&ids(known))
}

fn was_home(chain: &Chain, kernel: KernelId) -> bool {
    holders(chain).any(|home| home == kernel)
}
