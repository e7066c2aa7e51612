//! Clients that wait for the engine's answers, and what they are told when a group comes to nothing.

use std::collections::HashMap;

use once_model::ids::Uuid;

use crate::act;
use crate::store::Read;
use crate::waist::{Command, Token};

/// With fewer who wait nobody looks for clients that gave up: they take less than a MiB.
const CROWDED: usize = 1024;

/// What of a group that failed is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Nothing: the store refused it before it wrote anything.
    Nothing,
    /// All or nothing: the write failed, and opening the store again will show it.
    Perhaps,
}

/// What is known of a command that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was not carried out, and never will be.
    Refused,
    /// It may be durable, and go on by itself.
    Unknown,
}

/// The action that a command asks for.
#[must_use]
pub fn acts(command: &Command) -> Option<Uuid> {
    match command {
        Command::Act { action, .. } => Some(action.id),
        _ => None,
    }
}

/// A client that waits for its answer.
#[derive(Debug)]
struct Waiting<R> {
    to: R,
    /// The action that it asked for, if that is what it did.
    acts: Option<Uuid>,
}

/// The clients of one process that wait for an answer; `R` is the way to one. Tokens are never used twice, whichever engine
/// of the process answers.
#[derive(Debug)]
pub struct Clients<R> {
    next: Token,
    /// The first token of the group that is under way.
    first_of_group: Token,
    waiting: HashMap<Token, Waiting<R>>,
    /// With so many it is looked at whether all of them still wait.
    crowded: usize,
}

impl<R> Default for Clients<R> {
    fn default() -> Self {
        Self { next: 0, first_of_group: 0, waiting: HashMap::new(), crowded: CROWDED }
    }
}

impl<R> Clients<R> {
    /// Who asks from here on belongs to the next group.
    pub fn begin_group(&mut self) {
        self.first_of_group = self.next + 1;
    }

    /// A client asks for something: the token that comes back with the answer. `is_gone` tells who waits no more.
    pub fn ask(&mut self, to: R, command: Option<&Command>, is_gone: impl Fn(&R) -> bool) -> Token {
        if self.waiting.len() >= self.crowded {
            // A client that gave up is not heard of. At twice the number of those who wait, looking costs each command
            // next to nothing.
            self.waiting.retain(|_, waiting| !is_gone(&waiting.to));
            self.crowded = CROWDED.max(2 * self.waiting.len());
        }
        self.next += 1;
        let acts = command.and_then(acts);
        self.waiting.insert(self.next, Waiting { to, acts });
        self.next
    }

    /// The engine answers.
    pub fn answered(&mut self, token: Token) -> Option<R> {
        self.waiting.remove(&token).map(|waiting| waiting.to)
    }

    /// The group that is under way comes to nothing, and with it the engine: what everybody who waits is to be told. `rows`:
    /// the store before that group.
    pub fn give_up(&mut self, written: Written, rows: &dyn Read) -> Vec<(R, Fate)> {
        let first = self.first_of_group;
        self.begin_group();
        // An action may be here from an earlier call with its id.
        let is_here = |id| act::request(rows, &id).map_or(true, |row| row.is_some());
        let fate = |token, acts: Option<Uuid>| match written == Written::Perhaps || token < first {
            true => Fate::Unknown,
            false if acts.is_some_and(is_here) => Fate::Unknown,
            false => Fate::Refused,
        };
        self.waiting.drain().map(|(token, Waiting { to, acts })| (to, fate(token, acts))).collect()
    }

    /// Nobody who waits is answered any more.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use once_model::ids::KernelId;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::testing::Alone;

    #[test]
    fn clients_that_gave_up_are_forgotten_and_those_that_wait_are_not() {
        let mut clients = Clients::default();
        let token = clients.ask(true, None, |waits| !waits);
        for _ in 0..10 * CROWDED {
            clients.ask(false, None, |waits| !waits);
            assert!(clients.len() <= CROWDED);
        }
        assert_eq!(clients.answered(token), Some(true));
        assert_eq!(clients.answered(token), None);
    }

    #[test]
    fn whoever_waits_when_the_process_ends_waits_no_more() {
        let mut clients = Clients::default();
        let tokens = [1, 2].map(|n| clients.ask(n, None, |_| false));
        assert_eq!((clients.len(), clients.is_empty()), (2, false));
        clients.forget();
        assert_eq!((clients.len(), clients.is_empty()), (0, true));
        assert_eq!(tokens.map(|token| clients.answered(token)), [None, None]);
        // Tokens are never used twice.
        assert!(!tokens.contains(&clients.ask(3, None, |_| false)));
    }

    fn fate(is_earlier: bool, written: Written, rows: &dyn Read, command: &Command) -> Fate {
        let mut clients = Clients::default();
        clients.begin_group();
        clients.ask((), Some(command), |()| false);
        if is_earlier {
            clients.begin_group();
        }
        let told = clients.give_up(written, rows);
        assert!(clients.is_empty());
        told[0].1
    }

    #[test]
    fn only_what_was_surely_not_written_is_said_to_be_refused() {
        let (mut kernel, empty) = (Alone::new(), MemoryStore::new());
        let object = kernel.object(1, "Paper");
        let act = kernel.wish(object, "go", 1);
        let dial = Command::Dial { peer: KernelId::from_bytes([1; 32]) };
        for command in [&act, &dial] {
            assert_eq!(fate(false, Written::Nothing, &empty, command), Fate::Refused);
            // Accepted before: it is durable, and goes on.
            assert_eq!(fate(true, Written::Nothing, &empty, command), Fate::Unknown);
            // A write that failed may be there all the same.
            assert_eq!(fate(false, Written::Perhaps, &empty, command), Fate::Unknown);
        }
        // Asked once more: it is here.
        kernel.command(act.clone());
        assert_eq!(fate(false, Written::Nothing, &kernel.store, &act), Fate::Unknown);
        assert_eq!(fate(false, Written::Nothing, &kernel.store, &dial), Fate::Refused);
    }
}
