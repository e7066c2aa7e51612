//! What a kernel tells of an object.

use once_core::object::HeadRow;
use once_model::ids::{Hash, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::ior::{Ior, OnceIor};

/// Where an object stands on this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// This kernel is its home and may change it.
    Home,
    /// A copy; another kernel is its home.
    Replica,
    /// Imported and never changed: nobody's yet.
    Unclaimed,
}

impl State {
    /// Of an object with this home, on this kernel.
    pub(crate) fn of(home: Option<KernelId>, me: KernelId) -> Self {
        match home {
            None => Self::Unclaimed,
            Some(home) if home == me => Self::Home,
            Some(_) => Self::Replica,
        }
    }

    /// Its name: `home`, `replica` or `unclaimed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Replica => "replica",
            Self::Unclaimed => "unclaimed",
        }
    }
}

/// One object as a kernel holds it: the newest revision known there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub(crate) row: HeadRow,
    me: KernelId,
}

impl Object {
    pub(crate) fn new(row: HeadRow, me: KernelId) -> Self {
        Self { row, me }
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

    /// Where it stands here.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(self.row.home, self.me)
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
