//! Peers on the local network: each kernel announces its addresses by multicast DNS (RFC 6762, as a service of RFC 6763), and
//! remembers what its peers announce.
//!
//! What is heard is a hint and changes no row: whoever answers at such an address must prove its key like anybody else.
//! Whoever lies on this network can delay a dial, and gets in by nothing. Kernels that are no peers are not remembered.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use iroh::endpoint::{PortmapperConfig, presets};
use iroh::{Endpoint, EndpointAddr, RelayMode, Watcher as _};
use once_core::waist::Command;
use once_model::ids::KernelId;
use once_model::limits::ADDRESSES_MAX;
use once_model::wire::ALPN;
use swarm_discovery::{Discoverer, DropGuard, IpClass};

use super::{Net, address, lock};

/// The name of the service: a kernel is `<its key in base32>._once._udp.local`.
const SERVICE: &str = "once";

/// How often somebody on the network asks who is there.
const CADENCE: Duration = Duration::from_secs(5);

/// A kernel on the same network answers sooner.
const ANSWER_MAX: Duration = Duration::from_millis(1_500);

/// After so long it is tried again where the sockets could not be opened.
const RETRY: Duration = Duration::from_secs(60);

/// Where peers say that they are on this network.
#[derive(Debug, Default)]
pub(crate) struct Near(Mutex<HashMap<KernelId, Vec<String>>>);

impl Near {
    /// Where a peer was heard last, if not long ago.
    pub fn of(&self, peer: &KernelId) -> Vec<String> {
        lock(&self.0).get(peer).cloned().unwrap_or_default()
    }

    /// Whether that is news.
    fn set(&self, peer: KernelId, addresses: Vec<String>) -> bool {
        let mut all = lock(&self.0);
        if addresses.is_empty() {
            all.remove(&peer);
            return false;
        }
        all.insert(peer, addresses.clone()).is_none_or(|before| before != addresses)
    }

    /// It is not there.
    pub fn forget(&self, peer: &KernelId, addresses: &[String]) {
        let mut all = lock(&self.0);
        if all.get(peer).is_some_and(|now| now == addresses) {
            all.remove(peer);
        }
    }

    fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// Announces this kernel, and hears its peers, until the endpoint closes. At another address, it begins anew: on other networks
/// there are others.
pub(crate) async fn announce(net: Arc<Net>) {
    let mut addresses = net.endpoint.watch_addr();
    let _ = addresses.get();
    loop {
        net.near.clear();
        let own = announced(&net.addresses());
        let service = match own.is_empty() {
            true => None,
            false => match begin(&net, &own) {
                Ok(service) => {
                    tracing::info!(addresses = ?own, "announced on the local network");
                    Some(service)
                }
                Err(error) => {
                    tracing::warn!(%error, "not announced on the local network");
                    None
                }
            },
        };
        // Where it failed, perhaps another program lets the port go.
        let pause = match own.is_empty() || service.is_some() {
            true => Duration::MAX,
            false => RETRY,
        };
        if let Ok(Err(_)) = tokio::time::timeout(pause, addresses.updated()).await {
            return;
        }
    }
}

fn begin(net: &Arc<Net>, own: &[SocketAddr]) -> Result<DropGuard, Box<swarm_discovery::SpawnError>> {
    let me = BASE32_NOPAD.encode(net.shared.me.as_bytes()).to_ascii_lowercase();
    let interfaces = own.iter().filter_map(|socket| match socket.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let class = match (own.iter().any(SocketAddr::is_ipv4), own.iter().any(SocketAddr::is_ipv6)) {
        (true, false) => IpClass::V4Only,
        (false, true) => IpClass::V6Only,
        _ => IpClass::Auto,
    };
    let heard = Arc::downgrade(net);
    let mut service = Discoverer::new(SERVICE.into(), me)
        .with_cadence(CADENCE)
        .with_ip_class(class)
        // Not only the one of the default route: a network in the field may have none.
        .with_multicast_interfaces_v4(interfaces.collect::<Vec<Ipv4Addr>>())
        .with_callback(move |name, peer| {
            let sockets = peer.addrs().iter().map(|(ip, port)| SocketAddr::new(*ip, *port));
            hear(&heard, name, &sockets.collect::<Vec<_>>());
        });
    for socket in own {
        service = service.with_addrs(socket.port(), [socket.ip()]);
    }
    service.spawn(&tokio::runtime::Handle::current()).map_err(Box::new)
}

/// Remembers where a peer is. One that is not connected is dialled at once.
fn hear(net: &Weak<Net>, name: &str, sockets: &[SocketAddr]) {
    let (Some(net), Some(peer)) = (net.upgrade(), named(name)) else { return };
    if peer == net.shared.me || !matches!(once_core::peers::peer(&net.shared.snapshot(), &peer), Ok(Some(_)))
    {
        return;
    }
    let addresses = address::dialled(sockets).take(ADDRESSES_MAX).map(|socket| socket.to_string()).collect();
    if net.near.set(peer, addresses) && net.session(&peer).is_none() {
        let runtime = net.runtime.clone();
        // Whether it was dialled shows in its connection.
        runtime.spawn(async move { net.shared.command(Command::Dial { peer }).await.is_ok() });
    }
}

/// Whether a kernel with this key is there. Asked from an endpoint of its own, which is nobody: the one of this kernel tries all
/// addresses of a peer that it was ever given at once, and the first that answers with another key is the end of the dial.
pub(super) async fn is_there(peer: &KernelId, addresses: &[String]) -> bool {
    let Ok(id) = iroh::EndpointId::from_bytes(peer.as_bytes()) else { return false };
    let sockets = addresses.iter().filter_map(|text| text.parse::<SocketAddr>().ok());
    let addr = sockets.fold(EndpointAddr::new(id), EndpointAddr::with_ip_addr);
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled);
    let Ok(endpoint) = builder.bind().await else { return false };
    // The handshake ends well only with who has the key.
    let answer = tokio::time::timeout(ANSWER_MAX, endpoint.connect(addr, ALPN)).await;
    endpoint.close().await;
    matches!(answer, Ok(Ok(_)))
}

/// The kernel with this name on the network.
fn named(name: &str) -> Option<KernelId> {
    let bytes = BASE32_NOPAD.decode(name.to_ascii_uppercase().as_bytes()).ok()?;
    KernelId::from_slice(&bytes)
}

/// Of the addresses of this kernel, those that mean something to another machine on the network.
fn announced(own: &[String]) -> Vec<SocketAddr> {
    let sockets: Vec<SocketAddr> = own.iter().filter_map(|text| text.parse().ok()).collect();
    address::dialled(&sockets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_other_machines_can_use_is_announced() {
        let own =
            ["127.0.0.1:1", "[::1]:1", "192.0.2.7:4277", "[2001:db8::7]:4277", "https://relay.example.org"];
        let own: Vec<_> = own.map(str::to_owned).into();
        let expected = ["192.0.2.7:4277", "[2001:db8::7]:4277"].map(|text| text.parse().unwrap());
        assert_eq!(announced(&own), expected);
    }

    #[test]
    fn a_name_is_a_key_in_base32() {
        let peer = KernelId::from_bytes([7; 32]);
        let name = BASE32_NOPAD.encode(peer.as_bytes()).to_ascii_lowercase();
        assert_eq!((named(&name), name.len()), (Some(peer), 52));
        for wrong in ["", "printer", &name[1..], &format!("{name}aaaaaaaa")] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    /// Carol's door in bob's name: she cannot prove that she is bob, and alice goes on to where she knows him.
    #[test]
    fn a_lie_on_the_network_keeps_nobody_apart() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut kernels = Vec::new();
            for name in ["alice", "bob", "carol"] {
                let data = dir.path().join(name);
                crate::init(&data, crate::InitOptions::default()).unwrap();
                kernels.push(crate::Kernel::builder(&data).listen("127.0.0.1:0").start().await.unwrap());
            }
            let [alice, bob, carol] = &kernels[..] else { unreachable!() };
            let net = alice.online().unwrap();
            net.near.set(bob.id(), carol.online().unwrap().addresses());
            alice.join(&bob.invite().await.unwrap()).await.unwrap();
            assert!(net.session(&bob.id()).is_some());
            assert!(net.session(&carol.id()).is_none());
            for kernel in kernels {
                kernel.stop().await.unwrap();
            }
        });
    }

    #[test]
    fn what_is_heard_again_is_no_news() {
        let (near, peer) = (Near::default(), KernelId::from_bytes([7; 32]));
        let at = |text: &str| vec![text.to_owned()];
        assert!(near.set(peer, at("192.0.2.7:1")));
        assert!(!near.set(peer, at("192.0.2.7:1")));
        assert!(near.set(peer, at("192.0.2.8:1")));
        assert_eq!(near.of(&peer), at("192.0.2.8:1"));
        // Nobody has heard it for long.
        assert!(!near.set(peer, Vec::new()));
        assert!(near.of(&peer).is_empty());
    }
}
