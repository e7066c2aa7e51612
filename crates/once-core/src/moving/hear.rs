//! A kernel hears from a home of an object, a former one or today's, where that is now.

use std::collections::BTreeSet;

use once_model::certificate::{Certificate, Chain};
use once_model::ids::{KernelId, Lineage, ObjectKey};
use once_model::moving::{Heard, Moved};
use once_model::wire::Frame;

use super::both::connection;
use super::news::was_home;
use super::rows;
use crate::engine::{Step, Todo};
use crate::store::{StoreError, Table};
use crate::{act, follow, object};

/// It is answered whether it is believed or not: who has nothing to do with the object need not hear it again.
pub(crate) fn told(s: &mut Step<'_, '_>, peer: KernelId, moved: &Moved) -> Result<(), StoreError> {
    let Some(lineage) = moved.key.lineage() else { return Ok(()) };
    take(s, peer, lineage, moved)?;
    if let Some(conn) = connection(s, &peer) {
        let heard = Heard { key: moved.key, certificate: moved.chain.certificate() };
        s.out.send(peer, conn, Frame::Heard(heard));
    }
    Ok(())
}

/// It is believed if this kernel has to do with the object, and if the chain says so: the home is whom the chain names, and
/// nobody else can make one that is longer.
fn take(s: &mut Step<'_, '_>, peer: KernelId, lineage: Lineage, moved: &Moved) -> Result<(), StoreError> {
    let Moved { key, chain, .. } = moved;
    let home = chain.home();
    if chain.genesis.uuid != key.uuid || (home != peer && !was_home(chain, &peer)) {
        return Ok(());
    }
    let known = object::chain(s.txn, &lineage)?;
    if known.as_ref().is_some_and(|known| !ids(chain).starts_with(&ids(known))) || !lets_go(s, key, chain)? {
        return Ok(());
    }
    let names: Vec<_> = follow::with_copy(key, Some(chain)).collect();
    let (mut follows, mut leads) = (Vec::new(), false);
    for from in former_homes(chain) {
        let there = follow::follows(s, &names, &from)?;
        follows.extend(there.into_iter().map(|name| (name, from)));
        leads = leads || act::leads_to(s, &names, &from)?;
    }
    if known.is_none() && follows.is_empty() && !leads || chain.verify(lineage).is_err() {
        return Ok(());
    }
    if known.as_ref() != Some(chain) {
        s.txn.put(Table::Chain, lineage.as_bytes(), chain);
        // It may have been sealed here for that home.
        s.later(Todo::Chain(*key));
    }
    lanes_follow(s, &names, chain)?;
    for (name, from) in follows {
        follow::follow_there(s, name, (from, home))?;
    }
    Ok(())
}

fn ids(chain: &Chain) -> Vec<once_model::ids::Hash> {
    chain.links.iter().map(Certificate::id).collect()
}

/// Whether this kernel is not the home of the object, or has handed it over as this chain says.
fn lets_go(s: &Step<'_, '_>, key: &ObjectKey, chain: &Chain) -> Result<bool, StoreError> {
    if object::head(s.txn, key)?.is_none_or(|head| head.home != Some(s.ctx.me)) {
        return Ok(true);
    }
    let sealed = rows::sealed(s.txn, key)?;
    let handoff = sealed.and_then(|(_, sealed)| sealed.chain.links.last().map(Certificate::id));
    Ok(handoff.is_some_and(|handoff| {
        chain.links.iter().any(|link| link.id() == handoff && link.acceptance.is_some())
    }))
}

fn former_homes(chain: &Chain) -> BTreeSet<KernelId> {
    let home = chain.home();
    chain.homes().filter(|former| *former != home).collect()
}

/// Lanes to an object, under these names, that lead to any of its former homes lead to the one at the end of its chain: an
/// origin has one lane of a name to an object, wherever that is, and its sequences are given once.
pub(super) fn lanes_follow(
    s: &mut Step<'_, '_>,
    names: &[ObjectKey],
    chain: &Chain,
) -> Result<(), StoreError> {
    for from in former_homes(chain) {
        act::rehome(s, names, (from, chain.home()))?;
    }
    Ok(())
}
