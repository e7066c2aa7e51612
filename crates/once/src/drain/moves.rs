//! What has its home here moves.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt};
use once_core::waist::{Answer, Command};
use once_core::{Refusal, object};
use once_model::ids::{KernelId, ObjectKey};

use super::done::{DrainReport, End};
use super::watch::{AHEAD, LOOK_EVERY, Watch};
use crate::error::{IntoError, OrError};
use crate::{Error, ErrorKind, Kernel};

const PHASE: &str = "moving";

/// Moves the objects, a bounded number at once. Each that has begun is durable, and goes on by itself.
pub(super) async fn run(
    watch: &mut Watch<'_>,
    objects: BTreeMap<ObjectKey, String>,
    leave_calls: bool,
    done: &mut DrainReport,
) -> Result<Option<End>, Error> {
    let (kernel, to, total) = (watch.kernel, watch.to, objects.len());
    let leaving = leaving(watch, &objects)?;
    for key in leaving.iter().filter(|(_, at)| **at != to).map(|(key, _)| key) {
        done.cannot_go(*key, Refusal::Leaving(*key).into_error());
    }
    // An earlier drain was interrupted.
    let mut begun: BTreeSet<_> = leaving.iter().filter(|(_, at)| **at == to).map(|(key, _)| *key).collect();
    let mut left = objects.into_keys().filter(|key| !leaving.contains_key(key));
    let one = |key: ObjectKey| async move {
        (key, kernel.command(Command::Move { key, to, leave_calls, without_me: false, wait: true }).await)
    };
    let mut under_way = FuturesUnordered::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    watch.begin(PHASE, total);
    loop {
        while under_way.len() < AHEAD
            && let Some(key) = left.next()
        {
            under_way.push(one(key));
        }
        if under_way.is_empty() && begun.is_empty() {
            return Ok(None);
        }
        tokio::select! {
            Some((key, answer)) = under_way.next() => match answer {
                Ok(answer) => {
                    done.moved += 1;
                    if let Answer::Moved { left, .. } = answer {
                        done.left_calls += left;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::Stopping | ErrorKind::Fault) => return Err(error),
                Err(error) => done.cannot_go(key, error),
            },
            _ = look.tick() => {
                for key in ended(kernel, &mut begun)? {
                    let head = object::head(&kernel.shared().snapshot(), &key).or_error()?;
                    match head.and_then(|head| head.home) {
                        Some(home) if home == to => done.moved += 1,
                        // It was refused: asked for again, it says why.
                        _ => under_way.push(one(key)),
                    }
                }
                if let Some(end) = watch.end(done.moved + done.stuck_count)? {
                    done.not_arrived = total - done.moved - done.stuck_count;
                    return Ok(Some(end));
                }
            }
        }
        watch.tell(PHASE, done.moved + done.stuck_count, total);
    }
}

/// Those of the objects that are about to leave already, and for where.
fn leaving(
    watch: &Watch<'_>,
    objects: &BTreeMap<ObjectKey, String>,
) -> Result<BTreeMap<ObjectKey, KernelId>, Error> {
    let leaving = watch.kernel.moves()?.into_iter().map(|departing| (departing.key, departing.to));
    Ok(leaving.filter(|(key, _)| objects.contains_key(key)).collect())
}

/// Takes out those that do not leave any more: they have arrived, or stay.
fn ended(kernel: &Kernel, begun: &mut BTreeSet<ObjectKey>) -> Result<Vec<ObjectKey>, Error> {
    if begun.is_empty() {
        return Ok(Vec::new());
    }
    let leaving: BTreeSet<_> = kernel.moves()?.into_iter().map(|departing| departing.key).collect();
    let ended: Vec<_> = begun.difference(&leaving).copied().collect();
    begun.retain(|key| leaving.contains(key));
    Ok(ended)
}
