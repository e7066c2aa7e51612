//! Why something was not done: the same numbers in frames, in outcomes and in rows.

use minicbor::{Decode, Encode};

/// Why something was not done, as a number that stays the same for ever.
///
/// A peer that may not do a thing and a thing that is not there get the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Code {
    /// Not there, or not allowed: which of the two is nobody's business.
    #[n(0)]
    Denied,
    /// The quota for this peer is used up.
    #[n(1)]
    Quota,
    /// Too much at once: try later.
    #[n(2)]
    Busy,
    /// The disk is nearly full.
    #[n(3)]
    DiskFull,
    /// Not a valid scenario, header, chain or signature.
    #[n(4)]
    Invalid,
    /// Larger than a limit.
    #[n(5)]
    TooLarge,
    /// More than one object matches: say which.
    #[n(6)]
    Ambiguous,
    /// A critical feature or version that the other side does not know.
    #[n(7)]
    Unsupported,
    /// The kernel is stopping.
    #[n(8)]
    Stopping,
    /// This kernel is not the object's home.
    #[n(9)]
    NotHome,
    /// Its time was up before it ran.
    #[n(10)]
    Expired,
    /// The same id was used for something else.
    #[n(11)]
    IdReused,
    /// The component that it needs is not here, or not in a version that reads this object, or knows no such action.
    #[n(12)]
    NoComponent,
    /// Its client took it back before it ran.
    #[n(13)]
    Cancelled,
    /// A scenario that it depends on did not come in time.
    #[n(14)]
    Lacking,
    /// The sender's data directory was put back from a backup: it runs and sends nothing until its peers were heard.
    #[n(15)]
    Quarantined,
    /// Its home took back what it had handed over, before that was accepted.
    #[n(16)]
    Withdrawn,
}

impl Code {
    /// Its name for people and for programs: never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Quota => "quota",
            Self::Busy => "busy",
            Self::DiskFull => "disk-full",
            Self::Invalid => "invalid",
            Self::TooLarge => "too-large",
            Self::Ambiguous => "ambiguous",
            Self::Unsupported => "unsupported",
            Self::Stopping => "stopping",
            Self::NotHome => "not-home",
            Self::Expired => "expired",
            Self::IdReused => "id-reused",
            Self::NoComponent => "no-component",
            Self::Cancelled => "cancelled",
            Self::Lacking => "lacking",
            Self::Quarantined => "quarantined",
            Self::Withdrawn => "withdrawn",
        }
    }
}
