//! Exchange: two kernels compare what each may read of the other, then only the missing scenarios travel.
//!
//! Comparing is range-based set reconciliation (the negentropy protocol, version 1) over item ids: its cost follows
//! the difference, not the size. It runs on a snapshot, beside the engine. What is missing is then *wanted* in
//! batches, *given*, and kept through the engine like everything that arrives.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use once_model::ids::{ItemId, KernelId};
use once_model::limits::{DIFFERENCE_MAX_IDS, RECONCILE_MAX_BYTES};
use once_model::wire::Code;

use crate::access::Reader;
use crate::exchange;
use crate::object::{self, HeadRow};
use crate::store::{Read, StoreError, Table};

/// Why comparing ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other side is no peer.
    #[error("not a peer")]
    Denied,
    /// What the other side said makes no sense.
    #[error("the other side's comparison is malformed: {0}")]
    Malformed(String),
}

impl CompareError {
    /// What to tell the other side.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Denied => Code::Denied,
            Self::Malformed(_) => Code::Invalid,
            Self::Store(_) => Code::Busy,
        }
    }
}

/// What one side brings to a comparison: the items that the other side may read.
#[derive(Clone)]
pub struct Items {
    ids: NegentropyStorageVector,
    withheld: usize,
}

impl Items {
    /// Collects what `peer` may read here.
    ///
    /// # Errors
    /// When the store cannot be read, or `peer` is no peer.
    pub fn collect(rows: &dyn Read, peer: &KernelId, now_ms: u64) -> Result<Self, CompareError> {
        let reader = Reader::new(rows, peer, now_ms)?.ok_or(CompareError::Denied)?;
        let mut items = NegentropyStorageVector::new();
        let mut withheld = 0;
        object::try_heads(rows, |head| {
            if reader.may_read(rows, &head)? {
                items.insert(0, Id::from_byte_array(*head.header.item_id().as_bytes())).map_err(malformed)?;
            } else {
                withheld += 1;
            }
            Ok::<_, CompareError>(ControlFlow::Continue(()))
        })?;
        items.seal().map_err(malformed)?;
        Ok(Self { ids: items, withheld })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        use negentropy::NegentropyStorageBase;
        self.ids.size().unwrap_or(0)
    }

    /// How many objects here the other side may not read: they are not compared.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.withheld
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn malformed(error: negentropy::Error) -> CompareError {
    CompareError::Malformed(error.to_string())
}

/// The side that asked for the exchange.
pub struct Comparison {
    session: Negentropy<'static, NegentropyStorageVector>,
    have: Vec<Id>,
    need: Vec<Id>,
    more: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Items that only this side has.
    pub have: Vec<ItemId>,
    /// Items that only the other side has.
    pub need: Vec<ItemId>,
    /// It was cut off at [`DIFFERENCE_MAX_IDS`]: another comparison finds the rest.
    pub more: bool,
}

impl Difference {
    /// How many objects only the other side has. What both have in different revisions is in `have` and in `need`.
    #[must_use]
    pub fn only_there(&self) -> usize {
        let here: BTreeSet<_> = self.have.iter().map(exchange::front).collect();
        self.need.iter().filter(|id| !here.contains(exchange::front(id))).count()
    }
}

impl Comparison {
    /// Begins a comparison: the first payload to send.
    ///
    /// # Errors
    /// Never, with the constants of this crate.
    pub fn begin(items: Items) -> Result<(Self, Vec<u8>), CompareError> {
        let mut session = Negentropy::owned(items.ids, RECONCILE_MAX_BYTES as u64).map_err(malformed)?;
        let first = session.initiate().map_err(malformed)?;
        Ok((Self { session, have: Vec::new(), need: Vec::new(), more: false }, first))
    }

    /// Takes the other side's payload: the next one to send, or `None` when the difference is known, or as much of it as
    /// is held.
    ///
    /// # Errors
    /// When the payload is malformed.
    pub fn go_on(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>, CompareError> {
        within_limit(payload)?;
        let next =
            self.session.reconcile_with_ids(payload, &mut self.have, &mut self.need).map_err(malformed)?;
        // The other side says what it likes, as long as it likes: what is held of it has an end.
        self.more = next.is_some() && self.have.len() + self.need.len() >= DIFFERENCE_MAX_IDS;
        Ok(next.filter(|_| !self.more))
    }

    /// What was found, in order: negentropy collects it in a hash set, whose order is another in each process.
    #[must_use]
    pub fn difference(self) -> Difference {
        let ids = |ids: Vec<Id>| {
            let mut ids: Vec<_> = ids.iter().map(|id| ItemId::from_bytes(*id.as_bytes())).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        Difference { have: ids(self.have), need: ids(self.need), more: self.more }
    }
}

fn within_limit(payload: &[u8]) -> Result<(), CompareError> {
    match payload.len() <= RECONCILE_MAX_BYTES {
        true => Ok(()),
        false => Err(CompareError::Malformed("it is longer than a message may be".into())),
    }
}

/// The other side's answer to one payload. Keeps nothing between rounds.
///
/// # Errors
/// When the payload is malformed.
pub fn respond(items: &Items, payload: &[u8]) -> Result<Vec<u8>, CompareError> {
    within_limit(payload)?;
    let mut session = Negentropy::borrowed(&items.ids, RECONCILE_MAX_BYTES as u64).map_err(malformed)?;
    session.reconcile(payload).map_err(malformed)
}

/// The objects of a want that the peer may have, in the order of their ids.
///
/// # Errors
/// When the store cannot be read.
pub fn wanted(
    rows: &dyn Read,
    peer: &KernelId,
    ids: &[ItemId],
    now_ms: u64,
) -> Result<Vec<HeadRow>, StoreError> {
    let Some(reader) = Reader::new(rows, peer, now_ms)? else { return Ok(Vec::new()) };
    let mut allowed = Vec::new();
    for (_, head) in exchange::items(rows, ids)? {
        if reader.may_read(rows, &head)? {
            allowed.push(head);
        }
    }
    Ok(allowed)
}

/// Which of these items are not here: the comparison did not know of those that the other side may not read, nor of
/// what is kept beside a head.
///
/// # Errors
/// When the store cannot be read.
pub fn missing(rows: &dyn Read, items: &[ItemId]) -> Result<Vec<ItemId>, StoreError> {
    let heads = exchange::items(rows, items)?;
    let beside = exchange::items_in(rows, Table::Conflict, items)?;
    let here: BTreeSet<_> = heads.into_iter().chain(beside).map(|(id, _)| id).collect();
    Ok(items.iter().filter(|id| !here.contains(id)).copied().collect())
}

/// Which of these items are still the newest revisions of their objects here. What was received since the comparison
/// has taken the place of some: the other side has something newer already, and need not be offered them.
///
/// # Errors
/// When the store cannot be read.
pub fn newest(rows: &dyn Read, items: &[ItemId]) -> Result<Vec<ItemId>, StoreError> {
    Ok(exchange::items(rows, items)?.into_iter().map(|(id, _)| id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(of: &BTreeSet<u32>) -> Items {
        let mut items = NegentropyStorageVector::new();
        for n in of {
            let id = once_model::hash::content_hash(&n.to_be_bytes());
            items.insert(0, Id::from_byte_array(*id.as_bytes())).unwrap();
        }
        items.seal().unwrap();
        Items { ids: items, withheld: 0 }
    }

    fn ids(of: &BTreeSet<u32>) -> BTreeSet<ItemId> {
        of.iter()
            .map(|n| ItemId::from_bytes(*once_model::hash::content_hash(&n.to_be_bytes()).as_bytes()))
            .collect()
    }

    #[test]
    fn what_is_kept_beside_a_head_is_not_missing() {
        use crate::memory::MemoryStore;
        use crate::store::{Durability, Store};
        use crate::txn::Txn;
        let json = r#"{"ior":{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001"},"model":{}}"#;
        let scenario = once_model::scenario::Scenario::parse(json.to_owned()).unwrap();
        let header = object::unclaimed(&scenario);
        let (id, key) = (header.item_id(), object::conflict_key(&header.key(), &header.id()));
        let beside = HeadRow {
            header,
            home: None,
            from: None,
            charged: false,
            stored_ms: 0,
            conflicts_dropped: 0,
            proven: false,
            replaced: None,
            tip: None,
            guest: None,
        };
        let mut store = MemoryStore::new();
        assert_eq!(missing(&store, &[id]), Ok(vec![id]));
        let mut txn = Txn::new(&store);
        txn.put(Table::Conflict, &key, &beside);
        let (batch, _) = txn.into_batch();
        store.commit(batch, Durability::Synced).unwrap();
        assert_eq!(missing(&store, &[id]), Ok(vec![]));
    }

    /// One row that is damaged costs only its own object.
    #[test]
    fn what_cannot_be_read_is_not_compared_and_all_else_is() {
        let (kernel, objects) = crate::testing::Alone::populated();
        let peer = kernel.peer_id(9);
        let all = |kernel: &crate::testing::Alone| {
            let items = Items::collect(&kernel.store, &peer, kernel.ctx.now_ms).unwrap();
            items.len() + items.withheld()
        };
        let damaged = kernel.with_row(Table::Head, &objects[0].to_row(), b"\xff");
        assert_eq!(all(&damaged) + 1, all(&kernel));
    }

    /// A number as negentropy writes it.
    fn number(mut n: usize, out: &mut Vec<u8>) {
        let mut digits = vec![(n & 127) as u8];
        n >>= 7;
        while n > 0 {
            digits.push((n & 127) as u8 | 128);
            n >>= 7;
        }
        out.extend(digits.iter().rev());
    }

    /// The other side tells of ever more ids, and each time that the rest differs, too.
    #[test]
    fn what_the_other_side_tells_of_is_held_up_to_a_limit() {
        const EACH: usize = 4000;
        let id = |n: usize| {
            let mut id = [0_u8; 32];
            id[..8].copy_from_slice(&(n << 24).to_be_bytes());
            id
        };
        let mine = items(&(0..50).collect());
        let (mut comparison, _) = Comparison::begin(mine).unwrap();
        let mut rounds = 0;
        loop {
            let (first, last) = (rounds * EACH, (rounds + 1) * EACH);
            let mut payload = vec![0x61];
            if rounds > 0 {
                payload.extend([1, 32]);
                payload.extend(id(first));
                payload.push(0);
            }
            payload.extend([1, 32]);
            payload.extend(id(last));
            payload.push(2);
            number(EACH, &mut payload);
            payload.extend((first..last).flat_map(id));
            payload.extend([0, 0, 1]);
            payload.extend([7; 16]);
            rounds += 1;
            if comparison.go_on(&payload).unwrap().is_none() {
                break;
            }
            assert!(rounds * EACH < DIFFERENCE_MAX_IDS, "{rounds} rounds, and no end");
        }
        // The same list again and again counts as well.
        let found = comparison.difference();
        assert!(found.more && found.need.len() < DIFFERENCE_MAX_IDS + EACH, "{}", found.need.len());

        let own = items(&(0..50).collect());
        let (mut comparison, _) = Comparison::begin(own).unwrap();
        // Nothing up to the very end, and then the rest differs: all of one's own, each round.
        let nothing = [&[0x61, 1, 32][..], &[255; 32], &[2, 0], &[0, 0, 1], &[7; 16]].concat();
        let mut rounds = 0;
        while comparison.go_on(&nothing).unwrap().is_some() {
            rounds += 1;
            assert!(rounds <= DIFFERENCE_MAX_IDS / 50, "{rounds} rounds, and no end");
        }
        assert_eq!(comparison.difference().have.len(), 50);
    }

    /// What `docs/vectors/check.py` reads, too.
    fn vectors(text: &str) -> Vec<serde_json::Value> {
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors = file["vectors"].as_array().unwrap().clone();
        assert!(!vectors.is_empty());
        vectors
    }

    fn hex(value: &serde_json::Value) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
    }

    fn hex_ids(value: &serde_json::Value) -> Vec<ItemId> {
        value.as_array().unwrap().iter().map(|id| ItemId::from_slice(&hex(id)).unwrap()).collect()
    }

    fn held(value: &serde_json::Value) -> Items {
        let mut items = NegentropyStorageVector::new();
        for id in hex_ids(value) {
            items.insert(0, Id::from_byte_array(*id.as_bytes())).unwrap();
        }
        items.seal().unwrap();
        Items { ids: items, withheld: 0 }
    }

    #[test]
    fn comparisons_are_those_of_the_vectors() {
        for vector in vectors(include_str!("../../../../docs/vectors/exchange.json")) {
            let name = &vector["name"];
            let mut payloads = vector["payloads"].as_array().unwrap().iter().map(hex);
            let responder = held(&vector["responder"]);
            let (mut comparison, mut said) = Comparison::begin(held(&vector["initiator"])).unwrap();
            loop {
                assert_eq!(Some(&said), payloads.next().as_ref(), "{name}");
                let answer = respond(&responder, &said).unwrap();
                assert_eq!(Some(&answer), payloads.next().as_ref(), "{name}");
                let Some(next) = comparison.go_on(&answer).unwrap() else { break };
                said = next;
            }
            assert_eq!(payloads.next(), None, "{name}");
            let found = comparison.difference();
            assert_eq!(
                (found.have, found.need),
                (hex_ids(&vector["have"]), hex_ids(&vector["need"])),
                "{name}"
            );
        }
    }

    #[test]
    fn odd_and_malformed_messages_are_those_of_the_vectors() {
        for vector in vectors(include_str!("../../../../docs/vectors/comparing.json")) {
            let (name, items, message) = (&vector["name"], held(&vector["items"]), hex(&vector["message"]));
            let described = (!vector["responder"].is_null()).then(|| hex(&vector["responder"]["answer"]));
            assert_eq!(respond(&items, &message).ok(), described, "{name}: the responder");
            let (mut comparison, _) = Comparison::begin(items).unwrap();
            let answer = comparison.go_on(&message);
            let described = &vector["initiator"];
            assert_eq!(answer.is_err(), described.is_null(), "{name}: the initiator");
            let Ok(answer) = answer else { continue };
            assert_eq!(
                answer.unwrap_or_else(|| vec![0x61]),
                hex(&described["answer"]),
                "{name}: the initiator"
            );
            let found = comparison.difference();
            let described = (hex_ids(&described["have"]), hex_ids(&described["need"]));
            assert_eq!((found.have, found.need), described, "{name}: the initiator");
        }
    }

    #[test]
    fn a_message_longer_than_one_may_be_is_malformed() {
        let mine = items(&(0..50).collect());
        let too_long = [&[0x61, 0, 0, 2, 0][..], &vec![0; RECONCILE_MAX_BYTES]].concat();
        assert!(respond(&mine, &too_long).is_err());
        assert!(respond(&mine, &too_long[..RECONCILE_MAX_BYTES]).is_ok());
        let (mut comparison, _) = Comparison::begin(mine).unwrap();
        assert!(comparison.go_on(&too_long).is_err());
    }

    proptest! {
        /// Whatever the sets, both differences are found, and found in payloads of bounded size.
        #[test]
        fn a_comparison_finds_exactly_the_difference(
            a in prop::collection::btree_set(0..3000u32, 0..1500),
            b in prop::collection::btree_set(0..3000u32, 0..1500),
        ) {
            let (mine, theirs) = (items(&a), items(&b));
            let (mut comparison, mut payload) = Comparison::begin(mine).unwrap();
            loop {
                prop_assert!(payload.len() <= RECONCILE_MAX_BYTES);
                let answer = respond(&theirs, &payload).unwrap();
                prop_assert!(answer.len() <= RECONCILE_MAX_BYTES);
                match comparison.go_on(&answer).unwrap() {
                    Some(next) => payload = next,
                    None => break,
                }
            }
            let found = comparison.difference();
            let only_a: BTreeSet<_> = ids(&a.difference(&b).copied().collect());
            let only_b: BTreeSet<_> = ids(&b.difference(&a).copied().collect());
            prop_assert_eq!(found.have.into_iter().collect::<BTreeSet<_>>(), only_a);
            prop_assert_eq!(found.need.into_iter().collect::<BTreeSet<_>>(), only_b);
        }

        /// Nothing that a peer says makes it panic.
        #[test]
        fn nonsense_is_an_error(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mine = items(&(0..50).collect());
            let _ = respond(&mine, &payload);
            let (mut comparison, _) = Comparison::begin(mine.clone()).unwrap();
            let _ = comparison.go_on(&payload);
        }
    }
}
