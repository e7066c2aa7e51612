//! What former homes have recorded of an object, kept at its present home: `docs/protocol.md`, 5.7. A kernel that is to be erased
//! gives its part of each history away (`give.rs`), the present home checks and keeps it (`keep.rs`), and whoever reads the history
//! there sees both (`read.rs`). What no other kernel can have, people write down as receipts (`receipted.rs`).

mod give;
mod keep;
mod read;
mod receipted;
mod rows;
mod state;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::any_entry;

pub(crate) use give::{archived, begin, link_down};
pub(crate) use keep::archive;
pub use read::{Left, Written, history, left, receipt, written};
pub(crate) use receipted::note;
pub use rows::{ArchiveRow, ArchivingRow, ReceiptedRow, cost, receipted};
#[cfg(test)]
pub(crate) use state::Giving;
pub(crate) use state::State;
