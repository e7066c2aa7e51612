//! `status`: what a kernel says of itself.

use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use once_core::object::HeadRow;
use once_core::peers;
use once_core::store::{Read, StoreError};
use once_model::limits::DISK_RESERVE_BYTES;

use super::contract::{LiveInfo, ServedInfo, SpreadInfo, StatusResult};
use super::{conflicts, damage, lanes, methods, moving, transfers};
use crate::coordinate::is_own;
use crate::coordinations::doubtful;
use crate::error::{IntoError, OrError};
use crate::object::Standpoint;
use crate::{Error, Kernel};

/// Coordinations that are looked at, to say how many are in doubt.
const COORDINATIONS_MAX: usize = 10_000;

/// What is here of objects.
#[derive(Default)]
struct Counted {
    objects: u64,
    tombstones: u64,
    bytes: u64,
    conflicts: u64,
    read_only: u64,
    /// Coordinations of this kernel.
    coordinations: Vec<HeadRow>,
    /// Something that cannot be read.
    damage: Option<String>,
}

/// Counts what is here. Who asks what is wrong is to be told, also when something cannot be read.
fn count(kernel: &Kernel, snapshot: &dyn Read) -> Result<Counted, Error> {
    let mut all = Counted::default();
    let counted = conflicts::by_uuid(snapshot, &mut |same| {
        for head in &same {
            if head.header.tombstone {
                all.tombstones += 1;
            } else {
                all.objects += 1;
                all.bytes += head.header.size;
                if all.coordinations.len() < COORDINATIONS_MAX && is_own(kernel, head) {
                    all.coordinations.push(head.clone());
                }
            }
        }
        all.conflicts += u64::from(conflicts::beside(same).is_some());
    });
    let counted = counted.and_then(|()| {
        all.read_only = Standpoint::of(snapshot, kernel.id())?.count_read_only()?;
        Ok(())
    });
    // What only waits for a proof is no conflict yet.
    let counted = counted.and_then(|()| {
        conflicts::forked(snapshot, &mut |kept| {
            all.conflicts += u64::from(kept.iter().any(|row| !row.is_replaced()));
        })
    });
    all.damage = match counted {
        Ok(()) => crate::net::lock(&kernel.shared().damage).clone(),
        Err(damaged @ StoreError::Damaged { .. }) => Some(damaged.to_string()),
        Err(error) => return Err(error.into_error()),
    };
    Ok(all)
}

pub(crate) fn status(kernel: &Kernel) -> Result<StatusResult, Error> {
    let shared = kernel.shared();
    let snapshot = shared.snapshot();
    let Counted { objects, tombstones, bytes, conflicts, read_only, coordinations, damage } =
        count(kernel, &snapshot)?;
    let peers = peers::all(&snapshot).or_error()?;
    let mut owed = 0;
    for (peer, _) in &peers {
        owed += once_core::share::usage(&snapshot, peer).or_error()?.owed_rows;
    }
    let waiting = lanes::waiting_count(&snapshot)?;
    let identity = once_core::meta::identity(&snapshot).or_error()?;
    let free = once_store::free_bytes(&shared.data).ok();
    let live = shared.components.live.counts();
    let served = shared
        .components
        .served
        .list()
        .into_iter()
        .map(|(component, clients, runs)| ServedInfo { component, clients, runs })
        .collect();
    let metrics = crate::net::lock(&shared.metrics);
    Ok(StatusResult {
        kernel: kernel.id().to_string(),
        name: kernel.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: Some(std::process::id()),
        incarnation: identity.map(|identity| identity.incarnation.to_string()),
        commit: once_core::meta::commit_number(&snapshot).or_error()?,
        data: shared.data.display().to_string(),
        uptime_ms: u64::try_from(kernel.uptime().as_millis()).unwrap_or(u64::MAX),
        offline: kernel.net().is_none(),
        addresses: kernel.addresses(),
        quarantined: once_core::quarantine(&snapshot).or_error()?.is_some(),
        objects,
        tombstones,
        bytes,
        conflicts,
        read_only,
        peers: peers.len(),
        connected: kernel.net().map_or(0, |net| net.connected_peers().len()),
        owed,
        waiting,
        in_doubt: doubtful(kernel, &snapshot, coordinations)?.len(),
        moves: moving::summary(kernel)?,
        transfers: transfers::list(kernel, None),
        damage,
        losses: damage::shapes(kernel),
        disk_free_bytes: free,
        takes_writes: !shared.only_reads.load(Ordering::Relaxed)
            && free.is_none_or(|free| free >= DISK_RESERVE_BYTES),
        writes_need_bytes: DISK_RESERVE_BYTES,
        store_bytes: methods::folder_bytes(&shared.data.join("store")),
        groups: metrics.groups,
        synced_groups: metrics.synced_groups,
        inputs: metrics.inputs,
        rows: metrics.rows,
        step_us: spread(metrics.step_us.as_ref()),
        commit_us: spread(metrics.commit_us.as_ref()),
        served,
        live: LiveInfo {
            objects: live.objects,
            bytes: live.bytes,
            restored: live.restored,
            hibernated: live.hibernated,
        },
    })
}

/// How a time is spread, if it was measured.
fn spread(histogram: Option<&Histogram<u64>>) -> Option<SpreadInfo> {
    histogram.map(|all| SpreadInfo {
        p50: all.value_at_quantile(0.5),
        p99: all.value_at_quantile(0.99),
        max: all.max(),
    })
}
