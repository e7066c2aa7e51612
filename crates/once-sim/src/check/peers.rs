//! Who may come in, and by which invite.

use once_core::store::Table;
use once_core::{peers, txn};
use once_model::ids::KernelId;
use once_model::wire::Greeting;

use super::group::Allowed;
use super::shadow::{PeerShadow, Shadow};
use super::{Group, visitors};
use crate::coverage::Coverage;

/// A kernel greets: whether it may come in.
pub(super) fn hello(
    shadow: &mut Shadow,
    group: &Group<'_>,
    allowed: &Allowed,
    (peer, admitted): (KernelId, bool),
    greeting: &Greeting,
    cover: &mut Coverage,
) -> Result<(), String> {
    if let Some(known) = shadow.rights.peers.get_mut(&peer).filter(|peer| peer.active) {
        // Whose invite was to be shown sees it now, and may share as if it had been called.
        if admitted && std::mem::take(&mut known.joining) {
            shadow.rights.welcome(peer, group.now_ms);
        }
        return if admitted { shown_by_peer(shadow, group, peer, greeting) } else { Ok(()) };
    }
    let visits = visitors::may_come(shadow, group, allowed, &peer);
    let hash = greeting.invite.as_ref().map(once_core::invite_hash);
    let invite = hash.as_ref().and_then(|hash| shadow.invites.get_mut(hash));
    let valid = match &invite {
        Some(invite) if invite.used => {
            cover.met("state invite reused");
            false
        }
        Some(invite) if invite.ended || group.now_ms >= invite.expires_ms => {
            cover.met("state invite expired");
            false
        }
        Some(_) => true,
        None => {
            cover.met("state stranger denied");
            false
        }
    };
    // The engine takes the invite before it looks at anything else that may speak against the connection.
    let taken = peers::peer(group.store, &peer)
        .is_ok_and(|row| row.is_some_and(|row| row.status == peers::PeerStatus::Active));
    match (valid, admitted || taken) {
        (false, true) if admitted && visits => {
            cover.met("state visitor admitted");
            // It sees the invite that it was to be shown, and is a peer from now on.
            if let Some(known) = shadow.rights.peers.get_mut(&peer).filter(|known| known.joining) {
                (known.active, known.joining) = (true, false);
                shadow.rights.welcome(peer, group.now_ms);
            }
            Ok(())
        }
        (false, true) if admitted => {
            Err(format!("admits {peer:.10}, which is no peer and has no valid invite"))
        }
        (true, true) => {
            if let Some(invite) = invite {
                invite.used = true;
            }
            let joining = shadow.rights.peers.get(&peer).is_some_and(|known| known.joining) && !admitted;
            let new = PeerShadow { joining, ..shadow.new_peer(&peer, true) };
            shadow.rights.peers.insert(peer, new);
            shadow.rights.welcome(peer, group.now_ms);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Who was no peer, and has shown a good invite when it let this kernel in, is one now.
fn becomes_peer(shadow: &mut Shadow, group: &Group<'_>, peer: KernelId) {
    let row = peers::peer(group.store, &peer).ok().flatten();
    let is_peer = row.is_some_and(|row| row.status == peers::PeerStatus::Active && row.invite.is_some());
    if is_peer && shadow.rights.visitors.contains_key(&peer) && !shadow.rights.peers.contains_key(&peer) {
        let new = shadow.new_peer(&peer, true);
        shadow.rights.peers.insert(peer, new);
        shadow.rights.welcome(peer, group.now_ms);
    }
}

/// A peer showed an invite: it is used up, so that nobody else comes in by it.
fn shown_by_peer(
    shadow: &mut Shadow,
    group: &Group<'_>,
    peer: KernelId,
    greeting: &Greeting,
) -> Result<(), String> {
    let Some(hash) = greeting.invite.as_ref().map(once_core::invite_hash) else { return Ok(()) };
    let Some(invite) = shadow.invites.get_mut(&hash).filter(|invite| !invite.used && !invite.ended) else {
        return Ok(());
    };
    invite.used = true;
    let row: Option<peers::InviteRow> = txn::get(group.store, Table::Invite, hash.as_bytes()).ok().flatten();
    match row {
        Some(row) if row.used_by.is_none() => Err(format!("an invite that {peer:.10} showed is still open")),
        _ => Ok(()),
    }
}

/// Whom a kernel has dialled lets it in.
pub(super) fn admitted(
    shadow: &mut Shadow,
    group: &Group<'_>,
    peer: KernelId,
    connected: bool,
    greeting: &Greeting,
) -> Result<(), String> {
    if connected {
        shown_by_peer(shadow, group, peer, greeting)?;
        becomes_peer(shadow, group, peer);
    }
    let admitted = peers::peer(group.store, &peer).is_ok_and(|row| {
        row.is_some_and(|row| row.status == peers::PeerStatus::Active && row.secret.is_none())
    });
    if let Some(known) = shadow.rights.peers.get_mut(&peer)
        && known.joining
        && admitted
    {
        (known.active, known.joining) = (true, false);
        shadow.rights.welcome(peer, group.now_ms);
    }
    Ok(())
}

/// Whom a kernel has dialled does not let it in.
pub(super) fn denied(shadow: &mut Shadow, group: &Group<'_>, peer: KernelId) {
    let row = peers::peer(group.store, &peer).ok().flatten();
    if let Some(known) = shadow.rights.peers.get_mut(&peer)
        && known.joining
    {
        known.joining = row.as_ref().is_some_and(|row| row.secret.is_some());
        // Who was let in by us meanwhile stays.
        if !known.active && row.is_none_or(|row| row.is_for_objects() && row.secret.is_none()) {
            shadow.rights.peers.remove(&peer);
        }
    }
}
