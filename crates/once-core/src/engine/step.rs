//! One step under way: what its handlers may touch, and how they take something back.

use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::DISK_RESERVE_BYTES;

use super::state::Engine;
use super::todo::{Agenda, Todo};
use crate::act::Requests;
use crate::of_object::object_of;
use crate::parked::Damage;
use crate::refusal::Refusal;
use crate::store::StoreError;
use crate::txn::{Savepoint, Txn};
use crate::waist::{Ctx, Effect, Effects, Entropy, Event};

/// One step under way: what its handlers may touch.
pub(crate) struct Step<'a, 's> {
    pub engine: &'a mut Engine,
    pub txn: &'a mut Txn<'s>,
    pub ctx: &'a Ctx,
    pub rng: &'a mut dyn Entropy,
    pub out: Effects,
    /// What is still to be done before it ends.
    pub todo: Agenda,
}

/// A point to which a step can be taken back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    rows: Savepoint,
    now: usize,
    after: usize,
    todo: usize,
    requests: Requests,
    moving: [usize; 2],
}

impl<'a, 's> Step<'a, 's> {
    pub(crate) fn new(
        engine: &'a mut Engine,
        txn: &'a mut Txn<'s>,
        ctx: &'a Ctx,
        rng: &'a mut dyn Entropy,
    ) -> Self {
        engine.moving.begin();
        Self { engine, txn, ctx, rng, out: Effects::default(), todo: Agenda::default() }
    }
}

impl Step<'_, '_> {
    /// Does something for an object, in the lane of that origin. If a row that it needs cannot be read, the lane stands
    /// still, nothing of it remains, and nothing else stands still.
    pub(crate) fn guarded<T>(
        &mut self,
        (origin, key): (KernelId, ObjectKey),
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.kept_apart(Some((origin, key)), work).map(Result::ok)
    }

    /// Does something that needs rows. If one of them cannot be read, nothing of it remains, and what that row belongs to
    /// is parked.
    pub(crate) fn tried<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Result<T, Damage>, StoreError> {
        self.kept_apart(None, work)
    }

    fn kept_apart<T>(
        &mut self,
        lane: Option<(KernelId, ObjectKey)>,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Result<T, Damage>, StoreError> {
        let here = self.here();
        match work(self) {
            Err(StoreError::Damaged { table, key, reason }) => {
                self.take_back(here);
                let object = lane.map(|(_, key)| key).or_else(|| object_of(table, &key));
                let damage = Damage { table, row: key, object, reason };
                self.engine.parked.park(&damage);
                let (origin, key, reason) = (lane.map(|(origin, _)| origin), object, damage.to_string());
                self.out.push(Effect::Event(Event::Parked { origin, key, reason }));
                Ok(Err(damage))
            }
            other => other.map(Ok),
        }
    }

    /// Does something before this step ends, after what is under way.
    pub(crate) fn later(&mut self, todo: Todo) {
        self.todo.add(todo);
    }

    /// Where the step stands.
    pub(super) fn here(&self) -> Here {
        Here {
            rows: self.txn.savepoint(),
            now: self.out.now.len(),
            after: self.out.after.len(),
            todo: self.todo.len(),
            requests: self.engine.act.requests,
            moving: self.engine.moving.changes(),
        }
    }

    /// Takes back what the step has done since. What is remembered of lanes is made anew from the rows, if any of them changed.
    pub(super) fn take_back(&mut self, to: Here) {
        if self.txn.rollback(to.rows) {
            self.engine.act.taken_back(to.requests);
        }
        self.engine.moving.taken_back(to.moving);
        self.out.now.truncate(to.now);
        self.out.after.truncate(to.after);
        self.todo.truncate(to.todo);
    }

    /// The admitted connection to a peer.
    pub fn up(&self, peer: &KernelId) -> Option<u64> {
        self.engine.peers.links.get(peer).and_then(|link| link.up())
    }

    /// Refuses new work while the disk is nearly full.
    pub fn room_on_disk(&self) -> Result<(), Refusal> {
        const MIB: u64 = 1024 * 1024;
        let free = self.engine.disk_free_bytes;
        if free < DISK_RESERVE_BYTES {
            return Err(Refusal::DiskFull { free_mib: free / MIB, reserve_mib: DISK_RESERVE_BYTES / MIB });
        }
        Ok(())
    }
}
