//! Guests: what moved in, or was made by one that did, acts by rights of its own and by nothing else.

use once_core::store::Table;
use once_core::waist::Effect;
use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::wire::Frame;

use super::access::Grantee;
use super::{Checker, Group, Wrong, head_in};
use crate::coverage::Coverage;

impl Checker {
    pub(super) fn guests(&mut self, group: &Group<'_>, cover: &mut Coverage) {
        let mut wrong = Wrong::new();
        self.made_here(group, cover, &mut wrong);
        self.shown(group, &mut wrong);
        for (effect, _) in group.effects {
            if let Effect::Send { peer, frame: Frame::Outcome(told), .. } = effect
                && matches!(told.outcome, Outcome::Done(_))
                && self.is_of_guest(peer, &told.id)
            {
                cover.met("state guest acted by its own right");
            }
            if let Effect::Send { frame: Frame::Act(act), .. } = effect
                && let Some(guest) = act.action.acting.filter(|acting| self.is_guest(group, acting))
                && act.guest != Some(true)
                && !self.moves.left_acts.contains(&act.action.id)
            {
                wrong.push((7, format!("does not say that {guest}, which acts, is its guest")));
            }
        }
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    /// `docs/protocol.md`, 5.6: "Before the first such act of an object on a connection, its origin sends `Guest`".
    fn shown(&mut self, group: &Group<'_>, wrong: &mut Wrong) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        for (effect, _) in group.effects {
            let Effect::Send { peer, conn, frame } = effect else { continue };
            match frame {
                Frame::Guest(said) => drop(shadow.shown.insert((*peer, *conn, said.key))),
                Frame::Act(act) if act.guest == Some(true) => {
                    // An object that is gone here, with its chain, shows nothing more.
                    let acting = act.action.acting.filter(|acting| has_chain(group, acting));
                    if let Some(guest) = acting.filter(|key| !shadow.shown.contains(&(*peer, *conn, *key))) {
                        wrong.push((
                            7,
                            format!("lets its guest {guest} act on a connection without its chain"),
                        ));
                    }
                }
                _ => {}
            }
        }
    }

    fn is_guest(&self, group: &Group<'_>, object: &ObjectKey) -> bool {
        self.moves.guests.contains(object) && !self.moves.put_back.contains(&group.kernel)
    }

    /// What objects of this kernel have done to others of it.
    fn made_here(&mut self, group: &Group<'_>, cover: &mut Coverage, wrong: &mut Wrong) {
        for row in group.changed().filter(|row| row.table == Table::Head) {
            let [before, after] = [&row.before, &row.after].map(|value| head_in(value.as_ref()));
            let Some(head) = after.filter(|head| head.home == Some(group.kernel)) else { continue };
            let is_new = before.is_none_or(|before| before.header.id() != head.header.id());
            let cause = head.header.cause.as_ref().filter(|cause| is_new && cause.origin == group.kernel);
            let guest = cause.and_then(|cause| cause.acting).filter(|acting| self.is_guest(group, acting));
            let (Some(guest), key) = (guest, head.header.key()) else { continue };
            if head.header.revision == 1 {
                cover.met("state guest made an object");
                self.moves.guests.insert(key);
                continue;
            }
            // It was none yet when it asked for that, and has left it behind.
            if head.header.cause.as_ref().is_some_and(|cause| self.moves.left_acts.contains(&cause.id)) {
                continue;
            }
            let Some(shadow) = self.shadows.get(&group.kernel) else { continue };
            let copy = super::group::candidates(group, &key).into_iter().map(|head| head.header.key());
            let objects: Vec<_> = copy.chain([key]).collect();
            if guest != key && !shadow.acted.ever(Grantee::Object(guest), &objects, &head.header.component) {
                wrong.push((7, format!("lets its guest {guest} act on {key} without a right of its own")));
            }
        }
    }
}

fn has_chain(group: &Group<'_>, object: &ObjectKey) -> bool {
    object
        .lineage()
        .is_some_and(|lineage| matches!(once_core::object::chain(group.store, &lineage), Ok(Some(_))))
}
