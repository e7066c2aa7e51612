//! With which code a command is refused (local-api Errors).

use std::collections::BTreeSet;

use once_model::action::Act;
use once_model::certificate::Chain;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};

use crate::ask::{Ask, AskAct, Grant, Grantee, Refusal, Scope};
use crate::clients::asked_action;
use crate::kernel::Kernel;
use crate::leads::holders;
use crate::limits::Limits;
use crate::objects::{Head, began_as};
use crate::origin::Item;
use crate::peers::Conn;
use crate::rights::Tri;

/// What a command may be refused with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expect {
    pub(crate) may: Vec<Refusal>,
    must: bool,
}

impl Expect {
    /// It is done.
    fn done() -> Self {
        Self::default()
    }

    /// It is refused with one of these.
    fn refused(codes: &[Refusal]) -> Self {
        Self { may: codes.to_vec(), must: true }
    }

    /// It is done, or refused with one of these: the page, or what is seen, leaves it open.
    fn open(codes: &[Refusal]) -> Self {
        Self { may: codes.to_vec(), must: false }
    }

    /// Whether it must fail.
    pub(crate) fn fails(&self) -> bool {
        self.must
    }
}

/// Whether a nearly full disk refuses it: what brings bytes, or makes a peer owed some.
fn takes_room(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Create(_)
            | Ask::Import(_)
            | Ask::Put { .. }
            | Ask::Claim(_)
            | Ask::Keep { .. }
            | Ask::Act(_)
            | Ask::Share { .. }
    )
}

use Refusal as R;

impl Kernel {
    /// With what a command may be refused as things stand.
    pub(crate) fn expect(&self, ask: &Ask, limits: &Limits) -> Expect {
        if let Ask::Outcome(id) = ask {
            return self.known_action(id, limits);
        }
        if self.quarantined && !matches!(ask, Ask::QuarantineEnd { .. } | Ask::ClockAccept | Ask::Receipt(_))
        {
            return Expect::refused(&[R::Quarantined]);
        }
        let expect = self.with_room(ask, limits);
        let known = matches!(ask, Ask::Act(act) if self.origin.items.contains_key(&act.id));
        if self.short && takes_room(ask) && !known {
            return Expect::refused(&[&[R::DiskFull], &expect.may[..]].concat());
        }
        expect
    }

    fn expect_give_up(&self, key: &ObjectKey, to: &KernelId) -> Expect {
        let debt = self.shares.debts.get(&(*to, self.objects.name(key)));
        // What allows nothing any more is dropped without a word; what was owed to a kernel that was removed since is kept apart.
        let was_removed = self.peers.former.contains_key(to) || !self.peers.is(to);
        if debt.is_some() || was_removed {
            Expect::open(&[R::NotFound])
        } else {
            Expect::refused(&[R::NotFound])
        }
    }

    fn expect_unfollow(&self, key: &ObjectKey, from: &KernelId) -> Expect {
        let names = self.names_of(key);
        let perhaps = names.iter().any(|key| self.follows.perhaps.contains(&(*from, *key)));
        match (names.iter().any(|key| self.follows.follows(*from, key)), perhaps) {
            (true, _) => Expect::done(),
            (false, true) => Expect::open(&[R::NotFound]),
            (false, false) => Expect::refused(&[R::NotFound]),
        }
    }

    /// The same on a disk with room.
    fn with_room(&self, ask: &Ask, limits: &Limits) -> Expect {
        match ask {
            Ask::Act(act) => self.expect_act(act, limits),
            Ask::Put { key, state, base } => self.expect_put(key, state.uuid, state.derived, base.as_ref()),
            Ask::Grant(grant) => self.expect_grant(&self.as_it_is_called(grant), limits),
            Ask::Revoke(grant) => self.expect_revoke(&self.as_it_is_called(grant), limits),
            Ask::Cancel(id) => self.known_action(id, limits),
            Ask::Receipt(id) if !self.origin.items.contains_key(id) => Expect::open(&[R::NotFound]),
            Ask::Receipt(_) => Expect::open(&[R::NotFound, R::Unproven, R::Unreachable, R::Denied]),
            Ask::Share { key, to } => self.with_peer(to, self.expect_share(key, to, limits), limits),
            Ask::GiveUp { key, to } => self.expect_give_up(key, to),
            Ask::Follow { from, .. } => self.with_peer(from, Expect::done(), limits),
            Ask::Unfollow { key, from } => self.expect_unfollow(key, from),
            // It is said when nothing of it is left: until then also to who asks again.
            Ask::PeerRemove(peer) if self.peers.removing.contains(peer) => Expect::open(&[R::NotFound]),
            // To whom an object is sealed must answer.
            Ask::PeerRemove(peer) if self.seals_for(peer) => Expect::refused(&[R::Invalid, R::NotFound]),
            Ask::PeerRemove(peer) => self.with_peer(peer, Expect::done(), limits),
            Ask::Claim(key) => self.with_object(key, &[R::Removed, R::NotHome, R::Invalid]),
            Ask::Remove(key) => self.expect_remove(key),
            Ask::Keep { key, .. } => {
                self.with_object(key, &[R::NotFound, R::NotHome, R::Removed, R::Invalid])
            }
            Ask::Drop { key, .. } => self.with_object(key, &[R::NotFound]),
            Ask::Worked { id, .. } => self.expect_worked(id),
            Ask::Create(_) | Ask::Import(_) => {
                Expect::open(&[R::Invalid, R::Removed, R::Stale, R::NotHome, R::Unclaimed, R::NotFound])
            }
            Ask::Join(_) => Expect::open(&[
                R::NotFound,
                R::Usage,
                R::Invalid,
                R::Quota,
                R::Unreachable,
                R::Denied,
                R::Busy,
            ]),
            Ask::PeerAdd(_) => {
                Expect::open(&[R::Usage, R::Invalid, R::Quota, R::Unreachable, R::Denied, R::Busy])
            }
            Ask::Invite { .. } => Expect::open(&[R::Usage, R::Quota, R::Invalid]),
            Ask::InviteRevoke(_) | Ask::OutboxDrop(_) => {
                Expect::open(&[R::NotFound, R::Denied, R::Usage, R::Invalid])
            }
            Ask::Move { .. } | Ask::WouldMove { .. } | Ask::Stay(_) => Expect::open(&[
                R::NotFound,
                R::NotHome,
                R::Removed,
                R::Unclaimed,
                R::Usage,
                R::Invalid,
                R::Quota,
                R::Denied,
                R::Unreachable,
            ]),
            Ask::ClockAccept => Expect::open(&[R::Usage]),
            Ask::QuarantineEnd { .. } => {
                Expect::open(&[R::Usage, R::NotFound, R::Denied, R::Quarantined, R::Invalid])
            }
            Ask::Outcome(id) => self.known_action(id, limits),
        }
    }

    fn known_action(&self, id: &Uuid, limits: &Limits) -> Expect {
        if let Some(item) = self.origin.items.get(id) {
            let forgotten = self.may_be_over(item) && self.origin.ids >= limits.requests;
            // It may be refused in the same step, and nobody knows of it then.
            let accepted = item.sure || item.place.is_some() || item.settled.is_some();
            return Expect::open(if forgotten || !accepted { &[R::NotFound] } else { &[] });
        }
        // An id that a client's built-in action has is not told by the command.
        let built_in = self.objects.entries.values().any(|(entry, _)| entry.id == *id);
        if built_in { Expect::open(&[R::NotFound]) } else { Expect::refused(&[R::NotFound]) }
    }

    /// Whether an action may have its outcome: what rows 6 and 7 refuse of this kernel's own is not seen.
    fn may_be_over(&self, item: &Item) -> bool {
        item.settled.is_some() || item.home == self.me && !item.codes.is_empty()
    }

    fn with_peer(&self, peer: &KernelId, then: Expect, limits: &Limits) -> Expect {
        if *peer == self.me {
            // No kernel is a peer of itself.
            return Expect::refused(&[&then.may[..], &[R::Usage, R::NotFound]].concat());
        }
        // There may be no room for it.
        let perhaps = self.peers.count() > limits.peers && self.clients.is_being_added(peer);
        match self.is_peer(peer) {
            Tri::Yes if !perhaps => then,
            // Of who comes for single objects, or where this kernel goes for them, some things cannot be had.
            Tri::Open if self.knows(peer) => {
                Expect::open(&[&then.may[..], &[R::NotFound, R::Invalid]].concat())
            }
            Tri::Open | Tri::Yes => Expect::open(&[&then.may[..], &[R::NotFound]].concat()),
            Tri::No => Expect::refused(&[R::NotFound]),
        }
    }

    /// Whether a kernel is a peer: one that has shown an invite is one before `Admitted` has left.
    fn is_peer(&self, peer: &KernelId) -> Tri {
        let shows = |conn: &Conn| {
            let opens = conn.secret.map_or(Tri::No, |secret| self.peers.opens(&secret, &self.clock));
            conn.peer == *peer && !conn.admitted && opens.can()
        };
        if self.peers.unsure.contains(peer) {
            Tri::Open
        } else if self.peers.is(peer) {
            Tri::Yes
        } else if self.knows(peer) || self.conns.values().any(shows) {
            Tri::Open
        } else {
            Tri::No
        }
    }

    fn with_object(&self, key: &ObjectKey, may: &[Refusal]) -> Expect {
        match self.objects.find(key) {
            None => Expect::refused(&[R::NotFound]),
            Some(_) => Expect::open(may),
        }
    }

    fn expect_remove(&self, key: &ObjectKey) -> Expect {
        // What is sealed is not changed.
        let still = self.moves.stands(&self.objects.name(key)).then_some(R::Invalid);
        let may: Vec<_> = [R::Removed, R::NotHome].into_iter().chain(still).collect();
        self.with_object(key, &may)
    }

    /// All names that an object here has or had, and the one that is asked for.
    pub(crate) fn names_of(&self, key: &ObjectKey) -> BTreeSet<ObjectKey> {
        let head = self.objects.find(key);
        let began = head.and_then(|head| head.chain.as_ref()).map(began_as);
        [*key, self.objects.name(key)].into_iter().chain(began).collect()
    }

    fn expect_share(&self, key: &ObjectKey, to: &KernelId, limits: &Limits) -> Expect {
        let Some(head) = self.objects.find(key) else { return Expect::refused(&[R::NotFound]) };
        // What may be owed under two names counts twice.
        let owed = self.shares.debts.iter().filter(|((peer, _), _)| peer == to);
        let owed: usize = owed.map(|(_, debt)| 1 + usize::from(debt.perhaps)).sum();
        let full = (owed as u64 >= limits.outbox_rows).then_some(R::Quota);
        let home = head.home().filter(|home| *home != self.me);
        // A signature that is missing may have come since, with another copy of the revision.
        let unsigned = home.is_some_and(|home| !head.header.signed_by(&home)).then_some(R::Invalid);
        Expect::open(&full.into_iter().chain(unsigned).collect::<Vec<_>>())
    }

    fn expect_worked(&self, id: &Uuid) -> Expect {
        let wanted = self.effects.owed.get(id).is_some_and(|owed| owed.told().is_none());
        if wanted { Expect::done() } else { Expect::refused(&[R::NotFound]) }
    }

    /// A grant on a copy that was claimed is one on the object that it has become (5.6, Visitors).
    pub(crate) fn as_it_is_called(&self, grant: &Grant) -> Grant {
        let scope = match &grant.scope {
            Scope::Object(key) => Scope::Object(self.objects.name(key)),
            other => other.clone(),
        };
        Grant { scope, ..grant.clone() }
    }

    fn expect_grant(&self, grant: &Grant, limits: &Limits) -> Expect {
        let to = match (grant.to, grant.home) {
            (Grantee::Kernel(peer), _) => self.with_peer(&peer, Expect::done(), limits),
            // That the home of an object must be a peer is not said.
            (Grantee::Object(_), Some(home)) if home == self.me => Expect::done(),
            (Grantee::Object(_), Some(home)) if self.is_peer(&home) == Tri::Yes => {
                self.with_peer(&home, Expect::done(), limits)
            }
            (Grantee::Object(_), _) => Expect::open(&[R::NotFound, R::Usage, R::Invalid]),
        };
        let component = match &grant.scope {
            Scope::Component(name) => Some(name),
            _ => None,
        };
        let mut names = component.into_iter().chain(grant.actions.iter().flatten());
        let long = names.any(|name| name.len() > limits.name_bytes);
        let count = grant.actions.as_ref().map_or(1, Vec::len);
        let many = count > limits.grant_actions;
        let mut against = to.may.clone();
        against.extend(long.then_some(R::Usage));
        against.extend(many.then_some(R::Quota));
        if to.must || long || many {
            return Expect::refused(&against);
        }
        // Together with what was granted before it may be more than a grant may have; that a list is empty is not said.
        against.extend((count + self.rights.parts(grant) > limits.grant_actions).then_some(R::Quota));
        if count == 0 {
            against.extend([R::Usage, R::Invalid]);
        }
        Expect::open(&against)
    }

    fn expect_revoke(&self, grant: &Grant, limits: &Limits) -> Expect {
        // With which code single actions of a grant of every action are refused is not said.
        let single = [R::Usage, R::Invalid];
        let of = match (&grant.to, grant.home) {
            (Grantee::Kernel(peer), _) => Some(*peer),
            (Grantee::Object(_), home) => home,
        };
        let going = of.is_some_and(|peer| self.peers.removing.contains(&peer));
        if grant.actions.as_ref().is_some_and(|names| names.len() > limits.grant_actions) {
            // A list is counted before it is looked at; whether before it is looked whose right it is, is not said.
            let none = going || self.rights.can_revoke(grant, &self.clock).is_none();
            return Expect::refused(if none { &[R::Quota, R::NotFound] } else { &[R::Quota] });
        }
        match self.rights.can_revoke(grant, &self.clock) {
            // Of a peer that was removed nothing is left some time later.
            _ if going => Expect::open(&[R::NotFound, R::Usage, R::Invalid]),
            None => Expect::refused(&[R::NotFound]),
            Some(Tri::Yes) => Expect::done(),
            Some(Tri::Open) => Expect::open(&[single[0], single[1], R::NotFound]),
            Some(Tri::No) => Expect::refused(&single),
        }
    }

    fn expect_put(&self, key: &ObjectKey, uuid: Uuid, derived: bool, base: Option<&Hash>) -> Expect {
        let Some(head) = self.objects.find(key) else { return Expect::refused(&[R::NotFound]) };
        let mut against = self.not_changed_here(head);
        against.extend(base.filter(|base| **base != head.id).map(|_| R::Stale));
        against.extend((uuid != key.uuid && !derived).then_some(R::Invalid));
        if against.is_empty() { Expect::open(&[R::Invalid]) } else { Expect::refused(&against) }
    }

    /// Why an object cannot be changed here.
    fn not_changed_here(&self, head: &Head) -> Vec<Refusal> {
        let mut against = Vec::new();
        against.extend(head.header.tombstone.then_some(R::Removed));
        match &head.chain {
            None => against.extend(head.from.map(|_| R::Unclaimed)),
            Some(chain) if chain.home() != self.me => against.push(R::NotHome),
            Some(chain) if chain.incarnation() != self.incarnation => against.push(R::Quarantined),
            Some(_) => {}
        }
        against
    }

    fn expect_act(&self, act: &AskAct, limits: &Limits) -> Expect {
        let action = asked_action(act);
        if let Some(item) = self.origin.items.get(&act.id) {
            let same = item.hash == action.hash(&act.object.uuid);
            // What is known of it may have been forgotten.
            if self.may_be_over(item) && self.origin.ids >= limits.requests {
                return Expect::open(&[R::IdReused, R::IdTooOld, R::Usage]);
            }
            return if same { Expect::done() } else { Expect::refused(&[R::IdReused]) };
        }
        let mut against = self.against_act(act);
        let ahead = self.clock.now().saturating_add(limits.id_ahead_ms);
        if act.id.get_version_num() != 7 || id_time(&act.id) > ahead || action.check().is_err() {
            against.push(R::Usage);
        }
        // What is known of it may have been forgotten.
        let old = (self.origin.ids >= limits.requests).then_some(R::IdTooOld);
        let full = self.may_be_full(&act.object.uuid, limits).then_some(R::Quota);
        let home = self.home_for(&act.object, act.home).filter(|home| *home != self.me);
        let stranger =
            home.is_some_and(|home| self.with_peer(&home, Expect::done(), limits).may.contains(&R::NotFound));
        let named = self.home_for(&act.object, act.home);
        let adrift = named.is_some_and(|home| self.is_adrift(&act.object, home));
        let stranger = stranger || adrift;
        let elsewhere = self.waits_elsewhere(&act.object, home).then_some(R::Ambiguous);
        let perhaps = [old, full, stranger.then_some(R::NotFound), elsewhere];
        let perhaps: Vec<_> = perhaps.into_iter().flatten().collect();
        let only_strange = against.iter().all(|code| *code == R::NotFound);
        if against.is_empty() || adrift && only_strange {
            Expect::open(&perhaps)
        } else {
            Expect::refused(&[&against[..], &perhaps[..]].concat())
        }
    }

    /// Whether actions that name the same copy wait at another kernel than this one and the one that is asked now.
    fn waits_elsewhere(&self, object: &ObjectKey, home: Option<KernelId>) -> bool {
        let mut others =
            self.origin.items.values().filter(|item| item.object == *object && item.home != self.me);
        home.is_some()
            && object.lineage().is_none()
            && others.any(|item| item.settled.is_none() && Some(item.home) != home)
    }

    /// Lanes of a copy's name at several kernels share their places, since their objects may turn out to be one: whether the place
    /// before the one of an act was given in another lane, and whether its own was.
    pub(crate) fn given_elsewhere(&self, peer: KernelId, act: &Act) -> (bool, bool) {
        let at = |place: u64| {
            let others =
                self.origin.lanes.iter().filter(|((home, name), _)| *name == act.lane && *home != peer);
            others.filter_map(move |(_, lane)| lane.places.get(&place)).collect::<Vec<_>>()
        };
        let is_others = |id: &&Uuid| self.origin.items.get(id).is_some_and(|item| item.home != self.me);
        let twice = act.lane.key.lineage().is_none() && at(act.sequence).iter().any(is_others);
        (act.sequence > 1 && !at(act.sequence - 1).is_empty(), twice)
    }

    /// Whether so many actions on an object may wait that its lane has no room. Those behind one that waits count, too.
    fn may_be_full(&self, uuid: &Uuid, limits: &Limits) -> bool {
        let of_object = self.origin.items.values().filter(|item| item.object.uuid == *uuid).count();
        // What it is told of its effects stands in the same lane; of what it was told it is not known of which object.
        let told = self.effects.all_owed().filter(|(_, owed)| owed.object.uuid == *uuid).count();
        let most = usize::try_from(limits.queue_rows).unwrap_or(usize::MAX);
        of_object + told + self.effects.ended.len() >= most
    }

    /// Why an action cannot be accepted, for what is known of its object.
    fn against_act(&self, act: &AskAct) -> Vec<Refusal> {
        let head = self.objects.find(&act.object);
        match self.home_for(&act.object, act.home) {
            Some(home) if home == self.me => match head {
                None => vec![R::NotFound],
                Some(head) if head.header.tombstone => vec![R::Removed],
                Some(head) if head.chain.is_none() => head.from.map(|_| R::Unclaimed).into_iter().collect(),
                Some(_) => Vec::new(),
            },
            Some(home) if self.is_peer(&home).can() => Vec::new(),
            _ => vec![R::NotFound],
        }
    }

    /// Where what was an unclaimed copy at a kernel is today: it may have moved on since it was claimed there.
    fn home_after(&self, copy: &ObjectKey, named: KernelId) -> KernelId {
        let told = self.origin.names.get(&(named, *copy)).copied();
        let became = told.unwrap_or_else(|| self.objects.name(copy));
        let chain = self.chain_of(&became).filter(|chain| holders(chain).any(|home| home == named));
        let home = chain.map(Chain::home).filter(|home| *home == self.me || self.knows(home));
        home.unwrap_or(named)
    }

    /// Whether what was an unclaimed copy at a kernel has moved on to one that is no peer: whether an action that names the copy
    /// goes to the kernel that is named, or waits, is not said.
    pub(crate) fn is_adrift(&self, object: &ObjectKey, home: KernelId) -> bool {
        if object.lineage().is_some() {
            return false;
        }
        let told = self.origin.names.get(&(home, *object)).copied();
        let became = told.unwrap_or_else(|| self.objects.name(object));
        let chain = self.chain_of(&became).filter(|chain| holders(chain).any(|of| of == home));
        // An object that began as this copy has moved: where lanes of this name lead is known from what is sent.
        let led = self.moves.led.iter().any(|(copy, _)| copy == object);
        // And if a chain of it came, and may have been believed.
        let perhaps = self.moves.perhaps.iter().any(|(key, at)| key.uuid == object.uuid && *at != home);
        led || perhaps || chain.is_some_and(|chain| chain.home() != home)
    }

    /// Where an action on an object is sent: the home that is known of a claimed one counts, of an unclaimed one the kernel
    /// that was named.
    pub(crate) fn home_for(&self, object: &ObjectKey, named: Option<KernelId>) -> Option<KernelId> {
        let head = self.objects.find(object);
        match (object.line, named, head) {
            (Line::Unclaimed(_), Some(named), _) => Some(self.home_after(object, named)),
            (_, named, Some(head)) => head.home().or(named).or(Some(self.me)),
            (_, named, None) => self.moves.chains.get(object).map(Chain::home).or(named),
        }
    }
}

/// The time in a UUID of version 7, in milliseconds since 1970.
pub(crate) fn id_time(id: &Uuid) -> u64 {
    let bytes = id.as_bytes();
    bytes.iter().take(6).fold(0, |time, byte| time << 8 | u64::from(*byte))
}
