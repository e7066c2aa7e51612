//! Where an object is now: what its former homes say to those who still ask there, and who hears that.

use once_model::certificate::{Certificate, Chain};
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Moved;
use once_model::wire::Frame;

use super::leave::connection;
use crate::engine::Step;
use crate::object;
use crate::store::{Read, StoreError, Table};
use crate::{act, follow, peers};

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
fn was_home(chain: &Chain, kernel: &KernelId) -> bool {
    let homes = std::iter::once(chain.genesis.home).chain(chain.links.iter().map(|link| link.home));
    !chain.links.is_empty() && chain.home() != *kernel && homes.into_iter().any(|home| home == *kernel)
}

/// A former home says where an object is now. It is believed if this kernel has to do with the object there, and if the chain
/// says so: the home is whom the chain names, and nobody else can make one that is longer.
pub(crate) fn told(s: &mut Step<'_, '_>, peer: KernelId, moved: &Moved) -> Result<(), StoreError> {
    let Moved { key, chain, .. } = moved;
    let Some(lineage) = key.lineage() else { return Ok(()) };
    let home = chain.home();
    if chain.genesis.uuid != key.uuid || home == peer || !was_home(chain, &peer) {
        return Ok(());
    }
    let known = object::chain(s.txn, &lineage)?;
    let ids = |chain: &Chain| chain.links.iter().map(Certificate::id).collect::<Vec<_>>();
    if known.as_ref().is_some_and(|known| !ids(chain).starts_with(&ids(known))) {
        return Ok(());
    }
    let names: Vec<_> = follow::with_copy(key, Some(chain)).collect();
    let follows = follow::follows(s, &names, &peer)?;
    if follows.is_empty() && !act::leads_to(s, &names, &peer)? {
        return Ok(());
    }
    if chain.verify(lineage).is_err() {
        return Ok(());
    }
    if known.as_ref() != Some(chain) {
        s.txn.put(Table::Chain, lineage.as_bytes(), chain);
    }
    act::rehome(s, &names, (peer, home))?;
    for name in follows {
        follow::follow_there(s, name, (peer, home))?;
    }
    Ok(())
}
