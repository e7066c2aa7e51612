//! The engine's thread: takes what is queued, steps it, commits once, releases the effects.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use once_core::group;
use once_core::shell::Written;
use once_core::store::{Store, StoreError, Table};
use once_core::waist::{Ctx, Runner};
use once_model::ids::BootId;
use once_model::sign::KernelKey;
use once_store::FjallStore;
use tokio::sync::mpsc;

use super::hands::Network;
use super::kept::Kept;
use super::lack::Lack;
use super::mail::{GROUP_MAX, MAILBOX_MAX, Mailbox};
use super::outside::{System, now_ms};
use super::post::Post;
use super::published::Published;
use super::room::{self, Disk};
use super::shared::Shared;
use super::snapshot::Snapshot;
use crate::Error;
use crate::catalog::Catalog;
use crate::component::Components;
use crate::error::{IntoError, OrError};
use crate::metrics::Metrics;

/// Opens the engine on a store. `run` is to be called on a thread of its own.
///
/// # Errors
/// When the list of losses cannot be read.
pub(crate) fn prepare(
    data: PathBuf,
    key: KernelKey,
    store: FjallStore,
    components: Components,
    kept: Kept,
) -> Result<(Arc<Shared>, EngineThread), Error> {
    let losses = crate::datadir::losses(&data)?;
    let (mail, waiting) = mpsc::channel(MAILBOX_MAX);
    let newest = once_core::events::newest(&store).or_error()?;
    let shared = Arc::new(Shared {
        me: key.id(),
        key,
        data,
        components: Arc::new(components),
        kept,
        mail,
        happened: tokio::sync::watch::Sender::new(newest),
        metrics: Mutex::new(Metrics::default()),
        tidy: Arc::default(),
        catalog: Catalog::default(),
        troubles: Mutex::default(),
        told_early: Mutex::default(),
        snapshot: RwLock::new(Snapshot(Some(store.snapshot()))),
        losses: Mutex::new(losses),
        only_reads: AtomicBool::new(false),
        drains_cancelled: AtomicU64::new(0),
        damage: Mutex::new(None),
        fault: tokio::sync::watch::channel(None).0,
    });
    let mailbox = Mailbox { waiting, taken: Vec::with_capacity(GROUP_MAX) };
    Ok((Arc::clone(&shared), EngineThread { store: Published { store: Some(store), shared }, mailbox }))
}

/// The engine before it runs.
pub(crate) struct EngineThread {
    store: Published,
    mailbox: Mailbox,
}

impl EngineThread {
    /// Runs until a stop, or until the store fails.
    pub fn run(self, network: &dyn Network) {
        let Self { store, mut mailbox } = self;
        let shared = Arc::clone(&store.shared);
        let mut post = Post::new(Arc::clone(&shared), network);
        let run = std::panic::AssertUnwindSafe(|| work(store, &mut mailbox, &mut post));
        let fault = match std::panic::catch_unwind(run) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.into_error(),
            Err(_) => {
                Error::fault("the engine panicked").with_hint("this is a bug: please report it with the log")
            }
        };
        tracing::error!(error = %fault, "the engine stops");
        // Whoever waits for an answer looks here when the post and the mailbox go, which is after this.
        shared.fault.send_replace(Some(fault));
    }
}

fn work(mut store: Published, mailbox: &mut Mailbox, post: &mut Post<'_>) -> Result<(), StoreError> {
    let shared = Arc::clone(&store.shared);
    let mut ctx = Ctx {
        key: shared.key.clone(),
        me: shared.me,
        boot: BootId::from_bytes(crate::datadir::random()),
        now_ms: now_ms(),
        runner: Arc::clone(&shared.components) as Arc<dyn Runner>,
    };
    let mut inputs = Vec::with_capacity(GROUP_MAX);
    let mut disk = Disk::default();
    let begun = room::begin(&mut store, mailbox, post, &mut ctx, None)?;
    let Some(mut engine) = begun else { return stop(store, mailbox, post) };
    // What came while it waited for room is the first group.
    while mailbox.take() {
        inputs.extend(disk.look(&shared.data));
        post.begin_group();
        inputs.extend(mailbox.taken.drain(..).filter_map(|mail| post.open(mail)));
        ctx.now_ms = now_ms();
        let begun = Instant::now();
        let run = group::run(&mut engine, &mut store, &ctx, &mut System, inputs.drain(..), &mut |effect| {
            post.release(effect);
        });
        match run {
            Ok(run) => {
                shared.metrics.lock().unwrap_or_else(PoisonError::into_inner).group(begun.elapsed(), &run);
                post.committed();
                post.told(engine.newest_event());
            }
            Err(error) => {
                // A fault that does not pass ends the engine.
                let Some(lack) = shared.lacks(&error) else { return Err(error) };
                // Nothing of the group counts, but the engine has stepped it: begin anew from the rows.
                tracing::warn!(%error, "{lack}: this kernel only reads until that has passed");
                let refused = !matches!(error, StoreError::Io(_));
                post.give_up(if refused { Written::Nothing } else { Written::Perhaps }, lack);
                shared.components.served.forget_promises();
                let begun = room::begin(&mut store, mailbox, post, &mut ctx, Some(lack))?;
                let Some(anew) = begun else { return stop(store, mailbox, post) };
                (engine, disk) = (anew, Disk::default());
            }
        }
        if post.stop.is_some() {
            return stop(store, mailbox, post);
        }
    }
    Ok(())
}

/// The end, as asked for: what was committed is on disk, the data directory is free.
fn stop(mut store: Published, mailbox: &mut Mailbox, post: &mut Post<'_>) -> Result<(), StoreError> {
    let shared = Arc::clone(&store.shared);
    post.cut_off();
    mailbox.waiting.close();
    store.publish(None);
    let closed = store.store.take().map_or(Ok(()), |store| close(&shared, store));
    if let Some(done) = post.stop.take() {
        // The store made files by the umask of whoever runs the kernel. The directory is closed to others, all the same,
        // and the next start narrows their rights if this cannot.
        if let Err(error) = crate::private::narrow(&store.shared.data) {
            tracing::warn!(%error, "the rights on the data directory were not looked at");
        }
        // Whoever asked for it may have gone.
        let _ = done.send(closed.or_error());
    }
    Ok(())
}

/// A store that is only read for its damage has nothing to write. One that turns out to be damaged at the end says so: what
/// was committed is in the journal.
fn close(shared: &Shared, store: FjallStore) -> Result<(), StoreError> {
    if crate::net::lock(&shared.damage).is_some() && shared.only_reads.load(Ordering::Relaxed) {
        return Ok(());
    }
    store.close().map_err(|error| match shared.lacks(&error) {
        Some(Lack::Damage) => StoreError::damaged(Table::Meta, &[], shared.damage_said()),
        _ => error,
    })
}
