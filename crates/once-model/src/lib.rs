//! The nouns of the ONCE engine: scenarios and the references between them, the headers, certificates and signatures
//! that say whose they are, and the frames in which they travel.
//!
//! Nothing here does I/O or reads a clock, and nothing here panics on bytes from outside.

pub mod action;
pub mod cbor;
pub mod certificate;
pub mod code;
pub mod find;
pub mod hash;
pub mod header;
pub mod ids;
pub mod ior;
pub mod json;
pub mod limits;
pub mod moving;
pub mod progress;
pub mod receipt;
pub mod references;
pub mod scenario;
pub mod sign;
pub mod wire;
