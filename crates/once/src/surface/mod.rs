//! What a kernel can be asked to do, one file for each subject.
//!
//! A method that has options returns a builder, which is awaited. What is asked here is what programs ask over the socket: the table in
//! `parity.rs` says which method of the local API is which method of [`crate::Kernel`].

pub(crate) mod access;
mod actions;
mod conflicts;
mod exchange;
mod health;
mod objects;
mod outbox;
#[cfg(test)]
mod parity;
mod peers;

pub use access::{Grant, Revoke};
pub use actions::{Cancel, History, ReceiptRequest, Receipts};
pub use conflicts::Conflicts;
pub use exchange::Exchange;
pub use health::{Doctor, EndQuarantine, Survey};
pub use objects::{Import, List, Put};
pub use outbox::DropDebts;
pub use peers::{AddPeer, ChangePeer, Dial, Invite, Join};

/// Makes builders that can be awaited: each has an async method `run` that takes it.
macro_rules! awaited {
    ($($builder:ident => $output:ty;)*) => {$(
        impl std::future::IntoFuture for $builder {
            type Output = Result<$output, $crate::Error>;
            type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        }
    )*};
}

pub(crate) use awaited;
