//! The step and the group: what is committed, what leaves when, and what a fault leaves alone.

use std::collections::BTreeSet;

use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{DISK_RESERVE_BYTES, RESEND_AFTER_MS};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame, Parcel, ShareAnswer};

use crate::access::{Right, Scope};
use crate::engine::Engine;
use crate::memory::DiskFault;
use crate::object::{head, unclaimed, verify};
use crate::refusal::Refusal;
use crate::store::{Durability, Read, Store, StoreError, Table};
use crate::testing::{Alone, Dice, NOW_MS};
use crate::txn::Txn;
use crate::waist::{Answer, Arrival, Command, Effect, Event, Input, Why};
use crate::{group, meta};

fn scenario(uuid: u128, n: u32) -> Scenario {
    Scenario::compose(Uuid::from_u128(uuid), "Paper", "1", "me", &format!("{{\"n\":{n}}}")).unwrap()
}

fn run(kernel: &mut Alone, inputs: Vec<Input>) -> (Result<group::Committed, StoreError>, Vec<Effect>) {
    let mut released = Vec::new();
    let Alone { engine, store, ctx, dice, .. } = kernel;
    let done = group::run(engine, store, ctx, dice, inputs, &mut |effect| released.push(effect));
    (done, released)
}

fn create(n: u128) -> Input {
    Input::Command { token: 500 + n as u64, command: Command::Create { scenario: scenario(n, 1) } }
}

#[test]
fn a_group_is_one_commit_with_the_next_number() {
    let mut kernel = Alone::new();
    let before = meta::commit_number(&kernel.store).unwrap();
    let syncs = kernel.store.syncs();
    let (done, _) = run(&mut kernel, (1..=40).map(create).collect());
    let done = done.unwrap();
    assert!(done.inputs == 40 && done.synced && done.rows > 40 * 4, "{done:?}");
    assert_eq!(meta::commit_number(&kernel.store).unwrap(), before + 1);
    assert_eq!(kernel.store.syncs(), syncs + 1);
    // What changes nothing commits nothing.
    let (done, released) = run(&mut kernel, vec![Input::NetworkChanged, Input::Disk { free_bytes: 1 << 40 }]);
    assert_eq!(done, Ok(group::Committed { inputs: 2, rows: 0, synced: false }));
    assert!(released.is_empty());
    assert_eq!(meta::commit_number(&kernel.store).unwrap(), before + 1);
}

/// Nothing that rests on a commit leaves when it fails.
#[test]
fn a_failed_commit_lets_nothing_out() {
    for fault in [DiskFault::Full, DiskFault::FailedSync] {
        let mut kernel = Alone::new();
        kernel.store.fault = fault;
        let (done, released) = run(&mut kernel, vec![create(1)]);
        assert!(done.is_err());
        let tells = |effect: &&Effect| matches!(effect, Effect::Reply { .. } | Effect::Event(_));
        assert_eq!(released.iter().filter(tells).count(), 0, "{released:?}");
    }
}

#[test]
fn a_refused_command_leaves_nothing_but_its_refusal() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Paper");
    let before = kernel.rows();
    let put =
        |base| Input::Command { token: 900, command: Command::Put { key, base, scenario: scenario(1, 5) } };
    let wrong = put(Some(Hash::from_bytes([1; 32])));
    let (done, released) = run(&mut kernel, vec![wrong]);
    assert_eq!(done.unwrap().rows, 0);
    assert!(
        matches!(released.as_slice(), [Effect::Reply { token: 900, reply: Err(Refusal::Stale { .. }) }]),
        "{released:?}"
    );
    assert_eq!(kernel.rows(), before);
    // In a group, the others are carried out.
    let (_, released) = run(&mut kernel, vec![put(Some(Hash::from_bytes([1; 32]))), create(7)]);
    let replies: Vec<_> = released
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply { token, reply } => Some((*token, reply.is_ok())),
            _ => None,
        })
        .collect();
    assert_eq!(replies, [(900, false), (507, true)]);
    // A member of a group sees what those before it have done.
    let base = kernel.head(&key).unwrap().id();
    let (_, released) = run(&mut kernel, vec![put(Some(base)), put(Some(base))]);
    let ok = released.iter().filter(|effect| matches!(effect, Effect::Reply { reply: Ok(_), .. })).count();
    assert_eq!(ok, 1);
}

/// A handler may have done much before it finds what speaks against it, and so may one that meets a damaged row.
#[test]
fn what_is_refused_or_damaged_in_the_end_leaves_nothing_behind() {
    for is_refused in [true, false] {
        let mut kernel = Alone::new();
        let origin = kernel.connected(9);
        let there = ObjectKey { uuid: Uuid::from_u128(78), line: Line::Unclaimed(Hash::from_bytes([7; 32])) };
        let first = kernel.act_at(origin.kernel, there, 1);
        let timers = kernel.timers.clone();
        let wish = |kernel: &Alone, n| match kernel.wish(there, "go", n) {
            Command::Act { key, action, deadline_ms, .. } => {
                crate::act::Wish { key, at: Some(origin.kernel), action, deadline_ms, wait: false }
            }
            other => panic!("{other:?}"),
        };
        let (second, object) = (wish(&kernel, 2), kernel.object(5, "Paper"));
        let rows = kernel.rows();
        kernel.sent.clear();
        kernel.events.clear();
        kernel.step(|s| {
            let work = |s: &mut crate::engine::Step<'_, '_>| {
                crate::act::act(s, 700, second)?;
                s.later(crate::engine::Todo::Leave(object, origin.kernel));
                s.out.push(Effect::Event(Event::Moved { key: object, to: origin.kernel }));
                Ok::<Option<Answer>, crate::refusal::Failure>(None)
            };
            match is_refused {
                true => s.replied(700, |s| work(s).and(Err(Refusal::Myself.into()))),
                false => s
                    .guarded((origin.kernel, there), |s| {
                        drop(work(s));
                        Err::<(), _>(StoreError::damaged(Table::Head, &[1], "it cannot be read"))
                    })
                    .map(drop),
            }
        });
        let is_told = |event: &Event| !matches!(event, Event::Parked { .. });
        assert!(kernel.sent.is_empty() && !kernel.events.iter().any(is_told), "{:?}", kernel.sent);
        assert_eq!(kernel.refused.get(&700), is_refused.then_some(&Refusal::Myself));
        assert_eq!((kernel.rows(), kernel.timers.clone()), (rows, timers));
        // The place in the lane was not given.
        let third = kernel.act_at(origin.kernel, there, 3);
        kernel.pass(2 * RESEND_AFTER_MS);
        let places = kernel.sent.iter().filter_map(|frame| match frame {
            Frame::Act(act) => Some((act.sequence, act.action.arguments.to_vec())),
            _ => None,
        });
        let expected = BTreeSet::from([(1, b"1".to_vec()), (2, b"3".to_vec())]);
        assert_eq!(places.collect::<BTreeSet<_>>(), expected, "{first} {third}");
    }
}

#[test]
fn a_store_of_another_kernel_is_not_opened() {
    let kernel = Alone::new();
    let mut other = Alone::kernel(3);
    other.store = kernel.store.clone();
    let Alone { store, ctx, dice, .. } = &mut other;
    let started = group::start(&mut Engine::new(), store, ctx, dice, &mut |_| {});
    assert!(matches!(started, Err(StoreError::Io(_))));
}

/// A row that cannot be read costs who asked for it, once, and whoever waits for it under the same token nothing more.
#[test]
fn damage_is_told_to_who_asked_and_to_people() {
    let mut kernel = Alone::new();
    let (key, open) = (kernel.object(1, "Paper"), kernel.object(2, "Open"));
    let mut damaged = kernel.with_row(Table::Head, &key.to_row(), b"\xff");
    damaged.events.clear();
    match damaged.try_act(key, 1) {
        Err(Refusal::Damaged(damage)) => assert_eq!((damage.table, damage.object), (Table::Head, Some(key))),
        other => panic!("{other:?}"),
    }
    let parked = |event: &Event| matches!(event, Event::Parked { key: Some(of), .. } if *of == key);
    assert!(damaged.events.iter().any(parked), "{:?}", damaged.events);
    assert_eq!(damaged.damaged().len(), 1);
    let token = damaged.act(open, 2);
    assert!(damaged.outcome(token).is_some());
    let put = Command::Put { key, base: None, scenario: scenario(1, 5) };
    assert!(matches!(damaged.try_command(put), Err(Refusal::Damaged(_))));
}

#[test]
fn the_latest_time_is_kept_about_every_minute() {
    let mut kernel = Alone::new();
    let latest = |kernel: &Alone| meta::latest_ms(&kernel.store).unwrap();
    kernel.object(1, "Paper");
    let first = latest(&kernel);
    assert_eq!(first, NOW_MS);
    kernel.ctx.now_ms = first + 59_999;
    kernel.object(2, "Paper");
    assert_eq!(latest(&kernel), first);
    kernel.ctx.now_ms = first + 60_000;
    kernel.object(3, "Paper");
    assert_eq!(latest(&kernel), first + 60_000);
    // A clock that is set back takes nothing away, unless somebody says so; that is on the disk.
    kernel.ctx.now_ms = NOW_MS - 500_000;
    kernel.object(4, "Paper");
    kernel.restart();
    assert_eq!(latest(&kernel), first + 60_000);
    kernel.command(Command::AcceptClock);
    kernel.store.crash(0);
    assert_eq!(latest(&kernel), NOW_MS - 500_000);
}

#[test]
fn each_start_is_a_boot_and_a_thousand_are_remembered() {
    let mut kernel = Alone::new();
    let boots = |kernel: &Alone| {
        let rows = kernel.rows().into_iter().filter(|(table, ..)| *table == Table::Boot);
        rows.map(|(_, key, _)| u64::from_be_bytes(key.try_into().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(boots(&kernel), [1]);
    for _ in 0..1001 {
        kernel.restart();
    }
    let kept = boots(&kernel);
    assert_eq!((kept.len(), kept[0], kept[999]), (1000, 3, 1002));
    let row: meta::Boot =
        crate::txn::get(&kernel.store, Table::Boot, &1002_u64.to_be_bytes()).unwrap().unwrap();
    assert_eq!((row.id, row.first_commit), (kernel.ctx.boot, meta::commit_number(&kernel.store).unwrap()));
}

/// Kernel 9's scenario as it arrives, checked.
fn arrival(peer: &KernelId, n: u128) -> (ObjectKey, Arrival) {
    let scenario = scenario(n, 1);
    let header = unclaimed(&scenario);
    let key = header.key();
    let parcel = Parcel { header, chain: None, body: Some(scenario.bytes().clone()), commit: None };
    (key, verify(peer, parcel).unwrap())
}

#[test]
fn why_a_scenario_arrives_decides_what_it_needs() {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.greets(9, 1);
    let arrives = |kernel: &mut Alone, n: u128, why| {
        let (key, arrival) = arrival(&peer, n);
        kernel.sent.clear();
        kernel.input(Input::Arrived { peer, arrival, why });
        kernel.head(&key).is_some()
    };
    assert!(arrives(&mut kernel, 1, Why::Asked { token: 700 }));
    assert_eq!(kernel.answered[&700], Answer::Kept(ShareAnswer::Stored));
    assert!(!arrives(&mut kernel, 2, Why::Offered { token: 701 }));
    assert_eq!(kernel.answered[&701], Answer::Kept(ShareAnswer::Refused(Code::Denied)));
    assert!(!arrives(&mut kernel, 2, Why::Shared { conn: 1 }));
    kernel.grant(peer, Right::Share, Scope::Kernel);
    assert!(arrives(&mut kernel, 2, Why::Offered { token: 702 }));
    assert!(head(&kernel.store, &arrival(&peer, 2).0).unwrap().unwrap().charged);
    // What comes late from an older connection is shared again on the next.
    kernel.greets(9, 2);
    assert!(!arrives(&mut kernel, 3, Why::Shared { conn: 1 }));
    assert_eq!(kernel.sent, []);
    assert!(arrives(&mut kernel, 3, Why::Shared { conn: 2 }));
    let share = (arrival(&peer, 4).0, Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
    for (conn, answers) in [(1, 0), (2, 1)] {
        kernel.sent.clear();
        kernel.input(Input::Unfit { peer, conn, share, code: Code::Invalid });
        assert_eq!(kernel.sent.len(), answers);
    }
    match kernel.sent.as_slice() {
        [Frame::Shared(shared)] => {
            assert_eq!((shared.key, shared.id), (share.0, share.1));
            assert_eq!((shared.answer, shared.commit), (ShareAnswer::Refused(Code::Invalid), None));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_must_be_durable_makes_the_commit_wait_and_a_rollback_forgets_it() {
    let store = crate::memory::MemoryStore::new();
    let durability = |work: &dyn Fn(&mut Txn<'_>)| {
        let mut txn = Txn::new(&store);
        work(&mut txn);
        let (batch, durability) = txn.into_batch();
        (batch.rows.len(), durability)
    };
    let (table, key) = (Table::Meta, b"k".as_slice());
    assert_eq!(durability(&|txn| txn.put(table, key, &1_u8)), (1, Durability::Synced));
    assert_eq!(durability(&|txn| txn.put_lazily(table, key, &1_u8)), (1, Durability::Buffered));
    assert_eq!(durability(&|txn| txn.put_bytes(table, key, "1".into())), (1, Durability::Synced));
    assert_eq!(durability(&|txn| txn.put_bytes_lazily(table, key, "1".into())), (1, Durability::Buffered));
    assert_eq!(durability(&|txn| txn.delete(table, key)), (1, Durability::Synced));
    assert_eq!(durability(&|txn| txn.delete_lazily(table, key)), (1, Durability::Buffered));
    assert_eq!(durability(&|txn| txn.require_sync()), (0, Durability::Synced));
    // What is new and goes again costs nothing.
    let new = durability(&|txn| {
        txn.put_new_lazily(table, key, &1_u8);
        assert!(txn.is_new(table, key) && txn.is_dirty(table, key));
        txn.delete_lazily(table, key);
        assert!(!txn.is_new(table, key) && !txn.is_dirty(table, key) && txn.is_empty());
    });
    assert_eq!(new, (0, Durability::Buffered));
    let back = durability(&|txn| {
        txn.put_lazily(table, key, &1_u8);
        let here = txn.savepoint();
        assert!(!txn.rollback(here), "nothing was done since");
        txn.put(table, b"other", &2_u8);
        txn.put(table, key, &2_u8);
        assert!(txn.rollback(here) && !txn.is_synced() && !txn.is_dirty(table, b"other"));
        assert_eq!(txn.get(table, key).unwrap().unwrap().as_ref(), [1]);
    });
    assert_eq!(back, (1, Durability::Buffered));
}

#[test]
fn a_disk_in_memory_loses_what_was_not_synced() {
    let mut kernel = Alone::new();
    assert_eq!(kernel.store.unsynced(), 0);
    let put = |kernel: &mut Alone, n: u8, lazily: bool| {
        let mut txn = Txn::new(&kernel.store);
        if lazily {
            txn.put_bytes_lazily(Table::Meta, &[n], "1".into());
        } else {
            txn.put_bytes(Table::Meta, &[n], "1".into());
        }
        let (batch, durability) = txn.into_batch();
        kernel.store.commit(batch, durability).unwrap();
    };
    let here = |kernel: &Alone| {
        (0..4).filter(|n| kernel.store.get(Table::Meta, &[*n]).unwrap().is_some()).collect::<Vec<_>>()
    };
    put(&mut kernel, 0, true);
    put(&mut kernel, 1, false);
    put(&mut kernel, 2, true);
    put(&mut kernel, 3, true);
    assert_eq!((kernel.store.unsynced(), here(&kernel)), (2, vec![0, 1, 2, 3]));
    assert!(
        kernel.store.durable(Table::Meta, &[0]).is_some()
            && kernel.store.durable(Table::Meta, &[2]).is_none()
    );
    kernel.store.crash(1);
    assert_eq!((kernel.store.unsynced(), here(&kernel)), (0, vec![0, 1, 2]));
}

/// The dice of the harness are the same in each run, and no zeros.
#[test]
fn the_dice_fall_the_same_way_each_time() {
    use crate::waist::Entropy;
    let draw = |seed| {
        let (mut dice, mut bytes) = (Dice(seed), [0; 8]);
        dice.fill(&mut bytes);
        (bytes, dice.below(10), dice.below(0))
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(1).1 < 10 && draw(1).2 == 0);
}

/// Promise 6: whoever is told that something was done finds it after a power loss.
#[test]
fn what_a_client_is_told_to_be_done_is_on_the_disk() {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    let other = kernel.peer_id(8);
    let key = kernel.object(1, "Paper");
    let import = |n| Command::Import { source: Some("a".into()), over: None, scenario: scenario(5, n) };
    let read = crate::access::Grant {
        scope: Scope::Object(key),
        right: Right::Read,
        kernel: peer,
        object: None,
        expires_ms: Some(NOW_MS + 5),
        actions: None,
    };
    let secret_hash = Hash::from_bytes([1; 32]);
    let away = ObjectKey { uuid: Uuid::from_u128(70), line: Line::Unclaimed(secret_hash) };
    let act = |kernel: &Alone, n| match kernel.wish(away, "go", n) {
        Command::Act { key, action, .. } => {
            Command::Act { key, at: Some(peer), action, deadline_ms: Some(9), wait: false }
        }
        other => panic!("{other:?}"),
    };
    let id = match act(&kernel, 1) {
        Command::Act { action, .. } => action.id,
        other => panic!("{other:?}"),
    };
    let copy = unclaimed(&scenario(5, 1)).key();
    let commands = vec![
        import(1),
        Command::Claim { key: copy },
        import(2),
        Command::Create { scenario: scenario(6, 1) },
        Command::Put { key, base: None, scenario: scenario(1, 7) },
        Command::Share { key, to: peer, delivered: false },
        Command::GiveUp { peer, key },
        Command::Follow { key: away, from: peer },
        Command::Unfollow { key: away, from: peer },
        Command::Invite { secret_hash, expires_ms: NOW_MS + 1, petname: Some("eve".into()) },
        Command::RevokeInvite { secret_hash },
        Command::AddPeer { peer: other, addresses: vec!["a:1".into()], petname: None },
        Command::ChangePeer {
            peer: other,
            petname: Some("bob".into()),
            quota_bytes: None,
            addresses: vec![],
        },
        Command::Grant(read.clone()),
        Command::Revoke(read),
        act(&kernel, 1),
        Command::Cancel { id, wait: false },
        Command::Drop { home: peer, key: away, sequence: 1, id },
        Command::AcceptClock,
        Command::Remove { key },
        Command::RemovePeer { peer: other },
    ];
    for command in commands {
        let words = format!("{command:?}");
        let (before, token) = (kernel.rows(), kernel.command(command));
        assert!(kernel.answered.contains_key(&token), "{words}");
        assert!(kernel.rows() != before && kernel.store.unsynced() == 0, "{words}");
    }
}

/// Whatever a client had begun to wait for when a row could not be read: it is told that, and nothing else any more.
#[test]
fn who_was_told_of_damage_waits_nowhere() {
    let mut kernel = Alone::new();
    let (peer, key) = (kernel.befriend(9), kernel.object(1, "Paper"));
    let mut kernel = kernel.with_row(Table::Head, &key.to_row(), b"\xff");
    kernel.tokens = 699;
    let waits = || vec![700, 7];
    let giving = crate::archive::Giving {
        to: peer,
        certificate: Hash::from_bytes([1; 32]),
        left: Vec::new(),
        under_way: None,
        entries: 0,
        tokens: waits(),
    };
    let engine = &mut kernel.engine;
    engine.act.acts.insert(key.uuid, waits());
    engine.share.deliveries.insert((peer, key), waits());
    engine.peers.joins.insert(peer, waits());
    engine.chores.tokens.insert(crate::chores::Chore::Work, waits());
    engine.follow.handed_on.insert((peer, peer, key), waits());
    engine.archive.giving.insert(key, giving);
    assert!(matches!(kernel.try_command(Command::Remove { key }), Err(Refusal::Damaged(_))));
    let Engine { act, share, peers, chores, follow, archive, .. } = &kernel.engine;
    let left = [
        &act.acts[&key.uuid],
        &share.deliveries[&(peer, key)],
        &peers.joins[&peer],
        &chores.tokens[&crate::chores::Chore::Work],
        &follow.handed_on[&(peer, peer, key)],
        &archive.giving[&key].tokens,
    ];
    assert_eq!(left, [&vec![7]; 6]);
}

#[test]
fn a_disk_has_room_until_its_reserve_is_touched() {
    const MIB: u64 = 1024 * 1024;
    let mut kernel = Alone::new();
    let room = |kernel: &mut Alone, free_bytes| {
        kernel.input(Input::Disk { free_bytes });
        let mut room = Ok(());
        kernel.step(|s| {
            room = s.room_on_disk();
            Ok(())
        });
        room
    };
    assert_eq!(room(&mut kernel, DISK_RESERVE_BYTES), Ok(()));
    let (free_mib, reserve_mib) = (DISK_RESERVE_BYTES / MIB - 1, DISK_RESERVE_BYTES / MIB);
    assert_eq!(room(&mut kernel, DISK_RESERVE_BYTES - 1), Err(Refusal::DiskFull { free_mib, reserve_mib }));
}
