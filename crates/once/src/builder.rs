//! How a kernel starts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::component::{self, Component, Components};
use crate::datadir::{self, Config};
use crate::net::{self, Handle, Listen, Net, Offline};
use crate::shell::Kept;
use crate::{Error, Kernel, shell};

/// Builder of a running kernel.
///
/// ```no_run
/// # async fn run() -> Result<(), once::Error> {
/// use std::time::Duration;
/// use once::component::counter;
///
/// let kernel = once::Kernel::builder("./alice")
///     .name("alice")
///     .listen("[::]:4277")
///     .relay("https://relay.example")
///     .lan(true)
///     .component(counter())
///     .activity("mail", |work| async move { Ok(serde_json::json!({ "sent": work.id.to_string() })) })
///     .live(64 << 20, Duration::from_secs(300))
///     .revisions(10)
///     .told(5_000)
///     .run_limit(Duration::from_secs(10))
///     .start()
///     .await?;
/// kernel.stop().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    data: PathBuf,
    name: Option<String>,
    listen: Option<String>,
    relay: Option<String>,
    offline: bool,
    lan: bool,
    /// Of a copy of a damaged store.
    only_reads: bool,
    kept: Kept,
    components: Components,
}

impl Builder {
    pub(crate) fn new(data: PathBuf) -> Self {
        Self {
            data,
            name: None,
            listen: None,
            relay: None,
            offline: false,
            lan: false,
            only_reads: false,
            kept: Kept::default(),
            components: Components::default(),
        }
    }

    /// What it calls itself to others from now on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The UDP address to listen on, like `192.0.2.7:4277`; `[::]:4277` is every address of both
    /// families. Without it: the kernel's own scenario says.
    pub fn listen(mut self, addr: impl Into<String>) -> Self {
        self.listen = Some(addr.into());
        self
    }

    /// A relay to be reachable through.
    pub fn relay(mut self, url: impl Into<String>) -> Self {
        self.relay = Some(url.into());
        self
    }

    /// Adds a component. Of two with one name the later one counts.
    pub fn component(mut self, component: impl Into<Component>) -> Self {
        self.components.add(component.into());
        self
    }

    /// How much memory objects may take up that are awake, in bytes (about; default 8 MiB), and how long one stays awake
    /// without an action (default a minute). All others rest on the disk and take no memory; the next action restores
    /// them.
    pub fn live(mut self, max_bytes: usize, idle: Duration) -> Self {
        self.components.stay_awake(max_bytes, idle);
        self
    }

    /// Of how many of the newest entries of each object its history shows what was asked and said: name, arguments and
    /// result, each up to 1,024 bytes. 0: of none. Without it: the kernel's own scenario says (`told`), else of 1,000.
    ///
    /// They go in slices, so that more are there for a while. Entries as such are kept longer: of each kernel at least
    /// 10,000 that show no more what was asked.
    pub fn told(mut self, entries: u64) -> Self {
        self.kept.told_rows = Some(entries);
        self
    }

    /// How many earlier revisions of each object are kept, for [`Kernel::revision`]: of objects whose home this kernel is, the
    /// newest that were replaced, at most 64 and 16 MiB of each object. Without it: the kernel's own scenario says (`revisions`),
    /// else none. What is kept beyond a smaller number goes with the next change of its object.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), once::Error> {
    /// let kernel = once::Kernel::builder("./alice").revisions(10).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn revisions(mut self, revisions: usize) -> Self {
        self.kept.revisions = Some(revisions);
        self
    }

    /// Does a kind of work outside that objects ask for ([`crate::Context::activity`]): sends a mail, asks a sensor. It
    /// may be asked for the same work more than once; [`crate::Activity::id`] tells. An error is told to the object as
    /// a failure.
    ///
    /// ```no_run
    /// # fn f(builder: once::Builder) -> once::Builder {
    /// builder.activity("wait", |work: once::Activity| async move {
    ///     tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///     Ok(work.arguments)
    /// })
    /// # }
    /// ```
    pub fn activity<F>(
        mut self,
        name: impl Into<String>,
        work: impl Fn(crate::Activity) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<serde_json::Value, serde_json::Value>> + Send + 'static,
    {
        self.components.add_worker(name.into(), Arc::new(move |activity| Box::pin(work(activity))));
        self
    }

    /// How long a program that serves a component over the local API may take for one run (default a minute). Then the
    /// run is given up, and asked for again.
    pub fn run_limit(self, limit: Duration) -> Self {
        self.components.served.set_limit(limit);
        self
    }

    /// Whether it announces itself on the local network by multicast DNS, and hears where its peers are there: kernels that have both got
    /// other addresses find each other again. What is heard is a hint; keys decide. Not while it listens on a loopback address
    /// alone, and not where the kernel's own scenario forbids it (`"lan": false`). Off unless this is called.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), once::Error> {
    /// let kernel = once::Kernel::builder("./alice").lan(true).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lan(mut self, on: bool) -> Self {
        self.lan = on;
        self
    }

    /// No network: for work on the data directory alone.
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Nothing is written: for the copy of a damaged store.
    pub(crate) fn only_reads(mut self) -> Self {
        self.only_reads = true;
        self
    }

    /// Starts it. The network runs on the caller's tokio runtime (a current-thread one is the fastest), the engine on
    /// a thread of its own.
    ///
    /// # Errors
    /// When no kernel lives in the directory, another process runs it, its key is open to others, or its address is
    /// taken.
    pub async fn start(self) -> Result<Kernel, Error> {
        let key = datadir::read_key(&self.data)?;
        let mut config = datadir::read_config(&self.data)?;
        if let Some(name) = self.name {
            config.name = name;
        }
        let kept = Kept {
            told_rows: self.kept.told_rows.or(config.told),
            revisions: self.kept.revisions.or(config.revisions),
        };
        let store = match self.only_reads {
            true => datadir::open_copy(&self.data)?,
            false => datadir::open_store(&self.data)?,
        };
        // What cannot be read is the engine's to say.
        let owner = once_core::meta::identity(&store).ok().flatten().map(|identity| identity.kernel);
        if let Some(owner) = owner.filter(|owner| *owner != key.id()) {
            return Err(datadir::other_key(&self.data, &key.id(), &owner));
        }
        self.components.remember(config.served.clone(), config.served_moves.clone());
        let (shared, thread) = shell::prepare(self.data.clone(), key, store, self.components, kept)?;
        let listen = match self.offline {
            true => None,
            false => Some(listen(&config, self.listen.as_deref(), self.relay.as_deref())?),
        };
        let net = match &listen {
            Some(listen) => Some(Net::new(net::bind(&shared.key, listen).await?, Arc::clone(&shared))),
            None => None,
        };
        if let Some(net) = &net {
            keep_port(&self.data, &mut config, net)?;
        }
        let spawned = std::thread::Builder::new().name("once-engine".into()).spawn({
            let (net, offline) = (net.clone(), Arc::clone(&shared));
            move || match net {
                Some(net) => thread.run(&Handle(net)),
                None => thread.run(&Offline(offline)),
            }
        });
        spawned.map_err(|e| Error::fault(format!("no thread for the engine: {e}")))?;
        if net.is_some() {
            look_at_files(&shared).await;
        }
        let accept = net.iter().map(|net| tokio::spawn(net::accept(Arc::clone(net))).abort_handle());
        let pulse = net.iter().map(|net| tokio::spawn(net::pulse(Arc::clone(net))).abort_handle());
        let watch = net.iter().map(|net| tokio::spawn(net::watch_own(Arc::clone(net))).abort_handle());
        let lan = net.iter().filter(|_| self.lan && config.lan != Some(false));
        let lan = lan.map(|net| tokio::spawn(net::announce(Arc::clone(net))).abort_handle());
        let sweep = net.iter().map(|net| tokio::spawn(Net::sweep(Arc::downgrade(net))).abort_handle());
        let rest = tokio::spawn(let_idle_ones_rest(Arc::downgrade(&shared.components))).abort_handle();
        let served = Arc::clone(&shared.components.served);
        let usher = tokio::spawn(component::usher(Arc::downgrade(&shared), served)).abort_handle();
        let tasks = accept.chain(pulse).chain(watch).chain(lan).chain(sweep).chain([rest, usher]).collect();
        Ok(Kernel::new(shared, net, config.name, tasks))
    }
}

/// How long a start waits for a look at the files of the store, so that what is damaged is said at once. Of a large store it
/// goes on beside.
const LOOK_MAX: Duration = Duration::from_millis(300);

async fn look_at_files(shared: &Arc<shell::Shared>) {
    let shared = Arc::clone(shared);
    let look = tokio::spawn(crate::beside::wait_for(move || {
        let files = once_store::damaged_files(&shared.data);
        if !files.is_empty() {
            shared.found_damaged(&files);
        }
    }));
    let _ = tokio::time::timeout(LOOK_MAX, look).await;
}

/// Objects that had no action for long hibernate, also when nothing else happens.
async fn let_idle_ones_rest(components: Weak<Components>) {
    while let Some(components) = components.upgrade() {
        components.live.rest_idle();
        let pause = (components.live.idle() / 4).max(Duration::from_secs(1));
        drop(components);
        tokio::time::sleep(pause).await;
    }
}

fn listen(config: &Config, addr: Option<&str>, relay: Option<&str>) -> Result<Listen, Error> {
    let addr = addr.unwrap_or(if config.listen.is_empty() { datadir::LISTEN } else { &config.listen });
    let wrong = |what: &str, text: &str| {
        Error::usage(format!("'{text}' is not {what}")).with_hint(
            "like [::]:4277 (every address of the machine), 192.0.2.7:4277, or https://relay.example.org",
        )
    };
    let relay = match relay.or(config.relay.as_deref()).filter(|url| !url.is_empty()) {
        Some(url) => Some(url.parse().map_err(|_| wrong("the URL of a relay", url))?),
        None => None,
    };
    Ok(Listen { addr: addr.parse().map_err(|_| wrong("an address to listen on", addr))?, relay })
}

/// Remembers the port that was free at the first start: peers shall find this kernel where it was.
fn keep_port(data: &Path, config: &mut Config, net: &Net) -> Result<(), Error> {
    let bound = net.endpoint.bound_sockets();
    let configured: Option<std::net::SocketAddr> = config.listen.parse().ok();
    if let Some(mut addr) = configured
        && addr.port() == 0
        && let Some(bound) = bound.iter().find(|bound| addr.ip() == bound.ip() || addr.ip().is_unspecified())
    {
        addr.set_port(bound.port());
        config.listen = addr.to_string();
        datadir::write_config(data, config)?;
    }
    Ok(())
}

impl Kernel {
    /// How to start the kernel that lives in a directory.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), once::Error> {
    /// let alice = once::Kernel::builder("./alice").component(once::component::counter()).start().await?;
    /// alice.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(data: impl AsRef<Path>) -> Builder {
        Builder::new(data.as_ref().into())
    }
}
