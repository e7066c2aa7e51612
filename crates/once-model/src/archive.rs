//! What a former home has recorded of an object, given to its present home, so that it outlives the kernel that recorded it.
//! `docs/protocol.md`, 5.7.

use minicbor::{Decode, Encode};

use crate::action::{Action, Outcome};
use crate::code::Code;
use crate::ids::{KernelId, ObjectKey};
use crate::limits::TOLD_MAX_BYTES;
use crate::receipt::{Entry, Receipt};
use crate::sign::Signature;

/// What came of an action, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum OutcomeStatus {
    /// It ran, and the component accepted it.
    #[n(0)]
    Done,
    /// It ran, and the component rejected it.
    #[n(1)]
    Failed,
    /// It never ran, and why.
    #[n(2)]
    Refused(#[n(0)] Code),
}

impl OutcomeStatus {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused(_) => "refused",
        }
    }
}

impl From<&Outcome> for OutcomeStatus {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(_) => Self::Done,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Refused(code) => Self::Refused(*code),
        }
    }
}

/// The beginning of some JSON.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Excerpt {
    /// At most [`TOLD_MAX_BYTES`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// How many the whole has.
    #[n(1)]
    pub of_bytes: u64,
}

impl Excerpt {
    fn new(json: &[u8]) -> Self {
        let bytes = json.get(..TOLD_MAX_BYTES).unwrap_or(json).to_vec();
        Self { bytes, of_bytes: json.len() as u64 }
    }

    /// As text; with an ellipsis at its end if that is not all.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.of_bytes > self.bytes.len() as u64 {
            text.push('…');
        }
        text
    }
}

/// What was asked of an object, and what it answered: as much of it as people want to see. Nobody signs it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Summary {
    /// The action's name.
    #[n(0)]
    pub name: String,
    /// The arguments, as far as they are kept.
    #[n(1)]
    pub arguments: Excerpt,
    /// Its result, or why the component rejected it. Absent if it never ran, and where the whole outcome is kept beside it.
    #[n(2)]
    pub result: Option<Excerpt>,
}

impl Summary {
    /// What was asked.
    #[must_use]
    pub fn new(action: &Action) -> Self {
        Self { name: action.name.clone(), arguments: Excerpt::new(&action.arguments), result: None }
    }

    /// The same with what came of it.
    #[must_use]
    pub fn with_result_of(self, outcome: &Outcome) -> Self {
        let result = match outcome {
            Outcome::Done(result) | Outcome::Failed(result) => Some(Excerpt::new(result)),
            Outcome::Refused(_) => None,
        };
        Self { result, ..self }
    }

    /// Whether it is no longer than one may be.
    #[must_use]
    pub fn fits(&self) -> bool {
        let excerpts = std::iter::once(&self.arguments).chain(&self.result);
        self.name.len() <= NAME_MAX_BYTES
            && excerpts.into_iter().all(|excerpt| {
                excerpt.bytes.len() <= TOLD_MAX_BYTES && excerpt.bytes.len() as u64 <= excerpt.of_bytes
            })
    }
}

/// Longest name of an action.
const NAME_MAX_BYTES: usize = 255;

/// One entry of a history, with all that its home kept beside it, and that home's signature: enough for a [`Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ArchivedEntry {
    /// What it is about.
    #[n(0)]
    pub entry: Entry,
    /// The home that recorded it.
    #[n(1)]
    pub home: KernelId,
    /// When, by that home's clock, in milliseconds since 1970.
    #[n(2)]
    pub at_ms: u64,
    /// That home's, over the entry and the time, as in a receipt.
    #[n(3)]
    pub signature: Signature,
    /// The outcome, if that home still had it.
    #[n(4)]
    pub outcome: Option<Outcome>,
    /// What came of it, in a word. Nobody signs it where the outcome is absent.
    #[n(5)]
    pub status: Option<OutcomeStatus>,
    /// What was asked and answered, for people.
    #[n(6)]
    pub summary: Option<Summary>,
}

impl ArchivedEntry {
    /// Whether its home has signed it, and the outcome is the one that was recorded.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let outcome = self.outcome.as_ref();
        outcome.is_none_or(|outcome| outcome.hash() == self.entry.outcome)
            && Receipt::is_signed_by(&self.entry, self.at_ms, &self.signature, &self.home)
    }
}

/// Keep what was recorded of an object before it came to you.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Archive {
    /// The object whose history it is.
    #[n(0)]
    pub key: ObjectKey,
    /// The newest first.
    #[n(1)]
    pub entries: Vec<ArchivedEntry>,
}

/// The answer to [`Archive`], sent after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Archived {
    /// The object whose history it is.
    #[n(0)]
    pub key: ObjectKey,
    /// The number of the last entry of that page: it and all before it in the page are kept.
    #[n(1)]
    pub number: u64,
    /// Why none of that page is kept.
    #[n(2)]
    pub code: Option<Code>,
}
