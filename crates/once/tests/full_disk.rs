//! A kernel on a disk that fills up, and gets room again: a small file system of its own, so root only.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use once::{ErrorKind, InitOptions, Kernel, ObjectKey};

const MIB: u64 = 1024 * 1024;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk of 300 MiB, gone when it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, and said so, where this user may not mount.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=300m", "once-test"]).arg(dir.path());
        if mount_ends_well(&mut mount) {
            return Some(Self(dir));
        }
        println!("skipped: no root, so no small file system");
        let all = std::env::var("ONCE_REQUIRE_ALL").as_deref() == Ok("1");
        assert!(!all, "ONCE_REQUIRE_ALL=1, but skipped");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// So many bytes are left.
    fn fill(&self, left: u64) {
        let mut size = once_store::free_bytes(self.path()).unwrap().saturating_sub(left);
        let file = std::fs::File::create(self.filler()).unwrap();
        let zeros = vec![0; usize::try_from(MIB).unwrap()];
        while size > 0 {
            let part = size.min(MIB);
            if std::io::Write::write_all(&mut &file, &zeros[..usize::try_from(part).unwrap()]).is_err() {
                return;
            }
            size -= part;
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount_ends_well(mount: &mut Command) -> bool {
    mount.output().is_ok_and(|output| output.status.success())
}

fn story(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(4 * PATIENCE, run).await.expect("the story hangs");
    });
}

fn init(data: &Path, name: &str) {
    let options = InitOptions { name: Some(name.into()), listen: Some("127.0.0.1:0".into()), relay: None };
    once::init(data, options).unwrap();
}

async fn start(data: &Path) -> Kernel {
    Kernel::builder(data).start().await.unwrap()
}

fn note(n: usize) -> String {
    format!(
        r#"{{"ior":{{"uuid":"0000{n:04x}-f833-4909-a891-a75b183be4c8","component":"Note"}},"model":{{"n":{n}}}}}"#
    )
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[track_caller]
fn is_full(error: &once::Error) {
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    assert!(error.hint().as_ref().unwrap().contains("MiB"), "{error:?}");
}

#[test]
fn a_client_whose_action_is_durable_is_not_refused_and_the_kernel_goes_on_by_itself() {
    let (Some(disk), other) = (Disk::new(), tempfile::tempdir().unwrap()) else { return };
    story(async {
        let (a, b) = (disk.path().join("alice"), other.path().join("bob"));
        init(&a, "alice");
        init(&b, "bob");
        let (alice, bob) = (start(&a).await, start(&b).await);
        alice.join(&bob.invite().await.unwrap()).await.unwrap();
        let counter = r#"{"ior":{"uuid":"6a0f2b1c-52e0-4b52-9d0e-0c1f6a7be001","component":"Counter"},"model":{"count":40}}"#;
        let key: ObjectKey = bob.import(counter).await.unwrap().0.key();
        let (claimed, _) = bob.claim(key).await.unwrap();
        bob.grant(alice.id(), once::Right::Act).await.unwrap();
        let ior = claimed.ior(&bob.addresses());
        bob.stop().await.unwrap();
        let id = once::new_action_id();
        let acting = tokio::spawn(std::future::IntoFuture::into_future(
            alice.act(&ior, "add", r#"{"by":1}"#).unwrap().id(id),
        ));
        until("the action is accepted", || alice.outcome(id).is_ok()).await;
        disk.fill(10 * MIB);
        let bob = start(&b).await;
        // Its outcome comes, and cannot be written.
        let told = acting.await.unwrap().unwrap_err();
        assert_eq!((told.kind(), told.action()), (ErrorKind::Unknown, Some(id)), "{told:?}");
        // What was never accepted is refused, and names its id all the same.
        let refused = alice.act(&ior, "add", r#"{"by":1}"#).unwrap().await.unwrap_err();
        is_full(&refused);
        assert!(refused.action().is_some());
        assert!(alice.outcome(id).unwrap().is_none(), "reading goes on");
        disk.make_room();
        // Nobody calls: it wakes by itself, and hears what came of it.
        until("the outcome", || alice.outcome(id).unwrap().is_some()).await;
        let count = String::from_utf8(bob.scenario(claimed.key()).unwrap().unwrap().to_vec()).unwrap();
        assert!(count.contains("41"), "it ran once: {count}");
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}

#[test]
fn a_kernel_on_a_full_disk_reads_stops_and_serves_who_comes_first_when_there_is_room() {
    let Some(disk) = Disk::new() else { return };
    story(async {
        let data = disk.path().join("alice");
        init(&data, "alice");
        let alice = start(&data).await;
        let key = alice.import(note(1)).await.unwrap().0.key();
        alice.stop().await.unwrap();
        for left in [0, 12 * MIB] {
            disk.fill(left);
            let alice = start(&data).await;
            // What it writes at its start may fail here, and then it opens its store again.
            until("it can be read", || alice.scenario(key).is_ok()).await;
            assert_eq!(alice.scenario(key).unwrap().unwrap(), note(1).as_bytes());
            is_full(&alice.import(note(2)).await.unwrap_err());
            let status = alice.status().unwrap();
            assert!(!status.takes_writes, "{status:?}");
            alice.stop().await.unwrap();
            let offline = Kernel::builder(&data).offline().start().await.unwrap();
            assert_eq!(offline.scenario(key).unwrap().unwrap(), note(1).as_bytes());
            offline.stop().await.unwrap();
            let alice = start(&data).await;
            disk.make_room();
            let n = usize::try_from(left / MIB).unwrap() + 3;
            alice.import(note(n)).await.expect("there is room, and who comes first is served");
            assert!(alice.status().unwrap().takes_writes);
            alice.stop().await.unwrap();
        }
    });
}

#[test]
fn a_disk_that_is_filled_while_a_kernel_writes_costs_nothing_that_was_acknowledged() {
    let Some(disk) = Disk::new() else { return };
    story(async {
        let data = disk.path().join("alice");
        init(&data, "alice");
        let alice = start(&data).await;
        let mut kept = Vec::new();
        for round in 0..3 {
            disk.fill(0);
            for n in 0..20 {
                match alice.import(note(round * 20 + n)).await {
                    Ok((object, _)) => kept.push(object.key()),
                    Err(error) => {
                        assert!(matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::Unknown), "{error:?}")
                    }
                }
            }
            disk.make_room();
            let (object, _) = alice.import(note(1000 + round)).await.unwrap();
            kept.push(object.key());
        }
        assert!(kept.iter().all(|key| alice.scenario(*key).unwrap().is_some()));
        alice.stop().await.unwrap();
        let alice = start(&data).await;
        assert!(kept.iter().all(|key| alice.scenario(*key).unwrap().is_some()));
        alice.stop().await.unwrap();
    });
}
