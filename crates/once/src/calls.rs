//! What a kernel hands out: streams of events, and calls that wait to be awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use once_core::object;
use once_core::shell::{has_too_much, is_apart};
use once_core::waist::{Answer, Command, Event};
use once_model::ids::{KernelId, Line, ObjectKey};
use once_model::ior::Ior;
use once_model::wire::{Code, Frame, ShareAnswer};
use tokio::sync::oneshot;

use crate::error::OrError;
use crate::events::{Entry, Filter, Reader};
use crate::kernel::PATIENCE;
use crate::object::Object;
use crate::shell::Mail;
use crate::{Error, Kernel, net};

/// A peer's answer to a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It is durable there now.
    Stored,
    /// It was there already, or something newer was.
    Known,
    /// It is kept there beside another revision.
    Conflict,
}

/// The revisions of a followed object, as they come. Dropping it does not end the subscription: see
/// [`Kernel::unfollow`].
pub struct Following {
    kernel: Kernel,
    key: ObjectKey,
    events: Reader,
}

impl Following {
    /// The next revision that is kept here; `None` when the kernel has stopped.
    pub async fn next(&mut self) -> Option<Object> {
        loop {
            match self.events.next().await {
                // Whatever was missed, the newest revision is here.
                Ok(Some(Entry::Gap { .. })) => {}
                Ok(Some(Entry::Event(logged))) if matches!(logged.event, Event::Changed { .. }) => {}
                Ok(Some(Entry::Event(_))) => continue,
                Ok(None) | Err(_) => return None,
            }
            if let Ok(Some(object)) = self.kernel.get(self.key) {
                return Some(object);
            }
        }
    }
}

/// Builder of a share: [`Share::to`] says who gets it.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
/// alice.share(key).to(bob).await?; // durable here
/// alice.share(key).to(bob).delivered().await?; // on bob's disk
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Share {
    pub(crate) kernel: Kernel,
    pub(crate) key: ObjectKey,
}

impl Share {
    /// Says which peer gets it.
    pub fn to(self, peer: KernelId) -> ShareTo {
        ShareTo { kernel: self.kernel, key: self.key, peer }
    }
}

/// Builder of a share with a peer. Awaiting it returns when it is durable here; [`ShareTo::delivered`] when it is durable there.
#[must_use]
pub struct ShareTo {
    kernel: Kernel,
    key: ObjectKey,
    peer: KernelId,
}

impl ShareTo {
    /// Waits until the peer has answered, however long that takes.
    ///
    /// # Errors
    /// When the object or the peer is not known here, or the peer refuses.
    pub async fn delivered(self) -> Result<Delivery, Error> {
        let share = Command::Share { key: self.key, to: self.peer, delivered: true };
        match self.kernel.command(share).await? {
            Answer::Delivered(ShareAnswer::Stored) => Ok(Delivery::Stored),
            Answer::Delivered(ShareAnswer::Known) => Ok(Delivery::Known),
            Answer::Delivered(ShareAnswer::Conflict) => Ok(Delivery::Conflict),
            Answer::Delivered(ShareAnswer::Refused(code)) => {
                let peer = self.kernel.shared().called(&self.peer);
                Err(Error::from_code(code, &format!("share to {peer}")))
            }
            other => Err(Error::fault(format!("the engine answered {other:?}"))),
        }
    }
}

impl IntoFuture for ShareTo {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let share = Command::Share { key: self.key, to: self.peer, delivered: false };
            self.kernel.command(share).await.map(drop)
        })
    }
}

/// How often an object is asked for that changes before its bytes are fetched.
const FOUND_TRIES: usize = 4;

/// Builder of a request for an object. Awaiting it returns what a peer answered.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, ior: once::Ior) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let copy = alice.request(&ior).from(bob).timeout(Duration::from_secs(5)).await?;
/// println!("{:?} from {}", copy.bytes(), copy.peer());
/// copy.keep().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Request {
    pub(crate) kernel: Kernel,
    pub(crate) ior: Ior,
    pub(crate) from: Option<KernelId>,
    pub(crate) timeout: Duration,
}

impl Request {
    /// Asks this peer only.
    pub fn from(mut self, peer: KernelId) -> Self {
        self.from = Some(peer);
        self
    }

    /// Stops waiting for a peer's answer after this time. Default 10 s.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = after;
        self
    }

    fn candidates(&self) -> Result<Vec<KernelId>, Error> {
        if let Some(peer) = self.from {
            return Ok(vec![peer]);
        }
        let net = self.kernel.online()?;
        let home = self.ior.home().filter(|home| *home != self.kernel.id());
        let others = net.connected_peers().into_iter().filter(|peer| Some(*peer) != home);
        let known = |peer: &KernelId| {
            once_core::access::is_admitted(&self.kernel.shared().snapshot(), peer).unwrap_or(false)
        };
        let all: Vec<_> = home.into_iter().filter(known).chain(others).collect();
        if all.is_empty() {
            return Err(Error::unreachable("no peer is connected that could be asked")
                .with_hint("`once peers` shows the peers; `once join TICKET` makes one"));
        }
        Ok(all)
    }

    async fn run(self) -> Result<ObjectCopy, Error> {
        let uuid = self.ior.uuid().ok_or_else(|| {
            Error::usage(format!("{} names no object: it has no UUID", self.ior))
                .with_hint("request by UUID or by one of our IORs")
        })?;
        let line = self.ior.line();
        let mut errors = Vec::new();
        let candidates = self.candidates()?;
        for peer in candidates.iter().copied() {
            // First the connection, so that who cannot be reached is never said to have been silent.
            let begun = tokio::time::Instant::now();
            if let Err(error) = self.kernel.session(peer, self.timeout).await {
                errors.push(error);
                continue;
            }
            let ask = self.ask(peer, uuid, line);
            match tokio::time::timeout_at(begun + self.timeout, ask).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => errors.push(error),
                Err(_) => {
                    let (peer, after_s) = (self.kernel.shared().called(&peer), self.timeout.as_secs());
                    errors.push(Error::timeout(format!("kernel {peer} did not answer within {after_s} s")));
                }
            }
        }
        let is_home = candidates.first().is_some_and(|first| self.ior.home() == Some(*first));
        Err(none_gave(errors, is_home))
    }

    async fn ask(&self, peer: KernelId, uuid: uuid::Uuid, line: Option<Line>) -> Result<ObjectCopy, Error> {
        for _ in 0..FOUND_TRIES {
            if let Some(found) = self.ask_once(peer, uuid, line).await? {
                return Ok(found);
            }
        }
        let peer = self.kernel.shared().called(&peer);
        Err(Error::unreachable(format!("{uuid} changes at {peer} faster than it can be fetched"))
            .with_hint("try again later"))
    }

    /// Nothing, if the object has changed there between the answer and the pull of its bytes.
    async fn ask_once(
        &self,
        peer: KernelId,
        uuid: uuid::Uuid,
        line: Option<Line>,
    ) -> Result<Option<ObjectCopy>, Error> {
        let mut session = self.kernel.session(peer, self.timeout).await?;
        let what = || format!("request of {uuid} from {}", self.kernel.shared().called(&peer));
        let broken =
            || Error::unreachable(format!("{}: the connection broke", what())).with_hint("try again");
        let mut answer = session.request(uuid, line).await;
        if answer.is_none() {
            // The connection was a dead one: ask once more on the next.
            session = self.kernel.session(peer, self.timeout).await?;
            answer = session.request(uuid, line).await;
        }
        let parcel = match answer.ok_or_else(broken)? {
            Frame::Found(found) => found.parcel,
            Frame::Absent(absent) => return Err(Error::from_code(absent.code, &what())),
            _ => return Err(broken()),
        };
        if !object::is_asked_for(&uuid, line.as_ref(), &parcel.header, parcel.chain.as_ref()) {
            return Err(Error::invalid(format!("{}: the answer is another object", what()))
                .with_hint("that kernel is broken or lies; ask another one"));
        }
        let invalid = |_| Error::invalid(format!("{}: the answer is not a valid scenario", what()));
        let arrival = match is_apart(&parcel) {
            true => {
                let pulled = net::pull(self.kernel.online()?, &session, peer, parcel.header, parcel.chain);
                let pulled = match pulled.await {
                    Err(error) if error.is_gone() => return Ok(None),
                    pulled => pulled.map_err(|e| Error::unreachable(format!("{}: {e}", what())))?,
                };
                // From here on its bytes are the caller's.
                pulled.rest.settled();
                pulled.arrival
            }
            false if has_too_much(&parcel) => return Err(invalid(Code::Invalid)),
            false => object::verify(&peer, parcel).map_err(invalid)?,
        };
        Ok(Some(ObjectCopy { kernel: self.kernel.clone(), peer, arrival }))
    }
}

/// Why nobody gave an object: what its home said, if that was asked; else what the first of them said, and that no other
/// had it either.
fn none_gave(errors: Vec<Error>, is_home: bool) -> Error {
    let others = errors.len().saturating_sub(1);
    let Some(first) = errors.into_iter().next() else {
        return Error::unreachable("nobody could be asked");
    };
    if others == 0 {
        return first;
    }
    let whose = if is_home { "its home" } else { "one of them" };
    let others = if others == 1 { "another peer".to_owned() } else { format!("{others} other peers") };
    let message = format!("{first}; this is what {whose} said, and {others} did not give it either");
    first.said(message)
}

impl IntoFuture for Request {
    type Output = Result<ObjectCopy, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// What a peer answered to a request: verified, not kept yet.
pub struct ObjectCopy {
    kernel: Kernel,
    peer: KernelId,
    arrival: once_core::waist::Arrival,
}

impl ObjectCopy {
    /// The kernel that had it.
    #[must_use]
    pub fn peer(&self) -> KernelId {
        self.peer
    }

    /// The scenario's bytes; `None` if the object was removed.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        self.arrival.body.as_ref()
    }

    /// The object's key.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.arrival.header.key()
    }

    pub(crate) fn header(&self) -> &once_model::header::Header {
        &self.arrival.header
    }

    pub(crate) fn home(&self) -> Option<KernelId> {
        self.arrival.chain.as_ref().map(once_model::certificate::Chain::home)
    }

    /// Keeps it here, durably.
    ///
    /// # Errors
    /// When the disk is nearly full.
    pub async fn keep(self) -> Result<Object, Error> {
        let (reply, kept) = oneshot::channel();
        let key = self.key();
        let shared = self.kernel.shared();
        let mail = Mail::Arrived { peer: self.peer, arrival: self.arrival, offered: false, reply };
        shared.mail.send(mail).await.map_err(|_| shared.gone())?;
        match kept.await.map_err(|_| shared.gone())?.or_error()? {
            Answer::Kept(ShareAnswer::Refused(code)) => Err(Error::from_code(code, "keep")),
            _ => self.kernel.get(key)?.ok_or_else(|| Error::fault("what was kept is not there")),
        }
    }
}

impl Kernel {
    /// Sends an object to a peer, now or when it is back.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, bob: once::KernelId) -> Result<(), once::Error> {
    /// alice.share(key).to(bob).await?;              // durable here, sent until bob answers
    /// alice.share(key).to(bob).delivered().await?;  // durable there
    /// # Ok(())
    /// # }
    /// ```
    pub fn share(&self, key: ObjectKey) -> Share {
        Share { kernel: self.clone(), key }
    }

    /// Asks a peer for an object.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, ior: once::Ior) -> Result<(), once::Error> {
    /// let found = alice.request(&ior).await?;       // from its home, else from whoever has it
    /// println!("{} bytes", found.bytes().map_or(0, |bytes| bytes.len()));
    /// found.keep().await?;                          // a replica here
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, ior: &Ior) -> Request {
        Request { kernel: self.clone(), ior: ior.clone(), from: None, timeout: PATIENCE }
    }

    /// Follows an object at a peer: each new revision is kept here from now on, through restarts of either kernel.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, home: once::KernelId) -> Result<(), once::Error> {
    /// let mut revisions = alice.follow(key, home).await?;
    /// while let Some(object) = revisions.next().await {
    ///     println!("revision {}", object.revision());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that is no peer.
    pub async fn follow(&self, key: ObjectKey, from: KernelId) -> Result<Following, Error> {
        let events = Reader::from_now(self, Filter::object(key))?;
        self.command(Command::Follow { key, from }).await?;
        Ok(Following { kernel: self.clone(), key, events })
    }

    /// Ends a subscription made with [`Kernel::follow`]; the copy stays.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, home: once::KernelId) -> Result<(), once::Error> {
    /// alice.unfollow(key, home).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it was not followed.
    pub async fn unfollow(&self, key: ObjectKey, from: KernelId) -> Result<(), Error> {
        self.command(Command::Unfollow { key, from }).await.map(drop)
    }
}
