//! *Bare durable call*: the bare durable echo, and the sender, too, appends its request to a file and syncs before it
//! sends it. Both files are on the same disk. Whatever is sent at once shares one sync, inline as at the receiver.

use super::echo::{Figures, load};
use crate::{Bench, Res};

const LATENCY_COUNT: usize = 10_000;
const RATE_COUNT: usize = 100_000;

/// One round against a fresh child and two fresh files.
pub async fn measure(bench: &Bench) -> Res<Figures> {
    let dir = bench.fresh_dir("call")?;
    let received = dir.join("received.log");
    let received = received.to_str().ok_or("the data folder's name is not UTF-8")?;
    let child = ["durable", received];
    load(&child, Some(&dir.join("sent.log")), bench.scaled(LATENCY_COUNT), bench.scaled(RATE_COUNT)).await
}
