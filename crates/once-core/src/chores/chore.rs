//! The chores, and their rows.

use minicbor::{Decode, Encode};
use once_model::ids::{KernelId, ObjectKey};

/// What is to be done, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chore {
    /// Forgets what is left of a kernel that is no peer any more: rights, debts, subscriptions. Until that is done it cannot
    /// become one again.
    ForgetPeer(KernelId),
    /// Forgets the timers and the work outside of an object that is gone.
    ForgetObject(ObjectKey),
    /// Owes the newest revision of an object to whoever follows it here; ends the following if there is none any more.
    TellFollowers(ObjectKey),
    /// Owes to whoever has to do with an object the news of where it is.
    OweNews(ObjectKey),
    /// Ends what a kernel follows here and may no longer read.
    EndFollowing(KernelId),
    /// Forgets what a new life of this kernel begins without. The kernel stays in quarantine until that is done.
    BeginLife,
    /// Says on a new connection what is followed there, and asks for the proofs that are missing.
    Greet(KernelId),
    /// Dials every peer.
    Dial,
    /// Asks again for the work outside that is not done yet.
    Work,
    /// Marks the grants and invites whose time is over.
    Sweep,
}

const FORGET_PEER: u8 = 1;
const FORGET_OBJECT: u8 = 2;
const END_FOLLOWING: u8 = 3;
const BEGIN_LIFE: u8 = 4;
const TELL_FOLLOWERS: u8 = 5;
const OWE_NEWS: u8 = 6;

/// The first byte of rows that belong to an object, whose key comes behind it.
pub(crate) const OF_OBJECT: [u8; 3] = [FORGET_OBJECT, TELL_FOLLOWERS, OWE_NEWS];

impl Chore {
    /// Key of its row, if it is lasting. `None`: it is passing.
    #[must_use]
    pub fn to_row(self) -> Option<Vec<u8>> {
        Some(match self {
            Self::ForgetPeer(peer) => [&[FORGET_PEER], peer.as_bytes().as_slice()].concat(),
            Self::ForgetObject(key) => [&[FORGET_OBJECT], key.to_row().as_slice()].concat(),
            Self::TellFollowers(key) => [&[TELL_FOLLOWERS], key.to_row().as_slice()].concat(),
            Self::OweNews(key) => [&[OWE_NEWS], key.to_row().as_slice()].concat(),
            Self::EndFollowing(kernel) => [&[END_FOLLOWING], kernel.as_bytes().as_slice()].concat(),
            Self::BeginLife => vec![BEGIN_LIFE],
            Self::Greet(_) | Self::Dial | Self::Work | Self::Sweep => return None,
        })
    }

    /// From such a key.
    #[must_use]
    pub fn from_row(key: &[u8]) -> Option<Self> {
        let (tag, of) = key.split_first()?;
        match *tag {
            FORGET_PEER => KernelId::from_slice(of).map(Self::ForgetPeer),
            FORGET_OBJECT => ObjectKey::from_row(of).map(Self::ForgetObject),
            TELL_FOLLOWERS => ObjectKey::from_row(of).map(Self::TellFollowers),
            OWE_NEWS => ObjectKey::from_row(of).map(Self::OweNews),
            END_FOLLOWING => KernelId::from_slice(of).map(Self::EndFollowing),
            BEGIN_LIFE if of.is_empty() => Some(Self::BeginLife),
            _ => None,
        }
    }
}

/// [`crate::store::Table::Chore`]: how far a chore is. Of one that cannot be read it is begun anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct ChoreRow {
    /// Parts of it that are done.
    #[n(0)]
    pub part: u8,
    /// Where the part under way goes on: the first key that is not done yet, or nothing.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub next: Vec<u8>,
    /// It became necessary again meanwhile: when it is through it begins anew. So who is first does not keep the others
    /// from their turn.
    #[n(2)]
    pub again: bool,
}
