//! *Bare bulk*: 64 MiB over one iroh stream to a process that reads and discards, and answers with one byte.

use std::time::Instant;

use bytes::Bytes;
use iroh::endpoint::Connection;

use super::Pair;
use crate::{Bench, Res};

const BULK_LEN: usize = 64 * 1024 * 1024;
/// What one write hands over; shared, not copied.
const WRITE_LEN: usize = 1024 * 1024;
/// Segments of data one read may return.
const READ_CHUNKS: usize = 64;
/// In a row on one connection, so that slow start weighs as little as it does for the engine's connection.
const TRANSFERS: usize = 4;

/// The child: a byte back once a stream ended.
pub async fn serve(connection: Connection) -> Res<()> {
    while let Ok(mut bulk) = connection.accept_uni().await {
        let mut chunks = vec![Bytes::new(); READ_CHUNKS];
        while bulk.read_many_chunks(&mut chunks).await?.is_some() {}
        let mut ack = connection.open_uni().await?;
        ack.write_all(&[1]).await?;
        ack.finish()?;
    }
    Ok(())
}

/// One round against a fresh child: megabytes (10^6) per second.
pub async fn measure(bench: &Bench) -> Res<f64> {
    let pair = Pair::start(&["bulk"]).await?;
    let part = Bytes::from(vec![b'x'; WRITE_LEN]);
    let transfers = bench.scaled(TRANSFERS);
    let start = Instant::now();
    for _ in 0..transfers {
        let mut bulk = pair.connection.open_uni().await?;
        for _ in 0..BULK_LEN / WRITE_LEN {
            bulk.write_chunk(part.clone()).await?;
        }
        bulk.finish()?;
        let mut ack = pair.connection.accept_uni().await?;
        if ack.read_to_end(1).await?.len() != 1 {
            return Err("a transfer was not acknowledged".into());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    pair.stop().await?;
    Ok((transfers * BULK_LEN) as f64 / 1e6 / seconds)
}
