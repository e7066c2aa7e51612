use super::*;

/// What a batch after a sync begins with: `Start`, and the row that says so.
fn beginning(count: u32, seqno: u64) -> Vec<u8> {
    let mut bytes = vec![START];
    bytes.extend(count.to_le_bytes());
    bytes.extend(seqno.to_le_bytes());
    bytes.extend(item(SYNCED.len(), 0));
    bytes.extend(SYNCED);
    bytes
}

/// The head of an item of keyspace 1.
fn item(key: usize, value: usize) -> Vec<u8> {
    let (key, value) = (u16::try_from(key).unwrap(), u32::try_from(value).unwrap());
    let mut bytes = vec![ITEM, 0, 0];
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(key.to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes
}

/// A whole one, with a row of so many bytes.
fn batch(seqno: u64, value: usize) -> Vec<u8> {
    let mut bytes = beginning(2, seqno);
    bytes.extend(item(0, value));
    bytes.extend(vec![7; value]);
    let mut hash = Xxh3::new();
    hash.update(&bytes[13..]);
    bytes.push(END);
    bytes.extend(hash.digest().to_le_bytes());
    bytes.extend(TRAILER);
    bytes
}

/// Bytes that look like the beginning of a batch, again and again, each with a row that reaches to the end.
fn bait(len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        bytes.extend(beginning(2, 11));
        bytes.extend(item(0, len.saturating_sub(bytes.len() + 21)));
    }
    bytes
}

#[test]
fn the_search_behind_damage_reads_no_more_than_twice_what_is_there() {
    for len in [1 << 16, 1 << 18, 1 << 20] {
        let bait = bait(len);
        let search = search(&bait, Some(10));
        assert_eq!(search.later, Later::Undecided);
        assert!(search.read_bytes <= (SEARCH_READS + 1) * bait.len() as u64, "{search:?} of {}", bait.len());
    }
    // Nothing of this is worth reading.
    let ones = search(&vec![START; 1 << 20], Some(10));
    assert_eq!(ones, Search { later: Later::Nothing, read_bytes: 0 });
}

#[test]
fn a_synced_batch_behind_damage_is_found_wherever_it_lies() {
    let rest = [vec![START; 100], batch(11, 5000), vec![0; 100]].concat();
    assert_eq!(search(&rest, Some(10)).later, Later::Synced(11));
    // Behind one that is damaged itself.
    let mut damaged = batch(11, 5000);
    damaged[4000] ^= 1;
    let rest = [vec![1, 2, 3], damaged, batch(12, 10), vec![0; 100]].concat();
    assert_eq!(search(&rest, Some(10)).later, Later::Synced(12));
    // A number that does not follow is none of this journal.
    assert_eq!(search(&rest, Some(12)).later, Later::Nothing);
}

#[test]
fn every_whole_batch_is_saved_also_behind_damage_and_bait() {
    let mut damaged = batch(12, 300);
    damaged[200] ^= 1;
    let bytes = [batch(11, 10), damaged.clone(), batch(13, 5000), vec![0; 1000]].concat();
    let mut last = None;
    let found = readable(&bytes, &mut last);
    assert_eq!(found.batches, [batch(11, 10), batch(13, 5000)].concat());
    assert_eq!((found.lost_bytes, last), (damaged.len(), Some(13)));
    // What costs too much is left out, and the search ends.
    assert!(readable(&bait(1 << 20), &mut None).batches.is_empty());
}
