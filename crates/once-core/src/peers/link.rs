//! The connection to one peer.

use once_model::ids::{BootId, Incarnation};

use crate::act::Channel;
use crate::share::Window;
use crate::waist::ConnId;

/// A connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// None, and none is being made.
    Idle,
    /// The shell was asked to dial.
    Dialling,
    /// Connected; `hello` was sent or is awaited.
    Greeting { conn: ConnId, dialled: bool },
    /// Admitted on both sides: frames of every kind may be sent.
    Up { conn: ConnId, dialled: bool, boot: BootId },
}

/// The connection to one peer, and what is under way on it.
#[derive(Debug)]
pub(crate) struct Link {
    pub phase: Phase,
    /// Dials and greetings that failed in a row.
    pub failures: u32,
    /// The number of the newest pause before a dial. Timers of older ones mean nothing.
    pub pause: u64,
    /// Since when there is none, by this kernel's clock.
    pub idle_since_ms: u64,
    /// Why there is no connection, as it was told last: told again only when it changes.
    pub told: Option<String>,
    pub window: Window,
    /// What is known of actions on this connection.
    pub act: Channel,
    /// Which life of its data it is in.
    pub incarnation: Incarnation,
    /// The highest commit number that it has told in that life, unsigned; its row follows now and then.
    pub heard: Option<u64>,
    /// From this one on it is written down.
    pub heard_due: u64,
    /// Whether anything may be followed there. Known once the connection is admitted.
    pub may_follow: bool,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Idle,
            failures: 0,
            pause: 0,
            idle_since_ms: 0,
            told: None,
            window: Window::default(),
            act: Channel::default(),
            incarnation: Incarnation::from_bytes([0; 16]),
            heard: None,
            heard_due: 0,
            may_follow: true,
        }
    }

    /// The admitted connection.
    pub fn up(&self) -> Option<ConnId> {
        match self.phase {
            Phase::Up { conn, .. } => Some(conn),
            _ => None,
        }
    }
}
