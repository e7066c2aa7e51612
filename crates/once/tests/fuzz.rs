//! The seeds of the fuzz targets that need this crate: what `fuzz/` once found stays found.

#![allow(clippy::panic, clippy::expect_used, reason = "helpers of tests fail like tests")]

#[path = "../../../fuzz/replay.rs"]
mod replay;

#[path = "../../../fuzz/fuzz_targets/action.rs"]
mod action;
#[path = "../../../fuzz/fuzz_targets/plan.rs"]
mod plan;
#[path = "../../../fuzz/fuzz_targets/ticket.rs"]
mod ticket;

#[test]
fn actions() {
    replay::replay("action", action::run);
}

#[test]
fn plans() {
    replay::replay("plan", plan::run);
}

#[test]
fn tickets() {
    replay::replay("ticket", ticket::run);
}
