//! Stories of references from before a move: who asks a former home for an object, and is told where it is.

use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::wire::Code;

use crate::access::{Right, Scope};
use crate::object;
use crate::testing::Several;
use crate::waist::{Answer, Command};

const A: usize = 0;
const B: usize = 1;
const K: usize = 2;

/// Three peers. A paper of A has moved to B, where K may act on papers. K never had to do with it.
fn moved() -> (Several, ObjectKey) {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B, K]);
    let key = net.kernels[A].object(1, "Paper");
    let token = net.kernels[A].command(Command::Claim { key });
    let key = match &net.kernels[A].answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    let [a, b, k] = [A, B, K].map(|place| net.id(place));
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[B].grant(k, Right::Act, Scope::Component("Paper".into()));
    net.kernels[A].command(Command::Move { key, to: b, wait: false });
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
