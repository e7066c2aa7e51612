//! The `once` command: kernels that keep scenarios, and exchange them with each other.
//!
//! Every command is one file under `cmd/`. It talks to the kernel that runs on the data directory; a command that needs
//! no network opens the directory itself when none runs. Data goes to stdout, talk to stderr.

mod cli;
mod cmd;
mod context;
mod demo;
mod failure;
mod help;
mod log;
mod notify;
#[cfg(test)]
mod reference;
mod scenarios;
mod ui;
mod unit;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::from_command_line() {
        Ok(cli) => failure::guarded(|| cli::run(cli)),
        Err(exit) => exit,
    }
}
