//! What a kernel tells of an object.

use std::ops::ControlFlow;

use once_core::object::HeadRow;
use once_core::store::{Read, StoreError};
use once_model::ids::{Hash, Incarnation, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::ior::{Ior, OnceIor};

use crate::Error;
use crate::api::contract::ObjectState;
use crate::error::OrError;

/// One snapshot, and what decides in it how objects stand here: the one place where that is decided.
pub(crate) struct Standpoint<'a> {
    rows: &'a dyn Read,
    me: KernelId,
    /// The kernel was put back, and has not heard its peers yet: it changes nothing.
    is_quarantined: bool,
    /// The life that it began after it had been put back.
    reborn_as: Option<Incarnation>,
}

impl<'a> Standpoint<'a> {
    /// As of a snapshot.
    pub(crate) fn of(rows: &'a dyn Read, me: KernelId) -> Result<Self, StoreError> {
        let is_quarantined = once_core::quarantine(rows)?.is_some();
        let identity = once_core::meta::identity(rows)?.filter(|identity| !identity.ended.is_empty());
        Ok(Self { rows, me, is_quarantined, reborn_as: identity.map(|identity| identity.incarnation) })
    }

    /// Whether this kernel is in quarantine.
    pub(crate) const fn is_quarantined(&self) -> bool {
        self.is_quarantined
    }

    /// Whether this kernel has a new life since it was put back.
    pub(crate) const fn is_reborn(&self) -> bool {
        self.reborn_as.is_some()
    }

    /// The snapshot.
    pub(crate) fn rows(&self) -> &'a dyn Read {
        self.rows
    }

    /// How an object with this home stands here.
    pub(crate) fn state(&self, key: &ObjectKey, home: Option<KernelId>) -> Result<ObjectState, StoreError> {
        match home {
            None => return Ok(ObjectState::Unclaimed),
            Some(home) if home != self.me => return Ok(ObjectState::Replica),
            Some(_) if self.is_quarantined => return Ok(ObjectState::ReadOnly),
            Some(_) => {}
        }
        if let Some(now) = &self.reborn_as
            && once_core::object::is_of_another_life(self.rows, key, now)?
        {
            return Ok(ObjectState::ReadOnly);
        }
        Ok(match once_core::moving::is_leaving(self.rows, key)? {
            None => ObjectState::Home,
            Some(false) => ObjectState::Leaving,
            Some(true) => ObjectState::Sealed,
        })
    }

    /// How many objects are only read here, after a loss.
    pub(crate) fn count_read_only(&self) -> Result<u64, StoreError> {
        if !self.is_quarantined && self.reborn_as.is_none() {
            return Ok(0);
        }
        let (mut count, mut failed) = (0, None);
        once_core::object::heads(self.rows, &mut |head| {
            match self.state(&head.header.key(), head.home) {
                Ok(state) => count += u64::from(state == ObjectState::ReadOnly && !head.header.tombstone),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(count), Err)
    }

    /// An object with its state.
    pub(crate) fn object(&self, row: HeadRow) -> Result<Object, StoreError> {
        let key = row.header.key();
        let state = self.state(&key, row.home)?;
        // Nothing is kept beside what nobody has changed.
        let beside = match state {
            ObjectState::Unclaimed => 0,
            _ => once_core::object::count_beside(self.rows, &key)?,
        };
        Ok(Object { row, state, beside })
    }
}

/// One object as a kernel holds it: the newest revision known there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub(crate) row: HeadRow,
    state: ObjectState,
    beside: u64,
}

impl Object {
    /// As of one snapshot. For several objects of one snapshot: [`Standpoint`].
    pub(crate) fn new(rows: &dyn Read, row: HeadRow, me: KernelId) -> Result<Self, Error> {
        Standpoint::of(rows, me).and_then(|here| here.object(row)).or_error()
    }

    /// Its identity: UUID + line.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.row.header.key()
    }

    /// The UUID that the object shares with all of its revisions.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.row.header.uuid
    }

    /// Its lineage, once claimed.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        self.row.header.lineage
    }

    /// The component named in the scenario, or empty.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.row.header.component
    }

    /// The component's version, or empty.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.row.header.version
    }

    /// Raised by each change of home; 0 for an unclaimed object.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.row.header.epoch
    }

    /// Counts the changes; 0 for an unclaimed object.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.row.header.revision
    }

    /// The hash of the newest revision's header.
    #[must_use]
    pub fn revision_id(&self) -> Hash {
        self.row.header.id()
    }

    /// BLAKE3 of the scenario's bytes.
    #[must_use]
    pub fn content(&self) -> Hash {
        self.row.header.content
    }

    /// The scenario's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.row.header.size
    }

    /// Whether it was removed.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.row.header.tombstone
    }

    /// Its home, once claimed.
    #[must_use]
    pub fn home(&self) -> Option<KernelId> {
        self.row.home
    }

    /// The peer that sent it, if one did.
    #[must_use]
    pub fn from(&self) -> Option<KernelId> {
        self.row.from
    }

    /// How it stands here, as of when it was read.
    #[must_use]
    pub fn state(&self) -> ObjectState {
        self.state
    }

    /// How many revisions are kept beside it, for people to decide ([`crate::Kernel::keep_conflict`]).
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.beside
    }

    /// Its reference. `at` says where the home can be reached, if the caller knows.
    #[must_use]
    pub fn ior(&self, at: &[String]) -> Ior {
        let header = &self.row.header;
        let parts = OnceIor {
            home: self.row.home,
            component: header.component.clone(),
            version: header.version.clone(),
            lineage: header.lineage,
            content: header.lineage.is_none().then_some(header.content),
            at: at.to_vec(),
            ..OnceIor::new(header.uuid)
        };
        // Names that no IOR can hold leave at least the identity.
        let bare = || Ior::bare(header.uuid);
        let nameless = || {
            Ior::once(&OnceIor {
                component: String::new(),
                version: String::new(),
                at: Vec::new(),
                ..parts.clone()
            })
        };
        Ior::once(&parts).or_else(|_| nameless()).unwrap_or_else(|_| bare())
    }
}

/// Digits of a lineage or hash that tell two objects of one UUID apart.
const SHORT_DIGITS: usize = 12;

/// A key as people can write it: the UUID, and of lineage or hash as much as tells two of them apart.
pub(crate) fn short_key(key: &ObjectKey) -> String {
    let whole = key_text(key);
    let end = key.uuid.to_string().len() + 1 + SHORT_DIGITS;
    whole.get(..end).unwrap_or(&whole).to_owned()
}

/// A key as text that the local API reads back: `UUID#LINEAGE` of a claimed object, `UUID@HASH` of an unclaimed one.
#[must_use]
pub fn key_text(key: &ObjectKey) -> String {
    match key.line {
        Line::Claimed(lineage) => format!("{}#{lineage}", key.uuid),
        Line::Unclaimed(hash) => format!("{}@{hash}", key.uuid),
    }
}
