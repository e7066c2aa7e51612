//! What a replica says of where its object lives, once that has moved.

use once_model::ids::{KernelId, ObjectKey};

use crate::access::{Right, Scope};
use crate::object;
use crate::testing::Several;
use crate::waist::{Answer, Command};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn home(net: &Several, at: usize, key: &ObjectKey) -> Option<KernelId> {
    object::head(&net.kernels[at].store, key).unwrap().and_then(|head| head.home)
}

/// A paper of A that C follows there. B is no peer of C.
fn followed() -> (Several, ObjectKey) {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B]);
    net.befriend(&[A, C]);
    let key = net.kernels[A].object(1, "Paper");
    let token = net.kernels[A].command(Command::Claim { key });
    let key = match &net.kernels[A].answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    let [a, c] = [A, C].map(|place| net.id(place));
    net.kernels[A].grant(c, Right::Read, Scope::Kernel);
    net.kernels[B].grant(a, Right::Host, Scope::Kernel);
    net.kernels[C].command(Command::Follow { key, from: a });
    net.settle();
    assert_eq!(home(&net, C, &key), Some(a));
    (net, key)
}

/// Only its former home has told it where the object is: no revision of the new home has come.
#[test]
fn a_replica_names_the_home_of_the_newest_certificate_that_is_known_here() {
    let (mut net, key) = followed();
    let b = net.id(B);
    net.kernels[A].command(Command::Move { key, to: b, wait: false, leave_calls: false, without_me: false });
    net.settle();
    for place in [A, B, C] {
        assert_eq!(home(&net, place, &key), Some(b), "at {place}");
    }
    let head = object::head(&net.kernels[C].store, &key).unwrap().unwrap();
    assert_eq!(head.header.epoch, 1, "it is still the revision of A");
    net.restart(C);
    assert_eq!(home(&net, C, &key), Some(b));
}

#[test]
fn a_replica_follows_its_object_back_and_on() {
    let (mut net, key) = followed();
    let [a, b] = [A, B].map(|place| net.id(place));
    net.kernels[A].grant(b, Right::Host, Scope::Kernel);
    for (from, to) in [(A, b), (B, a), (A, b)] {
        net.kernels[from].command(Command::Move {
            key,
            to,
            wait: false,
            leave_calls: false,
            without_me: false,
        });
        net.settle();
        for place in [A, B, C] {
            assert_eq!(home(&net, place, &key), Some(to), "at {place}");
        }
    }
}
