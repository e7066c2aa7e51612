//! Comparing with a peer, and what is followed.

use std::time::Duration;

use once_model::ids::KernelId;

use super::awaited;
use crate::api::{contract, transfer};
use crate::kernel::PATIENCE;
use crate::{Error, ErrorKind, Kernel, Progress, Report, net};

/// Builder of an exchange. Awaiting it returns when each kernel has what the other one lets it have.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let report = alice.exchange(bob).timeout(Duration::from_secs(60)).await?;
/// let report = alice.exchange(bob).watch(|progress| println!("{progress:?}")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Exchange {
    kernel: Kernel,
    peer: KernelId,
    timeout: Option<Duration>,
}

impl Exchange {
    /// Stops waiting after this time. What came by then is kept.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Like awaiting it, telling how far it is.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// let report = alice.exchange(bob).watch(|progress| println!("{} of {}", progress.done, progress.total)).await?;
    /// println!("{} received", report.received);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the peer cannot be reached or breaks off, or the time is up. What came by then is kept.
    pub async fn watch(self, tell: impl Fn(Progress) + Send + Sync) -> Result<Report, Error> {
        self.watched(&tell).await
    }

    pub(crate) async fn watched(self, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Report, Error> {
        let Some(after) = self.timeout else { return self.whole(tell).await };
        tokio::time::timeout(after, self.whole(tell)).await.map_err(|_| {
            Error::timeout(format!("the exchange did not end within {} ms", after.as_millis()))
                .with_hint("what came so far is kept")
        })?
    }

    async fn whole(&self, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Report, Error> {
        let Self { kernel, peer, .. } = self;
        let session = kernel.session(*peer, PATIENCE).await?;
        match net::initiate(kernel.online()?, &session, tell).await {
            // The peer had gone without a word: what it said since is on a new connection.
            Err(error)
                if session.connection.close_reason().is_some() && error.kind() == ErrorKind::Unreachable =>
            {
                let session = kernel.session(*peer, PATIENCE).await?;
                net::initiate(kernel.online()?, &session, tell).await
            }
            done => done,
        }
    }

    async fn run(self) -> Result<Report, Error> {
        self.watched(&|_| {}).await
    }
}

awaited! {
    Exchange => Report;
}

impl Kernel {
    /// Compares with a peer and exchanges what is missing on either side, as far as rights go. Only what is missing travels.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// let report = alice.exchange(bob).await?;
    /// println!("{} received, {} sent", report.received, report.sent);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the peer cannot be reached or breaks off. What came by then is kept.
    pub fn exchange(&self, peer: KernelId) -> Exchange {
        Exchange { kernel: self.clone(), peer, timeout: None }
    }

    /// What this kernel follows at others, and who follows what here.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let follows = alice.follows()?;
    /// println!("{} followed, {} followers", follows.following.len(), follows.followers.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn follows(&self) -> Result<contract::FollowsResult, Error> {
        transfer::follows(self)
    }
}
