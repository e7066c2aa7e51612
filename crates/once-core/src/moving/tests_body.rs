//! Objects whose scenarios do not fit a frame: the receiver has them before anything is sealed.

use once_model::ids::{ObjectKey, Uuid};
use once_model::limits::{INLINE_MAX_BYTES, PEER_QUOTA_BYTES, RESEND_AFTER_MS};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame};

use super::departures;
use super::tests::{go, home, pair, refused};
use crate::object;
use crate::refusal::Unmoved;
use crate::testing::{Pair, Side};
use crate::waist::{Answer, Command, RunResult};

fn large(component: &str, letter: char) -> Scenario {
    let text = format!("{{\"t\":\"{}\"}}", letter.to_string().repeat(INLINE_MAX_BYTES));
    Scenario::compose(Uuid::from_u128(5), component, "1", "me", &text).unwrap()
}

/// Two peers, and a large object of the first.
fn heavy(component: &str) -> (Pair, ObjectKey) {
    let (mut pair, _) = pair("Paper");
    let token = pair.a.command(Command::Create { scenario: large(component, 'x') });
    let Some(Answer::Object { header, .. }) = pair.a.answered.get(&token) else { panic!("not made") };
    let key = header.key();
    (pair, key)
}

fn quota(pair: &mut Pair, quota_bytes: u64) {
    let (peer, quota_bytes) = (pair.a.id(), Some(quota_bytes));
    pair.b.command(Command::ChangePeer { peer, petname: None, quota_bytes, addresses: Vec::new() });
}

/// A yes is not yet room: what is refused after it is not sealed, and never was.
#[test]
fn a_scenario_that_finds_no_room_after_the_yes_stays_and_is_not_sealed() {
    let (mut pair, key) = heavy("Paper");
    let token = go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    quota(&mut pair, 10);
    for _ in 0..20 {
        pair.deliver(Side::A);
        pair.deliver(Side::B);
        let sealed = departures(&pair.a.store).unwrap().iter().any(|departure| departure.sealed);
        assert!(!sealed, "the receiver does not have it");
    }
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Quota)));
    assert_eq!(departures(&pair.a.store).unwrap(), []);
    let head = object::head(&pair.a.store, &key).unwrap().unwrap();
    assert_eq!((head.home, head.header.epoch), (Some(pair.a.id()), 1), "nothing was signed");
    quota(&mut pair, PEER_QUOTA_BYTES);
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
}

/// What is busy just now is asked again.
#[test]
fn a_scenario_that_breaks_off_comes_again() {
    let (mut pair, key) = heavy("Paper");
    go(&mut pair, Side::A, key);
    pair.breaks = 1;
    pair.settle();
    assert!(departures(&pair.a.store).unwrap().iter().all(|departure| !departure.sealed));
    pair.pass(3 * RESEND_AFTER_MS);
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
}

/// Nobody would bring it again: so it is refused, not waited for.
#[test]
fn a_receiver_that_has_dropped_the_scenario_says_so() {
    let (mut pair, key) = heavy("Paper");
    let token = go(&mut pair, Side::A, key);
    let is_handed_over =
        |pair: &mut Pair| pair.on_the_way(Side::B).iter().any(|frame| matches!(frame, Frame::Handoff(_)));
    for _ in 0..20 {
        if is_handed_over(&mut pair) {
            break;
        }
        pair.deliver(Side::B);
        if !is_handed_over(&mut pair) {
            pair.deliver(Side::A);
        }
    }
    assert!(is_handed_over(&mut pair));
    pair.b.command(Command::Remove { key });
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Lacking)));
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
}

/// What was shared ahead may have changed by the time that everything has come to its end.
#[test]
fn an_object_that_changes_while_it_leaves_is_shared_anew() {
    let (mut pair, key) = heavy("Served");
    pair.a.desk.room.store(10, std::sync::atomic::Ordering::Relaxed);
    let ran = pair.a.act(key, 7);
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert!(object::head(&pair.b.store, &key).unwrap().is_some(), "it has come ahead");
    let state = Some(large("Served", 'y'));
    pair.a.answer(RunResult::Done { state, result: "1".into(), consequences: Vec::new() });
    pair.settle();
    assert!(pair.a.outcome(ran).is_some());
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: pair.b.id(), left: 0 }));
    let head = object::head(&pair.b.store, &key).unwrap().unwrap();
    assert_eq!(head.header.content, large("Served", 'y').hash());
}
