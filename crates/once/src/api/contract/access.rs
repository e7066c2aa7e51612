//! Rights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a kernel or an object may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Store objects here by sharing them. On the whole kernel only.
    Share,
    /// Read objects: request, follow and compare them.
    #[default]
    Read,
    /// Act on objects.
    Act,
    /// Take objects over, when they move. On the whole kernel or a component.
    Host,
    /// Find objects: learn that they are there and what they are called, and not what is in them. On the whole kernel or a component.
    Find,
}

/// Gives a right to a peer, or to an object.
///
/// Grants add up: an action that is granted twice ends at the later time.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The peer that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Instead of a peer: an object, by its IOR. The right to act only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_object: Option<String>,
    /// The right: what it allows.
    pub right: Right,
    /// On which object (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Instead of an object: on which component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// After how many seconds the right ends (never).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// Of the right to act: only these actions, at most 256 (every one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
}

/// Takes a right back.
///
/// With `actions`: those of them that are granted (`not-found` if none is); single actions of a grant of every action
/// are refused. Without: the whole grant, whenever it ends. It is answered when all that was followed by that right has
/// ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The peer that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Instead of a peer: an object, by its IOR. The right to act only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_object: Option<String>,
    /// The right: what it allows.
    pub right: Right,
    /// On which object (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Instead of an object: on which component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// After how many seconds the right ends (never).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// Of the right to act: only these actions, at most 256 (every one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
}

/// Lists the rights that were given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {}

/// Rights. Of `grant` and `revoke`: all that this peer or object may do now by that right.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GrantsResult {
    /// The grants. Actions that end at different times are grants of their own.
    pub grants: Vec<GrantInfo>,
}

/// On what a right is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantScope {
    /// On the whole kernel.
    All,
    /// On all objects of a component.
    Component,
    /// On one object.
    Object,
}

/// A right that was given.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GrantInfo {
    /// What the kernel that has it is called here.
    pub peer: String,
    /// The kernel that has it.
    pub kernel: String,
    /// The key of the object that alone has it; `peer` was its home when it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_object: Option<String>,
    /// The right: what it allows.
    pub right: Right,
    /// On what it is given.
    pub scope: GrantScope,
    /// The key of the object on which it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The component on which it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// When it ends, in milliseconds since 1970; `null`: never.
    pub expires_ms: Option<u64>,
    /// Whether it is over. It stays so whatever the clock says later.
    pub ended: bool,
    /// The actions that are granted, where the right to act is on some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
}
