//! Moving everything away: what has its home here moves to another kernel, and what is only kept here is shared with it.
//!
//! Nothing of this is written down but the moves and the shares themselves, which go on by themselves once they are begun. So
//! a drain that was interrupted goes on when it is asked for again: what has arrived is passed over.

mod done;
mod follows;
mod moves;
mod shares;
mod watch;

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use once_core::store::{Read, StoreError, Table};
use once_core::{Refusal, object, peers};
use once_model::ids::{KernelId, ObjectKey};

use crate::error::{IntoError, OrError};
use crate::{Departure, Error, Kernel, beside, would_move};
use done::End;
pub use done::{DrainProgress, DrainReport};
use watch::Watch;

/// How long the other kernel is waited for when it is asked to follow something, unless the caller says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Builder of a drain. Awaiting it waits until everything is there or cannot go.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let drain = alice.drain(bob).leave_calls().timeout(Duration::from_secs(90));
/// let report = drain.watch(|progress| println!("{progress:?}")).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Drain {
    kernel: Kernel,
    to: KernelId,
    leave_calls: bool,
    patience: Option<Duration>,
}

impl Drain {
    /// Does not wait for calls of the objects that have no outcome ([`crate::Move::leave_calls`]).
    pub fn leave_calls(mut self) -> Self {
        self.leave_calls = true;
        self
    }

    /// Stops waiting when nothing has arrived for this time. What has begun goes on.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.patience = Some(after);
        self
    }

    /// Like awaiting it, and tells of its progress.
    ///
    /// ```no_run
    /// # async fn run(old: once::Kernel, new: once::KernelId) -> Result<(), once::Error> {
    /// let drained = old.drain(new).watch(|progress| println!("{} of {}", progress.done, progress.total)).await?;
    /// println!("{} moved", drained.moved);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that kernel is no peer, or the store cannot be read.
    pub async fn watch(self, tell: impl Fn(DrainProgress) + Send + Sync) -> Result<DrainReport, Error> {
        self.watched(&tell).await
    }

    pub(crate) async fn watched(
        self,
        progress: &(dyn Fn(DrainProgress) + Send + Sync),
    ) -> Result<DrainReport, Error> {
        let Self { kernel, to, leave_calls, patience } = self;
        if to == kernel.id() {
            return Err(Refusal::Myself.into_error());
        }
        if peers::peer(&kernel.shared().snapshot(), &to).or_error()?.is_none() {
            return Err(Refusal::NoPeer(to).into_error());
        }
        let plan = Plan::of(&kernel, to).await?;
        let mut watch = Watch::new(&kernel, to, patience, progress);
        let mut done = DrainReport::default();
        let end = moves::run(&mut watch, plan.moves, leave_calls, &mut done).await?;
        done.ended(end);
        if end != Some(End::Cancelled) {
            // Who cannot be reached is not waited for again.
            let end = shares::run(&mut watch, plan.shares, end.is_none(), &mut done).await?;
            done.ended(end);
        }
        if end != Some(End::Cancelled) {
            let all = subscriptions(&kernel)?;
            follows::run(&kernel, to, patience.unwrap_or(PATIENCE), all, &mut done).await;
        }
        let elsewhere = |(_, at): &(ObjectKey, KernelId)| *at != to;
        done.follows = subscriptions(&kernel)?.into_iter().filter(elsewhere).collect();
        Ok(done)
    }
}

impl IntoFuture for Drain {
    type Output = Result<DrainReport, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.watched(&|_| {}).await })
    }
}

/// What a drain would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainPlan {
    /// What has its home here, and its component.
    pub moves: Vec<(ObjectKey, String)>,
    /// What is only kept here.
    pub shares: Vec<ObjectKey>,
    /// What this kernel follows at others.
    pub follows: Vec<(ObjectKey, KernelId)>,
    /// Which of the objects would not go, and why: the other kernel was asked for each. Room is asked for each alone.
    pub stuck: Vec<(ObjectKey, Error)>,
    /// Why the other kernel was not asked, or not for all of them.
    pub unasked: Option<Error>,
}

/// What there is to do, without asking anybody.
pub(crate) async fn plan(kernel: &Kernel, to: KernelId) -> Result<DrainPlan, Error> {
    let Plan { moves, shares } = Plan::of(kernel, to).await?;
    let follows = subscriptions(kernel)?.into_iter().filter(|(_, at)| *at != to).collect();
    Ok(DrainPlan { moves: moves.into_iter().collect(), shares, follows, ..DrainPlan::default() })
}

/// What a cancelled drain leaves: objects that stay, and those that are handed over already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainCancellation {
    /// What stays here.
    pub stays: Vec<ObjectKey>,
    /// What is handed over already: only its receiver can say where it lives.
    pub sealed: Vec<Departure>,
}

impl Kernel {
    /// Moves everything away: each object that has its home here moves to another kernel, and each unclaimed copy and replica
    /// is shared with it. Awaiting it returns when everything is there or cannot go; dropping it begins no further move.
    ///
    /// # Errors
    /// When that kernel is no peer, or the store cannot be read.
    ///
    /// ```no_run
    /// # async fn run(old: once::Kernel, new: once::KernelId) -> Result<(), once::Error> {
    /// let drained = old.drain(new).await?;
    /// for (object, why) in &drained.stuck {
    ///     println!("{object} stays: {why}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self, to: KernelId) -> Drain {
        Drain { kernel: self.clone(), to, leave_calls: false, patience: None }
    }

    /// What a drain to another kernel would do. That kernel is asked what it would take, and nothing moves.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// let plan = alice.drain_plan(bob).await?;
    /// println!("{} move, {} are shared", plan.moves.len() - plan.stuck.len(), plan.shares.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn drain_plan(&self, to: KernelId) -> Result<DrainPlan, Error> {
        let planned = plan(self, to).await?;
        let asked = would_move::ask(self, to, planned.moves.iter().map(|(key, _)| *key).collect()).await;
        Ok(DrainPlan { stuck: asked.refused, unasked: asked.unasked, ..planned })
    }

    /// Ends drains, to one kernel or to all: what is not handed over stays.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let cancelled = alice.cancel_drain(None).await?;
    /// println!("{} stay", cancelled.stays.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn cancel_drain(&self, to: Option<KernelId>) -> Result<DrainCancellation, Error> {
        self.shared().drains_cancelled.fetch_add(1, Ordering::Relaxed);
        let mut done = DrainCancellation::default();
        for departing in self.moves()?.into_iter().filter(|one| to.is_none_or(|to| to == one.to)) {
            if departing.is_sealed {
                done.sealed.push(departing);
                continue;
            }
            match self.withdraw_move(departing.key).await {
                Ok(true) => done.stays.push(departing.key),
                // It was handed over just now: its receiver is asked.
                Ok(false) => {
                    done.sealed.push(Departure { is_sealed: true, is_withdrawn: true, ..departing });
                }
                // It has arrived, or was refused meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// What there is to do.
#[derive(Debug, Default)]
struct Plan {
    moves: BTreeMap<ObjectKey, String>,
    shares: Vec<ObjectKey>,
}

impl Plan {
    async fn of(kernel: &Kernel, to: KernelId) -> Result<Self, Error> {
        let (snapshot, me) = (kernel.shared().snapshot(), kernel.id());
        let looked = beside::wait_for(move || Self::look(&snapshot, me, to)).await;
        looked.map_err(|_| Error::fault("listing the objects panicked"))?.or_error()
    }

    fn look(rows: &dyn Read, me: KernelId, to: KernelId) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        object::heads(rows, &mut |row| {
            let key = row.header.key();
            match row.home {
                _ if row.header.tombstone => {}
                Some(home) if home == me => drop(plan.moves.insert(key, row.header.component)),
                Some(home) if home == to => {}
                _ => plan.shares.push(key),
            }
            ControlFlow::Continue(())
        })?;
        Ok(plan)
    }
}

/// Shares what is only kept here with another kernel, and waits until it has answered for each, or nothing comes any more.
pub(crate) async fn share_copies(
    kernel: &Kernel,
    to: KernelId,
    patience: Duration,
) -> Result<DrainReport, Error> {
    let plan = Plan::of(kernel, to).await?;
    let mut done = DrainReport::default();
    let mut watch = Watch::new(kernel, to, Some(patience), &|_| {});
    shares::run(&mut watch, plan.shares, true, &mut done).await?;
    Ok(done)
}

/// What this kernel follows, and where.
pub(crate) fn subscriptions(kernel: &Kernel) -> Result<Vec<(ObjectKey, KernelId)>, Error> {
    let mut found = Vec::new();
    kernel
        .shared()
        .snapshot()
        .scan(Table::Subscription, &[], None, &mut |row, _| {
            let at = row.get(..KernelId::LEN).and_then(KernelId::from_slice);
            found.extend(row.get(KernelId::LEN..).and_then(ObjectKey::from_row).zip(at));
            ControlFlow::Continue(())
        })
        .or_error()?;
    Ok(found)
}
