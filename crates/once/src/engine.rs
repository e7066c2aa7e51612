//! The engine's thread: takes what is queued, steps it, commits once, releases the effects.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_core::store::{Batch, Durability, Read, Store, StoreError, Table, Visit};
use once_core::waist::{
    Answer, Arrival, Command, ConnId, Ctx, Effect, Entropy, Event, Input, Ran, Run, Runner, Timer, Token,
    Why, Work,
};
use once_core::{Engine, Refusal, group};
use once_model::header::Header;
use once_model::ids::{BootId, KernelId};
use once_model::limits::DISK_RESERVE_BYTES;
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
use crate::troubles::Troubles;

/// Most mails in one group. More in a group means fewer syncs and a longer wait for the first of them.
const GROUP_MAX: usize = 256;

/// Mails that wait for the engine. Whoever finds the box full waits: a session stops reading, QUIC pushes back.
const MAILBOX_MAX: usize = 1024;

/// Mails of one connection among them. So what one peer says never fills the box, and what another one says waits for
/// at most so many of each.
pub(crate) const MAILS_OF_PEER_MAX: usize = 128;

/// Events that a slow listener may be behind.
const EVENTS_MAX: usize = 4096;

/// Replies below which nobody looks for clients that gave up: they take less than a MiB.
const REPLIES_CROWDED: usize = 1024;

/// How often the free space on the disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(2);

/// Where a command's answer goes.
pub(crate) type ReplyTo = oneshot::Sender<Result<Answer, Refusal>>;

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
    pub mail: mpsc::Sender<Mail>,
    pub events: broadcast::Sender<Event>,
    pub metrics: Mutex<Metrics>,
    pub tidy: Arc<Tidy>,
    /// Lanes that do not go on.
    pub troubles: Mutex<Troubles>,
    /// The store as of the last commit. A snapshot must not be taken during a commit, so the engine takes it after.
    snapshot: RwLock<Snapshot>,
    /// Why the engine stopped by itself.
    pub fault: tokio::sync::watch::Sender<Option<Error>>,
}

impl Shared {
    /// The store as of the last commit.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Carries a command out.
    pub async fn command(&self, command: Command) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        self.mail.send(Mail::Command(command, reply)).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?.map_err(|refusal| self.refused(refusal))
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
            | Refusal::OutboxFull { peer: id, .. } => Some(*id),
            _ => None,
        };
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
        error
    }

    /// Why the engine answers no more.
    pub fn gone(&self) -> Error {
        self.fault.borrow().clone().unwrap_or_else(Error::stopping)
    }
}

/// The store at one moment, or nothing once the kernel has stopped: the data directory is free then, whoever still
/// holds on to the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot(Option<FjallSnapshot>);

impl Snapshot {
    fn open(&self) -> Result<&FjallSnapshot, StoreError> {
        self.0.as_ref().ok_or_else(|| StoreError::Io("the kernel has stopped".into()))
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

/// The store, showing each commit to the readers before anything that rests on it is released.
struct Published {
    store: FjallStore,
    shared: Arc<Shared>,
}

impl Published {
    fn publish(&self, snapshot: Option<FjallSnapshot>) {
        *self.shared.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Snapshot(snapshot);
    }
}

impl Read for Published {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.store.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.store.scan(table, from, to, visit)
    }
}

impl Store for Published {
    type Snapshot = FjallSnapshot;

    fn snapshot(&self) -> FjallSnapshot {
        self.store.snapshot()
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let begun = Instant::now();
        let bytes = batch.rows.iter().filter_map(|(_, _, value)| value.as_ref()).map(bytes::Bytes::len).sum();
        self.store.commit(batch, durability)?;
        self.shared.tidy.used(bytes);
        self.publish(Some(self.store.snapshot()));
        let mut metrics = self.shared.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.commit(begun.elapsed(), durability == Durability::Synced);
        Ok(())
    }
}

/// Opens the engine on a store. `run` is to be called on a thread of its own.
pub(crate) fn prepare(
    data: PathBuf,
    key: KernelKey,
    store: FjallStore,
    components: Components,
) -> (Arc<Shared>, EngineThread) {
    let (mail, mailbox) = mpsc::channel(MAILBOX_MAX);
    let shared = Arc::new(Shared {
        me: key.id(),
        key,
        data,
        components: Arc::new(components),
        mail,
        events: broadcast::channel(EVENTS_MAX).0,
        metrics: Mutex::new(Metrics::default()),
        tidy: Arc::default(),
        troubles: Mutex::default(),
        snapshot: RwLock::new(Snapshot(Some(store.snapshot()))),
        fault: tokio::sync::watch::channel(None).0,
    });
    (Arc::clone(&shared), EngineThread { store: Published { store, shared }, mailbox })
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
    let mut engine = Engine::new();
    group::start(&mut engine, &mut store, &ctx, &mut System, &mut |effect| post.release(effect))?;
    let mut mails = Vec::with_capacity(GROUP_MAX);
    let mut inputs = Vec::with_capacity(GROUP_MAX);
    let mut looked_at_disk: Option<Instant> = None;
    while mailbox.blocking_recv_many(&mut mails, GROUP_MAX) > 0 {
        if looked_at_disk.is_none_or(|then| then.elapsed() >= DISK_EVERY) {
            looked_at_disk = Some(Instant::now());
            if let Ok(free_bytes) = once_store::free_bytes(&shared.data) {
                inputs.push(Input::Disk { free_bytes });
            }
        }
        inputs.extend(mails.drain(..).filter_map(|mail| post.open(mail)));
        ctx.now_ms = now_ms();
        let begun = Instant::now();
        let run = group::run(&mut engine, &mut store, &ctx, &mut System, inputs.drain(..), &mut |effect| {
            post.release(effect);
        });
        match run {
            Ok(run) => {
                shared.metrics.lock().unwrap_or_else(PoisonError::into_inner).group(begun.elapsed(), &run);
                for told in post.told.drain(..) {
                    // Whoever waited may have gone.
                    let _ = told.send(());
                }
            }
            Err(StoreError::Full) => {
                // Nothing of the group was written, but the engine has stepped it: begin anew from the rows.
                tracing::warn!("the disk is full: what was under way is refused, connections begin anew");
                shared.components.served.forget_promises();
                engine = begin_anew(&mut store, mailbox, post, &mut ctx)?;
                looked_at_disk = None;
            }
            Err(error) => return Err(error),
        }
        if let Some(done) = post.stop.take() {
            post.replies.clear();
            mailbox.close();
            store.publish(None);
            let closed = store.store.close().map_err(Error::from);
            // The store made files by the umask of whoever runs the kernel. The directory is closed to others, all the same.
            let _ = done.send(closed.and_then(|()| crate::private::narrow(&shared.data).map(drop)));
            return Ok(());
        }
    }
    Ok(())
}

/// An engine from the rows, as soon as there is room for its first commit. Whoever asks for something meanwhile is told
/// that there is none; reading goes on beside.
fn begin_anew(
    store: &mut Published,
    mailbox: &mut mpsc::Receiver<Mail>,
    post: &mut Post<'_>,
    ctx: &mut Ctx,
) -> Result<Engine, StoreError> {
    let mut mails = Vec::new();
    loop {
        post.give_up();
        let mut engine = Engine::new();
        match group::start(&mut engine, store, ctx, &mut System, &mut |effect| post.release(effect)) {
            // It is to stop: nothing has to begin for that.
            Err(StoreError::Full) if post.stop.is_some() => return Ok(engine),
            Err(StoreError::Full) => {}
            started => return started.map(|()| engine),
        }
        if mailbox.blocking_recv_many(&mut mails, GROUP_MAX) == 0 {
            return Err(StoreError::Full);
        }
        mails.drain(..).for_each(|mail| drop(post.open(mail)));
        ctx.now_ms = now_ms();
    }
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

/// Takes mails apart and effects to where they belong.
struct Post<'n> {
    shared: Arc<Shared>,
    network: &'n dyn Network,
    next_token: Token,
    replies: HashMap<Token, ReplyTo>,
    /// Who waits for the next commit.
    told: Vec<oneshot::Sender<()>>,
    /// With so many replies it is looked at whether anybody still waits for them.
    crowded: usize,
    /// Whoever wants the kernel to stop.
    stop: Option<oneshot::Sender<Result<(), Error>>>,
    conns: HashMap<ConnId, Outgoing>,
}

impl<'n> Post<'n> {
    fn new(shared: Arc<Shared>, network: &'n dyn Network) -> Self {
        Self {
            shared,
            network,
            next_token: 0,
            replies: HashMap::new(),
            told: Vec::new(),
            crowded: REPLIES_CROWDED,
            stop: None,
            conns: HashMap::new(),
        }
    }

    /// The disk is full: whoever waits is told so, and every connection ends.
    fn give_up(&mut self) {
        const MIB: u64 = 1024 * 1024;
        let free = once_store::free_bytes(&self.shared.data).unwrap_or(0);
        let refusal = Refusal::DiskFull { free_mib: free / MIB, reserve_mib: DISK_RESERVE_BYTES / MIB };
        self.told.clear();
        for (_, reply) in self.replies.drain() {
            let _ = reply.send(Err(refusal.clone()));
        }
        for conn in self.conns.values() {
            conn.say(Out::Close(Code::DiskFull));
        }
    }

    fn token(&mut self, reply: ReplyTo) -> Token {
        if self.replies.len() >= self.crowded {
            // A client that gave up is not heard of. At twice the number of those who wait, looking costs each
            // command next to nothing.
            self.replies.retain(|_, reply| !reply.is_closed());
            self.crowded = REPLIES_CROWDED.max(2 * self.replies.len());
        }
        self.next_token += 1;
        self.replies.insert(self.next_token, reply);
        self.next_token
    }

    fn open(&mut self, mail: Mail) -> Option<Input> {
        match mail {
            Mail::Input(input) => Some(input),
            Mail::Said(input, place) => {
                // Free as soon as the mail is taken out: while this group is written, the next may come.
                drop(place);
                Some(input)
            }
            Mail::Told(input, told) => {
                self.told.push(told);
                Some(input)
            }
            Mail::Command(command, reply) => Some(Input::Command { token: self.token(reply), command }),
            Mail::Arrived { peer, arrival, offered, reply } => {
                let token = self.token(reply);
                let why = if offered { Why::Offered { token } } else { Why::Asked { token } };
                Some(Input::Arrived { peer, arrival, why })
            }
            Mail::Conn { conn, out } => {
                self.conns.insert(conn, out);
                None
            }
            Mail::Gone { conn } => {
                self.conns.remove(&conn);
                None
            }
            Mail::Stop(done) => {
                self.stop = Some(done);
                None
            }
        }
    }

    fn release(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { token, reply } => {
                if let Some(to) = self.replies.remove(&token) {
                    // Nobody waits any more: the command was carried out all the same.
                    let _ = to.send(reply);
                }
            }
            Effect::Send { conn, frame, .. } => self.say(conn, Out::Frame(frame)),
            Effect::Close { conn, code, .. } => self.say(conn, Out::Close(code)),
            Effect::Dial { peer, addresses } => self.network.dial(peer, addresses),
            Effect::Pull { peer, conn, header, chain } => self.network.pull(peer, conn, *header, chain),
            Effect::Run(run) => {
                if let Some(run) = self.shared.components.served.begin(*run) {
                    self.network.run(run);
                }
            }
            Effect::Work(work) => {
                if let Some(work) = self.shared.components.hand_out(*work) {
                    self.network.work(work);
                }
            }
            Effect::Timer { after_ms, timer } => self.network.timer(Duration::from_millis(after_ms), timer),
            Effect::Event(event) => {
                self.network.event(&event);
                if matches!(event, Event::Parked { .. } | Event::LaneForked { .. }) {
                    crate::net::lock(&self.shared.troubles).note(&event, now_ms());
                }
                let _ = self.shared.events.send(event);
            }
        }
    }

    fn say(&self, conn: ConnId, out: Out) {
        if let Some(to) = self.conns.get(&conn) {
            to.say(out);
        }
    }
}

#[cfg(test)]
mod tests;
