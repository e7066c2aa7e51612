//! Comparing what two kernels have, so that only what is missing travels, and answering what they ask of each other's
//! objects.

mod answer;
mod compare;
mod items;
#[cfg(test)]
mod tests;

pub use answer::{answer, entries, is_quick, parcel, pull_bytes, pulled};
pub use compare::{CompareError, Comparison, Difference, Items, missing, newest, respond, wanted};
pub use items::items;
pub(crate) use items::{front, items_in};
