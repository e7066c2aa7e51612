//! The traps (of QUIC, iroh, clocks, disks and JSON) that concern two kernels and their scenarios, one test each. Which is where:
//!
//! | trap | test |
//! |---|---|
//! | `connect()` is Ok and then denied | here; `hostile/strangers.rs` for what is said |
//! | a dead address: every dial has a deadline | here; `once-cli/tests/network.rs` for a machine that is gone |
//! | a killed peer is noticed within 6 s | `once-cli/tests/network.rs` |
//! | a peer restarts on the same key, calls are under way | `once-cli/tests/kill.rs`; `hostile/frames.rs` for the boot id |
//! | `close()` proves nothing | here |
//! | a flood of connections: counted before they cost something | `hostile/strangers.rs` |
//! | dialling oneself | here |
//! | two endpoints with one key | here; `once-cli/tests/kill.rs` for the locked directory |
//! | a restored backup | here |
//! | unread data of a peer; memory per peer, backlog on disk | `hostile/hogs.rs`; here |
//! | hostile JSON | here, through a kernel; `once-model` for the scanner |
//! | a fault of ours: the kernel ends with exit code 5 | `once-cli/tests/kill.rs` |
//! | SIGKILL cannot show a missing sync | `once-cli/tests/kill.rs`, `once-store/tests/processes.rs` |
//! | the journal's tail; after a failed sync never again | `once-store` |
//! | disk full | here |
//! | links out of an imported folder | `once-cli` |
//! | what a peer says is capped and escaped | here |
//!
//! 0-RTT is not used anywhere, the router of iroh neither; actions, components and edits come later.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use once::api::Client;
use once::{ErrorKind, Event, Kernel};
use once_model::wire::{Frame, Greeting, ShareAnswer, Shared};
use raw::*;
use serde_json::{Value, json};
use std::time::Duration;

async fn api(kernel: &Kernel, data: &Path) -> Client {
    kernel.serve_api().await.unwrap();
    Client::connect(data).await.unwrap().unwrap()
}

async fn doctor(client: &Client, about: &str) -> Value {
    let checks = client.call("doctor", json!({})).await.unwrap();
    let checks = checks["checks"].as_array().unwrap().clone();
    let said = checks.iter().find(|check| check["check"].as_str().unwrap().contains(about));
    said.unwrap_or_else(|| panic!("{checks:?}")).clone()
}

#[test]
fn a_connection_that_is_made_and_then_denied_is_none() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = (kernel(dir.path(), "alice").await, kernel(dir.path(), "bob").await);
        let client = api(&bob, &dir.path().join("bob")).await;
        let mut events = bob.watch().stream().unwrap();
        let add =
            json!({ "kernel": alice.id().to_string(), "addresses": alice.addresses(), "name": "alice" });
        client.call("peers.add", add).await.unwrap();
        // QUIC connects, alice does not know bob: it was never a connection to a peer.
        let reason = within("the denial", async {
            loop {
                match events.next().await.unwrap().unwrap().event {
                    Event::Connected { .. } => panic!("connected to a kernel that denies us"),
                    Event::Disconnected { reason, .. } => break reason,
                    _ => {}
                }
            }
        })
        .await;
        assert!(reason.contains("denied"), "{reason}");
        let peers = client.call("peers", json!({})).await.unwrap();
        assert_eq!(peers["peers"][0]["connected"], false);
        let said = doctor(&client, "peer alice").await;
        assert!(said["ok"] == false && said["message"].as_str().unwrap().contains("denied"), "{said}");
        assert!(said["hint"].as_str().unwrap().contains("invite"), "{said}");
        // Once alice knows bob too, it goes on by itself.
        let alices = api(&alice, &dir.path().join("alice")).await;
        alices.call("peers.add", json!({ "kernel": bob.id().to_string() })).await.unwrap();
        client.call("peers.dial", json!({ "peer": "alice", "timeout_ms": 60_000 })).await.unwrap();
    });
}

#[test]
fn a_kernel_of_the_protocol_before_is_refused_in_words_both_ways() {
    const FORMER: &[u8] = b"once/1";
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let client = api(&alice, &dir.path().join("alice")).await;
        let old = Raw::speaking(once_model::sign::KernelKey::from_bytes(&[8; 32]), FORMER).await;
        // It calls: let in as far as it takes to say why not, also as a stranger.
        let connection = old.connect_as(alice.id(), &alice.addresses(), FORMER).await;
        let ended = within("the refusal", connection.closed()).await;
        let iroh::endpoint::ConnectionError::ApplicationClosed(close) = ended else { panic!("{ended}") };
        assert_eq!(u64::from(close.error_code), 101);
        assert_eq!(close.reason, b"this kernel speaks once/2: upgrade yours"[..]);
        // It is called: what to do is said, no TLS error.
        let ticket =
            once::Ticket::new(old.id(), once_model::ids::Secret::from_bytes([1; 16]), vec![old.address()]);
        let answers = async {
            while let Some(incoming) = old.endpoint.accept().await {
                assert!(incoming.accept().is_err(), "they have no protocol in common");
            }
            unreachable!("the endpoint lives");
        };
        let refused = tokio::select! {
            refused = alice.join(&ticket) => refused.unwrap_err(),
            never = answers => never,
        };
        assert!(refused.message().contains("does not speak once/2: upgrade"), "{refused}");
        let peers = client.call("peers", json!({})).await.unwrap();
        let error = peers["peers"][0]["last_error"].as_str().unwrap().to_owned();
        assert!(error.contains("does not speak once/2: upgrade"), "{error}");
    });
}

#[test]
fn a_dead_address_is_given_up_within_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        // Somebody is there and never says a word.
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ticket = once::Ticket::new(
            once_model::sign::KernelKey::from_bytes(&[8; 32]).id(),
            once_model::ids::Secret::from_bytes([1; 16]),
            vec![silent.local_addr().unwrap().to_string()],
        );
        let begun = Instant::now();
        let refused = alice.join(&ticket).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert!(refused.message().contains("no answer from"), "the dial had its own deadline: {refused}");
        // Without one it would have been 30 s.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        // A request to it ends as well.
        let (object, _) = alice.import(note(1, "x")).await.unwrap();
        let request = alice.request(&object.ior(&[])).from(ticket.kernel());
        let error = request.timeout(std::time::Duration::from_secs(2)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_share_counts_when_it_is_answered_not_when_it_was_read_and_closed() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let (object, _) = alice.import(note(1, "owed")).await.unwrap();
        let delivered = tokio::spawn(alice.share(object.key()).to(mallory.id()).delivered());
        let owed = || alice.status().unwrap().owed;
        // The bytes arrive, the connection is closed in good order, three times. That is no answer.
        for boot in 2..5 {
            let Some(Frame::Share(parcel)) = control.hear().await else { panic!("no share") };
            assert_eq!(parcel.header.key(), object.key());
            let _ = control.lane.send.finish();
            control.connection.close(0_u32.into(), b"thank you");
            // The share may have been quicker than the commit of its debt.
            until("it is owed", || owed() == 1).await;
            assert!(!delivered.is_finished());
            control = mallory.return_to(&alice, boot).await;
        }
        let Some(Frame::Share(parcel)) = control.hear().await else { panic!("no share") };
        let (key, id) = (parcel.header.key(), parcel.header.id());
        // An answer about something else is none either.
        let wrong = once_model::ids::Hash::from_bytes([1; 32]);
        for (key, id) in [(nowhere(1), id), (key, wrong)] {
            control.say(&Frame::Shared(Shared { key, id, answer: ShareAnswer::Stored, commit: None })).await;
        }
        control.request(1, nowhere(2).uuid, None).await;
        assert!(owed() == 1, "settled by an answer about another revision");
        control.say(&Frame::Shared(Shared { key, id, answer: ShareAnswer::Stored, commit: None })).await;
        within("the delivery", delivered).await.unwrap().unwrap();
        until("nothing is owed", || owed() == 0).await;
        still_works(&alice, &bob, 9).await;
    });
}

/// A share that was asked for after a change is delivered when the change is there, not when the revision before is.
#[test]
fn delivered_means_the_revision_that_was_shared() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let (object, _) = alice.import(note(1, "0")).await.unwrap();
        let (object, _) = alice.claim(object.key()).await.unwrap();
        for n in 1..=400 * scale() {
            // On its way, and not waited for.
            alice.share(object.key()).to(bob.id()).await.unwrap();
            let text = note(1, &n.to_string());
            alice.put(object.key(), text.clone()).await.unwrap();
            within("a delivery", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
            let there = bob.scenario(object.key()).unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(&there), text, "after {n} changes");
        }
    });
}

#[test]
fn a_kernel_does_not_dial_itself() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let client = api(&alice, &dir.path().join("alice")).await;
        let (object, _) = alice.import(note(1, "mine")).await.unwrap();
        let me = alice.id();
        let ticket = alice.invite().await.unwrap();
        assert_eq!(alice.join(&ticket).await.unwrap_err().kind(), ErrorKind::Usage);
        let add = json!({ "kernel": me.to_string(), "addresses": alice.addresses() });
        assert_eq!(client.call("peers.add", add).await.unwrap_err().kind(), ErrorKind::Usage);
        assert!(alice.share(object.key()).to(me).await.is_err());
        assert!(alice.exchange(me).await.is_err());
        assert!(alice.follow(object.key(), me).await.is_err());
        assert!(alice.request(&object.ior(&[])).from(me).await.is_err());
        assert_eq!(client.call("peers", json!({})).await.unwrap()["peers"], json!([]));
        // The invite is still good for someone else.
        let bob = kernel(dir.path(), "bob").await;
        bob.join(&ticket).await.unwrap();
    });
}

#[test]
fn a_backup_that_was_put_back_is_noticed_at_the_first_contact() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.stop().await.unwrap();
        let (data, backup) = (dir.path().join("alice"), dir.path().join("backup"));
        copy(&data, &backup);
        let alice = start(dir.path(), "alice").await;
        alice.exchange(bob.id()).await.unwrap();
        // She goes on, on one connection: that she is further than the backup, bob learns from what she shares.
        for n in 0..20 {
            let (object, _) = alice.import(note(n, "after the backup")).await.unwrap();
            within("a delivery", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
        }
        alice.stop().await.unwrap();

        std::fs::remove_dir_all(&data).unwrap();
        copy(&backup, &data);
        let alice = start(dir.path(), "alice").await;
        let client = api(&alice, &data).await;
        quarantined(&client).await;
        // Nothing is run, and nothing leaves: bob keeps what he has. Bob's people hear of it, too.
        let refused = alice.import(note(99, "after the rollback")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Quarantined, "{refused}");
        let at_bob = api(&bob, &dir.path().join("bob")).await;
        within("bob's word", async {
            while !doctor(&at_bob, "peer").await["message"]
                .as_str()
                .unwrap()
                .contains("put back from a backup")
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        // It stays so through a restart, before anybody is met.
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        assert_eq!(alice.import(note(99, "again")).await.unwrap_err().kind(), ErrorKind::Quarantined);
        let client = api(&alice, &data).await;
        assert_eq!(client.call("status", json!({})).await.unwrap()["quarantined"], true);
        // Its people begin a new life. What is new is hers, what is old is read.
        client.call("quarantine.end", json!({})).await.unwrap();
        let (object, _) = alice.import(note(98, "a new life")).await.unwrap();
        within("a delivery", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
    });
}

/// Waits until a kernel knows that its data was put back.
async fn quarantined(client: &Client) {
    within("the quarantine", async {
        while doctor(client, "quarantine").await["ok"] == true {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let row = client.call("quarantine", json!({})).await.unwrap();
    assert!(!row["quarantine"]["shown"].as_array().unwrap().is_empty(), "{row}");
}

#[test]
fn a_backup_that_did_as_much_as_was_lost_is_noticed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.stop().await.unwrap();
        let (data, backup) = (dir.path().join("alice"), dir.path().join("backup"));
        copy(&data, &backup);
        let alice = start(dir.path(), "alice").await;
        let (object, _) = alice.import(note(1, "after the backup")).await.unwrap();
        within("a delivery", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
        std::fs::remove_dir_all(&data).unwrap();
        copy(&backup, &data);
        // Nobody can tell her yet, and she commits more than she lost.
        let alice = start(dir.path(), "alice").await;
        for n in 0..50 {
            alice.import(note(100 + n, "other")).await.unwrap();
        }
        let client = api(&alice, &data).await;
        assert_eq!(doctor(&client, "quarantine").await["ok"], true);
        let _bob = start(dir.path(), "bob").await;
        quarantined(&client).await;
    });
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// 1 MiB that a parser might turn into 100 MB.
fn hostile_documents() -> Vec<(&'static str, String)> {
    const MIB: usize = 1024 * 1024;
    let within = |inner: String| {
        format!(r#"{{"ior": {{"uuid": "00000001-f833-4909-a891-a75b183be4c8"}}, "model": {{"x": {inner}}}}}"#)
    };
    vec![
        ("deep arrays", within("[".repeat(MIB / 2) + &"]".repeat(MIB / 2))),
        ("deep objects", within(r#"{"a":"#.repeat(MIB / 8) + "1" + &"}".repeat(MIB / 8))),
        ("never closed", within("[".repeat(MIB))),
        ("half a million numbers", within(format!("[{}0]", "0,".repeat(MIB / 2)))),
        ("a third of a million empty objects", within(format!("[{}0]", "{},".repeat(MIB / 3)))),
        ("one key, often", within(format!("{{{}\"a\":0}}", "\"a\":0,".repeat(MIB / 6)))),
        ("a number of a million digits", within("9".repeat(MIB))),
        ("an exponent of a million digits", within(format!("1e{}", "9".repeat(MIB)))),
        ("a string of escapes", within(format!("\"{}\"", "\\u0041".repeat(MIB / 6)))),
        (
            "strings that look like references",
            within(format!(
                "[{}0]",
                "\"ior:http://h/C/1/0a1b2c3d-0000-4000-8000-000000000001\",".repeat(MIB / 55)
            )),
        ),
        ("UUIDs", within(format!("[{}0]", "\"0a1b2c3d-0000-4000-8000-000000000001\",".repeat(MIB / 39)))),
        ("spaces", within(" ".repeat(MIB) + "1")),
    ]
}

#[test]
fn hostile_json_costs_little_memory() {
    /// A few copies of the document and the allocator's slack; a tree of its values would be 30 to 100 MB more.
    const MEMORY_MAX_KIB: u64 = 48 * 1024;
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let (alice, bob) = pair(dir.path()).await;
        let client = api(&alice, &dir.path().join("alice")).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        // The buffers that everything needs once.
        alice.import(note(7, &"x".repeat(1024 * 1024))).await.unwrap();
        for (what, text) in hostile_documents() {
            let peak = forget_peak();
            let kept = alice.import(text.clone()).await;
            if let Ok((object, _)) = &kept {
                assert_eq!(alice.scenario(object.key()).unwrap().unwrap(), text.as_bytes(), "{what}");
                let uuid = object.uuid().to_string();
                client.call("get", json!({ "object": uuid, "bytes": false })).await.unwrap();
                client.call("refs", json!({ "object": uuid })).await.unwrap();
                within("a delivery", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
                alice.remove(object.key()).await.unwrap();
            }
            if let Some(before) = peak {
                let grown = of_this_process("VmHWM").saturating_sub(before);
                assert!(grown < MEMORY_MAX_KIB, "{what}: grown by {grown} KiB");
            }
        }
        // What a peer sends is read as carefully.
        for (what, text) in hostile_documents() {
            let text = text.replace(&"[".repeat(1000), "[").replace(&" ".repeat(1000), " ");
            let small: String = text.chars().take(200_000).collect();
            let content = once_model::hash::content_hash(small.as_bytes());
            let mut parcel = unclaimed(&note(1, "x"));
            (parcel.header.content, parcel.header.size) = (content, small.len() as u64);
            parcel.body = Some(small.into());
            let answer = control.share(parcel).await;
            assert!(matches!(answer, ShareAnswer::Refused(_)), "{what}: {answer:?}");
        }
        still_works(&alice, &bob, 9).await;
    });
}

/// Resident memory now, from which the peak is counted again; `None` where that cannot be had.
fn forget_peak() -> Option<u64> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    Some(of_this_process("VmRSS"))
}

#[test]
fn what_an_absent_peer_is_owed_waits_on_disk_not_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let (alice, bob) = pair(dir.path()).await;
        let bob_id = bob.id();
        bob.stop().await.unwrap();
        let count = 2_000 * scale();
        let mut keys = Vec::new();
        for n in 0..count {
            keys.push(alice.import(note(n, &"x".repeat(20_000))).await.unwrap().0.key());
        }
        let before = of_this_process("VmRSS");
        for key in &keys {
            alice.share(*key).to(bob_id).await.unwrap();
        }
        assert_eq!(alice.status().unwrap().owed, count as u64);
        // 40 MB of scenarios wait; what the store keeps in memory is bounded by itself.
        let grown = of_this_process("VmRSS").saturating_sub(before);
        assert!(grown < 24 * 1024, "grown by {grown} KiB");
        let bob = start(dir.path(), "bob").await;
        until("everything arrives", || bob.status().unwrap().objects == count as u64).await;
    });
}

#[test]
fn what_a_peer_says_of_itself_is_capped_and_harmless() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let client = api(&alice, &dir.path().join("alice")).await;
        let mallory = Raw::new().await;
        mallory.join(&alice).await;
        let says = format!("evil\u{1b}[31m\n\0\u{7f}\u{9b}{}", "x".repeat(100_000));
        let mut control = Control::open(mallory.connect(&alice).await).await;
        control.say(&Frame::Hello(Greeting { name: says, clock_ms: 0, ..greeting(2) })).await;
        control.admitted().await;
        let peers = client.call("peers", json!({})).await.unwrap();
        let shown =
            peers["peers"].as_array().unwrap().iter().find(|peer| peer["kernel"] == mallory.id().to_string());
        let says = shown.unwrap()["says"].as_str().unwrap().to_owned();
        assert!(
            says.starts_with("evil") && says.len() <= 255 && !says.chars().any(char::is_control),
            "{says:?}"
        );
        // Its clock stands in 1970: said, and no harm.
        let said = doctor(&client, &says[..20]).await;
        assert!(said["message"].as_str().unwrap().contains("behind"), "{said}");
        still_works(&alice, &bob, 9).await;
    });
}

/// A small disk of its own.
struct Disk(PathBuf);

impl Disk {
    fn new(dir: &Path, size: &str) -> Option<Self> {
        let at = dir.join("disk");
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "once-test"]).arg(&at).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(at)),
            _ => {
                skip("a small disk needs root and mount");
                None
            }
        }
    }

    /// Takes room, or gives it back.
    fn fill(&self, mib: usize) {
        std::fs::write(self.0.join("filler"), vec![1; mib * 1024 * 1024]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_new_work_reads_on_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(dir.path(), "400m") else { return };
    story(async {
        let alice = kernel(&disk.0, "alice").await;
        let bob = kernel(dir.path(), "bob").await;
        bob.join(&alice.invite().await.unwrap()).await.unwrap();
        disk.fill(200);
        let mut kept = Vec::new();
        let refused = loop {
            let text = note(kept.len(), &"x".repeat(500_000));
            match alice.import(text.clone()).await {
                Ok((object, _)) => kept.push((object, text)),
                Err(error) => break error,
            }
            assert!(kept.len() < 800, "it never refused");
        };
        assert_eq!(refused.kind(), ErrorKind::DiskFull, "after {}: {refused}", kept.len());
        assert!(!kept.is_empty());
        // Reading goes on.
        for (object, text) in &kept {
            assert_eq!(alice.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
        }
        // What a peer shares waits at the peer.
        let (owed, _) = bob.import(note(999, "owed")).await.unwrap();
        bob.share(owed.key()).to(alice.id()).await.unwrap();
        let delivered = tokio::spawn(bob.share(owed.key()).to(alice.id()).delivered());
        disk.free();
        // It looks at the disk again by itself.
        within("room is noticed", async {
            while alice.import(note(998, "again")).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
        .await;
        within("the share is taken", delivered).await.unwrap().unwrap();
        assert_eq!(alice.scenario(owed.key()).unwrap().unwrap(), note(999, "owed").as_bytes());
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}

#[test]
fn a_disk_that_fills_up_at_once_is_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(dir.path(), "260m") else { return };
    story(async {
        let alice = kernel(&disk.0, "alice").await;
        let bob = kernel(dir.path(), "bob").await;
        bob.join(&alice.invite().await.unwrap()).await.unwrap();
        // Far more than there is room for, in one breath, from here and from a peer.
        let mut imports = Vec::new();
        for n in 0..300 {
            let alice = alice.clone();
            imports.push(async move { alice.import(note(n, &"x".repeat(1_000_000))).await });
        }
        let mut kept = 0;
        for done in futures_util::future::join_all(imports).await {
            match done {
                Ok((object, _)) => {
                    kept += 1;
                    assert!(alice.scenario(object.key()).unwrap().is_some());
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}"),
            }
        }
        assert!(kept > 0 && kept < 300, "{kept} were kept");
        // It is still there and says so.
        let (object, _) = bob.import(note(900, "small")).await.unwrap();
        bob.share(object.key()).to(alice.id()).await.unwrap();
        // A crowd is refused with some care, so there may be room for a few more, one after the other.
        let mut more = 901..1200;
        let again = loop {
            let n = more.next().expect("a refusal before there is no room at all");
            if let Err(error) = alice.import(note(n, &"x".repeat(1_000_000))).await {
                break error;
            }
        };
        assert_eq!(again.kind(), ErrorKind::DiskFull, "{again}");
        assert!(alice.status().unwrap().objects >= kept);
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}

/// A second process with the key of this kernel. Its peers hear two boots that are alive at once, both signed, and show
/// that: neither goes on. What this kernel does to its own peers is no alarm.
#[test]
fn a_copy_of_the_key_is_proven_by_what_it_says_to_peers() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let client = api(&alice, &dir.path().join("alice")).await;
        for _ in 0..5 {
            // Removals and dials of her own.
            alice.remove_peer(bob.id()).await.unwrap();
            bob.remove_peer(alice.id()).await.unwrap();
            let ticket = alice.invite().await.unwrap();
            bob.join(&ticket).await.unwrap();
        }
        assert_eq!(doctor(&client, "quarantine").await["ok"], true);
        let hex = std::fs::read_to_string(dir.path().join("alice/key")).unwrap();
        let secret = data_encoding::HEXLOWER.decode(hex.trim().as_bytes()).unwrap();
        let copy = Raw::with_key(once_model::sign::KernelKey::from_bytes(&secret.try_into().unwrap())).await;
        let itself = copy.endpoint.connect(
            alice.addresses().iter().filter_map(|text| text.parse().ok()).fold(
                iroh::EndpointAddr::new(iroh::EndpointId::from_bytes(alice.id().as_bytes()).unwrap()),
                iroh::EndpointAddr::with_ip_addr,
            ),
            once_model::wire::ALPN,
        );
        let called_itself = tokio::time::timeout(std::time::Duration::from_secs(5), itself).await;
        assert!(
            !matches!(called_itself, Ok(Ok(_))),
            "iroh calls its own key now: `doctor` can notice a copy by that"
        );
        copy.return_to(&bob, 10).await;
        quarantined(&client).await;
    });
}
