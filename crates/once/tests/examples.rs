//! The examples run, and what they say is true: each checks itself.

#[path = "../../../examples/field-team.rs"]
mod field_team;
#[path = "../../../examples/transfer.rs"]
mod transfer;

#[test]
fn the_transfer_is_done_or_undone() {
    transfer::main().unwrap();
}

#[test]
fn the_field_team_comes_back() {
    field_team::main().unwrap();
}
