//! Commands of clients: what they do, and what they are told (local-api; protocol 5.5 The origin).

use std::collections::BTreeMap;

use once_model::action::{Action, Outcome};
use once_model::ids::{Hash, KernelId, Uuid};
use once_model::receipt::{EntriesOf, ReceiptOf};

use crate::ask::{Ask, AskAct, Grantee, Refusal, Reply};
use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::origin::Item;
use crate::peers::Conn;
use crate::refusals::Expect;

/// A command that is not answered for good.
#[derive(Debug, Clone)]
struct Open {
    ask: Ask,
    expect: Expect,
    /// What it asks for was not so before: if it is refused, it is not so again.
    first: bool,
    /// What it waits for has ended since: given up, dropped, removed.
    ended: bool,
    /// It is about a kernel that people had removed.
    was_removed: bool,
}

/// Who waits for an answer of this kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    open: BTreeMap<u64, Open>,
    /// Receipts that peers ask for, by connection and stream.
    pub(crate) receipts: BTreeMap<(u64, u64), ReceiptOf>,
    /// Entries that peers ask for.
    pub(crate) entries: Vec<(u64, EntriesOf)>,
}

impl Clients {
    /// Somebody adds a kernel as a peer just now.
    pub(crate) fn is_being_added(&self, peer: &KernelId) -> bool {
        self.open
            .values()
            .any(|open| open.first && matches!(&open.ask, Ask::PeerAdd(of) | Ask::Join(of) if of == peer))
    }

    pub(crate) fn forget_memory(&mut self) {
        self.open.clear();
        self.receipts.clear();
        self.entries.clear();
    }

    /// Whether a client waits for a removal (none), or for a change to just these bytes.
    pub(crate) fn wants_change(&self, content: Option<Hash>) -> bool {
        self.open.values().any(|open| match &open.ask {
            Ask::Remove(_) => content.is_none(),
            Ask::Create(state) | Ask::Import(state) | Ask::Put { state, .. } => {
                content == Some(state.content)
            }
            Ask::Keep { .. } => content.is_some(),
            _ => false,
        })
    }

    /// Who waits for such a command need not wait any more, and takes nothing back that is said after it.
    pub(crate) fn end(&mut self, is_ended: impl Fn(&Ask) -> bool) {
        for open in self.open.values_mut().filter(|open| is_ended(&open.ask)) {
            (open.first, open.ended) = (false, true);
        }
    }

    /// What such a command asks for is so, whatever it is answered.
    fn keep(&mut self, is_so: impl Fn(&Ask) -> bool) {
        self.open.values_mut().filter(|open| is_so(&open.ask)).for_each(|open| open.first = false);
    }

    /// Commands that nobody has answered, and that were taken for done: they may have been refused.
    pub(crate) fn in_doubt(&self) -> impl Iterator<Item = &Ask> {
        self.open.values().filter(|open| open.first).map(|open| &open.ask)
    }

    /// Commands that nobody has answered; of acts only those that wait for nothing else.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (u64, &Ask)> {
        self.open.iter().map(|(token, open)| (*token, &open.ask))
    }
}

/// Whether a command may change who may do what.
pub(crate) fn changes_rights(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Grant(_)
            | Ask::Revoke(_)
            | Ask::PeerAdd(_)
            | Ask::PeerRemove(_)
            | Ask::ClockAccept
            | Ask::QuarantineEnd { .. }
            | Ask::Remove(_)
    )
}

impl Kernel {
    /// A command is taken.
    pub(crate) fn asked_by_client(&mut self, token: u64, ask: &Ask, eyes: &mut Eyes<'_>) {
        let expect = self.expect(ask, eyes.limits);
        let first = match ask {
            Ask::Act(act) => !self.origin.items.contains_key(&act.id),
            Ask::PeerAdd(peer) | Ask::Join(peer) => !self.peers.is(peer),
            Ask::Follow { key, from } => !self.follows.follows(*from, key),
            Ask::Share { key, to } => {
                let debt = self.shares.debts.get(&(*to, self.objects.name(key)));
                !debt.is_some_and(|debt| debt.promised && debt.open())
            }
            Ask::Move { key, to, .. } => {
                !self.moves.leaving.get(&self.objects.name(key)).is_some_and(|known| known.contains(to))
            }
            _ => true,
        };
        // A right that may or may not be changed is changed when the client is told so.
        let sure = expect.may.is_empty();
        let was_removed =
            matches!(ask, Ask::PeerAdd(peer) | Ask::Join(peer) if self.peers.visits.was_removed(peer));
        let going = matches!(ask, Ask::PeerAdd(peer) | Ask::Join(peer) if self.peers.removing.contains(peer));
        if !expect.fails() && (sure || !is_about_grants(ask)) {
            self.obey(ask, sure);
        }
        if let (true, Ask::PeerAdd(peer) | Ask::Join(peer)) = (going, ask) {
            self.peers.unsure.insert(*peer);
        }
        self.clients.open.insert(token, Open { ask: ask.clone(), expect, first, ended: false, was_removed });
    }

    /// Does what a command asks for, if nothing forbids it.
    fn obey(&mut self, ask: &Ask, sure: bool) {
        match ask {
            Ask::Act(act) => self.accept(act, sure),
            Ask::Cancel(id) => {
                let group = self.group;
                if let Some(item) = self.origin.items.get_mut(id).filter(|item| item.settled.is_none()) {
                    item.cancelled.get_or_insert(group);
                }
            }
            Ask::Share { key, to } => {
                let key = self.objects.name(key);
                self.shares.promise(*to, key);
            }
            Ask::GiveUp { key, to } => {
                let key = self.objects.name(key);
                self.shares.give_up(*to, key, self.group);
                let objects = &self.objects;
                self.clients.end(
                    |ask| matches!(ask, Ask::Share { key: k, to: t } if t == to && objects.name(k) == key),
                );
            }
            Ask::Follow { key, from } => self.follows.follow(*from, *key),
            Ask::Unfollow { key, from } => {
                self.names_of(key).iter().for_each(|key| self.follows.end(*from, key));
            }
            Ask::Grant(grant) => self.rights.grant(&self.as_it_is_called(grant), &self.clock),
            Ask::Revoke(grant) => self.rights.revoke(&self.as_it_is_called(grant)),
            // Who is joining already is a peer; that it is one by name counts when the client is told so.
            Ask::PeerAdd(peer) if self.peers.is(peer) => {}
            Ask::PeerAdd(peer) => self.peers.add(*peer),
            Ask::Join(peer) => {
                self.peers.join(*peer);
            }
            Ask::PeerRemove(peer) if !self.knows(peer) => {}
            Ask::PeerRemove(peer) => self.remove_peer(peer),
            Ask::InviteRevoke(hash) => self.peers.uninvite(hash),
            Ask::ClockAccept => self.clock.accept(),
            Ask::OutboxDrop(id) => {
                let group = self.group;
                self.effects.given_up.insert(*id);
                if let Some(item) = self.origin.items.get_mut(id).filter(|item| item.settled.is_none()) {
                    item.cancelled.get_or_insert(group);
                }
            }
            Ask::Worked { id, answer, .. } => {
                self.worked(id, answer);
            }
            Ask::Create(_) | Ask::Import(_) | Ask::Put { .. } | Ask::Claim(_) | Ask::Remove(_) => {}
            Ask::Keep { .. } | Ask::Drop { .. } | Ask::Outcome(_) | Ask::Receipt(_) => {}
            Ask::Move { key, to, leaves_calls } => {
                let key = self.objects.name(key);
                if *leaves_calls {
                    self.moves.leaves_calls.insert(key);
                }
                self.moves.leaving.entry(key).or_default().insert(*to);
                let objects = &self.objects;
                self.clients.end(|ask| matches!(ask, Ask::Stay(k) if objects.name(k) == key));
            }
            Ask::WouldMove { key, to } => {
                self.moves.would.insert((self.objects.name(key), *to));
            }
            // What is handed over already does not come back.
            Ask::Stay(_) => {}
            Ask::Invite { hash, expires_ms } => self.peers.invite(*hash, *expires_ms),
            Ask::QuarantineEnd { .. } => {}
        }
    }

    fn remove_peer(&mut self, peer: &KernelId) {
        self.peers.former.insert(*peer, self.group);
        self.peers.remove(peer, self.group);
        self.peers.visits.remove(peer);
        // Its connection is closed: one that comes later need not prevail over it.
        self.peers.up.remove(peer);
        let of = |conn: &&mut Conn| conn.peer == *peer;
        self.conns.values_mut().filter(of).for_each(|conn| conn.bygone = true);
        self.peers.removing.insert(*peer);
        self.rights.forget(peer);
        self.shares.forget_peer(peer);
        self.follows.forget_peer(peer);
        let (items, of) = (&self.origin.items, *peer);
        let at = |id: &Uuid| items.get(id).is_some_and(|item| item.home == of);
        self.clients.end(|ask| match ask {
            Ask::Join(peer) | Ask::PeerAdd(peer) | Ask::Share { to: peer, .. } => *peer == of,
            Ask::Grant(grant) => grant.to == Grantee::Kernel(of) || grant.home == Some(of),
            Ask::Act(act) => at(&act.id),
            Ask::Cancel(id) => at(id),
            _ => false,
        });
    }

    fn accept(&mut self, act: &AskAct, sure: bool) {
        if self.origin.items.contains_key(&act.id) {
            return;
        }
        let Some(home) = self.home_for(&act.object, act.home) else { return };
        let action = asked_action(act);
        self.origin.ids += 1;
        let item = Item {
            hash: action.hash(&act.object.uuid),
            action,
            object: act.object,
            home,
            named: act.home,
            order: 0,
            sure,
            deadline: act.deadline_ms.map(|ms| self.clock.now().saturating_add(ms)),
            slack_ms: 0,
            guest: false,
            was_over: false,
            cancelled: None,
            void_sent: None,
            needs: Vec::new(),
            place: None,
            settled: None,
            codes: std::collections::BTreeSet::new(),
            sent: std::collections::BTreeMap::new(),
            missing: 0,
            was: None,
        };
        self.origin.accept(self.me, item);
        self.look_at_own(Some(&self.objects.name(&act.object)));
    }

    /// A client is answered.
    pub(crate) fn answered(&mut self, token: u64, answer: &Result<Reply, Refusal>, eyes: &mut Eyes<'_>) {
        let Some(open) = self.clients.open.get(&token).cloned() else {
            return eyes.not_made(Check::ClientCode);
        };
        // Whose home is no peer any more: nobody waits for it (local-api, codes).
        let waits = matches!(&open.ask, Ask::Act(act) if act.wait) && !open.ended && !self.is_gone(&open.ask);
        if !waits || !matches!(answer, Ok(Reply::Accepted)) {
            self.clients.open.remove(&token);
        }
        match &open.ask {
            Ask::PeerAdd(peer) | Ask::Join(peer) => drop(self.peers.unsure.remove(peer)),
            Ask::WouldMove { key, to } => drop(self.moves.would.remove(&(self.objects.name(key), *to))),
            _ => {}
        }
        match answer {
            Err(refusal) => self.refused(&open, *refusal, eyes),
            Ok(reply) => {
                let how = How::exact_if(open.expect.fails() || open.expect.may.is_empty());
                eyes.check(Check::ClientCode, how, !open.expect.fails(), || {
                    format!("{} is done, right is {:?}", word(&open.ask), open.expect.may)
                });
                if is_about_grants(&open.ask) && !open.expect.may.is_empty() && !open.ended {
                    self.obey(&open.ask, true);
                    self.rights_changed = self.group;
                    self.look_again();
                }
                self.told(&open, reply, eyes);
            }
        }
    }

    /// Whether a client waits for a kernel that is no peer any more.
    fn is_gone(&self, ask: &Ask) -> bool {
        let home = match ask {
            Ask::Act(act) => self.origin.items.get(&act.id).map(|item| item.home),
            Ask::Cancel(id) => self.origin.items.get(id).map(|item| item.home),
            Ask::Share { to, .. } => Some(*to),
            _ => None,
        };
        home.is_some_and(|home| home != self.me && !self.knows(&home))
    }

    fn refused(&mut self, open: &Open, refusal: Refusal, eyes: &mut Eyes<'_>) {
        let due = open.expect.may.contains(&refusal);
        let rolled = eyes.world.rolled.contains(&self.me);
        if refusal == Refusal::Quarantined && !due && !self.quarantined && rolled {
            // It was shown a commit that it has lost: that is not seen here.
            self.quarantined = true;
            return eyes.not_made(Check::ClientCode);
        }
        let always =
            matches!(refusal, Refusal::Stopping | Refusal::Timeout | Refusal::Unknown | Refusal::Damaged);
        let network = matches!(refusal, Refusal::Unreachable | Refusal::Denied)
            && matches!(open.ask, Ask::Join(_) | Ask::Receipt(_));
        let full = refusal == Refusal::DiskFull && self.was_short();
        // Of an action it may have run: nobody says that it is not there. A right was given before, or not at all.
        let counts = matches!(open.ask, Ask::Act(_) | Ask::Cancel(_) | Ask::Grant(_));
        let gone = refusal == Refusal::NotFound && !counts && (open.ended || self.is_gone(&open.ask));
        let right = open.expect.may.contains(&refusal) || always || network || full || gone;
        let how = How::exact_if(open.expect.may.len() < 2 && !always && !network);
        eyes.check(Check::ClientCode, how, right, || {
            format!("{} is refused {refusal:?}, right is {:?}", word(&open.ask), open.expect.may)
        });
        if always || open.expect.fails() || !open.first {
            return;
        }
        // It was taken for done until now.
        match &open.ask {
            Ask::Act(act) => {
                let item = self.origin.items.get(&act.id);
                let tentative = item.is_some_and(|item| item.place.is_none() && item.settled.is_none());
                if tentative {
                    self.origin.forget(&act.id);
                }
            }
            Ask::PeerAdd(peer) | Ask::Join(peer) => {
                self.peers.remove(peer, self.group);
                if open.was_removed {
                    self.peers.visits.remove(peer);
                }
            }
            Ask::Invite { hash, .. } => self.peers.uninvite(hash),
            Ask::Move { key, to, .. } => self.does_not_leave(&self.objects.name(key), to),
            Ask::Follow { key, from } => self.follows.unfollow(*from, key),
            Ask::Share { key, to } => {
                let key = self.objects.name(key);
                if let Some(debt) = self.shares.debts.get_mut(&(*to, key)) {
                    debt.promised = false;
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, open: &Open, reply: &Reply, eyes: &mut Eyes<'_>) {
        match (&open.ask, reply) {
            (Ask::Act(act), reply) => self.told_of(act.id, reply, eyes),
            (Ask::Outcome(id) | Ask::Cancel(id), reply) => self.told_of(*id, reply, eyes),
            (Ask::QuarantineEnd { .. }, Reply::Incarnation(incarnation)) => {
                self.ended.push(self.incarnation);
                self.incarnation = *incarnation;
                self.quarantined = false;
                self.rights.clear();
                self.peers.no_invites();
                self.shares.clear();
                self.origin.clear();
            }
            // Who asked for a move since wants that one.
            (Ask::Stay(key), _) if !open.ended => drop(self.moves.leaving.remove(&self.objects.name(key))),
            // Who was removed before this was said is none.
            (Ask::PeerAdd(peer), _) if !open.ended => self.is_a_peer(*peer),
            (Ask::PeerRemove(peer), _) => self.peers.removed(peer),
            (Ask::Receipt(id), Reply::Receipt(receipt)) => self.told_receipt(*id, receipt, eyes),
            _ => {}
        }
    }

    fn does_not_leave(&mut self, key: &once_model::ids::ObjectKey, to: &KernelId) {
        if let Some(all) = self.moves.leaving.get_mut(key) {
            all.remove(to);
            if all.is_empty() {
                self.moves.leaving.remove(key);
            }
        }
    }

    /// A kernel is a peer for good: whatever comes of using its ticket takes nothing of that back.
    pub(crate) fn is_a_peer(&mut self, peer: KernelId) {
        self.peers.add(peer);
        self.clients.keep(|ask| matches!(ask, Ask::Join(of) if *of == peer));
    }

    /// A client is told of an action: that it is accepted, or what came of it.
    fn told_of(&mut self, id: Uuid, reply: &Reply, eyes: &mut Eyes<'_>) {
        let group = self.group;
        let on_disk = eyes.disk.and_then(|disk| disk.origin.items.get(&id)).cloned();
        let durable = on_disk.is_some();
        let Some(item) = self.origin.items.get_mut(&id) else {
            return eyes.not_made(Check::ClientOutcome);
        };
        item.sure = true;
        // What was settled in the group that has just ended may not be known to the step that answers.
        let settled = item.settled.as_ref().is_some_and(|settled| settled.group + 1 < group);
        match reply {
            Reply::Accepted | Reply::Cancelling => {
                eyes.exact(Check::ActDurable, durable, || "accepted is said before it is on the disk".into());
                eyes.exact(Check::ClientOutcome, !settled, || {
                    "a client is told to wait, and the outcome is here".into()
                });
                if matches!(reply, Reply::Cancelling) {
                    let void = on_disk.is_some_and(|item| item.cancelled.is_some() || item.settled.is_some());
                    eyes.exact(Check::VoidReason, void, || {
                        "a cancel is told before it is on the disk".into()
                    });
                }
            }
            Reply::Outcome(outcome) => {
                let refused_here = match outcome {
                    Outcome::Refused(code) => item.home == self.me && item.codes.contains(code),
                    _ => false,
                };
                if item.settled.is_none() && refused_here {
                    self.origin.settle(&id, outcome, false, group);
                    self.effects.outcome(&id, outcome);
                }
                self.told_outcome(id, outcome, eyes);
            }
            _ => {}
        }
    }

    fn told_outcome(&self, id: Uuid, outcome: &Outcome, eyes: &mut Eyes<'_>) {
        let Some(item) = self.origin.items.get(&id) else { return };
        let right = item.settled.as_ref().map(|settled| &settled.outcome);
        eyes.exact(Check::ClientOutcome, right == Some(outcome), || {
            format!("a client is told {outcome:?} of {}, it is {right:?}", item.action.name)
        });
        if !eyes.live() {
            return;
        }
        let hash = outcome.hash();
        if !eyes.world.rolled.contains(&self.me) {
            let first = *eyes.world.clients.entry((self.me, id)).or_insert(hash);
            eyes.exact(Check::OutcomeStable, first == hash, || {
                format!("the outcome of {} has changed", item.action.name)
            });
        }
        // A refusal may rest on no row at the home, and an outcome of this kernel's own rests on its rows.
        let recorded = item.settled.as_ref().is_some_and(|settled| settled.recorded);
        if matches!(outcome, Outcome::Refused(_)) && item.home != self.me || item.home == self.me && recorded
        {
            let durable = eyes.disk.and_then(|disk| disk.origin.items.get(&id));
            let durable = durable.is_some_and(|item| item.settled.is_some());
            eyes.exact(Check::OutcomeDurable, durable, || {
                format!("{outcome:?} is told of {} before it is on the disk", item.action.name)
            });
        }
    }

    /// Whether the kernel that says so is, or was, the home of an action's object.
    fn may_be_home(&self, home: &KernelId, item: &Item) -> bool {
        let chain = self.chain_of(&self.objects.name(&item.object));
        *home == item.home || chain.is_some_and(|chain| crate::leads::holders(chain).any(|of| of == *home))
    }

    fn told_receipt(&self, id: Uuid, receipt: &once_model::receipt::Receipt, eyes: &mut Eyes<'_>) {
        let Some(item) = self.origin.items.get(&id) else { return eyes.not_made(Check::ReceiptTrue) };
        let entry = &receipt.entry;
        let right = entry.id == id
            && entry.origin == self.me
            && entry.action == item.hash
            && self.may_be_home(&receipt.home, item)
            && receipt.verify(&receipt.home).is_ok()
            && item.settled.as_ref().is_none_or(|settled| settled.outcome.hash() == entry.outcome);
        eyes.exact(Check::ReceiptTrue, right, || {
            format!("a client gets a receipt of another action than {id}")
        });
    }
}

fn is_about_grants(ask: &Ask) -> bool {
    matches!(ask, Ask::Grant(_) | Ask::Revoke(_))
}

/// The action that a client asks for.
pub(crate) fn asked_action(act: &AskAct) -> Action {
    Action {
        id: act.id,
        name: act.name.clone(),
        arguments: act.arguments.clone().into(),
        given: act.given.clone(),
        acting: None,
        answers: None,
    }
}

fn word(ask: &Ask) -> String {
    let text = format!("{ask:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_lowercase()
}
