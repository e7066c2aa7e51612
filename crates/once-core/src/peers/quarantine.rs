//! A kernel whose data directory was put back from a backup: its peers were told more than its disk has. It is shown that
//! under its own signature, and from then on does nothing but greet, until its people say what it shall be.

use minicbor::{Decode, Encode};
use once_model::ids::KernelId;
use once_model::progress::Progress;
use once_model::wire::Frame;

use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::meta::{self};
use crate::refusal::Refusal;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Command, Effect, Input, Timer, Why};

pub(super) const ROW: &[u8] = b"quarantine";

/// [`Table::Meta`], `quarantine`: there as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Quarantine {
    /// Since when, in milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
    /// What this kernel has said, and its disk does not have.
    #[n(1)]
    pub shown: Vec<Progress>,
    /// Peers that have greeted since.
    #[n(2)]
    pub heard: Vec<KernelId>,
}

/// The quarantine of this kernel, if it is in one.
///
/// # Errors
/// When the store cannot be read.
pub fn quarantine(rows: &dyn Read) -> Result<Option<Quarantine>, StoreError> {
    txn::get(rows, Table::Meta, ROW)
}

/// At the start: whether it lasts.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<bool, StoreError> {
    s.engine.peers.quarantined = quarantine(s.txn)?.is_some();
    s.engine.peers.reborn = meta::identity(s.txn)?.is_some_and(|identity| !identity.ended.is_empty());
    Ok(s.engine.peers.quarantined)
}

/// What a kernel in quarantine leaves alone. `None`: nothing becomes of it.
pub(crate) fn heeds(s: &mut Step<'_, '_>, input: Input) -> Option<Input> {
    let goes_on = match &input {
        Input::Frame { frame, .. } => {
            matches!(frame, Frame::Hello(_) | Frame::Admitted(_) | Frame::Denied(_))
        }
        Input::Timer(timer) => {
            matches!(timer, Timer::Redial(..) | Timer::Hello(..) | Timer::Expiry(_) | Timer::Chores)
        }
        Input::Command { .. } | Input::Link { .. } | Input::Disk { .. } | Input::NetworkChanged => true,
        Input::Arrived { why: Why::Asked { token } | Why::Offered { token }, .. } => {
            s.out.push(Effect::Reply { token: *token, reply: Err(Refusal::Quarantined) });
            false
        }
        Input::Arrived { .. }
        | Input::Unfit { .. }
        | Input::Luggage { .. }
        | Input::Ran(_)
        | Input::Ready { .. }
        | Input::Worked { .. } => false,
    };
    goes_on.then_some(input)
}

/// Refuses what a kernel in quarantine does not do.
pub(crate) fn allows(command: &Command) -> Result<(), Refusal> {
    match command {
        Command::EndQuarantine { .. }
        // This one only looks.
        | Command::Standing
        | Command::AcceptClock
        | Command::Dial { .. }
        | Command::ChangePeer { .. }
        | Command::RemovePeer { .. }
        | Command::Revoke(_)
        | Command::RevokeInvite { .. } => Ok(()),
        _ => Err(Refusal::Quarantined),
    }
}

/// Whether its end has begun: who greets now is heard in the next life.
pub(super) fn is_ending(s: &Step<'_, '_>) -> Result<bool, StoreError> {
    chores::is_under_way(s, Chore::BeginLife)
}
