//! An object that moves, step by step.

use once_model::certificate::{Answer, Certificate, CertificateKind, Tip};
use once_model::moving::{Ahead, Handed, Handoff, Luggage, LuggageLane, LuggageResult, Welcome};
use once_model::sign::Purpose;

use super::*;

/// The connection between the two homes.
pub const BETWEEN: u64 = 2;

impl World {
    /// B has an object on which A has acted once, and may move it to C.
    pub fn about_to_move() -> (Self, ObjectKey, Case) {
        let mut world = Self::pair();
        world.befriend(B, C);
        world.link(B, C, BETWEEN);
        let key = world.create(B, 7);
        world.grant(B, A, Right::Act, Scope::All);
        world.grant(C, B, Right::Host, Scope::All);
        let case = world.whole(key, 1, 1);
        (world, key, case)
    }

    /// People want it, and C would take it.
    pub fn is_welcome(&mut self, key: ObjectKey) {
        let to = self.k[C].id;
        self.done(B, Ask::Move { key, to, leaves_calls: false });
        let header = self.k[B].things[&key].header.clone();
        let certificate = self.k[B].things[&key].chain.certificate();
        let (component, version) = (header.component.clone(), header.version.clone());
        let ahead = Ahead { key, certificate, component, version, size: header.size, record: None };
        self.pass(B, C, BETWEEN, Frame::Ahead(ahead));
        self.pass(C, B, BETWEEN, Frame::Welcome(Welcome { key, certificate, code: None }));
    }

    /// What goes along: A's lane with its one outcome.
    pub fn luggage(&self, key: ObjectKey, case: &Case) -> Luggage {
        let after = After { key, revision: self.k[B].things[&key].header.id() };
        let result = LuggageResult {
            sequence: case.sequence,
            id: case.action.id,
            hash: case.action.hash(&key.uuid),
            outcome: done(),
            after: Some(after),
            at_ms: T0,
        };
        let lane = LuggageLane {
            name: case.lane,
            origin: self.k[A].id,
            incarnation: self.k[A].incarnation,
            mark: 1,
            floor: 0,
            results: vec![result],
        };
        Luggage { lanes: vec![lane], ..Luggage::default() }
    }

    /// The handoff of what B has.
    pub fn handoff(&self, key: ObjectKey, luggage: &Luggage) -> Handoff {
        let thing = &self.k[B].things[&key];
        let (luggage, hash) = luggage.pack();
        let mut certificate = Certificate {
            lineage: key.lineage().unwrap(),
            epoch: thing.chain.epoch() + 1,
            kind: CertificateKind::Handoff,
            home: self.k[C].id,
            incarnation: self.k[C].incarnation,
            base: thing.chain.certificate(),
            base_revision: thing.header.revision,
            base_id: thing.header.id(),
            signer: self.k[B].id,
            signature: None,
            tip: Some(Tip { number: thing.number, hash: thing.tip }),
            luggage: Some(hash),
            refusal: None,
            naming: None,
            acceptance: None,
        };
        certificate.signature = Some(self.k[B].key.sign(Purpose::Certificate, &certificate.id()));
        let mut chain = thing.chain.clone();
        chain.links.push(certificate);
        let body = Some(state(key.uuid, 1).1.into_bytes().into());
        Handoff { header: thing.header.clone(), chain, body, luggage: Some(luggage), luggage_size: None }
    }

    /// It is sealed, and handed over.
    pub fn seals(&mut self, handoff: &Handoff) {
        self.see(B, Seen::Sealed(Box::new(Handoff { body: None, ..handoff.clone() })));
        self.pass(B, C, BETWEEN, Frame::Handoff(Box::new(handoff.clone())));
    }

    /// C's answer.
    pub fn answer(&self, handoff: &Handoff, accepted: bool) -> Handed {
        let id = handoff.chain.certificate();
        let answer = Answer::sign(id, accepted, self.k[C].incarnation, &self.k[C].key);
        let code = (!accepted).then_some(Code::Invalid);
        Handed { key: handoff.header.key(), answer, code }
    }

    /// The record of its first revision at C.
    pub fn moves_in(&self, handoff: &Handoff) -> Recorded {
        let mut chain = handoff.chain.clone();
        chain.links.last_mut().unwrap().acceptance = Some(self.answer(handoff, true).answer);
        self.goes_on(C, "once:move", handoff, chain)
    }

    /// The record of its first revision at B after C has said no.
    pub fn reopens(&self, handoff: &Handoff) -> Recorded {
        let mut chain = handoff.chain.clone();
        let last = chain.links.last().unwrap();
        let mut reopen = Certificate {
            epoch: last.epoch + 1,
            kind: CertificateKind::Reopen,
            home: self.k[B].id,
            incarnation: self.k[B].incarnation,
            base: last.id(),
            signature: None,
            luggage: None,
            refusal: Some(self.answer(handoff, false).answer),
            ..last.clone()
        };
        reopen.signature = Some(self.k[B].key.sign(Purpose::Certificate, &reopen.id()));
        chain.links.push(reopen);
        self.goes_on(B, "once:reopen", handoff, chain)
    }

    fn goes_on(&self, k: usize, name: &str, handoff: &Handoff, chain: Chain) -> Recorded {
        let (me, before) = (&self.k[k], &handoff.header);
        let tip = handoff.chain.links.last().unwrap().tip.unwrap();
        let key = before.key();
        let id = client_id(T0 + self.at, &[99; 10]);
        let arguments = format!("{{\"base\":\"{}\",\"content\":\"{}\"}}", before.id(), before.content);
        let entry = Entry {
            object: key,
            number: tip.number + 1,
            previous: tip.hash,
            origin: me.id,
            incarnation: me.incarnation,
            sequence: BUILT_IN_FROM + tip.number + 1,
            id,
            action: built_in(id, name, arguments).hash(&key.uuid),
            outcome: Outcome::Done("null".into()).hash(),
            before: before.id(),
            revision: before.revision + 1,
            content: before.content,
            certificate: Some(chain.certificate()),
        };
        let cause = Cause {
            origin: entry.origin,
            incarnation: entry.incarnation,
            sequence: entry.sequence,
            id,
            acting: None,
        };
        let header = Header {
            epoch: chain.epoch(),
            revision: before.revision + 1,
            certificate: Some(chain.certificate()),
            parent: Some(before.id()),
            cause: Some(cause),
            signature: None,
            entry: Some(entry.hash()),
            ..before.clone()
        };
        let revision = Some(Revised { header, chain });
        Recorded { lane: key.into(), entry, outcome: Outcome::Done("null".into()), revision }
    }

    /// C takes it on and says so.
    pub fn accepts(&mut self, handoff: &Handoff) {
        let recorded = self.moves_in(handoff);
        self.record(C, recorded);
        let handed = self.answer(handoff, true);
        self.pass(C, B, BETWEEN, Frame::Handed(handed));
    }
}
