//! The present home of an object keeps what a former one has recorded. Each entry is signed by the home that recorded it, lies in
//! the time for which the chain names that kernel, and fits the hashes of the entries beside it, up to the one in the handoff.

use once_model::archive::{Archive, Archived, ArchivedEntry, OutcomeStatus};
use once_model::certificate::{Chain, Genesis, Term};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::ARCHIVE_PAGE_MAX_ENTRIES;
use once_model::wire::{Code, Frame};

use super::rows::{ArchiveRow, cost, kept, place};
use crate::engine::Step;
use crate::follow::with_copy;
use crate::moving::connection;
use crate::store::{StoreError, Table};
use crate::{object, share};

/// A former home brings a page of what it has recorded. All of it is kept, or nothing.
pub(crate) fn archive(s: &mut Step<'_, '_>, peer: KernelId, said: &Archive) -> Result<(), StoreError> {
    let Some(number) = said.entries.last().map(|kept| kept.entry.number) else { return Ok(()) };
    // What cannot be read just now may be tomorrow.
    let code = s.tried(|s| take(s, peer, said))?.unwrap_or(Some(Code::Busy));
    if let Some(conn) = connection(s, &peer) {
        s.out.send(peer, conn, Frame::Archived(Archived { key: said.key, number, code }));
    }
    Ok(())
}

/// Keeps a page, or says why not.
fn take(s: &mut Step<'_, '_>, peer: KernelId, said: &Archive) -> Result<Option<Code>, StoreError> {
    let new = match checked(s, &peer, said)? {
        Ok(new) => new,
        Err(code) => return Ok(Some(code)),
    };
    let new = if mutant!(ArchiveKeepsTheFirst) { new.into_iter().take(1).collect() } else { new };
    for kept in &new {
        let row = ArchiveRow { kept: (*kept).clone(), from: peer };
        s.txn.put(Table::Archive, &place(&said.key, kept.entry.number), &row);
    }
    if !new.is_empty() {
        object::charge(s, &peer, i64::try_from(cost_of(&new)).unwrap_or(i64::MAX))?;
    }
    Ok(None)
}

fn cost_of(entries: &[&ArchivedEntry]) -> u64 {
    entries.iter().map(|kept| cost(kept)).sum()
}

/// The entries of a page that are not kept here yet, if all of it may be kept.
fn checked<'a>(
    s: &Step<'_, '_>,
    peer: &KernelId,
    said: &'a Archive,
) -> Result<Result<Vec<&'a ArchivedEntry>, Code>, StoreError> {
    let Some(chain) = lives_here(s, &said.key)? else { return Ok(Err(Code::Denied)) };
    let terms = chain.terms();
    if !terms.iter().any(|term| term.home == *peer) {
        return Ok(Err(Code::Denied));
    }
    if s.room_on_disk().is_err() {
        return Ok(Err(Code::DiskFull));
    }
    if said.entries.len() > ARCHIVE_PAGE_MAX_ENTRIES {
        return Ok(Err(Code::TooLarge));
    }
    let (mut new, mut above) = (Vec::new(), None);
    for brought in &said.entries {
        match look_at(s, (&said.key, &chain.genesis), &terms, (brought, above))? {
            Fits::Not => return Ok(Err(Code::Invalid)),
            Fits::Known => {}
            Fits::New => new.push(brought),
        }
        above = Some(brought);
    }
    let fits = new.is_empty() || share::has_room(s, peer, cost_of(&new))?;
    Ok(if fits { Ok(new) } else { Err(Code::Quota) })
}

/// The chain of an object whose home this kernel is.
fn lives_here(s: &Step<'_, '_>, key: &ObjectKey) -> Result<Option<Chain>, StoreError> {
    let chain = object::chain_of(s.txn, key)?;
    Ok(chain.filter(|chain| chain.home() == s.ctx.me && chain.genesis.uuid == key.uuid))
}

enum Fits {
    New,
    Known,
    Not,
}

/// Whether an entry is what a former home has recorded in that place. `above`: the one before it in the page, a later one.
fn look_at(
    s: &Step<'_, '_>,
    (key, genesis): (&ObjectKey, &Genesis),
    terms: &[Term],
    (brought, above): (&ArchivedEntry, Option<&ArchivedEntry>),
) -> Result<Fits, StoreError> {
    let number = brought.entry.number;
    if above.is_some_and(|above| above.entry.number <= number) || number == 0 {
        return Ok(Fits::Not);
    }
    let hash = brought.entry.hash();
    if let Some(known) = kept(s.txn, key, number)? {
        return Ok(if known.entry.hash() == hash { Fits::Known } else { Fits::Not });
    }
    // Today's home has recorded its own.
    let term = terms.iter().find(|term| term.tip.is_some() && term.holds(number));
    let Some(term) = term.filter(|term| term.home == brought.home && term.home != s.ctx.me) else {
        return Ok(Fits::Not);
    };
    let is_tip = term.tip.is_some_and(|tip| tip.number == number);
    if is_tip && term.tip.is_some_and(|tip| tip.hash != hash) {
        return Ok(Fits::Not);
    }
    let later = match above.filter(|above| above.entry.number == number + 1) {
        Some(above) => Some(above.entry.previous),
        None => kept(s.txn, key, number.saturating_add(1))?.map(|later| later.entry.previous),
    };
    let earlier = kept(s.txn, key, number - 1)?.map(|earlier| earlier.entry.hash());
    let links = later.is_none_or(|previous| previous == hash)
        && earlier.is_none_or(|earlier| earlier == brought.entry.previous);
    Ok(if links && is_of((key, genesis), brought) { Fits::New } else { Fits::Not })
}

/// Whether it is about this object, says one thing, and is signed.
fn is_of((key, genesis): (&ObjectKey, &Genesis), brought: &ArchivedEntry) -> bool {
    let mut names = with_copy(key, Some(genesis));
    names.any(|name| name == brought.entry.object)
        && says_one_thing(brought)
        && brought.summary.as_ref().is_none_or(once_model::archive::Summary::fits)
        && brought.is_signed()
}

fn says_one_thing(brought: &ArchivedEntry) -> bool {
    match (&brought.outcome, &brought.status) {
        (Some(outcome), Some(status)) => OutcomeStatus::from(outcome) == *status,
        _ => true,
    }
}
