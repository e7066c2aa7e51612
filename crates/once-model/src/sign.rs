//! Signatures: Ed25519 with one context per purpose.

use ed25519_dalek::{Signature as Ed25519, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::ids::{Hash, KernelId};

/// What a signature is for. A signature made for one purpose never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A revision that leaves its home.
    Revision,
    /// A certificate that moves or claims an object.
    Certificate,
    /// An action's outcome, for third parties.
    Receipt,
    /// How far a kernel is: see [`crate::progress::Progress`].
    Progress,
    /// A receiver's answer to a handoff: see [`crate::certificate::Answer`].
    Answer,
    /// A home's naming of a standby: see [`crate::certificate::Naming`].
    Naming,
}

impl Purpose {
    /// The bytes before the signed hash: `once/2 sign <purpose>` and a zero byte.
    #[must_use]
    pub const fn context(self) -> &'static [u8] {
        match self {
            Self::Revision => b"once/2 sign revision\0",
            Self::Certificate => b"once/2 sign certificate\0",
            Self::Receipt => b"once/2 sign receipt\0",
            Self::Progress => b"once/2 sign progress\0",
            Self::Answer => b"once/2 sign answer\0",
            Self::Naming => b"once/2 sign naming\0",
        }
    }

    fn message(self, hash: &Hash) -> Vec<u8> {
        [self.context(), hash.as_bytes()].concat()
    }
}

/// A signature over the hash of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// From its 64 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Whether `signer` made this signature over `hash` for `purpose`.
    #[must_use]
    pub fn verifies(&self, purpose: Purpose, hash: &Hash, signer: &KernelId) -> bool {
        #[cfg(feature = "remembered")]
        return remembered::verifies((*signer, purpose, *hash, *self), || {
            self.computes(purpose, hash, signer)
        });
        #[cfg(not(feature = "remembered"))]
        self.computes(purpose, hash, signer)
    }

    fn computes(&self, purpose: Purpose, hash: &Hash, signer: &KernelId) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(signer.as_bytes()) else { return false };
        key.verify_strict(&purpose.message(hash), &Ed25519::from_bytes(&self.0)).is_ok()
    }
}

impl<C> Encode<C> for Signature {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Signature {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.bytes()?.try_into().map(Self).map_err(|_| decode::Error::message("wrong length of Signature"))
    }
}

/// A kernel's secret key. Never printed; wiped from memory when dropped.
#[derive(Clone)]
pub struct KernelKey(SigningKey);

impl KernelKey {
    /// From the 32 secret bytes.
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The 32 secret bytes, for the key file and the transport.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> KernelId {
        KernelId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs the hash of a record for a purpose. Deterministic.
    ///
    /// ```
    /// use once_model::{ids::Hash, sign::{KernelKey, Purpose}};
    /// let key = KernelKey::from_bytes(&[1; 32]);
    /// let hash = Hash::from_bytes([2; 32]);
    /// let signature = key.sign(Purpose::Revision, &hash);
    /// assert!(signature.verifies(Purpose::Revision, &hash, &key.id()));
    /// assert!(!signature.verifies(Purpose::Receipt, &hash, &key.id()));
    /// ```
    #[must_use]
    pub fn sign(&self, purpose: Purpose, hash: &Hash) -> Signature {
        let signature = Signature(self.0.sign(&purpose.message(hash)).to_bytes());
        #[cfg(feature = "remembered")]
        remembered::verifies((self.id(), purpose, *hash, signature), || true);
        signature
    }
}

impl std::fmt::Debug for KernelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KernelKey({})", self.id().short())
    }
}

/// What this thread has signed and checked. All kernels of a simulated world live in one thread, so nearly every signature
/// that one of them checks was made or checked there: a fifth of the simulator's time. The answer is the same either way.
#[cfg(feature = "remembered")]
mod remembered {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::{Purpose, Signature};
    use crate::ids::{Hash, KernelId};

    /// How many signatures are remembered: some 10 MB.
    const MOST: usize = 1 << 16;

    type Claim = (KernelId, Purpose, Hash, Signature);

    thread_local! {
        static KNOWN: RefCell<HashMap<Claim, bool>> = RefCell::default();
    }

    /// What is known of a signature; else what `compute` says.
    pub(super) fn verifies(claim: Claim, compute: impl FnOnce() -> bool) -> bool {
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MOST {
                known.clear();
            }
            *known.entry(claim).or_insert_with(compute)
        })
    }
}
