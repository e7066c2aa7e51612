//! Room on the disk, and files that may be opened: looking for them, and waiting for them. While there is none, reading goes
//! on beside.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use once_core::shell::Written;
use once_core::store::StoreError;
use once_core::waist::{Ctx, Input};
use once_core::{Engine, group};
use once_model::limits::DISK_RESERVE_BYTES;

use super::lack::Lack;
use super::mail::{GROUP_MAX, Mailbox};
use super::outside::{System, now_ms};
use super::post::Post;
use super::published::Published;

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

/// An engine from the rows; `None` if it is to stop instead. While the disk is too full for its first commit, or no file can
/// be opened, it waits, and wakes by itself when that has passed. Whoever asks for something meanwhile is told what is
/// lacking. What comes after that stays taken, for the engine's first group. With a damaged store it waits until it is to
/// stop. `lack`: what a group failed for.
pub(super) fn begin(
    store: &mut Published,
    mailbox: &mut Mailbox,
    post: &mut Post<'_>,
    ctx: &mut Ctx,
    lack: Option<Lack>,
) -> Result<Option<Engine>, StoreError> {
    let shared = std::sync::Arc::clone(&store.shared);
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let clock = clock.map_err(|error| StoreError::Io(format!("no clock for the engine: {error}")))?;
    let (mut is_time, mut lack) = (lack.is_none(), lack.unwrap_or(Lack::Room));
    loop {
        ctx.now_ms = now_ms();
        if is_time {
            match start(store, post, ctx) {
                Ok(engine) => {
                    if shared.only_reads.swap(false, Ordering::Relaxed) {
                        tracing::info!("there is room again: this kernel takes writes");
                    }
                    return Ok(Some(engine));
                }
                Err(error) => lack = shared.lacks(&error).ok_or(error)?,
            }
        }
        shared.only_reads.store(true, Ordering::Relaxed);
        mailbox.taken.drain(..).for_each(|mail| drop(post.open(mail)));
        // None of it was seen by an engine.
        post.give_up(Written::Nothing, lack);
        if post.stop.is_some() {
            return Ok(None);
        }
        let came = clock.block_on(async {
            tokio::time::timeout(WAIT_STEP, mailbox.waiting.recv_many(&mut mailbox.taken, GROUP_MAX)).await
        });
        if came == Ok(0) {
            return Ok(None);
        }
        if lack == Lack::Damage {
            is_time = false;
            continue;
        }
        let lacks = Lack::now(&shared.data);
        is_time = lacks.is_none();
        lack = lacks.unwrap_or(lack);
    }
}

fn start(store: &mut Published, post: &mut Post<'_>, ctx: &Ctx) -> Result<Engine, StoreError> {
    if store.open().map_or(true, once_store::FjallStore::is_poisoned) {
        // What failed over a damaged table would fail again, and this one can still be read.
        if store.open().is_ok() && store.shared.look_for_damage().is_some() {
            return Err(StoreError::Io(store.shared.damage_said()));
        }
        store.reopen()?;
    }
    post.forget_timers();
    let mut engine = store.shared.kept.engine();
    group::start(&mut engine, store, ctx, &mut System, &mut |effect| post.release(effect))?;
    post.told(engine.newest_event());
    Ok(engine)
}
