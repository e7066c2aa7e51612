//! Peers and invites.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a single-use ticket that admits a kernel.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The petname that the newcomer gets here. No peer and no open invite may have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// After how many seconds the ticket ends (a day).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
}

/// A new invite, and the ticket for it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InviteResult {
    /// The ticket, for `join` on the other kernel.
    pub ticket: String,
    /// The name of the invite; it cannot be used to join.
    pub id: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: u64,
    /// From where the ticket works: `others`, `this-machine` (only loopback addresses) or `nowhere` (no address).
    pub reach: String,
}

/// Lists the invites. A used one is kept until it expires.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invites {}

/// Invites, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InvitesResult {
    /// The invites, used and over ones too.
    pub invites: Vec<InviteInfo>,
}

/// An invite, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InviteInfo {
    /// The invite's id: the beginning of its hash.
    pub id: String,
    /// The petname that the newcomer gets here, or `null`.
    pub petname: Option<String>,
    /// Whether it can be used.
    pub state: InviteState,
    /// When it was made, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The kernel that used it, or `null`.
    pub used_by: Option<String>,
    /// What that kernel is called here.
    pub used_by_name: Option<String>,
}

/// Whether an invite can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InviteState {
    /// It can be used.
    Open,
    /// A kernel has used it.
    Used,
    /// Its time is over.
    Expired,
}

/// Takes an invite back. Refused if it was used.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitesRevoke {
    /// Its petname, its id, or the beginning of that: at least 4 digits.
    pub invite: String,
}

/// The invite that was taken back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InvitesRevokeResult {
    /// The invite's id.
    pub id: String,
}

/// Becomes a peer of the kernel that made a ticket.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The ticket that `invite` gave there.
    pub ticket: String,
    /// The petname that the other kernel gets here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Stops waiting for the other kernel (10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The new peer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JoinResult {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// What it calls itself.
    pub says: String,
}

/// Lists the kernels that this one knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peers {}

/// The kernels that this one knows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeersResult {
    /// The peers, and visitors and hosts.
    pub peers: Vec<PeerInfo>,
}

/// What a kernel is to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerStatus {
    /// This kernel has its ticket, and was not admitted yet.
    Joining,
    /// Both kernels have admitted each other.
    Active,
    /// No peer: it comes here for the objects on which it has a right.
    Visitor,
    /// No peer: this kernel goes there for an object that has moved there.
    Host,
}

/// A kernel that this one knows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerInfo {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// What it is called here.
    pub name: String,
    /// The name that people here gave it, or `null`.
    pub petname: Option<String>,
    /// What it calls itself.
    pub says: String,
    /// What it is to this kernel.
    pub status: PeerStatus,
    /// Of a visitor: the keys of the objects for which it comes.
    pub visits: Vec<String>,
    /// Whether there is a connection.
    pub connected: bool,
    /// Where it was last reached or said to be, best first.
    pub addresses: Vec<String>,
    /// How many objects it is owed.
    pub owed: u64,
    /// What it has stored here by sharing.
    pub stored_bytes: u64,
    /// What has come of large scenarios that are not here whole.
    pub incoming_bytes: u64,
    /// What it may store here.
    pub quota_bytes: u64,
    /// When it became a peer, in milliseconds since 1970.
    pub since_ms: u64,
    /// The id of the invite of this kernel by which it came, or `null`.
    pub invite: Option<String>,
    /// The round trip time in microseconds, while it is connected.
    pub rtt_us: Option<u64>,
    /// How far its clock is ahead of the one here, when it was connected last.
    pub clock_ahead_ms: Option<i64>,
    /// Why the last try to reach it failed.
    pub last_error: Option<String>,
}

/// The peer that was meant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerResult {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
}

/// Adds a kernel without a ticket. Both sides must add each other.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeersAdd {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// Where it can be reached, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Its petname here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Changes what is kept of a peer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeersSet {
    /// The peer: a petname, a kernel id, or a unique beginning of one.
    pub peer: String,
    /// Its new petname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may store here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// Removes a peer.
///
/// It is no peer at once, nor does it come back as a visitor until it is invited or added again. The answer comes when
/// nothing of its rights, debts and subscriptions is left; until then `peers.add` and `join` of it are refused as
/// `busy`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeersRemove {
    /// The peer: a petname, a kernel id, or a unique beginning of one.
    pub peer: String,
}

/// Connects to a peer, and answers when it is connected.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeersDial {
    /// The peer: a petname, a kernel id, or a unique beginning of one.
    pub peer: String,
    /// Stops waiting (10,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A connected peer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeersDialResult {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// The round trip time in microseconds.
    pub rtt_us: Option<u64>,
}
