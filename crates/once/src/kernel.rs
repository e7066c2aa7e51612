//! A kernel: the engine on a data directory, and the network around it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use once_core::access::{Grant, Right, Scope};
use once_core::invite_hash;
use once_core::object::{self, HeadRow};
use once_core::waist::{Answer, Change, Command};
use once_model::ids::{KernelId, ObjectKey, Secret};
use once_model::limits::INVITE_VALID_MS;
use once_model::scenario::Scenario;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use crate::error::OrError;
use crate::net::{self, Net, Session, Ticket};
use crate::object::Object;
use crate::shell::{Mail, Shared, now_ms};
use crate::{Error, ErrorKind, Progress, Report, datadir};

/// How long a request, an exchange or a join waits for a connection and an answer unless told otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A running kernel. Cheap to clone; it runs until [`Kernel::stop`], or until the last clone is gone.
///
/// ```
/// # async fn run() -> Result<(), once::Error> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let data = dir.path().join("alice");
/// once::init(&data, once::InitOptions::default())?;
/// let alice = once::Kernel::builder(&data).listen("127.0.0.1:0").start().await?;
/// let (object, _) = alice.import(r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#, None).await?;
/// assert_eq!(object.component(), "Note");
/// alice.stop().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone)]
pub struct Kernel {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    net: Option<Arc<Net>>,
    name: String,
    started: Instant,
    tasks: Mutex<Vec<tokio::task::AbortHandle>>,
    /// Told when a client of the local API wants the kernel to stop.
    stop_wanted: Arc<tokio::sync::Notify>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in net::lock(&self.tasks).drain(..) {
            task.abort();
        }
        // Nobody waits for it: the engine and the network hold on to each other, and would run for ever. After
        // [`Kernel::stop`] there is nobody left to be told.
        let mail = self.shared.mail.clone();
        let (done, _) = oneshot::channel();
        if let Err(TrySendError::Full(stop)) = mail.try_send(Mail::Stop(done)) {
            crate::beside::on_own_thread(move || drop(mail.blocking_send(stop)));
        }
        if let Some(net) = &self.net {
            net.close_later();
        }
    }
}

/// A kernel that may have ended. Whoever holds this does not keep it from ending.
#[derive(Clone)]
pub(crate) struct Weak {
    inner: std::sync::Weak<Inner>,
    mail: mpsc::Sender<Mail>,
}

impl Weak {
    /// The kernel, while someone holds on to it.
    pub fn upgrade(&self) -> Option<Kernel> {
        self.inner.upgrade().map(|inner| Kernel { inner })
    }

    /// Waits until its engine has ended, however that came.
    pub async fn ended(&self) {
        self.mail.closed().await;
    }
}

impl Kernel {
    pub(crate) fn new(
        shared: Arc<Shared>,
        net: Option<Arc<Net>>,
        name: String,
        tasks: Vec<tokio::task::AbortHandle>,
    ) -> Self {
        let (started, stop_wanted) = (Instant::now(), Arc::default());
        Self { inner: Arc::new(Inner { shared, net, name, started, tasks: Mutex::new(tasks), stop_wanted }) }
    }

    /// A handle that does not keep it running.
    pub(crate) fn downgrade(&self) -> Weak {
        Weak { inner: Arc::downgrade(&self.inner), mail: self.shared().mail.clone() }
    }

    /// Its id: an Ed25519 public key.
    #[must_use]
    pub fn id(&self) -> KernelId {
        self.inner.shared.me
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Where it can be dialled; nothing if it is offline.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.inner.net.as_ref().map(|net| net.addresses()).unwrap_or_default()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn net(&self) -> Option<&Arc<Net>> {
        self.inner.net.as_ref()
    }

    /// Told when somebody calls `stop` over the local API.
    pub(crate) fn stop_wanted(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.inner.stop_wanted)
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.inner.started.elapsed()
    }

    pub(crate) fn keep_task(&self, task: tokio::task::AbortHandle) {
        net::lock(&self.inner.tasks).push(task);
    }

    pub(crate) fn online(&self) -> Result<&Arc<Net>, Error> {
        self.net().ok_or_else(|| {
            Error::unreachable("this kernel is not connected to the network")
                .with_hint("start it with `once up`")
        })
    }

    pub(crate) async fn command(&self, command: Command) -> Result<Answer, Error> {
        self.shared().command(command).await
    }

    async fn change(&self, command: Command) -> Result<(Object, Change), Error> {
        match self.command(command).await? {
            Answer::Object { header, change } => {
                let key = header.key();
                let row = once_core::object::head(&self.shared().snapshot(), &key).or_error()?;
                let row = row.unwrap_or_else(|| HeadRow {
                    home: None,
                    from: None,
                    charged: false,
                    stored_ms: now_ms(),
                    conflicts_dropped: 0,
                    proven: false,
                    replaced: None,
                    tip: None,
                    guest: None,
                    header: *header,
                });
                Ok((Object::new(row, self.id()), change))
            }
            other => Err(Error::fault(format!("the engine answered {other:?}"))),
        }
    }

    /// Keeps a scenario from outside, byte for byte. `source` names where it came from: the same source with other
    /// bytes later is a new revision of the same object. If that has gone on since, the file is kept beside it
    /// ([`Change::KeptBeside`]), never laid over what happened.
    ///
    /// # Errors
    /// When the bytes are no scenario, or the disk is nearly full.
    pub async fn import(
        &self,
        bytes: impl Into<Bytes>,
        source: Option<String>,
    ) -> Result<(Object, Change), Error> {
        let scenario = Scenario::parse(bytes)?;
        self.change(Command::Import { source, over: None, scenario }).await
    }

    /// Like [`Kernel::import`], but lays a file that changed over revision `over` of its object
    /// ([`Object::revision_id`]), although the object has gone on since the file was imported.
    ///
    /// # Errors
    /// As [`Kernel::import`], and when `over` is not the newest revision.
    pub async fn import_over(
        &self,
        bytes: impl Into<Bytes>,
        source: Option<String>,
        over: once_model::ids::Hash,
    ) -> Result<(Object, Change), Error> {
        let scenario = Scenario::parse(bytes)?;
        self.change(Command::Import { source, over: Some(over), scenario }).await
    }

    /// Makes what is kept beside an object its next revision: `revision` is the id of what is kept.
    ///
    /// # Errors
    /// When nothing of that id is kept, or this kernel is not the object's home.
    pub async fn keep_conflict(
        &self,
        key: ObjectKey,
        revision: once_model::ids::Hash,
    ) -> Result<(Object, Change), Error> {
        self.change(Command::Keep { key, revision }).await
    }

    /// Drops what is kept beside an object.
    ///
    /// # Errors
    /// When nothing of that id is kept.
    pub async fn drop_conflict(
        &self,
        key: ObjectKey,
        revision: once_model::ids::Hash,
    ) -> Result<(Object, Change), Error> {
        self.change(Command::Discard { key, revision }).await
    }

    /// Makes a new object with its home here.
    ///
    /// # Errors
    /// When its component is known here and could do nothing with its model, the scenario's object was removed, or the disk
    /// is nearly full.
    pub async fn create(&self, scenario: Scenario) -> Result<(Object, Change), Error> {
        let component = scenario.component().and_then(|name| self.shared().components.get(name));
        if let Some(component) = component
            && let Err(why) = component.check(&scenario)
        {
            let error = Error::invalid(format!("this is no state of a {}: {why}", component.name()));
            return Err(match component.first() {
                Some(first) => error.with_hint(format!("a new one begins with {first}")),
                None => error,
            });
        }
        self.change(Command::Create { scenario }).await
    }

    /// Gives an object that has its home here a new state. An unclaimed object is claimed by it.
    ///
    /// # Errors
    /// When this kernel is not its home, or the bytes are no scenario of it.
    pub async fn put(&self, key: ObjectKey, bytes: impl Into<Bytes>) -> Result<(Object, Change), Error> {
        let scenario = Scenario::parse(bytes)?;
        self.change(Command::Put { key, base: None, scenario }).await
    }

    /// Like [`Kernel::put`], but only if `base` is still the newest revision ([`Object::revision_id`]).
    ///
    /// # Errors
    /// As [`Kernel::put`], and when the object has changed since.
    pub async fn put_on(
        &self,
        key: ObjectKey,
        base: once_model::ids::Hash,
        bytes: impl Into<Bytes>,
    ) -> Result<(Object, Change), Error> {
        let scenario = Scenario::parse(bytes)?;
        self.change(Command::Put { key, base: Some(base), scenario }).await
    }

    /// Makes this kernel the home of an unclaimed object.
    ///
    /// # Errors
    /// When it has another home already.
    pub async fn claim(&self, key: ObjectKey) -> Result<(Object, Change), Error> {
        self.change(Command::Claim { key }).await
    }

    /// At its home: removes an object everywhere, with a tombstone that travels. Elsewhere: drops the copy.
    ///
    /// # Errors
    /// When it is not here.
    pub async fn remove(&self, key: ObjectKey) -> Result<(Object, Change), Error> {
        self.change(Command::Remove { key }).await
    }

    /// An object as it is here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn get(&self, key: ObjectKey) -> Result<Option<Object>, Error> {
        let found = object::find(&self.shared().snapshot(), &key.uuid, Some(key.line)).or_error()?;
        Ok(found.into_iter().next().map(|row| Object::new(row, self.id())))
    }

    /// The scenario's bytes as they are here; `None` if the object is not here or was removed.
    ///
    /// # Errors
    /// When the store cannot be read, or the bytes are damaged.
    pub fn scenario(&self, key: ObjectKey) -> Result<Option<Bytes>, Error> {
        let snapshot = self.shared().snapshot();
        match object::find(&snapshot, &key.uuid, Some(key.line)).or_error()?.first() {
            Some(row) => Ok(object::body(&snapshot, &row.header).or_error()?),
            None => Ok(None),
        }
    }

    /// Compares with a peer and exchanges what is missing on either side, as far as rights go.
    ///
    /// # Errors
    /// When the peer cannot be reached or breaks off. What came by then is kept.
    pub async fn exchange(&self, peer: KernelId) -> Result<Report, Error> {
        self.exchange_with(peer, &|_| {}).await
    }

    /// Like [`Kernel::exchange`], telling how far it is.
    ///
    /// # Errors
    /// As [`Kernel::exchange`].
    pub async fn exchange_with(
        &self,
        peer: KernelId,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Report, Error> {
        let session = self.session(peer, PATIENCE).await?;
        match net::initiate(self.online()?, &session, progress).await {
            // The peer had gone without a word: what it said since is on a new connection.
            Err(error)
                if session.connection.close_reason().is_some() && error.kind() == ErrorKind::Unreachable =>
            {
                let session = self.session(peer, PATIENCE).await?;
                net::initiate(self.online()?, &session, progress).await
            }
            done => done,
        }
    }

    pub(crate) async fn session(&self, peer: KernelId, within: Duration) -> Result<Arc<Session>, Error> {
        let net = self.online()?;
        if let Some(session) = net.session(&peer) {
            return Ok(session);
        }
        self.command(Command::Dial { peer }).await?;
        net.connected(&peer, within).await.ok_or_else(|| {
            let why = net.seen(&peer).last_error.map_or_else(String::new, |why| format!(": {why}"));
            let (peer, within_s) = (self.shared().called(&peer), within.as_secs());
            Error::unreachable(format!("no connection to kernel {peer} within {within_s} s{why}"))
                .with_hint("is it up, and is its address right? `once doctor` says more")
        })
    }

    /// Makes an invite that admits one kernel, once, within a day.
    ///
    /// # Errors
    /// When the kernel is offline.
    pub async fn invite(&self) -> Result<Ticket, Error> {
        self.invite_as(None, Duration::from_millis(INVITE_VALID_MS)).await
    }

    /// Makes an invite that ends after `valid` and gives whoever uses it a petname.
    ///
    /// # Errors
    /// When the kernel is offline, or the name is too long.
    pub async fn invite_as(&self, petname: Option<String>, valid: Duration) -> Result<Ticket, Error> {
        let addresses = self.online()?.addresses();
        let secret = Secret::from_bytes(datadir::random());
        let valid_ms = u64::try_from(valid.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = now_ms().saturating_add(valid_ms);
        self.command(Command::Invite { secret_hash: invite_hash(&secret), expires_ms, petname }).await?;
        Ok(Ticket { kernel: self.id(), secret, addresses })
    }

    /// Uses an invite: both kernels are peers from then on and may share into each other's quota.
    ///
    /// # Errors
    /// When the invite is wrong, used or expired; or when nobody answers within 10 s: then it goes on trying.
    pub async fn join(&self, ticket: &Ticket) -> Result<KernelId, Error> {
        self.join_as(ticket, None, PATIENCE).await.map(|(kernel, _)| kernel)
    }

    pub(crate) async fn join_as(
        &self,
        ticket: &Ticket,
        petname: Option<String>,
        within: Duration,
    ) -> Result<(KernelId, String), Error> {
        let net = self.online()?;
        let peer = ticket.kernel;
        let join =
            Command::Join { peer, secret: ticket.secret, addresses: ticket.addresses.clone(), petname };
        match tokio::time::timeout(within, self.command(join)).await {
            Ok(Ok(Answer::Joined { says })) => Ok((peer, says)),
            Ok(Ok(other)) => Err(Error::fault(format!("the engine answered {other:?}"))),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let why = net.seen(&peer).last_error.map_or_else(String::new, |why| format!(": {why}"));
                let (peer, within_s) = (self.shared().called(&peer), within.as_secs());
                Err(Error::timeout(format!("kernel {peer} did not answer within {within_s} s{why}"))
                    .with_hint("this kernel goes on trying; `once peers` shows when it has joined"))
            }
        }
    }

    /// Lets a peer read every object here: request, follow and compare. Finer grants are made over the local API.
    ///
    /// # Errors
    /// When that is no peer.
    pub async fn grant_read_all(&self, peer: KernelId) -> Result<(), Error> {
        let (scope, right) = (Scope::Kernel, Right::Read);
        let grant = Grant { scope, right, kernel: peer, object: None, expires_ms: None, actions: None };
        self.command(Command::Grant(grant)).await.map(drop)
    }

    /// Lets a peer act on every object here. Finer grants are made over the local API.
    ///
    /// # Errors
    /// When that is no peer.
    pub async fn grant_act_all(&self, peer: KernelId) -> Result<(), Error> {
        let (scope, right) = (Scope::Kernel, Right::Act);
        let grant = Grant { scope, right, kernel: peer, object: None, expires_ms: None, actions: None };
        self.command(Command::Grant(grant)).await.map(drop)
    }

    /// Lets a peer act on an object here, in every way that it understands. Finer grants are made over the local API.
    ///
    /// # Errors
    /// When that is no peer.
    pub async fn grant_act(&self, key: ObjectKey, peer: KernelId) -> Result<(), Error> {
        let (scope, right) = (Scope::Object(key), Right::Act);
        let grant = Grant { scope, right, kernel: peer, object: None, expires_ms: None, actions: None };
        self.command(Command::Grant(grant)).await.map(drop)
    }

    /// Ends a peer: its connection and every right at once. Returns when what waited for it is gone, too.
    ///
    /// # Errors
    /// When that is no peer.
    pub async fn remove_peer(&self, peer: KernelId) -> Result<(), Error> {
        self.command(Command::RemovePeer { peer }).await.map(drop)
    }

    /// Waits until `stop` is called over the local API, or the store fails.
    ///
    /// # Errors
    /// Why the kernel can no longer work: its store failed, and the process should end and be started again.
    pub async fn stopped(&self) -> Result<(), Error> {
        let mut fault = self.shared().fault.subscribe();
        let failed = async {
            match fault.wait_for(Option::is_some).await {
                Ok(fault) => fault.clone().unwrap_or_else(Error::stopping),
                Err(_) => Error::stopping(),
            }
        };
        tokio::select! {
            () = self.inner.stop_wanted.notified() => Ok(()),
            error = failed => Err(error),
        }
    }

    /// Stops it: what was accepted is on disk, peers are told, the data directory is free.
    ///
    /// # Errors
    /// When the store could not be closed cleanly; what was synced is safe all the same.
    pub async fn stop(self) -> Result<(), Error> {
        for task in net::lock(&self.inner.tasks).drain(..) {
            task.abort();
        }
        if let Some(net) = self.net() {
            let _ = tokio::time::timeout(Duration::from_secs(2), net.endpoint.close()).await;
        }
        let (done, stopped) = oneshot::channel();
        self.shared().mail.send(Mail::Stop(done)).await.map_err(|_| self.shared().gone())?;
        stopped.await.map_err(|_| self.shared().gone())?
    }
}
