//! Scenario files: finding them, reading them, handing them to a kernel, writing them.

mod import;
mod read;
mod walk;
mod write;

pub use import::{Broken, BrokenInfo, Imported, Summary, import};
pub use read::{read, stdin};
pub use walk::{Found, Skipped, find};
pub use write::{Verdict, Writer, file_name};
