//! Where an object is now: what its former homes say to those who still ask there.

use once_model::certificate::Chain;
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Moved;
use once_model::wire::Frame;

use super::stay::connection;
use crate::engine::Step;
use crate::object;
use crate::store::{Read, StoreError, Table};
use crate::{act, peers};

/// Where a kernel can be reached, as far as is known here.
pub(super) fn addresses(s: &Step<'_, '_>, home: &KernelId) -> Result<Vec<String>, StoreError> {
    Ok(peers::peer(s.txn, home)?.map(|row| row.addresses).unwrap_or_default())
}

/// Tells those who are connected.
pub(super) fn tell_all(s: &mut Step<'_, '_>, peers: impl IntoIterator<Item = KernelId>, moved: &Moved) {
    for peer in peers {
        if let Some(conn) = connection(s, &peer) {
            s.out.send(peer, conn, Frame::Moved(Box::new(moved.clone())));
        }
    }
}

/// Tells a kernel that asks for an object where that has moved from here, if it ever had to do with it. Whether it was told.
pub(crate) fn points_on(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    asked: &ObjectKey,
) -> Result<bool, StoreError> {
    if *peer == s.ctx.me || connection(s, peer).is_none() {
        return Ok(false);
    }
    let key = object::current_key(s.txn, asked)?;
    let Some(lineage) = key.lineage() else { return Ok(false) };
    if object::head(s.txn, &key)?.is_some_and(|head| head.home == Some(s.ctx.me)) {
        return Ok(false);
    }
    let Some(chain) = object::chain(s.txn, &lineage)?.filter(|chain| was_home(chain, &s.ctx.me)) else {
        return Ok(false);
    };
    let is_known = s.txn.get(Table::Acquaintance, &object::object_peer_key(&key, peer))?.is_some();
    if !is_known && !act::has_lane(s, &key, peer)? {
        return Ok(false);
    }
    let addresses = addresses(s, &chain.home())?;
    tell_all(s, [*peer], &Moved { key, chain, addresses });
    Ok(true)
}

/// Whether a kernel was an object's home before today's.
pub(super) fn was_home(chain: &Chain, kernel: &KernelId) -> bool {
    let homes = std::iter::once(chain.genesis.home).chain(chain.links.iter().map(|link| link.home));
    !chain.links.is_empty() && chain.home() != *kernel && homes.into_iter().any(|home| home == *kernel)
}
