//! What is kept here: importing, creating, changing, listing, reading.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors::ErrorInfo;
use super::state::ObjectState;

/// An object as a kernel holds it: the newest revision that is known there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ObjectInfo {
    /// The object's UUID, with hyphens.
    pub uuid: String,
    /// Its UUID with its lineage or its content's hash: what tells it apart from any other.
    pub key: String,
    /// Its IOR, which names it on every kernel.
    pub ior: String,
    /// Its component, or empty.
    pub component: String,
    /// The component's version, or empty.
    pub version: String,
    /// The name in its model; `null` if it has none, or if the scenario's bytes were not read for this answer.
    #[serde(default)]
    pub name: Option<String>,
    /// Its lineage; `null` while it is unclaimed.
    pub lineage: Option<String>,
    /// Raised by each change of home; 0 while it is unclaimed.
    pub epoch: u64,
    /// Counts its changes; 0 while it is unclaimed.
    pub revision: u64,
    /// The id of the newest revision.
    pub revision_id: String,
    /// The hash of the scenario's bytes.
    pub hash: String,
    /// The scenario's length in bytes.
    pub size: u64,
    /// Whether it was removed.
    pub tombstone: bool,
    /// How it stands here.
    pub state: ObjectState,
    /// The kernel that may change it; `null` while it is unclaimed.
    pub home: Option<String>,
    /// What that kernel is called here.
    pub home_name: Option<String>,
    /// The peer that sent it; `null` if it did not come from a peer.
    pub from: Option<String>,
    /// When this revision was stored here, in milliseconds since 1970.
    pub stored_ms: u64,
    /// How many revisions are kept beside it, for people to decide (`conflicts`).
    pub conflicts: u64,
    /// How many that would have been kept beside it were dropped for want of room.
    #[serde(default)]
    pub conflicts_dropped: u64,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It was not here before.
    New,
    /// It is here already, with the same bytes.
    Same,
    /// It has a new revision.
    Changed,
    /// The file has changed, and so has the object since it was imported: the file is kept as a conflict.
    KeptBeside,
    /// What was kept beside it is gone.
    Resolved,
    /// New, and an object of the same UUID was removed here, and stays so.
    BesideTombstone,
    /// New, and another object here has the same UUID and other bytes: both are kept.
    Beside,
    /// This kernel has become its home.
    Claimed,
    /// It was removed: a tombstone that travels.
    Removed,
    /// The copy here is gone, and nothing else.
    Dropped,
}

/// An object, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChangeInfo {
    /// The object as this kernel holds it now.
    pub object: ObjectInfo,
    /// What became of it.
    pub change: ChangeKind,
    /// Whether this kernel has become the object's home by it.
    pub claimed: bool,
}

/// Imports scenarios, also changed files of objects that are here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The scenarios. They are taken 256 at a time, and what other clients ask goes in between.
    pub scenarios: Vec<ImportText>,
}

/// A scenario to import.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportText {
    /// The scenario, as it is spelled.
    pub text: String,
    /// Where it is from, like a file's name: the next import from there is compared with what this one brought in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The newest `revision_id` of the object, or a beginning of it, over which the text is laid although the object has gone on
    /// since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
}

/// What became of each scenario.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImportResult {
    /// In the order of `scenarios`.
    pub results: Vec<ImportInfo>,
}

/// What became of one scenario.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ImportInfo {
    /// It was not taken.
    Refused {
        /// Why it was not imported.
        error: ErrorInfo,
    },
    /// It is here.
    Kept(Box<ImportedInfo>),
}

/// A scenario that was imported.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImportedInfo {
    /// The object, and what became of it.
    #[serde(flatten)]
    pub change: ChangeInfo,
    /// Where its UUID came from.
    pub identity: Identity,
}

/// Where the UUID of a scenario came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// From its IOR.
    Ior,
    /// From its model.
    Model,
    /// From a member of the scenario itself.
    TopLevel,
    /// From the content: it names none.
    Derived,
    /// From another place, which a newer version may name.
    Other,
}

/// Makes an object, with its home here.
///
/// `invalid` if the component here could do nothing with the model.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The component of the new object.
    pub component: String,
    /// The component's version (that of the component here, else `1.0`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its model (what the component here begins with, else `{}`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Value>,
    /// Its model as a JSON text, kept as it is spelled. Instead of `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_text: Option<String>,
    /// Its UUID (a new one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
}

/// Gives an object another content.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The whole scenario, as it is spelled.
    pub text: String,
    /// The `revision_id` that the text was made from (the newest when it is accepted). `stale` if the object has gone on since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// Makes this kernel the home of an unclaimed object.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
}

/// Removes an object at its home, or drops the copy here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The object is only read here since a backup was put back (state `read-only`), and the copy here is dropped. Any other object is
    /// refused then (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// Lists the objects here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Only those that stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ObjectState>,
    /// Only those whose whole name fits this glob, as in `find`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In which order they come (`key`).
    #[serde(default, skip_serializing_if = "Sort::is_key")]
    pub sort: Sort,
    /// Only those after this place: the `next` of the page before, in the same order. In the order `key` it is a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most objects in the answer (1,000), up to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Also those that were removed, in the order `key` only (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tombstones: bool,
}

/// In which order objects are listed. Above 500,000 objects there is no order but `key` (`invalid`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// By UUID. A page may have fewer objects than `limit`, also none.
    #[default]
    Key,
    /// By name; what has none comes last.
    Name,
    /// By component, then by UUID.
    Component,
    /// What changed last comes first.
    Changed,
}

impl Sort {
    fn is_key(&self) -> bool {
        *self == Self::Key
    }
}

/// A page of objects.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListResult {
    /// The objects, in the order that was wanted.
    pub objects: Vec<ObjectInfo>,
    /// The `after` of the next page, or `null`.
    pub next: Option<String>,
}

/// Reads an object.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// Whether to read the scenario, too (`true`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<bool>,
    /// An earlier revision, by its number, if it is kept here (the setting `revisions`). `not-found` if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// An object and its scenario.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GetResult {
    /// The object as this kernel holds it now.
    pub object: ObjectInfo,
    /// The scenario as it is spelled; `null` for a tombstone, or if it was not wanted.
    pub text: Option<String>,
    /// The numbers of the earlier revisions that are kept here.
    #[serde(default)]
    pub kept: Vec<u64>,
}

/// Lists what an object's scenario refers to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refs {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
}

/// What an object refers to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RefsResult {
    /// The object as this kernel holds it now.
    pub object: ObjectInfo,
    /// The references, in the order of the text.
    pub references: Vec<ReferenceInfo>,
    /// Whether there are more.
    pub truncated: bool,
}

/// A reference to another object.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceInfo {
    /// The reference as it is spelled in the scenario.
    pub target: String,
    /// Where it was found.
    pub place: ReferencePlace,
    /// The path to it in the scenario, like `model.items[3].ior`; cut off if it is very long.
    pub path: String,
    /// The keys of the objects here that it may mean.
    pub objects: Vec<String>,
}

/// Where a reference was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReferencePlace {
    /// In the scenario's list of references.
    Declared,
    /// A text that is an IOR.
    Ior,
    /// A text that is a UUID.
    Uuid,
    /// In some other place of the scenario.
    Other,
}

/// Says how an object came to its home, with each signature and each link checked.
///
/// `unclaimed` if nobody has claimed it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// The object; also one that is not here, if this kernel knows its chain.
    pub object: String,
}

/// How an object came to its home.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PathResult {
    /// The object's key.
    pub key: String,
    /// Its home, as far as is known here.
    pub home: Option<String>,
    /// What that kernel is called here.
    pub home_name: Option<String>,
    /// Whether every signature and every link holds.
    pub verified: bool,
    /// The genesis record, and then every certificate since.
    pub path: Vec<PathStepInfo>,
    /// The newest revision here, or `null`.
    pub newest: Option<NewestInfo>,
    /// Where it is about to leave for, or `null`.
    pub leaving: Option<LeavingInfo>,
}

/// A step on an object's way: the genesis record, or a certificate.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PathStepInfo {
    /// The epoch that it begins.
    pub epoch: u64,
    /// `genesis`, `handoff`, `reopen`, `adopt`, `reinstate` or `promote`.
    pub kind: String,
    /// The home before; `null` for the genesis record.
    pub from: Option<String>,
    /// What that kernel is called here.
    pub from_name: Option<String>,
    /// The home from here on.
    pub home: String,
    /// What that kernel is called here.
    pub home_name: String,
    /// Who signed it; `null` for the genesis record.
    pub signer: Option<String>,
    /// What that kernel is called here.
    pub signer_name: Option<String>,
    /// The hash of the certificate.
    pub certificate: String,
    /// The number of the last revision before it.
    pub after_revision: u64,
    /// When the object was first changed under it, in milliseconds since 1970; `null` if that is not recorded here.
    pub at_ms: Option<u64>,
    /// Of a handoff: whether its receiver took it on, else `null`.
    pub accepted: Option<bool>,
    /// Whether signature and link hold.
    pub verified: bool,
    /// What does not hold, or `null`.
    pub wrong: Option<String>,
}

/// The newest revision of an object here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewestInfo {
    /// The revision's number, which counts the object's changes.
    pub revision: u64,
    /// The epoch in which it was made.
    pub epoch: u64,
    /// The home that made it, if its certificate is one of the chain.
    pub by: Option<String>,
    /// What that kernel is called here.
    pub by_name: Option<String>,
    /// Whether it carries that home's signature.
    pub signed: bool,
    /// Whether the signature holds.
    pub verified: bool,
    /// What does not hold, or `null`.
    pub wrong: Option<String>,
}

/// Where an object is about to leave for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LeavingInfo {
    /// What the receiver is called here.
    pub to: String,
    /// The receiver's kernel id.
    pub kernel: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether it is handed over already.
    pub sealed: bool,
}
