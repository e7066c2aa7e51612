//! Where peers are on the local network, as they say themselves.

use std::collections::HashMap;
use std::sync::Mutex;

use once_model::ids::KernelId;

use super::lock;

/// Where peers say that they are on this network.
#[derive(Debug, Default)]
pub(super) struct Near(Mutex<HashMap<KernelId, Vec<String>>>);

impl Near {
    /// Where a peer was heard last, if not long ago.
    pub fn of(&self, peer: &KernelId) -> Vec<String> {
        lock(&self.0).get(peer).cloned().unwrap_or_default()
    }

    /// Whether that is news.
    pub fn set(&self, peer: KernelId, addresses: Vec<String>) -> bool {
        let mut all = lock(&self.0);
        if addresses.is_empty() {
            all.remove(&peer);
            return false;
        }
        all.insert(peer, addresses.clone()).is_none_or(|before| before != addresses)
    }

    /// It is not there.
    pub fn forget(&self, peer: &KernelId, addresses: &[String]) {
        let mut all = lock(&self.0);
        if all.get(peer).is_some_and(|now| now == addresses) {
            all.remove(peer);
        }
    }

    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_again_is_no_news() {
        let (near, peer) = (Near::default(), KernelId::from_bytes([7; 32]));
        let at = |text: &str| vec![text.to_owned()];
        assert!(near.set(peer, at("192.0.2.7:1")));
        assert!(!near.set(peer, at("192.0.2.7:1")));
        assert!(near.set(peer, at("192.0.2.8:1")));
        assert_eq!(near.of(&peer), at("192.0.2.8:1"));
        // Nobody has heard it for long.
        assert!(!near.set(peer, Vec::new()));
        assert!(near.of(&peer).is_empty());
    }
}
