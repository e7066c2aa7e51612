//! The local API: how programs on the same machine use a kernel. `docs/local-api.md` is its description.
//!
//! [`Client`] calls a running kernel over its socket, or opens the data directory in this process when none runs.

mod acting;
mod answer;
mod check;
mod client;
mod conflicts;
mod coordinate;
mod damage;
mod difference;
mod doctor;
mod doors;
mod drain;
mod find;
mod history;
mod invites;
mod lanes;
mod lines;
mod list;
mod methods;
mod moving;
mod names;
mod outbox;
mod peers;
mod quarantine;
mod retire;
mod served;
mod server;
mod shapes;
mod standing;
mod status;
mod tell;
#[cfg(test)]
mod tests;
mod transfer;
mod transfers;
mod turns;
mod way;

pub use crate::Error as ApiError;
pub use client::{Client, Events};
pub use find::{FindCondition, FindParams, FindResult, FoundShape};

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tell::Tell;

use crate::{Error, Kernel};

/// The version of the API.
pub const VERSION: u32 = 1;

/// The socket's name in the data directory.
const SOCKET: &str = "api.sock";

/// The longest path that a socket's address holds on every system, in bytes.
const SOCKET_PATH_MAX_BYTES: usize = 100;

/// Where the socket is, in a form that fits into a socket's address.
struct SocketPath {
    path: PathBuf,
    /// The path leads through this open directory.
    _folder: Option<std::fs::File>,
}

impl SocketPath {
    fn path(&self) -> &Path {
        &self.path
    }
}

fn socket_path(data: &Path) -> std::io::Result<SocketPath> {
    let path = data.join(SOCKET);
    if path.as_os_str().len() <= SOCKET_PATH_MAX_BYTES || !cfg!(target_os = "linux") {
        return Ok(SocketPath { path, _folder: None });
    }
    let folder = std::fs::File::open(data)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", std::os::fd::AsRawFd::as_raw_fd(&folder)));
    Ok(SocketPath { path, _folder: Some(folder) })
}

/// What a kernel in this process tells of itself, as `status` does over the socket.
///
/// # Errors
/// When its store cannot be read.
pub fn status(kernel: &Kernel) -> Result<Value, Error> {
    status::status(kernel)
}

/// Methods without parameters.
const BARE: [&str; 12] = [
    "hello",
    "status",
    "conflicts",
    "follows",
    "moves",
    "outbox",
    "invites",
    "quarantine",
    "clock.accept",
    "peers",
    "grants",
    "confirm_losses",
];

/// No parameters. What is misspelled would be passed over without a word, and its caller would rely on it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Carries one call out.
async fn dispatch(kernel: &Kernel, method: &str, mut params: Value, tell: Tell<'_>) -> Result<Value, Error> {
    // For whoever carries the answer: every method takes it.
    params.as_object_mut().map(|members| members.remove("progress"));
    if BARE.contains(&method) {
        let Nothing {} = read(params.clone())?;
    }
    match method {
        "hello" => Ok(hello(kernel)),
        "status" => status::status(kernel),
        "import" => methods::import(kernel, read(params)?).await,
        "create" => methods::create(kernel, read(params)?).await,
        "put" => methods::put(kernel, read(params)?).await,
        "coordinate" => coordinate::coordinate(kernel, read(params)?, tell).await,
        "act" => acting::act(kernel, read(params)?).await,
        "outcome" => acting::outcome(kernel, read(params)?),
        "cancel" => acting::cancel(kernel, read(params)?).await,
        "receipt" => acting::receipt(kernel, read(params)?).await,
        "history" => history::history(kernel, read(params)?),
        "claim" => methods::claim(kernel, read(params)?).await,
        "remove" => methods::remove(kernel, read(params)?).await,
        "list" => list::list(kernel, read(params)?).await,
        "find" => shown(find::find(kernel, read(params)?).await?),
        "get" => methods::get(kernel, read(params)?),
        "path" => way::path(kernel, read(params)?).await,
        "refs" => methods::refs(kernel, read(params)?),
        "conflicts" => conflicts::list(kernel),
        "conflicts.keep" => conflicts::keep(kernel, read(params)?).await,
        "conflicts.drop" => conflicts::discard(kernel, read(params)?).await,
        "share" => transfer::share(kernel, read(params)?, tell).await,
        "request" => transfer::request(kernel, read(params)?).await,
        "exchange" => transfer::exchange(kernel, read(params)?, tell).await,
        "follow" => transfer::follow(kernel, read(params)?).await,
        "unfollow" => transfer::unfollow(kernel, read(params)?).await,
        "follows" => transfer::follows(kernel),
        "move" => moving::start(kernel, read(params)?, tell).await,
        "moves" => moving::list(kernel).await,
        "moves.withdraw" => moving::withdraw(kernel, read(params)?).await,
        "drain" => drain::drain(kernel, read(params)?, tell).await,
        "drain.cancel" => drain::cancel(kernel, read(params)?).await,
        "retire" => retire::retire(kernel, read(params)?).await,
        "receipts" => retire::receipts(kernel, read(params)?).await,
        "outbox" => outbox::list(kernel).await,
        "outbox.drop" => outbox::give_up(kernel, read(params)?).await,
        "invite" => invites::invite(kernel, read(params)?).await,
        "invites" => invites::list(kernel),
        "invites.revoke" => invites::revoke(kernel, read(params)?).await,
        "quarantine" => quarantine::look(kernel),
        "quarantine.end" => quarantine::end(kernel, read(params)?).await,
        "clock.accept" => doctor::accept_clock(kernel).await,
        "join" => peers::join(kernel, read(params)?).await,
        "peers" => peers::list(kernel),
        "peers.add" => peers::add(kernel, read(params)?).await,
        "peers.set" => peers::set(kernel, read(params)?).await,
        "peers.remove" => peers::remove(kernel, read(params)?).await,
        "peers.dial" => peers::dial(kernel, read(params)?).await,
        "grant" => peers::grant(kernel, read(params)?).await,
        "revoke" => peers::revoke(kernel, read(params)?).await,
        "grants" => peers::grants(kernel),
        "doctor" => doctor::examine(kernel, read(params)?).await,
        "survey" => damage::survey(kernel, read(params)?).await,
        "confirm_losses" => damage::confirm(kernel),
        "unserve" => served::unserve(kernel, read(params)?).await,
        other if served::Link::has(other) => {
            Err(Error::usage(format!("'{other}' needs a connection to a kernel that runs"))
                .with_hint("start it with `once up`"))
        }
        other => Err(Error::usage(format!("no method '{other}'"))),
    }
}

fn hello(kernel: &Kernel) -> Value {
    json!({
        "api": VERSION, "kernel": kernel.id().to_string(), "name": kernel.name(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// A result as it is sent.
fn shown(result: impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(result).map_err(|error| Error::fault(format!("a result cannot be written: {error}")))
}

/// Reads a method's parameters.
fn read<T: DeserializeOwned>(params: Value) -> Result<T, Error> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params)
        .map_err(|e| Error::usage(format!("parameters: {}", crate::component::words::plain(&e))))
}
