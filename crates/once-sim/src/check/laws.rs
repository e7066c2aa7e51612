//! Laws of rows: what `docs/store.md` ("Rows") says of a table holds after each commit, whatever led to it. Looked at where a
//! commit changed something: what was right before, and was not touched, is right.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::act::QueueRow;
use once_core::object;
use once_core::peers::{PeerRow, PeerStatus};
use once_core::share::Owed;
use once_core::store::{Read, Table, scan_prefix};
use once_core::timer::TimerRow;
use once_core::txn;
use once_core::waist::{Command, Effect, Event, Input};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::wire::Frame;

use super::moving::{any, leaving_in, names};
use super::{Checker, Group, Wrong, head_in};
use crate::disk::{Changed, Commit, Disk};

/// What is due: a timer of an object, or the deadline of an action (table 35).
const TIMER: u8 = 1;
const DEADLINE: u8 = 2;

/// Chores that have a row (table 41).
const FORGET_PEER: u8 = 1;
const FORGET_OBJECT: u8 = 2;

/// Tables that begin with a kernel, of which nothing is left when it has been removed: chore `1` names them; those of News go
/// "with the peer" (46), those of Visit "when it is no visitor any more" (50).
const OF_PEER: [Table; 5] = [Table::Outbox, Table::Subscription, Table::Unfollow, Table::News, Table::Visit];

impl Checker {
    pub(super) fn row_laws(&mut self, group: &Group<'_>, commit: &Commit) {
        let mut wrong = Wrong::new();
        for row in &commit.rows {
            match row.table {
                Table::Due => wrong.extend(due(group.store, row)),
                Table::Timer => wrong.extend(timer(group.store, row)),
                Table::Queue => wrong.extend(deadline(group.store, row)),
                Table::Peer if was_removed(row) => wrong.extend(no_peer(group.store, &row.key)),
                Table::Chore if row.after.is_none() => {
                    let peer = row.key.strip_prefix(&[FORGET_PEER]);
                    wrong.extend(peer.and_then(|peer| no_peer(group.store, peer)));
                }
                table if OF_PEER.contains(&table) => wrong.extend(of_peer(group.store, commit, row)),
                Table::Handed => wrong.extend(answered(group, row)),
                Table::Leaving => wrong.extend(stays(group, commit, row)),
                Table::Head => buried(group, commit, row, &mut wrong),
                _ => {}
            }
        }
        left_behind(group, commit, &mut wrong);
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }
}

type Broken = Option<(u8, String)>;

fn has(store: &Disk, table: Table, key: &[u8]) -> bool {
    matches!(store.get(table, key), Ok(Some(_)))
}

fn timer_in(value: &Bytes) -> Option<TimerRow> {
    txn::decode(Table::Timer, value).ok()
}

/// The time at which the deadline of a row of the queue is due.
fn deadline_in(value: &Bytes) -> Option<(u64, bool)> {
    match txn::decode(Table::Queue, value).ok()? {
        QueueRow::Waiting(waiting) => waiting.deadline_ms.map(|due_ms| (due_ms, waiting.void.is_some())),
        QueueRow::Ended(_) => None,
    }
}

fn due_key(due_ms: u64, kind: u8, place: &[u8]) -> Vec<u8> {
    [&due_ms.to_be_bytes(), [kind].as_slice(), place].concat()
}

/// Whether what belongs to an object that is gone is being taken away, "after its object".
fn is_forgotten(store: &Disk, place: &[u8]) -> bool {
    let object = place.get(..ObjectKey::ROW_LEN).unwrap_or_default();
    has(store, Table::Chore, &[&[FORGET_OBJECT], object].concat())
}

/// 35, Due: "due, then `1` and the key of a Timer row, or `2` and that of a Queue row": it is there with that row only.
fn due(store: &Disk, row: &Changed) -> Broken {
    let (time, rest) = row.key.split_first_chunk::<8>()?;
    let (kind, place) = rest.split_first()?;
    let due_ms = u64::from_be_bytes(*time);
    let (table, said) = match *kind {
        TIMER => {
            let row = store.get(Table::Timer, place).ok()?;
            (Table::Timer, row.as_ref().and_then(timer_in).map(|row| row.due_ms))
        }
        DEADLINE => {
            let row = store.get(Table::Queue, place).ok()?;
            (Table::Queue, row.as_ref().and_then(deadline_in).map(|(due_ms, _)| due_ms))
        }
        _ => return Some((4, format!("something of kind {kind} is due"))),
    };
    let is_there = row.after.is_some();
    // A deadline that has passed leaves a void, which waits on.
    let is_right = match is_there {
        // If its object could not be read when it was due, it is due again later.
        true => said.is_some_and(|said| said <= due_ms),
        false => {
            *kind == DEADLINE
                || said != Some(due_ms)
                || is_forgotten(store, place)
                || is_due_again(store, &row.key)
        }
    };
    let is = if is_there { "has a Due row" } else { "has lost its Due row" };
    (!is_right).then(|| (3, format!("a row of {table:?} {is} at {due_ms}, and is due at {said:?}")))
}

/// Whether another Due row of the same place is there, at a later time.
fn is_due_again(store: &Disk, gone: &[u8]) -> bool {
    let (mut found, place) = (false, gone.get(8..).unwrap_or_default());
    let read = store.scan(Table::Due, gone, None, &mut |key, _| {
        found |= key != gone && key.get(8..) == Some(place);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    read.is_ok() && found
}

/// 34, Timer: its Due row comes and goes with it ("with its Timer row").
fn timer(store: &Disk, row: &Changed) -> Broken {
    let [before, after] = [&row.before, &row.after].map(|value| value.as_ref().and_then(timer_in));
    let is_due = |due_ms: u64| has(store, Table::Due, &due_key(due_ms, TIMER, &row.key));
    if let Some(timer) = after.as_ref().filter(|timer| !is_due(timer.due_ms)) {
        return Some((3, format!("the timer {} has no Due row", timer.name)));
    }
    let gone = before.filter(|before| after.is_none_or(|after| after.due_ms != before.due_ms))?;
    is_due(gone.due_ms).then(|| (3, format!("the timer {} has ended, and its Due row is there", gone.name)))
}

/// 37, Queue: the Due row of a deadline goes when it is due, or "with its Queue row".
fn deadline(store: &Disk, row: &Changed) -> Broken {
    let [before, after] = [&row.before, &row.after].map(|value| value.as_ref().and_then(deadline_in));
    let is_due = |due_ms: u64| has(store, Table::Due, &due_key(due_ms, DEADLINE, &row.key));
    match (before, after) {
        (_, Some((due_ms, false))) if !is_due(due_ms) => {
            Some((4, format!("an action is not wanted after {due_ms}, and nothing is due then")))
        }
        (Some((due_ms, _)), None) if is_due(due_ms) => {
            Some((9, format!("an action has its outcome, and its deadline of {due_ms} is due")))
        }
        _ => None,
    }
}

/// Whether a kernel was forgotten. Of one that was joining, and is denied, only its row goes: what people asked for meanwhile
/// waits for the day that it is a peer ("a join that is denied" stands with the Peer row alone).
fn was_removed(row: &Changed) -> bool {
    let before = row.before.as_ref().filter(|_| row.after.is_none());
    let before = before.and_then(|value| txn::decode::<PeerRow>(Table::Peer, value).ok());
    before.is_some_and(|before| before.status != PeerStatus::Joining)
}

/// A kernel that is no peer any more has left nothing behind (chore `1`, and "`peer rm`" in the tables).
fn no_peer(store: &Disk, peer: &[u8]) -> Broken {
    // It may have become one again within the group.
    if is_known(store, peer) {
        return None;
    }
    let left = OF_PEER.into_iter().find(|table| match table {
        // The lanes to it stay, until nothing of them waits.
        Table::Outbox => any(store, *table, &[peer, &[0]].concat()),
        _ => any(store, *table, peer),
    })?;
    Some((9, format!("keeps rows of {left:?} of a kernel that it does not know any more")))
}

/// Whether a kernel is a peer or a visitor, or is just being forgotten.
fn is_known(store: &Disk, peer: &[u8]) -> bool {
    has(store, Table::Peer, peer) || has(store, Table::Chore, &[&[FORGET_PEER], peer].concat())
}

/// What is owed to, or asked of, a kernel is so of one that is known.
fn of_peer(store: &Disk, commit: &Commit, row: &Changed) -> Broken {
    let (None, Some(_), Some(peer)) = (&row.before, &row.after, row.key.get(..KernelId::LEN)) else {
        return None;
    };
    // An action may wait for a kernel that people remove.
    let is_lane = row.table == Table::Outbox && matches!(Owed::from_key(&row.key), Some((_, Owed::Lane(_))));
    // What was followed at one whose join was denied may come to its end like any other.
    let ends = |row: &Changed, of: &Changed| {
        of.table == Table::Subscription && of.key == row.key && of.after.is_none()
    };
    let is_end = row.table == Table::Unfollow && commit.rows.iter().any(|of| ends(row, of));
    let is_wrong = !is_lane && !is_end && !is_known(store, peer);
    is_wrong.then(|| (9, format!("writes a row of {:?} of a kernel that it does not know", row.table)))
}

/// 43, Welcome: goes "with the answer to the handoff", whatever that is.
fn answered(group: &Group<'_>, row: &Changed) -> Broken {
    let (None, Some(_)) = (&row.before, &row.after) else { return None };
    let (object, handoff) = row.key.split_at_checked(ObjectKey::ROW_LEN)?;
    let (key, handoff) = (ObjectKey::from_row(object)?, Hash::from_slice(handoff)?);
    let peer = group.effects.iter().find_map(|(effect, _)| match effect {
        Effect::Send { peer, frame: Frame::Handed(said), .. } => {
            (said.key == key && said.answer.certificate == handoff).then_some(*peer)
        }
        _ => None,
    })?;
    let asks_anew = group.inputs.iter().any(|input| {
        matches!(input, Input::Frame { peer: by, frame: Frame::Ahead(ahead), .. } if *by == peer && ahead.key == key)
    });
    let welcome = [object, peer.as_bytes()].concat();
    let stays = !asks_anew && has(group.store, Table::Welcome, &welcome);
    stays.then(|| {
        (9, format!("has answered the handoff of {key}, and {peer:.10} is still told to hand it over"))
    })
}

/// 48, Arriving: written by "the end of a Leaving row that has key 5", if the object stays. It goes when the object was told.
fn stays(group: &Group<'_>, commit: &Commit, row: &Changed) -> Broken {
    let before = leaving_in(row.before.as_ref()).filter(|before| before.told && row.after.is_none())?;
    let key = ObjectKey::from_row(&row.key)?;
    let head = object::head(group.store, &key).ok()??;
    // Whom it was handed to has it, and may have given it back within the group.
    let is_here = head.home == Some(group.kernel) && !head.header.tombstone;
    if !is_here || super::handing::came_in(group, &key) || has(group.store, Table::Arriving, &row.key) {
        return None;
    }
    let is_its = |own: &&Changed| own.key.starts_with(&row.key) && is_own_entry(group, own);
    // The reopening is one, too.
    let sealed = before.sealed.is_some();
    let is_told = commit.rows.iter().filter(is_its).count() > usize::from(sealed);
    (!is_told).then(|| {
        (4, format!("{key} was told that it leaves for {:.10}, and is not told that it stays", before.to))
    })
}

/// What an object does because it moves is recorded, or a built-in action of this kernel.
fn is_own_entry(group: &Group<'_>, row: &Changed) -> bool {
    let is_new = row.table == Table::Ledger && row.before.is_none();
    let lane = row.key.split_last_chunk::<8>().filter(|_| is_new);
    lane.and_then(|(lane, _)| super::rows::origin_of_lane(lane)) == Some(group.kernel)
}

/// A tombstone came. `docs/protocol.md`, 8, of the heads that were replaced without a proof: "A tombstone does not remove it."
fn buried(group: &Group<'_>, commit: &Commit, row: &Changed, wrong: &mut Wrong) {
    let [before, after] = [&row.before, &row.after].map(|value| head_in(value.as_ref()));
    let is_tombstone = after.is_some_and(|head| head.header.tombstone && head.home != Some(group.kernel));
    if !is_tombstone || before.is_none_or(|head| head.header.tombstone) {
        return;
    }
    let Some(key) = ObjectKey::from_row(&row.key) else { return };
    // People decide about it, or its home shows what it was.
    let is_settled = group.inputs.iter().any(|input| match input {
        Input::Command {
            command: Command::Keep { key: of, .. } | Command::Discard { key: of, .. }, ..
        } => of.uuid == key.uuid,
        Input::Frame { frame: Frame::Entries(said), .. } => said.key == key,
        _ => false,
    });
    let mut beside = commit.rows.iter().filter(|row| row.table == Table::Conflict && row.after.is_none());
    let replaced = beside.find(|beside| {
        beside.key.starts_with(&row.key)
            && head_in(beside.before.as_ref()).is_some_and(|beside| beside.is_replaced())
    });
    // Of 8 one gives way to the head that is replaced now.
    let gives_way = commit.rows.iter().any(|new| {
        new.table == Table::Conflict
            && new.before.is_none()
            && new.key.starts_with(&row.key)
            && is_full(group, &row.key)
    });
    if replaced.is_some() && !is_settled && !gives_way {
        wrong.push((8, format!("a tombstone takes a head of {key} away that nobody has proven")));
    }
}

/// Whether as much is kept beside an object as may be.
fn is_full(group: &Group<'_>, object: &[u8]) -> bool {
    let mut count = 0;
    let _ = scan_prefix(group.store, Table::Conflict, object, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    });
    count >= CONFLICTS_MAX_BODIES
}

/// 45, Acquaintance: "when it has moved away, for who had a lane to it, a grant on it or followed it".
fn left_behind(group: &Group<'_>, commit: &Commit, wrong: &mut Wrong) {
    for (effect, _) in group.effects {
        let Effect::Event(Event::Moved { key, .. }) = effect else { continue };
        let place = key.to_row();
        let chain = key.lineage().and_then(|lineage| object::chain(group.store, &lineage).ok().flatten());
        let mut kernels: Vec<KernelId> = Vec::new();
        let followers = commit.rows.iter().filter(|row| row.table == Table::Follower && row.after.is_none());
        let followers = followers.filter(|row| row.key.starts_with(&place));
        kernels.extend(followers.filter_map(|row| KernelId::from_slice(row.key.get(ObjectKey::ROW_LEN..)?)));
        for name in chain.iter().flat_map(|chain| names(key, chain)) {
            let _ = scan_prefix(group.store, Table::Lane, &name.to_row(), &mut |row, _| {
                kernels.extend(super::rows::origin_of_lane(row));
                ControlFlow::Continue(())
            });
        }
        let ended = |kernel: &KernelId| {
            group.inputs.iter().any(|input| match input {
                Input::Frame { peer, frame: Frame::Unfollow(unfollow), .. } => {
                    peer == kernel && unfollow.uuid == key.uuid
                }
                Input::Command { command: Command::RemovePeer { peer }, .. } => peer == kernel,
                _ => false,
            })
        };
        let is_forgotten = |kernel: &&KernelId| {
            let row = [place.as_slice(), kernel.as_bytes()].concat();
            **kernel != group.kernel && !has(group.store, Table::Acquaintance, &row) && !ended(kernel)
        };
        if let Some(kernel) = kernels.iter().find(is_forgotten) {
            wrong.push((10, format!("forgets that {kernel:.10} had to do with {key}, which has left")));
        }
    }
}
