//! Objects that come: what their receiver answers, and what it takes on (protocol 5.6, B).

use once_model::action::{After, BUILT_IN_FROM};
use once_model::certificate::{Certificate, CertificateKind, Chain};
use once_model::ids::{Hash, KernelId, Line, ObjectKey};
use once_model::moving::{Ahead, Handed, Handoff, Luggage, LuggageGrant, Welcome, Withdraw};
use once_model::wire::Code;

use crate::ask::{Grant, Grantee, Right, Scope};
use crate::check::{Check, How};
use crate::effects::{Kind, Owed};
use crate::eyes::{Eyes, LaneId};
use crate::home::Row;
use crate::kernel::Kernel;
use crate::moves::is_answer;
use crate::objects::{Head, Tip};
use crate::rights::{Thing, Tri};
use crate::seen::{Recorded, Then};
use crate::told::Told;

/// A revision that goes on at another home, or at the one before.
#[derive(Debug, Clone)]
pub(crate) struct Continued {
    /// The last one under the certificate before.
    pub(crate) before: Head,
    pub(crate) tip: Option<Tip>,
    /// `once:move` or `once:reopen`.
    pub(crate) name: &'static str,
    /// What came with it.
    pub(crate) handoff: Option<(KernelId, Handoff)>,
}

impl Kernel {
    fn may_host(&self, peer: KernelId, key: ObjectKey, component: &str) -> Tri {
        let thing = Thing { key, component };
        self.rights.may(Grantee::Kernel(peer), Right::Host, &thing, None, &self.clock)
    }

    /// A home asks whether an object would be taken.
    pub(crate) fn ahead_came(&mut self, conn: u64, peer: KernelId, ahead: &Ahead) {
        let may = self.may_host(peer, ahead.key, &ahead.component);
        let place = (conn, ahead.key, ahead.certificate);
        let before = self.moves.aheads.get(&place).copied();
        let both = before.map_or(may, |before| if before == may { may } else { Tri::Open });
        self.moves.aheads.insert(place, both);
        if may.can() {
            self.moves.yes.insert((ahead.key, ahead.certificate, peer));
        }
    }

    /// It is told.
    pub(crate) fn welcome_left(&mut self, conn: u64, peer: KernelId, welcome: &Welcome, eyes: &mut Eyes<'_>) {
        let Welcome { key, certificate, code } = *welcome;
        let Some(may) = self.moves.aheads.get(&(conn, key, certificate)).copied() else {
            let gone = !self.conns.contains_key(&conn);
            return eyes.exact(Check::WelcomeTrue, gone, || format!("{key} is welcome, and nobody asked"));
        };
        // A right that was changed in this group or the last one may count or not.
        let may = if self.rights_changed + 1 >= self.group { Tri::Open } else { may };
        let right = match code {
            None => may.can(),
            Some(Code::Denied) => may.can_not(),
            Some(Code::DiskFull) => may.can() && self.was_short(),
            // Which components are here, and how full a quota is, is not seen.
            Some(Code::NoComponent | Code::Quota) => may.can(),
            Some(_) => false,
        };
        eyes.check(Check::WelcomeTrue, How::exact_if(may.sure() && code.is_none()), right, || {
            format!("{key} of {} is answered {code:?}", peer.short())
        });
        if code.is_none() {
            let durable = eyes.disk.is_some_and(|disk| disk.moves.yes.contains(&(key, certificate, peer)));
            eyes.exact(Check::WelcomeTrue, durable || may == Tri::Open, || {
                format!("{key} is welcome before that is on the disk")
            });
            self.moves.yes.insert((key, certificate, peer));
        }
    }

    /// An object is handed over.
    pub(crate) fn handoff_came(&mut self, peer: KernelId, handoff: &Handoff) {
        let Some((certificate, before)) = handoff.split() else { return };
        let named = (certificate.home, certificate.incarnation) == (self.me, self.incarnation);
        // What this kernel has sealed has moved, if it comes on from there.
        if named {
            self.chain_shown(&handoff.header.key(), &before, true);
        }
        if named && before.home() == peer {
            self.moves.handoffs.entry(certificate.id()).or_insert_with(|| (peer, handoff.clone()));
        }
    }

    /// A home wants back what it hands over: it is answered as if the handoff had come, if there was a yes to it.
    pub(crate) fn withdraw_came(&mut self, peer: KernelId, withdraw: &Withdraw) {
        let Some((last, before)) = withdraw.split().filter(|(last, _)| last.kind == CertificateKind::Handoff)
        else {
            return;
        };
        let key = ObjectKey { uuid: before.genesis.uuid, line: Line::Claimed(last.lineage) };
        let named = (last.home, last.incarnation, last.signer) == (self.me, self.incarnation, peer);
        if named {
            self.chain_shown(&key, &before, true);
        }
        if named && self.moves.yes.contains(&(key, last.base, peer)) {
            self.moves.withdrawn.insert(last.id(), last.clone());
        }
    }

    /// Luggage that does not fit a frame has come.
    pub(crate) fn luggage_came(&mut self, certificate: &Hash, bytes: &[u8]) {
        if let Some((_, handoff)) = self.moves.handoffs.get_mut(certificate) {
            handoff.luggage = Some(bytes.to_vec().into());
        }
    }

    /// The answer to a handoff leaves: one for each certificate, and true.
    pub(crate) fn handed_left(&mut self, peer: KernelId, handed: &Handed, eyes: &mut Eyes<'_>) {
        let id = handed.answer.certificate;
        let key = handed.key;
        let came = self.moves.handoffs.get(&id).and_then(|(_, handoff)| handoff.chain.links.last());
        let withdrawn = self.moves.withdrawn.get(&id).filter(|_| !handed.answer.accepted);
        let to = came.or(withdrawn).is_some_and(|link| is_answer(&handed.answer, link));
        let to = to && (handed.code != Some(Code::Withdrawn) || withdrawn.is_some());
        let said = handed.answer.accepted != handed.code.is_some();
        eyes.exact(Check::HandedOnce, to && said, || {
            format!("{} is told an answer to a handoff of {key} that it never made", peer.short())
        });
        let holds = |kernel: &Kernel| {
            kernel
                .chain_of(&key)
                .is_some_and(|chain| chain.holder(&id).is_some_and(|(home, _)| home == kernel.me))
        };
        let on_disk = eyes.disk.is_some_and(holds);
        let never = !holds(self) || !handed.answer.accepted && self.was_refused(&key, &id);
        let right = if handed.answer.accepted { on_disk } else { never };
        eyes.exact(Check::HandedOnce, right, || {
            format!("the handoff of {key} is answered {}, and it is not so", handed.answer.accepted)
        });
        if !eyes.live() || eyes.world.rolled.contains(&self.me) {
            return;
        }
        let first = *eyes.world.handed.entry((self.me, id)).or_insert(handed.answer.accepted);
        eyes.exact(Check::HandedOnce, first == handed.answer.accepted, || {
            format!("the handoff of {key} is answered twice, and not alike")
        });
    }

    /// Whether a chain that came later shows that a handoff to this kernel was refused.
    fn was_refused(&self, key: &ObjectKey, handoff: &Hash) -> bool {
        let links = self.chain_of(key).into_iter().flat_map(|chain| &chain.links);
        links.filter(|link| link.kind == CertificateKind::Reopen).any(|link| link.base == *handoff)
    }

    /// Whether an entry is the first one under a certificate that moved the object here, or left it here.
    pub(crate) fn continued(&self, recorded: &Recorded) -> Option<Continued> {
        let revised = recorded.revision.as_ref().filter(|_| recorded.entry.sequence >= BUILT_IN_FROM)?;
        let key = recorded.entry.object;
        let here = self.objects.heads.get(&key);
        let known = here.and_then(|head| head.chain.as_ref()).map_or(0, |chain| chain.links.len());
        let last = revised.chain.links.last().filter(|_| revised.chain.links.len() > known)?;
        match last.kind {
            CertificateKind::Handoff => {
                let (from, handoff) = self.moves.handoffs.get(&last.id())?;
                let before = handoff.split().map(|(_, before)| before);
                let tip = last.tip.map(|tip| Tip { number: tip.number, hash: tip.hash });
                let before = Head::new(handoff.header.clone(), before, None);
                Some(Continued { before, tip, name: "once:move", handoff: Some((*from, handoff.clone())) })
            }
            CertificateKind::Reopen => {
                let before = here?.clone();
                let tip = self.objects.tips.get(&key).copied();
                Some(Continued { before, tip, name: "once:reopen", handoff: None })
            }
            _ => None,
        }
    }

    /// The first revision under a certificate goes on where the last one before it was.
    pub(crate) fn goes_on(&self, recorded: &Recorded, moved: &Continued, eyes: &mut Eyes<'_>) {
        let key = recorded.entry.object;
        let Some(revised) = &recorded.revision else { return };
        let same = revised.header.content == moved.before.header.content;
        eyes.exact(Check::MoveContinues, same, || format!("{key} has other bytes after {}", moved.name));
        let links = revised.chain.links.as_slice();
        match (&moved.handoff, links) {
            (Some((from, handoff)), [.., last]) => self.accepted(*from, handoff, last, eyes),
            (None, [.., handoff, last]) => {
                let sealed = self.moves.sealed.get(&key);
                let right = sealed.is_some_and(|sealed| sealed.certificate.id() == handoff.id())
                    && last.refusal.is_some_and(|no| !no.accepted && is_answer(&no, handoff));
                eyes.exact(Check::MoveContinues, right, || {
                    format!("{key} is reopened, and the refusal is none of what is sealed")
                });
            }
            _ => {}
        }
    }

    /// What must be so for an object to be taken on.
    fn accepted(&self, from: KernelId, handoff: &Handoff, last: &Certificate, eyes: &mut Eyes<'_>) {
        let key = handoff.header.key();
        let id = last.id();
        let yes = self.moves.yes.contains(&(key, last.base, from));
        eyes.exact(Check::HandedOnce, yes, || format!("{key} is taken on without a yes to {}", from.short()));
        let hash = handoff.luggage.as_ref().map(|luggage| once_model::hash::content_hash(luggage));
        let luggage = hash.is_some() && last.luggage == hash;
        let fits = last.signer == from
            && Some(last.base) == handoff.header.certificate
            && (last.base_revision, last.base_id) == (handoff.header.revision, handoff.header.id())
            && last.acceptance.is_some_and(|yes| yes.accepted);
        eyes.exact(Check::MoveContinues, luggage && fits, || {
            format!("{key} is taken on, and its handoff is not of its last revision and its luggage")
        });
        let may = self.may_host(from, key, &handoff.header.component);
        let may = if self.rights_changed + 1 >= self.group { Tri::Open } else { may };
        eyes.check(Check::HandedOnce, How::exact_if(may.sure()), may.can(), || {
            format!("{key} is taken on, and {} may not move it here", from.short())
        });
        if let Some(sealed) = eyes.world.sealed.get(&id).copied() {
            let here = (handoff.header.revision, handoff.header.id(), handoff.header.content);
            let tip = last.tip.map(|tip| (tip.number, tip.hash));
            let same = (sealed.revision, sealed.id, sealed.content) == here && sealed.tip == tip;
            eyes.exact(Check::MoveContinues, same, || {
                format!("{key} goes on elsewhere than where it was sealed")
            });
        }
    }

    /// It has its home here from now on, with all that is its.
    pub(crate) fn moved_in(&mut self, key: &ObjectKey, handoff: &Handoff, chain: &Chain, eyes: &Eyes<'_>) {
        self.moves.chains.remove(key);
        let copy = crate::objects::began_as(chain);
        if self.objects.heads.get(&copy).is_some_and(|head| head.from.is_some()) {
            self.rename(&copy, key);
        }
        self.home.came_back(&[*key, copy], self.me);
        let Some(Ok(luggage)) = handoff.luggage.as_deref().map(Luggage::unpack) else { return };
        self.moves.perhaps.insert((*key, self.me));
        self.learn(key, chain, true);
        self.lanes_in(key, &luggage);
        let now = self.clock.now();
        for timer in luggage.timers {
            let due = now.saturating_add(timer.after_ms);
            let kind = Kind::Timer { from: due, to: due, reached: due <= now };
            let then = Then { action: timer.action, with: timer.with.to_vec() };
            self.effects.timer(*key, timer.name, timer.id, due);
            self.effects.owe(timer.id, Owed { object: *key, then, kind, came: None, optional: false });
        }
        for work in luggage.activities {
            let kind = Kind::Activity { name: work.name, arguments: work.arguments.to_vec(), asked: false };
            let then = Then { action: work.action, with: work.with.to_vec() };
            self.effects.owe(work.id, Owed { object: *key, then, kind, came: None, optional: false });
        }
        for call in luggage.left {
            let then = Then { action: call.action, with: call.with.to_vec() };
            let came = Some(Told::Unknown);
            self.effects.owe(call.id, Owed { object: *key, then, kind: Kind::Call, came, optional: false });
        }
        for grant in luggage.grants {
            let living = grant.remaining_ms != Some(0);
            if !living || self.lets_visit(grant.kernel, eyes.limits.peers) {
                self.grant_in(key, grant);
            }
        }
        for known in luggage.acquaintances {
            self.moves.acquainted.insert((*key, known.kernel));
            self.peers.visits.owe(known.kernel, *key, Tri::Yes);
        }
        for peer in luggage.followers {
            self.follows.followed(*key, peer);
            // The first revision here is one more for them.
            self.shares.follow(peer, *key);
        }
        self.rights_changed = self.group;
    }

    fn lanes_in(&mut self, key: &ObjectKey, luggage: &Luggage) {
        for packed in &luggage.lanes {
            let (origin, incarnation, name) = (packed.origin, packed.incarnation, packed.name);
            let id = LaneId { origin, incarnation, name };
            let lane = self.home.lanes.entry(id).or_default();
            lane.mark = lane.mark.max(packed.mark);
            lane.floor = lane.floor.max(packed.floor);
            for result in &packed.results {
                // "Absent where an earlier home has recorded it": what was recorded here when the object was here before, was not.
                let known = lane.rows.get(&result.sequence).filter(|known| known.id == result.id);
                let certificate = known.and_then(|known| known.certificate);
                let after = result.after.unwrap_or(After { key: *key, revision: Hash::from_bytes([0; 32]) });
                let row = Row {
                    id: result.id,
                    action: result.hash,
                    told: true,
                    outcome: result.outcome.clone(),
                    after,
                    entry: Hash::from_bytes([0; 32]),
                    certificate,
                    came: true,
                };
                lane.rows.insert(result.sequence, row);
                // What ran at the home before has its outcome here, where its origin is.
                if (origin, incarnation) == (self.me, self.incarnation) {
                    self.origin.settle(&result.id, &result.outcome, true, self.group);
                    self.effects.outcome(&result.id, &result.outcome);
                }
            }
            self.home.pass(&id, packed.mark, self.group);
        }
    }

    fn grant_in(&mut self, key: &ObjectKey, grant: LuggageGrant) {
        let right = if grant.right == 2 { Right::Read } else { Right::Act };
        let grant = Grant {
            to: grant.object.map_or(Grantee::Kernel(grant.kernel), Grantee::Object),
            home: grant.object.map(|_| grant.kernel),
            right,
            scope: Scope::Object(*key),
            expires_ms: grant.remaining_ms.map(|ms| self.clock.now().saturating_add(ms)),
            actions: grant.actions,
        };
        self.rights.grant(&grant, &self.clock);
    }
}
