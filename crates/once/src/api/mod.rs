//! The local API: how programs on the same machine use a kernel. `docs/local-api.md` is its description.
//!
//! [`Client`] calls a running kernel over its socket, or opens the data directory in this process when none runs.

mod acting;
mod actions;
mod answer;
pub(crate) mod check;
mod client;
pub(crate) mod conflicts;
pub mod contract;
mod coordinate;
pub(crate) mod damage;
mod dead_letters;
mod difference;
pub(crate) mod doctor;
mod doors;
mod drain;
mod events;
mod find;
pub(crate) mod history;
pub(crate) mod invites;
mod lanes;
mod lines;
pub(crate) mod list;
pub(crate) mod methods;
mod moving;
pub(crate) mod names;
pub(crate) mod outbox;
mod peers;
mod quarantine;
pub(crate) mod retire;
mod served;
mod server;
mod shapes;
pub(crate) mod standing;
pub(crate) mod status;
mod tell;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
mod transfers;
mod turns;
mod way;

pub use crate::Error as ApiError;
pub use client::{Client, EventFeed};
pub(crate) use invites::id as invite_id;
pub(crate) use names::name_of as kernel_name;

use std::path::{Path, PathBuf};

use contract::{Call, HelloResult, Method};
use serde_json::Value;
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

/// An answer, as the contract has it.
fn shown<M: Method>(answer: Result<M::Result, Error>) -> Result<Value, Error> {
    serde_json::to_value(answer?).map_err(|error| Error::fault(format!("the answer of {}: {error}", M::NAME)))
}

/// Carries one call out.
async fn dispatch(kernel: &Kernel, method: &str, mut params: Value, tell: Tell<'_>) -> Result<Value, Error> {
    // For whoever carries the answer: every method takes it.
    params.as_object_mut().map(|members| members.remove("progress"));
    answer(kernel, Call::read(method, params)?, tell).await
}

/// Makes `answer` of a table: which method is answered by what. One that has no line does not compile.
macro_rules! answers {
    ($kernel:ident, $tell:ident; $($method:ident($params:pat) => $answer:expr,)*) => {
        async fn answer($kernel: &Kernel, call: Call, $tell: Tell<'_>) -> Result<Value, Error> {
            match call { $(Call::$method($params) => shown::<contract::$method>($answer),)* }
        }
    };
}

answers! { kernel, tell;
    Hello(_) => Ok(hello(kernel)),
    Status(_) => kernel.status(),
    Events(params) => events::events(kernel, params).await,
    Import(params) => methods::import(kernel, params).await,
    Create(params) => methods::create(kernel, params).await,
    Put(params) => methods::put(kernel, params).await,
    Claim(params) => methods::claim(kernel, params).await,
    Remove(params) => methods::remove(kernel, params).await,
    List(params) => list::list(kernel, params).await,
    Find(params) => find::find(kernel, params).await,
    Get(params) => methods::get(kernel, &params),
    Path(params) => way::path(kernel, params).await,
    Refs(params) => methods::refs(kernel, &params),
    Act(params) => acting::act(kernel, params).await,
    Actions(params) => actions::actions(kernel, &params),
    Outcome(params) => acting::outcome(kernel, &params),
    Cancel(params) => acting::cancel(kernel, params).await,
    Receipt(params) => acting::receipt(kernel, params).await,
    Receipts(params) => retire::receipts(kernel, params).await,
    History(params) => history::history(kernel, &params),
    Coordinate(params) => coordinate::coordinate(kernel, params, tell).await,
    Coordination(params) => coordinate::coordination(kernel, params, tell).await,
    Coordinations(params) => coordinate::list(kernel, params).await,
    Conflicts(params) => conflicts::list(kernel, &params),
    ConflictsKeep(params) => conflicts::keep(kernel, params).await,
    ConflictsDrop(params) => conflicts::discard(kernel, params).await,
    Share(params) => transfer::share(kernel, params, tell).await,
    Request(params) => transfer::request(kernel, params).await,
    Exchange(params) => transfer::exchange(kernel, params, tell).await,
    Follow(params) => transfer::follow(kernel, params).await,
    Unfollow(params) => transfer::unfollow(kernel, params).await,
    Follows(_) => kernel.follows(),
    Move(params) => moving::start(kernel, params, tell).await,
    Moves(_) => moving::list(kernel).await,
    MovesWithdraw(params) => moving::withdraw(kernel, params).await,
    Drain(params) => drain::drain(kernel, params, tell).await,
    DrainCancel(params) => drain::cancel(kernel, params).await,
    Retire(params) => retire::retire(kernel, params).await,
    Outbox(_) => kernel.outbox().await,
    OutboxDrop(params) => outbox::give_up(kernel, params).await,
    DeadLetters(params) => dead_letters::list(kernel, params).await,
    DeadLettersRetry(params) => dead_letters::retry(kernel, params).await,
    DeadLettersDrop(params) => dead_letters::give_up(kernel, params).await,
    Invite(params) => invites::invite(kernel, params).await,
    Invites(_) => kernel.invites().map(|invites| contract::InvitesResult { invites }),
    InvitesRevoke(params) => invites::taken_back(kernel, &params).await,
    Join(params) => peers::join(kernel, params).await,
    Peers(_) => kernel.peers().map(|peers| contract::PeersResult { peers }),
    PeersAdd(params) => peers::add(kernel, params).await,
    PeersSet(params) => peers::set(kernel, params).await,
    PeersRemove(params) => peers::remove(kernel, params).await,
    PeersDial(params) => peers::dial(kernel, params).await,
    Grant(params) => peers::grant(kernel, params).await,
    Revoke(params) => peers::revoke(kernel, params).await,
    Grants(_) => kernel.grants().map(|grants| contract::GrantsResult { grants }),
    Quarantine(_) => quarantine::look(kernel),
    QuarantineEnd(params) => quarantine::end(kernel, params).await,
    ClockAccept(_) => kernel.accept_clock().await,
    Doctor(params) => doctor::examine(kernel, params).await,
    Survey(params) => damage::survey(kernel, params).await,
    ConfirmLosses(_) => kernel.confirm_losses(),
    Unserve(params) => served::unserve(kernel, params).await,
    Listen(params) => Err(needs_a_connection(&params)),
    Stop(params) => Err(needs_a_connection(&params)),
    Serve(params) => Err(needs_a_connection(&params)),
    ServeActivity(params) => Err(needs_a_connection(&params)),
    Ran(params) => Err(needs_a_connection(&params)),
    Worked(params) => Err(needs_a_connection(&params)),
}

/// These are the server's own: it answers them before it comes here.
fn needs_a_connection<M: Method>(_: &M) -> Error {
    Error::usage(format!("'{}' needs a connection to a kernel that runs", M::NAME))
        .with_hint("start it with `once up`")
}

fn hello(kernel: &Kernel) -> HelloResult {
    HelloResult {
        api: VERSION,
        kernel: kernel.id().to_string(),
        name: kernel.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
