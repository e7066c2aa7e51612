//! What only tests of this crate need: things that no input does, and kernels that have something of everything.

use std::collections::VecDeque;

use once_model::certificate::Answer as Answered;
use once_model::ids::{BootId, Hash, Incarnation, Line, ObjectKey, Uuid};
use once_model::limits::RESEND_AFTER_MS;
use once_model::progress::Progress;
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Frame, Greeting};

use super::alone::{Alone, NOW_MS, asked, greeting};
use crate::access::{Right, Scope};
use crate::act::Origin;
use crate::chores::{Chore, ChoreRow};
use crate::engine::{Engine, Step};
use crate::parked::Damage;
use crate::store::{Batch, Durability, Read, Store, StoreError, Table};
use crate::txn::Txn;
use crate::waist::{Answer, Command, Input, LinkEvent, Run, Stands, Timer};

impl Alone {
    /// Something that an input would do, and what follows from it.
    pub(crate) fn step(&mut self, work: impl FnOnce(&mut Step<'_, '_>) -> Result<(), StoreError>) {
        let mut txn = Txn::new(&self.store);
        let (engine, ctx, rng) = (&mut self.engine, &self.ctx, &mut self.dice);
        let mut step = Step::new(engine, &mut txn, ctx, rng);
        work(&mut step).unwrap();
        step.settle().unwrap();
        crate::peers::call_wanted(&mut step).unwrap();
        crate::chores::go_on_later(&mut step);
        let effects = step.out;
        let (batch, durability) = txn.into_batch();
        self.store.commit(batch, durability).unwrap();
        let mut next = VecDeque::new();
        self.take(effects.now.into_iter().chain(effects.after).collect(), &mut next);
        self.go_on(next);
    }

    /// Rows that no input would write: the engine does not know of them.
    pub(crate) fn writes(&mut self, work: impl FnOnce(&mut Step<'_, '_>) -> Result<(), StoreError>) {
        self.is_ahead = true;
        self.step(work);
    }

    /// A peer that may act on everything.
    pub(crate) fn peer(&mut self, n: u8) -> Origin {
        let kernel = self.befriend(n);
        self.may_act(kernel);
        Origin { kernel, incarnation: Incarnation::from_bytes([n; 16]) }
    }

    /// An action of a peer is here.
    pub(crate) fn acts(&mut self, origin: Origin, key: ObjectKey, sequence: u64, arguments: String) {
        self.acts_as(origin, key, sequence, arguments, None);
    }

    /// The same of an object of that peer, which is its guest.
    pub(crate) fn acts_as(
        &mut self,
        origin: Origin,
        key: ObjectKey,
        sequence: u64,
        arguments: String,
        guest: Option<ObjectKey>,
    ) {
        let mut act = asked(key, sequence, arguments);
        act.action.acting = guest;
        act.guest = guest.map(|_| true);
        self.step(|s| crate::act::received(s, origin, act));
    }

    /// A peer that may act on everything dials, and is admitted; its commit number is 1.
    pub(crate) fn connected(&mut self, n: u8) -> Origin {
        let origin = self.peer(n);
        self.connect(n, origin, 1);
        origin
    }

    /// The same peer again, on another connection.
    pub(crate) fn connect(&mut self, n: u8, origin: Origin, conn: u64) {
        let key = KernelKey::from_bytes(&[n; 32]);
        let progress = Progress::sign(origin.incarnation, 1, BootId::from_bytes([n; 16]), 1, &key);
        let greeting = Greeting {
            features: vec![once_model::wire::FEATURE_ACTIONS, once_model::wire::FEATURE_MOVES],
            progress,
            window_shares: 1,
            clock_ms: NOW_MS,
            ..greeting(&key)
        };
        let (peer, event) = (origin.kernel, LinkEvent::Up { conn, dialled: false, address: None });
        self.input(Input::Link { peer, event });
        self.says(peer, conn, Frame::Hello(greeting));
    }

    /// A kernel that has rows in every table, with peer 9. Returns its objects; nothing happens to the first of them.
    pub(crate) fn populated() -> (Self, Vec<ObjectKey>) {
        let mut kernel = Self::new();
        kernel.engine.limits.revisions = 2;
        let peer = kernel.peer(9).kernel;
        let components = ["Open", "Clock", "Maker", "Served", "Plain"];
        let mut objects: Vec<_> = (1..).zip(components).map(|(n, name)| kernel.object(n, name)).collect();
        kernel.act_named(objects[1], "set", 1);
        kernel.act(objects[2], 2);
        kernel.act(objects[3], 3);
        let plain = objects[4];
        kernel.command(Command::Share { key: plain, to: peer, delivered: false });
        kernel.grant(peer, Right::Read, Scope::Object(plain));
        let elsewhere = ObjectKey { uuid: Uuid::from_u128(78), line: plain.line };
        for key in [plain, elsewhere] {
            kernel.command(Command::Follow { key, from: peer });
        }
        kernel.command(Command::Unfollow { key: elsewhere, from: peer });
        let secret_hash = Hash::from_bytes([5; 32]);
        kernel.command(Command::Invite { secret_hash, expires_ms: NOW_MS + 1, petname: None });
        let scenario = Scenario::compose(Uuid::from_u128(6), "Plain", "1", "me", "{}").unwrap();
        let imported = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
        kernel.command(Command::Import { source: Some("a".into()), scenario, over: None });
        kernel.command(Command::Claim { key: imported });
        objects.push(imported);
        kernel.is_ahead = true;
        // What only a peer can bring.
        kernel.step(|s| {
            let head = crate::object::head(s.txn, &plain)?.unwrap();
            let beside = [plain.to_row().as_slice(), head.header.id().as_bytes()].concat();
            s.txn.put(Table::Conflict, &beside, &head);
            let place = crate::object::revision_key(&plain, head.header.revision);
            let kept = crate::object::RevisionRow { header: head.header.clone(), stored_ms: NOW_MS };
            s.txn.put(Table::Revision, &place, &kept);
            let follower = [plain.to_row().as_slice(), peer.as_bytes()].concat();
            s.txn.put(Table::Follower, &follower, &crate::follow::FollowRow { since_ms: NOW_MS });
            // What only a crash leaves.
            let row = Chore::ForgetObject(plain).to_row().unwrap_or_default();
            s.txn.put(Table::Chore, &row, &ChoreRow::default());
            // What only a move leaves.
            let (since_ms, certificate) = (NOW_MS, Hash::from_bytes([3; 32]));
            let leaving = crate::moving::LeavingRow {
                to: peer,
                since_ms,
                sealed: None,
                withdrawn: false,
                leave_calls: false,
                told: false,
                without_me: false,
            };
            s.txn.put(Table::Leaving, &plain.to_row(), &leaving);
            let welcome = crate::moving::WelcomeRow { certificate, since_ms };
            s.txn.put(Table::Welcome, &follower, &welcome);
            let answer = Answered::sign(certificate, false, Incarnation::from_bytes([1; 16]), &s.ctx.key);
            let handed = [plain.to_row().as_slice(), certificate.as_bytes()].concat();
            s.txn.put(Table::Handed, &handed, &crate::moving::HandedRow { answer, code: None });
            s.txn.put(Table::Acquaintance, &follower, &crate::moving::AcquaintanceRow::default());
            let news = [peer.as_bytes().as_slice(), &plain.to_row()].concat();
            s.txn.put(Table::News, &news, &crate::moving::NewsRow { since_ms });
            let visit = crate::peers::VisitRow { since_ms: NOW_MS };
            s.txn.put(Table::Visit, &news, &visit);
            let (luggage, _) = once_model::moving::Luggage::default().pack();
            s.txn.put_bytes(Table::Luggage, &plain.to_row(), luggage);
            let arriving = crate::moving::ArrivingRow { from: peer, since_ms };
            s.txn.put(Table::Arriving, &plain.to_row(), &arriving);
            let stayed = crate::moving::StayedRow { to: peer, at_ms: since_ms, why: "no".into() };
            s.txn.put(Table::Stayed, &plain.to_row(), &stayed);
            let archiving = crate::archive::ArchivingRow { to: peer, certificate, down_to: 1 };
            s.txn.put(Table::Archiving, &plain.to_row(), &archiving);
            s.txn.put(Table::Unsent, &news, &crate::share::UnsentRow { since_ms });
            let receipted = crate::archive::ReceiptedRow { up_to: 1, at_ms: since_ms };
            s.txn.put(Table::Receipted, &plain.to_row(), &receipted);
            let archived = [plain.to_row().as_slice(), &1_u64.to_be_bytes()].concat();
            let kept = crate::archive::any_entry(plain, &s.ctx.key);
            s.txn.put(Table::Archive, &archived, &crate::archive::ArchiveRow { kept, from: peer });
            Ok(())
        });
        (kernel, objects)
    }

    /// What cannot be read.
    pub(crate) fn damaged(&mut self) -> Vec<Damage> {
        let token = self.command(Command::Standing);
        match &self.answered[&token] {
            Answer::Standing { damaged, .. } => damaged.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// All rows of the store.
    pub(crate) fn rows(&self) -> Vec<(Table, Vec<u8>, bytes::Bytes)> {
        let mut rows = Vec::new();
        for table in Table::ALL {
            self.store
                .scan(table, &[], None, &mut |key, value| {
                    rows.push((table, key.to_vec(), value));
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
        }
        rows
    }

    /// The same kernel on a disk that has another value in one row; it has just started.
    pub(crate) fn with_row(&self, table: Table, key: &[u8], value: &'static [u8]) -> Self {
        let mut other = Self::new();
        let mut rows = self.rows();
        rows.retain(|(of, row, _)| (*of, row.as_slice()) != (table, key));
        rows.push((table, key.to_vec(), value.into()));
        let rows = rows.into_iter().map(|(table, key, value)| (table, key, Some(value))).collect();
        other.store.commit(Batch { rows }, Durability::Synced).unwrap();
        (other.engine, other.timers) = (Engine::new(), Vec::new());
        other.is_ahead = true;
        other.start();
        other
    }

    /// What stands still.
    pub(crate) fn standing(&mut self) -> Vec<Stands> {
        let token = self.command(Command::Standing);
        match &self.answered[&token] {
            Answer::Standing { lanes, .. } => lanes.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The runs that were asked for, by their arguments.
    pub(crate) fn asked(&self) -> Vec<u64> {
        let number = |run: &Run| std::str::from_utf8(&run.action.arguments).unwrap().parse::<u64>().unwrap();
        self.desk.asked.lock().unwrap().iter().map(number).collect()
    }

    /// The time of a resend has come.
    pub(crate) fn resend(&mut self) {
        self.ctx.now_ms += RESEND_AFTER_MS;
        let resend = |(_, timer): &&(u64, Timer)| matches!(timer, Timer::Resend(..));
        assert_eq!(self.timers.iter().filter(resend).count(), 1, "one timer is enough");
        self.ring(|_| true);
    }
}
