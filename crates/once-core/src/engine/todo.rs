//! What a step still has to do before it ends. A handler leaves here what belongs to a capability that uses its own: so uses
//! between files go one way, and nothing runs inside of something else.

use std::collections::VecDeque;

use once_model::action::Act;
use once_model::ids::{KernelId, ObjectKey};

use crate::chores::Chore;

/// One of those things.
#[derive(Debug, PartialEq)]
pub(crate) enum Todo {
    /// An action of this kernel on an object of its own comes to its home. The own kernel is a peer without a network.
    Act(Box<Act>),
    /// A longer chain is here of an object that has moved, or is about to leave.
    Chain(ObjectKey),
    /// An object wants to move.
    Leave(ObjectKey, KernelId),
    /// What was about to leave before this start still is.
    Departures,
    /// A connection to a peer is admitted: what is about to move there is said again.
    Greet(KernelId),
    /// A chore begins.
    Chore(Chore),
    /// A peer is sent what it is owed, as far as there is room.
    Pump(KernelId),
    /// A right on an object has ended, or a debt: if its holder is a visitor, the visit may be over.
    Visitor(KernelId),
}

/// All of them, in their order.
#[derive(Debug, Default)]
pub(crate) struct Agenda(VecDeque<Todo>);

impl Agenda {
    /// At the end of it, unless it is there already.
    pub fn add(&mut self, todo: Todo) {
        if matches!(todo, Todo::Act(_)) || !self.0.contains(&todo) {
            self.0.push_back(todo);
        }
    }

    /// The first of them.
    pub fn next(&mut self) -> Option<Todo> {
        self.0.pop_front()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back what was added since there were so many.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}
