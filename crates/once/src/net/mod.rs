//! The network: one iroh endpoint, a session for each connection, streams for pulls and exchanges.

mod address;
mod bodies;
mod chains;
mod chatter;
mod dial;
mod endpoint;
mod exchange;
mod finding;
mod frames;
mod giving;
mod hands;
mod heard;
mod incoming;
mod lan;
mod near;
mod outgoing;
mod pulls;
mod pulse;
mod receipts;
mod session;
mod storing;
mod strangers;
mod streams;
mod talk;
mod ticket;
mod wheel;

pub(crate) use crate::lock::lock;
pub(crate) use address::{Reach, check as check_addresses};
pub(crate) use bodies::{Transfer, Way};
pub use chatter::Chatter;
use chatter::say_of;
pub(crate) use endpoint::{Listen, accept, bind, watch_own};
pub(crate) use exchange::initiate;
pub use exchange::{Progress, Report};
pub(crate) use finding::{FindFailed, build_index, find};
pub(crate) use hands::{Handle, Offline};
pub(crate) use lan::announce;
pub(crate) use outgoing::{Out, Outgoing};
pub(crate) use pulls::pull;
pub(crate) use pulse::pulse;
pub(crate) use receipts::receipt;
pub(crate) use session::Session;
pub use ticket::Ticket;
use wheel::Wheel;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use iroh::Endpoint;
use once_core::access;
use once_core::waist::{ConnId, Input};
use once_model::ids::KernelId;
use tokio::sync::{Notify, Semaphore};

use crate::shell::{Mail, Shared};

/// Looks into the store at once that peers cause: threads, which the system shares out.
const READING_AT_ONCE: usize = 16;

/// How often it is looked at what has come of large bodies and waits for the rest.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// What is known of the connection to a peer, for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub conn: Option<ConnId>,
    /// Since when it has been connected.
    pub since: Option<Instant>,
    /// How often it was dialled since it was connected last.
    pub dials: u64,
    pub clock_ahead_ms: Option<i64>,
    pub last_error: Option<String>,
}

/// The network of one kernel.
pub(crate) struct Net {
    pub endpoint: Endpoint,
    pub shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    next_conn: AtomicU64,
    sessions: Mutex<HashMap<ConnId, Arc<Session>>>,
    seen: Mutex<BTreeMap<KernelId, Seen>>,
    /// Told at each change of a connection.
    pub changed: Notify,
    /// Told when there is a connection more.
    connects: Notify,
    reading: Semaphore,
    memory: bodies::Memory,
    /// Room for copies of bodies that are being given.
    scratch: Arc<Semaphore>,
    incoming: Arc<incoming::Incoming>,
    transfers: Arc<bodies::Transfers>,
    chatter: Chatter,
    wheel: Arc<Wheel>,
    near: near::Near,
}

impl Net {
    pub fn new(endpoint: Endpoint, shared: Arc<Shared>) -> Arc<Self> {
        let wheel = Arc::new(Wheel::new());
        tokio::spawn(Arc::clone(&wheel).turn(shared.mail.downgrade()));
        let incoming = incoming::Incoming::new(&shared.data);
        Arc::new(Self {
            endpoint,
            shared,
            runtime: tokio::runtime::Handle::current(),
            next_conn: AtomicU64::new(1),
            sessions: Mutex::new(HashMap::new()),
            seen: Mutex::new(BTreeMap::new()),
            changed: Notify::new(),
            connects: Notify::new(),
            reading: Semaphore::new(READING_AT_ONCE),
            memory: bodies::Memory::new(),
            scratch: Arc::new(Semaphore::new((bodies::SCRATCH_BYTES / bodies::SCRATCH_UNIT) as usize)),
            incoming,
            transfers: Arc::default(),
            chatter: Chatter::default(),
            wheel,
            near: near::Near::default(),
        })
    }

    /// The admitted connection to a peer.
    pub fn session(&self, peer: &KernelId) -> Option<Arc<Session>> {
        let conn = lock(&self.seen).get(peer)?.conn?;
        // One that has just broken is no connection, even before the engine has heard of it.
        lock(&self.sessions).get(&conn).filter(|session| session.connection.close_reason().is_none()).cloned()
    }

    /// A kernel called that speaks the protocol before this one. If it is a peer, its people here shall see why it does not
    /// come.
    fn too_old(&self, peer: &KernelId) {
        const WHY: &str = "it speaks once/1 and this kernel once/2: upgrade it";
        if once_core::access::is_admitted(&self.shared.snapshot(), peer).unwrap_or(false) {
            lock(&self.seen).entry(*peer).or_default().last_error = Some(WHY.into());
        }
        say_of!(self, peer, warn, "{WHY}");
    }

    /// Ends every connection, while nobody waits for it.
    pub fn close_later(&self) {
        let endpoint = self.endpoint.clone();
        self.runtime.spawn(async move { endpoint.close().await });
    }

    /// Waits until a peer is connected.
    pub async fn connected(&self, peer: &KernelId, within: Duration) -> Option<Arc<Session>> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(session) = self.session(peer) {
                    return session;
                }
                changed.await;
            }
        };
        tokio::time::timeout(within, wait).await.ok()
    }

    /// Large bodies that are on their way now.
    pub fn transfers(&self) -> Vec<Arc<Transfer>> {
        self.transfers.list()
    }

    /// What has come of large bodies of a peer that are not here whole, in bytes.
    pub fn incoming_bytes(&self, peer: &KernelId) -> u64 {
        self.incoming.bytes_of(peer)
    }

    /// Drops what has come of large bodies and is not wanted any more, now and then.
    pub async fn sweep(net: Weak<Self>) {
        while let Some(net) = net.upgrade() {
            let swept = crate::beside::wait_for(move || {
                let snapshot = net.shared.snapshot();
                net.incoming.sweep(|peer| access::is_admitted(&snapshot, peer).unwrap_or(true));
            });
            let _ = swept.await;
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// What is known of the connection to a peer.
    pub fn seen(&self, peer: &KernelId) -> Seen {
        lock(&self.seen).get(peer).cloned().unwrap_or_default()
    }

    /// Every peer that is connected now.
    pub fn connected_peers(&self) -> Vec<KernelId> {
        lock(&self.seen).iter().filter(|(_, seen)| seen.conn.is_some()).map(|(peer, _)| *peer).collect()
    }

    fn next_conn(&self) -> ConnId {
        self.next_conn.fetch_add(1, Ordering::Relaxed)
    }

    fn session_by_conn(&self, conn: ConnId) -> Option<Arc<Session>> {
        lock(&self.sessions).get(&conn).cloned()
    }

    async fn tell(&self, input: Input) {
        // A full mailbox makes the sender wait; a closed one means that the kernel stops.
        let _ = self.shared.mail.send(Mail::Input(input)).await;
    }

    /// Where this kernel can be reached: addresses of its interfaces, and its relay.
    pub fn addresses(&self) -> Vec<String> {
        address::own(&self.endpoint)
    }
}
