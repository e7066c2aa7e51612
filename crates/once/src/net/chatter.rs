//! What the log says of one peer: so much, and how often it was more. A peer that comes and goes without end, or sends
//! nothing but rubbish, does not push everything else out of it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use once_model::ids::KernelId;

use super::lock;

/// Lines about one peer in [`WINDOW`].
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// Peers that are counted; beyond that, all begin anew.
const PEERS_MAX: usize = 4096;

#[derive(Debug)]
struct Said {
    since: Instant,
    lines: u32,
}

/// Counts the lines that are written about each peer, so that one that comes and goes without end does not push
/// everything else out of a log or off a terminal: 10 in 10 s.
///
/// ```
/// let (chatter, peer) = (once::Chatter::default(), once::model::ids::KernelId::from_bytes([1; 32]));
/// let written = (0..100).filter(|_| chatter.may_say(&peer).is_some()).count();
/// assert_eq!(written, 10);
/// ```
#[derive(Debug, Default)]
pub struct Chatter(Mutex<HashMap<KernelId, Said>>);

impl Chatter {
    /// Whether one more line may be written about a peer. If so: how many were left out since the last one.
    pub fn may_say(&self, peer: &KernelId) -> Option<u32> {
        self.may_say_at(peer, Instant::now())
    }

    fn may_say_at(&self, peer: &KernelId, now: Instant) -> Option<u32> {
        let mut all = lock(&self.0);
        if all.len() >= PEERS_MAX && !all.contains_key(peer) {
            all.clear();
        }
        let said = all.entry(*peer).or_insert(Said { since: now, lines: 0 });
        let left_out = said.lines.saturating_sub(LINES_MAX);
        if now.duration_since(said.since) >= WINDOW {
            *said = Said { since: now, lines: 1 };
            return Some(left_out);
        }
        said.lines = said.lines.saturating_add(1);
        (said.lines <= LINES_MAX).then_some(0)
    }
}

/// A line about a peer, unless there are too many.
macro_rules! say_of {
    ($net:expr, $peer:expr, $level:ident, $($rest:tt)*) => {
        if let Some(left_out) = $net.chatter.may_say(&$peer) {
            if left_out > 0 {
                tracing::$level!(peer = %$peer.short(), left_out, "more lines about this peer were left out");
            }
            tracing::$level!(peer = %$peer.short(), $($rest)*);
        }
    };
}

pub(super) use say_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_in_a_while_and_then_how_many_more() {
        let (chatter, peer, begun) = (Chatter::default(), KernelId::from_bytes([1; 32]), Instant::now());
        let said = (0..100).filter(|_| chatter.may_say_at(&peer, begun) == Some(0)).count();
        assert_eq!(said, 10);
        assert_eq!(chatter.may_say_at(&KernelId::from_bytes([2; 32]), begun), Some(0), "others are heard");
        assert_eq!(chatter.may_say_at(&peer, begun + WINDOW), Some(90));
        assert_eq!(chatter.may_say_at(&peer, begun + WINDOW), Some(0));
    }
}
