//! What a peer is owed of an object: one closed enum, one way to join two debts, and one question that whoever sends,
//! settles or gives bytes asks.

use minicbor::{Decode, Encode};
use once_model::ids::{Hash, KernelId};

use crate::access;
use crate::object::HeadRow;
use crate::store::{Read, StoreError};

/// Why a peer is owed an object, and so which of its revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Debt {
    /// A client shared it: the newest revision, whatever it is by then.
    #[n(0)]
    Promised,
    /// The peer follows it: the newest revision as long as the peer may read it.
    #[n(1)]
    Followed {
        /// As in [`Self::Given`]: an action there depends on this content, too.
        #[n(0)]
        given: Option<Hash>,
    },
    /// An action that waits at the peer depends on this content: it alone, and nothing once the newest revision has
    /// another one.
    #[n(2)]
    Given {
        /// [`once_model::header::Header::content`].
        #[n(0)]
        content: Hash,
    },
}

impl Debt {
    /// A peer follows the object.
    pub const FOLLOWED: Self = Self::Followed { given: None };

    /// Both debts in one. Neither gains by the other: only a client's word makes a promise. Of two contents that actions
    /// depend on the later counts: a debt is made for what is the newest then, so the other one is not the newest any
    /// more.
    #[must_use]
    pub fn merge(self, later: Self) -> Self {
        match (self, later) {
            (Self::Followed { .. }, Self::Promised) if mutant!(ForgetPromise) => self,
            (Self::Promised, _) | (_, Self::Promised) => Self::Promised,
            (Self::Given { .. }, Self::Given { .. }) => later,
            _ => Self::Followed { given: later.given().or(self.given()) },
        }
    }

    /// What is left of it when the peer follows the object no longer.
    #[must_use]
    pub const fn without_following(self) -> Option<Self> {
        match self {
            Self::Promised | Self::Given { .. } => Some(self),
            Self::Followed { given: Some(content) } => Some(Self::Given { content }),
            Self::Followed { given: None } => None,
        }
    }

    /// The content that an action depends on.
    const fn given(self) -> Option<Hash> {
        match self {
            Self::Promised => None,
            Self::Followed { given } => given,
            Self::Given { content } => Some(content),
        }
    }

    /// Whether it lasts only as long as the peer follows.
    #[must_use]
    pub const fn is_followed(self) -> bool {
        matches!(self, Self::Followed { .. })
    }

    /// Whether this revision may be sent to the peer, and its bytes be had by it, for this debt.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn allows(
        self,
        rows: &dyn Read,
        peer: &KernelId,
        head: &HeadRow,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        Ok(match self {
            Self::Promised => true,
            Self::Given { content } => content == head.header.content,
            Self::Followed { given: Some(content) } if content == head.header.content => true,
            Self::Followed { .. } => access::may_read(rows, peer, head, now_ms)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn given(content: u8) -> Debt {
        Debt::Given { content: Hash::from_bytes([content; 32]) }
    }

    const fn followed(content: u8) -> Debt {
        Debt::Followed { given: Some(Hash::from_bytes([content; 32])) }
    }

    #[test]
    fn only_a_promise_makes_a_promise_and_nothing_is_forgotten() {
        assert_eq!(Debt::FOLLOWED.without_following(), None);
        assert_eq!(followed(1).without_following(), Some(given(1)));
        assert_eq!(given(1).without_following(), Some(given(1)));
        assert_eq!(Debt::Promised.without_following(), Some(Debt::Promised));
        for debt in [Debt::Promised, Debt::FOLLOWED, given(1), followed(1)] {
            assert_eq!(debt.merge(Debt::Promised), Debt::Promised);
            assert_eq!(Debt::Promised.merge(debt), Debt::Promised);
            assert_eq!(debt.merge(debt), debt);
        }
        assert_eq!(given(1).merge(given(2)), given(2));
        assert_eq!(given(1).merge(Debt::FOLLOWED), followed(1));
        assert_eq!(Debt::FOLLOWED.merge(given(1)), followed(1));
        assert_eq!(followed(1).merge(given(2)), followed(2));
        assert_eq!(followed(1).merge(Debt::FOLLOWED), followed(1));
    }
}
