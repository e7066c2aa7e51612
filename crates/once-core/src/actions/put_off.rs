//! Actions that cannot be asked just now ([`crate::waist::RunResult::Later`]): nobody who serves their component is there,
//! or has room. Their lanes stand still, in the order in which they were put off, until [`crate::waist::Input::Ready`]
//! comes or they are sent again. Only in memory: nothing of it is promised.

use std::collections::{BTreeMap, VecDeque};

use once_model::ids::KernelId;
use once_model::limits::{PUT_OFF_MAX, SLOW_LANES_MAX};

use super::given::Lane;
use super::home::{self, Come};
use super::{send, slow};
use crate::step::Step;
use crate::store::StoreError;

/// Most lanes that go on in one step: keeps a step short.
const STEP_LANES: usize = 32;

/// After so many lanes in a row that are put off again, the others are not tried: there is no room any more. More than
/// one, because some may wait for more than room.
const IN_VAIN_MAX: usize = 8;

/// The lanes that stand still.
#[derive(Debug, Default)]
pub(crate) struct PutOff {
    lanes: BTreeMap<Lane, Place>,
    /// By component, oldest first.
    line: BTreeMap<(String, u64), Lane>,
    turn: u64,
    /// How many actions of each peer are held here.
    held: BTreeMap<KernelId, usize>,
    /// Components that can be asked: their lanes go on, a few in each step.
    ready: BTreeMap<String, Pass>,
}

/// How far along the line it is.
#[derive(Debug, Default)]
struct Pass {
    /// The turn that was tried last.
    turn: u64,
    /// Lanes in a row that were put off again.
    in_vain: Vec<Lane>,
    /// Some went on.
    some: bool,
}

#[derive(Debug)]
struct Place {
    component: String,
    turn: u64,
    /// The action, and what came behind it. Of this kernel's own lanes nothing is held: they are sent again from the
    /// queue.
    comes: VecDeque<Come>,
}

impl PutOff {
    fn add(&mut self, lane: Lane, component: String, comes: VecDeque<Come>) {
        self.take(&lane);
        self.turn += 1;
        let turn = self.turn;
        if !comes.is_empty() {
            *self.held.entry(lane.0.kernel).or_default() += comes.len();
        }
        self.line.insert((component.clone(), turn), lane);
        self.lanes.insert(lane, Place { component, turn, comes });
    }

    fn take(&mut self, lane: &Lane) -> VecDeque<Come> {
        let Some(Place { component, turn, comes }) = self.lanes.remove(lane) else { return VecDeque::new() };
        self.line.remove(&(component, turn));
        self.forget(&lane.0.kernel, comes.len());
        comes
    }

    fn forget(&mut self, peer: &KernelId, comes: usize) {
        if let Some(held) = self.held.get_mut(peer) {
            *held = held.saturating_sub(comes);
            if *held == 0 {
                self.held.remove(peer);
            }
        }
    }

    fn has_room(&self, peer: &KernelId) -> bool {
        self.held.get(peer).is_none_or(|held| *held < PUT_OFF_MAX)
    }

    /// The lane of a component whose turn comes after that one.
    fn after(&self, component: &str, turn: u64) -> Option<(u64, Lane)> {
        let ((of, turn), lane) = self.line.range((component.to_owned(), turn + 1)..).next()?;
        (of == component).then_some((*turn, *lane))
    }

    /// A lane that was put off again keeps its turn, or gets the last one.
    fn set_turn(&mut self, lane: &Lane, turn: Option<u64>) {
        self.turn += 1;
        let turn = turn.unwrap_or(self.turn);
        if let Some(place) = self.lanes.get_mut(lane) {
            self.line.remove(&(place.component.clone(), place.turn));
            place.turn = turn;
            self.line.insert((place.component.clone(), turn), *lane);
        }
    }
}

/// Puts an action off. One for which there is no room is forgotten, and comes again.
pub(super) fn hold(s: &mut Step<'_, '_>, come: &Come, component: String) {
    let lane: Lane = (come.origin, come.act.lane.key);
    if come.origin.kernel == s.ctx.me {
        slow::slow_down(s, come.act.lane.key);
        if s.engine.put_off.lanes.len() < SLOW_LANES_MAX {
            s.engine.put_off.add(lane, component, VecDeque::new());
        }
    } else if s.engine.put_off.has_room(&come.origin.kernel) {
        s.engine.put_off.add(lane, component, VecDeque::from([come.clone()]));
    }
}

/// An action came: if its lane stands still and another one is its next, it waits behind that. Else it is returned, to be
/// tried, with those whose turn it is afterwards.
pub(super) fn turn(s: &mut Step<'_, '_>, come: Come) -> Option<(Come, VecDeque<Come>)> {
    let lane = (come.origin, come.act.lane.key);
    let put_off = &mut s.engine.put_off;
    let has_room = put_off.has_room(&lane.0.kernel);
    if let Some(place) = put_off.lanes.get_mut(&lane)
        && place.comes.front().is_some_and(|first| !first.is_same(&come))
    {
        let before = place.comes.len();
        if has_room || place.comes.iter().any(|other| other.is_same(&come)) {
            home::line_up(&mut place.comes, come);
        }
        if place.comes.len() > before {
            *put_off.held.entry(lane.0.kernel).or_default() += 1;
        }
        return None;
    }
    let mut behind = put_off.take(&lane);
    behind.pop_front();
    Some((come, behind))
}

/// Whoever serves a component can be asked: its lanes go on, as far as there is room.
pub(crate) fn ready(s: &mut Step<'_, '_>, component: String) -> Result<(), StoreError> {
    s.engine.put_off.ready.insert(component, Pass::default());
    go_on(s)
}

/// Lanes that can be asked go on, a few in each step.
pub(super) fn go_on(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let mut tried = 0;
    while let Some((component, mut pass)) = s.engine.put_off.ready.pop_first() {
        let put_off = &mut s.engine.put_off;
        let next = put_off.after(&component, pass.turn).filter(|_| pass.in_vain.len() < IN_VAIN_MAX);
        let Some((turn, lane)) = next else {
            // Not for want of room: the others are first the next time.
            if !pass.some {
                pass.in_vain.iter().for_each(|lane| put_off.set_turn(lane, None));
            }
            continue;
        };
        if tried == STEP_LANES {
            put_off.ready.insert(component, pass);
            let me = s.ctx.me;
            send::pump_later(s, me);
            return Ok(());
        }
        tried += 1;
        pass.turn = turn;
        let comes = put_off.take(&lane);
        if lane.0.kernel == s.ctx.me {
            slow::send_first(s, lane.1)?;
        } else {
            comes.into_iter().try_for_each(|come| home::arrived(s, come))?;
        }
        let put_off = &mut s.engine.put_off;
        if put_off.lanes.contains_key(&lane) {
            put_off.set_turn(&lane, Some(turn));
            pass.in_vain.push(lane);
        } else {
            pass.in_vain.clear();
            pass.some = true;
        }
        put_off.ready.insert(component, pass);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::{Arc, Mutex};

    use once_model::action::Action;
    use once_model::ids::{BootId, Incarnation, ObjectKey, Uuid};
    use once_model::limits::{RESEND_AFTER_MS, WINDOW_MAX_SHARES};
    use once_model::scenario::Scenario;
    use once_model::sign::KernelKey;
    use once_model::wire::Code;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::step::Engine;
    use crate::store::Store;
    use crate::waist::{
        Answer, Command, Ctx, Effect, Entropy, Input, Ran, Run, RunResult, Runner, Timer, Token,
    };
    use crate::{group, meta, txn::Txn};

    const NOW_MS: u64 = 1_700_000_000_000;

    /// Has objects of a component asked elsewhere, as long as there is room; all others do what they are asked at once.
    #[derive(Debug, Default)]
    struct Desk {
        room: AtomicI64,
        asked: Mutex<Vec<Run>>,
    }

    fn done() -> RunResult {
        RunResult::Done { state: None, result: "1".into(), consequences: Vec::new() }
    }

    impl Runner for Desk {
        fn run(&self, run: &Run) -> Option<RunResult> {
            if run.header.component != "Served" {
                return Some(done());
            }
            let has_room = self
                .room
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| (room > 0).then_some(room - 1));
            has_room.is_err().then_some(RunResult::Later)
        }
    }

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    struct Alone {
        engine: Engine,
        store: MemoryStore,
        ctx: Ctx,
        desk: Arc<Desk>,
        tokens: Token,
        answered: BTreeMap<Token, Answer>,
        timers: Vec<Timer>,
    }

    impl Alone {
        fn new() -> Self {
            let (key, desk) = (KernelKey::from_bytes(&[7; 32]), Arc::new(Desk::default()));
            let mut store = MemoryStore::new();
            let mut txn = Txn::new(&store);
            let incarnation = Incarnation::from_bytes([1; 16]);
            let identity =
                meta::Identity { kernel: key.id(), incarnation, name: String::new(), recovery: Vec::new() };
            meta::set_identity(&mut txn, &identity);
            let (batch, durability) = txn.into_batch();
            store.commit(batch, durability).unwrap();
            let (me, boot) = (key.id(), BootId::from_bytes([2; 16]));
            let ctx = Ctx { key, me, boot, now_ms: NOW_MS, runner: Arc::clone(&desk) as Arc<dyn Runner> };
            Self {
                engine: Engine::new(),
                store,
                ctx,
                desk,
                tokens: 0,
                answered: BTreeMap::new(),
                timers: Vec::new(),
            }
        }

        /// One input, and everything that is to happen at once after it.
        fn input(&mut self, input: Input) {
            let mut inputs = VecDeque::from([input]);
            while let Some(input) = inputs.pop_front() {
                let mut effects = Vec::new();
                group::run(
                    &mut self.engine,
                    &mut self.store,
                    &self.ctx,
                    &mut Zeros,
                    [input],
                    &mut |effect| {
                        effects.push(effect);
                    },
                )
                .unwrap();
                for effect in effects {
                    match effect {
                        Effect::Timer { after_ms: 0, timer } => inputs.push_back(Input::Timer(timer)),
                        Effect::Timer { timer, .. } => self.timers.push(timer),
                        Effect::Run(run) => self.desk.asked.lock().unwrap().push(*run),
                        Effect::Reply { token, reply } => drop(self.answered.insert(token, reply.unwrap())),
                        _ => {}
                    }
                }
            }
        }

        fn command(&mut self, command: Command) -> Token {
            self.tokens += 1;
            let token = self.tokens;
            self.input(Input::Command { token, command });
            token
        }

        fn object(&mut self, n: u128, component: &str) -> ObjectKey {
            let scenario = Scenario::compose(Uuid::from_u128(n), component, "1", "me", "{}").unwrap();
            let token = self.command(Command::Create { scenario });
            match &self.answered[&token] {
                Answer::Object { header, .. } => header.key(),
                other => panic!("{other:?}"),
            }
        }

        fn act(&mut self, key: ObjectKey, n: u64) -> Token {
            let mut id = [0; 16];
            id[..6].copy_from_slice(&NOW_MS.to_be_bytes()[2..]);
            id[6..8].copy_from_slice(&[0x70, 0]);
            id[8..].copy_from_slice(&n.to_be_bytes());
            let id = Uuid::from_bytes(id);
            let action = Action {
                id,
                name: "go".into(),
                arguments: n.to_string().into(),
                given: Vec::new(),
                acting: None,
                answers: None,
            };
            self.command(Command::Act { key, at: None, action, deadline_ms: None, wait: true })
        }

        /// The runs that were asked for, by their arguments.
        fn asked(&self) -> Vec<u64> {
            let number =
                |run: &Run| std::str::from_utf8(&run.action.arguments).unwrap().parse::<u64>().unwrap();
            self.desk.asked.lock().unwrap().iter().map(number).collect()
        }

        /// Answers the run that was asked for first.
        fn answer(&mut self, result: RunResult) {
            let run = self.desk.asked.lock().unwrap().remove(0);
            self.input(Input::Ran(Box::new(Ran { run: run.run, key: run.key, result })));
        }

        fn ready(&mut self, room: i64) {
            self.desk.room.fetch_add(room, Ordering::Relaxed);
            self.input(Input::Ready { component: "Served".into() });
        }

        fn resend(&mut self) {
            self.ctx.now_ms += RESEND_AFTER_MS;
            let timers = std::mem::take(&mut self.timers);
            let resend = |timer: &&Timer| matches!(timer, Timer::ActResend(..));
            assert_eq!(timers.iter().filter(resend).count(), 1, "one timer is enough");
            timers.into_iter().for_each(|timer| self.input(Input::Timer(timer)));
        }
    }

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
        assert!(kernel.engine.put_off.lanes.is_empty() && kernel.engine.put_off.line.is_empty());
        assert!(kernel.engine.slow.is_empty(), "lanes that are done are like any other");
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
        kernel.answer(RunResult::Later);
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
        let ids: Vec<_> = kernel.engine.acts.keys().copied().collect();
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
            engine.runs
        };
        assert_ne!(first(), first());
    }
}
