//! Calling a kernel: over its socket, or in this process when none runs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::contract::{self, EventInfo, Method, Progress, RpcError};
use super::{SOCKET, dispatch};
use crate::error::OrError;
use crate::events::EventStream;
use crate::net::lock;
use crate::{Error, Kernel};

/// How long a caller waits while a kernel that runs does not accept calls.
const CROWD_MAX: Duration = Duration::from_secs(5);
const CROWD_STEP: Duration = Duration::from_millis(50);

/// A caller of the local API. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Way>);

enum Way {
    Socket(Socket),
    Embedded(Kernel),
}

struct Socket {
    write: AsyncMutex<OwnedWriteHalf>,
    next: AtomicU64,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, mpsc::UnboundedSender<Heard>>,
    events: Option<mpsc::UnboundedSender<Box<RawValue>>>,
    closed: bool,
}

enum Heard {
    Progress(Value),
    Answer(Result<Value, Error>),
}

impl Client {
    /// Connects to the kernel that runs on this data directory; `None` when none runs.
    ///
    /// # Errors
    /// When the socket is there but may not be used.
    pub async fn connect(data: &Path) -> Result<Option<Self>, Error> {
        let path = data.join(SOCKET);
        let begun = Instant::now();
        let connected = loop {
            let connected = match super::socket_path(data) {
                Ok(short) => UnixStream::connect(short.path()).await,
                Err(e) => Err(e),
            };
            match connected {
                // More connect than it accepts just now.
                Err(e) if e.kind() == ErrorKind::WouldBlock && begun.elapsed() < CROWD_MAX => {
                    tokio::time::sleep(CROWD_STEP).await;
                }
                connected => break connected,
            }
        };
        let stream = match connected {
            Ok(stream) => stream,
            // Nobody listens: no kernel runs, or it has just stopped.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::ConnectionRefused
                        | ErrorKind::ConnectionReset
                        | ErrorKind::BrokenPipe
                ) =>
            {
                return Ok(None);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                let s = CROWD_MAX.as_secs();
                return Err(Error::unreachable(format!("the kernel runs, and accepts no call within {s} s"))
                    .with_hint("too many programs call it, or it ran out of open files: its log says more"));
            }
            Err(e) => {
                return Err(Error::io(&path, &e, "only the user who runs the kernel may call it"));
            }
        };
        let (read, write) = stream.into_split();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        tokio::spawn(read_all(read, Arc::clone(&waiting)));
        let socket = Socket { write: AsyncMutex::new(write), next: AtomicU64::new(1), waiting };
        Ok(Some(Self(Arc::new(Way::Socket(socket)))))
    }

    /// Opens the data directory in this process, without a network: for what needs none.
    ///
    /// # Errors
    /// When no kernel lives there, or another process has it open.
    pub async fn embedded(data: &Path) -> Result<Self, Error> {
        let kernel = Kernel::builder(data).offline().start().await?;
        Ok(Self(Arc::new(Way::Embedded(kernel))))
    }

    /// Opens what can be read of a damaged data directory in this process, copied into `scratch`, an empty directory on a disk
    /// with room for it that is closed to others. The data directory stays as it is. The second: what had to be left out.
    ///
    /// # Errors
    /// When nothing of it can be opened, or another process has it open.
    pub async fn salvaged(data: &Path, scratch: &Path) -> Result<(Self, Vec<String>), Error> {
        crate::datadir::copy_identity(data, scratch)?;
        let (from, to) = (data.to_owned(), scratch.to_owned());
        let left_out = crate::beside::wait_for(move || once_store::salvage(&from, &to)).await;
        let left_out = left_out.map_err(|_| Error::fault("copying a damaged store panicked"))?.or_error()?;
        // What the repair wrote has the rights of any new file, in a directory that is closed to others.
        crate::private::narrow(scratch)?;
        let kernel = Kernel::builder(scratch).offline().only_reads().start().await?;
        Ok((Self(Arc::new(Way::Embedded(kernel))), left_out))
    }

    /// Whether the kernel is in this process, without a network.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(*self.0, Way::Embedded(_))
    }

    /// Calls a method of the contract.
    ///
    /// ```no_run
    /// # async fn add(client: &once::api::Client) -> Result<(), once::Error> {
    /// use once::api::contract::Act;
    /// let act = Act { object: "0a1b".into(), name: "add".into(), ..Act::default() };
    /// let done = client.ask(act).await?.done;
    /// println!("{}", done.map(|done| done.result_text).unwrap_or_default());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the kernel answered, that it is gone, or that its answer is not what the contract has.
    pub async fn ask<M: Method>(&self, params: M) -> Result<M::Result, Error> {
        read::<M>(self.call_with(M::NAME, written(&params)?, None).await?)
    }

    /// Calls a method of the contract that tells how far it is.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_with_progress<M: Method>(
        &self,
        params: M,
        mut progress: impl FnMut(&Progress) + Send,
    ) -> Result<M::Result, Error> {
        let mut told = |value: &Value| {
            if let Ok(now) = Progress::deserialize(value) {
                progress(&now);
            }
        };
        read::<M>(self.call_with(M::NAME, written(&params)?, Some(&mut told)).await?)
    }

    /// Calls a method by its name, for who has its parameters as JSON.
    ///
    /// # Errors
    /// What the kernel answered, or that it is gone.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, Error> {
        self.call_with(method, params, None).await
    }

    /// The same with a method that tells how far it is.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with_progress(
        &self,
        method: &str,
        params: Value,
        mut progress: impl FnMut(&Value) + Send,
    ) -> Result<Value, Error> {
        self.call_with(method, params, Some(&mut progress)).await
    }

    async fn call_with(
        &self,
        method: &str,
        mut params: Value,
        mut progress: Option<&mut (dyn FnMut(&Value) + Send)>,
    ) -> Result<Value, Error> {
        match &*self.0 {
            Way::Embedded(kernel) => {
                let progress = Mutex::new(progress);
                let tell = |told: Progress| {
                    if let Some(progress) = &mut *lock(&progress) {
                        progress(&serde_json::to_value(told).unwrap_or_default());
                    }
                };
                dispatch(kernel, method, params, &tell).await
            }
            Way::Socket(socket) => {
                if let (Some(_), Some(params)) = (&progress, params.as_object_mut()) {
                    params.insert("progress".into(), json!(true));
                }
                let mut heard = socket.send(method, params).await?;
                loop {
                    match heard.recv().await {
                        Some(Heard::Progress(value)) => {
                            if let Some(progress) = &mut progress {
                                progress(&value);
                            }
                        }
                        Some(Heard::Answer(answer)) => return answer,
                        None => return Err(gone()),
                    }
                }
            }
        }
    }

    /// What happens on the kernel: from now on, or since a place in its event log. Over a socket there is one such stream at a time.
    ///
    /// # Errors
    /// When the kernel is gone, or the place is none of it.
    pub async fn listen(&self, params: contract::Listen) -> Result<EventFeed, Error> {
        match &*self.0 {
            Way::Embedded(kernel) => {
                Ok(EventFeed(Source::Embedded(super::events::listened(kernel, &params)?.stream()?)))
            }
            Way::Socket(socket) => {
                let (events, heard) = mpsc::unbounded_channel();
                lock(&socket.waiting).events = Some(events);
                let begins = self.ask(params).await?.cursor;
                Ok(EventFeed(Source::Socket { heard, begins }))
            }
        }
    }

    /// Ends an embedded kernel cleanly; a connection just closes.
    ///
    /// # Errors
    /// When the store could not be closed cleanly.
    pub async fn close(self) -> Result<(), Error> {
        match &*self.0 {
            Way::Embedded(kernel) => kernel.clone().stop().await,
            Way::Socket(_) => Ok(()),
        }
    }
}

impl Socket {
    async fn send(&self, method: &str, params: Value) -> Result<mpsc::UnboundedReceiver<Heard>, Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, heard) = mpsc::unbounded_channel();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.closed {
                return Err(gone());
            }
            waiting.calls.insert(id, tell);
        }
        let mut line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        line.push('\n');
        self.write.lock().await.write_all(line.as_bytes()).await.map_err(|_| gone())?;
        Ok(heard)
    }
}

fn written(params: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(params).map_err(|error| Error::fault(format!("writing a call: {error}")))
}

/// An answer, as the contract has it.
fn read<M: Method>(answer: Value) -> Result<M::Result, Error> {
    serde_json::from_value(answer).map_err(|error| {
        Error::fault(format!("the kernel answered {} with what is not known here: {error}", M::NAME))
            .with_hint("it may be of another version: `once stop`, then `once up`")
    })
}

fn gone() -> Error {
    Error::unreachable("the kernel went away before it answered")
        .with_hint("what it had accepted is safe; start it with `once up` and ask again")
}

async fn read_all(read: OwnedReadHalf, waiting: Arc<Mutex<Waiting>>) {
    let mut lines = BufReader::new(read).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let Ok(line) = serde_json::from_slice::<Spoken<'_>>(&line) else { continue };
        hear(&waiting, &line);
    }
    let mut waiting = lock(&waiting);
    waiting.closed = true;
    waiting.calls.clear();
    waiting.events = None;
}

/// A line of the kernel: an answer or a notification. What it holds is read by whoever it is for.
#[derive(Deserialize)]
struct Spoken<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

fn parsed(raw: Option<&RawValue>) -> Value {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn hear(waiting: &Mutex<Waiting>, line: &Spoken<'_>) {
    let mut waiting = lock(waiting);
    match line.method.as_deref() {
        Some("event") => {
            if let (Some(events), Some(params)) = (&waiting.events, line.params) {
                let _ = events.send(params.to_owned());
            }
        }
        Some("progress") => {
            let mut params = parsed(line.params);
            let id = params["id"].as_u64();
            if let Some(call) = id.and_then(|id| waiting.calls.get(&id)) {
                let _ = call.send(Heard::Progress(params.take()));
            }
        }
        _ => {
            if let Some(call) = line.id.and_then(|id| waiting.calls.remove(&id)) {
                let answer = match line.error {
                    Some(error) => Err(read_error(&parsed(Some(error)))),
                    None => Ok(parsed(line.result)),
                };
                let _ = call.send(Heard::Answer(answer));
            }
        }
    }
}

fn read_error(error: &Value) -> Error {
    RpcError::deserialize(error).map_or_else(
        |_| Error::fault(error["message"].as_str().unwrap_or("an error without a message")),
        Error::from,
    )
}

/// A stream of events.
pub struct EventFeed(Source);

enum Source {
    Socket { heard: mpsc::UnboundedReceiver<Box<RawValue>>, begins: String },
    Embedded(EventStream),
}

impl EventFeed {
    /// The place in the event log behind which it began.
    #[must_use]
    pub fn begins(&self) -> String {
        match &self.0 {
            Source::Socket { begins, .. } => begins.clone(),
            Source::Embedded(events) => events.begins().to_string(),
        }
    }

    /// The next one; `None` when the kernel has stopped. A kind that is not known here is passed over.
    pub async fn next(&mut self) -> Option<EventInfo> {
        match &mut self.0 {
            Source::Socket { heard, .. } => loop {
                if let Ok(event) = serde_json::from_str(heard.recv().await?.get()) {
                    return Some(event);
                }
            },
            Source::Embedded(events) => events.next().await?.ok(),
        }
    }
}
