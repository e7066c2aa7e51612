//! Calls that make tests read as stories.

use once_core::Refusal;
use once_core::access::{Right, Scope};
use once_core::waist::{Answer, Command};
use once_model::ids::{Line, ObjectKey};
use once_model::scenario::Scenario;

use crate::workload::forever;
use crate::world::{Kernel, World};

impl World {
    /// Makes two kernels peers that may share with each other, and lets them connect.
    pub fn befriend(&mut self, a: Kernel, b: Kernel) -> &mut Self {
        for (here, there) in [(a, b), (b, a)] {
            let peer = self.id(there);
            let addresses = vec![self.nodes[there.0].address.clone()];
            self.must(here, Command::AddPeer { peer, addresses, petname: None });
            self.must(here, Command::Grant(forever(Scope::Kernel, Right::Share, peer)));
        }
        self.run_for(5_000)
    }

    /// Lets a kernel read everything at another one.
    pub fn let_read(&mut self, at: Kernel, who: Kernel) -> &mut Self {
        let grant = forever(Scope::Kernel, Right::Read, self.id(who));
        self.must(at, Command::Grant(grant));
        self
    }

    /// Takes that back.
    pub fn let_read_no_more(&mut self, at: Kernel, who: Kernel) -> &mut Self {
        let grant = forever(Scope::Kernel, Right::Read, self.id(who));
        self.must(at, Command::Revoke(grant));
        self
    }

    /// Imports a scenario: its key as an unclaimed object.
    ///
    /// # Panics
    /// When it is none, or the kernel does not take it.
    pub fn import(&mut self, at: Kernel, json: &str) -> ObjectKey {
        let scenario = scenario(json);
        let key = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
        self.must(at, Command::Import { source: None, over: None, scenario });
        key
    }

    /// Claims an object: its key from now on.
    pub fn claim(&mut self, at: Kernel, key: ObjectKey) -> ObjectKey {
        object(self.must(at, Command::Claim { key })).unwrap_or(key)
    }

    /// Gives an object its next state: its key from now on.
    pub fn put(&mut self, at: Kernel, key: ObjectKey, json: &str) -> ObjectKey {
        object(self.must(at, Command::Put { key, base: None, scenario: scenario(json) })).unwrap_or(key)
    }

    /// Shares an object; the debt is durable when this returns.
    pub fn share(&mut self, from: Kernel, key: ObjectKey, to: Kernel) -> &mut Self {
        let to = self.id(to);
        self.must(from, Command::Share { key, to, delivered: false });
        self
    }

    /// Follows an object.
    pub fn follow(&mut self, at: Kernel, key: ObjectKey, from: Kernel) -> &mut Self {
        let from = self.id(from);
        self.must(at, Command::Follow { key, from });
        self
    }

    /// Carries a command out that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn must(&mut self, at: Kernel, command: Command) -> Answer {
        let text = format!("{command:?}");
        let reply = self.ask(at, command);
        assert!(matches!(reply, Some(Ok(_))), "{text} came to {reply:?}; {:?}", self.violations());
        match reply {
            Some(Ok(answer)) => answer,
            _ => Answer::Done,
        }
    }

    /// Carries a command out that must be refused.
    ///
    /// # Panics
    /// When it is not.
    pub fn refused(&mut self, at: Kernel, command: Command) -> Option<Refusal> {
        let text = format!("{command:?}");
        let reply = self.ask(at, command);
        assert!(matches!(reply, Some(Err(_))), "{text} came to {reply:?}");
        reply.and_then(Result::err)
    }

    /// Nothing that was promised was broken.
    ///
    /// # Panics
    /// When something was.
    pub fn assert_kept(&mut self) -> &mut Self {
        assert!(self.violations().is_empty(), "{:#?}", self.violations());
        self
    }

    /// Two kernels have the same revision and bytes of an object.
    ///
    /// # Panics
    /// When they have not.
    pub fn assert_same(&mut self, a: Kernel, b: Kernel, key: ObjectKey) -> &mut Self {
        let heads = [a, b].map(|kernel| self.head(kernel, key).map(|head| head.header.id()));
        assert!(heads[0].is_some(), "{} does not have {key}", self.nodes[a.0].name);
        assert_eq!(heads[0], heads[1], "{key} differs: {:?}", self.violations());
        assert_eq!(self.body(a, key), self.body(b, key));
        self
    }

    /// A kernel does not have an object.
    ///
    /// # Panics
    /// When it has.
    pub fn assert_absent(&mut self, at: Kernel, key: ObjectKey) -> &mut Self {
        assert!(self.head(at, key).is_none(), "{} has {key}", self.nodes[at.0].name);
        self
    }
}

fn object(answer: Answer) -> Option<ObjectKey> {
    match answer {
        Answer::Object { header, .. } => Some(header.key()),
        _ => None,
    }
}

/// A scenario that the story wrote itself.
fn scenario(json: &str) -> Scenario {
    let parsed = Scenario::parse(json.as_bytes().to_vec());
    assert!(parsed.is_ok(), "not a scenario: {json}");
    parsed.unwrap_or_else(|_| unreachable!())
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_core::object::{self, HeadRow};
    use once_core::peers;
    use once_core::store::{Batch, Durability, Store, Table};
    use once_model::cbor::to_cbor;
    use std::ops::ControlFlow;

    const UUID: &str = "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001";

    fn text(text: &str) -> String {
        format!(r#"{{"ior":{{"uuid":"{UUID}"}},"model":{{"text":"{text}"}}}}"#)
    }

    fn kept(net: &World, at: Kernel) -> Vec<HeadRow> {
        let mut kept = Vec::new();
        let each = object::conflicts(&net.nodes[at.0].disk, &mut |row| {
            kept.push(row);
            ControlFlow::Continue(())
        });
        each.unwrap();
        kept
    }

    /// Alice's object, which bob follows.
    fn followed() -> (World, Kernel, Kernel, ObjectKey) {
        let mut net = World::new(7);
        let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
        net.befriend(alice, bob).let_read(alice, bob);
        let key = net.import(alice, &text("first"));
        let key = net.claim(alice, key);
        net.follow(bob, key, alice).run_for(5_000);
        (net, alice, bob, key)
    }

    #[test]
    fn who_missed_many_revisions_has_the_newest_and_no_conflict() {
        for puts in [2, 3, 400] {
            let (mut net, alice, bob, key) = followed();
            net.partition(alice, bob).run_for(8_000);
            for n in 0..puts {
                net.put(alice, key, &text(&format!("revision {n}")));
            }
            net.heal().settle().assert_same(alice, bob, key).assert_kept();
            // The home has shown the entries between: more than one answer holds, for the last.
            assert_eq!(kept(&net, bob), [], "{puts} puts");
        }
    }

    #[test]
    fn what_a_third_kernel_brings_is_proven_when_the_home_is_there() {
        let (mut net, alice, bob, key) = followed();
        let carol = net.kernel("carol");
        net.befriend(alice, carol).let_read(alice, carol).befriend(bob, carol);
        net.partition(alice, bob).run_for(8_000);
        for n in 0..3 {
            net.put(alice, key, &text(&format!("revision {n}")));
        }
        net.share(alice, key, carol).run_for(2_000);
        net.share(carol, key, bob).run_for(2_000).assert_same(carol, bob, key);
        // Carol cannot prove it; and what was replaced is there until the home has.
        assert_eq!(kept(&net, bob).iter().map(HeadRow::is_replaced).collect::<Vec<_>>(), [true]);
        net.heal().settle().assert_same(alice, bob, key).assert_kept();
        assert_eq!(kept(&net, bob), []);
    }

    /// A home that was put back from a backup goes on, and its follower hears of it across a gap.
    #[test]
    fn a_fork_with_a_gap_is_kept_beside_the_head_that_it_replaces() {
        for puts in [3, 5] {
            let (mut net, alice, bob, key) = followed();
            let backup = net.backup(alice);
            net.put(alice, key, &text("what bob acknowledged"));
            net.run_for(5_000);
            let lost = net.head(bob, key).unwrap().header.id();
            net.partition(alice, bob).run_for(8_000);
            net.put_back(alice, backup);
            let id = net.id(alice);
            // Else bob would show alice what she has said, and she would be in quarantine before bob hears of the fork.
            let mut row = peers::peer(&net.nodes[bob.0].disk, &id).unwrap().unwrap();
            (row.seen, row.heard) = (Vec::new(), None);
            let forgotten = (Table::Peer, id.as_bytes().to_vec(), Some(to_cbor(&row).into()));
            net.nodes[bob.0].disk.commit(Batch { rows: vec![forgotten] }, Durability::Synced).unwrap();
            net.nodes[bob.0].disk.take_last();
            net.restart(bob).run_for(15_000);
            // That a home makes two revisions of one number the checkers see, too; here it is what is to happen.
            let run_for = |net: &mut World, ms: u64| {
                for _ in 0..ms / 50 {
                    net.checker.violations.clear();
                    net.run_for(50);
                }
            };
            for n in 0..puts {
                let scenario = scenario(&text(&format!("fork {n}")));
                net.command(alice, Command::Put { key, base: None, scenario });
                run_for(&mut net, 1_000);
            }
            net.heal();
            run_for(&mut net, 60_000);
            let newest = |at| net.head(at, key).map(|head| head.header.id());
            assert_eq!(newest(alice), newest(bob));
            let beside = kept(&net, bob);
            assert_eq!(beside.iter().map(|row| row.header.id()).collect::<Vec<_>>(), [lost], "{puts} puts");
            // The home has shown its history: what bob had is not in it, so it is a conflict.
            assert!(!beside[0].is_replaced());
        }
    }
}
