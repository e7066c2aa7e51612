//! One thing happens, and what was promised still holds. Each story is a promise (ARCHITECTURE.md) or a trap.

use once_core::Refusal;
use once_core::access::{Grant, Right, Scope};
use once_core::waist::{Answer, Command, Event, Run, RunResult, Wait};
use once_model::action::Action;
use once_model::ids::{ObjectKey, Secret};
use once_model::wire::ShareAnswer;
use once_sim::{Kernel, Weather, World};

const NOTE: &str =
    r#"{"ior":{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001","component":"Note"},"model":{"text":"hi"}}"#;

fn note(text: &str) -> String {
    NOTE.replace("hi", text)
}

fn two() -> (World, Kernel, Kernel) {
    let mut net = World::new(7);
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    (net, alice, bob)
}

#[test]
fn a_scenario_comes_back_byte_for_byte() {
    let odd = "{ \"ior\" : {\"uuid\":\"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001\"},\n\t\"model\":{\"n\":1.0e+2,\"n\":18446744073709551616,\"x\":null,\"é\":\"\\u0000\"}}";
    let (mut net, alice, bob) = two();
    let key = net.import(alice, odd);
    net.share(alice, key, bob).settle().assert_same(alice, bob, key).assert_kept();
    assert_eq!(net.body(bob, key).unwrap(), odd.as_bytes());
}

#[test]
fn a_debt_survives_the_crash_of_both() {
    let (mut net, alice, bob) = two();
    net.partition(alice, bob);
    let key = net.import(alice, NOTE);
    net.share(alice, key, bob).crash(alice).crash(bob).run_for(20_000);
    assert!(net.owes(alice, key, bob));
    net.heal().settle().assert_same(alice, bob, key).assert_kept();
    assert!(!net.owes(alice, key, bob));
}

#[test]
fn who_was_away_for_long_is_found_when_the_network_changes_and_else_by_itself() {
    const HOUR_MS: u64 = 3_600_000;
    for changes in [true, false] {
        let (mut net, alice, bob) = two();
        net.partition(alice, bob).run_for(20_000);
        let key = net.import(alice, NOTE);
        let told = net.notices().len();
        net.share(alice, key, bob).run_for(HOUR_MS);
        let again =
            net.notices()[told..].iter().filter(|(_, event)| matches!(event, Event::Disconnected { .. }));
        assert_eq!(again.count(), 0, "told when it began, and no more");
        net.heal();
        if changes {
            // Both dial soon, instead of after a pause as long as the absence.
            net.network_changed(alice).network_changed(bob).run_for(15_000);
        } else {
            net.run_for(600_000 + 15_000);
        }
        net.assert_same(alice, bob, key).assert_kept();
        assert!(!net.owes(alice, key, bob), "{changes}");
    }
}

#[test]
fn who_was_away_for_long_is_dialled_at_once_when_something_new_is_owed() {
    let (mut net, alice, bob) = two();
    net.partition(alice, bob).run_for(3_600_000).heal();
    let key = net.import(alice, NOTE);
    // Far less than the pause that is under way.
    net.share(alice, key, bob).run_for(15_000).assert_same(alice, bob, key).assert_kept();
    assert!(!net.owes(alice, key, bob));
}

#[test]
fn a_crash_between_store_and_answer_is_answered_known() {
    let (mut net, alice, bob) = two();
    let key = net.import(alice, NOTE);
    let (to, delivered) = (net.id(bob), true);
    // Bob stores it, and his answer is lost: nothing comes back any more.
    net.block(bob, alice);
    let token = net.command(alice, Command::Share { key, to, delivered });
    while net.head(bob, key).is_none() {
        net.step();
    }
    net.crash(bob).heal().settle().assert_same(alice, bob, key).assert_kept();
    assert_eq!(net.reply(token), Some(Ok(Answer::Delivered(ShareAnswer::Known))));
}

#[test]
fn a_change_while_a_share_waits_is_sent_once_as_the_newest() {
    let (mut net, alice, bob) = two();
    net.partition(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.share(alice, key, bob);
    net.put(alice, key, &note("one"));
    net.put(alice, key, &note("two"));
    net.heal().settle().assert_same(alice, bob, key).assert_kept();
    assert_eq!(net.body(bob, key).unwrap(), note("two").as_bytes());
}

#[test]
fn a_replica_is_not_changed_but_names_its_home() {
    let (mut net, alice, bob) = two();
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.share(alice, key, bob).settle();
    let scenario = once_model::scenario::Scenario::parse(note("mine")).unwrap();
    let refusal = net.refused(bob, Command::Put { key, base: None, scenario });
    assert_eq!(refusal, Some(Refusal::NotHome { key, home: net.id(alice) }));
    net.assert_kept();
}

#[test]
fn a_copy_that_came_from_a_peer_becomes_a_replica_of_the_claim() {
    let (mut net, alice, bob) = two();
    let copy = net.import(alice, NOTE);
    net.share(alice, copy, bob).settle();
    let claimed = net.claim(alice, copy);
    net.share(alice, claimed, bob).settle().assert_same(alice, bob, claimed).assert_kept();
    assert_eq!(net.head(bob, copy).unwrap().header.key(), claimed, "the copy is found as what it became");
}

#[test]
fn two_claims_of_one_file_stand_side_by_side() {
    let (mut net, alice, bob) = two();
    let copy = net.import(alice, NOTE);
    net.import(bob, NOTE);
    let (a, b) = (net.claim(alice, copy), net.claim(bob, copy));
    assert_ne!(a, b);
    net.share(alice, a, bob).share(bob, b, alice).settle();
    net.assert_same(alice, bob, a).assert_same(alice, bob, b).assert_kept();
}

#[test]
fn a_follower_that_was_away_has_the_newest_when_it_is_back() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.follow(bob, key, alice).settle().assert_same(alice, bob, key);
    net.crash(bob).partition(alice, bob);
    net.put(alice, key, &note("news"));
    net.heal().settle().assert_same(alice, bob, key).assert_kept();
}

#[test]
fn who_follows_an_unclaimed_copy_follows_what_it_becomes() {
    let mut net = World::new(3);
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob).let_read(alice, bob);
    // Bob takes nothing that he has not asked for.
    let right = once_core::access::Grant {
        scope: Scope::Kernel,
        right: Right::Share,
        kernel: net.id(alice),
        object: None,
        expires_ms: None,
        actions: None,
    };
    net.must(bob, Command::Revoke(right));
    let copy = net.import(alice, NOTE);
    net.follow(bob, copy, alice).settle().assert_same(alice, bob, copy);
    let key = net.put(alice, copy, &note("claimed by its first change"));
    net.settle().assert_same(alice, bob, key).assert_kept();
}

#[test]
fn a_right_that_is_taken_back_ends_the_following_and_says_so() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.follow(bob, key, alice).settle().assert_same(alice, bob, key);
    net.let_read_no_more(alice, bob).settle();
    net.put(alice, key, &note("secret"));
    net.settle().assert_kept();
    assert_eq!(net.body(bob, key).unwrap(), NOTE.as_bytes());
    let denied = Event::FollowDenied { peer: net.id(alice), key };
    assert!(net.notices().contains(&(bob, denied)));
}

#[test]
fn a_right_taken_back_while_the_follower_is_away_holds_for_what_it_was_owed() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.follow(bob, key, alice).settle();
    net.partition(alice, bob).run_for(10_000);
    net.put(alice, key, &note("secret"));
    net.let_read_no_more(alice, bob).heal().settle().assert_kept();
    assert_eq!(net.body(bob, key).unwrap(), NOTE.as_bytes());
}

#[test]
fn a_peer_is_removed_at_once_also_on_an_open_connection() {
    let (mut net, alice, bob) = two();
    assert_eq!(net.connections(alice, bob), 1);
    let (key, peer) = (net.import(bob, NOTE), net.id(bob));
    net.must(alice, Command::RemovePeer { peer });
    net.share(bob, key, alice).run_for(30_000);
    assert_eq!(net.connections(alice, bob), 0);
    net.assert_absent(alice, key).assert_kept();
}

#[test]
fn a_removal_that_a_crash_cuts_off_goes_on_and_nothing_of_the_peer_comes_back() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let keys: Vec<_> =
        (1..20).map(|n| net.import(alice, &NOTE.replace("0001", &format!("{n:04}")))).collect();
    for key in &keys {
        net.follow(bob, *key, alice);
    }
    let peer = net.id(bob);
    net.settle().command(alice, Command::RemovePeer { peer });
    assert!(net.crash_while_removing(alice) && net.is_removing(alice));
    // From the first step on it is none, whatever is left of it; and it does not come back with what is left.
    assert!(!net.is_peer(bob, alice));
    net.restart(alice);
    let add = Command::AddPeer { peer, addresses: Vec::new(), petname: None };
    assert_eq!(net.refused(alice, add.clone()), Some(Refusal::BeingRemoved(peer)));
    net.run_for(5000);
    assert!(!net.is_removing(alice));
    net.must(alice, add);
    net.claim(alice, keys[0]);
    net.settle().assert_kept();
    assert_eq!(net.head(bob, keys[0]).map(|head| head.header.epoch), Some(0), "it follows nothing here");
}

#[test]
fn an_invite_admits_one_kernel_once() {
    let mut net = World::new(5);
    let (alice, bob, eve) = (net.kernel("alice"), net.kernel("bob"), net.kernel("eve"));
    let secret = Secret::from_bytes([9; 16]);
    let secret_hash = once_core::invite_hash(&secret);
    net.must(alice, Command::Invite { secret_hash, expires_ms: u64::MAX, petname: Some("bob".into()) });
    let join = |peer| Command::Join { peer, secret, addresses: Vec::new(), petname: None };
    let peer = net.id(alice);
    net.must(bob, join(peer));
    assert_eq!(net.refused(eve, join(peer)), Some(Refusal::Denied(peer)));
    assert!(net.is_peer(bob, alice) && !net.is_peer(eve, alice));
    net.assert_kept();
}

#[test]
fn two_that_join_each_other_are_both_told() {
    let mut net = World::new(6);
    let kernels = [net.kernel("alice"), net.kernel("bob")];
    let secrets = [[1; 16], [2; 16]].map(Secret::from_bytes);
    for (kernel, secret) in kernels.iter().zip(secrets) {
        let secret_hash = once_core::invite_hash(&secret);
        net.must(*kernel, Command::Invite { secret_hash, expires_ms: u64::MAX, petname: None });
    }
    let tokens = [0, 1].map(|n| {
        let (peer, secret) = (net.id(kernels[1 - n]), secrets[1 - n]);
        net.command(kernels[n], Command::Join { peer, secret, addresses: Vec::new(), petname: None })
    });
    net.settle().assert_kept();
    assert!(tokens.into_iter().all(|token| matches!(net.reply(token), Some(Ok(Answer::Joined { .. })))));
}

#[test]
fn simultaneous_dials_come_to_one_connection() {
    for seed in 0..30 {
        let mut net = World::new(seed);
        let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
        let (a, b) = (net.id(alice), net.id(bob));
        net.command(alice, Command::AddPeer { peer: b, addresses: Vec::new(), petname: None });
        net.command(bob, Command::AddPeer { peer: a, addresses: Vec::new(), petname: None });
        net.settle().assert_kept();
        assert_eq!(net.connections(alice, bob), 1, "seed {seed}");
    }
}

#[test]
fn a_peer_that_restarts_takes_the_place_of_its_old_connection() {
    let (mut net, alice, bob) = two();
    // Alice does not notice the crash before bob is back.
    net.block(bob, alice).crash(bob).join_network().restart(bob).run_for(3_000);
    assert_eq!(net.connections(alice, bob), 1);
    let key = net.import(alice, NOTE);
    net.share(alice, key, bob).run_for(2_000).assert_same(alice, bob, key).assert_kept();
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let (mut net, alice, bob) = two();
    let kept = net.import(bob, NOTE);
    net.fill_disk(bob, 20_000);
    let key = net.import(alice, &note("more"));
    net.share(alice, key, bob).run_for(10_000).assert_absent(bob, key);
    net.heal().settle().assert_same(alice, bob, key).assert_kept();
    assert!(net.body(bob, kept).is_some());
}

#[test]
fn after_a_failed_sync_the_engine_is_thrown_away() {
    let (mut net, alice, _) = two();
    net.fail_sync(alice);
    let scenario = once_model::scenario::Scenario::parse(NOTE).unwrap();
    assert_eq!(
        net.ask(alice, Command::Import { source: None, over: None, scenario }),
        None,
        "no reply without a sync"
    );
    net.heal().settle().assert_kept();
}

#[test]
fn a_removed_replica_does_not_come_back() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.follow(bob, key, alice).settle().assert_same(alice, bob, key);
    net.must(bob, Command::Remove { key });
    net.run_for(1_000);
    net.put(alice, key, &note("news"));
    net.settle().assert_absent(bob, key).assert_kept();
}

#[test]
fn a_tombstone_travels() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.follow(bob, key, alice).settle();
    net.must(alice, Command::Remove { key });
    net.settle().assert_same(alice, bob, key).assert_kept();
    assert!(net.head(bob, key).unwrap().header.tombstone);
}

#[test]
fn an_exchange_brings_each_what_the_other_has() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob).let_read(bob, alice);
    let keys: Vec<ObjectKey> = (0..40)
        .map(|n| {
            let uuid = format!("7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a{n:04}");
            let at = if n % 3 == 0 { alice } else { bob };
            net.import(at, &format!("{{\"ior\":{{\"uuid\":\"{uuid}\"}},\"model\":{{\"n\":{n}}}}}"))
        })
        .collect();
    assert!(net.exchange(alice, bob));
    net.run_for(60_000).assert_kept();
    assert!(!net.is_exchanging());
    for key in keys {
        net.assert_same(alice, bob, key);
    }
}

#[test]
fn clocks_that_jump_by_hours_change_nothing() {
    let (mut net, alice, bob) = two();
    let key = net.import(alice, NOTE);
    net.set_clock(alice, 9 * 3_600_000).set_clock(bob, -9 * 3_600_000);
    net.share(alice, key, bob).run_for(100).set_clock(alice, -20 * 3_600_000);
    net.settle().assert_same(alice, bob, key).assert_kept();
}

#[test]
fn a_bad_network_only_takes_longer() {
    let (mut net, alice, bob) = two();
    let bad =
        Weather { loss_per_mille: 60, duplicate_per_mille: 100, reorder_per_mille: 60, ..Weather::calm() };
    net.weather(bad);
    let keys: Vec<_> = (0..20).map(|n| net.import(alice, &note(&format!("number {n}")))).collect();
    for key in &keys {
        net.share(alice, *key, bob);
    }
    net.run_for(60_000).heal().settle().assert_kept();
    for key in keys {
        net.assert_same(alice, bob, key);
    }
}

#[test]
fn what_was_unfollowed_while_apart_is_not_pushed_any_more() {
    let (mut net, alice, bob) = two();
    net.let_read(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.follow(bob, key, alice).settle().assert_same(alice, bob, key);
    net.partition(alice, bob);
    let from = net.id(alice);
    net.must(bob, Command::Unfollow { key, from });
    // Nor does it matter that either side forgets what it has in memory.
    net.crash(alice).crash(bob).heal().settle();
    net.put(alice, key, &note("later"));
    net.settle().assert_kept();
    assert_ne!(net.head(bob, key).unwrap().header.revision, net.head(alice, key).unwrap().header.revision);
    assert!(!net.owes(alice, key, bob));
}

/// `Slow` cannot be asked for days; everything else answers at once.
#[derive(Debug)]
struct Slow;

impl once_sim::Components for Slow {
    fn has(&self, component: &str) -> bool {
        matches!(component, "Slow" | "Open")
    }

    fn run(&self, run: &Run) -> RunResult {
        match run.header.component.as_str() {
            "Slow" => RunResult::Later(Wait::ForRoom),
            _ => RunResult::Done { state: None, result: "1".into(), consequences: Vec::new() },
        }
    }
}

/// Its id says that it is run at once.
fn act(n: u32) -> Action {
    let bits = (1_700_000_000_000 << 80) | (7 << 76) | (1 << 63) | (u128::from(n) << 32) | (1 << 24);
    let id = once_model::ids::Uuid::from_u128(bits);
    Action { id, name: "go".into(), arguments: "1".into(), given: vec![], acting: None, answers: None }
}

#[test]
fn objects_that_cannot_be_asked_hold_up_no_others_of_their_home() {
    let mut net = World::new(7);
    net.install(std::sync::Arc::new(Slow));
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    let grant = Grant {
        scope: Scope::Kernel,
        right: Right::Act,
        kernel: net.id(alice),
        object: None,
        expires_ms: None,
        actions: None,
    };
    net.must(bob, Command::Grant(grant));
    let mut object = |component: &str, n: u32| {
        let json = NOTE.replace("Note", component).replace("0001", &format!("{n:04}"));
        let key = net.import(bob, &json);
        net.claim(bob, key)
    };
    let slow: Vec<_> = (0..4).map(|n| object("Slow", 100 + n)).collect();
    let open = object("Open", 1);
    let at = Some(net.id(bob));
    // Far more than may be under way, on each of them.
    for n in 0..2000_u32 {
        let key = slow[n as usize % slow.len()];
        let command = Command::Act { key, at, action: act(n), deadline_ms: None, wait: false };
        net.must(alice, command);
    }
    net.run_for(500);
    let begun_ms = net.now_ms();
    for n in 0..20 {
        let command = Command::Act { key: open, at, action: act(10_000 + n), deadline_ms: None, wait: true };
        assert!(matches!(net.must(alice, command), Answer::Acted { .. }));
    }
    let took_ms = net.now_ms() - begun_ms;
    assert!(took_ms < 5_000, "they waited for {took_ms} ms");
    net.assert_kept();
}

#[test]
fn one_object_can_have_more_actions_than_fit_under_way() {
    let mut net = World::new(7);
    net.install(std::sync::Arc::new(Slow));
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    let (scope, right, kernel) = (Scope::Kernel, Right::Act, net.id(alice));
    net.must(
        bob,
        Command::Grant(Grant { scope, right, kernel, object: None, expires_ms: None, actions: None }),
    );
    let key = net.import(bob, &NOTE.replace("Note", "Open"));
    let (key, at) = (net.claim(bob, key), Some(net.id(bob)));
    net.partition(alice, bob);
    let last = (0..3000)
        .map(|n| net.command(alice, Command::Act { key, at, action: act(n), deadline_ms: None, wait: true }));
    let last = last.last().unwrap();
    net.run_for(1_000).heal();
    let begun_ms = net.now_ms();
    while net.reply(last).is_none() {
        net.run_for(100);
        assert!(net.now_ms() - begun_ms < 60_000, "it takes too long");
    }
    net.assert_kept();
}

/// ADR 0011: six rows at its origin for an action that is alone, and each lane its own three once in 64.
#[test]
fn an_action_writes_few_rows_at_its_origin() {
    let mut net = World::new(7);
    net.install(std::sync::Arc::new(Slow));
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    let (scope, right, kernel) = (Scope::Kernel, Right::Act, net.id(alice));
    net.must(
        bob,
        Command::Grant(Grant { scope, right, kernel, object: None, expires_ms: None, actions: None }),
    );
    let key = net.import(bob, &NOTE.replace("Note", "Open"));
    let (key, at) = (net.claim(bob, key), Some(net.id(bob)));
    let mut do_it = |n| {
        let before = net.rows_written(alice);
        let command = Command::Act { key, at, action: act(n), deadline_ms: None, wait: true };
        assert!(matches!(net.must(alice, command), Answer::Acted { .. }));
        net.run_for(100);
        net.rows_written(alice) - before
    };
    do_it(0);
    let written: Vec<u64> = (1..=64).map(&mut do_it).collect();
    assert!(written.iter().filter(|rows| **rows <= 6).count() >= 60, "{written:?}");
    assert!(written.iter().sum::<u64>() <= 64 * 6 + 4, "{written:?}");
    net.assert_kept();
}

/// What shows how far a lane is may have been pruned, its row may be old: a sequence is never given twice, also after
/// crashes at any place.
#[test]
fn a_lane_goes_on_where_it_was_after_every_crash() {
    let mut net = World::new(7);
    net.install(std::sync::Arc::new(Slow));
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    let (scope, right, kernel) = (Scope::Kernel, Right::Act, net.id(alice));
    net.must(
        bob,
        Command::Grant(Grant { scope, right, kernel, object: None, expires_ms: None, actions: None }),
    );
    let key = net.import(bob, &NOTE.replace("Note", "Open"));
    let (key, at) = (net.claim(bob, key), Some(net.id(bob)));
    for round in 0..30 {
        if round % 3 == 0 {
            net.partition(alice, bob);
        }
        for n in 0..7 {
            let action = act(round * 100 + n);
            net.must(alice, Command::Act { key, at, action, deadline_ms: None, wait: false });
        }
        for _ in 0..round {
            net.step();
        }
        net.crash(alice).heal().run_for(3_000);
    }
    net.settle().assert_kept();
    for n in (0..30).flat_map(|round| (0..7).map(move |n| round * 100 + n)) {
        let action = act(n);
        let command = Command::Act { key, at, action, deadline_ms: None, wait: true };
        assert!(matches!(net.must(alice, command), Answer::Acted { .. }), "{n} has no outcome");
    }
    net.assert_kept();
}
