//! Large scenarios that are on their way, and how far each of them is.

use once_model::ids::KernelId;
use serde_json::{Value, json};

use super::names;
use crate::Kernel;
use crate::net::Way;

/// All of them, or those to one peer.
pub(super) fn list(kernel: &Kernel, to: Option<KernelId>) -> Vec<Value> {
    let all = kernel.net().map(|net| net.transfers()).unwrap_or_default();
    all.iter()
        .filter(|transfer| to.is_none_or(|to| transfer.peer == to && transfer.way == Way::Out))
        .map(|transfer| {
            json!({
                "object": names::key_text(&transfer.key),
                "peer": names::name_of(kernel, &transfer.peer),
                "kernel": transfer.peer.to_string(),
                "way": match transfer.way { Way::In => "in", Way::Out => "out" },
                "done_bytes": transfer.done(),
                "bytes": transfer.size,
            })
        })
        .collect()
}
