//! A kernel: the engine on a data directory, and the network around it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use once_core::object::{self, HeadRow};
use once_core::waist::{Answer, Command};
use once_model::ids::{KernelId, ObjectKey};
use once_model::scenario::Scenario;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use crate::error::OrError;
use crate::net::{self, Net, Session};
use crate::object::Object;
use crate::shell::{Mail, Shared, now_ms};
use crate::{Change, Error};

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
/// let (object, _) = alice.import(r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#).await?;
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
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// println!("{}", alice.id());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> KernelId {
        self.inner.shared.me
    }

    /// What it calls itself.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// println!("{} is {}", alice.name(), alice.id().short());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Where it can be dialled; nothing if it is offline.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// println!("listening at {}", alice.addresses().join(", "));
    /// # Ok(())
    /// # }
    /// ```
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

    pub(crate) async fn change(&self, command: Command) -> Result<(Object, Change), Error> {
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
                Ok((Object::new(&self.shared().snapshot(), row, self.id())?, Change::of(change)))
            }
            other => Err(Error::fault(format!("the engine answered {other:?}"))),
        }
    }

    /// Makes a new object with its home here.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, uuid: once::model::ids::Uuid) -> Result<(), once::Error> {
    /// use once::model::scenario::Scenario;
    ///
    /// let note = Scenario::compose(uuid, "Note", "1.0", "alice", r#"{"text": "hello"}"#)?;
    /// let (object, _) = alice.create(note).await?;
    /// println!("{}", object.ior(&alice.addresses()));
    /// # Ok(())
    /// # }
    /// ```
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

    /// Makes this kernel the home of an unclaimed object.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// let (object, _) = alice.claim(key).await?;
    /// assert_eq!(object.home(), Some(alice.id()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it has another home already.
    pub async fn claim(&self, key: ObjectKey) -> Result<(Object, Change), Error> {
        self.change(Command::Claim { key }).await
    }

    /// At its home: removes an object everywhere, with a tombstone that travels. Elsewhere: drops the copy.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// alice.remove(key).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is not here.
    pub async fn remove(&self, key: ObjectKey) -> Result<(Object, Change), Error> {
        self.change(Command::Remove { key }).await
    }

    /// An object as it is here.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// if let Some(object) = alice.get(key)? {
    ///     println!("{} revision {}", object.component(), object.revision());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn get(&self, key: ObjectKey) -> Result<Option<Object>, Error> {
        let snapshot = self.shared().snapshot();
        let found = object::find(&snapshot, &key.uuid, Some(key.line)).or_error()?;
        found.into_iter().next().map(|row| Object::new(&snapshot, row, self.id())).transpose()
    }

    /// The scenario's bytes as they are here; `None` if the object is not here or was removed.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// if let Some(bytes) = alice.scenario(key)? {
    ///     println!("{}", String::from_utf8_lossy(&bytes));
    /// }
    /// # Ok(())
    /// # }
    /// ```
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

    /// Waits until the engine's thread has taken what came before: it goes on. A thread that hangs answers nobody, and its kernel
    /// should be ended and started again; this is what a watchdog asks. It also answers while it waits for room on a full disk.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// alice.responds().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn responds(&self) -> Result<(), Error> {
        let (alive, answer) = oneshot::channel();
        self.shared().mail.send(Mail::Ping(alive)).await.map_err(|_| self.shared().gone())?;
        answer.await.map_err(|_| self.shared().gone())
    }

    /// Waits until `stop` is called over the local API, or the store fails.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// alice.serve_api().await?;
    /// alice.stopped().await?;
    /// alice.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
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

    /// Stops the kernel. When it returns, what was accepted is on disk, peers are told, and the data directory is free.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// alice.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
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
