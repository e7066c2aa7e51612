//! Methods that say whether anything would be lost with this kernel.

use std::time::Duration;

use super::contract::{self, ReceiptsResult, RetireResult};
use super::peers::PATIENCE_MS;
use super::{check, names};
use crate::{Error, Kernel, receipts};

/// Most receipts in one answer: each may hold a result of 64 KiB, in two spellings.
const PAGE_MAX: usize = 256;

pub(super) async fn retire(kernel: &Kernel, params: contract::Retire) -> Result<RetireResult, Error> {
    let to = match &params.to {
        Some(name) => Some(names::peer(kernel, name)?.0),
        None => None,
    };
    let patience = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let mut retire = kernel.retire().timeout(patience);
    if let Some(to) = to {
        retire = retire.to(to);
    }
    if params.has_receipts {
        retire = retire.receipts_written();
    }
    if params.loss_given_up {
        retire = retire.loss_given_up();
    }
    let checks = retire.await?;
    let can_go = checks.iter().all(|check| check.ok);
    let shown = checks.iter().map(|one| check::check(one.check, one.ok, &one.message, one.hint)).collect();
    Ok(RetireResult { erasable: can_go, checks: shown })
}

/// A page of what this kernel has recorded of an object.
pub(super) async fn receipts(kernel: &Kernel, params: contract::Receipts) -> Result<ReceiptsResult, Error> {
    let key = names::object(kernel, &params.object)?.key();
    let page = kernel.receipts(key).after(params.after.unwrap_or(0)).limit(PAGE_MAX).await?;
    let next = page.last().filter(|_| page.len() == PAGE_MAX).map(|last| last.entry.number);
    let receipts = page.iter().map(receipts::info).collect();
    Ok(ReceiptsResult { object: names::key_text(&key), receipts, next })
}
