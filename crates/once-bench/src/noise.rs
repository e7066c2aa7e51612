//! Bytes that look random but are the same in every run, cheap enough not to count in a measurement.

/// Long enough that equal stretches lie far apart.
const POOL_LEN: usize = 1 << 20;

/// A pool of text to cut values from. Hexadecimal, like the hashes and UUIDs that fill real scenarios: a compressor
/// without entropy coding gains little on it, so no row wins by compressing.
pub struct Noise {
    pool: Vec<u8>,
}

impl Noise {
    /// Fills the pool once, before any clock runs.
    pub fn new() -> Self {
        let digit = |i: usize| b"0123456789abcdef"[(mix(i as u64) & 15) as usize];
        Self { pool: (0..2 * POOL_LEN).map(digit).collect() }
    }

    /// The text that belongs to this number, `len` bytes, at most 1 MiB.
    pub fn text(&self, number: u64, len: usize) -> &[u8] {
        let at = (mix(number) as usize) % POOL_LEN;
        &self.pool[at..at + len.min(POOL_LEN)]
    }
}

/// A key that belongs to this number; neighbours in number are strangers in order, as UUIDs and hashes are.
pub fn key(number: u64, len: usize) -> Vec<u8> {
    let words = (0..len.div_ceil(8) as u64).flat_map(|i| mix(mix(number) ^ i).to_be_bytes());
    words.take(len).collect()
}

/// SplitMix64: one multiplication chain, every bit of the input moves every bit of the output.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
