//! Methods of a kernel whose data directory was put back from a backup.

use once_core::peers::{self, PeerStatus};
use once_core::quarantine;
use once_core::waist::Command;
use once_model::limits::PEERS_MAX;

use super::contract::{
    BootInfo, KernelInfo, QuarantineEnd, QuarantineEndResult, QuarantineInfo, QuarantineResult,
};
use super::{names, turns};
use crate::error::OrError;
use crate::{Error, Kernel};

/// What is known of it; null if this kernel is in none.
pub(super) fn look(kernel: &Kernel) -> Result<QuarantineResult, Error> {
    let snapshot = kernel.shared().snapshot();
    let Some(row) = quarantine(&snapshot).or_error()? else {
        return Ok(QuarantineResult { quarantine: None });
    };
    let shown = row.shown.iter().map(|said| BootInfo {
        incarnation: said.incarnation.to_string(),
        boot: said.boot,
        boot_id: said.id.to_string(),
        commit: said.commit,
    });
    let (mut heard, mut waits_for) = (Vec::new(), Vec::new());
    for (peer, known) in peers::all(&snapshot).or_error()? {
        let one = KernelInfo { kernel: peer.to_string(), name: names::name_of(kernel, &peer) };
        match (row.heard.contains(&peer), known.status) {
            (true, _) => heard.push(one),
            (false, PeerStatus::Active) => waits_for.push(one),
            (false, _) => {}
        }
    }
    let quarantine = QuarantineInfo {
        since_ms: row.since_ms,
        commit: once_core::meta::commit_number(&snapshot).or_error()?,
        shown: shown.collect(),
        heard,
        waits_for,
    };
    Ok(QuarantineResult { quarantine: Some(quarantine) })
}

pub(super) async fn end(kernel: &Kernel, params: QuarantineEnd) -> Result<QuarantineEndResult, Error> {
    if params.without.len() > PEERS_MAX {
        return Err(Error::usage(format!("more than {PEERS_MAX} peers: no kernel has so many")));
    }
    let without =
        turns::each(&params.without, |name| names::peer(kernel, name).map(|(peer, _)| peer)).await?;
    kernel.command(Command::EndQuarantine { without }).await?;
    let incarnation = once_core::meta::incarnation(&kernel.shared().snapshot()).or_error()?;
    Ok(QuarantineEndResult { incarnation: incarnation.to_string() })
}
