//! Replays the seeds of a fuzz target, without a fuzzer. Included by the tests of the crates that the targets need.

use std::fs;
use std::path::Path;

/// Most bytes of all the seeds of one target: they are in everyone's clone.
const SEEDS_MAX_BYTES: usize = 50 * 1000;

/// Each seed whole, and cut off at each byte.
pub fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let (mut seeds, mut total) = (0, 0);
    for entry in fs::read_dir(&folder).expect("a folder of seeds") {
        let path = entry.expect("an entry").path();
        println!("{}", path.display()); // shown if the test fails
        let bytes = fs::read(&path).expect("a seed");
        run(&bytes);
        for end in 0..bytes.len() {
            run(&bytes[..end]);
        }
        seeds += 1;
        total += bytes.len();
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
    assert!(total <= SEEDS_MAX_BYTES, "{total} bytes of seeds in {}", folder.display());
}
