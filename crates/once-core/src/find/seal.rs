//! Where a question goes on, as it is told to a peer. It may be the key of an object that the peer must not know of: so it is
//! sealed with the kernel's secret, and says nothing to anybody else.

use bytes::Bytes;
use once_model::hash::record_hash;
use once_model::ids::ObjectKey;
use once_model::sign::KernelKey;

const TAG_BYTES: usize = 16;

fn secret(key: &KernelKey) -> [u8; 32] {
    *record_hash("once/2 find", &key.to_bytes()).as_bytes()
}

fn tag(secret: &[u8; 32], row: &[u8]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    blake3::Hasher::new_keyed(secret).update(row).finalize_xof().fill(&mut tag);
    tag
}

/// The row, or what it is sealed as: the same in both directions.
fn masked(secret: &[u8; 32], tag: &[u8], row: &[u8]) -> Vec<u8> {
    let mut mask = vec![0; row.len()];
    blake3::Hasher::new_keyed(secret).update(tag).finalize_xof().fill(&mut mask);
    mask.iter().zip(row).map(|(mask, byte)| mask ^ byte).collect()
}

/// Seals a key.
pub(super) fn seal(key: &KernelKey, object: &ObjectKey) -> Bytes {
    let (secret, row) = (secret(key), object.to_row());
    let tag = tag(&secret, &row);
    [tag.as_slice(), &masked(&secret, &tag, &row)].concat().into()
}

/// Opens what [`seal`] made with the same secret.
pub(super) fn open(key: &KernelKey, sealed: &[u8]) -> Option<ObjectKey> {
    let (secret, (front, rest)) = (secret(key), sealed.split_at_checked(TAG_BYTES)?);
    let row = masked(&secret, front, rest);
    let object = ObjectKey::from_row(&row)?;
    (tag(&secret, &row) == front).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::ids::{Hash, Line, Uuid};

    #[test]
    fn what_is_sealed_is_opened_by_its_kernel_only() {
        let (mine, other) = (KernelKey::from_bytes(&[1; 32]), KernelKey::from_bytes(&[2; 32]));
        let object = ObjectKey { uuid: Uuid::from_u128(7), line: Line::Unclaimed(Hash::from_bytes([3; 32])) };
        let sealed = seal(&mine, &object);
        assert_eq!(open(&mine, &sealed), Some(object));
        assert_eq!(open(&other, &sealed), None);
        assert!(!sealed.windows(16).any(|part| part == object.uuid.as_bytes()));
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert_eq!(open(&mine, &changed), None, "byte {at}");
            assert_eq!(open(&mine, &sealed[..at]), None, "{at} bytes");
        }
    }
}
