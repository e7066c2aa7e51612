//! What belongs to an object and moves with it. Which tables that is, `engine/of_object.rs` says.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::certificate::Chain;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::LUGGAGE_MAX_BYTES;
use once_model::moving::{Luggage, LuggageActivity, LuggageCall, LuggageGrant, LuggageLane, LuggageTimer};

use super::acquaintances;
use super::room::Room;
use crate::access::{self, Grant, Right, Scope};
use crate::act::{self, ActivityRow, CallRow, Came, WaitingRow};
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::follow::{self, FollowRow};
use crate::object::{self, HeadRow};
use crate::share;
use crate::store::{StoreError, Table, prefix_end, scan_prefix, try_scan};
use crate::timer::{self, TimerRow};
use crate::waist::{Effect, Then, Work};
use crate::{peers, txn};

/// What goes along with an object.
pub(super) struct Packed {
    pub luggage: Luggage,
    /// As it travels.
    pub bytes: Bytes,
    pub hash: Hash,
}

/// What goes along with an object. Nothing if that is more than moves.
pub(super) fn pack(
    s: &mut Step<'_, '_>,
    head: &HeadRow,
    without_me: bool,
) -> Result<Option<Packed>, StoreError> {
    let (key, mut room) = (head.header.key(), Room::new());
    let luggage = Luggage {
        lanes: act::lanes_of(s, &key, &mut room)?,
        timers: timers(s, &key, &mut room)?,
        activities: activities(s, &key, &mut room)?,
        grants: grants(s, &key, without_me)?,
        followers: followers(s, &key, &mut room)?,
        acquaintances: Vec::new(),
        left: left(s, &key, &mut room)?,
        beside: object::pack_beside(s, &key, |bytes| room.take(bytes))?,
    };
    if !room.was_enough() {
        return Ok(None);
    }
    let luggage = Luggage { acquaintances: acquaintances::pack(s, &key, &luggage)?, ..luggage };
    let (bytes, hash) = luggage.pack();
    Ok((bytes.len() <= LUGGAGE_MAX_BYTES).then_some(Packed { luggage, bytes, hash }))
}

fn timers(s: &Step<'_, '_>, key: &ObjectKey, room: &mut Room) -> Result<Vec<LuggageTimer>, StoreError> {
    let mut found = Vec::new();
    each(s, (Table::Timer, &key.to_row()), room, |_, row: TimerRow| {
        let after_ms = row.due_ms.saturating_sub(s.ctx.now_ms);
        let Then { action, with } = row.then;
        found.push(LuggageTimer { name: row.name, after_ms, id: row.id, action, with });
    })?;
    Ok(found)
}

fn activities(
    s: &Step<'_, '_>,
    key: &ObjectKey,
    room: &mut Room,
) -> Result<Vec<LuggageActivity>, StoreError> {
    let mut found = Vec::new();
    each(s, (Table::Activity, &key.to_row()), room, |place, row: ActivityRow| {
        let id = place.get(ObjectKey::ROW_LEN..).and_then(|id| once_model::ids::Uuid::from_slice(id).ok());
        let ActivityRow { name, arguments, then: Then { action, with }, .. } = row;
        found.extend(id.map(|id| LuggageActivity { id, name, arguments, action, with }));
    })?;
    Ok(found)
}

/// The living grants on it, and those of this kernel: its clients go on as before, unless they do not want to.
fn grants(s: &Step<'_, '_>, key: &ObjectKey, without_me: bool) -> Result<Vec<LuggageGrant>, StoreError> {
    let (me, now_ms) = (s.ctx.me, s.ctx.now_ms);
    let own = |right: Right| LuggageGrant {
        right: right as u8,
        kernel: me,
        object: None,
        actions: None,
        remaining_ms: None,
    };
    let mut found = if without_me { Vec::new() } else { vec![own(Right::Read), own(Right::Act)] };
    for listed in access::on_object(s.txn, key)? {
        let Grant { right, kernel, object, expires_ms, actions, .. } = listed.grant.clone();
        let stays = without_me && kernel == me && object.is_none();
        if listed.holds(now_ms) && matches!(right, Right::Read | Right::Act) && !stays {
            let remaining_ms = expires_ms.map(|end| end.saturating_sub(now_ms));
            found.push(LuggageGrant { right: right as u8, kernel, object, actions, remaining_ms });
        }
    }
    Ok(found)
}

/// Its calls that it has not waited for: of those that want no answer it need not know.
fn left(s: &Step<'_, '_>, key: &ObjectKey, room: &mut Room) -> Result<Vec<LuggageCall>, StoreError> {
    let mut found = Vec::new();
    for (_, WaitingRow { action, call, .. }) in act::calls_of(s, key)? {
        let Some(CallRow { then: Then { action: name, with }, .. }) = call else { continue };
        if !room.take(name.len() + with.len()) {
            break;
        }
        found.push(LuggageCall { id: action.id, action: name, with });
    }
    Ok(found)
}

fn followers(s: &Step<'_, '_>, key: &ObjectKey, room: &mut Room) -> Result<Vec<KernelId>, StoreError> {
    let mut found = Vec::new();
    each(s, (Table::Follower, &key.to_row()), room, |place, _: FollowRow| {
        found.extend(place.get(ObjectKey::ROW_LEN..).and_then(KernelId::from_slice));
    })?;
    Ok(found)
}

/// Visits rows, as long as there is room.
fn each<T: for<'b> minicbor::Decode<'b, ()>>(
    s: &Step<'_, '_>,
    (table, prefix): (Table, &[u8]),
    room: &mut Room,
    mut visit: impl FnMut(&[u8], T),
) -> Result<(), StoreError> {
    try_scan(s.txn, table, prefix, prefix_end(prefix).as_deref(), |key, value| {
        if !room.take(key.len() + value.len()) {
            return Ok(ControlFlow::Break(()));
        }
        visit(key, txn::decode(table, &value).map_err(|error| error.at(key))?);
        Ok(ControlFlow::Continue(()))
    })
}

/// At the seal: what would happen by itself, happens no more.
pub(super) fn take_out(s: &mut Step<'_, '_>, key: &ObjectKey, luggage: &Luggage) -> Result<(), StoreError> {
    let timers = if mutant!(TimerAtBoth) { &[] } else { luggage.timers.as_slice() };
    for timer in timers {
        timer::cancel(s, key, &timer.name)?;
    }
    if !mutant!(LeftCallAtBoth) {
        act::leave_calls(s, key)?;
    }
    for activity in &luggage.activities {
        s.txn.delete(Table::Activity, &act::activity_key(key, &activity.id));
    }
    Ok(())
}

/// What would have happened at the home before happens here. What the object left behind it is told of.
pub(super) fn put_back(s: &mut Step<'_, '_>, key: &ObjectKey, luggage: Luggage) -> Result<(), StoreError> {
    for LuggageTimer { name, after_ms, id, action, with } in luggage.timers {
        let due_ms = s.ctx.now_ms.saturating_add(after_ms);
        timer::set(s, key, &TimerRow { name, due_ms, id, then: Then { action, with } })?;
    }
    for LuggageActivity { id, name, arguments, action, with } in luggage.activities {
        let (then, since_ms) = (Then { action, with }, s.ctx.now_ms);
        let row = ActivityRow { name: name.clone(), arguments: arguments.clone(), then, since_ms };
        let place = act::activity_key(key, &id);
        s.txn.put(Table::Activity, &place, &row);
        if !chores::comes_by(s, Chore::Work, Table::Activity, &place) {
            s.out.push(Effect::Work(Box::new(Work { key: *key, id, name, arguments })));
        }
    }
    if mutant!(ForgetLeftCalls) {
        return Ok(());
    }
    for LuggageCall { id, action, with } in luggage.left {
        act::tell(s, *key, id, &Then { action, with }, &Came::Unknown)?;
    }
    Ok(())
}

/// Lanes go on at their new home where they were. One to another object has no business here.
pub(super) fn put_lanes(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    chain: &Chain,
    lanes: &[LuggageLane],
) -> Result<(), StoreError> {
    let names: Vec<_> = follow::with_copy(key, Some(&chain.genesis)).collect();
    for lane in lanes.iter().filter(|lane| names.contains(&lane.name.key)) {
        act::put_lane(s, lane)?;
    }
    Ok(())
}

/// The rest of it.
pub(super) fn put_down(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    mut luggage: Luggage,
) -> Result<(), StoreError> {
    let (me, now_ms) = (s.ctx.me, s.ctx.now_ms);
    acquaintances::put_down(s, key, std::mem::take(&mut luggage.acquaintances))?;
    let rights = [Right::Read, Right::Act];
    let mut visitors = BTreeSet::new();
    for LuggageGrant { right, kernel, object, actions, remaining_ms } in luggage.grants.iter().cloned() {
        let Some(right) = rights.into_iter().find(|of| *of as u8 == right) else { continue };
        if kernel == me && object.is_none() {
            continue;
        }
        // Whom people here removed has none again by this.
        if peers::is_unwelcome(s, &kernel)? && !mutant!(RemovedComesBack) {
            continue;
        }
        visitors.insert(kernel);
        let expires_ms = remaining_ms.map(|ms| now_ms.saturating_add(ms));
        let scope = Scope::Object(*key);
        // Of too many there would be more than the home before had: it has made them up.
        drop(access::add(s, &Grant { scope, right, kernel, object, expires_ms, actions })?);
    }
    peers::let_in(s, key, visitors)?;
    for follower in luggage.followers.iter().filter(|follower| **follower != me) {
        let row = FollowRow { since_ms: now_ms };
        s.txn.put(Table::Follower, &object::object_peer_key(key, follower), &row);
    }
    if !mutant!(ForgetBeside) {
        object::unpack_beside(s, key, std::mem::take(&mut luggage.beside))?;
    }
    chores::begin(s, Chore::TellFollowers(*key));
    owe_news(s, *key);
    put_back(s, key, luggage)
}

/// At the home before: what belongs to the object is no more of this kernel's. Who had to do with it is remembered, and told
/// where it is.
pub(super) fn leave_behind(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<(), StoreError> {
    let followers = followers(s, key, &mut Room::new())?;
    for follower in &followers {
        share::followed_no_more(s, follower, key)?;
    }
    let rights = access::on_object(s.txn, key)?.into_iter().map(|listed| listed.grant.kernel);
    let lanes = act::origins_of(s, key)?;
    let followers = if mutant!(ForgetWhoFollowed) { Vec::new() } else { followers };
    let known: BTreeSet<_> = rights.chain(followers).chain(lanes).filter(|peer| *peer != s.ctx.me).collect();
    for peer in known {
        acquaintances::remember(s, key, &peer)?;
    }
    delete(s, Table::Follower, &key.to_row())?;
    if !mutant!(MoveLeavesGrants) {
        delete(s, Table::Grant, &Scope::Object(*key).to_row())?;
    }
    owe_news(s, *key);
    Ok(())
}

/// Who has to do with the object is to hear where it is.
fn owe_news(s: &mut Step<'_, '_>, key: ObjectKey) {
    if !mutant!(ForgetNews) {
        chores::begin(s, Chore::OweNews(key));
    }
}

fn delete(s: &mut Step<'_, '_>, table: Table, prefix: &[u8]) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    scan_prefix(s.txn, table, prefix, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.iter().for_each(|key| s.txn.delete(table, key));
    Ok(())
}
