//! Runs: when a component may be asked, and what must be recorded of what it says (protocol 5.5, rows 11 to 22).

use once_model::action::{Action, Given, Outcome, check_name};
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};
use once_model::wire::Code;

use crate::check::{Check, How};
use crate::eyes::{Eyes, LaneId};
use crate::home::{Copy, next_place};
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::placing::Came;
use crate::rights::{Clock, Tri};
use crate::seen::{Asked, Effect, Said, Then};

/// A component was asked.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) object: ObjectKey,
    pub(crate) base: Hash,
    pub(crate) origin: KernelId,
    pub(crate) sequence: u64,
    pub(crate) action: Action,
    /// The kernel's clock when it was asked.
    pub(crate) now: u64,
    /// The group in which it was asked.
    pub(crate) group: u64,
    pub(crate) said: Option<Said>,
}

impl Kernel {
    /// The kernel asks a component.
    pub(crate) fn run_asked(&mut self, asked: &Asked, eyes: &mut Eyes<'_>) {
        eyes.exact(Check::QuarantineSilent, !self.quarantined, || "a run begins in quarantine".into());
        let name = self.objects.name(&asked.object);
        let base = self.objects.heads.get(&name).map(|head| head.id);
        eyes.exact(Check::RunBase, base == Some(asked.base), || {
            format!("{} runs {} on a revision that is not the newest", name, asked.action.name)
        });
        let free = self.home.running.get(&name).is_none_or(|run| *run == asked.run);
        eyes.exact(Check::OneRun, free, || format!("{name} runs two actions at once"));
        if asked.origin == self.me {
            self.own_asked(asked, eyes);
        } else {
            self.peers_asked(asked, eyes);
        }
        let still = !self.moves.sealed.contains_key(&name);
        eyes.exact(Check::SealedStill, still, || format!("{name} runs {}, and is sealed", asked.action.name));
        self.home.running.insert(name, asked.run);
        let run = Run {
            object: name,
            base: asked.base,
            origin: asked.origin,
            sequence: asked.sequence,
            action: asked.action.clone(),
            now: self.clock.now(),
            group: self.group,
            said: None,
        };
        self.home.runs.insert(asked.run, run);
    }

    fn peers_asked(&self, asked: &Asked, eyes: &mut Eyes<'_>) {
        let found = self.copies_of(asked.origin, asked.incarnation, asked.sequence, &asked.action);
        eyes.exact(Check::ActKnown, !found.is_empty(), || {
            format!("{} of {} runs, and did not come", asked.action.name, asked.origin.short())
        });
        let Some((lane, copy)) = found.iter().find(|(_, copy)| copy.act.void.is_none()).or(found.first())
        else {
            return;
        };
        let mark = self.home.mark(lane);
        let sequence = asked.sequence;
        eyes.exact(Check::Once, sequence > mark, || format!("sequence {sequence} runs again"));
        eyes.exact(Check::LaneOrder, sequence <= next_place(mark, copy.act.floor), || {
            format!("sequence {sequence} runs, and the mark is {mark}")
        });
        let over = copy.act.void.is_some() || over(copy, self.clock.now()) == Tri::Yes;
        eyes.exact(Check::DeadlineRun, !over, || format!("sequence {sequence} runs after its time"));
        let look = self.look(asked.origin, &lane.name.key, &asked.action, copy.act.guest == Some(true));
        eyes.check(
            Check::ActAllowed,
            How::exact_if(!look.passes || look.codes.is_empty()),
            look.passes,
            || format!("{} may not do {}, and it runs", asked.origin.short(), asked.action.name),
        );
        let refused = self.stays_refused(lane, sequence, copy);
        eyes.exact(Check::RefusedStays, !refused, || format!("sequence {sequence} was refused, and runs"));
        eyes.exact(Check::OutcomePredicted, asked.action.check().is_ok(), || {
            format!("sequence {sequence} breaks a limit, and runs")
        });
        let given = self.given_state(lane.origin, copy);
        eyes.check(Check::GivenShown, How::exact_if(given.sure()), given.can(), || {
            format!("sequence {sequence} runs without what it is given")
        });
    }

    /// Whether all that an act is given is shown and here.
    pub(crate) fn given_state(&self, origin: KernelId, copy: &Copy) -> Tri {
        let all = copy.act.action.given.iter().enumerate();
        all.map(|(place, given)| self.shown(origin, copy, place, given).and(self.has_given(given)))
            .fold(Tri::Yes, Tri::and)
    }

    /// The acts that came with just this action in this place.
    pub(crate) fn copies_of(
        &self,
        origin: KernelId,
        incarnation: Incarnation,
        sequence: u64,
        action: &Action,
    ) -> Vec<(LaneId, &Copy)> {
        let places = self.home.copies.iter().filter(|((lane, s), _)| {
            lane.origin == origin && lane.incarnation == incarnation && *s == sequence
        });
        places
            .flat_map(|((lane, _), copies)| copies.iter().map(|copy| (*lane, copy)))
            .filter(|(_, copy)| copy.act.action == *action)
            .collect()
    }

    /// What came of asking.
    pub(crate) fn ran(&mut self, run: u64, said: &Said) {
        let Some(it) = self.home.runs.get_mut(&run) else { return };
        it.said = Some(said.clone());
        let waits = it.action.answers.is_some() && matches!(said, Said::NoComponent);
        if waits || matches!(said, Said::NotNow) {
            self.home.put_off.insert(it.object);
        } else {
            self.home.put_off.remove(&it.object);
        }
        if self.home.running.get(&it.object) == Some(&run) {
            let object = it.object;
            self.home.running.remove(&object);
        }
    }

    /// What may be recorded of a peer's act that no component was asked for (rows 11 to 15).
    pub(crate) fn without_run(&self, origin: KernelId, copy: &Copy, eyes: &Eyes<'_>) -> Vec<Code> {
        if let Some(code) = copy.act.void {
            let kept = matches!(code, Code::Cancelled | Code::Lacking);
            return vec![if kept { code } else { Code::Expired }];
        }
        let given = &copy.act.action.given;
        let shown =
            given.iter().enumerate().map(|(p, g)| self.shown(origin, copy, p, g)).fold(Tri::Yes, Tri::and);
        let waited = copy.lost || has_waited(copy, &self.clock, eyes.limits.given_wait_ms);
        // What has come in another way meanwhile, or may be read by now, is not what was asked for.
        let asked_for = match &copy.needed {
            Some(needed) => needed.iter().any(|place| !copy.shown.contains(place)),
            None => copy.unasked.is_some(),
        };
        let in_vain = (asked_for || shown.can_not() || copy.lost) && waited;
        let over = over(copy, self.clock.now());
        let mut codes = Vec::new();
        if over.can() {
            codes.push(Code::Expired);
        }
        if over == Tri::Yes {
            // While it waits for scenarios its time is not looked at: what ends the waiting ends it (Given).
            let asked = copy.needed.is_some() || copy.unasked.is_some();
            codes.extend((in_vain && asked).then_some(Code::Lacking));
            return codes;
        }
        if let Err(code) = copy.act.action.check() {
            codes.push(code);
            return codes;
        }
        let here = given.iter().map(|given| self.has_given(given)).fold(Tri::Yes, Tri::and);
        if in_vain || shown.can() && here.can_not() || copy.needed.is_some() && self.fetches(origin, given) {
            codes.push(Code::Lacking);
        }
        let size = |g: &once_model::action::Given| self.objects.find(&g.key).map_or(0, |h| h.header.size);
        if given.iter().map(size).sum::<u64>() > eyes.limits.scenario_bytes {
            codes.push(Code::TooLarge);
        }
        codes
    }
}

impl Kernel {
    /// Whether bytes of these are fetched, which a peer had announced before it sent the act: when they come, they may not be
    /// taken, and what waits for them is lacking.
    fn fetches(&self, origin: KernelId, given: &[Given]) -> bool {
        self.shares.came.iter().any(|((conn, ..), came)| {
            let is_of = |came: &Came| came.pulled && given.iter().any(|g| g.content == came.header.content);
            self.conns.get(conn).is_some_and(|conn| conn.peer == origin) && came.iter().any(is_of)
        })
    }
}

/// Whether an act has waited for what it is given for as long as it may: since it was asked for, or, where nobody could be
/// asked, since its connection was gone. A clock that was set ends the waiting, too.
fn has_waited(copy: &Copy, clock: &Clock, wait_ms: u64) -> bool {
    let unasked = copy.unasked.map(|(now, at)| (now.saturating_add(wait_ms), at));
    let mut waits = copy.lacking_from.into_iter().chain(unasked);
    waits.any(|(end, began)| end <= clock.now() || clock.set_at > began)
}

/// Whether the time of an act is over: of the copies that came the page does not say which one counts.
pub(crate) fn over(copy: &Copy, now: u64) -> Tri {
    let mut any = Tri::No;
    let mut all = Tri::Yes;
    for end in &copy.ends {
        let one = match end {
            None => Tri::No,
            Some(end) if now > *end => Tri::Yes,
            Some(end) if now == *end => Tri::Open,
            Some(_) => Tri::No,
        };
        any = any.or(one);
        all = all.and(one);
    }
    if all == any { all } else { Tri::Open }
}

/// What must be recorded of what a component said; nothing, if it must be put off instead.
pub(crate) fn predicted(run: &Run, limits: &Limits) -> Vec<Outcome> {
    let answer = run.action.answers.is_some();
    let refused = |codes: Vec<Code>| {
        if answer { Vec::new() } else { codes.into_iter().map(Outcome::Refused).collect() }
    };
    match &run.said {
        None | Some(Said::NotNow) => Vec::new(),
        Some(Said::NoComponent) => refused(vec![Code::NoComponent]),
        Some(Said::Failed(why)) if why.len() > limits.arguments_bytes => refused(vec![Code::TooLarge]),
        Some(Said::Failed(why)) => vec![Outcome::Failed(why.clone().into())],
        Some(Said::Done { state, result, effects }) => {
            let mut codes = Vec::new();
            let large = state.as_ref().is_some_and(|state| state.size > limits.scenario_bytes);
            if large || result.len() > limits.arguments_bytes || effects.len() > limits.effects {
                codes.push(Code::TooLarge);
            }
            codes.extend(effects.iter().flat_map(|effect| effect_codes(effect, limits)));
            if codes.is_empty() {
                let other = state.as_ref().is_some_and(|s| !s.derived && s.uuid != run.object.uuid);
                codes.extend(other.then_some(Code::Invalid));
            }
            codes.sort_unstable();
            codes.dedup();
            if codes.is_empty() { vec![Outcome::Done(result.clone().into())] } else { refused(codes) }
        }
    }
}

fn effect_codes(effect: &Effect, limits: &Limits) -> Vec<Code> {
    let mut codes = Vec::new();
    let mut name = |name: &str| codes.extend(check_name(name).err());
    let mut texts: Vec<(&[u8], usize)> = Vec::new();
    let mut given_count = 0;
    fn then<'a>(then: &'a Then, limits: &Limits) -> (&'a [u8], usize) {
        (then.with.as_slice(), limits.reminder_bytes)
    }
    match effect {
        Effect::Act { name: n, arguments, given, then: t, .. } => {
            name(n);
            texts.push((arguments.as_slice(), limits.arguments_bytes));
            if let Some(t) = t {
                name(&t.action);
                texts.push(then(t, limits));
            }
            given_count = given.len();
        }
        Effect::Create(state) if state.size > limits.scenario_bytes => codes.push(Code::TooLarge),
        Effect::Create(_) | Effect::Remove | Effect::Move { .. } => {}
        Effect::Timer { name: n, then: t, .. } => {
            name(n);
            name(&t.action);
            texts.push(then(t, limits));
        }
        Effect::EndTimer { name: n } => name(n),
        Effect::Activity { name: n, arguments, then: t } => {
            name(n);
            name(&t.action);
            texts.push((arguments.as_slice(), limits.arguments_bytes));
            texts.push(then(t, limits));
        }
        Effect::Publish { name: n, data } => {
            name(n);
            texts.push((data.as_slice(), limits.arguments_bytes));
        }
    }
    for (text, most) in texts {
        if text.len() > most {
            codes.push(Code::TooLarge);
        } else if once_model::json::validate(text).is_err() {
            codes.push(Code::Invalid);
        }
    }
    if given_count > limits.given {
        codes.push(Code::TooLarge);
    }
    codes
}
