//! Which rows each chore looks at, part by part.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};

use super::chore::{Chore, ChoreRow};
use crate::engine::Step;
use crate::share::Kind;
use crate::store::{Read, StoreError, Table, prefix_end};

/// A slice also ends when its rows have come to so many bytes.
const SLICE_BYTES: usize = 1024 * 1024;

/// Where the rows of one part of a chore are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// In a table, where keys begin so.
    Rows(Table, Vec<u8>),
    /// Clients that wait for an outcome, by the action.
    Acts,
    /// Clients that wait for a peer's answer to a share, by the object.
    Deliveries(KernelId),
}

/// No key of an object lies before it.
const FIRST: ObjectKey =
    ObjectKey { uuid: Uuid::from_u128(0), line: Line::Unclaimed(Hash::from_bytes([0; 32])) };

/// The parts of a chore, in their order.
pub(super) fn parts(chore: Chore) -> Vec<Part> {
    use Table::{
        Acquaintance, Activity, Boot, Conflict, Follower, Grant, Invite, News, Outbox, Peer, Queue, Request,
        Sending, Stayed, Subscription, Timer, Unfollow, Visit,
    };
    let whole = |tables: &[Table]| tables.iter().map(|table| Part::Rows(*table, Vec::new())).collect();
    let at = |table, peer: &KernelId| Part::Rows(table, peer.as_bytes().to_vec());
    let unfollow = if mutant!(UnfollowStays) { Visit } else { Unfollow };
    match chore {
        // Lanes stay: their actions wait for the day that it is a peer again.
        Chore::ForgetPeer(peer) => vec![
            Part::Deliveries(peer),
            Part::Acts,
            Part::Rows(Outbox, Kind::Objects.of(&peer)),
            at(Subscription, &peer),
            at(unfollow, &peer),
            at(News, &peer),
            at(Visit, &peer),
            Part::Rows(Grant, Vec::new()),
            Part::Rows(Follower, Vec::new()),
        ],
        Chore::ForgetObject(key) => [Activity, Timer, Stayed]
            .into_iter()
            .map(|table| Part::Rows(table, key.to_row().to_vec()))
            .collect(),
        Chore::TellFollowers(key) => vec![Part::Rows(Follower, key.to_row().to_vec())],
        Chore::OweNews(key) => vec![Part::Rows(Acquaintance, key.to_row().to_vec())],
        Chore::EndFollowing(_) => whole(&[Follower]),
        // What names rows of another table goes before them.
        Chore::BeginLife if mutant!(InvitesSurvive) => {
            whole(&[Grant, Follower, Outbox, Request, Queue, Sending, Boot])
        }
        Chore::BeginLife => whole(&[Invite, Grant, Follower, Outbox, Request, Queue, Sending, Boot]),
        Chore::Greet(peer) => {
            vec![at(Unfollow, &peer), at(Subscription, &peer), Part::Rows(Conflict, Vec::new())]
        }
        Chore::Dial => whole(&[Peer]),
        Chore::Work => whole(&[Activity]),
        Chore::Sweep => whole(&[Grant, Invite]),
    }
}

/// Whether a chore still comes by a row.
pub(super) fn is_ahead(chore: Chore, at: &ChoreRow, table: Table, key: &[u8]) -> bool {
    let is_of = |part: &Part| matches!(part, Part::Rows(of, _) if *of == table);
    let place = parts(chore).iter().position(is_of);
    place.is_some_and(|place| (place, key) >= (usize::from(at.part), at.next.as_slice()))
}

/// A row: its key, and what it holds.
pub(super) type Row = (Vec<u8>, Bytes);

impl Part {
    /// Some rows of it, from a key on, and whether there may be more.
    pub fn some(&self, s: &Step<'_, '_>, next: &[u8], limit: usize) -> Result<(Vec<Row>, bool), StoreError> {
        let (mut found, mut full) = (Vec::new(), false);
        match self {
            Self::Rows(table, prefix) => {
                let mut bytes = 0;
                let from = next.max(prefix.as_slice());
                s.txn.scan(*table, from, prefix_end(prefix).as_deref(), &mut |key, value| {
                    bytes += key.len() + value.len();
                    found.push((key.to_vec(), value));
                    full = found.len() >= limit || bytes >= SLICE_BYTES;
                    if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
            }
            Self::Acts => {
                let last = next.get(..16).and_then(|id| Uuid::from_slice(id).ok());
                let from = last.map_or(Bound::Unbounded, Bound::Excluded);
                let some = s.engine.act.acts.range((from, Bound::Unbounded)).take(limit);
                found.extend(some.map(|(id, _)| (id.as_bytes().to_vec(), Bytes::new())));
                full = found.len() >= limit;
            }
            // Those that were looked at are gone.
            Self::Deliveries(peer) => {
                let some = s.engine.share.deliveries.range((*peer, FIRST)..);
                let some = some.take_while(|((to, _), _)| to == peer).take(limit);
                found.extend(some.map(|((_, key), _)| (key.to_row().to_vec(), Bytes::new())));
                full = found.len() >= limit;
            }
        }
        Ok((found, full))
    }
}
