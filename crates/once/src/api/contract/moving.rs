//! Objects that move to other kernels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::GrantInfo;
use super::departures::{DepartureInfo, KernelInfo};
use super::errors::ErrorCode;
use super::health::CheckInfo;

/// Moves objects to another kernel, which becomes their home.
///
/// Without `wait` it is answered when the wishes are durable. One object alone that does not move is an error
/// (`not-moved`).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The objects to move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Instead: all objects that have their home here (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Instead: all objects of this component that have their home here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The receiver, a peer.
    pub to: String,
    /// Only says what would move, after having asked the receiver, and who would lose what (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Grants on the kernel or on a component become grants on each object, before it goes (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carry_rights: bool,
    /// Does not wait for calls of theirs that have no outcome: these end as `unknown` (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave_calls: bool,
    /// Gives this kernel no right to read them there, and to act on them (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_me: bool,
    /// Answers when they live there (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Stops waiting (no end). What has begun goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What became of a move.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MoveResult {
    /// With `dry_run`: what would move.
    Plan(MovePlan),
    /// Without `dry_run`: what moved.
    Done(MoveDone),
}

/// What would move.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MovePlan {
    /// The keys of the objects that would.
    pub objects: Vec<String>,
    /// Those that would not: the receiver was asked, and moves nothing. Room is asked for each alone.
    pub refused: Vec<RefusedInfo>,
    /// Why the receiver was not asked, or not for all of them; `null` if it was.
    pub unasked: Option<String>,
    /// Grants on the kernel or on a component that reach these objects, and stay behind.
    pub loses: Vec<GrantInfo>,
    /// Always `true`: it tells this answer from that of a call that was made in earnest.
    pub dry_run: bool,
}

/// What moved, and what did not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MoveDone {
    /// The keys of those that live there.
    pub moved: Vec<String>,
    /// Those that do not move.
    pub refused: Vec<RefusedInfo>,
    /// How many are on their way.
    pub waiting: usize,
    /// How many calls were told `unknown`, with `leave_calls`.
    pub left: usize,
    /// Grants on the kernel or on a component that reach these objects, and stay behind.
    pub loses: Vec<GrantInfo>,
    /// How many grants became grants on each object.
    pub carried: usize,
}

/// An object that does not move, and why.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RefusedInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// A stable code.
    pub code: ErrorCode,
    /// Why it does not move, in words.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// Lists objects that are about to move, and what is left to be done about those that moved.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moves {}

/// Objects on their way, and those that others have not heard of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MovesResult {
    /// What is about to leave.
    pub moves: Vec<DepartureInfo>,
    /// What has come, and was not told so.
    pub arrivals: Vec<ArrivalInfo>,
    /// What was to move, or wanted to, and stays without anybody having been told.
    pub stayed: Vec<StayedInfo>,
    /// What has moved from here, or come here, with who has not heard of it.
    pub news: Vec<NewsInfo>,
}

/// An object that was to move, and stays.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StayedInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// What the receiver is called here.
    pub to: String,
    /// The receiver's kernel id.
    pub kernel: String,
    /// When that was clear, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why it stays, in words.
    pub why: String,
}

/// An object that has come, and was not told so.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// What the kernel is called that it came from.
    pub from: String,
    /// That kernel's id.
    pub kernel: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// The component that its scenario names.
    pub component: String,
    /// How many programs serve its component; `null` if none does at any time.
    pub programs: Option<usize>,
}

/// An object that has moved, and who has not heard of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewsInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// What its home is called here.
    pub home: String,
    /// The kernel id of its home.
    pub kernel: String,
    /// Who has not heard of it.
    pub waits_for: Vec<KernelInfo>,
}

/// Takes the wish to move an object back.
///
/// Of what is listed as `stayed`: that this was seen. `not-found` if it is neither.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovesWithdraw {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
}

/// Whether the object stays.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MovesWithdrawResult {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// `false` if it is handed over already: then the receiver is asked, on each new connection, and says where it
    /// lives.
    pub stays: bool,
}

/// Moves what has its home here to another kernel, and shares what is only kept here.
///
/// Who hangs up begins nothing further. What has begun goes on by itself, and the same call goes on with the rest.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// The receiver, a peer.
    pub to: String,
    /// Only says what would go, and who would lose what (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// As in `move` (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carry_rights: bool,
    /// As in `move` (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave_calls: bool,
    /// Stops waiting when nothing has arrived for so long (no end).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What became of a drain.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DrainResult {
    /// With `dry_run`: what would go.
    Plan(DrainPlanInfo),
    /// Without `dry_run`: what went.
    Done(Box<DrainDone>),
}

/// What would go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DrainPlanInfo {
    /// What the receiver is called here.
    pub to: String,
    /// The receiver's kernel id.
    pub kernel: String,
    /// How many objects would move.
    pub moves: usize,
    /// What would not, and why: the first 1,000. The receiver was asked, and nothing moves. Room is asked for each object alone.
    pub stuck: Vec<RefusedInfo>,
    /// How many would not.
    pub stuck_count: usize,
    /// Why the receiver was not asked, or not for all of them; `null` if it was.
    pub unasked: Option<String>,
    /// How many would be shared.
    pub shares: usize,
    /// What this kernel follows at others.
    pub follows: Vec<DrainFollowInfo>,
    /// Grants that stay behind, as in `move`.
    pub loses: Vec<GrantInfo>,
    /// Always `true`: it tells this answer from that of a call that was made in earnest.
    pub dry_run: bool,
}

/// What went, and what did not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DrainDone {
    /// What the receiver is called here.
    pub to: String,
    /// The receiver's kernel id.
    pub kernel: String,
    /// How many objects live there.
    pub moved: usize,
    /// How many were shared.
    pub shared: usize,
    /// How many calls were told `unknown`, with `leave_calls`.
    pub left: usize,
    /// What cannot go, and why: the first 1,000.
    pub stuck: Vec<RefusedInfo>,
    /// How many cannot go.
    pub stuck_count: usize,
    /// Objects that were to move, and were not there when nothing had arrived for `timeout_ms`.
    pub not_arrived: usize,
    /// Shares that were not there then.
    pub owed: usize,
    /// How much of what this kernel followed at others the receiver follows in its place now.
    pub followed: usize,
    /// What this kernel still follows at others: the receiver does not take that over.
    pub follows: Vec<DrainFollowInfo>,
    /// Why it does not, the first time.
    pub unfollowed: Option<String>,
    /// Grants that stay behind, as in `move`.
    pub loses: Vec<GrantInfo>,
    /// How many grants became grants on each object.
    pub carried: usize,
    /// Other peers of this kernel: the receiver does not know them by this.
    pub peers: Vec<DrainPeerInfo>,
    /// Grants on this kernel or on a component: the receiver gives none of them by this.
    pub rights: Vec<GrantInfo>,
    /// Whether `drain.cancel` ended it.
    pub cancelled: bool,
    /// Whether all has gone.
    pub complete: bool,
    /// Whether the peer is connected.
    pub connected: bool,
    /// If it is not: why the last try to reach it failed.
    pub trouble: Option<String>,
}

/// What this kernel follows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DrainFollowInfo {
    /// The key of the object.
    pub key: String,
    /// By which another kernel can follow it.
    pub ior: Option<String>,
    /// What the kernel is called that sends it.
    pub peer: String,
    /// That kernel's id.
    pub kernel: String,
}

/// A peer of a kernel that was drained.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DrainPeerInfo {
    /// What it is called here.
    pub peer: String,
    /// Which.
    pub kernel: String,
    /// Where it may be reached.
    pub addresses: Vec<String>,
}

/// Ends drains: what is not handed over stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainCancel {
    /// Only that to this peer (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What stays, and what is handed over already.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DrainCancelResult {
    /// The keys of objects that stay.
    pub stays: Vec<String>,
    /// What is handed over already.
    pub sealed: Vec<SealedInfo>,
    /// What waits to be shared with a peer: it is still sent, also what a drain has begun to share (`outbox.drop` gives it up).
    #[serde(default)]
    pub owed: Vec<DrainOwedInfo>,
}

/// What waits to be shared with a peer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DrainOwedInfo {
    /// What it is called here.
    pub peer: String,
    /// Which.
    pub kernel: String,
    /// How many scenarios.
    pub scenarios: u64,
}

/// An object that is handed over.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SealedInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// What the receiver is called here.
    pub to: String,
    /// The receiver's kernel id.
    pub kernel: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// Says whether anything would be lost with this kernel.
///
/// The check `copies` is fine with `to` when that kernel has answered for each scenario that is only kept here: it is
/// offered them again, for as long as something arrives within `timeout_ms`. The check `history` is fine when the present homes
/// keep what was recorded here of their objects: it is given to those that are connected, each waited for as long.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// A peer that is to have what is only kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The caller has written down what `receipts` gives, which is remembered (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_receipts: bool,
    /// What this kernel did after the backup that was put back is given up (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loss_given_up: bool,
    /// Stops waiting when nothing arrives for so long (10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Whether this kernel can go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RetireResult {
    /// Whether nothing would be lost.
    pub erasable: bool,
    /// What was looked at.
    pub checks: Vec<CheckInfo>,
}
