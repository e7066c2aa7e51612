use super::*;

const MIB: u64 = 1024 * 1024;

fn place(peer: u8, content: u8) -> Place {
    (KernelId::from_bytes([peer; 32]), Hash::from_bytes([content; 32]))
}

fn story(run: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run);
}

#[test]
fn what_came_is_there_for_the_next_transfer_and_after_a_restart() {
    story(async {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let mut part = incoming.open(place(1, 1), 10, MIB).await;
        part.push(b"01234");
        drop(part);
        let mut part = incoming.open(place(1, 1), 10, MIB).await;
        assert_eq!(part.have(), 5);
        part.push(b"567");
        drop(part);
        let again = Incoming::new(dir.path());
        assert_eq!(again.bytes_of(&place(1, 1).0), 8);
        let mut part = again.open(place(1, 1), 10, MIB).await;
        part.push(b"89");
        assert_eq!(part.whole().await.unwrap(), "0123456789");
        // Not stored yet: the kernel may be killed now.
        drop(part);
        let part = again.open(place(1, 1), 10, MIB).await;
        assert_eq!(part.have(), 10);
        part.remove();
        assert_eq!(again.bytes_of(&place(1, 1).0), 0);
        assert_eq!(fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 0);
    });
}

#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    story(async {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let mut part = incoming.open(place(1, 1), 10, MIB).await;
        part.push(b"01234");
        drop(part);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = incoming.path(&place(1, 1));
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(mode(&dir.path().join(FOLDER)), 0o700);
    });
}

#[test]
fn one_peer_does_not_spoil_what_another_one_sends() {
    story(async {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let mut part = incoming.open(place(1, 1), 10, MIB).await;
        part.push(b"xxxxx");
        drop(part);
        assert_eq!(incoming.open(place(2, 1), 10, MIB).await.have(), 0);
    });
}

#[test]
fn a_second_transfer_of_the_same_waits_for_the_first() {
    story(async {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let mut first = incoming.open(place(1, 1), 10, MIB).await;
        first.push(b"01234");
        let second = tokio::spawn({
            let incoming = Arc::clone(&incoming);
            async move { incoming.open(place(1, 1), 10, MIB).await.have() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap(), 5);
    });
}

#[test]
fn a_peer_keeps_to_its_room_and_loses_its_oldest_first() {
    story(async {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        for content in 1..=3 {
            let mut part = incoming.open(place(1, content), 10 * MIB, 3 * MIB).await;
            part.push(&vec![0; MIB as usize]);
            drop(part);
        }
        let mut other = incoming.open(place(2, 9), 10 * MIB, 3 * MIB).await;
        other.push(b"another peer's");
        drop(other);
        // One more MiB: the first one goes.
        let mut part = incoming.open(place(1, 4), 10 * MIB, 3 * MIB).await;
        part.push(&vec![0; MIB as usize]);
        drop(part);
        assert_eq!(incoming.bytes_of(&place(1, 1).0), 3 * MIB);
        assert!(!incoming.path(&place(1, 1)).exists() && incoming.path(&place(1, 4)).exists());
        assert!(incoming.path(&place(2, 9)).exists());
        // What is being written does not go: beyond the room nothing more is taken.
        let mut held = Vec::new();
        for content in [2, 3, 4] {
            held.push(incoming.open(place(1, content), 10 * MIB, 3 * MIB).await);
        }
        held[0].push(&vec![0; MIB as usize]);
        assert!(matches!(held[0].write().await, Err(NetError::NoRoom)));
    });
}

#[test]
fn what_is_old_or_of_no_peer_goes() {
    story(async {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        for peer in 1..=3 {
            let mut part = incoming.open(place(peer, 1), 10, MIB).await;
            part.push(b"01234");
            drop(part);
        }
        let old = SystemTime::now() - Duration::from_millis(INCOMING_KEPT_MS + 60_000);
        File::options().write(true).open(incoming.path(&place(1, 1))).unwrap().set_modified(old).unwrap();
        fs::write(dir.path().join(FOLDER).join("going-leftover"), b"x").unwrap();
        let again = Incoming::new(dir.path());
        assert!(!dir.path().join(FOLDER).join("going-leftover").exists());
        again.sweep(|peer| *peer != place(2, 1).0);
        let left: Vec<_> = (1..=3).map(|peer| again.path(&place(peer, 1)).exists()).collect();
        assert_eq!(left, [false, false, true]);
    });
}

#[tokio::test(start_paused = true)]
async fn what_gathers_in_memory_leaves_it_after_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let memory = Arc::new(tokio::sync::Semaphore::new(1));
    let mut part = incoming.open(place(1, 1), 2 * MIB, 4 * MIB).await;
    part.gather(Arc::clone(&memory).try_acquire_owned().ok(), 2 * MIB);
    part.push(&[7; MIB as usize]);
    part.write_some().await.unwrap();
    assert_eq!((memory.available_permits(), incoming.bytes_of(&place(1, 1).0)), (0, 0));
    tokio::time::sleep_until(part.gathers_until().unwrap()).await;
    part.write_some().await.unwrap();
    part.push(&[8; MIB as usize]);
    assert!(part.gathers_until().is_none());
    assert_eq!(part.whole().await.unwrap(), [[7; MIB as usize], [8; MIB as usize]].concat());
    assert_eq!((memory.available_permits(), incoming.bytes_of(&place(1, 1).0)), (1, 2 * MIB));
}
