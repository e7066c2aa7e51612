//! Subscriptions that are handed on. `docs/protocol.md`, 5.8.

use minicbor::{Decode, Encode};

use crate::code::Code;
use crate::ids::{KernelId, ObjectKey};

/// Follow this object at that kernel, as I do: I am about to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FollowInstead {
    /// The object to follow.
    #[n(0)]
    pub key: ObjectKey,
    /// Who is followed.
    #[n(1)]
    pub at: KernelId,
}

/// The answer to [`FollowInstead`], sent after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FollowedInstead {
    /// From the question.
    #[n(0)]
    pub key: ObjectKey,
    /// From the question.
    #[n(1)]
    pub at: KernelId,
    /// Why not; absent if it is followed from now on.
    #[n(2)]
    pub code: Option<Code>,
}
