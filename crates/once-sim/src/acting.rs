//! The part of the random workload that acts on objects: clients of all kernels, who repeat themselves.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use once_core::access::{Grant, Right, Scope};
use once_core::object::{self, HeadRow};
use once_core::store::{Read, Table, scan_prefix};
use once_core::waist::Command;
use once_core::{act, txn};
use once_model::action::{Action, Given};
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, ID_AHEAD_MAX_MS};

use crate::forger::Gossip;
use crate::journal::{self, Journal};
use crate::rng::Rng;
use crate::workload::{Workload, forever};
use crate::world::{Kernel, World};

/// What was asked once, and is asked again.
#[derive(Debug, Clone)]
struct Asked {
    by: usize,
    key: ObjectKey,
    at: Option<KernelId>,
    action: Action,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub(crate) struct Acting {
    /// Journals: at which kernel, and what they were called there at first.
    pub(crate) journals: Vec<(usize, ObjectKey)>,
    /// Those that were given a right somewhere, as they are called now.
    trusted: Vec<ObjectKey>,
    asked: Vec<Asked>,
}

impl Acting {
    /// A journal, and the kernel at which it began.
    pub(crate) fn any_journal(&self, rng: &mut Rng) -> Option<(usize, ObjectKey)> {
        rng.pick(&self.journals).copied()
    }

    /// A journal that began at a kernel, as it was called at first.
    pub(crate) fn journal_of(&self, index: usize, rng: &mut Rng) -> Option<ObjectKey> {
        let own: Vec<_> = self.journals.iter().filter(|(home, _)| *home == index).collect();
        rng.pick(&own).map(|(_, key)| *key)
    }
}

impl World {
    /// One client wants something done.
    pub(crate) fn act_on_something(&mut self, index: usize, work: &mut Workload) {
        if work.acting.journals.len() < 6 && self.rng.one_in(3) {
            return self.begin_journal(index, work);
        }
        let acting = &mut work.acting;
        let again = self.rng.pick(&acting.asked).cloned().filter(|_| self.rng.one_in(4));
        let asked = match again {
            Some(mut asked) => {
                if self.rng.one_in(6) {
                    asked.action.name = "look".into();
                }
                asked
            }
            None => {
                let Some((home, key)) = self.rng.pick(&acting.journals).copied() else { return };
                let at = (!self.rng.one_in(30)).then(|| self.nodes[home].id);
                let asked = Asked { by: index, key, at, action: self.any_action(index, acting) };
                acting.asked.push(asked.clone());
                asked
            }
        };
        let Asked { by, key, at, action } = asked;
        if !self.nodes[by].is_up() {
            return;
        }
        // Several at once: a lane has more than one under way.
        let wait = self.rng.one_in(2);
        let deadline_ms = self.rng.one_in(6).then(|| self.rng.up_to(15_000));
        self.command(Kernel(by), Command::Act { key, at, action, deadline_ms, wait });
        let more = if self.rng.one_in(80) { self.rng.between(70, 140) } else { self.rng.up_to(4) };
        for _ in 0..more {
            let asked = Asked { by, key, at, action: self.any_action(by, acting) };
            acting.asked.push(asked.clone());
            let deadline_ms = self.rng.one_in(10).then(|| self.rng.up_to(9_000));
            self.command(
                Kernel(by),
                Command::Act { key, at, action: asked.action, deadline_ms, wait: false },
            );
        }
        if self.rng.one_in(5) {
            let id = match self.rng.pick(&acting.asked) {
                Some(asked) if asked.by == by && !self.rng.one_in(9) => asked.action.id,
                _ => Uuid::from_u128(1),
            };
            let wait = self.rng.one_in(2);
            self.command(Kernel(by), Command::Cancel { id, wait });
        }
    }

    /// One more action on an object, which may be asked again later.
    pub(crate) fn ask_anything(
        &mut self,
        by: usize,
        (key, at): (ObjectKey, Option<KernelId>),
        acting: &mut Acting,
    ) -> Command {
        // By the one name that everybody has: in two lanes of two names there would be no order.
        let key =
            acting.journals.iter().map(|(_, name)| *name).find(|name| name.uuid == key.uuid).unwrap_or(key);
        let action = self.any_action(by, acting);
        acting.asked.push(Asked { by, key, at, action: action.clone() });
        Command::Act { key, at, action, deadline_ms: None, wait: self.rng.one_in(2) }
    }

    /// A new journal, and who may act on it: mostly every kernel, for good.
    fn begin_journal(&mut self, index: usize, work: &mut Workload) {
        let uuid = Uuid::from_bytes(self.rng.bytes());
        let Some(scenario) = journal::new(uuid) else { return };
        work.acting.journals.push((index, ObjectKey { uuid, line: Line::Unclaimed(scenario.hash()) }));
        self.command(Kernel(index), Command::Import { source: None, over: None, scenario });
        for other in (0..self.nodes.len()).filter(|other| *other != index) {
            let peer = self.nodes[other].id;
            let grant = match self.rng.up_to(10) {
                0..=5 => forever(Scope::Kernel, Right::Act, peer),
                6 | 7 => self.any_right_to_act(index, peer, work),
                _ => continue,
            };
            self.command(Kernel(index), Command::Grant(grant));
        }
        (0..3).for_each(|_| self.let_an_object_act(index, &mut work.acting));
    }

    pub(crate) fn any_action(&mut self, by: usize, acting: &Acting) -> Action {
        let ahead_ms = if self.rng.one_in(60) { 2 * ID_AHEAD_MAX_MS } else { 0 };
        let time_ms = self.nodes[by].now_ms(self.now_us) + ahead_ms;
        let mut id: [u8; 16] = self.rng.bytes();
        id[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
        id[6] = if self.rng.one_in(60) { 0x40 } else { 0x70 } | id[6] & 0xf;
        let name = match self.rng.up_to(60) {
            0..=2 => "no",
            3..=5 => "look",
            6..=8 => "fly",
            9..=22 => "pay",
            23..=27 => "alarm",
            28 => "hush",
            29..=31 => "work",
            32 => "bear",
            33 if self.rng.one_in(5) => "end",
            // Nobody but the journal itself may say so.
            34 => "paid",
            _ => "note",
        };
        let arguments: bytes::Bytes = match self.rng.up_to(60) {
            0 => "{".into(),
            1 => format!("\"{}\"", "x".repeat(ARGUMENTS_MAX_BYTES)).into(),
            _ => match self.rng.pick(&acting.journals).copied() {
                Some((home, key)) if name == "pay" => journal::name(&key, &self.nodes[home].id).into(),
                _ => "{}".into(),
            },
        };
        let given = if self.rng.one_in(14) { self.any_given(by) } else { Vec::new() };
        let id = Uuid::from_bytes(id);
        Action { id, name: name.into(), arguments, given, acting: None, answers: None }
    }

    /// What hostile kernels have heard.
    pub(crate) fn gossip(&mut self) -> Gossip {
        let Some(acting) = self.workload.as_ref().map(|work| &work.acting) else { return Gossip::default() };
        let (journals, trusted) =
            (acting.journals.iter().map(|(_, key)| *key).collect(), acting.trusted.clone());
        let ids = acting.asked.iter().map(|asked| asked.action.id).collect();
        let scenarios =
            acting.asked.iter().flat_map(|asked| asked.action.given.iter().copied()).take(40).collect();
        Gossip { journals, trusted, ids, scenarios }
    }

    /// Scenarios that an action depends on: mostly such as its origin has, now and then one that nobody has.
    fn any_given(&mut self, by: usize) -> Vec<Given> {
        let heads = once_core::object::with_prefix(&self.nodes[by].disk, &[], None, 200).unwrap_or_default();
        let heads: Vec<_> = heads.into_iter().filter(|head| !head.header.tombstone).collect();
        let mut given = Vec::new();
        for _ in 0..=self.rng.up_to(2) {
            if let Some(head) = self.rng.pick(&heads) {
                given.push(Given { key: head.header.key(), content: head.header.content });
            }
        }
        if self.rng.one_in(12) {
            let content = Hash::from_bytes(self.rng.bytes());
            let key = ObjectKey { uuid: Uuid::from_u128(9), line: Line::Unclaimed(content) };
            given.push(Given { key, content });
        }
        given
    }

    /// A journal of another kernel may act here, where its kernel may not.
    fn let_an_object_act(&mut self, index: usize, acting: &mut Acting) {
        let Some((home, key)) = self.rng.pick(&acting.journals).copied() else { return };
        let Some(head) = self.head(Kernel(home), key).filter(|head| head.home.is_some()) else { return };
        let object = Some(head.header.key());
        acting.trusted.extend(object);
        let grant = Grant { object, ..forever(Scope::Kernel, Right::Act, self.nodes[home].id) };
        self.command(Kernel(index), Command::Grant(grant));
    }

    /// After everything has healed: each action had the effect that its client was told of.
    pub(crate) fn check_acts(&mut self) {
        let mut bodies: BTreeMap<Uuid, Vec<Option<bytes::Bytes>>> = BTreeMap::new();
        for node in &self.nodes {
            let mut heads: Vec<HeadRow> = Vec::new();
            let read = scan_prefix(&node.disk, Table::Head, &[], &mut |_, value| {
                heads.extend(txn::decode::<HeadRow>(Table::Head, &value).ok());
                ControlFlow::Continue(())
            });
            let own = heads.into_iter().filter(|head| {
                head.home == Some(node.id) && !self.checker.is_handed_over(&node.disk, &head.header.key())
            });
            for head in own.filter(|_| read.is_ok()) {
                let body = node.disk.get(Table::Body, &object::body_key(&head.header)).ok().flatten();
                bodies.entry(head.header.uuid).or_default().push(body);
            }
        }
        for what in self.checker.acted(&bodies) {
            self.violated(what.0, 0, what.1);
        }
        self.check_coins(&bodies);
        for index in 0..self.nodes.len() {
            self.check_history(index);
        }
    }

    /// No coin is lost, and none is made: what one journal gives, another one takes, or it comes back. Nothing can be
    /// said once a journal was removed or overwritten, or a kernel's peer was removed for good.
    fn check_coins(&mut self, bodies: &BTreeMap<Uuid, Vec<Option<bytes::Bytes>>>) {
        if self.actions_waiting() > 0 {
            return;
        }
        let (mut coins, mut expected, mut doubts) = (0, 0, 0);
        for (uuid, body) in bodies.iter().flat_map(|(uuid, all)| all.iter().map(move |body| (uuid, body))) {
            let journal = body.as_ref().and_then(|body| Journal::read(body));
            let journal = journal.filter(|_| !self.checker.is_laid_back(uuid));
            let Some(journal) = journal else {
                // Removed or overwritten, with all that it had.
                if self.checker.is_journal(uuid) {
                    return;
                }
                continue;
            };
            coins += journal.coins;
            expected += journal::COINS;
            doubts += i64::try_from(journal.doubts).unwrap_or(i64::MAX);
            if journal.rings > journal.alarms {
                let what = format!("{} timers rang of {} that were set", journal.rings, journal.alarms);
                return self.violated(3, 0, what);
            }
        }
        self.cover.met("state coins counted");
        // What a journal did not wait for when it moved was taken or was not.
        if coins > expected || coins < expected - doubts {
            let what = format!("there are {coins} coins, {expected} were made, and of {doubts} nobody knows");
            self.violated(3, 0, what);
        }
    }

    /// Actions that have no outcome, of all kernels.
    pub(crate) fn actions_waiting(&self) -> usize {
        let mut count = 0;
        for node in &self.nodes {
            let read = once_core::act::waiting(&node.disk, &mut |_, _, _, _| {
                count += 1;
                ControlFlow::Continue(())
            });
            count += usize::from(read.is_err());
        }
        count
    }

    /// How many entries of an object are kept, by all kernels that have been its homes.
    fn entries_everywhere(&self, key: &ObjectKey, here: usize) -> usize {
        let mut numbers = std::collections::BTreeSet::new();
        for node in &self.nodes {
            let history = act::history(&node.disk, key).unwrap_or_default();
            numbers.extend(history.iter().map(|recorded| recorded.entry.number));
        }
        numbers.len().max(here)
    }

    /// Whether a kernel that was an object's home, by the chain that today's has, keeps nothing of it any more, or has removed what it
    /// kept and got another copy since.
    fn is_removed_at_a_former_home(&self, disk: &crate::disk::Disk, key: &ObjectKey) -> bool {
        let chain = key.lineage().and_then(|lineage| once_core::object::chain(disk, &lineage).ok().flatten());
        let homes: Vec<_> = chain.map(|chain| chain.homes().collect()).unwrap_or_default();
        self.nodes.iter().filter(|node| homes.contains(&node.id)).any(|node| {
            self.checker.emptied.contains(&(node.id, *key))
                || !matches!(once_core::object::head(&node.disk, key), Ok(Some(head)) if !head.header.tombstone)
        })
    }

    /// The history of each object holds together, and nothing that was due is left.
    fn check_history(&mut self, index: usize) {
        let disk = &self.nodes[index].disk;
        // Else old entries go.
        let keeps = |node: &crate::node::Node| node.limits.ledger_rows == once_core::Limits::PAGE.ledger_rows;
        let whole = keeps(&self.nodes[index]) && (!self.moves || self.nodes.iter().all(keeps));
        let heads = once_core::object::with_prefix(disk, &[], None, 10_000).unwrap_or_default();
        let mut wrong = Vec::new();
        for head in heads.iter().filter(|head| head.home == Some(self.nodes[index].id)) {
            let key = head.header.key();
            match act::history(disk, &key) {
                Ok(history) => {
                    if let Some(number) = act::broken_link(&history) {
                        wrong.push((8, format!("the history of {key} does not hold together at {number}")));
                    }
                    let recorded = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
                    let ends = history.last().map(|last| last.entry.number);
                    let count = self.entries_everywhere(&key, history.len());
                    // Who removes what is left of an object at a former home, removes what that has recorded, too.
                    // And what is handed over may have gone on where nobody answers this kernel any more.
                    let is_sealed = once_core::moving::is_leaving(disk, &key) == Ok(Some(true));
                    let is_whole = whole && !is_sealed && !self.is_removed_at_a_former_home(disk, &key);
                    if is_whole && ends.is_some_and(|ends| ends != recorded(count)) {
                        wrong.push((8, format!("the history of {key} has gaps")));
                    }
                }
                Err(error) => wrong.push((8, format!("the history of {key} cannot be read: {error}"))),
            }
        }
        let now_ms = self.nodes[index].now_ms(self.now_us);
        let mut due = None;
        let read = scan_prefix(disk, Table::Due, &[], &mut |key, _| {
            due = key.first_chunk().map(|time| u64::from_be_bytes(*time));
            ControlFlow::Break(())
        });
        if read.is_ok() && due.is_some_and(|due| due + 5000 < now_ms) {
            wrong.push((10, "something that was due did not happen".into()));
        }
        for (promise, what) in wrong {
            self.violated(promise, index, what);
        }
    }
}
