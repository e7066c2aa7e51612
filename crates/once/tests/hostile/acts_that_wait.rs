//! A peer whose actions depend on what it never gives, are taken back, or pretend to be answers; and one that says that
//! it has heard what nobody has said yet.

use std::time::Duration;

use once::ObjectKey;
use once_model::action::{Act, Action, Given, Need, Outcome};
use once_model::hash::content_hash;
use once_model::ids::{Hash, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, LACKING_MAX, LACKING_OF_PEER_MAX, LEDGER_KEPT_ROWS};
use once_model::wire::{Code, Frame};

use super::acts::{ONE, Story, act, add, done};
use super::acts_in_floods::{MEMORY_MAX_KIB, flood, say};
use crate::raw::*;

/// The same, and it depends on these.
fn depending(act: Act, given: &[Given]) -> Act {
    Act { action: Action { given: given.to_vec(), ..act.action.clone() }, ..act }
}

/// A scenario that is nowhere.
fn never(n: u8) -> Given {
    Given { key: nowhere(n), content: Hash::from_bytes([n; 32]) }
}

/// Takes an action back.
fn taken_back(act: &Act, code: Code) -> Act {
    Act { void: Some(code), ..act.clone() }
}

impl Control {
    /// What the kernel needs for an action.
    async fn needed(&mut self) -> Need {
        loop {
            if let Frame::Need(need) = self.hear().await.expect("a need") {
                return need;
            }
        }
    }
}

#[test]
fn a_given_that_is_secret_and_one_that_is_nowhere_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let secret = note(2, "secret");
        let there = s.alice.import(secret.clone()).await.unwrap().0.key();
        let secret = Given { key: there, content: content_hash(secret.as_bytes()) };
        for (n, given) in [(1, secret), (2, never(2)), (3, Given { key: there, ..never(3) })] {
            let asked = depending(add(key, n, u128::from(n)), &[given]);
            s.control.say(&Frame::Act(asked.clone())).await;
            assert_eq!(s.control.needed().await, Need { lane: key.into(), sequence: n, lacks: vec![given] });
            // It need not wait for that.
            let outcome = s.control.act(&taken_back(&asked, Code::Cancelled)).await;
            assert_eq!(outcome, Outcome::Refused(Code::Cancelled));
        }
        assert_eq!(s.counted(key), 0);
        s.bob_finds(key, 0).await;
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn what_a_peer_never_gives_holds_up_its_own_lane_for_a_while_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let given: Vec<_> = (1..=64).map(never).collect();
        s.control.say(&Frame::Act(depending(add(key, 1, 1), &given))).await;
        assert_eq!(s.control.needed().await.lacks, given);
        s.control.say(&Frame::Act(add(key, 2, 2))).await;
        // What is no scenario of its own, or another one, does not help.
        let other = unclaimed(&note(7, "another"));
        assert_eq!(s.control.share(other).await, once_model::wire::ShareAnswer::Stored);
        for n in 0..20 {
            s.bob_finds(key, n).await;
        }
        let outcomes = [Outcome::Refused(Code::Lacking), done(21)];
        for (sequence, outcome) in (1..).zip(outcomes) {
            match s.control.hear_of_acts().await {
                Frame::Outcome(told) => assert_eq!((told.sequence, told.outcome), (sequence, outcome)),
                other => panic!("{other:?}"),
            }
        }
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn what_is_taken_back_has_the_outcome_that_it_had_or_never_runs() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let first = add(key, 1, 1);
        assert_eq!(s.control.act(&first).await, done(1));
        for code in [Code::Cancelled, Code::Expired, Code::Denied] {
            assert_eq!(s.control.act(&taken_back(&first, code)).await, done(1));
        }
        // A reason that is none is another one; what was taken back stays so, in whatever form it comes.
        let reasons =
            [Code::Cancelled, Code::Lacking, Code::Expired, Code::Denied, Code::Quota, Code::Stopping];
        for (sequence, code) in (2..).zip(reasons) {
            let said = if matches!(code, Code::Cancelled | Code::Lacking) { code } else { Code::Expired };
            let never_ran = add(key, sequence, u128::from(sequence));
            for act in [taken_back(&never_ran, code), taken_back(&never_ran, Code::Cancelled), never_ran] {
                assert_eq!(s.control.act(&act).await, Outcome::Refused(said), "{code:?}");
            }
        }
        // Pretending to answer an effect of the object: only its own home does that.
        let next = add(key, 8, 8);
        let answers = Some(Uuid::from_u128(1));
        let pretended = Act { action: Action { answers, ..next.action.clone() }, ..next.clone() };
        s.control.say(&Frame::Act(pretended)).await;
        assert_eq!(s.control.act(&next).await, done(2));
        s.bob_finds(key, 2).await;
        still_works(&s.alice, &s.bob, 9).await;
    });
}

/// What is kept in memory for lanes that wait is bounded, however many they are.
#[test]
fn what_waits_behind_scenarios_that_never_come_is_bounded() {
    const LANES: usize = 2 * LACKING_OF_PEER_MAX;
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let mut s = Story::with_right(dir.path()).await;
        let before = of_this_process("VmRSS");
        let large = "1".repeat(ARGUMENTS_MAX_BYTES);
        for n in 0..LANES {
            let key = s.counter(n).await;
            s.control.say(&Frame::Act(depending(add(key, 1, 1), &[never(1)]))).await;
            let behind = (2..102).map(|n| act(key, n, u128::from(n), "add", &*large));
            flood(&mut s.control, behind).await;
        }
        let grown = of_this_process("VmRSS").saturating_sub(before);
        say(&format!("{LANES} lanes that wait for scenarios: {grown} KiB more"));
        assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB for {LANES} lanes");
    });
}

/// The places in which actions wait for scenarios are not all one peer's to take.
#[test]
fn one_peer_does_not_take_every_place_to_wait_for_scenarios() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let mut keys: Vec<ObjectKey> = Vec::new();
        for n in 0..LACKING_MAX {
            keys.push(s.alice.import(super::acts::counter(n)).await.unwrap().0.key());
        }
        let carol = Raw::new().await;
        let mut honest = carol.join(&s.alice).await;
        s.grant(carol.id(), serde_json::json!({})).await;
        for key in &keys {
            s.control.say(&Frame::Act(depending(add(*key, 1, 1), &[never(1)]))).await;
        }
        // All of them are there when this has its answer.
        assert_eq!(s.control.act(&add(nowhere(1), 1, 1)).await, Outcome::Refused(Code::Denied));
        honest.say(&Frame::Act(depending(add(keys[0], 1, 1), &[never(2)]))).await;
        let needed = tokio::time::timeout(Duration::from_secs(5), honest.needed()).await;
        assert!(needed.is_ok(), "it was dropped");
    });
}

/// A floor says what the origin has heard. It cannot have heard what has not run: what an object did with whom is kept
/// for as long as that is promised.
#[test]
fn a_floor_above_everything_does_not_shorten_the_history() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let acts = 1500;
        assert!(acts < LEDGER_KEPT_ROWS);
        for n in 1..=acts {
            let lying = Act { floor: u64::MAX, ..act(key, n, u128::from(n), "add", ONE) };
            assert_eq!(s.control.act(&lying).await, done(n as i64));
        }
        let history = s.alice.history(key).limit(1).await.unwrap();
        // The first entry is the claim.
        assert_eq!(history.total as u64, acts + 1);
    });
}
