//! Yardsticks: what the parts can do by themselves. No engine code in here, and every file under 150 lines, so that
//! a reader can check in minutes that a bar compares with something honest.

pub mod bulk;
pub mod call;
pub mod durable;
pub mod echo;
pub mod frames;
pub mod store;

use std::time::Duration;

use iroh::endpoint::{Connection, PortmapperConfig, QuicTransportConfig, presets};
use iroh::{Endpoint, RelayMode};

use crate::Res;
use crate::child::Other;

const ALPN: &[u8] = b"once-bench/yard/1";
/// As the engine: a killed peer is noticed within 6 s.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const IDLE_MAX: Duration = Duration::from_secs(6);

/// An endpoint on loopback only: no relay, no address lookup, no port mapping. Windows, congestion control and
/// segmentation offload stay at their defaults, as in the engine.
pub async fn endpoint() -> Res<Endpoint> {
    let quic = QuicTransportConfig::builder()
        .keep_alive_interval(KEEP_ALIVE)
        .max_idle_timeout(Some(IDLE_MAX.try_into()?))
        .build();
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .transport_config(quic)
        .alpns(vec![ALPN.to_vec()])
        .bind()
        .await?;
    Ok(endpoint)
}

/// The child's side: the one connection it serves.
pub async fn accept_one(endpoint: &Endpoint) -> Res<Connection> {
    let incoming = endpoint.accept().await.ok_or("the endpoint closed before anyone called")?;
    Ok(incoming.accept()?.await?)
}

/// The bench's side: a child, an endpoint and the connection between them.
pub struct Pair {
    child: Other,
    endpoint: Endpoint,
    connection: Connection,
}

impl Pair {
    /// Starts `child ARGS…` and dials it.
    pub async fn start(args: &[&str]) -> Res<Self> {
        let child = Other::start(args).await?;
        let endpoint = endpoint().await?;
        let connection = endpoint.connect(child.addr.clone(), ALPN).await?;
        Ok(Self { child, endpoint, connection })
    }

    /// Ends both sides.
    pub async fn stop(self) -> Res<()> {
        self.connection.close(0u32.into(), b"done");
        self.endpoint.close().await;
        self.child.stop().await
    }
}
