//! Lanes of this kernel to objects of its own that take their time: such a lane goes one action at a time, outside the
//! window. So an object whose runs are long, or that cannot be asked for days, holds up no other one.
//!
//! Between two kernels the home decides what waits, and the origin's window is the bound: there it stays as it is.

use once_model::action::LaneName;

use super::lanes;
use super::state::Lane;
use crate::act::rows::LaneId;
use crate::engine::Step;
use crate::share;
use crate::store::StoreError;

/// Whether the lane is one of them.
pub(crate) fn is_slow(s: &Step<'_, '_>, lane: &LaneId) -> bool {
    s.engine.act.slow.lanes.contains(lane)
}

/// A lane's first action runs beside the engine, or cannot be asked: what comes behind it leaves the window.
pub(crate) fn slow_down(s: &mut Step<'_, '_>, name: impl Into<LaneName>) -> Result<(), StoreError> {
    let lane = lanes::to(s, name, s.ctx.me)?;
    let (slow, most) = (&mut s.engine.act.slow, s.engine.limits.slow_lanes);
    if slow.lanes.len() < most && slow.lanes.insert(lane) {
        s.engine.act.own.leave(&lane);
    }
    Ok(())
}

/// The first action of a lane is to be sent, in a step to come.
pub(crate) fn next(s: &mut Step<'_, '_>, lane: LaneId) {
    s.engine.act.slow.next.push_back(lane);
    let me = s.ctx.me;
    share::pump_later(s, me);
}

/// An action has its outcome: then the next of its lane. A lane that has none left is like any other.
pub(crate) fn moved(s: &mut Step<'_, '_>, id: &LaneId, lane: &Lane) {
    if !is_slow(s, id) {
        return;
    }
    if lane.is_done() {
        s.engine.act.slow.lanes.remove(id);
    } else {
        next(s, *id);
    }
}

/// The resend timer came: all of them are tried again. Whether there are any.
pub(crate) fn again(s: &mut Step<'_, '_>) -> bool {
    let slow = &mut s.engine.act.slow;
    if slow.next.is_empty() {
        slow.next.extend(&slow.lanes);
    }
    !slow.lanes.is_empty()
}
