//! How far kernels are: each tells its commit number with what it shares and acknowledges, so that one that was rolled
//! back is found out at its next hello.

use once_model::ids::KernelId;
use once_model::progress::Progress;
use once_model::wire::Greeting;

use crate::meta;
use crate::rows::{self, PeerRow};
use crate::step::{Engine, Step};
use crate::store::{StoreError, Table};
use crate::txn::Txn;

/// The commit number that a frame may tell which leaves after this group's commit: only what is on disk may be told,
/// or a power loss would look like a rollback.
pub(crate) fn told_after_commit(s: &Step<'_, '_>) -> u64 {
    let synced = s.txn.is_synced() || mutant!(TellUnsyncedCommit);
    if synced { s.engine.commit + 1 } else { s.engine.synced_commit }
}

/// A peer said how far it is.
pub(crate) fn heard(s: &mut Step<'_, '_>, peer: KernelId, commit: Option<u64>) {
    if let Some(commit) = commit {
        let furthest = s.engine.heard.entry(peer).or_default();
        *furthest = commit.max(*furthest);
    }
}

/// Writes down how far peers are, once in a group, with what it commits anyway.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn note(engine: &mut Engine, txn: &mut Txn<'_>) -> Result<(), StoreError> {
    for (peer, commit) in std::mem::take(&mut engine.heard) {
        let row = match rows::peer(txn, &peer) {
            // Shown when something is to be done with it.
            Err(StoreError::Damaged { .. }) => None,
            row => row?,
        };
        if let Some(mut row) = row
            && row.heard.is_none_or(|heard| heard < commit)
        {
            row.heard = Some(commit);
            txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
        }
    }
    Ok(())
}

/// Keeps what a peer says, under its signature, of how far it is: the furthest, and beside it one that does not follow
/// from it. Whether there is anything new to keep.
pub(super) fn remember(row: &mut PeerRow, peer: &KernelId, said: &Progress) -> bool {
    if !said.signed_by(peer) {
        return false;
    }
    match row.seen.first() {
        Some(furthest) if furthest == said => false,
        // A peer that was put back says less than it has said in the same life: both are kept, as the proof.
        Some(furthest) if furthest.incarnation == said.incarnation && !said.follows(furthest) => {
            let is_news = row.seen.get(1) != Some(said);
            row.seen.truncate(1);
            row.seen.push(*said);
            is_news
        }
        furthest => {
            if furthest.is_none_or(|furthest| furthest.incarnation != said.incarnation) {
                (row.seen, row.heard) = (Vec::new(), None);
            }
            row.seen.truncate(2);
            match row.seen.first_mut() {
                Some(furthest) => *furthest = *said,
                None => row.seen.push(*said),
            }
            true
        }
    }
}

/// Whether a peer has seen more of this kernel than its disk has: then that was put back from a backup.
pub(super) fn shows_rollback(s: &Step<'_, '_>, hello: &Greeting) -> Result<bool, StoreError> {
    let Some(identity) = meta::identity(s.txn)? else { return Ok(false) };
    let Some(furthest) = hello.seen.first().filter(|seen| seen.incarnation == identity.incarnation) else {
        return Ok(false);
    };
    Ok(furthest.commit.max(hello.heard.unwrap_or(0)) > s.engine.commit)
}
