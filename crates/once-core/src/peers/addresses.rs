//! The addresses of a peer: each once, the one that was good last first.

use once_model::limits::{ADDRESSES_MAX, NAME_MAX_BYTES};

use super::PeerRow;

/// An address that was told or good last so long ago gives way as soon as another one is good.
const KEPT_MS: u64 = 30 * DAY_MS;

/// How exactly it is known when the first one was good last: it is not written down at each connection.
const EXACT_MS: u64 = DAY_MS;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Puts addresses that are good, or that somebody told, before those that are known. Those that were neither for long give
/// way, and when there are too many, the ones of which that was longest ago.
pub(super) fn put_first(row: &mut PeerRow, addresses: impl IntoIterator<Item = String>, now_ms: u64) {
    let times = std::mem::take(&mut row.addresses_ms).into_iter().chain(std::iter::repeat(now_ms));
    let before: Vec<_> = std::mem::take(&mut row.addresses).into_iter().zip(times).collect();
    let new = addresses.into_iter().map(|address| (address, now_ms));
    new.for_each(|(address, at_ms)| put_last(row, address, at_ms));
    let is_good = !row.addresses.is_empty();
    for (address, at_ms) in before {
        if !is_good || now_ms.saturating_sub(at_ms) <= KEPT_MS {
            put_last(row, address, at_ms);
        }
    }
}

fn put_last(row: &mut PeerRow, address: String, at_ms: u64) {
    let fits = row.addresses.len() < ADDRESSES_MAX && address.len() <= NAME_MAX_BYTES;
    if fits && !row.addresses.contains(&address) {
        row.addresses.push(address);
        row.addresses_ms.push(at_ms);
    }
}

/// Whether it is known already that this address is the one that was good last.
pub(super) fn is_known_good(row: &PeerRow, address: &str, now_ms: u64) -> bool {
    let at_ms = row.addresses_ms.first().copied().unwrap_or(0);
    row.addresses.first().is_some_and(|first| first == address) && now_ms.saturating_sub(at_ms) < EXACT_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerStatus;

    fn row(addresses: &[&str]) -> PeerRow {
        PeerRow {
            petname: None,
            says: String::new(),
            status: PeerStatus::Active,
            secret: None,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            seen: Vec::new(),
            quota_bytes: 0,
            since_ms: 0,
            heard: None,
            invite: None,
            addresses_ms: Vec::new(),
            reborn_ms: None,
        }
    }

    fn put(row: &mut PeerRow, addresses: &[&str], now_ms: u64) {
        put_first(row, addresses.iter().map(ToString::to_string), now_ms);
        assert_eq!(row.addresses.len(), row.addresses_ms.len());
    }

    #[test]
    fn each_stands_once_and_the_newest_first() {
        let mut known = row(&[]);
        put(&mut known, &["a", "b", "a"], 0);
        put(&mut known, &["c"], 0);
        put(&mut known, &["b", &"x".repeat(NAME_MAX_BYTES + 1)], 0);
        assert_eq!(known.addresses, ["b", "c", "a"]);
    }

    #[test]
    fn the_one_that_was_good_longest_ago_gives_way() {
        let mut known = row(&[]);
        known.addresses = (0..ADDRESSES_MAX).map(|n| format!("old {n}")).collect();
        put(&mut known, &["new"], 0);
        assert_eq!((known.addresses.len(), known.addresses[0].as_str()), (ADDRESSES_MAX, "new"));
        assert!(!known.addresses.contains(&format!("old {}", ADDRESSES_MAX - 1)));
        put(&mut known, &["old 3"], 0);
        assert_eq!(known.addresses[..3], ["old 3", "new", "old 0"]);
    }

    #[test]
    fn what_was_not_good_for_long_gives_way_to_one_that_is_and_never_to_none() {
        // Written before times were.
        let mut known = row(&["a", "b"]);
        put(&mut known, &["b"], DAY_MS);
        put(&mut known, &["b"], DAY_MS + KEPT_MS);
        assert_eq!(known.addresses, ["b", "a"]);
        assert!(is_known_good(&known, "b", DAY_MS + KEPT_MS + 1) && !is_known_good(&known, "a", 0));
        assert!(!is_known_good(&known, "b", 3 * DAY_MS + KEPT_MS));
        put(&mut known, &[], 100 * KEPT_MS);
        put(&mut known, &[&"x".repeat(NAME_MAX_BYTES + 1)], 100 * KEPT_MS);
        assert_eq!(known.addresses, ["b", "a"], "nothing is good: all of them stay");
        // The clock was wrong: nothing goes.
        put(&mut known, &["b"], 0);
        assert_eq!(known.addresses, ["b", "a"]);
        put(&mut known, &["c"], KEPT_MS + 1);
        assert_eq!(known.addresses, ["c", "a"]);
    }
}
