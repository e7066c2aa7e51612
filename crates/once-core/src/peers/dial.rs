//! Dialling: every peer, again and again, with growing pauses and jitter.

use std::ops::ControlFlow;

use once_model::ids::KernelId;
use once_model::limits::{REDIAL_MAX_MS, REDIAL_MIN_MS};

use super::{Link, Phase};
use crate::refusal::{Failure, Refusal};
use crate::rows;
use crate::step::Step;
use crate::store::{StoreError, Table};
use crate::waist::{Answer, Effect, Timer};

/// At the start of a run.
pub(crate) fn dial_all(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    use crate::store::Read;
    let mut peers = Vec::new();
    s.txn.scan(Table::Peer, &[], None, &mut |key, _| {
        peers.extend(KernelId::from_slice(key));
        ControlFlow::Continue(())
    })?;
    peers.into_iter().try_for_each(|peer| dial(s, peer))
}

/// A client does not want to wait for the pause to end.
pub(crate) fn dial_now(s: &mut Step<'_, '_>, peer: KernelId) -> Result<Answer, Failure> {
    if rows::peer(s.txn, &peer)?.is_none() {
        return Err(Refusal::NoPeer(peer).into());
    }
    if let Some(link) = s.engine.links.get_mut(&peer) {
        link.failures = 0;
    }
    dial(s, peer)?;
    Ok(Answer::Done)
}

/// The pause is over.
pub(crate) fn redial(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    if let Some(link) = s.engine.links.get_mut(&peer) {
        link.redial_set = false;
    }
    dial(s, peer)
}

/// Asks the shell to connect, unless a connection is there or on its way.
pub(super) fn dial(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    let Some(row) = rows::peer(s.txn, &peer)? else {
        s.engine.links.remove(&peer);
        return Ok(());
    };
    let link = s.engine.links.entry(peer).or_insert_with(Link::new);
    if link.phase == Phase::Idle {
        link.phase = Phase::Dialling;
        s.out.push(Effect::Dial { peer, addresses: row.addresses });
    }
    Ok(())
}

/// After a connection ended or could not be made: try again after a pause.
pub(super) fn dial_later(s: &mut Step<'_, '_>, peer: KernelId) {
    let Some(link) = s.engine.links.get_mut(&peer) else { return };
    if link.redial_set {
        return;
    }
    link.redial_set = true;
    let doubled = REDIAL_MIN_MS.saturating_mul(1 << link.failures.min(16));
    link.failures = link.failures.saturating_add(1);
    let pause_ms = doubled.min(REDIAL_MAX_MS);
    // Half fixed, half random: kernels that lost each other at one moment do not come back at one moment.
    let after_ms = pause_ms / 2 + s.rng.below(pause_ms / 2 + 1);
    s.out.push(Effect::Timer { after_ms, timer: Timer::Redial(peer) });
}
