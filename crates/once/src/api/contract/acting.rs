//! Actions: doing, taking back, what came of them, and the proof of it.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::coordination::CoordinationInfo;

/// Acts on an object, once, wherever its home is.
///
/// Answers with the outcome, when it is there. The same `id` with the same content is the same action, and gets the same
/// outcome. An action that failed or was refused is an error, with the action's id in `data.id`: `failed` (also: the component
/// knows no such action, and the message lists some that it knows); `denied` (also: its home is elsewhere); `invalid` (also: no
/// component at the home reads the object, a scenario that it depends on did not come, or too large); `disk-full`; `expired`;
/// `cancelled`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// The object. One that is not here needs its whole IOR, with home and lineage or hash.
    pub object: String,
    /// The action's name, as the object's component calls it.
    pub name: String,
    /// The arguments (`null`). Numbers and keys in them reach the component in another spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// The arguments as a JSON text, which reaches the component as it is spelled. Instead of `arguments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments_text: Option<String>,
    /// The action's id, a UUID of version 7 (a new one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The peer at which to act, for an object that nobody has claimed. `not-home` if its home is known to be elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Scenarios that the action depends on, at most 64. If the home lacks one, it asks this kernel for it, and refuses the
    /// action if it does not come within 10 s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// Expires the action: if it has not begun to run by then, it is refused as `expired`. One that has begun ends as it ends,
    /// also later. At most ten years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Stops waiting: `unknown` after that, and the action goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Answers as soon as the action is durable here (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionStatus {
    /// It has run.
    Done,
    /// It is durable here, and has no outcome yet.
    Accepted,
    /// It never ran, and never will.
    Cancelled,
    /// It was taken back, and its home has not said yet whether that was in time.
    Cancelling,
}

/// An action, and its outcome if that is here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ActionInfo {
    /// The action's id.
    pub id: Uuid,
    /// How far it is. Only `done` has an outcome.
    pub status: ActionStatus,
    /// What came of it, of an action that is done.
    #[serde(flatten)]
    pub done: Option<DoneInfo>,
    /// Whether the object was claimed by it: this kernel is its home now. Only where `act` answers with an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<bool>,
    /// How the coordination stands that this action started. Only of `outcome`, and of such an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordination: Option<Box<CoordinationInfo>>,
}

/// What came of an action that is done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DoneInfo {
    /// The component's result as a value, `null` where it is no JSON.
    pub result: Value,
    /// The component's result as it spelled it.
    pub result_text: String,
    /// The key of the object after the action.
    pub object: Option<String>,
    /// The id of the object's newest revision after the action.
    pub revision: Option<String>,
}

/// Says what came of an action that this kernel accepted.
///
/// `not-found` if it accepted no action of that id. An action that failed or was refused is an error, as for `act`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The action's id.
    pub id: Uuid,
}

/// Takes an action back.
///
/// `cancelled`: it never ran, and never will. Else the outcome that it had, also if that is an error. With `no_wait`, or if the
/// home cannot be reached from here: `cancelling`, while the home has not said which.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The action's id.
    pub id: Uuid,
    /// Stops waiting for the home (10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Answers as soon as the wish is durable here (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
}

/// Fetches the receipt of an action from the object's home, and checks it.
///
/// `not-found` if the home keeps no record of it: it was refused for want of a right, or is long over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The action's id.
    pub id: Uuid,
    /// Stops waiting for the home (10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What the object's home says, with its signature, of an action that it recorded.
///
/// All members but `cbor` are copies for people, and nobody must rely on them: `once verify-receipt` refuses a file in which they
/// differ from `cbor`, and shows only what is in there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptInfo {
    /// The version of the form.
    pub once_receipt: u64,
    /// The kernel that recorded it.
    pub home: String,
    /// When, by the home's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// The object's key after the action.
    pub object: String,
    /// The number of the entry in the object's history.
    pub number: u64,
    /// The hash of the entry before it.
    pub previous: String,
    /// The kernel that accepted the action first.
    pub origin: String,
    /// The incarnation of that kernel.
    pub incarnation: String,
    /// The action's place in its lane.
    pub sequence: u64,
    /// The action's id.
    pub id: Uuid,
    /// The hash of what was asked.
    pub action: String,
    /// The id of the revision that it ran on.
    pub before: String,
    /// The number of the revision that it left.
    pub revision: u64,
    /// The hash of that revision's content.
    pub content: String,
    /// The hash of the newest certificate; `null` if nobody had claimed the object.
    pub certificate: Option<String>,
    /// The hash of the outcome.
    pub outcome_hash: String,
    /// `done`, `failed` or `refused`; `null` where the home kept only `outcome_hash`.
    pub outcome: Option<String>,
    /// The component's words, of `done` and `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_text: Option<String>,
    /// Why, of `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The receipt itself in base64 (`receipt` in `docs/protocol.cddl`).
    pub cbor: String,
}

/// Lists what this kernel has recorded of an object, oldest first.
///
/// At the homes of the object only (`not-home`): each lists what it has recorded itself, and `elsewhere` says which entries other
/// homes have.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// Only entries after this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Most entries in the answer (100).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only entries before this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The newest entry comes first (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest_first: bool,
    /// Results are whole, where they are kept (`false`): at the home until the origin has them, at the origin for as long as
    /// `outcome` knows them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
}

/// A page of a history.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HistoryResult {
    /// The object's key.
    pub object: String,
    /// The entries, oldest first unless the newest were asked for first.
    pub entries: Vec<EntryInfo>,
    /// How many entries this kernel has.
    pub total: usize,
    /// The `after` of the next page (`before`, if the newest come first), or `null`.
    pub next: Option<u64>,
    /// The number of the first entry, of the whole history, that does not have the hash of the one before it, or `null`.
    pub broken: Option<u64>,
    /// Entries that other homes of the object have, and have not given to this kernel.
    pub elsewhere: Vec<TermInfo>,
    /// Entries among those of this kernel that former homes have recorded, and given to it.
    pub given: Vec<TermInfo>,
}

/// Entries of a history that one home has recorded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TermInfo {
    /// The number of the first.
    pub from: u64,
    /// The number of the last; `null` for those of today's home.
    pub to: Option<u64>,
    /// The kernel id of that home.
    pub home: String,
    /// What it is called here.
    pub home_name: String,
}

/// An entry of a history.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EntryInfo {
    /// Its number, from 1.
    pub number: u64,
    /// When, by this kernel's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// The kernel that accepted the action first.
    pub origin: String,
    /// What that kernel is called here.
    pub origin_name: String,
    /// The incarnation of that kernel.
    pub incarnation: String,
    /// The action's place in its lane.
    pub sequence: u64,
    /// The action's id.
    pub id: Uuid,
    /// The hash of what was asked.
    pub action: String,
    /// The action's name. This and the two texts are kept of the newest 1,000 entries of an object (`told` in the scenario of the
    /// kernel, `once up --told`, `Builder::told`), else `null`.
    pub name: Option<String>,
    /// The arguments, up to 1,024 bytes: an ellipsis says that there was more. Only whoever asked still has the rest.
    pub arguments_text: Option<String>,
    /// How long the arguments were, in bytes.
    pub arguments_bytes: Option<u64>,
    /// The result, or why the component rejected the action. Up to 1,024 bytes, with `full` all of it where it is kept: an
    /// ellipsis says that there was more. `outcome` at the origin may still have the rest.
    pub result_text: Option<String>,
    /// How long the result was, in bytes.
    pub result_bytes: Option<u64>,
    /// `done`, `failed` or `refused`; `null` if an older version wrote it.
    pub status: Option<String>,
    /// Why, of `refused`.
    pub code: Option<String>,
    /// The hash of the outcome.
    pub outcome_hash: String,
    /// The id of the revision that it ran on.
    pub before: String,
    /// The number of the revision that it left.
    pub revision: u64,
    /// The hash of that revision's content.
    pub content: String,
    /// The hash of the newest certificate; `null` if nobody had claimed the object.
    pub certificate: Option<String>,
    /// The `hash` of the entry before it.
    pub previous: String,
    /// The hash of this entry.
    pub hash: String,
    /// The kernel that recorded it.
    pub home: String,
    /// What it is called here.
    pub home_name: String,
}

/// Gives a receipt of each entry of an object's history that is kept here, oldest first, also if it lives elsewhere now.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// Only entries after this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// A page of receipts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptsResult {
    /// The object's key.
    pub object: String,
    /// The receipts, in the order of the history.
    pub receipts: Vec<ReceiptInfo>,
    /// The `after` of the next page, or `null`.
    pub next: Option<u64>,
}
