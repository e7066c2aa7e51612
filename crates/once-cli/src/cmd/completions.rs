//! `once completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Print the completions for a shell
///
/// For bash: `once completions bash > ~/.local/share/bash-completion/completions/once`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell that is to complete commands
    shell: Shell,
}

impl Completions {
    /// Prints the script to stdout.
    pub fn run(self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "once", &mut script);
        let script = String::from_utf8(script).map_err(|error| Failure::fault(error.to_string()))?;
        let mut printer = ui::Printer::new();
        printer.text(&script)?;
        printer.end()?;
        Ok(Exit::DONE)
    }
}
