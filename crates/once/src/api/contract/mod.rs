//! The contract of the local API: the parameters, results, notifications and errors of every method, as types.
//!
//! Everything that speaks this API is made from here: the server reads and answers with these types, [`super::Client::ask`]
//! calls with them, the command line prints them with `--json`, [`openrpc`] and [`json_schema`] describe them to other languages,
//! and the tables of `docs/local-api.md` are written from their comments.
//!
//! A parameters type has the name of its method: [`PeersAdd`] is `peers.add`. Its [`Method::Result`] is what it answers. Shapes that
//! several methods share end in `Info`. Parameters that are not known are refused; members of a result that are not known are passed
//! over.

mod access;
mod acting;
mod actions;
mod conflicts;
mod coordination;
mod dead_letters;
mod departures;
mod errors;
mod events;
mod find;
mod health;
mod list;
mod method;
mod moving;
mod objects;
mod openrpc;
mod outbox;
#[cfg(test)]
mod page;
mod peers;
mod progress;
mod serving;
mod sharing;
mod state;
#[cfg(test)]
mod tests;

pub use access::*;
pub use acting::*;
pub use actions::*;
pub use conflicts::*;
pub use coordination::*;
pub use dead_letters::*;
pub use departures::*;
pub use errors::{ErrorCode, ErrorData, ErrorInfo, RPC_CODE, RpcError, exit_of, exit_of_error};
pub use events::*;
pub use find::*;
pub use health::*;
pub(in crate::api) use list::Call;
pub use list::{METHODS, MethodInfo};
pub use method::Method;
pub use moving::*;
pub use objects::*;
pub use openrpc::{json_schema, openrpc};
pub use outbox::*;
pub use peers::*;
pub use progress::{CoordinationProgress, Progress, StepProgress};
pub use serving::*;
pub use sharing::*;
pub use state::ObjectState;

pub use crate::object::key_text;
