//! What was granted.

use minicbor::{Decode, Encode};
use once_model::ids::{KernelId, ObjectKey};

/// [`crate::store::Table::Grant`]: what one grantee may do by one right on one thing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantRow {
    /// What was granted; each action once.
    #[n(0)]
    pub parts: Vec<GrantPart>,
    /// The object that has it, instead of a kernel.
    #[n(1)]
    pub object: Option<ObjectKey>,
    /// That object's home when it was granted.
    #[n(2)]
    pub home: Option<KernelId>,
}

/// One action of a grant, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantPart {
    /// For the right to act: this action. Every action if absent.
    #[n(0)]
    pub action: Option<String>,
    /// When it ends, in milliseconds since 1970; never if absent.
    #[n(1)]
    pub expires_ms: Option<u64>,
    /// It was seen to be over, and stays so whatever the clock says later.
    #[n(2)]
    pub ended: bool,
}

impl GrantRow {
    /// Whether it allows this action now; or what needs no action's name.
    #[must_use]
    pub fn allows(&self, action: Option<&str>, now_ms: u64) -> bool {
        let named = |part: &GrantPart| part.action.is_none() || part.action.as_deref() == action;
        self.parts.iter().any(|part| named(part) && part.holds(now_ms))
    }

    /// Whether anything of it is in force.
    pub(crate) fn holds(&self, now_ms: u64) -> bool {
        self.parts.iter().any(|part| part.holds(now_ms))
    }

    /// Marks what is over by now; whether anything is that was not marked.
    pub(crate) fn end(&mut self, now_ms: u64) -> bool {
        let mut any = false;
        for part in self.parts.iter_mut().filter(|part| !part.ended && is_over(part.expires_ms, now_ms)) {
            part.ended = true;
            any = true;
        }
        any
    }

    /// When the next part of it is over.
    pub(crate) fn next_end_ms(&self) -> Option<u64> {
        self.parts.iter().filter(|part| !part.ended).filter_map(|part| part.expires_ms).min()
    }
}

impl GrantPart {
    /// Whether it is in force.
    #[must_use]
    pub fn holds(&self, now_ms: u64) -> bool {
        mutant!(GrantNeverExpires) || !(self.ended || is_over(self.expires_ms, now_ms))
    }
}

fn is_over(expires_ms: Option<u64>, now_ms: u64) -> bool {
    expires_ms.is_some_and(|end| end <= now_ms)
}
