//! A real kernel under a flood of actions from a peer that does not keep to the protocol: what it costs, what others
//! notice, and what the log says.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../once/tests/raw/mod.rs"]
mod raw;
mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use once::{ObjectKey, Ticket};
use once_model::action::{Act, ActOutcome, Action, Missing, Outcome};
use once_model::ids::{Secret, Uuid};
use once_model::ior::Ior;
use once_model::wire::{Frame, Greeting};
use raw::{Control, Raw, framed, greeting};
use serde_json::json;
use support::acts::{add, counted, counter, id, object_at};
use support::{Daemon, Place, befriend, scale, story};

/// What a flood may cost the kernel in memory, in KiB.
const MEMORY_MAX_KIB: u64 = 96 * 1024;

/// Lines in the log for one peer, whatever it does, in a second.
const LINES_PER_SECOND: u64 = 20;

/// Honest actions, one after the other, in each part of the story.
const HONEST: u64 = 150;

/// As a daemon logs that nobody asked to say more, and as with `-v`.
const QUIET: &[&str] = &["env", "-u", "ONCE_LOG"];
const VERBOSE: &[&str] = &["env", "ONCE_LOG=warn,once=info,once_core=info,once_store=info"];

/// Alice, bob who may act there, and how mallory may get in.
async fn kernels(place: &Place, log: &[&str]) -> (Daemon, Daemon) {
    for name in ["alice", "bob"] {
        place.init(name);
    }
    let (alice, bob) = (place.up_in(log, "alice").await, place.up("bob").await);
    befriend(&alice, &bob).await;
    alice.call("grant", json!({ "peer": "bob", "right": "act" })).await.unwrap();
    (alice, bob)
}

/// A peer of a daemon without an engine.
struct Mallory {
    raw: Raw,
    door: Ticket,
    boot: u8,
}

impl Mallory {
    async fn join(alice: &Daemon) -> (Self, Control) {
        let ticket = alice.call("invite", json!({ "name": "mallory" })).await.unwrap();
        let door: Ticket = ticket["ticket"].as_str().unwrap().parse().unwrap();
        let mut mallory = Self { raw: Raw::new().await, door, boot: 0 };
        let secret = mallory.door.secret();
        let control = mallory.greet(Some(secret)).await;
        (mallory, control)
    }

    async fn greet(&mut self, invite: Option<Secret>) -> Control {
        self.boot = self.boot.wrapping_add(1);
        let connection = self.raw.connect_at(self.door.kernel(), self.door.addresses()).await;
        Control::greet(connection, self.raw.signed(Greeting { invite, ..greeting(self.boot) })).await
    }
}

fn act(key: ObjectKey, sequence: u64, id: u64, by: u64) -> Frame {
    let arguments = format!("{{\"by\": {by}}}").into();
    let id = Uuid::from_u128(u128::from(id));
    let action = Action { id, name: "add".into(), arguments, given: Vec::new(), acting: None, answers: None };
    let lane = key.into();
    let (remaining_ms, commit, void, certificate, guest) = (None, None, None, None, None);
    Frame::Act(Act { lane, sequence, floor: 0, action, remaining_ms, commit, void, certificate, guest })
}

fn key_of(ior: &str) -> ObjectKey {
    let ior: Ior = ior.parse().unwrap();
    ObjectKey { uuid: ior.uuid().unwrap(), line: ior.line().unwrap() }
}

/// How long bob waits for each of his actions, in microseconds; and how many of mallory's ran on her counter meanwhile.
#[derive(Default)]
struct Honest {
    waited: Vec<u128>,
    passed: u64,
}

impl Honest {
    async fn act(&mut self, alice: &Daemon, bob: &Daemon, [bobs, hers]: [&str; 2], first: u64) {
        for n in first..first + HONEST {
            let ran = counted(alice, hers).await;
            let begun = Instant::now();
            let one = bob.call("act", add(bobs, &id(n))).await.unwrap();
            self.waited.push(begun.elapsed().as_micros());
            assert_eq!(one["result"], n + 1);
            self.passed = self.passed.max(counted(alice, hers).await - ran);
        }
    }

    /// The median, the 99th of a hundred, and the longest.
    fn shown(mut self) -> String {
        self.waited.sort_unstable();
        let at = |hundredths: usize| self.waited[(self.waited.len() - 1) * hundredths / 100];
        format!("p50 {} us, p99 {} us, max {} us", at(50), at(99), at(100))
    }
}

async fn memory_kib(kernel: &Daemon) -> u64 {
    let pid = kernel.status().await["pid"].to_string();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    rss.split_whitespace().next().unwrap().parse().unwrap()
}

fn say(what: &str) {
    // Also where nobody shows what tests print.
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// What mallory sends: every other frame is an action of hers in its order, the rest has no business there.
fn nonsense(key: ObjectKey, n: u64) -> Vec<u8> {
    let nowhere = raw::nowhere(n as u8);
    let outcome = || ActOutcome {
        lane: key.into(),
        sequence: n,
        id: Uuid::from_u128(u128::from(n)),
        outcome: Outcome::Done("1".into()),
        after: None,
        commit: Some(u64::MAX),
        certificate: None,
    };
    framed(&match n % 16 {
        1 => act(key, 1, n, 2).encode(),
        3 => act(key, n + 1_000_000, n, 1).encode(),
        5 => act(nowhere, 1, n, 1).encode(),
        7 => act(key, u64::MAX, n, 1).encode(),
        9 => Frame::Outcome(outcome()).encode(),
        11 => Frame::Missing(Missing { lane: key.into(), from: n }).encode(),
        13 => Frame::Missing(Missing { lane: nowhere.into(), from: 0 }).encode(),
        // A frame of a number that nobody knows.
        15 => vec![0x82, 0x18, 99, 0x80],
        _ => act(key, n / 2 + 1, n / 2 + 1, 1).encode(),
    })
}

/// Sends that without end and reads nothing; how many frames were taken.
async fn flood(mut mallory: Mallory, mut control: Control, key: ObjectKey, over: Arc<AtomicBool>) -> u64 {
    const AT_ONCE: u64 = 20;
    let (mut sent, mut next) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let few: Vec<u8> = (next..next + AT_ONCE).flat_map(|n| nonsense(key, n)).collect();
        let taken = tokio::time::timeout(Duration::from_secs(2), control.lane.send.write_all(&few)).await;
        match taken {
            Ok(Ok(())) => (sent, next) = (sent + AT_ONCE, next + AT_ONCE),
            // Nothing more is taken: from the beginning, on a new connection.
            _ => (control, next) = (mallory.greet(None).await, 0),
        }
    }
    sent
}

/// What was written to the log between two moments.
struct Log<'k> {
    kernel: &'k Daemon,
    lines: usize,
    since: Instant,
}

impl<'k> Log<'k> {
    fn of(kernel: &'k Daemon) -> Self {
        Self { kernel, lines: kernel.log().lines().count(), since: Instant::now() }
    }

    /// How many lines and in how long; fails if those are too many for one peer.
    fn is_readable(&self) -> String {
        let (log, seconds) = (self.kernel.log(), self.since.elapsed().as_secs_f64());
        let said: Vec<_> = log.lines().skip(self.lines).collect();
        let shown = format!("{} lines in {seconds:.1} s", said.len());
        let most = LINES_PER_SECOND * (2 + self.since.elapsed().as_secs());
        assert!(said.len() as u64 <= most, "{shown}, like {:#?}", &said[..said.len().min(6)]);
        shown
    }
}

#[test]
fn a_flood_of_acts_costs_only_so_much_and_others_are_served_and_the_log_stays_readable() {
    for log in [QUIET, VERBOSE] {
        story(async {
            let place = Place::new();
            let (alice, bob) = kernels(&place, log).await;
            let (target, bobs) =
                (object_at(&alice, &counter(1), true).await, object_at(&alice, &counter(2), true).await);
            let both = [bobs.as_str(), target.as_str()];
            let (mut quiet, mut beside) = (Honest::default(), Honest::default());
            quiet.act(&alice, &bob, both, 0).await;
            let (mallory, control) = Mallory::join(&alice).await;
            alice.call("grant", json!({ "peer": "mallory", "right": "act" })).await.unwrap();
            let (memory, log) = (memory_kib(&alice).await, Log::of(&alice));
            let over = Arc::new(AtomicBool::new(false));
            let flooded = tokio::spawn(flood(mallory, control, key_of(&target), Arc::clone(&over)));
            let (rounds, mut grown) = (2 * scale() as u64, 0);
            for round in 1..=rounds {
                beside.act(&alice, &bob, both, HONEST * round).await;
                grown = memory_kib(&alice).await.saturating_sub(memory).max(grown);
            }
            over.store(true, Ordering::Relaxed);
            let (sent, lines) = (flooded.await.unwrap(), log.is_readable());
            let (ran, passed) = (counted(&alice, &target).await, beside.passed);
            say(&format!(
                "flood: {sent} frames, {ran} ran, at most {passed} beside one honest action, {grown} KiB more, {lines}; \
                 an honest action before: {}; beside it: {}",
                quiet.shown(),
                beside.shown()
            ));
            assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB");
            assert_eq!(counted(&alice, &bobs).await, HONEST * (1 + rounds));
        });
    }
}

#[test]
fn a_peer_that_comes_and_goes_without_end_does_not_fill_the_log() {
    story(async {
        let place = Place::new();
        let (alice, _bob) = kernels(&place, QUIET).await;
        let (mut mallory, _) = Mallory::join(&alice).await;
        let log = Log::of(&alice);
        while log.since.elapsed().as_secs() < 5 {
            let mut control = mallory.greet(None).await;
            let _ = control.lane.send.write_all(&framed(&nonsense(raw::nowhere(1), 0))[..20]).await;
        }
        say(&log.is_readable());
    });
}

#[test]
fn a_peer_that_shares_what_is_invalid_does_not_fill_the_log() {
    story(async {
        let place = Place::new();
        let (alice, _bob) = kernels(&place, VERBOSE).await;
        let (_mallory, mut control) = Mallory::join(&alice).await;
        let mut parcel = raw::unclaimed(&raw::note(1, "x"));
        parcel.header.revision = 5;
        let log = Log::of(&alice);
        for _ in 0..2000 {
            control.say(&Frame::Share(parcel.clone())).await;
        }
        let mut answers = 0;
        while answers < 2000 {
            answers += usize::from(matches!(control.hear().await, Some(Frame::Shared(_))));
        }
        say(&log.is_readable());
    });
}
