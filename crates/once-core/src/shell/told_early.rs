//! Outcomes that clients were told before the commit that writes them down: readers look at snapshots, and what was told
//! must not be untold by them.

use std::collections::HashMap;

use once_model::action::{After, Outcome};
use once_model::ids::Uuid;

use crate::act;
use crate::store::Read;

type Told = HashMap<Uuid, (Outcome, Option<After>)>;

/// Outcomes that clients were told before the commit, until that is made.
#[derive(Debug, Default)]
pub struct ToldEarly {
    /// Of the group that is under way: its commit writes them down.
    group: Told,
    /// Of groups that came to nothing: their homes will say them again.
    in_vain: Told,
}

impl ToldEarly {
    /// A client is told this, and the commit that writes it down is under way.
    pub fn add(&mut self, id: Uuid, outcome: Outcome, after: Option<After>) {
        self.group.insert(id, (outcome, after));
    }

    /// A commit took effect: what it shows need not be kept.
    pub fn committed(&mut self, rows: &dyn Read) {
        self.group.clear();
        // What cannot be read now is looked at after the next commit.
        self.in_vain.retain(|id, _| {
            act::request(rows, id).map_or(true, |row| row.is_some_and(|row| row.outcome.is_none()))
        });
    }

    /// A group came to nothing.
    pub fn failed(&mut self) {
        self.in_vain.extend(self.group.drain());
    }

    /// What somebody was told of an action, if the last commit may not show it.
    #[must_use]
    pub fn get(&self, id: &Uuid) -> Option<(Outcome, Option<After>)> {
        self.group.get(id).or_else(|| self.in_vain.get(id)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use once_model::ids::{Hash, Line, ObjectKey};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::testing::Alone;
    use crate::waist::Command;

    #[test]
    fn what_was_told_stays_until_a_commit_shows_it() {
        let (id, rows) = (Uuid::nil(), MemoryStore::new());
        let mut told = ToldEarly::default();
        told.add(id, Outcome::Done("1".into()), None);
        assert!(told.get(&id).is_some());
        told.committed(&rows);
        assert!(told.get(&id).is_none());
        told.add(id, Outcome::Done("1".into()), None);
        told.failed();
        assert!(told.get(&id).is_some());
        // One that is in no row any more is not kept for ever.
        told.committed(&rows);
        assert!(told.get(&id).is_none());
    }

    /// Its home will say it again: until then readers are told what the client was told.
    #[test]
    fn what_was_told_in_vain_is_kept_while_its_action_waits() {
        let mut kernel = Alone::new();
        let home = kernel.befriend(9);
        let there = ObjectKey { uuid: Uuid::from_u128(78), line: Line::Unclaimed(Hash::from_bytes([7; 32])) };
        let Command::Act { action, .. } = kernel.wish(there, "go", 1) else { panic!("no act") };
        kernel.act_at(home, there, 1);
        let mut told = ToldEarly::default();
        told.add(action.id, Outcome::Done("1".into()), None);
        told.failed();
        told.committed(&kernel.store);
        assert_eq!(told.get(&action.id), Some((Outcome::Done("1".into()), None)));
        // What a later group tells counts for more.
        told.add(action.id, Outcome::Done("2".into()), None);
        assert_eq!(told.get(&action.id), Some((Outcome::Done("2".into()), None)));
    }
}
