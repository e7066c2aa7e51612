//! What the engine can lack to write, and what people and peers are told of it.

use std::path::Path;

use once_core::Refusal;
use once_model::limits::DISK_RESERVE_BYTES;
use once_model::wire::Code;

const MIB: u64 = 1024 * 1024;

/// What the engine lacks to write. Room and files it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lack {
    /// The disk has no room.
    #[error("the disk is full")]
    Room,
    /// No other file can be opened.
    #[error("too many files are open")]
    Files,
    /// The store is damaged, and cannot be written. That does not pass.
    #[error("the store is damaged")]
    Damage,
}

impl Lack {
    /// What is lacking just now. Where the free space cannot be told, the write itself will show it.
    pub fn now(data: &Path) -> Option<Self> {
        match once_store::free_bytes(data) {
            Ok(free) if free < DISK_RESERVE_BYTES => Some(Self::Room),
            _ => (!once_store::can_open_files(data)).then_some(Self::Files),
        }
    }

    /// What whoever wants something written is told.
    pub fn refusal(self, data: &Path) -> Refusal {
        match self {
            Self::Room => {
                let free = once_store::free_bytes(data).unwrap_or(0);
                Refusal::DiskFull { free_mib: free / MIB, reserve_mib: DISK_RESERVE_BYTES / MIB }
            }
            Self::Files => Refusal::OutOfFiles,
            Self::Damage => Refusal::StoreDamaged,
        }
    }

    /// What peers are told.
    pub fn code(self) -> Code {
        match self {
            Self::Room => Code::DiskFull,
            Self::Files | Self::Damage => Code::Busy,
        }
    }
}

/// What a person can do about a full disk.
pub(crate) fn what_to_free(data: &Path) -> String {
    let free = once_store::free_bytes(data).unwrap_or(0);
    let more = DISK_RESERVE_BYTES.saturating_sub(free).div_ceil(MIB).max(1);
    format!(
        "free {more} MiB or more on the disk that holds {}; what is here can be read meanwhile (`once ls`); new work is refused until then, also an \
        action that only looks: each is written down",
        data.display()
    )
}
