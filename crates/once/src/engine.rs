//! The engine's thread: takes what is queued, steps it, commits once, releases the effects.

mod post;
mod room;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_core::store::{Batch, Durability, Read, Store, StoreError, Table, Visit};
use once_core::waist::{
    Answer, Arrival, Command, ConnId, Ctx, Entropy, Event, Input, Ran, Run, Runner, Timer, Work,
};
use once_core::{Refusal, group};
use once_model::header::Header;
use once_model::ids::{BootId, KernelId, Uuid};
use once_model::sign::KernelKey;
use once_model::wire::Code;
use once_model::{certificate::Chain, wire::Frame};
use once_store::{FjallSnapshot, FjallStore};
use rand::Rng;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};

use crate::Error;
use crate::component::Components;
use crate::metrics::Metrics;
use crate::net::Outgoing;
use crate::tidy::Tidy;
use crate::told_early::ToldEarly;
use crate::troubles::Troubles;
use post::{Post, Written};
pub(crate) use room::what_to_free;
use room::{Disk, Lack};

/// Most mails in one group. More in a group means fewer syncs and a longer wait for the first of them.
const GROUP_MAX: usize = 256;

/// Mails that wait for the engine. Whoever finds the box full waits: a session stops reading, QUIC pushes back.
const MAILBOX_MAX: usize = 1024;

/// Mails of one connection among them. So what one peer says never fills the box, and what another one says waits for
/// at most so many of each.
pub(crate) const MAILS_OF_PEER_MAX: usize = 128;

/// Events that a slow listener may be behind.
const EVENTS_MAX: usize = 4096;

/// How long readers may hold on to a store that is opened again.
const READERS_MAX: Duration = Duration::from_secs(10);
const READERS_STEP: Duration = Duration::from_millis(10);

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It was not carried out.
    Refused(Refusal),
    /// The engine lacked something before the answer was there: what it asked for may be durable and go on.
    CutOff(Lack),
}

impl From<Unanswered> for Error {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Refused(refusal) => refusal.into(),
            Unanswered::CutOff(lack) => {
                Self::unknown(format!("{lack}: whether this was done is not known yet"))
                    .with_hint("what was accepted goes on by itself as soon as that has passed")
            }
        }
    }
}

/// Where a command's answer goes.
pub(crate) type ReplyTo = oneshot::Sender<Result<Answer, Unanswered>>;

/// What is said on a connection.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are frames")]
pub(crate) enum Out {
    Frame(Frame),
    Close(Code),
}

/// What the engine's thread is sent.
pub(crate) enum Mail {
    Input(Input),
    /// What a peer says, and its place in the box.
    Said(Input, OwnedSemaphorePermit),
    Command(Command, ReplyTo),
    /// An input, and whom to tell when what came of it is committed. Nobody is told if it is not.
    Told(Input, oneshot::Sender<()>),
    /// A scenario that someone here waits for.
    Arrived {
        peer: KernelId,
        arrival: Arrival,
        offered: bool,
        reply: ReplyTo,
    },
    /// A new connection, before anything is said on it.
    Conn {
        conn: ConnId,
        out: Outgoing,
    },
    /// It is gone: no more mail comes from it.
    Gone {
        conn: ConnId,
    },
    Stop(oneshot::Sender<Result<(), Error>>),
}

/// What the network does for the engine.
pub(crate) trait Network: Send + Sync + 'static {
    fn dial(&self, peer: KernelId, addresses: Vec<String>);
    fn pull(&self, peer: KernelId, conn: ConnId, header: Header, chain: Option<Chain>);
    /// Runs an action beside the engine.
    fn run(&self, run: Run);
    /// Has work done outside.
    fn work(&self, work: Work);
    fn timer(&self, after: Duration, timer: Timer);
    fn event(&self, event: &Event);
}

/// What the engine's thread and everyone else share.
pub(crate) struct Shared {
    pub key: KernelKey,
    pub me: KernelId,
    pub data: PathBuf,
    pub components: Arc<Components>,
    /// Of how many of the newest entries of an object it is kept what was asked and said.
    pub told_rows: u64,
    pub mail: mpsc::Sender<Mail>,
    pub events: broadcast::Sender<Event>,
    pub metrics: Mutex<Metrics>,
    pub tidy: Arc<Tidy>,
    /// Lanes that do not go on.
    pub troubles: Mutex<Troubles>,
    /// Outcomes that clients were told and the last commit does not show.
    pub told_early: Mutex<ToldEarly>,
    /// The store as of the last commit. A snapshot must not be taken during a commit, so the engine takes it after.
    snapshot: RwLock<Snapshot>,
    /// What was cut off the journal and not confirmed: read when the store is opened, so that telling it needs no file.
    pub losses: Mutex<Vec<once_store::Loss>>,
    /// Set while the engine lacks room on the disk, or files: it only reads.
    pub only_reads: AtomicBool,
    /// Which files of the store are damaged, for people, if any is known to be.
    pub damage: Mutex<Option<String>>,
    /// Why the engine stopped by itself.
    pub fault: tokio::sync::watch::Sender<Option<Error>>,
}

impl Shared {
    /// Remembers which files of the store are damaged.
    pub fn found_damaged(&self, files: &[String]) {
        let (shown, more) = (files.iter().take(3).cloned().collect::<Vec<_>>().join(", "), files.len() > 3);
        let text = format!("damaged files of the store: {shown}{}", if more { " and more" } else { "" });
        tracing::error!("{text}; `once doctor` says more");
        *crate::net::lock(&self.damage) = Some(text);
    }

    /// The same in words.
    pub fn damage_said(&self) -> String {
        crate::net::lock(&self.damage)
            .clone()
            .unwrap_or_else(|| "something of the store is damaged".to_owned())
    }

    /// The store as of the last commit.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Carries a command out.
    pub async fn command(&self, command: Command) -> Result<Answer, Error> {
        let acts = acts(&command);
        let (reply, answer) = oneshot::channel();
        let done = match self.mail.send(Mail::Command(command, reply)).await {
            // The engine had ended before: nobody has seen the command.
            Err(_) => Err(self.gone()),
            Ok(()) => match answer.await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(Unanswered::Refused(refusal))) => Err(self.refused(refusal)),
                Ok(Err(Unanswered::CutOff(lack))) => Err(match (acts, lack) {
                    (Some(id), lack) => Error::outcome_unknown(id, &lack.to_string()),
                    (None, Lack::Room) => {
                        Error::from(Unanswered::CutOff(lack)).with_hint(what_to_free(&self.data))
                    }
                    (None, Lack::Files) => Unanswered::CutOff(lack).into(),
                    (None, Lack::Damage) => {
                        let hint = Refusal::StoreDamaged.hint();
                        Error { hint, ..Unanswered::CutOff(lack).into() }
                    }
                }),
                Err(_) => Err(match acts {
                    Some(id) => Error::outcome_unknown(id, &self.gone().message),
                    None => self.gone(),
                }),
            },
        };
        done.map_err(|error| match acts {
            Some(id) => error.about(id),
            None => error,
        })
    }

    /// How a peer is called here, and what tells it apart: `bob (a1b2c3d4e5)`. The id alone if it has no name here.
    pub fn called(&self, id: &KernelId) -> String {
        self.named(id).unwrap_or_else(|| id.short())
    }

    fn named(&self, id: &KernelId) -> Option<String> {
        let row = once_core::rows::peer(&self.snapshot(), id).ok()??;
        (!row.name().is_empty()).then(|| format!("{} ({})", row.name(), id.short()))
    }

    /// The engine knows kernels by their ids; people know peers by their names.
    fn refused(&self, refusal: Refusal) -> Error {
        let about = match &refusal {
            Refusal::NotHome { home: id, .. }
            | Refusal::NotFollowed { from: id, .. }
            | Refusal::NoGrant { kernel: id, .. }
            | Refusal::WholeGrant { kernel: id }
            | Refusal::InviteUsed(id)
            | Refusal::Denied(id)
            | Refusal::NotOwed { peer: id, .. }
            | Refusal::NotHeard(id)
            | Refusal::OutboxFull { peer: id, .. } => Some(*id),
            _ => None,
        };
        let full = matches!(refusal, Refusal::DiskFull { .. });
        let mut error = Error::from(refusal);
        if let Some((id, name)) = about.and_then(|id| Some((id, self.named(&id)?))) {
            error.message = error.message.replace(&id.to_string(), &name);
            // A command in the hint keeps the id: it is one word, and means one kernel.
            let parts = |hint: String| {
                let named = hint.split('`').enumerate().map(|(at, part)| match at % 2 {
                    0 => part.replace(&id.short(), &name),
                    _ => part.to_owned(),
                });
                named.collect::<Vec<_>>().join("`")
            };
            error.hint = error.hint.map(parts);
        }
        if full {
            error = error.with_hint(what_to_free(&self.data));
        }
        error
    }

    /// Why the engine answers no more.
    pub fn gone(&self) -> Error {
        self.fault.borrow().clone().unwrap_or_else(Error::stopping)
    }
}

/// The action that a command asks for.
fn acts(command: &Command) -> Option<Uuid> {
    match command {
        Command::Act { action, .. } => Some(action.id),
        _ => None,
    }
}

/// The store at one moment, or nothing once the kernel has stopped: the data directory is free then, whoever still
/// holds on to the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot(Option<FjallSnapshot>);

impl Snapshot {
    fn open(&self) -> Result<&FjallSnapshot, StoreError> {
        self.0.as_ref().ok_or_else(closed)
    }
}

fn closed() -> StoreError {
    StoreError::Io("the kernel has stopped, or opens its store again".into())
}

impl Snapshot {
    /// Visits keys without their values: also where those are damaged.
    pub fn keys(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.open()?.keys(table, from, to, visit)
    }
}

impl Read for Snapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.open()?.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.open()?.scan(table, from, to, visit)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The system's randomness.
struct System;

impl Entropy for System {
    fn fill(&mut self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}

fn not_opened(error: Error) -> StoreError {
    match error.code.as_str() {
        "out-of-files" => StoreError::OutOfFiles,
        _ => StoreError::Io(error.message),
    }
}

/// The store, showing each commit to the readers before anything that rests on it is released.
struct Published {
    /// Absent only while it is opened again.
    store: Option<FjallStore>,
    shared: Arc<Shared>,
}

impl Published {
    fn publish(&self, snapshot: Option<FjallSnapshot>) {
        *self.shared.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Snapshot(snapshot);
    }

    fn open(&self) -> Result<&FjallStore, StoreError> {
        self.store.as_ref().ok_or_else(closed)
    }

    /// Opens the store again after a write has failed.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.publish(None);
        drop(self.store.take());
        let begun = Instant::now();
        let store = loop {
            match crate::datadir::open_store(&self.shared.data) {
                Ok(store) => break store,
                // Readers still hold on to the old one.
                Err(error) if error.code == "in-use" && begun.elapsed() < READERS_MAX => {
                    std::thread::sleep(READERS_STEP);
                }
                Err(error) => return Err(not_opened(error)),
            }
        };
        let losses = crate::datadir::losses(&self.shared.data).map_err(not_opened)?;
        *crate::net::lock(&self.shared.losses) = losses;
        self.publish(Some(store.snapshot()));
        self.store = Some(store);
        Ok(())
    }
}

impl Read for Published {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.open()?.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.open()?.scan(table, from, to, visit)
    }
}

impl Store for Published {
    type Snapshot = Snapshot;

    fn snapshot(&self) -> Snapshot {
        Snapshot(self.store.as_ref().map(FjallStore::snapshot))
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let begun = Instant::now();
        let bytes = batch.rows.iter().filter_map(|(_, _, value)| value.as_ref()).map(bytes::Bytes::len).sum();
        let store = self.store.as_mut().ok_or_else(closed)?;
        store.commit(batch, durability)?;
        let snapshot = store.snapshot();
        self.shared.tidy.used(bytes);
        self.publish(Some(snapshot));
        // After that: readers look here first.
        if let Some(store) = &self.store {
            crate::net::lock(&self.shared.told_early).committed(store);
        }
        let mut metrics = self.shared.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.commit(begun.elapsed(), durability == Durability::Synced);
        Ok(())
    }
}

/// Opens the engine on a store. `run` is to be called on a thread of its own.
///
/// # Errors
/// When the list of losses cannot be read.
pub(crate) fn prepare(
    data: PathBuf,
    key: KernelKey,
    store: FjallStore,
    components: Components,
    told_rows: Option<u64>,
) -> Result<(Arc<Shared>, EngineThread), Error> {
    let losses = crate::datadir::losses(&data)?;
    let (mail, mailbox) = mpsc::channel(MAILBOX_MAX);
    let shared = Arc::new(Shared {
        me: key.id(),
        key,
        data,
        components: Arc::new(components),
        told_rows: told_rows.unwrap_or(once_model::limits::TOLD_ROWS),
        mail,
        events: broadcast::channel(EVENTS_MAX).0,
        metrics: Mutex::new(Metrics::default()),
        tidy: Arc::default(),
        troubles: Mutex::default(),
        told_early: Mutex::default(),
        snapshot: RwLock::new(Snapshot(Some(store.snapshot()))),
        losses: Mutex::new(losses),
        only_reads: AtomicBool::new(false),
        damage: Mutex::new(None),
        fault: tokio::sync::watch::channel(None).0,
    });
    Ok((Arc::clone(&shared), EngineThread { store: Published { store: Some(store), shared }, mailbox }))
}

/// The engine before it runs.
pub(crate) struct EngineThread {
    store: Published,
    mailbox: mpsc::Receiver<Mail>,
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
            Ok(Err(error)) => Error::from(error),
            Err(_) => {
                Error::fault("the engine panicked").with_hint("this is a bug: please report it with the log")
            }
        };
        tracing::error!(error = %fault, "the engine stops");
        // Whoever waits for an answer looks here when the post and the mailbox go, which is after this.
        shared.fault.send_replace(Some(fault));
    }
}

fn work(
    mut store: Published,
    mailbox: &mut mpsc::Receiver<Mail>,
    post: &mut Post<'_>,
) -> Result<(), StoreError> {
    let shared = Arc::clone(&store.shared);
    let mut ctx = Ctx {
        key: shared.key.clone(),
        me: shared.me,
        boot: BootId::from_bytes(crate::datadir::random()),
        now_ms: now_ms(),
        runner: Arc::clone(&shared.components) as Arc<dyn Runner>,
    };
    let mut mails = Vec::with_capacity(GROUP_MAX);
    let mut inputs = Vec::with_capacity(GROUP_MAX);
    let mut disk = Disk::default();
    let begun = room::begin(&mut store, mailbox, &mut mails, post, &mut ctx, None)?;
    let Some(mut engine) = begun else { return stop(store, mailbox, post) };
    // What came while it waited for room is the first group.
    while !mails.is_empty() || mailbox.blocking_recv_many(&mut mails, GROUP_MAX) > 0 {
        inputs.extend(disk.look(&shared.data));
        post.begin_group();
        inputs.extend(mails.drain(..).filter_map(|mail| post.open(mail)));
        ctx.now_ms = now_ms();
        let begun = Instant::now();
        let run = group::run(&mut engine, &mut store, &ctx, &mut System, inputs.drain(..), &mut |effect| {
            post.release(effect);
        });
        match run {
            Ok(run) => {
                shared.metrics.lock().unwrap_or_else(PoisonError::into_inner).group(begun.elapsed(), &run);
                post.committed();
            }
            Err(error) => {
                // A fault that does not pass ends the engine.
                let Some(lack) = Lack::of(&error, &shared) else { return Err(error) };
                // Nothing of the group counts, but the engine has stepped it: begin anew from the rows.
                tracing::warn!(%error, "{lack}: this kernel only reads until that has passed");
                let refused = !matches!(error, StoreError::Io(_));
                post.give_up(if refused { Written::Nothing } else { Written::Perhaps }, lack);
                shared.components.served.forget_promises();
                let begun = room::begin(&mut store, mailbox, &mut mails, post, &mut ctx, Some(lack))?;
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
fn stop(
    mut store: Published,
    mailbox: &mut mpsc::Receiver<Mail>,
    post: &mut Post<'_>,
) -> Result<(), StoreError> {
    let shared = Arc::clone(&store.shared);
    post.cut_off();
    mailbox.close();
    store.publish(None);
    let closed = store.store.take().map_or(Ok(()), |store| close(&shared, store));
    if let Some(done) = post.stop.take() {
        // The store made files by the umask of whoever runs the kernel. The directory is closed to others, all the same,
        // and the next start narrows their rights if this cannot.
        if let Err(error) = crate::private::narrow(&store.shared.data) {
            tracing::warn!(%error, "the rights on the data directory were not looked at");
        }
        // Whoever asked for it may have gone.
        let _ = done.send(closed.map_err(Error::from));
    }
    Ok(())
}

/// A store that is only read for its damage has nothing to write. One that turns out to be damaged at the end says so: what
/// was committed is in the journal.
fn close(shared: &Shared, store: FjallStore) -> Result<(), StoreError> {
    if crate::net::lock(&shared.damage).is_some() && shared.only_reads.load(Ordering::Relaxed) {
        return Ok(());
    }
    store.close().map_err(|error| match Lack::of(&error, shared) {
        Some(Lack::Damage) => StoreError::damaged(Table::Meta, &[], shared.damage_said()),
        _ => error,
    })
}

/// Runs an action beside the engine, and tells it what came of it.
pub(crate) fn run_whole(shared: &Shared, run: &Run) {
    let result = shared.components.run_whole(run);
    let ran = Ran { run: run.run, key: run.key, result };
    // A kernel that has stopped meanwhile runs it again when it starts.
    let _ = shared.mail.blocking_send(Mail::Input(Input::Ran(Box::new(ran))));
}

/// Has work done outside by this kernel itself, and tells the engine what came of it.
pub(crate) async fn work_outside(shared: &Shared, work: Work) {
    let (key, id) = (work.key, work.id);
    let Some(result) = shared.components.work(work).await else { return };
    let _ = shared.mail.send(Mail::Input(Input::Worked { key, id, result })).await;
}

#[cfg(test)]
mod tests;
