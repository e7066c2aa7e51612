//! The checkers: each promise (ARCHITECTURE.md), looked at after every event. A violation is a value.
//!
//! They know only what went into the kernels and what came out: the inputs of a group, the rows that its commit
//! changed, the effects that it released. What a kernel should allow they keep in a shadow of their own.

mod access;
pub(crate) mod act;
mod answers;
mod archive;
mod beside;
mod effects;
mod events;
mod exchange;
pub(crate) mod find;
pub(crate) mod follow;
mod group;
mod guests;
mod handing;
mod history;
mod laws;
pub(crate) mod ledger;
mod left;
mod moving;
pub(crate) mod news;
mod object;
mod peers;
pub(crate) mod rows;
mod shadow;
mod share;
pub(crate) mod visitors;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use once_core::object::HeadRow;
use once_core::store::Table;
use once_core::waist::{Command, Effect, Input, Timer, Token};
use once_core::{Limits, txn};
use once_model::ids::{Hash, KernelId, Uuid};
use once_model::wire::Parcel;

use crate::components::Installed;
use crate::disk::{Changed, Commit, Disk};
use shadow::Shadow;

/// Promises and how they were broken.
type Wrong = Vec<(u8, String)>;

/// A head, as its row has it.
fn head_in(value: Option<&Bytes>) -> Option<HeadRow> {
    txn::decode(Table::Head, value?).ok()
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its number in ARCHITECTURE.md.
    pub promise: u8,
    /// The judge's check that found it, and where that is written; then there is no number.
    pub check: Option<(&'static str, &'static str)>,
    /// When, in milliseconds of virtual time.
    pub at_ms: u64,
    /// By which kernel.
    pub kernel: String,
    /// Which promise was broken, and by what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((check, cite)) = self.check {
            return write!(
                f,
                "{check} ({cite}) broken by {} at {} ms: {}",
                self.kernel, self.at_ms, self.what
            );
        }
        write!(f, "promise {} broken by {} at {} ms: {}", self.promise, self.kernel, self.at_ms, self.what)
    }
}

/// One group as the checkers see it.
pub(crate) struct Group<'a> {
    pub kernel: KernelId,
    /// By the kernel's clock.
    pub now_ms: u64,
    /// By the world's.
    pub at_ms: u64,
    pub inputs: &'a [Input],
    /// With whether they left before the commit.
    pub effects: &'a [(Effect, bool)],
    pub commit: Option<&'a Commit>,
    /// The disk after the commit.
    pub store: &'a Disk,
    /// The engine gave up.
    pub failed: bool,
}

impl Group<'_> {
    /// The rows that it changed.
    fn changed(&self) -> impl Iterator<Item = &Changed> {
        self.commit.into_iter().flat_map(|commit| &commit.rows)
    }
}

/// A revision that was made at its home.
#[derive(Debug)]
struct Made {
    id: Hash,
    by: KernelId,
}

/// What all kernels together have done so far.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// What the kernels can run besides the journal.
    pub installed: Installed,
    /// Everything that was ever imported or put, by its hash.
    bodies: BTreeMap<Hash, Bytes>,
    /// The one revision under each certificate and number.
    revisions: BTreeMap<(Hash, u64), Made>,
    /// Every revision that a home made, hostile ones included.
    made: BTreeSet<Hash>,
    /// The keys of hostile kernels' objects do not converge.
    pub(crate) forked: BTreeSet<once_model::ids::ObjectKey>,
    /// Copies that people have removed, and where: what that kernel had recorded as the home before went along, also if it got
    /// another copy since.
    pub(crate) emptied: BTreeSet<(KernelId, once_model::ids::ObjectKey)>,
    /// Kernels that were put back from a backup at some time: what they make may be a second one.
    rolled_back: BTreeSet<KernelId>,
    /// Revisions that people gave up sending: who, to whom, which.
    given_up: BTreeSet<(KernelId, KernelId, Hash)>,
    acts: act::Acts,
    moves: moving::Moves,
    pub(crate) news: news::News,
    entries: history::Entries,
    archives: archive::Archives,
    told: events::Told,
    /// Journals that have another state than what their actions made, because people kept an older one.
    laid_back: BTreeSet<Uuid>,
    /// The UUIDs of all journals that were imported, or born of others.
    journals: BTreeSet<Uuid>,
    shadows: BTreeMap<KernelId, Shadow>,
    pub(crate) violations: Vec<Violation>,
}

/// Most timers of one kind, for one peer and connection, that a kernel may have running. One is meant to; a peer that a
/// client removes and adds again leaves the old one running until it ends by itself.
const TIMERS_MAX: u32 = 8;

impl Checker {
    /// A kernel comes into the world.
    pub fn kernel(&mut self, id: KernelId, name: &str) {
        self.shadows.insert(id, Shadow { name: name.to_owned(), ..Shadow::default() });
    }

    /// The bounds of a kernel.
    pub fn within(&mut self, kernel: &KernelId, limits: &Limits) {
        self.shadows.entry(*kernel).and_modify(|shadow| shadow.limits = *limits);
    }

    fn violation(&mut self, promise: u8, kernel: &KernelId, at_ms: u64, what: String) {
        let kernel = self.shadows.get(kernel).map_or_else(|| kernel.short(), |shadow| shadow.name.clone());
        self.violations.push(Violation { promise, check: None, at_ms, kernel, what });
    }

    /// A client waits for a reply.
    pub fn asked(&mut self, kernel: &KernelId, token: Token, what: &'static str) {
        if let Some(shadow) = self.shadows.get_mut(kernel) {
            shadow.tokens.insert(token, what);
        }
    }

    /// Notes the bytes that a command brings.
    pub fn offered(&mut self, command: &Command) {
        if let Command::Import { scenario, .. }
        | Command::Put { scenario, .. }
        | Command::Create { scenario } = command
        {
            self.bodies.insert(scenario.hash(), scenario.bytes().clone());
            if scenario.component() == Some(crate::journal::NAME) {
                self.journals.insert(scenario.uuid());
            }
        }
    }

    /// Whether there ever was a journal of this UUID.
    pub fn is_journal(&self, uuid: &Uuid) -> bool {
        self.journals.contains(uuid)
    }

    /// Whether people have put an older state in the place of what actions made of a journal.
    pub fn is_laid_back(&self, uuid: &Uuid) -> bool {
        self.laid_back.contains(uuid)
    }

    /// Notes what a hostile kernel makes of its own.
    pub fn hostile(&mut self, parcel: &Parcel) {
        if let Some(body) = &parcel.body {
            self.bodies.insert(once_model::hash::content_hash(body), body.clone());
        }
        self.made.insert(parcel.header.id());
        self.forked.insert(parcel.header.key());
    }

    /// A timer was set: there must not be more and more of them.
    pub fn timers(&mut self, kernel: &KernelId, timer: Timer, running: u32, at_ms: u64) {
        if running > TIMERS_MAX {
            self.violation(9, kernel, at_ms, format!("{running} timers {timer:?} are running"));
        }
    }

    /// The engine ended. True if clients were waiting; those that it has not heard of yet go on waiting.
    pub fn stopped(&mut self, kernel: &KernelId, unheard: &BTreeSet<Token>) -> bool {
        let Some(shadow) = self.shadows.get_mut(kernel) else { return false };
        shadow.windows.clear();
        shadow.shown.clear();
        shadow.pending.clear();
        shadow.followed.clear();
        let before = shadow.tokens.len();
        shadow.tokens.retain(|token, _| unheard.contains(token));
        shadow.tokens.len() < before
    }

    /// Whether people of a kernel gave up sending this revision to another one: it comes with the next one, or when it is
    /// asked for again.
    pub fn is_given_up(&self, by: &KernelId, to: &KernelId, revision: Hash) -> bool {
        self.given_up.contains(&(*by, *to, revision))
    }

    /// Clients that still wait for a reply.
    pub fn unanswered(&self, kernel: &KernelId) -> Vec<(Token, &'static str)> {
        let shadow = self.shadows.get(kernel);
        shadow.into_iter().flat_map(|shadow| shadow.tokens.iter().map(|(t, w)| (*t, *w))).collect()
    }
}
