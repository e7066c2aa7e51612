//! Who is no peer, and has to do with single objects: visitors, who come for objects on which they have a right; and hosts, where
//! this kernel goes because an object with which it has to do has moved there. `docs/protocol.md`, 5.6, *Visitors*.

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{ACQUAINTANCE_ADDRESSES_MAX, VISITORS_OF_OBJECT_MAX};
use once_model::wire::{Code, Frame};

use super::addresses::put_first;
use super::begin::new_row;
use super::dial::dial;
use super::names::room_for_visitor;
use super::rows::{self, VisitRow};
use super::{PeerRow, PeerStatus, Phase};
use crate::access;
use crate::chores::{self, Chore};
use crate::engine::{Step, life};
use crate::object;
use crate::store::{Read, StoreError, Table, has_any, scan_prefix};
use crate::waist::{Effect, Event};

/// Whether people here have removed a kernel, or what was left of it is still being forgotten.
pub(crate) fn is_unwelcome(s: &Step<'_, '_>, kernel: &KernelId) -> Result<bool, StoreError> {
    Ok(s.txn.get(Table::Removed, kernel.as_bytes())?.is_some()
        || chores::is_under_way(s, Chore::ForgetPeer(*kernel))?)
}

/// An object has come here, and these kernels, none of which is unwelcome, have rights on it: those of them that are no peers
/// may come for it.
pub(crate) fn let_in(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    kernels: impl IntoIterator<Item = KernelId>,
) -> Result<(), StoreError> {
    if mutant!(NoVisitors) {
        return Ok(());
    }
    let mut let_in = 0;
    for kernel in kernels {
        if let_in < VISITORS_OF_OBJECT_MAX && let_one_in(s, key, kernel)? {
            let_in += 1;
        }
    }
    Ok(())
}

fn let_one_in(s: &mut Step<'_, '_>, key: &ObjectKey, kernel: KernelId) -> Result<bool, StoreError> {
    if kernel == s.ctx.me {
        return Ok(false);
    }
    match rows::peer(s.txn, &kernel)? {
        Some(row) if !row.is_for_objects() => return Ok(false),
        Some(_) => {}
        None if !room_for_visitor(s)? => return Ok(false),
        None => {
            let row = new_row(s, PeerStatus::Visitor, None, Vec::new(), None);
            s.txn.put(Table::Peer, kernel.as_bytes(), &row);
        }
    }
    comes_for(s, &kernel, key);
    Ok(true)
}

/// A visitor may come for an object.
pub(super) fn comes_for(s: &mut Step<'_, '_>, kernel: &KernelId, key: &ObjectKey) {
    let row = VisitRow { since_ms: s.ctx.now_ms };
    s.txn.put(Table::Visit, &object::peer_object_key(kernel, key), &row);
}

/// The objects for which a visitor comes.
///
/// # Errors
/// When the store cannot be read.
pub fn visits(rows: &dyn Read, kernel: &KernelId) -> Result<Vec<ObjectKey>, StoreError> {
    let mut found = Vec::new();
    scan_prefix(rows, Table::Visit, kernel.as_bytes(), &mut |row, _| {
        found.extend(row.get(KernelId::LEN..).and_then(ObjectKey::from_row));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Whether one that is no peer has still to do with an object: it has a right on one, or is to hear where one has gone.
pub(super) fn may_come(s: &Step<'_, '_>, kernel: &KernelId, row: &PeerRow) -> Result<bool, StoreError> {
    if row.status == PeerStatus::Host || mutant!(VisitorStays) {
        return Ok(true);
    }
    if has_any(s.txn, Table::News, kernel.as_bytes())? {
        return Ok(true);
    }
    for copy in visits(s.txn, kernel)? {
        // A copy on which it was given a right may have been claimed since.
        let key = object::current_key(s.txn, &copy)?;
        let rights = access::on_object(s.txn, &key)?;
        let has_right =
            rights.iter().any(|listed| listed.grant.kernel == *kernel && listed.holds(s.ctx.now_ms));
        if has_right || chores::is_under_way(s, Chore::OweNews(key))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A right has ended, or a debt to one who may be a visitor: the visit may be over.
pub(crate) fn look_at(s: &mut Step<'_, '_>, kernel: KernelId) -> Result<(), StoreError> {
    match rows::peer(s.txn, &kernel)? {
        Some(row) if row.status == PeerStatus::Visitor && !may_come(s, &kernel, &row)? => {
            s.txn.delete(Table::Peer, kernel.as_bytes());
            life::peer_removed(s, kernel)?;
            hang_up(s, kernel, "it has no right on any object here any more");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Who may come no more is told so, and its connection ends.
pub(super) fn hang_up(s: &mut Step<'_, '_>, peer: KernelId, why: &str) {
    if let Some(link) = s.engine.peers.links.remove(&peer)
        && let Phase::Greeting { conn, .. } | Phase::Up { conn, .. } = link.phase
    {
        s.out.send(peer, conn, Frame::Denied(Code::Denied));
        s.out.push(Effect::Close { peer, conn, code: Code::Denied });
        // Its link is gone, so the end of the connection will not be told by that.
        s.out.push(Effect::Event(Event::Disconnected { peer, reason: why.to_owned() }));
        life::link_down(s, peer);
    }
}

/// An object with which this kernel has to do lives at a kernel that is no peer: it goes there, for what it has a right to
/// there. The other has none here by that.
pub(crate) fn go_there(s: &mut Step<'_, '_>, home: KernelId, addresses: &[String]) -> Result<(), StoreError> {
    if home == s.ctx.me {
        return Ok(());
    }
    let mut row = match rows::peer(s.txn, &home)? {
        Some(row) if row.is_called() => return Ok(()),
        Some(row) => PeerRow { status: PeerStatus::Host, ..row },
        None if is_unwelcome(s, &home)? || !room_for_visitor(s)? => return Ok(()),
        None => new_row(s, PeerStatus::Host, None, Vec::new(), None),
    };
    let some = addresses.iter().take(ACQUAINTANCE_ADDRESSES_MAX).cloned();
    put_first(&mut row, some.collect::<Vec<_>>(), s.ctx.now_ms);
    s.txn.put(Table::Peer, home.as_bytes(), &row);
    dial(s, home)
}
