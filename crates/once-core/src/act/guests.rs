//! Guests: objects that moved in, or were made by one that did. A guest has none of the rights of the kernel that it lives on,
//! so its acts say that it is one, and the home of what it acts on is shown the chain by which that kernel speaks for it.

use once_model::action::Act;
use once_model::ids::KernelId;
use once_model::moving::Guest;
use once_model::wire::Frame;

use crate::access;
use crate::engine::{Step, Todo};
use crate::object;
use crate::store::StoreError;
use crate::waist::ConnId;

/// Before an act of a guest leaves: its chain, unless that was shown on this connection.
pub(super) fn show(
    s: &mut Step<'_, '_>,
    (home, conn): (KernelId, ConnId),
    act: &Act,
) -> Result<(), StoreError> {
    let Some(key) = act.action.acting.filter(|_| act.guest == Some(true)) else { return Ok(()) };
    let Some(lineage) = key.lineage() else { return Ok(()) };
    let Some(chain) = object::chain(s.txn, &lineage)? else { return Ok(()) };
    let Some(link) = s.engine.peers.links.get_mut(&home) else { return Ok(()) };
    if link.act.guests.is_news(key, chain.certificate()) {
        s.out.send(home, conn, Frame::Guest(Box::new(Guest { key, chain })));
    }
    Ok(())
}

/// A peer shows the chain of a guest. It is looked at when the guest does what it has a grant for: nothing is kept, and no
/// signature checked, of what others only say.
pub(crate) fn shown(s: &mut Step<'_, '_>, peer: KernelId, said: Guest) {
    let Guest { key, chain } = said;
    let is_its = chain.home() == peer && chain.genesis.uuid == key.uuid && key.lineage().is_some();
    if let Some(link) = s.engine.peers.links.get_mut(&peer).filter(|_| is_its) {
        link.act.guests.hears(key, chain);
    }
}

/// A guest of a peer acts. If it has a grant for this, and the chain that it has shown goes on from what is known here of
/// it, that chain is kept: from here on no former home speaks for it.
pub(super) fn look(s: &mut Step<'_, '_>, peer: KernelId, act: &Act) -> Result<(), StoreError> {
    let Some(guest) = act.action.acting.filter(|_| act.guest == Some(true)) else { return Ok(()) };
    let Some(lineage) = guest.lineage() else { return Ok(()) };
    let key = object::current_key(s.txn, &act.lane.key)?;
    let Some(head) = object::head(s.txn, &key)? else { return Ok(()) };
    if !access::has_grant(s.txn, &guest, &head, &act.action.name, s.ctx.now_ms)? {
        return Ok(());
    }
    let shown = s.engine.peers.links.get_mut(&peer).and_then(|link| link.act.guests.take(&guest));
    let Some(chain) = shown else { return Ok(()) };
    let known = object::chain(s.txn, &lineage)?;
    let is_news = known.as_ref().is_none_or(|known| chain.continues(known) && chain != *known);
    if is_news && chain.verify_knowing(lineage, known.as_ref()).is_ok() {
        object::learn_chain(s, &guest, &chain)?;
        s.later(Todo::Chain(guest));
    }
    Ok(())
}
