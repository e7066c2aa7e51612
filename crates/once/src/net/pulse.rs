//! The heartbeat of all connections: one clock for all of them, so that a kernel with many idle peers wakes once and
//! not once for each.
//!
//! The dialler of a connection says [`Frame::Alive`] at each beat. QUIC acknowledges it; nothing answers it. Thereby
//! both sides learn that both directions work: the dialler by the acknowledgement, and the other side by hearing from
//! the dialler. Whoever is not heard, or hears nothing, goes away loudly: the other direction may still work. QUIC's own
//! idle timeout is silent, so it only comes when both have had the time to say so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iroh::endpoint::VarInt;
use once_core::waist::{Input, LinkEvent};
use once_model::wire::Frame;

use super::heard::UNHEARD;
use super::{Net, Session, address, lock};
use crate::shell::now_ms;

/// How often the dialler says that it is alive.
const BEAT: Duration = Duration::from_millis(2_500);

/// A beat that is not acknowledged by the next one has so much more time.
const ACK_GRACE: Duration = Duration::from_millis(250);

/// Who is silent from one beat to the next has so much more time: also one that does not beat, and only answers QUIC's
/// keep-alive.
const SILENCE_GRACE: Duration = Duration::from_millis(500);

/// What the clock of this process may be off between two beats.
const JITTER: Duration = Duration::from_millis(250);

/// Beats for as long as the network lives; not at all while nothing is connected.
pub(crate) async fn pulse(net: Arc<Net>) {
    loop {
        // On the multiples of a beat: kernels that have many connections, or share a machine, wake at one time.
        tokio::time::sleep(until_next(now_ms())).await;
        let sessions: Vec<_> = lock(&net.sessions).values().cloned().collect();
        if sessions.is_empty() {
            net.connects.notified().await;
        }
        for session in sessions.into_iter().filter(|session| *session.admitted.borrow()) {
            look(&net, &session).await;
        }
    }
}

fn until_next(now_ms: u64) -> Duration {
    let beat_ms = u64::try_from(BEAT.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(beat_ms - now_ms % beat_ms)
}

async fn look(net: &Arc<Net>, session: &Arc<Session>) {
    if let Some(address) = moved(session) {
        let event = LinkEvent::Moved { conn: session.conn, address };
        net.tell(Input::Link { peer: session.peer, event }).await;
    }
    let now = heard(session);
    let before = lock(&session.pulse).beat.replace((Instant::now(), now));
    if session.dialled {
        session.say(Frame::Alive);
    }
    if let Some((at, known)) = before
        && is_doubtful(at.elapsed(), known, now)
    {
        tokio::spawn(doubt(Arc::clone(session), now));
    }
}

/// Whether something should have been heard since the last beat. Not after a clock that jumped, and not after a pause of
/// this process, whose other thread may not have read yet what arrived meanwhile.
fn is_doubtful(since_beat: Duration, known: u64, now: u64) -> bool {
    known == now && since_beat >= BEAT - JITTER && since_beat < BEAT + JITTER
}

/// Ends a connection on which nothing is heard, a moment later.
async fn doubt(session: Arc<Session>, known: u64) {
    tokio::time::sleep(if session.dialled { ACK_GRACE } else { SILENCE_GRACE }).await;
    if heard(&session) == known {
        lock(&session.pulse).over = true;
        session.connection.close(VarInt::from_u32(0), UNHEARD);
    }
}

/// A connection goes along when either side moves to another address. The next dial should go there too.
fn moved(session: &Session) -> Option<String> {
    let address = address::address_of(&session.connection)?;
    let mut pulse = lock(&session.pulse);
    if pulse.address.as_ref() == Some(&address) {
        return None;
    }
    pulse.address = Some(address.clone());
    Some(address)
}

/// What shows that the connection works, on any path: at the dialler, who beats, acknowledgements; else whatever comes.
fn heard(session: &Session) -> u64 {
    let stats = session.connection.stats();
    match session.dialled {
        true => stats.frame_rx.acks + stats.frame_rx.path_acks,
        false => stats.udp_rx.datagrams,
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint;
    use super::*;

    #[test]
    fn all_beat_on_the_multiples() {
        for (now_ms, wait_ms) in
            [(0, 2_500), (1, 2_499), (2_499, 1), (2_500, 2_500), (1_764_343_000_700, 1_800)]
        {
            assert_eq!(until_next(now_ms), Duration::from_millis(wait_ms), "{now_ms}");
        }
    }

    #[test]
    fn silence_is_doubtful_and_a_pause_of_this_process_is_not() {
        let ms = Duration::from_millis;
        assert!(is_doubtful(ms(2_500), 7, 7));
        assert!(!is_doubtful(ms(2_500), 7, 8), "acknowledged");
        assert!(!is_doubtful(ms(100), 7, 7), "the clock was set");
        assert!(!is_doubtful(ms(60_000), 7, 7), "the machine slept");
    }

    /// Whoever is not heard, or hears nothing, has said so before QUIC lets the connection go in silence; all within 6 s,
    /// wherever between two beats the cut comes, and whatever else is sent.
    #[test]
    fn the_times_fit_each_other() {
        let notices = 2 * BEAT + ACK_GRACE.max(SILENCE_GRACE);
        assert!(notices < endpoint::IDLE_MAX, "loudly, before the silent end");
        assert!(notices + JITTER < Duration::from_secs(6));
        assert!(BEAT < endpoint::KEEP_ALIVE, "beats are enough");
        assert!(endpoint::KEEP_ALIVE < BEAT + SILENCE_GRACE, "who does not beat is heard all the same");
    }
}
