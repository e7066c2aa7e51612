//! Why an object that people move stays.

use once_model::ids::{ObjectKey, Uuid};
use once_model::wire::Code;

/// Why an object did not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmoved {
    /// The receiver does not want it.
    #[error("{}", unwelcome(*.0))]
    Unwelcome(Code),
    /// It was running an action for all the time that it waited.
    #[error("it was running an action for a minute")]
    Run,
    /// It waited for what another object does for it.
    #[error("it waited a minute for the outcome of its action {id} on {on}")]
    Call {
        /// The action's id.
        id: Uuid,
        /// The object that it acts on.
        on: ObjectKey,
    },
    /// It waited for an answer to run.
    #[error("what came of its effect {id} could not be told to it for a minute")]
    Answer {
        /// The effect's id.
        id: Uuid,
    },
    /// It waited for those who follow it to be told of its last change.
    #[error("its last change was still being told to those who follow it")]
    News,
    /// It waited for its scenario to arrive.
    #[error("its scenario is large, and had not arrived after a minute")]
    Body,
    /// More belongs to it than moves.
    #[error("more than {} MiB of timers, grants, lanes, unread results and conflicts belong to it", once_model::limits::LUGGAGE_MAX_BYTES / 1024 / 1024)]
    Luggage,
    /// Nobody has changed or claimed it since it was imported.
    #[error("it was imported and never changed: it has no home that it could leave")]
    Unclaimed,
    /// It has moved too often.
    #[error(
        "it has moved as often as an object can: its chain has {} certificates",
        once_model::limits::CHAIN_MOVES_MAX_CERTIFICATES
    )]
    Chain,
    /// What belongs to it cannot be read.
    #[error("what belongs to it cannot be read")]
    Unread,
    /// It was removed meanwhile.
    #[error("it was removed meanwhile")]
    Removed,
    /// Somebody took it back.
    #[error("somebody took it back")]
    TakenBack,
    /// Its component says no.
    #[error("its component does not let it go: {0}")]
    Unwilling(String),
    /// Its component wants to be asked, and could not be.
    #[error(
        "whoever has its component could not be asked for a minute, and has the last word before it leaves"
    )]
    Unasked,
}

impl Unmoved {
    /// What to do next.
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unwelcome(Code::Denied) => "its owner can say there: once grant {me} host",
            Self::Unwelcome(Code::NoComponent) => {
                "start a program there that serves it, or upgrade the kernel"
            }
            Self::Unwelcome(Code::Quota) => "its owner can say there: once peers quota {me} SIZE",
            Self::Unasked => "start the program that serves it, then move it again",
            Self::Unclaimed => "`once claim OBJECT` gives it one",
            Self::Luggage => {
                "if `once conflicts` lists large versions kept beside it, keep or drop them, then move it again"
            }
            Self::Call { .. } => {
                "`once outbox` lists what waits; move it again when that is done, or with `--leave-calls` now"
            }
            Self::Run | Self::Answer { .. } | Self::News | Self::Body => {
                "`once outbox` lists what waits; move it again when that is done"
            }
            _ => return None,
        };
        Some(hint.into())
    }
}

/// What a receiver's code means to people.
fn unwelcome(code: Code) -> &'static str {
    match code {
        Code::Denied => "the receiver does not let this kernel move objects there",
        Code::NoComponent => "nobody at the receiver has its component, in a version that reads it",
        Code::Quota => "the quota that the receiver gives this kernel has no room for it",
        Code::DiskFull => "the receiver's disk is nearly full",
        Code::Invalid => "the receiver knows another history of it, or what was handed over is not valid",
        _ => "the receiver does not take it",
    }
}
