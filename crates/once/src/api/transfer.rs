//! Methods that move scenarios.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use once_core::store::{Read, Table};
use once_core::waist::{Command, Event};
use once_core::{object, share};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{CLOSURE_MAX_BYTES, CLOSURE_MAX_DEPTH, CLOSURE_MAX_OBJECTS};
use once_model::references::references;
use once_model::wire::{Absent, Code, Frame, ShareAnswer};

use super::contract::{
    self, ExchangeResult, FollowInfo, FollowsResult, LeftOutInfo, Progress, RequestResult, ShareRefusedInfo,
    ShareResult,
};
use super::peers::PATIENCE_MS;
use super::tell::Tell;
use super::turns::{self, Turns};
use super::{methods, names, shapes, transfers};
use crate::drain::subscriptions;
use crate::error::OrError;
use crate::events::{Entry, Filter, Reader};
use crate::{Error, Kernel, Object};

/// Left-out references that are named; the rest is counted.
const LEFT_OUT_MAX: usize = 100;

pub(super) async fn share(
    kernel: &Kernel,
    params: contract::Share,
    tell: Tell<'_>,
) -> Result<ShareResult, Error> {
    let (to, _) = names::peer(kernel, &params.to)?;
    let mut keys = match params.all {
        true => everything(kernel).await?,
        false => {
            once_each(turns::each(&params.objects, |name| Ok(names::object(kernel, name)?.key())).await?)
        }
    };
    if keys.is_empty() && !params.all {
        return Err(Error::usage("nothing to share").with_hint("name objects, or share all"));
    }
    let mut left_out = Vec::new();
    if params.with_references {
        (keys, left_out) = closure(kernel, keys).await?;
    }
    let total = keys.len() as u64;
    let mut done = Done::default();
    let all = send(kernel, &keys, to, params.delivered, &mut done, tell);
    match params.timeout_ms {
        None => all.await?,
        Some(ms) => {
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(ms), all).await {
                ended?;
            }
        }
    }
    let answered = done.delivered + done.refused.len() as u64;
    let seen = kernel.net().map(|net| net.seen(&to));
    let connected = seen.as_ref().is_some_and(|seen| seen.conn.is_some());
    Ok(ShareResult {
        shared: done.shared,
        delivered: done.delivered,
        refused: done.refused,
        left_out,
        waiting: if params.delivered { total - answered } else { 0 },
        connected,
        trouble: seen.and_then(|seen| seen.last_error).filter(|_| !connected),
        transfers: transfers::list(kernel, Some(to)),
    })
}

#[derive(Default)]
struct Done {
    shared: u64,
    delivered: u64,
    refused: Vec<ShareRefusedInfo>,
}

/// How often debts are looked at whose answers may have been missed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Shares the objects: first all of them are made durable here, then, if asked, their answers are awaited.
async fn send(
    kernel: &Kernel,
    keys: &[ObjectKey],
    to: KernelId,
    delivered: bool,
    done: &mut Done,
    tell: Tell<'_>,
) -> Result<(), Error> {
    let mut events = Reader::from_now(kernel, Filter::peer(to))?;
    let mut unanswered: BTreeSet<ObjectKey> =
        if delivered { keys.iter().copied().collect() } else { BTreeSet::new() };
    let mut waiting = keys.iter();
    let mut under_way = FuturesUnordered::new();
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
    let mut settled_before: BTreeSet<ObjectKey> = BTreeSet::new();
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let total = keys.len();
    loop {
        while under_way.len() < turns::AHEAD
            && let Some(key) = waiting.next()
        {
            under_way.push(kernel.command(Command::Share { key: *key, to, delivered: false }));
        }
        if under_way.is_empty() && unanswered.is_empty() {
            return Ok(());
        }
        let was = (done.shared + done.delivered) / 64;
        tokio::select! {
            Some(owed) = under_way.next() => {
                owed?;
                done.shared += 1;
            }
            happened = events.next(), if !unanswered.is_empty() => match happened? {
                Some(Entry::Event(logged)) => settle(logged.event, to, &mut unanswered, done),
                Some(Entry::Gap { .. }) => {}
                None => return Err(Error::stopping()),
            },
            _ = look.tick(), if under_way.is_empty() => {
                // An answer that was missed has left no debt behind. One that was not is on its way here: what is
                // settled must be so for two looks before it counts as missed.
                let snapshot = kernel.shared().snapshot();
                let (mut settled, mut turns) = (BTreeSet::new(), Turns::default());
                for key in &unanswered {
                    turns.next().await;
                    if share::debt(&snapshot, &to, key).or_error()?.is_none() {
                        settled.insert(*key);
                    }
                }
                for key in settled.intersection(&settled_before) {
                    unanswered.remove(key);
                    done.delivered += 1;
                }
                settled_before = settled;
            }
        }
        if (done.shared + done.delivered) / 64 != was {
            let ended = if delivered {
                total - unanswered.len()
            } else {
                usize::try_from(done.shared).unwrap_or(total)
            };
            tell(Progress { bytes: Some(0), ..Progress::of(ended, total).in_phase("sending") });
        }
    }
}

/// Counts an answer that was waited for.
fn settle(event: Event, to: KernelId, unanswered: &mut BTreeSet<ObjectKey>, done: &mut Done) {
    let Event::Delivered { peer, key, answer } = event else { return };
    if peer != to || !unanswered.remove(&key) {
        return;
    }
    match answer {
        ShareAnswer::Refused(code) => {
            done.refused
                .push(ShareRefusedInfo { object: names::key_text(&key), code: code.name().to_owned() });
        }
        _ => done.delivered += 1,
    }
}

/// Every object that was not removed.
async fn everything(kernel: &Kernel) -> Result<Vec<ObjectKey>, Error> {
    let snapshot = kernel.shared().snapshot();
    let looked = crate::beside::wait_for(move || {
        let mut keys = Vec::new();
        object::heads(&snapshot, &mut |row| {
            if !row.header.tombstone {
                keys.push(row.header.key());
            }
            ControlFlow::Continue(())
        })
        .map(|()| keys)
    });
    looked.await.map_err(|_| Error::fault("listing the objects panicked"))?.or_error()
}

/// Each object once, in the order in which they were named.
fn once_each(mut keys: Vec<ObjectKey>) -> Vec<ObjectKey> {
    let mut seen = BTreeSet::new();
    keys.retain(|key| seen.insert(*key));
    keys
}

/// The objects that these refer to, and those that they refer to, within the limits; and what was left out.
async fn closure(
    kernel: &Kernel,
    roots: Vec<ObjectKey>,
) -> Result<(Vec<ObjectKey>, Vec<LeftOutInfo>), Error> {
    let snapshot = kernel.shared().snapshot();
    let mut seen: BTreeSet<ObjectKey> = roots.iter().copied().collect();
    let mut queue: VecDeque<(ObjectKey, usize)> = roots.into_iter().map(|key| (key, 0)).collect();
    let mut missing: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut turns = Turns::default();
    while let Some((key, depth)) = queue.pop_front() {
        turns.next().await;
        let Some(row) = once_core::object::head(&snapshot, &key).or_error()? else { continue };
        bytes += row.header.size;
        found.push(key);
        let Some(scenario) = methods::scenario(&snapshot, &row)? else { continue };
        for reference in references(&scenario).items {
            let target = reference.target;
            if target.uuid().is_none() {
                continue;
            }
            let here = names::by_ior(&snapshot, &target)?;
            let reason = match here.first() {
                None => "not on this kernel",
                Some(_) if depth >= CLOSURE_MAX_DEPTH => "too many hops away",
                Some(_) if seen.len() >= CLOSURE_MAX_OBJECTS => "too many objects",
                Some(_) if bytes >= CLOSURE_MAX_BYTES => "too many bytes",
                Some(_) => {
                    for row in here.iter().filter(|row| !row.header.tombstone) {
                        if seen.insert(row.header.key()) {
                            queue.push_back((row.header.key(), depth + 1));
                        }
                    }
                    continue;
                }
            };
            missing.insert(target.as_str().to_owned(), reason);
        }
    }
    let more = missing.len().saturating_sub(LEFT_OUT_MAX);
    let mut left_out: Vec<_> = missing
        .into_iter()
        .take(LEFT_OUT_MAX)
        .map(|(target, reason)| LeftOutInfo { target, reason: reason.to_owned() })
        .collect();
    if more > 0 {
        left_out.push(LeftOutInfo { target: format!("{more} more"), reason: "not listed".to_owned() });
    }
    Ok((found, left_out))
}

pub(super) async fn request(kernel: &Kernel, params: contract::Request) -> Result<RequestResult, Error> {
    let ior = names::ior(kernel, &params.object)?;
    let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let mut request = kernel.request(&ior).timeout(timeout);
    if let Some(from) = &params.from {
        request = request.from(names::peer(kernel, from)?.0);
    }
    let found = request.await?;
    let text = found.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (peer, header) = (found.peer(), found.header().clone());
    let keep = params.keep != Some(false);
    let object = match keep {
        true => found.keep().await?,
        false => {
            let row = shapes::bare_row(header, found.home(), Some(peer));
            Object::new(&kernel.shared().snapshot(), row, kernel.id())?
        }
    };
    Ok(RequestResult {
        object: shapes::object(kernel, &object),
        text,
        kept: keep,
        peer: names::name_of(kernel, &peer),
    })
}

pub(super) async fn exchange(
    kernel: &Kernel,
    params: contract::Exchange,
    tell: Tell<'_>,
) -> Result<ExchangeResult, Error> {
    let (peer, _) = names::peer(kernel, &params.with)?;
    let progress = |crate::Progress { phase, done, total, bytes }| {
        let phase = Some(phase.to_owned());
        tell(Progress { phase, done, total, bytes: Some(bytes), coordination: None });
    };
    let mut exchange = kernel.exchange(peer);
    if let Some(ms) = params.timeout_ms {
        exchange = exchange.timeout(Duration::from_millis(ms));
    }
    let report = exchange.watched(&progress).await?;
    Ok(ExchangeResult {
        peer: peer.to_string(),
        kernel: kernel.id().to_string(),
        compared: report.compared,
        shown: report.shown,
        withheld: report.withheld,
        received: report.received,
        known: report.known,
        conflicts: report.conflicts,
        refused: report.refused,
        missing: report.missing,
        sent: report.sent,
        sent_known: report.sent_known,
        sent_conflicts: report.sent_conflicts,
        sent_refused: report.sent_refused,
        rounds: report.rounds,
        bytes_sent: report.bytes_sent,
        bytes_received: report.bytes_received,
        took_us: report.took_us,
    })
}

/// The key to follow, and where: a peer that is named, or the object's home.
async fn followed(kernel: &Kernel, params: &contract::Follow) -> Result<(ObjectKey, KernelId), Error> {
    let from = match &params.from {
        Some(name) => Some(names::peer(kernel, name)?.0),
        None => None,
    };
    let homeless = || {
        Error::usage("this object has no home that could be followed")
            .with_hint("name a peer that has it with --from")
    };
    if let Ok(object) = names::object(kernel, &params.object) {
        let home = object.home().filter(|home| *home != kernel.id());
        return Ok((object.key(), from.or(home).ok_or_else(homeless)?));
    }
    // Not here yet: ask for it first, so that its identity is known.
    let ior = names::ior(kernel, &params.object)?;
    let mut request = kernel.request(&ior);
    if let Some(from) = from {
        request = request.from(from);
    }
    let found = request.await?;
    let peer = found.peer();
    let object = found.keep().await?;
    let home = object.home().filter(|home| *home != kernel.id());
    Ok((object.key(), from.or(home).unwrap_or(peer)))
}

/// A peer that is connected says at once whether it lets this kernel read the object; to following itself it answers later.
async fn is_permitted(kernel: &Kernel, from: KernelId, key: &ObjectKey) -> Result<(), Error> {
    let Some(session) = kernel.net().and_then(|net| net.session(&from)) else { return Ok(()) };
    let asked = session.request(key.uuid, Some(key.line));
    match tokio::time::timeout(Duration::from_millis(PATIENCE_MS), asked).await {
        Ok(Some(Frame::Absent(Absent { code: Code::Denied, .. }))) => {
            let what = format!("following of {} from {}", key.uuid, kernel.shared().called(&from));
            Err(Error::from_code(Code::Denied, &what))
        }
        // It has it, or cannot say now: then the subscription waits for its answer.
        _ => Ok(()),
    }
}

pub(super) async fn follow(kernel: &Kernel, params: contract::Follow) -> Result<FollowInfo, Error> {
    let (key, from) = followed(kernel, &params).await?;
    is_permitted(kernel, from, &key).await?;
    kernel.follow(key, from).await?;
    Ok(follow_shape(kernel, &key, &from))
}

pub(super) async fn unfollow(kernel: &Kernel, params: contract::Unfollow) -> Result<FollowInfo, Error> {
    let object = names::object(kernel, &params.object)?;
    let key = object.key();
    let from = match &params.from {
        Some(name) => names::peer(kernel, name)?.0,
        None => subscriptions(kernel)?
            .into_iter()
            .find(|(known, _)| known.uuid == key.uuid)
            .map(|(_, peer)| peer)
            .ok_or_else(|| {
                Error::not_found("that object is not followed").with_hint("`once follow` lists what is")
            })?,
    };
    kernel.unfollow(key, from).await?;
    Ok(follow_shape(kernel, &key, &from))
}

pub(crate) fn follows(kernel: &Kernel) -> Result<FollowsResult, Error> {
    let mut followers = Vec::new();
    kernel
        .shared()
        .snapshot()
        .scan(Table::Follower, &[], None, &mut |row, _| {
            let key = row.get(..ObjectKey::ROW_LEN).and_then(ObjectKey::from_row);
            let peer = row.get(ObjectKey::ROW_LEN..).and_then(KernelId::from_slice);
            followers.extend(key.zip(peer));
            ControlFlow::Continue(())
        })
        .or_error()?;
    let shape = |(key, peer): (ObjectKey, KernelId)| follow_shape(kernel, &key, &peer);
    let following = subscriptions(kernel)?.into_iter().map(shape).collect();
    Ok(FollowsResult { following, followers: followers.into_iter().map(shape).collect() })
}

fn follow_shape(kernel: &Kernel, key: &ObjectKey, peer: &KernelId) -> FollowInfo {
    FollowInfo { key: names::key_text(key), peer: peer.to_string(), name: names::name_of(kernel, peer) }
}
