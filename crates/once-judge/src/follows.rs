//! Subscriptions, requests and pulls: what may be read, and what is answered (protocol 5.3, 5.4, 6.1).

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::wire::{Absent, Code, Follow, Following, Found, Parcel, Pull, Request};

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::objects::{Head, began_as};
use crate::rights::Tri;

/// A question about a subscription that is not answered.
#[derive(Debug, Clone)]
struct Question {
    /// Whether the asker might read the object when it came; none: it ends the subscription.
    may: Option<Tri>,
}

/// A question for a scenario that is not answered.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    peer: KernelId,
    uuid: Uuid,
    line: Option<Line>,
    /// What it might have had when it came.
    had: Vec<(ObjectKey, Tri)>,
    content: Option<Hash>,
    group: u64,
}

/// Who follows what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Follows {
    /// Peers that follow objects here.
    followers: BTreeSet<(ObjectKey, KernelId)>,
    /// Objects that are followed at peers.
    pub(crate) following: BTreeSet<(KernelId, ObjectKey)>,
    /// Subscriptions that were ended here, and whose source has not answered that.
    pub(crate) unfollowed: BTreeSet<(KernelId, ObjectKey)>,
    /// Subscriptions that may have gone over to a new home: a chain came that says so, and not `Moved`.
    pub(crate) perhaps: BTreeSet<(KernelId, ObjectKey)>,
    questions: BTreeMap<(u64, ObjectKey), Vec<Question>>,
    requests: BTreeMap<(u64, u64), Reading>,
    pulls: BTreeMap<(u64, u64), Reading>,
}

impl Follows {
    pub(crate) fn forget_memory(&mut self) {
        self.questions.clear();
        self.requests.clear();
        self.pulls.clear();
    }

    pub(crate) fn link_down(&mut self, conn: u64) {
        self.questions.retain(|(on, _), _| *on != conn);
        self.requests.retain(|(on, _), _| *on != conn);
        self.pulls.retain(|(on, _), _| *on != conn);
    }

    pub(crate) fn followers_of(&self, key: &ObjectKey) -> Vec<KernelId> {
        let least = (*key, KernelId::from_bytes([0; 32]));
        self.followers.range(least..).take_while(|(k, _)| k == key).map(|(_, peer)| *peer).collect()
    }

    pub(crate) fn follows(&self, peer: KernelId, key: &ObjectKey) -> bool {
        self.following.contains(&(peer, *key))
    }

    pub(crate) fn follow(&mut self, peer: KernelId, key: ObjectKey) {
        self.following.insert((peer, key));
        self.unfollowed.remove(&(peer, key));
    }

    pub(crate) fn unfollow(&mut self, peer: KernelId, key: &ObjectKey) {
        self.following.remove(&(peer, *key));
    }

    /// A client ends it: the source is told until it answers.
    pub(crate) fn end(&mut self, peer: KernelId, key: &ObjectKey) {
        if self.following.remove(&(peer, *key)) {
            self.unfollowed.insert((peer, *key));
        }
    }

    pub(crate) fn forget_peer(&mut self, peer: &KernelId) {
        self.followers.retain(|(_, who)| who != peer);
        self.following.retain(|(who, _)| who != peer);
        self.unfollowed.retain(|(who, _)| who != peer);
    }

    /// An object has left: nobody follows it here.
    pub(crate) fn forget_followers(&mut self, key: &ObjectKey) {
        self.followers.retain(|(k, _)| k != key);
    }

    /// A peer follows what has come here.
    pub(crate) fn followed(&mut self, key: ObjectKey, peer: KernelId) {
        self.followers.insert((key, peer));
    }

    /// What was followed at a former home is followed at the new one.
    pub(crate) fn lead(
        &mut self,
        (old, new): (KernelId, KernelId),
        me: KernelId,
        is_it: impl Fn(&ObjectKey) -> bool,
    ) {
        let moved: Vec<_> = self.following.extract_if(.., |(from, key)| *from == old && is_it(key)).collect();
        match new == me {
            // It rests as long as the object lives here.
            true => self.perhaps.extend(moved),
            false => self.following.extend(moved.into_iter().map(|(_, key)| (new, key))),
        }
    }

    /// The same, where it is not said that a chain alone is enough.
    pub(crate) fn may_lead(&mut self, (old, new): (KernelId, KernelId), is_it: impl Fn(&ObjectKey) -> bool) {
        let of = self.following.iter().filter(|(from, key)| *from == old && is_it(key));
        let both: Vec<_> = of.flat_map(|(_, key)| [(old, *key), (new, *key)]).collect();
        self.perhaps.extend(both);
    }

    /// A question about following is answered: the object is elsewhere.
    pub(crate) fn question_told(&mut self, conn: u64, key: &ObjectKey, began: &ObjectKey) {
        for name in [key, began] {
            // An end is answered all the same.
            if let Some(open) = self.questions.get_mut(&(conn, *name)) {
                open.retain(|question| question.may.is_none());
            }
        }
    }

    /// An object lives elsewhere, and a peer is told so: it does not follow it here.
    pub(crate) fn is_elsewhere(&mut self, key: &ObjectKey, peer: &KernelId) {
        self.followers.remove(&(*key, *peer));
    }

    /// Whether a peer follows an object here.
    pub(crate) fn is_followed(&self, key: &ObjectKey, peer: KernelId) -> bool {
        self.followers.contains(&(*key, peer))
    }

    /// Subscriptions that a connection with a question open is waiting for.
    pub(crate) fn open_questions(&self) -> impl Iterator<Item = (u64, &ObjectKey)> {
        self.questions.iter().filter(|(_, open)| !open.is_empty()).map(|((conn, key), _)| (*conn, key))
    }

    /// Requests that wait for an answer. (A stream with a pull may have ended without a word.)
    pub(crate) fn open_readings(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn rename(&mut self, old: &ObjectKey, new: &ObjectKey) {
        for peer in self.followers_of(old) {
            self.followers.remove(&(*old, peer));
            self.followers.insert((*new, peer));
        }
    }

    pub(crate) fn dropped(&mut self, key: &ObjectKey) {
        self.followers.retain(|(k, _)| k != key);
        self.following.retain(|(_, k)| k != key);
    }
}

impl Kernel {
    /// A peer wants to follow.
    pub(crate) fn follow_came(&mut self, conn: u64, peer: KernelId, follow: &Follow) {
        let key = self.objects.name(&follow.key);
        let head = self.objects.heads.get(&key);
        let may = head.map_or(Tri::No, |head| self.may_read(peer, head));
        let news = head.is_some_and(|head| follow.have != Some(head.id));
        if may.can() {
            self.follows.followers.insert((key, peer));
            if news {
                self.shares.follow(peer, key);
            }
        }
        self.follows.questions.entry((conn, follow.key)).or_default().push(Question { may: Some(may) });
    }

    /// This kernel follows in the place of another one, if it needs to (5.8).
    pub(crate) fn follows_instead(&mut self, key: ObjectKey, at: KernelId) {
        let home = self.objects.find(&key).and_then(Head::home);
        if at != self.me && home != Some(self.me) {
            self.follows.follow(at, key);
        }
    }

    /// A peer follows no longer.
    pub(crate) fn unfollow_came(&mut self, conn: u64, peer: KernelId, key: &ObjectKey) {
        let name = self.objects.name(key);
        self.follows.followers.remove(&(name, peer));
        self.shares.follows_no_more(peer, name, self.group);
        self.follows.questions.entry((conn, *key)).or_default().push(Question { may: None });
    }

    /// A subscription here is answered.
    pub(crate) fn following_left(
        &mut self,
        conn: u64,
        peer: KernelId,
        following: &Following,
        eyes: &mut Eyes<'_>,
    ) {
        let name = self.objects.name(&following.key);
        let now = self.objects.heads.get(&name).map_or(Tri::No, |head| self.may_have_read(peer, head));
        let open = self.follows.questions.get_mut(&(conn, following.key));
        // That its right has ended may be said before the end that it asks for is answered.
        let asked = |question: &Question| question.may.is_some() || following.code.is_none();
        let question = open.filter(|open| open.first().is_some_and(asked)).map(|open| open.remove(0));
        let may = question.as_ref().and_then(|question| question.may);
        let right = match (&question, following.on, following.code) {
            // Unasked: its right has ended.
            (None, false, Some(Code::Denied)) => now.can_not(),
            (Some(Question { may: None }), false, None) => true,
            (Some(Question { may: Some(may) }), true, None) => may.or(now).can(),
            (Some(Question { may: Some(may) }), false, Some(Code::Denied)) => may.and(now).can_not(),
            _ => false,
        };
        let how = How::exact_if(may.unwrap_or(now).sure());
        let check = if following.on { Check::ReadAllowed } else { Check::FollowAnswer };
        // Whether it is a peer at all is asked by `PeerOnly`.
        if self.conns.contains_key(&conn) && self.knows(&peer) {
            eyes.check(check, how, right, || {
                format!("following {} is answered {} to {}", following.key, following.on, peer.short())
            });
        } else {
            // It has just ended, and with it went what was asked.
            eyes.not_made(check);
        }
        if !following.on && following.code.is_some() {
            self.follows.followers.remove(&(name, peer));
            self.shares.follows_no_more(peer, name, self.group);
        }
    }

    /// A subscription of this kernel is answered.
    pub(crate) fn following_came(&mut self, peer: KernelId, following: &Following) {
        if !following.on {
            self.follows.unfollowed.remove(&(peer, following.key));
        }
        // A code ends it, whatever else is said.
        if following.code.is_some() {
            let head = self.objects.heads.get(&following.key);
            let began = head.and_then(|head| head.chain.as_ref()).map(began_as);
            self.follows.unfollow(peer, &following.key);
            began.into_iter().for_each(|copy| self.follows.unfollow(peer, &copy));
        }
    }

    /// A peer asks for an object.
    pub(crate) fn request_came(&mut self, conn: u64, peer: KernelId, request: &Request) {
        let had = self.readable(peer, request.uuid, request.line);
        let (uuid, line, group) = (request.uuid, request.line, self.group);
        let reading = Reading { peer, uuid, line, had, content: None, group };
        self.follows.requests.insert((conn, request.call), reading);
    }

    /// A peer asks for bytes.
    pub(crate) fn pull_came(&mut self, conn: u64, stream: u64, peer: KernelId, pull: &Pull) {
        let head = self.objects.heads.get(&pull.key);
        // A tombstone has no bytes, not even none.
        let head = head.filter(|head| head.header.content == pull.content && !head.header.tombstone);
        let may = head.map_or(Tri::No, |head| self.may_read(peer, head).or(self.debt_gives(peer, head)));
        let may = may.or(Tri::of(self.gives_apart(peer, &pull.key, &pull.content)));
        let reading = Reading {
            peer,
            uuid: pull.key.uuid,
            line: Some(pull.key.line),
            had: vec![(pull.key, may)],
            content: Some(pull.content),
            group: self.group,
        };
        self.follows.pulls.insert((conn, stream), reading);
    }

    /// Whether a peer may have these bytes for another reason: luggage that is sealed for it, or the beginning of a chain (6.1).
    fn gives_apart(&self, peer: KernelId, key: &ObjectKey, hash: &Hash) -> bool {
        let sealed = self.moves.sealed.get(key).map(|sealed| &sealed.certificate);
        let luggage = sealed.is_some_and(|to| to.home == peer && to.luggage == Some(*hash));
        luggage || self.chain_of(key).is_some_and(|chain| chain.holder(hash).is_some())
    }

    /// What of a UUID a peer may read: living objects, or the one tombstone that stands alone.
    fn readable(&self, peer: KernelId, uuid: Uuid, line: Option<Line>) -> Vec<(ObjectKey, Tri)> {
        let wanted = line.map(|line| self.objects.name(&ObjectKey { uuid, line }));
        let all: Vec<&Head> = self
            .objects
            .of_uuid(uuid)
            .filter(|head| wanted.is_none_or(|key| key == head.header.key()))
            .collect();
        let may = |head: &&Head| {
            let passed_on = head.home().is_none_or(|home| home == self.me || head.header.signed_by(&home));
            // A signature that is missing may have come since, with another copy of the revision.
            let passes = if passed_on { Tri::Yes } else { Tri::Open };
            (head.header.key(), self.may_read(peer, head).and(passes))
        };
        let living: Vec<_> = all.iter().filter(|head| !head.header.tombstone).map(may).collect();
        if living.iter().any(|(_, may)| may.can()) {
            return living;
        }
        all.iter().map(may).collect()
    }

    /// A request is answered with an object.
    pub(crate) fn found_left(&mut self, conn: u64, peer: KernelId, found: &Found, eyes: &mut Eyes<'_>) {
        let key = found.parcel.header.key();
        let now = self.objects.heads.get(&key).map_or(Tri::No, |head| self.may_have_read(peer, head));
        let request = self.follows.requests.remove(&(conn, found.call));
        let before = request.as_ref().and_then(|reading| reading.had.iter().find(|(k, _)| *k == key));
        let before = before.map_or(Tri::No, |(_, may)| *may);
        let may = now.or(before);
        eyes.check(Check::ReadAllowed, How::exact_if(may.sure()), may.can(), || {
            format!("{key} is found for {}, who may not read it", peer.short())
        });
        self.parcel_form(&found.parcel, eyes);
    }

    /// A give of an exchange leaves.
    pub(crate) fn give_left(&mut self, peer: KernelId, parcel: &Parcel, eyes: &mut Eyes<'_>) {
        let key = parcel.header.key();
        // What only the initiator has and offers may be given without a right of the other side to read it? Section 6.3
        // compares just what the other side may read, so both ways the right is needed.
        let may = self.objects.heads.get(&key).map_or(Tri::Open, |head| self.may_have_read(peer, head));
        eyes.check(Check::ReadAllowed, How::exact_if(may.sure()), may.can(), || {
            format!("{key} is given to {}, who may not read it", peer.short())
        });
        self.parcel_form(parcel, eyes);
    }

    /// Bytes follow on a stream.
    pub(crate) fn body_left(&mut self, conn: u64, stream: u64, eyes: &mut Eyes<'_>) {
        let Some(reading) = self.follows.pulls.remove(&(conn, stream)) else {
            return eyes.not_made(Check::ReadAllowed);
        };
        let now = self.now_of(&reading);
        let may = reading.had.iter().fold(now, |may, (_, had)| may.or(*had));
        eyes.check(Check::ReadAllowed, How::exact_if(may.sure()), may.can(), || {
            format!(
                "bytes of {} (content {:?}, had {:?}) go to {}, who may not have them",
                reading.uuid,
                reading.content,
                reading.had,
                reading.peer.short()
            )
        });
    }

    /// What a question may have now, counting what was changed while it waited.
    fn now_of(&self, reading: &Reading) -> Tri {
        let lately = reading.group <= self.rights_changed + 1;
        let open = if lately { Tri::Open } else { Tri::No };
        let Some(line) = reading.line else { return open };
        let key = ObjectKey { uuid: reading.uuid, line };
        let head = self.objects.heads.get(&key);
        let fits = head.filter(|head| {
            reading.content.is_none_or(|content| head.header.content == content && !head.header.tombstone)
        });
        let gone = head
            .is_some_and(|head| self.objects.lately.len() > 1 && fits.is_none() && !head.header.tombstone);
        let may = fits.map_or(Tri::No, |head| {
            self.may_have_read(reading.peer, head).or(self.debt_gives(reading.peer, head))
        });
        let apart = reading.content.is_some_and(|content| self.gives_apart(reading.peer, &key, &content));
        may.or(Tri::of(apart)).or(open).or(if gone { Tri::Open } else { Tri::No })
    }

    /// Nothing is given.
    pub(crate) fn absent_left(
        &mut self,
        conn: u64,
        stream: u64,
        peer: KernelId,
        absent: &Absent,
        eyes: &mut Eyes<'_>,
    ) {
        if stream != 0 {
            if let Some(of) = self.clients.receipts.remove(&(conn, stream)) {
                return self.receipt_denied(conn, peer, &of, absent.code, eyes);
            }
            let Some(reading) = self.follows.pulls.remove(&(conn, stream)) else { return };
            return self.pull_denied(&reading, absent.code, eyes);
        }
        let Some(reading) = self.follows.requests.remove(&(conn, absent.call)) else {
            return eyes.exact(Check::AbsentCode, false, || format!("call {} was never made", absent.call));
        };
        let now = self.readable(peer, reading.uuid, reading.line);
        let settled = reading.group > self.rights_changed + 1 && now == reading.had;
        let sure = |list: &[(ObjectKey, Tri)]| list.iter().filter(|(_, may)| *may == Tri::Yes).count();
        let can = |list: &[(ObjectKey, Tri)]| list.iter().filter(|(_, may)| may.can()).count();
        let living = now
            .iter()
            .filter(|(key, _)| self.objects.heads.get(key).is_some_and(|head| !head.header.tombstone));
        let alive = living.count();
        let right = match absent.code {
            Code::Denied => !settled || sure(&now) != 1,
            Code::Ambiguous => reading.line.is_none() && (!settled || can(&now) > 1 && alive > 1),
            Code::Busy | Code::Stopping | Code::Quarantined => true,
            _ => false,
        };
        eyes.check(Check::AbsentCode, How::exact_if(settled), right, || {
            format!("a request for {} is answered {}", reading.uuid, absent.code.name())
        });
    }

    fn pull_denied(&self, reading: &Reading, code: Code, eyes: &mut Eyes<'_>) {
        let sure = reading.had.iter().all(|(_, may)| *may == Tri::Yes);
        let same = reading.group > self.rights_changed + 1 && self.now_of(reading) == Tri::Yes;
        let right = match code {
            Code::Denied => !(sure && same),
            Code::Invalid | Code::Busy | Code::Stopping | Code::Quarantined => true,
            _ => false,
        };
        eyes.check(Check::AbsentCode, How::exact_if(sure && same), right, || {
            format!("a pull of {} is answered {}", reading.uuid, code.name())
        });
    }
}
