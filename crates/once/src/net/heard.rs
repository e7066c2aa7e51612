//! What is known of whether a connection works.

use std::time::Instant;

use iroh::endpoint::Connection;

use super::address;

/// The other side learns with the close that it is not heard.
pub(super) const UNHEARD: &[u8] = b"nothing that this side says is heard";

/// What the clock knows of one connection.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The beat that is under way: when, and what had been heard by then.
    pub(super) beat: Option<(Instant, u64)>,
    /// Whether this side has ended the connection because nothing was heard or acknowledged.
    pub(super) over: bool,
    /// Where the connection led when it was looked at last.
    pub(super) address: Option<String>,
}

impl Pulse {
    pub fn new(connection: &Connection) -> Self {
        Self { beat: None, over: false, address: address::address_of(connection) }
    }

    /// Whether this side has ended the connection because nothing was heard or acknowledged.
    pub fn is_over(&self) -> bool {
        self.over
    }
}
