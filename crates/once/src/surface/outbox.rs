//! What this kernel owes to others and waits for, and giving it up.

use once_model::ids::{KernelId, ObjectKey, Uuid};

use super::awaited;
use crate::api::contract::{DroppedAction, OutboxResult};
use crate::api::{outbox, standing};
use crate::{Error, Kernel};

/// Builder of giving up what a peer is owed. Awaiting it gives that up, and returns how many objects it was.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
/// alice.drop_debts(bob).of(key).await?; // this object
/// alice.drop_debts(bob).await?; // all that bob is owed
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct DropDebts {
    kernel: Kernel,
    peer: KernelId,
    object: Option<ObjectKey>,
}

impl DropDebts {
    /// This object only.
    pub fn of(mut self, object: ObjectKey) -> Self {
        self.object = Some(object);
        self
    }

    async fn run(self) -> Result<u64, Error> {
        outbox::give_up_debts(&self.kernel, self.peer, self.object).await
    }
}

awaited! {
    DropDebts => u64;
}

impl Kernel {
    /// What this kernel still owes to others, the actions that have no outcome, and the work outside that is not done.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let outbox = alice.outbox().await?;
    /// println!("{} actions wait", outbox.acts.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn outbox(&self) -> Result<OutboxResult, Error> {
        outbox::list(self).await
    }

    /// Gives up what a peer is owed, because that peer is gone for good or denies this kernel: objects that were shared with it and have
    /// not arrived.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// println!("{} given up", alice.drop_debts(bob).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When one object is named, and the peer is not owed it.
    pub fn drop_debts(&self, peer: KernelId) -> DropDebts {
        DropDebts { kernel: self.clone(), peer, object: None }
    }

    /// Gives up an action that its lane cannot get past. Whether it ran is not known then, and nobody will ever know.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
    /// alice.drop_action(id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no action of that id waits here, or nothing hinders it.
    pub async fn drop_action(&self, id: Uuid) -> Result<DroppedAction, Error> {
        standing::drop_action(self, id).await
    }
}
