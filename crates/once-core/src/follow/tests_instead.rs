use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::FOLLOWS_INSTEAD_MAX;
use once_model::wire::Code;

use super::FollowRow;
use crate::access::{Right, Scope};
use crate::object;
use crate::refusal::Refusal;
use crate::store::{Read, Table};
use crate::testing::Several;
use crate::waist::{Answer, Command};

/// Kernels 0, 1 and 2 are peers; 0 follows an object of 2. Returns it with who they are.
fn followed() -> (Several, ObjectKey, [KernelId; 3]) {
    let mut net = Several::strangers(3);
    net.befriend(&[0, 1, 2]);
    let ids = [net.id(0), net.id(1), net.id(2)];
    let key = net.kernels[2].object(1, "Paper");
    let token = net.kernels[2].command(Command::Claim { key });
    let Answer::Object { header, .. } = &net.kernels[2].answered[&token] else { panic!("not claimed") };
    let key = header.key();
    net.kernels[2].grant(ids[0], Right::Read, Scope::Kernel);
    net.kernels[0].command(Command::Follow { key, from: ids[2] });
    net.settle();
    assert!(net.kernels[0].head(&key).is_some());
    (net, key, ids)
}

fn hand_on(net: &mut Several, key: ObjectKey, (at, to): (KernelId, KernelId)) -> u64 {
    let token = net.kernels[0].command(Command::FollowInstead { key, at, to });
    net.settle();
    token
}

fn follows(net: &Several, who: usize, at: &KernelId, key: &ObjectKey) -> bool {
    let place = object::peer_object_key(at, key);
    net.kernels[who].store.get(Table::Subscription, &place).unwrap().is_some()
}

#[test]
fn who_lets_a_kernel_move_objects_there_follows_in_its_place() {
    let (mut net, key, ids) = followed();
    net.kernels[1].grant(ids[0], Right::Host, Scope::Kernel);
    net.kernels[2].grant(ids[1], Right::Read, Scope::Kernel);
    let token = hand_on(&mut net, key, (ids[2], ids[1]));
    assert_eq!(net.kernels[0].answered.get(&token), Some(&Answer::Done));
    assert_eq!([0, 1].map(|who| follows(&net, who, &ids[2], &key)), [false, true]);
    // It gets what is there, and what comes.
    for n in 1..3 {
        net.kernels[2].act_named(key, "write", n);
        net.settle();
        assert_eq!(
            net.kernels[1].head(&key),
            net.kernels[2].head(&key).map(|mut newest| {
                newest.sign(&net.kernels[2].ctx.key);
                newest
            })
        );
    }
}

#[test]
fn who_does_not_let_it_or_does_not_know_who_is_followed_says_so_and_nothing_changes() {
    let (mut net, key, ids) = followed();
    let refused = |net: &Several, token: u64| net.kernels[0].refused.get(&token).cloned();
    let why = |code| Some(Refusal::NotFollowedInstead { key, by: ids[1], code });
    for scope in [None, Some(Scope::Component("Paper".into()))] {
        if let Some(scope) = scope {
            net.kernels[1].grant(ids[0], Right::Host, scope);
        }
        let token = hand_on(&mut net, key, (ids[2], ids[1]));
        assert_eq!(refused(&net, token), why(Code::Denied));
    }
    net.kernels[1].grant(ids[0], Right::Host, Scope::Kernel);
    net.kernels[1].command(Command::RemovePeer { peer: ids[2] });
    net.settle();
    let token = hand_on(&mut net, key, (ids[2], ids[1]));
    assert_eq!(refused(&net, token), why(Code::Lacking));
    assert_eq!([0, 1].map(|who| follows(&net, who, &ids[2], &key)), [true, false]);
    let other = net.kernels[0].object(7, "Paper");
    let command = Command::FollowInstead { key: other, at: ids[2], to: ids[1] };
    let refusal = Refusal::NotFollowed { key: other, from: ids[2] };
    assert_eq!(net.kernels[0].try_command(command), Err(refusal));
}

/// Nobody has a kernel follow more at a peer than that allows others.
#[test]
fn a_kernel_has_another_one_follow_so_much_at_a_peer_and_no_more() {
    let (mut net, key, ids) = followed();
    net.kernels[1].grant(ids[0], Right::Host, Scope::Kernel);
    net.kernels[2].grant(ids[1], Right::Read, Scope::Kernel);
    let others = |n: usize| ObjectKey { uuid: Uuid::from_u128(1000 + n as u128), ..key };
    let place = |at: &KernelId, n| object::peer_object_key(at, &others(n));
    let row = FollowRow { since_ms: 1 };
    net.kernels[1].writes(|s| {
        (1..FOLLOWS_INSTEAD_MAX).for_each(|n| s.txn.put(Table::Subscription, &place(&ids[2], n), &row));
        // What it follows elsewhere does not count.
        (1..9).for_each(|n| s.txn.put(Table::Subscription, &place(&ids[0], n), &row));
        Ok(())
    });
    let token = hand_on(&mut net, key, (ids[2], ids[1]));
    assert_eq!(net.kernels[0].answered.get(&token), Some(&Answer::Done));
    let ask = |net: &mut Several, key| {
        net.kernels[0].command(Command::Follow { key, from: ids[2] });
        hand_on(net, key, (ids[2], ids[1]))
    };
    // It is full now. What is followed there already is one of them.
    let token = ask(&mut net, others(0));
    let full = Refusal::NotFollowedInstead { key: others(0), by: ids[1], code: Code::Quota };
    assert_eq!(net.kernels[0].refused.get(&token), Some(&full));
    let token = ask(&mut net, others(1));
    assert_eq!(net.kernels[0].answered.get(&token), Some(&Answer::Done));
}

#[test]
fn what_lives_at_the_other_kernel_is_followed_by_nobody_any_more() {
    let (mut net, key, ids) = followed();
    net.kernels[2].grant(ids[0], Right::Host, Scope::Kernel);
    let token = hand_on(&mut net, key, (ids[2], ids[2]));
    assert_eq!(net.kernels[0].answered.get(&token), Some(&Answer::Done));
    assert_eq!([0, 2].map(|who| follows(&net, who, &ids[2], &key)), [false, false]);
}

#[test]
fn who_is_away_is_named_and_who_goes_away_meanwhile_too() {
    let (mut net, key, ids) = followed();
    net.kernels[1].grant(ids[0], Right::Host, Scope::Kernel);
    let token = net.kernels[0].command(Command::FollowInstead { key, at: ids[2], to: ids[1] });
    net.set_away(1, true);
    assert_eq!(net.kernels[0].refused.get(&token), Some(&Refusal::NotConnected(ids[1])));
    let command = Command::FollowInstead { key, at: ids[2], to: ids[1] };
    assert_eq!(net.kernels[0].try_command(command), Err(Refusal::NotConnected(ids[1])));
    assert!(follows(&net, 0, &ids[2], &key));
}
