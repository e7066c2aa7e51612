//! Dialling a peer, and what is said of a dial that failed.

use std::sync::Arc;
use std::time::Duration;

use iroh::EndpointAddr;
use iroh::endpoint::{ConnectError, ConnectingError, Connection, ConnectionError, TransportErrorCode};
use once_core::waist::{Input, LinkEvent};
use once_model::ids::KernelId;
use once_model::wire::ALPN;

use super::{Net, address, lan, talk};

/// A dial that takes longer has failed. QUIC gives up on a silent address before.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The TLS alert of a side that speaks none of the protocols that the other one names.
const NO_APPLICATION_PROTOCOL: u8 = 120;

impl Net {
    pub(super) async fn dial_now(self: Arc<Self>, peer: KernelId, addresses: Vec<String>) {
        if let Some(connection) = self.connect_near(&peer, &addresses).await {
            return talk::run(&self, connection, peer, true, None).await;
        }
        let silent = || format!("no answer from {}", listed(&addresses));
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, self.connect(&peer, &addresses)).await;
        match dialled.unwrap_or_else(|_| Err(silent())) {
            Ok(connection) => talk::run(&self, connection, peer, true, None).await,
            Err(reason) => self.tell(Input::Link { peer, event: LinkEvent::DialFailed { reason } }).await,
        }
    }

    /// Where it was heard on the local network, if that says more than what is known.
    async fn connect_near(&self, peer: &KernelId, known: &[String]) -> Option<Connection> {
        let near = self.near.of(peer);
        if near.iter().all(|address| known.contains(address)) {
            return None;
        }
        if !lan::is_there(peer, &near).await {
            self.near.forget(peer, &near);
            return None;
        }
        tokio::time::timeout(DIAL_TIMEOUT, self.connect(peer, &near)).await.ok()?.ok()
    }

    async fn connect(&self, peer: &KernelId, addresses: &[String]) -> Result<Connection, String> {
        let id = iroh::EndpointId::from_bytes(peer.as_bytes())
            .map_err(|_| "its id is not a valid key".to_owned())?;
        let addr = address::resolve(&self.endpoint, EndpointAddr::new(id), addresses).await;
        if addr.is_empty() {
            return Err(match addresses {
                [] => "no address of it is known".into(),
                _ => format!("nobody can be called at {}", listed(addresses)),
            });
        }
        self.endpoint.connect(addr, ALPN).await.map_err(|error| match of_connection(&error) {
            Some(ConnectionError::TimedOut) => format!("no answer from {}", listed(addresses)),
            Some(ConnectionError::ConnectionClosed(close))
                if close.error_code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL) =>
            {
                format!(
                    "it does not speak {}: upgrade the older of the two kernels",
                    String::from_utf8_lossy(ALPN)
                )
            }
            _ => format!("{}: {error}", listed(addresses)),
        })
    }
}

fn of_connection(error: &ConnectError) -> Option<&ConnectionError> {
    match error {
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
        | ConnectError::Connection { source, .. } => Some(source),
        _ => None,
    }
}

fn listed(addresses: &[String]) -> String {
    match addresses {
        [] => "any address".into(),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    }
}
