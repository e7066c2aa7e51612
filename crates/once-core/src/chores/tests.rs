//! However much others placed here, no step does more than its share, and what a run leaves undone the next one ends.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Secret, Uuid};
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame, Greeting};

use super::*;
use crate::access::{self, Grant, Right, Scope};
use crate::act::{ActivityRow, activity_key};
use crate::engine::Engine;
use crate::engine::refusal::Refusal;
use crate::follow::FollowRow;
use crate::memory::MemoryStore;
use crate::peers::{self, PeerRow, PeerStatus, Quarantine};
use crate::share::{self, DebtRow, OutboxRow, Owed};
use crate::store::{Batch, Durability, Store};
use crate::testing::{Alone, NOW_MS, greeting};
use crate::timer::TimerRow;
use crate::waist::{Command, Input, LinkEvent, Then};
use crate::{group, object};

const MANY: u128 = 10_000;

/// A slice of 64 rows, each with what it makes necessary.
const STEP_MAX: usize = 1000;

/// Counts the rows that are read. Of one table nothing can be told in order, if that is said.
struct Counting<'a>(&'a mut MemoryStore, Cell<usize>, Option<Table>);

impl Read for Counting<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.1.update(|count| count + 1);
        self.0.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: crate::store::Visit<'_>,
    ) -> Result<(), StoreError> {
        if self.2 == Some(table) {
            return Err(StoreError::damaged(table, from, "for the test"));
        }
        self.0.scan(table, from, to, &mut |key, value| {
            self.1.update(|count| count + 1);
            visit(key, value)
        })
    }
}

impl Store for Counting<'_> {
    type Snapshot = <MemoryStore as Store>::Snapshot;

    fn snapshot(&self) -> Self::Snapshot {
        self.0.snapshot()
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.0.commit(batch, durability)
    }
}

/// A kernel that is driven step by step.
struct Slow {
    kernel: Alone,
    next: VecDeque<Input>,
    effects: Vec<Effect>,
    steps: usize,
    broken: Option<Table>,
}

impl Slow {
    fn new(kernel: Alone) -> Self {
        Self { kernel, next: VecDeque::new(), effects: Vec::new(), steps: 0, broken: None }
    }

    fn command(&mut self, command: Command) -> Token {
        self.kernel.tokens += 1;
        let token = self.kernel.tokens;
        self.next.push_back(Input::Command { token, command });
        token
    }

    /// One step. `false`: there was nothing to do.
    fn step(&mut self) -> bool {
        let Some(input) = self.next.pop_front() else { return false };
        let what = format!("{input:?}");
        let Alone { engine, store, ctx, dice, .. } = &mut self.kernel;
        let (mut store, mut effects) = (Counting(store, Cell::new(0), self.broken), Vec::new());
        let run = group::run(engine, &mut store, ctx, dice, [input], &mut |effect| effects.push(effect));
        let touched = run.unwrap().rows + store.1.get();
        assert!(touched <= STEP_MAX && effects.len() <= STEP_MAX, "{touched} rows: {what:.60}");
        self.take(effects);
        true
    }

    fn take(&mut self, effects: Vec<Effect>) {
        self.steps += 1;
        for effect in effects {
            match effect {
                Effect::Timer { after_ms: 0, timer } => self.next.push_back(Input::Timer(timer)),
                other => self.effects.push(other),
            }
        }
    }

    /// All that is to be done at once. How many steps it took.
    fn settle(&mut self) -> usize {
        let before = self.steps;
        while self.step() {}
        self.steps - before
    }

    /// The process is killed, and another one starts on its disk.
    fn restart(&mut self) {
        (self.kernel.engine, self.next) = (Engine::new(), VecDeque::new());
        self.effects.clear();
        let Alone { engine, store, ctx, dice, .. } = &mut self.kernel;
        let (mut store, mut effects) = (Counting(store, Cell::new(0), self.broken), Vec::new());
        group::start(engine, &mut store, ctx, dice, &mut |effect| effects.push(effect)).unwrap();
        assert!(store.1.get() <= STEP_MAX, "{} rows at the start", store.1.get());
        self.take(effects);
    }

    fn reply(&self, token: Token) -> Option<&Result<Answer, Refusal>> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Reply { token: of, reply } if *of == token => Some(reply),
            _ => None,
        })
    }

    fn count(&self, table: Table, of: impl Fn(&[u8]) -> bool) -> usize {
        let rows = self.kernel.rows().into_iter();
        rows.filter(|(in_table, key, _)| *in_table == table && of(key)).count()
    }
}

fn object(n: u128) -> ObjectKey {
    ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(Hash::from_bytes([1; 32])) }
}

fn read(kernel: KernelId, object: ObjectKey, expires_ms: Option<u64>) -> Grant {
    let scope = Scope::Object(object);
    Grant { scope, right: Right::Read, kernel, object: None, expires_ms, actions: None }
}

const SINCE: FollowRow = FollowRow { since_ms: NOW_MS };

/// Peer 9, which has placed much here and is owed much; beside it peer 8, which has a little.
fn crowded() -> (Slow, KernelId, KernelId) {
    let mut kernel = Alone::new();
    let (peer, other) = (kernel.peer(9).kernel, kernel.peer(8).kernel);
    let head = kernel.object(1, "Plain");
    kernel.step(|s| {
        for n in 100..100 + MANY {
            for kernel in [peer].into_iter().chain((n % 100 == 0).then_some(other)) {
                let place = object::peer_object_key(&kernel, &object(n));
                s.txn.put(Table::Subscription, &place, &SINCE);
                s.txn.put(Table::Unfollow, &place, &SINCE);
                s.txn.put(Table::Follower, &object::object_peer_key(&object(n), &kernel), &SINCE);
                let grant = read(kernel, object(n), None);
                s.txn.put(Table::Grant, &grant.to_row(), &grant.add_to(None, NOW_MS).unwrap());
                let debt =
                    DebtRow { since_ms: NOW_MS, id: Hash::from_bytes([2; 32]), debt: share::Debt::Promised };
                let owed = Owed::Object(object(n)).key(&kernel);
                s.txn.put(Table::Outbox, &owed, &OutboxRow::Object(debt));
            }
        }
        Ok(())
    });
    let mut slow = Slow::new(kernel);
    for n in 0..MANY {
        slow.kernel.engine.act.acts.insert(Uuid::from_u128(n), vec![1_000_000 + Token::try_from(n).unwrap()]);
        let waits = vec![2_000_000 + Token::try_from(n).unwrap()];
        slow.kernel.engine.share.deliveries.insert((peer, object(n)), waits);
    }
    // These wait for the peer indeed.
    for n in 2..102 {
        let key = ObjectKey { uuid: Uuid::from_u128(n), ..head };
        slow.kernel.act_at(peer, key, u64::try_from(n).unwrap());
    }
    (slow, peer, other)
}

/// Its subscriptions there, its rights here, and all else that a removal ends.
fn rows_of(slow: &Slow, peer: &KernelId) -> usize {
    let tables = [Table::Subscription, Table::Unfollow, Table::Follower, Table::Grant, Table::Outbox];
    let mine = |table: Table, key: &[u8]| match table {
        Table::Outbox => key.starts_with(&share::Kind::Objects.of(peer)),
        Table::Follower | Table::Grant => key.ends_with(peer.as_bytes()),
        _ => key.starts_with(peer.as_bytes()),
    };
    tables.into_iter().map(|table| slow.count(table, |key| mine(table, key))).sum()
}

/// It would have its turn again at once, for ever.
#[test]
fn a_passing_chore_that_damage_holds_up_waits_for_the_next_start() {
    let mut slow = Slow::new(Alone::new());
    slow.broken = Some(Table::Peer);
    slow.restart();
    for _ in 0..10 {
        slow.step();
    }
    assert!(slow.next.is_empty(), "{:?}", slow.next);
}

/// Rights that are left over must not come back with the peer.
#[test]
fn a_removal_that_damage_holds_up_is_under_way_until_it_goes_on() {
    let (mut slow, peer, _) = crowded();
    let removed = slow.command(Command::RemovePeer { peer });
    assert!(slow.step());
    slow.broken = Some(Table::Grant);
    slow.settle();
    assert!(matches!(slow.reply(removed), Some(Err(Refusal::Damaged(_)))), "{:?}", slow.reply(removed));
    let add = |slow: &mut Slow| {
        let add = Command::AddPeer { peer, petname: None, addresses: Vec::new() };
        let added = slow.command(add);
        slow.settle();
        slow.reply(added).cloned()
    };
    assert_eq!(add(&mut slow), Some(Err(Refusal::BeingRemoved(peer))));
    // What held it up is looked at again at the next start.
    slow.broken = None;
    slow.restart();
    slow.settle();
    assert_eq!(rows_of(&slow, &peer), 0);
    assert!(matches!(add(&mut slow), Some(Ok(_))));
}

#[test]
fn a_peer_is_removed_a_few_rows_in_each_step_and_has_no_rights_from_the_first() {
    let (mut slow, peer, other) = crowded();
    let theirs = rows_of(&slow, &other);
    let token = slow.command(Command::RemovePeer { peer });
    slow.step();
    assert!(!access::is_peer(&slow.kernel.store, &peer).unwrap());
    assert!(!access::may_share(&slow.kernel.store, &peer, NOW_MS).unwrap());
    assert!(slow.reply(token).is_none() && rows_of(&slow, &peer) > 40_000);
    // Nor do they come back with it.
    let add = || Command::AddPeer { peer, addresses: Vec::new(), petname: None };
    let (early, twice) = (slow.command(add()), slow.command(Command::RemovePeer { peer }));
    slow.step();
    slow.step();
    slow.step();
    assert_eq!(slow.reply(early), Some(&Err(Refusal::BeingRemoved(peer))));
    assert!(slow.settle() > 500);
    assert_eq!(slow.reply(token), Some(&Ok(Answer::Done)));
    assert_eq!(slow.reply(twice), Some(&Ok(Answer::Done)), "whoever asks again waits, too");
    assert_eq!((rows_of(&slow, &peer), rows_of(&slow, &other)), (0, theirs));
    assert_eq!(slow.count(Table::Chore, |_| true), 0);
    let told = |wanted: &dyn Fn(&Result<Answer, Refusal>) -> bool| {
        let replies = slow.effects.iter();
        replies.filter(|effect| matches!(effect, Effect::Reply { reply, .. } if wanted(reply))).count()
            as u128
    };
    let (shares, acts) =
        (told(&|reply| *reply == Err(Refusal::NoPeer(peer))), told(&|reply| *reply == Ok(Answer::Accepted)));
    assert_eq!(shares + acts, MANY + 100, "who waited for it is told so");
    assert!(acts > 0, "what was accepted may have run, and is not refused");
    let again = slow.command(add());
    slow.settle();
    assert_eq!(slow.reply(again), Some(&Ok(Answer::Done)));
}

#[test]
fn a_removal_that_a_crash_cuts_off_goes_on_at_the_next_start() {
    let (mut slow, peer, other) = crowded();
    let theirs = rows_of(&slow, &other);
    slow.command(Command::RemovePeer { peer });
    let mut left = rows_of(&slow, &peer);
    for _ in 0..3 {
        for _ in 0..700 {
            slow.step();
        }
        slow.restart();
        assert!((1..left).contains(&rows_of(&slow, &peer)));
        left = rows_of(&slow, &peer);
        assert!(!access::is_peer(&slow.kernel.store, &peer).unwrap());
        let early = slow.command(Command::AddPeer { peer, addresses: Vec::new(), petname: None });
        while slow.reply(early).is_none() {
            slow.step();
        }
        assert_eq!(slow.reply(early), Some(&Err(Refusal::BeingRemoved(peer))));
    }
    slow.settle();
    assert_eq!((rows_of(&slow, &peer), rows_of(&slow, &other)), (0, theirs));
    assert_eq!(slow.count(Table::Chore, |_| true), 0);
}

#[test]
fn a_peer_with_few_rows_is_removed_in_one_step() {
    let mut slow = Slow::new(Alone::new());
    let peer = slow.kernel.peer(9).kernel;
    let token = slow.command(Command::RemovePeer { peer });
    slow.step();
    assert_eq!(slow.reply(token), Some(&Ok(Answer::Done)));
    assert!(slow.count(Table::Chore, |_| true) == 0 && slow.next.is_empty());
}

#[test]
fn what_may_not_be_read_any_more_is_no_longer_followed_step_by_step() {
    let (mut slow, peer, other) = crowded();
    let theirs = rows_of(&slow, &other);
    let token = slow.command(Command::Revoke(read(peer, object(150), None)));
    for _ in 0..50 {
        slow.step();
    }
    slow.restart();
    assert!(slow.reply(token).is_none());
    assert!(slow.settle() > 100);
    assert_eq!(slow.count(Table::Follower, |key| key.ends_with(peer.as_bytes())), 0, "none of it is here");
    assert_eq!(rows_of(&slow, &other), theirs);
}

/// An object with many timers, all due in a minute, and as much work outside.
fn busy() -> (Slow, ObjectKey) {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Plain");
    kernel.step(|s| {
        for n in 0..MANY {
            let (name, id) = (n.to_string(), Uuid::from_u128(n));
            let then = Then { action: "rang".into(), with: "1".into() };
            let (due_ms, timer) = (s.ctx.now_ms + 60_000, then.clone());
            crate::timer::set(s, &key, &TimerRow { name: name.clone(), due_ms, id, then: timer })?;
            let row = ActivityRow { name, arguments: "1".into(), then, since_ms: NOW_MS };
            s.txn.put(Table::Activity, &activity_key(&key, &id), &row);
        }
        Ok(())
    });
    (Slow::new(kernel), key)
}

#[test]
fn the_timers_and_the_work_of_a_removed_object_go_step_by_step_and_none_of_it_happens() {
    let (mut slow, key) = busy();
    let token = slow.command(Command::Remove { key });
    slow.step();
    assert!(matches!(slow.reply(token), Some(Ok(Answer::Object { .. }))), "removed at once");
    slow.kernel.ctx.now_ms += 60_000;
    slow.next.push_back(Input::Timer(Timer::Due(15)));
    slow.next.push_back(Input::Worked { key, id: Uuid::from_u128(MANY - 1), result: Ok("1".into()) });
    for _ in 0..10 {
        slow.step();
    }
    slow.restart();
    assert!(slow.count(Table::Timer, |_| true) > 5000 && slow.count(Table::Activity, |_| true) > 5000);
    slow.settle();
    for table in [Table::Timer, Table::Due, Table::Activity, Table::Chore] {
        assert_eq!(slow.count(table, |_| true), 0, "{table:?}");
    }
    let is_work = |effect: &&Effect| matches!(effect, Effect::Work(_));
    assert_eq!(slow.effects.iter().filter(is_work).count(), 0);
    let told = |value: &[u8]| value.windows(4).any(|window| window == b"rang");
    let rows = slow.kernel.rows().into_iter();
    assert_eq!(rows.filter(|(table, _, value)| *table == Table::Queue && told(value)).count(), 0);
}

#[test]
fn work_outside_is_asked_for_again_a_few_in_each_step_and_each_once() {
    let (mut slow, key) = busy();
    slow.restart();
    for _ in 0..10 {
        slow.step();
    }
    // Its last timer rings meanwhile, and an object begins new work.
    let maker = slow.kernel.object(MANY + 5, "Maker");
    slow.kernel.act(maker, 1);
    slow.settle();
    let mut asked: Vec<_> = slow
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Work(work) if work.key == key => Some(work.id),
            _ => None,
        })
        .collect();
    asked.sort();
    assert_eq!(asked, (0..MANY).map(Uuid::from_u128).collect::<Vec<_>>());
}

fn with_peers() -> Slow {
    let mut slow = Slow::new(Alone::new());
    slow.kernel.step(|s| {
        for n in 0..4000_u16 {
            let mut id = [9; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            let row = PeerRow {
                petname: None,
                says: String::new(),
                status: PeerStatus::Active,
                secret: None,
                addresses: Vec::new(),
                seen: Vec::new(),
                quota_bytes: 0,
                since_ms: NOW_MS,
                heard: None,
                invite: None,
                addresses_ms: Vec::new(),
                reborn_ms: None,
            };
            s.txn.put(Table::Peer, &id, &row);
        }
        Ok(())
    });
    slow
}

#[test]
fn followers_are_owed_a_new_revision_a_few_in_each_step_and_none_waits_for_the_others() {
    let mut slow = with_peers();
    let key = slow.kernel.object(1, "Plain");
    let mut peers = Vec::new();
    slow.kernel.step(|s| {
        s.txn.scan(Table::Peer, &[], None, &mut |row, _| {
            peers.extend(KernelId::from_slice(row));
            ControlFlow::Continue(())
        })?;
        for peer in &peers {
            let grant = read(*peer, key, None);
            s.txn.put(Table::Grant, &grant.to_row(), &grant.add_to(None, NOW_MS).unwrap());
            s.txn.put(Table::Follower, &object::object_peer_key(&key, peer), &SINCE);
        }
        Ok(())
    });
    let owed = |slow: &Slow| {
        let id = object::head(&slow.kernel.store, &key).unwrap().unwrap().header.id();
        let debts = peers.iter().map(|peer| share::debt(&slow.kernel.store, peer, &key).unwrap());
        let (mut any, mut newest) = (0, 0);
        for debt in debts.flatten() {
            any += 1;
            newest += usize::from(debt.id == id);
        }
        (any, newest)
    };
    let put = |n: u8| Command::Put { key, base: None, scenario: with(n) };
    // Changed again and again: who comes last is owed something all the same.
    for n in 0..40 {
        let token = slow.command(put(n));
        slow.step();
        slow.step();
        assert!(matches!(slow.reply(token), Some(Ok(Answer::Object { .. }))));
    }
    assert!((2500..4000).contains(&owed(&slow).0), "{:?}", owed(&slow));
    slow.restart();
    slow.settle();
    assert_eq!(owed(&slow), (4000, 4000));
    slow.command(Command::Remove { key });
    slow.settle();
    assert_eq!((owed(&slow), slow.count(Table::Chore, |_| true)), ((4000, 4000), 0));
}

#[test]
fn every_peer_is_dialled_a_few_in_each_step() {
    let mut slow = with_peers();
    slow.restart();
    slow.settle();
    let dials = slow.effects.iter().filter(|effect| matches!(effect, Effect::Dial { .. }));
    assert_eq!(dials.count(), 4000);
}

#[test]
fn a_stranger_with_a_wrong_secret_has_no_peers_counted() {
    let mut slow = with_peers();
    let (stranger, secret) = (KernelKey::from_bytes(&[5; 32]), Some(Secret::from_bytes([1; 16])));
    let frame = Frame::Hello(Greeting { invite: secret, ..greeting(&stranger) });
    slow.next.push_back(Input::Frame { peer: stranger.id(), conn: 1, frame });
    slow.settle();
    let is_denied =
        |effect: &Effect| matches!(effect, Effect::Send { frame: Frame::Denied(Code::Denied), .. });
    assert!(slow.effects.iter().any(is_denied));
}

#[test]
fn grants_that_end_together_are_marked_a_few_in_each_step() {
    let mut slow = Slow::new(Alone::new());
    let peer = slow.kernel.peer(9).kernel;
    slow.kernel.step(|s| {
        for n in 0..MANY {
            let grant = read(peer, object(n), Some(NOW_MS + 5));
            s.txn.put(Table::Grant, &grant.to_row(), &grant.add_to(None, NOW_MS).unwrap());
        }
        Ok(())
    });
    slow.restart();
    slow.settle();
    slow.kernel.ctx.now_ms += 5;
    slow.next.push_back(Input::Timer(Timer::Expiry(0)));
    slow.settle();
    let rows = slow.kernel.rows().into_iter().filter(|(table, key, _)| *table == Table::Grant && key[0] == 2);
    let ended =
        rows.filter(|(_, key, value)| Grant::list(key, value).unwrap().iter().all(|listed| listed.ended));
    assert_eq!(ended.count() as u128, MANY);
}

#[test]
fn a_new_connection_repeats_subscriptions_and_looks_for_proofs_a_few_rows_in_each_step() {
    let (mut slow, peer, _) = crowded();
    let plain = slow.kernel.object(2, "Plain");
    slow.kernel.step(|s| {
        let head = object::head(s.txn, &plain)?.unwrap();
        for n in 0..MANY {
            let place = object::conflict_key(&object(n), &head.header.id());
            s.txn.put(Table::Conflict, &place, &head);
        }
        Ok(())
    });
    let up = LinkEvent::Up { conn: 1, dialled: true, address: None };
    slow.next.push_back(Input::Link { peer, event: up });
    let frame = Frame::Admitted(greeting(&KernelKey::from_bytes(&[9; 32])));
    slow.next.push_back(Input::Frame { peer, conn: 1, frame });
    assert!(slow.settle() > 400);
    let said = |wanted: fn(&Frame) -> bool| {
        let frames = slow.effects.iter();
        frames.filter(|effect| matches!(effect, Effect::Send { frame, .. } if wanted(frame))).count() as u128
    };
    assert_eq!(said(|frame| matches!(frame, Frame::Follow(_))), MANY);
    assert_eq!(said(|frame| matches!(frame, Frame::Unfollow(_))), MANY);
}

/// A kernel in quarantine, with much that its next life must not have.
fn put_back() -> (Slow, KernelId) {
    let (mut slow, peer, other) = crowded();
    let key = slow.kernel.object(3, "Plain");
    for n in 200..400 {
        slow.kernel.act(key, n);
    }
    slow.kernel.step(|s| {
        for n in 0..MANY {
            let mut secret = [0; 32];
            secret[..16].copy_from_slice(&n.to_be_bytes());
            let row = peers::InviteRow {
                expires_ms: NOW_MS + 1_000_000,
                petname: None,
                used_by: None,
                ended: false,
                since_ms: NOW_MS,
            };
            s.txn.put(Table::Invite, &secret, &row);
        }
        let row = Quarantine { since_ms: NOW_MS, shown: Vec::new(), heard: vec![peer, other] };
        s.txn.put(Table::Meta, b"quarantine", &row);
        Ok(())
    });
    slow.restart();
    (slow, peer)
}

#[test]
fn a_quarantine_ends_a_few_rows_in_each_step_and_lasts_until_all_is_gone() {
    let (mut slow, peer) = put_back();
    let life = crate::meta::incarnation(&slow.kernel.store).unwrap();
    let end = || Command::EndQuarantine { without: Vec::new() };
    slow.command(end());
    let mut refused = Vec::new();
    for _ in 0..4 {
        for _ in 0..150 {
            slow.step();
        }
        slow.restart();
        assert_eq!(crate::meta::incarnation(&slow.kernel.store).unwrap(), life);
        assert_eq!(slow.count(Table::Chore, |_| true), 1);
        refused.push(slow.command(Command::Create { scenario: scenario(77) }));
        // Whoever greets now is heard in the next life: an invite lets nobody in any more.
        let frame = Frame::Hello(greeting(&KernelKey::from_bytes(&[9; 32])));
        slow.next.push_back(Input::Frame { peer, conn: 5, frame });
        while slow.reply(refused[refused.len() - 1]).is_none() {
            slow.step();
        }
        assert_eq!(slow.reply(refused[refused.len() - 1]), Some(&Err(Refusal::Quarantined)));
    }
    let token = slow.command(end());
    slow.settle();
    assert_eq!(slow.reply(token), Some(&Ok(Answer::Done)), "whoever asks again waits, too");
    assert_ne!(crate::meta::incarnation(&slow.kernel.store).unwrap(), life);
    for table in [
        Table::Invite,
        Table::Grant,
        Table::Follower,
        Table::Outbox,
        Table::Request,
        Table::Queue,
        Table::Sending,
        Table::Chore,
    ] {
        assert_eq!(slow.count(table, |_| true), 0, "{table:?}");
    }
    assert_eq!(slow.count(Table::Boot, |_| true), 1);
    // What was asked in the life before may have run: it never runs again.
    let old = slow.kernel.object(5, "Plain");
    assert!(matches!(slow.kernel.try_act(old, 200), Err(Refusal::IdTooOld { .. })));
    slow.kernel.ctx.now_ms += 1;
}

fn with(n: u8) -> once_model::scenario::Scenario {
    let model = format!("{{\"n\":{n}}}");
    once_model::scenario::Scenario::compose(Uuid::from_u128(1), "Plain", "1", "me", &model).unwrap()
}

fn scenario(n: u128) -> once_model::scenario::Scenario {
    once_model::scenario::Scenario::compose(Uuid::from_u128(n), "Plain", "1", "me", "{}").unwrap()
}

#[test]
fn a_chore_whose_row_is_damaged_begins_anew() {
    let (mut slow, peer, _) = crowded();
    slow.command(Command::RemovePeer { peer });
    for _ in 0..700 {
        slow.step();
    }
    let row = Chore::ForgetPeer(peer).to_row().unwrap();
    let mut damaged = Slow::new(slow.kernel.with_row(Table::Chore, &row, b"\xff"));
    damaged.restart();
    damaged.settle();
    assert_eq!((rows_of(&damaged, &peer), damaged.count(Table::Chore, |_| true)), (0, 0));
}

#[test]
fn lasting_chores_survive_their_rows() {
    let peer = KernelId::from_bytes([3; 32]);
    for chore in [
        Chore::ForgetPeer(peer),
        Chore::ForgetObject(object(1)),
        Chore::EndFollowing(peer),
        Chore::TellFollowers(object(1)),
        Chore::BeginLife,
    ] {
        assert_eq!(Chore::from_row(&chore.to_row().unwrap()), Some(chore));
    }
    for chore in [Chore::Greet(peer), Chore::Dial, Chore::Work, Chore::Sweep] {
        assert_eq!(chore.to_row(), None);
    }
    assert_eq!([Chore::from_row(b""), Chore::from_row(b"\x01\x02"), Chore::from_row(b"\x04\x00")], [None; 3]);
}
