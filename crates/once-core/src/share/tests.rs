//! How what is owed gets to a peer, and is settled: docs/protocol.md, 5.2 and the states of a share.

use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::limits::{INLINE_MAX_BYTES, OUTBOX_MAX_ROWS, RESEND_AFTER_MS, WINDOW_MAX_SHARES};
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Follow, Frame, Greeting, Parcel, ShareAnswer, Shared};

use super::{Debt, UsageRow, debt, usage};
use crate::access::{Right, Scope};
use crate::engine::{Engine, Limits};
use crate::object::unclaimed;
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::{Alone, Pair, Side, greeting};
use crate::waist::{Answer, Command, Effect, Event, Input, Token};

/// Kernel 9 is connected.
fn sender() -> (Alone, KernelId) {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.greets(9, 1);
    kernel.sent.clear();
    (kernel, peer)
}

fn share(kernel: &mut Alone, key: ObjectKey, to: KernelId) -> Token {
    kernel.command(Command::Share { key, to, delivered: true })
}

/// The shares that were said since.
fn shares(kernel: &mut Alone) -> Vec<Parcel> {
    let shares = kernel.sent.drain(..).filter_map(|frame| match frame {
        Frame::Share(parcel) => Some(parcel),
        _ => None,
    });
    shares.collect()
}

fn revisions(kernel: &mut Alone) -> Vec<u64> {
    shares(kernel).iter().map(|parcel| parcel.header.revision).collect()
}

const NONE: [u64; 0] = [];

fn answered(parcel: &Parcel, answer: ShareAnswer) -> Frame {
    Frame::Shared(Shared { key: parcel.header.key(), id: parcel.header.id(), answer, commit: None })
}

#[test]
fn a_share_is_sent_until_it_is_answered() {
    let (mut kernel, peer) = sender();
    let key = kernel.object(1, "Paper");
    share(&mut kernel, key, peer);
    let first = shares(&mut kernel).remove(0);
    assert!(first.header.signed_by(&kernel.id()) && first.body.is_some() && first.chain.is_some());
    kernel.pass(RESEND_AFTER_MS - 1);
    assert_eq!(revisions(&mut kernel), NONE);
    kernel.pass(1);
    assert_eq!(revisions(&mut kernel), [1]);
    // On a new connection at once; also after a power loss, if somebody was told that it is owed.
    kernel.greets(9, 2);
    assert_eq!(revisions(&mut kernel), [1]);
    kernel.command(Command::Share { key, to: peer, delivered: false });
    assert_eq!(kernel.store.unsynced(), 0);
    kernel.crash(0);
    kernel.greets(9, 3);
    assert_eq!(revisions(&mut kernel), [1]);
    let waits = share(&mut kernel, key, peer);
    assert_eq!(revisions(&mut kernel), NONE, "it is under way");
    kernel.events.clear();
    kernel.says(peer, 3, answered(&first, ShareAnswer::Stored));
    assert_eq!(kernel.answered[&waits], Answer::Delivered(ShareAnswer::Stored));
    assert!(kernel.events.contains(&Event::Delivered { peer, key, answer: ShareAnswer::Stored }));
    assert_eq!(
        (debt(&kernel.store, &peer, &key).unwrap(), usage(&kernel.store, &peer).unwrap().owed_rows),
        (None, 0)
    );
    kernel.pass(3 * RESEND_AFTER_MS);
    kernel.greets(9, 4);
    assert_eq!(revisions(&mut kernel), NONE);
}

#[test]
fn only_the_answer_to_the_newest_revision_settles() {
    let (mut kernel, peer) = sender();
    let key = kernel.object(1, "Paper");
    let token = share(&mut kernel, key, peer);
    let first = shares(&mut kernel).remove(0);
    kernel.act(key, 5);
    assert_eq!(revisions(&mut kernel), NONE, "one of an object at a time");
    // To an older one: the newest is sent next.
    kernel.says(peer, 1, answered(&first, ShareAnswer::Stored));
    assert!(!kernel.answered.contains_key(&token));
    let second = shares(&mut kernel).remove(0);
    assert_eq!(second.header.revision, 2);
    kernel.says(peer, 1, answered(&second, ShareAnswer::Known));
    assert_eq!(kernel.answered[&token], Answer::Delivered(ShareAnswer::Known));
    // Refused for now, and changed since: at once; else after 10 s, or on the next connection.
    for code in [Code::Busy, Code::DiskFull, Code::Stopping] {
        let token = share(&mut kernel, key, peer);
        let sent = shares(&mut kernel).remove(0);
        let n = sent.header.revision;
        kernel.says(peer, 1, answered(&sent, ShareAnswer::Refused(code)));
        assert_eq!(revisions(&mut kernel), NONE, "{code:?}");
        kernel.pass(RESEND_AFTER_MS - 1);
        assert_eq!(revisions(&mut kernel), NONE, "{code:?}");
        kernel.pass(1);
        assert_eq!(revisions(&mut kernel), [n], "{code:?}");
        kernel.act(key, 10 + n);
        kernel.says(peer, 1, answered(&sent, ShareAnswer::Refused(code)));
        let next = shares(&mut kernel).remove(0);
        assert_eq!(next.header.revision, n + 1);
        assert!(!kernel.answered.contains_key(&token));
        kernel.says(peer, 1, answered(&next, ShareAnswer::Stored));
        assert_eq!(kernel.answered[&token], Answer::Delivered(ShareAnswer::Stored));
    }
    // For good: people are told.
    for code in [Code::Quota, Code::Denied, Code::TooLarge, Code::Invalid] {
        let token = share(&mut kernel, key, peer);
        let sent = shares(&mut kernel).remove(0);
        kernel.says(peer, 1, answered(&sent, ShareAnswer::Refused(code)));
        let answer = ShareAnswer::Refused(code);
        assert_eq!(kernel.answered[&token], Answer::Delivered(answer));
        assert!(kernel.events.contains(&Event::Delivered { peer, key, answer }));
        assert_eq!(debt(&kernel.store, &peer, &key).unwrap(), None);
    }
}

#[test]
fn so_many_shares_are_under_way() {
    let (mut kernel, peer) = sender();
    let objects: Vec<_> =
        (0..WINDOW_MAX_SHARES as u128 + 30).map(|n| kernel.object(100 + n, "Paper")).collect();
    let tokens: Vec<_> = objects.iter().map(|key| share(&mut kernel, *key, peer)).collect();
    assert_eq!(usage(&kernel.store, &peer).unwrap().owed_rows, objects.len() as u64);
    let mut way = std::collections::VecDeque::from(shares(&mut kernel));
    assert_eq!(way.len(), WINDOW_MAX_SHARES);
    let mut sent = way.len();
    while let Some(parcel) = way.pop_front() {
        kernel.says(peer, 1, answered(&parcel, ShareAnswer::Stored));
        let more = shares(&mut kernel);
        sent += more.len();
        way.extend(more);
        assert!(way.len() <= WINDOW_MAX_SHARES);
    }
    assert_eq!(sent, objects.len());
    assert!(tokens.iter().all(|token| kernel.answered.contains_key(token)));
    assert_eq!(usage(&kernel.store, &peer).unwrap(), UsageRow::default());
}

#[test]
fn so_many_bytes_are_under_way() {
    let (mut kernel, peer) = sender();
    let text = format!("{{\"t\":\"{}\"}}", "x".repeat(INLINE_MAX_BYTES - 1000));
    for n in 0..80 {
        let scenario = Scenario::compose(Uuid::from_u128(100 + n), "Paper", "1", "me", &text).unwrap();
        let key = unclaimed(&scenario).key();
        kernel.command(Command::Import { source: None, over: None, scenario });
        share(&mut kernel, key, peer);
    }
    let sent = shares(&mut kernel);
    let bytes: usize = sent.iter().map(|parcel| parcel.body.as_ref().unwrap().len()).sum();
    let one = sent[0].body.as_ref().unwrap().len();
    assert!((4 * 1024 * 1024..4 * 1024 * 1024 + one).contains(&bytes), "{bytes}");
    kernel.says(peer, 1, answered(&sent[0], ShareAnswer::Stored));
    assert_eq!(shares(&mut kernel).len(), 1);
}

#[test]
fn what_cannot_be_shared_is_refused_at_once() {
    let (mut kernel, peer) = sender();
    let key = kernel.object(1, "Paper");
    let (me, stranger) = (kernel.id(), kernel.peer_id(8));
    let absent = ObjectKey { uuid: Uuid::from_u128(99), ..key };
    let mut try_share = |key, to| kernel.try_command(Command::Share { key, to, delivered: false });
    assert_eq!(try_share(absent, peer), Err(Refusal::NoObject(absent)));
    assert_eq!(try_share(key, me), Err(Refusal::Myself));
    assert_eq!(try_share(key, stranger), Err(Refusal::NoPeer(stranger)));
    let full = |kernel: &mut Alone, owed_rows| {
        kernel.writes(|s| {
            s.txn.put(Table::Usage, peer.as_bytes(), &UsageRow { stored_bytes: 0, owed_rows });
            Ok(())
        });
        kernel.try_command(Command::Share { key, to: peer, delivered: false })
    };
    assert_eq!(full(&mut kernel, OUTBOX_MAX_ROWS), Err(Refusal::OutboxFull { peer, rows: OUTBOX_MAX_ROWS }));
    assert_eq!(full(&mut kernel, OUTBOX_MAX_ROWS - 1), Ok(()));
    assert_eq!(full(&mut kernel, OUTBOX_MAX_ROWS), Ok(()), "it is owed already");
}

/// A client is told that there is no room. A follower would wait for the news that was dropped until it connects again.
#[test]
fn what_is_followed_is_owed_also_when_the_outbox_is_full() {
    let (mut kernel, peer) = sender();
    kernel.restart_with(Engine::within(Limits { outbox_rows: 1, ..Limits::PAGE }));
    kernel.grant(peer, Right::Read, Scope::Kernel);
    kernel.greets(9, 1);
    let [first, second, third] = [1, 2, 3].map(|n| kernel.object(n, "Paper"));
    share(&mut kernel, first, peer);
    let refused = kernel.try_command(Command::Share { key: second, to: peer, delivered: false });
    assert_eq!(refused, Err(Refusal::OutboxFull { peer, rows: 1 }));
    kernel.sent.clear();
    kernel.says(peer, 1, Frame::Follow(Follow { key: third, have: None }));
    assert_eq!(revisions(&mut kernel), [1]);
    let state = Scenario::compose(third.uuid, "Paper", "1.0", "me", "{\"n\":2}").unwrap();
    kernel.command(Command::Put { key: third, base: None, scenario: state });
    assert_eq!(debt(&kernel.store, &peer, &third).unwrap().map(|row| row.debt), Some(Debt::FOLLOWED));
}

/// What came from its home without a signature nobody else would believe.
#[test]
fn a_replica_is_passed_on_with_its_homes_signature_only() {
    let mut theirs = Alone::kernel(9);
    let object = theirs.object(1, "Paper");
    let row = crate::object::head(&theirs.store, &object).unwrap().unwrap();
    let mut signed = crate::exchange::parcel(&theirs.store, &theirs.ctx.key, &row).unwrap().unwrap();
    for is_signed in [false, true] {
        let (mut kernel, peer) = sender();
        let other = kernel.befriend(8);
        kernel.greets(8, 2);
        kernel.grant(peer, Right::Share, Scope::Kernel);
        if !is_signed {
            signed.header.signature = None;
        } else {
            signed.header.sign(&theirs.ctx.key);
        }
        kernel.says(peer, 1, Frame::Share(signed.clone()));
        let shared = kernel.try_command(Command::Share { key: object, to: other, delivered: false });
        assert_eq!(shared, if is_signed { Ok(()) } else { Err(Refusal::Unsigned(object)) });
        assert_eq!(shares(&mut kernel).len(), usize::from(is_signed));
    }
}

#[test]
fn what_is_given_up_is_not_sent_any_more() {
    let (mut kernel, peer) = sender();
    let key = kernel.object(1, "Paper");
    assert_eq!(kernel.try_command(Command::GiveUp { peer, key }), Err(Refusal::NotOwed { peer, key }));
    let waits = share(&mut kernel, key, peer);
    let sent = shares(&mut kernel).remove(0);
    kernel.command(Command::GiveUp { peer, key });
    assert_eq!(kernel.refused[&waits], Refusal::NotOwed { peer, key });
    assert_eq!(kernel.store.unsynced(), 0);
    kernel.events.clear();
    kernel.says(peer, 1, answered(&sent, ShareAnswer::Stored));
    kernel.greets(9, 2);
    assert_eq!(revisions(&mut kernel), NONE);
    assert_eq!(usage(&kernel.store, &peer).unwrap().owed_rows, 0);
}

#[test]
fn a_debt_follows_the_object_that_its_copy_became_and_ends_with_it() {
    let (mut kernel, peer) = sender();
    let scenario = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", "{}").unwrap();
    let copy = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario });
    kernel.down(9, 1);
    let waits = share(&mut kernel, copy, peer);
    let token = kernel.command(Command::Claim { key: copy });
    let now = match &kernel.answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    kernel.greets(9, 2);
    let sent = shares(&mut kernel);
    assert_eq!(sent.iter().map(|parcel| parcel.header.key()).collect::<Vec<_>>(), [now]);
    kernel.says(peer, 2, answered(&sent[0], ShareAnswer::Stored));
    assert_eq!(kernel.answered[&waits], Answer::Delivered(ShareAnswer::Stored));
    // A copy that is dropped is owed no more.
    let (mut kernel, peer) = sender();
    let scenario = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", "{}").unwrap();
    let copy = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario });
    kernel.down(9, 1);
    let waits = share(&mut kernel, copy, peer);
    kernel.command(Command::Remove { key: copy });
    kernel.greets(9, 2);
    assert_eq!(revisions(&mut kernel), NONE);
    assert_eq!(kernel.refused[&waits], Refusal::NoObject(copy));
    assert_eq!(usage(&kernel.store, &peer).unwrap().owed_rows, 0);
}

/// What an action depends on is owed with its bytes alone; what is followed as long as it may be read.
#[test]
fn why_an_object_is_owed_decides_what_is_sent() {
    let owed = |why: fn(Hash) -> Debt, may_read: bool, changes: bool| {
        let (mut kernel, peer) = sender();
        let key = kernel.object(1, "Paper");
        if may_read {
            kernel.grant(peer, Right::Read, Scope::Object(key));
        }
        kernel.down(9, 1);
        let content = kernel.head(&key).unwrap().content;
        kernel.step(|s| {
            let head = crate::object::head(s.txn, &key)?.unwrap();
            super::owe(s, peer, &head, why(content), super::Kept::Durably)
        });
        if changes {
            kernel.act(key, 5);
        }
        kernel.greets(9, 2);
        let sent = revisions(&mut kernel);
        let is_owed = debt(&kernel.store, &peer, &key).unwrap().is_some();
        assert_eq!(is_owed, !sent.is_empty());
        sent
    };
    let promised: fn(Hash) -> Debt = |_| Debt::Promised;
    let given: fn(Hash) -> Debt = |content| Debt::Given { content };
    let both: fn(Hash) -> Debt = |content| Debt::Followed { given: Some(content) };
    let followed: fn(Hash) -> Debt = |_| Debt::FOLLOWED;
    for (why, may_read, changes, sent) in [
        (promised, false, false, vec![1]),
        (promised, false, true, vec![2]),
        (given, false, false, vec![1]),
        (given, true, true, vec![]),
        (followed, true, true, vec![2]),
        (followed, false, false, vec![]),
        (both, false, false, vec![1]),
        (both, false, true, vec![]),
        (both, true, true, vec![2]),
    ] {
        assert_eq!(owed(why, may_read, changes), sent, "{:?}", why(Hash::from_bytes([0; 32])));
    }
}

/// A share may leave before the commit only if nothing of it is new in this commit.
#[test]
fn what_is_new_in_a_commit_leaves_after_it() {
    let (mut kernel, peer) = sender();
    let key = kernel.object(1, "Paper");
    let scenario = Scenario::compose(Uuid::from_u128(1), "Paper", "1", "me", "{\"n\":1}").unwrap();
    let put = Input::Command { token: 900, command: Command::Put { key, base: None, scenario } };
    let share = Input::Command { token: 901, command: Command::Share { key, to: peer, delivered: true } };
    let mut order = Vec::new();
    let Alone { engine, store, ctx, dice, .. } = &mut kernel;
    let before = crate::meta::commit_number(store).unwrap();
    let mut released = Vec::new();
    crate::group::run(engine, store, ctx, dice, [put, share], &mut |effect| released.push(effect)).unwrap();
    for effect in released {
        if let Effect::Send { frame: Frame::Share(parcel), .. } = effect {
            order.push((parcel.header.revision, parcel.commit));
        }
    }
    // The number of the last commit that is on the disk.
    assert_eq!(order, [(2, Some(before))]);
}

#[test]
fn a_quota_has_room_for_what_just_fits_it_and_who_is_no_peer_has_none() {
    let (mut kernel, peer) = sender();
    let stranger = kernel.peer_id(8);
    let stored = UsageRow { stored_bytes: 60, owed_rows: 0 };
    let (quota_bytes, petname, addresses) = (Some(100), None, Vec::new());
    kernel.command(Command::ChangePeer { peer, petname, quota_bytes, addresses });
    kernel.writes(|s| {
        s.txn.put(Table::Usage, peer.as_bytes(), &stored);
        let fits = [0, 40, 41, u64::MAX].map(|bytes| super::has_room(s, &peer, bytes).unwrap());
        assert_eq!(fits, [true, true, false, false]);
        assert_eq!(super::has_room(s, &stranger, 0), Ok(false));
        Ok(())
    });
}

/// How many shares leave before the commit of these inputs. Whatever else leaves is lost.
fn leaves_early(kernel: &mut Alone, inputs: Vec<Input>) -> usize {
    let Alone { engine, store, ctx, dice, .. } = kernel;
    let is_share = |effect: &&Effect| matches!(effect, Effect::Send { frame: Frame::Share(_), .. });
    let (mut early, mut all) = (0, 0);
    let watch: crate::group::Watch<'_> = &mut |_, effects| {
        early += effects.now.iter().filter(is_share).count();
        all += effects.now.iter().chain(&effects.after).filter(is_share).count();
    };
    crate::group::run_watched(engine, store, (ctx, dice), inputs, watch, &mut |_| {}).unwrap();
    assert_eq!(all, 1);
    early
}

#[test]
fn what_is_on_the_disk_leaves_at_once_but_does_not_overtake_that_its_peer_is_admitted() {
    let (mut kernel, peer) = sender();
    let key = kernel.object(1, "Paper");
    let share = |token| Input::Command { token, command: Command::Share { key, to: peer, delivered: true } };
    assert_eq!(leaves_early(&mut kernel, vec![share(900)]), 1);
    // It is owed while the peer is away, which then comes.
    let mut kernel = Alone::new();
    kernel.befriend(9);
    assert_eq!(kernel.object(1, "Paper"), key);
    kernel.input(share(900));
    kernel.up(9, 1);
    let hello = Greeting { clock_ms: kernel.ctx.now_ms, ..greeting(&KernelKey::from_bytes(&[9; 32])) };
    let hello = Input::Frame { peer, conn: 1, frame: Frame::Hello(hello) };
    assert_eq!(leaves_early(&mut kernel, vec![hello]), 0);
}

#[test]
fn a_pair_shares_large_and_small_through_losses_and_crashes() {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.b.grant(a, Right::Share, Scope::Kernel);
    let small = pair.a.object(1, "Paper");
    let text = format!("{{\"t\":\"{}\"}}", "x".repeat(2 * INLINE_MAX_BYTES));
    let scenario = Scenario::compose(Uuid::from_u128(2), "Paper", "1", "me", &text).unwrap();
    let large = unclaimed(&scenario).key();
    pair.a.command(Command::Import { source: None, over: None, scenario });
    for key in [small, large] {
        pair.a.command(Command::Share { key, to: b, delivered: false });
    }
    pair.lose(Side::B);
    pair.double(Side::B);
    pair.crash(Side::B, 0);
    pair.connect(Side::B);
    pair.settle();
    for key in [small, large] {
        assert_eq!(pair.b.head(&key).map(|head| head.content), pair.a.head(&key).map(|head| head.content));
        assert_eq!(debt(&pair.a.store, &b, &key).unwrap(), None);
    }
    // A stranger's are refused.
    let other = pair.b.object(3, "Paper");
    let token = pair.b.command(Command::Share { key: other, to: a, delivered: true });
    pair.settle();
    assert_eq!(pair.b.answered[&token], Answer::Delivered(ShareAnswer::Refused(Code::Denied)));
    assert_eq!(pair.a.head(&other), None);
}
