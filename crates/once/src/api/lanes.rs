//! Lanes that do not go on, for `doctor`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use once_core::act::{self, WaitingRow};
use once_core::store::Read;
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::wire::Code;

use super::check::{check, unexamined};
use super::contract::CheckInfo;
use super::names;
use crate::error::OrError;
use crate::shell::now_ms;
use crate::troubles::{Trouble, What};
use crate::{Error, Kernel};

/// An action without an outcome for so long, at a home that is connected, is looked at.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// A lane that stands still is tried again more often than this.
const TRIED_EVERY_MS: u64 = 60_000;

/// Actions, and as many lanes, that are shown; further ones are counted.
const SHOWN_MAX: usize = 8;

/// Waiting actions that are looked at: doctor is to answer at once.
const LOOKED_AT_MAX: usize = 100_000;

/// How many actions wait here for their outcomes, as far as they are looked at.
pub(super) fn waiting_count(snapshot: &dyn Read) -> Result<usize, Error> {
    let mut count = 0;
    act::waiting(snapshot, &mut |_, _, _, _| {
        count += 1;
        if count < LOOKED_AT_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .or_error()?;
    Ok(count)
}

/// What is wrong with lanes, here and to others. One check that is fine if nothing is.
pub(super) fn examine(kernel: &Kernel, snapshot: &dyn Read) -> Result<Vec<CheckInfo>, Error> {
    let mut checks = Vec::new();
    let mut troubles = crate::net::lock(&kernel.shared().troubles);
    troubles.keep(|trouble| is_there(kernel, snapshot, trouble));
    let troubles = troubles.newest();
    checks.extend(troubles.iter().take(SHOWN_MAX).map(|trouble| lane(kernel, trouble)));
    if let Some(more) = troubles.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        checks.push(check("lanes", false, &format!("{more} more lanes do not go on"), None));
    }
    checks.extend(for_nobody(kernel, snapshot)?);
    let (count, oldest) = stuck(kernel, snapshot, STUCK_AFTER)?;
    checks.extend(oldest.iter().map(|stuck| waiting(kernel, stuck)));
    if let Some(more) = count.checked_sub(oldest.len()).filter(|more| *more > 0) {
        let message = format!("{more} more have no outcome, at homes that are connected");
        checks.push(check("actions", false, &message, Some("`once outbox` lists them")));
    }
    if kernel.net().is_none() {
        checks.push(unexamined("actions"));
    } else if checks.is_empty() {
        checks.push(check("actions", true, "none waits for longer than it should", None));
    }
    Ok(checks)
}

/// Whether a trouble is still one: its origin is a peer, and what could not be read can still not be read, or could not be
/// a moment ago.
fn is_there(kernel: &Kernel, snapshot: &dyn Read, trouble: &Trouble) -> bool {
    let is_gone = |id: &KernelId| matches!(once_core::peers::peer(snapshot, id), Ok(None));
    if trouble.origin.is_some_and(|origin| origin != kernel.id() && is_gone(&origin)) {
        return false;
    }
    let is_readable = || {
        let read = |key: &ObjectKey| {
            let head = once_core::object::head(snapshot, key)?;
            head.map_or(Ok(None), |row| once_core::object::body(snapshot, &row.header))
        };
        trouble.key.as_ref().is_some_and(|key| read(key).is_ok())
    };
    match trouble.what {
        What::Forked { .. } => true,
        What::Parked { .. } => now_ms().saturating_sub(trouble.at_ms) < TRIED_EVERY_MS || !is_readable(),
    }
}

fn lane(kernel: &Kernel, trouble: &Trouble) -> CheckInfo {
    let key = trouble.key.as_ref().map_or_else(|| "something".to_owned(), names::key_text);
    let origin = trouble.origin.as_ref().map_or_else(String::new, |origin| names::name_of(kernel, origin));
    let times = match trouble.times {
        1 => String::new(),
        times => format!(", {times} times"),
    };
    let ago = ago(now_ms().saturating_sub(trouble.at_ms));
    match &trouble.what {
        What::Parked { reason } => {
            let what = match trouble.origin {
                Some(_) => format!("the actions of {origin} on {key} stand still ({ago} ago{times})"),
                None => format!("{key} stands still ({ago} ago{times})"),
            };
            let message = format!("{what}: this kernel cannot read what they need: {reason}");
            let hint = "this disk lost or changed something: check it, stop the kernel and put its data directory back \
                from a copy; all other objects go on meanwhile, and these actions once it can be read";
            check("lane", false, &message, Some(hint))
        }
        What::Forked { sequence } => {
            let message = format!(
                "{origin} sent another action on {key} in place {sequence}, which has its outcome ({ago} ago{times})"
            );
            let hint = "one of the two kernels lost what it had written, as when a copy of its data directory is put back: \
                ask its owner; that one needs its newest data back, or a new kernel in an empty directory";
            check("lane", false, &message, Some(hint))
        }
    }
}

/// Actions whose home is no peer any more: they are kept for the day that it is one again.
fn for_nobody(kernel: &Kernel, snapshot: &dyn Read) -> Result<Vec<CheckInfo>, Error> {
    let (mut waiting, mut looked): (BTreeMap<KernelId, (usize, Uuid)>, usize) = (BTreeMap::new(), 0);
    act::waiting(snapshot, &mut |home, _, _, row| {
        looked += 1;
        if home != kernel.id() {
            waiting.entry(home).or_insert((0, row.action.id)).0 += 1;
        }
        if looked < LOOKED_AT_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .or_error()?;
    let mut checks = Vec::new();
    for (home, (count, id)) in waiting {
        if once_core::peers::peer(snapshot, &home).or_error()?.is_some() {
            continue;
        }
        let (home, many) =
            (home.short(), if count == 1 { "1 action waits" } else { &format!("{count} actions wait") });
        let message =
            format!("{many} for kernel {home}, which is no peer of this kernel ({id}); none is sent");
        let hint = format!(
            "make it a peer again (`once join TICKET`), and they go on; `once cancel {id}` takes one of them back, so \
            that it does not run then; `once dead-letters` lists them"
        );
        checks.push(check("actions", false, &message, Some(&hint)));
    }
    Ok(checks)
}

/// An action that could have its outcome, and has none.
pub(super) struct Stuck {
    home: KernelId,
    key: ObjectKey,
    pub id: Uuid,
    name: String,
    since_ms: u64,
    void: Option<Code>,
    /// A client asked for it, so one can take it back.
    of_client: bool,
}

/// How many are stuck, and the oldest of them.
pub(super) fn stuck(
    kernel: &Kernel,
    snapshot: &dyn Read,
    after: Duration,
) -> Result<(usize, Vec<Stuck>), Error> {
    let Some(net) = kernel.net() else { return Ok((0, Vec::new())) };
    let (now_ms, after_ms) = (now_ms(), u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    // What waited for a connection had its turn only since.
    let at_hand = |home: &KernelId| match *home == kernel.id() {
        true => kernel.uptime() > after,
        false => {
            let seen = net.seen(home);
            seen.conn.is_some() && seen.since.is_some_and(|since| since.elapsed() > after)
        }
    };
    let (mut oldest, mut count, mut looked) = (Vec::new(), 0, 0);
    let mut last: Option<(KernelId, bool)> = None;
    act::waiting(snapshot, &mut |home, key, _, row| {
        looked += 1;
        let connected = match last {
            Some((known, connected)) if known == home => connected,
            _ => at_hand(&home),
        };
        last = Some((home, connected));
        if connected && now_ms.saturating_sub(row.since_ms) >= after_ms {
            let WaitingRow { action, since_ms, void, .. } = row;
            let of_client = action.acting.is_none() && action.answers.is_none();
            oldest.push(Stuck { home, key, id: action.id, name: action.name, since_ms, void, of_client });
            count += 1;
            if oldest.len() > 2 * SHOWN_MAX {
                shorten(&mut oldest);
            }
        }
        if looked < LOOKED_AT_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .or_error()?;
    shorten(&mut oldest);
    Ok((count, oldest))
}

fn shorten(oldest: &mut Vec<Stuck>) {
    oldest.sort_by_key(|stuck| stuck.since_ms);
    oldest.truncate(SHOWN_MAX);
}

pub(super) fn waiting(kernel: &Kernel, stuck: &Stuck) -> CheckInfo {
    let Stuck { home, id, name, .. } = stuck;
    let (key, since) = (names::key_text(&stuck.key), ago(now_ms().saturating_sub(stuck.since_ms)));
    let at = match *home == kernel.id() {
        true => "here".to_owned(),
        false => format!("at {}, which is connected", names::name_of(kernel, home)),
    };
    let message = format!("{name} on {key} has no outcome for {since} {at} ({id})");
    let mut hint = match stuck.void {
        Some(Code::Cancelled) => {
            "it was taken back, and its home has not said yet whether that was in time; \
            'once doctor' there may say why"
                .to_owned()
        }
        _ => "it is sent again every 10 s; 'once doctor' at its home may say why it does not run".to_owned(),
    };
    if stuck.of_client && stuck.void.is_none() {
        hint.push_str(&format!("; `once cancel {id}` takes it back"));
    }
    check("action", false, &message, Some(&hint))
}

fn ago(ms: u64) -> String {
    match ms / 1000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
