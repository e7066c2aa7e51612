//! Whether an object may be changed here.

use once_model::ids::{Incarnation, ObjectKey};

use super::{HeadRow, chains};
use crate::engine::Step;
use crate::meta;
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError};

/// Whether this kernel may change an object: it is its home, or the copy was imported here. One that came from a peer
/// is not claimed by accident.
pub(crate) fn may_change(s: &Step<'_, '_>, head: &HeadRow) -> Result<(), Failure> {
    let key = head.header.key();
    match head.home {
        Some(home) if home != s.ctx.me && !mutant!(ChangeReplica) => {
            Err(Refusal::NotHome { key, home }.into())
        }
        None if head.from.is_some() => Err(Refusal::NotClaimed(key).into()),
        _ if s.engine.moving.arriving.contains_key(&key) => Err(Refusal::Arriving(key).into()),
        _ if s.engine.moving.hold(&key).is_some() => Err(Refusal::Leaving(key).into()),
        _ if is_of_earlier_life(s, head)? => Err(Refusal::EarlierLife(key).into()),
        _ => Ok(()),
    }
}

/// Whether this kernel was an object's home in a life that has ended: others may know more of it than this disk, so that
/// it is read here and not changed.
pub(crate) fn is_of_earlier_life(s: &Step<'_, '_>, head: &HeadRow) -> Result<bool, StoreError> {
    if !s.engine.peers.reborn || head.home != Some(s.ctx.me) {
        return Ok(false);
    }
    is_of_another_life(s.txn, &head.header.key(), &meta::incarnation(s.txn)?)
}

/// Whether the newest certificate of an object names another incarnation of its home than this one.
///
/// # Errors
/// When the store cannot be read.
pub fn is_of_another_life(rows: &dyn Read, key: &ObjectKey, now: &Incarnation) -> Result<bool, StoreError> {
    let chain = chains::chain_of(rows, key)?;
    Ok(chain.is_some_and(|chain| chain.incarnation() != *now))
}
