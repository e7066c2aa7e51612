//! Stories of visitors: who has a right on an object that moves, and is no peer of its new home.

use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::Code;

use super::rows::NewsRow;
use crate::access::{Grant, Right, Scope};
use crate::object;
use crate::peers::{self, PeerStatus};
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::Several;
use crate::waist::{Answer, Command};

const A: usize = 0;
const B: usize = 1;
const V: usize = 2;
const C: usize = 3;

/// A paper of A, where V may act on it and read it. A and V are peers, A and B are, B and C are; V is a stranger to B and C.
fn before(rights: &[Right], expires_ms: Option<u64>) -> (Several, ObjectKey) {
    let mut net = Several::strangers(4);
    for pair in [[A, V], [A, B], [B, C]] {
        net.befriend(&pair);
    }
    let key = net.kernels[A].object(1, "Paper");
    let token = net.kernels[A].command(Command::Claim { key });
    let key = match &net.kernels[A].answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    let [a, b, v] = [A, B, V].map(|place| net.id(place));
    for right in rights {
        let expires_ms = expires_ms.map(|ms| net.kernels[A].ctx.now_ms + ms);
        let (scope, actions) = (Scope::Object(key), None);
        let grant = Grant { scope, right: *right, kernel: v, object: None, expires_ms, actions };
        net.kernels[A].command(Command::Grant(grant));
    }
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[C].grant(b, Right::Host, Scope::Kernel);
    (net, key)
}

fn goes(net: &mut Several, key: ObjectKey, from: usize, to: usize) {
    let home = net.id(to);
    net.kernels[from].command(Command::Move {
        key,
        to: home,
        wait: false,
        leave_calls: false,
        without_me: false,
    });
    net.settle();
    assert_eq!(object::head(&net.kernels[to].store, &key).unwrap().unwrap().home, Some(home));
}

/// V acts by a reference that names A.
fn outcome(net: &mut Several, key: ObjectKey, n: u64) -> Option<Outcome> {
    let at = net.id(A);
    let token = net.kernels[V].act_at(at, key, n);
    net.settle();
    net.kernels[V].outcome(token).cloned()
}

fn is_done(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Done(_)))
}

fn status(net: &Several, at: usize, of: usize) -> Option<PeerStatus> {
    peers::peer(&net.kernels[at].store, &net.id(of)).unwrap().map(|row| row.status)
}

#[test]
fn who_has_a_right_goes_along_with_the_object_from_home_to_home() {
    let (mut net, key) = before(&[Right::Act], None);
    assert!(is_done(outcome(&mut net, key, 1)));
    goes(&mut net, key, A, B);
    assert_eq!((status(&net, B, V), status(&net, V, B)), (Some(PeerStatus::Visitor), Some(PeerStatus::Host)));
    // Nobody needs the kernel any more by which they know of each other.
    net.set_away(A, true);
    assert!(is_done(outcome(&mut net, key, 2)));
    goes(&mut net, key, B, C);
    assert_eq!((status(&net, C, V), status(&net, V, C)), (Some(PeerStatus::Visitor), Some(PeerStatus::Host)));
    assert!(is_done(outcome(&mut net, key, 3)));
    // It has heard where the object is, and has no business there any more.
    assert_eq!(status(&net, B, V), None);
}

#[test]
fn who_moves_an_object_without_itself_keeps_no_right_and_others_theirs() {
    for without_me in [false, true] {
        let (mut net, key) = before(&[Right::Act], None);
        let to = net.id(B);
        net.kernels[A].command(Command::Move { key, to, wait: false, leave_calls: false, without_me });
        net.settle();
        let token = net.kernels[A].act_at(to, key, 1);
        net.settle();
        let refused = matches!(net.kernels[A].outcome(token), Some(Outcome::Refused(Code::Denied)));
        assert_eq!(refused, without_me, "{:?}", net.kernels[A].outcome(token));
        assert!(is_done(outcome(&mut net, key, 2)));
    }
}

#[test]
fn a_reference_is_enough_for_who_never_acted_before() {
    let (mut net, key) = before(&[Right::Act], None);
    goes(&mut net, key, A, B);
    assert_eq!(status(&net, V, B), None, "it has no lane to it yet");
    assert!(is_done(outcome(&mut net, key, 1)));
}

#[test]
fn what_a_visitor_follows_comes_on() {
    let (mut net, key) = before(&[Right::Read], None);
    let a = net.id(A);
    net.kernels[V].command(Command::Follow { key, from: a });
    net.settle();
    goes(&mut net, key, A, B);
    net.kernels[B].act(key, 1);
    net.settle();
    let heads = [B, V].map(|at| object::head(&net.kernels[at].store, &key).unwrap().unwrap().header.id());
    assert_eq!(heads[0], heads[1]);
}

#[test]
fn a_visitor_has_no_right_but_on_what_it_comes_for() {
    let (mut net, key) = before(&[Right::Act], None);
    assert!(is_done(outcome(&mut net, key, 1)));
    goes(&mut net, key, A, B);
    let (b, v) = (net.id(B), net.id(V));
    let other = net.kernels[B].object(2, "Paper");
    let token = net.kernels[V].act_at(b, other, 7);
    net.settle();
    assert_eq!(net.kernels[V].outcome(token), Some(&Outcome::Refused(Code::Denied)));
    let mine = net.kernels[V].object(3, "Paper");
    net.kernels[V].command(Command::Share { key: mine, to: b, delivered: false });
    net.settle();
    assert!(object::head(&net.kernels[B].store, &mine).unwrap().is_none());
    // Nor has the other side any at the visitor's.
    let token = net.kernels[B].act_at(v, mine, 8);
    net.settle();
    assert_eq!(net.kernels[B].outcome(token), Some(&Outcome::Refused(Code::Denied)));
    // People cannot give it one by the way; on another object they can.
    let grant =
        |scope| Grant { scope, right: Right::Act, kernel: v, object: None, expires_ms: None, actions: None };
    assert_eq!(
        net.kernels[B].try_command(Command::Grant(grant(Scope::Kernel))),
        Err(Refusal::OnlyForObjects(v))
    );
    net.kernels[B].command(Command::Grant(grant(Scope::Object(other))));
    let token = net.kernels[V].act_at(b, other, 9);
    net.settle();
    assert!(is_done(net.kernels[V].outcome(token).cloned()));
    // The act has claimed that copy: under its new name it is a reason to come, too.
    net.kernels[B].command(Command::Revoke(grant(Scope::Object(key))));
    net.settle();
    assert_eq!((status(&net, B, V), net.are_connected(B, V)), (Some(PeerStatus::Visitor), true));
    net.kernels[B].command(Command::Revoke(grant(Scope::Object(other))));
    net.settle();
    assert_eq!((status(&net, B, V), net.are_connected(B, V)), (None, false));
}

#[test]
fn people_may_give_a_right_on_an_object_to_the_kernel_where_theirs_goes() {
    let (mut net, key) = before(&[Right::Act], None);
    assert!(is_done(outcome(&mut net, key, 1)));
    goes(&mut net, key, A, B);
    let (b, v) = (net.id(B), net.id(V));
    let mine = net.kernels[V].object(3, "Paper");
    let (scope, right) = (Scope::Object(mine), Right::Act);
    let grant = Grant { scope, right, kernel: b, object: None, expires_ms: None, actions: None };
    assert_eq!(status(&net, V, B), Some(PeerStatus::Host));
    net.kernels[V].command(Command::Grant(grant.clone()));
    let token = net.kernels[B].act_at(v, mine, 9);
    net.settle();
    assert!(is_done(net.kernels[B].outcome(token).cloned()));
    assert_eq!(
        net.kernels[V].try_command(Command::Grant(Grant { scope: Scope::Kernel, ..grant })),
        Err(Refusal::OnlyForObjects(b))
    );
}

#[test]
fn a_visit_is_over_with_the_last_right() {
    for revoked in [true, false] {
        let (mut net, key) = before(&[Right::Act, Right::Read], Some(60_000));
        assert!(is_done(outcome(&mut net, key, 1)));
        goes(&mut net, key, A, B);
        assert!(net.are_connected(B, V));
        let kernel = net.id(V);
        if revoked {
            for right in [Right::Act, Right::Read] {
                assert_eq!(status(&net, B, V), Some(PeerStatus::Visitor));
                let (scope, object, actions) = (Scope::Object(key), None, None);
                let grant = Grant { scope, right, kernel, object, expires_ms: None, actions };
                net.kernels[B].command(Command::Revoke(grant));
            }
        } else {
            net.pass(60_001);
        }
        net.settle();
        assert_eq!(status(&net, B, V), None, "{revoked}");
        assert!(!net.are_connected(B, V));
        // It knocks again, in vain.
        net.pass(RESEND_AFTER_MS * 100);
        assert_eq!((status(&net, B, V), net.are_connected(B, V)), (None, false));
    }
}

/// It may have to do with more objects here than those for which it was let in.
#[test]
fn a_visitor_stays_until_it_has_heard_of_every_object_that_it_is_to_hear_of() {
    let (mut net, key) = before(&[Right::Act], None);
    assert!(is_done(outcome(&mut net, key, 1)));
    goes(&mut net, key, A, B);
    let kernel = net.id(V);
    let other = net.kernels[B].object(2, "Paper");
    let news = object::peer_object_key(&kernel, &other);
    net.kernels[B].writes(|s| {
        s.txn.put(Table::News, &news, &NewsRow { since_ms: 0 });
        Ok(())
    });
    let (scope, object, actions) = (Scope::Object(key), None, None);
    let grant = Grant { scope, right: Right::Act, kernel, object, expires_ms: None, actions };
    net.kernels[B].command(Command::Revoke(grant));
    net.settle();
    assert_eq!(status(&net, B, V), Some(PeerStatus::Visitor));
    net.kernels[B].writes(|s| {
        s.txn.delete(Table::News, &news);
        peers::look_at(s, kernel)
    });
    assert_eq!(status(&net, B, V), None);
}

#[test]
fn who_was_removed_does_not_come_back_as_a_visitor() {
    let (mut net, key) = before(&[Right::Act], None);
    assert!(is_done(outcome(&mut net, key, 1)));
    net.befriend(&[B, V]);
    let v = net.id(V);
    net.kernels[B].command(Command::RemovePeer { peer: v });
    net.settle();
    goes(&mut net, key, A, B);
    assert_eq!(status(&net, B, V), None);
    assert_eq!(outcome(&mut net, key, 2), None);
    // Until somebody adds it.
    net.kernels[B].befriend(u8::try_from(V + 1).unwrap());
    net.settle();
    net.pass(RESEND_AFTER_MS * 100);
    assert_eq!(status(&net, B, V), Some(PeerStatus::Active));
}

#[test]
fn a_visitor_may_become_a_peer() {
    let (mut net, key) = before(&[Right::Act], None);
    assert!(is_done(outcome(&mut net, key, 1)));
    goes(&mut net, key, A, B);
    net.befriend(&[B, V]);
    assert_eq!(
        (status(&net, B, V), status(&net, V, B)),
        (Some(PeerStatus::Active), Some(PeerStatus::Active))
    );
    assert!(is_done(outcome(&mut net, key, 2)));
    // What it came for is no end of that.
    let (kernel, scope, actions) = (net.id(V), Scope::Object(key), None);
    let grant = Grant { scope, right: Right::Act, kernel, object: None, expires_ms: None, actions };
    net.kernels[B].command(Command::Revoke(grant));
    net.settle();
    assert_eq!(status(&net, B, V), Some(PeerStatus::Active));
}

#[test]
fn a_visit_outlives_a_crash_of_either_side() {
    for who in [B, V] {
        let (mut net, key) = before(&[Right::Act], None);
        assert!(is_done(outcome(&mut net, key, 1)));
        goes(&mut net, key, A, B);
        net.set_away(A, true);
        net.restart(who);
        net.pass(RESEND_AFTER_MS * 2);
        assert!(is_done(outcome(&mut net, key, 2)), "{who}");
    }
}
