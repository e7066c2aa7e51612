//! A peer that acts as it should not: it harms its own lanes, and nobody else's.

use once::api::Client;
use once::{Event, Kernel, ObjectKey};
use once_model::action::{Act, ActOutcome, Action, BUILT_IN_FROM, Given, LaneName, Missing, Outcome};
use once_model::ids::{Hash, Incarnation, Line, Lineage, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, GIVEN_MAX, JSON_MAX_DEPTH, NAME_MAX_BYTES};
use once_model::wire::{Code, Frame, Greeting};

use crate::raw::*;

/// The highest sequence that a peer may send: from the next one on they are those of built-in actions.
const LAST: u64 = BUILT_IN_FROM - 1;

/// Sequences at which no peer may send anything: an act with one of them gets no answer, and is not there.
const NO_PLACES: [u64; 5] = [0, BUILT_IN_FROM, BUILT_IN_FROM + 1, u64::MAX - 1, u64::MAX];

/// Adds one to a counter.
pub const ONE: &str = r#"{"by": 1}"#;

/// A counter of its own UUID.
pub fn counter(n: usize) -> String {
    note(n, "kept").replace("Note", "Counter").replace("\"n\": 1.50", "\"count\": 0")
}

/// Alice, and bob and mallory, who may act there.
pub struct Story {
    pub alice: Kernel,
    pub bob: Kernel,
    pub mallory: Raw,
    pub control: Control,
    pub api: Client,
}

impl Story {
    pub async fn new(dir: &std::path::Path) -> Self {
        let (alice, bob) = pair(dir).await;
        Self::of(dir, alice, bob).await
    }

    pub async fn of(dir: &std::path::Path, alice: Kernel, bob: Kernel) -> Self {
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        alice.serve_api().await.unwrap();
        let api = Client::connect(&dir.join("alice")).await.unwrap().unwrap();
        let story = Self { alice, bob, mallory, control, api };
        story.grant(story.bob.id(), serde_json::json!({})).await;
        story
    }

    /// Lets a peer act.
    pub async fn grant(&self, peer: once::KernelId, on: serde_json::Value) {
        let mut grant = serde_json::json!({ "peer": peer.to_string(), "right": "act" });
        grant.as_object_mut().unwrap().extend(on.as_object().unwrap().clone());
        self.api.call("grant", grant).await.unwrap();
    }

    /// The same, and mallory may act on everything.
    pub async fn with_right(dir: &std::path::Path) -> Self {
        let story = Self::new(dir).await;
        story.grant(story.mallory.id(), serde_json::json!({})).await;
        story
    }

    pub async fn counter(&self, n: usize) -> ObjectKey {
        let (object, _) = self.alice.import(counter(n)).await.unwrap();
        self.alice.claim(object.key()).await.unwrap().0.key()
    }

    pub fn counted(&self, key: ObjectKey) -> i64 {
        counted(&self.alice, key)
    }

    /// Bob can still act on it, and finds it as it should be.
    pub async fn bob_finds(&self, key: ObjectKey, count: i64) {
        let add = self.bob.act_on(key, Some(self.alice.id()), "add", ONE);
        let result = within("an honest action", add.into_future()).await.unwrap().result;
        assert_eq!(result, (count + 1).to_string());
    }
}

/// What a counter has counted.
pub fn counted(home: &Kernel, key: ObjectKey) -> i64 {
    let text = home.scenario(key).unwrap().unwrap();
    let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
    text["model"]["count"].as_i64().unwrap()
}

/// An action in its place of a lane.
pub fn act(key: ObjectKey, sequence: u64, id: u128, name: &str, arguments: impl Into<Vec<u8>>) -> Act {
    let arguments: Vec<u8> = arguments.into();
    let (name, arguments) = (name.to_owned(), arguments.into());
    let action =
        Action { id: Uuid::from_u128(id), name, arguments, given: Vec::new(), acting: None, answers: None };
    let lane = key.into();
    let (remaining_ms, commit, void, certificate, guest) = (None, None, None, None, None);
    Act { lane, sequence, floor: 0, action, remaining_ms, commit, void, certificate, guest }
}

pub fn add(key: ObjectKey, sequence: u64, id: u128) -> Act {
    act(key, sequence, id, "add", ONE)
}

pub fn done(count: i64) -> Outcome {
    Outcome::Done(count.to_string().into_bytes().into())
}

impl Control {
    /// The next answer to an action.
    pub async fn hear_of_acts(&mut self) -> Frame {
        loop {
            let frame = self.hear().await.expect("an answer to an action");
            if matches!(frame, Frame::Outcome(_) | Frame::Missing(_)) {
                return frame;
            }
        }
    }

    /// Acts; what comes back is the outcome of just that.
    pub async fn act(&mut self, act: &Act) -> Outcome {
        self.say(&Frame::Act(act.clone())).await;
        match self.hear_of_acts().await {
            Frame::Outcome(ActOutcome { lane: LaneName { key, .. }, sequence, id, outcome, .. }) => {
                assert_eq!((key, sequence, id), (act.lane.key, act.sequence, act.action.id), "{outcome:?}");
                outcome
            }
            other => panic!("{other:?} is no outcome of {act:?}"),
        }
    }
}

#[test]
fn a_gap_is_asked_for_and_nothing_behind_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        assert_eq!(s.control.act(&add(key, 1, 1)).await, done(1));
        for sequence in [3, 4, 1000, LAST] {
            s.control.say(&Frame::Act(add(key, sequence, 1000 + u128::from(sequence)))).await;
            assert_eq!(s.control.hear_of_acts().await, Frame::Missing(Missing { lane: key.into(), from: 2 }));
        }
        assert_eq!(s.counted(key), 1);
        // Others are not held up by the gap, and what fills it runs once.
        s.bob_finds(key, 1).await;
        assert_eq!(s.control.act(&add(key, 2, 2)).await, done(3));
        assert_eq!(s.control.act(&add(key, 3, 3)).await, done(4));
        assert_eq!(s.control.act(&add(key, 2, 2)).await, done(3));
        assert_eq!(s.counted(key), 4);
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn another_action_in_a_known_place_gets_no_answer_runs_nothing_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let first = add(key, 1, 1);
        assert_eq!(s.control.act(&first).await, done(1));
        let mut events = s.alice.watch().stream().unwrap();
        let acting = Some(nowhere(1));
        let others = [
            add(key, 1, 2),
            act(key, 1, 1, "add", r#"{"by": 2}"#),
            act(key, 1, 1, "add", r#"{"by":1}"#),
            act(key, 1, 1, "get", ONE),
            Act { action: Action { acting, ..first.action.clone() }, ..first.clone() },
            Act { remaining_ms: Some(0), ..add(key, 1, 3) },
            Act { floor: u64::MAX, ..act(key, 1, 4, "", "no JSON") },
        ];
        for other in &others {
            s.control.say(&Frame::Act(other.clone())).await;
        }
        // What comes next is the answer to what was sent after all of them.
        assert_eq!(s.control.act(&first).await, done(1));
        assert_eq!(s.counted(key), 1);
        let mut forked = 0;
        while forked < others.len() {
            let happened = within("an event", events.next()).await.unwrap().unwrap();
            if let Event::LaneForked { peer, key: lane, sequence, .. } = happened.event {
                let expected = (s.mallory.id().to_string(), once::api::contract::key_text(&key), 1);
                assert_eq!((peer, lane, sequence), expected);
                forked += 1;
            }
        }
        assert_eq!(s.control.act(&add(key, 2, 2)).await, done(2));
        // The same place in bob's lane is another one.
        s.bob_finds(key, 2).await;
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn half_an_act_never_runs_and_the_whole_one_runs_once_on_whatever_connection() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let whole = framed(&Frame::Act(add(key, 1, 1)).encode());
        for cut in [1, 4, 5, whole.len() / 2, whole.len() - 1] {
            s.control.lane.send.write_all(&whole[..cut]).await.unwrap();
            s.control.lane.send.finish().unwrap();
            assert!(s.control.closed().await.is_some(), "cut after {cut}");
            s.control = s.mallory.return_to(&s.alice, 2).await;
        }
        assert_eq!(s.counted(key), 0);
        // Whole, and gone before the outcome comes: asked for again on the next connection.
        for boot in 3..13 {
            s.control.lane.send.write_all(&whole).await.unwrap();
            s.control.connection.close(0_u32.into(), b"");
            s.control = s.mallory.return_to(&s.alice, boot).await;
        }
        assert_eq!(s.control.act(&add(key, 1, 1)).await, done(1));
        assert_eq!(s.counted(key), 1);
        s.bob_finds(key, 1).await;
        still_works(&s.alice, &s.bob, 9).await;
    });
}

/// What is said of an act, without the name of its object.
async fn said_of(control: &mut Control, act: &Act) -> Vec<u8> {
    control.say(&Frame::Act(act.clone())).await;
    match control.hear_of_acts().await {
        Frame::Outcome(told) => {
            assert_eq!(told.lane.key, act.lane.key);
            Frame::Outcome(ActOutcome { lane: nowhere(0).into(), ..told }).encode()
        }
        Frame::Missing(told) => Frame::Missing(Missing { lane: nowhere(0).into(), ..told }).encode(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_object_without_a_right_and_one_that_is_nowhere_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::new(dir.path()).await;
        // It may read one counter, and no more.
        let only = serde_json::json!({ "component": "Counter", "actions": ["get"] });
        s.grant(s.mallory.id(), only).await;
        let home = s.counter(1).await;
        let unclaimed = s.alice.import(note(2, "unclaimed")).await.unwrap().0.key();
        let large = s.alice.import(note(3, &"x".repeat(200_000))).await.unwrap().0.key();
        let gone = s.alice.import(note(4, "gone")).await.unwrap().0.key();
        let gone = s.alice.claim(gone).await.unwrap().0.key();
        s.alice.remove(gone).await.unwrap();
        let replica = s.bob.import(note(5, "bob's")).await.unwrap().0.key();
        let replica = s.bob.claim(replica).await.unwrap().0.key();
        within("a share", s.bob.share(replica).to(s.alice.id()).delivered()).await.unwrap();
        for (n, there) in [home, unclaimed, large, gone, replica].into_iter().enumerate() {
            let line = match there.line {
                Line::Unclaimed(_) => Line::Unclaimed(Hash::from_bytes([n as u8; 32])),
                Line::Claimed(_) => Line::Claimed(Lineage::from_bytes([n as u8; 32])),
            };
            let absent = ObjectKey { uuid: Uuid::from_u128(n as u128), line };
            let shapes: [&dyn Fn(ObjectKey) -> Act; 8] = [
                &|key| add(key, 1, 1),
                &|key| act(key, 1, 1, "replace", r#"{"at":"/text","with":1}"#),
                &|key| act(key, 1, 2, "", "no JSON"),
                &|key| act(key, 1, 2, "add", vec![b'1'; 2 * ARGUMENTS_MAX_BYTES]),
                &|key| Act { remaining_ms: Some(0), ..add(key, 1, 3) },
                &|key| add(key, 2, 4),
                &|key| Act { floor: 7, ..add(key, 7, 5) },
                &|key| Act { floor: u64::MAX, ..add(key, LAST, 6) },
            ];
            for (shape, asked) in shapes.iter().enumerate() {
                let heard = [
                    said_of(&mut s.control, &asked(there)).await,
                    said_of(&mut s.control, &asked(absent)).await,
                ];
                assert_eq!(heard[0], heard[1], "object {n}, act {shape}");
            }
            // Of these nothing is said, whatever is there: the next that is heard is the outcome of an act after them.
            for (key, sequence) in [there, absent].into_iter().flat_map(|key| NO_PLACES.map(|n| (key, n))) {
                s.control.say(&Frame::Act(Act { floor: u64::MAX, ..add(key, sequence, 7) })).await;
            }
            assert_eq!(s.control.act(&add(nowhere(n as u8), 1, 8)).await, Outcome::Refused(Code::Denied));
        }
        assert_eq!(s.counted(home), 0);
        // What it may do it may do, in a place that its floor has not passed.
        let later = Act { floor: 100, ..act(home, 100, 9, "get", "null") };
        assert_eq!(s.control.act(&later).await, done(0));
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn absurd_numbers_harm_only_the_lane_in_which_they_come() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        const MAX: u64 = u64::MAX;
        /// Sequence, floor, and whether it runs; `None` is silence, else where the gap begins.
        type Said = (u64, u64, Result<(), Option<u64>>);
        let stories: &[&[Said]] = &[
            // Below the first place there is none.
            &[(0, 0, Err(None)), (0, MAX, Err(None)), (1, 0, Ok(()))],
            &[(LAST, 0, Err(Some(1))), (LAST, 1, Err(Some(1))), (LAST, 5, Err(Some(5))), (1, 0, Ok(()))],
            // Those of built-in actions are no peer's, also where they would be next or the floor passes the others.
            &[
                (1, 0, Ok(())),
                (LAST + 1, 0, Err(None)),
                (MAX, MAX, Err(None)),
                (LAST + 2, LAST + 2, Err(None)),
                (2, 0, Ok(())),
            ],
            &[(LAST, LAST, Ok(())), (LAST + 1, 0, Err(None)), (LAST + 1, MAX, Err(None)), (LAST, 0, Ok(()))],
            // The floor passes everything: its own lane is at its end.
            &[(LAST, MAX, Ok(())), (1, 0, Err(None)), (LAST - 1, MAX, Err(None)), (2, 2, Err(None))],
            // The floor is above the sequence that it comes with, or falls.
            &[(1, MAX, Ok(())), (2, MAX, Ok(())), (3, 0, Ok(())), (5, 0, Err(Some(4))), (4, 1, Ok(()))],
            &[(LAST - 1, MAX, Ok(())), (LAST, 0, Ok(())), (LAST, 0, Ok(()))],
            &[(7, 7, Ok(())), (6, 0, Err(None)), (9, 8, Err(Some(8))), (9, 9, Ok(())), (8, 0, Err(None))],
        ];
        let mut counters = Vec::new();
        for (n, said) in stories.iter().enumerate() {
            let key = s.counter(n).await;
            let mut ran = Vec::new();
            for (sequence, floor, answer) in *said {
                let commit = Some(MAX);
                let act = Act { floor: *floor, commit, ..add(key, *sequence, u128::from(*sequence)) };
                match answer {
                    Ok(()) => {
                        if !ran.contains(sequence) {
                            ran.push(*sequence);
                        }
                        let place = ran.iter().position(|known| known == sequence).unwrap();
                        assert_eq!(s.control.act(&act).await, done(place as i64 + 1), "{n}: {act:?}");
                    }
                    Err(answer) => {
                        s.control.say(&Frame::Act(act)).await;
                        if let Some(from) = *answer {
                            let missing = Frame::Missing(Missing { lane: key.into(), from });
                            assert_eq!(s.control.hear_of_acts().await, missing, "{n}: {sequence} {floor}");
                        }
                    }
                }
            }
            // Whatever gets no answer gets none, also later: this is the next that is heard.
            let last = Act { remaining_ms: Some(MAX), ..add(nowhere(n as u8 + 1), 1, 1) };
            assert_eq!(s.control.act(&last).await, Outcome::Refused(Code::Denied), "{n}");
            assert_eq!(s.counted(key), ran.len() as i64, "{n}");
            s.bob_finds(key, ran.len() as i64).await;
            counters.push((key, ran.len() as i64 + 1));
        }
        // A new life of its data begins new lanes.
        let life = Incarnation::from_bytes([8; 16]);
        let mut control = s
            .mallory
            .return_saying(&s.alice, Greeting { progress: progress(life, 2, &s.mallory.key), ..greeting(2) })
            .await;
        for (key, count) in counters {
            assert_eq!(control.act(&add(key, 1, 1)).await, done(count + 1));
            assert_eq!(s.counted(key), count + 1);
        }
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn actions_beyond_the_limits_are_refused_for_good_and_the_lane_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let mut s = Story::with_right(dir.path()).await;
        let key = s.counter(1).await;
        let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
        let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        let given = |count: usize| vec![Given { key, content: Hash::from_bytes([1; 32]) }; count];
        let said = |name: &str, arguments: &[u8], count: usize| {
            let act = act(key, 0, 0, name, arguments);
            Act { action: Action { given: given(count), ..act.action }, ..act }
        };
        let too_large = [
            said("add", string(ARGUMENTS_MAX_BYTES + 1).as_bytes(), 0),
            said("add", string(4 * ARGUMENTS_MAX_BYTES - 1000).as_bytes(), 0),
            said("add", &vec![b'['; ARGUMENTS_MAX_BYTES + 1], 0),
            said(&"n".repeat(NAME_MAX_BYTES + 1), ONE.as_bytes(), 0),
            said(&"n".repeat(200_000), ONE.as_bytes(), 0),
            said("add", ONE.as_bytes(), GIVEN_MAX + 1),
            said("add", ONE.as_bytes(), 2000),
            // The component says no, and says what it got: that is no outcome.
            said("add", string(ARGUMENTS_MAX_BYTES).as_bytes(), 0),
        ];
        let invalid = [
            said("add", b"", 0),
            said("add", b" ", 0),
            said("add", b"{\"by\": 1", 0),
            said("add", b"{\"by\": 1} {}", 0),
            said("add", b"{\"by\": NaN}", 0),
            said("add", b"\xef\xbb\xbf{\"by\": 1}", 0),
            said("add", b"{\"by\": 1, \"x\": \"\xff\"}", 0),
            said("add", &[0; 1000], 0),
            said("add", nested(JSON_MAX_DEPTH + 1).as_bytes(), 0),
            said("add", nested(ARGUMENTS_MAX_BYTES / 2).as_bytes(), 0),
            said("add", &vec![b'['; ARGUMENTS_MAX_BYTES], 0),
            said("", ONE.as_bytes(), 0),
        ];
        let unknown = [said("\u{1b}[2J\n", b"{}", 0), said(&"n".repeat(NAME_MAX_BYTES), ONE.as_bytes(), 0)];
        let fails = [
            said("add", nested(JSON_MAX_DEPTH).as_bytes(), 0),
            said("add", string(1000).as_bytes(), 0),
            said("add", b"{\"by\": 1e999}", 0),
            said("add", b"{\"by\": 9223372036854775808}", 0),
            said("add", b"{\"by\": 1, \"by\": 2}", 0),
        ];
        let mut sequence = 0;
        for (acts, outcome) in [
            (&too_large[..], Some(Code::TooLarge)),
            (&invalid, Some(Code::Invalid)),
            (&unknown, None),
            (&fails, None),
        ] {
            for act in acts {
                sequence += 1;
                let mut act = Act { sequence, ..act.clone() };
                act.action.id = Uuid::from_u128(u128::from(sequence));
                let heard = s.control.act(&act).await;
                let shown = act.action.name.len() + act.action.arguments.len();
                match outcome {
                    Some(code) => assert_eq!(heard, Outcome::Refused(code), "{sequence}, {shown} bytes"),
                    None => assert!(matches!(heard, Outcome::Failed(_)), "{sequence}: {heard:?}"),
                }
                // It stays what it is, and what failed for its arguments is no gap.
                assert_eq!(s.control.act(&act).await, heard);
            }
        }
        assert_eq!(s.counted(key), 0);
        assert_eq!(s.control.act(&add(key, sequence + 1, 1)).await, done(1));
        // At the very limits it runs.
        let padded = format!("{ONE}{}", " ".repeat(ARGUMENTS_MAX_BYTES - ONE.len()));
        assert_eq!(s.control.act(&act(key, sequence + 2, 2, "add", padded)).await, done(2));
        s.bob_finds(key, 2).await;
        still_works(&s.alice, &s.bob, 9).await;
    });
}
