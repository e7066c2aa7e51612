//! Programs that serve components, and what they are asked.

use std::borrow::Cow;
use std::collections::BTreeSet;

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ActionDescription;

/// Serves a component: from now on this connection gets `run` notifications.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    /// The component's name, like `Lamp`.
    pub component: String,
    /// The version that the program reads and writes.
    pub version: String,
    /// The actions that it understands, at most 1,024, none of which begins with `once:` (it is asked for every one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<BTreeSet<String>>,
    /// What the program says of its actions, for `actions`: at most 1,024, none twice, each in `actions` if that is given,
    /// 1,024 bytes of description each and 256 KiB in all (nothing).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub descriptions: Vec<ActionDescription>,
    /// What its objects are told when they move (nothing).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub moves: BTreeSet<MoveNotice>,
}

/// What objects may be told when they move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MoveNotice {
    /// Before an object leaves it is told so, as `once:leaving`.
    Leaving,
    /// Before anything else an object that has come is told so, as `once:arrived`.
    Arrived,
}

/// What is served.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServeResult {
    /// The component's name, like `Lamp`.
    pub component: String,
    /// The component's version, like `1.0`.
    pub version: String,
    /// So many runs it is asked for at once.
    pub runs_max: usize,
}

/// Answers a `run` notification: the answer was understood.
///
/// Either `failed`, or any of the others. JSON is kept as it is spelled.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// The number of the run.
    pub run: u64,
    /// A whole new model, as a JSON text. Instead of `merge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_text: Option<String>,
    /// A merge patch (RFC 7396) for the model: bytes that it does not touch stay. Neither: nothing changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<Box<RawValue>>,
    /// The version that the scenario names from now on (the one that it names).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What whoever acted gets (`null`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// The same as a JSON text. Instead of `result`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_text: Option<String>,
    /// The action has failed, with this reason: the object stays as it is, and nothing follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Box<RawValue>>,
    /// What follows from it, in one commit with the new model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

/// What follows from an action: carried out in one commit with the new model, or not at all.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// An action on another object, exactly once, wherever its home is.
    Act(ActEffect),
    /// A new object, with its home here.
    Create(CreateEffect),
    /// The object itself is removed, once the action has its outcome.
    Remove(RemoveEffect),
    /// The object moves to another kernel, if that takes it; why it stays otherwise, `moves` lists.
    Move(MoveEffect),
    /// A durable timer. One of the same name is replaced.
    Timer(TimerEffect),
    /// Ends a timer.
    CancelTimer(CancelTimerEffect),
    /// Tells whoever listens on this kernel, at most once.
    Publish(PublishEffect),
    /// Work outside, at least once.
    Activity(ActivityEffect),
}

/// An action on another object.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActEffect {
    /// The object: an IOR with its lineage, or a key.
    pub object: String,
    /// The action's name.
    pub name: String,
    /// The arguments (`null`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Box<RawValue>>,
    /// Expires the action, as in `act`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Scenarios that the action depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<GivenEffect>,
    /// What this object is told when the outcome is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
}

/// A scenario that an action depends on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenEffect {
    /// The key of its object.
    pub key: String,
    /// The hash of its bytes.
    pub hash: String,
}

/// The action of this object that is told what came of an effect.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// The action's name.
    pub action: String,
    /// What it wants to be reminded of (`null`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Box<RawValue>>,
}

/// A new object.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEffect {
    /// The component of the new object.
    pub component: String,
    /// The component's version.
    pub version: String,
    /// The model that it begins with.
    pub model: Box<RawValue>,
    /// Its UUID (derived from the action).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Its owner (this kernel's name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The object itself is removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveEffect {}

/// The object moves.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveEffect {
    /// The receiver's kernel id.
    pub to: String,
}

/// A timer of this object, kept by the kernel.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimerEffect {
    /// The timer's name: one of the same name is replaced.
    pub name: String,
    /// After how long it rings, in milliseconds.
    pub after_ms: u64,
    /// What this object is told then.
    pub then: Then,
}

/// Ends a timer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelTimerEffect {
    /// The timer's name.
    pub name: String,
}

/// Something for whoever listens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishEffect {
    /// What it is about.
    pub name: String,
    /// What it says (`null`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// Work in the outside world, which a program does.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivityEffect {
    /// The kind of work, as `serve_activity` names it.
    pub name: String,
    /// The arguments (`null`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Box<RawValue>>,
    /// What this object is told when it is done.
    pub then: Then,
}

/// Does work outside: from now on this connection gets `work` notifications.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeActivity {
    /// The name of the work.
    pub name: String,
}

/// What work is done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServeActivityResult {
    /// The name of the work.
    pub name: String,
    /// So much of it is asked for at once.
    pub works_max: usize,
}

/// Answers a `work` notification: what came of it is on the disk, and the work is not asked for again.
///
/// `not-found` says that it was answered before, or that its object is gone.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Worked {
    /// The id of the work.
    pub id: Uuid,
    /// The key of the object that asked for it.
    pub object: String,
    /// What came of it (`null`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// The same as a JSON text. Instead of `result`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_text: Option<String>,
    /// Instead of a result: it cannot be done, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Box<RawValue>>,
}

/// Forgets a component that programs served: none serves it any more, and none is waited for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unserve {
    /// The component's name, like `Lamp`.
    pub component: String,
}

/// It was done, and there is nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// What a program is asked: what becomes of an object by an action. `ran` answers it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunNotice<'a> {
    /// The number of the run.
    pub run: u64,
    /// The object's component.
    pub component: Cow<'a, str>,
    /// The version that its scenario names: it may be older, or empty.
    pub version: Cow<'a, str>,
    /// The object's key.
    pub object: String,
    /// The action's name.
    pub action: Cow<'a, str>,
    /// The arguments: JSON as it was spelled by whoever acted.
    pub arguments_text: Cow<'a, str>,
    /// The whole scenario as it is spelled.
    pub scenario_text: Cow<'a, str>,
    /// The part of it that changes; where it has no model: all of it.
    pub model_text: Cow<'a, str>,
    /// The action's id.
    pub id: Uuid,
    /// The kernel that accepted the action.
    pub origin: String,
    /// The key of the object that acts, if one does.
    pub acting: Option<String>,
    /// The id of an effect of this object whose outcome the action tells; `null` for everyone else's actions. The arguments are
    /// `{"effect", "status", "result"|"reason"|"code"?, "with"}` then.
    pub answers: Option<Uuid>,
    /// The time of the run, in milliseconds since 1970.
    pub now_ms: u64,
    /// 64 hexadecimal digits that nobody outside this kernel can foresee.
    pub seed: String,
    /// The scenarios that the action depends on, as texts.
    pub given: Vec<Cow<'a, str>>,
}

/// Work outside that a program is asked to do. `worked` answers it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WorkNotice<'a> {
    /// The id of the work: the same each time that it is asked for.
    pub id: Uuid,
    /// The key of the object that asks for it.
    pub object: String,
    /// The name of the work.
    pub name: Cow<'a, str>,
    /// The arguments: JSON as it was spelled.
    pub arguments_text: Cow<'a, str>,
}
