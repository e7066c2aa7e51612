//! Scenarios that travel: sharing, fetching, comparing, following.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::ObjectInfo;

/// Sends objects to a peer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The objects; one that is named twice is shared once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// All objects here instead (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The peer: a petname, a kernel id, or a unique beginning of one.
    pub to: String,
    /// Waits until the peer has answered for each (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delivered: bool,
    /// Also what they refer to, and what that refers to, within limits (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_references: bool,
    /// Stops waiting (no end). What was shared until then stays shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What became of the shares.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ShareResult {
    /// How many are durably owed to the peer.
    pub shared: u64,
    /// How many of them it has answered for.
    pub delivered: u64,
    /// Those that it refused.
    pub refused: Vec<ShareRefusedInfo>,
    /// References that were not followed.
    pub left_out: Vec<LeftOutInfo>,
    /// With `delivered`: how many have no answer yet.
    pub waiting: u64,
    /// Whether the peer is connected.
    pub connected: bool,
    /// If it is not: why the last try to reach it failed.
    pub trouble: Option<String>,
    /// Large scenarios that are on their way to it.
    pub transfers: Vec<TransferInfo>,
}

/// An object that a peer refused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ShareRefusedInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub object: String,
    /// The code of the reason, as in an error.
    pub code: String,
}

/// A reference that was not followed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutInfo {
    /// The reference as it is spelled in the scenario.
    pub target: String,
    /// The reason, in words.
    pub reason: String,
}

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It comes here.
    In,
    /// It goes there.
    Out,
}

/// A large scenario that is on its way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TransferInfo {
    /// The key of its object.
    pub object: String,
    /// What the other kernel is called here.
    pub peer: String,
    /// The other kernel.
    pub kernel: String,
    /// Which way it goes.
    pub way: Way,
    /// How much of it has arrived.
    pub done_bytes: u64,
    /// The scenario's length in bytes.
    pub bytes: u64,
}

/// Fetches one object from another kernel.
///
/// Without `from` the home that the IOR names is asked, then every connected peer. The error is what the home said, if
/// it was asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The peer to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether to keep a copy here (`true`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<bool>,
    /// Stops waiting (10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// An object of another kernel.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RequestResult {
    /// The object as this kernel holds it now.
    pub object: ObjectInfo,
    /// The scenario as it is spelled; `null` for a tombstone.
    pub text: Option<String>,
    /// Whether a copy is kept here.
    pub kept: bool,
    /// What the kernel that gave it is called here.
    pub peer: String,
}

/// Compares with a peer, gets what is missing here, and gives what is missing there.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The peer: a petname, a kernel id, or a unique beginning of one.
    pub with: String,
    /// Stops it (no end). What came until then is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The report of an exchange.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeResult {
    /// The other kernel.
    pub peer: String,
    /// This kernel, as its owner has to name it in a grant there.
    pub kernel: String,
    /// How many objects either side has that the other may read, each counted once.
    pub compared: u64,
    /// Of these, how many the other kernel has. What it withholds, it does not say.
    pub shown: u64,
    /// Objects here that were not compared, because the other kernel may not read them.
    pub withheld: u64,
    /// Received and kept.
    pub received: u64,
    /// Received, but here already.
    pub known: u64,
    /// Received and kept beside another revision.
    pub conflicts: u64,
    /// Received and not kept.
    pub refused: u64,
    /// Wanted, and not given: the other kernel cannot read it, or changed it meanwhile.
    pub missing: u64,
    /// Kept by the other kernel.
    pub sent: u64,
    /// The other kernel had them already.
    pub sent_known: u64,
    /// Kept there beside another revision.
    pub sent_conflicts: u64,
    /// Not kept there.
    pub sent_refused: u64,
    /// Rounds of comparing.
    pub rounds: u64,
    /// Bytes that left this kernel on the connection meanwhile, with all that the network adds.
    pub bytes_sent: u64,
    /// Bytes that came.
    pub bytes_received: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// Has each new revision of an object sent here from now on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The peer that sends them (its home).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Ends that an object is followed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfollow {
    /// The object: a UUID, a unique beginning of one, a key, or an IOR.
    pub object: String,
    /// The peer that sends them (the one that does).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// An object that is followed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FollowInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// The other kernel.
    pub peer: String,
    /// What that kernel is called here.
    pub name: String,
}

/// Lists what this kernel follows, and who follows objects here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Follows {}

/// Who follows what.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FollowsResult {
    /// What this kernel follows at others.
    pub following: Vec<FollowInfo>,
    /// What others follow here.
    pub followers: Vec<FollowInfo>,
}
