//! A peer that acts more than it should: it pays for that itself, and others are still served.

use std::future::IntoFuture;
use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use once::{Component, Context, ErrorKind, Kernel, ObjectKey};
use once_model::action::{Act, ActOutcome, Outcome};
use once_model::ids::{Line, Lineage, Uuid};
use once_model::limits::{WAITING_ACT_BYTES, WAITING_OF_PEER_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::wire::{Code, Frame};

use super::acts::{ONE, Story, act, add, done};
use crate::raw::*;

/// What one peer may cost in memory, in KiB: its windows, what waits for the engine or to be written, and the allocator's
/// slack.
pub const MEMORY_MAX_KIB: u64 = 160 * 1024;

/// Nothing more is taken from who does not read.
const NOTHING_MORE: Duration = Duration::from_secs(3);

/// Acts until nothing more is taken: how many were. QUIC may give up the connection of who does not read: that is an end
/// as well.
pub async fn flood(control: &mut Control, acts: impl Iterator<Item = Act>) -> usize {
    const AT_ONCE: usize = 50;
    let mut sent = 0;
    let mut acts = acts.peekable();
    while acts.peek().is_some() {
        let few = acts.by_ref().take(AT_ONCE).flat_map(|act| framed(&Frame::Act(act).encode()));
        let few: Vec<u8> = few.collect();
        match tokio::time::timeout(NOTHING_MORE, control.lane.send.write_all(&few)).await {
            Ok(Ok(())) => sent += AT_ONCE,
            _ => break,
        }
    }
    sent
}

/// How long an honest peer waits for each of its actions, in microseconds: the median and the 99th of a hundred.
async fn honest(bob: &Kernel, alice: &Kernel, key: ObjectKey, times: usize) -> (u128, u128) {
    let mut waited = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        let one = bob.act_on(key, Some(alice.id()), "add", ONE);
        within("an honest action", one.into_future()).await.unwrap();
        waited.push(begun.elapsed().as_micros());
    }
    waited.sort_unstable();
    (waited[times / 2], waited[times * 99 / 100])
}

pub fn say(what: &str) {
    // Also where nobody shows what tests print.
    let _ = writeln!(std::io::stderr(), "{what}");
}

#[test]
fn a_peer_that_acts_and_never_reads_the_outcomes_is_no_longer_read_from() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let mut s = Story::with_right(dir.path()).await;
        let (key, bobs) = (s.counter(1).await, s.counter(2).await);
        let quiet = honest(&s.bob, &s.alice, bobs, 200).await;
        let before = of_this_process("VmRSS");
        let acts = 200_000;
        let all = (1..=acts).map(|n| add(key, n, u128::from(n)));
        let (sent, flooded) = tokio::join!(flood(&mut s.control, all), honest(&s.bob, &s.alice, bobs, 200));
        assert!(sent < acts as usize, "everything was taken");
        let grown = of_this_process("VmRSS").saturating_sub(before);
        say(&format!(
            "flood of acts: {sent} taken, {grown} KiB more; an honest action before: p50 {} us, p99 {} us; beside it: \
             p50 {} us, p99 {} us",
            quiet.0, quiet.1, flooded.0, flooded.1
        ));
        assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB for {sent} acts");
        assert_eq!(s.counted(bobs), 400);
        // Each that was taken ran once, and its outcome is there to be read; on a new connection it is to be had again.
        let mut heard = 0;
        while s.control.connection.close_reason().is_none() && heard < sent as u64 {
            let Some(frame) = s.control.hear().await else { break };
            if let Frame::Outcome(told) = frame {
                heard += 1;
                assert_eq!((told.sequence, told.outcome), (heard, done(heard as i64)));
            }
        }
        let mut control = s.mallory.return_to(&s.alice, 2).await;
        let last = u64::try_from(s.counted(key)).unwrap();
        assert!(last >= heard, "{heard} outcomes of {last} actions");
        for n in (1..=last).step_by(500).chain([last, last + 1]) {
            assert_eq!(control.act(&add(key, n, u128::from(n))).await, done(n as i64));
        }
        assert_eq!(s.counted(key), last as i64 + 1);
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn results_that_are_asked_for_again_and_never_read_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let mut s = Story::with_right(dir.path()).await;
        let text = note(1, &"x".repeat(60_000));
        let key = s.alice.import(text).await.unwrap().0.key();
        let key = s.alice.claim(key).await.unwrap().0.key();
        let get = act(key, 1, 1, "get", "null");
        assert!(matches!(s.control.act(&get).await, Outcome::Done(model) if model.len() > 60_000));
        let before = of_this_process("VmRSS");
        // 60 KB come back for each of these 130 bytes.
        let sent = flood(&mut s.control, std::iter::repeat_n(get, 100_000)).await;
        let grown = of_this_process("VmRSS").saturating_sub(before);
        say(&format!("flood of large results: {sent} acts taken, {grown} KiB more"));
        assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB for {sent} acts");
        still_works(&s.alice, &s.bob, 9).await;
    });
}

#[test]
fn a_flood_without_a_right_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let mut s = Story::new(dir.path()).await;
        let key = s.counter(1).await;
        let written = || s.alice.status().unwrap().commit;
        let (before, memory) = (written(), of_this_process("VmRSS"));
        let nowhere = |n: u64| ObjectKey {
            uuid: Uuid::from_u128(u128::from(n)),
            line: Line::Claimed(Lineage::from_bytes([1; 32])),
        };
        // Known and unknown objects, in their order and with gaps, in lanes without number.
        let acts = (1..50_000_u64).map(|n| match n % 4 {
            0 => add(key, 1, u128::from(n)),
            1 => add(key, n, u128::from(n)),
            2 => Act { floor: n, ..add(key, n, u128::from(n)) },
            _ => add(nowhere(n), 1, u128::from(n)),
        });
        let sent = flood(&mut s.control, acts).await;
        let grown = of_this_process("VmRSS").saturating_sub(memory);
        assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB for {sent} acts");
        assert_eq!((written(), s.counted(key)), (before, 0));
        s.bob_finds(key, 0).await;
        still_works(&s.alice, &s.bob, 9).await;
    });
}

/// A component whose action waits until it may go on, and says when it has begun.
struct Slow {
    go: mpsc::Sender<()>,
    begun: mpsc::Receiver<()>,
}

impl Slow {
    fn new() -> (Self, Component) {
        let ((go, wait), (begin, begun)) = (mpsc::channel(), mpsc::channel());
        let (wait, begin) = (Arc::new(Mutex::new(wait)), Arc::new(Mutex::new(begin)));
        let act = move |_: &mut serde_json::Value, (): (), _: &Context| {
            let _ = begin.lock().unwrap().send(());
            let _ = wait.lock().unwrap().recv();
            Ok::<_, ()>(1)
        };
        (Self { go, begun }, Component::of::<serde_json::Value>("Slow", "1.0").action("wait", act).into())
    }

    async fn begun(&self) {
        until("the action runs", || self.begun.try_recv().is_ok()).await;
    }
}

/// Alice with an object that is too large to be run on the engine's thread.
async fn with_a_slow_object(dir: &std::path::Path) -> (Story, Slow, ObjectKey) {
    let (slow, component) = Slow::new();
    let (alice, bob) = pair(dir).await;
    alice.stop().await.unwrap();
    let alice = Kernel::builder(dir.join("alice")).component(component).start().await.unwrap();
    let s = Story::of(dir, alice, bob).await;
    let text = note(1, &"x".repeat(100_000)).replace("Note", "Slow");
    let key = s.alice.import(text).await.unwrap().0.key();
    let key = s.alice.claim(key).await.unwrap().0.key();
    (s, slow, key)
}

#[test]
fn what_waits_for_one_object_is_bounded_and_others_are_served_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let (mut s, slow, key) = with_a_slow_object(dir.path()).await;
        s.grant(s.mallory.id(), serde_json::json!({})).await;
        s.control.say(&Frame::Act(act(key, 1, 1, "wait", "null"))).await;
        slow.begun().await;
        let before = of_this_process("VmRSS");
        // As large as what may wait: too large to run, but nobody has looked at that yet.
        let large = "1".repeat(80_000);
        let sent = flood(&mut s.control, (2..502).map(|n| act(key, n, u128::from(n), "wait", &*large))).await;
        assert_eq!(sent, 500, "they are read and dropped");
        let other = s.counter(2).await;
        assert_eq!(s.control.act(&add(other, 1, 1)).await, done(1));
        s.bob_finds(other, 1).await;
        let grown = of_this_process("VmRSS").saturating_sub(before);
        say(&format!("flood of a running object: {grown} KiB more"));
        assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB for {sent} acts");
        slow.go.send(()).unwrap();
        // What waited has its outcome; what did not fit was never promised.
        let waited = WAITING_OF_PEER_MAX_BYTES / (WAITING_ACT_BYTES + "wait".len() + large.len());
        for sequence in 1..=1 + waited as u64 {
            let outcome = if sequence == 1 { done(1) } else { Outcome::Refused(Code::TooLarge) };
            match s.control.hear_of_acts().await {
                Frame::Outcome(told) => assert_eq!((told.sequence, told.outcome), (sequence, outcome)),
                other => panic!("{other:?}"),
            }
        }
        drop(slow);
        still_works(&s.alice, &s.bob, 9).await;
    });
}

/// The outcome, if it comes within a few seconds.
async fn answered(control: &mut Control, asked: &Act) -> Option<Outcome> {
    let mine = |told: &ActOutcome| (told.lane.key, told.sequence) == (asked.lane.key, asked.sequence);
    let wait = async {
        loop {
            if let Frame::Outcome(told) = control.hear_of_acts().await
                && mine(&told)
            {
                return told.outcome;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.ok()
}

/// Not there and not allowed look alike, also while the object runs something.
#[test]
fn an_object_that_runs_looks_like_one_that_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (mut s, slow, key) = with_a_slow_object(dir.path()).await;
        let wait = s.bob.act_on(key, Some(s.alice.id()), "wait", "null");
        let waiting = tokio::spawn(wait.into_future());
        slow.begun().await;
        for asked in [add(nowhere(1), 1, 1), add(key, 1, 1)] {
            s.control.say(&Frame::Act(asked.clone())).await;
            let heard = answered(&mut s.control, &asked).await;
            assert_eq!(heard, Some(Outcome::Refused(Code::Denied)), "{}", asked.lane.key);
        }
        drop(slow);
        within("the honest action", waiting).await.unwrap().unwrap();
    });
}

/// The places in which actions wait for an object are for those who may act on it.
#[test]
fn who_may_not_act_takes_no_place_from_those_who_may() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (mut s, slow, key) = with_a_slow_object(dir.path()).await;
        let carol = Raw::new().await;
        let mut honest = carol.join(&s.alice).await;
        s.grant(carol.id(), serde_json::json!({})).await;
        honest.say(&Frame::Act(act(key, 1, 1, "wait", "null"))).await;
        slow.begun().await;
        for n in 1..=WINDOW_MAX_SHARES as u64 {
            let one = Act { floor: n, ..add(key, n, u128::from(n)) };
            assert_eq!(s.control.act(&one).await, Outcome::Refused(Code::Denied));
        }
        let second = act(key, 2, 2, "wait", "null");
        honest.say(&Frame::Act(second.clone())).await;
        assert_eq!(honest.act(&add(nowhere(1), 1, 1)).await, Outcome::Refused(Code::Denied));
        drop(slow);
        assert_eq!(answered(&mut honest, &second).await, Some(done(1)), "it was dropped");
    });
}

/// Whoever was refused often is refused again, and not left without an answer.
#[test]
fn an_honest_peer_is_refused_however_often_it_asks() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        for n in 1..=1100 {
            let line = Line::Claimed(Lineage::from_bytes([1; 32]));
            let key = ObjectKey { uuid: Uuid::from_u128(n), line };
            let one = bob.act_on(key, Some(alice.id()), "add", ONE).timeout(Duration::from_secs(25));
            let error = one.into_future().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{n}: {error}");
        }
    });
}
