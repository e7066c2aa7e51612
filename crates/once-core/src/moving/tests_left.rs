//! Objects that do not wait for their calls: each is told `unknown`, once, and never anything else; the call itself is sent on.

use std::sync::atomic::Ordering;

use once_model::action::{ActOutcome, Outcome};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::{LEAVING_MAX_MS, RESEND_AFTER_MS};
use once_model::wire::Frame;

use super::tests::{home, pair, refused};
use crate::access::{Grant, Right, Scope};
use crate::act;
use crate::refusal::Unmoved;
use crate::testing::{Alone, Pair, Side};
use crate::waist::{Answer, Call, Command, Consequence, RunResult, Then};

const FAR: u8 = 9;

/// An object of A that has called two of a kernel that cannot be reached; of the second call it wants to hear nothing.
fn calling() -> (Pair, ObjectKey, KernelId) {
    let (mut pair, key) = pair("Puppet");
    let far = pair.a.befriend(FAR);
    let call = |n: u128, then: Option<Then>| {
        let line = once_model::ids::Line::Claimed(once_model::ids::Lineage::from_bytes([7; 32]));
        let key = ObjectKey { uuid: Uuid::from_u128(n), line };
        let (name, arguments) = ("go".into(), "1".into());
        Consequence::Act(Call { key, at: Some(far), name, arguments, given: vec![], deadline_ms: None, then })
    };
    let then = Then { action: "told".into(), with: "[5]".into() };
    let consequences = vec![call(77, Some(then)), call(78, None)];
    let result = RunResult::Done { state: None, result: "1".into(), consequences };
    pair.a.desk.says.lock().unwrap().push_back(result);
    pair.a.act(key, 1);
    (pair, key, far)
}

fn go(pair: &mut Pair, key: ObjectKey, leave_calls: bool) -> u64 {
    let to = pair.b.id();
    pair.a.command(Command::Move { key, to, leave_calls, wait: true, without_me: false })
}

/// What an object was told of its effects there.
fn told(kernel: &Alone) -> Vec<String> {
    let seen = kernel.desk.seen.lock().unwrap();
    let told = seen.iter().filter(|run| run.action.answers.is_some());
    told.map(|run| String::from_utf8_lossy(&run.action.arguments).into_owned()).collect()
}

/// Whether what is told is that nothing is known of the call.
fn is_unknown(told: &[String]) -> bool {
    matches!(told, [one] if one.contains(r#""status":"unknown","with":[5]}"#))
}

/// The calls that still wait, and whether an object waits for them.
fn waiting(kernel: &Alone) -> Vec<(u64, bool)> {
    let mut found = Vec::new();
    act::waiting(&kernel.store, &mut |_, _, sequence, row| {
        found.push((sequence, row.call.is_some()));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    found
}

/// The far kernel is there, and does what it is asked.
fn far_does(kernel: &mut Alone, far: KernelId) {
    let said = kernel.greets(FAR, 70).to_vec();
    let acts = said.into_iter().filter_map(|frame| match frame {
        Frame::Act(act) => Some(act),
        _ => None,
    });
    let acts: Vec<_> = acts.collect();
    assert_eq!(acts.len(), 2, "a sequence that was given is sent");
    for act in acts {
        let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
        let (outcome, after) = (Outcome::Done("1".into()), None);
        let said = ActOutcome { lane, sequence, id, outcome, after, commit: None, certificate: None };
        kernel.says(far, 70, Frame::Outcome(said));
    }
}

#[test]
fn an_object_waits_for_its_calls_unless_it_is_told_not_to() {
    let (mut pair, key, _) = calling();
    let token = go(&mut pair, key, false);
    pair.pass(LEAVING_MAX_MS + 2 * RESEND_AFTER_MS);
    assert!(matches!(refused(&pair.a, token), Some(Unmoved::Call { .. })));
    let token = go(&mut pair, key, true);
    pair.settle();
    let to = pair.b.id();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to, left: 1 }));
    assert_eq!(home(&pair.b, &key), Some(to));
    assert!(is_unknown(&told(&pair.b)), "{:?}", told(&pair.b));
}

#[test]
fn a_call_that_was_left_is_sent_and_its_outcome_goes_nowhere() {
    for crash in [None, Some(Side::A), Some(Side::B)] {
        let (mut pair, key, far) = calling();
        go(&mut pair, key, true);
        for _ in 0..3 {
            pair.deliver(Side::B);
            pair.deliver(Side::A);
        }
        if let Some(side) = crash {
            pair.crash(side, 0);
            pair.connect(Side::A);
        }
        pair.pass(3 * RESEND_AFTER_MS);
        assert_eq!(waiting(&pair.a), [(1, false), (1, false)], "{crash:?}");
        far_does(&mut pair.a, far);
        pair.pass(3 * RESEND_AFTER_MS);
        assert_eq!(waiting(&pair.a), [], "{crash:?}");
        assert_eq!(told(&pair.a), [] as [String; 0], "{crash:?}");
        assert!(is_unknown(&told(&pair.b)), "{crash:?}: {:?}", told(&pair.b));
    }
}

#[test]
fn who_stays_after_the_seal_is_told_so_too() {
    let (mut pair, key, far) = calling();
    go(&mut pair, key, true);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(super::departures(&pair.a.store).unwrap()[0].sealed);
    let (kernel, object) = (pair.a.id(), None);
    let grant =
        Grant { scope: Scope::Kernel, right: Right::Host, kernel, object, expires_ms: None, actions: None };
    pair.b.command(Command::Revoke(grant));
    pair.settle();
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(kernel), None));
    far_does(&mut pair.a, far);
    pair.pass(3 * RESEND_AFTER_MS);
    assert!(is_unknown(&told(&pair.a)), "{:?}", told(&pair.a));
    assert_eq!(waiting(&pair.a), []);
}

/// What has been answered is no call any more: it is told what came of it, before it goes.
#[test]
fn an_answer_that_has_come_is_heard_first() {
    let (mut pair, key, far) = calling();
    far_does(&mut pair.a, far);
    go(&mut pair, key, true);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    let told = (told(&pair.a), told(&pair.b));
    assert!(told.0[0].contains(r#""status":"done""#) && told.1.is_empty(), "{told:?}");
}

#[test]
fn what_an_object_asked_of_itself_is_done_before_it_leaves() {
    let (mut pair, key) = pair("Served");
    pair.a.desk.room.store(10, Ordering::Relaxed);
    let asked = pair.a.act(key, 7);
    let token = go(&mut pair, key, true);
    pair.settle();
    let (name, arguments) = ("go".into(), "5".into());
    let call = Call { key, at: None, name, arguments, given: vec![], deadline_ms: None, then: None };
    let consequences = vec![Consequence::Act(call)];
    pair.a.answer(RunResult::Done { state: None, result: "1".into(), consequences });
    pair.settle();
    assert!(pair.a.outcome(asked).is_some());
    assert_eq!(pair.a.asked(), [5]);
    assert!(!pair.a.answered.contains_key(&token));
    pair.a.answer(crate::testing::done());
    pair.settle();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: pair.b.id(), left: 0 }));
}
