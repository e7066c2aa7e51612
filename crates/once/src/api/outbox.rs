//! What this kernel still owes to others, and what it waits for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use futures_util::future::join_all;
use once_core::peers;
use once_core::share::{Kind, OutboxRow, Owed};
use once_core::store::Table;
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};

use super::contract::{
    DroppedDebts, OutboxDrop, OutboxDropResult, OutboxResult, OwedInfo, ReachInfo, WaitingInfo, WorkInfo,
};
use super::{names, standing, transfers};
use crate::error::OrError;
use crate::{Error, Kernel};

/// Actions, and as many pieces of work outside, that an answer lists.
const SHOWN_MAX: usize = 1000;

/// Shares that are given up in one commit.
const AT_ONCE: usize = 256;

/// Shares that are looked at to say since when: the oldest are likely among them.
const LOOKED_AT_MAX: usize = 1000;

pub(crate) async fn list(kernel: &Kernel) -> Result<OutboxResult, Error> {
    let stands = standing::of_own(kernel, &crate::stands::all(kernel).await?);
    Ok(OutboxResult { owed: owed(kernel)?, acts: acts(kernel, stands)?, work: work(kernel)? })
}

pub(super) async fn give_up(kernel: &Kernel, which: OutboxDrop) -> Result<OutboxDropResult, Error> {
    match which {
        OutboxDrop { id: Some(id), peer: None, object: None } => {
            standing::drop_action(kernel, id).await.map(OutboxDropResult::Action)
        }
        OutboxDrop { id: None, peer: Some(peer), object } => {
            let (peer, _) = names::peer(kernel, &peer)?;
            let object = object.map(|name| names::object(kernel, &name)).transpose()?;
            let given_up = give_up_debts(kernel, peer, object.map(|object| object.key())).await?;
            let (peer, kernel) = (names::name_of(kernel, &peer), peer.to_string());
            Ok(OutboxDropResult::Debts(DroppedDebts { peer, kernel, given_up }))
        }
        _ => Err(Error::usage("say the id of an action, or a peer and perhaps an object that it is owed")),
    }
}

/// Gives up what a peer is owed: the peer is gone for good, or denies this kernel.
pub(crate) async fn give_up_debts(
    kernel: &Kernel,
    peer: KernelId,
    object: Option<ObjectKey>,
) -> Result<u64, Error> {
    let mut given_up: u64 = 0;
    if let Some(key) = object {
        kernel.command(Command::GiveUp { peer, key }).await?;
        given_up = 1;
    } else {
        let mut next = Vec::new();
        loop {
            let mut keys = Vec::new();
            once_core::share::owed(
                &kernel.shared().snapshot(),
                &peer,
                Kind::Objects,
                &next,
                &mut |owed, _| {
                    keys.extend(match owed {
                        Owed::Object(key) => Some(key),
                        Owed::Lane(_) => None,
                    });
                    if keys.len() < AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                },
            )
            .or_error()?;
            let Some(last) = keys.last() else { break };
            // The first key behind it.
            next = [last.to_row().as_slice(), &[0]].concat();
            let commands = keys.into_iter().map(|key| kernel.command(Command::GiveUp { peer, key }));
            for done in join_all(commands).await {
                match done {
                    Ok(_) => given_up += 1,
                    // The peer had it meanwhile.
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(given_up)
}

fn owed(kernel: &Kernel) -> Result<Vec<OwedInfo>, Error> {
    let snapshot = kernel.shared().snapshot();
    let mut shown = Vec::new();
    for (peer, _) in peers::all(&snapshot).or_error()? {
        let rows = once_core::share::usage(&snapshot, &peer).or_error()?.owed_rows;
        let mut oldest: Option<u64> = None;
        let mut looked = 0;
        once_core::share::owed(&snapshot, &peer, Kind::Objects, &[], &mut |_, value| {
            if let Ok(OutboxRow::Object(row)) = once_core::txn::decode(Table::Outbox, value) {
                oldest = Some(oldest.map_or(row.since_ms, |known| known.min(row.since_ms)));
            }
            looked += 1;
            if looked < LOOKED_AT_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .or_error()?;
        if rows > 0 || oldest.is_some() {
            let transfers = transfers::list(kernel, Some(peer));
            shown.push(OwedInfo { rows, oldest_ms: oldest, transfers, reach: reach(kernel, &peer) });
        }
    }
    Ok(shown)
}

fn acts(kernel: &Kernel, mut stands: BTreeMap<ObjectKey, String>) -> Result<Vec<WaitingInfo>, Error> {
    let mut shown = Vec::new();
    once_core::act::waiting(&kernel.shared().snapshot(), &mut |home, key, _, row| {
        // The first of its lane comes first: all behind it wait for that.
        let stands = if home == kernel.id() { stands.remove(&key) } else { None };
        shown.push(WaitingInfo {
            id: row.action.id,
            name: row.action.name,
            object: names::key_text(&key),
            since_ms: row.since_ms,
            deadline_ms: row.deadline_ms,
            void: row.void.map(|why| why.name().to_owned()),
            acting: row.action.acting.map(|acting| names::key_text(&acting)),
            waits: row.call.map(|call| names::key_text(&call.object)),
            stands,
            reach: reach(kernel, &home),
        });
        if shown.len() < SHOWN_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .or_error()?;
    Ok(shown)
}

fn work(kernel: &Kernel) -> Result<Vec<WorkInfo>, Error> {
    let mut shown = Vec::new();
    once_core::act::activities(&kernel.shared().snapshot(), &mut |key, id, row| {
        shown.push(WorkInfo {
            id,
            done_here: kernel.shared().components.does(&row.name),
            name: row.name,
            object: names::key_text(&key),
            since_ms: row.since_ms,
        });
        if shown.len() < SHOWN_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .or_error()?;
    Ok(shown)
}

/// For whom it is, and how it stands with the way there.
pub(super) fn reach(kernel: &Kernel, peer: &KernelId) -> ReachInfo {
    let seen = kernel.net().map(|net| net.seen(peer));
    let here = *peer == kernel.id();
    let is_peer =
        here || once_core::peers::peer(&kernel.shared().snapshot(), peer).map_or(true, |row| row.is_some());
    let connected = here || seen.as_ref().is_some_and(|seen| seen.conn.is_some());
    let tries = seen.as_ref().map(|seen| seen.dials);
    let error = seen.and_then(|seen| seen.last_error).filter(|_| is_peer);
    ReachInfo {
        peer: names::name_of(kernel, peer),
        kernel: peer.to_string(),
        connected,
        tries,
        last_error: error.or((!is_peer).then(|| "it is no peer of this kernel".to_owned())),
    }
}
