//! How a long chain travels: without its beginning, which most who hear of the object know. Who does not know it pulls it, by the
//! certificate that it ends with.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::{Certificate, Chain};
use crate::cbor::{CborError, from_cbor, to_cbor};
use crate::ids::{Hash, Line, ObjectKey};
use crate::limits::CHAIN_TRAVELS_CERTIFICATES;

/// The beginning of a chain, as it is pulled.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Earlier {
    /// From the first one on.
    #[n(0)]
    pub links: Vec<Certificate>,
}

impl Earlier {
    /// Reads one.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        from_cbor(bytes)
    }
}

/// The bytes that are pulled.
fn packed(links: &[Certificate]) -> Bytes {
    Bytes::from(to_cbor(&Earlier { links: links.to_vec() }))
}

impl Chain {
    /// As it travels, if that is not as it is: the genesis record and the last certificates.
    #[must_use]
    pub fn shortened(&self) -> Option<Self> {
        self.shortened_to(CHAIN_TRAVELS_CERTIFICATES)
    }

    /// The same with the last so many. For tests: few chains are long.
    #[must_use]
    pub fn shortened_to(&self, most: usize) -> Option<Self> {
        let more = self.links.len().checked_sub(most).filter(|more| *more > 0)?;
        let (earlier, links) = self.links.split_at_checked(more).filter(|_| self.earlier_bytes.is_none())?;
        let earlier_bytes = Some(packed(earlier).len() as u64);
        Some(Self { genesis: self.genesis.clone(), links: links.to_vec(), earlier_bytes })
    }

    /// The last of the certificates that did not travel along, if some did not.
    #[must_use]
    pub fn lacks(&self) -> Option<Hash> {
        self.earlier_bytes.and(self.links.first()).map(|link| link.base)
    }

    /// The object that it is of.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey { uuid: self.genesis.uuid, line: Line::Claimed(self.genesis.lineage()) }
    }

    /// With what it lacks, if that is among these certificates, which begin with the first one. Nothing is checked but that they
    /// fit.
    #[must_use]
    pub fn completed(&self, known: &[Certificate]) -> Option<Self> {
        let earlier = up_to(known, &self.lacks()?)?;
        let links = earlier.iter().chain(&self.links).cloned().collect();
        Some(Self { genesis: self.genesis.clone(), links, earlier_bytes: None })
    }

    /// What somebody pulls who lacks the certificates up to this one.
    #[must_use]
    pub fn earlier(&self, certificate: &Hash) -> Option<Bytes> {
        up_to(&self.links, certificate).map(packed)
    }
}

fn up_to<'c>(links: &'c [Certificate], certificate: &Hash) -> Option<&'c [Certificate]> {
    let place = links.iter().rposition(|link| link.id() == *certificate)?;
    links.get(..=place)
}

#[cfg(test)]
mod tests {
    use super::super::tests::long;
    use super::*;

    #[test]
    fn a_long_chain_is_whole_again_where_its_beginning_is_known() {
        let most = CHAIN_TRAVELS_CERTIFICATES;
        assert_eq!(long(most).shortened(), None);
        let whole = long(most + 5);
        let lineage = whole.genesis.lineage();
        assert_eq!(whole.verify(lineage), Ok(()));
        let short = whole.shortened().unwrap();
        assert_eq!(short.links.len(), most);
        assert_eq!(short.shortened(), None);
        assert!(short.verify(lineage).is_err() && short.verify_knowing(lineage, Some(&whole)).is_err());
        let lacks = short.lacks().unwrap();
        assert_eq!(lacks, whole.links[4].id());
        assert_eq!(short.completed(&whole.links), Some(whole.clone()));
        assert_eq!(short.completed(&whole.links[..4]), None);
        // It survives its bytes, and so does what is pulled.
        let came: Chain = from_cbor(&to_cbor(&short)).unwrap();
        assert_eq!(came, short);
        let pulled = whole.earlier(&lacks).unwrap();
        assert_eq!(pulled.len() as u64, short.earlier_bytes.unwrap());
        assert_eq!(came.completed(&Earlier::decode(&pulled).unwrap().links), Some(whole));
    }

    #[test]
    fn a_chain_that_lacks_its_beginning_is_never_valid() {
        let chain = Chain { earlier_bytes: Some(0), ..long(0) };
        assert_eq!(chain.lacks(), None);
        assert!(chain.verify(chain.genesis.lineage()).is_err());
    }
}
