//! The network: connections between kernels, and everything that goes wrong with them.
//!
//! A connection is a reliable, ordered stream of control frames *or* broken: what was lost, or came out of order, is
//! noticed within the idle timeout and takes the connection with it. Until then everything else still arrives, which
//! is worse than any real network does, and the engine must stay safe all the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use once_core::waist::ConnId;
use once_model::ids::KernelId;
use once_model::wire::Frame;

use crate::rng::Rng;

/// Within this time both sides notice that a connection is dead.
pub(crate) const IDLE_TIMEOUT_US: u64 = 6_000_000;

/// How bad the network and the disks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// Shortest way of a frame, in microseconds.
    pub latency_min_us: u64,
    /// Longest way of a frame, in microseconds.
    pub latency_max_us: u64,
    /// Frames that get lost, of 1,000.
    pub loss_per_mille: u64,
    /// Frames that come twice, of 1,000.
    pub duplicate_per_mille: u64,
    /// Frames that come out of order, of 1,000.
    pub reorder_per_mille: u64,
    /// Frames that take very long, of 1,000; those behind them wait.
    pub delay_per_mille: u64,
    /// Longest time that a sync takes, in microseconds.
    pub sync_max_us: u64,
}

impl Weather {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            latency_min_us: 500,
            latency_max_us: 20_000,
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            reorder_per_mille: 0,
            delay_per_mille: 0,
            sync_max_us: 2_000,
        }
    }

    /// Something goes wrong, more or less of it.
    #[must_use]
    pub fn storm(rng: &mut Rng) -> Self {
        let strength = rng.up_to(4);
        Self {
            latency_min_us: 200,
            latency_max_us: [5_000, 60_000, 250_000][rng.index(3)],
            loss_per_mille: strength * rng.up_to(6),
            duplicate_per_mille: strength * rng.up_to(12),
            reorder_per_mille: strength * rng.up_to(6),
            delay_per_mille: strength * rng.up_to(10),
            sync_max_us: [500, 5_000, 40_000][rng.index(3)],
        }
    }
}

/// Who is at one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A kernel, by its index.
    Kernel(usize),
    /// A hostile one.
    Puppet(usize),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub id: KernelId,
    pub who: Who,
    /// The life of the process that it belongs to.
    pub run: u64,
    /// This side has not noticed or caused its end yet.
    pub open: bool,
    /// This side's engine was told of the end, or is not there to be told.
    pub told: bool,
    /// When the last frame to this side arrives: those behind it come later.
    pub last_us: u64,
    /// This side's engine has admitted it.
    pub admitted: bool,
    /// What was asked before that.
    pub early: Vec<Frame>,
    /// Arrived, but the mailbox is full.
    pub backlog: VecDeque<Bytes>,
}

impl End {
    pub fn new(id: KernelId, who: Who, run: u64) -> Self {
        Self {
            id,
            who,
            run,
            open: true,
            told: false,
            last_us: 0,
            admitted: false,
            early: Vec::new(),
            backlog: VecDeque::new(),
        }
    }
}

/// A connection: the dialler is side 0.
#[derive(Debug)]
pub(crate) struct Conn {
    pub ends: [End; 2],
    /// It will be noticed to be dead.
    pub doomed: bool,
    /// When the side that was dialled hears of it: nothing is read before.
    pub accepted_us: u64,
}

impl Conn {
    /// The side at which this kernel is.
    pub fn side_of(&self, who: Who) -> Option<usize> {
        self.ends.iter().position(|end| end.who == who)
    }
}

/// Everything between the kernels.
#[derive(Debug)]
pub(crate) struct Net {
    pub conns: BTreeMap<ConnId, Conn>,
    /// From whom nothing reaches whom.
    pub blocked: BTreeSet<(usize, usize)>,
    pub weather: Weather,
}

impl Net {
    pub fn new() -> Self {
        Self { conns: BTreeMap::new(), blocked: BTreeSet::new(), weather: Weather::calm() }
    }

    /// Whether something on its way from one to the other is swallowed.
    pub fn is_blocked(&self, from: Who, to: Who) -> bool {
        match (from, to) {
            (Who::Kernel(from), Who::Kernel(to)) => self.blocked.contains(&(from, to)),
            _ => false,
        }
    }

    /// Whether the engine at one end has admitted a connection.
    pub fn is_admitted(&self, id: ConnId, who: Who) -> bool {
        let side = |conn: &Conn| conn.side_of(who).is_some_and(|side| conn.ends[side].admitted);
        self.conns.get(&id).is_some_and(side)
    }

    /// How long something takes.
    pub fn latency_us(&self, rng: &mut Rng) -> u64 {
        rng.between(self.weather.latency_min_us, self.weather.latency_max_us)
    }

    /// The connections of a kernel that it has not noticed the end of.
    pub fn open_of(&self, who: Who) -> Vec<ConnId> {
        let open = |conn: &Conn| conn.ends.iter().any(|end| end.who == who && end.open);
        self.conns.iter().filter(|(_, conn)| open(conn)).map(|(id, _)| *id).collect()
    }

    /// An open connection between the two, newest first.
    pub fn between(&self, a: Who, b: Who) -> Option<ConnId> {
        if a == b {
            return None;
        }
        let joins = |conn: &Conn| conn.side_of(a).is_some() && conn.side_of(b).is_some();
        let open = |conn: &Conn| conn.ends.iter().all(|end| end.open);
        self.conns.iter().rev().find(|(_, conn)| joins(conn) && open(conn)).map(|(id, _)| *id)
    }
}
