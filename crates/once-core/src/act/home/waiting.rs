//! What waits at a home: lanes whose next action cannot run just now, what each of them waits for, and what came behind
//! it. Only in memory, and nothing of it is promised: what finds no room comes again.
//!
//! Each peer has one budget for all that waits of it, whatever it waits for; an origin that keeps to its window never
//! meets it. Of this kernel's own lanes only their places are kept here: their actions are in the queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_model::action::{Act, Given};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{ANSWER_MAX_BYTES, GIVEN_MAX, WAITING_ACT_BYTES};
use once_model::wire::Code;

use super::come::{Come, Lane};
use crate::engine::limits::Limits;
use crate::waist::{ConnId, Stands, StandsFor};

/// Lanes that stand still of which people are told at once.
const STANDS_SHOWN_MAX: usize = 4096;

/// What a lane waits for.
#[derive(Debug)]
pub(crate) enum For {
    /// The object runs another action.
    Object { key: ObjectKey },
    /// The object is about to leave this kernel.
    Leaving { key: ObjectKey },
    /// The scenarios that its next action depends on.
    Scenarios {
        lacks: Vec<Given>,
        /// The connection on which the origin was told.
        told: ConnId,
        until_ms: u64,
    },
    /// Somebody who has the component.
    Program(Program),
}

/// Who could run a lane's next action, and why it has not run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub component: String,
    /// Of the object's state.
    pub version: String,
    pub why: Unasked,
}

/// Why an action was not asked, or its answer did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// Nobody who has the component is there, or has room: so it is with all others of the component.
    NoRoom,
    /// It waits for something of its own.
    Itself,
    /// It tells an object what came of its effect, and whoever was asked cannot take it, with this code.
    Refused(Code),
}

/// A lane that stands still.
#[derive(Debug)]
pub(crate) struct Standing {
    pub waits: For,
    /// Its place in the line of those that wait for the same.
    turn: u64,
    /// The action, and what came behind it; behind the action that runs, if it waits for that. Of this kernel's own
    /// lanes nothing.
    pub comes: VecDeque<Come>,
}

/// What is held of one peer.
#[derive(Debug, Default)]
struct Held {
    acts: usize,
    bytes: usize,
}

/// Cursor of one retry pass over a component's deferred lanes.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// The turn that was tried last.
    pub turn: u64,
    /// Turns above this one were given since it began.
    pub end: u64,
    /// Lanes in a row for which there was no room.
    pub in_vain: Vec<Lane>,
    /// Lanes that wait for something of their own still.
    pub skipped: usize,
    /// Some went on.
    pub some: bool,
}

/// The lanes that stand still.
#[derive(Debug)]
pub(crate) struct Waiting {
    limits: Limits,
    lanes: BTreeMap<Lane, Standing>,
    /// Those that wait for an object, oldest first.
    objects: BTreeMap<(ObjectKey, u64), Lane>,
    /// Those that wait for an object that is about to leave.
    leaving: BTreeSet<(ObjectKey, Lane)>,
    /// Those that wait for scenarios.
    lacking: BTreeSet<Lane>,
    /// Those that wait for a component, oldest first.
    programs: BTreeMap<(String, u64), Lane>,
    turn: u64,
    held: BTreeMap<KernelId, Held>,
    /// Components that can be asked: their lanes go on, a few in each step.
    pub(crate) ready: BTreeMap<String, Pass>,
    /// Objects that run nothing any more: the same.
    pub(crate) free: BTreeSet<ObjectKey>,
    /// A timer for those that wait for scenarios.
    pub(crate) timer_set: bool,
}

/// What an action takes of its origin's budget.
fn cost(act: &Act) -> usize {
    let action = &act.action;
    WAITING_ACT_BYTES + action.name.len() + action.arguments.len() + action.given.len() * size_of::<Given>()
}

impl Waiting {
    pub fn within(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            lanes: BTreeMap::new(),
            objects: BTreeMap::new(),
            leaving: BTreeSet::new(),
            lacking: BTreeSet::new(),
            programs: BTreeMap::new(),
            turn: 0,
            held: BTreeMap::new(),
            ready: BTreeMap::new(),
            free: BTreeSet::new(),
            timer_set: false,
        }
    }

    pub fn get(&self, lane: &Lane) -> Option<&Standing> {
        self.lanes.get(lane)
    }

    pub fn get_mut(&mut self, lane: &Lane) -> Option<&mut Standing> {
        self.lanes.get_mut(lane)
    }

    /// A lane stands still from now on. Its actions were counted when they were lined up, or are counted now.
    pub fn stand(&mut self, lane: Lane, waits: For, comes: VecDeque<Come>) {
        self.take(&lane);
        if comes.is_empty() && self.lanes.len() >= self.limits.slow_lanes {
            // Its first action is sent again some time later.
            return;
        }
        self.turn += 1;
        let turn = self.turn;
        match &waits {
            For::Object { key } => drop(self.objects.insert((*key, turn), lane)),
            For::Leaving { key } => drop(self.leaving.insert((*key, lane))),
            For::Scenarios { .. } => drop(self.lacking.insert(lane)),
            For::Program(program) => drop(self.programs.insert((program.component.clone(), turn), lane)),
        }
        comes.iter().for_each(|come| self.count(come));
        self.lanes.insert(lane, Standing { waits, turn, comes });
    }

    /// A lane goes on.
    pub fn take(&mut self, lane: &Lane) -> Option<Standing> {
        let standing = self.lanes.remove(lane)?;
        match &standing.waits {
            For::Object { key } => drop(self.objects.remove(&(*key, standing.turn))),
            For::Leaving { key } => drop(self.leaving.remove(&(*key, *lane))),
            For::Scenarios { .. } => drop(self.lacking.remove(lane)),
            For::Program(program) => {
                self.programs.remove(&(program.component.clone(), standing.turn));
            }
        }
        standing.comes.iter().for_each(|come| self.forget(come));
        Some(standing)
    }

    /// A kernel is no peer any more: what waits of it would be refused, and it sends it again if it comes back.
    pub fn forget_peer(&mut self, peer: &KernelId) {
        self.forget_where(|(origin, _)| origin.kernel == *peer);
    }

    /// An object has come from another home, which may have refused without a record what waits here since the object
    /// left: what other kernels asked for under these names. They send again what has no outcome.
    pub fn forget_before_return(&mut self, names: &[ObjectKey], me: &KernelId) {
        self.forget_where(|(origin, name)| origin.kernel != *me && names.contains(&name.key));
    }

    fn forget_where(&mut self, is_meant: impl Fn(&Lane) -> bool) {
        let lanes: Vec<_> = self.lanes.keys().filter(|lane| is_meant(lane)).copied().collect();
        for lane in lanes {
            self.take(&lane);
        }
    }

    /// Lets an action wait behind what its lane waits for, if there is room. A void takes the place of the action that
    /// it takes back.
    pub fn line_up(&mut self, come: Come) {
        let lane = come.lane();
        let room = self.has_room(&come);
        let Some(standing) = self.lanes.get_mut(&lane) else { return };
        if let Some(other) = standing.comes.iter_mut().find(|other| other.is_same(&come)) {
            if come.act.void.is_some() {
                // The same action, so the same cost.
                *other = come;
            }
        } else if room {
            standing.comes.push_back(come.clone());
            self.count(&come);
        }
    }

    /// Whether one more action of its origin may wait.
    pub fn has_room(&self, come: &Come) -> bool {
        // What is too large is refused when its turn has come: until then it takes no room.
        let action = &come.act.action;
        if action.arguments.len() > ANSWER_MAX_BYTES || action.given.len() > GIVEN_MAX {
            return false;
        }
        self.held.get(&come.origin.kernel).is_none_or(|held| {
            held.acts < self.limits.waiting && held.bytes + cost(&come.act) <= self.limits.waiting_bytes
        })
    }

    fn count(&mut self, come: &Come) {
        let held = self.held.entry(come.origin.kernel).or_default();
        held.acts += 1;
        held.bytes += cost(&come.act);
    }

    fn forget(&mut self, come: &Come) {
        if let Some(held) = self.held.get_mut(&come.origin.kernel) {
            held.acts = held.acts.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(cost(&come.act));
            if held.acts == 0 {
                self.held.remove(&come.origin.kernel);
            }
        }
    }

    /// The lane that waits for this object longest.
    pub fn next_of(&self, object: &ObjectKey) -> Option<Lane> {
        let range = (*object, 0)..=(*object, u64::MAX);
        self.objects.range(range).next().map(|(_, lane)| *lane)
    }

    /// Those that wait for an object that is about to leave.
    pub fn leaving(&self, object: &ObjectKey) -> Vec<Lane> {
        self.leaving.iter().filter(|(key, _)| key == object).map(|(_, lane)| *lane).collect()
    }

    /// The lane of a component whose turn comes after that one.
    pub fn after(&self, component: &str, turn: u64) -> Option<(u64, Lane)> {
        let ((of, turn), lane) = self.programs.range((component.to_owned(), turn + 1)..).next()?;
        (of == component).then_some((*turn, *lane))
    }

    /// Those that wait for scenarios, of one peer or of all.
    pub fn lacking(&self, peer: Option<&KernelId>) -> impl Iterator<Item = &Lane> {
        self.lacking.iter().filter(move |(origin, _)| peer.is_none_or(|peer| origin.kernel == *peer))
    }

    /// A lane that waits for a component again gets back the turn that it had.
    pub fn keep_turn(&mut self, lane: &Lane, turn: u64) {
        let Some(standing) = self.lanes.get_mut(lane) else { return };
        let For::Program(program) = &standing.waits else { return };
        self.programs.remove(&(program.component.clone(), standing.turn));
        self.programs.insert((program.component.clone(), turn), *lane);
        standing.turn = turn;
    }

    /// A lane that waits for a component gets the last turn.
    pub fn last_turn(&mut self, lane: &Lane) {
        self.turn += 1;
        self.keep_turn(lane, self.turn);
    }

    /// The turn that was given last.
    pub const fn newest_turn(&self) -> u64 {
        self.turn
    }

    /// Those that wait for a component, oldest first.
    fn for_programs(&self) -> impl Iterator<Item = (&Lane, &Program)> {
        self.programs.values().filter_map(|lane| match &self.lanes.get(lane)?.waits {
            For::Program(program) => Some((lane, program)),
            _ => None,
        })
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
            && self.objects.is_empty()
            && self.leaving.is_empty()
            && self.lacking.is_empty()
            && self.programs.is_empty()
            && self.held.is_empty()
    }

    /// Whether each lane that stands still is found by what it waits for, and all that waits is counted.
    #[cfg(test)]
    pub fn is_whole(&self) -> bool {
        let is_found = |(lane, standing): (&Lane, &Standing)| match &standing.waits {
            For::Object { key } => self.objects.get(&(*key, standing.turn)) == Some(lane),
            For::Leaving { key } => self.leaving.contains(&(*key, *lane)),
            For::Scenarios { .. } => self.lacking.contains(lane),
            For::Program(program) => {
                self.programs.get(&(program.component.clone(), standing.turn)) == Some(lane)
            }
        };
        let indexed = self.objects.len() + self.leaving.len() + self.lacking.len() + self.programs.len();
        let mut held: BTreeMap<KernelId, (usize, usize)> = BTreeMap::new();
        for come in self.lanes.values().flat_map(|standing| &standing.comes) {
            let sum = held.entry(come.origin.kernel).or_default();
            *sum = (sum.0 + 1, sum.1 + cost(&come.act));
        }
        let counted = self.held.iter().map(|(peer, held)| (*peer, (held.acts, held.bytes)));
        self.lanes.iter().all(is_found) && indexed == self.lanes.len() && held.into_iter().eq(counted)
    }

    /// How many actions of a peer wait, and what they count.
    #[cfg(test)]
    pub fn held_of(&self, peer: &KernelId) -> (usize, usize) {
        self.held.get(peer).map_or((0, 0), |held| (held.acts, held.bytes))
    }
}

/// Lanes whose next action cannot be asked, for people: as many as fit into an answer.
pub(crate) fn standing(waiting: &Waiting) -> Vec<Stands> {
    let shown = waiting.for_programs().take(STANDS_SHOWN_MAX);
    let one = |(lane, program): (&Lane, &Program)| Stands {
        origin: lane.0.kernel,
        key: lane.1.key,
        component: program.component.clone(),
        version: program.version.clone(),
        why: match program.why {
            Unasked::NoRoom => StandsFor::Room,
            Unasked::Itself => StandsFor::Itself,
            Unasked::Refused(code) => StandsFor::Refused(code),
        },
    };
    shown.map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use once_model::action::Outcome;
    use once_model::limits::RESEND_AFTER_MS;

    use super::*;
    use crate::testing::{Alone, done};
    use crate::waist::{Answer, Command, Timer};

    #[test]
    fn nothing_outside_an_object_waits_for_what_it_runs_for_a_peer() {
        let mut kernel = Alone::new();
        let peer = kernel.peer(9);
        // Many of them, each with more actions of this kernel than the window holds.
        let slow: Vec<_> = (0..12).map(|n| kernel.object(100 + n, "Served")).collect();
        kernel.desk.room.store(12, Ordering::Relaxed);
        slow.iter().for_each(|key| kernel.acts(peer, *key, 1, "0".into()));
        assert_eq!(kernel.asked().len(), 12);
        let waits: Vec<_> = (0..3600).map(|n| kernel.act(slow[n as usize % 12], n)).collect();
        let open = kernel.object(1, "Open");
        let at_once = kernel.act(open, 9999);
        assert!(kernel.answered.contains_key(&at_once), "it waits for other objects");
        // What waited goes on, in its order.
        kernel.desk.room.store(i64::MAX / 2, Ordering::Relaxed);
        while !kernel.asked().is_empty() {
            kernel.answer(done());
        }
        assert!(waits.iter().all(|token| kernel.answered.contains_key(token)));
        assert!(kernel.engine.act.waiting.is_empty());
    }

    #[test]
    fn a_peer_has_one_budget_for_all_that_waits_of_it() {
        let mut kernel = Alone::new();
        let (peer, other) = (kernel.peer(9), kernel.peer(8));
        let objects: Vec<_> = (0..40).map(|n| kernel.object(100 + n, "Served")).collect();
        kernel.desk.room.store(20, Ordering::Relaxed);
        // Some run, the others find nobody who has room.
        for key in &objects {
            for sequence in 1..=20 {
                kernel.acts(peer, *key, sequence, "1".repeat(60_000));
            }
        }
        let (acts, bytes) = kernel.engine.act.waiting.held_of(&peer.kernel);
        assert!(
            acts <= Limits::PAGE.waiting && bytes <= Limits::PAGE.waiting_bytes,
            "{acts} acts, {bytes} bytes"
        );
        assert!(bytes > Limits::PAGE.waiting_bytes / 2, "{bytes} bytes");
        // Another one has its own.
        kernel.acts(other, objects[0], 1, "1".into());
        assert_eq!(kernel.engine.act.waiting.held_of(&other.kernel).0, 1);
    }

    #[test]
    fn lanes_to_one_object_take_turns() {
        let mut kernel = Alone::new();
        let (peer, other) = (kernel.peer(9), kernel.peer(8));
        let object = kernel.object(1, "Served");
        kernel.desk.room.store(1000, Ordering::Relaxed);
        for sequence in 1..=50 {
            kernel.acts(peer, object, sequence, format!("{sequence}"));
        }
        kernel.acts(other, object, 1, "1000".into());
        let mine = kernel.act(object, 2000);
        let mut order = Vec::new();
        while let Some(first) = kernel.asked().first() {
            order.push(*first);
            kernel.answer(done());
        }
        assert_eq!(order.len(), 52);
        assert!(
            order.iter().take(6).any(|n| *n == 1000) && order.iter().take(6).any(|n| *n == 2000),
            "{order:?}"
        );
        let of_peer: Vec<_> = order.into_iter().filter(|n| *n < 1000).collect();
        assert_eq!(of_peer, (1..=50).collect::<Vec<_>>());
        assert!(kernel.answered.contains_key(&mine));
    }

    #[test]
    fn what_waits_of_a_peer_goes_with_it() {
        let mut kernel = Alone::new();
        let (peer, other) = (kernel.peer(9), kernel.peer(8));
        let (runs, away) = (kernel.object(1, "Served"), kernel.object(2, "Served"));
        kernel.desk.room.store(1, Ordering::Relaxed);
        kernel.acts(other, runs, 1, "1".into());
        assert_eq!(kernel.asked(), [1]);
        // For an object that runs something else, and for somebody who has the component.
        kernel.acts(peer, runs, 1, "2".into());
        kernel.acts(peer, away, 1, "3".into());
        kernel.acts(other, away, 1, "4".into());
        assert_eq!(kernel.engine.act.waiting.held_of(&peer.kernel).0, 2);
        kernel.command(Command::RemovePeer { peer: peer.kernel });
        assert_eq!(kernel.engine.act.waiting.held_of(&peer.kernel), (0, 0));
        assert!(kernel.standing().iter().all(|stands| stands.origin == other.kernel));
        assert!(kernel.engine.act.waiting.is_whole());
        // What waits of the other one goes on.
        kernel.answer(done());
        kernel.ready(1);
        assert_eq!(kernel.asked(), [4]);
    }

    /// A timer is due, and whoever has the component does not know what it was to do.
    fn rings_in_vain(kernel: &mut Alone) -> ObjectKey {
        let clock = kernel.object(1, "Clock");
        let set = kernel.act_named(clock, "set", 1);
        assert!(kernel.answered.contains_key(&set));
        kernel.ctx.now_ms += 5000;
        kernel.ring(|timer| matches!(timer, Timer::Due(_)));
        let stands = kernel.standing();
        assert_eq!(stands.len(), 1);
        assert_eq!((stands[0].key, stands[0].why), (clock, StandsFor::Refused(Code::NoComponent)));
        clock
    }

    #[test]
    fn an_answer_waits_for_a_program_that_knows_it_and_holds_up_no_other_lane() {
        let mut kernel = Alone::new();
        let clock = rings_in_vain(&mut kernel);
        // Its own lane waits behind it, others go on.
        let behind = kernel.act_named(clock, "get", 2);
        let peer = kernel.peer(9);
        kernel.acts(peer, clock, 1, "1".into());
        assert_eq!(*kernel.desk.done.lock().unwrap(), ["set", "go"]);
        assert!(!kernel.answered.contains_key(&behind));
        kernel.desk.knows_rang.store(true, Ordering::Relaxed);
        kernel.ctx.now_ms += RESEND_AFTER_MS;
        kernel.ring(|_| true);
        assert_eq!(*kernel.desk.done.lock().unwrap(), ["set", "go", "rang", "get"]);
        assert!(kernel.answered.contains_key(&behind) && kernel.standing().is_empty());
    }

    #[test]
    fn an_answer_that_a_person_drops_is_a_recorded_void() {
        let mut kernel = Alone::new();
        let clock = rings_in_vain(&mut kernel);
        let behind = kernel.act_named(clock, "get", 2);
        let mut found = None;
        crate::act::waiting(&kernel.store, &mut |home, key, sequence, row| {
            found.get_or_insert((home, key, sequence, row.action.id));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let (home, key, sequence, id) = found.unwrap();
        kernel.command(Command::Drop { home, key, sequence, id });
        assert!(kernel.answered.contains_key(&behind) && kernel.standing().is_empty());
        let history = crate::act::history(&kernel.store, &clock).unwrap();
        let words: Vec<_> = history.iter().map(|entry| entry.status.unwrap().word()).collect();
        // The first is its birth.
        assert_eq!(words, ["done", "done", "refused", "done"]);
        assert_eq!(history[2].entry.id, id);
        assert_eq!(history[2].entry.outcome, Outcome::Refused(Code::Cancelled).hash());
        assert_eq!(*kernel.desk.done.lock().unwrap(), ["set", "get"]);
        // It is no action any more.
        let again = kernel.try_command(Command::Drop { home, key, sequence, id });
        assert!(again.is_err());
        assert!(matches!(kernel.answered[&behind], Answer::Acted { .. }));
    }
}
