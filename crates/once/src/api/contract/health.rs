//! What a kernel says of itself, and what could be wrong with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::departures::{DepartureInfo, KernelInfo};
use super::sharing::TransferInfo;

/// Says who this is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {}

/// Who this is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HelloResult {
    /// The version of this API.
    pub api: u32,
    /// The kernel's id.
    pub kernel: String,
    /// What it calls itself.
    pub name: String,
    /// The version of its program.
    pub version: String,
}

/// Says how the kernel is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// How a kernel is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StatusResult {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// What it calls itself.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The number of its process; `null` where a command has only opened its data directory.
    pub pid: Option<u32>,
    /// The incarnation of its data directory, 32 hexadecimal digits.
    pub incarnation: Option<String>,
    /// Its commit number.
    pub commit: u64,
    /// Its data directory.
    pub data: String,
    /// How long it has run.
    pub uptime_ms: u64,
    /// Whether it runs without a network.
    pub offline: bool,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Whether it is in quarantine.
    pub quarantined: bool,
    /// How many objects are here.
    pub objects: u64,
    /// How many of objects that were removed.
    pub tombstones: u64,
    /// How large the scenarios are together.
    pub bytes: u64,
    /// How many `conflicts` lists.
    pub conflicts: u64,
    /// How many objects are only read here, after this kernel was put back from a backup (`list` with the state `read-only`).
    #[serde(default)]
    pub read_only: u64,
    /// How many peers it has.
    pub peers: usize,
    /// How many of them are connected.
    pub connected: usize,
    /// How many objects it owes to others.
    pub owed: u64,
    /// How many actions have no outcome yet (at most 100,000 are counted).
    pub waiting: usize,
    /// How many coordinations of this kernel are in doubt: they need manual attention (of at most 10,000 that are looked at).
    pub in_doubt: usize,
    /// What is about to leave, and what has come.
    pub moves: MovesInfo,
    /// Large scenarios that are on their way now.
    pub transfers: Vec<TransferInfo>,
    /// Why not all could be counted, or which files of the store are damaged, else `null`.
    pub damage: Option<String>,
    /// What was cut off the journal and not confirmed.
    pub losses: Vec<LossInfo>,
    /// What is free on the disk.
    pub disk_free_bytes: Option<u64>,
    /// `false` while less than `writes_need_bytes` are free, the engine waits for files that it may open, or the store
    /// is damaged so that it is only read.
    pub takes_writes: bool,
    /// What has to be free.
    pub writes_need_bytes: u64,
    /// What the store takes up; `null` if its folder cannot be looked at just now.
    pub store_bytes: Option<u64>,
    /// How many groups of inputs were committed since the start.
    pub groups: u64,
    /// How many of them were synced.
    pub synced_groups: u64,
    /// How many inputs they had.
    pub inputs: u64,
    /// How many rows they wrote.
    pub rows: u64,
    /// How long an input took, its share of the commit included, in microseconds.
    pub step_us: Option<SpreadInfo>,
    /// How long a commit took, in microseconds.
    pub commit_us: Option<SpreadInfo>,
    /// The components that programs serve.
    pub served: Vec<ServedInfo>,
    /// The objects that are awake.
    pub live: LiveInfo,
}

/// How something is spread.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SpreadInfo {
    /// The median: half of them took at most so long.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest that was measured.
    pub max: u64,
}

/// A component that programs serve.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServedInfo {
    /// Name of the component.
    pub component: String,
    /// How many programs are connected that serve it.
    pub clients: usize,
    /// How many runs they are asked for now.
    pub runs: usize,
}

/// The objects that are awake.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LiveInfo {
    /// How many objects are awake.
    pub objects: usize,
    /// What they take up, about.
    pub bytes: usize,
    /// Woken since the start.
    pub restored: u64,
    /// Gone to rest since the start.
    pub hibernated: u64,
}

/// What is about to leave, and what has come.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MovesInfo {
    /// How many are about to leave.
    pub leaving: usize,
    /// How many of them are handed over.
    pub sealed: usize,
    /// The oldest of those, at most 8.
    pub oldest_sealed: Vec<DepartureInfo>,
    /// How many have come, and were not told so.
    pub arriving: usize,
}

/// What was cut off the journal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LossInfo {
    /// When it was found, in milliseconds since 1970.
    pub at_ms: u64,
    /// The journal file that was cut.
    pub journal: String,
    /// From which byte; `null` if the record of it cannot be read.
    pub from_byte: Option<u64>,
    /// How many bytes; `null` if the whole journal was empty, or if the record of it cannot be read.
    pub bytes: Option<u64>,
    /// The same in words.
    pub message: String,
}

/// Looks for what could be wrong.
///
/// It reads the scenarios of objects to find damaged ones: the first 50,000 objects or 256 MiB.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Doctor {
    /// Reads every object and every file (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What was looked at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DoctorResult {
    /// The checks, each with what it found.
    pub checks: Vec<CheckInfo>,
}

/// Something that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CheckInfo {
    /// Name of the check.
    pub check: String,
    /// Whether it is fine.
    pub ok: bool,
    /// Whether nobody looked, because the kernel does not run: then `ok` says nothing.
    #[serde(default)]
    pub unexamined: bool,
    /// What was found.
    pub message: String,
    /// If it is not fine: what to do next.
    pub hint: Option<String>,
}

/// Lists all objects by pages, also behind what cannot be read.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// Only those after this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A page of all objects.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SurveyResult {
    /// The objects of this page, and what could be read of each.
    pub objects: Vec<SurveyedInfo>,
    /// The `after` of the next page, or `null`.
    pub next: Option<String>,
    /// How much was read.
    pub bytes: u64,
}

/// An object, and whether it can be read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SurveyedInfo {
    /// Its key; `null` where not even that can be read.
    pub key: Option<String>,
    /// How large its scenario is.
    pub bytes: Option<u64>,
    /// What is wrong with it, or `null`.
    pub damage: Option<String>,
}

/// Confirms that what `losses` of `status` lists was seen: it is not spoken of any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmLosses {}

/// What was confirmed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmLossesResult {
    /// The losses that are not spoken of any more.
    pub confirmed: Vec<LossInfo>,
}

/// Says what is known of the quarantine of a kernel whose data was put back from a backup. Until it ends, every command
/// that changes something is refused as `quarantined`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {}

/// Whether this kernel is in quarantine, and what was seen.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineResult {
    /// What is known of it; `null` if this kernel is in none.
    pub quarantine: Option<QuarantineInfo>,
}

/// What is known of a quarantine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineInfo {
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// The commit number that the disk has.
    pub commit: u64,
    /// What this kernel has signed, and its disk does not have.
    pub shown: Vec<BootInfo>,
    /// Peers that have greeted since.
    pub heard: Vec<KernelInfo>,
    /// Peers that have not.
    pub waits_for: Vec<KernelInfo>,
}

/// How far a kernel was, as it has signed it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BootInfo {
    /// The incarnation that it has signed.
    pub incarnation: String,
    /// The number of the start.
    pub boot: u64,
    /// A random name of the start.
    pub boot_id: String,
    /// Its commit number.
    pub commit: u64,
}

/// Ends the quarantine with a new life.
///
/// It is answered when all of the earlier life that it must not have is gone. The quarantine lasts until then, and
/// through restarts it goes on ending. Grants, invites and what waited to be sent are gone; objects that had their home
/// here are read, and not changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineEnd {
    /// Peers that are not waited for, at most 4,096.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// The new life.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineEndResult {
    /// The new incarnation.
    pub incarnation: String,
}

/// Takes the clock as it is, although it was behind the latest time seen. What was seen to be over stays over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockAccept {}

/// The clock as it was taken, and what it had been.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClockAcceptResult {
    /// The time now, in milliseconds since 1970.
    pub now_ms: u64,
    /// The latest time that was seen before.
    pub latest_ms: u64,
}

/// Stops the kernel cleanly, after the answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {}
