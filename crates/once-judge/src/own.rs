//! Actions on this kernel's own objects: of its clients and its objects, and the answers that tell what came of effects.

use once_model::action::{Outcome, answer_id};
use once_model::ids::Uuid;
use once_model::wire::Code;

use crate::check::{Check, How};
use crate::effects::Kind;
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::origin::Item;
use crate::rights::Tri;
use crate::seen::{Asked, Recorded};
use crate::told::{Told, told_json};

impl Kernel {
    /// A component is asked to run an action of this kernel.
    pub(crate) fn own_asked(&mut self, asked: &Asked, eyes: &mut Eyes<'_>) {
        if let Some(effect) = asked.action.answers {
            return self.answer_asked(effect, asked, eyes);
        }
        if self.word_asked(asked, eyes) {
            return;
        }
        let id = asked.action.id;
        let check = if id.get_version_num() == 8 { Check::EffectKnown } else { Check::ActKnown };
        self.leads_there(&id, self.me);
        let item = self.origin.items.get(&id).cloned();
        let known = item.as_ref().is_some_and(|item| item.action == asked.action && item.home == self.me);
        eyes.exact(check, known, || format!("{} runs, and nobody here asked for it", asked.action.name));
        let Some(item) = item else { return };
        let once = item.settled.is_none();
        eyes.exact(Check::Once, once, || format!("{} has its outcome, and runs", asked.action.name));
        let here = self.objects.name(&item.object) == self.objects.name(&asked.object);
        eyes.exact(check, here, || format!("{} runs on another object", asked.action.name));
        // What ran when it was taken back, and whose object has changed meanwhile, may run again: its void changes nothing.
        let again = self.home.runs.values().any(|run| run.action.id == id && run.origin == self.me);
        let late = item.deadline.is_some_and(|deadline| self.clock.now() > deadline)
            || !again && item.cancelled.is_some_and(|group| group < self.group);
        eyes.check(Check::DeadlineRun, How::exact_if(!again), !late, || {
            format!("{} runs after its end", asked.action.name)
        });
        let look = self.look(self.me, &item.object, &item.action, false);
        eyes.exact(Check::ActAllowed, look.passes, || {
            format!(
                "{} runs on {}, which is removed or no object of this kernel",
                asked.action.name, item.object
            )
        });
        let given = item.action.given.iter().map(|given| self.has_given(given)).fold(Tri::Yes, Tri::and);
        eyes.check(Check::GivenShown, How::exact_if(given.sure()), given.can(), || {
            format!("{} runs without what it is given", item.action.name)
        });
        self.own_order(&item, eyes);
    }

    /// A place in a lane of this kernel's own is one action's, in the order of acceptance. (Places that were refused
    /// without a record are never seen.)
    fn own_place(&mut self, recorded: &Recorded, item: &Item, eyes: &mut Eyes<'_>) {
        let sequence = recorded.entry.sequence;
        let lane = self.origin.lanes.entry((self.me, recorded.lane)).or_default();
        let order = |id: &Uuid| self.origin.items.get(id).map_or(0, |item| item.order);
        let before = lane.places.range(..sequence).next_back().map(|(_, id)| order(id));
        let after = lane.places.range(sequence + 1..).next().map(|(_, id)| order(id));
        let holder = lane.places.get(&sequence).is_none_or(|id| *id == recorded.entry.id);
        let right = holder && before.is_none_or(|o| o < item.order) && after.is_none_or(|o| o > item.order);
        eyes.exact(Check::SequenceGiven, right, || {
            format!("sequence {sequence} is given to {}, out of turn or twice", item.action.name)
        });
        lane.places.insert(sequence, recorded.entry.id);
    }

    /// Nothing that was accepted before, for the same object, waits.
    fn own_order(&self, item: &Item, eyes: &mut Eyes<'_>) {
        let others = self.origin.own.iter().filter_map(|id| self.origin.items.get(id));
        let waits = others.filter(|other| other.object == item.object && other.order < item.order);
        let mut waits = waits.filter(|other| other.sure && other.codes.is_empty());
        let first = waits.next().map(|other| other.action.name.clone());
        eyes.exact(Check::LaneOrder, first.is_none(), || {
            format!(
                "{} runs before {}, which was accepted before",
                item.action.name,
                first.unwrap_or_default()
            )
        });
    }

    /// An object is told what came of its effect.
    fn answer_asked(&mut self, effect: Uuid, asked: &Asked, eyes: &mut Eyes<'_>) {
        self.call_refused_here(effect, asked);
        let Some(owed) = self.effects.owed.get(&effect) else {
            let ended = self.effects.ended.get(&effect);
            let check = if ended == Some(&true) { Check::TimerEnded } else { Check::AnswerKnown };
            return eyes
                .exact(check, false, || format!("{} tells of an effect that has ended", asked.action.name));
        };
        if let Kind::Timer { from, reached, .. } = owed.kind {
            eyes.exact(Check::TimerEnded, true, String::new);
            eyes.exact(Check::TimerEarly, reached, || {
                format!("{} rings at {}, it is due at {from}", asked.action.name, self.clock.now())
            });
        }
        let told = owed.told();
        let known = asked.action.id == answer_id(&effect)
            && asked.action.name == owed.then.action
            && asked.action.acting.is_none()
            && asked.action.given.is_empty()
            && self.objects.name(&owed.object) == self.objects.name(&asked.object);
        let how = How::exact_if(told.is_some());
        eyes.check(Check::AnswerKnown, how, known && told.is_some(), || {
            format!("{} tells of an effect of which nothing came yet", asked.action.name)
        });
        let Some(told) = told else { return };
        let right = told_json(&effect, &told, &owed.then.with);
        eyes.exact(Check::AnswerArguments, asked.action.arguments == right, || {
            format!("{} tells {:?}, right is {:?}", asked.action.name, asked.action.arguments, right)
        });
    }

    /// A call on an object of this kernel may be refused by rows 6 and 7, without a record: its answer is the first to
    /// show that.
    fn call_refused_here(&mut self, effect: Uuid, asked: &Asked) {
        let Some(item) = self.origin.items.get(&effect).filter(|item| item.settled.is_none()) else { return };
        let Some(owed) = self.effects.owed.get(&effect) else { return };
        let mut codes = item.codes.iter().copied();
        let fits = |code: &Code| {
            asked.action.arguments == told_json(&effect, &Told::Refused(*code), &owed.then.with)
        };
        if let Some(code) = codes.find(fits) {
            let outcome = Outcome::Refused(code);
            self.origin.settle(&effect, &outcome, false, self.group);
            self.effects.outcome(&effect, &outcome);
        }
    }

    /// What may be recorded of an action of this kernel, other than what its run came to; it has its outcome now.
    pub(crate) fn own_recorded(&mut self, recorded: &Recorded, eyes: &mut Eyes<'_>) -> Vec<Outcome> {
        let id = recorded.entry.id;
        if let Some(effect) = self.effects.answers.get(&id).copied() {
            return self.answer_recorded(effect, recorded, eyes);
        }
        let check = if id.get_version_num() == 8 { Check::EffectKnown } else { Check::ActKnown };
        self.leads_there(&id, self.me);
        let Some(item) = self.origin.items.get(&id).cloned() else {
            eyes.exact(check, false, || {
                format!("entry {} is of no action of this kernel", recorded.entry.number)
            });
            return Vec::new();
        };
        eyes.exact(check, item.hash == recorded.entry.action, || {
            "another action is recorded than was asked".into()
        });
        eyes.exact(Check::Once, item.settled.is_none(), || format!("{} is recorded twice", item.action.name));
        self.own_order(&item, eyes);
        self.own_place(recorded, &item, eyes);
        let mut right = Vec::new();
        if item.cancelled.is_some() {
            right.push(Outcome::Refused(Code::Cancelled));
        }
        if self.is_over(&item) {
            right.push(Outcome::Refused(Code::Expired));
        }
        if item.action.given.iter().any(|given| self.has_given(given).can_not()) {
            right.push(Outcome::Refused(Code::Lacking));
        }
        let size = |g: &once_model::action::Given| self.objects.find(&g.key).map_or(0, |h| h.header.size);
        if item.action.given.iter().map(size).sum::<u64>() > eyes.limits.scenario_bytes {
            right.push(Outcome::Refused(Code::TooLarge));
        }
        self.outcome_is(&id, &recorded.outcome, true, eyes);
        right
    }

    fn answer_recorded(&mut self, effect: Uuid, recorded: &Recorded, eyes: &mut Eyes<'_>) -> Vec<Outcome> {
        let again = self.effects.ended.contains_key(&effect);
        eyes.exact(Check::Once, !again, || format!("the answer to effect {effect} is recorded twice"));
        let given_up =
            self.effects.given_up.contains(&effect) || self.effects.given_up.contains(&recorded.entry.id);
        self.effects.answered(&effect);
        if given_up { vec![Outcome::Refused(Code::Cancelled)] } else { Vec::new() }
    }
}
