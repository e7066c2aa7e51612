//! Methods that move objects to other kernels.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use once_core::access::{Grant, Listed, Right, Scope};
use once_core::object;
use once_core::waist::{Answer, Command};
use once_model::ids::{KernelId, ObjectKey};

use super::check::check;
use super::contract::{
    self, ArrivalInfo, CheckInfo, DepartureInfo, GrantInfo, KernelInfo, MoveDone, MovePlan, MoveResult,
    MovesInfo, MovesResult, MovesWithdraw, MovesWithdrawResult, NewsInfo, Progress, RefusedInfo, StayedInfo,
};
use super::tell::Tell;
use super::{names, turns};
use crate::error::OrError;
use crate::shell::now_ms;
use crate::surface::access;
use crate::{Departure, Error, FailedMove, Kernel, NewsOwed, PendingArrival, would_move};

/// An object that is to move, and its component.
pub(super) type Wanted = (ObjectKey, String);

pub(super) async fn start(
    kernel: &Kernel,
    params: contract::Move,
    tell: Tell<'_>,
) -> Result<MoveResult, Error> {
    let (to, _) = names::peer(kernel, &params.to)?;
    let wanted = wanted(kernel, &params).await?;
    let reaching = reaching(kernel, &wanted, &to)?;
    let loses: Vec<GrantInfo> =
        reaching.iter().map(|(listed, _)| access::shape(kernel, listed.clone())).collect();
    if params.dry_run {
        let asked = would_move::ask(kernel, to, wanted.iter().map(|(key, _)| *key).collect()).await;
        let goes = |key: &&ObjectKey| !asked.refused.iter().any(|(refused, _)| refused == *key);
        let objects = wanted.iter().map(|(key, _)| key).filter(goes).map(names::key_text).collect();
        return Ok(MoveResult::Plan(MovePlan {
            objects,
            refused: asked.refused.iter().map(|(key, error)| refused(key, error)).collect(),
            unasked: asked.unasked.as_ref().map(ToString::to_string),
            loses,
            dry_run: true,
        }));
    }
    if params.carry_rights {
        carry(kernel, &reaching).await?;
    }
    let mut done = Done::default();
    let manner = Manner::of(&params, to);
    let all = send(kernel, &wanted, &manner, &mut done, tell);
    match params.timeout_ms {
        None => all.await,
        Some(ms) => drop(tokio::time::timeout(Duration::from_millis(ms), all).await),
    }
    let ended = done.moved.len() + done.refused.len();
    // One object alone fails like any other call.
    if let ([_], Some((_, error))) = (params.objects.as_slice(), done.refused.pop_if(|_| wanted.len() == 1)) {
        return Err(error);
    }
    let (loses, carried) = if params.carry_rights { (Vec::new(), reaching.len()) } else { (loses, 0) };
    Ok(MoveResult::Done(MoveDone {
        moved: done.moved,
        refused: done.refused.iter().map(|(key, error)| refused(key, error)).collect(),
        waiting: if params.wait { wanted.len() - ended } else { done.begun },
        left: done.left,
        loses,
        carried,
    }))
}

/// An object that does not move, and why.
pub(super) fn refused(key: &ObjectKey, error: &Error) -> RefusedInfo {
    RefusedInfo {
        key: names::key_text(key),
        code: error.into(),
        message: error.message().to_owned(),
        hint: error.hint().map(str::to_owned),
    }
}

/// How all of them move.
struct Manner {
    to: KernelId,
    leave_calls: bool,
    without_me: bool,
    wait: bool,
}

impl Manner {
    const fn of(params: &contract::Move, to: KernelId) -> Self {
        let contract::Move { leave_calls, without_me, wait, .. } = *params;
        Self { to, leave_calls, without_me, wait }
    }
}

#[derive(Default)]
struct Done {
    begun: usize,
    /// Calls that were left behind.
    left: usize,
    moved: Vec<String>,
    refused: Vec<(ObjectKey, Error)>,
}

async fn send(
    kernel: &Kernel,
    wanted: &[Wanted],
    &Manner { to, leave_calls, without_me, wait }: &Manner,
    done: &mut Done,
    tell: Tell<'_>,
) {
    let one = |key: ObjectKey| async move {
        (key, kernel.command(Command::Move { key, to, leave_calls, without_me, wait }).await)
    };
    let (mut waiting, mut under_way) = (wanted.iter(), FuturesUnordered::new());
    loop {
        while under_way.len() < turns::AHEAD
            && let Some((key, _)) = waiting.next()
        {
            under_way.push(one(*key));
        }
        let Some((key, answer)) = under_way.next().await else { return };
        match answer {
            Ok(Answer::Moved { left, .. }) => {
                done.moved.push(names::key_text(&key));
                done.left += left;
            }
            Ok(_) => done.begun += 1,
            Err(error) => done.refused.push((key, error)),
        }
        let ended = done.begun + done.moved.len() + done.refused.len();
        tell(Progress::of(ended, wanted.len()));
    }
}

/// The objects that are meant. By `all` only those that have their home here.
async fn wanted(kernel: &Kernel, params: &contract::Move) -> Result<Vec<Wanted>, Error> {
    let is_all = params.all || params.component.is_some();
    if is_all != params.objects.is_empty() {
        return Err(Error::usage("name objects, or say all or a component: one of the two"));
    }
    if !is_all {
        let one = |name: &String| {
            let object = names::object(kernel, name)?;
            Ok((object.key(), object.component().to_owned()))
        };
        return turns::each(&params.objects, one).await;
    }
    let (snapshot, me, component) = (kernel.shared().snapshot(), kernel.id(), params.component.clone());
    let looked = crate::beside::wait_for(move || {
        let mut keys = Vec::new();
        object::heads(&snapshot, &mut |row| {
            let is_meant = component.as_ref().is_none_or(|name| row.header.component == *name);
            if is_meant && row.home == Some(me) && !row.header.tombstone {
                keys.push((row.header.key(), row.header.component));
            }
            std::ops::ControlFlow::Continue(())
        })
        .map(|()| keys)
    });
    looked.await.map_err(|_| Error::fault("listing the objects panicked"))?.or_error()
}

/// A grant on the kernel or on a component, and the objects that it reaches.
pub(super) type Reaching = (Listed, Vec<ObjectKey>);

/// They become grants on each object, with the same limits.
pub(super) async fn carry(kernel: &Kernel, reaching: &[Reaching]) -> Result<(), Error> {
    for (listed, keys) in reaching {
        for key in keys {
            let grant = Grant { scope: Scope::Object(*key), ..listed.grant.clone() };
            kernel.command(Command::Grant(grant)).await?;
        }
    }
    Ok(())
}

/// The grants on the kernel or on a component that reach these objects: they stay behind.
pub(super) fn reaching(kernel: &Kernel, wanted: &[Wanted], to: &KernelId) -> Result<Vec<Reaching>, Error> {
    let mut found = Vec::new();
    for listed in access::listed(kernel)? {
        let grant = &listed.grant;
        if grant.kernel == *to || !listed.holds(now_ms()) || !matches!(grant.right, Right::Read | Right::Act)
        {
            continue;
        }
        let reaches = |component: &str| match &grant.scope {
            Scope::Kernel => true,
            Scope::Component(name) => name == component,
            Scope::Object(_) => false,
        };
        let keys: Vec<_> = wanted.iter().filter(|(_, of)| reaches(of)).map(|(key, _)| *key).collect();
        if !keys.is_empty() {
            found.push((listed, keys));
        }
    }
    Ok(found)
}

pub(super) async fn list(kernel: &Kernel) -> Result<MovesResult, Error> {
    Ok(MovesResult {
        moves: kernel.moves()?.iter().map(|departing| leaving(kernel, departing)).collect(),
        arrivals: arrivals(kernel)?,
        stayed: stayed(kernel)?,
        news: kernel.news_owed().await?.iter().map(|news| owed(kernel, news)).collect(),
    })
}

/// Objects that were to move, or wanted to, and stay.
fn stayed(kernel: &Kernel) -> Result<Vec<StayedInfo>, Error> {
    let one = |FailedMove { key, to, at_ms, why }: FailedMove| StayedInfo {
        key: names::key_text(&key),
        to: names::name_of(kernel, &to),
        kernel: to.to_string(),
        at_ms,
        why,
    };
    Ok(kernel.stayed()?.into_iter().map(one).collect())
}

/// Objects that have come here, and that nobody could tell so yet.
fn arrivals(kernel: &Kernel) -> Result<Vec<ArrivalInfo>, Error> {
    let snapshot = kernel.shared().snapshot();
    let served = kernel.shared().components.served.list();
    let mut shown = Vec::new();
    for PendingArrival { key, from, since_ms } in kernel.arrivals()? {
        let component =
            object::head(&snapshot, &key).or_error()?.map(|head| head.header.component).unwrap_or_default();
        let programs = served.iter().find(|(name, ..)| *name == component).map(|(_, programs, _)| *programs);
        shown.push(ArrivalInfo {
            key: names::key_text(&key),
            from: names::name_of(kernel, &from),
            kernel: from.to_string(),
            since_ms,
            component,
            programs,
        });
    }
    Ok(shown)
}

/// Where an object is that was here or has come here, and who has not heard of it.
fn owed(kernel: &Kernel, news: &NewsOwed) -> NewsInfo {
    let name = |id: &KernelId| KernelInfo { name: names::name_of(kernel, id), kernel: id.to_string() };
    NewsInfo {
        key: names::key_text(&news.key),
        home: names::name_of(kernel, &news.home),
        kernel: news.home.to_string(),
        waits_for: news.waits_for.iter().map(name).collect(),
    }
}

/// An object that is about to leave.
fn leaving(kernel: &Kernel, departing: &Departure) -> DepartureInfo {
    let seen = kernel.net().map(|net| net.seen(&departing.to));
    let is_connected = seen.as_ref().is_some_and(|seen| seen.conn.is_some());
    DepartureInfo {
        key: names::key_text(&departing.key),
        to: names::name_of(kernel, &departing.to),
        kernel: departing.to.to_string(),
        since_ms: departing.since_ms,
        sealed: departing.is_sealed,
        withdrawn: departing.is_withdrawn,
        leaves_calls: departing.leaves_calls,
        connected: is_connected,
        trouble: seen.and_then(|seen| seen.last_error).filter(|_| !is_connected),
    }
}

/// Departures that are named where there are many; further ones are counted.
const SHOWN_MAX: usize = 8;

/// For `status`: how many are about to leave, and the oldest of those that are handed over.
pub(super) fn summary(kernel: &Kernel) -> Result<MovesInfo, Error> {
    let all = kernel.moves()?;
    let sealed = sealed(&all);
    Ok(MovesInfo {
        leaving: all.len(),
        sealed: sealed.len(),
        oldest_sealed: sealed.iter().take(SHOWN_MAX).map(|departing| leaving(kernel, departing)).collect(),
        arriving: kernel.arrivals()?.len(),
    })
}

/// Those that are handed over, oldest first: until the receiver has answered nobody changes them.
fn sealed(all: &[Departure]) -> Vec<Departure> {
    let mut sealed: Vec<_> = all.iter().filter(|departing| departing.is_sealed).copied().collect();
    sealed.sort_by_key(|departing| departing.since_ms);
    sealed
}

/// For `doctor`: what is handed over and was not answered in a minute.
pub(super) fn examine(kernel: &Kernel) -> Result<Vec<CheckInfo>, Error> {
    let late = late(&kernel.moves()?, now_ms());
    let mut checks: Vec<_> =
        late.iter().take(SHOWN_MAX).map(|departing| unanswered(kernel, departing)).collect();
    if let Some(more) = late.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        let message = format!("{more} more are handed over, and not answered");
        checks.push(check("move", false, &message, Some("`once moves` lists them")));
    }
    checks.extend(untold(kernel)?);
    checks.extend(kernel.stayed()?.iter().take(SHOWN_MAX).map(|stayed| unmoved(kernel, stayed)));
    if checks.is_empty() {
        checks.push(check("moves", true, "no object waits for longer than a minute to arrive", None));
    }
    Ok(checks)
}

/// One that stays without anybody having been told.
fn unmoved(kernel: &Kernel, FailedMove { key, to, why, .. }: &FailedMove) -> CheckInfo {
    let (key, to) = (names::key_text(key), names::name_of(kernel, to));
    let message = format!("object {key} was to move to {to}, and stays: {}", names::shown(why));
    check(
        "move",
        false,
        &message,
        Some("move it again; `once moves` lists it until it leaves, or `withdraw` says that this was seen"),
    )
}

/// Those that have come, and that nobody could tell so for a minute.
fn untold(kernel: &Kernel) -> Result<Vec<CheckInfo>, Error> {
    let now_ms = now_ms();
    let mut late = arrivals(kernel)?;
    late.retain(|one| now_ms.saturating_sub(one.since_ms) >= LATE_AFTER_MS);
    let one = |one: &ArrivalInfo| {
        let message = format!(
            "object {} has come, and does nothing before its component {} was told so, which cannot be asked",
            one.key,
            names::shown(&one.component),
        );
        check(
            "move",
            false,
            &message,
            Some("start the program that serves it; `once moves` lists what waits"),
        )
    };
    Ok(late.iter().take(SHOWN_MAX).map(one).collect())
}

/// A receiver that can be reached answers at once.
const LATE_AFTER_MS: u64 = 60_000;

fn late(all: &[Departure], now_ms: u64) -> Vec<Departure> {
    let mut late = sealed(all);
    late.retain(|departing| now_ms.saturating_sub(departing.since_ms) >= LATE_AFTER_MS);
    late
}

fn unanswered(kernel: &Kernel, departing: &Departure) -> CheckInfo {
    let (key, to) = (names::key_text(&departing.key), names::name_of(kernel, &departing.to));
    let age_s = now_ms().saturating_sub(departing.since_ms) / 1000;
    let seen = kernel.net().map(|net| net.seen(&departing.to));
    let is_connected = seen.as_ref().is_some_and(|seen| seen.conn.is_some());
    let why = match seen.and_then(|seen| seen.last_error).filter(|_| !is_connected) {
        Some(error) => format!(": it is not connected: {error}"),
        None if is_connected => ", although it is connected".to_owned(),
        None => ": it is not connected".to_owned(),
    };
    let message = format!(
        "object {key} is about to leave for {to} since {age_s} s and handed over; nobody changes it until {to} has answered{why}"
    );
    let hint = match is_connected {
        true => "its disk may be full, or it waits for the body: `once doctor` there, too",
        false => "it ends when that kernel is up and can be reached: only it can say where the object lives",
    };
    check("move", false, &message, Some(hint))
}

pub(super) async fn withdraw(kernel: &Kernel, params: MovesWithdraw) -> Result<MovesWithdrawResult, Error> {
    let key = names::object(kernel, &params.object)?.key();
    let stays = kernel.withdraw_move(key).await?;
    Ok(MovesWithdrawResult { key: names::key_text(&key), stays })
}

#[cfg(test)]
mod tests {
    use once_model::ids::{Hash, Line, Uuid};

    use super::*;

    #[test]
    fn what_is_handed_over_for_a_minute_is_late_and_what_still_works_here_is_not() {
        let departing = |n: u8, since_ms: u64, is_sealed: bool| Departure {
            key: ObjectKey {
                uuid: Uuid::from_bytes([n; 16]),
                line: Line::Unclaimed(Hash::from_bytes([n; 32])),
            },
            to: KernelId::from_bytes([9; 32]),
            since_ms,
            is_sealed,
            is_withdrawn: false,
            leaves_calls: false,
        };
        let all = [departing(1, 40_000, true), departing(2, 1, false), departing(3, 30_000, true)];
        let late_at = |now_ms: u64| -> Vec<u64> {
            late(&all, now_ms).iter().map(|departing| departing.since_ms).collect()
        };
        assert_eq!(late_at(89_999), Vec::<u64>::new());
        assert_eq!(late_at(90_000), [30_000]);
        assert_eq!(late_at(100_000), [30_000, 40_000], "the oldest first");
    }
}
