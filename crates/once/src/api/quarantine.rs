//! Methods of a kernel whose data directory was put back from a backup.

use once_model::limits::PEERS_MAX;

use super::contract::{QuarantineEnd, QuarantineEndResult, QuarantineResult};
use super::{names, turns};
use crate::{EndQuarantine, Error, Kernel};

pub(super) fn look(kernel: &Kernel) -> Result<QuarantineResult, Error> {
    kernel.quarantine().map(|quarantine| QuarantineResult { quarantine })
}

pub(super) async fn end(kernel: &Kernel, params: QuarantineEnd) -> Result<QuarantineEndResult, Error> {
    if params.without.len() > PEERS_MAX {
        return Err(Error::usage(format!("more than {PEERS_MAX} peers: no kernel has so many")));
    }
    let without =
        turns::each(&params.without, |name| names::peer(kernel, name).map(|(peer, _)| peer)).await?;
    let end = without.into_iter().fold(kernel.end_quarantine(), EndQuarantine::without);
    end.await.map(|incarnation| QuarantineEndResult { incarnation })
}
