//! Deferred actions ([`crate::waist::RunResult::Later`]): their component is unavailable or at capacity, or they wait for
//! something of their own. Their lanes stand still until [`crate::waist::Input::Ready`] comes
//! or they are sent again, those that waited longest first.

use super::come::Come;
use super::waiting::{For, Program, Unasked};
use crate::act::origin::slow;
use crate::engine::Step;
use crate::object::HeadRow;
use crate::store::StoreError;

/// Puts an action off. One for which there is no room is forgotten, and comes again.
pub(crate) fn hold(
    s: &mut Step<'_, '_>,
    come: &Come,
    head: &HeadRow,
    why: Unasked,
) -> Result<(), StoreError> {
    let lane = come.lane();
    let program =
        Program { component: head.header.component.clone(), version: head.header.version.clone(), why };
    let waiting = &mut s.engine.act.waiting;
    let mut comes = waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
    if come.origin.kernel == s.ctx.me {
        s.engine.act.waiting.stand(lane, For::Program(program), comes);
        slow::slow_down(s, lane.1)?;
    } else if waiting.has_room(come) {
        comes.push_front(come.clone());
        waiting.stand(lane, For::Program(program), comes);
    }
    Ok(())
}
