//! What a kernel that does everything right records.

use super::*;

impl World {
    /// A new object at a kernel, by a client.
    pub fn create(&mut self, k: usize, uuid: u128) -> ObjectKey {
        let (state, _) = state(Uuid::from_u128(uuid), 0);
        let token = self.number();
        self.see(k, Seen::Client { token, ask: Ask::Create(state.clone()) });
        let id = client_id(T0 + self.at, &[self.next as u8; 10]);
        let recorded = self.creates(k, &state, id);
        let key = recorded.entry.object;
        self.record(k, recorded);
        self.see(k, Seen::Durable);
        self.see(k, Seen::Answered { token, answer: Ok(Reply::Changed { key, revision: None }) });
        key
    }

    /// The record of a new object.
    pub fn creates(&self, k: usize, state: &State, id: Uuid) -> Recorded {
        let me = &self.k[k];
        let genesis = Genesis {
            uuid: state.uuid,
            home: me.id,
            recovery: vec![],
            content: state.content,
            nonce: [7; 16],
            incarnation: me.incarnation,
        };
        let chain = Chain::new(genesis);
        let key = ObjectKey { uuid: state.uuid, line: Line::Claimed(chain.genesis.lineage()) };
        let action = built_in(id, "once:create", format!("{{\"content\":\"{}\"}}", state.content));
        let mut recorded = self.builds(k, key, &action, state, None);
        self.fill(&mut recorded, &chain, None, state);
        recorded
    }

    /// The record of a change without a component.
    pub fn changes(&self, k: usize, key: ObjectKey, name: &str, id: Uuid, state: &State) -> Recorded {
        let thing = &self.k[k].things[&key];
        let base = thing.header.id();
        let arguments = if name == "once:remove" {
            format!("{{\"base\":\"{base}\"}}")
        } else {
            format!("{{\"base\":\"{base}\",\"content\":\"{}\"}}", state.content)
        };
        let action = built_in(id, name, arguments);
        let mut recorded = self.builds(k, key, &action, state, Some(thing));
        self.fill(&mut recorded, &thing.chain, Some(thing), state);
        if name == "once:remove" {
            let revised = recorded.revision.as_mut().unwrap();
            revised.header.tombstone = true;
            revised.header.size = 0;
            revised.header.content = content_hash(b"");
            recorded.entry.content = content_hash(b"");
            revised.header.entry = Some(recorded.entry.hash());
        }
        recorded
    }

    fn builds(
        &self,
        k: usize,
        key: ObjectKey,
        action: &Action,
        state: &State,
        thing: Option<&Thing>,
    ) -> Recorded {
        let me = &self.k[k];
        let number = thing.map_or(0, |thing| thing.number) + 1;
        let entry = Entry {
            object: key,
            number,
            previous: thing.map_or(ZERO, |thing| thing.tip),
            origin: me.id,
            incarnation: me.incarnation,
            sequence: BUILT_IN_FROM + number,
            id: action.id,
            action: action.hash(&key.uuid),
            outcome: Outcome::Done("null".into()).hash(),
            before: thing.map_or(ZERO, |thing| thing.header.id()),
            revision: thing.map_or(0, |thing| thing.header.revision) + 1,
            content: state.content,
            certificate: key.lineage().map(|lineage| Hash::from_bytes(*lineage.as_bytes())),
        };
        Recorded { lane: key.into(), entry, outcome: Outcome::Done("null".into()), revision: None }
    }

    /// Gives a record its revision.
    pub fn fill(&self, recorded: &mut Recorded, chain: &Chain, before: Option<&Thing>, state: &State) {
        let entry = &recorded.entry;
        let header = Header {
            uuid: entry.object.uuid,
            lineage: entry.object.lineage(),
            epoch: 1,
            revision: before.map_or(0, |thing| thing.header.revision) + 1,
            certificate: Some(chain.certificate()),
            parent: before.map(|thing| thing.header.id()),
            content: state.content,
            size: state.size,
            tombstone: false,
            component: state.component.clone(),
            version: "1.0".into(),
            cause: Some(Cause {
                origin: entry.origin,
                incarnation: entry.incarnation,
                sequence: entry.sequence,
                id: entry.id,
                acting: None,
            }),
            signature: None,
            entry: Some(entry.hash()),
        };
        recorded.revision = Some(Revised { header, chain: chain.clone() });
    }

    /// A record is written, and the kernel's object is so.
    pub fn record(&mut self, k: usize, recorded: Recorded) {
        let key = recorded.entry.object;
        let old = self.k[k].things.get(&key).cloned();
        let (header, chain) = match (&recorded.revision, old) {
            (Some(revised), _) => (revised.header.clone(), revised.chain.clone()),
            (None, Some(old)) => (old.header, old.chain),
            (None, None) => panic!("no object"),
        };
        let entry = recorded.entry.clone();
        let thing = Thing { header, chain, number: entry.number, tip: entry.hash(), entry: Some(entry) };
        self.k[k].things.insert(key, thing);
        self.see(k, Seen::Recorded(Box::new(recorded)));
    }
}
