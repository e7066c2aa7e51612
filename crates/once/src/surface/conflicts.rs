//! Conflicts: what is kept beside an object, and deciding about it.

use once_core::waist::Command;
use once_model::ids::{Hash, ObjectKey};

use super::awaited;
use crate::api::{conflicts, contract};
use crate::object::key_text;
use crate::{Change, Error, Kernel, Object, ObjectState};

/// Builder of a listing of conflicts. Awaiting it returns the page, and where the next one begins.
///
/// ```no_run
/// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
/// let mut page = alice.conflicts().limit(20).await?;
/// while let Some(next) = page.next.take() {
///     page = alice.conflicts().limit(20).after(next).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Conflicts {
    kernel: Kernel,
    params: contract::Conflicts,
}

impl Conflicts {
    /// Begins behind the [`contract::ConflictsResult::next`] of another page.
    pub fn after(mut self, next: impl Into<String>) -> Self {
        self.params.after = Some(next.into());
        self
    }

    /// At most so many.
    pub fn limit(mut self, conflicts: usize) -> Self {
        self.params.limit = Some(conflicts);
        self
    }

    async fn run(self) -> Result<contract::ConflictsResult, Error> {
        conflicts::list(&self.kernel, &self.params)
    }
}

awaited! {
    Conflicts => contract::ConflictsResult;
}

impl Kernel {
    /// What is in conflict here: objects that share a UUID, and revisions that are kept beside an object. Without options all of it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for conflict in alice.conflicts().limit(100).await?.conflicts {
    ///     println!("{:?}: {} versions", conflict.reason, conflict.objects.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn conflicts(&self) -> Conflicts {
        Conflicts { kernel: self.clone(), params: contract::Conflicts::default() }
    }

    /// Makes what is kept beside an object its next revision: `revision` is the id of what is kept.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, kept: once::model::ids::Hash) -> Result<(), once::Error> {
    /// let (object, _) = alice.keep_conflict(key, kept).await?;
    /// println!("revision {}", object.revision());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When nothing of that id is kept, or this kernel is not the object's home.
    pub async fn keep_conflict(&self, key: ObjectKey, revision: Hash) -> Result<(Object, Change), Error> {
        self.change(Command::Keep { key, revision }).await
    }

    /// Drops what is kept beside an object: `revision` is the id of what is kept.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, kept: once::model::ids::Hash) -> Result<(), once::Error> {
    /// alice.drop_conflict(key, kept).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When nothing of that id is kept.
    pub async fn drop_conflict(&self, key: ObjectKey, revision: Hash) -> Result<(Object, Change), Error> {
        self.change(Command::Discard { key, revision }).await
    }

    /// Drops the copy here of an object that is only read since a backup was put back ([`ObjectState::ReadOnly`]), with what was
    /// recorded of it. Nobody else is told: others may have more of it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// alice.drop_read_only(key).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the object is not here, or is not only read here.
    pub async fn drop_read_only(&self, key: ObjectKey) -> Result<(Object, Change), Error> {
        let absent = || Error::not_found(format!("no object {key} on this kernel"));
        let object = self.get(key)?.ok_or_else(absent)?;
        if object.state() != ObjectState::ReadOnly {
            let (state, key) = (object.state().name(), key_text(&key));
            return Err(Error::usage(format!("{key} is not only read here: its state is {state}"))
                .with_hint(format!("`once rm {key}` removes it")));
        }
        self.change(Command::Discard { key: object.key(), revision: object.row.header.id() }).await
    }
}
