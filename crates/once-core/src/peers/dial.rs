//! Dialling: every peer, again and again, with growing pauses and jitter.

use once_model::ids::KernelId;
use once_model::limits::{REDIAL_MAX_MS, REDIAL_MIN_MS, REDIAL_SOON_MS, REDIAL_WANTED_MS};

use super::rows;
use super::{Link, Phase};
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::StoreError;
use crate::waist::{Answer, Effect, Timer};

/// At the start of a run: every peer, some in each step.
pub(crate) fn dial_all(s: &mut Step<'_, '_>) {
    chores::begin(s, Chore::Dial);
}

/// The peer with this row.
pub(crate) fn dial_one(s: &mut Step<'_, '_>, row: &[u8]) -> Result<(), StoreError> {
    KernelId::from_slice(row).map_or(Ok(()), |peer| dial(s, peer))
}

/// A client does not want to wait for the pause to end.
pub(crate) fn dial_now(s: &mut Step<'_, '_>, peer: KernelId) -> Result<Answer, Failure> {
    if rows::peer(s.txn, &peer)?.is_none() {
        return Err(Refusal::NoPeer(peer).into());
    }
    if let Some(link) = s.engine.peers.links.get_mut(&peer) {
        link.failures = 0;
    }
    dial(s, peer)?;
    Ok(Answer::Done)
}

/// This kernel is somewhere else now, or back on the network: who could not be reached from where it was may be reached
/// from here. Whom it has dialled it dials anew: the connection goes along by itself, but the other side may not see from
/// where, and would call in vain later. Soon, not at once: networks change in bursts.
pub(crate) fn network_changed(s: &mut Step<'_, '_>) {
    let links = s.engine.peers.links.iter();
    let from_here =
        links.filter(|(_, link)| matches!(link.phase, Phase::Idle | Phase::Up { dialled: true, .. }));
    for peer in from_here.map(|(peer, _)| *peer).collect::<Vec<_>>() {
        if let Some(link) = s.engine.peers.links.get_mut(&peer) {
            link.failures = 0;
        }
        pause(s, peer, REDIAL_SOON_MS);
    }
}

/// Something is owed to a peer that has been away for long: it is not left to its pause, which may be minutes. At most
/// one dial in a while, however much is owed.
pub(crate) fn call_wanted(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    for peer in std::mem::take(&mut s.engine.peers.wanted) {
        let idle = s.engine.peers.links.get(&peer).filter(|link| link.phase == Phase::Idle);
        // Also when the clock was set back.
        if idle.is_some_and(|link| s.ctx.now_ms.abs_diff(link.idle_since_ms) >= REDIAL_WANTED_MS) {
            dial(s, peer)?;
        }
    }
    Ok(())
}

/// A pause is over. One that another has taken the place of, or that a connection has ended, means nothing.
pub(crate) fn redial(s: &mut Step<'_, '_>, peer: KernelId, pause: u64) -> Result<(), StoreError> {
    match s.engine.peers.links.get(&peer) {
        Some(link) if link.pause == pause => match link.phase {
            Phase::Idle => dial(s, peer),
            // This kernel has moved since. The connection that is there stays until the new one prevails.
            Phase::Up { .. } => {
                if let Some(row) = rows::peer(s.txn, &peer)? {
                    s.out.push(Effect::Dial { peer, addresses: row.addresses });
                }
                Ok(())
            }
            Phase::Dialling | Phase::Greeting { .. } => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Asks the shell to connect, unless a connection is there or on its way.
pub(super) fn dial(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    let Some(row) = rows::peer(s.txn, &peer)? else {
        s.engine.peers.links.remove(&peer);
        return Ok(());
    };
    let link = s.engine.peers.links.entry(peer).or_insert_with(Link::new);
    if link.phase == Phase::Idle && row.is_called() {
        link.phase = Phase::Dialling;
        s.out.push(Effect::Dial { peer, addresses: row.addresses });
    }
    Ok(())
}

/// After a connection ended or could not be made: try again after a pause.
///
/// The pauses double, so that a peer is asked for again after about as long as it has been away: one that was away for a
/// minute is found within a minute, and hundreds that are gone for good cost nearly nothing.
pub(super) fn dial_later(s: &mut Step<'_, '_>, peer: KernelId) {
    let Some(link) = s.engine.peers.links.get_mut(&peer) else { return };
    let pause_ms = pause_ms(link.failures);
    link.failures = link.failures.saturating_add(1);
    pause(s, peer, pause_ms);
}

/// The longest pause after so many failures in a row.
fn pause_ms(failures: u32) -> u64 {
    REDIAL_MIN_MS.saturating_mul(1 << failures.min(16)).min(REDIAL_MAX_MS)
}

/// Sets a pause, in place of the one before.
fn pause(s: &mut Step<'_, '_>, peer: KernelId, pause_ms: u64) {
    // Half fixed, half random: kernels that lost each other at one moment do not come back at one moment.
    let after_ms = pause_ms / 2 + s.rng.below(pause_ms / 2 + 1);
    // Numbered for the whole run: a peer that is removed and added again begins no numbers of its own.
    s.engine.peers.pauses += 1;
    let number = s.engine.peers.pauses;
    if let Some(link) = s.engine.peers.links.get_mut(&peer) {
        link.pause = number;
        s.out.push(Effect::Timer { after_ms, timer: Timer::Redial(peer, number) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub whose peers are long gone hardly dials; one that lost them just now does not wait.
    #[test]
    fn the_pause_grows_with_the_absence() {
        let pauses: Vec<_> = (0..40).map(pause_ms).collect();
        assert_eq!((pauses[0], pauses[39]), (REDIAL_MIN_MS, REDIAL_MAX_MS));
        let mut away_ms = 0;
        for (failures, pause_ms) in pauses.iter().enumerate() {
            assert!(*pause_ms <= away_ms + REDIAL_MIN_MS, "{failures}: {pause_ms} after {away_ms}");
            away_ms += pause_ms;
        }
        let in_an_hour = pauses.iter().scan(0, |sum, pause| Some(std::mem::replace(sum, *sum + pause)));
        let dials = in_an_hour.filter(|at_ms| (3_600_000 / 2..3_600_000).contains(at_ms)).count();
        assert!(dials <= 3, "{dials} dials in half an hour");
    }
}
