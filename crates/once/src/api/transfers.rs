//! Large scenarios that are on their way, and how far each of them is.

use once_model::ids::KernelId;

use super::contract::{self, TransferInfo};
use super::names;
use crate::Kernel;
use crate::net::Way;

/// All of them, or those to one peer.
pub(super) fn list(kernel: &Kernel, to: Option<KernelId>) -> Vec<TransferInfo> {
    let all = kernel.net().map(|net| net.transfers()).unwrap_or_default();
    all.iter()
        .filter(|transfer| to.is_none_or(|to| transfer.peer == to && transfer.way == Way::Out))
        .map(|transfer| TransferInfo {
            object: names::key_text(&transfer.key),
            peer: names::name_of(kernel, &transfer.peer),
            kernel: transfer.peer.to_string(),
            way: match transfer.way {
                Way::In => contract::Way::In,
                Way::Out => contract::Way::Out,
            },
            done_bytes: transfer.done(),
            bytes: transfer.size,
        })
        .collect()
}
