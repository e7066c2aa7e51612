//! Sends each input to the capability that it belongs to.

use once_model::ids::KernelId;
use once_model::wire::Frame;

use super::life;
use super::state::Engine;
use super::step::Step;
use super::todo::Todo;
use crate::access::expiry;
use crate::act::{self, home};
use crate::refusal::{Failure, Refusal};
use crate::store::StoreError;
use crate::txn::Txn;
use crate::waist::{Answer, Command, Ctx, Effect, Effects, Entropy, Input, Timer, Token, Why};
use crate::{archive, chores, follow, meta, moving, object, peers, share, timer};

impl Engine {
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
        let mut step = Step::new(self, txn, ctx, rng);
        // What an engine before this one asked for in this process may still be answered: that is no answer to this one.
        if !mutant!(RunNumbersAgain) {
            step.engine.act.runs = step.rng.below(1 << 48);
        }
        step.engine.boot = meta::begin_boot(step.txn, ctx.boot, step.engine.commit + 1, step.engine.boot)?;
        life::started(&mut step)?;
        step.settle()?;
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
        let mut step = Step::new(self, txn, ctx, rng);
        drop(step.tried(expiry::look)?);
        let input = match step.engine.peers.quarantined {
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
        step.settle()?;
        moving::look(&mut step)?;
        step.settle()?;
        drop(step.tried(peers::call_wanted)?);
        chores::go_on_later(&mut step);
        Ok(step.out)
    }
}

impl Step<'_, '_> {
    /// Does what handlers have left to be done before the step ends.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        while let Some(todo) = self.todo.next() {
            drop(self.tried(|s| match todo {
                Todo::Act(act) => home::come_from_here(s, *act),
                Todo::Leave(key, to) => moving::wants_to_go(s, key, to),
                Todo::Departures => moving::resume(s),
                Todo::Greet(peer) => moving::greet(s, peer),
                Todo::Chain(key) => moving::chain_known(s, key),
                Todo::Chore(chore) => chores::begin_now(s, chore),
                Todo::Pump(peer) => share::pump_now(s, peer),
                Todo::Visitor(kernel) => peers::look_at(s, kernel),
            })?);
        }
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Command { token, command } => self.command(token, command)?,
            Input::Frame { peer, conn, frame } => self.frame(peer, conn, frame)?,
            Input::Arrived { peer, arrival, why } => match why {
                // Only an admitted connection counts; what comes late from an older one is shared again on the next.
                Why::Shared { conn } if self.up(&peer) == Some(conn) => {
                    share::receive(self, peer, conn, arrival)?;
                }
                Why::Shared { .. } => {}
                Why::Asked { token } => {
                    let answer = object::accept(self, peer, arrival, None)?;
                    self.out.push(Effect::Reply { token, reply: Ok(Answer::Kept(answer)) });
                }
                Why::Offered { token } => {
                    let answer = share::admit(self, peer, arrival)?;
                    self.out.push(Effect::Reply { token, reply: Ok(Answer::Kept(answer)) });
                }
            },
            Input::Unfit { peer, conn, share, code } if self.up(&peer) == Some(conn) => {
                share::unfit(self, peer, conn, share, code)?;
            }
            // Only an admitted connection counts; what comes late from an older one is handed over again on the next.
            Input::Luggage { peer, conn, handoff, luggage } if self.up(&peer) == Some(conn) => {
                moving::luggage_came(self, peer, *handoff, luggage)?;
            }
            Input::Unfit { .. } | Input::Luggage { .. } => {}
            Input::Link { peer, event } => peers::link(self, peer, event)?,
            Input::Timer(timer) => match timer {
                Timer::Redial(peer, pause) => peers::redial(self, peer, pause)?,
                Timer::Hello(peer, conn) => peers::hello_late(self, peer, conn),
                Timer::Resend(peer, conn) => share::resend(self, peer, conn)?,
                Timer::Pump(peer) => share::pump_on(self, peer)?,
                Timer::Given => act::late(self)?,
                Timer::Progress => peers::tell(self)?,
                Timer::Expiry(size) => self.engine.expiry.rang(size),
                Timer::Chores => chores::rang(self)?,
                Timer::Leaving => moving::tick(self)?,
                Timer::Due(size) => timer::due(self, size)?,
            },
            Input::Ran(ran) => act::ran(self, *ran)?,
            Input::Ready { component } => {
                self.engine.moving.ready(&component);
                act::ready(self, component)?;
            }
            Input::Worked { key, id, result } => act::worked(self, key, id, result)?,
            Input::NetworkChanged => peers::network_changed(self),
            Input::Disk { free_bytes } => self.engine.disk_free_bytes = free_bytes,
        }
        Ok(())
    }

    /// Nobody waits for more than one reply.
    fn forget(&mut self, token: Token) {
        self.engine.act.forget(token);
        self.engine.share.forget(token);
        self.engine.peers.forget(token);
        self.engine.chores.forget(token);
        self.engine.follow.forget(token);
        self.engine.moving.forget(token);
        self.engine.archive.forget(token);
    }

    fn command(&mut self, token: Token, command: Command) -> Result<(), StoreError> {
        self.replied(token, |s| s.carry_out(token, command))
    }

    /// Does something for a client, and says what came of it. If it is refused, nothing of it remains.
    pub(super) fn replied(
        &mut self,
        token: Token,
        work: impl FnOnce(&mut Self) -> Result<Option<Answer>, Failure>,
    ) -> Result<(), StoreError> {
        let here = self.here();
        let reply = match work(self) {
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
        if self.engine.peers.quarantined {
            peers::allows(&command)?;
        }
        Ok(Some(match command {
            Command::EndQuarantine { without } => return peers::end_quarantine(self, token, &without),
            Command::Import { source, over, scenario } => object::import(self, source, over, &scenario)?,
            Command::Put { key, base, scenario } => object::put(self, &key, base, &scenario)?,
            Command::Create { scenario } => object::create(self, &scenario)?,
            Command::Claim { key } => object::claim(self, &key)?,
            Command::Remove { key } => object::remove_by_client(self, &key)?,
            Command::Keep { key, revision } => object::take(self, &key, &revision)?,
            Command::Discard { key, revision } => object::discard(self, &key, &revision)?,
            Command::Share { key, to, delivered } => return share::share(self, token, key, to, delivered),
            Command::Act { key, at, action, deadline_ms, wait } => {
                return act::act(self, token, act::Wish { key, at, action, deadline_ms, wait });
            }
            Command::Cancel { id, wait } => return act::cancel(self, token, id, wait),
            Command::Drop { home, key, sequence, id } => act::drop_one(self, home, (key, sequence), id)?,
            Command::Move { key, to, leave_calls, without_me, wait } => {
                let wish = moving::Wish { key, to, leave_calls, without_me };
                return moving::begin(self, wish, wait.then_some(token));
            }
            Command::WouldMove { key, to } => return moving::would_move(self, token, key, to),
            Command::Stay { key } => moving::stop(self, key)?,
            Command::Archive { key } => return archive::begin(self, token, key),
            Command::Receipted { key, up_to } => archive::note(self, key, up_to)?,
            Command::GiveUp { peer, key } => share::give_up(self, peer, key)?,
            Command::Standing => Answer::Standing {
                lanes: act::standing(&self.engine.act.waiting),
                damaged: self.engine.parked.list(),
            },
            Command::Follow { key, from } => follow::follow(self, key, from)?,
            Command::FollowInstead { key, at, to } => return follow::hand_on(self, token, key, (at, to)),
            Command::Unfollow { key, from } => follow::unfollow(self, key, from)?,
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
            Command::Grant(grant) => peers::grant(self, grant)?,
            Command::Revoke(grant) => return peers::revoke(self, token, grant),
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
            Frame::Share(parcel) => share::announced(self, peer, conn, parcel),
            Frame::Shared(shared) => share::shared(self, peer, &shared),
            Frame::Follow(follow) => follow::followed(self, peer, conn, &follow),
            Frame::Unfollow(key) => follow::unfollowed(self, peer, conn, key),
            Frame::Following(following) => follow::following(self, peer, &following),
            Frame::FollowInstead(asked) => follow::instead(self, peer, asked),
            Frame::FollowedInstead(said) => follow::handed_on(self, peer, said),
            Frame::Act(act) => home::come(self, peer, act),
            Frame::Outcome(outcome) => act::outcome(self, peer, &outcome),
            Frame::Missing(missing) => act::missing(self, peer, &missing),
            Frame::Need(need) => act::need(self, peer, &need),
            Frame::Entries(said) => object::entries(self, peer, &said),
            Frame::Ahead(asked) => moving::ahead(self, peer, asked),
            Frame::Welcome(said) => moving::welcome(self, peer, &said),
            Frame::Handoff(handoff) => moving::handoff(self, peer, *handoff),
            Frame::Handed(said) => moving::handed(self, peer, &said),
            Frame::Withdraw(said) => moving::withdraw(self, peer, &said),
            Frame::Moved(moved) => moving::told(self, peer, &moved),
            Frame::Guest(said) => {
                act::guest_shown(self, peer, *said);
                Ok(())
            }
            Frame::Heard(said) => moving::heard(self, peer, &said),
            Frame::Archive(said) => archive::archive(self, peer, &said),
            Frame::Archived(said) => archive::archived(self, peer, &said),
            // The shell answers the rest from a snapshot; here it means nothing.
            _ => Ok(()),
        }
    }
}
