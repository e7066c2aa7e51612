//! Peers: inviting, joining, adding, changing, removing.

use std::time::Duration;

use once_core::invite_hash;
use once_core::peers::PeerStatus as Row;
use once_core::waist::{Answer, Command};
use once_model::ids::{KernelId, Secret};
use once_model::limits::INVITE_VALID_MS;

use super::awaited;
use crate::api::contract::{InviteInfo, PeerInfo, PeerStatus};
use crate::api::{invites, names};
use crate::error::OrError;
use crate::kernel::PATIENCE;
use crate::net::{Ticket, check_addresses};
use crate::shell::now_ms;
use crate::{Error, Kernel, datadir};

/// Builder of an invite. Awaiting it makes it, durably, and returns its ticket.
///
/// ```no_run
/// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let ticket = alice.invite().petname("bob").expires(Duration::from_secs(3600)).await?;
/// println!("{ticket}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Invite {
    kernel: Kernel,
    petname: Option<String>,
    valid: Duration,
}

impl Invite {
    /// The petname that the newcomer gets here.
    pub fn petname(mut self, name: impl Into<String>) -> Self {
        self.petname = Some(name.into());
        self
    }

    /// Ends the invite after this time. Default: a day.
    pub fn expires(mut self, after: Duration) -> Self {
        self.valid = after;
        self
    }

    async fn run(self) -> Result<Ticket, Error> {
        let Self { kernel, petname, valid } = self;
        let addresses = kernel.online()?.addresses();
        let secret = Secret::from_bytes(datadir::random());
        let valid_ms = u64::try_from(valid.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = now_ms().saturating_add(valid_ms);
        kernel.command(Command::Invite { secret_hash: invite_hash(&secret), expires_ms, petname }).await?;
        Ok(Ticket { kernel: kernel.id(), secret, addresses })
    }
}

/// Builder of a join: the use of an invite. Awaiting it returns when both kernels are peers.
///
/// ```no_run
/// # async fn run(bob: once::Kernel, ticket: once::Ticket) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let alice = bob.join(&ticket).petname("alice").timeout(Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Join {
    kernel: Kernel,
    ticket: Ticket,
    petname: Option<String>,
    timeout: Duration,
}

impl Join {
    /// The petname that the inviting kernel gets here.
    pub fn petname(mut self, name: impl Into<String>) -> Self {
        self.petname = Some(name.into());
        self
    }

    /// Stops waiting after this time; this kernel goes on trying. Default: 10 s.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = after;
        self
    }

    /// The kernel that invites, and what it calls itself.
    pub(crate) async fn says(self) -> Result<(KernelId, String), Error> {
        let Self { kernel, ticket: Ticket { kernel: peer, secret, addresses }, petname, timeout } = self;
        let net = kernel.online()?;
        let join = Command::Join { peer, secret, addresses, petname };
        match tokio::time::timeout(timeout, kernel.command(join)).await {
            Ok(Ok(Answer::Joined { says })) => Ok((peer, says)),
            Ok(Ok(other)) => Err(Error::fault(format!("the engine answered {other:?}"))),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let why = net.seen(&peer).last_error.map_or_else(String::new, |why| format!(": {why}"));
                let (peer, within_s) = (kernel.shared().called(&peer), timeout.as_secs());
                Err(Error::timeout(format!("kernel {peer} did not answer within {within_s} s{why}"))
                    .with_hint("this kernel goes on trying; `once peers` shows when it has joined"))
            }
        }
    }

    async fn run(self) -> Result<KernelId, Error> {
        self.says().await.map(|(kernel, _)| kernel)
    }
}

/// Builder of a new peer, without an invite. Awaiting it adds it.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// alice.add_peer(bob).petname("bob").address("192.0.2.7:4277").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct AddPeer {
    kernel: Kernel,
    peer: KernelId,
    petname: Option<String>,
    addresses: Vec<String>,
}

impl AddPeer {
    /// The petname that it gets here.
    pub fn petname(mut self, name: impl Into<String>) -> Self {
        self.petname = Some(name.into());
        self
    }

    /// Where it can be dialled: `address:port` or a relay's URL. May be said more than once.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    async fn run(self) -> Result<(), Error> {
        let Self { kernel, peer, petname, addresses } = self;
        check_addresses(&addresses)?;
        kernel.command(Command::AddPeer { peer, addresses, petname }).await.map(drop)
    }
}

/// Builder of a change of a peer's petname, quota or addresses. Awaiting it makes it; what is not named stays as it is.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// alice.change_peer(bob).petname("robert").quota_bytes(1 << 30).address("192.0.2.8:4277").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ChangePeer {
    kernel: Kernel,
    peer: KernelId,
    petname: Option<String>,
    quota_bytes: Option<u64>,
    addresses: Vec<String>,
}

impl ChangePeer {
    /// The petname that it has here from now on.
    pub fn petname(mut self, name: impl Into<String>) -> Self {
        self.petname = Some(name.into());
        self
    }

    /// How many bytes it may store here by sharing.
    pub fn quota_bytes(mut self, bytes: u64) -> Self {
        self.quota_bytes = Some(bytes);
        self
    }

    /// Where it can be dialled, instead of where it was before. May be said more than once.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    async fn run(self) -> Result<(), Error> {
        let Self { kernel, peer, petname, quota_bytes, addresses } = self;
        check_addresses(&addresses)?;
        kernel.command(Command::ChangePeer { peer, petname, quota_bytes, addresses }).await.map(drop)
    }
}

/// Builder of a connection. Awaiting it returns when the peer is connected, with the time of a round trip if that was
/// measured already.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// alice.dial(bob).timeout(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Dial {
    kernel: Kernel,
    peer: KernelId,
    timeout: Duration,
}

impl Dial {
    /// Stops waiting after this time; this kernel goes on trying. Default: 10 s.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = after;
        self
    }

    async fn run(self) -> Result<Option<Duration>, Error> {
        let session = self.kernel.session(self.peer, self.timeout).await?;
        Ok(session.rtt_us().map(Duration::from_micros))
    }
}

awaited! {
    Invite => Ticket;
    Join => KernelId;
    AddPeer => ();
    ChangePeer => ();
    Dial => Option<Duration>;
}

impl Kernel {
    /// Makes an invite that admits one kernel, once. Whoever has its ticket can use it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// use std::time::Duration;
    ///
    /// let ticket = alice.invite().petname("bob").expires(Duration::from_secs(600)).await?;
    /// println!("{ticket}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the kernel is offline, or the name is too long or taken.
    pub fn invite(&self) -> Invite {
        let valid = Duration::from_millis(INVITE_VALID_MS);
        Invite { kernel: self.clone(), petname: None, valid }
    }

    /// The invites of this kernel, oldest first: who may still come, and who came by which.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for invite in alice.invites()? {
    ///     println!("{} {:?}", invite.id, invite.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn invites(&self) -> Result<Vec<InviteInfo>, Error> {
        invites::list(self)
    }

    /// Takes an invite back that nobody has used. `name`: its petname, or at least 4 digits of [`InviteInfo::id`].
    /// Returns its id.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// alice.revoke_invite("bob").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is none, more than one may be meant, or it was used.
    pub async fn revoke_invite(&self, name: &str) -> Result<String, Error> {
        invites::revoke(self, name).await
    }

    /// Uses an invite: both kernels are peers from then on and may share into each other's quota.
    ///
    /// ```no_run
    /// # async fn run(bob: once::Kernel, ticket: once::Ticket) -> Result<(), once::Error> {
    /// let alice = bob.join(&ticket).petname("alice").await?;
    /// println!("{alice} is a peer");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the invite is wrong, used or expired; or when nobody answers in time: then it goes on trying.
    pub fn join(&self, ticket: &Ticket) -> Join {
        Join { kernel: self.clone(), ticket: ticket.clone(), petname: None, timeout: PATIENCE }
    }

    /// The peers of this kernel: what they are called, whether they are connected, what they are owed and keep here.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for peer in alice.peers()?.iter().filter(|peer| peer.connected) {
    ///     println!("{} {}", peer.name, peer.kernel);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        let snapshot = self.shared().snapshot();
        let mut shown = Vec::new();
        for (id, row) in once_core::peers::all(&snapshot).or_error()? {
            let usage = once_core::share::usage(&snapshot, &id).or_error()?;
            let seen = self.net().map(|net| net.seen(&id)).unwrap_or_default();
            let session = self.net().and_then(|net| net.session(&id));
            shown.push(PeerInfo {
                kernel: id.to_string(),
                name: names::name_of(self, &id),
                petname: row.petname,
                says: row.says,
                status: match row.status {
                    Row::Joining => PeerStatus::Joining,
                    Row::Active => PeerStatus::Active,
                    Row::Visitor => PeerStatus::Visitor,
                    Row::Host => PeerStatus::Host,
                },
                visits: once_core::peers::visits(&snapshot, &id)
                    .or_error()?
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                connected: session.is_some(),
                addresses: row.addresses,
                owed: usage.owed_rows,
                stored_bytes: usage.stored_bytes,
                incoming_bytes: self.net().map_or(0, |net| net.incoming_bytes(&id)),
                quota_bytes: row.quota_bytes,
                since_ms: row.since_ms,
                invite: row.invite.map(|invite| invites::id(&invite)),
                rtt_us: session.and_then(|session| session.rtt_us()),
                clock_ahead_ms: seen.clock_ahead_ms,
                last_error: seen.last_error,
            });
        }
        Ok(shown)
    }

    /// Makes another kernel a peer without an invite: both sides have to do so.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// alice.add_peer(bob).petname("bob").address("192.0.2.7:4277").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is this kernel, the name is too long or taken, or an address makes no sense.
    pub fn add_peer(&self, peer: KernelId) -> AddPeer {
        AddPeer { kernel: self.clone(), peer, petname: None, addresses: Vec::new() }
    }

    /// Changes what a peer is called, how much it may keep here, or where it is dialled.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// alice.change_peer(bob).petname("robert").quota_bytes(1 << 30).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that is no peer, the name is too long or taken, or an address makes no sense.
    pub fn change_peer(&self, peer: KernelId) -> ChangePeer {
        let (kernel, addresses) = (self.clone(), Vec::new());
        ChangePeer { kernel, peer, petname: None, quota_bytes: None, addresses }
    }

    /// Ends a peer: its connection and every right at once. Returns when what waited for it is gone, too.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// alice.remove_peer(bob).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that is no peer, or an object is handed over to it just now.
    pub async fn remove_peer(&self, peer: KernelId) -> Result<(), Error> {
        self.command(Command::RemovePeer { peer }).await.map(drop)
    }

    /// Connects with a peer now, if it is not connected. Nothing needs this: whatever is owed to a peer is dialled for by itself.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// if let Some(round_trip) = alice.dial(bob).await? {
    ///     println!("{} ms", round_trip.as_millis());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that is no peer, or it does not answer in time.
    pub fn dial(&self, peer: KernelId) -> Dial {
        Dial { kernel: self.clone(), peer, timeout: PATIENCE }
    }
}
