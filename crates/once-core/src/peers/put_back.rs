//! How a quarantine begins, and how it ends: with a new life of this kernel.

use std::collections::BTreeSet;

use once_model::ids::{Incarnation, KernelId};
use once_model::wire::{Code, Frame, Greeting};

use super::quarantine::{Quarantine, ROW, is_ending, quarantine};
use super::{PeerStatus, Phase, down, progress, rows};
use crate::act;
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::meta::{self, Identity};
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
use crate::waist::{Answer, Effect, Event, Token};

/// Most statements that are kept.
const SHOWN_MAX: usize = 16;

/// A peer greets: what it shows of this kernel may prove that the disk was put back. Whether this kernel is in quarantine.
pub(super) fn look(s: &mut Step<'_, '_>, peer: &KernelId, hello: &Greeting) -> Result<bool, StoreError> {
    let mut lost = Vec::new();
    for said in hello.seen.iter().take(2).filter(|said| said.signed_by(&s.ctx.me)) {
        if !progress::is_on_disk(s, said)? {
            lost.push(*said);
        }
    }
    if !s.engine.peers.quarantined && lost.is_empty() {
        return Ok(false);
    }
    let row = quarantine(s.txn)?;
    let began = row.is_none();
    let since_ms = s.ctx.now_ms;
    let mut row = row.unwrap_or(Quarantine { since_ms, shown: Vec::new(), heard: Vec::new() });
    let before = row.clone();
    for said in lost {
        if !row.shown.contains(&said) && row.shown.len() < SHOWN_MAX {
            row.shown.push(said);
        }
    }
    if !row.heard.contains(peer) {
        row.heard.push(*peer);
    }
    if began || row != before {
        s.txn.put(Table::Meta, ROW, &row);
    }
    if began {
        s.engine.peers.quarantined = true;
        s.engine.chores.drop(Chore::Work);
        s.out.push(Effect::Event(Event::Quarantined { by: *peer }));
        let links: Vec<_> = s.engine.peers.links.iter().map(|(peer, link)| (*peer, link.phase)).collect();
        for (other, phase) in links {
            if let Phase::Up { conn, .. } = phase {
                turn_away(s, other, conn);
            }
        }
    }
    Ok(true)
}

/// Says why, and ends the connection.
pub(super) fn turn_away(s: &mut Step<'_, '_>, peer: KernelId, conn: u64) {
    s.out.send(peer, conn, Frame::Denied(Code::Quarantined));
    s.out.push(Effect::Close { peer, conn, code: Code::Quarantined });
    down::rest(s, peer, conn, "this kernel is in quarantine: its data was put back from a backup");
}

/// Begins a new life with what is on the disk. What the earlier one was home of stays readable and is changed by nobody
/// here; what waited to be sent is forgotten, since it may have been sent before; rights are given anew. Until all of that
/// is gone, perhaps in later steps, or by the next run, the quarantine lasts.
pub(crate) fn end(
    s: &mut Step<'_, '_>,
    token: Token,
    without: &[KernelId],
) -> Result<Option<Answer>, Failure> {
    let row = quarantine(s.txn)?.ok_or(Refusal::NoQuarantine)?;
    if is_ending(s)? {
        return Ok(chores::wait(s, Chore::BeginLife, token));
    }
    for (peer, known) in rows::all(s.txn)? {
        let is_heard = row.heard.contains(&peer) || without.contains(&peer);
        if known.status == PeerStatus::Active && !is_heard {
            return Err(Refusal::NotHeard(peer).into());
        }
    }
    meta::identity(s.txn)?.ok_or(Refusal::NoQuarantine)?;
    Ok(chores::begin_for(s, Chore::BeginLife, token))
}

/// Nothing is left of the earlier life that must not be there in the new one.
pub(crate) fn begin_life(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let (Some(row), Some(identity)) = (quarantine(s.txn)?, meta::identity(s.txn)?) else { return Ok(()) };
    let mut bytes = [0; 16];
    s.rng.fill(&mut bytes);
    let lives = row.shown.iter().map(|said| said.incarnation).chain([identity.incarnation]);
    let mut ended: BTreeSet<_> = identity.ended.iter().copied().chain(lives).collect();
    let incarnation = Incarnation::from_bytes(bytes);
    ended.remove(&incarnation);
    let ended = ended.into_iter().collect();
    meta::set_identity(s.txn, &Identity { incarnation, ended, ..identity });
    act::begin_anew(s)?;
    s.txn.delete(Table::Meta, ROW);
    s.engine.boot = meta::begin_boot(s.txn, s.ctx.boot, s.engine.commit + 1, s.engine.boot)?;
    s.engine.peers.quarantined = false;
    s.engine.peers.reborn = true;
    s.engine.act.begin_anew(&s.engine.limits);
    super::dial_all(s);
    Ok(())
}
