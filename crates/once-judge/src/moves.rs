//! Objects that leave: what their home says and seals, and what is left behind (protocol 5.6, A).

use std::collections::{BTreeMap, BTreeSet};

use once_model::action::BUILT_IN_FROM;
use once_model::certificate::{Answer, Certificate, CertificateKind, Chain};
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::limits::{INLINE_MAX_BYTES, LUGGAGE_MAX_BYTES};
use once_model::moving::{Ahead, Handed, Handoff, Luggage, Welcome};

use crate::check::{Check, How};
use crate::effects::{Kind, Owed};
use crate::eyes::{Continues, Eyes};
use crate::kernel::Kernel;
use crate::objects::Head;
use crate::rights::Tri;
use crate::told::Told;

/// An object that is in neither place.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) handoff: Handoff,
    pub(crate) certificate: Certificate,
    /// What it waits for, and gets back if it is refused.
    owed: Vec<(Uuid, Owed)>,
}

impl Sealed {
    /// What it waits for of this id.
    pub(crate) fn owed_mut(&mut self, id: &Uuid) -> Option<&mut Owed> {
        self.owed.iter_mut().find(|(of, _)| of == id).map(|(_, owed)| owed)
    }
}

/// What one kernel knows of moves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moves {
    /// To where people move objects of this kernel.
    pub(crate) leaving: BTreeMap<ObjectKey, BTreeSet<KernelId>>,
    /// Objects that were asked at some time not to wait for their calls.
    pub(crate) leaves_calls: BTreeSet<ObjectKey>,
    /// What objects are told because they move.
    pub(crate) told: BTreeMap<ObjectKey, crate::words::Told>,
    /// Receivers that would take an object under a certificate of its home.
    welcome: BTreeSet<(ObjectKey, Hash, KernelId)>,
    pub(crate) sealed: BTreeMap<ObjectKey, Sealed>,
    /// In which group a chain of an object was learnt last: what was made before it in that group says the one before.
    pub(crate) learnt: BTreeMap<ObjectKey, u64>,
    /// Who is told where an object is that was here.
    pub(crate) acquainted: BTreeSet<(ObjectKey, KernelId)>,
    /// Chains that were told of objects that are not here.
    pub(crate) chains: BTreeMap<ObjectKey, Chain>,
    /// What an unclaimed copy has become at a home that the object has left, as its chain says.
    pub(crate) led: BTreeSet<(ObjectKey, ObjectKey)>,
    /// Questions of people whether an object could move somewhere.
    pub(crate) would: BTreeSet<(ObjectKey, KernelId)>,
    /// Kernels that may be the home of an object: a chain says so that may have been kept or not.
    pub(crate) perhaps: BTreeSet<(ObjectKey, KernelId)>,
    /// Objects that were made by one that came from another kernel.
    pub(crate) made_by_guests: BTreeSet<ObjectKey>,
    /// Questions of other homes that are not answered: whether the sender had the right to host.
    pub(crate) aheads: BTreeMap<(u64, ObjectKey, Hash), Tri>,
    /// To whom this kernel has said yes, of which object under which certificate.
    pub(crate) yes: BTreeSet<(ObjectKey, Hash, KernelId)>,
    /// Handoffs that came, by their certificate, and from whom.
    pub(crate) handoffs: BTreeMap<Hash, (KernelId, Handoff)>,
    /// Handoffs that their sender wants back.
    pub(crate) withdrawn: BTreeMap<Hash, Certificate>,
}

impl Moves {
    /// What is in memory only is gone.
    pub(crate) fn forget_memory(&mut self) {
        self.would.clear();
        self.aheads.clear();
    }

    pub(crate) fn link_down(&mut self, conn: u64) {
        self.aheads.retain(|(on, ..), _| *on != conn);
    }

    /// Whether an object of this kernel does not work as always: it is about to leave, or is sealed.
    pub(crate) fn stands(&self, key: &ObjectKey) -> bool {
        self.sealed.contains_key(key) || self.leaving.contains_key(key)
    }
}

impl Kernel {
    /// The certificate, component, version and size of an object are asked about.
    pub(crate) fn ahead_left(&mut self, conn: u64, peer: KernelId, ahead: &Ahead, eyes: &mut Eyes<'_>) {
        let head = self.objects.heads.get(&ahead.key);
        let fits = head.is_some_and(|head| {
            let header = &head.header;
            head.home() == Some(self.me)
                && header.certificate == Some(ahead.certificate)
                && (&header.component, &header.version, header.size)
                    == (&ahead.component, &ahead.version, ahead.size)
        });
        let asked = self.moves.leaving.get(&ahead.key).is_some_and(|to| to.contains(&peer))
            || self.moves.would.contains(&(ahead.key, peer));
        let knows = self.conns.get(&conn).is_none_or(|conn| conn.moves);
        // What is said of a revision that was followed in this group is right, too.
        let lately = head.is_some_and(|head| head.home() == Some(self.me)) && !self.objects.lately.is_empty();
        eyes.check(Check::MoveAsked, How::exact_if(fits), asked && knows && (fits || lately), || {
            format!("{} is to move to {}, and nobody wants that, or it is not so", ahead.key, peer.short())
        });
    }

    /// The receiver says whether it would take the object.
    pub(crate) fn welcome_came(&mut self, peer: KernelId, welcome: &Welcome) {
        let Welcome { key, certificate, code } = *welcome;
        match code {
            None => drop(self.moves.welcome.insert((key, certificate, peer))),
            Some(_) => drop(self.moves.welcome.remove(&(key, certificate, peer))),
        }
    }

    /// An object is sealed.
    pub(crate) fn sealed(&mut self, handoff: &Handoff, eyes: &mut Eyes<'_>) {
        let key = handoff.header.key();
        let Some((certificate, before)) = handoff.split() else {
            return eyes.exact(Check::SealRight, false, || format!("{key} is sealed without a handoff"));
        };
        let head = self.objects.heads.get(&key).cloned();
        let follows = head.as_ref().is_some_and(|head| self.handoff_follows(certificate, &before, head));
        let first = !self.moves.sealed.contains_key(&key);
        let asked = self.moves.leaving.get(&key).is_some_and(|to| to.contains(&certificate.home));
        let welcome = (key, certificate.base, certificate.home);
        eyes.exact(Check::SealRight, follows && first && asked, || {
            format!("{key} is sealed, and the handoff does not continue what is here")
        });
        eyes.exact(Check::SealRight, self.moves.welcome.contains(&welcome), || {
            format!("{key} is sealed, and {} has not said yes", certificate.home.short())
        });
        let busy = self.under_way(&key);
        eyes.exact(Check::SealRight, busy.is_none(), || {
            format!("{key} is sealed, and {} is under way", busy.clone().unwrap_or_default())
        });
        // Shown with all of it, also where it is pulled.
        let bytes = handoff.luggage.clone().unwrap_or_default();
        let luggage = Luggage::unpack(&bytes).ok();
        let hash = once_model::hash::content_hash(&bytes);
        let small = bytes.len() <= LUGGAGE_MAX_BYTES && certificate.luggage == Some(hash);
        eyes.exact(Check::LuggageTrue, small && luggage.is_some(), || {
            format!("the luggage of {key} is too large, or not the one that the handoff names")
        });
        let Some(luggage) = luggage else { return };
        self.luggage_true(&key, &luggage, eyes);
        if let (true, Some(head)) = (eyes.live(), &head) {
            let tip = certificate.tip.map(|tip| (tip.number, tip.hash));
            let last =
                Continues { revision: head.header.revision, id: head.id, content: head.header.content, tip };
            eyes.world.sealed.insert(certificate.id(), last);
        }
        let timers = luggage.timers.iter().map(|timer| timer.id);
        let works = luggage.activities.iter().map(|work| work.id);
        let calls = luggage.left.iter().map(|call| call.id);
        let gone: Vec<Uuid> = timers.chain(works).chain(calls).collect();
        let owed = gone.into_iter().filter_map(|id| Some((id, self.effects.owed.remove(&id)?))).collect();
        let sealed = Sealed { handoff: handoff.clone(), certificate: certificate.clone(), owed };
        self.moves.sealed.insert(key, sealed);
    }

    fn handoff_follows(&self, handoff: &Certificate, before: &Chain, head: &Head) -> bool {
        let tip = self.objects.tips.get(&head.header.key());
        head.chain.as_ref() == Some(before)
            && before.home() == self.me
            && handoff.kind == CertificateKind::Handoff
            && handoff.home != self.me
            && handoff.signer == self.me
            && handoff.base == before.certificate()
            && handoff.epoch == before.epoch() + 1
            && (handoff.base_revision, handoff.base_id) == (head.header.revision, head.id)
            && handoff.tip.map(|tip| (tip.number, tip.hash)) == tip.map(|tip| (tip.number, tip.hash))
            && !head.header.tombstone
    }

    /// What of an object must come to its end before it leaves.
    fn under_way(&self, key: &ObjectKey) -> Option<String> {
        if self.home.running.contains_key(key) {
            return Some("a run".into());
        }
        let leaves = self.moves.leaves_calls.contains(key);
        let acts = |item: &&crate::origin::Item| {
            let is_left = leaves && self.objects.name(&item.object) != *key;
            item.action.acting == Some(*key) && item.settled.is_none() && !is_left
        };
        // One that rows 6 and 7 refuse here has its outcome when nobody sees it.
        let mut items = self.origin.items.values().filter(|item| item.sure && item.codes.is_empty());
        if let Some(item) = items.find(acts) {
            return Some(format!("its action {}", item.action.name));
        }
        let told = |owed: &&Owed| owed.object == *key && owed.came.is_some() && !owed.optional;
        self.effects.owed.values().find(told).map(|owed| format!("its answer {}", owed.then.action))
    }

    /// Lanes, timers, work outside and followers are those of the object.
    fn luggage_true(&self, key: &ObjectKey, luggage: &Luggage, eyes: &mut Eyes<'_>) {
        let mut lanes = self.home.lanes.iter().filter(|(lane, known)| {
            self.objects.name(&lane.name.key) == *key && known.rows.keys().any(|place| *place < BUILT_IN_FROM)
        });
        let lane_fits = lanes.find(|(id, lane)| {
            let packed = luggage.lanes.iter().find(|packed| {
                (packed.name, packed.origin, packed.incarnation) == (id.name, id.origin, id.incarnation)
            });
            let Some(packed) = packed else { return true };
            let right = packed.mark == lane.mark && packed.floor <= lane.floor.max(lane.mark + 1);
            // Of the kernel's own lanes it keeps no results.
            let from = packed.floor.max(lane.floor);
            let mut rows = lane.rows.range(from.min(BUILT_IN_FROM)..BUILT_IN_FROM);
            let all = id.origin == self.me
                || rows.all(|(sequence, row)| {
                    let result = packed.results.iter().find(|result| result.sequence == *sequence);
                    result.is_some_and(|result| (result.id, result.hash) == (row.id, row.action))
                });
            let true_ = packed.results.iter().all(|result| {
                lane.rows.get(&result.sequence).is_some_and(|row| {
                    (result.id, result.hash, &result.outcome) == (row.id, row.action, &row.outcome)
                })
            });
            !(right && all && true_)
        });
        let wrong = lane_fits.map(|(lane, _)| lane.origin);
        eyes.exact(Check::LuggageTrue, wrong.is_none(), || {
            format!(
                "the luggage of {key} says another thing of a lane of {}",
                wrong.map_or(String::new(), |o| o.short())
            )
        });
        let packed: BTreeSet<Uuid> = luggage.timers.iter().map(|timer| timer.id).collect();
        let works: BTreeSet<Uuid> = luggage.activities.iter().map(|work| work.id).collect();
        let owed = |id: &Uuid| self.effects.owed.get(id).filter(|owed| owed.object == *key);
        let timers = packed.iter().all(|id| matches!(owed(id), Some(Owed { kind: Kind::Timer { .. }, .. })));
        let known = works
            .iter()
            .all(|id| matches!(owed(id), Some(Owed { kind: Kind::Activity { .. }, came: None, .. })));
        let mut left = self.effects.all_owed().filter(|(id, owed)| {
            owed.object == *key && !owed.optional && !packed.contains(id) && !works.contains(id)
        });
        let left = left.find(|(_, owed)| !matches!(owed.kind, Kind::Call)).map(|(id, _)| *id);
        eyes.exact(Check::LuggageTrue, timers && known && left.is_none(), || {
            format!("the luggage of {key} has timers or work that it does not wait for, or lacks {left:?}")
        });
        let left: BTreeSet<Uuid> = luggage.left.iter().map(|call| call.id).collect();
        let calls = |id: &Uuid| matches!(owed(id), Some(Owed { kind: Kind::Call, came: None, .. }));
        let stays = self.effects.all_owed().find(|(id, owed)| {
            let item = self.origin.items.get(*id).filter(|item| item.sure && item.codes.is_empty());
            let waits = item.is_some_and(|item| item.settled.is_none());
            owed.object == *key && matches!(owed.kind, Kind::Call) && waits && !left.contains(id)
        });
        let right = left.iter().all(calls) && stays.is_none();
        eyes.exact(Check::LuggageTrue, right, || {
            format!("the luggage of {key} has calls that it does not wait for, or lacks one")
        });
        let followers: BTreeSet<KernelId> = self.follows.followers_of(key).into_iter().collect();
        let more = luggage.followers.iter().find(|peer| !followers.contains(peer)).copied();
        eyes.exact(Check::LuggageTrue, more.is_none(), || {
            format!("the luggage of {key} names a follower that is none: {more:?}")
        });
    }

    /// A handoff leaves: the one that is sealed, to its receiver.
    pub(crate) fn handoff_left(&mut self, peer: KernelId, handoff: &Handoff, eyes: &mut Eyes<'_>) {
        let key = handoff.header.key();
        if self.moves.learnt.get(&key).is_some_and(|group| group + 1 >= self.group) {
            // It was made before that it has moved was heard of in the same group.
            return eyes.not_made(Check::HandoffSame);
        }
        let on_disk = eyes.disk.is_some_and(|disk| disk.is_sealed_as(&key, peer, handoff));
        let small = handoff.header.size <= eyes.limits.inline_bytes;
        let body = match &handoff.body {
            Some(body) => small && once_model::hash::content_hash(body) == handoff.header.content,
            None => !small,
        };
        eyes.exact(Check::HandoffSame, on_disk && body, || {
            format!(
                "a handoff of {key} leaves for {}, and is not the one that is sealed on the disk",
                peer.short()
            )
        });
    }

    fn is_sealed_as(&self, key: &ObjectKey, peer: KernelId, handoff: &Handoff) -> bool {
        self.moves.sealed.get(key).is_some_and(|sealed| {
            sealed.certificate.home == peer
                && sealed.handoff.header.id() == handoff.header.id()
                && sealed.handoff.chain == handoff.chain
                && luggage_is(&sealed.handoff, handoff)
        })
    }

    /// The receiver's answer: if it is a yes to what is sealed, the object has moved.
    pub(crate) fn handed_came(&mut self, handed: &Handed) {
        let Some(sealed) = self.moves.sealed.get(&handed.key) else { return };
        if !handed.answer.accepted || !handed.answer.is_to(&sealed.certificate) {
            return;
        }
        let mut chain = sealed.handoff.chain.clone();
        if let Some(last) = chain.links.last_mut() {
            last.acceptance = Some(handed.answer);
        }
        self.moved_out(&handed.key, &chain, false);
    }

    /// The object is gone: what is left knows where it is.
    ///
    /// What waits for it in memory is told where it is; but if it comes back at once, that is looked at anew.
    pub(crate) fn moved_out(&mut self, key: &ObjectKey, chain: &Chain, comes_back: bool) {
        self.moves.sealed.remove(key);
        self.moves.leaving.remove(key);
        let mut known: BTreeSet<KernelId> = self.follows.followers_of(key).into_iter().collect();
        known.extend(self.rights.leave(key));
        let lanes = self.home.lanes.keys().filter(|lane| self.objects.name(&lane.name.key) == *key);
        known.extend(lanes.map(|lane| lane.origin));
        let known: Vec<_> = known.into_iter().map(|peer| (*key, peer)).collect();
        self.moves.acquainted.extend(known);
        // Of a visitor it is not said whether it is owed the news of what moves on.
        let told = self.moves.acquainted.iter().filter(|(of, _)| of == key);
        for (_, peer) in told {
            self.peers.visits.owe(*peer, *key, Tri::Open);
        }
        self.follows.forget_followers(key);
        if !comes_back {
            let objects = &self.objects;
            self.home.forget_object(|name| objects.name(name) == *key);
        }
        self.rights_changed = self.group;
        if let Some(head) = self.objects.heads.get_mut(key) {
            head.chain = Some(chain.clone());
        }
        self.learn(key, chain, true);
    }

    /// A refused object works again: what it waits for is here again.
    pub(crate) fn reopened(&mut self, key: &ObjectKey) {
        self.moves.leaving.remove(key);
        let Some(sealed) = self.moves.sealed.remove(key) else { return };
        for (id, mut owed) in sealed.owed {
            if matches!(owed.kind, Kind::Call) {
                owed.came = Some(Told::Unknown);
            }
            if let Kind::Timer { from, .. } = owed.kind {
                self.effects.rings(from, id);
            }
            self.effects.owed.insert(id, owed);
        }
    }

    /// Whether the bytes of an object that is about to leave go ahead to the kernel that has said yes to it.
    pub(crate) fn goes_ahead(&self, peer: KernelId, head: &Head) -> bool {
        let key = head.header.key();
        let leaves = self.moves.leaving.get(&key).is_some_and(|to| to.contains(&peer));
        let welcome = head.header.certificate.is_some_and(|it| self.moves.welcome.contains(&(key, it, peer)));
        leaves && welcome && head.header.size > INLINE_MAX_BYTES as u64
    }

    /// Whether an object is sealed for a kernel.
    pub(crate) fn seals_for(&self, peer: &KernelId) -> bool {
        self.moves.sealed.values().any(|sealed| sealed.certificate.home == *peer)
    }

    /// Whether an object of this kernel moved in, or was made by one that did: then it has none of this kernel's rights.
    pub(crate) fn is_guest(&self, key: &ObjectKey) -> bool {
        let here = self.objects.name(key);
        let chain = self.objects.heads.get(&here).and_then(|head| head.chain.as_ref());
        chain.is_some_and(Chain::has_moved) || self.moves.made_by_guests.contains(&here)
    }
}

/// Whether luggage leaves as it was sealed: inside, or how many bytes it has.
fn luggage_is(sealed: &Handoff, said: &Handoff) -> bool {
    let size = sealed.luggage.as_ref().map(|luggage| luggage.len() as u64);
    match &said.luggage {
        Some(_) => said.luggage == sealed.luggage,
        None => size.is_some() && said.luggage_size == size,
    }
}

/// Whether an answer is the one that a certificate's receiver may give.
pub(crate) fn is_answer(answer: &Answer, handoff: &Certificate) -> bool {
    answer.is_to(handoff)
}
