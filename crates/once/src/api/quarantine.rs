//! Methods of a kernel whose data directory was put back from a backup.

use once_core::peers::{self, PeerStatus};
use once_core::quarantine;
use once_core::waist::Command;
use once_model::limits::PEERS_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{names, turns};
use crate::{Error, Kernel};

/// What is known of it; null if this kernel is in none.
pub(super) fn look(kernel: &Kernel) -> Result<Value, Error> {
    let snapshot = kernel.shared().snapshot();
    let Some(row) = quarantine(&snapshot)? else { return Ok(json!({ "quarantine": null })) };
    let shown = row.shown.iter().map(|said| {
        json!({ "incarnation": said.incarnation.to_string(), "boot": said.boot, "boot_id": said.id.to_string(),
            "commit": said.commit })
    });
    let (mut heard, mut waits_for) = (Vec::new(), Vec::new());
    for (peer, known) in peers::all(&snapshot)? {
        let one = json!({ "kernel": peer.to_string(), "name": names::name_of(kernel, &peer) });
        match (row.heard.contains(&peer), known.status) {
            (true, _) => heard.push(one),
            (false, PeerStatus::Active) => waits_for.push(one),
            (false, _) => {}
        }
    }
    Ok(json!({ "quarantine": {
        "since_ms": row.since_ms, "commit": once_core::meta::commit_number(&snapshot)?,
        "shown": shown.collect::<Vec<_>>(), "heard": heard, "waits_for": waits_for,
    } }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// Peers that are given up.
    #[serde(default)]
    without: Vec<String>,
}

pub(super) async fn end(kernel: &Kernel, params: End) -> Result<Value, Error> {
    if params.without.len() > PEERS_MAX {
        return Err(Error::usage(format!("more than {PEERS_MAX} peers: no kernel has so many")));
    }
    let without =
        turns::each(&params.without, |name| names::peer(kernel, name).map(|(peer, _)| peer)).await?;
    kernel.command(Command::EndQuarantine { without }).await?;
    let incarnation = once_core::meta::incarnation(&kernel.shared().snapshot())?;
    Ok(json!({ "incarnation": incarnation.to_string() }))
}
