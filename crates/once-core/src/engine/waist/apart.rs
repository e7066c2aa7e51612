//! What does not fit a frame: it is pulled by its hash.

use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, ObjectKey};
use once_model::moving::Handoff;

/// What travels apart from the frame that announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apart {
    /// The bytes of a large scenario that a peer shares.
    Scenario {
        /// Header of the scenario that is fetched.
        header: Header,
        /// Its chain of certificates, if it is claimed.
        chain: Option<Chain>,
    },
    /// The luggage of an object that a peer hands over.
    Luggage {
        /// What was said with it.
        handoff: Handoff,
        /// The hash of the luggage.
        content: Hash,
        /// How many bytes it has.
        size: u64,
    },
}

impl Apart {
    /// The object that it belongs to.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Scenario { header, .. } => header.key(),
            Self::Luggage { handoff, .. } => handoff.header.key(),
        }
    }

    /// The hash of its bytes.
    #[must_use]
    pub const fn content(&self) -> Hash {
        match self {
            Self::Scenario { header, .. } => header.content,
            Self::Luggage { content, .. } => *content,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self {
            Self::Scenario { header, .. } => header.size,
            Self::Luggage { size, .. } => *size,
        }
    }
}
