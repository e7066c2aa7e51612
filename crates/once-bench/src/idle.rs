//! What a kernel costs while nobody acts: how often its process wakes, and its processor time. A diagnostic, not a bar:
//! the figures are absolute, and what else the machine does counts.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::sleep;

use crate::Res;
use crate::engine::kernels::Other;

/// A hub, and peers of it that are connected or gone.
#[derive(Args)]
pub struct Idle {
    /// How many peers it has
    #[arg(long, default_value_t = 5)]
    peers: usize,
    /// Kill them before it is measured
    #[arg(long)]
    gone: bool,
    /// How long to wait before, in seconds: pauses between dials grow with the absence
    #[arg(long, value_name = "S", default_value_t = 10)]
    settle: u64,
    /// How long to measure, in seconds
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u64,
}

impl Idle {
    /// Prints wake-ups and processor time of the hub in a minute.
    pub async fn run(&self, dir: &Path) -> Res<()> {
        let hub = Other::start(&dir.join("hub")).await?;
        let mut peers = Vec::new();
        for n in 0..self.peers {
            let peer = Other::start(&dir.join(format!("peer-{n}"))).await?;
            let invite = hub.api.call("invite", json!({ "name": format!("peer {n}") })).await?;
            peer.api.call("join", json!({ "ticket": invite["ticket"] })).await?;
            match self.gone {
                true => peer.kill().await?,
                false => peers.push(peer),
            }
        }
        sleep(Duration::from_secs(self.settle)).await;
        let (wakes, cpu_s) = (hub.wakes()?, hub.cpu_s()?);
        sleep(Duration::from_secs(self.seconds)).await;
        let (wakes, cpu_s) = (hub.wakes()? - wakes, hub.cpu_s()? - cpu_s);
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let per_minute = 60.0 / self.seconds as f64;
        #[expect(clippy::cast_precision_loss, reason = "shown without digits")]
        let wakes = wakes as f64 * per_minute;
        let peers_are = if self.gone { "gone" } else { "connected" };
        println!(
            "{} peers {peers_are}: in a minute {wakes:.0} wake-ups, {:.2} s of processor time",
            self.peers,
            cpu_s * per_minute
        );
        for peer in peers {
            peer.stop().await?;
        }
        hub.stop().await
    }
}
