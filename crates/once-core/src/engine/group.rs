//! The group: whatever is queued is stepped, then committed once, then its effects are released.

use once_model::ids::KernelId;

use super::Engine;
use crate::access::expiry;
use crate::store::{Durability, Store, StoreError};
use crate::txn::Txn;
use crate::waist::{Ctx, Effect, Effects, Entropy, Input};
use crate::{act, events, meta, peers};

/// Is shown the transaction and the effects of each step as it ends: for whoever judges the engine.
pub type Watch<'a> = &'a mut dyn FnMut(&Txn<'_>, &Effects);

/// Effects that need not wait for the commit are released after so many inputs at the latest. One by one, each would
/// wake the network's thread for a packet of its own.
const EARLY_INPUTS: usize = 16;

/// What a group came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// How many inputs it took.
    pub inputs: usize,
    /// How many rows it wrote, the commit number's included; 0 if there was nothing to commit.
    pub rows: usize,
    /// Whether the commit waited for the disk.
    pub synced: bool,
}

/// Begins a run on an opened store: dials every peer.
///
/// # Errors
/// When the store fails, or belongs to another kernel.
pub fn start<S: Store>(
    engine: &mut Engine,
    store: &mut S,
    ctx: &Ctx,
    rng: &mut dyn Entropy,
    release: &mut dyn FnMut(Effect),
) -> Result<(), StoreError> {
    start_watched(engine, store, (ctx, rng), &mut |_, _| {}, release)
}

/// The same, step by step before other eyes.
///
/// # Errors
/// As [`start`].
pub fn start_watched<S: Store>(
    engine: &mut Engine,
    store: &mut S,
    (ctx, rng): (&Ctx, &mut dyn Entropy),
    watch: Watch<'_>,
    release: &mut dyn FnMut(Effect),
) -> Result<(), StoreError> {
    let owner: Option<KernelId> = meta::identity(store)?.map(|identity| identity.kernel);
    if owner.is_some_and(|owner| owner != ctx.me) {
        return Err(StoreError::Io("this data belongs to another kernel: its key was replaced".into()));
    }
    engine.commit = meta::commit_number(store)?;
    engine.events = events::State::open(store)?;
    let mut txn = Txn::new(store);
    let mut effects = engine.start(&mut txn, ctx, rng)?;
    effects.after.extend(expiry::note(engine, &mut txn, ctx.now_ms));
    watch(&txn, &effects);
    note_events(engine, &mut txn, &effects.after, ctx)?;
    // What was read may rest on rows that the last run never synced; from here on it is certain.
    txn.require_sync();
    commit(engine, store_batch(engine, txn), store)?;
    effects.after.into_iter().for_each(release);
    Ok(())
}

/// Steps a group of inputs, commits once, and releases their effects: those that rest on nothing in this commit at
/// once, the others after it.
///
/// # Errors
/// When the store fails: the engine must be thrown away and the store opened again. Nothing that rested on the
/// commit was released.
pub fn run<S: Store>(
    engine: &mut Engine,
    store: &mut S,
    ctx: &Ctx,
    rng: &mut dyn Entropy,
    inputs: impl IntoIterator<Item = Input>,
    release: &mut dyn FnMut(Effect),
) -> Result<Committed, StoreError> {
    run_watched(engine, store, (ctx, rng), inputs, &mut |_, _| {}, release)
}

/// The same, step by step before other eyes.
///
/// # Errors
/// As [`run`].
pub fn run_watched<S: Store>(
    engine: &mut Engine,
    store: &mut S,
    (ctx, rng): (&Ctx, &mut dyn Entropy),
    inputs: impl IntoIterator<Item = Input>,
    watch: Watch<'_>,
    release: &mut dyn FnMut(Effect),
) -> Result<Committed, StoreError> {
    engine.peers.admitted.clear();
    let mut txn = Txn::new(store);
    let (mut early, mut held) = (Vec::new(), Vec::new());
    let mut count = 0;
    for input in inputs {
        count += 1;
        let effects = engine.step(&mut txn, ctx, rng, input)?;
        watch(&txn, &effects);
        let Effects { now, after } = effects;
        early.extend(now);
        held.extend(after);
        if count % EARLY_INPUTS == 0 {
            early.drain(..).for_each(&mut *release);
        }
    }
    early.drain(..).for_each(&mut *release);
    peers::note(engine, &mut txn)?;
    act::note(engine, &mut txn);
    held.extend(expiry::note(engine, &mut txn, ctx.now_ms));
    note_events(engine, &mut txn, &held, ctx)?;
    if mutant!(AckBeforeCommit) {
        held.drain(..).for_each(&mut *release);
    }
    let mut committed = Committed { inputs: count, rows: 0, synced: false };
    // What must be on disk may have been written by an earlier group that did not wait for it.
    if !txn.is_empty() || txn.is_synced() {
        let batch = store_batch(engine, txn);
        committed.rows = batch.0.rows.len();
        committed.synced = batch.1 == Durability::Synced;
        commit(engine, batch, store)?;
        held.extend(committed.synced.then(|| peers::tell_later(engine)).flatten());
    }
    held.into_iter().for_each(release);
    Ok(committed)
}

/// What happened goes into the event log, in this commit.
fn note_events(
    engine: &mut Engine,
    txn: &mut Txn<'_>,
    effects: &[Effect],
    ctx: &Ctx,
) -> Result<(), StoreError> {
    let moment =
        events::Moment { boot: engine.boot, at_ms: ctx.now_ms, disk_free_bytes: engine.disk_free_bytes };
    engine.events.record(txn, effects, moment, &engine.limits)
}

fn store_batch(engine: &Engine, mut txn: Txn<'_>) -> (crate::store::Batch, Durability) {
    meta::set_commit_number(&mut txn, engine.commit + 1);
    txn.into_batch()
}

fn commit<S: Store>(
    engine: &mut Engine,
    (batch, durability): (crate::store::Batch, Durability),
    store: &mut S,
) -> Result<(), StoreError> {
    store.commit(batch, durability)?;
    engine.commit += 1;
    if durability == Durability::Synced {
        engine.synced_commit = engine.commit;
    }
    Ok(())
}
