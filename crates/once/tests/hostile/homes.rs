//! A home that answers as it should not: it says what it likes of its own objects, and of nothing else.

use std::future::IntoFuture;

use once::api::Client;
use once::{Kernel, ObjectKey};
use once_model::action::{Act, ActOutcome, After, Given, Missing, Need, Outcome};
use once_model::hash::content_hash;
use once_model::ids::{Hash, Line, Lineage, Uuid};
use once_model::wire::{Code, FEATURE_ACTIONS, Frame, Greeting};

use super::acts::{counted, counter};
use crate::raw::*;

/// A greeting of a kernel that knows actions.
fn acting(boot: u8) -> Greeting {
    Greeting { features: vec![FEATURE_ACTIONS], ..greeting(boot) }
}

/// An object that mallory says to be home of.
fn object(n: u128) -> ObjectKey {
    ObjectKey { uuid: Uuid::from_u128(n), line: Line::Claimed(Lineage::from_bytes([n as u8; 32])) }
}

/// A client's action on an object of mallory's; accepted.
async fn ask(alice: &Kernel, mallory: &Raw, key: ObjectKey) -> Uuid {
    alice.act_on(key, Some(mallory.id()), "add", "1").send().await.unwrap()
}

fn told(act: &Act, outcome: Outcome) -> ActOutcome {
    let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
    ActOutcome { lane, sequence, id, outcome, after: None, commit: None, certificate: None }
}

fn result(text: &'static str) -> Outcome {
    Outcome::Done(text.into())
}

impl Control {
    /// The next action that it is asked for.
    async fn hear_act(&mut self) -> Act {
        loop {
            if let Frame::Act(act) = self.hear().await.expect("an action") {
                return act;
            }
        }
    }

    /// Waits until everything that was said before has been dealt with; how many actions came meanwhile.
    async fn all_heard(&mut self, n: u8) -> usize {
        self.say(&Frame::Unfollow(nowhere(n))).await;
        let mut acts = 0;
        loop {
            match self.hear().await.expect("an answer") {
                Frame::Following(answer) if answer.key == nowhere(n) => return acts,
                Frame::Act(_) => acts += 1,
                _ => {}
            }
        }
    }
}

#[test]
fn outcomes_that_nobody_asked_for_settle_nothing_and_the_first_that_fits_counts() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let (mallory, oscar) = (Raw::new().await, Raw::new().await);
        let mut control = mallory.join_saying(&alice, acting(1)).await;
        let mut other = oscar.join_saying(&alice, acting(1)).await;
        // One at mallory's, and one of alice's own that has been done.
        let (mine, _) = alice.import(counter(1)).await.unwrap();
        let mine = alice.claim(mine.key()).await.unwrap().0.key();
        let own = alice.act_on(mine, None, "add", r#"{"by": 1}"#).into_future().await.unwrap();
        let id = ask(&alice, &mallory, object(1)).await;
        let act = control.hear_act().await;
        assert_eq!((act.lane.key, act.sequence, act.action.id), (object(1), 1, id));
        let fits = told(&act, result("\"lie\""));
        let unasked = [
            ActOutcome { id: Uuid::from_u128(5), ..fits.clone() },
            ActOutcome { id: own.id, ..fits.clone() },
            ActOutcome { sequence: 0, ..fits.clone() },
            ActOutcome { sequence: 2, ..fits.clone() },
            ActOutcome { sequence: u64::MAX, ..fits.clone() },
            ActOutcome { lane: object(2).into(), ..fits.clone() },
            ActOutcome { lane: mine.into(), id: own.id, ..fits.clone() },
            ActOutcome {
                lane: ObjectKey { line: Line::Unclaimed(Hash::from_bytes([1; 32])), ..object(1) }.into(),
                ..fits.clone()
            },
        ];
        for round in 0..100 {
            for outcome in &unasked {
                control.say(&Frame::Outcome(outcome.clone())).await;
                other.say(&Frame::Outcome(outcome.clone())).await;
            }
            // Oscar knows all of it, and is not the one who was asked.
            other.say(&Frame::Outcome(fits.clone())).await;
            if round % 10 == 0 {
                control.all_heard(round).await;
                other.all_heard(round).await;
                assert_eq!(alice.outcome(id).unwrap(), None);
            }
        }
        assert_eq!((alice.outcome(own.id).unwrap(), counted(&alice, mine)), (Some(own), 1));
        for later in [result("7"), result("8"), Outcome::Refused(Code::Denied), Outcome::Failed("9".into())] {
            control.say(&Frame::Outcome(told(&act, later))).await;
            control.all_heard(200).await;
            assert_eq!(alice.outcome(id).unwrap().unwrap().result, "7");
        }
        let again = alice.act_on(object(1), Some(mallory.id()), "add", "1").id(id);
        assert_eq!(within("the outcome", again.into_future()).await.unwrap().result, "7");
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_flood_of_missing_is_one_resend_of_a_lane() {
    const LANES: u128 = 5;
    const ACTS: usize = 10;
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join_saying(&alice, acting(1)).await;
        let mut acts = Vec::new();
        for n in 0..LANES {
            for _ in 0..ACTS {
                ask(&alice, &mallory, object(n)).await;
                acts.push(control.hear_act().await);
            }
        }
        let begun = std::time::Instant::now();
        let mut resent = 0;
        for round in 0..20 * scale() {
            let mut flood = Vec::new();
            for from in [0, 1, 5, ACTS as u64, 1000, u64::MAX] {
                for n in 0..2 * LANES {
                    for key in [object(n), nowhere(n as u8)] {
                        flood.extend(framed(&Frame::Missing(Missing { lane: key.into(), from }).encode()));
                    }
                }
            }
            let flood = flood.repeat(20);
            within("the flood is read", control.lane.send.write_all(&flood)).await.unwrap();
            resent += control.all_heard((round % 200) as u8 + 20).await;
        }
        // Once, and whenever 10 s are over.
        let times = 2 + begun.elapsed().as_secs() as usize / 5;
        assert!(resent <= acts.len() * times, "{} actions were sent {resent} times", acts.len());
        // Those that are answered are not sent again, the others still are.
        for act in &acts {
            control.say(&Frame::Outcome(told(act, result("1")))).await;
        }
        for act in &acts {
            let again = alice.act_on(act.lane.key, Some(mallory.id()), "add", "1").id(act.action.id);
            assert_eq!(within("the outcome", again.into_future()).await.unwrap().result, "1");
        }
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn an_outcome_of_any_bytes_is_shown_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join_saying(&alice, acting(1)).await;
        alice.serve_api().await.unwrap();
        let api = Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let bytes: [Vec<u8>; 6] = [
            Vec::new(),
            b"no JSON \x1b[2J\n\x07".to_vec(),
            b"\xff\xfe\x00".to_vec(),
            vec![b'['; 200_000],
            vec![0; 200_000],
            format!("\"{}\"", "x".repeat(200_000)).into(),
        ];
        for (n, bytes) in bytes.into_iter().enumerate() {
            for failed in [false, true] {
                let id = ask(&alice, &mallory, object(n as u128)).await;
                let act = control.hear_act().await;
                let outcome = match failed {
                    false => Outcome::Done(bytes.clone().into()),
                    true => Outcome::Failed(bytes.clone().into()),
                };
                control.say(&Frame::Outcome(told(&act, outcome))).await;
                control.all_heard(n as u8).await;
                // Whatever it is: it is an outcome, it is the same each time, and clients understand what they are told.
                let heard = api.call("outcome", serde_json::json!({ "id": id })).await;
                assert_eq!(heard.is_err(), failed, "{n}");
                let again = api.call("outcome", serde_json::json!({ "id": id })).await;
                assert_eq!(
                    heard.map_err(|error| error.to_string()),
                    again.map_err(|error| error.to_string())
                );
            }
        }
        for code in [Code::Quota, Code::Busy, Code::Ambiguous, Code::Stopping, Code::IdReused] {
            let id = ask(&alice, &mallory, object(77)).await;
            let act = control.hear_act().await;
            control.say(&Frame::Outcome(told(&act, Outcome::Refused(code)))).await;
            control.all_heard(77).await;
            assert!(alice.outcome(id).is_err(), "{code:?}");
        }
        still_works(&alice, &bob, 9).await;
    });
}

/// A home may rename its object, but not into one of somebody else.
#[test]
fn a_name_that_is_a_lie_leads_to_the_liar() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join_saying(&alice, acting(1)).await;
        let mut objects = Vec::new();
        for (n, home) in [&alice, &bob].into_iter().enumerate() {
            let (imported, _) = home.import(counter(n)).await.unwrap();
            objects.push(home.claim(imported.key()).await.unwrap().0.key());
        }
        let copy = ObjectKey { line: Line::Unclaimed(Hash::from_bytes([3; 32])), ..object(1) };
        for (n, lie) in objects.iter().enumerate() {
            for key in [object(n as u128), ObjectKey { uuid: Uuid::from_u128(n as u128 + 50), ..copy }] {
                ask(&alice, &mallory, key).await;
                let act = control.hear_act().await;
                let after = Some(After { key: *lie, revision: Hash::from_bytes([1; 32]) });
                let outcome = ActOutcome { after, ..told(&act, result("1")) };
                control.say(&Frame::Outcome(outcome)).await;
                control.all_heard(1).await;
                // Whoever names the old object is led to its home, whatever it is called there.
                let id = ask(&alice, &mallory, key).await;
                let act = control.hear_act().await;
                assert_eq!((act.action.id, act.lane.key), (id, *lie));
                control.say(&Frame::Outcome(told(&act, result("2")))).await;
                control.all_heard(2).await;
            }
        }
        for (key, home) in objects.iter().zip([&alice, &bob]) {
            assert_eq!(counted(home, *key), 0);
        }
        // What is alice's own is still reached by its name.
        let own = alice.act_on(objects[0], None, "add", r#"{"by": 1}"#);
        assert_eq!(within("an own action", own.into_future()).await.unwrap().result, "1");
        still_works(&alice, &bob, 9).await;
    });
}

/// Who asks for what an action depends on gets just that, and once.
#[test]
fn what_an_action_does_not_name_nobody_gets() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join_saying(&alice, acting(1)).await;
        let mut given = Vec::new();
        for n in [1, 2] {
            let text = note(n, "alice's");
            let key = alice.import(text.clone()).await.unwrap().0.key();
            given.push(Given { key, content: content_hash(text.as_bytes()) });
        }
        let [named, secret] = given[..] else { unreachable!() };
        let asked = alice.act_on(object(1), Some(mallory.id()), "add", "1").given(named);
        let id = asked.send().await.unwrap();
        let act = control.hear_act().await;
        assert_eq!((act.action.id, &act.action.given), (id, &vec![named]));
        let mixed = Given { content: named.content, ..secret };
        for _ in 0..200 {
            for (key, sequence, lacks) in [
                (act.lane.key, 1, vec![secret, mixed]),
                (act.lane.key, 0, vec![named, secret]),
                (act.lane.key, 2, vec![named, secret]),
                (act.lane.key, u64::MAX, vec![named, secret]),
                (object(2), 1, vec![named, secret]),
                (act.lane.key, 1, vec![secret; 1000]),
            ] {
                control.say(&Frame::Need(Need { lane: key.into(), sequence, lacks })).await;
            }
        }
        control.say(&Frame::Unfollow(nowhere(1))).await;
        let heard = control.hear().await;
        assert!(matches!(heard, Some(Frame::Following(_))), "{heard:?}");
        let need = Frame::Need(Need { lane: act.lane, sequence: 1, lacks: vec![secret, named, mixed] });
        for _ in 0..200 {
            control.say(&need).await;
        }
        control.say(&Frame::Unfollow(nowhere(2))).await;
        let mut shared = Vec::new();
        loop {
            match control.hear().await.unwrap() {
                Frame::Share(parcel) => shared.push(parcel.header.key()),
                Frame::Following(answer) if answer.key == nowhere(2) => break,
                _ => {}
            }
        }
        assert_eq!(shared, [named.key]);
        control.say(&Frame::Outcome(told(&act, result("1")))).await;
        control.all_heard(3).await;
        assert_eq!(alice.outcome(id).unwrap().unwrap().result, "1");
        still_works(&alice, &bob, 9).await;
    });
}
