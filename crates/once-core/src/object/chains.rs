//! Chains as rows. What an object gathers with each move is written once: full parts of its certificates stand in rows that never
//! change, and the row of the chain itself has the genesis and the certificates behind them. So a move writes as much of a
//! chain that is long as of one that is short.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};
use once_model::certificate::{Certificate, Chain, Genesis};
use once_model::ids::{Lineage, ObjectKey};

use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn::{self, Txn};

/// Certificates of a full part.
const PART_CERTIFICATES: usize = 64;

/// [`Table::Chain`], by the lineage: the end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChainRow {
    /// The first record.
    #[n(0)]
    pub genesis: Genesis,
    /// The certificates behind those of the full parts, oldest first.
    #[n(1)]
    pub links: Vec<Certificate>,
    /// How many full parts there are.
    #[n(2)]
    #[cbor(default)]
    pub parts: u32,
}

/// [`Table::Chain`], by the lineage and the number of the part: certificates that are full in number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChainPartRow {
    /// The certificates, oldest first.
    #[n(0)]
    pub links: Vec<Certificate>,
}

fn part_key(lineage: &Lineage, part: u32) -> Vec<u8> {
    [lineage.as_bytes().as_slice(), &part.to_be_bytes()].concat()
}

fn row(rows: &dyn Read, lineage: &Lineage) -> Result<Option<ChainRow>, StoreError> {
    txn::get(rows, Table::Chain, lineage.as_bytes())
}

fn part(rows: &dyn Read, lineage: &Lineage, part: u32) -> Result<Vec<Certificate>, StoreError> {
    let place = part_key(lineage, part);
    let row: Option<ChainPartRow> = txn::get(rows, Table::Chain, &place)?;
    let row = row.ok_or_else(|| StoreError::damaged(Table::Chain, &place, "no such part of a chain"))?;
    Ok(row.links)
}

/// The chain of an object, if somebody has claimed it.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn chain_of(rows: &dyn Read, key: &ObjectKey) -> Result<Option<Chain>, StoreError> {
    match key.lineage() {
        Some(lineage) => chain(rows, &lineage),
        None => Ok(None),
    }
}

/// The chain of a claimed object.
///
/// # Errors
/// When the store cannot be read.
pub fn chain(rows: &dyn Read, lineage: &Lineage) -> Result<Option<Chain>, StoreError> {
    let Some(ChainRow { genesis, links, parts }) = row(rows, lineage)? else { return Ok(None) };
    if parts == 0 {
        return Ok(Some(Chain { genesis, links, earlier_bytes: None }));
    }
    let mut all = Vec::new();
    for number in 0..parts {
        all.extend(part(rows, lineage, number)?);
    }
    all.extend(links);
    Ok(Some(Chain { genesis, links: all, earlier_bytes: None }))
}

/// Visits every chain.
pub(crate) fn try_chains(rows: &dyn Read, mut visit: impl FnMut(Lineage, Chain)) -> Result<(), StoreError> {
    // The parts of a chain lie behind its row.
    let mut under_way: Option<(Lineage, Chain, Vec<Certificate>)> = None;
    let mut end = |ended: Option<(Lineage, Chain, Vec<Certificate>)>| {
        if let Some((lineage, mut chain, last)) = ended {
            chain.links.extend(last);
            visit(lineage, chain);
        }
    };
    try_scan(rows, Table::Chain, &[], None, |key, value| {
        let at = |error: StoreError| error.at(key);
        if let Some(lineage) = Lineage::from_slice(key) {
            let ChainRow { genesis, links, .. } = txn::decode(Table::Chain, &value).map_err(at)?;
            end(under_way.replace((lineage, Chain::new(genesis), links)));
        } else if let Some((_, chain, _)) = &mut under_way {
            chain.links.extend(txn::decode::<ChainPartRow>(Table::Chain, &value).map_err(at)?.links);
        }
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    end(under_way);
    Ok(())
}

/// The first record of a claimed object.
pub(crate) fn genesis(rows: &dyn Read, lineage: &Lineage) -> Result<Option<Genesis>, StoreError> {
    Ok(row(rows, lineage)?.map(|row| row.genesis))
}

/// Writes a chain down. Parts that are there as they are to be stay as they are: the last of them says so of all before it,
/// since each certificate names the one before.
pub(crate) fn put_chain(txn: &mut Txn<'_>, lineage: &Lineage, chain: &Chain) -> Result<(), StoreError> {
    let (full, rest) = chain.links.as_chunks::<PART_CERTIFICATES>();
    let known = row(txn, lineage)?.map_or(0, |row| row.parts);
    let there = match known.checked_sub(1) {
        Some(last) => {
            let is_it = full
                .get(last as usize)
                .is_some_and(|links| part(txn, lineage, last).is_ok_and(|there| there == links));
            if is_it { known as usize } else { 0 }
        }
        None => 0,
    };
    for (number, links) in (0_u32..).zip(full).skip(there) {
        txn.put(Table::Chain, &part_key(lineage, number), &ChainPartRow { links: links.to_vec() });
    }
    let parts = u32::try_from(full.len()).unwrap_or(u32::MAX);
    let row = ChainRow { genesis: chain.genesis.clone(), links: rest.to_vec(), parts };
    txn.put(Table::Chain, lineage.as_bytes(), &row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use once_model::certificate::CertificateKind;
    use once_model::ids::{Hash, Incarnation, KernelId, Uuid};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::Store;

    fn chain_of(links: u64) -> Chain {
        let (kernel, zero) = (KernelId::from_bytes([1; 32]), Hash::from_bytes([0; 32]));
        let incarnation = Incarnation::from_bytes([1; 16]);
        let genesis = Genesis {
            uuid: Uuid::from_u128(1),
            home: kernel,
            recovery: vec![],
            content: zero,
            nonce: [0; 16],
            incarnation,
        };
        let mut chain = Chain::new(genesis);
        let lineage = chain.genesis.lineage();
        for epoch in 2..links + 2 {
            chain.links.push(Certificate {
                lineage,
                epoch,
                kind: CertificateKind::Reinstate,
                home: kernel,
                incarnation,
                base: chain.certificate(),
                base_revision: epoch,
                base_id: zero,
                signer: kernel,
                signature: None,
                tip: None,
                luggage: None,
                refusal: None,
                naming: None,
                acceptance: None,
            });
        }
        chain
    }

    fn put(store: &mut MemoryStore, chain: &Chain) -> usize {
        let mut txn = Txn::new(store);
        put_chain(&mut txn, &chain.genesis.lineage(), chain).unwrap();
        let (batch, durability) = txn.into_batch();
        let bytes = batch.rows.iter().map(|(.., value)| value.as_ref().map_or(0, bytes::Bytes::len)).sum();
        store.commit(batch, durability).unwrap();
        bytes
    }

    /// Or an object that moves a thousand times writes half a gigabyte.
    #[test]
    fn a_longer_chain_writes_no_more_than_a_short_one() {
        let (mut store, long) = (MemoryStore::new(), chain_of(300));
        let mut most = 0;
        for links in 0..=300 {
            let chain = Chain {
                genesis: long.genesis.clone(),
                links: long.links[..links].to_vec(),
                earlier_bytes: None,
            };
            most = most.max(put(&mut store, &chain));
            assert_eq!(super::chain(&store, &chain.genesis.lineage()).unwrap(), Some(chain));
        }
        let one = once_model::wire::to_cbor(&long.links[0]).len();
        assert!(most < (PART_CERTIFICATES + 3) * one, "{most} bytes");
        let mut all = Vec::new();
        put(
            &mut store,
            &Chain { genesis: Genesis { nonce: [1; 16], ..chain_of(70).genesis }, ..chain_of(70) },
        );
        try_chains(&store, |lineage, chain| all.push((lineage, chain.links.len()))).unwrap();
        all.sort_by_key(|(_, links)| *links);
        assert_eq!(all.iter().map(|(_, links)| *links).collect::<Vec<_>>(), [70, 300]);
    }

    #[test]
    fn another_chain_takes_the_place_of_all_parts() {
        let (mut store, mut other) = (MemoryStore::new(), chain_of(200));
        put(&mut store, &chain_of(200));
        for link in &mut other.links {
            link.base_revision += 1;
        }
        put(&mut store, &other);
        assert_eq!(super::chain(&store, &other.genesis.lineage()).unwrap(), Some(other));
    }
}
