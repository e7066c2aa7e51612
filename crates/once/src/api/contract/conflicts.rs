//! What is in conflict, and deciding it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::ObjectInfo;

/// Lists objects that share a UUID, and objects that were changed apart.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflicts {
    /// Only those after this place: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most conflicts in the answer (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What is in conflict.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConflictsResult {
    /// The conflicts, by UUID.
    pub conflicts: Vec<ConflictInfo>,
    /// The `after` of the next page, or `null`.
    #[serde(default)]
    pub next: Option<String>,
    /// How many objects are only read here, after this kernel was put back from a backup: what others have of them may be newer, and
    /// differ (`list` with the state `read-only`).
    #[serde(default)]
    pub read_only: u64,
}

/// What kind of conflict it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictReason {
    /// Objects that share a UUID.
    SameUuid,
    /// An object that was changed apart.
    Forked,
    /// A later revision took the place of one that it is not proven to continue: the home is asked.
    NotProven,
}

/// Versions of which one must be chosen, or objects that share a UUID.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConflictInfo {
    /// The UUID of its objects.
    pub uuid: Option<String>,
    /// What kind of conflict it is.
    pub reason: ConflictReason,
    /// The objects; of one that was changed apart, what is kept beside it, and then the newest revision.
    pub objects: Vec<VersionInfo>,
}

/// An object, or a revision that is kept beside one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VersionInfo {
    /// The object as this kernel holds it now.
    #[serde(flatten)]
    pub object: ObjectInfo,
    /// Only of a revision that is kept beside an object.
    #[serde(flatten)]
    pub beside: Option<BesideInfo>,
}

/// A revision that is kept beside an object.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BesideInfo {
    /// Always `true`: it tells a kept revision from the newest one.
    pub kept: bool,
    /// What the kernel is called that sent it; `null` if none did.
    pub from_name: Option<String>,
    /// Whether it is a file that was imported here, and no revision of the object's history.
    #[serde(default)]
    pub is_file: bool,
    /// Whether `conflicts.keep` can make it the next revision here; else it can only be dropped.
    #[serde(default)]
    pub can_keep: bool,
    /// Where it differs from the newest revision; `null` for a tombstone.
    pub difference: Option<DifferenceInfo>,
}

/// Where two scenarios differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceInfo {
    /// The places, at most 32.
    pub places: Vec<DifferencePlace>,
    /// Whether there are more places, or the texts are too large to compare.
    pub truncated: bool,
}

/// A place where two scenarios differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferencePlace {
    /// A JSON pointer (RFC 6901).
    pub path: String,
    /// What stands there in the newest revision, as it is spelled; absent if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// What stands there in the other one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// Makes what is kept beside an object its next revision, at its home.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictsKeep {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The `revision_id` of what is kept, or a beginning of at least 4 digits.
    pub revision: String,
}

/// Drops what is kept beside an object.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictsDrop {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The `revision_id` of what is kept, or a beginning of at least 4 digits.
    pub revision: String,
}
