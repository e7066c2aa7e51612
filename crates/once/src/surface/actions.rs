//! Actions afterwards: taking them back, what was recorded of them, and the proof of it.

use std::time::Duration;

use once_core::waist::Command;
use once_model::ids::{ObjectKey, Uuid};
use once_model::receipt::Receipt;

use super::awaited;
use crate::acting::{cancelled, unknown};
use crate::api::contract::{self, HistoryResult};
use crate::api::{history, names};
use crate::kernel::PATIENCE;
use crate::{ActionResult, Error, Kernel};

/// Receipts of one object in one answer, unless another number is asked for.
const RECEIPTS: usize = 256;

/// Builder of a cancellation. Awaiting it waits for what the action's home says; [`Cancel::send`] does not.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// alice.cancel(id).timeout(Duration::from_secs(30)).await?; // says whether it was in time
/// alice.cancel(id).send().await?; // only writes down that it is not wanted
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Cancel {
    kernel: Kernel,
    id: Uuid,
    timeout: Option<Duration>,
}

impl Cancel {
    /// Stops waiting for the home after this time. The action stays unwanted.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Returns when it is durable here that the action is not wanted, without waiting for its home.
    ///
    /// # Errors
    /// When no action of that id was accepted here.
    pub async fn send(self) -> Result<(), Error> {
        self.kernel.command(Command::Cancel { id: self.id, wait: false }).await.map(drop)
    }

    async fn run(self) -> Result<ActionResult, Error> {
        let Self { kernel, id, timeout } = self;
        let answer = kernel.command(Command::Cancel { id, wait: true });
        let answer = match timeout {
            None => answer.await?,
            Some(after) => tokio::time::timeout(after, answer).await.map_err(|_| unknown(id))??,
        };
        cancelled(id, answer)
    }
}

/// Builder of a request for a receipt. Awaiting it returns the receipt, signed and checked.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let receipt = alice.receipt(id).timeout(Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ReceiptRequest {
    kernel: Kernel,
    id: Uuid,
    timeout: Duration,
}

impl ReceiptRequest {
    /// Stops waiting for each home that is asked after this time. Default: 10 s.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = after;
        self
    }

    async fn run(self) -> Result<Receipt, Error> {
        self.kernel.proof(self.id, self.timeout).await
    }
}

/// Builder of receipts of an object's history. Awaiting it returns a page of them, oldest first.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
/// let first = alice.receipts(key).limit(50).await?;
/// let rest = alice.receipts(key).after(50).await?; // of the entries from number 51 on
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Receipts {
    kernel: Kernel,
    key: ObjectKey,
    after: u64,
    limit: usize,
}

impl Receipts {
    /// Begins behind the entry of this number: the last one of the page before.
    pub fn after(mut self, number: u64) -> Self {
        self.after = number;
        self
    }

    /// At most so many. Default: 256.
    pub fn limit(mut self, receipts: usize) -> Self {
        self.limit = receipts;
        self
    }

    async fn run(self) -> Result<Vec<Receipt>, Error> {
        self.kernel.signed_entries(self.key, self.after, self.limit).await
    }
}

/// Builder of a look into an object's history. Awaiting it returns the page, and where the next one begins.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
/// let newest = alice.history(key).newest_first().limit(10).await?;
/// let between = alice.history(key).after(100).before(200).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct History {
    kernel: Kernel,
    params: contract::History,
}

impl History {
    /// Only entries behind this number.
    pub fn after(mut self, number: u64) -> Self {
        self.params.after = Some(number);
        self
    }

    /// Only entries before this number.
    pub fn before(mut self, number: u64) -> Self {
        self.params.before = Some(number);
        self
    }

    /// At most so many. Default: 100.
    pub fn limit(mut self, entries: usize) -> Self {
        self.params.limit = Some(entries);
        self
    }

    /// The newest entry first, instead of the oldest.
    pub fn newest_first(mut self) -> Self {
        self.params.newest_first = true;
        self
    }

    async fn run(self) -> Result<HistoryResult, Error> {
        history::history(&self.kernel, &self.params)
    }
}

awaited! {
    Cancel => ActionResult;
    ReceiptRequest => Receipt;
    Receipts => Vec<Receipt>;
    History => HistoryResult;
}

impl Kernel {
    /// Takes back an action that was accepted here. Awaiting it fails with [`crate::ErrorKind::Cancelled`] if the action had not run
    /// and never will; otherwise it was too late, and its outcome is returned.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
    /// use std::time::Duration;
    /// use once::ErrorKind;
    ///
    /// match alice.cancel(id).timeout(Duration::from_secs(10)).await {
    ///     Err(error) if error.kind() == ErrorKind::Cancelled => println!("it never ran"),
    ///     Err(error) => return Err(error),
    ///     Ok(_) => println!("too late"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no action of that id was accepted here, when it was in time, or when the home does not answer within the time.
    pub fn cancel(&self, id: Uuid) -> Cancel {
        Cancel { kernel: self.clone(), id, timeout: None }
    }

    /// A receipt for an action that was accepted here: signed by the object's home, over the network if that is another
    /// kernel. [`Receipt::verify`] needs only the home's key.
    ///
    /// A home signs what it has recorded itself. So of an object that has moved, each of its homes is asked in turn: first
    /// the one that said the outcome.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
    /// let receipt = alice.receipt(id).await?;
    /// println!("entry {} at {}", receipt.entry.number, receipt.home);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no action of that id was accepted here, it has no outcome yet, no home recorded anything of it (it was
    /// refused for want of a right, or is long over), or none that may have can be reached within the time.
    pub fn receipt(&self, id: Uuid) -> ReceiptRequest {
        ReceiptRequest { kernel: self.clone(), id, timeout: PATIENCE }
    }

    /// Receipts of what is kept here of an object's history, also if it lives elsewhere now. Each proves by itself what was done, also
    /// when this kernel is gone.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// for receipt in alice.receipts(key).limit(100).await? {
    ///     println!("{}", receipt.entry.number);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn receipts(&self, key: ObjectKey) -> Receipts {
        Receipts { kernel: self.clone(), key, after: 0, limit: RECEIPTS }
    }

    /// What is kept here of an object's history: who did what, with which arguments and which result. Each entry has the hash of the
    /// one before. What former homes have given to this kernel is part of it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// for entry in alice.history(key).newest_first().limit(10).await?.entries {
    ///     println!("{} by {}", entry.name.unwrap_or_default(), entry.origin_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the object is not here, its history is at another kernel, or the store cannot be read.
    pub fn history(&self, key: ObjectKey) -> History {
        let object = names::key_text(&key);
        History { kernel: self.clone(), params: contract::History { object, ..contract::History::default() } }
    }
}
