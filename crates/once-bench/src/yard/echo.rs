//! *Bare echo*: a request of 1 KiB and an answer of 64 B between two processes over iroh, nothing kept.

use std::fs::OpenOptions;
use std::path::Path;

use iroh::endpoint::Connection;

use super::Pair;
use super::frames::{self, ANSWER_LEN, Frames};
use crate::rounds::Latency;
use crate::{Bench, Res};

const LATENCY_COUNT: usize = 20_000;
const RATE_COUNT: usize = 200_000;
const IN_FLIGHT: usize = 256;

/// What one round measured.
pub struct Figures {
    /// With one in flight.
    pub latency: Latency,
    /// Answers per second with 256 in flight.
    pub rate: f64,
}

/// The child: answers whatever is queued with one write.
pub async fn serve(connection: Connection) -> Res<()> {
    let (mut send, recv) = connection.accept_bi().await?;
    let mut requests = Frames::new(recv);
    let answer = frames::frame(ANSWER_LEN);
    loop {
        let queued = requests.queued().await.len();
        if queued == 0 {
            return Ok(());
        }
        send.write_all(&answer.repeat(queued)).await?;
    }
}

/// One round against a fresh child.
pub async fn measure(bench: &Bench) -> Res<Figures> {
    load(&["echo"], None, bench.scaled(LATENCY_COUNT), bench.scaled(RATE_COUNT)).await
}

/// Loads any child that answers frames with frames. With a log, what is sent is appended there and synced before.
pub async fn load(
    child: &[&str],
    log: Option<&Path>,
    latency_count: usize,
    rate_count: usize,
) -> Res<Figures> {
    let log = log.map(|log| OpenOptions::new().create_new(true).append(true).open(log)).transpose()?;
    let log = log.as_ref();
    let pair = Pair::start(child).await?;
    let (mut send, recv) = pair.connection.open_bi().await?;
    let mut answers = Frames::new(recv);
    let latency = frames::one_by_one(&mut send, &mut answers, latency_count, log).await?;
    let rate = frames::flooded(&mut send, &mut answers, rate_count, IN_FLIGHT, log).await?;
    pair.stop().await?;
    Ok(Figures { latency, rate })
}
