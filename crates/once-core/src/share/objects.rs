//! Objects that peers are owed: making such a debt, sending what it allows, settling it.

use bytes::Bytes;
use once_model::certificate::Chain;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::INLINE_MAX_BYTES;
use once_model::wire::{Code, Frame, Parcel, ShareAnswer};

use super::debt::Debt;
use super::later::resend_later;
use super::owed::{self, settle};
use super::rows::{self, DebtRow, Kind, OutboxRow, Owed, UsageRow};
use super::unsent;
use super::window::Item;
use crate::engine::Step;
use crate::follow;
use crate::object::{self, HeadRow, current_key};
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table};
use crate::waist::{Answer, ConnId, Effect};

/// What a debt outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Everything: somebody was told of it, or nobody would make it again.
    Durably,
    /// Not a power loss: a client waits for the peer's answer, was told nothing yet, and asks again.
    WithItsClient,
}

/// A client wants a peer to have an object. False when the outbox is full: then the client is told. What the peer follows
/// or an action depends on is owed in any case, since nobody would ask for it again.
pub(crate) fn promise(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    head: &HeadRow,
    kept: Kept,
) -> Result<bool, StoreError> {
    let is_full = rows::usage(s.txn, &peer)?.owed_rows >= s.engine.limits.outbox_rows;
    if is_full && owed::debt(s.txn, &peer, &head.header.key())?.is_none() {
        return Ok(false);
    }
    owe(s, peer, head, Debt::Promised, kept)?;
    Ok(true)
}

/// Notes that a peer is owed an object, and sends it at once if nothing waits before it.
pub(crate) fn owe(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    head: &HeadRow,
    debt: Debt,
    kept: Kept,
) -> Result<(), StoreError> {
    let key = head.header.key();
    let up = s.engine.peers.links.get(&peer).filter(|link| link.up().is_some());
    let known = match up {
        Some(link) if link.window.surely_not_owed(&key) => None,
        _ => owed::debt(s.txn, &peer, &key)?,
    };
    if known.is_none() {
        let mut usage = rows::usage(s.txn, &peer)?;
        usage.owed_rows += 1;
        // The debt itself makes the commit wait for the disk.
        s.txn.put_lazily(Table::Usage, peer.as_bytes(), &usage);
    }
    let since_ms = known.map_or(s.ctx.now_ms, |row| row.since_ms);
    let debt = known.map_or(debt, |row| row.debt.merge(debt));
    let row = OutboxRow::Object(DebtRow { since_ms, id: head.header.id(), debt });
    let place = Owed::Object(key).key(&peer);
    if kept == Kept::WithItsClient || mutant!(LazyDebts) {
        s.txn.put_lazily(Table::Outbox, &place, &row);
    } else {
        s.txn.put(Table::Outbox, &place, &row);
    }
    let Some(conn) = s.up(&peer) else {
        s.engine.peers.wanted.insert(peer);
        return Ok(());
    };
    let Some(link) = s.engine.peers.links.get_mut(&peer) else { return Ok(()) };
    let window = &mut link.window;
    if window.contains(&Item::Object(key)) {
        // A revision that changed while the one before is under way is sent when that one is answered.
        return Ok(());
    }
    if window.line(Kind::Objects).is_free() {
        send_head(s, peer, conn, head.clone(), debt)?;
    } else {
        window.line_up(Owed::Object(key));
    }
    Ok(())
}

/// A person gives up what a peer is owed: it may never come back, or deny this kernel for good. Who waits for the peer's answer
/// is told so. A follower is owed the next revision all the same.
pub(crate) fn give_up(s: &mut Step<'_, '_>, peer: KernelId, key: ObjectKey) -> Result<Answer, Failure> {
    let refusal = Refusal::NotOwed { peer, key };
    if unsent::settle(s, &peer, &key)? {
        return Ok(Answer::Done);
    }
    if owed::debt(s.txn, &peer, &key)?.is_none() {
        return Err(refusal.into());
    }
    settle(s, &peer, &key)?;
    // Durable before it is answered: what was given up is not sent after a power loss.
    s.txn.delete(Table::Outbox, &Owed::Object(key).key(&peer));
    for token in s.engine.share.deliveries.remove(&(peer, key)).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Err(refusal.clone()) });
    }
    Ok(Answer::Done)
}

/// A peer is owed nothing any more: what it takes up here stays counted, should it become one again.
pub(crate) fn forget_count(s: &mut Step<'_, '_>, peer: &KernelId) -> Result<(), StoreError> {
    let usage = UsageRow { owed_rows: 0, ..rows::usage(s.txn, peer)? };
    s.txn.put(Table::Usage, peer.as_bytes(), &usage);
    Ok(())
}

/// What is owed by this row of the outbox is owed no more: a new life owes nothing of the one before.
pub(crate) fn forget_owed(s: &mut Step<'_, '_>, row: &[u8]) -> Result<(), StoreError> {
    match Owed::from_key(row) {
        Some((peer, Owed::Object(key))) => settle(s, &peer, &key),
        _ => {
            s.txn.delete_lazily(Table::Outbox, row);
            Ok(())
        }
    }
}

/// Sends an object's newest revision, if it is still owed: what was owed when the caller looked may be settled by now,
/// or be owed for another reason.
pub(crate) fn send(s: &mut Step<'_, '_>, peer: KernelId, key: ObjectKey) -> Result<(), StoreError> {
    let Some(conn) = s.up(&peer) else { return Ok(()) };
    // The answer to what is under way settles the debt, or finds it newer and sends again.
    if s.engine.peers.links.get(&peer).is_some_and(|link| link.window.contains(&Item::Object(key))) {
        return Ok(());
    }
    let Some(row) = owed::debt(s.txn, &peer, &key)? else { return Ok(()) };
    match object::head(s.txn, &key)? {
        Some(head) => send_head(s, peer, conn, head, row.debt),
        None => send_elsewhere(s, peer, key, row.debt),
    }
}

/// Sends an object's newest revision, if the debt is one for it.
fn send_head(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    mut head: HeadRow,
    debt: Debt,
) -> Result<(), StoreError> {
    let key = head.header.key();
    let served = debt.is_followed() && mutant!(RevokedFollowerServed);
    if !debt.allows(s.txn, &peer, &head, s.ctx.now_ms)? && !served && !mutant!(DebtWithoutLimit) {
        settle(s, &peer, &key)?;
        return if debt.is_followed() { follow::end_following(s, peer, &key) } else { Ok(()) };
    }
    let durable = may_leave_early(s, &peer, &head);
    if head.is_of_here() && head.header.signature.is_none() {
        head.header.sign(&s.ctx.key);
        s.txn.put_lazily(Table::Head, &key.to_row(), &head);
    }
    let Some(mut parcel) = parcel(s.txn, &s.ctx.me, &head)? else {
        // Without its home's signature it proves nothing to a third kernel, which would refuse it.
        settle(s, &peer, &key)?;
        let reply = Ok(Answer::Delivered(ShareAnswer::Refused(Code::Invalid)));
        for token in s.engine.share.deliveries.remove(&(peer, key)).unwrap_or_default() {
            s.out.push(Effect::Reply { token, reply: reply.clone() });
        }
        return Ok(());
    };
    parcel.commit = Some(s.engine.synced_commit);
    let bytes = parcel.body.as_ref().map_or(0, Bytes::len);
    let Some(link) = s.engine.peers.links.get_mut(&peer) else { return Ok(()) };
    link.window.sent(Item::Object(key), s.ctx.now_ms, bytes);
    resend_later(s, peer);
    if mutant!(DropOutboxAtSend) {
        settle(s, &peer, &key)?;
    }
    let effect = Effect::Send { peer, conn, frame: Frame::Share(parcel) };
    if durable {
        s.out.now.push(effect)
    } else {
        s.out.push(effect)
    }
    Ok(())
}

/// Whether a share may leave before the commit: nothing that this group writes is needed to undo the sending, nor for
/// what the receiver may do as soon as it has read the frame. A large body it pulls at once, by right of the debt, and
/// reading runs on the last commit: there the debt must be.
fn may_leave_early(s: &Step<'_, '_>, peer: &KernelId, head: &HeadRow) -> bool {
    let key = head.header.key();
    let apart = !head.header.tombstone && head.header.size > INLINE_MAX_BYTES as u64;
    let mut is_written = s.txn.is_dirty(Table::Head, &key.to_row());
    let mut is_announced = apart && s.txn.is_dirty(Table::Outbox, &Owed::Object(key).key(peer));
    if mutant!(ShareBeforeSync) {
        is_written = false;
    }
    if mutant!(AnnounceBeforeDebt) {
        is_announced = false;
    }
    !is_written && !is_announced && !s.engine.peers.admitted.contains(peer)
}

/// An object that is no longer here under this key. Claimed since: the debt and who waits for it follow the object.
/// Dropped: they end.
fn send_elsewhere(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: ObjectKey,
    debt: Debt,
) -> Result<(), StoreError> {
    let current = current_key(s.txn, &key)?;
    settle(s, &peer, &key)?;
    let waiting = s.engine.share.deliveries.remove(&(peer, key)).unwrap_or_default();
    if let (true, Some(head)) = (current != key, object::head(s.txn, &current)?) {
        if !waiting.is_empty() {
            s.engine.share.deliveries.entry((peer, current)).or_default().extend(waiting);
        }
        owe(s, peer, &head, debt, Kept::Durably)?;
        return Ok(());
    }
    for token in waiting {
        s.out.push(Effect::Reply { token, reply: Err(Refusal::NoObject(key)) });
    }
    Ok(())
}

/// A scenario as it travels: a small body inside, a large one to be pulled. `None` if this kernel is not its home and
/// cannot prove that it comes from there.
///
/// # Errors
/// When the store cannot be read, or lacks a row that it must have.
pub(crate) fn parcel(rows: &dyn Read, me: &KernelId, head: &HeadRow) -> Result<Option<Parcel>, StoreError> {
    let damaged = |table: Table, what: &str| {
        StoreError::damaged(table, &object::body_key(&head.header), format!("{what} {}", head.header.key()))
    };
    let chain: Option<Chain> = match &head.header.lineage {
        Some(lineage) => {
            let chain = object::chain(rows, lineage)?;
            let chain = chain.ok_or_else(|| damaged(Table::Chain, "no chain of"))?;
            // A former home may know who is home now, and not yet what was made there.
            Some(match head.header.certificate {
                Some(certificate) => chain.up_to(&certificate),
                None => chain,
            })
        }
        None => None,
    };
    if !may_pass_on(rows, me, head)? {
        return Ok(None);
    }
    let inline = !head.header.tombstone && head.header.size <= INLINE_MAX_BYTES as u64;
    let body = match inline {
        true => Some(
            rows.get(Table::Body, &object::body_key(&head.header))?
                .ok_or_else(|| damaged(Table::Body, "no bytes of"))?,
        ),
        false => None,
    };
    Ok(Some(Parcel { header: head.header.clone(), chain, body, commit: None }))
}

/// Whether others can be shown that a revision comes from its home. What came from the home itself was not checked
/// when it came.
pub(crate) fn may_pass_on(rows: &dyn Read, me: &KernelId, head: &HeadRow) -> Result<bool, StoreError> {
    let (Some(lineage), Some(certificate)) = (&head.header.lineage, &head.header.certificate) else {
        return Ok(true);
    };
    if head.home == Some(*me) || head.proven {
        return Ok(true);
    }
    let chain = object::chain(rows, lineage)?;
    let holder = chain.and_then(|chain| chain.holder(certificate));
    Ok(holder.is_some_and(|(home, _)| head.header.signed_by(&home)))
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use crate::chores::{self, Chore};
    use crate::testing::Alone;
    use crate::waist::{Input, Timer};

    /// With the count of the life before, an outbox would be full too early.
    #[test]
    fn a_new_life_counts_nothing_that_the_one_before_owed() {
        let mut kernel = Alone::populated().0;
        let peer = kernel.peer_id(9);
        let owed = |kernel: &Alone| rows::usage(&kernel.store, &peer).unwrap().owed_rows;
        assert!(owed(&kernel) > 0);
        kernel.step(|s| {
            chores::begin(s, Chore::BeginLife);
            Ok(())
        });
        kernel.input(Input::Timer(Timer::Chores));
        assert_eq!(owed(&kernel), 0);
    }
}
