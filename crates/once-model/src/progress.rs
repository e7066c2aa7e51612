//! How far a kernel is, under its signature: by this a data directory shows that was put back from a backup.

use minicbor::{Decode, Encode};

use crate::hash::record_hash;
use crate::ids::{BootId, Hash, Incarnation, KernelId};
use crate::sign::{KernelKey, Purpose, Signature};

/// What a kernel says of how far it is. Made in each greeting, and every 10 s in which it commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Progress {
    /// This life of its data directory.
    #[n(0)]
    pub incarnation: Incarnation,
    /// Counts the starts of its process in this life, from 1.
    #[n(1)]
    pub boot: u64,
    /// Random at each of these starts, on its disk before its first greeting.
    #[n(2)]
    pub id: BootId,
    /// The number of a commit that is on its disk.
    #[n(3)]
    pub commit: u64,
    /// The kernel's, over the rest.
    #[n(4)]
    pub signature: Signature,
}

impl Progress {
    /// Makes one: only the kernel itself can.
    ///
    /// ```
    /// # use once_model::{ids::*, progress::Progress, sign::KernelKey};
    /// let key = KernelKey::from_bytes(&[1; 32]);
    /// let (life, boot) = (Incarnation::from_bytes([2; 16]), BootId::from_bytes([3; 16]));
    /// let progress = Progress::sign(life, 1, boot, 42, &key);
    /// assert!(progress.signed_by(&key.id()));
    /// assert!(!Progress { commit: 43, ..progress }.signed_by(&key.id()));
    /// ```
    #[must_use]
    pub fn sign(incarnation: Incarnation, boot: u64, id: BootId, commit: u64, key: &KernelKey) -> Self {
        let signature = key.sign(Purpose::Progress, &hash(&incarnation, boot, &id, commit));
        Self { incarnation, boot, id, commit, signature }
    }

    /// Whether `kernel` made it.
    #[must_use]
    pub fn signed_by(&self, kernel: &KernelId) -> bool {
        let hash = hash(&self.incarnation, self.boot, &self.id, self.commit);
        self.signature.verifies(Purpose::Progress, &hash, kernel)
    }

    /// Whether this can have been said later than `earlier` by a kernel that lost nothing: the same life, and the same
    /// boot or a later one, with no smaller commit number. A new incarnation says nothing about the one before.
    #[must_use]
    pub fn follows(&self, earlier: &Self) -> bool {
        let same_boot = self.boot == earlier.boot && self.id == earlier.id;
        self.incarnation == earlier.incarnation
            && self.commit >= earlier.commit
            && (same_boot || self.boot > earlier.boot)
    }
}

/// What is signed: incarnation (16 bytes), boot (8, big-endian), boot id (16), commit (8, big-endian).
fn hash(incarnation: &Incarnation, boot: u64, id: &BootId, commit: u64) -> Hash {
    let parts =
        [incarnation.as_bytes().as_slice(), &boot.to_be_bytes(), id.as_bytes(), &commit.to_be_bytes()];
    record_hash("once/2 progress", &parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_boot_or_commit_follows_and_a_fork_does_not() {
        let key = KernelKey::from_bytes(&[1; 32]);
        let said = |life: u8, boot, id: u8, commit| {
            let (life, id) = (Incarnation::from_bytes([life; 16]), BootId::from_bytes([id; 16]));
            Progress::sign(life, boot, id, commit, &key)
        };
        let first = said(1, 2, 2, 10);
        assert!(said(1, 2, 2, 10).follows(&first));
        assert!(said(1, 2, 2, 11).follows(&first));
        assert!(said(1, 3, 3, 10).follows(&first));
        assert!(!said(1, 2, 2, 9).follows(&first));
        assert!(!said(1, 2, 7, 11).follows(&first), "another boot of that number");
        assert!(!said(1, 1, 1, 11).follows(&first));
        assert!(!said(2, 3, 3, 11).follows(&first));
    }
}
