//! The iroh endpoint: settings, listening addresses, and the loop that accepts connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{Incoming, PortmapperConfig, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, RelayMode, RelayUrl, SecretKey, Watcher as _};
use once_core::waist::Input;
use once_model::ids::KernelId;
use once_model::sign::KernelKey;
use once_model::wire::{ALPN, Code};
use tokio::sync::Semaphore;

use super::{Net, session, strangers, talk};
use crate::Error;

/// After so long a silence QUIC asks whether the other side is there. While the dialler beats (see `pulse`) it never
/// gets to that.
pub(super) const KEEP_ALIVE: Duration = Duration::from_millis(2_600);

/// After so long QUIC lets a connection go, in silence. The heartbeat has ended it before, and said so: this is for
/// connections that are not admitted yet, and for a process that stood still.
pub(super) const IDLE_MAX: Duration = Duration::from_millis(6_000);

/// Connections whose handshake is under way. More are turned away before they cost a signature.
const HANDSHAKES_MAX: usize = 64;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Streams that a peer may have open at once besides the control stream.
const STREAMS_MAX: u32 = 32;

/// Unread bytes of one connection. QUIC's default would let a peer park 250 MB here.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Where to listen.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    pub addr: SocketAddr,
    pub relay: Option<RelayUrl>,
}

/// What the kernels before this version speak. They are let in as far as it takes to say that they are too old.
const FORMER_ALPN: &[u8] = b"once/1";

/// What they are told with the close.
const TOO_OLD: &[u8] = b"this kernel speaks once/2: upgrade yours";

/// How often binding is tried: a kernel that was just stopped may need a moment to let its port go.
const BIND_TRIES: usize = 20;

/// Between two tries.
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// Binds the endpoint. A port that is taken by someone else is an error: peers know this kernel by it.
pub(crate) async fn bind(key: &KernelKey, listen: &Listen) -> Result<Endpoint, Error> {
    let mut tries = 0;
    loop {
        match bind_once(key, listen).await {
            Err(_) if tries < BIND_TRIES => {
                tries += 1;
                tokio::time::sleep(BIND_PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn bind_once(key: &KernelKey, listen: &Listen) -> Result<Endpoint, Error> {
    let fault = |what: &str, e: &dyn std::fmt::Display| Error::fault(format!("{what}: {e}"));
    let quic = QuicTransportConfig::builder()
        .keep_alive_interval(KEEP_ALIVE)
        .max_idle_timeout(Some(IDLE_MAX.try_into().map_err(|e| fault("idle timeout", &e))?))
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(IDLE_MAX)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .build();
    let relay = match &listen.relay {
        Some(url) => RelayMode::custom([url.clone()]),
        None => RelayMode::Disabled,
    };
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&key.to_bytes()))
        .alpns(vec![ALPN.to_vec(), FORMER_ALPN.to_vec()])
        .relay_mode(relay)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .transport_config(quic);
    for socket in sockets(listen.addr) {
        builder = builder.bind_addr(socket).map_err(|e| fault("listen address", &e))?;
    }
    builder.bind().await.map_err(|e| {
        Error::unreachable(format!("cannot listen on {}: {e}", listen.addr)).with_hint(
            "another program has that port, or the address is not one of this machine: see --listen",
        )
    })
}

/// What to bind: `[::]` stands for every address of both families, as far as the machine has them.
fn sockets(listen: SocketAddr) -> Vec<SocketAddr> {
    if listen.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return vec![listen];
    }
    let free = |ip: IpAddr| UdpSocket::bind((ip, 0)).and_then(|socket| socket.local_addr()).ok();
    let (six, four) = (free(Ipv6Addr::UNSPECIFIED.into()), free(Ipv4Addr::UNSPECIFIED.into()));
    // The same port in both: a socket on `[::]` has taken it in both, so it is free in both.
    let port = match listen.port() {
        0 => six.or(four).map_or(0, |socket| socket.port()),
        port => port,
    };
    let both = [six, four].into_iter().flatten().map(|socket| SocketAddr::new(socket.ip(), port));
    let both: Vec<_> = both.collect();
    if both.is_empty() { vec![listen] } else { both }
}

/// Tells the engine when this kernel's own addresses change: who could not be reached may be reached now.
pub(crate) async fn watch_own(net: Arc<Net>) {
    let mut addresses = net.endpoint.watch_addr();
    let mut known = addresses.get().addrs;
    while let Ok(now) = addresses.updated().await {
        if now.addrs != known {
            known = now.addrs;
            tracing::info!(addresses = ?net.addresses(), "the network has changed");
            net.tell(Input::NetworkChanged).await;
        }
    }
}

/// Accepts connections until the endpoint closes.
pub(crate) async fn accept(net: Arc<Net>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let gate = Arc::new(strangers::Gate::new());
    while let Some(incoming) = net.endpoint.accept().await {
        let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
            incoming.ignore();
            continue;
        };
        // Whose address is not proven costs nothing but a retry packet while others wait.
        if !incoming.remote_addr_validated() && handshakes.available_permits() < HANDSHAKES_MAX / 2 {
            let _ = incoming.retry();
            continue;
        }
        let (net, gate) = (Arc::clone(&net), Arc::clone(&gate));
        tokio::spawn(async move {
            let connection =
                tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(incoming)).await.ok().flatten();
            drop(permit);
            let Some(connection) = connection else { return };
            let peer = KernelId::from_bytes(*connection.remote_id().as_bytes());
            if peer == net.shared.me {
                // This kernel, at an address that it knows for another one; or a second process with its key. Peers are
                // told by both, signed, and show it: that is the proof.
                connection.close(VarInt::from_u32(0), b"this is your own key");
                return;
            }
            if connection.alpn() != ALPN {
                net.too_old(&peer);
                connection.close(VarInt::from_u32(session::close_code(Code::Unsupported)), TOO_OLD);
                return;
            }
            match gate.admit(&net, &connection, peer).await {
                strangers::Verdict::Peer => talk::run(&net, connection, peer, false, None).await,
                strangers::Verdict::Invited(opened) => {
                    talk::run(&net, connection, peer, false, Some(*opened)).await;
                }
                strangers::Verdict::Stranger => {}
            }
        });
    }
}

async fn shake_hands(incoming: Incoming) -> Option<iroh::endpoint::Connection> {
    incoming.accept().ok()?.await.ok()
}
