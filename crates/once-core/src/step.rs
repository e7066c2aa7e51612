//! One step: an input, applied in one transaction, yields effects. This file only dispatches.

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::{DISK_RESERVE_BYTES, TOLD_ROWS};
use once_model::wire::Frame;

use crate::chores::{self, Chores};
use crate::expiry::{self, Expiry};
use crate::of_object::object_of;
use crate::parked::{Damage, Parked};
use crate::peers::Link;
use crate::refusal::{Failure, Refusal};
use crate::store::StoreError;
use crate::txn::{Savepoint, Txn};
use crate::waist::{Answer, Command, ConnId, Ctx, Effect, Effects, Entropy, Event, Input, Timer, Token, Why};
use crate::{actions, content, meta, outbox, peers, timers};

/// What the engine knows only while it runs: connections and who waits. All else is rows.
#[derive(Debug)]
pub struct Engine {
    /// By peer: the connection and what is under way on it.
    pub(crate) links: BTreeMap<KernelId, Link>,
    /// Clients that wait for a peer's answer to a share.
    pub(crate) deliveries: BTreeMap<(KernelId, ObjectKey), Vec<Token>>,
    /// Clients that wait for a kernel to admit us.
    pub(crate) joins: BTreeMap<KernelId, Vec<Token>>,
    /// Peers to whom something is owed since this step, and who are not connected.
    pub(crate) wanted: BTreeSet<KernelId>,
    /// Counts the pauses before dials.
    pub(crate) pauses: u64,
    /// Where those call from who have not been admitted yet.
    pub(crate) callers: BTreeMap<ConnId, String>,
    /// Clients that wait for an outcome.
    pub(crate) acts: BTreeMap<Uuid, Vec<Token>>,
    /// What this kernel sends to itself: actions on objects of its own.
    pub(crate) own: outbox::Window,
    /// Lanes of this kernel as an origin that were met lately.
    pub(crate) lanes: actions::Lanes,
    /// Objects that run an action.
    pub(crate) busy: BTreeMap<ObjectKey, actions::Busy>,
    /// What cannot be read.
    pub(crate) parked: Parked,
    /// Lanes here whose next action cannot run just now.
    pub(crate) waiting: actions::Waiting,
    /// Lanes of this kernel to objects of its own that take their time.
    pub(crate) slow: actions::Slow,
    /// What takes more than one step.
    pub(crate) chores: Chores,
    /// What ends by the clock.
    pub(crate) expiry: Expiry,
    /// Which clocks run for timers and deadlines: bit n is one of 2^n milliseconds.
    pub(crate) clocks: u32,
    /// Lanes of other kernels and of this one at this kernel as a home that were met lately.
    pub(crate) marks: actions::Marks,
    /// Which homes are asked to prove what.
    pub(crate) proofs: content::Proofs,
    /// The client ledger.
    pub(crate) requests: actions::Requests,
    /// Of how many of the newest entries of an object it is kept what was asked and said.
    pub(crate) told_rows: u64,
    /// Counts the runs of this run.
    pub(crate) runs: u64,
    /// Peers that said, since the last group, that they are much further than their rows say.
    pub(crate) heard: BTreeSet<KernelId>,
    /// Free bytes on the disk, as last heard.
    pub(crate) disk_free_bytes: u64,
    /// The disk was put back from a backup: nothing runs, and nothing leaves.
    pub(crate) quarantined: bool,
    /// This kernel has begun a new life: what the earlier one was home of is not changed here.
    pub(crate) reborn: bool,
    /// The commit that peers were last told of, signed.
    pub(crate) told_commit: u64,
    /// A timer to tell them runs.
    pub(crate) told_set: bool,
    /// The number of this boot.
    pub(crate) boot: u64,
    /// Counts the groups of this run.
    pub(crate) group: u64,
    /// The number of the last commit.
    pub(crate) commit: u64,
    /// The number of the last commit that is on disk: the only one that peers may be told.
    pub(crate) synced_commit: u64,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that has just started: nothing is connected.
    #[must_use]
    pub fn new() -> Self {
        Self {
            links: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            joins: BTreeMap::new(),
            wanted: BTreeSet::new(),
            pauses: 0,
            callers: BTreeMap::new(),
            acts: BTreeMap::new(),
            own: outbox::Window::default(),
            lanes: actions::Lanes::default(),
            busy: BTreeMap::new(),
            parked: Parked::default(),
            waiting: actions::Waiting::default(),
            slow: actions::Slow::default(),
            chores: Chores::default(),
            expiry: Expiry::default(),
            clocks: 0,
            marks: actions::Marks::default(),
            proofs: content::Proofs::default(),
            requests: actions::Requests::default(),
            told_rows: TOLD_ROWS,
            runs: 0,
            heard: BTreeSet::new(),
            disk_free_bytes: u64::MAX,
            quarantined: false,
            reborn: false,
            told_commit: 0,
            told_set: false,
            boot: 0,
            group: 0,
            commit: 0,
            synced_commit: 0,
        }
    }

    /// Keeps what was asked and said of the newest entries of each object, of so many instead of
    /// [`once_model::limits::TOLD_ROWS`]; of none with 0.
    #[must_use]
    pub fn keeping_told(mut self, rows: u64) -> Self {
        self.told_rows = rows;
        self
    }

    /// Writes how far a lane is, and drops what is over of its ledger, after so many actions of it instead of 64. For
    /// tests: what happens rarely happens often.
    #[must_use]
    pub fn in_slices_of(mut self, rows: u64) -> Self {
        self.marks.stay_behind(rows);
        self
    }

    /// Keeps at most so many results for clients of this kernel, instead of [`once_model::limits::REQUESTS_MAX_ROWS`].
    #[must_use]
    pub fn keeping_requests(mut self, most: u64) -> Self {
        self.requests.keep_at_most(most);
        self
    }

    /// Of work that takes many rows, does at most so many in a step.
    #[must_use]
    pub fn slicing(mut self, rows: usize) -> Self {
        self.chores.slice(rows);
        self
    }

    /// The first step of a run: dial every peer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn start(
        &mut self,
        txn: &mut Txn<'_>,
        ctx: &Ctx,
        rng: &mut dyn Entropy,
    ) -> Result<Effects, StoreError> {
        let mut step = Step { engine: self, txn, ctx, rng, out: Effects::default() };
        // What an engine before this one asked for in this process may still be answered: that is no answer to this one.
        step.engine.runs = step.rng.below(1 << 48);
        step.engine.boot = meta::begin_boot(step.txn, ctx.boot, step.engine.commit + 1)?;
        drop(step.tried(chores::resume)?);
        drop(step.tried(expiry::resume)?);
        drop(step.tried(peers::dial_all)?);
        if !peers::resume_quarantine(&mut step)? {
            drop(step.tried(actions::resume)?);
            drop(step.tried(timers::resume)?);
        }
        chores::go_on_later(&mut step);
        Ok(step.out)
    }

    /// An input, applied in one transaction, yields effects that are released after the commit.
    ///
    /// A refused command leaves the transaction as it was; its effect is the reply that says why. So does an input that
    /// needs a row which cannot be read: what that row belongs to is parked, everything else goes on.
    ///
    /// # Errors
    /// When the store cannot be read: the engine must stop.
    pub fn step(
        &mut self,
        txn: &mut Txn<'_>,
        ctx: &Ctx,
        rng: &mut dyn Entropy,
        input: Input,
    ) -> Result<Effects, StoreError> {
        let mut step = Step { engine: self, txn, ctx, rng, out: Effects::default() };
        drop(step.tried(expiry::look)?);
        let input = match step.engine.quarantined {
            true => peers::heeds(&mut step, input),
            false => Some(input),
        };
        let Some(input) = input else { return Ok(step.out) };
        let waits = match &input {
            Input::Command { token, .. }
            | Input::Arrived { why: Why::Asked { token } | Why::Offered { token }, .. } => Some(*token),
            _ => None,
        };
        let damage = step.tried(|step| step.take(input))?.err();
        if let (Some(token), Some(damage)) = (waits, damage) {
            step.forget(token);
            step.out.push(Effect::Reply { token, reply: Err(Refusal::Damaged(damage)) });
        }
        drop(step.tried(peers::call_wanted)?);
        chores::go_on_later(&mut step);
        Ok(step.out)
    }
}

/// One step under way: what its handlers may touch.
pub(crate) struct Step<'a, 's> {
    pub engine: &'a mut Engine,
    pub txn: &'a mut Txn<'s>,
    pub ctx: &'a Ctx,
    pub rng: &'a mut dyn Entropy,
    pub out: Effects,
}

/// A point to which a step can be taken back.
#[derive(Debug, Clone, Copy)]
struct Here {
    rows: Savepoint,
    now: usize,
    after: usize,
}

impl Step<'_, '_> {
    fn take(&mut self, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Command { token, command } => self.command(token, command)?,
            Input::Frame { peer, conn, frame } => self.frame(peer, conn, frame)?,
            Input::Arrived { peer, arrival, why } => match why {
                // Only an admitted connection counts; what comes late from an older one is shared again on the next.
                Why::Shared { conn } if self.up(&peer) == Some(conn) => {
                    outbox::receive(self, peer, conn, arrival)?;
                }
                Why::Shared { .. } => {}
                Why::Asked { token } => {
                    let answer = content::accept(self, peer, arrival, None)?;
                    self.out.push(Effect::Reply { token, reply: Ok(Answer::Kept(answer)) });
                }
                Why::Offered { token } => {
                    let answer = outbox::admit(self, peer, arrival)?;
                    self.out.push(Effect::Reply { token, reply: Ok(Answer::Kept(answer)) });
                }
            },
            Input::Unfit { peer, conn, share, code } if self.up(&peer) == Some(conn) => {
                outbox::unfit(self, peer, conn, share, code)?;
            }
            Input::Unfit { .. } => {}
            Input::Link { peer, event } => peers::link(self, peer, event)?,
            Input::Timer(timer) => match timer {
                Timer::Redial(peer, pause) => peers::redial(self, peer, pause)?,
                Timer::Hello(peer, conn) => peers::hello_late(self, peer, conn),
                Timer::Resend(peer, conn) => outbox::resend(self, peer, conn)?,
                Timer::Pump(peer) => outbox::pump_on(self, peer)?,
                Timer::Given => actions::late(self)?,
                Timer::Progress => peers::tell(self)?,
                Timer::Expiry => self.engine.expiry.rang(),
                Timer::Chores => chores::rang(self)?,
                Timer::Due(size) => timers::due(self, size)?,
            },
            Input::Ran(ran) => actions::ran(self, *ran)?,
            Input::Ready { component } => actions::ready(self, component)?,
            Input::Worked { key, id, result } => actions::worked(self, key, id, result)?,
            Input::NetworkChanged => peers::network_changed(self),
            Input::Disk { free_bytes } => self.engine.disk_free_bytes = free_bytes,
        }
        Ok(())
    }

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

    /// Where the step stands.
    fn here(&self) -> Here {
        Here { rows: self.txn.savepoint(), now: self.out.now.len(), after: self.out.after.len() }
    }

    /// Takes back what the step has done since. What is remembered of lanes is made anew from the rows, if any of them changed.
    fn take_back(&mut self, to: Here) {
        if self.txn.rollback(to.rows) {
            self.engine.lanes.forget();
            self.engine.marks.forget();
        }
        self.out.now.truncate(to.now);
        self.out.after.truncate(to.after);
    }

    /// Nobody waits for more than one reply.
    fn forget(&mut self, token: Token) {
        for tokens in self.engine.acts.values_mut() {
            tokens.retain(|waits| *waits != token);
        }
        for tokens in self.engine.deliveries.values_mut() {
            tokens.retain(|waits| *waits != token);
        }
        for tokens in self.engine.joins.values_mut() {
            tokens.retain(|waits| *waits != token);
        }
        self.engine.chores.forget(token);
    }

    fn command(&mut self, token: Token, command: Command) -> Result<(), StoreError> {
        let here = self.here();
        let reply = match self.carry_out(token, command) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => return Ok(()),
            Err(Failure::Refused(refusal)) => {
                self.take_back(here);
                Err(refusal)
            }
            Err(Failure::Store(error)) => return Err(error),
        };
        self.out.push(Effect::Reply { token, reply });
        Ok(())
    }

    /// `None`: the reply comes later.
    fn carry_out(&mut self, token: Token, command: Command) -> Result<Option<Answer>, Failure> {
        if self.engine.quarantined {
            peers::allows(&command)?;
        }
        Ok(Some(match command {
            Command::EndQuarantine { without } => return peers::end_quarantine(self, token, &without),
            Command::Import { source, over, scenario } => content::import(self, source, over, &scenario)?,
            Command::Put { key, base, scenario } => content::put(self, &key, base, &scenario)?,
            Command::Create { scenario } => content::create(self, &scenario)?,
            Command::Claim { key } => content::claim(self, &key)?,
            Command::Remove { key } => content::remove_by_client(self, &key)?,
            Command::Keep { key, revision } => content::take(self, &key, &revision)?,
            Command::Discard { key, revision } => content::discard(self, &key, &revision)?,
            Command::Share { key, to, delivered } => return outbox::share(self, token, key, to, delivered),
            Command::Act { key, at, action, deadline_ms, wait } => {
                return actions::act(self, token, actions::Wish { key, at, action, deadline_ms, wait });
            }
            Command::Cancel { id, wait } => return actions::cancel(self, token, id, wait),
            Command::Drop { home, key, sequence, id } => actions::drop_one(self, home, (key, sequence), id)?,
            Command::GiveUp { peer, key } => outbox::give_up(self, peer, key)?,
            Command::Standing => {
                Answer::Standing { lanes: actions::standing(self), damaged: self.engine.parked.list() }
            }
            Command::Follow { key, from } => outbox::follow(self, key, from)?,
            Command::Unfollow { key, from } => outbox::unfollow(self, key, from)?,
            Command::Invite { secret_hash, expires_ms, petname } => {
                peers::invite(self, secret_hash, expires_ms, petname)?
            }
            Command::RevokeInvite { secret_hash } => peers::revoke_invite(self, secret_hash)?,
            Command::AcceptClock => expiry::accept_clock(self),
            Command::Join { peer, secret, addresses, petname } => {
                peers::join(self, token, peer, secret, addresses, petname)?;
                return Ok(None);
            }
            Command::AddPeer { peer, addresses, petname } => peers::add(self, peer, addresses, petname)?,
            Command::ChangePeer { peer, petname, quota_bytes, addresses } => {
                peers::change(self, peer, petname, quota_bytes, addresses)?
            }
            Command::RemovePeer { peer } => return peers::remove(self, token, peer),
            Command::Grant(grant) => peers::grant(self, &grant)?,
            Command::Revoke(grant) => return peers::revoke(self, token, &grant),
            Command::Dial { peer } => peers::dial_now(self, peer)?,
        }))
    }

    fn frame(&mut self, peer: KernelId, conn: u64, frame: Frame) -> Result<(), StoreError> {
        match frame {
            Frame::Hello(greeting) => return peers::hello(self, peer, conn, &greeting),
            Frame::Admitted(greeting) => return peers::admitted(self, peer, conn, &greeting),
            Frame::Denied(code) => return peers::denied(self, peer, conn, code),
            _ => {}
        }
        // Only an admitted connection says anything else; what comes late from an older one is dropped.
        if self.up(&peer) != Some(conn) {
            return Ok(());
        }
        match frame {
            Frame::Progress(said) => peers::told(self, peer, &said),
            Frame::Share(parcel) => outbox::announced(self, peer, conn, parcel),
            Frame::Shared(shared) => outbox::shared(self, peer, &shared),
            Frame::Follow(follow) => outbox::followed(self, peer, conn, &follow),
            Frame::Unfollow(key) => outbox::unfollowed(self, peer, conn, key),
            Frame::Following(following) => outbox::following(self, peer, &following),
            Frame::Act(act) => actions::come(self, peer, act),
            Frame::Outcome(outcome) => actions::outcome(self, peer, &outcome),
            Frame::Missing(missing) => actions::missing(self, peer, &missing),
            Frame::Need(need) => actions::need(self, peer, &need),
            Frame::Entries(said) => content::entries(self, peer, &said),
            // The shell answers the rest from a snapshot; here it means nothing.
            _ => Ok(()),
        }
    }

    /// The admitted connection to a peer.
    pub fn up(&self, peer: &KernelId) -> Option<u64> {
        self.engine.links.get(peer).and_then(Link::up)
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
