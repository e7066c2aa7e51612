//! What follows from an action: each effect exactly once, and who is told of it (protocol 5.5 Effects, Answers).

use std::collections::{BTreeMap, BTreeSet};

use once_model::action::{Action, Outcome, answer_id, cause_id, effect_id};
use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::receipt::Entry;
use once_model::wire::Code;

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::origin::Item;
use crate::runs::Run;
use crate::seen::{Effect, Json, Recorded, Said, Then};
use crate::told::Told;

/// What an object waits for.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// The outcome of an action.
    Call,
    /// A time: between these two, as the clock was when the run began and when it was recorded.
    Timer {
        from: u64,
        to: u64,
        /// The clock has shown it.
        reached: bool,
    },
    /// Work in the outside world.
    Activity {
        name: String,
        arguments: Json,
        /// It was asked for since the last start.
        asked: bool,
    },
}

/// An object is to be told of an effect.
#[derive(Debug, Clone)]
pub(crate) struct Owed {
    pub(crate) object: ObjectKey,
    pub(crate) then: Then,
    pub(crate) kind: Kind,
    pub(crate) came: Option<Told>,
    /// It was ended or replaced when it may have rung: it may be told, and need not.
    pub(crate) optional: bool,
}

impl Owed {
    /// What it is told, if that is known.
    pub(crate) fn told(&self) -> Option<Told> {
        match self.kind {
            Kind::Timer { .. } => Some(Told::Due),
            _ => self.came.clone(),
        }
    }
}

/// A new object or an object's end, to be in the commit of its action.
#[derive(Debug, Clone)]
struct InCommit {
    id: Uuid,
    name: &'static str,
    /// The bytes of a new object.
    content: Option<Hash>,
    /// It may be left out, since such an object is here or was.
    may_lack: bool,
    there: bool,
}

/// What follows from the actions on objects of one kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    pub(crate) owed: BTreeMap<Uuid, Owed>,
    /// The effect of each answer's id.
    pub(crate) answers: BTreeMap<Uuid, Uuid>,
    /// Effects whose object was told, or will never be; whether it was a timer.
    pub(crate) ended: BTreeMap<Uuid, bool>,
    /// Work outside that has ended with its object, and in which group: it may be on its way out.
    lately: Vec<(u64, Uuid, Owed)>,
    /// What people have given up.
    pub(crate) given_up: BTreeSet<Uuid>,
    timers: BTreeMap<(ObjectKey, String), Uuid>,
    /// Timers whose time the clock has not shown, soonest first.
    ringing: BTreeSet<(u64, Uuid)>,
    in_commit: Vec<InCommit>,
    news: Vec<(Uuid, ObjectKey, String, Json)>,
    /// Which object makes another one, by the effect.
    makers: BTreeMap<Uuid, ObjectKey>,
}

impl Effects {
    /// The process begins: work outside is asked for again.
    pub(crate) fn started(&mut self) {
        self.in_commit.clear();
        for owed in self.owed.values_mut() {
            if let Kind::Activity { asked, .. } = &mut owed.kind {
                *asked = false;
            }
        }
    }

    /// The clock shows this.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some((_, id)) = self.ringing.first().copied().filter(|(from, _)| *from <= now) {
            self.ringing.pop_first();
            if let Some(Owed { kind: Kind::Timer { reached, .. }, .. }) = self.owed.get_mut(&id) {
                *reached = true;
            }
        }
    }

    /// A timer has come with its object.
    pub(crate) fn timer(&mut self, object: ObjectKey, name: String, id: Uuid, due: u64) {
        self.timers.insert((object, name), id);
        self.rings(due, id);
    }

    /// A timer is looked at when the clock shows this.
    pub(crate) fn rings(&mut self, due: u64, id: Uuid) {
        self.ringing.insert((due, id));
    }

    pub(crate) fn owe(&mut self, id: Uuid, owed: Owed) {
        self.answers.insert(answer_id(&id), id);
        self.owed.insert(id, owed);
    }

    /// An action has its outcome: the object that called is to be told.
    pub(crate) fn outcome(&mut self, id: &Uuid, outcome: &Outcome) {
        let Some(owed) = self.owed.get_mut(id) else { return };
        owed.came = Some(match outcome {
            Outcome::Done(json) => Told::Done(json.to_vec()),
            Outcome::Failed(json) => Told::Failed(json.to_vec()),
            Outcome::Refused(code) => Told::Refused(*code),
        });
    }

    /// The object was told, or never will be.
    pub(crate) fn answered(&mut self, effect: &Uuid) {
        if let Some(owed) = self.owed.remove(effect) {
            self.ended.insert(*effect, matches!(owed.kind, Kind::Timer { .. }));
        }
    }

    fn end_timer(&mut self, object: ObjectKey, name: &str) {
        let Some(id) = self.timers.remove(&(object, name.to_owned())) else { return };
        match self.owed.get_mut(&id) {
            // One that has rung is an answer that waits, and is still told.
            Some(Owed { kind: Kind::Timer { reached: true, .. }, optional, .. }) => *optional = true,
            _ => self.answered(&id),
        }
    }

    /// An object has its tombstone: its timers and its work end.
    pub(crate) fn object_gone(&mut self, object: &ObjectKey, group: u64) {
        let gone: Vec<_> = self.owed.iter().filter(|(_, owed)| owed.object == *object).collect();
        let gone: Vec<_> = gone.into_iter().map(|(id, owed)| (group, *id, owed.clone())).collect();
        gone.iter().for_each(|(_, id, _)| self.answered(id));
        self.lately.retain(|(then, ..)| *then + 1 >= group);
        self.lately.extend(gone.into_iter().filter(|(.., owed)| matches!(owed.kind, Kind::Activity { .. })));
        self.timers.retain(|(key, _), _| key != object);
    }

    /// Whether an effect is owed, or was until lately.
    fn wants(&self, id: &Uuid) -> bool {
        self.owed.contains_key(id) || self.lately.iter().any(|(_, of, _)| of == id)
    }

    /// What is to be told to an object, in an order of its own.
    pub(crate) fn all_owed(&self) -> impl Iterator<Item = (&Uuid, &Owed)> {
        self.owed.iter()
    }
}

impl Kernel {
    /// What follows from an action that is done.
    pub(crate) fn effects_of(&mut self, recorded: &Recorded, run: &Run) {
        let (Outcome::Done(_), Some(Said::Done { effects, .. })) = (&recorded.outcome, &run.said) else {
            return;
        };
        let entry = &recorded.entry;
        let cause = cause_id(&entry.object.uuid, &entry.incarnation, entry.sequence, &entry.id);
        for (number, effect) in (0..).zip(effects) {
            let id = effect_id(&entry.origin, &cause, number);
            self.effect(id, entry, effect, run);
        }
    }

    fn effect(&mut self, id: Uuid, entry: &Entry, effect: &Effect, run: &Run) {
        let object = entry.object;
        match effect {
            Effect::Act { .. } => {
                let slack_ms = self.clock.now().abs_diff(run.now);
                self.effect_acts(id, object, effect, slack_ms);
            }
            Effect::Create(state) => {
                let mut same = self.objects.of_uuid(state.uuid);
                let may_lack = same.any(|head| {
                    let genesis = head.chain.as_ref().map(|chain| chain.genesis.content);
                    head.header.tombstone
                        || head.header.content == state.content
                        || genesis == Some(state.content)
                });
                let due = InCommit {
                    id,
                    name: "once:create",
                    content: Some(state.content),
                    may_lack,
                    there: false,
                };
                self.effects.makers.insert(id, object);
                self.effects.in_commit.push(due);
            }
            Effect::Move { to } => {
                self.moves.leaving.entry(object).or_default().insert(*to);
            }
            Effect::Remove => {
                let due = InCommit { id, name: "once:remove", content: None, may_lack: false, there: false };
                self.effects.in_commit.push(due);
            }
            Effect::Timer { name, after_ms, then } => {
                self.effects.end_timer(object, name);
                let from = run.now.min(self.clock.now()).saturating_add(*after_ms);
                let to = run.now.max(self.clock.now()).saturating_add(*after_ms);
                self.effects.timers.insert((object, name.clone()), id);
                let kind = Kind::Timer { from, to, reached: from <= self.clock.now() };
                self.effects.ringing.insert((from, id));
                self.effects.owe(id, Owed { object, then: then.clone(), kind, came: None, optional: false });
            }
            Effect::EndTimer { name } => self.effects.end_timer(object, name),
            Effect::Activity { name, arguments, then } => {
                let (name, arguments) = (name.clone(), arguments.clone());
                let kind = Kind::Activity { name, arguments, asked: false };
                self.effects.owe(id, Owed { object, then: then.clone(), kind, came: None, optional: false });
            }
            Effect::Publish { name, data } => {
                self.effects.news.push((id, object, name.clone(), data.clone()));
            }
        }
    }

    fn effect_acts(&mut self, id: Uuid, acting: ObjectKey, effect: &Effect, slack_ms: u64) {
        let Effect::Act { object, home, name, arguments, given, deadline_ms, then } = effect else { return };
        let here = self.objects.find(object);
        let named = *home;
        let home = self.home_for(object, named);
        if let Some(then) = then {
            let owed =
                Owed { object: acting, then: then.clone(), kind: Kind::Call, came: None, optional: false };
            self.effects.owe(id, owed);
        }
        // If it cannot leave, its answer is refused at once (555-557).
        let Some(home) = home.filter(|home| self.knows(home) || *home == self.me && here.is_some()) else {
            return self.effects.outcome(&id, &Outcome::Refused(Code::Denied));
        };
        let unsure = !self.peers.is(&home) && home != self.me
            || self.peers.unsure.contains(&home)
            || self.is_adrift(object, home);
        let perhaps = unsure.then_some(Code::Denied);
        let action = Action {
            id,
            name: name.clone(),
            arguments: arguments.clone().into(),
            given: given.clone(),
            acting: Some(acting),
            answers: None,
        };
        let item = Item {
            hash: action.hash(&object.uuid),
            action,
            object: *object,
            home,
            named,
            order: 0,
            sure: true,
            deadline: deadline_ms.map(|ms| self.clock.now().saturating_add(ms)),
            slack_ms,
            guest: self.is_guest(&acting),
            was_over: false,
            cancelled: None,
            void_sent: None,
            needs: Vec::new(),
            place: None,
            settled: None,
            codes: perhaps.into_iter().collect(),
            sent: std::collections::BTreeMap::new(),
            missing: 0,
            was: None,
        };
        self.origin.accept(self.me, item);
        self.look_at_own(Some(&self.objects.name(object)));
    }

    /// A built-in action is recorded: an effect of this commit, or what a client asked for. Without content: a removal.
    pub(crate) fn built_in_known(
        &mut self,
        entry: &Entry,
        name: Option<&'static str>,
        content: Option<Hash>,
        eyes: &mut Eyes<'_>,
    ) {
        let maker = self.effects.makers.get(&entry.id).copied();
        let entry_made_by_guest = maker.is_some_and(|maker| self.is_guest(&maker));
        let due = self.effects.in_commit.iter_mut().find(|due| due.id == entry.id);
        if let Some(due) = due {
            let right = name == Some(due.name) && content == due.content && !due.there;
            eyes.exact(Check::EffectAtomic, right, || {
                format!("effect {} is recorded twice or as another", due.id)
            });
            due.there = true;
            if entry_made_by_guest {
                self.moves.made_by_guests.insert(entry.object);
            }
        } else if entry.id.get_version_num() == 8 {
            eyes.exact(Check::EffectKnown, false, || format!("entry {} is of no effect", entry.number));
        } else if !matches!(name, Some("once:claim" | "once:move" | "once:reopen")) {
            // A claim stands before any first change, so whoever asks for that asks for it.
            let wanted = self.clients.wants_change(content);
            eyes.exact(Check::BuiltIn, wanted, || {
                format!(
                    "{} is recorded of {}, and nobody asked for it",
                    name.unwrap_or("a change"),
                    entry.object
                )
            });
        }
        if content.is_none() {
            self.effects.object_gone(&entry.object, self.group);
        }
    }

    /// A commit ends: new objects and removals that follow from its actions are in it.
    pub(crate) fn effects_in_commit(&mut self, eyes: &mut Eyes<'_>) {
        for due in std::mem::take(&mut self.effects.in_commit) {
            eyes.check(Check::EffectAtomic, How::exact_if(!due.may_lack), due.there || due.may_lack, || {
                format!("{} follows from an action, and is not in its commit", due.name)
            });
        }
    }

    /// The kernel asks for work outside.
    pub(crate) fn work(
        &mut self,
        id: Uuid,
        object: &ObjectKey,
        name: &str,
        arguments: &Json,
        eyes: &mut Eyes<'_>,
    ) {
        let durable = eyes.disk.is_some_and(|disk| disk.effects.wants(&id));
        let fits = |(group, of, owed): &&mut (u64, Uuid, Owed)| {
            *of == id && *group + 1 >= self.group && owed.came.is_none()
        };
        let lately = self.effects.lately.iter_mut().find(fits).map(|(.., owed)| owed);
        // It was asked for before the object was sealed in the same group.
        let sealed = self.moves.sealed.get_mut(object).and_then(|sealed| sealed.owed_mut(&id));
        let right = match self.effects.owed.get_mut(&id).or(lately).or(sealed) {
            Some(Owed {
                object: of,
                kind: Kind::Activity { name: n, arguments: a, asked },
                came: None,
                ..
            }) => {
                *asked = true;
                of == object && n == name && a == arguments
            }
            _ => false,
        };
        eyes.exact(Check::WorkKnown, right && durable, || {
            format!("the work {name} is asked for, and not wanted")
        });
    }

    /// Work outside is done, says a client. Whether it counted.
    pub(crate) fn worked(&mut self, id: &Uuid, answer: &Result<Json, Json>) -> bool {
        match self.effects.owed.get_mut(id) {
            Some(Owed { kind: Kind::Activity { .. }, came: came @ None, .. }) => {
                *came = Some(match answer {
                    Ok(result) => Told::Done(result.clone()),
                    Err(reason) => Told::Failed(reason.clone()),
                });
                true
            }
            _ => false,
        }
    }

    /// News is told.
    pub(crate) fn published(&mut self, object: &ObjectKey, name: &str, data: &Json, eyes: &mut Eyes<'_>) {
        let here = self.objects.name(object);
        let at =
            self.effects.news.iter().position(|(_, key, n, d)| (*key, n.as_str(), d) == (here, name, data));
        eyes.exact(Check::PublishOnce, at.is_some(), || {
            format!("the news {name} is told, and no object has any")
        });
        if let Some(at) = at {
            self.effects.news.remove(at);
        }
    }
}
