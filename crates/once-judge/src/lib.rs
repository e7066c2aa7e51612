//! An executable model of the documents. It is shown what happens at kernels, and says what the pages do not allow, and
//! what they promise and did not happen. It was written from `docs/` alone, knows the nouns of `once-model`, and nothing of
//! any engine.
//!
//! ```
//! use once_judge::{Judge, Limits, seen::Seen};
//! use once_model::ids::{BootId, Incarnation, KernelId};
//! let mut judge = Judge::new(Limits::default());
//! let kernel = KernelId::from_bytes([1; 32]);
//! let incarnation = Incarnation::from_bytes([2; 16]);
//! let started = Seen::Started { incarnation, boot: 1, boot_id: BootId::from_bytes([3; 16]), now_ms: 1_000 };
//! assert!(judge.see(kernel, 0, started).is_empty());
//! assert!(judge.healed(60_000).is_empty());
//! ```
//!
//! # What is shown, and in which order
//!
//! Time (`at_ms`) is the world's, and never falls. [`seen::Seen::Started`] and [`seen::Seen::Clock`] say what a kernel's
//! own clock shows; from there it goes on with the world's. Give `Clock` only when a clock jumps.
//!
//! A kernel works in *groups*: some inputs, one commit, then what leaves. Of one group:
//!
//! 1. For each input in the order in which the engine takes it: the input itself (`Frame` with direction `In`, `Client`,
//!    `LinkUp`, `LinkDown`, `Ran` that was made beside the engine, `Clock`, `Room`), then what it led to, in its order:
//!    `Asked`; `Ran` at once after it, if the component answered in the step; `Kept`, `Recorded`, `Dropped` as the rows are
//!    written. A timer of the engine is no input here: give what it led to.
//! 2. `Durable`, if the batch was synced, or `Committed`. Give it also for a group that wrote nothing, if anything leaves.
//! 3. What leaves, in its order: `Frame` with direction `Out`, `Answered`, `Work`, `Published`. `at_ms` is the time of the
//!    step that made it. What may leave before the commit (a share whose revision is durable, an outcome that another home
//!    has told) may be given before 2.
//!
//! What each event means is with [`seen::Seen`]. Besides:
//!
//! - `Recorded` is given for every entry of a history, built-in actions among them, after the `Asked` and `Ran` that it
//!   rests on. A claim by an action's first change is an entry of its own, before the action's. `Kept` is a head or a
//!   conflict that comes from a peer or an import; that an unclaimed copy is claimed is seen in `Recorded`. A head that a later one replaces without a
//!   proof is not given again as kept beside, nor a signature or a chain that is added to what is here.
//! - `Sealed` is given where the row of an object that leaves has its handoff for the first time. That it has moved is seen in
//!   `Handed`, or in a chain that comes; that it has come, in the entry of `once:move`.
//! - `Luggage` is given where luggage that was pulled is taken, before what it leads to.
//! - `Asked` and `Ran` are also given where the shell finds no component (`Said::NoComponent`) or nobody to ask
//!   (`Said::NotNow`). A run that nobody will answer any more (a program went away) ends with `Said::NotNow`.
//! - `Frame` is given for every frame of every stream, but not for the raw bytes behind one. A frame `Out` that is lost
//!   with its connection may be given or not.
//! - A command's answer is `Reply::Outcome` for whatever came of an action, also for a refusal; `Err` means that the
//!   command itself was refused. `Answered` comes once, for an act perhaps twice (`Accepted` first).
//! - A command with several parts (many scenarios to import, many objects to share) is given as one `Client` each. A
//!   coordination is a `Create` and an `Act`.
//! - `Work` is given each time the engine asks, whether or not anybody does such work.
//! - After `LinkDown` nothing comes in on that connection. `LinkUp` has a new number each time.
//! - `Crashed` ends a kernel, also when it is stopped in good order; its commits since the last `Durable` survive as far as
//!   `kept` says (a killed process keeps all, a power loss perhaps none). Then `Started`. A group whose commit fails, after
//!   which the engine begins anew in its process, is a crash too. `RolledBack` comes between a crash and a start.
//! - Peers that are no kernels of this engine (hostile ones) are never `Started`: nothing is promised of them.
//!
//! [`Judge::healed`] is asked when all links have been up, all clocks right, all programs there and all disks with room for
//! longer than every wait of section 11. What stands still all the same (a program is away, a disk is short, a kernel is in
//! quarantine or does not run) is counted as not made.
//!
//! # What it cannot see
//!
//! Two processes with one key; quotas in bytes (a refusal `quota` is right wherever a quota counts), and the bytes of
//! windows; what is only in a home's memory (256 actions and 8 MiB that wait, 1024 lanes that wait for scenarios); streams of
//! an exchange but for its gives; commits that a rollback has lost (a life or a start that is lost it does see); when a
//! kernel dials; what a component may not know; seeds of random numbers; answers of
//! commands that only read, but for `outcome` and `receipt`; client ids that were forgotten (only that none is before there
//! are as many as the limit). What it could not check in a run is counted ([`Tally`]), never passed over.
//!
//! # The page leaves open
//!
//! Lines, here and in [`Check::cite`], are those of `docs/protocol.md` when it was read first: some were added above since.
//! Where the page is silent, all of what it can mean is right here; where it
//! contradicts itself, both are.
//!
//! Silent:
//!
//! - 459 (row 1), 438, 470 (row 12): of several copies of one act, whose `remaining` counts. 459 says only that the same
//!   act is dropped while one waits.
//! - 465 (row 7): whether `not-home` or `denied` comes first for a removed object whose home is elsewhere.
//! - 464 and 465 against 467 (rows 6, 7 and 9): a copy of what was refused that meets another refusal of 6 or 7 by now gets
//!   that one by the order of the table, and "the same code" by row 9.
//! - 464, "no such object": an unclaimed key whose copy was never here, while a lineage here names it as its beginning:
//!   `denied` or `not-home`.
//! - 473 (row 15), "not here under the key": whether bytes that are kept beside the head are here.
//! - 477 (row 19): which of `too-large` and `invalid` comes first; what becomes of a result that is no JSON, of an effect
//!   that gives one scenario twice, and of news whose data is none.
//! - 502: whether a scenario "came from the origin" that another kernel had sent before (answered `known`).
//! - 529-532: whether a grant holds in the very millisecond in which it ends.
//! - 529-532, with `store.md` (Grant, key 2; Meta `latest`): how soon an end is "seen", and so which rights come back when the
//!   clock is set back before that. ADR 0007 has 66 s for timers. Also whether a clock behind `latest` counts as `latest`
//!   until `clock accept`.
//! - 534-538: whether a grant to an object goes along when that object is claimed; whether the home of an object must be
//!   a peer when the object is granted something.
//! - 546, create: of what "was removed" speaks: an object of this UUID, or one that began with these bytes.
//! - 545 and 548: whether the deadline of an act and the time of a timer count from the beginning of the run or from its commit.
//! - 548 and 549: what becomes of a timer that has rung, and whose answer waits, when it is ended or replaced.
//! - 547 and 404: whether `after` of an action that removes its object is its own revision or the tombstone.
//! - 578-596: the acting object in the cause of a built-in action that is an effect; the id of the claim that stands before an
//!   action's first change; the id of a client's `put`, which `local-api.md` does not let it choose.
//! - 600-604: `before` in the entry of a claim: zeros, or the id of the unclaimed header, which is its base.
//! - 251-255: whether a peer that shows an invite all the same gets the right to share again.
//! - 417-419, with `local-api.md`: the code for an id that is no UUID of version 7, or too far ahead, and for an action that
//!   breaks a limit; for single actions taken from a grant of every action, and for what was not granted; which commands
//!   go on with a short disk because they only take something back.
//! - 602, "each revision names it": whether the entry of an unclaimed object, of which there is no revision, has a number
//!   of its own (here: it has).
//! - 657-659 and 686-690: whether an initiator may offer what the responder may not read (here: no).
//! - 5.6, *sealed*, against 5.5 *Unclaimed objects*: whether an act that waits, and names the unclaimed copy that the object began
//!   as, is told `Moved` or refused `not-home`.
//! - 5.6, *Who hears `Moved`*: whether a subscription, too, goes over by a longer chain that comes another way.
//! - 5.6 *Visitors*: whether visitors, and the kernels where this one goes, take room of peers; whether a visitor is owed the news
//!   of what moves on from there.
//! - 5.5 *The origin* against 5.6: where an action goes that names an unclaimed copy at a kernel from which it has moved on, if the
//!   new home is no peer.
//!
//! Contradictions:
//!
//! - 55 and 67 give the control stream frames 0 to 12 and 33 to 36; 810 and 811 put 40 and 41 on it. (`Frame::decode` of
//!   `once-model` does not count 40 and 41 as known: if malformed, they are skipped, and 67 says `102`.)
//! - 299-300, "sends nothing else", against 865: `quarantined` in `Shared` and `Absent`.
//! - 301-302, "an act on it is refused `quarantined`": 865 does not have the code in `Outcome`, and no row of the table has it;
//!   whether it is recorded is not said (here: it is not). `local-api.md` refuses commands with it, and its list of codes
//!   does not have it.
//! - 153-154, `once/2 grantee` and `once/2 timer`, against `store.md` (Grant, Timer): `once/1`.
//! - 186, "a built-in one if there was no other", against the noun `Cause`: "empty for an import or a put"; 397-399 and CDDL
//!   `given-scenario` (by content hash) against the noun `Action::given`: "by `Header::id`".

mod ask;
mod check;
mod clients;
mod effects;
mod eyes;
mod follows;
mod given;
mod greetings;
mod guests;
mod healed;
mod home;
mod hosting;
mod kernel;
mod leads;
mod life;
mod limits;
mod moves;
mod objects;
mod origin;
mod own;
mod peers;
mod placing;
mod receipts;
mod recorded;
mod refusals;
mod rights;
mod runs;
pub mod seen;
mod sent;
mod shares;
mod told;
mod visits;
mod waits;
mod words;

use std::collections::BTreeMap;

use once_model::ids::KernelId;

pub use check::{Check, Count, Tally, Violation};
pub use limits::Limits;

use eyes::World;
use healed::Healthy;
use life::{Life, Shared};
use seen::Seen;

/// The judge of a world of kernels.
#[derive(Debug, Clone)]
pub struct Judge {
    limits: Limits,
    /// Of kernels with limits of their own.
    own: BTreeMap<KernelId, Limits>,
    lives: BTreeMap<KernelId, Life>,
    world: World,
    tally: Tally,
}

impl Judge {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (own, lives) = (BTreeMap::new(), BTreeMap::new());
        Self { limits, own, lives, world: World::default(), tally: Tally::default() }
    }

    /// A kernel has limits of its own.
    pub fn within(&mut self, kernel: KernelId, limits: Limits) {
        self.own.insert(kernel, limits);
    }

    /// Shows it one event at one kernel. What comes back is not allowed.
    pub fn see(&mut self, kernel: KernelId, at_ms: u64, seen: Seen) -> Vec<Violation> {
        let mut found = Vec::new();
        if matches!(seen, Seen::Started { .. }) {
            self.world.judged.insert(kernel);
        }
        let mut shared = Shared {
            limits: self.own.get(&kernel).unwrap_or(&self.limits),
            world: &mut self.world,
            tally: &mut self.tally,
            found: &mut found,
        };
        self.lives.entry(kernel).or_insert_with(|| Life::new(kernel)).see(at_ms, seen, &mut shared);
        found
    }

    /// Everything had its time: what was due, and has not happened?
    pub fn healed(&mut self, now_ms: u64) -> Vec<Violation> {
        let healthy = Healthy::of(self.lives.values().map(|life| &life.now));
        let mut found = Vec::new();
        for (follower, source) in self.pairs() {
            let mut shared = Shared {
                limits: self.own.get(&follower).unwrap_or(&self.limits),
                world: &mut self.world,
                tally: &mut self.tally,
                found: &mut found,
            };
            let (Some(follower), Some(source)) = (self.lives.get(&follower), self.lives.get(&source)) else {
                continue;
            };
            let mut eyes = shared.eyes(follower.now.me, now_ms, Some(&follower.disk));
            healed::subscription_due(&follower.now, &source.now, &healthy, &mut eyes);
        }
        for life in self.lives.values_mut() {
            let mut shared = Shared {
                limits: self.own.get(&life.now.me).unwrap_or(&self.limits),
                world: &mut self.world,
                tally: &mut self.tally,
                found: &mut found,
            };
            life.now.clock.go(now_ms);
            let now = life.now.clock.now();
            life.now.effects.tick(now);
            let mut eyes = shared.eyes(life.now.me, now_ms, Some(&life.disk));
            life.now.due(&healthy, &mut eyes);
        }
        found
    }

    /// Every kernel that follows something, and from whom.
    fn pairs(&self) -> std::collections::BTreeSet<(KernelId, KernelId)> {
        let lives = self.lives.values();
        lives
            .flat_map(|life| life.now.follows.following.iter().map(|(from, _)| (life.now.me, *from)))
            .collect()
    }

    /// How often each check was made, and how sharply.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}
