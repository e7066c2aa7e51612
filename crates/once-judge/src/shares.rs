//! What a peer is owed, and why; what leaves for it (protocol 5.2).

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::wire::{Code, Parcel, ShareAnswer, Shared};

use crate::ask::{Grantee, Right};
use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::objects::Head;
use crate::placing::Came;
use crate::rights::Tri;

/// Why a peer is owed an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Debt {
    /// A client shared it.
    pub(crate) promised: bool,
    /// The peer follows it.
    pub(crate) followed: bool,
    /// Actions there are given these bytes.
    pub(crate) given: BTreeSet<Hash>,
    /// The same, of actions that may be voids by then.
    given_perhaps: BTreeSet<Hash>,
    /// It may be open once more after it was settled: it was made under the name of an unclaimed copy, and the same may be
    /// owed under both names for a while; or the answer was to nothing that was under way.
    pub(crate) perhaps: bool,
    /// The group in which it was settled: what was under way then is no mistake.
    pub(crate) settled: Option<u64>,
}

impl Shares {
    /// Of a copy that is gone nothing is owed; one that comes later is owed anew.
    pub(crate) fn dropped(&mut self, key: &ObjectKey, group: u64) {
        for (_, debt) in self.debts.iter_mut().filter(|((_, of), debt)| of == key && debt.open()) {
            (debt.settled, debt.perhaps) = (Some(group), true);
        }
    }
}

impl Debt {
    pub(crate) fn open(&self) -> bool {
        self.settled.is_none()
    }
}

/// What one kernel owes, and what it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shares {
    pub(crate) debts: BTreeMap<(KernelId, ObjectKey), Debt>,
    /// What is under way on a connection.
    sent: BTreeMap<(u64, ObjectKey), (Hash, u64)>,
    /// In which group an answer came last: to a share of the same group, perhaps.
    heard: BTreeMap<(u64, ObjectKey), u64>,
    /// Shares that came and are not answered.
    pub(crate) came: BTreeMap<(u64, ObjectKey, Hash), Vec<Came>>,
}

impl Shares {
    pub(crate) fn forget_memory(&mut self) {
        self.sent.clear();
        self.heard.clear();
        self.came.clear();
    }

    /// Shares that came on connections that live, whose bytes are here, and that nobody has answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.came.values().flatten().filter(|came| !came.pulled).count()
    }

    /// A share is answered: of several copies the first that the answer fits.
    pub(crate) fn answered(&mut self, conn: u64, shared: &Shared) -> Option<Came> {
        let place = (conn, shared.key, shared.id);
        let all = self.came.get_mut(&place)?;
        let fits = all.iter().position(|came| came.right.contains(&shared.answer));
        let came = all.remove(fits.unwrap_or(0));
        if all.is_empty() {
            self.came.remove(&place);
        }
        Some(came)
    }

    pub(crate) fn link_down(&mut self, conn: u64) {
        self.sent.retain(|(on, _), _| *on != conn);
        self.heard.retain(|(on, _), _| *on != conn);
        self.came.retain(|(on, _, _), _| *on != conn);
    }

    /// A debt, made anew if what was owed was settled.
    fn owe(&mut self, peer: KernelId, key: ObjectKey) -> &mut Debt {
        let debt = self.debts.entry((peer, key)).or_default();
        if debt.settled.is_some() {
            *debt = Debt { perhaps: debt.perhaps, ..Debt::default() };
        }
        debt
    }

    pub(crate) fn promise(&mut self, peer: KernelId, key: ObjectKey) {
        self.owe(peer, key).promised = true;
    }

    pub(crate) fn follow(&mut self, peer: KernelId, key: ObjectKey) {
        self.owe(peer, key).followed = true;
    }

    /// The peer follows it no longer: what it was owed for that alone it is owed no more.
    pub(crate) fn follows_no_more(&mut self, peer: KernelId, key: ObjectKey, group: u64) {
        let Some(debt) = self.debts.get_mut(&(peer, key)).filter(|debt| debt.open() && debt.followed) else {
            return;
        };
        if debt.promised || !debt.given.is_empty() || !debt.given_perhaps.is_empty() {
            debt.followed = false;
        } else {
            debt.settled = Some(group);
        }
    }

    /// An action depends on it; perhaps none that is still wanted.
    pub(crate) fn give(&mut self, peer: KernelId, key: ObjectKey, content: Hash, perhaps: bool) {
        let debt = self.owe(peer, key);
        if perhaps {
            debt.given_perhaps.insert(content)
        } else {
            debt.given.insert(content)
        };
    }

    /// People give it up.
    pub(crate) fn give_up(&mut self, peer: KernelId, key: ObjectKey, group: u64) {
        if let Some(debt) = self.debts.get_mut(&(peer, key)).filter(|debt| debt.open()) {
            debt.settled = Some(group);
        }
    }

    pub(crate) fn forget_peer(&mut self, peer: &KernelId) {
        self.debts.retain(|(to, _), _| to != peer);
    }

    pub(crate) fn clear(&mut self) {
        self.debts.clear();
    }

    /// A debt keeps its kind when its unclaimed copy is claimed.
    pub(crate) fn rename(&mut self, old: &ObjectKey, new: &ObjectKey) {
        let moved: Vec<_> = self.debts.keys().filter(|(_, key)| key == old).copied().collect();
        for (peer, key) in moved {
            let Some(debt) = self.debts.remove(&(peer, key)) else { continue };
            self.debts.entry((peer, *new)).or_insert(debt).perhaps = true;
        }
    }
}

const fn uuid_zero() -> Uuid {
    Uuid::from_u128(0)
}

impl Kernel {
    /// Whether a peer may read an object.
    pub(crate) fn may_read(&self, peer: KernelId, head: &Head) -> Tri {
        if !self.knows(&peer) {
            return Tri::No;
        }
        if head.home() == Some(peer) {
            return Tri::Yes;
        }
        // A chain that says so may have been kept or not.
        let perhaps = self.moves.perhaps.contains(&(head.header.key(), peer));
        let granted = self.rights.may(Grantee::Kernel(peer), Right::Read, &head.thing(), None, &self.clock);
        if perhaps { granted.or(Tri::Open) } else { granted }
    }

    /// The same, where what answers may not know what was changed in this group and the last.
    pub(crate) fn may_have_read(&self, peer: KernelId, head: &Head) -> Tri {
        let lately = if self.rights_changed + 1 >= self.group { Tri::Open } else { Tri::No };
        match self.may_read(peer, head) {
            Tri::Yes if lately == Tri::Open => Tri::Open,
            now => now.or(lately),
        }
    }

    /// What the debts of a peer allow of a revision.
    pub(crate) fn debt_allows(&self, peer: KernelId, head: &Head) -> Tri {
        if self.goes_ahead(peer, head) {
            return Tri::Yes;
        }
        let Some(debt) = self.shares.debts.get(&(peer, head.header.key())) else { return Tri::No };
        if debt.settled.is_some_and(|group| group + 1 < self.group) {
            return if debt.perhaps { Tri::Open } else { Tri::No };
        }
        let read = if debt.followed { self.may_have_read(peer, head) } else { Tri::No };
        let perhaps = debt.given_perhaps.contains(&head.header.content);
        let all = Tri::of(debt.promised || debt.given.contains(&head.header.content)).or(read);
        let all = if perhaps || debt.perhaps { all.or(Tri::Open) } else { all };
        // What was settled in the last group may still be on its way, and need not be.
        if debt.open() { all } else { all.and(Tri::Open) }
    }

    /// Whether bytes may be had for what is owed. What was owed under the name of an unclaimed copy is announced under the new
    /// one before it is surely given under that (6.1).
    pub(crate) fn debt_gives(&self, peer: KernelId, head: &Head) -> Tri {
        let perhaps = self.shares.debts.get(&(peer, head.header.key())).is_some_and(|debt| debt.perhaps);
        let allows = self.debt_allows(peer, head);
        if perhaps { allows.and(Tri::Open) } else { allows }
    }

    /// A new revision is here: followers are owed it, but for the one that sent it.
    pub(crate) fn revision_made(&mut self, key: &ObjectKey, from: Option<KernelId>) {
        for peer in self.follows.followers_of(key) {
            if Some(peer) != from {
                self.shares.follow(peer, *key);
            }
        }
    }

    /// A share leaves.
    pub(crate) fn share_left(&mut self, conn: u64, peer: KernelId, parcel: &Parcel, eyes: &mut Eyes<'_>) {
        let key = parcel.header.key();
        let id = parcel.header.id();
        let lately = self.objects.lately.contains_key(&id);
        let head = self.objects.heads.get(&key).cloned();
        let newest = head.as_ref().is_some_and(|head| head.id == id);
        eyes.check(Check::ShareNewest, How::exact_if(!lately), newest || lately, || {
            format!("{key} is shared in a revision that is not the newest")
        });
        let at_disk = eyes.disk.and_then(|disk| disk.objects.heads.get(&key));
        let durable = lately || at_disk.is_some_and(|head| head.id == id);
        eyes.exact(Check::SharedDurable, durable, || format!("{key} is shared before it is on the disk"));
        self.parcel_form(parcel, eyes);
        if let Some(mut head) = head {
            if !newest {
                head.header = parcel.header.clone();
            }
            let allows = self.debt_allows(peer, &head);
            // More followers than a step looks at are told in several: after one more change from the beginning (store, chore 5).
            let followers = self.follows.followers_of(&key);
            let again = followers.len() > eyes.limits.slice_rows && followers.contains(&peer);
            // What was asked for in front of a removal in the same group leaves with it.
            let allows =
                if again || self.peers.was_lately(&peer, self.group) { allows.or(Tri::Open) } else { allows };
            eyes.check(Check::ShareOwed, How::exact_if(allows.sure()), allows.can(), || {
                format!("{key} is shared with {}, and nothing it is owed allows that", peer.short())
            });
        }
        self.share_window(conn, key, eyes);
        self.shares.sent.insert((conn, key), (id, eyes.at));
    }

    fn share_window(&self, conn: u64, key: ObjectKey, eyes: &mut Eyes<'_>) {
        let before = self.shares.sent.get(&(conn, key)).map(|(_, at)| *at);
        let lately = self.shares.heard.get(&(conn, key)).is_some_and(|group| group + 1 >= self.group);
        let early = !lately
            && before.is_some_and(|at| {
                eyes.at < at.saturating_add(eyes.limits.resend_ms) && self.clock.set_at <= at
            });
        let least = (conn, ObjectKey { uuid: uuid_zero(), line: Line::Unclaimed(Hash::from_bytes([0; 32])) });
        let others = self.shares.sent.range(least..).take_while(|((on, _), _)| *on == conn);
        // What had no answer for as long as a resend takes is under way no more.
        let (at, resend_ms, set_at) = (eyes.at, eyes.limits.resend_ms, self.clock.set_at);
        let is_under_way = |sent: &u64| at < sent.saturating_add(resend_ms) && set_at <= *sent;
        let count = others.filter(|((_, other), (_, sent))| *other != key && is_under_way(sent)).count();
        let own = eyes.limits.window;
        let said = self.conns.get(&conn).map_or(0, |conn| conn.window);
        // Only who keeps to less than the page has no use for what the other side allows.
        let window = if own < once_model::limits::WINDOW_MAX_SHARES { own } else { said.max(own) };
        eyes.exact(Check::ShareWindow, !early && count < window, || {
            format!("{key} is shared while {count} others are under way, or again before its time")
        });
    }

    /// What every parcel that leaves must be like (309-312).
    pub(crate) fn parcel_form(&self, parcel: &Parcel, eyes: &mut Eyes<'_>) {
        let header = &parcel.header;
        let small = header.size <= eyes.limits.inline_bytes && !header.tombstone;
        let body = match &parcel.body {
            None => !small,
            Some(body) => small && once_model::hash::content_hash(body) == header.content,
        };
        let home = parcel.chain.as_ref().map(once_model::certificate::Chain::home);
        let signed = home.is_none_or(|home| home == self.me || header.signed_by(&home));
        let chained = parcel.chain.is_some() == header.lineage.is_some();
        eyes.exact(Check::ParcelForm, body && signed && chained, || {
            format!("a parcel of {} with its body or its signature amiss", header.key())
        });
    }

    /// A share was answered: the answer for the newest revision settles the debt.
    pub(crate) fn shared_came(&mut self, conn: u64, peer: KernelId, shared: &Shared) {
        // An answer to what is not under way may be taken, and may be ignored.
        let under_way = self.shares.sent.remove(&(conn, shared.key)).is_some();
        self.shares.heard.insert((conn, shared.key), self.group);
        let later =
            matches!(shared.answer, ShareAnswer::Refused(Code::Busy | Code::DiskFull | Code::Stopping));
        let newest = self.objects.find(&shared.key).is_some_and(|head| head.id == shared.id);
        let key = self.objects.name(&shared.key);
        let Some(debt) = self.shares.debts.get_mut(&(peer, key)).filter(|_| newest && !later) else { return };
        debt.perhaps = debt.open() && (debt.perhaps || !under_way);
        debt.settled.get_or_insert(self.group);
    }
}
