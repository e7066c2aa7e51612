//! The names of things: kernels, hashes, lineages, objects, incarnations.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
pub use uuid::Uuid;

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {reason}")]
pub struct IdError {
    what: &'static str,
    reason: String,
}

impl IdError {
    fn new(what: &'static str, reason: impl Into<String>) -> Self {
        Self { what, reason: reason.into() }
    }
}

/// Fixed-size byte newtypes that travel as CBOR byte strings.
macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// From its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// From a slice of exactly [`Self::LEN`] bytes.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes that it is made of.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                Self::from_slice(d.bytes()?)
                    .ok_or_else(|| decode::Error::message(concat!("wrong length of ", stringify!($name))))
            }
        }
    };
}

/// Hexadecimal text for an id.
macro_rules! hex_id {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&HEXLOWER_PERMISSIVE.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .map_err(|e| IdError::new($what, e.to_string()))?;
                Self::from_slice(&bytes).ok_or_else(|| IdError::new($what, "wrong length"))
            }
        }
    };
}

bytes_id!(
    /// A kernel: its Ed25519 public key. Prints as 52 characters of lower-case base32.
    KernelId,
    32
);
bytes_id!(
    /// A BLAKE3 hash: of the verbatim bytes of a scenario, or of a record. Prints as 64 hexadecimal digits.
    Hash,
    32
);
bytes_id!(
    /// The hash of an object's genesis record: what tells it from another object of the same UUID.
    Lineage,
    32
);
bytes_id!(
    /// One life of a data directory: random, new at `init` and when a backup is put back.
    Incarnation,
    16
);
bytes_id!(
    /// One run of a kernel process: random at each start, so that a restart on the same key is noticed.
    BootId,
    16
);
bytes_id!(
    /// What reconciliation compares: the first 8 bytes of the UUID, then 24 bytes of the hash of
    /// (uuid, lineage, epoch, revision, hash).
    ItemId,
    32
);

/// The secret of an invite: whoever shows it becomes a peer. Never printed, not even by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 16]);

impl Secret {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the UUID.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<C> Encode<C> for Secret {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Secret {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.bytes()?.try_into().map(Self).map_err(|_| decode::Error::message("wrong length of Secret"))
    }
}

hex_id!(Hash, "hash");
hex_id!(Lineage, "lineage");
hex_id!(Incarnation, "incarnation");
hex_id!(BootId, "boot id");
hex_id!(ItemId, "item id");

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl FromStr for KernelId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .map_err(|e| IdError::new("kernel id", e.to_string()))?;
        Self::from_slice(&bytes).ok_or_else(|| IdError::new("kernel id", "wrong length"))
    }
}

impl KernelId {
    /// The first ten characters: enough for people to tell kernels apart, not enough to trust.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl Hash {
    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

/// Which object of a UUID: an unclaimed one is known by its content, a claimed one by its lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Line {
    /// Imported and never changed: known by the hash of its bytes. Many kernels may hold it.
    #[n(0)]
    Unclaimed(#[n(0)] Hash),
    /// Claimed: one chain of homes and revisions.
    #[n(1)]
    Claimed(#[n(0)] Lineage),
}

/// An object's identity: UUID + line.
///
/// ```
/// use once_model::ids::{Hash, Line, ObjectKey, Uuid};
/// let key = ObjectKey { uuid: Uuid::from_u128(7), line: Line::Unclaimed(Hash::from_bytes([1; 32])) };
/// assert_eq!(ObjectKey::from_row(&key.to_row()), Some(key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ObjectKey {
    /// The UUID that the scenario carries, or the one derived from its content.
    #[cbor(n(0), with = "crate::cbor::uuid_bytes")]
    pub uuid: Uuid,
    /// Which object of that UUID.
    #[n(1)]
    pub line: Line,
}

impl ObjectKey {
    /// Length of [`Self::to_row`] in bytes.
    pub const ROW_LEN: usize = 16 + 1 + 32;

    /// The form in which it is part of a row's key: UUID, tag (0 unclaimed, 1 claimed), hash or lineage.
    #[must_use]
    pub fn to_row(&self) -> [u8; Self::ROW_LEN] {
        let mut row = [0; Self::ROW_LEN];
        let (tag, line) = match &self.line {
            Line::Unclaimed(hash) => (0, hash.as_bytes()),
            Line::Claimed(lineage) => (1, lineage.as_bytes()),
        };
        row[..16].copy_from_slice(self.uuid.as_bytes());
        row[16] = tag;
        row[17..].copy_from_slice(line);
        row
    }

    /// Reads what [`Self::to_row`] wrote.
    #[must_use]
    pub fn from_row(row: &[u8]) -> Option<Self> {
        let uuid = Uuid::from_slice(row.get(..16)?).ok()?;
        let line: [u8; 32] = row.get(17..)?.try_into().ok()?;
        let line = match row.get(16)? {
            0 => Line::Unclaimed(Hash::from_bytes(line)),
            1 => Line::Claimed(Lineage::from_bytes(line)),
            _ => return None,
        };
        Some(Self { uuid, line })
    }

    /// Its lineage, if it is claimed.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        match self.line {
            Line::Claimed(lineage) => Some(lineage),
            Line::Unclaimed(_) => None,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Line::Unclaimed(hash) => write!(f, "{}@{}", self.uuid, hash.short()),
            Line::Claimed(lineage) => write!(f, "{}#{:.12}", self.uuid, lineage),
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        let kernel = KernelId::from_bytes([0xa5; 32]);
        assert_eq!(kernel.to_string().len(), 52);
        assert_eq!(kernel.to_string().parse(), Ok(kernel));
        let hash = Hash::from_bytes([7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("xyz".parse::<Hash>().is_err());
        assert!("".parse::<KernelId>().is_err());
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::from_bytes([7; 16])), "Secret(…)");
    }

    #[test]
    fn claimed_and_unclaimed_rows_differ_and_sort_by_uuid() {
        let uuid = Uuid::from_u128(1);
        let a = ObjectKey { uuid, line: Line::Unclaimed(Hash::from_bytes([9; 32])) };
        let b = ObjectKey { uuid, line: Line::Claimed(Lineage::from_bytes([9; 32])) };
        assert_ne!(a.to_row(), b.to_row());
        assert!(a.to_row() < b.to_row());
        assert_eq!(ObjectKey::from_row(&b.to_row()), Some(b));
        assert_eq!(ObjectKey::from_row(&[0; 3]), None);
    }
}
