//! Actions on their way, step by step.

use super::*;

impl World {
    pub fn ask(&mut self, _from: usize, to: usize, object: ObjectKey, name: &str) -> AskAct {
        let n = self.number();
        AskAct {
            id: client_id(T0 + self.at, &[n as u8; 10]),
            object,
            home: Some(self.k[to].id),
            name: name.into(),
            arguments: b"{}".to_vec(),
            given: vec![],
            deadline_ms: None,
            wait: true,
        }
    }

    /// A client's action is accepted.
    pub fn accept(&mut self, from: usize, to: usize, sequence: u64, ask: AskAct) -> Case {
        let token = self.number();
        let action = Action {
            id: ask.id,
            name: ask.name.clone(),
            arguments: ask.arguments.clone().into(),
            given: ask.given.clone(),
            acting: None,
            answers: None,
        };
        let (lane, remaining_ms) = (ask.object.into(), ask.deadline_ms);
        self.see(from, Seen::Client { token, ask: Ask::Act(Box::new(ask)) });
        self.see(from, Seen::Durable);
        self.see(from, Seen::Answered { token, answer: Ok(Reply::Accepted) });
        let run = self.number();
        Case { from, to, token, lane, sequence, floor: 0, action, remaining_ms, void: None, run }
    }

    pub fn frame(case: &Case) -> Act {
        Act {
            lane: case.lane,
            sequence: case.sequence,
            floor: case.floor,
            action: case.action.clone(),
            remaining_ms: case.remaining_ms,
            commit: None,
            void: case.void,
            certificate: None,
            guest: None,
        }
    }

    pub fn send(&mut self, case: &Case) {
        self.pass(case.from, case.to, 1, Frame::Act(Self::frame(case)));
    }

    /// An action is accepted and sent.
    pub fn act(&mut self, object: ObjectKey, sequence: u64, name: &str) -> Case {
        let ask = self.ask(A, B, object, name);
        let case = self.accept(A, B, sequence, ask);
        self.send(&case);
        case
    }

    pub fn asked(&mut self, case: &Case) {
        let object = case.lane.key;
        let asked = Asked {
            run: case.run,
            object,
            base: self.k[case.to].things[&object].header.id(),
            origin: self.k[case.from].id,
            incarnation: self.k[case.from].incarnation,
            sequence: case.sequence,
            action: case.action.clone(),
        };
        self.see(case.to, Seen::Asked(Box::new(asked)));
    }

    /// The component says that the object has this state now.
    pub fn said(&mut self, case: &Case, n: Option<u64>, effects: Vec<Effect>) {
        let state = n.map(|n| state(case.lane.key.uuid, n).0);
        self.see(
            case.to,
            Seen::Ran { run: case.run, said: Said::Done { state, result: b"1".to_vec(), effects } },
        );
    }

    /// The right record of an action.
    pub fn records(&self, case: &Case, outcome: Outcome, n: Option<u64>) -> Recorded {
        let key = case.lane.key;
        let thing = &self.k[case.to].things[&key];
        let new = n.map(|n| state(key.uuid, n).0);
        let entry = Entry {
            object: key,
            number: thing.number + 1,
            previous: thing.tip,
            origin: self.k[case.from].id,
            incarnation: self.k[case.from].incarnation,
            sequence: case.sequence,
            id: case.action.id,
            action: case.action.hash(&key.uuid),
            outcome: outcome.hash(),
            before: thing.header.id(),
            revision: thing.header.revision + u64::from(n.is_some()),
            content: new.as_ref().map_or(thing.header.content, |state| state.content),
            certificate: Some(thing.chain.certificate()),
        };
        let mut recorded = Recorded { lane: case.lane, entry, outcome, revision: None };
        if let Some(state) = &new {
            self.fill(&mut recorded, &thing.chain, Some(thing), state);
            let revised = recorded.revision.as_mut().unwrap();
            revised.header.cause.as_mut().unwrap().acting = case.action.acting;
        }
        recorded
    }

    /// It runs, and is recorded as done.
    pub fn run(&mut self, case: &Case, n: Option<u64>, effects: Vec<Effect>) {
        self.asked(case);
        self.said(case, n, effects);
        let recorded = self.records(case, done(), n);
        self.record(case.to, recorded);
    }

    pub fn outcome(&self, case: &Case, outcome: Outcome, recorded: bool) -> ActOutcome {
        let thing = self.k[case.to].things.get(&case.lane.key);
        let after = thing.filter(|_| recorded).map(|t| After { key: case.lane.key, revision: t.header.id() });
        ActOutcome {
            lane: case.lane,
            sequence: case.sequence,
            id: case.action.id,
            outcome,
            after,
            commit: None,
            certificate: thing.filter(|_| recorded).map(|thing| thing.chain.certificate()),
        }
    }

    /// The home tells, the origin takes it and tells its client.
    pub fn tell(&mut self, case: &Case, outcome: Outcome, recorded: bool) {
        let frame = Frame::Outcome(self.outcome(case, outcome.clone(), recorded));
        self.pass(case.to, case.from, 1, frame);
        self.see(case.from, Seen::Durable);
        self.told(case, outcome);
    }

    pub fn told(&mut self, case: &Case, outcome: Outcome) {
        let (from, token) = (case.from, case.token);
        self.see(from, Seen::Answered { token, answer: Ok(Reply::Outcome(outcome)) });
    }

    /// An action, all the way.
    pub fn whole(&mut self, object: ObjectKey, sequence: u64, n: u64) -> Case {
        let case = self.act(object, sequence, "add");
        self.run(&case, Some(n), vec![]);
        self.tell(&case, done(), true);
        case
    }

    pub fn grant(&mut self, k: usize, to: usize, right: Right, scope: Scope) -> Grant {
        let grant = Grant {
            to: Grantee::Kernel(self.k[to].id),
            home: None,
            right,
            scope,
            expires_ms: None,
            actions: None,
        };
        self.done(k, Ask::Grant(grant.clone()));
        grant
    }

    /// An action of A's at B, as a client would ask for it.
    pub fn ask_of(&self, object: ObjectKey) -> AskAct {
        AskAct {
            id: client_id(T0 + self.at, &[77; 10]),
            object,
            home: Some(self.k[B].id),
            name: "add".into(),
            arguments: b"{}".to_vec(),
            given: vec![],
            deadline_ms: None,
            wait: true,
        }
    }
}
