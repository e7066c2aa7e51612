//! *Bare durable echo*: like the bare echo, but answered only when the request is appended to a file and synced;
//! whatever is queued shares one sync.
//!
//! The sync runs inline on the network's thread: with one in flight a second thread would only add two wake-ups, and
//! a yardstick should be hard to beat.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use iroh::endpoint::Connection;

use super::echo::{Figures, load};
use super::frames::{self, ANSWER_LEN, Frames};
use crate::{Bench, Res};

const LATENCY_COUNT: usize = 10_000;
const RATE_COUNT: usize = 100_000;

/// The child: append, sync, answer.
pub async fn serve(connection: Connection, log: &Path) -> Res<()> {
    let mut file: File = OpenOptions::new().create_new(true).append(true).open(log)?;
    let (mut send, recv) = connection.accept_bi().await?;
    let mut requests = Frames::new(recv);
    let answer = frames::frame(ANSWER_LEN);
    loop {
        let queued = requests.queued().await;
        if queued.is_empty() {
            return Ok(());
        }
        file.write_all(&queued.concat())?;
        file.sync_data()?;
        send.write_all(&answer.repeat(queued.len())).await?;
    }
}

/// One round against a fresh child and a fresh file.
pub async fn measure(bench: &Bench) -> Res<Figures> {
    let log = bench.fresh_dir("durable")?.join("requests.log");
    let log = log.to_str().ok_or("the data folder's name is not UTF-8")?;
    load(&["durable", log], None, bench.scaled(LATENCY_COUNT), bench.scaled(RATE_COUNT)).await
}
