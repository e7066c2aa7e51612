//! One simulated kernel: the engine, its disk, its mailbox, its clock. What a process has in memory is in here and
//! gone after a crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use once_core::find::Index;
use once_core::memory::DiskFault;
use once_core::shell::Clients;
use once_core::store::{Store, StoreError};
use once_core::txn::Txn;
use once_core::waist::{ConnId, Ctx, Input, Runner, Timer, Token};
use once_core::{Engine, Limits, meta};
use once_model::ids::{BootId, Incarnation, KernelId, Uuid};
use once_model::sign::KernelKey;

use crate::components::{AtOnce, Installed};
use crate::disk::Disk;
use crate::rng::Rng;

/// Most inputs that wait for the engine; beyond that the shell stops reading.
pub(crate) const MAILBOX_MAX: usize = 64;

/// Virtual time 0 on a clock that is right, in milliseconds since 1970.
pub(crate) const EPOCH_MS: u64 = 1_700_000_000_000;

/// What the engine thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thread {
    /// Waiting for an input.
    Idle,
    /// About to take what is queued.
    Woken,
    /// In a commit.
    Committing,
}

/// One kernel of the world.
#[derive(Debug)]
pub(crate) struct Node {
    pub name: String,
    pub key: KernelKey,
    pub id: KernelId,
    pub disk: Disk,
    pub rng: Rng,
    /// `None`: the process is down.
    pub engine: Option<Engine>,
    /// Counts the lives of the process: what belongs to an earlier one is dropped.
    pub run: u64,
    /// Who waits for an answer of this process, with the action that was asked for.
    pub clients: Clients<Option<Uuid>>,
    /// The token that the shell gives to a client, by the world's.
    pub tokens: BTreeMap<Token, Token>,
    /// Actions of which clients were told that they were not carried out.
    pub refused: Vec<Uuid>,
    /// The engine was thrown away, and the next one begins in the same process.
    pub anew: bool,
    pub boot: BootId,
    pub thread: Thread,
    pub mailbox: VecDeque<Input>,
    /// Connections whose frames wait because the mailbox is full.
    pub stalled: BTreeSet<ConnId>,
    /// How far its clock is off, in milliseconds.
    pub clock_off_ms: i64,
    pub address: String,
    /// Timers that run, and how many of each.
    pub timers: BTreeMap<Timer, u32>,
    /// Its bounds: those of the page, or small ones.
    pub limits: Limits,
    /// Until when its disk is full.
    pub disk_full_until_us: u64,
    /// Of the engine that began anew, so many runs are still its first ones.
    pub anew_runs: u64,
    /// So many groups still have room, and the one after them has none.
    pub full_after: Option<u64>,
    /// The next sync fails.
    pub sync_will_fail: bool,
    /// So many reads of the next group or start succeed, and then none.
    pub reads_left: Option<u64>,
    /// The numbers of runs that are being made for this process, whichever of its engines asked for them.
    pub runs: BTreeSet<u64>,
    /// By what its objects are found, once somebody has looked.
    pub index: Option<Index>,
    /// Who runs short actions.
    pub runner: Arc<AtOnce>,
}

impl Node {
    /// A kernel with a fresh data directory, not yet started.
    pub fn new(index: usize, name: &str, installed: Installed, rng: &mut Rng) -> Result<Self, StoreError> {
        let mut rng = rng.fork();
        let key = KernelKey::from_bytes(&rng.bytes());
        let id = key.id();
        let mut disk = Disk::default();
        let identity = meta::Identity {
            kernel: key.id(),
            incarnation: Incarnation::from_bytes(rng.bytes()),
            name: name.to_owned(),
            recovery: Vec::new(),
            ended: Vec::new(),
        };
        let mut txn = Txn::new(&disk);
        meta::set_identity(&mut txn, &identity);
        let (batch, durability) = txn.into_batch();
        disk.commit(batch, durability)?;
        disk.take_last();
        Ok(Self {
            name: name.to_owned(),
            id: key.id(),
            key,
            disk,
            rng,
            engine: None,
            run: 0,
            clients: Clients::default(),
            tokens: BTreeMap::new(),
            refused: Vec::new(),
            anew: false,
            boot: BootId::from_bytes([0; 16]),
            thread: Thread::Idle,
            mailbox: VecDeque::new(),
            stalled: BTreeSet::new(),
            clock_off_ms: 0,
            address: format!("sim:{index}:0"),
            timers: BTreeMap::new(),
            limits: crate::small::in_stories(index),
            disk_full_until_us: 0,
            anew_runs: 0,
            full_after: None,
            sync_will_fail: false,
            reads_left: None,
            runs: BTreeSet::new(),
            index: None,
            runner: Arc::new(AtOnce { installed, kernel: Some(id), ..AtOnce::default() }),
        })
    }

    /// What the disk does to the next group.
    pub fn fault(&mut self, now_us: u64) -> DiskFault {
        let is_full = self.disk_full_until_us > now_us || self.full_after == Some(0);
        self.full_after = self.full_after.and_then(|groups| groups.checked_sub(1));
        match (is_full, self.sync_will_fail) {
            (true, _) => DiskFault::Full,
            (_, true) => DiskFault::FailedSync,
            _ => DiskFault::None,
        }
    }

    /// Whether the process runs.
    pub fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// What its clock shows.
    pub fn now_ms(&self, now_us: u64) -> u64 {
        (EPOCH_MS + now_us / 1000).saturating_add_signed(self.clock_off_ms)
    }

    /// What the engine is told of the world.
    pub fn ctx(&self, now_us: u64) -> Ctx {
        let (boot, now_ms) = (self.boot, self.now_ms(now_us));
        Ctx {
            key: self.key.clone(),
            me: self.id,
            boot,
            now_ms,
            runner: Arc::clone(&self.runner) as Arc<dyn Runner>,
        }
    }
}
