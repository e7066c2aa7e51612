//! Room on the disk: looking for it, and waiting for it. While there is none, reading goes on beside.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use once_core::store::StoreError;
use once_core::waist::{Ctx, Input};
use once_core::{Engine, Refusal, group};
use once_model::limits::DISK_RESERVE_BYTES;
use tokio::sync::mpsc;

use super::post::{Post, Written};
use super::{GROUP_MAX, Mail, Published, System, now_ms};

const MIB: u64 = 1024 * 1024;

/// How often the free space on the disk is looked at while there is enough.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same while the engine waits for room.
const WAIT_STEP: Duration = Duration::from_millis(500);

/// What the engine knows of the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    looked: Option<Instant>,
    is_short: bool,
}

impl Disk {
    /// The free space, if it is time to look. While it was short, each group looks: who comes first after room was made
    /// is served.
    pub fn look(&mut self, data: &Path) -> Option<Input> {
        if !self.is_short && self.looked.is_some_and(|then| then.elapsed() < LOOK_EVERY) {
            return None;
        }
        self.looked = Some(Instant::now());
        let free_bytes = once_store::free_bytes(data).ok()?;
        self.is_short = free_bytes < DISK_RESERVE_BYTES;
        Some(Input::Disk { free_bytes })
    }
}

/// Whether a commit failed because the disk has no room: then it is waited for. A write that failed on a full disk leaves
/// a store that has to be opened again.
pub(super) fn is_wanting(error: &StoreError, data: &Path) -> bool {
    match error {
        StoreError::Full => true,
        StoreError::Io(_) => !has_room(data),
        _ => false,
    }
}

/// Whether new work is taken. Where the free space cannot be told, the write itself will show it.
fn has_room(data: &Path) -> bool {
    once_store::free_bytes(data).map_or(true, |free| free >= DISK_RESERVE_BYTES)
}

/// What whoever wants something written is told.
pub(super) fn refusal(data: &Path) -> Refusal {
    let free = once_store::free_bytes(data).unwrap_or(0);
    Refusal::DiskFull { free_mib: free / MIB, reserve_mib: DISK_RESERVE_BYTES / MIB }
}

/// What a person can do about a full disk.
pub(crate) fn what_to_free(data: &Path) -> String {
    let free = once_store::free_bytes(data).unwrap_or(0);
    let more = DISK_RESERVE_BYTES.saturating_sub(free).div_ceil(MIB).max(1);
    format!(
        "free {more} MiB or more on the disk that holds {}; reading goes on, and writing by itself once there is room",
        data.display()
    )
}

/// An engine from the rows; `None` if it is to stop instead. While the disk is too full for its first commit it waits, and
/// wakes by itself when there is room. Whoever asks for something meanwhile is told that there is none. What comes when
/// there is room again stays in `mails`, for the engine's first group.
pub(super) fn begin(
    store: &mut Published,
    mailbox: &mut mpsc::Receiver<Mail>,
    mails: &mut Vec<Mail>,
    post: &mut Post<'_>,
    ctx: &mut Ctx,
    mut is_time: bool,
) -> Result<Option<Engine>, StoreError> {
    let shared = std::sync::Arc::clone(&store.shared);
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let clock = clock.map_err(|error| StoreError::Io(format!("no clock for the engine: {error}")))?;
    loop {
        ctx.now_ms = now_ms();
        if is_time {
            match start(store, post, ctx) {
                Ok(engine) => {
                    if shared.only_reads.swap(false, Ordering::Relaxed) {
                        tracing::info!("there is room on the disk again: this kernel takes writes");
                    }
                    return Ok(Some(engine));
                }
                Err(error) if is_wanting(&error, &shared.data) => {}
                Err(error) => return Err(error),
            }
        }
        shared.only_reads.store(true, Ordering::Relaxed);
        mails.drain(..).for_each(|mail| drop(post.open(mail)));
        // None of it was seen by an engine.
        post.give_up(Written::Nothing);
        if post.stop.is_some() {
            return Ok(None);
        }
        let came = clock
            .block_on(async { tokio::time::timeout(WAIT_STEP, mailbox.recv_many(mails, GROUP_MAX)).await });
        if came == Ok(0) {
            return Ok(None);
        }
        is_time = has_room(&shared.data);
    }
}

fn start(store: &mut Published, post: &mut Post<'_>, ctx: &Ctx) -> Result<Engine, StoreError> {
    if store.open().map_or(true, once_store::FjallStore::is_poisoned) {
        store.reopen()?;
    }
    let mut engine = Engine::new().keeping_told(store.shared.told_rows);
    group::start(&mut engine, store, ctx, &mut System, &mut |effect| post.release(effect))?;
    Ok(engine)
}
