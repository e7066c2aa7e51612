//! What seldom comes together by itself, brought about on purpose: commands at one kernel or several, some of them a while
//! after the others.

use once_core::access::{Grant, Right, Scope};
use once_core::object::{self, HeadRow};
use once_core::share;
use once_core::store::Table;
use once_core::waist::{Answer, Command};
use once_model::ids::{KernelId, Line, ObjectKey, Uuid};
use once_model::limits::PEER_QUOTA_BYTES;

use crate::journal;
use crate::net::{Weather, Who};
use crate::scenarios;
use crate::workload::{Workload, forever};
use crate::world::{Kernel, SECOND_US, World};

/// So few rows in a step are few.
const FEW_ROWS: usize = 3;

/// An object comes to a kernel from its home, and its next revision through another one, whose quota there is used up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relay {
    at_us: u64,
    home: usize,
    through: usize,
    to: usize,
    key: ObjectKey,
    /// How far it has come.
    done: u8,
}

impl World {
    /// Something that takes more than one command.
    pub(crate) fn begin_scene(&mut self, index: usize, work: &mut Workload) {
        match self.rng.up_to(30) {
            0 => self.work_and_end(index, work),
            1..=14 => self.begin_relay(index, work),
            _ => self.grant_by_both_names(index, work),
        }
    }

    /// Those that have begun go on when it is time.
    pub(crate) fn scenes_go_on(&mut self, work: &mut Workload) {
        let now_us = self.now_us;
        let due: Vec<_> = work.relays.extract_if(.., |relay| relay.at_us <= now_us).collect();
        for mut relay in due {
            self.relay(&relay);
            relay.done += 1;
            relay.at_us = now_us + 3 * SECOND_US;
            work.relays.extend(Some(relay).filter(|relay| relay.done < 3));
        }
    }

    fn begin_relay(&mut self, index: usize, work: &mut Workload) {
        let id = self.nodes[index].id;
        let mut own = self.heads_at(index);
        own.retain(|head| head.home == Some(id) && !head.header.tombstone);
        let others: Vec<usize> = (0..self.nodes.len()).filter(|other| *other != index).collect();
        let (Some(head), Some(through), Some(to)) =
            (self.rng.pick(&own).cloned(), self.rng.pick(&others).copied(), self.rng.pick(&others).copied())
        else {
            return;
        };
        if through == to {
            return;
        }
        let key = head.header.key();
        for other in [through, to] {
            self.command(Kernel(index), Command::Share { key, to: self.nodes[other].id, delivered: false });
        }
        let at_us = self.now_us + 3 * SECOND_US;
        work.relays.push(Relay { at_us, home: index, through, to, key, done: 0 });
    }

    fn relay(&mut self, relay: &Relay) {
        let Relay { home, through, to, key, .. } = *relay;
        let peer = self.nodes[through].id;
        let quota = |quota_bytes| Command::ChangePeer {
            peer,
            petname: None,
            quota_bytes: Some(quota_bytes),
            addresses: Vec::new(),
        };
        match relay.done {
            0 => {
                let Some(scenario) = scenarios::next_state(&mut self.rng, key.uuid) else { return };
                self.command(Kernel(home), Command::Put { key, base: None, scenario });
                self.command(Kernel(home), Command::Share { key, to: peer, delivered: false });
            }
            1 => {
                self.cover.met("share through another kernel, whose quota is used up");
                let used = share::usage(&self.nodes[to].disk, &peer).unwrap_or_default().stored_bytes;
                let left = self.rng.up_to(1500);
                self.command(Kernel(to), quota(used + left));
                self.command(
                    Kernel(through),
                    Command::Share { key, to: self.nodes[to].id, delivered: false },
                );
            }
            _ => drop(self.command(Kernel(to), quota(PEER_QUOTA_BYTES))),
        }
    }

    /// Rights on a copy of another kernel, and others on the object that it has become there; then that comes here.
    fn grant_by_both_names(&mut self, index: usize, work: &Workload) {
        let mut copies = self.heads_at(index);
        copies.retain(|head| head.header.lineage.is_none() && head.from.is_some());
        let Some(copy) = self.rng.pick(&copies).cloned() else { return };
        let key = copy.header.key();
        let claimed = (0..self.nodes.len()).find_map(|home| {
            let head = self.head(Kernel(home), key)?;
            (head.home == Some(self.nodes[home].id)).then(|| (home, head.header.key()))
        });
        let Some((home, new)) = claimed else {
            if let Some(Who::Kernel(from)) = copy.from.and_then(|from| self.who.get(&from).copied()) {
                self.command(Kernel(from), Command::Claim { key });
            }
            return;
        };
        self.cover.met("rights on a copy and on what it has become");
        let peer = self.any_other(index);
        let one = Grant { scope: Scope::Object(key), ..self.any_grant(index, peer, work) };
        let now_ms = self.nodes[index].now_ms(self.now_us);
        let expires_ms = if one.expires_ms.is_some() { None } else { Some(now_ms + 60_000) };
        let other = Grant { scope: Scope::Object(new), expires_ms, ..one.clone() };
        self.command(Kernel(index), Command::Grant(one));
        self.command(Kernel(index), Command::Grant(other));
        let to = self.nodes[index].id;
        self.command(Kernel(home), Command::Share { key: new, to, delivered: false });
    }

    /// A journal has much work done outside, and comes to its end.
    fn work_and_end(&mut self, index: usize, work: &Workload) {
        let is_slow =
            |index: &usize| self.nodes[*index].is_up() && self.nodes[*index].limits.slice_rows <= FEW_ROWS;
        let index = (0..self.nodes.len()).find(is_slow).unwrap_or(index);
        let Some(scenario) = journal::new(Uuid::from_bytes(self.rng.bytes())) else { return };
        let key = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
        self.command(Kernel(index), Command::Import { source: None, over: None, scenario });
        let at = Some(self.nodes[index].id);
        let works = self.rng.between(4, 12);
        for n in 0..=works {
            let mut action = self.any_action(index, &work.acting);
            action.name = if n < works { "work" } else { "end" }.into();
            // Run at once (`AtOnce`), so that little of the work is done when it ends.
            let mut id = *action.id.as_bytes();
            (id[12], id[15]) = (id[12] | 1, id[15] & 0xfe);
            action.id = Uuid::from_bytes(id);
            (action.arguments, action.given) = ("{}".into(), Vec::new());
            self.command(Kernel(index), Command::Act { key, at, action, deadline_ms: None, wait: false });
        }
    }

    /// Mostly something that is followed, by the name that it has in the subscription.
    pub(crate) fn unfollow_something(&mut self, index: usize, peer: KernelId, work: &Workload) {
        let followed = self.pairs(index, Table::Subscription);
        let known = self.rng.pick(&followed).copied().filter(|_| !self.rng.one_in(4));
        let (from, key) = known.unwrap_or_else(|| (peer, self.any_key(index, work)));
        self.command(Kernel(index), Command::Unfollow { key, from });
    }

    /// In peace: an object that many follow changes again while those who follow it are told, a few in each step.
    pub(crate) fn tell_many(&mut self) {
        // Where a step looks at so few rows that there is more than one.
        let found = (0..self.nodes.len()).find_map(|home| {
            let others = (0..self.nodes.len()).filter(|other| *other != home);
            let friends: Vec<_> =
                others.filter(|other| self.friend(home, &self.nodes[*other].id).is_some()).collect();
            (friends.len() > self.nodes[home].limits.slice_rows + 1).then_some((home, friends))
        });
        let Some((home, friends)) = found else { return };
        let Some(key) = self.created(home) else { return };
        // Who was told first answers while others are still to be told.
        let slow =
            Weather { latency_min_us: 200, latency_max_us: 2000, sync_max_us: 20_000, ..Weather::calm() };
        self.weather(slow);
        self.cover.met("change while followers are told of the one before");
        let from = self.nodes[home].id;
        for other in &friends {
            let grant = forever(Scope::Object(key), Right::Read, self.nodes[*other].id);
            self.command(Kernel(home), Command::Grant(grant));
        }
        self.run_for(1000);
        for other in &friends {
            self.command(Kernel(*other), Command::Follow { key, from });
        }
        self.run_for(3000);
        for _ in 0..6 {
            for _ in 0..2 {
                let Some(scenario) = scenarios::next_state(&mut self.rng, key.uuid) else { return };
                self.command(Kernel(home), Command::Put { key, base: None, scenario });
                let gap_ms = self.rng.up_to(40);
                self.run_for(gap_ms);
            }
            self.run_for(3000);
            for other in &friends {
                if let Some(what) = self.lags(*other, home, &key) {
                    self.violated(10, *other, what);
                }
            }
        }
        self.weather(Weather::calm());
    }

    /// A new object of a kernel.
    fn created(&mut self, index: usize) -> Option<ObjectKey> {
        let uuid = Uuid::from_bytes(self.rng.bytes());
        let scenario = scenarios::next_state(&mut self.rng, uuid)?;
        let listened = std::mem::replace(&mut self.listening, true);
        let answer = self.ask(Kernel(index), Command::Create { scenario });
        self.listening = listened;
        match answer {
            Some(Ok(Answer::Object { header, .. })) => Some(header.key()),
            _ => None,
        }
    }

    fn any_other(&mut self, index: usize) -> KernelId {
        let others: Vec<_> = (0..self.nodes.len()).filter(|other| *other != index).collect();
        self.rng.pick(&others).map_or(self.nodes[index].id, |other| self.nodes[*other].id)
    }

    fn heads_at(&self, index: usize) -> Vec<HeadRow> {
        object::with_prefix(&self.nodes[index].disk, &[], None, 300).unwrap_or_default()
    }
}
