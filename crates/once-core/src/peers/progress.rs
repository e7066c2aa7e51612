//! How far kernels are: each tells its commit number with what it shares and acknowledges, so that one that was rolled
//! back is found out at its next hello.

use once_model::ids::{Incarnation, KernelId};
use once_model::progress::Progress;
use once_model::wire::Frame;

use super::rows;
use super::{Link, PeerRow};
use crate::engine::{Engine, Step};
use crate::meta;
use crate::store::{StoreError, Table};
use crate::txn::{self, Txn};
use crate::waist::{Effect, Timer};

/// How often peers are told how far this kernel is, while it commits, in milliseconds.
const PROGRESS_EVERY_MS: u64 = 10_000;

/// A peer's row is at most so many of its commits behind what it has told.
const HEARD_EVERY: u64 = 64;

/// The commit number that a frame may tell which leaves after this group's commit: only what is on disk may be told,
/// or a power loss would look like a rollback.
pub(crate) fn told_after_commit(s: &Step<'_, '_>) -> u64 {
    let synced = s.txn.is_synced() || mutant!(TellUnsyncedCommit);
    if synced { s.engine.commit + 1 } else { s.engine.synced_commit }
}

/// A peer said how far it is.
pub(crate) fn heard(s: &mut Step<'_, '_>, peer: KernelId, commit: Option<u64>) {
    let (Some(commit), Some(link)) = (commit, s.engine.peers.links.get_mut(&peer)) else { return };
    link.heard = link.heard.max(Some(commit));
    if commit >= link.heard_due {
        s.engine.peers.heard.insert(peer);
    }
}

/// A connection to a peer is admitted: what an earlier life of its data said counts no more.
pub(super) fn begin_life(link: &mut Link, incarnation: Incarnation) {
    if link.incarnation != incarnation {
        link.incarnation = incarnation;
        (link.heard, link.heard_due) = (None, 0);
    }
}

/// The highest commit number that a peer has told, unsigned, in the life that `row` knows it in.
pub(super) fn furthest(s: &Step<'_, '_>, peer: &KernelId, row: &PeerRow) -> Option<u64> {
    let link = s.engine.peers.links.get(peer);
    let is_same = |link: &&Link| row.seen.first().is_some_and(|said| said.incarnation == link.incarnation);
    row.heard.max(link.filter(is_same).and_then(|link| link.heard))
}

/// Writes down how far peers are that are so much further than their rows say, with what a group commits anyway. They
/// are told it, and nothing rests on it.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn note(engine: &mut Engine, txn: &mut Txn<'_>) -> Result<(), StoreError> {
    for peer in std::mem::take(&mut engine.peers.heard) {
        let row = match rows::peer(txn, &peer) {
            // Shown when something is to be done with it.
            Err(StoreError::Damaged { .. }) => None,
            row => row?,
        };
        let (Some(mut row), Some(link)) = (row, engine.peers.links.get_mut(&peer)) else { continue };
        let is_far = |heard| link.heard.is_some_and(|now| now.saturating_sub(heard) >= HEARD_EVERY);
        if row.heard.is_none_or(is_far) {
            row.heard = link.heard;
            txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
        }
        link.heard_due = row.heard.map_or(0, |heard| heard.saturating_add(HEARD_EVERY));
    }
    Ok(())
}

/// Keeps what a peer says, under its signature, of how far it is: the furthest, and beside it one that does not follow
/// from it. Whether there is anything new to keep.
pub(super) fn remember(row: &mut PeerRow, peer: &KernelId, said: &Progress, now_ms: u64) -> bool {
    if row.seen.contains(said) || !said.signed_by(peer) {
        return false;
    }
    let furthest = row.seen.first().copied();
    match furthest {
        Some(furthest) if said.follows(&furthest) => row.seen[0] = *said,
        // A peer that was put back says less than it has said in the same life, or something else: both are the proof.
        Some(furthest) if furthest.incarnation == said.incarnation => {
            row.seen.truncate(1);
            row.seen.push(*said);
        }
        // Another life. Only the peer itself can tell whether the one before has ended: it is shown both.
        Some(furthest) => {
            (row.seen, row.heard, row.reborn_ms) = (vec![*said, furthest], None, Some(now_ms));
        }
        None => row.seen.push(*said),
    }
    true
}

/// A peer said, signed, how far it is.
pub(crate) fn told(s: &mut Step<'_, '_>, peer: KernelId, said: &Progress) -> Result<(), StoreError> {
    if let Some(mut row) = rows::peer(s.txn, &peer)?
        && remember(&mut row, &peer, said, s.ctx.now_ms)
    {
        row.heard = furthest(s, &peer, &row);
        s.txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
    }
    Ok(())
}

/// How far this kernel is, signed. Only what is on the disk is said.
pub(super) fn mine(s: &Step<'_, '_>) -> Result<Progress, StoreError> {
    let commit = if mutant!(TellUnsyncedCommit) { s.engine.commit + 1 } else { s.engine.synced_commit };
    Ok(Progress::sign(meta::incarnation(s.txn)?, s.engine.boot, s.ctx.boot, commit, &s.ctx.key))
}

/// Says to every peer how far this kernel is, if it is further than it said last.
pub(crate) fn tell(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.peers.told_set = false;
    if s.engine.synced_commit <= s.engine.peers.told_commit {
        return Ok(());
    }
    s.engine.peers.told_commit = s.engine.synced_commit;
    let mine = mine(s)?;
    let up: Vec<_> =
        s.engine.peers.links.iter().filter_map(|(peer, link)| Some((*peer, link.up()?))).collect();
    for (peer, conn) in up {
        s.out.send(peer, conn, Frame::Progress(mine));
    }
    Ok(())
}

/// After a commit: the timer by which peers are told, while there is something to tell.
pub(crate) fn tell_later(engine: &mut Engine) -> Option<Effect> {
    if engine.peers.told_set
        || engine.peers.quarantined
        || !engine.peers.links.values().any(|link| link.up().is_some())
    {
        return None;
    }
    engine.peers.told_set = true;
    Some(Effect::Timer { after_ms: PROGRESS_EVERY_MS, timer: Timer::Progress })
}

/// Whether this kernel's disk has what the kernel has said: the life, the boot, and the commit of that boot. A boot ends
/// where the next begins; of boots that are no longer remembered only the commit number counts.
pub(super) fn is_on_disk(s: &Step<'_, '_>, said: &Progress) -> Result<bool, StoreError> {
    let Some(identity) = meta::identity(s.txn)? else { return Ok(true) };
    if said.incarnation != identity.incarnation {
        return Ok(identity.ended.contains(&said.incarnation));
    }
    if said.commit > s.engine.commit || said.boot > s.engine.boot {
        return Ok(false);
    }
    let boot = |number: u64| -> Result<Option<meta::Boot>, StoreError> {
        txn::get(s.txn, Table::Boot, &number.to_be_bytes())
    };
    let is_it = match boot(said.boot)? {
        Some(boot) => boot.id == said.id,
        None => said.boot + meta::BOOTS_MAX <= s.engine.boot,
    };
    let ends = boot(said.boot.saturating_add(1))?.map(|next| next.first_commit);
    Ok(is_it && ends.is_none_or(|next| said.commit < next))
}
