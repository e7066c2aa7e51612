//! What more than one capability shows: a kernel, and an object that is about to leave for one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kernel, by its id and what it is called here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KernelInfo {
    /// What it is called here.
    pub name: String,
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
}

/// An object that is about to leave.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DepartureInfo {
    /// The object's key: its UUID with its lineage or its content's hash.
    pub key: String,
    /// What the receiver is called here.
    pub to: String,
    /// The receiver's kernel id.
    pub kernel: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether it is handed over already.
    pub sealed: bool,
    /// Whether it was taken back, and the receiver has not answered.
    pub withdrawn: bool,
    /// Whether it does not wait for its calls.
    pub leaves_calls: bool,
    /// Whether the peer is connected.
    pub connected: bool,
    /// If it is not: why the last try to reach it failed.
    pub trouble: Option<String>,
}
