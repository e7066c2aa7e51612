//! The world: kernels, network, clock and scheduler in one value. Small calls make the stories of the tests; the
//! random workload uses the same ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use once_core::object::{self, HeadRow};
use once_core::waist::{Answer, Command, ConnId, Event as Notice, Input, Token};
use once_core::{Limits, Refusal, access, share};
use once_model::ids::{KernelId, ObjectKey};
use once_model::scenario::Scenario;

use crate::check::{Checker, Violation};
use crate::components::{Components, Installed};
use crate::coverage::Coverage;
use crate::exchange::Exchange;
use crate::finding::Search;
use crate::judged::Judged;
use crate::net::{Net, Weather, Who};
use crate::node::Node;
use crate::pull::Transfer;
use crate::puppet::Puppet;
use crate::queue::{Event, Queue};
use crate::rng::Rng;
use crate::trace::Trace;
use crate::workload::Workload;

/// A second of virtual time in microseconds.
pub(crate) const SECOND_US: u64 = 1_000_000;

/// After this much virtual time without faults everything must have converged: a kernel is dialled again after at most as
/// long as it was away (faults last less than a minute here), a share is repeated after 10 s, a dead connection is noticed
/// after 6 s.
pub(crate) const SETTLE_SECONDS: u64 = 150;

/// How often people look at what stands still meanwhile.
const LOOK_SECONDS: u64 = 15;

/// After so many looks at which nothing was given up, there is nothing more to give up: what stands still is looked at
/// again after at most 10 s, and may have been asked for just then.
const IN_VAIN_LOOKS: u64 = 3;

/// Most looks: more than the answers that any object has waiting here.
const LOOKS_MAX: u64 = 80;

/// A kernel of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel(pub(crate) usize);

/// Kernels in virtual time, with their network and disks. Everything that happens is determined by the seed and by
/// what is called.
///
/// ```
/// use once_sim::World;
///
/// let mut net = World::new(7);
/// let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
/// net.befriend(alice, bob);
/// let note = net.import(alice, r#"{"ior":{"component":"Note"},"model":{"text":"hi"}}"#);
/// net.share(alice, note, bob).crash(bob).heal().settle();
/// net.assert_same(alice, bob, note).assert_kept();
/// ```
pub struct World {
    pub(crate) now_us: u64,
    pub(crate) queue: Queue,
    pub(crate) rng: Rng,
    pub(crate) nodes: Vec<Node>,
    pub(crate) puppets: Vec<Puppet>,
    pub(crate) who: BTreeMap<KernelId, Who>,
    pub(crate) net: Net,
    pub(crate) pulls: BTreeMap<u64, Transfer>,
    pub(crate) exchanges: BTreeMap<u64, Exchange>,
    pub(crate) searches: Vec<Search>,
    pub(crate) search_rng: Rng,
    /// Which exchange waits for the reply to an arrival.
    pub(crate) exchange_tokens: BTreeMap<Token, u64>,
    /// Which connection a request went out on, and for which token its scenario is to be kept.
    pub(crate) calls: BTreeMap<u64, (usize, ConnId)>,
    pub(crate) checker: Checker,
    pub(crate) judged: Judged,
    /// What this world met.
    pub cover: Coverage,
    /// What happened, for comparing and for people.
    pub trace: Trace,
    pub(crate) events: u64,
    pub(crate) last_id: u64,
    pub(crate) replies: BTreeMap<Token, Result<Answer, Refusal>>,
    /// Replies are kept for a client that asks for them.
    pub(crate) listening: bool,
    pub(crate) notices: Vec<(Kernel, Notice)>,
    pub(crate) workload: Option<Workload>,
    /// Rows of disks are damaged now and then.
    pub(crate) damages: bool,
    /// Objects move to other homes.
    pub(crate) moves: bool,
    /// Some kernels put no luggage into a frame.
    pub(crate) luggage_apart: bool,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now_us: 0,
            queue: Queue::default(),
            rng: Rng::new(seed),
            nodes: Vec::new(),
            puppets: Vec::new(),
            who: BTreeMap::new(),
            net: Net::new(),
            pulls: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            searches: Vec::new(),
            search_rng: Rng::new(!seed),
            exchange_tokens: BTreeMap::new(),
            calls: BTreeMap::new(),
            checker: Checker::default(),
            judged: Judged::new(),
            cover: Coverage::default(),
            trace: Trace::default(),
            events: 0,
            last_id: 0,
            replies: BTreeMap::new(),
            listening: true,
            notices: Vec::new(),
            workload: None,
            damages: false,
            moves: false,
            luggage_apart: false,
        }
    }

    /// Gives all kernels that are made from now on components besides the journal.
    pub fn install(&mut self, components: Arc<dyn Components>) -> &mut Self {
        self.checker.installed = Installed(Some(components));
        self
    }

    /// A new kernel with an empty data directory, started.
    pub fn kernel(&mut self, name: &str) -> Kernel {
        self.kernel_within(name, crate::small::in_stories(self.nodes.len()))
    }

    /// The same, with limits of its own.
    pub fn kernel_within(&mut self, name: &str, limits: Limits) -> Kernel {
        let index = self.nodes.len();
        match Node::new(index, name, self.checker.installed.clone(), &mut self.rng) {
            Ok(mut node) => {
                node.limits = limits;
                self.who.insert(node.id, Who::Kernel(index));
                self.checker.kernel(node.id, name);
                self.nodes.push(node);
                self.start(index);
            }
            Err(error) => self.violated(6, index, format!("a fresh disk failed: {error}")),
        }
        Kernel(index)
    }

    /// The key by which others know a kernel.
    #[must_use]
    pub fn id(&self, kernel: Kernel) -> KernelId {
        self.nodes[kernel.0].id
    }

    /// How bad the network is from now on.
    pub fn weather(&mut self, weather: Weather) -> &mut Self {
        self.net.weather = weather;
        self
    }

    /// How many things have happened.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The virtual time in milliseconds since the beginning.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// What the checkers found.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.checker.violations
    }

    /// What clients of the kernels heard so far.
    #[must_use]
    pub fn notices(&self) -> &[(Kernel, Notice)] {
        &self.notices
    }

    pub(crate) fn violated(&mut self, promise: u8, node: usize, what: String) {
        let name = self.nodes.get(node).map_or_else(|| "?".to_owned(), |node| node.name.clone());
        self.checker.violations.push(Violation {
            promise,
            check: None,
            at_ms: self.now_us / 1000,
            kernel: name,
            what,
        });
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    // --- time ---

    /// Lets the next thing happen. False if nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some((at_us, event)) = self.queue.pop() else { return false };
        self.now_us = self.now_us.max(at_us);
        self.happen(event);
        self.only_judged();
        true
    }

    /// Lets a while pass.
    pub fn run_for(&mut self, ms: u64) -> &mut Self {
        let until_us = self.now_us + ms * 1000;
        while self.queue.next_at().is_some_and(|at| at <= until_us) && self.checker.violations.is_empty() {
            self.step();
        }
        self.now_us = self.now_us.max(until_us);
        self
    }

    /// Ends all faults: partitions, storms, full disks; starts what is down. Clocks stay as they are.
    pub fn heal(&mut self) -> &mut Self {
        self.net.weather = Weather::calm();
        self.net.blocked.clear();
        for index in 0..self.nodes.len() {
            self.nodes[index].disk_full_until_us = 0;
            self.nodes[index].sync_will_fail = false;
            self.nodes[index].reads_left = None;
            self.nodes[index].disk.room = None;
            self.mend(index);
            self.make_room_in_lanes(index);
            if self.nodes[index].is_up() {
                self.input(index, Input::Disk { free_bytes: u64::MAX });
                if self.moves {
                    // A kernel that was denied before it became a visitor there calls again within 10 min: that takes too long here.
                    self.input(index, Input::NetworkChanged);
                }
            } else {
                self.start(index);
            }
        }
        self
    }

    /// Lets so much time pass that everything that can converge has converged, and checks that it has.
    pub fn settle(&mut self) -> &mut Self {
        // People give up one answer of a lane at each look: as long as they do, there may be more.
        let (mut looks, mut in_vain, mut waiting) = (0, 0, usize::MAX);
        while looks < SETTLE_SECONDS / LOOK_SECONDS || (in_vain < IN_VAIN_LOOKS && looks < LOOKS_MAX) {
            self.run_for(LOOK_SECONDS * 1000);
            // Where a home has little room for what waits, a lane goes on by a few actions in 10 s.
            let before = std::mem::replace(&mut waiting, self.actions_waiting());
            in_vain = if self.look_after() || waiting < before { 0 } else { in_vain + 1 };
            looks += 1;
        }
        if self.checker.violations.is_empty() {
            self.check_converged();
            self.only_judged();
            self.ask_for_receipts();
            self.judge_healed();
        }
        self
    }

    // --- clients ---

    /// Gives a command to a kernel. The reply comes later.
    pub fn command(&mut self, kernel: Kernel, command: Command) -> Token {
        let token = self.next_id();
        let index = kernel.0;
        self.cover.met(crate::coverage::command(&command));
        if self.nodes[index].is_up() {
            self.checker.asked(&self.nodes[index].id, token, crate::coverage::command(&command));
            self.checker.offered(&command);
            self.trace.line(|| format!("{:>9} {} {command:?}", self.now_us / 1000, self.nodes[index].name));
            self.input(index, Input::Command { token, command });
        }
        token
    }

    /// Gives a command to a kernel and waits for the reply; `None` if none comes within a virtual minute.
    pub fn ask(&mut self, kernel: Kernel, command: Command) -> Option<Result<Answer, Refusal>> {
        let token = self.command(kernel, command);
        let until_us = self.now_us + 60 * SECOND_US;
        while !self.replies.contains_key(&token) {
            if self.queue.next_at().is_none_or(|at| at > until_us) || !self.checker.violations.is_empty() {
                return None;
            }
            self.step();
        }
        self.replies.remove(&token)
    }

    /// The reply to an earlier command, if it came.
    pub fn reply(&mut self, token: Token) -> Option<Result<Answer, Refusal>> {
        self.replies.remove(&token)
    }

    // --- looking ---

    /// The newest revision of an object at a kernel. An unclaimed copy that was claimed since is found as the object
    /// that it has become.
    #[must_use]
    pub fn head(&self, kernel: Kernel, key: ObjectKey) -> Option<HeadRow> {
        object::find(&self.nodes[kernel.0].disk, &key.uuid, Some(key.line)).ok()?.into_iter().next()
    }

    /// The bytes of an object at a kernel.
    #[must_use]
    pub fn body(&self, kernel: Kernel, key: ObjectKey) -> Option<Bytes> {
        let head = self.head(kernel, key)?;
        object::body(&self.nodes[kernel.0].disk, &head.header).ok()?
    }

    /// Rows that a kernel has written or removed so far.
    #[must_use]
    pub fn rows_written(&self, kernel: Kernel) -> u64 {
        self.nodes[kernel.0].disk.rows_written()
    }

    /// Whether a kernel still owes an object to another one.
    #[must_use]
    pub fn owes(&self, kernel: Kernel, key: ObjectKey, to: Kernel) -> bool {
        share::debt(&self.nodes[kernel.0].disk, &self.id(to), &key).is_ok_and(|row| row.is_some())
    }

    /// Whether a kernel is a peer of another one.
    #[must_use]
    pub fn is_peer(&self, kernel: Kernel, of: Kernel) -> bool {
        access::is_peer(&self.nodes[of.0].disk, &self.id(kernel)).unwrap_or(false)
    }

    /// Whether a kernel is still taking away, a few rows at a time, what a removed peer or the end of a quarantine leaves.
    #[must_use]
    pub fn is_removing(&self, kernel: Kernel) -> bool {
        self.checker.is_removing(&self.nodes[kernel.0].disk)
    }

    /// How many connections are open between two kernels.
    #[must_use]
    pub fn connections(&self, a: Kernel, b: Kernel) -> usize {
        let (a, b) = (Who::Kernel(a.0), Who::Kernel(b.0));
        let both = |conn: &&crate::net::Conn| conn.side_of(a).is_some() && conn.side_of(b).is_some();
        self.net.conns.values().filter(both).filter(|conn| conn.ends.iter().all(|end| end.open)).count()
    }

    /// Puts an input into a kernel's mailbox.
    pub(crate) fn input(&mut self, index: usize, input: Input) {
        let run = self.nodes[index].run;
        self.queue.push(self.now_us, Event::Input { node: index, run, input });
    }

    /// Reads a scenario; a broken one is noted.
    pub(crate) fn parse(&mut self, bytes: impl Into<Bytes>) -> Option<Scenario> {
        match Scenario::parse(bytes) {
            Ok(scenario) => {
                self.cover.met(crate::scenarios::format_name(scenario.format()));
                Some(scenario)
            }
            Err(_) => {
                self.cover.met("state invalid scenario");
                None
            }
        }
    }
}
