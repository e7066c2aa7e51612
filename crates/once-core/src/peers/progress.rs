//! How far kernels are: each tells its commit number with what it shares and acknowledges, so that one that was rolled
//! back is found out at its next hello.

use once_model::ids::KernelId;

use crate::rows;
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
        if let Some(mut row) = rows::peer(txn, &peer)?
            && let Some(seen) = row.seen.as_mut().filter(|seen| seen.commit < commit)
        {
            seen.commit = commit;
            txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
        }
    }
    Ok(())
}
