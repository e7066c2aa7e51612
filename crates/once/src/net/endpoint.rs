//! The iroh endpoint: settings, listening addresses, and the loop that accepts connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iroh::endpoint::{Incoming, PortmapperConfig, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, RelayMode, RelayUrl, SecretKey, TransportAddr};
use once_model::ids::KernelId;
use once_model::sign::KernelKey;
use once_model::wire::ALPN;
use tokio::sync::Semaphore;

use super::{Net, session, strangers};
use crate::Error;

/// A living connection says something this often.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// A peer that was silent for this long is gone. It is noticed within 6 s.
const IDLE_MAX: Duration = Duration::from_secs(5);

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
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&key.to_bytes()))
        .alpns(vec![ALPN.to_vec()])
        .relay_mode(relay)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr(listen.addr)
        .map_err(|e| fault("listen address", &e))?
        .transport_config(quic)
        .bind()
        .await
        .map_err(|e| {
            Error::unreachable(format!("cannot listen on {}: {e}", listen.addr)).with_hint(
                "another program has that port, or the address is not one of this machine: see --listen",
            )
        })
}

/// Where an endpoint can be reached.
pub(super) fn addresses(endpoint: &Endpoint) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let addr = endpoint.addr();
    found.extend(addr.ip_addrs().map(ToString::to_string));
    // On another machine the loopback address with this port may be another kernel, quick to answer with another key,
    // and that would be the end of the dial.
    let elsewhere = !found.is_empty();
    for socket in endpoint.bound_sockets() {
        // An endpoint on every interface can at least be reached from this machine.
        let socket = match socket {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() && elsewhere => continue,
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => continue,
            other => other,
        };
        let text = socket.to_string();
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found.extend(addr.relay_urls().map(ToString::to_string));
    found
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
                net.key_twice.store(true, Ordering::Relaxed);
                tracing::error!("another process uses this kernel's key");
                connection.close(VarInt::from_u32(0), b"key in use twice");
                return;
            }
            match gate.admit(&net, &connection, peer).await {
                strangers::Verdict::Peer => session::run(&net, connection, peer, false, None).await,
                strangers::Verdict::Invited(opened) => {
                    session::run(&net, connection, peer, false, Some(*opened)).await;
                }
                strangers::Verdict::Stranger => {}
            }
        });
    }
}

async fn shake_hands(incoming: Incoming) -> Option<iroh::endpoint::Connection> {
    incoming.accept().ok()?.await.ok()
}

/// The address at which a connection's other side is now.
pub(super) fn address_of(connection: &iroh::endpoint::Connection) -> Option<String> {
    let paths = connection.paths();
    let path = paths.iter().find(iroh::endpoint::Path::is_selected).or_else(|| paths.iter().next())?;
    match path.remote_addr() {
        TransportAddr::Ip(addr) => Some(addr.to_string()),
        TransportAddr::Relay(url) => Some(url.to_string()),
        _ => None,
    }
}
