//! A peer that looks for objects, or is asked for some, and does not keep to the protocol.

use std::time::Duration;

use bytes::Bytes;
use once::ErrorKind;
use once::FindStep;
use once_model::find::{Condition, Finding, Findings, Question};
use once_model::ids::ObjectKey;
use once_model::limits::{FIND_CONDITIONS_MAX, FIND_CURSOR_MAX_BYTES, FIND_TEXT_MAX_BYTES, NAME_MAX_BYTES};
use once_model::wire::{Absent, Code, FEATURE_ACTIONS, FEATURE_FIND, Frame, Greeting};

use crate::raw::*;

fn knows_find() -> Greeting {
    Greeting { features: vec![FEATURE_ACTIONS, FEATURE_FIND], ..greeting(1) }
}

async fn ask(control: &Control, question: Question) -> Option<Frame> {
    let mut lane = Lane::open(&control.connection).await;
    lane.say(&Frame::Find(Box::new(question))).await;
    let _ = lane.send.finish();
    within("an answer", lane.hear()).await
}

#[test]
fn questions_beyond_the_limits_are_refused_and_a_flood_of_them_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join_saying(&alice, knows_find()).await;
        for n in 0..300 {
            alice.import(note(n, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")).await.unwrap();
        }
        // Without a right there is nothing, whatever is asked.
        let nothing = Some(Frame::Findings(Findings::default()));
        assert_eq!(ask(&control, Question::default()).await, nothing);
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        let condition = |pointer: &str, value: &[u8]| Condition {
            pointer: pointer.into(),
            value: Bytes::copy_from_slice(value),
        };
        let invalid = Some(Frame::Absent(Absent { call: 0, code: Code::Invalid }));
        let all = Question::default;
        for question in [
            Question { text: Some("x".repeat(FIND_TEXT_MAX_BYTES + 1)), ..all() },
            Question { text: Some(String::new()), ..all() },
            Question { name: Some("*".repeat(NAME_MAX_BYTES + 1)), ..all() },
            Question { conditions: vec![condition("/a", b"1"); FIND_CONDITIONS_MAX + 1], ..all() },
            Question { conditions: vec![condition("a", b"1")], ..all() },
            Question { conditions: vec![condition("/a", b"{}")], ..all() },
            Question { conditions: vec![condition("/a", b"\xff")], ..all() },
            Question { after: Some(Bytes::from(vec![0; FIND_CURSOR_MAX_BYTES + 1])), ..all() },
            Question { after: Some(Bytes::from(nowhere(1).to_row().to_vec())), ..all() },
        ] {
            assert_eq!(ask(&control, question.clone()).await, invalid, "{question:?}");
        }
        // What is dear to look for costs no more than a page.
        let glob = Question { name: Some("*a".repeat(NAME_MAX_BYTES / 2)), ..all() };
        assert!(matches!(ask(&control, glob).await, Some(Frame::Findings(_))));
        let text = Question { text: Some("a".repeat(FIND_TEXT_MAX_BYTES)), ..all() };
        assert!(matches!(ask(&control, text).await, Some(Frame::Findings(_))));
        let page = ask(&control, Question { limit: u32::MAX, ..all() }).await;
        let Some(Frame::Findings(first)) = page else { panic!("{page:?}") };
        assert_eq!(first.objects.len(), 128);
        // Many at once.
        let asked = (0..24).map(|_| ask(&control, all()));
        let answers = futures_util::future::join_all(asked).await;
        let busy = Frame::Absent(Absent { call: 0, code: Code::Busy });
        let is_right = |answer: &Option<Frame>| {
            matches!(answer, Some(Frame::Findings(_))) || answer.as_ref() == Some(&busy)
        };
        assert!(answers.iter().all(is_right), "{answers:?}");
        assert!(answers.iter().any(|answer| answer.as_ref() == Some(&busy)));
        // Who goes away in the middle, and who says something else first.
        for _ in 0..8 {
            let mut lane = Lane::open(&control.connection).await;
            lane.say(&Frame::Find(Box::default())).await;
        }
        let mut lane = Lane::open(&control.connection).await;
        lane.say(&Frame::Findings(Findings::default())).await;
        assert_eq!(lane.hear().await, None);
        assert!(matches!(
            control.request(1, once_model::ids::Uuid::from_u128(1), None).await,
            Frame::Absent(_)
        ));
        still_works(&alice, &bob, 999).await;
    });
}

fn finding(n: u8) -> Finding {
    Finding {
        key: nowhere(n),
        component: "Note".into(),
        version: "1".into(),
        name: Some("note".into()),
        home: None,
        epoch: 0,
        revision: 0,
        size: 9,
        changed_ms: 5,
    }
}

/// What a kernel makes of answers to its search at a peer that says these, one after the other, and the last one for ever.
async fn search(
    alice: &once::Kernel,
    control: &Control,
    mallory: &Raw,
    said: Vec<Frame>,
) -> (Vec<ObjectKey>, String) {
    let answering = async {
        let mut left = said.into_iter();
        let (mut last, mut open) = (None, Vec::new());
        loop {
            let (send, recv) = control.connection.accept_bi().await.unwrap();
            let mut lane = Lane { send, recv };
            let _ = lane.hear().await;
            last = left.next().or(last);
            if let Some(frame) = &last {
                lane.say(frame).await;
                let _ = lane.send.finish();
            }
            open.push(lane);
        }
    };
    let search = alice.find().component("Note").at(mallory.id()).timeout(Duration::from_secs(3));
    let found = tokio::select! {
        found = async { search.await } => found.unwrap(),
        () = answering => panic!("it never ends"),
    };
    let keys = found.objects.iter().map(once::FoundObject::key).collect();
    (keys, found.missing.first().map(|(_, error)| error.to_string()).unwrap_or_default())
}

#[test]
fn answers_that_cannot_be_true_are_not_believed_and_a_search_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join_saying(&alice, knows_find()).await;
        let page = |objects: Vec<Finding>, next: Option<&[u8]>| {
            Frame::Findings(Findings { objects, next: next.map(Bytes::copy_from_slice) })
        };
        let (one, two) = (finding(1), finding(2));
        let (first, _) = if one.key < two.key { (&one, &two) } else { (&two, &one) };
        let second = if first == &one { &two } else { &one };
        let keys = vec![first.key, second.key];
        let good = [page(vec![first.clone()], Some(b"1")), page(vec![second.clone()], None)].to_vec();
        assert_eq!(search(&alice, &control, &mallory, good).await, (keys, String::new()));
        let other = Finding { component: "Other".into(), ..first.clone() };
        let long = Finding { name: Some("n".repeat(NAME_MAX_BYTES + 1)), ..first.clone() };
        let many = vec![first.clone(); 129];
        for (what, said, why) in [
            ("twice", vec![page(vec![first.clone(), first.clone()], None)], "out of order"),
            ("again on the next page", vec![page(vec![first.clone()], Some(b"1")); 2], "out of order"),
            ("backwards", vec![page(vec![second.clone(), first.clone()], None)], "out of order"),
            ("not asked for", vec![page(vec![other], None)], "not asked for"),
            ("a name without end", vec![page(vec![long], None)], "at most 255 bytes"),
            ("too many", vec![page(many, None)], "more objects than"),
            ("a place without end", vec![page(vec![], Some(&[0; 129]))], "at most 128 bytes"),
            ("no way on", vec![page(vec![], Some(b"1")); 2], "out of order"),
            ("something else", vec![Frame::Body(7)], "findings or absent must answer"),
            ("denied", vec![Frame::Absent(Absent { call: 0, code: Code::Denied })], "not permitted"),
            ("nothing at all", vec![], "did not answer within"),
        ] {
            let (found, missing) = search(&alice, &control, &mallory, said).await;
            assert!(missing.contains(why), "{what}: {missing}");
            assert!(found.len() <= 1, "{what}: {found:?}");
        }
        // Always a next page, and never an object: the search's time ends it.
        let mut n = 0_u64;
        let endless = async {
            loop {
                let (send, recv) = control.connection.accept_bi().await.unwrap();
                let mut lane = Lane { send, recv };
                let _ = lane.hear().await;
                n += 1;
                lane.say(&page(vec![], Some(&n.to_be_bytes()))).await;
                let _ = lane.send.finish();
            }
        };
        let mut steps = alice.find().everywhere().timeout(Duration::from_secs(2)).stream().unwrap();
        let mut missing = Vec::new();
        let told = async {
            while let Some(step) = futures_util::StreamExt::next(&mut steps).await {
                if let FindStep::Missing { kernel, error } = step {
                    missing.push((kernel, error.kind()));
                }
            }
        };
        tokio::select! {
            () = within("the end of the search", told) => {}
            () = endless => {}
        }
        assert_eq!(missing, [(mallory.id(), ErrorKind::Timeout)]);
        still_works(&alice, &bob, 999).await;
    });
}

#[test]
fn a_kernel_that_does_not_know_how_to_find_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        let found = alice.find().at(mallory.id()).await.unwrap();
        assert!(found.missing[0].1.to_string().contains("needs a newer version"), "{found:?}");
        assert!(control.connection.close_reason().is_none());
        still_works(&alice, &bob, 999).await;
    });
}
