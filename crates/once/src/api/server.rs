//! The socket: one task a connection, one task a call.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::contract::{EventInfo, ListenResult, Progress, RpcError};
use super::doors::{Door, Doors, Entered};
use super::lines::{self, Line, Places, Spoken};
use super::served::Link;
use super::{SOCKET, dispatch};
use crate::events::EventStream;
use crate::kernel::Weak;
use crate::{Error, Kernel};

/// Calls of one connection that are carried out at once; further ones wait in the socket.
const CALLS_MAX: usize = 64;

/// Answers and notifications that wait for a client to read them.
const UNREAD_MAX: usize = 1024;

/// After an error in accepting a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Open files that are kept for callers.
const SPARE_FILES: usize = 4;

/// How often that is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// A connection that came when all places were taken goes when it says nothing for so long.
const BRIEF_IDLE_MAX: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

/// Binds the socket and serves it until `stop` is called over it.
async fn serve(kernel: &Kernel, stop: Arc<Notify>) -> Result<(), Error> {
    let path = kernel.shared().data.join(SOCKET);
    // The data directory is locked by this process: a socket that is there is a dead one.
    let _ = std::fs::remove_file(&path);
    let wrong = |e: std::io::Error| {
        Error::fault(format!("{}: {e}", path.display()))
            .with_hint("check the directory's permissions and the free space")
    };
    let short = super::socket_path(&kernel.shared().data).map_err(wrong)?;
    let listener = UnixListener::bind(short.path()).map_err(wrong)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
    // Neither this task nor an idle connection keeps the kernel running once everyone else has let it go.
    let server = Server { kernel: kernel.downgrade(), stop, doors: Doors::new(), places: Places::default() };
    kernel.keep_task(tokio::spawn(accept(listener, server)).abort_handle());
    Ok(())
}

impl Kernel {
    /// Binds the local API's socket in the data directory and serves it while the kernel runs. Serving does not keep
    /// it running; a call that is under way does.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// alice.serve_api().await?;    // from now on `once --data …` and other programs can use it
    /// alice.stopped().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub async fn serve_api(&self) -> Result<(), Error> {
        serve(self, self.stop_wanted()).await
    }
}

/// What all connections share.
#[derive(Clone)]
struct Server {
    kernel: Weak,
    stop: Arc<Notify>,
    doors: Arc<Doors>,
    places: Places,
}

/// Accepts connections until it is aborted. An error passes: the process may be out of files for a while.
async fn accept(listener: UnixListener, server: Server) {
    let mut said: Option<Instant> = None;
    let mut spare = Spare::default();
    spare.fill();
    loop {
        server.doors.room().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                // Not before: what was let go is for this one.
                spare.fill();
                match server.doors.enter() {
                    Some(entered) => drop(tokio::spawn(connection(server.clone(), stream, entered))),
                    None => turn_away(&stream),
                }
            }
            // Whoever took all the others: there is a place for one more call, and for the next when that has ended.
            Err(_) if spare.give() => {}
            Err(error) => {
                if said.is_none_or(|then| then.elapsed() > SAY_EVERY) {
                    said = Some(Instant::now());
                    tracing::error!(%error, "the local API cannot accept a connection; it goes on trying");
                }
                server.doors.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Files that are open only so that there is one for whoever calls when the process can open no other.
#[derive(Default)]
struct Spare(Vec<std::fs::File>);

impl Spare {
    fn fill(&mut self) {
        while self.0.len() < SPARE_FILES {
            // Without it there is one place less, and the next time it is tried again.
            let Ok(file) = std::fs::File::open("/dev/null") else { return };
            self.0.push(file);
        }
    }

    /// Lets one go, if there is one.
    fn give(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

/// Too many are here, and all are busy: said as far as it can be said at once.
fn turn_away(stream: &UnixStream) {
    let error = Error::quota("too many programs use this kernel at once, and all of them are busy")
        .with_hint("end some of them, or try again later");
    let _ = stream.try_write(format!("{}\n", failure(&Value::Null, &error)).as_bytes());
}

async fn connection(server: Server, stream: UnixStream, mut entered: Entered) {
    let Server { kernel, stop, places, .. } = server;
    let door = Arc::clone(&entered.door);
    let (read, mut write) = stream.into_split();
    let (lines, mut outgoing) = mpsc::channel::<Line>(UNREAD_MAX);
    let writer = tokio::spawn(async move {
        while let Some(Line { mut text, slot: _slot }) = outgoing.recv().await {
            text.push('\n');
            if write.write_all(text.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    let link = Arc::new(Link::new(lines.clone(), !door.is_brief));
    let calls = Arc::new(Semaphore::new(CALLS_MAX));
    let mut reader = BufReader::new(read);
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let read = tokio::select! {
            read = lines::next(&mut reader, &places) => read,
            () = kernel.ended() => {
                // Whoever asked before is still told that, or why; nothing new is heard.
                while tasks.join_next().await.is_some() {}
                break;
            }
            // Others need its place, and it has nothing under way.
            () = door.wanted() => break,
            () = has_stayed(&door), if door.is_brief => break,
        };
        entered.used();
        let line = match read {
            Ok(None) => break,
            Ok(Some(line)) => line,
            Err(error) => {
                let _ = lines.send(failure(&Value::Null, &error).into()).await;
                break;
            }
        };
        if line.bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let permit = match Arc::clone(&calls).try_acquire_owned() {
            Ok(permit) => permit,
            // What these calls wait for may be an answer behind them on this connection: it must be read.
            Err(_) if link.is_serving() => {
                beside(&kernel, line, &lines, &link, &stop).await;
                continue;
            }
            Err(_) => match Arc::clone(&calls).acquire_owned().await {
                Ok(permit) => permit,
                Err(_) => break,
            },
        };
        let (kernel, lines, stop) = (kernel.clone(), lines.clone(), Arc::clone(&stop));
        let (link, door) = (Arc::clone(&link), Arc::clone(&door));
        tasks.spawn(async move {
            let busy = door.busy();
            let served = link.is_serving();
            call(&kernel, line, &lines, &link, &stop).await;
            if !served && link.is_serving() {
                // It is asked from now on: as long as it lives, nobody takes its place.
                door.stays();
            }
            drop((permit, busy));
        });
        while tasks.try_join_next().is_some() {}
    }
    // A client that hangs up no longer waits for its calls; what they began goes on in the engine.
    tasks.abort_all();
    // What it was asked is asked of others.
    link.end();
    drop((lines, link));
    let _ = writer.await;
}

/// Returns when a connection that may not stay has nothing under way.
async fn has_stayed(door: &Door) {
    loop {
        tokio::time::sleep(BRIEF_IDLE_MAX).await;
        if door.is_idle() {
            return;
        }
    }
}

/// One call too many of a connection that serves: answers of its are heard, all else is refused.
async fn beside(kernel: &Weak, line: Spoken, lines: &mpsc::Sender<Line>, link: &Link, stop: &Notify) {
    match serde_json::from_slice::<Call<'_>>(&line.bytes) {
        Ok(Call { id, method, .. }) if !Link::is_answer(&method) => {
            let error =
                Error::quota(format!("{CALLS_MAX} calls of this connection, which serves, are under way"))
                    .with_hint("wait for some of them, or make such calls on a connection of their own");
            let _ = lines.send(failure(&id, &error).into()).await;
        }
        _ => call(kernel, line, lines, link, stop).await,
    }
}

async fn call(kernel: &Weak, line: Spoken, lines: &mpsc::Sender<Line>, link: &Link, stop: &Notify) {
    let Call { id, method, params } = match serde_json::from_slice(&line.bytes) {
        Ok(call) => call,
        Err(error) => {
            let error = Error::usage(format!("not a JSON-RPC 2.0 request: {error}"));
            let _ = lines.send(failure(&Value::Null, &error).into()).await;
            return;
        }
    };
    let Some(running) = kernel.upgrade() else {
        let _ = lines.send(failure(&id, &Error::stopping()).into()).await;
        return;
    };
    let params = params.map_or("{}", RawValue::get);
    let mut begins = None;
    let answer = match method.as_str() {
        "listen" | "serve" | "serve_activity" if !link.may_stay() => Err(Error::quota(
            "too many programs use this kernel at once: one more may call it, but not listen or serve",
        )
        .with_hint("end some of them, or try again later")),
        "stop" => {
            drop(running);
            let _ = lines.send(json!({ "jsonrpc": "2.0", "id": id, "result": true }).into()).await;
            stop.notify_one();
            return;
        }
        "listen" => {
            let begun = listened(&running, params);
            drop(running);
            let events = match begun {
                Ok((events, result)) => {
                    let _ = lines.send(json!({ "jsonrpc": "2.0", "id": id, "result": result }).into()).await;
                    events
                }
                Err(error) => return drop(lines.send(failure(&id, &error).into()).await),
            };
            return tell_events(events, link.listens(), lines).await;
        }
        method if Link::has(method) => link.call(&running, method, params).await.map(|(result, then)| {
            begins = then;
            result
        }),
        _ => {
            let params = serde_json::from_str::<Value>(params).unwrap_or_default();
            // Understood: its place is free for another line, however long the call takes.
            drop(line);
            let wants = params.get("progress").and_then(Value::as_bool) == Some(true);
            let tell = |progress: Progress| {
                if wants {
                    let mut note = json!({ "jsonrpc": "2.0", "method": "progress", "params": progress });
                    note["params"]["id"] = id.clone();
                    // A client that reads too slowly misses some progress, not its answer.
                    let _ = lines.try_send(note.into());
                }
            };
            dispatch(&running, &method, params, &tell).await
        }
    };
    // A client that does not read its answer keeps no kernel running.
    drop(running);
    let line = match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => failure(&id, &error),
    };
    let _ = lines.send(line.into()).await;
    // After the answer: a client is asked nothing before it is told that it may be.
    if let Some(begins) = begins {
        link.begin(begins);
    }
}

fn failure(id: &Value, error: &Error) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": RpcError::from(error) })
}

/// A notification of an event.
#[derive(Serialize)]
struct Notice {
    jsonrpc: &'static str,
    method: &'static str,
    params: EventInfo,
}

/// A stream of events begins: from now on nothing is missed.
fn listened(kernel: &Kernel, params: &str) -> Result<(EventStream, ListenResult), Error> {
    let params =
        serde_json::from_str(params).map_err(|error| Error::usage(format!("parameters: {error}")))?;
    let events = super::events::listened(kernel, &params)?.stream()?;
    let cursor = events.begins().to_string();
    Ok((events, ListenResult { cursor }))
}

/// Tells a client what happens, until the kernel ends, the client goes or wants another stream. An error ends the stream: it is in
/// the log.
async fn tell_events(mut events: EventStream, mut ended: oneshot::Receiver<()>, lines: &mpsc::Sender<Line>) {
    loop {
        let event = tokio::select! {
            // What happened before the end comes before the end.
            biased;
            event = events.next() => event,
            _ = &mut ended => None,
        };
        let params = match event {
            Some(Ok(params)) => params,
            Some(Err(error)) => return tracing::error!(%error, "the event log cannot be read"),
            None => return,
        };
        let notice = Notice { jsonrpc: "2.0", method: "event", params };
        let Ok(line) = serde_json::to_string(&notice) else { continue };
        if lines.send(Line::from(line)).await.is_err() {
            return;
        }
    }
}
