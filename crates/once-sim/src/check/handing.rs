//! What kernels say to each other while an object moves, and what a crash leaves of that.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::access::{Grant, Right, Scope};
use once_core::moving::{HandedRow, LeavingRow, WelcomeRow};
use once_core::object;
use once_core::store::{Read, Table};
use once_core::txn;
use once_core::waist::{Effect, Event, Input};
use once_model::hash::content_hash;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::moving::{Ahead, Handed, Handoff, Luggage, Moved, Welcome, Withdraw};
use once_model::wire::{Frame, Pull};

use super::access::Grantee;
use super::group::Allowed;
use super::moving::{any, granted, handoff_of, leaving_in, names, sealed};
use super::shadow::{Rights, Shadow, scan};
use super::{Checker, Group, Wrong};
use crate::coverage::Coverage;
use crate::disk::Disk;

/// Whether a peer may bring a revision: it may share, or is asked for it, or is about to hand the object over.
pub(super) fn may_bring(
    shadow: &Shadow,
    group: &Group<'_>,
    peer: &KernelId,
    header: &Header,
    keys: &[ObjectKey],
) -> bool {
    may_share(shadow, group, peer, keys)
        || header.certificate.is_some_and(|certificate| is_welcome(group, peer, &header.key(), &certificate))
}

/// Whether a peer may bring a revision for whatever it is: it may share, or is asked for it.
pub(super) fn may_share(shadow: &Shadow, group: &Group<'_>, peer: &KernelId, keys: &[ObjectKey]) -> bool {
    shadow.rights.may_share(peer, group.now_ms) || shadow.follows(peer, keys)
}

/// Whether a peer may send the scenario of an object that it is about to hand over.
fn is_welcome(group: &Group<'_>, peer: &KernelId, key: &ObjectKey, certificate: &Hash) -> bool {
    let place = object::object_peer_key(key, peer);
    let now = txn::get::<WelcomeRow>(group.store, Table::Welcome, &place).ok().flatten();
    let rows = group.changed().filter(|row| row.table == Table::Welcome && row.key == place);
    let before = rows.filter_map(|row| txn::decode::<WelcomeRow>(Table::Welcome, row.before.as_ref()?).ok());
    now.into_iter().chain(before).any(|row| row.certificate == *certificate)
}

/// Whether a peer has a grant that would reach an object, or had one within the group.
fn has_a_right(group: &Group<'_>, peer: &KernelId, key: &ObjectKey) -> bool {
    let component = object::head(group.store, key).ok().flatten().map(|head| head.header.component);
    let reaches = |place: &[u8], value: &[u8]| {
        let all = Grant::list(place, value).unwrap_or_default();
        all.into_iter().map(|listed| listed.grant).any(|grant| {
            grant.kernel == *peer
                && grant.object.is_none()
                && matches!(grant.right, Right::Read | Right::Act)
                && match grant.scope {
                    Scope::Kernel => component.is_some(),
                    Scope::Component(name) => component.as_ref() == Some(&name),
                    Scope::Object(of) => of == *key,
                }
        })
    };
    let now = scan(group.store, Table::Grant, |place, value| reaches(place, value).then_some(()));
    !now.is_empty()
        || group
            .changed()
            .filter(|row| row.table == Table::Grant)
            .any(|row| row.before.as_ref().is_some_and(|before| reaches(&row.key, before)))
}

impl Rights {
    /// Whether a peer may move objects of a component here.
    fn may_host(&self, peer: &KernelId, component: &str, now_ms: u64) -> bool {
        let scopes = [Scope::Kernel, Scope::Component(component.to_owned())];
        self.is_active(peer)
            && scopes.into_iter().any(|scope| self.grants.hold(scope, Right::Host, peer, now_ms))
    }
}

/// Who asks for an object back has written that down, unless its answer came within the group.
fn asks_back(group: &Group<'_>, said: &Withdraw, wrong: &mut Wrong) {
    let key = said.key();
    let row = group.store.durable(Table::Leaving, &key.to_row());
    let row = row.and_then(|row| txn::decode::<LeavingRow>(Table::Leaving, row).ok());
    if row.is_none_or(|row| !row.withdrawn) && sealed(group.store, &key).is_some() {
        wrong.push((6, format!("asks for {key} back before that is on disk")));
    }
}

/// The luggage that a kernel may pull: of an object that is sealed for it.
pub(super) fn sealed_for(store: &Disk, peer: &KernelId, pull: &Pull) -> Option<Bytes> {
    let row: LeavingRow = txn::get(store, Table::Leaving, &pull.key.to_row()).ok()??;
    let sealed = row.sealed.filter(|_| row.to == *peer)?;
    let luggage = store.get(Table::Luggage, &pull.key.to_row()).ok()??;
    let is_it = handoff_of(&sealed.chain)?.luggage == Some(pull.content);
    (is_it && content_hash(&luggage) == pull.content).then_some(luggage)
}

/// An input of a move has come: what it gives and takes at this kernel, if the kernel says that it followed it.
pub(super) fn moves(shadow: &mut Shadow, group: &Group<'_>, input: &Input, allowed: &mut Allowed) {
    match input {
        Input::Luggage { handoff, luggage: Some(luggage), .. } => {
            brought(shadow, group, handoff, luggage, allowed);
        }
        Input::Frame { frame: Frame::Handoff(said), .. } => {
            if let Some(luggage) = said.luggage.as_ref().and_then(|luggage| said.unpack(luggage)) {
                brought(shadow, group, said, &luggage, allowed);
            }
        }
        // What does not fit a frame goes ahead as a share.
        Input::Frame { peer, frame: Frame::Welcome(said), .. } if said.code.is_none() => {
            let row: Option<LeavingRow> =
                txn::get(group.store, Table::Leaving, &said.key.to_row()).ok().flatten();
            let before = group.changed().find(|row| row.table == Table::Leaving);
            let before = before.and_then(|row| leaving_in(row.before.as_ref()));
            if row.or(before).is_some_and(|row| row.to == *peer) {
                shadow.promises.add(*peer, said.key, super::share::Owed::Newest);
            }
        }
        _ => {}
    }
}

/// The luggage of an object has come, with its handoff or after it.
fn brought(shadow: &mut Shadow, group: &Group<'_>, said: &Handoff, luggage: &Luggage, allowed: &mut Allowed) {
    let key = said.header.key();
    if !came_in(group, &key) {
        return;
    }
    // What comes back before it was heard that it had left has left first.
    if has_left(group, &key) {
        shadow.rights.grants.leave(&key);
    }
    // Of whom people here removed nothing comes back with an object.
    let is_out =
        |kernel: &KernelId| shadow.rights.removed.contains(kernel) || allowed.removed.contains(kernel);
    let all = granted(&key, &group.kernel, &luggage.grants, group.now_ms);
    let (out, given): (Vec<_>, Vec<_>) = all.into_iter().partition(|grant| is_out(&grant.kernel));
    for grant in &given {
        shadow.rights.grants.give(grant, group.now_ms);
    }
    allowed.came_with.extend(given.into_iter().chain(out));
    shadow.acted.add(&shadow.rights.grants);
    allowed.came_beside.extend(luggage.beside.iter().map(|revision| revision.header.id()));
    allowed.followable.extend(luggage.followers.iter().map(|follower| (*follower, key)));
    for lane in &luggage.lanes {
        shadow.lanes.told(lane.origin, lane.name.key, lane.floor);
    }
}

/// Whether an object has moved in within a group.
pub(super) fn came_in(group: &Group<'_>, key: &ObjectKey) -> bool {
    group
        .effects
        .iter()
        .any(|(effect, _)| matches!(effect, Effect::Event(Event::MovedIn { key: came, .. }) if came == key))
}

fn has_left(group: &Group<'_>, key: &ObjectKey) -> bool {
    group
        .effects
        .iter()
        .any(|(effect, _)| matches!(effect, Effect::Event(Event::Moved { key: left, .. }) if left == key))
}

/// Objects that have another home since this group: the rights on them are none of this kernel's.
pub(super) fn gone(shadow: &mut Shadow, group: &Group<'_>) {
    for (effect, _) in group.effects {
        if let Effect::Event(Event::Moved { key, .. }) = effect
            && !came_in(group, key)
        {
            shadow.rights.grants.leave(key);
        }
    }
}

impl Checker {
    /// The rights on it go along; this kernel gives itself some, or takes its own away.
    pub(super) fn rights_packed(
        &self,
        group: &Group<'_>,
        (key, row): (&ObjectKey, &LeavingRow),
        luggage: &Luggage,
        wrong: &mut Wrong,
    ) {
        let Some(shadow) = self.shadows.get(&group.kernel) else { return };
        let nobody = KernelId::from_bytes([0; 32]);
        let packed: Vec<_> = granted(key, &nobody, &luggage.grants, group.now_ms).collect();
        let without = row.without_me.then_some(Grantee::Kernel(group.kernel));
        if let Some(what) = shadow.rights.grants.not_in((key, without), &packed, group.now_ms) {
            wrong.push((4, format!("hands {key} over without a grant: {what}")));
        }
        let own = |right: &Right| {
            packed
                .iter()
                .any(|grant| Grantee::of(grant) == Grantee::Kernel(group.kernel) && grant.right == *right)
        };
        if [Right::Act, Right::Read].iter().any(|right| own(right) == row.without_me) {
            let with = if row.without_me { "with" } else { "without" };
            wrong.push((4, format!("hands {key} over {with} a right of its own to it")));
        }
    }

    /// A frame of a move leaves a kernel.
    pub(super) fn says(
        &mut self,
        group: &Group<'_>,
        allowed: &Allowed,
        peer: &KernelId,
        frame: &Frame,
        wrong: &mut Wrong,
    ) {
        match frame {
            Frame::Ahead(asked) => self.asks_for(group, asked, wrong),
            Frame::Welcome(said) if said.code.is_none() => self.welcomes(group, allowed, peer, said, wrong),
            Frame::Handoff(said) => self.hands_over(group, said, wrong),
            Frame::Handed(said) => self.has_answered(group, allowed, peer, said, wrong),
            Frame::Moved(said) => self.points_on(group, peer, said, wrong),
            Frame::Withdraw(said) => asks_back(group, said, wrong),
            Frame::Heard(said) => self.news.heard(group, *peer, &said.key),
            _ => {}
        }
    }

    fn could_host(&self, group: &Group<'_>, allowed: &Allowed, peer: &KernelId, component: &str) -> bool {
        let now = self.shadows.get(&group.kernel).map(|shadow| &shadow.rights);
        let mut rights = now.into_iter().chain(&allowed.before);
        rights.any(|rights| rights.may_host(peer, component, group.now_ms))
    }

    /// What is said to be a plain record is one: nobody at its home has its component.
    fn asks_for(&self, group: &Group<'_>, asked: &Ahead, wrong: &mut Wrong) {
        let has = self.installed.has(&group.kernel, &asked.component);
        if has == (asked.record == Some(true)) {
            wrong.push((4, format!("says whether {} is a plain record, and it is not so", asked.key)));
        }
    }

    /// Whether objects of a component can do at a kernel what they can do at the home that asks.
    fn can_do_as_much(&self, kernel: &KernelId, asked: &Ahead) -> bool {
        self.installed.has(kernel, &asked.component) || asked.record == Some(true)
    }

    fn welcomes(
        &self,
        group: &Group<'_>,
        allowed: &Allowed,
        peer: &KernelId,
        said: &Welcome,
        wrong: &mut Wrong,
    ) {
        let place = object::object_peer_key(&said.key, peer);
        let row = group.store.durable(Table::Welcome, &place);
        let row = row.and_then(|row| txn::decode::<WelcomeRow>(Table::Welcome, row).ok());
        // It may have been handed over within the group.
        let is_there = any(group.store, Table::Welcome, &place);
        if is_there && row.is_none_or(|row| row.certificate != said.certificate) {
            wrong.push((6, format!("welcomes {} before that is on disk", said.key)));
        }
        let asked = group.inputs.iter().find_map(|input| match input {
            Input::Frame { frame: Frame::Ahead(asked), .. } if asked.key == said.key => Some(asked),
            _ => None,
        });
        if asked.is_some_and(|asked| !self.can_do_as_much(&group.kernel, asked)) {
            wrong.push((4, format!("welcomes {}, which can do nothing here", said.key)));
        }
        if !asked.is_some_and(|asked| self.could_host(group, allowed, peer, &asked.component)) {
            wrong.push((7, format!("welcomes {} of {peer:.10}, which may not move it here", said.key)));
        }
    }

    /// A handoff always says the same, and what it says is on the disk.
    fn hands_over(&mut self, group: &Group<'_>, said: &Handoff, wrong: &mut Wrong) {
        let key = said.header.key();
        let Some(link) = handoff_of(&said.chain) else {
            return wrong.push((2, format!("hands {key} over without a handoff")));
        };
        let is_whole =
            said.luggage.as_ref().is_none_or(|luggage| link.luggage == Some(content_hash(luggage)));
        if !is_whole || said.luggage_bytes().is_none() {
            wrong.push((2, format!("hands {key} over with another luggage than it has signed")));
        }
        if let Some(luggage) = said.luggage.as_ref().and_then(|luggage| said.unpack(luggage)) {
            super::news::packed(&key, &luggage, wrong);
        }
        let handoff = link.id();
        let words = content_hash(&Frame::Handoff(Box::new(said.clone())).encode());
        if *self.moves.said.entry(handoff).or_insert(words) != words {
            wrong.push((2, format!("hands {key} over with other words than before")));
        }
        let row = group.store.durable(Table::Leaving, &key.to_row());
        let row = row
            .and_then(|row| txn::decode::<once_core::moving::LeavingRow>(Table::Leaving, row).ok())
            .and_then(|row| row.sealed);
        let is_same = row.is_some_and(|row| handoff_of(&row.chain).is_some_and(|link| link.id() == handoff));
        // Its answer may have come within the group.
        if !is_same && sealed(group.store, &key).is_some() {
            wrong.push((6, format!("hands {key} over before its seal is on disk")));
        }
    }

    fn has_answered(
        &self,
        group: &Group<'_>,
        allowed: &Allowed,
        peer: &KernelId,
        said: &Handed,
        wrong: &mut Wrong,
    ) {
        let place = [said.key.to_row().as_slice(), said.answer.certificate.as_bytes()].concat();
        let row = group.store.durable(Table::Handed, &place);
        let row = row.and_then(|row| txn::decode::<HandedRow>(Table::Handed, row).ok());
        if row.is_none_or(|row| (row.answer, row.code) != (said.answer, said.code)) {
            wrong.push((6, format!("answers the handoff of {} before that is on disk", said.key)));
        }
        let is_new = group.changed().any(|row| row.table == Table::Handed && row.key == place);
        let component = object::head(group.store, &said.key).ok().flatten().map(|head| head.header.component);
        if is_new
            && said.answer.accepted
            && !component.is_some_and(|component| self.could_host(group, allowed, peer, &component))
        {
            wrong.push((7, format!("takes {} of {peer:.10}, which may not move it here", said.key)));
        }
    }

    /// Who is told where an object has gone had to do with it, and it has gone there.
    fn points_on(&self, group: &Group<'_>, peer: &KernelId, said: &Moved, wrong: &mut Wrong) {
        let Moved { key, chain, .. } = said;
        let last = chain.links.last();
        let is_accepted = last.is_none_or(|link| {
            !self.shadows.contains_key(&link.home)
                || link.refusal.is_some()
                || self.moves.is_accepted(&link.id())
        });
        if !is_accepted || last.is_none() {
            wrong.push((2, format!("says that {key} has moved, and it has not")));
        }
        let known = [key.to_row().as_slice(), peer.as_bytes().as_slice()].concat();
        let knows = matches!(group.store.get(Table::Acquaintance, &known), Ok(Some(_)));
        let has_lane = || {
            scan(group.store, Table::Lane, |row, _| {
                let of = ObjectKey::from_row(row.get(..ObjectKey::ROW_LEN)?)?;
                let origin = super::rows::origin_of_lane(row)?;
                (names(key, chain).contains(&of) && origin == *peer).then_some(())
            })
        };
        if !knows && !has_a_right(group, peer, key) && has_lane().is_empty() {
            wrong.push((7, format!("tells {peer:.10} where {key} is, which never had to do with it")));
        }
    }

    /// A process starts on a disk: the objects whose home it is, and what it has answered.
    pub(super) fn moves_started(&mut self, kernel: &KernelId, disk: &Disk) {
        let moves = &mut self.moves;
        moves.homes.values_mut().for_each(|homes| {
            homes.remove(kernel);
        });
        moves.answers.retain(|_, (by, _)| by != kernel);
        moves.answers.extend(scan(disk, Table::Handed, |key, value| {
            let handoff = Hash::from_slice(key.get(ObjectKey::ROW_LEN..)?)?;
            let row: HandedRow = txn::decode(Table::Handed, value).ok()?;
            Some((handoff, (*kernel, row.answer.accepted)))
        }));
        let mut keys = Vec::new();
        let _ = object::heads(disk, &mut |head| {
            keys.extend((head.home == Some(*kernel)).then(|| head.header.key()));
            ControlFlow::Continue(())
        });
        let wrong: Vec<_> = keys.iter().filter_map(|key| self.moves.home(disk, kernel, key)).collect();
        for (promise, what) in wrong {
            self.violation(promise, kernel, 0, what);
        }
    }

    /// Objects that are sealed when a process ends.
    pub fn sealed_at_a_crash(&self, disk: &Disk, cover: &mut Coverage) {
        let departures = once_core::moving::departures(disk).unwrap_or_default();
        if departures.iter().any(|departure| departure.sealed) {
            cover.met("state object sealed at a crash");
        }
    }

    /// Whether the object whose home a kernel takes itself for lives on elsewhere: it has not heard so yet.
    pub fn is_handed_over(&self, disk: &Disk, key: &ObjectKey) -> bool {
        let handoff = sealed(disk, key).and_then(|row| handoff_of(&row.chain).map(|link| link.id()));
        handoff.is_some_and(|handoff| self.moves.is_accepted(&handoff))
    }
}
