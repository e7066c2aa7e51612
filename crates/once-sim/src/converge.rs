//! Promise 10, once kernels can talk again: outboxes drain, who follows has the newest revision, and kernels that
//! exchange hold the same.

use std::ops::ControlFlow;

use once_core::store::{Table, scan_prefix};
use once_core::waist::{Answer, Command, StandsFor};
use once_core::{access, act, moving, object, peers, share};
use once_model::ids::{ItemId, KernelId, ObjectKey};

use crate::check;
use crate::net::Who;
use crate::world::{Kernel, World};

impl World {
    /// Checks what holds when all faults are over and enough time has passed.
    pub(crate) fn check_converged(&mut self) {
        let mut wrong = Vec::new();
        for index in 0..self.nodes.len() {
            if !self.nodes[index].is_up() {
                wrong.push((index, 10, "did not come up again".to_owned()));
                continue;
            }
            for (peer, key) in self.debts(index) {
                if let Some(other) = self.friend(index, &peer) {
                    let what = format!("still owes {key} to {}", self.nodes[other].name);
                    wrong.push((index, 10, what));
                }
            }
            for (peer, key) in self.pairs(index, Table::Subscription) {
                if let Some(other) = self.friend(index, &peer)
                    && let Some(what) = self.lags(index, other, &key)
                {
                    wrong.push((index, 10, what));
                }
            }
            let leaving = moving::departures(&self.nodes[index].disk).unwrap_or_default();
            wrong.extend(self.not_moved(index, &leaving));
            for (peer, key) in self.waiting(index) {
                if self.is_about_to_leave(&peer, &key) {
                    continue;
                }
                if self.friend(index, &peer).is_some() || peer == self.nodes[index].id {
                    wrong.push((index, 4, format!("an action on {key} has no outcome")));
                }
            }
            for (peer, key) in self.pairs(index, Table::Unfollow) {
                if let Some(other) = self.friend(index, &peer) {
                    wrong.push((
                        index,
                        10,
                        format!("could not unfollow {key} at {}", self.nodes[other].name),
                    ));
                }
            }
            for (peer, key) in self.pairs(index, Table::News) {
                if let Some(other) = self.friend(index, &peer) {
                    let what = format!("still owes the news of {key} to {}", self.nodes[other].name);
                    wrong.push((index, 10, what));
                }
            }
            for (token, what) in self.checker.unanswered(&self.nodes[index].id) {
                if what == "command Move" && !leaving.is_empty() {
                    continue;
                }
                if matches!(what, "command Act" | "command Cancel") && !self.waiting(index).is_empty() {
                    continue;
                }
                if what != "command Share" && what != "command Join" {
                    wrong.push((index, 4, format!("never replied to {what} {token}")));
                } else if self.debts(index).is_empty() && what == "command Share" {
                    wrong.push((index, 4, format!("owes nothing and never replied to {what} {token}")));
                } else if what == "command Join" && !self.joins(index) {
                    wrong.push((index, 4, format!("joins nobody and never replied to {what} {token}")));
                }
            }
            if let Err(what) = self.checker.check_store(&self.nodes[index].id, &self.nodes[index].disk) {
                wrong.push((index, 1, what));
            }
        }
        wrong.extend(self.not_heard());
        for (index, promise, what) in wrong {
            self.violated(promise, index, what);
        }
        self.check_acts();
    }

    /// Who has to do with an object and does not know where it is, although a peer that knows owed it that.
    fn not_heard(&self) -> Vec<(usize, u8, String)> {
        let one = |(by, key, to): &(KernelId, ObjectKey, KernelId), links: usize| {
            let Some(Who::Kernel(by)) = self.who.get(by).copied() else { return None };
            let to = self.friend(by, to)?;
            let what = check::news::missed((&self.nodes[by].disk, links), &self.nodes[to].disk, key)?;
            Some((to, 10, what))
        };
        self.checker.news.all().filter_map(|(debt, links)| one(debt, links)).collect()
    }

    /// What of moves has not come to its end.
    fn not_moved(&self, index: usize, leaving: &[moving::Departure]) -> Vec<(usize, u8, String)> {
        let still = self.not_gone(index, leaving).into_iter();
        let node = &self.nodes[index];
        let former = check::news::names_a_former_home(&node.id, &node.disk).map(|what| (index, 10, what));
        let still = still.chain(former);
        still.chain(self.not_told(index)).chain(self.lingers(index)).collect()
    }

    /// Who still visits, and has no reason to.
    fn lingers(&self, index: usize) -> Option<(usize, u8, String)> {
        let now_ms = self.nodes[index].now_ms(self.now_us);
        let lingers = check::visitors::lingers(&self.nodes[index].disk, now_ms);
        lingers.map(|what| (index, 7, what))
    }

    /// Objects that have come, and still were not told so.
    fn not_told(&self, index: usize) -> Vec<(usize, u8, String)> {
        if self.checker.was_put_back(&self.nodes[index].id) {
            return Vec::new();
        }
        let untold = moving::arrivals(&self.nodes[index].disk).unwrap_or_default();
        let one =
            |arrival: moving::Arrival| (index, 4, format!("{} was never told that it has come", arrival.key));
        untold.into_iter().map(one).collect()
    }

    /// Objects that are still about to leave for kernels that can be reached.
    fn not_gone(&self, index: usize, leaving: &[moving::Departure]) -> Vec<(usize, u8, String)> {
        let one = |departure: &moving::Departure| {
            let other = &self.nodes[self.friend(index, &departure.to)?].name;
            Some((index, 10, format!("{} has not gone to {other} ({departure:?})", departure.key)))
        };
        leaving.iter().filter_map(one).collect()
    }

    /// Whether an object waits at its home to be handed over to a kernel that cannot be reached: its actions wait, too.
    fn is_about_to_leave(&self, home: &KernelId, key: &ObjectKey) -> bool {
        let Some(Who::Kernel(home)) = self.who.get(home).copied() else { return false };
        let leaving = moving::departures(&self.nodes[home].disk).unwrap_or_default();
        let found = object::find(&self.nodes[home].disk, &key.uuid, Some(key.line)).unwrap_or_default();
        let keys: Vec<_> = found.iter().map(|head| head.header.key()).chain([*key]).collect();
        leaving.iter().any(|departure| departure.sealed && keys.contains(&departure.key))
    }

    /// Whether a kernel still shows an invite to somebody: also to one that was a peer here before.
    fn joins(&self, index: usize) -> bool {
        let peers = peers::all(&self.nodes[index].disk).unwrap_or_default();
        peers.iter().any(|(_, row)| row.status == peers::PeerStatus::Joining || row.secret.is_some())
    }

    /// People look at what stands still: what no program can take they give up, and that is all that they need to do.
    /// Whether they gave up anything.
    pub(crate) fn look_after(&mut self) -> bool {
        let mut gave_up = false;
        for index in 0..self.nodes.len() {
            if !self.nodes[index].is_up() || !self.checker.violations.is_empty() {
                continue;
            }
            let listened = std::mem::replace(&mut self.listening, true);
            let standing = self.ask(Kernel(index), Command::Standing);
            self.listening = listened;
            let Some(Ok(Answer::Standing { lanes: stands, .. })) = standing else { continue };
            let home = self.nodes[index].id;
            for origin in stands.iter().map(|stands| stands.origin).filter(|origin| *origin != home) {
                if peers::peer(&self.nodes[index].disk, &origin).is_ok_and(|row| row.is_none()) {
                    let what = format!("an action of {} waits, which is no peer", origin.short());
                    self.violated(10, index, what);
                }
            }
            for stands in stands.iter().filter(|stands| matches!(stands.why, StandsFor::Refused(_))) {
                let mut first = None;
                let read = act::waiting(&self.nodes[index].disk, &mut |at, key, sequence, row| {
                    if (at, key) == (home, stands.key) {
                        first = Some((sequence, row.action));
                    }
                    if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let Some((sequence, action)) = first.filter(|_| read.is_ok()) else { continue };
                if action.answers.is_some() {
                    gave_up = true;
                    self.cover.met("state answer given up");
                    self.command(
                        Kernel(index),
                        Command::Drop { home, key: stands.key, sequence, id: action.id },
                    );
                }
            }
        }
        gave_up
    }

    /// The rows of a table whose key is a peer and an object.
    pub(crate) fn pairs(&self, index: usize, table: Table) -> Vec<(KernelId, ObjectKey)> {
        let mut found = Vec::new();
        let read = scan_prefix(&self.nodes[index].disk, table, &[], &mut |row, _| {
            if let Some((peer, key)) = row.split_at_checked(KernelId::LEN) {
                let key = key.get(..ObjectKey::ROW_LEN).and_then(ObjectKey::from_row);
                found.extend(KernelId::from_slice(peer).zip(key));
            }
            ControlFlow::Continue(())
        });
        if read.is_err() { Vec::new() } else { found }
    }

    /// The objects that a kernel owes.
    pub(crate) fn debts(&self, index: usize) -> Vec<(KernelId, ObjectKey)> {
        let mut found = Vec::new();
        let read = scan_prefix(&self.nodes[index].disk, Table::Outbox, &[], &mut |row, _| {
            if let Some((peer, share::Owed::Object(key))) = share::Owed::from_key(row) {
                found.push((peer, key));
            }
            ControlFlow::Continue(())
        });
        if read.is_err() { Vec::new() } else { found }
    }

    /// The actions of a kernel that have no outcome: their homes and objects.
    fn waiting(&self, index: usize) -> Vec<(KernelId, ObjectKey)> {
        let mut found = Vec::new();
        let read = once_core::act::waiting(&self.nodes[index].disk, &mut |home, key, _, _| {
            found.push((home, key));
            ControlFlow::Continue(())
        });
        if read.is_err() { Vec::new() } else { found }
    }

    /// The kernel behind an id, if both are peers of each other and can find each other: only they can talk.
    pub(crate) fn friend(&self, index: usize, peer: &KernelId) -> Option<usize> {
        let Some(Who::Kernel(other)) = self.who.get(peer).copied() else { return None };
        let there = self.nodes[index].id;
        let [mine, other_s] = [(index, peer), (other, &there)]
            .map(|(at, of)| peers::peer(&self.nodes[at].disk, of).ok().flatten());
        let (mine, other_s) = (mine?, other_s?);
        let mutual = [&mine, &other_s].iter().all(|row| row.status != peers::PeerStatus::Joining)
            && (mine.is_called() || other_s.is_called());
        (mutual && !self.lost_each_other(index, other)).then_some(other)
    }

    /// Whether two kernels have both moved, and neither has been told where the other is now. Nobody tells them here: a
    /// person would.
    fn lost_each_other(&self, one: usize, other: usize) -> bool {
        let knows = |who: usize, whom: usize| {
            let row = peers::peer(&self.nodes[who].disk, &self.nodes[whom].id).ok().flatten();
            row.is_some_and(|row| row.addresses.contains(&self.nodes[whom].address))
        };
        let moved = |index: usize| self.nodes[index].address != format!("sim:{index}:0");
        moved(one) && moved(other) && !knows(one, other) && !knows(other, one)
    }

    /// Whether a follower does not have what it follows.
    pub(crate) fn lags(&self, follower: usize, source: usize, key: &ObjectKey) -> Option<String> {
        let there =
            object::find(&self.nodes[source].disk, &key.uuid, Some(key.line)).ok()?.into_iter().next()?;
        let now_ms = self.nodes[source].now_ms(self.now_us);
        let id = self.nodes[follower].id;
        if !access::may_read(&self.nodes[source].disk, &id, &there, now_ms).ok()? {
            return None;
        }
        let current = there.header.key();
        let given_up = self.checker.is_given_up(&self.nodes[source].id, &id, there.header.id());
        if given_up || self.checker.forked.contains(&current) {
            return None;
        }
        let here = object::head(&self.nodes[follower].disk, &current).ok().flatten();
        let (want, have) = (
            (there.header.epoch, there.header.revision),
            here.map(|head| (head.header.epoch, head.header.revision)),
        );
        // An unclaimed copy there may have become another kernel's object here.
        let claimed_here = current.lineage().is_none()
            && object::find(&self.nodes[follower].disk, &key.uuid, Some(current.line))
                .is_ok_and(|found| !found.is_empty());
        if have.is_some_and(|have| have >= want) || claimed_here {
            return None;
        }
        let name = &self.nodes[source].name;
        Some(format!("follows {current} of {name} and has {have:?} instead of {want:?}"))
    }

    /// After an exchange both ways between kernels that may read and share everything, they hold the same.
    pub(crate) fn check_equal(&mut self, a: usize, b: usize) {
        let (mine, theirs) = (self.items(a), self.items(b));
        for (at, other, have, want) in [(a, b, &mine, &theirs), (b, a, &theirs, &mine)] {
            // An unclaimed copy there may be known here as what it has become.
            let known = |key: &ObjectKey| {
                let found = object::find(&self.nodes[at].disk, &key.uuid, Some(key.line));
                key.lineage().is_none() && found.is_ok_and(|found| !found.is_empty())
            };
            let has = |item: &ItemId| have.iter().any(|(had, _)| had == item);
            let missing = want.iter().find(|(item, key)| !has(item) && !known(key));
            if let Some((_, key)) = missing.copied() {
                let what = format!("exchanged with {} and does not have its {key}", self.nodes[other].name);
                self.violated(10, at, what);
            }
        }
    }
}
