//! A kernel hears from a former home where an object is now.

use std::collections::BTreeSet;

use once_model::certificate::{Certificate, Chain};
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Moved;

use super::news::was_home;
use crate::engine::Step;
use crate::store::{StoreError, Table};
use crate::{act, follow, object};

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
    lanes_follow(s, &names, chain)?;
    for name in follows {
        follow::follow_there(s, name, (peer, home))?;
    }
    Ok(())
}

/// Lanes to an object, under these names, that lead to any of its former homes lead to the one at the end of its chain: an
/// origin has one lane of a name to an object, wherever that is, and its sequences are given once.
pub(super) fn lanes_follow(
    s: &mut Step<'_, '_>,
    names: &[ObjectKey],
    chain: &Chain,
) -> Result<(), StoreError> {
    let home = chain.home();
    let homes = std::iter::once(chain.genesis.home).chain(chain.links.iter().map(|link| link.home));
    let former: BTreeSet<KernelId> = homes.filter(|former| *former != home).collect();
    for from in former {
        act::rehome(s, names, (from, home))?;
    }
    Ok(())
}
