//! What hostile kernels say about actions: in the name of objects that are not theirs, out of order, as answers to what
//! nobody asked.

use once_model::action::{Act, ActOutcome, Action, Given, LaneName, Missing, Need, Outcome};
use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::wire::{Code, Frame};

use crate::puppet::Puppet;
use crate::rng::Rng;

/// What is known in the world, and a hostile kernel may have heard of.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    /// Journals, as they were called at first.
    pub journals: Vec<ObjectKey>,
    /// Journals that were given a right somewhere.
    pub trusted: Vec<ObjectKey>,
    /// Ids of actions.
    pub ids: Vec<Uuid>,
    /// Scenarios, by object and content.
    pub scenarios: Vec<Given>,
}

impl Puppet {
    /// Something about actions that is not true, or not allowed.
    pub fn says_of_actions(&mut self, gossip: &Gossip, rng: &mut Rng) -> Option<Frame> {
        let key = rng.pick(&gossip.journals).copied()?;
        let takeover = rng.one_in(16).then(|| Hash::from_bytes(rng.bytes()));
        let lane = LaneName { key, takeover };
        let id = match rng.pick(&gossip.ids) {
            Some(id) if rng.one_in(4) => *id,
            _ => Uuid::from_bytes(rng.bytes()),
        };
        let code = if rng.one_in(2) { Code::Cancelled } else { Code::NotHome };
        Some(match rng.up_to(10) {
            0 => Frame::Outcome(ActOutcome {
                lane,
                sequence: rng.up_to(4),
                id,
                outcome: if rng.one_in(2) { Outcome::Done("666".into()) } else { Outcome::Refused(code) },
                after: None,
                commit: Some(rng.next()),
                certificate: rng.one_in(2).then(|| Hash::from_bytes(rng.bytes())),
            }),
            1 => Frame::Missing(Missing { lane, from: if rng.one_in(2) { 1 } else { rng.next() } }),
            2 => Frame::Need(Need {
                lane,
                sequence: rng.up_to(4),
                lacks: gossip.scenarios.iter().copied().take(9).collect(),
            }),
            _ => {
                let sequence = self.sequence(key, rng);
                let action = self.action(id, gossip, rng);
                Frame::Act(Act {
                    lane,
                    sequence,
                    floor: if rng.one_in(16) { rng.next() } else { rng.up_to(sequence.min(1 << 40)) },
                    action,
                    remaining_ms: rng.one_in(3).then(|| rng.up_to(3000)),
                    commit: Some(rng.next()),
                    void: rng.one_in(8).then_some(code),
                    certificate: rng.one_in(8).then(|| Hash::from_bytes(rng.bytes())),
                    guest: rng.one_in(8).then_some(true),
                })
            }
        })
    }

    /// Mostly the next of a lane; else one that was, or that is far away.
    fn sequence(&mut self, key: ObjectKey, rng: &mut Rng) -> u64 {
        let last = self.lanes.entry(key).or_default();
        match rng.up_to(8) {
            0 => rng.next(),
            1 => u64::MAX,
            2 => rng.up_to(*last + 1),
            _ => {
                *last += 1;
                *last
            }
        }
    }

    fn action(&self, id: Uuid, gossip: &Gossip, rng: &mut Rng) -> Action {
        // Mostly in the name of an object that may do it, and is not its own.
        let acting = match rng.up_to(8) {
            0 => rng.pick(&gossip.journals).copied(),
            1..=4 => rng.pick(&gossip.trusted).copied(),
            5 => self.own_object(rng),
            _ => None,
        };
        let mut given: Vec<Given> = rng.pick(&gossip.scenarios).copied().into_iter().collect();
        if rng.one_in(2) {
            given.clear();
        }
        // What makes no coins: it may have a right to it.
        let names = ["note", "look", "paid", "rang", "note", "no", "fly", "alarm", "hush", "work", "bear"];
        let name = names[rng.index(names.len())];
        let arguments = if rng.one_in(9) { "[[[[".into() } else { "{\"status\":\"refused\"}".into() };
        // That it tells what came of an effect, only the object's own kernel may say.
        let answers = rng.one_in(8).then(|| Uuid::from_bytes(rng.bytes()));
        Action { id, name: name.into(), arguments, given, acting, answers }
    }
}
