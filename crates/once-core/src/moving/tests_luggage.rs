//! Luggage that does not fit a frame.

use bytes::Bytes;
use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::limits::{LUGGAGE_INLINE_MAX_BYTES, LUGGAGE_MAX_BYTES, RESEND_AFTER_MS};
use once_model::wire::{Code, Frame, Pull};

use super::departures;
use super::tests::{go, home, pair, refused};
use crate::exchange;
use crate::refusal::Unmoved;
use crate::store::Table;
use crate::testing::{Alone, Pair, Side};
use crate::timer::TimerRow;
use crate::waist::{Command, Consequence, Input, RunResult, Then};

const TIMERS: usize = 5;

/// So much that an object is reminded of that `TIMERS` of it do not fit a frame.
fn much() -> Then {
    let with = format!("\"{}\"", "x".repeat(LUGGAGE_INLINE_MAX_BYTES / TIMERS + 1));
    Then { action: "told".into(), with: with.into() }
}

/// Two peers, and an object of the first that has much luggage.
fn loaded() -> (Pair, ObjectKey) {
    let (mut pair, key) = pair("Puppet");
    let timer = |n| Consequence::Timer { name: format!("t{n}"), after_ms: 3_600_000, then: much() };
    let consequences = (0..TIMERS).map(timer).collect();
    let result = RunResult::Done { state: None, result: "1".into(), consequences };
    pair.a.desk.says.lock().unwrap().push_back(result);
    pair.a.act(key, 1);
    (pair, key)
}

/// Until the object is sealed and what hands it over is on its way.
fn sealed() -> (Pair, ObjectKey, u64) {
    let (mut pair, key) = loaded();
    let token = go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    (pair, key, token)
}

fn rows(kernel: &Alone, table: Table) -> usize {
    kernel.rows().iter().filter(|(of, ..)| *of == table).count()
}

/// The pull of what is on its way.
fn pull_of(pair: &mut Pair) -> Pull {
    let found = pair.on_the_way(Side::B).iter().find_map(|frame| match frame {
        Frame::Handoff(said) => Some(said.clone()),
        _ => None,
    });
    let said = found.unwrap();
    assert_eq!(said.luggage, None);
    assert!(said.luggage_size.unwrap() > LUGGAGE_INLINE_MAX_BYTES as u64);
    let content = said.chain.links.last().unwrap().luggage.unwrap();
    Pull { key: said.header.key(), content, offset: 0 }
}

fn gives(kernel: &Alone, to: once_model::ids::KernelId, pull: &Pull) -> Result<Bytes, Code> {
    exchange::pulled(&kernel.store, &to, pull, kernel.ctx.now_ms).unwrap()
}

#[test]
fn much_luggage_is_pulled_and_all_of_it_is_there() {
    let (mut pair, key, token) = sealed();
    let row = pair.a.rows().into_iter().find(|(table, ..)| *table == Table::Leaving).unwrap();
    assert!(row.2.len() < 4096, "it is read at each start: {} bytes", row.2.len());
    assert_eq!(rows(&pair.a, Table::Luggage), 1);
    pair.settle();
    let b = pair.b.id();
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(b), Some(b)));
    assert!(pair.a.answered.contains_key(&token));
    assert_eq!((rows(&pair.a, Table::Timer), rows(&pair.b, Table::Timer)), (0, TIMERS));
    assert_eq!((rows(&pair.a, Table::Luggage), rows(&pair.b, Table::Luggage)), (0, 0));
}

#[test]
fn luggage_is_for_the_receiver_alone_and_only_while_the_object_is_sealed() {
    let (mut pair, _, _) = sealed();
    let stranger = pair.a.befriend(9);
    pair.a.grant(stranger, crate::access::Right::Read, crate::access::Scope::Kernel);
    let pull = pull_of(&mut pair);
    let (a, b) = (pair.a.id(), pair.b.id());
    assert!(gives(&pair.a, b, &pull).is_ok());
    let rest = gives(&pair.a, b, &Pull { offset: 60_000, ..pull.clone() }).unwrap();
    assert_eq!(rest, gives(&pair.a, b, &pull).unwrap().slice(60_000..));
    for other in [stranger, a] {
        assert_eq!(gives(&pair.a, other, &pull), Err(Code::Denied));
    }
    let wrong = Pull { content: Hash::from_bytes([1; 32]), ..pull.clone() };
    assert_eq!(gives(&pair.a, b, &wrong), Err(Code::Denied));
    pair.settle();
    assert_eq!(gives(&pair.a, b, &pull), Err(Code::Denied), "it has moved");
    assert_eq!(gives(&pair.b, a, &pull), Err(Code::Denied));
}

/// Whatever is lost, doubled or breaks, whoever is killed: everything arrives, once.
#[test]
fn much_luggage_arrives_whatever_happens() {
    for fault in 0..8 {
        for at in 0..10 {
            let (mut pair, key) = loaded();
            go(&mut pair, Side::A, key);
            for step in 0..30 {
                if step == at {
                    match fault {
                        0 => drop(pair.lose(Side::A)),
                        1 => drop(pair.lose(Side::B)),
                        2 => pair.double(Side::A),
                        3 => pair.double(Side::B),
                        4 => pair.crash(Side::A, 0),
                        5 => pair.crash(Side::B, 0),
                        6 => pair.breaks = 2,
                        _ => {
                            pair.breaks = 1;
                            pair.crash(Side::A, 0);
                            pair.crash(Side::B, 0);
                        }
                    }
                }
                if !pair.is_connected() {
                    pair.connect(Side::B);
                }
                pair.deliver(Side::B);
                pair.deliver(Side::A);
            }
            pair.pass(6 * RESEND_AFTER_MS);
            let b = pair.b.id();
            // A crash may have forgotten the wish, if that was not on the disk.
            let is_there = home(&pair.b, &key) == Some(b);
            assert!(is_there, "fault {fault} at {at}");
            let timers = (rows(&pair.a, Table::Timer), rows(&pair.b, Table::Timer));
            assert_eq!(timers, (0, TIMERS), "fault {fault} at {at}");
            let left = (rows(&pair.a, Table::Luggage), rows(&pair.b, Table::Luggage));
            assert_eq!(left, (0, 0), "fault {fault} at {at}");
        }
    }
}

/// The bytes are those that the handoff has signed, or nothing is taken.
#[test]
fn luggage_that_is_another_one_is_refused() {
    let (mut pair, key, token) = sealed();
    pair.breaks = 1;
    pair.deliver(Side::B);
    let (peer, conn) = (pair.a.id(), 1);
    let said = pair.a.sent.iter().find_map(|frame| match frame {
        Frame::Handoff(said) => Some(said.clone()),
        _ => None,
    });
    let handoff = said.unwrap();
    assert_eq!(handoff.unpack(b"something else"), None);
    pair.b.input(Input::Luggage { peer, conn, handoff, luggage: None });
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Invalid)));
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(peer), None));
    assert_eq!((rows(&pair.a, Table::Timer), rows(&pair.a, Table::Luggage)), (TIMERS, 0));
}

/// What comes on a connection that is gone means nothing: it is handed over again on the next.
#[test]
fn luggage_that_comes_too_late_means_nothing() {
    let (mut pair, key, _) = sealed();
    pair.breaks = 1;
    let pull = pull_of(&mut pair);
    let luggage = gives(&pair.a, pair.b.id(), &pull).unwrap();
    let Some(Frame::Handoff(handoff)) = pair.deliver(Side::B) else { panic!("no handoff") };
    let conn = pair.connect(Side::A);
    let luggage = handoff.unpack(&luggage);
    pair.b.input(Input::Luggage { peer: pair.a.id(), conn: conn - 1, handoff, luggage });
    assert_eq!(home(&pair.b, &key), None);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
}

/// It counts against the quota of who brings it.
#[test]
fn luggage_beyond_the_quota_is_refused_before_it_is_pulled() {
    let (mut pair, key, token) = sealed();
    let a = pair.a.id();
    let quota_bytes = Some(LUGGAGE_INLINE_MAX_BYTES as u64);
    pair.b.command(Command::ChangePeer { peer: a, petname: None, quota_bytes, addresses: Vec::new() });
    pair.deliver(Side::B);
    assert!(pair.b.pulls.is_empty());
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Quota)));
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(a), None));
    assert_eq!((rows(&pair.a, Table::Timer), rows(&pair.a, Table::Luggage)), (TIMERS, 0));
    let quota_bytes = Some(LUGGAGE_MAX_BYTES as u64);
    pair.b.command(Command::ChangePeer { peer: a, petname: None, quota_bytes, addresses: Vec::new() });
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
}

#[test]
fn more_than_moves_stays() {
    let (mut pair, key) = pair("Puppet");
    let with: Bytes = format!("\"{}\"", "x".repeat(1 << 16)).into();
    pair.a.step(|s| {
        for n in 0..=(LUGGAGE_MAX_BYTES >> 16) as u128 {
            let then = Then { action: "told".into(), with: with.clone() };
            let row = TimerRow { name: format!("t{n}"), due_ms: u64::MAX, id: Uuid::from_u128(n), then };
            crate::timer::set(s, &key, &row)?;
        }
        Ok(())
    });
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Luggage));
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    assert_eq!(rows(&pair.a, Table::Luggage), 0);
}
