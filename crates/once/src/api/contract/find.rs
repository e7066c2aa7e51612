//! Objects by what they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::ObjectState;

/// Looks for objects by what they are, at one kernel: one page of what is found, in the order of keys.
///
/// What is absent does not matter; what is there must all fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Stands somewhere in the scenario, as it is spelled there; ASCII letters in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The component, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// A glob for the whole name: `*` is any run of characters, `?` is one character; ASCII letters in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Values that the scenario has.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<FindCondition>,
    /// The newest revision was stored by the asked kernel at this time or later, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_since_ms: Option<u64>,
    /// The home: a kernel id, the name of a peer, or `here`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Which kernel to ask: a peer (this one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Where to go on: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most objects in this page (128), at most that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Stops waiting for the peer (30,000; for a connection 5,000 of them).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A value that a scenario has at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindCondition {
    /// Where: a JSON pointer, like `/model/color`.
    pub pointer: String,
    /// What: a string, a number, a truth value or null.
    pub value: serde_json::Value,
}

/// The result of `find`: one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindResult {
    /// The kernel that was asked.
    pub kernel: String,
    /// What it is called here.
    pub kernel_name: String,
    /// What was found, in the order of keys; perhaps nothing, although there is a next page.
    pub objects: Vec<FoundInfo>,
    /// The `after` of the next page; null when all was looked at.
    pub next: Option<String>,
}

/// An object that was found, as the asked kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundInfo {
    /// The object's UUID, with hyphens.
    pub uuid: String,
    /// UUID and lineage or content.
    pub key: String,
    /// A reference to it.
    pub ior: String,
    /// Its component; empty if it names none.
    pub component: String,
    /// The component's version.
    pub version: String,
    /// The name in its model.
    pub name: Option<String>,
    /// Its home; null while it is unclaimed.
    pub home: Option<String>,
    /// What the home is called here.
    pub home_name: Option<String>,
    /// How it stands here; null if a peer was asked, which tells no more than the home.
    #[serde(default)]
    pub state: Option<ObjectState>,
    /// The epoch of its newest revision there.
    pub epoch: u64,
    /// The number of that revision.
    pub revision: u64,
    /// The scenario's size in bytes.
    pub size: u64,
    /// When that kernel stored it, by its clock, in milliseconds since 1970.
    pub changed_ms: u64,
}
