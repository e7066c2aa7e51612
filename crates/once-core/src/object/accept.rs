//! Accepting a verified scenario from a peer. Idempotent: what is here already changes nothing.

use std::cmp::Ordering;

use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Line};
use once_model::wire::{Code, ShareAnswer};

use super::keep::{self, Before};
use super::{HeadRow, ancestry, beside, chains, rows};
use crate::engine::{Step, Todo};
use crate::share;
use crate::store::{Read, StoreError, Table};
use crate::waist::Arrival;

/// Keeps what arrived, if it is new. With a quota, in bytes, it counts against that: the peer wants it kept. Without,
/// someone here asked for it.
pub(crate) fn accept(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    arrival: Arrival,
    quota_bytes: Option<u64>,
) -> Result<ShareAnswer, StoreError> {
    let key = arrival.header.key();
    let head = rows::head(s.txn, &key)?;
    let home = home_now(s, &arrival)?;
    let mut row = HeadRow {
        charged: quota_bytes.is_some(),
        conflicts_dropped: head.as_ref().map_or(0, |head| head.conflicts_dropped),
        home,
        ..arrived(s, peer, arrival.header, arrival.chain.as_ref().map(Chain::home))
    };
    let verdict = match (&key.line, &head) {
        (_, Some(head)) => compare(head, &row),
        (Line::Unclaimed(_), None) => {
            let claimed =
                s.txn.get(Table::Genesis, &rows::content_key(&key.uuid, &row.header.content))?.is_some();
            if claimed { Verdict::Known } else { Verdict::Newer }
        }
        (Line::Claimed(_), None) => Verdict::Newer,
    };
    if verdict == Verdict::Known {
        return Ok(ShareAnswer::Known);
    }
    if s.room_on_disk().is_err() {
        return Ok(ShareAnswer::Refused(Code::DiskFull));
    }
    // What is kept beside the head gives nothing back.
    let replaced = head.as_ref().filter(|_| verdict == Verdict::Newer);
    if let Some(quota_bytes) = quota_bytes
        && over_quota(s, &peer, quota_bytes, &row.header, replaced)?
    {
        return Ok(ShareAnswer::Refused(Code::Quota));
    }
    if verdict == Verdict::Beside && !mutant!(ConflictOverwritesHead) {
        beside::keep(s, head.as_ref(), row, arrival.body)?;
        return Ok(ShareAnswer::Conflict);
    }
    let mut copy = None;
    if let Some(chain) = &arrival.chain {
        adopt_chain(s, &row, chain)?;
        copy = copy_of(s, &row, chain)?;
    }
    if let Some(copy) = &copy {
        keep::supersede(s, copy, key)?;
    }
    let before = match (&head, &copy) {
        (Some(head), _) => Before::Head(head),
        (None, Some(_)) => Before::Copy,
        (None, None) => Before::Nothing,
    };
    // Before the head that is replaced needs a place among them.
    if row.header.tombstone {
        keep::drop_forks(s, &key)?;
    }
    if let (Verdict::Later, Some(head)) = (verdict, &head)
        && !mutant!(ForgetReplaced)
    {
        row.conflicts_dropped += u64::from(!ancestry::keep_replaced(s, head)?);
    }
    keep::keep(s, before, &row, arrival.body)?;
    if verdict == Verdict::Later {
        ancestry::ask(s, key, row.home)?;
    }
    Ok(ShareAnswer::Stored)
}

/// Where the object of a revision lives, as far as is known here: with a revision from before a move comes the chain of then.
/// Who has removed its replica of what moved away would take itself for the home again.
fn home_now(s: &Step<'_, '_>, arrival: &Arrival) -> Result<Option<KernelId>, StoreError> {
    let Some(brought) = &arrival.chain else { return Ok(None) };
    let known = match arrival.header.lineage {
        Some(lineage) => chains::chain(s.txn, &lineage)?,
        None => None,
    };
    let newest = known.filter(|known| known.continues(brought));
    Ok(Some(newest.as_ref().unwrap_or(brought).home()))
}

/// A revision as it came from a peer.
fn arrived(s: &Step<'_, '_>, peer: KernelId, header: Header, home: Option<KernelId>) -> HeadRow {
    HeadRow {
        header,
        home,
        from: Some(peer),
        charged: false,
        stored_ms: s.ctx.now_ms,
        conflicts_dropped: 0,
        // `verify` has checked the signature of whatever did not come from its home.
        proven: home.is_some_and(|home| home != peer),
        replaced: None,
        tip: None,
        guest: None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Here already, or something newer of the same chain is.
    Known,
    /// Continues the chain.
    Newer,
    /// Comes after the head, and some that were made between are not here: it is not proven to continue it.
    Later,
    /// A revision that the chain does not contain.
    Beside,
}

/// Places an arriving revision against the head. A home commits one chain under one certificate, so a higher revision
/// should continue it: whether it does is proven by its parent, or by the entries between. An equal or lower one that is
/// provably not an ancestor is a fork.
fn compare(head: &HeadRow, new: &HeadRow) -> Verdict {
    let (old, header) = (&head.header, &new.header);
    let id = header.id();
    match (header.epoch, header.revision).cmp(&(old.epoch, old.revision)) {
        Ordering::Greater => {
            let next = old.revision.checked_add(1) == Some(header.revision);
            match next {
                // Also the first one at another home.
                true if header.parent == Some(old.id()) => Verdict::Newer,
                true if header.epoch == old.epoch => Verdict::Beside,
                _ => Verdict::Later,
            }
        }
        Ordering::Equal if id == old.id() => Verdict::Known,
        Ordering::Equal => Verdict::Beside,
        Ordering::Less if mutant!(AcceptOlder) => Verdict::Newer,
        Ordering::Less => {
            let before = header.epoch == old.epoch && header.revision.checked_add(1) == Some(old.revision);
            if before && old.parent != Some(id) { Verdict::Beside } else { Verdict::Known }
        }
    }
}

/// Whether a peer has no room left for a revision, the bytes of its older revision given back.
pub(crate) fn over_quota(
    s: &Step<'_, '_>,
    peer: &KernelId,
    quota_bytes: u64,
    new: &Header,
    old: Option<&HeadRow>,
) -> Result<bool, StoreError> {
    let anybodys = mutant!(QuotaOfOthers);
    let is_its = |old: &&HeadRow| old.charged && (old.from == Some(*peer) || anybodys);
    let given_back = old.filter(is_its).map_or(0, |old| rows::cost(&old.header));
    let used = share::usage(s.txn, peer)?.stored_bytes.saturating_sub(given_back);
    let is_over = used.saturating_add(rows::cost(new)) > quota_bytes && !mutant!(ForgetQuota);
    Ok(is_over)
}

/// Stores the chain if it says more than the one here.
fn adopt_chain(s: &mut Step<'_, '_>, row: &HeadRow, chain: &Chain) -> Result<(), StoreError> {
    let Some(lineage) = row.header.lineage else { return Ok(()) };
    let known = chains::chain(s.txn, &lineage)?;
    if known.is_none_or(|known| known.links.len() < chain.links.len()) {
        chains::put_chain(s.txn, &lineage, chain)?;
        // It may be about to leave, or have moved: then lanes to it go along.
        if s.engine.moving.leaving.contains_key(&row.header.key()) || !chain.links.is_empty() {
            s.later(Todo::Chain(row.header.key()));
        }
    }
    Ok(())
}

/// The unclaimed copy here that this lineage began from and takes over. What was imported here is not a peer's to
/// take: anyone who knows a UUID and a hash can make a genesis record for it, so such a copy stays beside the lineage.
pub(crate) fn copy_of(s: &Step<'_, '_>, row: &HeadRow, chain: &Chain) -> Result<Option<HeadRow>, StoreError> {
    let content: Hash = chain.genesis.content;
    let copy = once_model::ids::ObjectKey { uuid: row.header.uuid, line: Line::Unclaimed(content) };
    Ok(rows::head(s.txn, &copy)?.filter(|copy| copy.from.is_some()))
}
