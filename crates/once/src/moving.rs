//! Moving objects to other kernels.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use once_core::waist::{Answer, Command};
use once_model::ids::{KernelId, ObjectKey};

use crate::error::OrError;
use crate::{Error, Kernel};

/// Builder of a move. Awaiting it waits until the object lives on the other kernel.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// alice.move_to(key, bob).timeout(Duration::from_secs(90)).await?; // lives at bob's
/// alice.move_to(key, bob).leave_calls().without_me().begin().await?; // goes on by itself
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Move {
    kernel: Kernel,
    key: ObjectKey,
    to: KernelId,
    leave_calls: bool,
    without_me: bool,
    timeout: Option<Duration>,
}

impl Move {
    /// Does not wait for calls of the object that have no outcome. It is told `unknown` for each ([`crate::Reply`]), at its new home
    /// or where it stays; they may still run, also after what it asks of the same objects from there. What runs just now, and what
    /// has been answered, still comes to its end first.
    pub fn leave_calls(mut self) -> Self {
        self.leave_calls = true;
        self
    }

    /// Gives this kernel no right to read the object there, and to act on it. Otherwise its clients go on as before, until people
    /// of the other kernel revoke that.
    ///
    /// ```no_run
    /// # async fn run(k: once::Kernel, key: once::ObjectKey, bob: once::KernelId) -> Result<(), once::Error> {
    /// k.move_to(key, bob).without_me().await
    /// # }
    /// ```
    pub fn without_me(mut self) -> Self {
        self.without_me = true;
        self
    }

    /// Stops waiting after this time; the move goes on.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Returns as soon as the wish is durable here, and goes on by itself.
    ///
    /// # Errors
    /// When the object has not its home here, or that kernel is no peer.
    pub async fn begin(self) -> Result<(), Error> {
        self.kernel.command(self.wish(false)).await.map(drop)
    }

    const fn wish(&self, wait: bool) -> Command {
        let Self { key, to, leave_calls, without_me, .. } = *self;
        Command::Move { key, to, leave_calls, without_me, wait }
    }

    async fn run(self) -> Result<(), Error> {
        let moved = self.kernel.command(self.wish(true));
        let answer = match self.timeout {
            None => moved.await,
            Some(after) => tokio::time::timeout(after, moved).await.unwrap_or_else(|_| {
                let (key, to) = (self.key, self.kernel.shared().called(&self.to));
                Err(Error::timeout(format!("object {key} has not arrived at {to} yet"))
                    .with_hint("it goes on; `once moves` shows what it waits for"))
            }),
        };
        match answer? {
            Answer::Moved { .. } => Ok(()),
            other => Err(Error::fault(format!("the engine answered {other:?}"))),
        }
    }
}

impl IntoFuture for Move {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// An object that is about to leave a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Departure {
    /// The object that is leaving.
    pub key: ObjectKey,
    /// The kernel that is to be its home.
    pub to: KernelId,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether it is handed over: from then on only the receiver can say where it lives, and until it does nobody changes it.
    pub is_sealed: bool,
    /// Whether it was taken back after that: the receiver is asked, and says where it lives.
    pub is_withdrawn: bool,
    /// Whether its calls that have no outcome are left behind.
    pub leaves_calls: bool,
}

/// An object that has arrived at a kernel and has not been told so. Until it is, it does nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingArrival {
    /// The object that has come.
    pub key: ObjectKey,
    /// From where; this kernel if it was told that it leaves, and stays.
    pub from: KernelId,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// A move that failed when nobody was waiting for it: the object stays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedMove {
    /// The object that has not moved.
    pub key: ObjectKey,
    /// The kernel that it was to move to.
    pub to: KernelId,
    /// When that was, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why it stays.
    pub why: String,
}

/// An object that has moved, and the kernels that have not heard of its new home yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewsOwed {
    /// The object that has moved.
    pub key: ObjectKey,
    /// Its home, as far as is known here.
    pub home: KernelId,
    /// The peers that have not answered yet: each is told on the next connection.
    pub waits_for: Vec<KernelId>,
}

impl Kernel {
    /// Moves an object that has its home here to another kernel, which must let this one do so (the right `host`) and have
    /// the object's component. What is under way comes to its end first; its state, its history, its timers, the rights on it and
    /// whatever was asked of it go along. Whoever names it as before finds it.
    ///
    /// Awaiting it returns when the object lives there. Dropping it does not stop the move.
    ///
    /// # Errors
    /// When the object has not its home here or is removed, that kernel is no peer or does not take it, or something was
    /// under way for a minute.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, bob: once::KernelId) -> Result<(), once::Error> {
    /// alice.move_to(key, bob).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn move_to(&self, key: ObjectKey, to: KernelId) -> Move {
        Move { kernel: self.clone(), key, to, leave_calls: false, without_me: false, timeout: None }
    }

    /// The objects that are about to leave this kernel.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for departure in alice.moves()? {
    ///     println!("{} leaves for {}", departure.key, departure.to);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn moves(&self) -> Result<Vec<Departure>, Error> {
        let all = once_core::moving::departures(&self.shared().snapshot()).or_error()?;
        let one = |departure: once_core::moving::Departure| Departure {
            key: departure.key,
            to: departure.to,
            since_ms: departure.since_ms,
            is_sealed: departure.sealed,
            is_withdrawn: departure.withdrawn,
            leaves_calls: departure.leave_calls,
        };
        Ok(all.into_iter().map(one).collect())
    }

    /// The objects that have come here, and whose component wants to be told so and was not yet: it could not be asked.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for arrival in alice.arrivals()? {
    ///     println!("{} came from {}", arrival.key, arrival.from);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn arrivals(&self) -> Result<Vec<PendingArrival>, Error> {
        let all = once_core::moving::arrivals(&self.shared().snapshot()).or_error()?;
        let one = |arrival: once_core::moving::Arrival| PendingArrival {
            key: arrival.key,
            from: arrival.from,
            since_ms: arrival.since_ms,
        };
        Ok(all.into_iter().map(one).collect())
    }

    /// The objects that were to move, or wanted to by themselves, and stay without anybody having been told. Each is listed until it is
    /// about to leave again, or [`Kernel::withdraw_move`] says that this was seen.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for failed in alice.stayed()? {
    ///     println!("{} stays: {}", failed.key, failed.why);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stayed(&self) -> Result<Vec<FailedMove>, Error> {
        let all = once_core::moving::stayed(&self.shared().snapshot()).or_error()?;
        let one = |(key, row): (ObjectKey, once_core::moving::StayedRow)| {
            let once_core::moving::StayedRow { to, at_ms, why } = row;
            FailedMove { key, to, at_ms, why }
        };
        Ok(all.into_iter().map(one).collect())
    }

    /// The objects that have moved from here, with where they are now; and of these and of those that have come here, which peers
    /// have not heard of it yet.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for news in alice.news_owed().await? {
    ///     println!("{} is at {}, {} peers do not know yet", news.key, news.home, news.waits_for.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn news_owed(&self) -> Result<Vec<NewsOwed>, Error> {
        let (snapshot, me) = (self.shared().snapshot(), self.id());
        let looked = crate::beside::wait_for(move || once_core::moving::news(&snapshot, &me));
        let all = looked.await.map_err(|_| Error::fault("listing the news panicked"))?.or_error()?;
        let one = |news: once_core::moving::News| NewsOwed {
            key: news.key,
            home: news.home,
            waits_for: news.waits_for,
        };
        Ok(all.into_iter().map(one).collect())
    }

    /// Takes a move back, or has seen that an object did not move. True if the object stays. False if it is handed over already: then the receiver is asked, now and on each
    /// new connection, and the object stays where it is if the receiver has not taken it by then.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// if alice.withdraw_move(key).await? {
    ///     println!("it stays");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is not about to leave, and not listed as one that stays.
    pub async fn withdraw_move(&self, key: ObjectKey) -> Result<bool, Error> {
        Ok(self.command(Command::Stay { key }).await? == Answer::Done)
    }
}
