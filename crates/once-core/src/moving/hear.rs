//! A kernel hears from a home of an object, a former one or today's, where that is now.

use std::collections::BTreeSet;

use once_model::certificate::Chain;
use once_model::ids::{KernelId, Lineage, ObjectKey};
use once_model::moving::{Heard, Moved};
use once_model::wire::Frame;

use super::both::connection;
use super::news::was_home;
use super::rows;
use crate::engine::{Step, Todo};
use crate::store::StoreError;
use crate::{act, follow, object, peers};

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
    if known.as_ref().is_some_and(|known| !chain.continues(known)) || !lets_go(s, key, chain)? {
        return Ok(());
    }
    let names: Vec<_> = follow::with_copy(key, Some(&chain.genesis)).collect();
    let (mut follows, former) = (Vec::new(), former_homes(chain));
    // A home that has it back has forgotten who followed it there before.
    let is_news = known.as_ref() != Some(chain);
    for from in former.iter().copied().chain(is_news.then_some(home)) {
        let there = follow::follows(s, &names, &from)?;
        follows.extend(there.into_iter().map(|name| (name, from)));
    }
    let leads = act::leads_to(s, &names, &former)?;
    // Each of its homes tells the same: it is checked once.
    if known.is_none() && follows.is_empty() && !leads
        || chain.verify_knowing(lineage, known.as_ref()).is_err()
    {
        return Ok(());
    }
    if is_news {
        object::learn_chain(s, key, chain)?;
        // It may have been sealed here for that home.
        if s.engine.moving.leaving.contains_key(key) {
            s.later(Todo::Chain(*key));
        }
    }
    if leads {
        lanes_follow(s, &names, chain)?;
    }
    if !follows.is_empty() || act::leads_to(s, &names, &BTreeSet::from([home]))? {
        peers::go_there(s, home, &moved.addresses)?;
    }
    for (name, from) in follows {
        follow::follow_there(s, name, (from, home))?;
    }
    Ok(())
}

/// Whether this kernel is not the home of the object, or has handed it over as this chain says.
fn lets_go(s: &Step<'_, '_>, key: &ObjectKey, chain: &Chain) -> Result<bool, StoreError> {
    if object::head(s.txn, key)?.is_none_or(|head| head.home != Some(s.ctx.me)) {
        return Ok(true);
    }
    rows::is_accepted_in(s.txn, key, chain)
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
    act::rehome(s, names, (&former_homes(chain), chain.home()))
}
