//! Where an object is now. Whoever has to do with it is told by its former homes and by its home: each of them owes the newest
//! chain that it knows to those of its peers, in a row, until the peer has answered. Who asks for it where it was is told, too.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use once_model::certificate::Chain;
use once_model::ids::{KernelId, Line, ObjectKey};
use once_model::limits::{NEWS_WINDOW, RESEND_AFTER_MS};
use once_model::moving::{Heard, Moved};
use once_model::wire::Frame;

use super::both::{connection, tick_later};
use super::rows::NewsRow;
use super::state::Told;
use crate::engine::{Step, Todo};
use crate::object;
use crate::store::{Read, StoreError, Table, prefix_end};
use crate::{access, act, peers};

/// Where a kernel can be reached, as far as is known here.
fn addresses(s: &Step<'_, '_>, home: &KernelId) -> Result<Vec<String>, StoreError> {
    Ok(peers::peer(s.txn, home)?.map(|row| row.addresses).unwrap_or_default())
}

/// An acquaintance of an object that has come or gone, by its row: if it is a peer, it is to hear where the object is.
pub(crate) fn owe_news(s: &mut Step<'_, '_>, key: ObjectKey, row: &[u8]) -> Result<(), StoreError> {
    let Some(peer) = row.get(ObjectKey::ROW_LEN..).and_then(KernelId::from_slice) else { return Ok(()) };
    if peers::peer(s.txn, &peer)?.is_none() {
        return Ok(());
    }
    // If the chain cannot be read just now, the peer is owed it for later.
    if s.guarded((s.ctx.me, key), |s| knows(s, &key, &peer))?.unwrap_or(false) {
        s.later(Todo::Visitor(peer));
        return Ok(());
    }
    let row = NewsRow { since_ms: s.ctx.now_ms };
    // Should it be lost in a crash, so is how far the chore is that comes by here.
    s.txn.put_lazily(Table::News, &object::peer_object_key(&peer, &key), &row);
    tell(s, peer)
}

/// Whether a peer knows anyhow: it is the home, or has handed the object over here and gets the answer to that.
fn knows(s: &Step<'_, '_>, key: &ObjectKey, peer: &KernelId) -> Result<bool, StoreError> {
    let Some(chain) = object::chain_of(s.txn, key)? else { return Ok(true) };
    let handed_here = chain.links.last().filter(|link| link.home == s.ctx.me).map(|link| link.signer);
    Ok(chain.home() == *peer || handed_here == Some(*peer))
}

/// A connection to a peer is admitted: nothing is under way on it.
pub(super) fn greet(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    s.engine.moving.telling.remove(&peer);
    tell(s, peer)
}

/// Tells a peer what it is to hear, if it is connected, and as far as there is room.
fn tell(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    if connection(s, &peer).is_none() {
        return Ok(());
    }
    for key in next(s, &peer)? {
        tell_or_later(s, peer, key)?;
    }
    tick_later(s);
    Ok(())
}

/// What cannot be read just now is tried again some time later.
fn tell_or_later(s: &mut Step<'_, '_>, peer: KernelId, key: ObjectKey) -> Result<(), StoreError> {
    if s.guarded((s.ctx.me, key), |s| tell_of(s, peer, key))?.is_none() {
        let nothing = Told { certificate: None, sent_ms: s.ctx.now_ms };
        s.engine.moving.telling.entry(peer).or_default().insert(key, nothing);
    }
    Ok(())
}

/// The next objects of which a peer is to hear.
fn next(s: &Step<'_, '_>, peer: &KernelId) -> Result<Vec<ObjectKey>, StoreError> {
    let (mut found, none) = (Vec::new(), BTreeMap::new());
    let under_way = s.engine.moving.telling.get(peer).unwrap_or(&none);
    let room = NEWS_WINDOW.saturating_sub(under_way.len());
    let prefix = peer.as_bytes();
    s.txn.scan(Table::News, prefix, prefix_end(prefix).as_deref(), &mut |row, _| {
        if found.len() >= room {
            return ControlFlow::Break(());
        }
        let key = row.get(KernelId::LEN..).and_then(ObjectKey::from_row);
        found.extend(key.filter(|key| !under_way.contains_key(key)));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Tells a peer where an object is, as far as this kernel knows.
fn tell_of(s: &mut Step<'_, '_>, peer: KernelId, key: ObjectKey) -> Result<(), StoreError> {
    let Some(chain) = object::chain_of(s.txn, &key)? else { return Ok(()) };
    let told = Told { certificate: Some(chain.certificate()), sent_ms: s.ctx.now_ms };
    say(s, &peer, key, chain)?;
    s.engine.moving.telling.entry(peer).or_default().insert(key, told);
    Ok(())
}

fn say(s: &mut Step<'_, '_>, peer: &KernelId, key: ObjectKey, chain: Chain) -> Result<(), StoreError> {
    let Some(conn) = connection(s, peer) else { return Ok(()) };
    let addresses = addresses(s, &chain.home())?;
    s.out.send(*peer, conn, Frame::Moved(Box::new(Moved { key, chain, addresses })));
    Ok(())
}

/// A peer has answered. Only an answer to the newest chain ends the debt; after another one it is told that.
pub(crate) fn heard(s: &mut Step<'_, '_>, peer: KernelId, said: &Heard) -> Result<(), StoreError> {
    let Heard { key, certificate } = *said;
    let place = object::peer_object_key(&peer, &key);
    if s.txn.get(Table::News, &place)?.is_none() {
        return Ok(());
    }
    let newest = object::chain_of(s.txn, &key)?.map(|chain| chain.certificate());
    let is_asked = |told: &Told| told.certificate == Some(certificate);
    let under_way = s.engine.moving.telling.get_mut(&peer);
    if newest == Some(certificate) {
        under_way.map(|under_way| under_way.remove(&key));
        s.txn.delete_lazily(Table::News, &place);
        s.later(Todo::Visitor(peer));
        return tell(s, peer);
    }
    // An answer to something else means nothing: a peer is not told at its own pace.
    if under_way.and_then(|under_way| under_way.get(&key)).is_some_and(is_asked) {
        tell_of(s, peer, key)?;
    }
    Ok(())
}

/// The clock came: what was not answered is said again.
pub(super) fn tick(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let peers: Vec<_> = s.engine.moving.telling.keys().copied().collect();
    for peer in peers {
        if connection(s, &peer).is_none() {
            s.engine.moving.telling.remove(&peer);
            continue;
        }
        let under_way = s.engine.moving.telling.get(&peer).into_iter().flatten();
        let is_late = |told: &Told| s.ctx.now_ms.abs_diff(told.sent_ms) >= RESEND_AFTER_MS;
        let late: Vec<_> = under_way.filter(|(_, told)| is_late(told)).map(|(key, _)| *key).collect();
        for key in late {
            tell_or_later(s, peer, key)?;
        }
    }
    s.engine.moving.telling.retain(|_, under_way| !under_way.is_empty());
    Ok(())
}

/// Tells a kernel that asks for an object where that has moved from here, if it ever had to do with it, or has
/// a right here that would reach it. Whether it was told.
pub(crate) fn points_on(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    asked: &ObjectKey,
) -> Result<bool, StoreError> {
    if connection(s, peer).is_none() {
        return Ok(false);
    }
    let key = object::current_key(s.txn, asked)?;
    let head = object::head(s.txn, &key)?;
    if head.as_ref().is_some_and(|head| head.home == Some(s.ctx.me)) {
        return Ok(false);
    }
    let Some(chain) = object::chain_of(s.txn, &key)?.filter(|chain| was_home(chain, &s.ctx.me)) else {
        return Ok(false);
    };
    let is_known = s.txn.get(Table::Acquaintance, &object::object_peer_key(&key, peer))?.is_some();
    let reaches = match &head {
        Some(head) => access::reaches(s.txn, peer, head, s.ctx.now_ms)?,
        None => false,
    };
    if !is_known && !reaches && !act::has_lane(s, &key, peer)? {
        return Ok(false);
    }
    say(s, peer, key, chain)?;
    Ok(true)
}

/// Whether a kernel was an object's home before today's.
pub(super) fn was_home(chain: &Chain, kernel: &KernelId) -> bool {
    chain.home() != *kernel && chain.homes().any(|home| home == *kernel)
}

/// Where an object is that was here or has come here, and who has not heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The object that has moved.
    pub key: ObjectKey,
    /// Its home, as far as this kernel knows.
    pub home: KernelId,
    /// The peers that have not answered yet.
    pub waits_for: Vec<KernelId>,
}

/// The objects that have moved from here, and those that have come here and of which a peer has not heard yet.
///
/// # Errors
/// When the store cannot be read.
pub fn news(rows: &dyn Read, me: &KernelId) -> Result<Vec<News>, StoreError> {
    let mut waits: BTreeMap<ObjectKey, Vec<KernelId>> = BTreeMap::new();
    rows.scan(Table::News, &[], None, &mut |row, _| {
        if let Some((peer, key)) = row.split_at_checked(KernelId::LEN)
            && let (Some(peer), Some(key)) = (KernelId::from_slice(peer), ObjectKey::from_row(key))
        {
            waits.entry(key).or_default().push(peer);
        }
        ControlFlow::Continue(())
    })?;
    let mut found = Vec::new();
    object::try_chains(rows, |lineage, chain| {
        let key = ObjectKey { uuid: chain.genesis.uuid, line: Line::Claimed(lineage) };
        let waits_for = waits.remove(&key).unwrap_or_default();
        if was_home(&chain, me) || !waits_for.is_empty() {
            found.push(News { key, home: chain.home(), waits_for });
        }
    })?;
    Ok(found)
}
