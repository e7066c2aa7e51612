//! Whoever serves a component can be asked again: lanes that were put off go on, those that waited longest first.

use super::turn;
use super::waiting::{For, Pass, Unasked};
use crate::engine::Step;
use crate::share;
use crate::store::StoreError;

/// Most lanes that go on in one step: keeps a step short.
const STEP_LANES: usize = 32;

/// After so many lanes in a row for which there is no room, the others are not tried. More than one, because a large one
/// may find none where a small one does.
const IN_VAIN_MAX: usize = 8;

/// Most lanes that are tried and still wait for something of their own, each time that a component can be asked. The
/// others are first the next time.
const SKIPPED_MAX: usize = 256;

/// Whoever serves a component can be asked: its lanes go on, as far as there is room.
pub(crate) fn ready(s: &mut Step<'_, '_>, component: String) -> Result<(), StoreError> {
    let pass = Pass { end: s.engine.act.waiting.newest_turn(), ..Pass::default() };
    s.engine.act.waiting.ready.insert(component, pass);
    go_on(s)
}

/// Lanes that can be asked go on, a few in each step.
pub(crate) fn go_on(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let mut tried = 0;
    while let Some((component, mut pass)) = s.engine.act.waiting.ready.pop_first() {
        let waiting = &mut s.engine.act.waiting;
        let goes_on = pass.in_vain.len() < IN_VAIN_MAX && pass.skipped < SKIPPED_MAX;
        let next = waiting.after(&component, pass.turn).filter(|(turn, _)| goes_on && *turn <= pass.end);
        let Some((turn, lane)) = next else {
            // Not for want of room: the others are first the next time.
            if !pass.some {
                pass.in_vain.iter().for_each(|lane| waiting.last_turn(lane));
            }
            continue;
        };
        if tried == STEP_LANES {
            waiting.ready.insert(component, pass);
            let me = s.ctx.me;
            share::pump_later(s, me);
            return Ok(());
        }
        tried += 1;
        pass.turn = turn;
        let comes = waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
        turn::go_again(s, lane, comes)?;
        let why = match s.engine.act.waiting.get(&lane).map(|standing| &standing.waits) {
            Some(For::Program(program)) => Some(program.why),
            _ => None,
        };
        match why {
            Some(Unasked::NoRoom) => {
                s.engine.act.waiting.keep_turn(&lane, turn);
                pass.in_vain.push(lane);
            }
            // Asked last the next time: it has the newest turn.
            Some(Unasked::Itself | Unasked::Refused(_)) => pass.skipped += 1,
            None => {
                pass.in_vain.clear();
                pass.some = true;
            }
        }
        s.engine.act.waiting.ready.insert(component, pass);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use once_model::limits::WINDOW_MAX_SHARES;
    use once_model::wire::Code;

    use crate::engine::Engine;
    use crate::group;
    use crate::testing::{Alone, done};
    use crate::waist::{Answer, Command, Effect, Entropy, Input, RunResult, Wait};

    #[test]
    fn what_is_put_off_holds_up_nothing_else_and_goes_on_when_there_is_room() {
        let mut kernel = Alone::new();
        let many = WINDOW_MAX_SHARES as u64 + 50;
        let one = kernel.object(1, "Served");
        let objects: Vec<_> = (0..many).map(|n| kernel.object(10_000 + u128::from(n), "Served")).collect();
        let open = kernel.object(2, "Open");
        let mut waits: Vec<_> = (0..many).map(|n| kernel.act(one, n)).collect();
        waits.extend((0..many).map(|n| kernel.act(objects[n as usize], 1000 + n)));
        // One object has more than the window holds, and there are more objects than it holds.
        let at_once = kernel.act(open, 9999);
        assert!(kernel.answered.contains_key(&at_once));
        assert!(kernel.asked().is_empty());
        // There is room for three: the three that waited longest.
        kernel.ready(3);
        assert_eq!(kernel.asked(), [0, 1000, 1001]);
        // Who is ready before the answer is committed takes turns.
        kernel.ready(1);
        kernel.answer(done());
        assert_eq!(kernel.asked(), [1000, 1001, 1002]);
        let turns = 2 * many;
        let mut order = Vec::new();
        for _ in 0..turns {
            let first = kernel.asked().first().copied();
            let Some(first) = first else { break };
            order.push(first);
            kernel.ready(1);
            kernel.answer(done());
        }
        // Each ran once, those of one object in their order.
        assert_eq!(order.len() as u64, 2 * many - 1);
        let of_one: Vec<_> = order.iter().filter(|n| **n < 1000).copied().collect();
        assert_eq!(of_one, (1..many).collect::<Vec<_>>());
        assert!(waits.iter().all(|token| kernel.answered.contains_key(token)));
        assert!(kernel.engine.act.waiting.is_empty());
        assert!(kernel.engine.act.slow.is_empty(), "lanes that are done are like any other");
    }

    #[test]
    fn a_run_that_is_given_up_comes_again_and_so_does_what_nobody_says_is_ready() {
        let mut kernel = Alone::new();
        let object = kernel.object(1, "Served");
        let waits = [kernel.act(object, 1), kernel.act(object, 2)];
        kernel.desk.room.store(1, Ordering::Relaxed);
        assert!(kernel.asked().is_empty(), "nobody said that there is room");
        kernel.resend();
        assert_eq!(kernel.asked(), [1]);
        // Whoever was asked is gone.
        kernel.answer(RunResult::Later(Wait::ForRoom));
        assert!(kernel.asked().is_empty());
        kernel.ready(1);
        // It takes its time: looking again asks nobody twice.
        kernel.resend();
        assert_eq!(kernel.asked(), [1]);
        kernel.desk.room.store(1, Ordering::Relaxed);
        kernel.answer(done());
        assert_eq!(kernel.asked(), [2]);
        kernel.answer(done());
        assert!(waits.iter().all(|token| kernel.answered.contains_key(token)));
    }

    #[test]
    fn what_is_taken_back_while_it_is_put_off_is_refused_at_once() {
        let mut kernel = Alone::new();
        let object = kernel.object(1, "Served");
        let (first, second) = (kernel.act(object, 1), kernel.act(object, 2));
        let ids: Vec<_> = kernel.engine.act.acts.keys().copied().collect();
        let cancelled = kernel.command(Command::Cancel { id: ids[0], wait: true });
        for token in [first, cancelled] {
            assert!(matches!(
                &kernel.answered[&token],
                Answer::Acted { outcome: once_model::action::Outcome::Refused(Code::Cancelled), .. }
            ));
        }
        kernel.ready(1);
        assert_eq!(kernel.asked(), [2]);
        kernel.answer(done());
        assert!(kernel.answered.contains_key(&second));
    }

    #[test]
    fn one_step_asks_for_so_many_runs_and_leaves_the_others_to_the_next() {
        let mut kernel = Alone::new();
        for n in 0..super::STEP_LANES as u64 + 8 {
            let object = kernel.object(1 + u128::from(n), "Served");
            kernel.act(object, n);
        }
        kernel.desk.room.store(1000, Ordering::Relaxed);
        let (mut runs, mut again) = (0, 0);
        let Alone { engine, store, ctx, dice, .. } = &mut kernel;
        let ready = Input::Ready { component: "Served".into() };
        let release = &mut |effect| match effect {
            Effect::Run(_) => runs += 1,
            Effect::Timer { after_ms: 0, .. } => again += 1,
            _ => {}
        };
        group::run(engine, store, ctx, dice, [ready], release).unwrap();
        assert_eq!((runs, again), (super::STEP_LANES, 1));
    }

    #[test]
    fn answers_to_an_engine_before_this_one_are_none_for_this_one() {
        let mut kernel = Alone::new();
        struct Counts(u8);
        impl Entropy for Counts {
            fn fill(&mut self, buffer: &mut [u8]) {
                self.0 += 1;
                buffer.fill(self.0);
            }
        }
        let mut rng = Counts(0);
        let mut first = || {
            let mut engine = Engine::new();
            group::start(&mut engine, &mut kernel.store, &kernel.ctx, &mut rng, &mut |_| {}).unwrap();
            engine.act.runs
        };
        assert_ne!(first(), first());
    }
}
