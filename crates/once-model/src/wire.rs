//! The frames of protocol `once/2`: what two kernels say to each other, as CBOR.
//!
//! On a stream each frame is a 32-bit big-endian length and that many bytes: a CBOR array of the frame's number and
//! an array of its payload, mostly one map with integer keys. Unknown keys are skipped. `docs/protocol.md` says when each
//! is sent; `docs/protocol.cddl` gives their shapes.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::action::{Act, ActOutcome, Missing, Need};
use crate::archive::{Archive, Archived};
use crate::cbor::{CborError, option_bytes, uuid_bytes};
pub use crate::cbor::{from_cbor, to_cbor};
use crate::certificate::Chain;
pub use crate::code::Code;
use crate::find::{Findings, Question};
use crate::follow::{FollowInstead, FollowedInstead};
use crate::header::Header;
use crate::ids::{Hash, ItemId, Line, ObjectKey, Secret, Uuid};
use crate::limits::CHAIN_TRAVELS_CERTIFICATES;
use crate::moving::{Ahead, Guest, Handed, Handoff, Heard, Moved, Welcome, Withdraw};
use crate::progress::Progress;
use crate::receipt::{Entries, EntriesOf, Receipt, ReceiptOf};

/// A feature in a greeting: actions.
pub const FEATURE_ACTIONS: u32 = 1;

/// A feature in a greeting: moves.
pub const FEATURE_MOVES: u32 = 2;

/// A feature in a greeting: finding objects.
pub const FEATURE_FIND: u32 = 3;

/// The protocol's name in the TLS handshake (ALPN).
pub const ALPN: &[u8] = b"once/2";

/// Bytes that are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the CBOR that the protocol says.
    #[error("malformed frame: {0}")]
    Malformed(String),
    /// A frame of a number that this version does not know: to be skipped.
    #[error("a frame of unknown number {0}")]
    Unknown(u32),
    /// The frame is well-formed so far but followed by more bytes.
    #[error("{0} bytes after the end of the frame")]
    Trailing(usize),
}

impl From<CborError> for WireError {
    fn from(error: CborError) -> Self {
        match error {
            CborError::Malformed(why) => Self::Malformed(why),
            CborError::Trailing(bytes) => Self::Trailing(bytes),
        }
    }
}

/// What a kernel says of itself at the start of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Greeting {
    /// Optional features it knows, by number.
    #[n(0)]
    pub features: Vec<u32>,
    /// Features without which it will not talk. Unknown ones refuse the hello.
    #[n(1)]
    pub critical: Vec<u32>,
    /// How far it is: its incarnation, its boot, and its commit number.
    #[n(2)]
    pub progress: Progress,
    /// What it has kept of what the other side said of itself: the furthest, and beside it one that does not follow.
    #[n(3)]
    pub seen: Vec<Progress>,
    /// Largest frame it reads, in bytes.
    #[n(4)]
    pub frame_max_bytes: u64,
    /// Largest scenario it stores, in bytes.
    #[n(5)]
    pub scenario_max_bytes: u64,
    /// Most unanswered shares it accepts.
    #[n(6)]
    pub window_shares: u32,
    /// What it calls itself. A petname beats it.
    #[n(7)]
    pub name: String,
    /// Its wall clock in milliseconds since 1970, for `doctor`; nothing depends on it.
    #[n(8)]
    pub clock_ms: u64,
    /// The secret of an invite, when it joins.
    #[n(9)]
    pub invite: Option<Secret>,
    /// The highest commit number that the other side has told in shares, actions and their answers, in the incarnation
    /// of the first of `seen`. Not signed: shown, and without effect.
    #[n(10)]
    pub heard: Option<u64>,
}

/// A scenario as it travels: header, chain if claimed, and its bytes if they are small and wanted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Parcel {
    /// What it is.
    #[n(0)]
    pub header: Header,
    /// From the genesis to the home; absent for an unclaimed object.
    #[n(1)]
    pub chain: Option<Chain>,
    /// The verbatim bytes; absent for a tombstone and when they travel on a stream of their own.
    #[cbor(
        n(2),
        encode_with = "option_bytes::encode",
        decode_with = "option_bytes::decode",
        is_nil = "option_bytes::is_nil",
        nil = "option_bytes::nil"
    )]
    pub body: Option<Bytes>,
    /// The sender's commit number as it was on its disk when this left. Whoever later knows a lower number of itself
    /// was rolled back.
    #[n(3)]
    pub commit: Option<u64>,
}

/// What a receiver did with a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ShareAnswer {
    /// It is durable there now.
    #[n(0)]
    Stored,
    /// It was there already, or something newer was.
    #[n(1)]
    Known,
    /// It is kept there beside another revision that it does not continue.
    #[n(2)]
    Conflict,
    /// It is not there.
    #[n(3)]
    Refused(#[n(0)] Code),
}

/// Everything that one kernel says to another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Frame {
    /// First frame of the dialler.
    #[n(0)]
    Hello(#[n(0)] Greeting),
    /// First frame of the kernel that was dialled, when it admits the dialler.
    #[n(1)]
    Admitted(#[n(0)] Greeting),
    /// Last frame: not admitted, or no longer.
    #[n(2)]
    Denied(#[n(0)] Code),
    /// "Keep this": a scenario that the receiver is to store.
    #[n(3)]
    Share(#[n(0)] Parcel),
    /// Answer to a share, sent after the commit.
    #[n(4)]
    Shared(#[n(0)] Shared),
    /// Send me this object.
    #[n(5)]
    Request(#[n(0)] Request),
    /// Answer to a request. Without a body: pull it.
    #[n(6)]
    Found(#[n(0)] Found),
    /// Answer to a request, a pull or a want that cannot be fulfilled.
    #[n(7)]
    Absent(#[n(0)] Absent),
    /// Send me this object's revisions from now on.
    #[n(8)]
    Follow(#[n(0)] Follow),
    /// Ends a subscription made with `Follow`.
    #[n(9)]
    Unfollow(#[n(0)] ObjectKey),
    /// Answer to both.
    #[n(10)]
    Following(#[n(0)] Following),
    /// How far the sender is: every 10 s in which it commits.
    #[n(11)]
    Progress(#[n(0)] Progress),
    /// The dialler is there. Nothing answers it: that QUIC acknowledges it shows that both directions work.
    #[n(12)]
    Alive,
    /// First frame of a stream: send me the bytes of this object with this hash.
    #[n(16)]
    Pull(#[n(0)] Pull),
    /// Answer: this many raw bytes follow on the stream.
    #[n(17)]
    Body(#[n(0)] u64),
    /// First frame of an exchange, and each further round of comparing, both ways.
    #[n(18)]
    Reconcile(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// Send me the scenarios of these items.
    #[n(19)]
    Want(#[n(0)] Vec<ItemId>),
    /// One of them.
    #[n(20)]
    Give(#[n(0)] Parcel),
    /// That was all of the last `want` that may be had.
    #[n(21)]
    Given(#[n(0)] u64),
    /// I have these and you have not: want what you will keep.
    #[n(22)]
    Offer(#[n(0)] Vec<ItemId>),
    /// The end of an exchange from the other side: what was stored there, after its commit.
    #[n(23)]
    Kept(#[n(0)] Kept),
    /// Do this, once. (A golden vector says that once/2 does not know 32: that number stays free.)
    #[n(33)]
    Act(#[n(0)] Act),
    /// What came of it, sent after the commit.
    #[n(34)]
    Outcome(#[n(0)] ActOutcome),
    /// Answer to an action that came before one that is missing: send the lane again from there.
    #[n(35)]
    Missing(#[n(0)] Missing),
    /// Answer to an action that depends on scenarios that are not here: share them.
    #[n(36)]
    Need(#[n(0)] Need),
    /// First frame of a stream: prove to me what came of this action.
    #[n(37)]
    ReceiptOf(#[n(0)] ReceiptOf),
    /// What the home has recorded of the action, signed.
    #[n(38)]
    Receipt(#[n(0)] Box<Receipt>),
    /// Which entries of its history lead back from one revision of an object to another?
    #[n(40)]
    EntriesOf(#[n(0)] EntriesOf),
    /// A page of a history, in answer to `EntriesOf`.
    #[n(41)]
    Entries(#[n(0)] Entries),
    /// Would you take this object?
    #[n(42)]
    Ahead(#[n(0)] Ahead),
    /// Whether the receiver would take an object, in answer to `Ahead`.
    #[n(43)]
    Welcome(#[n(0)] Welcome),
    /// It is yours from now on.
    #[n(44)]
    Handoff(#[n(0)] Box<Handoff>),
    /// The one answer to that, sent after the commit.
    #[n(45)]
    Handed(#[n(0)] Handed),
    /// An object has another home.
    #[n(46)]
    Moved(#[n(0)] Box<Moved>),
    /// A guest of the sender is about to act.
    #[n(47)]
    Guest(#[n(0)] Box<Guest>),
    /// The answer to [`Moved`], sent after the commit.
    #[n(48)]
    Heard(#[n(0)] Heard),
    /// I want back what I have handed over: say which of the two it is.
    #[n(49)]
    Withdraw(#[n(0)] Box<Withdraw>),
    /// First frame of a stream: which objects that I may find are like this?
    #[n(50)]
    Find(#[n(0)] Box<Question>),
    /// One page of the answer.
    #[n(51)]
    Findings(#[n(0)] Findings),
    /// Keep what was recorded of your object before it came to you.
    #[n(52)]
    Archive(#[n(0)] Box<Archive>),
    /// The answer, sent after the commit.
    #[n(53)]
    Archived(#[n(0)] Archived),
    /// Follow this in my place.
    #[n(54)]
    FollowInstead(#[n(0)] FollowInstead),
    /// The answer, sent after the commit.
    #[n(55)]
    FollowedInstead(#[n(0)] FollowedInstead),
}

/// Answer to a share.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Shared {
    /// The object that was asked for.
    #[n(0)]
    pub key: ObjectKey,
    /// [`Header::id`] of the revision that was shared.
    #[n(1)]
    pub id: Hash,
    /// What became of it.
    #[n(2)]
    pub answer: ShareAnswer,
    /// The answering kernel's commit number, on its disk when this left.
    #[n(3)]
    pub commit: Option<u64>,
}

/// A request for one object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Request {
    /// Chosen by the asker; comes back in the answer.
    #[n(0)]
    pub call: u64,
    /// The object's UUID.
    #[cbor(n(1), with = "uuid_bytes")]
    pub uuid: Uuid,
    /// Which object of that UUID, if the asker knows.
    #[n(2)]
    pub line: Option<Line>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Found {
    /// From the request.
    #[n(0)]
    pub call: u64,
    /// The scenario that was asked for.
    #[n(1)]
    pub parcel: Parcel,
}

/// The answer when there is nothing to give.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Absent {
    /// From the request; 0 on a stream of its own.
    #[n(0)]
    pub call: u64,
    /// Why it is not given.
    #[n(1)]
    pub code: Code,
}

/// A subscription, repeated at each hello.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Follow {
    /// The object to follow.
    #[n(0)]
    pub key: ObjectKey,
    /// [`Header::id`] of the newest revision that the follower has.
    #[n(1)]
    pub have: Option<Hash>,
}

/// The answer to a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Following {
    /// The object that is not followed.
    #[n(0)]
    pub key: ObjectKey,
    /// Whether revisions will be sent from now on.
    #[n(1)]
    pub on: bool,
    /// Why not, when they were asked for and will not be sent.
    #[n(2)]
    pub code: Option<Code>,
}

/// A request for bytes by hash.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pull {
    /// The object: rights are checked on it.
    #[n(0)]
    pub key: ObjectKey,
    /// The hash of the bytes.
    #[n(1)]
    pub content: Hash,
    /// Send from this byte on: the rest of a transfer that broke.
    #[n(2)]
    pub offset: u64,
}

/// What the other side stored in an exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Kept {
    /// How many were stored.
    #[n(0)]
    pub stored: u64,
    /// How many were known already.
    #[n(1)]
    pub known: u64,
    /// Kept beside another revision.
    #[n(2)]
    pub conflicts: u64,
    /// How many were not kept.
    #[n(3)]
    pub refused: u64,
}

impl Frame {
    /// The frame's bytes, without the length before them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// The chain that it brings.
    pub fn chain_mut(&mut self) -> Option<&mut Chain> {
        match self {
            Self::Share(parcel) | Self::Give(parcel) => parcel.chain.as_mut(),
            Self::Found(found) => found.parcel.chain.as_mut(),
            Self::Receipt(receipt) => receipt.chain.as_mut(),
            Self::Handoff(said) => Some(&mut said.chain),
            Self::Withdraw(said) => Some(&mut said.chain),
            Self::Guest(said) => Some(&mut said.chain),
            Self::Moved(said) => Some(&mut said.chain),
            _ => None,
        }
    }

    /// The chain that it brings.
    #[must_use]
    pub fn chain(&self) -> Option<&Chain> {
        match self {
            Self::Share(parcel) | Self::Give(parcel) => parcel.chain.as_ref(),
            Self::Found(found) => found.parcel.chain.as_ref(),
            Self::Receipt(receipt) => receipt.chain.as_ref(),
            Self::Handoff(said) => Some(&said.chain),
            Self::Withdraw(said) => Some(&said.chain),
            Self::Guest(said) => Some(&said.chain),
            Self::Moved(said) => Some(&said.chain),
            _ => None,
        }
    }

    /// As it travels, if that is not as it is: a long chain without its beginning.
    #[must_use]
    pub fn shortened(&self) -> Option<Self> {
        self.shortened_to(CHAIN_TRAVELS_CERTIFICATES)
    }

    /// The same with the last so many certificates. For tests: few chains are long.
    #[must_use]
    pub fn shortened_to(&self, most: usize) -> Option<Self> {
        let short = self.chain()?.shortened_to(most)?;
        let mut frame = self.clone();
        if let Some(chain) = frame.chain_mut() {
            *chain = short;
        }
        Some(frame)
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// When the bytes are not exactly one frame that this version knows.
    ///
    /// ```
    /// use once_model::wire::{Code, Frame};
    /// let frame = Frame::Denied(Code::Busy);
    /// assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    /// assert!(Frame::decode(b"GET / HTTP/1.1").is_err());
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let number = |bytes| {
            let mut decoder = minicbor::Decoder::new(bytes);
            decoder.array().ok()??;
            decoder.u32().ok()
        };
        match (from_cbor(bytes), number(bytes)) {
            (Err(_), Some(number)) if !Self::is_known(number) => Err(WireError::Unknown(number)),
            (frame, _) => frame.map_err(WireError::from),
        }
    }

    /// Whether this version has a frame of this number.
    const fn is_known(number: u32) -> bool {
        matches!(number, 0..=12 | 16..=23 | 33..=38 | 40..=55)
    }
}
