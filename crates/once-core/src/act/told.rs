//! What was asked of an object and what it said, for people.

use minicbor::{Decode, Encode};
use once_model::action::{Action, Outcome};
use once_model::limits::TOLD_MAX_BYTES;

/// What was asked of an object, and what it said: as much of it as people want to see.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ToldRow {
    /// The action's name.
    #[n(0)]
    pub name: String,
    /// Its arguments.
    #[n(1)]
    pub arguments: Cut,
    /// Its result, or why the component said no. Nothing if it never ran, and as long as the row has the outcome.
    #[n(2)]
    pub result: Option<Cut>,
}

/// The beginning of some JSON.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cut {
    /// At most [`TOLD_MAX_BYTES`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// How many it has.
    #[n(1)]
    pub of_bytes: u64,
}

impl Cut {
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

impl ToldRow {
    pub(crate) fn new(action: &Action) -> Self {
        Self { name: action.name.clone(), arguments: Cut::new(&action.arguments), result: None }
    }

    pub(crate) fn with_result_of(self, outcome: &Outcome) -> Self {
        let result = match outcome {
            Outcome::Done(result) | Outcome::Failed(result) => Some(Cut::new(result)),
            Outcome::Refused(_) => None,
        };
        Self { result, ..self }
    }
}
