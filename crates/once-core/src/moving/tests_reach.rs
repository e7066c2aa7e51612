//! Stories of references from before a move: who asks a former home for an object, and is told where it is.

use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::moving::Ahead;
use once_model::wire::{Code, Frame};

use crate::access::{Right, Scope};
use crate::object;
use crate::refusal::Refusal;
use crate::testing::Several;
use crate::waist::{Answer, Command, Input};

const A: usize = 0;
const B: usize = 1;
const K: usize = 2;

/// A paper of A.
fn claimed(net: &mut Several) -> ObjectKey {
    let key = net.kernels[A].object(1, "Paper");
    let token = net.kernels[A].command(Command::Claim { key });
    match &net.kernels[A].answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    }
}

/// Three peers. A paper of A has moved to B, where K may act on papers. K never had to do with it.
fn moved() -> (Several, ObjectKey) {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B, K]);
    let key = claimed(&mut net);
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[B].grant(k, Right::Act, Scope::Component("Paper".into()));
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    assert_eq!(object::head(&net.kernels[B].store, &key).unwrap().unwrap().home, Some(b));
    (net, key)
}

/// K acts by a reference that names the former home.
fn outcome(net: &mut Several, key: ObjectKey, n: u64) -> Option<Outcome> {
    let at = net.id(A);
    let token = net.kernels[K].act_at(at, key, n);
    net.settle();
    net.kernels[K].outcome(token).cloned()
}

#[test]
fn whose_right_at_a_former_home_would_reach_an_object_is_told_where_it_is() {
    for (right, scope) in [
        (Right::Act, Scope::Kernel),
        (Right::Read, Scope::Kernel),
        (Right::Act, Scope::Component("Paper".into())),
    ] {
        let (mut net, key) = moved();
        let k = net.id(K);
        net.kernels[A].grant(k, right, scope.clone());
        assert!(matches!(outcome(&mut net, key, 1), Some(Outcome::Done(_))), "{scope:?}");
    }
}

#[test]
fn whose_right_would_not_reach_it_is_told_nothing() {
    for scope in [None, Some(Scope::Component("Pen".into()))] {
        let (mut net, key) = moved();
        let k = net.id(K);
        if let Some(scope) = scope {
            net.kernels[A].grant(k, Right::Act, scope);
        }
        assert_eq!(outcome(&mut net, key, 1), Some(Outcome::Refused(Code::Denied)));
    }
}

/// Three peers, and an object of A that began as a copy; it has both names.
fn a_copy_claimed() -> (Several, ObjectKey, ObjectKey) {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B, K]);
    let id = once_model::ids::Uuid::from_u128(7);
    let scenario = once_model::scenario::Scenario::compose(id, "Paper", "1", "me", "{}").unwrap();
    let copy = object::unclaimed(&scenario).key();
    net.kernels[A].command(Command::Import { source: None, over: None, scenario });
    let token = net.kernels[A].command(Command::Claim { key: copy });
    let key = match &net.kernels[A].answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    (net, copy, key)
}

/// It met the object where that had moved to, and then somebody names the home before.
#[test]
fn a_former_home_that_is_named_with_the_copy_is_known_by_the_lane_that_there_is() {
    let (mut net, copy, key) = a_copy_claimed();
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    for right in [Right::Act, Right::Read] {
        net.kernels[B].grant(k, right, Scope::Kernel);
    }
    net.kernels[K].command(Command::Follow { key, from: b });
    for (n, at) in [(1, b), (2, a), (3, b), (4, a)] {
        let token = net.kernels[K].act_at(at, copy, n);
        net.settle();
        let outcome = net.kernels[K].outcome(token);
        assert!(matches!(outcome, Some(Outcome::Done(_))), "{n}: {outcome:?}");
    }
}

/// Else there were two lanes of one name, and the home would take the first action of the second for one that it knows.
#[test]
fn whichever_home_is_named_with_the_copy_an_object_has_one_lane() {
    let (mut net, copy, key) = a_copy_claimed();
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[A].grant(k, Right::Act, Scope::Object(key));
    // It has gone before it hears of the first action.
    net.set_away(K, true);
    let first = net.kernels[K].act_at(a, copy, 1);
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    net.set_away(K, false);
    net.pass(60_000);
    assert!(matches!(net.kernels[K].outcome(first), Some(Outcome::Done(_))));
    for (n, at) in [(2, b), (3, a), (4, b)] {
        let token = net.kernels[K].act_at(at, copy, n);
        net.settle();
        let outcome = net.kernels[K].outcome(token);
        assert!(matches!(outcome, Some(Outcome::Done(_))), "{n}: {outcome:?}");
    }
}

/// Else there would be two actions with one place in one lane, and one of them would never have an outcome.
#[test]
fn a_copy_that_is_asked_for_at_one_kernel_is_not_asked_for_at_another_one_before_the_outcome_is_here() {
    let (mut net, copy, key) = a_copy_claimed();
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[A].grant(k, Right::Act, Scope::Object(key));
    net.set_away(K, true);
    let first = net.kernels[K].act_at(a, copy, 1);
    let mut second = net.kernels[K].wish(copy, "go", 2);
    if let Command::Act { at, .. } = &mut second {
        *at = Some(b);
    }
    let refused = net.kernels[K].try_command(second);
    assert_eq!(refused, Err(Refusal::AskedElsewhere { key: copy, home: a }));
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    net.set_away(K, false);
    net.pass(60_000);
    assert!(matches!(net.kernels[K].outcome(first), Some(Outcome::Done(_))));
    let second = net.kernels[K].act_at(b, copy, 2);
    net.settle();
    assert!(matches!(net.kernels[K].outcome(second), Some(Outcome::Done(_))));
}

/// The home before has taken its first places along, and who asks does not know yet that it has moved.
#[test]
fn a_lane_of_a_name_goes_on_where_another_one_of_that_name_has_ended() {
    let (mut net, copy, key) = a_copy_claimed();
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[A].grant(k, Right::Act, Scope::Object(key));
    let first = net.kernels[K].act_at(a, copy, 1);
    net.settle();
    assert!(matches!(net.kernels[K].outcome(first), Some(Outcome::Done(_))));
    net.set_away(K, true);
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    let second = net.kernels[K].act_at(b, copy, 2);
    let third = net.kernels[K].act_at(b, copy, 3);
    net.set_away(K, false);
    net.pass(60_000);
    for token in [second, third] {
        assert!(matches!(net.kernels[K].outcome(token), Some(Outcome::Done(_))));
    }
}

/// What one has said so far reaches another.
fn carry(net: &mut Several, from: usize, to: usize) {
    let (sender, receiver) = (net.id(from), net.id(to));
    let said = std::mem::take(&mut net.kernels[from].outgoing);
    for (_, conn, frame) in said.into_iter().filter(|(peer, ..)| *peer == receiver) {
        net.kernels[to].input(Input::Frame { peer: sender, conn, frame });
    }
}

/// Whoever else may move objects to a kernel takes back nothing of what that has said to an object's home.
#[test]
fn a_question_of_somebody_else_does_not_leave_an_object_sealed() {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B, K]);
    let key = net.kernels[A].object(1, "Paper");
    let token = net.kernels[A].command(Command::Claim { key });
    let header = match &net.kernels[A].answered[&token] {
        Answer::Object { header, .. } => header.clone(),
        other => panic!("{other:?}"),
    };
    let (key, [a, b, k]) = (header.key(), [A, B, K].map(|place| net.id(place)));
    for other in [a, k] {
        net.kernels[B].grant(other, Right::Host, Scope::Kernel);
    }
    let asked = Ahead {
        key,
        certificate: header.certificate.unwrap(),
        component: header.component.clone(),
        version: header.version.clone(),
        size: header.size,
        record: None,
    };
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    carry(&mut net, A, B);
    // B has said yes to A. Now K asks, and what A has sealed comes to B behind that.
    let conn = net.kernels[B].engine.peers.links[&k].up().unwrap();
    let frame = Frame::Ahead(asked);
    net.kernels[B].input(Input::Frame { peer: k, conn, frame });
    net.settle();
    assert_eq!(object::head(&net.kernels[B].store, &key).unwrap().unwrap().home, Some(b));
}

/// Else there were two homes: it still knows the chain, and what comes back is older than that.
#[test]
fn a_former_home_that_has_dropped_its_copy_takes_no_old_one_for_its_own() {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B, K]);
    let key = claimed(&mut net);
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[K].grant(a, Right::Share, Scope::Kernel);
    net.kernels[A].grant(k, Right::Share, Scope::Kernel);
    net.kernels[A].command(Command::Share { key, to: k, delivered: false });
    net.settle();
    net.set_away(K, true);
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    net.kernels[A].command(Command::Remove { key });
    assert!(object::head(&net.kernels[A].store, &key).unwrap().is_none());
    // K has heard nothing of it, and brings back what it was given.
    net.kernels[A].command(Command::RemovePeer { peer: k });
    net.set_away(K, false);
    net.kernels[A].befriend(u8::try_from(K + 1).unwrap());
    net.kernels[A].grant(k, Right::Share, Scope::Kernel);
    net.kernels[K].command(Command::Share { key, to: a, delivered: false });
    net.settle();
    net.pass(600_000);
    let head = object::head(&net.kernels[A].store, &key).unwrap();
    assert_eq!(head.map(|head| head.home), Some(Some(b)));
}
