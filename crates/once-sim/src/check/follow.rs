//! Followers, and what this kernel follows elsewhere.

use std::collections::BTreeSet;

use once_core::access::{Right, Scope};
use once_core::object;
use once_core::store::{Read, Table};
use once_core::waist::{Effect, Event, Input};
use once_model::follow::{FollowInstead, FollowedInstead};
use once_model::ids::{KernelId, Line, ObjectKey};
use once_model::wire::{Code, Following, Frame};

use super::group::{Allowed, claimed_as};
use super::shadow::{Rights, Shadow, scan};
use super::share::is_followed_by;
use super::{Checker, Group, Wrong};
use crate::coverage::Coverage;
use crate::disk::{Changed, Commit};

impl Checker {
    pub(super) fn follower(
        &mut self,
        commit: &Commit,
        allowed: &Allowed,
        changed: &Changed,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let Some((key, peer)) = changed.key.split_at_checked(ObjectKey::ROW_LEN) else { return };
        let (Some(key), Some(peer)) = (ObjectKey::from_row(key), KernelId::from_slice(peer)) else { return };
        match (&changed.before, &changed.after) {
            (None, Some(_)) => {
                let moved = commit.rows.iter().any(|row| {
                    row.table == Table::Follower && row.after.is_none() && row.key.ends_with(peer.as_bytes())
                });
                if !allowed.followable.contains(&(peer, key)) && !moved {
                    wrong.push((7, format!("lets {peer:.10} follow {key}, which it may not read")));
                }
            }
            (Some(_), None)
                if commit.rows.iter().any(|row| row.table == Table::Grant && row.after.is_none()) =>
            {
                cover.met("state revoked while followed");
            }
            _ => {}
        }
    }
}

/// Who is told that it follows no more follows no more.
pub(super) fn unfollowed(group: &Group<'_>, wrong: &mut Wrong) {
    for (effect, _) in group.effects {
        let Effect::Send { peer, frame: Frame::Following(Following { key, on: false, code: None }), .. } =
            effect
        else {
            continue;
        };
        let again = group.inputs.iter().any(|input| match input {
            Input::Frame { peer: by, frame: Frame::Follow(follow), .. } => {
                (by, follow.key.uuid) == (peer, key.uuid)
            }
            _ => false,
        });
        // Also by the name that it has now.
        let mut names = [Some(*key), claimed_as(group, key)].into_iter().flatten();
        if !again && !group.failed && names.any(|key| is_followed_by(group, &key, peer)) {
            wrong.push((7, format!("keeps {peer:.10} as a follower of {key}, which it has unfollowed")));
        }
    }
}

/// A right to read has ended: "the source says `Following(key, on: false, code: denied)` unasked, for an object that was claimed
/// under its own key and that of the unclaimed copy" (`docs/protocol.md`, 5.4).
pub(super) fn ended_by_all_names(group: &Group<'_>, wrong: &mut Wrong) {
    let ended = group.effects.iter().filter_map(|(effect, _)| match effect {
        Effect::Send { peer, frame: Frame::Following(said), .. } => {
            (!said.on && said.code == Some(Code::Denied)).then_some((*peer, said.key))
        }
        _ => None,
    });
    let ended: BTreeSet<_> = ended.collect();
    let asked = |peer: &KernelId, key: &ObjectKey| {
        group.inputs.iter().any(|input| match input {
            Input::Frame { peer: by, frame: Frame::Follow(follow), .. } => {
                (by, follow.key.uuid) == (peer, key.uuid)
            }
            _ => false,
        })
    };
    for (peer, key) in &ended {
        let copy = began_as(group, key).filter(|copy| !ended.contains(&(*peer, *copy)));
        if let Some(copy) = copy.filter(|_| !asked(peer, key)) {
            wrong.push((4, format!("tells {peer:.10} that it follows {key} no more, and not of {copy}")));
        }
    }
}

/// The copy that an object began as, if that name is still its own.
fn began_as(group: &Group<'_>, key: &ObjectKey) -> Option<ObjectKey> {
    let lineage = key.lineage()?;
    let chain = object::chain(group.store, &lineage).ok()??;
    let copy = ObjectKey { uuid: key.uuid, line: Line::Unclaimed(chain.genesis.content) };
    (claimed_as(group, &copy) == Some(*key)).then_some(copy)
}

/// An object has left for where it came from, and was followed there: "What it followed at an old home it follows at the new
/// one, also at one that has the object back: it says `Follow` there once more" (`docs/protocol.md`, 5.6).
pub(super) fn follows_again(group: &Group<'_>, wrong: &mut Wrong) {
    for (effect, _) in group.effects {
        let Effect::Event(Event::Moved { key, to }) = effect else { continue };
        // Whoever has said that it has the object is there to hear it.
        let hears = group.inputs.iter().any(|input| {
            matches!(input, Input::Frame { peer, frame: Frame::Handed(said), .. } if peer == to && said.key == *key)
        });
        let Some(lineage) = key.lineage().filter(|_| hears) else { continue };
        let Ok(Some(chain)) = object::chain(group.store, &lineage) else { continue };
        let followed = super::moving::names(key, &chain).into_iter().filter(|name| {
            let place = [to.as_bytes().as_slice(), &name.to_row()].concat();
            matches!(group.store.get(Table::Subscription, &place), Ok(Some(_)))
        });
        let said = |name: &ObjectKey| {
            group.effects.iter().any(|(effect, _)| match effect {
                Effect::Send { peer, frame: Frame::Follow(follow), .. } => peer == to && follow.key == *name,
                _ => false,
            })
        };
        if let Some(name) = followed.into_iter().find(|name| !said(name)) {
            wrong.push((10, format!("follows {name} at {to:.10}, which has it back, and does not say so")));
        }
    }
}

/// A peer wants this kernel to follow what it follows: it does, if that peer may move every object here.
pub(super) fn asked_instead(
    shadow: &mut Shadow,
    group: &Group<'_>,
    (peer, asked): (&KernelId, &FollowInstead),
    allowed: &Allowed,
    cover: &mut Coverage,
) -> Result<(), String> {
    let FollowInstead { key, at } = *asked;
    let yes = FollowedInstead { key, at, code: None };
    let is_yes = |(effect, _): &(Effect, bool)| match effect {
        Effect::Send { peer: to, frame: Frame::FollowedInstead(said), .. } => to == peer && *said == yes,
        _ => false,
    };
    if !group.effects.iter().any(is_yes) {
        return Ok(());
    }
    let may = |rights: &Rights| {
        rights.is_active(peer) && rights.grants.hold(Scope::Kernel, Right::Host, peer, group.now_ms)
    };
    if !may(&shadow.rights) && !allowed.before.as_ref().is_some_and(may) {
        return Err(format!("follows {key} at {at:.10} for {peer:.10}, which may not move objects here"));
    }
    let place = [at.as_bytes().as_slice(), &key.to_row()].concat();
    if matches!(group.store.get(Table::Subscription, &place), Ok(Some(_))) {
        cover.met("state followed in place of another");
        shadow.subscriptions.insert((at, key));
    }
    Ok(())
}

/// What a kernel follows, and where.
pub(crate) fn all_subscriptions(disk: &dyn Read) -> Vec<(KernelId, ObjectKey)> {
    scan(disk, Table::Subscription, |row, _| {
        let (at, key) = row.split_at_checked(KernelId::LEN)?;
        Some((KernelId::from_slice(at)?, ObjectKey::from_row(key)?))
    })
}

/// A subscription that ended here must not be taken for one that is still asked for.
pub(super) fn subscriptions(shadow: &mut Shadow, commit: &Commit) {
    for changed in commit.rows.iter().filter(|changed| changed.table == Table::Subscription) {
        let Some((peer, key)) = changed.key.split_at_checked(KernelId::LEN) else { continue };
        let (Some(peer), Some(key)) = (KernelId::from_slice(peer), ObjectKey::from_row(key)) else {
            continue;
        };
        let goes_on = || {
            commit.rows.iter().any(|row| {
                // As the copy that it was, or at the home before.
                row.table == Table::Subscription
                    && row.after.is_none()
                    && (row.key.starts_with(peer.as_bytes()) || row.key.ends_with(&key.to_row()))
            })
        };
        if changed.after.is_none() {
            shadow.subscriptions.remove(&(peer, key));
        } else if goes_on() {
            shadow.subscriptions.insert((peer, key));
        }
    }
}
