//! The seeds of the fuzz targets that need only this crate: what `fuzz/` once found stays found.

#![allow(clippy::panic, clippy::expect_used, reason = "helpers of tests fail like tests")]

#[path = "../../../fuzz/replay.rs"]
mod replay;

#[path = "../../../fuzz/fuzz_targets/edit.rs"]
mod edit;
#[path = "../../../fuzz/fuzz_targets/frame.rs"]
mod frame;
#[path = "../../../fuzz/fuzz_targets/ior.rs"]
mod ior;
#[path = "../../../fuzz/fuzz_targets/scenario.rs"]
mod scenario;

#[test]
fn edits() {
    replay::replay("edit", edit::run);
}

#[test]
fn frames() {
    replay::replay("frame", frame::run);
}

#[test]
fn references() {
    replay::replay("ior", ior::run);
}

#[test]
fn scenarios() {
    replay::replay("scenario", scenario::run);
}
