//! Methods that say whether anything would be lost with this kernel.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::peers::PATIENCE_MS;
use super::{check, names};
use crate::{Error, Kernel, receipts};

/// Most receipts in one answer: each may hold a result of 64 KiB, in two spellings.
const PAGE_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retire {
    to: Option<String>,
    /// The caller has written down what `receipts` gives.
    #[serde(default)]
    has_receipts: bool,
    timeout_ms: Option<u64>,
}

pub(super) async fn retire(kernel: &Kernel, params: Retire) -> Result<Value, Error> {
    let to = match &params.to {
        Some(name) => Some(names::peer(kernel, name)?.0),
        None => None,
    };
    let patience = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let checks = kernel.retire(to, patience, params.has_receipts).await?;
    let can_go = checks.iter().all(|check| check.ok);
    let checks: Vec<_> =
        checks.iter().map(|one| check::check(one.check, one.ok, &one.message, one.hint)).collect();
    Ok(json!({ "erasable": can_go, "checks": checks }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Receipts {
    object: String,
    /// The number of the last entry that the client has.
    after: Option<u64>,
}

/// A page of what this kernel has recorded of an object.
pub(super) async fn receipts(kernel: &Kernel, params: Receipts) -> Result<Value, Error> {
    let key = names::object(kernel, &params.object)?.key();
    let page = kernel.receipts(key, params.after.unwrap_or(0), PAGE_MAX).await?;
    let next = page.last().filter(|_| page.len() == PAGE_MAX).map(|last| last.entry.number);
    let receipts: Vec<_> = page.iter().map(receipts::to_json).collect();
    Ok(json!({ "object": names::key_text(&key), "receipts": receipts, "next": next }))
}
