//! Lanes of this kernel to objects of its own that take their time: such a lane goes one action at a time, outside the
//! window. So an object whose runs are long, or that cannot be asked for days, holds up no other one.
//!
//! Between two kernels the home decides what waits, and the origin's window is the bound: there it stays as it is.

use std::collections::{BTreeSet, VecDeque};

use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::SLOW_LANES_MAX;

use super::origin::sending;
use super::rows::SendingRow;
use super::send;
use crate::step::Step;
use crate::store::StoreError;

/// Those lanes. All of it is made anew from the rows.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    lanes: BTreeSet<ObjectKey>,
    /// Whose first action is to be sent now.
    next: VecDeque<ObjectKey>,
}

#[cfg(test)]
impl Slow {
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.next.is_empty()
    }
}

/// Whether the lane to this home is one of them.
pub(super) fn is_slow(s: &Step<'_, '_>, home: &KernelId, key: &ObjectKey) -> bool {
    *home == s.ctx.me && s.engine.slow.lanes.contains(key)
}

/// A lane's first action runs beside the engine, or cannot be asked: what comes behind it leaves the window.
pub(super) fn slow_down(s: &mut Step<'_, '_>, key: ObjectKey) {
    let slow = &mut s.engine.slow;
    if slow.lanes.len() >= SLOW_LANES_MAX || !slow.lanes.insert(key) {
        return;
    }
    let window = &mut s.engine.own_acts;
    let under_way: Vec<_> =
        window.inflight.range((key, 0)..=(key, u64::MAX)).map(|(place, _)| *place).collect();
    for place in &under_way {
        window.answered(place);
    }
    window.held.remove(&key);
}

/// The first action of a lane is to be sent, in a step to come.
pub(super) fn next(s: &mut Step<'_, '_>, key: ObjectKey) {
    s.engine.slow.next.push_back(key);
    let me = s.ctx.me;
    send::pump_later(s, me);
}

/// An action has its outcome: then the next of its lane. A lane that has none left is like any other.
pub(super) fn moved(s: &mut Step<'_, '_>, home: &KernelId, key: &ObjectKey, lane: &SendingRow) {
    if !is_slow(s, home, key) {
        return;
    }
    if lane.floor > lane.last {
        s.engine.slow.lanes.remove(key);
    } else {
        next(s, *key);
    }
}

/// Sends the first action of a lane whose turn it is; `false` if it is no lane's turn.
pub(super) fn send_next(s: &mut Step<'_, '_>) -> Result<bool, StoreError> {
    let Some(key) = s.engine.slow.next.pop_front() else { return Ok(false) };
    send_first(s, key)?;
    Ok(true)
}

/// Sends the first action of a lane. What runs already is not run again.
pub(super) fn send_first(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    let me = s.ctx.me;
    match sending(s, &me, &key)? {
        Some(lane) if lane.floor <= lane.last => send::send(s, me, (key, lane.floor)),
        _ => {
            s.engine.slow.lanes.remove(&key);
            Ok(())
        }
    }
}

/// The resend timer came: all of them are tried again. Whether there are any.
pub(super) fn again(s: &mut Step<'_, '_>) -> bool {
    let slow = &mut s.engine.slow;
    if slow.next.is_empty() {
        slow.next.extend(&slow.lanes);
    }
    !slow.lanes.is_empty()
}
