//! The addresses of a peer: each once, the one that was good last first.

use once_model::limits::{ADDRESSES_MAX, NAME_MAX_BYTES};

/// Puts addresses before those that are known. When there are too many, the ones that were good longest ago, or never,
/// give way.
pub(super) fn put_first(known: &mut Vec<String>, addresses: impl IntoIterator<Item = String>) {
    let before = std::mem::take(known);
    for address in addresses.into_iter().chain(before) {
        if known.len() == ADDRESSES_MAX {
            return;
        }
        if address.len() <= NAME_MAX_BYTES && !known.contains(&address) {
            known.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(known: &mut Vec<String>, addresses: &[&str]) {
        put_first(known, addresses.iter().map(ToString::to_string));
    }

    #[test]
    fn each_stands_once_and_the_newest_first() {
        let mut known = Vec::new();
        put(&mut known, &["a", "b", "a"]);
        put(&mut known, &["c"]);
        put(&mut known, &["b", &"x".repeat(NAME_MAX_BYTES + 1)]);
        assert_eq!(known, ["b", "c", "a"]);
    }

    #[test]
    fn the_one_that_was_good_longest_ago_gives_way() {
        let mut known: Vec<String> = (0..ADDRESSES_MAX).map(|n| format!("old {n}")).collect();
        put(&mut known, &["new"]);
        assert_eq!((known.len(), known[0].as_str()), (ADDRESSES_MAX, "new"));
        assert!(!known.contains(&format!("old {}", ADDRESSES_MAX - 1)));
        put(&mut known, &["old 3"]);
        assert_eq!(known[..3], ["old 3", "new", "old 0"]);
    }
}
