//! The part of the random workload that gives rights and takes them back: every right, on everything that a right can be
//! on, for some actions or all, for a while or for good, to kernels and to objects, honest or not.

use std::ops::ControlFlow;

use once_core::access::{Grant, Right, Scope};
use once_core::store::{Read, Table};
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{GRANT_ACTIONS_MAX, NAME_MAX_BYTES};

use crate::journal;
use crate::scenarios;
use crate::workload::Workload;
use crate::world::{Kernel, World};

/// What may be named in a grant: what the journal understands, and what it does not.
const NAMES: [&str; 13] =
    ["note", "look", "no", "pay", "take", "alarm", "hush", "work", "bear", "paid", "rang", "fly", "once:put"];

impl World {
    /// A right, to somebody.
    pub(crate) fn any_grant(&mut self, index: usize, peer: KernelId, work: &Workload) -> Grant {
        let right = match self.rng.up_to(10) {
            0..=2 => Right::Share,
            3..=5 => Right::Read,
            6 => {
                self.cover.met("right to find");
                Right::Find
            }
            _ => return self.any_right_to_act(index, peer, work),
        };
        let scope = match self.any_scope(index, work) {
            // It is given on the kernel or a component.
            Scope::Object(_) if right == Right::Find => Scope::Kernel,
            scope => scope,
        };
        Grant { scope, right, kernel: peer, object: None, expires_ms: self.any_end(index), actions: None }
    }

    /// A right to act.
    pub(crate) fn any_right_to_act(&mut self, index: usize, peer: KernelId, work: &Workload) -> Grant {
        let scope = match self.rng.up_to(6) {
            0 | 1 => Scope::Component(journal::NAME.into()),
            2 => match work.acting.journal_of(index, &mut self.rng) {
                Some(key) => {
                    Scope::Object(self.head(Kernel(index), key).map_or(key, |head| head.header.key()))
                }
                None => Scope::Kernel,
            },
            _ => self.any_scope(index, work),
        };
        self.cover.met(match scope {
            Scope::Kernel => "right to act on the kernel",
            Scope::Component(_) => "right to act on a component",
            Scope::Object(_) => "right to act on an object",
        });
        let (kernel, object) = match self.rng.one_in(3) {
            true => self.any_acting(index, peer, work),
            false => (peer, None),
        };
        if object.is_some() {
            self.cover.met("right to act of an object");
        } else if work.is_hostile(&kernel) {
            self.cover.met("right to act of a hostile kernel");
        }
        let expires_ms = self.any_end(index);
        if expires_ms.is_some() {
            self.cover.met("right to act for a while");
        }
        let actions = self.rng.one_in(2).then(|| self.any_names());
        Grant { scope, right: Right::Act, kernel, object, expires_ms, actions }
    }

    fn any_scope(&mut self, index: usize, work: &Workload) -> Scope {
        match self.rng.up_to(5) {
            0 | 1 => Scope::Kernel,
            2 if self.rng.one_in(12) => Scope::Component("n".repeat(NAME_MAX_BYTES + 1)),
            2 => Scope::Component(self.rng.pick(&scenarios::COMPONENTS).copied().unwrap_or_default().into()),
            _ => Scope::Object(self.any_key(index, work)),
        }
    }

    /// Until when: now and then a time that is over.
    fn any_end(&mut self, index: usize) -> Option<u64> {
        let now_ms = self.nodes[index].now_ms(self.now_us);
        match self.rng.up_to(32) {
            0 => Some(now_ms.saturating_sub(self.rng.up_to(10_000))),
            1..=7 => Some(now_ms + self.rng.up_to(30_000)),
            _ => None,
        }
    }

    fn any_names(&mut self) -> Vec<String> {
        self.cover.met("right to act by a list of names");
        let count = match self.rng.up_to(40) {
            0 => GRANT_ACTIONS_MAX as u64 + 1,
            _ => self.rng.between(1, 5),
        };
        let mut names = Vec::new();
        for n in 0..count {
            let known = self.rng.pick(&NAMES).copied().unwrap_or_default();
            names.push(if n < 5 { known.to_owned() } else { n.to_string() });
        }
        if self.rng.one_in(60) {
            names.push("n".repeat(NAME_MAX_BYTES + 1));
        }
        names
    }

    /// An object that may have a right of its own, and whose it is said to be: mostly the truth.
    fn any_acting(&mut self, index: usize, peer: KernelId, work: &Workload) -> (KernelId, Option<ObjectKey>) {
        if self.rng.one_in(3) {
            let key = self.any_key(index, work);
            let home = self.head(Kernel(index), key).and_then(|head| head.home);
            return (home.unwrap_or(peer), Some(key));
        }
        let Some((home, key)) = work.acting.any_journal(&mut self.rng) else { return (peer, None) };
        let key = self.head(Kernel(home), key).map_or(key, |head| head.header.key());
        let said = if self.rng.one_in(12) { peer } else { self.nodes[home].id };
        (said, Some(key))
    }

    /// A right is taken back: one that is there, or some actions of it; now and then one that is not.
    pub(crate) fn revoke_something(&mut self, index: usize, peer: KernelId, work: &Workload) {
        let known = self.granted_at(index);
        let known = self.rng.pick(&known).cloned().filter(|_| self.rng.per_mille(800));
        let mut grant = match known {
            Some(grant) => grant,
            None => self.any_grant(index, peer, work),
        };
        match &mut grant.actions {
            Some(names) if names.len() > 1 && self.rng.one_in(2) => {
                self.cover.met("right to act on some actions taken back");
                let most = names.len();
                names.truncate(1 + self.rng.index(most));
            }
            // Of a grant of every action no single ones are taken.
            None if grant.right == Right::Act && self.rng.one_in(8) => grant.actions = Some(self.any_names()),
            actions => *actions = None,
        }
        let again = grant.clone();
        self.command(Kernel(index), Command::Revoke(grant));
        if again.actions.is_none() && self.rng.one_in(4) {
            self.cover.met("right given again at once");
            self.command(Kernel(index), Command::Grant(again));
        }
    }

    /// The rights that a kernel has given; of those that everybody needs to share few.
    /// What somebody follows here: shared by a client as well, it is owed for more than one reason.
    pub(crate) fn followed_at(&mut self, index: usize) -> Option<(ObjectKey, KernelId)> {
        let mut found = Vec::new();
        let read = self.nodes[index].disk.scan(Table::Follower, &[], None, &mut |key, _| {
            let row = key.split_at_checked(ObjectKey::ROW_LEN);
            found.extend(row.and_then(|(object, peer)| {
                Some((ObjectKey::from_row(object)?, KernelId::from_slice(peer)?))
            }));
            ControlFlow::Continue(())
        });
        read.ok().and_then(|()| self.rng.pick(&found).copied())
    }

    fn granted_at(&mut self, index: usize) -> Vec<Grant> {
        let share = self.rng.one_in(10);
        let mut found = Vec::new();
        let read = self.nodes[index].disk.scan(Table::Grant, &[], None, &mut |key, value| {
            let listed = Grant::list(key, &value).unwrap_or_default().into_iter().map(|listed| listed.grant);
            found.extend(listed.filter(|grant| share || grant.right != Right::Share));
            ControlFlow::Continue(())
        });
        if read.is_err() { Vec::new() } else { found }
    }
}
