//! Built-in actions: what this kernel does to its own objects at the word of a client, or as an effect, without a
//! component. They are recorded like every action, in the kernel's own lane, with the revision that they were made from
//! as an argument. So whatever holds for actions (history, receipts, once by id, followers) holds for them.
//!
//! They take effect in the step in which they are accepted: they never wait, so they have no place among what does. Their
//! sequence is [`BUILT_IN_FROM`] and the number of their entry.

use once_model::action::{Act, Action, BUILT_IN_FROM, BUILT_IN_PREFIX, Outcome, client_id};
use once_model::ids::{Hash, ObjectKey, Uuid};

use super::history;
use super::record::{self, Made};
use crate::act::origin::{lanes, requests};
use crate::act::rows::{EndedRow, LaneId, Place};
use crate::engine::Step;
use crate::object::{Draft, HeadRow};
use crate::store::StoreError;

/// Which change a built-in action makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// A new object.
    Create,
    /// An unclaimed object has its home here.
    Claim,
    /// A new state.
    Put,
    /// A new state from a file that was imported before.
    Import,
    /// A revision that was kept beside becomes the newest one.
    Keep,
    /// The object is removed: its next revision is a tombstone.
    Remove,
    /// It has its home here from now on.
    Move,
    /// It was handed over and refused, and has its home here again.
    Reopen,
}

impl BuiltIn {
    fn name(self) -> String {
        let name = match self {
            Self::Create => "create",
            Self::Claim => "claim",
            Self::Put => "put",
            Self::Import => "import",
            Self::Keep => "keep",
            Self::Remove => "remove",
            Self::Move => "move",
            Self::Reopen => "reopen",
        };
        format!("{BUILT_IN_PREFIX}{name}")
    }
}

/// At whose word.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    /// A client of this kernel. It can ask for the outcome by this id.
    Client(Uuid),
    /// The effect with this id of an object here.
    Effect(Uuid, ObjectKey),
    /// Another action, which needs it first.
    Action,
}

/// Carries one out: the revision is written with its entry, in this transaction.
pub(crate) fn carry_out(
    s: &mut Step<'_, '_>,
    what: BuiltIn,
    by: Cause,
    draft: Draft,
) -> Result<HeadRow, StoreError> {
    let origin = lanes::myself(s)?;
    let (id, acting) = match by {
        Cause::Client(id) => (id, None),
        Cause::Effect(id, object) => (id, Some(object)),
        Cause::Action => (new_id(s), None),
    };
    let key = draft.header().key();
    let arguments = arguments(draft.base(), (!draft.header().tombstone).then_some(draft.header().content));
    let action =
        Action { id, name: what.name(), arguments: arguments.into(), given: vec![], acting, answers: None };
    let hash = action.hash(&key.uuid);
    let sequence = place(s, draft.before())?;
    let act = act_of(key, sequence, action);
    let outcome = Outcome::Done("null".into());
    let (head, after) = record::write(s, &origin, &act, &outcome, Made::Revision(draft))?;
    if let Cause::Client(id) = by {
        let (home, since_ms) = (s.ctx.me, s.ctx.now_ms);
        let place = Place { lane: LaneId::new(key, home), sequence };
        let row = EndedRow { hash, outcome, after: Some(after), since_ms, home };
        requests::add_ended(s, &id, place, row)?;
    }
    Ok(head)
}

/// Beyond every lane: what a kernel does with its own object without being asked in a lane.
pub(super) fn place(s: &Step<'_, '_>, head: Option<&HeadRow>) -> Result<u64, StoreError> {
    Ok(BUILT_IN_FROM + history::tip(s.txn, head)?.number + 1)
}

/// Such an act, at its place.
pub(super) fn act_of(key: ObjectKey, sequence: u64, action: Action) -> Act {
    Act {
        lane: key.into(),
        sequence,
        floor: 0,
        action,
        remaining_ms: None,
        commit: None,
        void: None,
        certificate: None,
        guest: None,
    }
}

/// `{"base":…,"content":…}`: the revision that it was made from, if there was one, and the hash of the new bytes, if
/// there are any.
fn arguments(base: Hash, content: Option<Hash>) -> String {
    let base = (base != Hash::from_bytes([0; Hash::LEN])).then(|| format!("\"base\":\"{base}\""));
    let content = content.map(|content| format!("\"content\":\"{content}\""));
    let members: Vec<String> = base.into_iter().chain(content).collect();
    format!("{{{}}}", members.join(","))
}

/// An id for what was asked without one.
pub(crate) fn new_id(s: &mut Step<'_, '_>) -> Uuid {
    let mut random = [0; 10];
    s.rng.fill(&mut random);
    client_id(s.ctx.now_ms, &random)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use once_model::ids::{BootId, Incarnation, Line};
    use once_model::scenario::Scenario;
    use once_model::sign::KernelKey;

    use super::*;
    use crate::act::{history, request};
    use crate::engine::Engine;
    use crate::memory::MemoryStore;
    use crate::object;
    use crate::refusal::Refusal;
    use crate::store::Store;
    use crate::txn::Txn;
    use crate::waist::{Answer, Change, Command, Ctx, Effect, Entropy, Input, NoRunner};
    use crate::{group, meta};

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, buffer: &mut [u8]) {
            self.0 = self.0.wrapping_add(1);
            buffer.fill(self.0);
        }
    }

    struct Alone {
        engine: Engine,
        store: MemoryStore,
        ctx: Ctx,
        random: Counting,
    }

    impl Alone {
        fn new() -> Self {
            let (key, incarnation) = (KernelKey::from_bytes(&[7; 32]), Incarnation::from_bytes([1; 16]));
            let (me, boot) = (key.id(), BootId::from_bytes([2; 16]));
            let mut store = MemoryStore::new();
            let mut txn = Txn::new(&store);
            let identity = meta::Identity {
                kernel: me,
                incarnation,
                name: String::new(),
                recovery: vec![],
                ended: vec![],
            };
            meta::set_identity(&mut txn, &identity);
            let (batch, durability) = txn.into_batch();
            store.commit(batch, durability).unwrap();
            let ctx = Ctx { key, me, boot, now_ms: 1_700_000_000_000, runner: Arc::new(NoRunner) };
            Self { engine: Engine::new(), store, ctx, random: Counting(0) }
        }

        /// Carries a command out in a group of its own: the answer, and how many rows that wrote.
        fn command(&mut self, command: Command) -> (Result<Answer, Refusal>, usize) {
            let mut replies = Vec::new();
            let input = Input::Command { token: 1, command };
            let release = &mut |effect| {
                if let Effect::Reply { reply, .. } = effect {
                    replies.push(reply);
                }
            };
            let (engine, store, ctx) = (&mut self.engine, &mut self.store, &self.ctx);
            let done = group::run(engine, store, ctx, &mut self.random, [input], release).unwrap();
            (replies.pop().unwrap(), done.rows)
        }

        fn import(&mut self, n: u32) -> ObjectKey {
            let scenario = state(n);
            let key = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
            self.command(Command::Import { source: None, over: None, scenario }).0.unwrap();
            key
        }
    }

    fn state(n: u32) -> Scenario {
        let uuid = "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001";
        Scenario::parse(format!(r#"{{"ior":{{"uuid":"{uuid}"}},"model":{{"n":{n}}}}}"#)).unwrap()
    }

    fn key_of(answer: Result<Answer, Refusal>) -> (ObjectKey, Change) {
        match answer.unwrap() {
            Answer::Object { header, change } => (header.key(), change),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_put_is_one_batch_of_few_rows() {
        let mut kernel = Alone::new();
        let copy = kernel.import(1);
        let (claimed, rows) = kernel.command(Command::Claim { key: copy });
        assert_eq!(rows, 12, "claim");
        let (key, _) = key_of(claimed);
        // The new body, the old one's end, head, event log, commit number; and ledger, the client's id and its outcome.
        assert_eq!(kernel.command(Command::Put { key, base: None, scenario: state(2) }).1, 8, "put");
        assert_eq!(kernel.command(Command::Remove { key }).1, 7, "removal");
        let other = Scenario::parse(r#"{"model":{"n":1}}"#.to_owned()).unwrap();
        assert_eq!(kernel.command(Command::Create { scenario: other }).1, 10, "create");
    }

    #[test]
    fn every_change_is_an_entry_and_its_revision_names_it() {
        let mut kernel = Alone::new();
        let copy = kernel.import(1);
        // The first change of what was imported here claims it, by an entry of its own.
        let put = |n| Command::Put { key: copy, base: None, scenario: state(n) };
        let (key, change) = key_of(kernel.command(put(2)).0);
        assert_eq!(change, Change::ClaimedAndChanged);
        key_of(kernel.command(put(3)).0);
        key_of(kernel.command(Command::Remove { key }).0);
        let entries: Vec<_> = history(&kernel.store, &key).unwrap().into_iter().map(|r| r.entry).collect();
        let numbers: Vec<_> = entries.iter().map(|entry| (entry.number, entry.revision)).collect();
        assert_eq!(numbers, [(1, 1), (2, 2), (3, 3), (4, 4)]);
        let head = object::head(&kernel.store, &key).unwrap().unwrap().header;
        assert_eq!(head.entry, entries.last().map(once_model::receipt::Entry::hash));
        assert_eq!(head.parent, Some(entries[3].before));
        // What a client asked is known by its id, the claim that it needed, too.
        let known: Vec<_> =
            entries.iter().map(|entry| request(&kernel.store, &entry.id).unwrap().is_some()).collect();
        assert_eq!(known, [true; 4]);
    }

    #[test]
    fn nothing_is_laid_over_a_tombstone() {
        let mut kernel = Alone::new();
        let copy = kernel.import(1);
        let (key, _) = key_of(kernel.command(Command::Claim { key: copy }).0);
        kernel.command(Command::Remove { key }).0.unwrap();
        let over = object::head(&kernel.store, &key).unwrap().unwrap().header.id();
        for source in [None, Some("a file".to_owned())] {
            let import = Command::Import { source, over: Some(over), scenario: state(2) };
            assert_eq!(kernel.command(import).0, Err(Refusal::Removed(key)));
        }
        let put = Command::Put { key, base: None, scenario: state(2) };
        assert_eq!(kernel.command(put).0, Err(Refusal::Removed(key)));
    }

    #[test]
    fn old_entries_go_in_slices() {
        let mut kernel = Alone::new();
        kernel.engine = Engine::new().keeping_told(0);
        let (key, _) = {
            let copy = kernel.import(0);
            key_of(kernel.command(Command::Claim { key: copy }).0)
        };
        let changes = u32::try_from(once_model::limits::LEDGER_KEPT_ROWS).unwrap() + 200;
        for n in 1..=changes {
            let scenario = state(n % 2);
            kernel.command(Command::Put { key, base: None, scenario }).0.unwrap();
        }
        let kept = history(&kernel.store, &key).unwrap();
        let more = kept.len() as u64 - once_model::limits::LEDGER_KEPT_ROWS;
        assert!(more <= 64, "{more}");
        assert_eq!(kept.last().unwrap().entry.number, u64::from(changes) + 1);
    }
}
